// Whole messages that wait: order, times, limits, and no memory when none waits.
#include "support/check.h"

#include "base/random.h"
#include "server/turn_queue.h"

static void add(struct turn_queue *queue, uint32_t limit, uint64_t now_us, uint32_t size)
{
    uint8_t *at = turn_queue_add(queue, limit, now_us, size);
    assert_non_null(at);
    memset(at, (int)(now_us & 0xff), size);
}

static void expect_first(struct turn_queue *queue, uint64_t time_us, uint32_t size)
{
    uint64_t found_us;
    struct bytes message;
    assert_true(turn_queue_first(queue, &found_us, &message));
    assert_int_equal(found_us, time_us);
    assert_int_equal(message.size, size);
    for (uint32_t i = 0; i < size; i++)
        assert_int_equal(message.data[i], time_us & 0xff);
    turn_queue_remove(queue);
}

static void test_messages_leave_in_the_order_they_came(void **state unused)
{
    struct turn_queue queue = { 0 };
    add(&queue, 1 << 20, 1, 100);
    add(&queue, 1 << 20, 2, 0);
    add(&queue, 1 << 20, 3, 65540);
    expect_first(&queue, 1, 100);
    expect_first(&queue, 2, 0);
    expect_first(&queue, 3, 65540);
    uint64_t time_us;
    struct bytes message;
    assert_false(turn_queue_first(&queue, &time_us, &message));
}

static void test_an_empty_queue_holds_no_memory(void **state unused)
{
    struct turn_queue queue = { 0 };
    add(&queue, 1 << 20, 1, 100);
    assert_true(queue.capacity > 0);
    expect_first(&queue, 1, 100);
    assert_int_equal(queue.capacity, 0);
    assert_null(queue.data);
}

static void test_more_than_the_limit_is_refused(void **state unused)
{
    struct turn_queue queue = { 0 };
    assert_null(turn_queue_add(&queue, 10000, 1, 10001));
    uint32_t count = 0;
    while (turn_queue_add(&queue, 10000, 1, 1000))
        count++;
    assert_int_equal(count, 9);
    assert_true(queue.capacity <= 20000);
    turn_queue_done(&queue);
    assert_int_equal(queue.count, 0);
}

static void test_any_order_of_adding_and_removing_keeps_every_byte(void **state unused)
{
    struct turn_queue queue = { 0 };
    uint64_t next = 1, oldest = 1, seed = 7;
    static uint32_t sizes[100000];
    for (int i = 0; i < 50000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t dice = (uint32_t)(seed >> 40);
        uint32_t size = dice >> 4 & 2047;
        uint8_t *at = dice % 9 < 5 ? turn_queue_add(&queue, 40000, next, size) : NULL;
        if (at) {
            memset(at, (int)(next & 0xff), size);
            sizes[next++] = size;
        } else if (oldest < next) {
            expect_first(&queue, oldest, sizes[oldest]);
            oldest++;
        }
        assert_int_equal(queue.count, next - oldest);
        assert_true(queue.capacity <= 2 * 65536);
    }
    assert_true(oldest > 10000);
    turn_queue_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_leave_in_the_order_they_came),
        cmocka_unit_test(test_an_empty_queue_holds_no_memory),
        cmocka_unit_test(test_more_than_the_limit_is_refused),
        cmocka_unit_test(test_any_order_of_adding_and_removing_keeps_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
