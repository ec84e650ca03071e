// Chunks under way: what SACKs say about them, what is lost, what is skipped.
#include <errno.h>

#include "proto/sctp/sctp_flight_int.h"
#include "support/check.h"

#define FIRST 0xfffffffcu

struct bed {
    struct sctp_send_queue queue;
    struct sctp_flight flight;
    struct sctp_acknowledged result;
};

static void bed_init(struct bed *bed)
{
    memset(bed, 0, sizeof(*bed));
    sctp_send_queue_init(&bed->queue, 1u << 20);
    sctp_flight_init(&bed->flight, &bed->queue, FIRST);
}

static void bed_done(struct bed *bed)
{
    sctp_flight_done(&bed->flight);
    assert_int_equal(bed->flight.flying, 0);
    assert_int_equal(bed->flight.lost_count, 0);
    assert_int_equal(bed->flight.acknowledged_count, 0);
    sctp_send_queue_done(&bed->queue);
}

/** Messages of 100 bytes, each in a packet of its own. */
static void send(struct bed *bed, uint32_t count, uint32_t retransmits_max)
{
    for (uint32_t i = 0; i < count; i++) {
        struct blob *content = blob_new(bytes_of((uint8_t[100]){ 0 }, 100));
        assert_non_null(content);
        const struct sctp_message message = { .stream = 1,
                                              .retransmits_max = retransmits_max,
                                              .content = content };
        assert_int_equal(sctp_send_queue_add(&bed->queue, 0, &message), 0);
        blob_unref(content);
        sctp_flight_begin_packet(&bed->flight);
        sctp_flight_send(&bed->flight, 1000, sctp_send_queue_next(&bed->queue), 100);
    }
}

/** A SACK at 51 ms; gaps as distances from the cumulative TSN. */
static int acknowledge(struct bed *bed, uint32_t tsn, const struct sctp_gap *gaps, uint16_t count)
{
    uint8_t bytes[64];
    for (uint16_t i = 0; i < count; i++) {
        store_u16(bytes + 4 * i, gaps[i].first);
        store_u16(bytes + 4 * i + 2, gaps[i].last);
    }
    const struct sctp_sack sack = { .tsn = tsn, .gap_count = count, .gaps = bytes };
    return sctp_flight_acknowledge(&bed->flight, 51000, &sack, &bed->result);
}

static void test_cumulative_numbers_free_what_has_arrived(void **state unused)
{
    struct bed bed;
    bed_init(&bed);
    send(&bed, 10, UINT32_MAX);
    assert_int_equal(bed.flight.flying, 10 * 116);
    assert_int_equal(acknowledge(&bed, FIRST + 6, NULL, 0), 0);
    assert_true(bed.result.advanced && bed.result.measured);
    assert_int_equal(bed.result.rtt_us, 50000);
    assert_int_equal(bed.result.bytes, 7 * 116);
    assert_int_equal(bed.queue.buffered, 300);
    assert_int_equal(acknowledge(&bed, FIRST + 5, NULL, 0), -ESTALE);
    assert_int_equal(acknowledge(&bed, FIRST + 6, NULL, 0), 0);
    assert_false(bed.result.advanced || bed.result.measured);
    assert_int_equal(acknowledge(&bed, FIRST + 10, NULL, 0), -EPROTO);
    assert_int_equal(acknowledge(&bed, FIRST + 9, NULL, 0), 0);
    assert_int_equal(bed.queue.messages, 0);
    bed_done(&bed);
}

static void test_three_packets_behind_is_lost(void **state unused)
{
    struct bed bed;
    uint32_t index;
    bed_init(&bed);
    send(&bed, 6, UINT32_MAX);
    assert_int_equal(acknowledge(&bed, FIRST - 1, &(struct sctp_gap){ 2, 3 }, 1), 0);
    assert_false(bed.result.lost);
    assert_int_equal(acknowledge(&bed, FIRST - 1, &(struct sctp_gap){ 2, 4 }, 1), 0);
    assert_true(bed.result.lost);
    assert_true(sctp_flight_next_lost(&bed.flight, 0, &index));
    assert_int_equal(index, 0);
    // the repetition is lost, too
    sctp_flight_begin_packet(&bed.flight);
    sctp_flight_resend(&bed.flight, 60000, 0);
    send(&bed, 3, UINT32_MAX);
    assert_int_equal(acknowledge(&bed, FIRST - 1, &(struct sctp_gap){ 2, 8 }, 1), 0);
    assert_false(bed.result.lost);
    assert_int_equal(acknowledge(&bed, FIRST - 1, &(struct sctp_gap){ 2, 9 }, 1), 0);
    assert_true(bed.result.lost);
    // a repetition says nothing about the round trip
    sctp_flight_resend(&bed.flight, 60000, 0);
    assert_int_equal(acknowledge(&bed, FIRST + 8, NULL, 0), 0);
    assert_false(bed.result.measured);
    bed_done(&bed);
}

static void test_what_was_reported_may_be_taken_back(void **state unused)
{
    struct bed bed;
    uint32_t index;
    bed_init(&bed);
    send(&bed, 6, UINT32_MAX);
    assert_int_equal(acknowledge(&bed, FIRST - 1, &(struct sctp_gap){ 2, 3 }, 1), 0);
    const struct sctp_gap fewer[] = { { 3, 3 } };
    assert_int_equal(acknowledge(&bed, FIRST - 1, fewer, 1), 0);
    assert_true(sctp_flight_next_lost(&bed.flight, 0, &index));
    assert_int_equal(index, 1);
    // nothing but reported chunks is left, and no progress: they were taken back
    assert_int_equal(acknowledge(&bed, FIRST + 4, &(struct sctp_gap){ 1, 1 }, 1), 0);
    assert_int_equal(bed.flight.acknowledged_count, 1);
    sctp_flight_time_out(&bed.flight);
    assert_true(sctp_flight_next_lost(&bed.flight, 0, &index));
    bed_done(&bed);
}

static void test_senseless_blocks_are_not_followed(void **state unused)
{
    static const struct sctp_gap cases[][2] = {
        { { 0, 2 }, { 4, 5 } },
        { { 4, 3 }, { 5, 6 } },
        { { 1, 65535 }, { 2, 3 } },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct bed bed;
        bed_init(&bed);
        send(&bed, 6, UINT32_MAX);
        assert_int_equal(acknowledge(&bed, FIRST - 1, cases[i], 2), 0);
        assert_int_equal(bed.flight.acknowledged_count, 0);
        bed_done(&bed);
    }
}

static void test_what_may_not_be_repeated_is_skipped(void **state unused)
{
    struct bed bed;
    uint32_t index, tsn;
    struct sctp_skip skips[SCTP_SKIPS_MAX];
    size_t count;
    bed_init(&bed);
    send(&bed, 2, 0);
    send(&bed, 1, UINT32_MAX);
    send(&bed, 1, 0);
    assert_false(sctp_flight_forward(&bed.flight, &tsn, skips, &count));
    sctp_flight_time_out(&bed.flight);
    assert_true(sctp_flight_next_lost(&bed.flight, 0, &index));
    assert_int_equal(index, 2);
    assert_true(sctp_flight_forward(&bed.flight, &tsn, skips, &count));
    assert_int_equal(tsn, FIRST + 1); // the reliable one stands in the way
    assert_int_equal(count, 1);
    assert_int_equal(skips[0].stream, 1);
    assert_int_equal(skips[0].message, 1);
    sctp_flight_begin_packet(&bed.flight);
    sctp_flight_resend(&bed.flight, 0, index);
    assert_false(sctp_flight_next_lost(&bed.flight, 0, &index));
    assert_int_equal(bed.flight.abandoned_count, 3);
    assert_int_equal(acknowledge(&bed, FIRST + 2, NULL, 0), 0);
    assert_true(sctp_flight_forward(&bed.flight, &tsn, skips, &count));
    assert_int_equal(tsn, FIRST + 3);
    assert_int_equal(acknowledge(&bed, FIRST + 3, NULL, 0), 0);
    assert_int_equal(bed.queue.messages, 0);
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cumulative_numbers_free_what_has_arrived),
        cmocka_unit_test(test_three_packets_behind_is_lost),
        cmocka_unit_test(test_what_was_reported_may_be_taken_back),
        cmocka_unit_test(test_senseless_blocks_are_not_followed),
        cmocka_unit_test(test_what_may_not_be_repeated_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
