/**
 * What the model asks of whoever carries the media of calls through this server: one operations
 * table, given to the call directory at its start (signal/anchor implements it). The model decides
 * which calls are anchored, and tells both sides what comes of it; it knows nothing of media.
 *
 * Problems are constant sentences for whoever wrote the description. Texts that are returned are
 * heap, and the caller's to free.
 */
#pragma once

#include "base/compiler.h"

struct call_anchored;

/** The sides of a call, as numbers. */
enum call_anchor_side {
    CALL_ANCHOR_CALLER,
    CALL_ANCHOR_CALLEE,
};

struct call_anchor {
    /**
     * Begins with the caller's offer: returns 0 with the offer for the callee's devices, all of
     * which get the same. `loopback`: a side reached the server over loopback. -EBADMSG: the offer
     * cannot be used; -ENOSPC: there are too many anchored calls.
     */
    int (*begin)(struct call_anchor *self, const char *call, bool loopback, const char *offer,
                 struct call_anchored **ret_anchored, char **ret_offer, const char **ret_problem);
    /** A side takes no offers: the other one gets no more than what the two have agreed on. */
    void (*fix)(struct call_anchor *self, struct call_anchored *anchored,
                enum call_anchor_side side);
    /** The answer of the device that accepted. Returns 0 with the answer for the caller; -EBADMSG.
     */
    int (*accept)(struct call_anchor *self, struct call_anchored *anchored, uint64_t now_us,
                  const char *answer, char **ret_answer, const char **ret_problem);
    /** A later offer of a side. Returns 0 with the answer to it; -EBADMSG; -EAGAIN: the server's
     * own offer to this side is not answered yet. */
    int (*offer)(struct call_anchor *self, struct call_anchored *anchored,
                 enum call_anchor_side side, const char *offer, char **ret_answer,
                 const char **ret_problem);
    /** The answer of a side to an offer of `due`. Returns 0; -EBADMSG; -EPROTO: none waits. */
    int (*answer)(struct call_anchor *self, struct call_anchored *anchored,
                  enum call_anchor_side side, const char *answer, const char **ret_problem);
    /** What a side must be offered after something changed; NULL: nothing. */
    char *(*due)(struct call_anchor *self, struct call_anchored *anchored,
                 enum call_anchor_side side);
    /** Whether a side takes nothing of what the other sends. */
    bool (*holds)(struct call_anchor *self, const struct call_anchored *anchored,
                  enum call_anchor_side side);
    /** The call is over; `anchored` is freed. */
    void (*end)(struct call_anchor *self, struct call_anchored *anchored);
};
