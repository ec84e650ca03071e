/**
 * How often a caller may ring at a callee that does not answer. Each call that rings costs twice
 * the time that a call may ring, and ten may be owed at once; a call that is accepted settles all.
 * Who owes more than one gives way: its call that rings ends when somebody else calls.
 *
 * A caller is the user whose name something vouches for; of all others, who come from one address
 * (a /64 of IPv6): a stranger has names and sessions without number. Behind loopback, where a proxy
 * stands, the name counts, else the session.
 *
 * What nobody owes is forgotten; of those who owe, so many are remembered, and the one that
 * called longest ago gives way.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"

#define CALL_ATTEMPTS_OWED_MAX 10
#define CALL_ATTEMPTS_KEPT_MAX 16384

struct call_attempt;
struct call_device;

struct call_attempts {
    struct map pairs;   /**< struct call_attempt by caller and callee */
    struct list by_age; /**< those of which no call rings, by the time of their last end */
    uint64_t cost_us;   /**< of one call */
};

void call_attempts_init(struct call_attempts *attempts, const uint64_t secret[2]);
/** No call rings any more. */
void call_attempts_done(struct call_attempts *attempts);
/** What the caller owes to the callee `to`; NULL: nothing. */
struct call_attempt *call_attempts_find(const struct call_attempts *attempts,
                                        const struct call_device *caller, const char *to);
/** Whether one more call may ring. Accepts NULL, as the next one. */
bool call_attempt_may_ring(const struct call_attempts *attempts, const struct call_attempt *attempt,
                           uint64_t now_us);
/** Whether it has to give way to others. */
bool call_attempt_gives_way(const struct call_attempts *attempts,
                            const struct call_attempt *attempt, uint64_t now_us);
/** A call rings from now on: it is paid for. Never NULL; valid until its call_attempt_end. */
struct call_attempt *call_attempt_begin(struct call_attempts *attempts,
                                        const struct call_device *caller, const char *to,
                                        uint64_t now_us);
/** It rings no longer. `settled`: it was answered, or another call took its place. */
void call_attempt_end(struct call_attempts *attempts, struct call_attempt *attempt, uint64_t now_us,
                      bool settled);
