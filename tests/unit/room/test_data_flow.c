// What happens to data messages when somebody, or a worker's queue, does not keep up.
#include "unit/room/data_world.h"

#define PIECE (64 * 1024)

/** Members of one room with a channel "c" each, on stream 0. */
static void world_of(struct world *world, uint16_t workers, handle members, bool reliable)
{
    world_init(world, workers);
    for (handle session = 1; session <= members; session++) {
        world_join(world, session, (uint16_t)(session % workers), ROOM);
        world_open(world, session, 0, "c", "", reliable);
    }
}

/** That `count` messages of world_flood came, whole and in their order. */
static void expect_flood(struct world *world, handle session, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct given given = take_given(world, session);
        struct bytes bytes = blob_bytes(given.message);
        assert_int_equal(bytes.size, PIECE);
        assert_int_equal(bytes.data[0], (uint8_t)i);
        blob_unref(given.message);
    }
    expect_nothing(world, session);
}

static void check_sender_runs_at_the_pace_of_its_only_receiver(uint16_t workers)
{
    struct world world;
    world_of(&world, workers, 2, true);
    client_of(&world, 2)->room_bytes = 0;
    size_t sent = world_flood(&world, 1, 0, PIECE, 1000);
    // the backlog of a slow receiver, and the one message that is held
    assert_int_equal(sent, DATA_SLOW_BYTES / PIECE + 2);
    assert_false(data_hub_reads(client_of(&world, 1)->peer));
    assert_int_equal(world_metric(&world, DATA_METRIC_HELD), 1);
    assert_true(data_hub_stats(hub_of(&world, 1), 1).held);
    // a little room is not enough: neither side should be woken for each message
    client_of(&world, 1)->woken = false;
    world_take(&world, 2, PIECE);
    assert_false(client_of(&world, 1)->woken);
    world_take(&world, 2, DATA_SLOW_BYTES);
    assert_true(client_of(&world, 1)->woken);
    assert_true(data_hub_reads(client_of(&world, 1)->peer));
    world_take(&world, 2, 10 * PIECE);
    expect_flood(&world, 2, sent);
    assert_int_equal(client_of(&world, 2)->closed_count, 0);
    world_done(&world);
}

static void test_a_sender_runs_at_the_pace_of_its_only_receiver(void **state)
{
    (void)state;
    check_sender_runs_at_the_pace_of_its_only_receiver(1);
}

static void test_also_when_the_receiver_is_on_another_worker(void **state)
{
    (void)state;
    check_sender_runs_at_the_pace_of_its_only_receiver(2);
}

static void test_a_slow_reader_hurts_nobody_else(void **state)
{
    (void)state;
    for (uint16_t workers = 1; workers <= 3; workers++) {
        struct world world;
        world_of(&world, workers, 4, true);
        client_of(&world, 3)->room_bytes = 0;
        size_t count = DATA_BACKLOG_MAX / PIECE;
        assert_int_equal(world_flood(&world, 1, 0, PIECE, count), count);
        expect_flood(&world, 2, count);
        expect_flood(&world, 4, count);
        assert_int_equal(client_of(&world, 3)->closed_count, 0);
        // one more, and the slow one has lost its channel; the others go on
        assert_int_equal(world_flood(&world, 1, 0, PIECE, 1), 1);
        assert_int_equal(client_of(&world, 3)->closed_count, 1);
        assert_int_equal(world_metric(&world, DATA_METRIC_CLOSED_SLOW), 1);
        assert_int_equal(world_metric(&world, DATA_METRIC_BACKLOG), 0);
        forget_given(&world, 2);
        forget_given(&world, 4);
        assert_int_equal(world_flood(&world, 1, 0, PIECE, 10), 10);
        expect_flood(&world, 2, 10);
        expect_flood(&world, 4, 10);
        world_done(&world);
    }
}

static void test_what_waits_comes_whole_and_in_order_when_the_reader_is_back(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 2, 3, true);
    client_of(&world, 2)->room_bytes = 0;
    assert_int_equal(world_flood(&world, 1, 0, PIECE, 100), 100);
    expect_nothing(&world, 2);
    assert_int_equal(data_hub_stats(hub_of(&world, 2), 2).backlog_bytes, 100 * PIECE);
    world_take(&world, 2, 100 * PIECE);
    expect_flood(&world, 2, 100);
    world_done(&world);
}

static void test_a_reader_that_takes_nothing_loses_its_channel_and_frees_the_sender(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 2, 2, true);
    client_of(&world, 2)->room_bytes = 0;
    world_flood(&world, 1, 0, PIECE, 1000);
    world_tick(&world, DATA_STALL_US - 1);
    assert_int_equal(client_of(&world, 2)->closed_count, 0);
    world_tick(&world, 1);
    assert_int_equal(client_of(&world, 2)->closed_count, 1);
    assert_int_equal(world_metric(&world, DATA_METRIC_CLOSED_STALLED), 1);
    assert_true(data_hub_reads(client_of(&world, 1)->peer));
    world_done(&world);
}

static void test_a_reader_that_takes_something_now_and_then_keeps_it(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 1, 2, true);
    client_of(&world, 2)->room_bytes = 0;
    size_t sent = world_flood(&world, 1, 0, PIECE, 1000);
    for (size_t i = 0; i < sent - 1; i++) {
        world_tick(&world, DATA_STALL_US - 1);
        world_take(&world, 2, PIECE);
    }
    assert_int_equal(client_of(&world, 2)->closed_count, 0);
    world_done(&world);
}

static void test_unreliable_messages_do_not_wait(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 2, 3, false);
    client_of(&world, 2)->room_bytes = 2 * PIECE;
    assert_int_equal(world_flood(&world, 1, 0, PIECE, 500), 500);
    expect_flood(&world, 3, 500);
    expect_flood(&world, 2, 2);
    assert_int_equal(world_metric(&world, DATA_METRIC_DROPPED_BUSY), 498);
    assert_int_equal(data_hub_stats(hub_of(&world, 2), 2).dropped, 498);
    assert_int_equal(world_metric(&world, DATA_METRIC_BACKLOG), 0);
    world_done(&world);
}

static void test_an_unreliable_receiver_of_a_reliable_sender_loses_messages(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 1, 1, true);
    world_join(&world, 2, 0, ROOM);
    world_open(&world, 2, 0, "c", "", false);
    client_of(&world, 2)->room_bytes = PIECE;
    assert_int_equal(world_flood(&world, 1, 0, PIECE, 20), 20);
    expect_flood(&world, 2, 1);
    world_done(&world);
}

static void test_a_full_worker_queue_holds_reliable_senders_and_loses_nothing(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 3, 3, true);
    world.queues[2].limit = 0; // of member 2
    world_say(&world, 1, 0, "one");
    expect_text(&world, 3, 0, "one"); // others do not wait for it
    expect_nothing(&world, 2);
    assert_false(data_hub_reads(client_of(&world, 1)->peer));
    assert_int_equal(world_metric(&world, DATA_METRIC_HELD_QUEUE), 1);
    world_tick(&world, TIME_US_PER_MS);
    assert_false(data_hub_reads(client_of(&world, 1)->peer));
    client_of(&world, 1)->woken = false;
    world.queues[2].limit = QUEUE_MAX;
    world_tick(&world, TIME_US_PER_MS);
    expect_text(&world, 2, 0, "one");
    expect_nothing(&world, 3);
    assert_true(client_of(&world, 1)->woken);
    world_say(&world, 1, 0, "two");
    expect_text(&world, 2, 0, "two");
    expect_text(&world, 3, 0, "two");
    world_done(&world);
}

static void test_a_full_worker_queue_loses_unreliable_messages(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 2, 2, false);
    world.queues[0].limit = 0;
    world_say(&world, 1, 0, "lost");
    assert_true(data_hub_reads(client_of(&world, 1)->peer));
    assert_int_equal(world_metric(&world, DATA_METRIC_DROPPED_QUEUE), 1);
    world_done(&world);
}

static void test_two_that_send_to_each_other_both_go_on(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 2, 2, true);
    for (handle session = 1; session <= 2; session++)
        client_of(&world, session)->room_bytes = 0;
    size_t first = world_flood(&world, 1, 0, PIECE, 1000);
    size_t second = world_flood(&world, 2, 0, PIECE, 1000);
    assert_int_equal(first, second);
    for (handle session = 1; session <= 2; session++)
        world_take(&world, session, 100 * PIECE);
    expect_flood(&world, 1, second);
    expect_flood(&world, 2, first);
    world_done(&world);
}

static void test_a_held_message_ends_with_its_sender_or_its_last_receiver(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 1, 2, true);
    client_of(&world, 2)->room_bytes = 0;
    world_flood(&world, 1, 0, PIECE, 1000);
    world_leave(&world, 2);
    assert_true(data_hub_reads(client_of(&world, 1)->peer));
    assert_int_equal(world_metric(&world, DATA_METRIC_DROPPED_NOBODY), 1);
    world_join(&world, 3, 0, ROOM);
    world_open(&world, 3, 0, "c", "", true);
    client_of(&world, 3)->room_bytes = 0;
    world_flood(&world, 1, 0, PIECE, 1000);
    assert_false(data_hub_reads(client_of(&world, 1)->peer));
    world_leave(&world, 1);
    world_done(&world);
}

static void test_channels_of_one_receiver_take_turns(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 1, 2, true);
    for (handle session = 1; session <= 2; session++)
        world_open(&world, session, 2, "d", "", true);
    client_of(&world, 2)->room_bytes = 0;
    for (int i = 0; i < 3; i++)
        world_say(&world, 1, 0, "c");
    for (int i = 0; i < 3; i++)
        world_say(&world, 1, 2, "d");
    world_take(&world, 2, 6);
    for (int i = 0; i < 3; i++) {
        expect_text(&world, 2, 0, "c");
        expect_text(&world, 2, 2, "d");
    }
    world_done(&world);
}

static void test_nothing_overtakes_what_waits(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 1, 2, true);
    client_of(&world, 2)->room_bytes = 0;
    world_say(&world, 1, 0, "one");
    client_of(&world, 2)->room_bytes = 100; // but nobody has said so yet
    world_say(&world, 1, 0, "two");
    expect_nothing(&world, 2);
    world_take(&world, 2, 0);
    expect_text(&world, 2, 0, "one");
    expect_text(&world, 2, 0, "two");
    world_done(&world);
}

static void test_what_is_too_large_for_a_receiver_is_counted_and_the_rest_comes(void **state)
{
    (void)state;
    struct world world;
    world_of(&world, 1, 2, true);
    world_fill(&world, 1, 0, RTC_DATA_MESSAGE_MAX + 1, 0);
    assert_int_equal(world_metric(&world, DATA_METRIC_DROPPED_SIZE), 1);
    world_say(&world, 1, 0, "small");
    expect_text(&world, 2, 0, "small");
    world_done(&world);
}

static void test_when_all_waits_is_too_much_the_furthest_behind_goes(void **state)
{
    (void)state;
    struct world world;
    handle slow = 40;
    world_of(&world, 1, slow, true);
    for (handle session = 3; session <= slow; session++)
        client_of(&world, session)->room_bytes = 0;
    // member 3 is a little further behind than all the others
    client_of(&world, 4)->room_bytes = PIECE;
    size_t enough = DATA_BACKLOG_ALL_MAX / (slow - 2) / PIECE + 1;
    assert_int_equal(world_flood(&world, 1, 0, PIECE, enough), enough);
    assert_int_equal(client_of(&world, 3)->closed_count, 1);
    assert_int_equal(client_of(&world, 4)->closed_count, 0);
    assert_true(world_metric(&world, DATA_METRIC_BACKLOG) <= DATA_BACKLOG_ALL_MAX);
    assert_int_equal(client_of(&world, 2)->given_count, enough);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sender_runs_at_the_pace_of_its_only_receiver),
        cmocka_unit_test(test_also_when_the_receiver_is_on_another_worker),
        cmocka_unit_test(test_a_slow_reader_hurts_nobody_else),
        cmocka_unit_test(test_what_waits_comes_whole_and_in_order_when_the_reader_is_back),
        cmocka_unit_test(test_a_reader_that_takes_nothing_loses_its_channel_and_frees_the_sender),
        cmocka_unit_test(test_a_reader_that_takes_something_now_and_then_keeps_it),
        cmocka_unit_test(test_unreliable_messages_do_not_wait),
        cmocka_unit_test(test_an_unreliable_receiver_of_a_reliable_sender_loses_messages),
        cmocka_unit_test(test_a_full_worker_queue_holds_reliable_senders_and_loses_nothing),
        cmocka_unit_test(test_a_full_worker_queue_loses_unreliable_messages),
        cmocka_unit_test(test_two_that_send_to_each_other_both_go_on),
        cmocka_unit_test(test_a_held_message_ends_with_its_sender_or_its_last_receiver),
        cmocka_unit_test(test_channels_of_one_receiver_take_turns),
        cmocka_unit_test(test_nothing_overtakes_what_waits),
        cmocka_unit_test(test_what_is_too_large_for_a_receiver_is_counted_and_the_rest_comes),
        cmocka_unit_test(test_when_all_waits_is_too_much_the_furthest_behind_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
