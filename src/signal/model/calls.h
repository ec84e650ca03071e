/**
 * Users, their devices, and one-to-one calls between them: the model, without any binding's
 * language. Session descriptions and candidates pass through as they are.
 *
 * A device is one reachable session of whatever binding (a browser tab, later a SIP or XMPP
 * binding). It is callable under a user name, at a link, or not at all; it takes part in one call
 * at a time. A call rings all free devices of the callee, one of which may accept.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/random.h"

#define CALL_NAME_SIZE      65
#define CALL_ID_SIZE        12
#define CALL_LEGS_MAX       8  /**< devices of one callee that ring */
#define CALL_CANDIDATES_MAX 64 /**< kept of a callee that has not accepted */

struct call;
struct call_device;
struct call_directory;

enum call_media {
    CALL_MEDIA_AUDIO,
    CALL_MEDIA_VIDEO,
};

enum call_ended_reason {
    CALL_ENDED_HANGUP,
    CALL_ENDED_CANCELLED,
    CALL_ENDED_REJECTED,
    CALL_ENDED_BUSY,
    CALL_ENDED_TIMEOUT,
    CALL_ENDED_LOST,
    CALL_ENDED_ELSEWHERE,
    CALL_ENDED_GLARE,
};

struct call_candidate {
    const char *candidate;
    const char *sdp_mid; /**< NULL: null or absent, as all texts here */
    const char *username_fragment;
    int32_t sdp_m_line_index; /**< -1: null or absent */
};

enum call_event_kind {
    CALL_EVENT_INCOMING, /**< peer, to, sdp, media, glare, timeout_us */
    CALL_EVENT_RINGING,
    CALL_EVENT_ACCEPTED,   /**< peer, sdp */
    CALL_EVENT_CANDIDATE,  /**< candidate; NULL: the end */
    CALL_EVENT_OFFER,      /**< sdp */
    CALL_EVENT_ANSWER,     /**< sdp */
    CALL_EVENT_PEER,       /**< away */
    CALL_EVENT_ENDED,      /**< reason */
    CALL_EVENT_LINK_READY, /**< to: the link */
};

/** Valid within the call. */
struct call_event {
    enum call_event_kind kind;
    const char *call; /**< its id */
    const struct call_device *peer;
    const char *to;
    const char *sdp;
    const struct call_candidate *candidate;
    enum call_media media;
    enum call_ended_reason reason;
    bool glare;
    bool away;
    uint64_t timeout_us;
};

/** How a device hears of its calls. It must not call into calls from within. */
struct call_device_ops {
    void (*notify)(struct call_device *device, const struct call_event *event);
};

/** Embedded in a binding's session. */
struct call_device {
    const struct call_device_ops *ops;
    struct list user_node;     /**< in its user's devices */
    struct call_user *user;    /**< NULL: not registered */
    char link[CALL_NAME_SIZE]; /**< where it waits; "": nowhere */
    char name[CALL_NAME_SIZE]; /**< display name; "": none */
    bool verified;             /**< a token vouched for the user name */
    bool away;
    struct call *call; /**< the one it takes part in, ringing included */
};

struct call_directory_config {
    struct random *random;
    uint64_t ring_timeout_us; /**< [45 s] */
    uint32_t user_count_max;  /**< registered users and links [20000] */
    uint32_t call_count_max;  /**< [20000] */
};

enum call_metric {
#define METRIC(id, kind, name, labels, help) CALL_METRIC_##id,
#include "signal/model/call_metrics.def"
#undef METRIC
    CALL_METRIC_COUNT,
};

struct call_directory {
    struct call_directory_config config;
    struct map users;    /**< struct call_user by name */
    struct map links;    /**< struct call_device that waits, by link */
    struct map calls;    /**< struct call by id */
    struct list ringing; /**< calls by deadline: all ring for the same time */
    metric_value metrics[CALL_METRIC_COUNT];
};

void call_directory_init(struct call_directory *directory,
                         const struct call_directory_config *config);
void call_directory_reload(struct call_directory *directory,
                           const struct call_directory_config *config);
void call_directory_done(struct call_directory *directory);
/** Ends calls that rang too long. */
void call_directory_tick(struct call_directory *directory, uint64_t now_us);
uint64_t call_directory_deadline(const struct call_directory *directory);
struct metric_set call_directory_metrics(const struct call_directory *directory);

/** ---- devices and users ---- */

void call_device_init(struct call_device *device, const struct call_device_ops *ops);
/** Takes the device out of everything: its call ends with `reason` for the other side. */
void call_device_done(struct call_directory *directory, struct call_device *device,
                      enum call_ended_reason reason);
/**
 * Makes the device callable as `user`, instead of what it was before. Returns 0, -EEXIST (another
 * device has the name and not both are verified) or -ENOSPC.
 */
must_check int call_device_register(struct call_directory *directory, struct call_device *device,
                                    const char *user, const char *name, bool verified);
/** Returns 0 or -ENOENT. */
must_check int call_device_unregister(struct call_directory *directory, struct call_device *device);
/**
 * Comes to a link. Returns 0 with `ret_waits`: true, it waits there now; false, someone is there to
 * be called. -EBUSY: who is there is in a call; -ENOSPC.
 */
must_check int call_device_link(struct call_directory *directory, struct call_device *device,
                                const char *link, const char *name, bool *ret_waits);
/** Returns 0 or -ENOENT. */
must_check int call_device_unlink(struct call_directory *directory, struct call_device *device);
/** The name it is callable under; NULL: none. */
const char *call_device_user(const struct call_device *device);
/** Tells the other side of an accepted call. */
void call_device_set_away(struct call_device *device, bool away);

/** ---- calls ---- */

struct call_request {
    const char *to;
    const char *sdp;
    const char *name; /**< display name of a caller without one; NULL: "Guest" */
    enum call_media media;
};

/**
 * Starts a call. Returns 0 with its id; -ENOENT (nobody there), -EBUSY (in a call), -EALREADY (the
 * caller is in a call), -EINVAL (calls itself), -EDEADLK (glare, and the other's call goes on),
 * -ENOSPC.
 */
must_check int call_start(struct call_directory *directory, struct call_device *device,
                          uint64_t now_us, const struct call_request *request,
                          char ret_id[CALL_ID_SIZE]);
/** All below: -ENOENT when the device has no such call, -EPROTO when its state forbids it. */
must_check int call_ringing(struct call_device *device, const char *id);
must_check int call_accept(struct call_directory *directory, struct call_device *device,
                           const char *id, const char *sdp);
/** `busy`: only this device refuses; the others ring on. */
must_check int call_reject(struct call_directory *directory, struct call_device *device,
                           const char *id, bool busy);
/** The caller's; on an accepted call it hangs up. */
must_check int call_cancel(struct call_directory *directory, struct call_device *device,
                           const char *id);
/** Either side's, in any state. */
must_check int call_hangup(struct call_directory *directory, struct call_device *device,
                           const char *id);
/** `candidate` NULL: the end of candidates. */
must_check int call_pass_candidate(struct call_device *device, const char *id,
                                   const struct call_candidate *candidate);
/** -EAGAIN: the other side's offer is not answered yet. */
must_check int call_pass_offer(struct call_device *device, const char *id, const char *sdp);
must_check int call_pass_answer(struct call_device *device, const char *id, const char *sdp);
