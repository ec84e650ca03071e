/**
 * One-to-one calls between devices: the model, without any binding's language. Session descriptions
 * and candidates pass through as they are, but on the way to a device that does not trickle: it
 * gets the candidates within the description.
 *
 * A call rings all devices of the callee that have a place for it, whatever they speak; one of them
 * may accept, and the others hear that it was answered elsewhere.
 */
#pragma once

#include "base/map.h"
#include "base/metric.h"
#include "base/random.h"
#include "base/time.h"
#include "signal/model/call_anchor.h"
#include "signal/model/call_attempt.h"
#include "signal/model/call_device.h"
#include "signal/model/call_rooms.h"
#include "signal/model/contacts.h"

#define CALL_ID_SIZE        12
#define CALL_HELD_MAX       4  /**< calls of a device beyond its places: it holds others */
#define CALL_CALLEES_MAX    8  /**< devices of one user that ring */
#define CALL_CANDIDATES_MAX 64 /**< kept of a side for one description */
/** How long a description waits for its candidates on the way to a device that does not trickle. */
#define CALL_GATHER_US TIME_US_PER_S

struct call;
struct token_grants;

/** What is left of a call when it is over. Times are the loop's; 0: it never came to that. */
struct call_record {
    char id[CALL_ID_SIZE];            /**< "": it could not be placed */
    char caller[CALL_NAME_SIZE];      /**< user name; "": not registered */
    char caller_name[CALL_NAME_SIZE]; /**< display name */
    char callee[CALL_NAME_SIZE];      /**< the user name or link that was called */
    bool caller_verified;
    enum call_binding caller_binding;
    enum call_binding callee_binding; /**< of who accepted; CALL_BINDING_COUNT: nobody */
    enum call_media media;
    enum call_ended_reason reason;
    uint64_t began_us;
    uint64_t accepted_us;
    uint64_t ended_us;
};

/** How the media of calls goes. */
enum call_media_way {
    CALL_MEDIA_WAY_AUTO, /**< direct between devices of one language, anchored between others */
    CALL_MEDIA_WAY_DIRECT,
    CALL_MEDIA_WAY_ANCHORED,
};

struct call_directory_config {
    struct random *random;
    uint64_t ring_timeout_us; /**< [45 s] */
    uint32_t user_count_max;  /**< registered users and links [20000] */
    uint32_t call_count_max;  /**< [20000] */
    bool hide_guests;         /**< guests and users do not see each other in lists */
    enum call_media_way media_way;
    struct call_anchor *anchor; /**< who carries the media of anchored calls; NULL: nobody */
    struct call_rooms *rooms;   /**< who answers for rooms; NULL: they cannot be called */
    void *owner;                /**< given to the functions */
    /** Whether the name is an account's, so that its user must be verified. NULL: none is. */
    bool (*is_account)(void *owner, const char *name);
    /** Unix time in milliseconds at which the account was made; 0: not known. NULL: never is. */
    int64_t (*account_since)(void *owner, const char *name);
    /** Accounts whose names begin with `prefix`, sorted by name. Returns how many. NULL: none. */
    size_t (*accounts)(void *owner, const char *prefix, size_t limit,
                       struct contact_account *ret_accounts);
    /** A call is over, or could not be placed (-EBUSY, -ENOENT). NULL: nobody keeps a history. */
    void (*ended)(void *owner, const struct call_record *record);
};

enum call_metric {
#define METRIC(id, kind, name, labels, help) CALL_METRIC_##id,
#include "signal/model/call_metrics.def"
#undef METRIC
    CALL_METRIC_COUNT,
};

struct call_directory {
    struct call_directory_config config;
    struct map users;      /**< struct call_user by name */
    struct map links;      /**< struct call_device that waits, by link */
    struct map calls;      /**< struct call by id */
    struct list ringing;   /**< calls by deadline: all ring for the same time */
    struct list gathering; /**< sides whose description waits for candidates, by deadline */
    struct call_attempts attempts;
    struct presence_board presence;
    struct contact_index shown;
    const char *problem; /**< after -EBADMSG: what is wrong with the description, a sentence */
    metric_value metrics[CALL_METRIC_COUNT];
};

void call_directory_init(struct call_directory *directory,
                         const struct call_directory_config *config);
/** Keeps `random`, `anchor` and `rooms`; all else of `config` counts from now on. */
void call_directory_reload(struct call_directory *directory,
                           const struct call_directory_config *config);
/** After the bindings have taken out their devices. */
void call_directory_done(struct call_directory *directory);
/** Ends calls that rang too long, and passes on descriptions that waited long enough. */
void call_directory_tick(struct call_directory *directory, uint64_t now_us);
uint64_t call_directory_deadline(const struct call_directory *directory);
struct metric_set call_directory_metrics(const struct call_directory *directory);

struct call_request {
    const char *to;
    const char *sdp;
    const char *name; /**< display name of a caller without one; NULL: "Guest" */
    enum call_media media;
    /** The call that the caller was told to leave for this one (CALL_EVENT_TRANSFER). NULL: none.
     */
    const char *transfer;
    /** What a token lets the caller do in the room that it calls. NULL: none was shown. */
    const struct token_grants *grants;
};

/**
 * Starts a call. Returns 0 with its id; -ENOENT (nobody there), -EBUSY (in a call), -EALREADY (the
 * caller is in calls that it does not hold), -EINVAL (calls itself), -EDEADLK (glare, and the
 * other's call goes on), -EBADMSG (an anchored call with an offer that cannot be: `problem`),
 * -EACCES (the caller may not come into that room), -EMFILE (it is in CALL_ROOMS_MAX rooms),
 * -EAGAIN (too many calls of the caller's rang there without an answer: call_attempt.h), -ENOSPC.
 */
must_check int call_start(struct call_directory *directory, struct call_device *device,
                          uint64_t now_us, const struct call_request *request,
                          char ret_id[CALL_ID_SIZE]);
/**
 * All below: -ENOENT when the device has no such call, -EPROTO when its state forbids it. Of an
 * anchored call also -EBADMSG when the description cannot be used (`problem`); an answer by which
 * the call should have been accepted ends it.
 */
must_check int call_ringing(struct call_device *device, const char *id);
must_check int call_accept(struct call_directory *directory, struct call_device *device,
                           uint64_t now_us, const char *id, const char *sdp);
/** `busy`: only this device refuses; the others ring on. */
must_check int call_reject(struct call_directory *directory, struct call_device *device,
                           uint64_t now_us, const char *id, bool busy);
/** The caller's; on an accepted call it hangs up. */
must_check int call_cancel(struct call_directory *directory, struct call_device *device,
                           uint64_t now_us, const char *id);
/** Either side's, in any state. */
must_check int call_hangup(struct call_directory *directory, struct call_device *device,
                           uint64_t now_us, const char *id);
/** Whether the device has that call, and its media goes through this server. */
bool call_is_anchored(const struct call_device *device, const char *id);
/** `candidate` NULL: the end of candidates. */
must_check int call_pass_candidate(struct call_device *device, const char *id,
                                   const struct call_candidate *candidate);
/** -EAGAIN: a description of either side is under way. */
must_check int call_pass_offer(struct call_directory *directory, struct call_device *device,
                               uint64_t now_us, const char *id, const char *sdp);
must_check int call_pass_answer(struct call_directory *directory, struct call_device *device,
                                uint64_t now_us, const char *id, const char *sdp);
/** The media of an anchored call is over: it ends for both sides. Unknown ids are ignored. */
void call_media_ended(struct call_directory *directory, const char *id, uint64_t now_us,
                      enum call_ended_reason reason);

/**
 * Puts an accepted call on hold, or takes it back; the other side is told. What is held takes no
 * place: the device may call others meanwhile. -EALREADY: its places are taken by other calls.
 */
must_check int call_hold(struct call_device *device, const char *id, bool held);
/**
 * Has the other side of an accepted call call `to`; once they accept, the call ends. When the
 * device is in another call with `to`, the new one takes the place of both (attended transfer).
 * Returns 0, -EOPNOTSUPP (the other side, or `to` in an attended one, cannot do that) or -EINVAL
 * (`to` is one of the two).
 */
must_check int call_transfer(struct call_device *device, const char *id, const char *to);

/**
 * Passes what only devices of one language understand to those of user `to` that speak `device`'s.
 * Returns 0; -ENOENT: none of them is there; -EPROTO: `device` itself is not registered, so nobody
 * could answer it.
 */
must_check int call_relay(const struct call_directory *directory, struct call_device *device,
                          const char *to, const char *data);
