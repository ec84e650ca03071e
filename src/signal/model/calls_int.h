/** What the files of this folder share. */
#pragma once

#include "signal/model/calls.h"

/** A name under which devices are registered. */
struct call_user {
    char name[CALL_NAME_SIZE];
    struct list devices;
    bool is_shown; /**< in call_directory.shown */
};

/**
 *                 accept                       end
 *  OFFERED ──ring──▶ RINGING ──accept──▶ ACCEPTED ──end──▶ ENDED
 *     │ └──────────────accept──────────────▲                ▲
 *     └──────────────────end────────────────────────────────┘  (from each)
 */
enum call_state {
    CALL_OFFERED,  /**< the offer went to the callee's devices */
    CALL_RINGING,  /**< at least one of them rings */
    CALL_ACCEPTED, /**< two devices talk */
    CALL_ENDED,
};

enum call_input {
    CALL_INPUT_RING,
    CALL_INPUT_ACCEPT,
    CALL_INPUT_END,
};

/** A candidate that waits: for the answer it belongs to, or to be put into a description. */
struct call_kept_candidate {
    char *candidate;
    char *sdp_mid;
    char *username_fragment;
    int32_t sdp_m_line_index;
};

/**
 * What a side gathers on its way to a device that cannot take it piece by piece: one whose language
 * has no candidates apart from descriptions, or a caller that has no answer yet.
 */
struct call_gathering {
    struct call_kept_candidate *kept; /**< CALL_CANDIDATES_MAX, made at the first one */
    size_t kept_count;
    char *ufrag;                       /**< of the last description; NULL: none was there yet */
    bool is_complete;                  /**< the end of candidates came, or nobody waits longer */
    enum call_event_kind waiting_kind; /**< of the description that waits for candidates */
    char *waiting_sdp;                 /**< NULL: none waits */
    struct list node;                  /**< in call_directory.gathering */
    uint64_t deadline_us;
};

/** A device's part in a call. */
struct call_side {
    struct call *call;
    struct call_device *device;
    struct list device_node; /**< in the device's sides */
    struct list call_node;   /**< in the call's callees; the caller's is in none */
    bool trickles;           /**< as its device did when the call began */
    bool knows;              /**< its device has heard of the call */
    struct call_gathering gathering;
};

struct call {
    struct call_record record; /**< its id, and who called whom */
    enum call_state state;
    struct call_side *caller;
    struct list callees; /**< struct call_side; one after acceptance */
    bool glare;          /**< it took the place of a call that crossed it */
    uint64_t deadline_us;
    struct list ringing_node; /**< in call_directory.ringing until accepted */
    /** Whose call_offer waits for its answer; NULL: nobody's. */
    const struct call_side *offering;
};

/** ---- call.c ---- */

/** The next state; asserts that the transition exists. */
void call_change(struct call *call, enum call_input input);
/** True when the input is allowed in the call's state. */
bool call_allows(const struct call *call, enum call_input input);
/** Starts a call to `callees`; they and the caller have a place for it. */
struct call *call_new(struct call_directory *directory, struct call_device *caller, uint64_t now_us,
                      const struct call_request *request, struct call_device *const *callees,
                      size_t callee_count, bool glare);
/** Ends the call: tells all devices but `except` (NULL: all) and frees it. */
void call_end(struct call_directory *directory, struct call *call, uint64_t now_us,
              enum call_ended_reason reason, const struct call_device *except);
/** Its device leaves, and hears nothing more: a callee that rings leaves the others ringing. */
void call_leave(struct call_directory *directory, struct call_side *side, uint64_t now_us,
                enum call_ended_reason reason);
/** The record of a call that begins now. */
struct call_record call_record_begin(const struct call_device *caller, uint64_t now_us,
                                     const struct call_request *request);

/** ---- call_side.c ---- */

struct call_side *call_side_new(struct call *call, struct call_device *device);
void call_side_free(struct call_side *side);
/** The device's side of the call with that id, else NULL. */
struct call_side *call_side_find(const struct call_device *device, const char *id);
bool call_side_is_caller(const struct call_side *side);
/** The other side of an accepted call. */
struct call_side *call_side_other(const struct call_side *side);

/** ---- call_gathering.c ---- */

void call_gathering_init(struct call_gathering *gathering);
void call_gathering_done(struct call_gathering *gathering);
/** Keeps a candidate. More than anyone gathers are dropped: a call works by those that came before.
 */
void call_gathering_keep(struct call_gathering *gathering, const struct call_candidate *candidate);
/** Forgets what was kept of another ICE generation than that of the description (RFC 8445, 9). */
void call_gathering_follow(struct call_gathering *gathering, const char *sdp);
/** The description with what was kept. Heap, the caller frees. */
char *call_gathering_merge(const struct call_gathering *gathering, const char *sdp);

/** ---- call_describe.c ---- */

/**
 * A side's description goes to the other side as an event of that kind (INCOMING: to all callees).
 * Devices that take candidates only within it may get it later: see CALL_GATHER_US.
 */
void call_describe(struct call_directory *directory, struct call_side *side, uint64_t now_us,
                   enum call_event_kind kind, const char *sdp);
/** Whether a description of the side waits for its candidates. */
bool call_describes(const struct call_side *side);
/** A candidate of the side, NULL for the end, goes to the other side or is kept for it. */
void call_describe_candidate(struct call_side *side, const struct call_candidate *candidate);
/** Passes the descriptions that waited long enough. */
void call_describe_tick(struct call_directory *directory, uint64_t now_us);
uint64_t call_describe_deadline(const struct call_directory *directory);

/** ---- directory.c ---- */

/** Writes down that a call is over. */
void call_directory_record(const struct call_directory *directory, struct call_record *record,
                           uint64_t now_us, enum call_ended_reason reason);

/** ---- call_device.c ---- */

/** `name` is cut where it is too long. */
void call_device_set_name(struct call_device *device, const char *name);

static inline void call_notify(struct call_device *device, const struct call_event *event)
{
    device->ops->notify(device, event);
}
