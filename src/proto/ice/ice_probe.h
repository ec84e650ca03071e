/**
 * A question to a path before media goes there: one that the peer has nominated, for a check can
 * come from a forged address; or one that it began to use without a nomination. A NAT gave it
 * another port or address in the middle of a call, or it left a network, and browsers check the
 * path that they have, or believe to have, only every 2.5 seconds. The answer proves that the peer
 * hears us there, as that to any connectivity check (RFC 8445, section 7.2.5).
 *
 * One path at a time, and one check in ICE_PROBE_INTERVAL_US: whoever forges a source address for
 * packets of somebody else that he has caught makes us send this much there, and no more.
 */
#pragma once

#include "base/address.h"
#include "base/random.h"

#define ICE_PROBE_INTERVAL_US 50000ull

/** Zeroed: nothing is asked. */
struct ice_probe {
    struct net_path path;
    uint8_t transaction_id[12];
    uint64_t asked_us; /**< when it was wanted last; 0: never */
    bool due;          /**< to be sent */
    bool under_way;    /**< sent, and not answered; asked again, it keeps its id */
};

/** The path is to be asked, unless the last question is younger than ICE_PROBE_INTERVAL_US. */
void ice_probe_want(struct ice_probe *probe, uint64_t now_us, const struct net_path *path);
/** The check leaves now: chooses its id, but that of one repeated. */
void ice_probe_sent(struct ice_probe *probe, struct random *random);
/** Another path was taken: the answer is of no use any more. */
void ice_probe_drop(struct ice_probe *probe);
/** Whether an answer with this id that came over `path` is that of the check under way. */
bool ice_probe_matches(const struct ice_probe *probe, const struct net_path *path,
                       const uint8_t transaction_id[12]);
