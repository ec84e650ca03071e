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

/** A candidate of a callee that has not accepted: the caller gets it behind the answer. */
struct call_kept_candidate {
    bool is_end;
    char *candidate;
    char *sdp_mid;
    char *username_fragment;
    int32_t sdp_m_line_index;
};

/** A device's part in a call. */
struct call_side {
    struct call *call;
    struct call_device *device;
    struct list device_node;          /**< in the device's sides */
    struct list call_node;            /**< in the call's callees; the caller's is in none */
    struct call_kept_candidate *kept; /**< CALL_CANDIDATES_MAX, made at the first one */
    size_t kept_count;
};

struct call {
    struct call_record record; /**< its id, and who called whom */
    enum call_state state;
    struct call_side *caller;
    struct list callees; /**< struct call_side; one after acceptance */
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
/** Keeps a candidate until the call is accepted. */
void call_side_keep(struct call_side *side, const struct call_candidate *candidate);
/** Tells the caller what was kept of the callee that accepted. */
void call_side_pass_kept(const struct call_side *side);

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
