/**
 * The server's ICE agent: ICE-lite (RFC 8445) for one transport, with full consent checks of our
 * own (RFC 7675) on the path in use.
 *
 * It never looks for paths: every path over which an authenticated check arrives becomes known, and
 * the peer selects one by USE-CANDIDATE, or by sending media where no check of its came
 * (ice_probe.h). It is controlled, but for a while after the selected path fell silent and another
 * one answered (ice_failover.h): then it claims the controlling role and nominates that one. A peer
 * that takes over paths one by one (aggressive nomination) ends on the one of highest priority; a
 * single nomination moves at once to a path of equal or higher priority or when the old one is
 * silent, else with its second check.
 *
 * A nomination can come from a forged address. Media goes where it says at once only until any path
 * has answered a check of ours, ICE_CONSENT_UNPROVEN_US at most; from then on a path that has not
 * answered lately is asked first, and its answer moves the selection: a round trip.
 *
 * What keeps a path alive: answers to our own checks, for consent, since only they prove that the
 * peer behind the address wants our packets; valid checks of the peer too, for the warning
 * ICE_EVENT_DISCONNECTED. After expiry the agent goes on answering: a check that nominates again
 * is followed by ours, whose answer brings the path back (ICE_EVENT_RECONNECTED, or
 * ICE_EVENT_SELECTED for another path).
 *
 * Whoever cannot authenticate gets no answer at all.
 */
#pragma once

#include "proto/ice/ice.h"
#include "proto/ice/ice_answers.h"
#include "proto/ice/ice_consent.h"
#include "proto/ice/ice_failover.h"
#include "proto/ice/ice_probe.h"

struct ice_session;

#define ICE_LITE_PATHS ICE_FAILOVER_PATHS

struct ice_lite_config {
    struct ice_credentials local;
    struct ice_credentials remote;
    struct random *random;       /**< outlives the agent */
    struct ice_metrics *metrics; /**< outlives the agent */
};

/** Fields are private. Under 2.5 KB, plus the credentials' text on the heap. */
struct ice_lite {
    struct random *random;
    struct ice_metrics *metrics;
    struct ice_session *session; /**< the credentials in use */
    struct ice_session *next;    /**< those of a restart that no check has used yet, or NULL */
    struct ice_lite_path {
        struct net_path path;
        uint64_t heard_us;
        uint64_t nominated_us; /**< last USE-CANDIDATE; 0: none in this session */
        uint64_t answered_us;  /**< last answer to a check of ours; 0: none */
        uint32_t priority;
    } paths[ICE_LITE_PATHS];
    struct ice_answers answers;
    struct ice_consent consent;
    struct ice_probe probe;
    struct ice_failover failover;
    struct ice_lite_claim {
        uint8_t id[11];   /**< common beginning of the checks' transaction ids */
        uint8_t left;     /**< so many more times the peer is told of the move */
        uint64_t next_us; /**< when it is due next */
    } claim;
    uint64_t controlling_until_us; /**< 0: never was */
    uint64_t began_us;             /**< first valid check; 0: none yet */
    uint8_t path_count;
    int8_t selected; /**< index in `paths`, -1: none */
    int8_t newest;   /**< path of the last valid check, while it may be used; -1: none */
    bool proven;     /**< some path has answered */
    bool selected_pending;
    bool restarted_pending;
};

/** Returns 0, or -EINVAL when credentials break the limits of RFC 8839. */
must_check int ice_lite_init(struct ice_lite *ice, const struct ice_lite_config *config);
/** Accepts a zeroed agent. */
void ice_lite_done(struct ice_lite *ice);
/**
 * New credentials on both sides (RFC 8445, section 9). The old ones stay valid until the first
 * valid check with the new ones; the selected path stays in use until the peer selects again.
 * A second restart before that replaces the first. Returns 0 or -EINVAL.
 */
must_check int ice_lite_restart(struct ice_lite *ice, const struct ice_credentials *local,
                                const struct ice_credentials *remote);
/**
 * Takes a STUN message that came over `path`. Returns 0, or -EBADMSG, -EACCES (not authenticated)
 * or -EBUSY for one that was dropped, which is counted by its reason. Answers wait for _output.
 */
int ice_lite_input(struct ice_lite *ice, uint64_t now_us, const struct net_path *path,
                   struct bytes datagram);
/**
 * The carrier of `path` is gone (a TCP connection has ended): another one that the peer has
 * nominated replaces it, or the next nomination of any. Nothing for paths that are not known.
 */
void ice_lite_path_lost(struct ice_lite *ice, uint64_t now_us, const struct net_path *path);
/**
 * Packets that only the peer can have made came over `path`: when the peer has nominated it since
 * it nominated the selected one, it has moved there (another network), and so does the selection,
 * as by a nomination that wins, whatever the priorities say.
 */
void ice_lite_used(struct ice_lite *ice, uint64_t now_us, const struct net_path *path);
/**
 * Such packets came over the selected path. Where they keep coming, silence means something: the
 * deadlines of an agent that was told of none stay those of consent.
 */
void ice_lite_heard(struct ice_lite *ice, uint64_t now_us);
/**
 * Such packets come over `path` in place of the selected one: a NAT may have given the peer another
 * address, or it has changed networks and will nominate later. It is asked there at once, and its
 * answer moves the selection. Nothing before the first selection.
 */
void ice_lite_appeared(struct ice_lite *ice, uint64_t now_us, const struct net_path *path);
void ice_lite_tick(struct ice_lite *ice, uint64_t now_us);
/** When tick or output has work next: 0 when answers wait, TIME_NEVER before a selection. */
uint64_t ice_lite_deadline(const struct ice_lite *ice);
/** Writes waiting answers, due consent checks and questions to other paths. What finds no room in
 * the batch waits. */
void ice_lite_output(struct ice_lite *ice, uint64_t now_us, struct datagram_batch *batch);
/** The next event; false when there is none. */
bool ice_lite_event(struct ice_lite *ice, struct ice_event *ret_event);

/**
 * Where to send now: the selected path, or before the first selection the last one that a valid
 * check came over (RFC 8445, section 12.1), for ICE_CONSENT_UNPROVEN_US. False when there is none
 * or consent has expired.
 */
bool ice_lite_path(const struct ice_lite *ice, struct net_path *ret_path);
/** Whether a valid check came over this path, or a valid answer to ours. */
bool ice_lite_knows(const struct ice_lite *ice, const struct net_path *path);
/** Smoothed round trip of consent checks, 0 before the first answer. */
uint32_t ice_lite_rtt_us(const struct ice_lite *ice);
/** The local fragments by which requests for this agent come; `ret_next` is empty without restart.
 */
void ice_lite_ufrags(const struct ice_lite *ice, struct bytes *ret_current, struct bytes *ret_next);
