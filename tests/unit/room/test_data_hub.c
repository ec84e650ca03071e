// Who gets what members send over their data channels.
#include "unit/room/data_world.h"

#define ENVELOPE DATA_ENVELOPE_PROTOCOL

static void test_a_message_reaches_all_others_with_the_same_label_and_protocol(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    for (handle session = 1; session <= 5; session++)
        world_join(&world, session, 0, ROOM);
    world_join(&world, 6, 0, ROOM + 1);
    world_open(&world, 1, 0, "chat", "", true);
    world_open(&world, 2, 4, "chat", "", true);
    world_open(&world, 3, 2, "chat", "", false);
    world_open(&world, 4, 0, "chat", "other", true);
    world_open(&world, 5, 0, "chats", "", true);
    world_open(&world, 6, 0, "chat", "", true); // of another room
    world_say(&world, 1, 0, "hello");
    expect_text(&world, 2, 4, "hello");
    expect_text(&world, 3, 2, "hello");
    for (handle session = 1; session <= 6; session++)
        expect_nothing(&world, session);
    assert_true(client_of(&world, 2)->woken);
    world_done(&world);
}

static void test_label_and_protocol_cannot_be_confused(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    world_join(&world, 1, 0, ROOM);
    world_join(&world, 2, 0, ROOM);
    world_open(&world, 1, 0, "ab", "c", true);
    world_open(&world, 2, 0, "a", "bc", true);
    world_say(&world, 1, 0, "hello");
    expect_nothing(&world, 2);
    assert_int_equal(world_metric(&world, DATA_METRIC_DROPPED_NOBODY), 1);
    world_done(&world);
}

static void test_members_on_other_workers_are_reached_by_one_message_each(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 3);
    for (handle session = 1; session <= 6; session++) {
        world_join(&world, session, (uint16_t)(session % 3), ROOM);
        world_open(&world, session, 0, "chat", "", true);
    }
    world_say(&world, 3, 0, "hello");
    for (handle session = 1; session <= 6; session++) {
        if (session != 3)
            expect_text(&world, session, 0, "hello");
        expect_nothing(&world, session);
    }
    assert_int_equal(world_metric(&world, DATA_METRIC_PARCELS), 2);
    // where nobody is left, nothing is sent
    world_leave(&world, 1);
    world_leave(&world, 4);
    world_say(&world, 3, 0, "again");
    assert_int_equal(world_metric(&world, DATA_METRIC_PARCELS), 3);
    world_done(&world);
}

static void test_an_envelope_says_whom_a_message_is_for_and_who_sent_it(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 2);
    for (handle session = 1; session <= 4; session++) {
        world_join(&world, session, (uint16_t)(session % 2), ROOM);
        world_open(&world, session, 0, "x", ENVELOPE, true);
    }
    world_input(&world, 1, 0, false, bytes_of("\1\1\2\2m2\2m3\0hi", 12));
    for (handle session = 2; session <= 3; session++) {
        struct given given = take_given(&world, session);
        assert_false(given.text);
        assert_true(bytes_equal(blob_bytes(given.message), bytes_of("\1\201\1\2m1\0hi", 9)));
        blob_unref(given.message);
    }
    expect_nothing(&world, 1);
    expect_nothing(&world, 4);
    // no addressee: everybody
    world_input(&world, 4, 0, false, bytes_of("\1\1\0\0yo", 6));
    for (handle session = 1; session <= 3; session++) {
        struct given given = take_given(&world, session);
        assert_true(bytes_equal(blob_bytes(given.message), bytes_of("\1\1\1\2m4\0yo", 9)));
        blob_unref(given.message);
    }
    // nobody of that name
    world_input(&world, 1, 0, false, bytes_of("\1\1\1\2m9\0hi", 9));
    assert_int_equal(world_metric(&world, DATA_METRIC_DROPPED_NOBODY), 1);
    // neither a frame nor binary
    world_input(&world, 1, 0, false, bytes_of("\2\1\0", 3));
    world_say(&world, 1, 0, "\1\1\1");
    assert_int_equal(world_metric(&world, DATA_METRIC_DROPPED_ENVELOPE), 2);
    for (handle session = 1; session <= 4; session++)
        expect_nothing(&world, session);
    world_done(&world);
}

static void test_who_may_not_send_is_not_heard_but_hears(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    for (handle session = 1; session <= 2; session++) {
        world_join(&world, session, 0, ROOM);
        world_open(&world, session, 0, "chat", "", true);
    }
    data_hub_permit(world.hubs[0], 1, false);
    world_say(&world, 1, 0, "psst");
    expect_nothing(&world, 2);
    assert_int_equal(world_metric(&world, DATA_METRIC_DROPPED_DENIED), 1);
    world_say(&world, 2, 0, "hello");
    expect_text(&world, 1, 0, "hello");
    data_hub_permit(world.hubs[0], 1, true);
    world_say(&world, 1, 0, "now");
    expect_text(&world, 2, 0, "now");
    world_done(&world);
}

static void test_a_second_channel_of_one_name_is_closed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    world_join(&world, 1, 0, ROOM);
    world_join(&world, 2, 0, ROOM);
    world_open(&world, 1, 0, "chat", "", true);
    world_open(&world, 2, 0, "chat", "", true);
    world_open(&world, 2, 2, "chat", "", true);
    assert_int_equal(client_of(&world, 2)->closed_count, 1);
    assert_int_equal(client_of(&world, 2)->closed_stream, 2);
    world_say(&world, 1, 0, "once");
    expect_text(&world, 2, 0, "once");
    expect_nothing(&world, 2);
    world_done(&world);
}

static void test_a_closed_channel_gets_nothing_and_may_be_opened_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 2);
    for (handle session = 1; session <= 2; session++) {
        world_join(&world, session, (uint16_t)(session % 2), ROOM);
        world_open(&world, session, 0, "chat", "", true);
    }
    data_hub_closed(world.hubs[0], world.now_us, 2, 0);
    world_run(&world);
    world_say(&world, 1, 0, "lost");
    expect_nothing(&world, 2);
    world_open(&world, 2, 0, "chat", "", true);
    world_say(&world, 1, 0, "back");
    expect_text(&world, 2, 0, "back");
    data_hub_closed(world.hubs[0], world.now_us, 2, 8); // was never open
    world_done(&world);
}

static void test_workers_hear_of_channels_late_when_their_queue_was_full(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 2);
    for (handle session = 1; session <= 2; session++)
        world_join(&world, session, (uint16_t)(session % 2), ROOM);
    world.queues[1].limit = 0;
    world_open(&world, 1, 0, "chat", "", true);
    world_open(&world, 2, 0, "chat", "", true); // worker 1 does not hear of it
    world_say(&world, 1, 0, "too early");
    expect_nothing(&world, 2);
    world.queues[1].limit = QUEUE_MAX;
    world_tick(&world, TIME_US_PER_MS);
    world_say(&world, 1, 0, "now");
    expect_text(&world, 2, 0, "now");
    // nor that it has gone, and comes again on the same stream
    world.queues[1].limit = 0;
    data_hub_closed(world.hubs[0], world.now_us, 2, 0);
    world_open(&world, 2, 0, "chat", "", true);
    world.queues[1].limit = QUEUE_MAX;
    world_tick(&world, TIME_US_PER_MS);
    world_say(&world, 1, 0, "once");
    expect_text(&world, 2, 0, "once");
    expect_nothing(&world, 2);
    world_done(&world);
}

static void test_the_server_speaks_to_those_of_each_worker(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 2);
    for (handle session = 1; session <= 4; session++) {
        world_join(&world, session, (uint16_t)(session % 2), ROOM);
        world_open(&world, session, 0, "news", "", true);
    }
    struct blob *name = data_name_new(ROOM, bytes_of_text("news"), bytes_of(NULL, 0));
    struct blob *message = blob_new(bytes_of_text("hear"));
    static const char to[][DATA_MEMBER_SIZE] = { "m2", "m3" };
    struct data_parcel_config config = {
        .name = name, .message = message, .text = true, .to_count = 2, .to = to
    };
    struct data_parcel *parcel = data_parcel_new(&config);
    for (uint16_t i = 0; i < 2; i++)
        data_hub_deliver(world.hubs[i], world.now_us, parcel);
    expect_text(&world, 2, 0, "hear");
    expect_text(&world, 3, 0, "hear");
    expect_nothing(&world, 1);
    expect_nothing(&world, 4);
    data_parcel_unref(parcel);
    blob_unref(message);
    blob_unref(name);
    world_done(&world);
}

static void test_statistics_say_what_a_member_did(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    for (handle session = 1; session <= 3; session++) {
        world_join(&world, session, 0, ROOM);
        world_open(&world, session, 0, "chat", "", true);
    }
    world_say(&world, 1, 0, "hello");
    struct data_stats stats = data_hub_stats(world.hubs[0], 1);
    assert_int_equal(stats.channels, 1);
    assert_int_equal(stats.messages_in, 1);
    assert_int_equal(stats.bytes_in, 5);
    assert_int_equal(stats.messages_out, 0);
    stats = data_hub_stats(world.hubs[0], 2);
    assert_int_equal(stats.messages_out, 1);
    assert_int_equal(stats.bytes_out, 5);
    assert_int_equal(data_hub_stats(world.hubs[0], 50).channels, 0);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_reaches_all_others_with_the_same_label_and_protocol),
        cmocka_unit_test(test_label_and_protocol_cannot_be_confused),
        cmocka_unit_test(test_members_on_other_workers_are_reached_by_one_message_each),
        cmocka_unit_test(test_an_envelope_says_whom_a_message_is_for_and_who_sent_it),
        cmocka_unit_test(test_who_may_not_send_is_not_heard_but_hears),
        cmocka_unit_test(test_a_second_channel_of_one_name_is_closed),
        cmocka_unit_test(test_a_closed_channel_gets_nothing_and_may_be_opened_again),
        cmocka_unit_test(test_workers_hear_of_channels_late_when_their_queue_was_full),
        cmocka_unit_test(test_the_server_speaks_to_those_of_each_worker),
        cmocka_unit_test(test_statistics_say_what_a_member_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
