// Rules about topics: who, what, filters with places, and that nobody gets around them.
#include "support/check.h"

#include <errno.h>

#include "signal/mqtt/mqtt_rules.h"

static struct mqtt_rules *parse(const char *text)
{
    char problem[200];
    struct text_builder out = text_builder_of(problem, sizeof(problem));
    struct mqtt_rules *rules;
    if (mqtt_rules_parse(bytes_of_text(text), &rules, &out) < 0)
        fail_msg("%s", problem);
    return rules;
}

static bool publish(const struct mqtt_rules *rules, const char *user, const char *topic)
{
    struct mqtt_subject subject = { bytes_of_text(user), bytes_of_text("c1") };
    return mqtt_rules_allow_publish(rules, &subject, bytes_of_text(topic));
}

static bool subscribe(const struct mqtt_rules *rules, const char *user, const char *filter)
{
    struct mqtt_subject subject = { bytes_of_text(user), bytes_of_text("c1") };
    return mqtt_rules_allow_subscribe(rules, &subject, bytes_of_text(filter));
}

static void test_the_first_rule_that_fits_decides(void **state)
{
    (void)state;
    struct mqtt_rules *rules = parse("# sensors\r\n"
                                     "\n"
                                     "deny  ann     publish    sensors/secret\n"
                                     "allow ann     publish    sensors/#\n"
                                     "allow users   all        home/%u/#\n"
                                     "allow guests  subscribe  news/+\n"
                                     "allow everyone publish   devices/%c/two words\n");
    assert_true(publish(rules, "ann", "sensors/one"));
    assert_false(publish(rules, "ann", "sensors/secret"));
    assert_false(publish(rules, "ben", "sensors/one"));
    assert_false(subscribe(rules, "ann", "sensors/one"));
    assert_true(publish(rules, "ben", "home/ben/lamp"));
    assert_false(publish(rules, "ben", "home/ann/lamp"));
    assert_true(subscribe(rules, "ben", "home/ben/#"));
    assert_false(subscribe(rules, "ben", "home/+/lamp"));
    assert_false(subscribe(rules, "ben", "home/#"));
    assert_false(subscribe(rules, "ben", "#"));
    assert_true(subscribe(rules, "", "news/+"));
    assert_false(subscribe(rules, "", "news/#"));
    assert_false(subscribe(rules, "ann", "news/today"));
    assert_true(publish(rules, "", "devices/c1/two words"));
    assert_false(publish(rules, "", "devices/c2/two words"));
    mqtt_rules_free(rules);
}

/** A subscription that would see what is denied is denied, however wide the rules behind are. */
static void test_denials_are_not_got_around(void **state)
{
    (void)state;
    struct mqtt_rules *rules = parse("deny everyone subscribe a/secret\n"
                                     "allow everyone subscribe #\n");
    assert_false(subscribe(rules, "ann", "a/secret"));
    assert_false(subscribe(rules, "ann", "a/+"));
    assert_false(subscribe(rules, "ann", "#"));
    assert_false(subscribe(rules, "ann", "+/secret"));
    assert_true(subscribe(rules, "ann", "a/other"));
    assert_true(subscribe(rules, "ann", "b/#"));
    mqtt_rules_free(rules);
}

/** Names that would be more than one level fit no rule with a place for them. */
static void test_names_that_would_be_wildcards(void **state)
{
    (void)state;
    struct mqtt_rules *rules = parse("allow users all home/%u/#");
    assert_false(publish(rules, "a/b", "home/a/b/c"));
    assert_false(subscribe(rules, "+", "home/+/#"));
    assert_false(subscribe(rules, "#", "home/#"));
    assert_false(publish(rules, "", "home//c"));
    mqtt_rules_free(rules);
}

static void test_mistakes_are_told_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problem;
    } cases[] = {
        { "allow ann publish a\npermit ann publish a", "line 2: a rule begins with" },
        { "allow", "line 1: it does not say who" },
        { "allow ann read a", "line 1: behind who" },
        { "allow ann publish", "line 1: at its end" },
        { "allow ann publish a/#/b", "line 1: at its end" },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        char problem[200];
        struct text_builder out = text_builder_of(problem, sizeof(problem));
        struct mqtt_rules *rules;
        assert_int_equal(mqtt_rules_parse(bytes_of_text(cases[i].text), &rules, &out), -EINVAL);
        assert_int_equal(strncmp(problem, cases[i].problem, strlen(cases[i].problem)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_rule_that_fits_decides),
        cmocka_unit_test(test_denials_are_not_got_around),
        cmocka_unit_test(test_names_that_would_be_wildcards),
        cmocka_unit_test(test_mistakes_are_told_with_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
