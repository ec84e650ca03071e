// The whole way: a simulcast publisher's layers through room and peer over a subscriber's thin
// path, whose feedback decides what goes over it. The layers take about 60, 250 and 990 kbit/s,
// sound 45.
#include <stdio.h>

#include "rtc/peer_int.h"
#include "rtc/peer_stats.h"
#include "sim/world.h"
#include "support/check.h"

#define VIDEO 0
#define AUDIO 1

struct call {
    struct world *world;
    struct world_client *publisher;
    struct world_client *subscriber;
};

static void set_path(struct call *call, uint64_t bps, uint64_t delay_us)
{
    // a queue of 500 ms, as home routers have
    struct network_pipe_config config = { .bandwidth_bps = bps,
                                          .delay_us = delay_us,
                                          .queue_bytes = (uint32_t)(bps / 16) };
    network_pipe_set(network_downlink(call->subscriber->endpoint), &config);
    config = (struct network_pipe_config){ .delay_us = delay_us };
    network_pipe_set(network_uplink(call->subscriber->endpoint), &config);
}

/** What the SDK publishes, and how Chromium encodes it. */
static void publish_as_the_sdk(struct world_client *publisher)
{
    publisher->temporal_layers = true;
    publisher->layers[0].bitrate_bps = 60000;
    publisher->layers[0].every = 2;
    publisher->layers[1].bitrate_bps = 450000;
    publisher->layers[2].bitrate_bps = 1500000;
}

static struct call begin_with(uint64_t seed, uint64_t bps, void (*prepare)(struct world_client *))
{
    struct call call = { .world = world_new(seed) };
    call.publisher = world_add_client(call.world, 0);
    call.subscriber = world_add_client(call.world, 1);
    world_add_simulcast(call.publisher);
    if (prepare)
        prepare(call.publisher);
    world_add_section(call.publisher, RTC_KIND_AUDIO, true);
    world_add_section(call.subscriber, RTC_KIND_VIDEO, false);
    world_add_section(call.subscriber, RTC_KIND_AUDIO, false);
    world_negotiate(call.publisher);
    world_negotiate(call.subscriber);
    set_path(&call, bps, 20000);
    assert_true(world_connect(call.world, time_from_s(10)));
    call.publisher->publishing = true;
    network_run(call.world->net, time_from_s(1));
    world_show(call.subscriber, VIDEO, call.publisher, 0);
    world_show(call.subscriber, AUDIO, call.publisher, 1);
    return call;
}

static struct call begin(uint64_t seed, uint64_t bps)
{
    return begin_with(seed, bps, NULL);
}

/** What a stretch of time brought. */
struct stretch {
    double sound;        /**< share of its frames that came */
    double pictures;     /**< per second */
    double decoded;      /**< of these, what a decoder can make something of */
    uint32_t sound_late; /**< frames, at most */
    uint32_t queue_ms;   /**< by the estimator, at most */
    uint32_t settled_ms; /**< until the layer was `wanted` and stayed so for 2 s; else UINT32_MAX */
};

static struct stretch run(struct call *call, uint32_t seconds, uint32_t wanted_layer)
{
    struct stretch stretch = { .settled_ms = UINT32_MAX };
    const struct world_received *video = &call->subscriber->received[VIDEO];
    const struct world_received *audio = &call->subscriber->received[AUDIO];
    uint32_t frames = video->frames, decoded = video->decoder.decoded, sounds = audio->distinct,
             published = call->publisher->frame;
    uint32_t good_ms = 0;
    for (uint32_t ms = 0; ms < seconds * 1000; ms += 20) {
        network_run(call->world->net, time_from_ms(20));
        stretch.sound_late = max_of(stretch.sound_late, call->publisher->frame - audio->last_frame);
        struct rtc_peer_stats stats;
        rtc_peer_read_stats(call->subscriber->server_peer, network_now(call->world->net), &stats);
        stretch.queue_ms = max_of(stretch.queue_ms, stats.congestion.queue_us / 1000);
        good_ms = video->layer == wanted_layer ? good_ms + 20 : 0;
        if (good_ms == 2000 && stretch.settled_ms == UINT32_MAX)
            stretch.settled_ms = ms + 20 - 2000;
    }
    stretch.sound = (double)(audio->distinct - sounds) / (call->publisher->frame - published);
    stretch.pictures = (double)(video->frames - frames) / seconds;
    stretch.decoded = (double)(video->decoder.decoded - decoded) / seconds;
    return stretch;
}

static void print(const char *what, const struct stretch *stretch)
{
    printf("%s: layer after %u ms, %.1f pictures/s (%.1f decoded), sound %.1f %%, late at most %u "
           "ms, queue at "
           "most %u ms\n",
           what, stretch->settled_ms, stretch->pictures, stretch->decoded, stretch->sound * 100,
           stretch->sound_late * 33, stretch->queue_ms);
}

static void test_layers_follow_the_path_and_sound_stays_whole(void **state)
{
    (void)state;
    struct call call = begin(41, 3000000);
    struct stretch wide = run(&call, 20, 2);
    print("3 Mbit/s", &wide);
    assert_in_range(wide.settled_ms, 0, 2500);
    set_path(&call, 500000, 20000);
    struct stretch narrow = run(&call, 20, 1);
    print("500 kbit/s", &narrow);
    assert_in_range(narrow.settled_ms, 0, 3000);
    assert_true(narrow.sound > 0.97 && narrow.pictures > 27);
    assert_in_range(narrow.sound_late, 0, 18);
    set_path(&call, 230000, 20000);
    struct stretch thin = run(&call, 20, 0);
    print("230 kbit/s", &thin);
    assert_in_range(thin.settled_ms, 0, 4000);
    assert_true(thin.sound > 0.97 && thin.pictures > 20);
    // hardly more than sound: a picture now and then
    set_path(&call, 100000, 20000);
    struct stretch least = run(&call, 30, 0);
    print("100 kbit/s", &least);
    assert_true(least.sound > 0.95);
    struct stretch later = run(&call, 20, 0);
    print("100 kbit/s, later", &later);
    assert_true(later.sound > 0.97);
    set_path(&call, 3000000, 20000);
    struct stretch again = run(&call, 30, 2);
    print("3 Mbit/s again", &again);
    assert_in_range(again.settled_ms, 0, 15000);
    struct stretch end = run(&call, 10, 2);
    print("3 Mbit/s, later", &end);
    assert_true(end.sound > 0.99 && end.pictures > 28);
    assert_in_range(end.queue_ms, 0, 100);
    world_free(call.world);
}

static void test_pictures_move_over_100_kbps_beside_whole_sound(void **state)
{
    (void)state;
    struct call call = begin_with(47, 3000000, publish_as_the_sdk);
    struct stretch wide = run(&call, 10, 2);
    print("3 Mbit/s, as the SDK sends", &wide);
    assert_true(wide.decoded > 27);
    set_path(&call, 500000, 20000);
    struct stretch narrow = run(&call, 20, 1);
    print("500 kbit/s", &narrow);
    assert_true(narrow.decoded > 13 && narrow.sound > 0.98);
    // the first temporal layer of the smallest size just fits beside the sound
    set_path(&call, 100000, 20000);
    struct stretch least = run(&call, 20, 0);
    print("100 kbit/s", &least);
    assert_true(least.decoded > 2 && least.sound > 0.96);
    struct stretch later = run(&call, 40, 0);
    print("100 kbit/s, later", &later);
    assert_true(later.decoded > 3 && later.sound > 0.98);
    set_path(&call, 3000000, 20000);
    struct stretch again = run(&call, 20, 2);
    print("3 Mbit/s", &again);
    assert_in_range(again.settled_ms, 0, 8000);
    world_free(call.world);
}

static void test_a_join_over_a_thin_path_does_not_fill_it(void **state)
{
    (void)state;
    struct call call = begin(43, 500000);
    struct stretch first = run(&call, 10, 1);
    print("joined at 500 kbit/s", &first);
    assert_true(first.sound > 0.95);
    assert_in_range(first.queue_ms, 0, 500);
    assert_true(first.pictures > 20);
    struct stretch later = run(&call, 20, 1);
    print("and later", &later);
    assert_true(later.sound > 0.99 && later.pictures > 25);
    world_free(call.world);
}

/** Another receiver of the same picture. */
static struct world_client *join_another(struct call *call)
{
    struct world_client *other = world_add_client(call->world, 0);
    world_add_section(other, RTC_KIND_VIDEO, false);
    world_negotiate(other);
    assert_true(world_connect(call->world, time_from_s(10)));
    world_show(other, 0, call->publisher, 0);
    return other;
}

static void test_a_thin_line_of_one_is_nothing_to_another(void **state)
{
    (void)state;
    struct call call = begin(44, 0);
    struct world_client *other = join_another(&call);
    set_path(&call, 500000, 20000);
    struct stretch thin = run(&call, 20, 1);
    print("a thin one", &thin);
    assert_int_equal(other->received[0].layer, 2);
    assert_int_equal(call.subscriber->received[VIDEO].layer, 1);
    world_free(call.world);
}

static void test_two_on_one_access_line_share_it(void **state)
{
    (void)state;
    struct call call = begin(44, 0);
    struct world_client *other = join_another(&call);
    // all that the server sends goes over it: to both, and reports to the publisher
    const uint64_t line_bps = 1200000;
    network_pipe_set(network_uplink(call.world->server),
                     &(struct network_pipe_config){ .bandwidth_bps = line_bps,
                                                    .delay_us = 20000,
                                                    .queue_bytes = (uint32_t)(line_bps / 16) });
    run(&call, 20, 1);
    uint32_t decoded = other->received[0].decoder.decoded;
    struct stretch shared = run(&call, 20, 1);
    double others = (other->received[0].decoder.decoded - decoded) / 20.0;
    print("two on 1.2 Mbit/s", &shared);
    printf("and the other: %.1f decoded\n", others);
    // room for the middle layer to each, and neither has the line for itself
    assert_int_equal(call.subscriber->received[VIDEO].layer, 1);
    assert_int_equal(other->received[0].layer, 1);
    assert_true(shared.decoded > 25 && others > 25 && shared.sound > 0.98);
    world_free(call.world);
}

static void cut(struct call *call, bool off)
{
    network_pipe_cut(network_downlink(call->subscriber->endpoint), off);
    network_pipe_cut(network_uplink(call->subscriber->endpoint), off);
}

static void test_a_path_that_was_cut_carries_pictures_again(void **state)
{
    (void)state;
    // within consent, and after it expired: then ICE restarts
    static const uint32_t seconds[] = { 5, 15, 45 };
    for (size_t i = 0; i < array_size(seconds); i++) {
        struct call call = begin(46, 3000000);
        run(&call, 10, 2);
        cut(&call, true);
        network_run(call.world->net, time_from_s(seconds[i]));
        cut(&call, false);
        if (seconds[i] > 30)
            world_restart_ice(call.subscriber);
        struct stretch after = run(&call, 15, 2);
        printf("cut for %u s: ", seconds[i]);
        print("then", &after);
        assert_in_range(after.settled_ms, 0, 8000);
        world_free(call.world);
    }
}

static void test_losses_do_not_stop_the_picture(void **state)
{
    (void)state;
    struct call call = begin(45, 3000000);
    run(&call, 10, 2);
    struct network_pipe_config config = { .bandwidth_bps = 3000000,
                                          .delay_us = 20000,
                                          .loss = 0.05 };
    network_pipe_set(network_downlink(call.subscriber->endpoint), &config);
    struct stretch lossy = run(&call, 30, 2);
    print("5 % lost", &lossy);
    assert_true(lossy.pictures > 27);
    assert_int_equal(call.subscriber->received[VIDEO].layer, 2);
    struct rtc_peer_stats stats;
    rtc_peer_read_stats(call.subscriber->server_peer, network_now(call.world->net), &stats);
    assert_true(stats.congestion.known);
    assert_true(stats.congestion.loss < 0.2);
    world_free(call.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers_follow_the_path_and_sound_stays_whole),
        cmocka_unit_test(test_pictures_move_over_100_kbps_beside_whole_sound),
        cmocka_unit_test(test_a_join_over_a_thin_path_does_not_fill_it),
        cmocka_unit_test(test_a_thin_line_of_one_is_nothing_to_another),
        cmocka_unit_test(test_two_on_one_access_line_share_it),
        cmocka_unit_test(test_a_path_that_was_cut_carries_pictures_again),
        cmocka_unit_test(test_losses_do_not_stop_the_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
