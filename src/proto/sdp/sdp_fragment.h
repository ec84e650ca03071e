/**
 * Fragments of a session description as WHIP and WHEP exchange them in PATCH requests
 * (application/trickle-ice-sdpfrag, RFC 8840, section 9; RFC 9725, section 4.3): new ICE
 * credentials, candidates, and the making of a whole offer or of our fragment from them.
 */
#pragma once

#include "base/bytes.h"

/** Fragments above this are refused. */
#define SDP_FRAGMENT_SIZE_MAX 16384

struct sdp_fragment {
    struct bytes ice_ufrag; /**< the first one; data NULL when absent. Views of the parsed text */
    struct bytes ice_pwd;
    uint32_t candidate_count;
    bool end_of_candidates;
};

/**
 * Reads a fragment, or the transport lines of a whole description. Returns 0; -EINVAL when a line
 * is no "x=..." line, when ufrag and pwd do not come together, or when they are no ICE texts
 * (RFC 8839, 5.4); -E2BIG above SDP_FRAGMENT_SIZE_MAX when `whole` is false.
 */
must_check int sdp_fragment_parse(struct bytes text, bool whole, struct sdp_fragment *ret_fragment);

/**
 * The offer of before with other ICE credentials and without its candidates: what a client that
 * restarts ICE by a fragment would have offered. Heap, the caller frees. Never NULL.
 */
char *sdp_fragment_restart_offer(struct bytes offer, const struct sdp_fragment *fragment);

/**
 * Our fragment from our answer: what a restart changed (RFC 9725, 4.3.3). Heap, the caller frees.
 * Never NULL.
 */
char *sdp_fragment_of_answer(struct bytes answer);
