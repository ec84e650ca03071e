/**
 * Access tokens of third-party authorisation (RFC 7635 section 6.2). Shared by this folder only.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |      nonce length (12)        |   nonce (the IV of AES-GCM)   ...
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     then encrypted, with the server's name as additional data and a tag of 16 bytes behind:
 *     |          key length           |   mac key                     ...
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |   timestamp: 48 bits of Unix seconds, 16 bits of 1/64000 s    |
 *     |                                                               |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                         lifetime (s)                          |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
#pragma once

#include "proto/turn/turn_settings.h"

/** Mac keys that we take: from what MD5 gives to what SHA-256 gives (SHA-1's 20 is usual). */
#define TURN_TOKEN_MAC_KEY_MIN 16
#define TURN_TOKEN_MAC_KEY_MAX 32

/** Clocks of the two servers may differ by this much (RFC 7635 section 4.1.1: Delta). */
#define TURN_TOKEN_GRACE_S 5

/** What a token says. Secret. */
struct turn_token {
    uint8_t mac_key[TURN_TOKEN_MAC_KEY_MAX];
    uint8_t mac_key_size;
    int64_t expires_unix_s; /**< timestamp and lifetime, without the grace of section 4.1.1 */
};

/**
 * Decrypts and checks a token. Returns 0, -EBADMSG (not made with this key, for this server, or not
 * well-formed) or -ETIME (token or key are not valid now). `ret_token` is untouched on failure.
 */
must_check int turn_token_open(const struct turn_token_key *key, const char *server_name,
                               struct bytes token, int64_t now_unix_s,
                               struct turn_token *ret_token);
