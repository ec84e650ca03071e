// What a peer says of the path to the other side, by what that side reports.
#include "proto/rtp/rtcp.h"
#include "rtc/peer_int.h"
#include "sim/world.h"
#include "support/check.h"

static struct world *a_call(bool remb_only)
{
    struct world *world = world_new(31);
    world->remb_only = remb_only;
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

static void say_remb(struct world_client *client, uint64_t bps)
{
    uint8_t bytes[64];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    uint32_t ssrc = 1;
    rtcp_remb_write(&writer, 2, bps, &ssrc, 1);
    world_send_rtcp(client, bytes_of(bytes, writer.size));
    network_run(client->world->net, time_from_ms(100));
}

static void test_a_receiver_may_say_what_it_can_take(void **state)
{
    (void)state;
    struct world *world = a_call(true);
    struct world_client *subscriber = &world->clients[1];
    assert_int_equal(rtc_peer_bandwidth_bps(subscriber->server_peer), 0);
    assert_int_equal(rtc_peer_pacing_bps(subscriber->server_peer), 0);
    say_remb(subscriber, 750000);
    assert_in_range(rtc_peer_bandwidth_bps(subscriber->server_peer), 749000, 751000);
    world_free(world);
}

static void test_feedback_tells_what_the_path_carries(void **state)
{
    (void)state;
    struct world *world = a_call(false);
    struct world_client *subscriber = &world->clients[1];
    // a guess at first, by which nothing is paced
    assert_int_equal(rtc_peer_bandwidth_bps(subscriber->server_peer), BWE_START_BPS);
    assert_int_equal(rtc_peer_pacing_bps(subscriber->server_peer), 0);
    network_run(world->net, time_from_s(2));
    assert_in_range(rtc_peer_bandwidth_bps(subscriber->server_peer), 1000000, 3000000);
    assert_true(rtc_peer_pacing_bps(subscriber->server_peer) > 2500000);
    assert_true(metric_get(&world->workers[0].thread.counters.values[RTC_METRIC_FEEDBACK]) > 20);
    // what the receiver says on top of it is a limit
    say_remb(subscriber, 750000);
    assert_in_range(rtc_peer_bandwidth_bps(subscriber->server_peer), 749000, 751000);
    world_free(world);
}

static void test_lies_are_counted_and_change_nothing(void **state)
{
    (void)state;
    struct world *world = a_call(false);
    struct world_client *subscriber = &world->clients[1];
    network_run(world->net, time_from_s(2));
    const metric_value *refused =
        &world->workers[0].thread.counters.values[RTC_METRIC_DROPPED_FEEDBACK];
    assert_int_equal(metric_get(refused), 0);
    uint64_t before = rtc_peer_bandwidth_bps(subscriber->server_peer);
    // numbers to come; and more in one datagram than anyone needs
    uint8_t bytes[1200];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    struct twcc_arrival arrivals[2] = { { true, 1000000 }, { true, 1000000 } };
    uint16_t base = (uint16_t)(subscriber->server_peer->transport_sequence + 10000);
    for (int i = 0; i < 10; i++)
        twcc_feedback_write(&writer, 1, 2, 0, base, arrivals, 2);
    world_send_rtcp(subscriber, bytes_of(bytes, writer.size));
    network_run(world->net, time_from_ms(30));
    assert_int_equal(metric_get(refused), 10);
    assert_in_range(rtc_peer_bandwidth_bps(subscriber->server_peer), before * 9 / 10,
                    before * 11 / 10);
    world_free(world);
}

static void test_another_network_is_another_path(void **state)
{
    (void)state;
    struct world *world = a_call(false);
    struct world_client *subscriber = &world->clients[1];
    network_run(world->net, time_from_s(5));
    assert_true(rtc_peer_bandwidth_bps(subscriber->server_peer) > 1000000);
    uint64_t before = rtc_peer_bandwidth_bps(subscriber->server_peer);
    peer_bandwidth_path_changed(subscriber->server_peer, network_now(world->net));
    // what flows may go on, and no more
    assert_in_range(rtc_peer_bandwidth_bps(subscriber->server_peer), 900000, before);
    assert_int_equal(rtc_peer_pacing_bps(subscriber->server_peer), 0);
    uint32_t frames = subscriber->received[0].frames;
    network_run(world->net, time_from_s(5));
    assert_true(subscriber->received[0].frames > frames + 140);
    assert_true(rtc_peer_bandwidth_bps(subscriber->server_peer) > 1000000);
    world_free(world);
}

/** Sends a packet of 1000 bytes again, whole or `empty`, and compares it with what is booked. */
static size_t resend(struct world_client *subscriber, struct packet *packet, bool empty)
{
    struct rtc_peer *peer = subscriber->server_peer;
    const struct rtc_section *section = &peer_negotiated(peer)->sections[0];
    struct rtc_outgoing outgoing = {
        .payload_type = section->codecs->codecs[0].payload_type,
        .empty = empty,
    };
    struct datagram_batch batch;
    datagram_batch_init(&batch, 4096, 4);
    uint64_t booked = peer->bwe->history.sent_bytes, sent = peer->pacer.sent_bytes;
    assert_true(rtc_sender_resend(peer->senders[0], network_now(subscriber->world->net), &batch,
                                  packet, &outgoing));
    datagram_batch_done(&batch);
    sent = peer->pacer.sent_bytes - sent;
    // the datagram counts with the headers of IP and UDP
    assert_int_equal(peer->bwe->history.sent_bytes - booked, sent + 20 + 8);
    return sent;
}

static void test_repairs_count_with_what_they_take(void **state)
{
    (void)state;
    struct world *world = a_call(false);
    network_run(world->net, time_from_s(1));
    struct packet *packet = packet_pool_take(&world->workers[0].pool, 1000);
    assert_non_null(packet);
    *media_info_of(packet) = (struct media_info){ .payload_size = 1000 };
    size_t whole = resend(&world->clients[1], packet, false);
    assert_int_equal(whole - resend(&world->clients[1], packet, true), 1000);
    packet_unref(packet);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_receiver_may_say_what_it_can_take),
        cmocka_unit_test(test_feedback_tells_what_the_path_carries),
        cmocka_unit_test(test_lies_are_counted_and_change_nothing),
        cmocka_unit_test(test_another_network_is_another_path),
        cmocka_unit_test(test_repairs_count_with_what_they_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
