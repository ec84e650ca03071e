#include "support/check.h"

#include "admin/nearest.h"
#include "base/bytes.h"

static size_t distance(const char *a, const char *b)
{
    return nearest_distance(bytes_of_text(a), bytes_of_text(b));
}

static void test_each_edit_counts_one(void **state)
{
    (void)state;
    assert_int_equal(distance("serve", "serve"), 0);
    assert_int_equal(distance("serve", "server"), 1);
    assert_int_equal(distance("srve", "serve"), 1);
    assert_int_equal(distance("sarve", "serve"), 1);
    assert_int_equal(distance("sevre", "serve"), 1);
    assert_int_equal(distance("SERVE", "serve"), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("kitten", "sitting"), 3);
}

static void test_distance_is_symmetric(void **state)
{
    (void)state;
    static const char *const names[] = { "", "a", "level", "leevl", "resume_window", "window" };
    for (size_t i = 0; i < array_size(names); i++) {
        for (size_t j = 0; j < array_size(names); j++)
            assert_int_equal(distance(names[i], names[j]), distance(names[j], names[i]));
    }
}

static void test_only_near_names_are_offered(void **state)
{
    (void)state;
    struct nearest nearest = nearest_to(bytes_of_text("chekc"));
    nearest_offer(&nearest, "serve");
    assert_null(nearest.best);
    nearest_offer(&nearest, "check");
    nearest_offer(&nearest, "cheks");
    assert_string_equal(nearest.best, "check");
    char big[NEAREST_NAME_MAX + 2];
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(distance(big, big), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_edit_counts_one),
        cmocka_unit_test(test_distance_is_symmetric),
        cmocka_unit_test(test_only_near_names_are_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
