/**
 * What an operator decides, as one immutable, reference-counted snapshot that all workers share. A
 * reload makes a new one; allocations live on.
 */
#pragma once

#include "base/bytes.h"
#include "base/time.h"
#include "proto/turn/turn_peers.h"

#define TURN_REALM_MAX    127
#define TURN_USERNAME_MAX 509 /**< bytes (RFC 8489 section 14.3: fewer than 509) */

/** A static user of long-term credentials (RFC 8489 section 9.2). */
struct turn_static_user {
    const char *username; /**< UTF-8, after OpaqueString processing */
    /** stun_long_term_key and stun_long_term_key_sha256 for the settings' realm. */
    uint8_t md5_key[16];
    uint8_t sha256_key[32];
};

enum turn_token_algorithm {
    TURN_TOKEN_A128GCM,
    TURN_TOKEN_A256GCM,
};

/** A key shared with an authorisation server (RFC 7635). */
struct turn_token_key {
    const char *kid; /**< the USERNAME that clients send with an ACCESS-TOKEN */
    enum turn_token_algorithm algorithm;
    uint8_t key[32];
    uint8_t key_size;     /**< 16 or 32 */
    int64_t not_before_s; /**< Unix time; 0: always */
    int64_t not_after_s;  /**< Unix time; 0: for ever */
};

struct turn_alternate_server {
    struct net_address address;
    const char *domain; /**< ALTERNATE-DOMAIN, or NULL */
};

/** Zero fields take the defaults in brackets. */
struct turn_settings_config {
    const char *realm;           /**< ["roost"] */
    const char *server_name;     /**< THIRD-PARTY-AUTHORIZATION; NULL: realm */
    const char *software;        /**< SOFTWARE attribute; NULL: not sent */
    bool no_auth;                /**< relays for everyone (closed networks) */
    const struct bytes *secrets; /**< of time-limited credentials, all valid */
    size_t secret_count;
    const struct turn_static_user *users;
    size_t user_count;
    const struct turn_token_key *token_keys;
    size_t token_key_count;
    struct turn_peers_config peers;
    struct net_address media[64]; /**< where our own media server listens, with ports */
    size_t media_count;
    const struct turn_alternate_server *alternates;
    size_t alternate_count;
    uint32_t redirect_above;      /**< allocations from which on 300 is answered; 0: never */
    bool draining;                /**< no new allocations: 300 with alternates, else 508 */
    uint64_t drain_deadline_us;   /**< monotonic; lifetimes are cut to it. 0: none */
    bool tcp_relay;               /**< RFC 6062 */
    bool mobility;                /**< RFC 8016 */
    uint32_t lifetime_default_s;  /**< [600] */
    uint32_t lifetime_max_s;      /**< [3600] */
    uint32_t nonce_lifetime_s;    /**< [3600] */
    uint32_t permissions_max;     /**< per allocation [512] */
    uint32_t channels_max;        /**< per allocation [256] */
    uint32_t tcp_connections_max; /**< per allocation [32] */
};

struct turn_settings;

/** All is copied; secrets are wiped at the end. Never NULL. */
struct turn_settings *turn_settings_new(const struct turn_settings_config *config);
/** Any thread. */
struct turn_settings *turn_settings_ref(struct turn_settings *settings);
/** Any thread. Accepts NULL; returns NULL. */
struct turn_settings *turn_settings_unref(struct turn_settings *settings);
/** The copy; pointers in it live as long as the settings. */
const struct turn_settings_config *turn_settings_get(const struct turn_settings *settings);
/** The peer rules, ready to judge; they live as long as the settings. */
const struct turn_peers *turn_settings_peers(const struct turn_settings *settings);
/** By name, or by USERHASH (RFC 8489 section 14.4); NULL: nobody. */
const struct turn_static_user *turn_settings_user(const struct turn_settings *settings,
                                                  struct bytes username);
const struct turn_static_user *turn_settings_user_by_hash(const struct turn_settings *settings,
                                                          struct bytes userhash);
/** The key that tokens with this kid are sealed with (RFC 7635); NULL: none. */
const struct turn_token_key *turn_settings_token_key(const struct turn_settings *settings,
                                                     struct bytes kid);

/**
 * Time-limited credentials, the common REST scheme: username "<unix expiry>:<user>" and password
 * base64(HMAC-SHA1(secret, username)). `out` gets the password as text, 28 characters and a NUL.
 * turn_auth_check also takes "<user>:<unix expiry>" and a plain "<unix expiry>", as coturn does.
 */
#define TURN_REST_PASSWORD_SIZE 29
void turn_rest_password(struct bytes secret, struct bytes username,
                        char out[TURN_REST_PASSWORD_SIZE]);
