/**
 * Who may come to the broker, and what they may do there.
 *
 * A password is that of a user of `roost user` (users/user_login.h, which limits guesses too), or a
 * token (docs/tokens.md): a token's user name is its "user", and with "data": false it publishes
 * nothing. Who shows neither is a guest, where guests are let in.
 *
 * Rules decide about topics, the first that fits: see mqtt_rules.h. Topics below "roost/" are
 * not theirs: see mqtt_calls.h and mqtt_presence.h.
 */
#pragma once

#include "base/log.h"
#include "broker/broker.h"
#include "signal/access/token_verifier.h"
#include "signal/mqtt/mqtt_calls.h"
#include "signal/mqtt/mqtt_rules.h"
#include "users/user_login.h"

struct mqtt_access_config {
    const struct log *log;               /**< NULL: silent */
    const struct token_verifier *tokens; /**< required */
    struct user_login *logins;           /**< required */
    bool guests;                         /**< who shows nothing is let in */
    const struct mqtt_rules *rules;      /**< NULL: those without a file */
};

struct mqtt_access {
    struct mqtt_access_config config;
    struct broker_owner owner; /**< for the broker */
    struct mqtt_calls *calls;
    /** A login that was in progress was decided: calls broker_client_admit. */
    void (*decided)(struct mqtt_access *self, struct broker_client *client, int reason,
                    struct bytes user);
    char name[USER_NAME_MAX + 1]; /**< of the user that was just admitted */
    uint64_t now_us;              /**< as of the last packet; set it before the broker gets it */
    uint64_t now_unix_us;         /**< the same on the wall */
};

/** `calls` lives as long; `decided` is the caller's to set. */
void mqtt_access_init(struct mqtt_access *access, const struct mqtt_access_config *config,
                      struct mqtt_calls *calls);
void mqtt_access_reload(struct mqtt_access *access, const struct mqtt_access_config *config);
/** Whether a client that came in is a user who showed a password, not a token. */
bool mqtt_access_by_password(const struct broker_client *client);
