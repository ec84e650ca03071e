// The queue of events: in order, with what it costs, and without memory when it is empty.
#include "proto/sctp/sctp_events_int.h"
#include "support/check.h"

static void add(struct sctp_events *events, uint16_t stream, size_t size)
{
    uint8_t *at;
    struct sctp_event event = { .kind = SCTP_STREAM_RESET, .stream = stream };
    if (size > 0) {
        event.kind = SCTP_MESSAGE;
        event.message = blob_new_uninit(size, &at);
        assert_non_null(event.message);
    }
    sctp_events_add(events, &event);
}

static void test_events_come_in_order_and_are_charged(void **state unused)
{
    struct sctp_events events = { 0 };
    uint16_t next = 0, last = 0;
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 3; i++)
            add(&events, last++, round % 3 * 10);
        struct sctp_event event;
        assert_true(sctp_events_next(&events, &event));
        assert_int_equal(event.stream, next++);
        blob_unref(event.message);
        assert_int_equal(events.count, last - next);
        assert_true(events.held >= (size_t)events.count * SCTP_EVENT_COST);
    }
    for (struct sctp_event event; sctp_events_next(&events, &event);) {
        assert_int_equal(event.stream, next++);
        blob_unref(event.message);
    }
    assert_int_equal(next, last);
    assert_int_equal(events.held, 0);
    assert_null(events.ring); // it was large
}

static void test_what_was_not_fetched_is_freed(void **state unused)
{
    struct sctp_events events = { 0 };
    for (uint16_t i = 0; i < 20; i++)
        add(&events, i, 100);
    assert_int_equal(events.held, 20 * (SCTP_EVENT_COST + 100));
    sctp_events_done(&events);
    assert_int_equal(events.held, 0);
    struct sctp_event event;
    assert_false(sctp_events_next(&events, &event));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_come_in_order_and_are_charged),
        cmocka_unit_test(test_what_was_not_fetched_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
