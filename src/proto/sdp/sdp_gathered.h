/**
 * Candidates that came apart from their description (trickle ICE, RFC 8838), put into it for a peer
 * that wants everything at once (RFC 8840, section 4; RFC 8839, section 5.1). All lines of the
 * description stay as they are.
 */
#pragma once

#include "base/bytes.h"

/** Candidates of a longer description are not taken in: nobody has that many. */
#define SDP_GATHERED_MAX 64

/** As `RTCIceCandidate` has it; a text that was not given has data NULL or no size. */
struct sdp_gathered {
    struct bytes candidate; /**< "candidate:..." */
    struct bytes mid;
    struct bytes ice_ufrag;
    int32_t section; /**< the number of its m= line; -1: not given */
};

/**
 * The description with each candidate at the end of its section (found by `mid` where both have
 * one, else by `section`, else the first one) and "a=end-of-candidates" behind those of a section.
 * Left out: a candidate that is there already, of another ufrag than its section's, of a section
 * that is not there, or that is no line of text. Returns heap, which the caller frees; never NULL.
 */
char *sdp_gathered_into(struct bytes sdp, const struct sdp_gathered *candidates, size_t count);

/** The first ICE user fragment of a description; data NULL: none. */
struct bytes sdp_gathered_ufrag(struct bytes sdp);
