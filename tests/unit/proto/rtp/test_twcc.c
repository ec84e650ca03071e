#include "support/check.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/time.h"
#include "proto/rtp/rtcp.h"
#include "proto/rtp/twcc_receiver.h"

static struct twcc_feedback feedback_of(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(data, size);
    struct rtcp_packet packet;
    struct rtcp_feedback head;
    struct twcc_feedback feedback;
    assert_int_equal(rtcp_next(&reader, &packet), 1);
    assert_int_equal(rtcp_next(&reader, &(struct rtcp_packet){ 0 }), 0);
    assert_int_equal(packet.type, RTCP_TRANSPORT_FEEDBACK);
    assert_int_equal(packet.count, RTCP_TRANSPORT_WIDE);
    assert_int_equal(rtcp_feedback_parse(&packet, &head), 0);
    assert_int_equal(twcc_feedback_parse(head.control, &feedback), 0);
    return feedback;
}

// The figures of sections 3.1.3 and 3.1.4 of the draft, put into one packet by hand
static void test_chunks_follow_the_figures_of_the_draft(void **state)
{
    (void)state;
    static const uint8_t control[] = {
        0x00, 0x05, 0x00, 0x1f,                         // base 5, 31 packets
        0x00, 0x00, 0x02, 0x07,                         // reference 2 (128 ms), feedback packet 7
        0x00, 0x0a,                                     // run of 10 not received
        0x9f, 0x38,                                     // one bit each: 01111100111000
        0xc5, 0x50,                                     // two bits each: 0111100
        0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, // 8 small deltas of 1 ms
        0x04, 0x04, 0x04, 0x04, 0x04, 0x04,
    };
    struct twcc_feedback feedback;
    assert_int_equal(twcc_feedback_parse(bytes_of(control, sizeof(control)), &feedback), 0);
    assert_int_equal(feedback.base_sequence, 5);
    assert_int_equal(feedback.feedback_count, 7);
    struct twcc_cursor cursor;
    assert_int_equal(twcc_cursor_of(&feedback, &cursor), 0);
    char seen[32] = { 0 };
    uint16_t sequence;
    bool received;
    int64_t time_us;
    size_t count = 0;
    int64_t last_us = 0;
    while (twcc_cursor_next(&cursor, &sequence, &received, &time_us)) {
        assert_int_equal(sequence, 5 + count);
        seen[count++] = received ? 'x' : '.';
        if (received)
            last_us = time_us;
    }
    assert_int_equal(count, 31);
    assert_string_equal(seen, ".........."
                              ".xxxxx..xxx..."
                              ".xxxx..");
    assert_true(last_us == 128000 + 12 * 1000);
}

static void test_feedback_without_all_its_deltas_is_refused(void **state)
{
    (void)state;
    static const uint8_t control[] = { 0, 1, 0, 3, 0, 0, 0, 0, 0x20, 0x03, 1, 2 };
    struct twcc_feedback feedback;
    struct twcc_cursor cursor;
    assert_int_equal(twcc_feedback_parse(bytes_of(control, sizeof(control)), &feedback), 0);
    assert_int_equal(twcc_cursor_of(&feedback, &cursor), -EBADMSG);
    // no chunk for the third packet
    static const uint8_t short_run[] = { 0, 1, 0, 3, 0, 0, 0, 0, 0x20, 0x02 };
    assert_int_equal(twcc_feedback_parse(bytes_of(short_run, sizeof(short_run)), &feedback), 0);
    assert_int_equal(twcc_cursor_of(&feedback, &cursor), -EBADMSG);
    // the reserved symbol, runs of length 0 only, a status count of 0 and one too large
    static const uint8_t reserved[] = { 0, 1, 0, 1, 0, 0, 0, 0, 0x60, 0x01, 9, 9 };
    assert_int_equal(twcc_feedback_parse(bytes_of(reserved, sizeof(reserved)), &feedback), 0);
    assert_int_equal(twcc_cursor_of(&feedback, &cursor), -EBADMSG);
    static const uint8_t nothing[] = { 0, 1, 0, 0, 0, 0, 0, 0 };
    assert_int_equal(twcc_feedback_parse(bytes_of(nothing, sizeof(nothing)), &feedback), -EBADMSG);
    static const uint8_t large[] = { 0, 1, 0xff, 0xff, 0, 0, 0, 0 };
    assert_int_equal(twcc_feedback_parse(bytes_of(large, sizeof(large)), &feedback), -EBADMSG);
}

/** Writes arrivals and reads them back; each must come back within half a tick. */
static size_t round_trip(uint16_t base, const struct twcc_arrival *arrivals, size_t count,
                         size_t capacity)
{
    uint8_t data[8192];
    struct writer writer = writer_of(data, capacity);
    size_t covered = twcc_feedback_write(&writer, 1, 2, 3, base, arrivals, count);
    assert_false(writer.failed);
    if (covered == 0) {
        assert_int_equal(writer.size, 0);
        return 0;
    }
    assert_int_equal(writer.size % 4, 0);
    struct twcc_feedback feedback = feedback_of(data, writer.size);
    assert_int_equal(feedback.status_count, covered);
    struct twcc_cursor cursor;
    assert_int_equal(twcc_cursor_of(&feedback, &cursor), 0);
    for (size_t i = 0; i < covered; i++) {
        uint16_t sequence;
        bool received;
        int64_t time_us;
        assert_true(twcc_cursor_next(&cursor, &sequence, &received, &time_us));
        assert_int_equal(sequence, (uint16_t)(base + i));
        assert_int_equal(received, arrivals[i].received);
        if (received) {
            int64_t error_us = time_us - (int64_t)arrivals[i].time_us;
            assert_true(error_us >= -125 && error_us <= 125);
        }
    }
    return covered;
}

static void test_every_pattern_of_arrivals_reads_back(void **state)
{
    (void)state;
    struct random random;
    random_seeded_init(&random, 11);
    struct twcc_arrival arrivals[400];
    for (int round = 0; round < 3000; round++) {
        size_t count = 1 + random_below(&random, array_size(arrivals));
        uint32_t loss = random_below(&random, 100);
        uint32_t spread_us = 1 + random_below(&random, round % 2 ? 500 : 150000);
        uint64_t now_us = 1 + random_below(&random, 1u << 30);
        for (size_t i = 0; i < count; i++) {
            now_us += random_below(&random, spread_us);
            arrivals[i].received = random_below(&random, 100) >= loss || i == 0;
            // some arrive before the one before them
            arrivals[i].time_us = now_us - min_of(now_us - 1, (uint64_t)random_below(&random, 900));
        }
        assert_int_equal(round_trip((uint16_t)random_u32(&random), arrivals, count, 8192), count);
    }
}

static void test_full_buffer_and_long_pauses_split_feedback(void **state)
{
    (void)state;
    struct twcc_arrival arrivals[300];
    for (size_t i = 0; i < 300; i++)
        arrivals[i] = (struct twcc_arrival){ true, 1000000 + i * 1000 };
    size_t covered = round_trip(9, arrivals, 300, 100);
    assert_in_range(covered, 40, 90);
    assert_int_equal(round_trip(9, arrivals, 300, 20), 0);
    // 8.2 s do not fit a delta
    arrivals[5].time_us += time_from_s(9);
    assert_int_equal(round_trip(9, arrivals, 300, 8192), 5);
    struct twcc_arrival none[3] = { 0 };
    assert_int_equal(round_trip(9, none, 3, 8192), 0);
}

static size_t take_feedback(struct twcc_receiver *receiver, uint64_t now_us, char *seen,
                            size_t capacity, uint16_t *ret_base)
{
    uint8_t data[1200];
    struct writer writer = writer_of(data, sizeof(data));
    if (!twcc_receiver_output(receiver, now_us, 1, &writer))
        return 0;
    struct twcc_feedback feedback = feedback_of(data, writer.size);
    struct twcc_cursor cursor;
    assert_int_equal(twcc_cursor_of(&feedback, &cursor), 0);
    *ret_base = feedback.base_sequence;
    uint16_t sequence;
    bool received;
    int64_t time_us;
    size_t count = 0;
    while (twcc_cursor_next(&cursor, &sequence, &received, &time_us) && count + 1 < capacity)
        seen[count++] = received ? 'x' : '.';
    seen[count] = '\0';
    return count;
}

static const struct twcc_receiver_config config = { .interval_us = 100000, .packets_max = 100 };

static void test_receiver_reports_after_the_interval(void **state)
{
    (void)state;
    struct twcc_receiver receiver;
    twcc_receiver_init(&receiver, &config);
    char seen[256];
    uint16_t base;
    assert_true(twcc_receiver_deadline(&receiver) == TIME_NEVER);
    static const uint16_t arrived[] = { 65534, 65535, 2, 1 }; // over the wrap, 0 is lost
    for (size_t i = 0; i < array_size(arrived); i++)
        twcc_receiver_packet(&receiver, 1000 + i * 1000, arrived[i], 9);
    assert_true(twcc_receiver_deadline(&receiver) == 101000);
    assert_int_equal(take_feedback(&receiver, 100999, seen, sizeof(seen), &base), 0);
    assert_int_equal(take_feedback(&receiver, 101000, seen, sizeof(seen), &base), 5);
    assert_int_equal(base, 65534);
    assert_string_equal(seen, "xx.xx");
    assert_true(twcc_receiver_deadline(&receiver) == TIME_NEVER);
    assert_int_equal(take_feedback(&receiver, time_from_s(1), seen, sizeof(seen), &base), 0);
    // the next one begins where this one ended, and its number is one higher
    twcc_receiver_packet(&receiver, time_from_s(1), 4, 9);
    assert_int_equal(take_feedback(&receiver, time_from_s(2), seen, sizeof(seen), &base), 2);
    assert_int_equal(base, 3);
    assert_string_equal(seen, ".x");
    assert_int_equal(receiver.feedback_count, 2);
    twcc_receiver_done(&receiver);
}

static void test_receiver_reports_early_when_many_packets_came(void **state)
{
    (void)state;
    struct twcc_receiver receiver;
    twcc_receiver_init(&receiver, &config);
    for (uint16_t i = 0; i < 100; i++)
        twcc_receiver_packet(&receiver, 1000 + i, i, 9);
    assert_true(twcc_receiver_deadline(&receiver) <= 1099);
    twcc_receiver_done(&receiver);
}

static void test_late_packet_after_its_report_is_reported_again(void **state)
{
    (void)state;
    struct twcc_receiver receiver;
    twcc_receiver_init(&receiver, &config);
    char seen[256];
    uint16_t base;
    twcc_receiver_packet(&receiver, 1000, 1, 9);
    twcc_receiver_packet(&receiver, 1000, 3, 9);
    assert_int_equal(take_feedback(&receiver, 101000, seen, sizeof(seen), &base), 3);
    twcc_receiver_packet(&receiver, 110000, 2, 9);
    twcc_receiver_packet(&receiver, 110000, 2, 9); // and a duplicate
    assert_int_equal(take_feedback(&receiver, 300000, seen, sizeof(seen), &base), 2);
    assert_int_equal(base, 2);
    assert_string_equal(seen, "xx");
    twcc_receiver_done(&receiver);
}

static void test_receiver_survives_jumps_of_any_size(void **state)
{
    (void)state;
    struct twcc_receiver receiver;
    twcc_receiver_init(&receiver, &config);
    struct random random;
    random_seeded_init(&random, 5);
    char seen[4096];
    uint16_t base;
    uint64_t now_us = 1;
    uint16_t sequence = 0;
    for (int i = 0; i < 20000; i++) {
        uint32_t kind = random_below(&random, 100);
        sequence = (uint16_t)(kind < 95   ? sequence + 1u
                              : kind < 98 ? sequence + random_below(&random, 3000)
                                          : random_u32(&random));
        now_us += random_below(&random, 20000);
        twcc_receiver_packet(&receiver, now_us, sequence, 9);
        int rounds = 0;
        while (take_feedback(&receiver, now_us, seen, sizeof(seen), &base))
            assert_in_range(++rounds, 1, 50);
    }
    twcc_receiver_done(&receiver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_follow_the_figures_of_the_draft),
        cmocka_unit_test(test_feedback_without_all_its_deltas_is_refused),
        cmocka_unit_test(test_every_pattern_of_arrivals_reads_back),
        cmocka_unit_test(test_full_buffer_and_long_pauses_split_feedback),
        cmocka_unit_test(test_receiver_reports_after_the_interval),
        cmocka_unit_test(test_receiver_reports_early_when_many_packets_came),
        cmocka_unit_test(test_late_packet_after_its_report_is_reported_again),
        cmocka_unit_test(test_receiver_survives_jumps_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
