#include "support/check.h"

#include "room/packet_ring.h"
#include "room/track.h"

static struct packet *make(struct packet_pool *pool, uint64_t sequence)
{
    struct packet *packet = packet_pool_take(pool, PACKET_BYTES_MAX);
    assert_non_null(packet);
    *media_info_of(packet) = (struct media_info){ .sequence = sequence };
    return packet;
}

static bool put(struct packet_ring *ring, struct packet_pool *pool, uint64_t sequence)
{
    struct packet *packet = make(pool, sequence);
    bool kept = packet_ring_put(ring, packet);
    packet_unref(packet);
    return kept;
}

static void test_the_ring_keeps_the_newest_and_refuses_duplicates(void **state)
{
    (void)state;
    struct packet_pool pool;
    packet_pool_init(&pool, 64);
    struct packet_ring ring;
    packet_ring_init(&ring, 16);
    assert_null(packet_ring_find(&ring, 5));
    for (uint64_t i = 65530; i < 65560; i++)
        assert_true(put(&ring, &pool, i));
    assert_false(put(&ring, &pool, 65559)); // twice
    assert_false(put(&ring, &pool, 65543)); // its place has gone to a newer one
    assert_null(packet_ring_find(&ring, 65543));
    assert_int_equal(media_info_of(packet_ring_find(&ring, 65544))->sequence, 65544);
    assert_int_equal(packet_pool_in_use(&pool), 16);
    // a hole may be filled late
    assert_true(put(&ring, &pool, 65562));
    assert_true(put(&ring, &pool, 65560));
    packet_ring_done(&ring);
    assert_int_equal(packet_pool_done(&pool), 0);
}

static void put_at(struct packet_ring *ring, struct packet_pool *pool, uint64_t sequence,
                   uint64_t time_us)
{
    struct packet *packet = make(pool, sequence);
    packet->received_us = time_us;
    assert_true(packet_ring_put(ring, packet));
    packet_unref(packet);
}

static void test_old_packets_go_back_to_their_pool(void **state)
{
    (void)state;
    struct packet_pool pool;
    packet_pool_init(&pool, 64);
    struct packet_ring ring;
    packet_ring_init(&ring, 32);
    for (uint64_t i = 0; i < 20; i++)
        put_at(&ring, &pool, 70000 + i * 2, 1000 + i); // every other one is lost
    packet_ring_expire(&ring, 1000 + 10);
    assert_int_equal(packet_pool_in_use(&pool), 10);
    assert_null(packet_ring_find(&ring, 70018));
    assert_non_null(packet_ring_find(&ring, 70020));
    packet_ring_expire(&ring, 5000);
    assert_int_equal(packet_pool_in_use(&pool), 0);
    assert_false(put(&ring, &pool, 70038)); // what was sent once is not sent again
    assert_true(put(&ring, &pool, 70039));
    packet_ring_done(&ring);
    assert_int_equal(packet_pool_done(&pool), 0);
}

static void test_a_jump_of_the_numbers_leaves_nothing_behind(void **state)
{
    (void)state;
    struct packet_pool pool;
    packet_pool_init(&pool, 64);
    struct packet_ring ring;
    packet_ring_init(&ring, 16);
    for (uint64_t i = 0; i < 16; i++)
        assert_true(put(&ring, &pool, 70000 + i));
    assert_true(put(&ring, &pool, 70000 + (1ull << 20)));
    assert_int_equal(packet_pool_in_use(&pool), 1);
    packet_ring_done(&ring);
    assert_int_equal(packet_pool_done(&pool), 0);
}

static void test_a_ring_grows_with_the_span_of_what_it_keeps_up_to_its_bound(void **state)
{
    (void)state;
    enum { BOUND = 1024, FIRST = 65536 - 100 };
    struct packet_pool pool;
    packet_pool_init(&pool, 2 * BOUND);
    struct packet_ring ring;
    packet_ring_init(&ring, BOUND);
    // a second of a voice, for minutes
    for (uint64_t i = 0; i < 5000; i++) {
        put_at(&ring, &pool, FIRST + i, i);
        packet_ring_expire(&ring, i < 49 ? 0 : i - 49);
        assert_int_equal(packet_pool_in_use(&pool), min_of(i + 1, (uint64_t)50));
    }
    assert_int_equal(ring.capacity, 64);
    // a picture: every tenth packet comes late, when its place has moved twice
    uint64_t first = FIRST + 5000;
    for (uint64_t i = 0; i < BOUND; i++) {
        if (i % 10 != 5)
            put_at(&ring, &pool, first + i, 5000 + i);
        if (i % 400 == 399) {
            for (uint64_t late = i - 394; late <= i; late += 10)
                put_at(&ring, &pool, first + late, 5000 + i);
        }
        packet_ring_expire(&ring, 5000);
    }
    assert_int_equal(ring.capacity, BOUND);
    for (uint64_t i = 0; i < BOUND; i++) {
        struct packet *packet = packet_ring_find(&ring, first + i);
        bool kept = i % 10 != 5 || i < 800;
        assert_int_equal(packet != NULL, kept);
        assert_false(kept && put(&ring, &pool, first + i));
    }
    // from then on the window moves
    assert_true(put(&ring, &pool, first + BOUND + 9));
    assert_int_equal(ring.capacity, BOUND);
    assert_null(packet_ring_find(&ring, first + 9));
    assert_false(put(&ring, &pool, first + 9));
    assert_non_null(packet_ring_find(&ring, first + 10));
    packet_ring_done(&ring);
    assert_int_equal(packet_pool_done(&pool), 0);
}

static void test_a_ring_keeps_no_more_than_its_limit(void **state)
{
    (void)state;
    struct packet_pool pool;
    packet_pool_init(&pool, 64);
    struct packet_ring ring;
    packet_ring_init(&ring, 32);
    packet_ring_limit(&ring, 5);
    for (uint64_t i = 0; i < 20; i++)
        assert_true(put(&ring, &pool, 70000 + i));
    assert_int_equal(packet_pool_in_use(&pool), 5);
    assert_null(packet_ring_find(&ring, 70014));
    assert_non_null(packet_ring_find(&ring, 70015));
    packet_ring_done(&ring);
    assert_int_equal(packet_pool_done(&pool), 0);
}

static void test_mirrors_are_a_set_of_workers(void **state)
{
    (void)state;
    struct track_key key = { .session = 1, .section = 2 };
    struct track *track = track_new(&key, true);
    static const uint16_t workers[] = { 0, 63, 64, 255 };
    for (size_t i = 0; i < array_size(workers); i++)
        track_mirror_add(track, workers[i]);
    track_mirror_add(track, 64);
    uint32_t cursor = 0;
    uint16_t worker;
    for (size_t i = 0; i < array_size(workers); i++) {
        assert_true(track_mirror_next(track, &cursor, &worker));
        assert_int_equal(worker, workers[i]);
    }
    assert_false(track_mirror_next(track, &cursor, &worker));
    track_mirror_remove(track, 63);
    cursor = 1;
    assert_true(track_mirror_next(track, &cursor, &worker));
    assert_int_equal(worker, 64);
    track_free(track);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_ring_keeps_the_newest_and_refuses_duplicates),
        cmocka_unit_test(test_old_packets_go_back_to_their_pool),
        cmocka_unit_test(test_a_jump_of_the_numbers_leaves_nothing_behind),
        cmocka_unit_test(test_a_ring_grows_with_the_span_of_what_it_keeps_up_to_its_bound),
        cmocka_unit_test(test_a_ring_keeps_no_more_than_its_limit),
        cmocka_unit_test(test_mirrors_are_a_set_of_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
