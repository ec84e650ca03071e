/**
 * Right passwords of the last hour, so that a device that comes back costs no derivation of its
 * key. Passwords are not in it: only codes over name, password and what is kept of the password,
 * with a key that this process made for itself. Another password, or none any more, is another
 * code, so nothing need ever be taken out. Who can read the process's memory can guess against the
 * codes quickly; who steals files cannot.
 */
#pragma once

#include "base/random.h"
#include "crypto/hmac.h"
#include "users/user_keys.h"

#define LOGIN_CACHE_SETS 4096
#define LOGIN_CACHE_WAYS 4 /**< places for those that meet in one set */
#define LOGIN_TAG_SIZE   HMAC_SHA256_SIZE

/** Names a name with a password and the keys it is checked against. */
struct login_tag {
    uint8_t code[LOGIN_TAG_SIZE];
};

struct login_cache {
    struct hmac_key key;
    struct login_cache_cell {
        uint8_t code[16];
        uint64_t until_us; /**< 0: empty */
    } sets[LOGIN_CACHE_SETS][LOGIN_CACHE_WAYS];
};

void login_cache_init(struct login_cache *cache, struct random *random);
/** Wipes it. */
void login_cache_done(struct login_cache *cache);
struct login_tag login_cache_tag(const struct login_cache *cache, const struct user_keys *keys,
                                 struct bytes name, struct bytes password);
bool login_cache_has(const struct login_cache *cache, const struct login_tag *tag, uint64_t now_us);
/** Takes the place of the oldest one of its set when it must. */
void login_cache_add(struct login_cache *cache, const struct login_tag *tag, uint64_t now_us);
