// A day of a call in virtual time, a picture now and then: numbers and timestamps wrap, clocks
// drift, viewers come and go. And minutes of one at its full rate, in which all numbers wrap that
// count packets and pictures; ROOST_SIM_SECONDS says how many instead (86400 is a day).
#include <stdio.h>
#include <stdlib.h>

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

/** The path of the viewer is wide and thin in turn, each for so long. */
#define STRETCH_S 30
#if defined(__SANITIZE_THREAD__)
#define FULL_RATE_S 60
#else
#define FULL_RATE_S 240
#endif

/** Everything that counts begins shortly before its end. */
static struct world_client *publish_at_full_rate(struct world *world)
{
    struct world_client *publisher = world_add_client(world, 0);
    world_add_simulcast(publisher);
    world_add_section(publisher, RTC_KIND_AUDIO, true);
    publisher->temporal_layers = true;
    publisher->video_timestamp = UINT32_MAX - 90000 * 40;
    for (uint32_t i = 0; i < WORLD_LAYERS; i++) {
        publisher->layers[i].sequence = (uint16_t)(65500 - i);
        publisher->layers[i].pictures = 0x7fff - 1000; // of picture ids of 15 bits
    }
    world_negotiate(publisher);
    return publisher;
}

static void set_path(struct world_client *viewer, uint64_t bps)
{
    network_pipe_set(network_downlink(viewer->endpoint),
                     &(struct network_pipe_config){ .bandwidth_bps = bps,
                                                    .delay_us = 20000,
                                                    .queue_bytes = (uint32_t)(bps / 16) });
}

static void test_all_that_counts_wraps_at_full_rate(void **state)
{
    (void)state;
    const char *asked = getenv("ROOST_SIM_SECONDS");
    uint32_t seconds = asked ? (uint32_t)strtoul(asked, NULL, 10) : FULL_RATE_S;
    struct world *world = world_new(25);
    struct world_client *publisher = publish_at_full_rate(world);
    struct world_client *viewer = world_add_client(world, 1);
    world_add_section(viewer, RTC_KIND_VIDEO, false);
    world_add_section(viewer, RTC_KIND_AUDIO, false);
    world_negotiate(viewer);
    set_path(viewer, 3000000);
    assert_true(world_connect(world, time_from_s(5)));
    publisher->publishing = true;
    network_run(world->net, time_from_s(1));
    world_show(viewer, 0, publisher, 0);
    world_show(viewer, 1, publisher, 1);
    network_run(world->net, time_from_s(5));
    const struct world_received *video = &viewer->received[0];
    uint32_t first = publisher->frame, first_decoded = video->decoder.decoded;
    for (uint32_t s = 0; s < seconds; s += STRETCH_S) {
        bool wide = s / STRETCH_S % 2 == 0;
        set_path(viewer, wide ? 3000000 : 450000);
        uint32_t decoded = video->decoder.decoded, sounds = viewer->received[1].frames;
        network_run(world->net, time_from_s(STRETCH_S));
        // the way up takes a few seconds, the way down some pictures
        assert_int_equal(video->layer, wide ? 2 : 1);
        assert_true(video->decoder.decoded - decoded > STRETCH_S * 24);
        assert_true(viewer->received[1].frames - sounds > STRETCH_S * 28);
    }
    uint32_t pictures = publisher->frame - first, decoded = video->decoder.decoded - first_decoded;
    printf("%u s at full rate: %u of %u pictures decoded, %.1f rounds of sequence numbers\n",
           seconds, decoded, pictures, (double)(video->newest - video->oldest) / 65536);
    assert_true(decoded > pictures / 10 * 9);
    // what came is whole, and refers to what came
    assert_in_range(video->frames - video->decoder.decoded, 0, pictures / 200);
    assert_true(seconds < 1200 || video->newest - video->oldest > 65536);
    assert_false(viewer->failed || viewer->server_disconnected);
    assert_false(publisher->failed || publisher->server_disconnected);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_day_goes_by_without_drift),
        cmocka_unit_test(test_all_that_counts_wraps_at_full_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
