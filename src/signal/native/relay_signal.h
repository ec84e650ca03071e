/**
 * What simple-peer objects say to each other: the values of their `signal` events, as JSON.
 */
#pragma once

#include "base/bytes.h"
#include "signal/model/call_event.h"

struct json_value;

/** Of the session id of a description (RFC 8866, 5.2), with terminator; longer ones are cut. */
#define RELAY_ORIGIN_SIZE 32

enum relay_kind {
    RELAY_OFFER,
    RELAY_ANSWER,
    RELAY_CANDIDATE,
    RELAY_BYE,   /**< ours: the end of a connection, for which the library has no word */
    RELAY_OTHER, /**< renegotiate, transceiverRequest, whatever comes next */
};

/** Valid while the document that it was read from is. */
struct relay_signal {
    enum relay_kind kind;
    const char *sdp; /**< OFFER, ANSWER */
    struct call_candidate candidate;
};

/** Never fails: what is not understood is OTHER. */
struct relay_signal relay_read(const struct json_value *value);
/** The session id of a description's origin: another one is another object's. "": it has none. */
void relay_read_origin(const char *sdp, char ret_origin[RELAY_ORIGIN_SIZE]);
/** Whether a description has sound or picture to talk with. */
bool relay_has_media(const char *sdp);

/** Each returns a text that the caller frees. */
char *relay_write_sdp(enum relay_kind kind, const char *sdp);
char *relay_write_candidate(const struct call_candidate *candidate);
