/**
 * The inside of the full agent, by file:
 *     ice_agent.c        life, candidates, restarts, events
 *     ice_checklist.c    pairs: making, ordering, freezing, choosing the next to check
 *     ice_agent_input.c  requests and answers of the peer
 *     ice_agent_output.c time: pacing, retransmission, nomination, failure
 */
#pragma once

#include "proto/ice/ice_agent.h"
#include "proto/ice/ice_answers.h"
#include "proto/ice/ice_check.h"
#include "proto/ice/ice_consent.h"

#define ICE_NONE      (-1)
#define ICE_SENDS_MAX 7 /**< Rc of RFC 8489, section 6.2.1 */

/** RFC 8445, section 6.1.2.6. */
enum ice_pair_state {
    ICE_PAIR_FROZEN,
    ICE_PAIR_WAITING,
    ICE_PAIR_IN_PROGRESS,
    ICE_PAIR_SUCCEEDED,
    ICE_PAIR_FAILED,
};

struct ice_remote {
    struct net_address address;
    uint32_t priority;
    uint32_t foundation; /**< a hash of it */
    uint8_t type;        /**< enum ice_candidate_type */
};

/** A local and a remote candidate, and the check that is under way between them. */
struct ice_pair {
    uint8_t local;
    uint8_t remote;
    uint8_t state;        /**< enum ice_pair_state */
    uint8_t sends;        /**< transmissions of the request in flight */
    bool valid;           /**< a check has succeeded, and none has failed since */
    bool heard;           /**< an authentic request came over it */
    bool nominate;        /**< its next check shall carry USE-CANDIDATE */
    bool nominating;      /**< the request in flight carries USE-CANDIDATE */
    bool nominated;       /**< by either side */
    bool was_controlling; /**< our role in the request in flight */
    uint32_t trigger;     /**< place in the queue of triggered checks; 0: not there */
    uint64_t priority;
    uint64_t sent_us;   /**< first transmission of the request in flight */
    uint64_t resend_us; /**< when it is sent again, or given up */
    uint64_t rto_us;
    uint8_t transaction_id[12];
};

struct ice_agent {
    struct random *random;
    struct ice_metrics *metrics;
    uint64_t pace_us;
    bool controlling;
    bool remote_lite;
    bool end_of_candidates;
    bool selected_pending;
    bool restarted_pending;
    bool failed;
    bool failed_pending;
    uint64_t tie_breaker;

    struct ice_session *session;
    /** Before a restart: its requests are still answered, its path kept, until a new selection. */
    struct ice_session *previous;
    bool remote_known; /**< `session` has the peer's credentials */

    struct ice_candidate *locals;
    struct ice_remote *remotes;
    struct ice_pair *pairs;
    uint8_t local_count;
    uint8_t remote_count;
    uint8_t pair_count;
    uint32_t triggers;      /**< given out so far */
    uint64_t next_check_us; /**< pacing */
    uint64_t checking_us;   /**< when checks could start; 0: not yet */
    uint64_t settle_us;     /**< controlling: when to stop waiting for better pairs */

    int selected; /**< pair of this session, or ICE_NONE */
    uint64_t selected_at_us;
    struct net_path selected_path; /**< also of the session before; NET_NONE: never selected */
    struct ice_consent consent;
    struct ice_answers answers;
};

// ---- ice_checklist.c

static inline struct net_path ice_pair_path(const struct ice_agent *agent,
                                            const struct ice_pair *pair)
{
    return (struct net_path){ .local = agent->locals[pair->local].address,
                              .remote = agent->remotes[pair->remote].address };
}

/** Index of a remote candidate, or ICE_NONE. */
int ice_remote_find(const struct ice_agent *agent, const struct net_address *address);
/** Adds a remote candidate and its pairs. Returns its index or -ENOSPC. */
int ice_remote_add(struct ice_agent *agent, const struct ice_remote *remote);
/** Index of the pair of two candidates, or ICE_NONE. */
int ice_pair_find(const struct ice_agent *agent, int local, int remote);
/** Adds pairs of one local candidate with all remote ones. */
void ice_pairs_of_local(struct ice_agent *agent, uint8_t local);
/** After a change of role (RFC 8445, section 7.3.1.1). */
void ice_pairs_prioritize(struct ice_agent *agent);
/** Puts a pair into the queue of triggered checks, unless it is there. */
void ice_pair_trigger(struct ice_agent *agent, struct ice_pair *pair);
/** A check succeeded: pairs of the same foundation thaw (section 7.2.5.3.3). */
void ice_pairs_thaw(struct ice_agent *agent, const struct ice_pair *like);
/** The pair to check next (section 6.1.4.2), or ICE_NONE. */
int ice_pair_next(const struct ice_agent *agent);
static inline void ice_pair_fail(struct ice_pair *pair)
{
    pair->state = ICE_PAIR_FAILED;
    pair->valid = false;
}

/** The valid pair of highest priority, or ICE_NONE. */
int ice_pair_best(const struct ice_agent *agent);
/** Whether a pair of higher priority than this may still succeed. */
bool ice_pair_better_pending(const struct ice_agent *agent, const struct ice_pair *pair);
/** Whether any pair may still succeed. */
bool ice_pair_any_pending(const struct ice_agent *agent);

// ---- ice_agent_output.c

/** Makes a pair the one in use. */
void ice_agent_select(struct ice_agent *agent, int pair, uint64_t now_us);
/** Controlling: nominates the best pair when its time has come. */
void ice_agent_nominate(struct ice_agent *agent, uint64_t now_us);
