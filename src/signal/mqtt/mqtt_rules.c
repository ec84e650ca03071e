#include "signal/mqtt/mqtt_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/mqtt/mqtt_topic.h"

#define RULES_MAX 100000

enum rule_who {
    WHO_EVERYONE,
    WHO_USERS,
    WHO_GUESTS,
    WHO_NAMED,
};

enum rule_what {
    WHAT_PUBLISH = 1,
    WHAT_SUBSCRIBE = 2,
    WHAT_ALL = 3,
};

struct rule {
    bool allows;
    enum rule_who who;
    enum rule_what what;
    char *name; /**< NAMED */
    char *filter;
    bool has_places; /**< %u or %c */
};

struct mqtt_rules {
    struct rule *items;
    size_t count;
};

/** ---- parsing ---- */

static struct bytes take_word(struct bytes *rest)
{
    *rest = text_trim(*rest);
    size_t size = 0;
    while (size < rest->size && rest->data[size] != ' ' && rest->data[size] != '\t')
        size++;
    struct bytes word = bytes_of(rest->data, size);
    *rest = text_trim(bytes_of(rest->data + size, rest->size - size));
    return word;
}

/** With its places filled by something harmless, whether it is a filter. */
static bool filter_is_valid(struct bytes filter)
{
    char *filled = memory_copy(filter.data, filter.size);
    for (size_t i = 0; i + 1 < filter.size; i++) {
        if (filled[i] == '%')
            filled[i] = 'x';
    }
    bool valid = mqtt_filter_is_valid(bytes_of(filled, filter.size));
    free(filled);
    return valid;
}

static const char *parse_rule(struct bytes line, struct rule *rule)
{
    struct bytes verdict = take_word(&line), who = take_word(&line), what = take_word(&line);
    *rule = (struct rule){ .allows = text_equal(verdict, "allow") };
    if (!rule->allows && !text_equal(verdict, "deny"))
        return "a rule begins with \"allow\" or \"deny\"";
    if (who.size == 0)
        return "it does not say who: a user name, \"users\", \"guests\" or \"everyone\"";
    rule->who = text_equal(who, "everyone") ? WHO_EVERYONE
                : text_equal(who, "users")  ? WHO_USERS
                : text_equal(who, "guests") ? WHO_GUESTS
                                            : WHO_NAMED;
    if (text_equal(what, "publish"))
        rule->what = WHAT_PUBLISH;
    else if (text_equal(what, "subscribe"))
        rule->what = WHAT_SUBSCRIBE;
    else if (text_equal(what, "all"))
        rule->what = WHAT_ALL;
    else
        return "behind who stands \"publish\", \"subscribe\" or \"all\"";
    // the rest of the line: topics may have spaces
    if (line.size == 0 || !filter_is_valid(line))
        return "at its end stands a topic filter, such as sensors/+/state or home/#";
    if (rule->who == WHO_NAMED)
        rule->name = memory_copy(who.data, who.size);
    rule->filter = memory_copy(line.data, line.size);
    rule->has_places = strchr(rule->filter, '%');
    return NULL;
}

int mqtt_rules_parse(struct bytes text, struct mqtt_rules **ret_rules,
                     struct text_builder *ret_problem)
{
    struct mqtt_rules *rules = memory_new(struct mqtt_rules);
    size_t number = 0;
    while (text.data) {
        struct bytes line = text_trim(text_take_until(&text, '\n'));
        number++;
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line = text_trim(bytes_of(line.data, line.size - 1));
        if (line.size == 0 || line.data[0] == '#')
            continue;
        struct rule rule;
        const char *problem =
            rules->count == RULES_MAX ? "there are too many rules" : parse_rule(line, &rule);
        if (problem) {
            text_append_format(ret_problem, "line %zu: %s", number, problem);
            mqtt_rules_free(rules);
            return -EINVAL;
        }
        rules->items = memory_resize(rules->items, (rules->count + 1) * sizeof(rule));
        rules->items[rules->count++] = rule;
    }
    *ret_rules = rules;
    return 0;
}

struct mqtt_rules *mqtt_rules_free(struct mqtt_rules *rules)
{
    if (!rules)
        return NULL;
    for (size_t i = 0; i < rules->count; i++) {
        free(rules->items[i].name);
        free(rules->items[i].filter);
    }
    free(rules->items);
    free(rules);
    return NULL;
}

/** ---- asking ---- */

/** Something that stands for one level and nothing else. */
static bool is_one_level(struct bytes text)
{
    return text.size > 0 && !memchr(text.data, '/', text.size) && !mqtt_filter_has_wildcard(text);
}

/**
 * The filter with its places filled, on the heap; NULL: this one has nothing to fill them with.
 */
static char *fill(const char *filter, const struct mqtt_subject *subject)
{
    size_t length = strlen(filter);
    char *filled =
        memory_allocate(1, length * (1 + subject->user.size + subject->client_id.size) + 1);
    size_t size = 0;
    for (size_t i = 0; i < length; i++) {
        bool is_place = filter[i] == '%' && (filter[i + 1] == 'u' || filter[i + 1] == 'c');
        if (!is_place) {
            filled[size++] = filter[i];
            continue;
        }
        struct bytes value = filter[++i] == 'u' ? subject->user : subject->client_id;
        if (!is_one_level(value)) {
            free(filled);
            return NULL;
        }
        memcpy(filled + size, value.data, value.size);
        size += value.size;
    }
    return filled;
}

static bool is_for(const struct rule *rule, const struct mqtt_subject *subject)
{
    switch (rule->who) {
    case WHO_EVERYONE:
        return true;
    case WHO_USERS:
        return subject->user.size > 0;
    case WHO_GUESTS:
        return subject->user.size == 0;
    default:
        return text_equal(subject->user, rule->name);
    }
}

/**
 * Whether a rule decides about a topic or filter. A denial decides as soon as the two can have a
 * topic in common that it is meant for: where the filter asked for is wider, it is denied too.
 */
static bool fits(const struct rule *rule, const char *filter, struct bytes asked,
                 enum rule_what what)
{
    struct bytes own = bytes_of_text(filter);
    if (what == WHAT_PUBLISH)
        return mqtt_filter_matches(own, asked);
    if (rule->allows)
        return mqtt_filter_covers(own, asked);
    return mqtt_filters_overlap(own, asked);
}

static bool allow(const struct mqtt_rules *rules, const struct mqtt_subject *subject,
                  struct bytes asked, enum rule_what what)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct rule *rule = &rules->items[i];
        if (!(rule->what & what) || !is_for(rule, subject))
            continue;
        char *filled = rule->has_places ? fill(rule->filter, subject) : rule->filter;
        bool decides = filled && fits(rule, filled, asked, what);
        if (rule->has_places)
            free(filled);
        if (decides)
            return rule->allows;
    }
    return false;
}

bool mqtt_rules_allow_publish(const struct mqtt_rules *rules, const struct mqtt_subject *subject,
                              struct bytes topic)
{
    return allow(rules, subject, topic, WHAT_PUBLISH);
}

bool mqtt_rules_allow_subscribe(const struct mqtt_rules *rules, const struct mqtt_subject *subject,
                                struct bytes filter)
{
    return allow(rules, subject, filter, WHAT_SUBSCRIBE);
}
