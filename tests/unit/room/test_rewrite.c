#include "support/check.h"

#include "room/keyframe.h"
#include "room/rewrite.h"
#include "room/speech.h"

/** As most tests need it: a stream of 90 kHz that numbers nothing else. */
static void begin(struct rewrite *rewrite, uint64_t now_us, uint8_t source, uint64_t input,
                  uint32_t timestamp)
{
    rewrite_switch(rewrite, now_us, source, input, timestamp, 90000, &(struct rewrite_ids){ 0 });
}

static bool map(struct rewrite *rewrite, uint64_t now_us, uint64_t input, uint32_t input_timestamp,
                uint64_t *ret_output, uint32_t *ret_timestamp)
{
    struct rewrite_place place;
    if (!rewrite_map(rewrite, now_us, input, input_timestamp, &place))
        return false;
    assert_int_equal(place.input, input);
    *ret_output = place.output;
    *ret_timestamp = rewrite_timestamp(place.span, input_timestamp);
    return true;
}

static void test_numbers_go_on_over_a_switch(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 0xfffe, 1000);
    uint64_t output;
    uint32_t timestamp;
    assert_false(map(&rewrite, 1, 5, 5, &output, &timestamp));
    begin(&rewrite, 1000000, 0, 100, 90000);
    for (uint64_t i = 0; i < 4; i++) {
        assert_true(map(&rewrite, 1000000, 100 + i, 90000, &output, &timestamp));
        assert_int_equal((uint16_t)output, (uint16_t)(0xfffe + i));
        assert_int_equal(timestamp, 1000);
    }
    // another track, half a second later, with numbers of its own
    begin(&rewrite, 1500000, 1, 7, 5);
    assert_true(map(&rewrite, 1500000, 7, 5, &output, &timestamp));
    assert_int_equal((uint16_t)output, 2);
    assert_int_equal(timestamp, 1000 + 45000);
    // packets from before the switch must not appear
    assert_false(map(&rewrite, 1500000, 6, 5, &output, &timestamp));
    rewrite_done(&rewrite);
}

static void test_a_switch_at_the_same_moment_still_moves_the_timestamp(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 0, 0);
    uint64_t output;
    uint32_t first, second;
    begin(&rewrite, 10, 0, 1, 50);
    assert_true(map(&rewrite, 10, 1, 50, &output, &first));
    begin(&rewrite, 10, 1, 9, 70);
    assert_true(map(&rewrite, 10, 9, 70, &output, &second));
    assert_int_equal(second, first + 1);
    rewrite_done(&rewrite);
}

static void test_a_nack_finds_the_incoming_packet_over_spans(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 65530, 0);
    uint64_t output;
    uint32_t timestamp;
    begin(&rewrite, 1, 0, 1000, 0);
    for (uint64_t i = 0; i < 10; i++)
        assert_true(map(&rewrite, 1, 1000 + i, 0, &output, &timestamp));
    begin(&rewrite, 2, 2, 50, 0);
    for (uint64_t i = 0; i < 5; i++)
        assert_true(map(&rewrite, 2, 50 + i, 0, &output, &timestamp));
    struct rewrite_place place;
    assert_true(rewrite_find(&rewrite, (uint16_t)(65530 + 3), &place));
    assert_int_equal(place.input, 1003);
    assert_int_equal(place.span->source, 0);
    assert_true(rewrite_find(&rewrite, (uint16_t)(65530 + 12), &place));
    assert_int_equal(place.input, 52);
    assert_int_equal(place.span->source, 2);
    assert_false(rewrite_find(&rewrite, (uint16_t)(65530 + 15), &place));
    assert_false(rewrite_find(&rewrite, 65529, &place));
    rewrite_forget(&rewrite);
    assert_false(rewrite_find(&rewrite, (uint16_t)(65530 + 12), &place));
    rewrite_done(&rewrite);
}

static void test_many_wishes_make_one_key_frame_request(void **state)
{
    (void)state;
    struct keyframe_request request = { 0 };
    assert_false(keyframe_due(&request, 1000));
    assert_int_equal(keyframe_deadline(&request), TIME_NEVER);
    for (int i = 0; i < 100; i++)
        keyframe_want(&request);
    assert_true(keyframe_due(&request, 1000));
    assert_false(keyframe_due(&request, 1000));
    keyframe_want(&request);
    assert_false(keyframe_due(&request, 1000 + time_from_ms(499)));
    // nothing came: ask again
    assert_true(keyframe_due(&request, 1000 + time_from_ms(500)));
    keyframe_arrived(&request);
    assert_false(keyframe_due(&request, time_from_s(10)));
}

static bool feed(struct speech *speech, uint64_t *now_us, int packets, uint8_t level)
{
    bool changed = false;
    for (int i = 0; i < packets; i++, *now_us += time_from_ms(20))
        changed |= speech_input(speech, *now_us, level);
    return changed;
}

static void test_speech_begins_soon_and_survives_a_breath(void **state)
{
    (void)state;
    struct speech speech = { 0 };
    uint64_t now_us = time_from_s(1);
    assert_false(feed(&speech, &now_us, 50, 100)); // background noise
    assert_true(feed(&speech, &now_us, 25, 25));
    assert_true(speech.speaking);
    assert_in_range(speech_level(&speech), 20, 45);
    feed(&speech, &now_us, 20, 100); // 400 ms of breath
    assert_true(speech.speaking);
    assert_true(feed(&speech, &now_us, 50, 100));
    assert_false(speech.speaking);
    // a click of one packet is no speech
    assert_false(feed(&speech, &now_us, 1, 0));
    assert_false(feed(&speech, &now_us, 30, 110));
}

static void test_a_past_is_drawn_together_and_the_present_keeps_its_pace(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 100, 5000);
    // 60 frames of 3000 ticks from the past, over the wrap of the incoming timestamps
    uint32_t first = 0u - 30 * 3000, until = first + 60 * 3000;
    begin(&rewrite, 1000000, 0, 500, first);
    rewrite_squeeze(&rewrite, first, until);
    uint64_t output;
    uint32_t timestamp, before = 0;
    for (uint32_t i = 0; i <= 90; i++) {
        assert_true(map(&rewrite, 1000000, 500 + i, first + i * 3000, &output, &timestamp));
        assert_int_equal(output & 0xffff, 100 + i);
        if (i == 0)
            assert_int_equal(timestamp, 5000);
        else if (i <= 60)
            assert_in_range(timestamp - before, 3000 / 32, 3000 / 32 + 1);
        else
            assert_int_equal(timestamp - before, 3000);
        before = timestamp;
    }
    // a retransmission gets the timestamp that the packet had
    struct rewrite_place place;
    assert_true(rewrite_find(&rewrite, 101, &place));
    assert_int_equal(place.input, 501);
    assert_in_range(rewrite_timestamp(place.span, first + 3000), 5000 + 93, 5000 + 94);
    rewrite_done(&rewrite);
}

static void test_numbers_of_other_packets_are_skipped(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 100, 5000);
    begin(&rewrite, 1000000, 3, 500, 0);
    uint64_t output;
    uint32_t timestamp;
    for (uint32_t i = 0; i < 10; i++) {
        if (i != 4) // comes late
            assert_true(map(&rewrite, 1000000, 500 + i, 0, &output, &timestamp));
        if (i == 4)
            continue;
        if (i == 5)
            assert_int_equal(rewrite_skip(&rewrite, 2) & 0xffff, 106);
    }
    assert_int_equal(output & 0xffff, 111);
    assert_int_equal(rewrite_ahead(&rewrite, 510), 1);
    assert_true(map(&rewrite, 1000000, 504, 0, &output, &timestamp));
    assert_int_equal(output & 0xffff, 104);
    assert_int_equal(rewrite_skip(&rewrite, 1) & 0xffff, 112);
    assert_int_equal(rewrite_skip(&rewrite, 1) & 0xffff, 113);
    assert_true(map(&rewrite, 1000000, 510, 0, &output, &timestamp));
    assert_int_equal(output & 0xffff, 114);
    struct rewrite_place place;
    static const uint16_t own[] = { 106, 107, 112, 113 };
    for (size_t i = 0; i < array_size(own); i++)
        assert_false(rewrite_find(&rewrite, own[i], &place));
    assert_true(rewrite_find(&rewrite, 105, &place));
    assert_int_equal(place.input, 505);
    assert_true(rewrite_find(&rewrite, 108, &place));
    assert_int_equal(place.input, 506);
    assert_true(rewrite_find(&rewrite, 114, &place));
    assert_int_equal(place.input, 510);
    // but what is from before a switch stays out
    begin(&rewrite, 1000000, 3, 600, 0);
    assert_false(map(&rewrite, 1000000, 510, 0, &output, &timestamp));
    rewrite_done(&rewrite);
}

static void test_what_is_left_out_leaves_no_gap(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 65000, 0);
    begin(&rewrite, 1, 0, 1000, 0);
    struct rewrite_place place;
    uint64_t output;
    uint32_t timestamp;
    // of each four pictures of two packets, one goes out; the rest is two layers above
    uint64_t passed = 0;
    for (uint64_t i = 0; i < 1200; i++) {
        uint32_t picture = (uint32_t)(i / 2);
        if (picture % 4 != 0) {
            assert_true(rewrite_leave_out(&rewrite, 1000 + i, picture * 3000, i % 2 == 0));
            continue;
        }
        assert_true(rewrite_map(&rewrite, 1, 1000 + i, picture * 3000, &place));
        assert_int_equal((uint16_t)place.output, (uint16_t)(65000 + passed));
        // the incoming picture id closes up as well
        assert_int_equal((uint16_t)(picture + place.span->ids.picture), picture / 4);
        passed++;
    }
    // a second of them is remembered, and finds its packets again
    for (uint64_t back = 1; back < 2 * REWRITE_SPANS_MAX - 2; back++) {
        assert_true(rewrite_find(&rewrite, (uint16_t)(65000 + passed - back), &place));
        uint64_t nth = passed - back;
        assert_int_equal(place.input, 1000 + nth / 2 * 8 + nth % 2);
        assert_true(map(&rewrite, 1, place.input, 0, &output, &timestamp));
        assert_int_equal(output, place.output);
    }
    // what was left out stays out when it comes again
    assert_false(rewrite_map(&rewrite, 1, 1000 + 1190, 0, &place));
    assert_true(rewrite_leave_out(&rewrite, 1000 + 1190, 0, false));
    rewrite_done(&rewrite);
}

static void test_a_late_packet_that_is_left_out_has_a_number_to_fill(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 100, 0);
    begin(&rewrite, 1, 0, 1000, 0);
    struct rewrite_place place;
    assert_true(rewrite_map(&rewrite, 1, 1000, 0, &place));
    // 1001 and 1002 are missing: who knows what they are
    assert_true(rewrite_leave_out(&rewrite, 1003, 3000, true));
    // but between two of one picture that are left out there is nothing else
    assert_true(rewrite_leave_out(&rewrite, 1006, 3000, false));
    assert_true(rewrite_map(&rewrite, 1, 1007, 6000, &place));
    assert_int_equal(place.output & 0xffff, 103);
    assert_false(rewrite_leave_out(&rewrite, 1001, 3000, false));
    assert_true(rewrite_map(&rewrite, 1, 1001, 3000, &place));
    assert_int_equal(place.output & 0xffff, 101);
    assert_true(rewrite_map(&rewrite, 1, 1002, 2000, &place));
    assert_int_equal(place.output & 0xffff, 102);
    assert_true(rewrite_leave_out(&rewrite, 1004, 3000, false));
    assert_false(rewrite_map(&rewrite, 1, 1005, 3000, &place));
    assert_true(rewrite_find(&rewrite, 103, &place));
    assert_int_equal(place.input, 1007);
    // numbers of our own and packets that are left out, one behind the other
    assert_int_equal(rewrite_skip(&rewrite, 2) & 0xffff, 104);
    assert_true(rewrite_leave_out(&rewrite, 1008, 9000, true));
    assert_int_equal(rewrite_skip(&rewrite, 1) & 0xffff, 106);
    assert_true(rewrite_map(&rewrite, 1, 1009, 12000, &place));
    assert_int_equal(place.output & 0xffff, 107);
    assert_true(rewrite_find(&rewrite, 107, &place));
    assert_int_equal(place.input, 1009);
    for (uint16_t own = 104; own < 107; own++)
        assert_false(rewrite_find(&rewrite, own, &place));
    // behind a switch nothing of before is mapped, but all is found
    begin(&rewrite, 2, 1, 50, 0);
    assert_true(rewrite_map(&rewrite, 2, 50, 0, &place));
    assert_int_equal(place.output & 0xffff, 108);
    assert_true(rewrite_leave_out(&rewrite, 49, 0, false));
    assert_true(rewrite_find(&rewrite, 107, &place));
    assert_int_equal(place.span->source, 0);
    rewrite_done(&rewrite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_go_on_over_a_switch),
        cmocka_unit_test(test_a_switch_at_the_same_moment_still_moves_the_timestamp),
        cmocka_unit_test(test_a_nack_finds_the_incoming_packet_over_spans),
        cmocka_unit_test(test_many_wishes_make_one_key_frame_request),
        cmocka_unit_test(test_speech_begins_soon_and_survives_a_breath),
        cmocka_unit_test(test_a_past_is_drawn_together_and_the_present_keeps_its_pace),
        cmocka_unit_test(test_numbers_of_other_packets_are_skipped),
        cmocka_unit_test(test_what_is_left_out_leaves_no_gap),
        cmocka_unit_test(test_a_late_packet_that_is_left_out_has_a_number_to_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
