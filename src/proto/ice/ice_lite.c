#include "proto/ice/ice_lite.h"

#include <errno.h>

#include "proto/ice/ice_candidate.h"
#include "proto/ice/ice_lite_int.h"

#define NONE ICE_LITE_NONE
/** Silence of the selected path after which any nomination replaces it at once. */
#define SILENT_PATH_US 2500000ull
/** An answer proves a path for so long: then as much of its consent is left, to be renewed in. */
#define PROOF_US (ICE_CONSENT_EXPIRY_US / 2)

int ice_lite_init(struct ice_lite *ice, const struct ice_lite_config *config)
{
    struct ice_session *session = ice_session_new(&config->local, &config->remote);
    if (!session)
        return -EINVAL;
    *ice = (struct ice_lite){
        .random = config->random,
        .metrics = config->metrics,
        .session = session,
        .selected = NONE,
        .newest = NONE,
    };
    return 0;
}

void ice_lite_done(struct ice_lite *ice)
{
    ice->session = ice_session_free(ice->session);
    ice->next = ice_session_free(ice->next);
}

int ice_lite_restart(struct ice_lite *ice, const struct ice_credentials *local,
                     const struct ice_credentials *remote)
{
    struct ice_session *next = ice_session_new(local, remote);
    if (!next)
        return -EINVAL;
    ice_session_free(ice->next);
    ice->next = next;
    return 0;
}

/** The peer uses the credentials of the last restart: from now on only these count. */
static void take_up_restart(struct ice_lite *ice, uint64_t now_us)
{
    ice_session_free(ice->session);
    ice->session = ice->next;
    ice->next = NULL;
    ice->answers.count = 0; // they would be signed with a password that the request did not use
    for (size_t i = 0; i < ice->path_count; i++)
        ice->paths[i].nominated_us = 0;
    ice_consent_forget_checks(&ice->consent, now_us);
    ice->claim.left = 0;
    ice->controlling_until_us = 0; // beside a lite agent the peer begins as the controlling one
    ice->restarted_pending = true;
    ice_count(ice->metrics, ICE_RESTARTS);
}

static int8_t find_path(const struct ice_lite *ice, const struct net_path *path)
{
    for (int8_t i = 0; i < ice->path_count; i++) {
        if (net_path_equal(&ice->paths[i].path, path))
            return i;
    }
    return NONE;
}

/** The place for a new path: a free one, or that of the path silent for longest. */
static int8_t place_for_path(struct ice_lite *ice)
{
    if (ice->path_count < ICE_LITE_PATHS)
        return (int8_t)ice->path_count++;
    int8_t oldest = NONE;
    for (int8_t i = 0; i < ICE_LITE_PATHS; i++) {
        if (i != ice->selected &&
            (oldest == NONE || ice->paths[i].heard_us < ice->paths[oldest].heard_us))
            oldest = i;
    }
    ice_count(ice->metrics, ICE_PATHS_EVICTED);
    return oldest;
}

static int8_t learn_path(struct ice_lite *ice, const struct net_path *path)
{
    int8_t index = find_path(ice, path);
    if (index == NONE) {
        index = place_for_path(ice);
        ice->paths[index] = (struct ice_lite_path){ .path = *path };
        ice_failover_forget(&ice->failover, (uint8_t)index);
    }
    return index;
}

/**
 * Whether a nomination of path `index` moves the selection. RFC 8445 has the peer nominate once;
 * peers of RFC 5245 nominate every path that works and mean the one of highest priority.
 */
static bool nomination_wins(const struct ice_lite *ice, int8_t index, uint64_t now_us)
{
    if (ice->selected == NONE || ice->consent.state == ICE_CONSENT_EXPIRED)
        return true;
    const struct ice_lite_path *old = &ice->paths[ice->selected], *new = &ice->paths[index];
    if (old->nominated_us == 0) // it was selected before a restart
        return true;
    if (new->priority > old->priority || now_us - old->heard_us > SILENT_PATH_US)
        return true;
    if (new->priority == old->priority &&new->nominated_us == 0)
        return true; // as after a NAT gave the peer another port
    // nominated twice while the selected one was not: the peer means it
    return new->nominated_us > old->nominated_us;
}

void ice_lite_select(struct ice_lite *ice, uint64_t now_us, int8_t index)
{
    ice->selected = index;
    ice->selected_pending = true;
    ice_consent_start(&ice->consent, now_us, ice->paths[index].answered_us);
    ice_probe_drop(&ice->probe);
    ice_failover_start(&ice->failover, now_us);
    ice->claim.left = 0;
    ice_count(ice->metrics, ICE_SELECTIONS);
}

/** Whether media may go to path `index`: checks that came over it can be forged, answers cannot. */
static bool may_select(const struct ice_lite *ice, int8_t index, uint64_t now_us)
{
    uint64_t answered_us = ice->paths[index].answered_us;
    if (answered_us != 0)
        return now_us - answered_us < PROOF_US;
    return !ice->proven && ice->consent.state != ICE_CONSENT_EXPIRED;
}

/** The peer wants path `index`. */
static void move_to(struct ice_lite *ice, uint64_t now_us, int8_t index)
{
    if (may_select(ice, index, now_us))
        ice_lite_select(ice, now_us, index);
    else
        ice_probe_want(&ice->probe, now_us, &ice->paths[index].path);
}

static void nominate(struct ice_lite *ice, int8_t index, uint64_t now_us)
{
    if (index != ice->selected && nomination_wins(ice, index, now_us))
        move_to(ice, now_us, index);
    ice->paths[index].nominated_us = max_of(now_us, (uint64_t)1); // 0 means never
}

static int take_request(struct ice_lite *ice, uint64_t now_us, const struct net_path *path,
                        const struct stun_message *message)
{
    const struct ice_session *const sessions[] = { ice->session, ice->next };
    struct ice_request request;
    size_t index;
    int error =
        ice_request_read(message, sessions, array_size(sessions), ice->metrics, &request, &index);
    if (error < 0)
        return error;
    if (sessions[index] == ice->next)
        take_up_restart(ice, now_us);
    if (ice_answers_full(&ice->answers))
        return ice_drop(ice->metrics, ICE_DROPPED_BUSY);
    if (request.role == ICE_ROLE_CONTROLLED && !ice_lite_controls(ice, now_us)) {
        // RFC 8445, section 7.3.1.1, but a lite agent can only be controlled (section 6.1.1):
        // whatever the tie-breaker, the peer has to change its role; or to take it back
        ice_count(ice->metrics, ICE_ROLE_CONFLICTS);
        ice_answers_add(&ice->answers, message, path, 0, STUN_ROLE_CONFLICT, 0);
        return 0;
    }
    if (request.unknown) {
        ice_answers_add(&ice->answers, message, path, 0, STUN_UNKNOWN_ATTRIBUTE, request.unknown);
        return 0;
    }
    int8_t place = learn_path(ice, path);
    if (ice->began_us == 0)
        ice->began_us = max_of(now_us, (uint64_t)1);
    if (now_us < ice->began_us + ICE_CONSENT_UNPROVEN_US)
        ice->newest = place;
    ice->paths[place].priority = request.priority ? request.priority : ice->paths[place].priority;
    if (request.use_candidate && request.role != ICE_ROLE_CONTROLLED)
        nominate(ice, place, now_us);
    ice->paths[place].heard_us = now_us;
    if (place == ice->selected) {
        ice_consent_heard(&ice->consent, now_us);
        ice_failover_heard(&ice->failover, now_us);
    }
    ice_answers_add(&ice->answers, message, path, 0, 0, 0);
    ice_count(ice->metrics, ICE_CHECKS_RECEIVED);
    return 0;
}

/** The peer is where we asked: it goes on there as it did on the path that it believes to have. */
static int take_probe_answer(struct ice_lite *ice, uint64_t now_us,
                             const struct stun_message *message)
{
    int error = ice_answer_authenticate(message, ice->session, ice->metrics);
    if (error < 0)
        return error;
    ice->probe.under_way = false;
    if (message->class != STUN_SUCCESS)
        return 0;
    uint32_t priority = ice->paths[ice->selected].priority;
    int8_t place = learn_path(ice, &ice->probe.path);
    if (ice->paths[place].nominated_us == 0)
        ice->paths[place].priority = priority;
    ice->paths[place].heard_us = now_us;
    ice->paths[place].nominated_us = now_us;
    ice_lite_proven(ice, now_us, place);
    ice_lite_select(ice, now_us, place);
    ice_count(ice->metrics, ICE_PROBES_ANSWERED);
    return 0;
}

static int take_answer(struct ice_lite *ice, uint64_t now_us, const struct net_path *path,
                       const struct stun_message *message)
{
    const uint8_t *transaction_id = stun_message_transaction_id(message);
    if (ice_probe_matches(&ice->probe, path, transaction_id))
        return take_probe_answer(ice, now_us, message);
    if (ice_lite_failover_matches(ice, transaction_id))
        return ice_lite_failover_answer(ice, now_us, path, message);
    if (!ice_consent_matches(&ice->consent, transaction_id))
        return ice_drop(ice->metrics, ICE_DROPPED_TRANSACTION);
    // the answer must come back the way the check went (RFC 8445, section 7.2.5.2.1)
    if (!net_path_equal(&ice->paths[ice->selected].path, path))
        return ice_drop(ice->metrics, ICE_DROPPED_PATH);
    int error = ice_answer_authenticate(message, ice->session, ice->metrics);
    if (error < 0)
        return error;
    ice->paths[ice->selected].heard_us = now_us;
    ice_failover_heard(&ice->failover, now_us);
    uint16_t code = 0;
    if (message->class == STUN_SUCCESS) {
        ice_consent_answered(&ice->consent, now_us, transaction_id, ice->random);
        ice_lite_proven(ice, now_us, ice->selected);
        ice_count(ice->metrics, ICE_CONSENT_ANSWERED);
    } else if (stun_message_find_error(message, &code, NULL) == 0 && code == STUN_FORBIDDEN) {
        ice_consent_revoke(&ice->consent);
        ice->paths[ice->selected].answered_us = 0;
        ice_count(ice->metrics, ICE_EXPIRATIONS);
    }
    return 0;
}

int ice_lite_input(struct ice_lite *ice, uint64_t now_us, const struct net_path *path,
                   struct bytes datagram)
{
    struct stun_message message;
    int error = ice_message_read(datagram, ice->metrics, &message);
    if (error < 0)
        return error;
    switch (message.class) {
    case STUN_REQUEST:
        return take_request(ice, now_us, path, &message);
    case STUN_INDICATION:
        return 0; // a keepalive (RFC 8445, section 11): nothing is to be done
    default:
        return take_answer(ice, now_us, path, &message);
    }
}

/** The path on which the peer was heard last, of those it has nominated; or NONE. */
static int8_t best_left(const struct ice_lite *ice)
{
    int8_t best = NONE;
    for (int8_t i = 0; i < ice->path_count; i++) {
        const struct ice_lite_path *path = &ice->paths[i];
        if (path->nominated_us > 0 && (best == NONE || path->heard_us > ice->paths[best].heard_us))
            best = i;
    }
    return best;
}

void ice_lite_path_lost(struct ice_lite *ice, uint64_t now_us, const struct net_path *path)
{
    int8_t index = find_path(ice, path);
    if (index == NONE)
        return;
    ice->paths[index] = (struct ice_lite_path){ .path = *path };
    ice_failover_forget(&ice->failover, (uint8_t)index);
    int8_t next = index == ice->selected ? best_left(ice) : NONE;
    if (next != NONE)
        move_to(ice, now_us, next);
}

void ice_lite_used(struct ice_lite *ice, uint64_t now_us, const struct net_path *path)
{
    int8_t index = find_path(ice, path);
    if (index == NONE || index == ice->selected || ice->selected == NONE)
        return;
    struct ice_lite_path *used = &ice->paths[index];
    used->heard_us = now_us;
    // packets that were late on the way we left do not take us back
    if (used->nominated_us != 0 && used->nominated_us > ice->paths[ice->selected].nominated_us)
        move_to(ice, now_us, index);
}

void ice_lite_heard(struct ice_lite *ice, uint64_t now_us)
{
    ice->claim.left = 0; // the peer has followed
    ice_failover_heard(&ice->failover, now_us);
}

void ice_lite_appeared(struct ice_lite *ice, uint64_t now_us, const struct net_path *path)
{
    if (ice->selected != NONE && find_path(ice, path) != ice->selected)
        ice_probe_want(&ice->probe, now_us, path);
}

void ice_lite_tick(struct ice_lite *ice, uint64_t now_us)
{
    if (ice_consent_tick(&ice->consent, now_us))
        ice_count(ice->metrics, ICE_EXPIRATIONS);
    if (ice->newest != NONE && now_us >= ice->began_us + ICE_CONSENT_UNPROVEN_US)
        ice->newest = NONE; // nobody has proven to be there
    ice_lite_failover_tick(ice, now_us);
}

uint64_t ice_lite_deadline(const struct ice_lite *ice)
{
    if (ice->answers.count > 0 || ice->probe.due)
        return 0;
    if (ice->selected == NONE)
        return ice->newest == NONE ? TIME_NEVER : ice->began_us + ICE_CONSENT_UNPROVEN_US;
    return time_earlier(ice_consent_deadline(&ice->consent), ice_lite_failover_deadline(ice));
}

bool ice_lite_write_check(struct ice_lite *ice, uint64_t now_us, const struct net_path *path,
                          const uint8_t transaction_id[12], bool nominate,
                          struct datagram_batch *batch)
{
    uint8_t *at = datagram_batch_reserve(batch, ICE_MESSAGE_MAX);
    if (!at)
        return false;
    // Peers want the attributes of a connectivity check. The smallest tie-breaker never wins, the
    // largest one always; 0 looks like an attribute that is missing to libjuice, which answers 400.
    bool controlling = ice_lite_controls(ice, now_us);
    const struct ice_check check = {
        .transaction_id = transaction_id,
        .priority = ice_priority(ICE_PEER_REFLEXIVE, UINT16_MAX, 1),
        .tie_breaker = controlling ? UINT64_MAX : 1,
        .controlling = controlling,
        .use_candidate = nominate,
    };
    size_t size = ice_check_write(&check, ice->session, at, ICE_MESSAGE_MAX);
    datagram_batch_commit(batch, path, size);
    return true;
}

static void write_consent_check(struct ice_lite *ice, uint64_t now_us, struct datagram_batch *batch)
{
    if (!datagram_batch_reserve(batch, ICE_MESSAGE_MAX))
        return;
    uint8_t transaction_id[STUN_TRANSACTION_ID_SIZE];
    ice_consent_sent(&ice->consent, now_us, ice->random, transaction_id);
    ice_lite_write_check(ice, now_us, &ice->paths[ice->selected].path, transaction_id, false,
                         batch);
    ice_count(ice->metrics, ICE_CONSENT_SENT);
}

static void write_probe(struct ice_lite *ice, uint64_t now_us, struct datagram_batch *batch)
{
    if (!datagram_batch_reserve(batch, ICE_MESSAGE_MAX))
        return;
    ice_probe_sent(&ice->probe, ice->random);
    ice_lite_write_check(ice, now_us, &ice->probe.path, ice->probe.transaction_id, false, batch);
    ice_count(ice->metrics, ICE_PROBES_SENT);
}

void ice_lite_output(struct ice_lite *ice, uint64_t now_us, struct datagram_batch *batch)
{
    const struct ice_session *const sessions[] = { ice->session };
    if (!ice_answers_write(&ice->answers, sessions, batch))
        return;
    if (ice->probe.due)
        write_probe(ice, now_us, batch);
    ice_lite_failover_output(ice, now_us, batch);
    if (ice_consent_due(&ice->consent, now_us))
        write_consent_check(ice, now_us, batch);
}

bool ice_lite_event(struct ice_lite *ice, struct ice_event *ret_event)
{
    struct ice_event event = { 0 };
    if (ice->selected != NONE)
        event.path = ice->paths[ice->selected].path;
    if (ice->restarted_pending) {
        ice->restarted_pending = false;
        event.kind = ICE_EVENT_RESTARTED;
    } else if (ice->selected_pending) {
        ice->selected_pending = false;
        event.kind = ICE_EVENT_SELECTED;
    } else if (!ice_consent_event(&ice->consent, &event.kind)) {
        return false;
    }
    *ret_event = event;
    return true;
}

bool ice_lite_path(const struct ice_lite *ice, struct net_path *ret_path)
{
    int8_t index = ice->selected == NONE ? ice->newest : ice->selected;
    if (index == NONE || ice->consent.state == ICE_CONSENT_EXPIRED)
        return false;
    *ret_path = ice->paths[index].path;
    return true;
}

bool ice_lite_knows(const struct ice_lite *ice, const struct net_path *path)
{
    return find_path(ice, path) != NONE;
}

uint32_t ice_lite_rtt_us(const struct ice_lite *ice)
{
    return ice->consent.rtt_us;
}

void ice_lite_ufrags(const struct ice_lite *ice, struct bytes *ret_current, struct bytes *ret_next)
{
    *ret_current = ice_session_local_ufrag(ice->session);
    *ret_next = ice->next ? ice_session_local_ufrag(ice->next) : (struct bytes){ 0 };
}
