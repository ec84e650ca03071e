/**
 * What the two ICE agents (RFC 8445) share: ice_lite.h is the server's side, ice_agent.h the full
 * agent that the load generator, the simulator and gateways use. Both speak for one component (RTP
 * and RTCP multiplexed) and are engines: no clock, no sockets, answers leave by _output.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "base/datagram.h"
#include "base/metric.h"
#include "base/random.h"
#include "base/time.h"

/** Limits of RFC 8839, section 5.4, in characters. */
#define ICE_UFRAG_MIN 4
#define ICE_UFRAG_MAX 256
#define ICE_PWD_MIN   22
#define ICE_PWD_MAX   256

/** Room that one ICE message needs in a batch: two long fragments and all attributes. */
#define ICE_MESSAGE_MAX 700

/** Consent (RFC 7675, section 5.1). */
#define ICE_CONSENT_INTERVAL_US 5000000ull  /**< between checks, times 0.8 to 1.2 */
#define ICE_CONSENT_EXPIRY_US   30000000ull /**< after the last answer */
/** A path on which the peer never answered us is given up sooner. */
#define ICE_CONSENT_UNPROVEN_US 10000000ull
/** Between checks while one is unanswered. */
#define ICE_CONSENT_PROBE_US 1000000ull
/** Silence after an unanswered check until ICE_EVENT_DISCONNECTED. */
#define ICE_DISCONNECT_US 5000000ull

/** A user name fragment and its password: views, copied by those who take them. */
struct ice_credentials {
    struct bytes ufrag;
    struct bytes pwd;
};

enum ice_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "proto/ice/ice_metric.def"
#undef METRIC
    ICE_METRIC_COUNT
};

/** The counters of all agents of one thread. */
struct ice_metrics {
    metric_value values[ICE_METRIC_COUNT];
};

enum ice_event_kind {
    /** `path` is to be used for sending from now on: the first selection and each later move. */
    ICE_EVENT_SELECTED,
    /** A check stayed unanswered for 5 s and nothing came: a warning, the path stays in use. */
    ICE_EVENT_DISCONNECTED,
    /** Life again after ICE_EVENT_DISCONNECTED or ICE_EVENT_CONSENT_EXPIRED. */
    ICE_EVENT_RECONNECTED,
    /** No consent: sending must stop now. A restart, or a new check of the peer, may mend it. */
    ICE_EVENT_CONSENT_EXPIRED,
    /** The peer used the credentials of the last restart; the older ones are void now. */
    ICE_EVENT_RESTARTED,
    /** Full agent only: every check failed and no more candidates will come. */
    ICE_EVENT_FAILED,
};

struct ice_event {
    enum ice_event_kind kind;
    struct net_path path; /**< SELECTED: the path; else the one in use, if any */
};

/** For metric_write; any thread may read it while the owner lives. `labels`: `worker="0"` or "". */
struct metric_set ice_metric_set(const struct ice_metrics *metrics, const char *labels);
/** Whether both parts have legal lengths and ice-chars only (RFC 8839, section 5.4). */
bool ice_credentials_valid(const struct ice_credentials *credentials);
/**
 * For demultiplexing before any agent is known: the local fragment in the USERNAME of a Binding
 * request ("ours:theirs"), found without checking the rest of the message. Returns 0, or -EBADMSG
 * when this is no Binding request with such a USERNAME. `ret_ufrag` views `datagram`.
 */
must_check int ice_request_ufrag(struct bytes datagram, struct bytes *ret_ufrag);
