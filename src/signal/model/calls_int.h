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
    bool holds;              /**< its device holds the call */
    bool media_holds;        /**< of an anchored call: it takes nothing, by its descriptions */
    char transfer_to[CALL_NAME_SIZE]; /**< whom its device was told to call instead; "": nobody */
    char transfer_replaces[CALL_ID_SIZE]; /**< the call whose place that one takes, too; "": none */
    struct call_gathering gathering;
};

struct call {
    struct call_record record; /**< its id, and who called whom */
    enum call_state state;
    struct call_side *caller;
    struct list callees;         /**< struct call_side; one after acceptance */
    bool glare;                  /**< it took the place of a call that crossed it */
    char leaves[CALL_ID_SIZE];   /**< the call that its caller leaves for it (transfer); "": none */
    char replaces[CALL_ID_SIZE]; /**< the callee's that it takes the place of; "": none */
    struct call_attempt *attempt; /**< until it is accepted; NULL: it is not counted */
    uint64_t deadline_us;
    struct list ringing_node;       /**< in call_directory.ringing until accepted */
    struct call_anchored *anchored; /**< its media, when that goes through the server */
    /** Whose call_offer waits for its answer; NULL: nobody's. */
    const struct call_side *offering;
};

/** ---- call.c ---- */

/** The next state; asserts that the transition exists. */
void call_change(struct call *call, enum call_input input);
/** True when the input is allowed in the call's state. */
bool call_allows(const struct call *call, enum call_input input);
/** Whom a call is to ring, and what it takes the place of. */
struct call_plan {
    struct call_device *callees[CALL_CALLEES_MAX];
    size_t callee_count;
    bool some_busy;                   /**< others would have rung */
    struct call *crossing;            /**< one that the new call ends (glare); NULL: none */
    struct call_side *leaving;        /**< the caller's, of the call that it leaves; NULL: none */
    const struct call_side *replaced; /**< the callee's, of a call that ends, too; NULL: none */
};

/**
 * Starts a call as planned: there is somebody to ring, and they and the caller have a place.
 * Returns 0; what call_anchor says when the call is to be anchored and cannot be: nobody has heard
 * of it.
 */
must_check int call_new(struct call_directory *directory, struct call_device *caller,
                        uint64_t now_us, const struct call_request *request,
                        const struct call_plan *plan, struct call **ret_call);
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

/** ---- call_transfer.c ---- */

/** The caller's side of the call that it was told to leave for this one; NULL: none. */
struct call_side *call_transfer_find(const struct call_device *device,
                                     const struct call_request *request);
/** The side of whom the new call is for in the call that ends with `leaving`'s; NULL: none. */
struct call_side *call_transfer_replaced(const struct call_directory *directory,
                                         const struct call_side *leaving);
/** The new call came to nothing: who wanted it is told. */
void call_transfer_failed(struct call_side *leaving, enum call_ended_reason reason);
/** The call was accepted: ends those whose place it takes. */
void call_transfer_done(struct call_directory *directory, const struct call *call, uint64_t now_us);

/** ---- call_anchored.c ---- */

/** Whether the media of a call between these is to go through the server. */
bool call_wants_anchor(const struct call_directory *directory, const struct call_device *caller,
                       const struct call_plan *plan);
/** Begins it. Returns 0 with the offer for the callees (heap; the caller frees), or an error. */
must_check int call_anchored_begin(struct call_directory *directory, struct call *call,
                                   const char *sdp, char **ret_offer);
/** A device has accepted. Returns 0 with the caller's answer, likewise; else the call has ended. */
must_check int call_anchored_accept(struct call_directory *directory, struct call_side *side,
                                    uint64_t now_us, const char *sdp, char **ret_answer);
/** A later offer of a side: answers it, and tells the other side what it must know. */
must_check int call_anchored_offer(struct call_directory *directory, struct call_side *side,
                                   const char *sdp);
/** A side's answer to what the server has offered it. */
must_check int call_anchored_answer(struct call_directory *directory, struct call_side *side,
                                    const char *sdp);
/** Ends the media of a call, if it is anchored. */
void call_anchored_end(struct call_directory *directory, struct call *call);

/** ---- directory.c ---- */

/** Writes down that a call is over. */
void call_directory_record(const struct call_directory *directory, struct call_record *record,
                           uint64_t now_us, enum call_ended_reason reason);

/** ---- call_device.c ---- */

/** Its calls that it neither holds nor, as with `except` (NULL: none), is about to leave. */
uint32_t call_device_talking_count(const struct call_device *device,
                                   const struct call_side *except);
/** Whether calls to the name reach the device. */
bool call_device_is_at(const struct call_device *device, const char *name);
/** `name` is cut where it is too long. */
void call_device_set_name(struct call_device *device, const char *name);

static inline void call_notify(struct call_device *device, const struct call_event *event)
{
    device->ops->notify(device, event);
}
