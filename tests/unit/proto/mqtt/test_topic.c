// Names and filters: MQTT 5.0, 4.7 and 4.8; the statements' numbers are in the names.
#include "support/check.h"

#include <errno.h>

#include "proto/mqtt/mqtt_topic.h"

static struct bytes text(const char *value)
{
    return bytes_of_text(value);
}

/** MQTT-4.7.1-1, 4.7.3-1, 4.7.3-2. */
static void test_topics(void **state)
{
    (void)state;
    static const char *const good[] = { "a",    "/",      "a/b", "/a",      "a/",
                                        "a//b", "$SYS/x", " ",   "\xc3\xa9" };
    static const char *const bad[] = { "", "a/+", "#", "a#", "\xff", "\xed\xa0\x80" };
    for (size_t i = 0; i < array_size(good); i++)
        assert_true(mqtt_topic_is_valid(text(good[i])));
    for (size_t i = 0; i < array_size(bad); i++)
        assert_false(mqtt_topic_is_valid(text(bad[i])));
    assert_false(mqtt_topic_is_valid(bytes_of("a\0b", 3)));
    static const uint8_t long_topic[MQTT_TOPIC_SIZE_MAX + 1] = { [0 ... MQTT_TOPIC_SIZE_MAX] =
                                                                     'a' };
    assert_true(mqtt_topic_is_valid(bytes_of(long_topic, MQTT_TOPIC_SIZE_MAX)));
    assert_false(mqtt_topic_is_valid(bytes_of(long_topic, MQTT_TOPIC_SIZE_MAX + 1)));
}

/** MQTT-4.7.1-1, 4.7.1-2. */
static void test_filters(void **state)
{
    (void)state;
    static const char *const good[] = { "a",  "#",     "+",   "/",      "a/#",  "+/+",
                                        "/+", "a/+/b", "+/#", "$SYS/#", "a//+", "$share/g/#" };
    static const char *const bad[] = { "", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "++" };
    for (size_t i = 0; i < array_size(good); i++)
        assert_true(mqtt_filter_is_valid(text(good[i])));
    for (size_t i = 0; i < array_size(bad); i++)
        assert_false(mqtt_filter_is_valid(text(bad[i])));
}

/** MQTT-4.7.2-1, 4.7.3-4, and the examples of 4.7.1. */
static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *topic;
        bool matches;
    } cases[] = {
        { "sport/tennis/player1/#", "sport/tennis/player1", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/ranking", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true },
        { "sport/tennis/player1/#", "sport/tennis/player2", false },
        { "sport/#", "sport", true },
        { "#", "sport", true },
        { "#", "/", true },
        { "sport/tennis/+", "sport/tennis/player1", true },
        { "sport/tennis/+", "sport/tennis/player1/ranking", false },
        { "sport/+", "sport", false },
        { "sport/+", "sport/", true },
        { "+/+", "/finance", true },
        { "/+", "/finance", true },
        { "+", "/finance", false },
        { "+", "finance", true },
        { "a/b", "a/b", true },
        { "a/b", "A/b", false },
        { "a/b", "a/b/", false },
        { "a/b/", "a/b", false },
        { "/a", "a", false },
        { "#", "$SYS/a", false },
        { "+/a", "$SYS/a", false },
        { "$SYS/#", "$SYS/a", true },
        { "$SYS/+", "$SYS/a", true },
        { "a/$b", "a/$b", true },
        { "a/+", "a/$b", true },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        bool matches = mqtt_filter_matches(text(cases[i].filter), text(cases[i].topic));
        if (matches != cases[i].matches)
            fail_msg("%s and %s", cases[i].filter, cases[i].topic);
    }
}

static void test_covers(void **state)
{
    (void)state;
    static const struct {
        const char *outer, *inner;
        bool covers;
    } cases[] = {
        { "#", "a/+/#", true },    { "a/#", "a", true },     { "a/#", "a/#", true },
        { "a/+", "a/+", true },    { "a/+", "a/b", true },   { "a/+", "a/#", false },
        { "a/b", "a/+", false },   { "+/b", "a/b", true },   { "a/b", "a/b/c", false },
        { "a/+/c", "a/b", false }, { "#", "$SYS/#", false }, { "$SYS/#", "$SYS/+", true },
        { "+", "#", false },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        bool covers = mqtt_filter_covers(text(cases[i].outer), text(cases[i].inner));
        if (covers != cases[i].covers)
            fail_msg("%s and %s", cases[i].outer, cases[i].inner);
    }
}

/** MQTT-4.8.2-1, 4.8.2-2. */
static void test_shares(void **state)
{
    (void)state;
    struct mqtt_share share;
    assert_int_equal(mqtt_share_parse(text("$share/group/a/+/b"), &share), 0);
    assert_true(bytes_equal(share.group, text("group")));
    assert_true(bytes_equal(share.filter, text("a/+/b")));
    assert_int_equal(mqtt_share_parse(text("$share/g//a"), &share), 0);
    assert_true(bytes_equal(share.filter, text("/a")));
    assert_int_equal(mqtt_share_parse(text("$shared/a"), &share), 0);
    assert_int_equal(share.group.size, 0);
    assert_true(bytes_equal(share.filter, text("$shared/a")));
    static const char *const bad[] = { "$share/",    "$share/g",    "$share/g/",  "$share//a",
                                       "$share/+/a", "$share/g#/a", "$share/g/a#" };
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(mqtt_share_parse(text(bad[i]), &share), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics),  cmocka_unit_test(test_filters),
        cmocka_unit_test(test_matches), cmocka_unit_test(test_covers),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
