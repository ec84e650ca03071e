/**
 * Nonces that need no memory. Shared by this folder only.
 *
 *     "obMatJos2"  features   base64url( time | port | code )
 *      9           4 chars               3      2      8 bytes
 *
 * The features are the 24 bits of RFC 8489 section 18.1; who takes them away to bid a client down
 * to weaker algorithms (section 9.2) breaks the code, which covers them, the client's IP address,
 * the realm, and the second in which the nonce was made. Nonces of two ports differ, as section
 * 9.2.4 asks, but a client may go on with one from another port of its address: NATs rebind,
 * data connections of RFC 6062 are connections of their own.
 */
#pragma once

#include "proto/turn/turn_auth.h"

/** Bit 0 is the leftmost of 24 (RFC 8489 section 18.1). */
#define TURN_FEATURE_PASSWORD_ALGORITHMS 0x800000u
#define TURN_FEATURE_USERNAME_ANONYMITY  0x400000u

/** Writes a nonce; `out` holds TURN_NONCE_MAX. Returns its length. */
size_t turn_nonce_write(const struct turn_nonce_key *key, struct bytes realm, uint32_t features,
                        const struct net_address *source, uint64_t now_us,
                        char out[TURN_NONCE_MAX]);
/** Whether we made the nonce for this address, and no longer than `lifetime_s` ago. */
must_check bool turn_nonce_check(const struct turn_nonce_key *key, struct bytes realm,
                                 struct bytes nonce, const struct net_address *source,
                                 uint64_t now_us, uint32_t lifetime_s);
/** The features that any nonce claims; 0 for one without the nonce cookie. */
uint32_t turn_nonce_features(struct bytes nonce);
