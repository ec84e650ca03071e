// A day of a call in virtual time: numbers and timestamps wrap, clocks drift, viewers come and go.
#include "sim/world.h"
#include "support/check.h"

#define FRAME_EVERY_S 20
#define AN_HOUR       3600
#define HOURS         24
#define VIEWERS       2

static struct world_client *join(struct world *world, uint16_t worker, bool publishes)
{
    struct world_client *client = world_add_client(world, worker);
    world_add_section(client, RTC_KIND_AUDIO, publishes);
    world_add_section(client, RTC_KIND_VIDEO, publishes);
    world_negotiate(client);
    const struct network_pipe_config config = { .delay_us = 20000, .jitter_us = 5000 };
    network_pipe_set(network_uplink(client->endpoint), &config);
    network_pipe_set(network_downlink(client->endpoint), &config);
    assert_true(world_connect(world, time_from_s(5)));
    return client;
}

static void watch(struct world_client *viewer, struct world_client *publisher)
{
    world_show(viewer, 0, publisher, 0);
    world_show(viewer, 1, publisher, 1);
}

/** When the publisher captured the last frame of a slot, by its sender reports. */
static int64_t captured_us(const struct world_received *received, int64_t clock_rate_hz)
{
    assert_true(received->clock.valid);
    int64_t units = (int32_t)(received->last_timestamp - received->clock.timestamp);
    return (int64_t)received->clock.unix_us + units * 1000000 / clock_rate_hz;
}

/** What a player makes of sound and picture: how far they are apart, in microseconds. */
static int64_t skew_us(const struct world_client *viewer, const struct world_client *publisher)
{
    const struct world_received *received = viewer->received;
    int64_t frames = (int64_t)received[1].last_frame - received[0].last_frame;
    return captured_us(&received[1], 90000) - captured_us(&received[0], 48000) -
           frames * (int64_t)world_frame_us(publisher);
}

/** How long ago the last picture was captured, by a viewer's clock. */
static int64_t age_us(const struct world *world, const struct world_client *viewer)
{
    int64_t now_us = (int64_t)network_now(world->net) + viewer->thread.unix_offset_us;
    return now_us - captured_us(&viewer->received[1], 90000);
}

static void test_a_day_goes_by_without_drift(void **state)
{
    (void)state;
    struct world *world = world_new(24);
    world->idle_us = TIME_US_PER_S;
    struct world_client *publisher = join(world, 0, true);
    publisher->frame_us = FRAME_EVERY_S * 1000000;
    publisher->fast_ppm = 80; // seven seconds in a day
    publisher->frame = 1000;  // so that the clock of sound wraps in this day, too
    publisher->publishing = true;
    network_run(world->net, time_from_s(FRAME_EVERY_S));
    struct world_client *viewers[VIEWERS] = { 0 };
    for (int hour = 0; hour < HOURS; hour++) {
        int newest = hour < 22 ? 0 : 1;
        if (!viewers[newest]) { // on either worker
            viewers[newest] = join(world, (uint16_t)newest, false);
            watch(viewers[newest], publisher);
            network_run(world->net, time_from_s(2 * FRAME_EVERY_S));
        }
        uint32_t before[VIEWERS] = { 0 };
        for (int i = 0; i <= newest; i++)
            before[i] = viewers[i]->received[1].frames;
        network_run(world->net, time_from_s(AN_HOUR));
        for (int i = 0; i <= newest; i++) {
            // every frame, once
            assert_in_range(viewers[i]->received[1].frames - before[i], AN_HOUR / FRAME_EVERY_S - 1,
                            AN_HOUR / FRAME_EVERY_S + 1);
            assert_in_range((uint64_t)(skew_us(viewers[i], publisher) + 2000), 0, 4000);
            // a frame is up to twenty seconds old, in the last hour as in the first
            assert_in_range((uint64_t)age_us(world, viewers[i]), 0,
                            FRAME_EVERY_S * 1000000 + 200000);
        }
    }
    // sound and picture have gone round: the clock of pictures nearly twice
    assert_true(publisher->frame - 1000 > HOURS * AN_HOUR / FRAME_EVERY_S - 10);
    for (int i = 0; i < VIEWERS; i++) {
        assert_false(viewers[i]->failed || viewers[i]->server_disconnected);
        assert_in_range(viewers[i]->received[1].newest - viewers[i]->received[1].oldest + 1,
                        viewers[i]->received[1].packets, viewers[i]->received[1].packets + 8);
    }
    assert_false(publisher->failed || publisher->server_disconnected);
    world_free(world); // checks that every packet came home
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_day_goes_by_without_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
