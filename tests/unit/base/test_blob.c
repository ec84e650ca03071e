#include "support/check.h"

#include <pthread.h>

#include "base/blob.h"

static void test_a_blob_keeps_its_bytes_until_the_last_reference_goes(void **state)
{
    (void)state;
    uint8_t source[] = { 1, 2, 3 };
    struct blob *blob = blob_new(bytes_of(source, sizeof(source)));
    assert_non_null(blob);
    source[0] = 9; // a copy was taken
    assert_ptr_equal(blob_ref(blob), blob);
    assert_null(blob_unref(blob));
    assert_true(bytes_equal(blob_bytes(blob), bytes_of("\1\2\3", 3)));
    assert_null(blob_unref(blob));
    assert_null(blob_unref(NULL));
}

static void test_a_blob_may_be_empty_or_written_in_place(void **state)
{
    (void)state;
    struct blob *empty = blob_new(bytes_of(NULL, 0));
    assert_non_null(empty);
    assert_int_equal(blob_bytes(empty).size, 0);
    blob_unref(empty);
    uint8_t *at = NULL;
    struct blob *blob = blob_new_uninit(5, &at);
    assert_non_null(blob);
    memcpy(at, "roost", 5);
    assert_true(bytes_equal(blob_bytes(blob), bytes_of_text("roost")));
    blob_unref(blob);
}

static void test_a_size_that_cannot_be_had_is_refused(void **state)
{
    (void)state;
    uint8_t *at = NULL;
    assert_null(blob_new_uninit(SIZE_MAX, &at));
    assert_null(at);
}

static void test_a_blob_of_one_owner_grows_and_shrinks(void **state)
{
    (void)state;
    struct blob *blob = blob_new(bytes_of_text("roost"));
    assert_non_null(blob);
    uint8_t *at = NULL;
    blob = blob_resize(blob, 100000, &at);
    assert_non_null(blob);
    assert_memory_equal(at, "roost", 5);
    memset(at + 5, 's', 3);
    assert_null(blob_resize(blob, SIZE_MAX, &at));
    blob = blob_resize(blob, 7, &at);
    assert_non_null(blob);
    assert_true(bytes_equal(blob_bytes(blob), bytes_of_text("roostss")));
    blob_unref(blob);
}

#define SHARERS 4
#define SHARES  20000

/** Reads through references of its own; its last act is to drop the one it was given. */
static void *share(void *argument)
{
    struct blob *blob = argument;
    size_t sum = 0;
    for (size_t i = 0; i < SHARES; i++) {
        struct blob *mine = blob_ref(blob);
        sum += blob_bytes(mine).data[i % 8];
        blob_unref(mine);
    }
    blob_unref(blob);
    return (void *)sum; // NOLINT(performance-no-int-to-ptr): a number on its way home
}

/** The sanitizers see a second free, a leak, or a free before another thread's last read. */
static void test_threads_share_a_blob_and_whoever_is_last_frees_it(void **state)
{
    (void)state;
    struct blob *blob = blob_new(bytes_of("\1\1\1\1\1\1\1\1", 8));
    assert_non_null(blob);
    pthread_t threads[SHARERS];
    for (size_t i = 0; i < SHARERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, share, blob_ref(blob)), 0);
    blob_unref(blob);
    for (size_t i = 0; i < SHARERS; i++) {
        void *sum = NULL;
        assert_int_equal(pthread_join(threads[i], &sum), 0);
        assert_int_equal((size_t)sum, SHARES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_blob_keeps_its_bytes_until_the_last_reference_goes),
        cmocka_unit_test(test_a_blob_may_be_empty_or_written_in_place),
        cmocka_unit_test(test_a_size_that_cannot_be_had_is_refused),
        cmocka_unit_test(test_a_blob_of_one_owner_grows_and_shrinks),
        cmocka_unit_test(test_threads_share_a_blob_and_whoever_is_last_frees_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
