#include "support/check.h"

#include "base/time.h"
#include "proto/rtp/clock.h"
#include "proto/rtp/receive_stats.h"
#include "proto/rtp/send_stats.h"

static void test_report_counts_loss_since_the_report_before(void **state)
{
    (void)state;
    struct rtp_receive_stats stats;
    rtp_receive_stats_init(&stats, 77, 90000);
    struct rtcp_report_block block;
    assert_false(rtp_receive_stats_report(&stats, 0, &block));
    // 65530..5 with every fourth lost: 3 of 12
    for (uint32_t i = 0; i < 12; i++)
        if (i % 4 != 3)
            assert_true(rtp_receive_stats_packet(&stats, 1000 * i, (uint16_t)(65530 + i), i * 90,
                                                 100, NULL));
    // the last one was lost and nobody knows it yet
    assert_true(rtp_receive_stats_report(&stats, time_from_s(1), &block));
    assert_int_equal(block.ssrc, 77);
    assert_int_equal(block.cumulative_lost, 2);
    assert_int_equal(block.fraction_lost, 2 * 256 / 11);
    assert_int_equal(block.highest_sequence, 65536 + 4);
    // nothing lost in the next interval, and one repaired
    assert_true(rtp_receive_stats_packet(&stats, 20000, 5, 0, 100, NULL));
    assert_true(rtp_receive_stats_packet(&stats, 21000, 65533, 0, 100, NULL));
    assert_true(rtp_receive_stats_report(&stats, time_from_s(2), &block));
    assert_int_equal(block.fraction_lost, 0);
    assert_int_equal(block.cumulative_lost, 1);
    // every second one lost: half of 256
    for (uint16_t sequence = 7; sequence <= 25; sequence += 2)
        assert_true(rtp_receive_stats_packet(&stats, 30000, sequence, 0, 100, NULL));
    assert_true(rtp_receive_stats_report(&stats, time_from_s(3), &block));
    assert_int_equal(block.fraction_lost, 128);
}

static void test_sender_report_gives_lsr_and_dlsr(void **state)
{
    (void)state;
    struct rtp_receive_stats stats;
    rtp_receive_stats_init(&stats, 1, 48000);
    struct rtcp_report_block block;
    assert_true(rtp_receive_stats_packet(&stats, 0, 1, 0, 10, NULL));
    assert_true(rtp_receive_stats_report(&stats, 0, &block));
    assert_int_equal(block.last_sender_report, 0);
    assert_int_equal(block.delay_since_last, 0);
    struct rtcp_sender_info info = { .ntp = 0x1122334455667788 };
    rtp_receive_stats_sender_report(&stats, time_from_s(10), &info);
    assert_true(rtp_receive_stats_report(&stats, time_from_ms(12500), &block));
    assert_int_equal(block.last_sender_report, 0x33445566);
    assert_int_equal(block.delay_since_last, 0x28000); // 2.5 s
}

static void test_single_wild_sequence_number_is_not_believed(void **state)
{
    (void)state;
    struct rtp_receive_stats stats;
    rtp_receive_stats_init(&stats, 1, 90000);
    uint64_t sequence;
    assert_true(rtp_receive_stats_packet(&stats, 0, 100, 0, 10, &sequence));
    assert_false(rtp_receive_stats_packet(&stats, 0, 20000, 0, 10, &sequence));
    assert_true(rtp_receive_stats_packet(&stats, 0, 101, 0, 10, &sequence));
    assert_true(sequence == 65536 + 101);
    assert_int_equal(rtp_receive_stats_lost(&stats), 0);
    // two in a row are: the sender restarted
    assert_false(rtp_receive_stats_packet(&stats, 0, 40000, 0, 10, &sequence));
    assert_true(rtp_receive_stats_packet(&stats, 0, 40001, 0, 10, &sequence));
    assert_int_equal(rtp_receive_stats_lost(&stats), 0);
    assert_true(sequence == 65536 + 40001);
    // also backwards, and the unwrapped numbers still grow
    assert_false(rtp_receive_stats_packet(&stats, 0, 50, 0, 10, &sequence));
    assert_true(rtp_receive_stats_packet(&stats, 0, 51, 0, 10, &sequence));
    assert_true(sequence == 2 * 65536 + 51);
}

static void test_jitter_follows_rfc_3550_a8(void **state)
{
    (void)state;
    struct rtp_receive_stats stats;
    rtp_receive_stats_init(&stats, 1, 8000);
    // steady: no jitter
    for (uint32_t i = 0; i < 50; i++)
        rtp_receive_stats_packet(&stats, 20000ull * i, (uint16_t)i, 160 * i, 10, NULL);
    assert_int_equal(rtp_receive_stats_jitter_us(&stats), 0);
    // a repaired packet is late by nature
    rtp_receive_stats_packet(&stats, 20000ull * 49, 30, 160 * 30, 10, NULL);
    assert_int_equal(rtp_receive_stats_jitter_us(&stats), 0);
    // alternately 10 ms late: each step differs by 80 units, and the estimate approaches that
    for (uint32_t i = 50; i < 400; i++)
        rtp_receive_stats_packet(&stats, 20000ull * i + (i % 2 ? 10000 : 0), (uint16_t)i, 160 * i,
                                 10, NULL);
    assert_in_range(rtp_receive_stats_jitter_us(&stats), 9000, 10100);
    // packets of one frame share a timestamp and are no jitter
    uint64_t before = rtp_receive_stats_jitter_us(&stats);
    for (uint32_t i = 400; i < 410; i++)
        rtp_receive_stats_packet(&stats, 20000ull * 400 + 500ull * i, (uint16_t)i, 160 * 399, 10,
                                 NULL);
    assert_true(rtp_receive_stats_jitter_us(&stats) <= before);
}

static void test_sender_report_moves_the_timestamp_to_now(void **state)
{
    (void)state;
    struct rtp_send_stats stats;
    rtp_send_stats_init(&stats, 5, 90000);
    struct rtcp_sender_info info;
    assert_false(rtp_send_stats_report(&stats, 0, 0, &info));
    rtp_send_stats_packet(&stats, time_from_s(1), 1000, 500);
    rtp_send_stats_packet(&stats, time_from_s(1), 4000, 600);
    rtp_send_stats_packet(&stats, time_from_s(2), 1000, 500); // a retransmission
    assert_true(rtp_send_stats_report(&stats, time_from_ms(1500), 42, &info));
    assert_int_equal(info.ssrc, 5);
    assert_true(info.ntp == 42);
    assert_int_equal(info.rtp_timestamp, 4000 + 45000);
    assert_int_equal(info.packet_count, 3);
    assert_int_equal(info.octet_count, 1600);
}

static void test_round_trip_is_a_minus_lsr_minus_dlsr(void **state)
{
    (void)state;
    // RFC 3550, figure 2: 6.125 s = 0xb710:8000 - 0xb705:2000 - 0x0005:4000
    uint64_t now = 0xb44db71080000000ull;
    uint32_t last = 0xb7052000u;
    uint32_t delay = 0x00054000u;
    assert_int_equal(rtp_ntp_middle(now), 0xb7108000u);
    assert_int_equal(rtp_round_trip_us(now, last, delay), 6125000);
    assert_int_equal(rtp_round_trip_us(now, 0, delay), 0);
    assert_int_equal(rtp_round_trip_us(now, last, 0x000c0000u), 0); // a liar's delay
    struct rtp_send_stats stats;
    rtp_send_stats_init(&stats, 5, 90000);
    struct rtcp_report_block block = { .last_sender_report = last,
                                       .delay_since_last = delay,
                                       .fraction_lost = 3 };
    rtp_send_stats_reported(&stats, 100, now, &block);
    assert_int_equal(stats.round_trip_us, 6125000);
    assert_int_equal(stats.fraction_lost, 3);
}

static void test_conversions_do_not_overflow_with_large_times(void **state)
{
    (void)state;
    assert_true(rtp_units_from_us(time_from_s(100ull * 365 * 86400), 90000) ==
                100ull * 365 * 86400 * 90000);
    assert_int_equal(rtp_units_from_us(11111, 90000), 999);
    assert_int_equal(rtp_units_to_us(90000 * 3 + 45000, 90000), 3500000);
    assert_int_equal(rtp_short_from_us(time_from_s(70000)), UINT32_MAX);
    assert_int_equal(rtp_short_to_us(0x18000), 1500000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_counts_loss_since_the_report_before),
        cmocka_unit_test(test_sender_report_gives_lsr_and_dlsr),
        cmocka_unit_test(test_single_wild_sequence_number_is_not_believed),
        cmocka_unit_test(test_jitter_follows_rfc_3550_a8),
        cmocka_unit_test(test_sender_report_moves_the_timestamp_to_now),
        cmocka_unit_test(test_round_trip_is_a_minus_lsr_minus_dlsr),
        cmocka_unit_test(test_conversions_do_not_overflow_with_large_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
