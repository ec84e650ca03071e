/**
 * Who may come to the broker, and what they may do there.
 *
 * A password is that of a user of `roost user`, or a token (docs/tokens.md): a token's user name is
 * its "user", and with "data": false it publishes nothing. Who shows neither is a guest, where
 * guests are let in. After ten wrong passwords from one address one per second is looked at, and
 * the others are refused.
 *
 * Rules decide about topics, the first that fits: see mqtt_rules.h. Topics below "roost/" are
 * reserved: no client publishes there, whatever the rules say; who subscribes there is for the
 * rules.
 */
#pragma once

#include "base/log.h"
#include "broker/broker.h"
#include "runtime/address_limit.h"
#include "signal/access/token_verifier.h"
#include "signal/mqtt/mqtt_rules.h"
#include "users/user_store.h"

struct mqtt_access_config {
    struct random *random;               /**< required */
    const struct log *log;               /**< NULL: silent */
    const struct token_verifier *tokens; /**< required */
    /** The users of now; NULL: there are none. */
    const struct user_list *(*users)(void *owner);
    void *owner;
    bool guests;                    /**< who shows nothing is let in */
    const struct mqtt_rules *rules; /**< NULL: those without a file */
};

struct mqtt_access {
    struct mqtt_access_config config;
    struct broker_owner owner; /**< for the broker */
    struct address_rate failures;
    uint64_t now_us;      /**< as of the last packet; set it before the broker gets it */
    uint64_t now_unix_us; /**< the same on the wall */
};

void mqtt_access_init(struct mqtt_access *access, const struct mqtt_access_config *config);
void mqtt_access_reload(struct mqtt_access *access, const struct mqtt_access_config *config);
