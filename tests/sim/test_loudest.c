// Of a room's voices only the loudest are forwarded, on every worker, and nobody sees a gap.
#include "sim/world.h"
#include "support/check.h"

#define SPEECH  30
#define SILENCE 127

/** Three who speak, on both workers, and one on `worker` who hears them all. */
static struct world *a_room(uint16_t worker)
{
    struct world *world = world_new(43);
    for (uint16_t i = 0; i < 3; i++)
        world_add_section(world_add_client(world, i % 2), RTC_KIND_AUDIO, true);
    struct world_client *listener = world_add_client(world, worker);
    for (int i = 0; i < 3; i++)
        world_add_section(listener, RTC_KIND_AUDIO, false);
    for (uint32_t i = 0; i < world->client_count; i++)
        world_negotiate(&world->clients[i]);
    assert_true(world_connect(world, time_from_s(5)));
    for (uint16_t i = 0; i < 3; i++) {
        world->clients[i].publishing = true;
        world->clients[i].audio_level = SPEECH;
        world_show(listener, i, &world->clients[i], 0);
    }
    return world;
}

static void expect_no_gap(const struct world_received *sound)
{
    assert_int_equal(sound->packets, sound->distinct);
    assert_int_equal(sound->distinct, sound->newest - sound->oldest + 1);
}

static void check_voices(uint16_t worker)
{
    struct world *world = a_room(worker);
    const struct world_received *sounds = world->clients[3].received;
    network_run(world->net, time_from_s(1));
    for (uint16_t i = 0; i < 3; i++) {
        assert_in_range(sounds[i].packets, 28, 31);
        world_group(&world->clients[i], 0, 2);
    }
    // two are heard; the others fall silent and speak in turns
    for (uint32_t turn = 0; turn < 9; turn++) {
        uint32_t before[3], heard = 0;
        for (uint32_t i = 0; i < 3; i++) {
            world->clients[i].audio_level = turn % 3 == i ? SPEECH : SILENCE;
            before[i] = sounds[i].packets;
        }
        network_run(world->net, time_from_s(2));
        for (uint32_t i = 0; i < 3; i++)
            heard += sounds[i].packets - before[i];
        // sixty packets of two voices, and all of the one who speaks, from the first
        assert_in_range(heard, 116, 124);
        assert_in_range(sounds[turn % 3].packets - before[turn % 3], 59, 61);
    }
    for (uint32_t i = 0; i < 3; i++)
        expect_no_gap(&sounds[i]);
    const struct room_metrics *metrics = exchange_metrics(world->workers[worker].exchange);
    assert_true(metric_get(&metrics->values[ROOM_METRIC_DROPPED_QUIET]) > 400);
    world_free(world);
}

static void test_the_loudest_are_heard_without_a_gap(void **state)
{
    (void)state;
    check_voices(0);
}

static void test_each_worker_hears_the_same(void **state)
{
    (void)state;
    check_voices(1);
}

static void test_another_number_holds_at_once(void **state)
{
    (void)state;
    struct world *world = a_room(1);
    const struct world_received *sounds = world->clients[3].received;
    for (uint16_t i = 0; i < 3; i++)
        world_group(&world->clients[i], 0, 0);
    static const uint32_t places[] = { 1, 2, 0, 1 };
    for (size_t turn = 0; turn < array_size(places); turn++) {
        for (int i = 0; i < WORLD_WORKERS; i++)
            exchange_group_places(world->workers[i].exchange, WORLD_GROUP, places[turn]);
        network_run(world->net, time_from_s(1));
        uint32_t before = 0, after = 0;
        for (uint32_t i = 0; i < 3; i++)
            before += sounds[i].packets;
        network_run(world->net, time_from_s(2));
        for (uint32_t i = 0; i < 3; i++)
            after += sounds[i].packets;
        uint32_t voices = places[turn] ? places[turn] : 3;
        assert_in_range(after - before, voices * 60 - 4, voices * 60 + 4);
    }
    for (uint32_t i = 0; i < 3; i++)
        expect_no_gap(&sounds[i]);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_loudest_are_heard_without_a_gap),
        cmocka_unit_test(test_each_worker_hears_the_same),
        cmocka_unit_test(test_another_number_holds_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
