/**
 * Logins with a name and a password: one object for the whole server, which every protocol asks.
 *
 *     result = user_login_check(login, &attempt, &request, now_us)
 *     -EINPROGRESS: request.done(&request, result) follows, on the loop's thread, unless
 *                   user_login_cancel(&request) comes first
 *
 * A password takes milliseconds to check, so that is done on a job thread; accounts with keys of
 * other servers that are slower than ours have a thread of their own, so that nobody waits behind
 * them. What is checked at once
 * is bounded, in all and per address, and the same password of the same user is checked once for
 * all who show it at the moment. A right password is remembered for an hour (login_cache.h). Wrong
 * ones are counted, and limit those who try them (login_limits.h). Whether a name exists shows
 * neither in the answer nor in how long it takes.
 *
 * Refusals are logged; the name only where it is a user's, for who types a password in its place
 * should not find it in a log.
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "runtime/jobs.h"
#include "users/user_store.h"

struct user_login;
struct user_login_work;

struct user_login_config {
    struct loop *loop;     /**< required */
    struct random *random; /**< the system's; required */
    const struct log *log; /**< NULL: silent */
    /** The users of now, of one realm; NULL: none. */
    const struct user_list *(*users)(void *owner);
    /**
     * Has a job's `work` done on another thread and then its `done` called on the loop's. Returns 0
     * or -EAGAIN. NULL: a thread of the object's own does it.
     */
    int (*submit)(void *owner, struct job *job);
    /**
     * A user without SCRAM verifiers has signed in with this password, in private: they can be
     * made. NULL: nobody makes them.
     */
    void (*renew)(void *owner, const struct user *user, struct bytes password);
    void *owner;
};

/** What somebody shows. Valid within the call. */
struct user_login_attempt {
    struct bytes name;
    struct bytes password; /**< secret */
    struct net_address remote;
    const char *protocol; /**< for the log: "mqtt"; a constant */
    bool is_private;      /**< it came over TLS or from this machine */
};

/** One attempt in progress: in the memory of who asked, where it stays until it is done. */
struct user_login_request {
    /** The result is one of user_login_check but -EINPROGRESS. May free the request. */
    void (*done)(struct user_login_request *request, int result);

    /** Who it is, when it was admitted: as the store has the name. */
    char name[USER_NAME_MAX + 1];
    enum user_role role;

    /** Of the object. */
    struct list node;
    struct user_login *login; /**< NULL: not in progress */
    struct user_login_work *work;
    struct net_address remote;
    const char *protocol;
};

/** Returns 0, or a negative errno: no thread can be had. */
must_check int user_login_new(const struct user_login_config *config,
                              struct user_login **ret_login);
/** Waits for the check that is being made; requests that are left are forgotten. Accepts NULL. */
struct user_login *user_login_free(struct user_login *login);

/**
 * Who is it? `request->done` must be set. Returns
 *     0             admitted: `request` says as whom
 *     -EACCES       not a user, disabled, or another password
 *     -EAGAIN       too many wrong ones: neither right nor wrong ones are looked at for now
 *     -EBUSY        too many logins at once: try again soon
 *     -EINPROGRESS  `done` will be called
 */
must_check int user_login_check(struct user_login *login, const struct user_login_attempt *attempt,
                                struct user_login_request *request, uint64_t now_us);
/**
 * Nobody waits for it any more. It counts as a wrong one: who hangs up before the answer has cost
 * us as much. Harmless when it is not in progress.
 */
void user_login_cancel(struct user_login_request *request, uint64_t now_us);

/**
 * For other secrets that are shown in place of a password (tokens): whether `remote` may show one
 * now, and that it was wrong.
 */
must_check bool user_login_allows(const struct user_login *login, const struct net_address *remote,
                                  uint64_t now_us);
void user_login_note_failure(struct user_login *login, const struct net_address *remote,
                             uint64_t now_us);

struct metric_set user_login_metrics(const struct user_login *login);
