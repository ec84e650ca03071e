/**
 * Candidates and their lines (RFC 8445 section 5.1; RFC 8839 section 5.1):
 *
 *     candidate:foundation component transport priority address port typ type
 *         [raddr address] [rport port] [tcptype type] *(extension-name value)
 */
#pragma once

#include "base/address.h"
#include "base/text.h"

enum ice_candidate_type {
    ICE_HOST,
    ICE_SERVER_REFLEXIVE,
    ICE_PEER_REFLEXIVE,
    ICE_RELAYED,
};

enum ice_transport {
    ICE_UDP,
    ICE_TCP_ACTIVE,
    ICE_TCP_PASSIVE,
    ICE_TCP_SIMULTANEOUS, /**< "so" */
};

#define ICE_FOUNDATION_MAX 32  /**< characters (RFC 8839) */
#define ICE_NAME_MAX       253 /**< characters of a host name */

struct ice_candidate {
    enum ice_candidate_type type;
    enum ice_transport transport;
    uint16_t component; /**< 1 to 256 */
    uint32_t priority;
    char foundation[ICE_FOUNDATION_MAX + 1];
    /** The address in text when it is no IP but a name, as mDNS ".local" ones; else empty. */
    char name[ICE_NAME_MAX + 1];
    struct net_address address; /**< NET_NONE with only the port when `name` is set */
    struct net_address related; /**< raddr and rport; NET_NONE: none */
};

/** Longest line of ice_candidate_write with its terminator. */
#define ICE_CANDIDATE_TEXT_MAX 512

/** True when the address is a name that would have to be resolved. */
static inline bool ice_candidate_is_named(const struct ice_candidate *candidate)
{
    return candidate->name[0] != '\0';
}

/**
 * Parses a candidate, with or without "a=" and "candidate:" in front and line end behind; unknown
 * extensions are skipped. Returns 0, -EINVAL when it is malformed, or -EPROTONOSUPPORT for a
 * well-formed one of an unknown transport or type, which the RFC tells us to ignore.
 */
must_check int ice_candidate_parse(struct bytes line, struct ice_candidate *ret_candidate);
/** Writes "candidate:..." (no "a="). */
void ice_candidate_write(const struct ice_candidate *candidate, struct text_builder *out);

/** Type preference (RFC 8445, section 5.1.2.2): host 126, prflx 110, srflx 100, relay 0. */
uint32_t ice_type_preference(enum ice_candidate_type type);
/** RFC 8445, section 5.1.2.1. `local_preference`: 65535 for the only address. */
uint32_t ice_priority(enum ice_candidate_type type, uint16_t local_preference, uint16_t component);
/** The priority of a pair (section 6.1.2.3) from those of the two sides' candidates. */
uint64_t ice_pair_priority(uint32_t controlling, uint32_t controlled);
/**
 * A UDP host candidate of component 1. The foundation is made from the IP, so that candidates of
 * one address share it (section 5.1.1.3).
 */
struct ice_candidate ice_candidate_host(const struct net_address *address,
                                        uint16_t local_preference);
/**
 * A passive TCP host candidate (RFC 6544, section 4.2: direction preference 4), always behind UDP
 * ones whose local preference is above 40959. `other_preference`: up to 8191.
 */
struct ice_candidate ice_candidate_tcp_host(const struct net_address *address,
                                            uint16_t other_preference);
