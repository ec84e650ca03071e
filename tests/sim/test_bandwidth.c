// What a peer says of the path to the other side, by what that side reports.
#include "proto/rtp/rtcp.h"
#include "sim/world.h"
#include "support/check.h"

static struct world *a_call(void)
{
    struct world *world = world_new(31);
    struct world_client *publisher = world_add_client(world, 0);
    struct world_client *subscriber = world_add_client(world, 0);
    world_add_section(publisher, RTC_KIND_VIDEO, true);
    world_add_section(subscriber, RTC_KIND_VIDEO, false);
    world_negotiate(publisher);
    world_negotiate(subscriber);
    assert_true(world_connect(world, time_from_s(5)));
    publisher->publishing = true;
    world_show(subscriber, 0, publisher, 0);
    return world;
}

static void test_a_receiver_may_say_what_it_can_take(void **state)
{
    (void)state;
    struct world *world = a_call();
    struct world_client *subscriber = &world->clients[1];
    assert_int_equal(rtc_peer_bandwidth_bps(subscriber->server_peer), 0);
    uint8_t bytes[64];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    uint32_t ssrc = 1;
    rtcp_remb_write(&writer, 2, 750000, &ssrc, 1);
    world_send_rtcp(subscriber, bytes_of(bytes, writer.size));
    network_run(world->net, time_from_ms(100));
    assert_in_range(rtc_peer_bandwidth_bps(subscriber->server_peer), 749000, 751000);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_receiver_may_say_what_it_can_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
