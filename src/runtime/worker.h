/**
 * Worker threads: each has a loop, a mailbox, randomness and a packet pool of its own, and shares
 * nothing else. What a worker does is given by an ops table; what it owns hangs at `state`.
 */
#pragma once

#include "base/packet.h"
#include "runtime/entropy.h"
#include "runtime/loop.h"
#include "runtime/mailbox.h"

#define WORKER_NAME_MAX 16 /**< with terminator: the kernel's limit of a thread name */

struct worker {
    struct loop loop;
    struct mailbox mailbox; /**< the one member that other threads may use (mailbox_send) */
    struct entropy entropy;
    struct packet_pool packets;
    struct log_rate log_rate;
    struct worker_group *group;
    void *state;    /**< the ops' own; set by `start`, used on this thread only */
    uint32_t index; /**< 0..count-1 */
    bool pinned;    /**< to a core of its own, as asked by the config */
    char name[WORKER_NAME_MAX];
};

struct worker_ops {
    /**
     * On the worker's thread, before its loop runs. Workers start one after the other: 1 begins
     * when 0 has returned, so a later one may use what an earlier one chose (a port).
     * Returns 0, or a negative errno that fails worker_group_start (then `stop` is not called).
     */
    int (*start)(struct worker *worker, void *owner);
    /** One message; see mailbox.h about what it carries. */
    void (*received)(struct worker *worker, void *owner, const struct message *message);
    /** On the worker's thread after its loop has ended: close everything. Others may still send. */
    void (*stop)(struct worker *worker, void *owner);
    /**
     * On the thread that stops the group, when all workers have ended: free what other workers
     * may have reached until then (a handoff). Only for those whose `start` succeeded. May be NULL.
     */
    void (*release)(struct worker *worker, void *owner);
    /** For messages never received, after all workers have ended. May be NULL. */
    void (*discard)(struct worker *worker, void *owner, const struct message *message);
};

struct worker_group_config {
    const char *name; /**< threads are called "<name>-<index>" */
    uint32_t count;
    uint32_t mailbox_capacity; /**< messages per worker; 0: 4096 */
    uint32_t packet_limit;     /**< of each worker's pool, in largest packets; 0: 32768 */
    bool pin;                  /**< each to one of the process's usable cores, in turn */
    const struct worker_ops *ops;
    void *owner; /**< passed to every op: constant or safe to share */
};

struct worker_group;

/**
 * Starts all workers and returns when each one's `start` has succeeded; else stops those that run
 * and returns the first error.
 */
must_check int worker_group_start(const struct worker_group_config *config,
                                  struct worker_group **ret_group);
/**
 * Tells every worker to end (even when its mailbox is full), waits until all have, and frees the
 * group. Accepts NULL; returns NULL. Not from a worker.
 */
struct worker_group *worker_group_stop(struct worker_group *group);
uint32_t worker_group_count(const struct worker_group *group);
/**
 * A worker by index; only its mailbox and constant members (index, name) may be used by others,
 * and metrics may be read (runtime_metric_set).
 */
struct worker *worker_group_get(struct worker_group *group, uint32_t index);
/** mailbox_send to one worker. */
must_check int worker_group_send(struct worker_group *group, uint32_t index, uint32_t type,
                                 const void *body, size_t size);
/**
 * The same message to every worker; only for bodies without ownership. Returns the number of
 * workers whose mailbox was full (0 is success).
 */
must_check uint32_t worker_group_broadcast(struct worker_group *group, uint32_t type,
                                           const void *body, size_t size);
