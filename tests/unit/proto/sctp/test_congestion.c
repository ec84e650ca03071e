// The window grows and shrinks, and the wait for an answer follows the round trip.
#include "proto/sctp/sctp_congestion_int.h"

#include "support/check.h"

#define PACKET 1160u

static void test_slow_start_doubles_and_avoidance_adds_a_packet(void **state unused)
{
    struct sctp_congestion congestion;
    sctp_congestion_init(&congestion, PACKET);
    assert_int_equal(congestion.window, 10 * PACKET);
    for (uint32_t i = 0; i < 5; i++) // a round trip: 10 packets, each second one acknowledged
        sctp_congestion_acknowledged(&congestion, 2 * PACKET, true, i);
    assert_int_equal(congestion.window, 20 * PACKET);
    sctp_congestion_acknowledged(&congestion, 2 * PACKET, false, 6);
    assert_int_equal(congestion.window, 20 * PACKET); // not used, not known
    sctp_congestion_acknowledged(&congestion, 20 * PACKET, true, 7);
    assert_int_equal(congestion.window, 22 * PACKET); // one answer is worth two packets at most
    congestion.threshold = congestion.window - 1;
    for (uint32_t i = 0; i < 11; i++)
        sctp_congestion_acknowledged(&congestion, 2 * PACKET, true, 8 + i);
    assert_int_equal(congestion.window, 23 * PACKET);
}

static void test_losses_of_one_flight_halve_the_window_once(void **state unused)
{
    struct sctp_congestion congestion;
    sctp_congestion_init(&congestion, PACKET);
    congestion.window = 100 * PACKET;
    sctp_congestion_lost(&congestion, 100);
    sctp_congestion_lost(&congestion, 110);
    assert_int_equal(congestion.window, 50 * PACKET);
    sctp_congestion_acknowledged(&congestion, 2 * PACKET, true, 99);
    assert_int_equal(congestion.window, 50 * PACKET);
    sctp_congestion_acknowledged(&congestion, 2 * PACKET, true, 100); // all are here: it grows
    sctp_congestion_lost(&congestion, 200);
    assert_int_equal(congestion.window, 26 * PACKET);
    for (uint32_t i = 0; i < 10; i++) {
        congestion.recovering = false;
        sctp_congestion_lost(&congestion, 300);
    }
    assert_int_equal(congestion.window, 4 * PACKET); // RFC 9260, 7.2.3
}

static void test_a_timeout_leaves_one_packet_and_waits_longer(void **state unused)
{
    struct sctp_congestion congestion;
    sctp_congestion_init(&congestion, PACKET);
    congestion.window = 100 * PACKET;
    sctp_congestion_back_off(&congestion);
    assert_int_equal(congestion.window, 100 * PACKET);
    sctp_congestion_timed_out(&congestion);
    assert_int_equal(congestion.window, PACKET);
    assert_int_equal(congestion.threshold, 50 * PACKET);
    assert_int_equal(congestion.rto_us, 2 * SCTP_RTO_INITIAL_US);
    for (int i = 0; i < 20; i++)
        sctp_congestion_back_off(&congestion);
    assert_int_equal(congestion.rto_us, SCTP_RTO_MAX_US);
}

static void test_the_wait_follows_the_round_trip(void **state unused)
{
    struct sctp_congestion congestion;
    sctp_congestion_init(&congestion, PACKET);
    sctp_congestion_measured(&congestion, 200000);
    assert_int_equal(congestion.rto_us, 600000); // RFC 9260, 6.3.1, C2
    for (int i = 0; i < 100; i++)
        sctp_congestion_measured(&congestion, 600000);
    assert_in_range(congestion.rto_us, 600000, 620000);
    for (int i = 0; i < 100; i++)
        sctp_congestion_measured(&congestion, 100);
    assert_int_equal(congestion.rto_us, SCTP_RTO_MIN_US);
    sctp_congestion_measured(&congestion, time_from_s(100));
    assert_int_equal(congestion.rto_us, SCTP_RTO_MAX_US);
}

static void test_after_a_rest_the_window_is_that_of_the_start(void **state unused)
{
    struct sctp_congestion congestion;
    sctp_congestion_init(&congestion, PACKET);
    congestion.window = 100 * PACKET;
    sctp_congestion_idled(&congestion);
    assert_int_equal(congestion.window, 10 * PACKET);
    congestion.window = 2 * PACKET;
    sctp_congestion_idled(&congestion);
    assert_int_equal(congestion.window, 2 * PACKET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_start_doubles_and_avoidance_adds_a_packet),
        cmocka_unit_test(test_losses_of_one_flight_halve_the_window_once),
        cmocka_unit_test(test_a_timeout_leaves_one_packet_and_waits_longer),
        cmocka_unit_test(test_the_wait_follows_the_round_trip),
        cmocka_unit_test(test_after_a_rest_the_window_is_that_of_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
