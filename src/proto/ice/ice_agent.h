/**
 * A full ICE agent (RFC 8445) for one component, with trickled candidates (RFC 8838), regular
 * nomination, consent (RFC 7675) and restarts. The load generator, the simulator and gateways use
 * it as a client, mostly controlling and against a lite peer; it is complete against full peers
 * too: it answers checks, makes triggered checks, learns peer-reflexive candidates of both sides
 * and resolves role conflicts by tie-breaker.
 *
 * Local candidates are host candidates. Named (mDNS) and TCP candidates of the peer are taken
 * without error and not checked.
 */
#pragma once

#include "proto/ice/ice.h"
#include "proto/ice/ice_candidate.h"

struct ice_agent;

#define ICE_AGENT_LOCAL_MAX  16
#define ICE_AGENT_REMOTE_MAX 64
#define ICE_AGENT_PAIRS_MAX  128

struct ice_agent_config {
    struct ice_credentials local;
    bool controlling;
    uint32_t pace_us;            /**< Ta, between two checks; 0: 50 ms (RFC 8445, section 14.2) */
    struct random *random;       /**< outlives the agent */
    struct ice_metrics *metrics; /**< outlives the agent */
};

/** Returns 0, or -EINVAL when the credentials break the limits of RFC 8839. */
must_check int ice_agent_new(const struct ice_agent_config *config, struct ice_agent **ret_agent);
/** Accepts NULL; returns NULL. */
struct ice_agent *ice_agent_free(struct ice_agent *agent);

/**
 * One of our own addresses, from which the caller can send and at which it receives. Addresses
 * added first are preferred. Returns 0, -EEXIST or -ENOSPC.
 */
must_check int ice_agent_add_local(struct ice_agent *agent, const struct net_address *address);
/** The local candidates, to tell the peer; NULL after the last. */
const struct ice_candidate *ice_agent_local(const struct ice_agent *agent, size_t index);
/**
 * The peer's credentials, from its description; checks start when candidates are there. Credentials
 * other than the ones before begin a restart on the peer's side: pairs and remote candidates are
 * forgotten, the selected path stays in use until the next one is. `lite`: the peer is ICE-lite,
 * and we are controlling whatever the configuration said. Returns 0 or -EINVAL.
 */
must_check int ice_agent_set_remote(struct ice_agent *agent, uint64_t now_us,
                                    const struct ice_credentials *remote, bool lite);
/**
 * A candidate of the peer, at any time after its credentials. Ones that cannot be used (named, TCP,
 * other components) are ignored. Returns 0 or -ENOSPC.
 */
must_check int ice_agent_add_remote(struct ice_agent *agent, uint64_t now_us,
                                    const struct ice_candidate *candidate);
/** The peer has no more candidates: the agent may fail when its checks do. */
void ice_agent_end_of_candidates(struct ice_agent *agent);
/**
 * Restarts with new local credentials (RFC 8445, section 9), to be told to the peer, whose new ones
 * come with ice_agent_set_remote. Our old ones go on being answered until then. Returns 0 or
 * -EINVAL.
 */
must_check int ice_agent_restart(struct ice_agent *agent, const struct ice_credentials *local);

/** As ice_lite_input. `path->local` is the local address that the datagram came to. */
int ice_agent_input(struct ice_agent *agent, uint64_t now_us, const struct net_path *path,
                    struct bytes datagram);
void ice_agent_tick(struct ice_agent *agent, uint64_t now_us);
/** When tick or output has work next. */
uint64_t ice_agent_deadline(const struct ice_agent *agent);
/** Writes answers, due checks, retransmissions and consent checks. */
void ice_agent_output(struct ice_agent *agent, uint64_t now_us, struct datagram_batch *batch);
/** The next event; false when there is none. */
bool ice_agent_event(struct ice_agent *agent, struct ice_event *ret_event);

/**
 * Where to send now: the selected path, or before that the best one that was checked with success.
 * False when there is none or consent has expired.
 */
bool ice_agent_path(const struct ice_agent *agent, struct net_path *ret_path);
/** Whether the peer proved itself over this path. */
bool ice_agent_knows(const struct ice_agent *agent, const struct net_path *path);
bool ice_agent_controlling(const struct ice_agent *agent);
/** Smoothed round trip of checks on the selected path, 0 before the first answer. */
uint32_t ice_agent_rtt_us(const struct ice_agent *agent);
