// Channels of calls: each has a twin on the other side.
#include "unit/room/data_world.h"

/** Two sides, on the workers of `first` and `second`. */
static void begin(struct world *world, uint16_t workers, uint16_t first, uint16_t second)
{
    world_init(world, workers);
    world_call(world, 1, first, 2);
    world_call(world, 2, second, 1);
}

static void expect_opened(struct world *world, handle session, uint32_t count)
{
    assert_int_equal(client_of(world, session)->opened_count, count);
}

static void test_a_channel_gets_a_twin_and_messages_go_both_ways(void **state)
{
    (void)state;
    for (uint16_t second = 0; second < 2; second++) {
        struct world world;
        begin(&world, 3, 0, second);
        world_open(&world, 1, 4, "chat", "p", true);
        expect_opened(&world, 2, 1);
        expect_opened(&world, 1, 0);
        assert_true(client_of(&world, 2)->woken);
        world_say(&world, 1, 4, "hello");
        expect_text(&world, 2, OPENED_FIRST, "hello");
        world_say(&world, 2, OPENED_FIRST, "and you");
        expect_text(&world, 1, 4, "and you");
        // another one of the same label is another one, and opened by the other side
        world_open(&world, 2, 7, "chat", "p", true);
        expect_opened(&world, 1, 1);
        world_say(&world, 2, 7, "apart");
        expect_text(&world, 1, OPENED_FIRST, "apart");
        expect_nothing(&world, 1);
        expect_nothing(&world, 2);
        world_done(&world);
    }
}

static void test_the_twin_is_opened_as_the_channel_was(void **state)
{
    (void)state;
    static const struct rtc_data_channel channels[] = {
        { .ordered = true, .label = { (const uint8_t *)"a", 1 } },
        { .reliability = RTC_DATA_MAX_RETRANSMITS,
          .limit = 3,
          .priority = 512,
          .protocol = { (const uint8_t *)"chat", 4 } },
        { .ordered = true, .reliability = RTC_DATA_MAX_LIFETIME, .limit = 70000 },
    };
    struct world world;
    begin(&world, 2, 0, 1);
    for (size_t i = 0; i < array_size(channels); i++) {
        data_hub_opened(world.hubs[0], world.now_us, 1, (uint16_t)(2 * i), &channels[i]);
        world_run(&world);
        const struct client *other = client_of(&world, 2);
        expect_opened(&world, 2, (uint32_t)i + 1);
        assert_int_equal(other->opened.ordered, channels[i].ordered);
        assert_int_equal(other->opened.reliability, channels[i].reliability);
        assert_int_equal(other->opened.limit, channels[i].limit);
        assert_int_equal(other->opened.priority, channels[i].priority);
        assert_true(bytes_equal(bytes_of_text(other->label), channels[i].label));
        assert_true(bytes_equal(bytes_of_text(other->protocol), channels[i].protocol));
    }
    world_done(&world);
}

static void test_both_end_together_whoever_ends(void **state)
{
    (void)state;
    for (uint16_t second = 0; second < 2; second++) {
        struct world world;
        begin(&world, 2, 0, second);
        world_open(&world, 1, 0, "a", "", true);
        world_open(&world, 1, 2, "b", "", true);
        data_hub_closed(world.hubs[0], world.now_us, 1, 0);
        world_run(&world);
        assert_int_equal(client_of(&world, 2)->closed_count, 1);
        assert_int_equal(client_of(&world, 2)->closed_stream, OPENED_FIRST);
        data_hub_closed(world.hubs[second], world.now_us, 2, OPENED_FIRST + 1);
        world_run(&world);
        assert_int_equal(client_of(&world, 1)->closed_count, 1);
        assert_int_equal(client_of(&world, 1)->closed_stream, 2);
        assert_int_equal(world_metric(&world, DATA_METRIC_CHANNELS), 0);
        assert_int_equal(world_metric(&world, DATA_METRIC_CLOSED_TWIN), 2);
        world_done(&world);
    }
}

static void test_what_was_sent_before_the_end_arrives(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 2, 0, 1);
    world_open(&world, 1, 0, "a", "", true);
    client_of(&world, 2)->room_bytes = 0;
    world_say(&world, 1, 0, "one");
    world_say(&world, 1, 0, "two");
    data_hub_closed(world.hubs[0], world.now_us, 1, 0);
    world_run(&world);
    assert_int_equal(client_of(&world, 2)->closed_count, 0);
    world_take(&world, 2, 3);
    expect_text(&world, 2, OPENED_FIRST, "one");
    assert_int_equal(client_of(&world, 2)->closed_count, 0);
    world_take(&world, 2, 100);
    expect_text(&world, 2, OPENED_FIRST, "two");
    assert_int_equal(client_of(&world, 2)->closed_count, 1);
    world_done(&world);
}

static void test_messages_wait_for_the_other_side(void **state)
{
    (void)state;
    for (uint16_t second = 0; second < 2; second++) {
        struct world world;
        world_init(&world, 2);
        world_call(&world, 1, 0, 2);
        world_open(&world, 1, 0, "a", "", false);
        world_say(&world, 1, 0, "early");
        assert_false(data_hub_reads(client_of(&world, 1)->peer)); // it waits with its sender
        world_call(&world, 2, second, 1);
        client_of(&world, 2)->open_error = -ENOTCONN;
        world_tick(&world, time_from_s(20));
        assert_false(data_hub_reads(client_of(&world, 1)->peer));
        client_of(&world, 2)->open_error = 0;
        world_tick(&world, time_from_ms(20));
        expect_text(&world, 2, OPENED_FIRST, "early");
        assert_true(data_hub_reads(client_of(&world, 1)->peer));
        assert_true(client_of(&world, 1)->woken);
        world_done(&world);
    }
}

static void test_a_channel_that_gets_no_twin_in_time_stays_alone(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 2, 0, 1);
    client_of(&world, 2)->open_error = -ENOTCONN; // it has no data channels
    world_open(&world, 1, 0, "a", "", true);
    world_say(&world, 1, 0, "for nobody");
    world_tick(&world, DATA_TWIN_WAIT_US - 1);
    assert_false(data_hub_reads(client_of(&world, 1)->peer));
    world_tick(&world, 1);
    assert_true(data_hub_reads(client_of(&world, 1)->peer));
    assert_int_equal(world_metric(&world, DATA_METRIC_DROPPED_NOBODY), 1);
    assert_int_equal(client_of(&world, 1)->closed_count, 0);
    client_of(&world, 2)->open_error = 0;
    world_tick(&world, time_from_s(1));
    expect_opened(&world, 2, 0);
    world_done(&world);
}

static void test_a_twin_that_is_refused_closes_the_channel(void **state)
{
    (void)state;
    for (uint16_t second = 0; second < 2; second++) {
        struct world world;
        begin(&world, 2, 0, second);
        client_of(&world, 2)->open_error = -ENOSPC;
        world.queues[0].limit = 0; // the opener's worker hears of it later
        world_open(&world, 1, 8, "a", "", true);
        world.queues[0].limit = QUEUE_MAX;
        world_tick(&world, time_from_ms(20));
        assert_int_equal(client_of(&world, 1)->closed_count, 1);
        assert_int_equal(client_of(&world, 1)->closed_stream, 8);
        assert_int_equal(world_metric(&world, DATA_METRIC_CLOSED_REFUSED), 1);
        world_done(&world);
    }
}

static void test_a_side_that_leaves_ends_its_channels_on_the_other(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 3, 0, 2);
    world_open(&world, 1, 0, "a", "", true);
    world_open(&world, 2, 1, "b", "", true);
    world_leave(&world, 2);
    client_of(&world, 2)->id[0] = '\0';
    assert_int_equal(client_of(&world, 1)->closed_count, 2);
    world_done(&world);
}

static void hear_negotiated(struct world *world, handle session, uint16_t stream, const char *text)
{
    const struct rtc_data_channel channel = { .ordered = true,
                                              .negotiated = true,
                                              .stream = stream };
    data_hub_opened(hub_of(world, session), world->now_us, session, stream, &channel);
    if (text)
        data_hub_input(hub_of(world, session), world->now_us, session, stream, true,
                       blob_new(bytes_of_text(text)));
}

static void test_negotiated_channels_meet_whichever_side_is_heard_first(void **state)
{
    (void)state;
    for (uint16_t second = 0; second < 2; second++) {
        struct world world;
        begin(&world, 3, 0, second);
        client_of(&world, 2)->open_error = -ENOTCONN;
        hear_negotiated(&world, 1, 0, "from the caller");
        client_of(&world, 2)->open_error =
            -EADDRINUSE; // heard, too, before they know of each other
        hear_negotiated(&world, 2, 0, "from the callee");
        world_run(&world);
        world_tick(&world, time_from_ms(20));
        expect_text(&world, 2, 0, "from the caller");
        expect_text(&world, 1, 0, "from the callee");
        // one that speaks later has its twin by then
        hear_negotiated(&world, 2, 3, "another");
        world_run(&world);
        expect_text(&world, 1, 3, "another");
        assert_int_equal(client_of(&world, 1)->opened_stream, 3);
        world_say(&world, 1, 3, "answer");
        expect_text(&world, 2, 3, "answer");
        // and it ends for both
        data_hub_closed(world.hubs[0], world.now_us, 1, 0);
        world_run(&world);
        assert_int_equal(client_of(&world, 2)->closed_count, 1);
        world_done(&world);
    }
}

static void test_a_negotiated_channel_stays_alone_where_its_stream_has_another_use(void **state)
{
    (void)state;
    for (uint16_t second = 0; second < 2; second++) {
        struct world world;
        begin(&world, 2, 0, second);
        world_open(&world, 2, 0, "own", "", true);
        client_of(&world, 2)->open_error = -EADDRINUSE;
        hear_negotiated(&world, 1, 0, "nobody hears it");
        world_run(&world);
        client_of(&world, 2)->open_error = 0;
        hear_negotiated(&world, 1, 2, "early");
        world_run(&world);
        expect_text(&world, 2, 2, "early");
        // what was taken for the other end of stream 2 is opened for something else
        world_open(&world, 2, 2, "other", "", true);
        world_tick(&world, time_from_ms(20));
        assert_int_equal(client_of(&world, 1)->closed_count, 0);
        assert_true(data_hub_reads(client_of(&world, 1)->peer));
        assert_int_equal(world_metric(&world, DATA_METRIC_CHANNELS), 6);
        world_done(&world);
    }
}

static void test_a_slow_side_slows_the_other_down(void **state)
{
    (void)state;
    struct world world;
    begin(&world, 2, 0, 1);
    world_open(&world, 1, 0, "a", "", true);
    client_of(&world, 2)->room_bytes = 0;
    size_t sent = world_flood(&world, 1, 0, 64 * 1024, 100);
    assert_in_range(sent, 8, 12); // DATA_SLOW_BYTES and what is held
    world_take(&world, 2, 100 * 64 * 1024);
    assert_true(data_hub_reads(client_of(&world, 1)->peer));
    assert_int_equal(client_of(&world, 2)->given_count, sent);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_channel_gets_a_twin_and_messages_go_both_ways),
        cmocka_unit_test(test_the_twin_is_opened_as_the_channel_was),
        cmocka_unit_test(test_both_end_together_whoever_ends),
        cmocka_unit_test(test_what_was_sent_before_the_end_arrives),
        cmocka_unit_test(test_messages_wait_for_the_other_side),
        cmocka_unit_test(test_a_channel_that_gets_no_twin_in_time_stays_alone),
        cmocka_unit_test(test_a_twin_that_is_refused_closes_the_channel),
        cmocka_unit_test(test_a_side_that_leaves_ends_its_channels_on_the_other),
        cmocka_unit_test(test_negotiated_channels_meet_whichever_side_is_heard_first),
        cmocka_unit_test(test_a_negotiated_channel_stays_alone_where_its_stream_has_another_use),
        cmocka_unit_test(test_a_slow_side_slows_the_other_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
