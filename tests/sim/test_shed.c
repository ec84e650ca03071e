// A worker that has more to do than its core can: what its receivers keep, and in which order.
#include "sim/world.h"
#include "support/check.h"

/** One who sends a voice and a simulcast picture, and three who watch, the oldest first. */
static struct world *a_broadcast(void)
{
    struct world *world = world_new(61);
    struct world_client *publisher = world_add_client(world, 0);
    world_add_section(publisher, RTC_KIND_AUDIO, true);
    world_add_simulcast(publisher);
    for (int i = 0; i < 3; i++) {
        struct world_client *viewer = world_add_client(world, 0);
        world_add_section(viewer, RTC_KIND_AUDIO, false);
        world_add_section(viewer, RTC_KIND_VIDEO, false);
    }
    for (uint32_t i = 0; i < world->client_count; i++)
        world_negotiate(&world->clients[i]);
    assert_true(world_connect(world, time_from_s(5)));
    world->clients[0].publishing = true;
    for (uint32_t i = 1; i < world->client_count; i++) {
        world_show(&world->clients[i], 0, &world->clients[0], 0);
        world_show(&world->clients[i], 1, &world->clients[0], 1);
    }
    network_run(world->net, time_from_s(3));
    return world;
}

/** The worker runs for so long and is busy for so many thousandths of the time. */
static void run(struct world *world, struct shed_reading *reading, uint64_t duration_us,
                uint64_t busy)
{
    for (uint64_t passed_us = 0; passed_us < duration_us; passed_us += 20 * TIME_US_PER_MS) {
        network_run(world->net, 20 * TIME_US_PER_MS);
        reading->waited_us += 20 * (1000 - busy);
        (void)exchange_load(world->workers[0].exchange, network_now(world->net), reading);
    }
}

static uint64_t metric(const struct world *world, enum room_metric metric)
{
    return metric_get(&exchange_metrics(world->workers[0].exchange)->values[metric]);
}

/** Overloads the worker until its metric is at least so much. */
static void overload_until(struct world *world, struct shed_reading *reading,
                           enum room_metric wanted, uint64_t amount)
{
    for (int i = 0; i < 200 && metric(world, wanted) < amount; i++)
        run(world, reading, 100 * TIME_US_PER_MS, 1000);
    assert_true(metric(world, wanted) >= amount);
}

static const struct world_received *video_of(const struct world *world, uint32_t viewer)
{
    return &world->clients[viewer].received[1];
}

/** Frames of each viewer's picture, and packets of its sound, in a second. */
static void count_second(struct world *world, struct shed_reading *reading, uint64_t busy,
                         uint32_t ret_frames[3])
{
    uint32_t frames[3], sounds[3];
    for (uint32_t i = 0; i < 3; i++) {
        frames[i] = video_of(world, i + 1)->frames;
        sounds[i] = world->clients[i + 1].received[0].packets;
    }
    run(world, reading, time_from_s(1), busy);
    for (uint32_t i = 0; i < 3; i++) {
        ret_frames[i] = video_of(world, i + 1)->frames - frames[i];
        assert_in_range(world->clients[i + 1].received[0].packets - sounds[i], 28, 32);
    }
}

static void test_sizes_go_first_then_the_videos_of_the_last(void **state)
{
    (void)state;
    struct world *world = a_broadcast();
    struct shed_reading reading = { 0 };
    uint32_t frames[3];
    run(world, &reading, time_from_s(2), 900);
    assert_int_equal(metric(world, ROOM_METRIC_SHED_LEVEL), SHED_NOTHING);
    assert_int_equal(video_of(world, 3)->layer, 2);
    // who came last has a small picture, the first a large one
    overload_until(world, &reading, ROOM_METRIC_SHED_LEVEL, SHED_SIZE);
    run(world, &reading, time_from_s(2), 900);
    assert_int_equal(video_of(world, 3)->layer, 0);
    assert_int_equal(video_of(world, 1)->layer, 2);
    assert_int_equal(metric(world, ROOM_METRIC_SHED_VIDEOS), 0);
    // no picture goes before all are small
    overload_until(world, &reading, ROOM_METRIC_SHED_VIDEOS, 1);
    run(world, &reading, time_from_s(2), 900);
    assert_int_equal(metric(world, ROOM_METRIC_SHED_LEVEL), SHED_VIDEO);
    count_second(world, &reading, 900, frames);
    assert_int_equal(video_of(world, 1)->layer, 0);
    assert_in_range(frames[0], 29, 31);
    assert_int_equal(frames[2], 0);
    assert_int_equal(world->clients[1].pause, MEDIA_PAUSE_NONE);
    assert_int_equal(world->clients[3].pause, MEDIA_PAUSE_SERVER);
    assert_false(exchange_is_full(world->workers[0].exchange));
    // nothing but sound, and no place for more
    for (int i = 0; i < 100 && !exchange_is_full(world->workers[0].exchange); i++)
        run(world, &reading, 100 * TIME_US_PER_MS, 1000);
    assert_true(exchange_is_full(world->workers[0].exchange));
    count_second(world, &reading, 1000, frames);
    assert_int_equal(frames[0] + frames[1] + frames[2], 0);
    world_free(world);
}

static void test_all_comes_back_without_a_gap(void **state)
{
    (void)state;
    struct world *world = a_broadcast();
    struct shed_reading reading = { 0 };
    uint32_t frames[3];
    overload_until(world, &reading, ROOM_METRIC_SHED_VIDEOS, 3);
    run(world, &reading, time_from_s(60), 300);
    assert_int_equal(metric(world, ROOM_METRIC_SHED_LEVEL), SHED_NOTHING);
    assert_int_equal(metric(world, ROOM_METRIC_SHED_VIDEOS), 0);
    count_second(world, &reading, 300, frames);
    for (uint32_t i = 0; i < 3; i++) {
        const struct world_received *video = video_of(world, i + 1);
        assert_in_range(frames[i], 29, 31);
        assert_int_equal(video->layer, 2);
        assert_int_equal(world->clients[i + 1].pause, MEDIA_PAUSE_NONE);
        // what was left out is no loss to the receiver
        assert_int_equal(video->distinct, video->newest - video->oldest + 1);
    }
    world_free(world);
}

static void test_what_matters_more_is_shed_later(void **state)
{
    (void)state;
    struct world *world = a_broadcast();
    struct shed_reading reading = { 0 };
    uint32_t frames[3];
    // the last is the one who said that its picture matters, the first that it matters little
    world_wish(&world->clients[1], 1, &(struct media_wish){ .priority = 50 });
    world_wish(&world->clients[3], 1, &(struct media_wish){ .priority = 200 });
    overload_until(world, &reading, ROOM_METRIC_SHED_VIDEOS, 1);
    count_second(world, &reading, 900, frames);
    assert_int_equal(frames[0], 0);
    overload_until(world, &reading, ROOM_METRIC_SHED_VIDEOS, 2);
    count_second(world, &reading, 900, frames);
    assert_int_equal(frames[1], 0);
    assert_in_range(frames[2], 29, 31);
    world_free(world);
}

static void test_joins_where_nothing_can_be_shed_are_taken(void **state)
{
    (void)state;
    struct world *world = a_broadcast();
    struct shed_reading reading = { 0 };
    const struct exchange *exchange = world->workers[0].exchange;
    // subscriptions to a camera that is off
    world->clients[0].publishing = false;
    run(world, &reading, time_from_s(5), 300);
    for (int i = 0; i < 5; i++) { // everybody comes back, again and again
        for (int j = 0; j < 30; j++) {
            run(world, &reading, 100 * TIME_US_PER_MS, 1000);
            assert_false(exchange_is_full(exchange));
        }
        assert_int_equal(metric(world, ROOM_METRIC_SHED_LEVEL), SHED_NOTHING);
        run(world, &reading, time_from_s(1), 500);
    }
    // but a worker that goes on without any time left has no place, and has one with some
    run(world, &reading, time_from_s(7), 1000);
    assert_true(exchange_is_full(exchange));
    run(world, &reading, time_from_s(1), 900);
    assert_false(exchange_is_full(exchange));
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_go_first_then_the_videos_of_the_last),
        cmocka_unit_test(test_all_comes_back_without_a_gap),
        cmocka_unit_test(test_what_matters_more_is_shed_later),
        cmocka_unit_test(test_joins_where_nothing_can_be_shed_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
