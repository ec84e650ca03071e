/** The credentials of one ICE session (between two restarts), ready for use. Private to ice/. */
#pragma once

#include "crypto/hmac.h"
#include "proto/ice/ice.h"

struct ice_session {
    struct hmac_key local_key;  /**< verifies requests to us and signs our answers */
    struct hmac_key remote_key; /**< signs our requests and verifies their answers */
    uint16_t local_size;
    uint16_t remote_size; /**< 0: the peer's credentials are not known yet */
    /** "local:remote:local": both USERNAMEs are parts of it. */
    char names[];
};

/** `remote` may be NULL: not known yet. NULL is returned when credentials are not legal. */
struct ice_session *ice_session_new(const struct ice_credentials *local,
                                    const struct ice_credentials *remote);
/** A session with the local side of `base` and another remote side. NULL when that is not legal. */
struct ice_session *ice_session_with_remote(const struct ice_session *base,
                                            const struct ice_credentials *remote);
/** Wipes the secrets. Accepts NULL; returns NULL. */
struct ice_session *ice_session_free(struct ice_session *session);

struct bytes ice_session_local_ufrag(const struct ice_session *session);
struct bytes ice_session_remote_ufrag(const struct ice_session *session);
/** USERNAME of our requests: "remote:local". */
struct bytes ice_session_outgoing(const struct ice_session *session);
/**
 * Whether a request with this USERNAME is for the session: "local:" and whatever the peer calls
 * itself (RFC 8445, 7.3). Some peers mix the fragments of two generations while they restart.
 */
bool ice_session_accepts(const struct ice_session *session, struct bytes username);
