#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "admin/metrics_page.h"
#include "base/memory.h"
#include "base/time.h"

static const struct metric_description table_a[] = {
    { "a_total", "", "A.", METRIC_COUNTER },
};
static const struct metric_description table_b[] = {
    { "b_dropped_total", "reason=\"x\"", "B.", METRIC_COUNTER },
    { "b_dropped_total", "reason=\"y\"", "B.", METRIC_COUNTER },
};

static struct metric_set set_of(const struct metric_description *table, size_t count,
                                const metric_value *values, const char *labels)
{
    return (struct metric_set){
        .descriptions = table, .values = values, .count = count, .labels = labels
    };
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

static void test_sets_of_one_table_stand_together(void **state)
{
    (void)state;
    metric_value a0[1] = { 1 }, a1[1] = { 2 }, b[2] = { 3, 4 };
    struct metrics_page *page = metrics_page_new(0);
    struct metric_set sets[] = { set_of(table_a, 1, a0, "worker=\"0\""), set_of(table_b, 2, b, ""),
                                 set_of(table_a, 1, a1, "worker=\"1\"") };
    for (size_t i = 0; i < array_size(sets); i++)
        metrics_page_add(page, &sets[i]);
    size_t size = 0;
    char *text = metrics_page_write(page, 0, &size);
    assert_int_equal(size, strlen(text));
    assert_non_null(strstr(text, "# HELP roost_a_total A.\n# TYPE roost_a_total counter\n"
                                 "roost_a_total{worker=\"0\"} 1\nroost_a_total{worker=\"1\"} 2\n"));
    assert_non_null(strstr(text, "roost_b_dropped_total{reason=\"x\"} 3\n"
                                 "roost_b_dropped_total{reason=\"y\"} 4\n"));
    assert_int_equal(occurrences(text, "# TYPE roost_a_total"), 1);
    assert_int_equal(occurrences(text, "# TYPE roost_b_dropped_total"), 1);
    free(text);
    metrics_page_remove(page, a0);
    text = metrics_page_write(page, 0, &size);
    assert_null(strstr(text, "worker=\"0\""));
    assert_non_null(strstr(text, "worker=\"1\""));
    free(text);
    metrics_page_free(page);
}

static void test_the_page_grows_with_its_sets(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    struct metrics_page *page = metrics_page_new(0);
    metric_value *values = memory_new_array(metric_value, COUNT);
    char(*labels)[32] = memory_allocate(COUNT, sizeof(*labels));
    for (int i = 0; i < COUNT; i++) {
        snprintf(labels[i], sizeof(labels[i]), "worker=\"%d\"", i);
        struct metric_set set = set_of(table_a, 1, &values[i], labels[i]);
        metrics_page_add(page, &set);
    }
    size_t size = 0;
    char *text = metrics_page_write(page, 0, &size);
    assert_int_equal(occurrences(text, "roost_a_total{"), COUNT);
    free(text);
    free(labels);
    free(values);
    metrics_page_free(page);
}

static uint64_t value_of(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    if (!at)
        fail_msg("no %s", name);
    return strtoull(at + strlen(name), NULL, 10);
}

static void test_the_process_tells_of_itself(void **state)
{
    (void)state;
    struct metrics_page *page = metrics_page_new(5 * TIME_US_PER_S);
    size_t size = 0;
    char *text = metrics_page_write(page, 12 * TIME_US_PER_S, &size);
    assert_int_equal(value_of(text, "\nroost_uptime_seconds "), 7);
    assert_true(value_of(text, "\nroost_process_resident_memory_bytes ") > 100000);
    assert_true(value_of(text, "\nroost_process_open_fds ") >= 3);
    assert_int_equal(value_of(text, "\nroost_process_threads "), 1);
    assert_int_equal(value_of(text, "\nroost_build_info{version=\"" ROOST_VERSION "\"} "), 1);
    free(text);
    metrics_page_free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_of_one_table_stand_together),
        cmocka_unit_test(test_the_page_grows_with_its_sets),
        cmocka_unit_test(test_the_process_tells_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
