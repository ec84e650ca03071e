#include "support/check.h"

#include "base/packet.h"

/** Takes packets for `bytes` until none is left; every byte is written. Returns how many. */
static size_t take_all(struct packet_pool *pool, size_t bytes, struct packet **packets, size_t most)
{
    size_t count = 0;
    struct packet *packet;
    while (count < most && (packet = packet_pool_take(pool, bytes))) {
        memset(packet->bytes, (int)(count % 251), bytes);
        packet->size = (uint32_t)bytes;
        packets[count++] = packet;
    }
    return count;
}

static void check_and_drop(struct packet **packets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < packets[i]->size; at++)
            assert_int_equal(packets[i]->bytes[at], i % 251);
        packet_unref(packets[i]);
    }
}

static void test_a_pool_holds_its_limit_and_keeps_its_memory_while_packets_are_out(void **state)
{
    (void)state;
    struct packet_pool pool;
    packet_pool_init(&pool, 40);
    struct packet *packets[80];
    size_t count = take_all(&pool, PACKET_BYTES_MAX, packets, array_size(packets));
    assert_in_range(count, 40, 60);
    assert_int_equal(pool.exhausted, 1);
    assert_int_equal(packet_pool_in_use(&pool), count);
    assert_true(packet_pool_half_used(&pool));
    packet_ref(packets[7]);
    check_and_drop(packets, count);
    assert_int_equal(packet_pool_done(&pool), 1);
    packet_unref(packets[7]);
    assert_false(packet_pool_half_used(&pool));
    assert_int_equal(packet_pool_done(&pool), 0);
}

static void test_no_packet_reaches_into_another_whatever_their_sizes(void **state)
{
    (void)state;
    struct packet_pool pool;
    packet_pool_init(&pool, 2048);
    static struct packet *packets[2048];
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < array_size(packets); i++) {
            size_t bytes = 1 + (i * 331 + round * 977) % PACKET_BYTES_MAX;
            assert_int_equal(take_all(&pool, bytes, &packets[i], 1), 1);
            memset(packets[i]->metadata, 0xff, sizeof(packets[i]->metadata));
            memset(packets[i]->bytes, (int)(i % 251), bytes);
        }
        check_and_drop(packets, array_size(packets));
    }
    assert_int_equal(packet_pool_done(&pool), 0);
}

static void test_small_packets_take_little_memory(void **state)
{
    (void)state;
    static const struct {
        size_t bytes, at_most;
    } sizes[] = { { 100, 330 }, { 160, 330 }, { 480, 660 }, { 1260, 1500 }, { 2048, 2350 } };
    for (size_t i = 0; i < array_size(sizes); i++) {
        struct packet_pool pool;
        packet_pool_init(&pool, 4000);
        static struct packet *packets[2000];
        size_t count = take_all(&pool, sizes[i].bytes, packets, array_size(packets));
        assert_int_equal(count, array_size(packets));
        assert_in_range(packet_pool_bytes(&pool), count * sizes[i].bytes, count * sizes[i].at_most);
        check_and_drop(packets, count);
        assert_int_equal(packet_pool_done(&pool), 0);
    }
}

static void test_memory_of_one_size_serves_another_once_its_packets_are_home(void **state)
{
    (void)state;
    struct packet_pool pool;
    packet_pool_init(&pool, 100);
    static struct packet *packets[4096];
    for (size_t round = 0; round < 3; round++) {
        size_t small = take_all(&pool, 100, packets, array_size(packets));
        assert_in_range(small, 700, array_size(packets) - 1);
        size_t bytes = packet_pool_bytes(&pool);
        assert_null(packet_pool_take(&pool, PACKET_BYTES_MAX));
        check_and_drop(packets, small);
        size_t large = take_all(&pool, PACKET_BYTES_MAX, packets, array_size(packets));
        assert_in_range(large, 100, 120);
        assert_int_equal(packet_pool_bytes(&pool), bytes);
        check_and_drop(packets, large);
    }
    assert_int_equal(packet_pool_done(&pool), 0);
}

static void test_a_small_packet_may_have_a_large_place_when_nothing_else_is_left(void **state)
{
    (void)state;
    struct packet_pool pool;
    packet_pool_init(&pool, 20);
    struct packet *packets[64];
    size_t count = take_all(&pool, PACKET_BYTES_MAX, packets, array_size(packets));
    packet_unref(packets[--count]);
    struct packet *small = packet_pool_take(&pool, 50);
    assert_non_null(small);
    assert_null(packet_pool_take(&pool, 50));
    packet_unref(small);
    check_and_drop(packets, count);
    assert_int_equal(packet_pool_done(&pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pool_holds_its_limit_and_keeps_its_memory_while_packets_are_out),
        cmocka_unit_test(test_no_packet_reaches_into_another_whatever_their_sizes),
        cmocka_unit_test(test_small_packets_take_little_memory),
        cmocka_unit_test(test_memory_of_one_size_serves_another_once_its_packets_are_home),
        cmocka_unit_test(test_a_small_packet_may_have_a_large_place_when_nothing_else_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
