// Which TSNs have arrived, compared with a plain table of all of them.
#include "base/random.h"
#include "proto/sctp/sctp_tracking_int.h"
#include "support/check.h"

#define SPAN 2000

static void test_any_order_ends_in_one_number(void **state unused)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct random random;
        random_seeded_init(&random, seed);
        uint32_t first = 0u - SPAN / 2; // over the wrap
        struct sctp_tracking tracking;
        sctp_tracking_init(&tracking, first);
        bool seen[SPAN] = { false };
        uint32_t cumulative = 0, left = SPAN; // of `seen`: how many from the start
        while (left > 0) {
            uint32_t ahead = random_below(&random, 40);
            uint32_t at = min_of(cumulative + ahead, (uint32_t)SPAN - 1);
            enum sctp_arrival arrival = sctp_tracking_check(&tracking, first + at);
            assert_int_equal(arrival, seen[at] ? SCTP_ARRIVAL_DUPLICATE : SCTP_ARRIVAL_NEW);
            if (seen[at])
                continue;
            sctp_tracking_add(&tracking, first + at);
            seen[at] = true;
            left--;
            while (cumulative < SPAN && seen[cumulative])
                cumulative++;
            assert_int_equal(tracking.cumulative, first + cumulative - 1);
            for (uint32_t i = 0; i < tracking.block_count; i++) {
                uint32_t from = tracking.blocks[i].first - first;
                uint32_t to = tracking.blocks[i].last - first;
                assert_false(seen[from - 1] || (to + 1 < SPAN && seen[to + 1]));
                for (uint32_t j = from; j <= to; j++)
                    assert_true(seen[j]);
            }
        }
        assert_int_equal(tracking.block_count, 0);
        sctp_tracking_done(&tracking);
    }
}

static void add(struct sctp_tracking *tracking, uint32_t tsn)
{
    assert_int_equal(sctp_tracking_check(tracking, tsn), SCTP_ARRIVAL_NEW);
    sctp_tracking_add(tracking, tsn);
}

static void test_blocks_are_bounded_and_holes_can_always_be_filled(void **state unused)
{
    struct sctp_tracking tracking;
    sctp_tracking_init(&tracking, 1);
    for (uint32_t i = 0; i < SCTP_BLOCKS_MAX; i++)
        add(&tracking, 3 + 2 * i);
    uint32_t beyond = 3 + 2 * SCTP_BLOCKS_MAX;
    assert_int_equal(sctp_tracking_check(&tracking, beyond), SCTP_ARRIVAL_TOO_FAR);
    assert_int_equal(sctp_tracking_check(&tracking, beyond - 1), SCTP_ARRIVAL_NEW);
    assert_int_equal(sctp_tracking_check(&tracking, 2), SCTP_ARRIVAL_NEW);
    assert_int_equal(sctp_tracking_check(&tracking, 1 + SCTP_TSN_AHEAD_MAX), SCTP_ARRIVAL_TOO_FAR);
    add(&tracking, 1);
    add(&tracking, 2);
    assert_int_equal(tracking.cumulative, 3);
    assert_int_equal(sctp_tracking_check(&tracking, beyond), SCTP_ARRIVAL_NEW);
    sctp_tracking_done(&tracking);
}

static void test_forward_passes_holes_and_joins_what_is_behind(void **state unused)
{
    struct sctp_tracking tracking;
    sctp_tracking_init(&tracking, 10);
    add(&tracking, 12);
    add(&tracking, 15);
    add(&tracking, 16);
    sctp_tracking_forward(&tracking, 14);
    assert_int_equal(tracking.cumulative, 16);
    sctp_tracking_forward(&tracking, 11);
    assert_int_equal(tracking.cumulative, 16);
    assert_int_equal(tracking.block_count, 0);
    sctp_tracking_done(&tracking);
}

static void test_a_sack_says_what_fits(void **state unused)
{
    struct sctp_tracking tracking;
    sctp_tracking_init(&tracking, 1);
    for (uint32_t i = 0; i < 10; i++)
        add(&tracking, 3 + 2 * i);
    assert_int_equal(sctp_tracking_check(&tracking, 3), SCTP_ARRIVAL_DUPLICATE);
    assert_int_equal(sctp_tracking_check(&tracking, 0), SCTP_ARRIVAL_DUPLICATE);
    uint8_t bytes[16 + 4 * 12];
    for (int fits = 0; fits < 2; fits++) {
        struct writer packet = writer_of(bytes, fits ? sizeof(bytes) : 16 + 4 * 4);
        sctp_tracking_write(&tracking, 77, &packet);
        assert_false(packet.failed);
        struct reader chunks = reader_of(bytes, packet.size);
        struct sctp_chunk chunk;
        struct sctp_sack sack;
        assert_true(sctp_chunk_next(&chunks, &chunk));
        assert_int_equal(sctp_sack_parse(&chunk, &sack), 0);
        assert_int_equal(sack.tsn, 0);
        assert_int_equal(sack.window, 77);
        assert_int_equal(sack.gap_count, fits ? 10 : 4);
        assert_int_equal(sack.duplicate_count, 0); // said, or forgotten for lack of room
        assert_int_equal(sctp_sack_gap(&sack, 3).first, 9);
    }
    sctp_tracking_done(&tracking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_ends_in_one_number),
        cmocka_unit_test(test_blocks_are_bounded_and_holes_can_always_be_filled),
        cmocka_unit_test(test_forward_passes_holes_and_joins_what_is_behind),
        cmocka_unit_test(test_a_sack_says_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
