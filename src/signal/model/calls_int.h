/** What users.c, calls.c and call.c share. */
#pragma once

#include "signal/model/calls.h"

/** A name under which devices are registered. */
struct call_user {
    char name[CALL_NAME_SIZE];
    struct list devices;
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

/** One device of the callee. */
struct call_leg {
    struct call_device *device;
    struct call_kept_candidate *kept; /**< CALL_CANDIDATES_MAX, made at the first one */
    size_t kept_count;
};

struct call {
    char id[CALL_ID_SIZE];
    enum call_state state;
    struct call_device *caller;
    struct call_leg legs[CALL_LEGS_MAX]; /**< one after acceptance */
    size_t leg_count;
    char to[CALL_NAME_SIZE];
    uint64_t deadline_us;
    struct list ringing_node; /**< in call_directory.ringing until accepted */
    /** Whose call_offer waits for its answer; NULL: nobody's. */
    const struct call_device *offering;
};

/** The next state; asserts that the transition exists. */
void call_change(struct call *call, enum call_input input);
/** True when the input is allowed in the call's state. */
bool call_allows(const struct call *call, enum call_input input);

/** Starts a call to the legs given; the caller and the legs are free. */
struct call *call_new(struct call_directory *directory, struct call_device *caller, uint64_t now_us,
                      const struct call_request *request, struct call_device *const *callees,
                      size_t callee_count, bool glare);
/** Ends the call: tells all devices but `except` (NULL: all) and frees it. */
void call_end(struct call_directory *directory, struct call *call, enum call_ended_reason reason,
              const struct call_device *except);
/** Takes one ringing device out. Ends the call when it was the last. */
void call_drop_leg(struct call_directory *directory, struct call *call, struct call_device *device,
                   enum call_ended_reason reason);

static inline void call_notify(struct call_device *device, const struct call_event *event)
{
    device->ops->notify(device, event);
}

/** The device's call when it has that id, else NULL. */
struct call *call_find(const struct call_device *device, const char *id);
/** The other side of an accepted call. */
struct call_device *call_other(const struct call *call, const struct call_device *device);
