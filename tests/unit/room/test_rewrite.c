#include "support/check.h"

#include "room/keyframe.h"
#include "room/rewrite.h"
#include "room/speech.h"

static void test_numbers_go_on_over_a_switch(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 0xfffe, 1000);
    uint64_t output;
    uint32_t timestamp;
    assert_false(rewrite_map(&rewrite, 1, 5, 5, &output, &timestamp));
    rewrite_switch(&rewrite, 1000000, 0, 100, 90000, 90000);
    for (uint64_t i = 0; i < 4; i++) {
        assert_true(rewrite_map(&rewrite, 1000000, 100 + i, 90000, &output, &timestamp));
        assert_int_equal((uint16_t)output, (uint16_t)(0xfffe + i));
        assert_int_equal(timestamp, 1000);
    }
    // another track, half a second later, with numbers of its own
    rewrite_switch(&rewrite, 1500000, 1, 7, 5, 90000);
    assert_true(rewrite_map(&rewrite, 1500000, 7, 5, &output, &timestamp));
    assert_int_equal((uint16_t)output, 2);
    assert_int_equal(timestamp, 1000 + 45000);
    // packets from before the switch must not appear
    assert_false(rewrite_map(&rewrite, 1500000, 6, 5, &output, &timestamp));
}

static void test_a_switch_at_the_same_moment_still_moves_the_timestamp(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 0, 0);
    uint64_t output;
    uint32_t first, second;
    rewrite_switch(&rewrite, 10, 0, 1, 50, 90000);
    assert_true(rewrite_map(&rewrite, 10, 1, 50, &output, &first));
    rewrite_switch(&rewrite, 10, 1, 9, 70, 90000);
    assert_true(rewrite_map(&rewrite, 10, 9, 70, &output, &second));
    assert_int_equal(second, first + 1);
}

static void test_a_nack_finds_the_incoming_packet_over_spans(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 65530, 0);
    uint64_t output;
    uint32_t timestamp;
    rewrite_switch(&rewrite, 1, 0, 1000, 0, 90000);
    for (uint64_t i = 0; i < 10; i++)
        assert_true(rewrite_map(&rewrite, 1, 1000 + i, 0, &output, &timestamp));
    rewrite_switch(&rewrite, 2, 2, 50, 0, 90000);
    for (uint64_t i = 0; i < 5; i++)
        assert_true(rewrite_map(&rewrite, 2, 50 + i, 0, &output, &timestamp));
    const struct rewrite_span *span;
    uint64_t input;
    assert_true(rewrite_find(&rewrite, (uint16_t)(65530 + 3), &output, &span, &input));
    assert_int_equal(input, 1003);
    assert_int_equal(span->source, 0);
    assert_true(rewrite_find(&rewrite, (uint16_t)(65530 + 12), &output, &span, &input));
    assert_int_equal(input, 52);
    assert_int_equal(span->source, 2);
    assert_false(rewrite_find(&rewrite, (uint16_t)(65530 + 15), &output, &span, &input));
    assert_false(rewrite_find(&rewrite, 65529, &output, &span, &input));
    rewrite_forget(&rewrite);
    assert_false(rewrite_find(&rewrite, (uint16_t)(65530 + 12), &output, &span, &input));
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
    rewrite_switch(&rewrite, 1000000, 0, 500, first, 90000);
    rewrite_squeeze(&rewrite, first, until);
    uint64_t output;
    uint32_t timestamp, before = 0;
    for (uint32_t i = 0; i <= 90; i++) {
        assert_true(rewrite_map(&rewrite, 1000000, 500 + i, first + i * 3000, &output, &timestamp));
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
    const struct rewrite_span *span;
    uint64_t input;
    assert_true(rewrite_find(&rewrite, 101, &output, &span, &input));
    assert_int_equal(input, 501);
    assert_in_range(rewrite_timestamp(span, first + 3000), 5000 + 93, 5000 + 94);
}

static void test_numbers_of_other_packets_are_skipped(void **state)
{
    (void)state;
    struct rewrite rewrite;
    rewrite_init(&rewrite, 100, 5000);
    rewrite_switch(&rewrite, 1000000, 3, 500, 0, 90000);
    uint64_t output;
    uint32_t timestamp;
    for (uint32_t i = 0; i < 10; i++) {
        if (i != 4) // comes late
            assert_true(rewrite_map(&rewrite, 1000000, 500 + i, 0, &output, &timestamp));
        if (i == 4)
            continue;
        if (i == 5)
            assert_int_equal(rewrite_skip(&rewrite, 2) & 0xffff, 106);
    }
    assert_int_equal(output & 0xffff, 111);
    assert_int_equal(rewrite_ahead(&rewrite, 510), 1);
    assert_true(rewrite_map(&rewrite, 1000000, 504, 0, &output, &timestamp));
    assert_int_equal(output & 0xffff, 104);
    assert_int_equal(rewrite_skip(&rewrite, 1) & 0xffff, 112);
    assert_int_equal(rewrite_skip(&rewrite, 1) & 0xffff, 113);
    assert_true(rewrite_map(&rewrite, 1000000, 510, 0, &output, &timestamp));
    assert_int_equal(output & 0xffff, 114);
    const struct rewrite_span *span;
    uint64_t input;
    static const uint16_t own[] = { 106, 107, 112, 113 };
    for (size_t i = 0; i < array_size(own); i++)
        assert_false(rewrite_find(&rewrite, own[i], &output, &span, &input));
    assert_true(rewrite_find(&rewrite, 105, &output, &span, &input));
    assert_int_equal(input, 505);
    assert_true(rewrite_find(&rewrite, 108, &output, &span, &input));
    assert_int_equal(input, 506);
    assert_true(rewrite_find(&rewrite, 114, &output, &span, &input));
    assert_int_equal(input, 510);
    // but what is from before a switch stays out
    rewrite_switch(&rewrite, 1000000, 3, 600, 0, 90000);
    assert_false(rewrite_map(&rewrite, 1000000, 510, 0, &output, &timestamp));
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
