// Messages come out whole, once, and in their order, whatever the order of their fragments.
#include <errno.h>

#include "base/random.h"
#include "proto/sctp/sctp_reassembly_int.h"
#include "support/check.h"

#define MESSAGE_MAX 1000
#define PIECES      1000

struct bed {
    struct sctp_events events;
    struct sctp_reassembly reassembly;
};

static void bed_init(struct bed *bed)
{
    memset(bed, 0, sizeof(*bed));
    sctp_reassembly_init(&bed->reassembly, MESSAGE_MAX, &bed->events);
}

static void bed_done(struct bed *bed)
{
    sctp_reassembly_done(&bed->reassembly);
    assert_int_equal(bed->reassembly.held, 0);
    assert_int_equal(bed->reassembly.piece_count, 0);
    sctp_events_done(&bed->events);
}

/** A fragment "abc" of a message, with flags as in "BE". */
static int add(struct bed *bed, bool interleaved, bool unordered, uint32_t tsn, uint32_t message,
               uint32_t fragment, const char *flags, const char *text)
{
    const struct sctp_data data = {
        .interleaved = interleaved,
        .unordered = unordered,
        .begin = strchr(flags, 'B'),
        .end = strchr(flags, 'E'),
        .stream = 3,
        .tsn = tsn,
        .message = message,
        .fragment = fragment,
        .ppid = strchr(flags, 'B') ? 51 : 0,
        .payload = bytes_of_text(text),
    };
    return sctp_reassembly_add(&bed->reassembly, &data);
}

static void expect(struct bed *bed, const char *text)
{
    struct sctp_event event;
    if (!text) {
        assert_false(sctp_events_next(&bed->events, &event));
        return;
    }
    assert_true(sctp_events_next(&bed->events, &event));
    assert_int_equal(event.kind, SCTP_MESSAGE);
    assert_int_equal(event.stream, 3);
    assert_int_equal(event.ppid, 51);
    assert_true(bytes_equal(blob_bytes(event.message), bytes_of_text(text)));
    blob_unref(event.message);
}

static void test_ordered_messages_wait_for_their_turn(void **state unused)
{
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        struct bed bed;
        bed_init(&bed);
        assert_int_equal(add(&bed, interleaved, false, 12, 2, 0, "BE", "two"), 0);
        assert_int_equal(add(&bed, interleaved, false, 11, 1, 0, "BE", "one"), 0);
        expect(&bed, NULL);
        assert_int_equal(add(&bed, interleaved, false, 10, 0, 0, "BE", "zero"), 0);
        expect(&bed, "zero");
        expect(&bed, "one");
        expect(&bed, "two");
        assert_int_equal(add(&bed, interleaved, false, 13, 1, 0, "BE", "again"), -ESTALE);
        bed_done(&bed);
    }
}

static void test_unordered_messages_do_not_wait(void **state unused)
{
    struct bed bed;
    bed_init(&bed);
    assert_int_equal(add(&bed, false, true, 12, 0, 0, "BE", "late"), 0);
    expect(&bed, "late");
    // two messages of fragments: the second is whole first
    assert_int_equal(add(&bed, false, true, 20, 0, 0, "B", "a"), 0);
    assert_int_equal(add(&bed, false, true, 22, 0, 0, "B", "x"), 0);
    assert_int_equal(add(&bed, false, true, 23, 0, 0, "E", "y"), 0);
    expect(&bed, "xy");
    assert_int_equal(add(&bed, false, true, 21, 0, 0, "E", "b"), 0);
    expect(&bed, "ab");
    bed_done(&bed);
}

static void test_fragments_in_any_order_make_the_message(void **state unused)
{
    static const char *const parts[] = { "the ", "quick ", "brown ", "fox ", "jumps" };
    struct random random;
    random_seeded_init(&random, 7);
    for (int round = 0; round < 200; round++) {
        bool interleaved = round & 1, unordered = round & 2;
        struct bed bed;
        bed_init(&bed);
        uint32_t order[5] = { 0, 1, 2, 3, 4 };
        for (uint32_t i = 4; i > 0; i--) {
            uint32_t j = random_below(&random, i + 1), kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
        uint32_t tsn = 0xfffffffe; // wraps within the message
        for (uint32_t i = 0; i < 5; i++) {
            expect(&bed, NULL);
            uint32_t at = order[i];
            assert_int_equal(add(&bed, interleaved, unordered, tsn + at, 0, at,
                                 at == 0   ? "B"
                                 : at == 4 ? "E"
                                           : "",
                                 parts[at]),
                             0);
        }
        expect(&bed, "the quick brown fox jumps");
        assert_int_equal(bed.reassembly.held, 0);
        bed_done(&bed);
    }
}

static void test_messages_may_be_interleaved(void **state unused)
{
    struct bed bed;
    bed_init(&bed);
    assert_int_equal(add(&bed, true, false, 1, 0, 0, "B", "a"), 0);
    assert_int_equal(add(&bed, true, true, 2, 0, 0, "B", "1"), 0);
    assert_int_equal(add(&bed, true, false, 3, 0, 1, "", "b"), 0);
    assert_int_equal(add(&bed, true, true, 4, 0, 1, "E", "2"), 0);
    expect(&bed, "12");
    assert_int_equal(add(&bed, true, false, 5, 0, 2, "E", "c"), 0);
    expect(&bed, "abc");
    bed_done(&bed);
}

static void test_numbers_of_messages_wrap(void **state unused)
{
    struct bed bed;
    bed_init(&bed);
    for (uint32_t i = 0; i < 70000; i++) {
        assert_int_equal(add(&bed, false, false, i, (uint16_t)i, 0, "BE", "x"), 0);
        expect(&bed, "x");
    }
    bed_done(&bed);
}

static void test_a_message_too_long_is_dropped_and_told_and_others_go_on(void **state unused)
{
    char part[301];
    memset(part, 'p', 300);
    part[300] = 0;
    for (int reversed = 0; reversed < 2; reversed++) {
        struct bed bed;
        bed_init(&bed);
        for (uint32_t i = 0; i < 5; i++) {
            uint32_t at = reversed ? 4 - i : i;
            assert_int_equal(add(&bed, true, false, at, 0, at,
                                 at == 0   ? "B"
                                 : at == 4 ? "E"
                                           : "",
                                 part),
                             0);
        }
        struct sctp_event event;
        assert_true(sctp_events_next(&bed.events, &event));
        assert_int_equal(event.kind, SCTP_MESSAGE_TOO_LONG);
        assert_int_equal(event.stream, 3);
        assert_null(event.message);
        assert_int_equal(bed.reassembly.held, 0);
        assert_int_equal(add(&bed, true, false, 9, 1, 0, "BE", "short"), 0);
        expect(&bed, "short");
        bed_done(&bed);
    }
}

static void test_skipped_messages_free_those_behind(void **state unused)
{
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        struct bed bed;
        bed_init(&bed);
        assert_int_equal(add(&bed, interleaved, false, 10, 0, 0, "B", "never whole"), 0);
        assert_int_equal(add(&bed, interleaved, false, 12, 1, 0, "BE", "one"), 0);
        assert_int_equal(add(&bed, interleaved, false, 13, 2, 1, "E", "no beginning"), 0);
        assert_int_equal(add(&bed, interleaved, false, 14, 3, 0, "BE", "three"), 0);
        sctp_reassembly_skip(&bed.reassembly, interleaved,
                             &(struct sctp_skip){ .stream = 3, .message = 2 });
        expect(&bed, "one"); // whole, and not to be lost
        expect(&bed, "three");
        expect(&bed, NULL);
        // an older one changes nothing
        sctp_reassembly_skip(&bed.reassembly, interleaved,
                             &(struct sctp_skip){ .stream = 3, .message = 1 });
        assert_int_equal(add(&bed, interleaved, false, 15, 4, 0, "BE", "four"), 0);
        expect(&bed, "four");
        bed_done(&bed);
    }
}

static void test_skipped_unordered_fragments_are_dropped(void **state unused)
{
    struct bed bed;
    bed_init(&bed);
    assert_int_equal(add(&bed, false, true, 10, 0, 0, "B", "a"), 0);
    assert_int_equal(add(&bed, false, true, 20, 0, 0, "B", "c"), 0);
    sctp_reassembly_forward(&bed.reassembly, 12);
    assert_int_equal(bed.reassembly.piece_count, 1);
    assert_int_equal(add(&bed, false, true, 21, 0, 0, "E", "d"), 0);
    expect(&bed, "cd");
    assert_int_equal(add(&bed, true, true, 30, 5, 0, "B", "e"), 0);
    assert_int_equal(add(&bed, true, true, 31, 6, 0, "B", "f"), 0);
    sctp_reassembly_skip(&bed.reassembly, true,
                         &(struct sctp_skip){ .stream = 3, .unordered = true, .message = 5 });
    assert_int_equal(bed.reassembly.piece_count, 1);
    bed_done(&bed);
}

static void test_a_reset_stream_begins_with_message_0(void **state unused)
{
    struct bed bed;
    bed_init(&bed);
    assert_false(sctp_reassembly_reset(&bed.reassembly, 3));
    assert_int_equal(add(&bed, false, false, 1, 0, 0, "BE", "x"), 0);
    assert_int_equal(add(&bed, false, false, 2, 1, 0, "B", "y"), 0);
    expect(&bed, "x");
    assert_true(sctp_reassembly_reset(&bed.reassembly, 3));
    assert_int_equal(bed.reassembly.held, 0);
    assert_int_equal(add(&bed, false, false, 3, 0, 0, "BE", "z"), 0);
    expect(&bed, "z");
    bed_done(&bed);
}

static void test_overlapping_fragments_are_refused(void **state unused)
{
    struct bed bed;
    bed_init(&bed);
    assert_int_equal(add(&bed, true, false, 1, 0, 0, "B", "a"), 0);
    assert_int_equal(add(&bed, true, false, 2, 0, 1, "", "b"), 0);
    assert_int_equal(add(&bed, true, false, 3, 0, 1, "", "b"), -EINVAL);
    assert_int_equal(add(&bed, true, false, 4, 0, 0, "B", "a"), -EINVAL);
    assert_int_equal(add(&bed, true, false, 5, 0, 2, "E", "c"), 0);
    expect(&bed, "abc");
    bed_done(&bed);
}

static void test_what_is_held_is_counted(void **state unused)
{
    struct bed bed;
    bed_init(&bed);
    for (uint32_t i = 0; i < PIECES; i++) {
        assert_int_equal(add(&bed, false, false, 2 * i + 1, (uint16_t)(i + 1), 0, "BE", "12345"),
                         0);
    }
    assert_int_equal(bed.reassembly.held, PIECES * (SCTP_PIECE_COST + 5));
    assert_int_equal(add(&bed, false, false, 0, 0, 0, "BE", "12345"), 0);
    assert_int_equal(bed.reassembly.held, 0);
    assert_int_equal(bed.events.count, PIECES + 1);
    assert_int_equal(bed.events.held, (PIECES + 1) * (SCTP_EVENT_COST + 5));
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordered_messages_wait_for_their_turn),
        cmocka_unit_test(test_unordered_messages_do_not_wait),
        cmocka_unit_test(test_fragments_in_any_order_make_the_message),
        cmocka_unit_test(test_messages_may_be_interleaved),
        cmocka_unit_test(test_numbers_of_messages_wrap),
        cmocka_unit_test(test_a_message_too_long_is_dropped_and_told_and_others_go_on),
        cmocka_unit_test(test_skipped_messages_free_those_behind),
        cmocka_unit_test(test_skipped_unordered_fragments_are_dropped),
        cmocka_unit_test(test_a_reset_stream_begins_with_message_0),
        cmocka_unit_test(test_overlapping_fragments_are_refused),
        cmocka_unit_test(test_what_is_held_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
