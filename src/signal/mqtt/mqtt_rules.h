/**
 * Rules about topics, from a file with one per line:
 *
 *     # who            what                    filter
 *     allow  ann       publish                 sensors/ann/#
 *     allow  users     subscribe               sensors/%u/#
 *     deny   guests    all                     #
 *
 * who: a user name, `users` (who showed a password or token), `guests`, or `everyone`. what:
 * `publish`, `subscribe` or `all`. In filters %u stands for the user name and %c for the client
 * identifier; who has none, or one with "/", "+" or "#" in it, fits no such rule. The first rule
 * that fits decides; where none does it is denied.
 *
 * A subscription is allowed when the filter of a rule covers all that its own can match. Without a
 * file everyone may do everything outside the server's own topics.
 */
#pragma once

#include "base/bytes.h"
#include "base/text.h"

struct mqtt_rules;

/** Whom a rule is asked about. */
struct mqtt_subject {
    struct bytes user; /**< empty: a guest */
    struct bytes client_id;
};

/** Returns 0, or -EINVAL with a sentence that names the line. */
must_check int mqtt_rules_parse(struct bytes text, struct mqtt_rules **ret_rules,
                                struct text_builder *ret_problem);
/** Accepts NULL; returns NULL. */
struct mqtt_rules *mqtt_rules_free(struct mqtt_rules *rules);
bool mqtt_rules_allow_publish(const struct mqtt_rules *rules, const struct mqtt_subject *subject,
                              struct bytes topic);
bool mqtt_rules_allow_subscribe(const struct mqtt_rules *rules, const struct mqtt_subject *subject,
                                struct bytes filter);
