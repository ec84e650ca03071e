// What a bridge carries, and what it is called on the other side.
#include "support/check.h"

#include "base/text.h"
#include "bridge/bridge_topics.h"
#include "broker/broker.h"

static const char *add(struct bridge_topics *topics, enum bridge_direction direction,
                       const char *pattern, const char *local, const char *remote)
{
    return bridge_topics_add(topics, direction, 1, bytes_of_text(pattern), bytes_of_text(local),
                             bytes_of_text(remote));
}

static void expect_map(const struct bridge_topics *topics, enum bridge_direction direction,
                       const char *topic, const char *expected)
{
    static uint8_t out[BRIDGE_TOPIC_MAX];
    size_t size = bridge_topics_map(topics, direction, bytes_of_text(topic), out);
    assert_true(text_equal(bytes_of(out, size), expected));
}

static void test_prefixes_are_exchanged(void **state)
{
    (void)state;
    struct bridge_topics topics = { 0 };
    assert_null(add(&topics, BRIDGE_BOTH, "#", "cloud/", "site1/"));
    expect_map(&topics, BRIDGE_OUT, "cloud/lamp/state", "site1/lamp/state");
    expect_map(&topics, BRIDGE_IN, "site1/lamp/set", "cloud/lamp/set");
    expect_map(&topics, BRIDGE_OUT, "lamp/state", "");
    expect_map(&topics, BRIDGE_IN, "site2/lamp/set", "");
    bridge_topics_done(&topics);
}

static void test_the_first_rule_that_fits_decides(void **state)
{
    (void)state;
    struct bridge_topics topics = { 0 };
    assert_null(add(&topics, BRIDGE_OUT, "a/+", "", "one/"));
    assert_null(add(&topics, BRIDGE_OUT, "a/#", "", "two/"));
    expect_map(&topics, BRIDGE_OUT, "a/x", "one/a/x");
    expect_map(&topics, BRIDGE_OUT, "a/x/y", "two/a/x/y");
    // out alone
    expect_map(&topics, BRIDGE_IN, "one/a/x", "");
    bridge_topics_done(&topics);
}

static void test_an_empty_pattern_is_one_topic(void **state)
{
    (void)state;
    struct bridge_topics topics = { 0 };
    assert_null(add(&topics, BRIDGE_BOTH, "", "here/lamp", "there/light"));
    expect_map(&topics, BRIDGE_OUT, "here/lamp", "there/light");
    expect_map(&topics, BRIDGE_IN, "there/light", "here/lamp");
    expect_map(&topics, BRIDGE_OUT, "here/lamp/x", "");
    assert_non_null(add(&topics, BRIDGE_BOTH, "", "", "x"));
    bridge_topics_done(&topics);
}

static void test_topics_of_the_servers_stay_theirs(void **state)
{
    (void)state;
    struct bridge_topics topics = { 0 };
    assert_null(add(&topics, BRIDGE_BOTH, "#", "", ""));
    expect_map(&topics, BRIDGE_OUT, "roost/v1/ann/call", "");
    expect_map(&topics, BRIDGE_IN, "roost/v1/ann/call", "");
    expect_map(&topics, BRIDGE_OUT, "$SYS/broker/uptime", "");
    assert_null(add(&topics, BRIDGE_IN, "#", "", "z/"));
    bridge_topics_done(&topics);
    assert_null(add(&topics, BRIDGE_IN, "#", "", "z/"));
    expect_map(&topics, BRIDGE_IN, "z/$SYS/broker/connection/x/state", "");
    expect_map(&topics, BRIDGE_IN, "z/roost/x", "");
    expect_map(&topics, BRIDGE_IN, "z/", "");
    bridge_topics_done(&topics);
    // what a broker tells of itself may be shown to another
    assert_null(add(&topics, BRIDGE_OUT, "$SYS/#", "", "roost1/"));
    expect_map(&topics, BRIDGE_OUT, "$SYS/broker/uptime", "roost1/$SYS/broker/uptime");
    bridge_topics_done(&topics);
}

static void test_the_level_above_a_prefix_is_not_the_rules(void **state)
{
    (void)state;
    struct bridge_topics topics = { 0 };
    assert_null(add(&topics, BRIDGE_BOTH, "#", "site1/", "cloud/"));
    expect_map(&topics, BRIDGE_OUT, "site1", "");
    expect_map(&topics, BRIDGE_IN, "cloud", "");
    expect_map(&topics, BRIDGE_OUT, "site1/a", "cloud/a");
    bridge_topics_done(&topics);
}

static void test_bad_rules_are_refused(void **state)
{
    (void)state;
    struct bridge_topics topics = { 0 };
    assert_non_null(add(&topics, BRIDGE_OUT, "a/#/b", "", ""));
    assert_non_null(add(&topics, BRIDGE_OUT, "a", "+/", ""));
    assert_non_null(add(&topics, BRIDGE_OUT, "a", "", "#"));
    assert_non_null(add(&topics, BRIDGE_OUT, "#", "a", "b"));
    assert_non_null(add(&topics, BRIDGE_OUT, "$share/g/a", "", ""));
    assert_non_null(add(&topics, BRIDGE_IN, "$SYS/#", "", ""));
    assert_non_null(add(&topics, BRIDGE_OUT, "roost/#", "", ""));
    assert_int_equal(topics.count, 0);
    char deep[2 * BROKER_LEVELS_MAX];
    memset(deep, '/', sizeof(deep));
    deep[BROKER_LEVELS_MAX] = '\0';
    assert_string_equal(add(&topics, BRIDGE_OUT, deep, "", ""),
                        "prefix and pattern together have too many levels");
    deep[BROKER_LEVELS_MAX - 1] = '\0';
    assert_non_null(add(&topics, BRIDGE_IN, deep, "", ""));
    deep[BROKER_LEVELS_MAX - 2] = '\0';
    assert_non_null(add(&topics, BRIDGE_OUT, deep, "a/", "b/c/"));
    assert_int_equal(topics.count, 0);
    for (unsigned i = 0; i < BRIDGE_RULES_MAX; i++)
        assert_null(add(&topics, BRIDGE_OUT, "a", "", ""));
    assert_non_null(add(&topics, BRIDGE_OUT, "a", "", ""));
    bridge_topics_done(&topics);
}

static void test_what_can_loop(void **state)
{
    (void)state;
    struct bridge_topics topics = { 0 };
    assert_null(add(&topics, BRIDGE_OUT, "#", "", "up/"));
    assert_null(add(&topics, BRIDGE_IN, "#", "", "down/"));
    assert_false(bridge_topics_can_loop(&topics));
    assert_null(add(&topics, BRIDGE_IN, "+/alarm", "", ""));
    assert_true(bridge_topics_can_loop(&topics));
    bridge_topics_done(&topics);
    assert_null(add(&topics, BRIDGE_BOTH, "a", "", ""));
    assert_true(bridge_topics_can_loop(&topics));
    bridge_topics_done(&topics);
}

static void test_what_goes_one_way(void **state)
{
    (void)state;
    struct bridge_topics topics = { 0 };
    assert_null(add(&topics, BRIDGE_OUT, "a/#", "", "up/"));
    assert_null(add(&topics, BRIDGE_IN, "b/#", "", ""));
    assert_null(add(&topics, BRIDGE_BOTH, "c", "", ""));
    assert_null(add(&topics, BRIDGE_IN, "d", "", ""));
    assert_null(add(&topics, BRIDGE_OUT, "#", "d/", "far/d/")); // d is below "d/#", too
    assert_null(add(&topics, BRIDGE_IN, "+/e", "x/", "up/"));   // what a/e is called there
    static const bool one_way[] = { false, true, false, false, false, false };
    for (size_t i = 0; i < topics.count; i++)
        assert_int_equal(bridge_topics_is_one_way(&topics, &topics.rules[i]), one_way[i]);
    bridge_topics_done(&topics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes_are_exchanged),
        cmocka_unit_test(test_the_first_rule_that_fits_decides),
        cmocka_unit_test(test_an_empty_pattern_is_one_topic),
        cmocka_unit_test(test_topics_of_the_servers_stay_theirs),
        cmocka_unit_test(test_the_level_above_a_prefix_is_not_the_rules),
        cmocka_unit_test(test_bad_rules_are_refused),
        cmocka_unit_test(test_what_can_loop),
        cmocka_unit_test(test_what_goes_one_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
