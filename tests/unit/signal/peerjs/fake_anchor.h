/** A server that carries the media of calls, agrees to everything and changes nothing. */
#pragma once

#include <string.h>

#include "base/memory.h"
#include "signal/model/call_anchor.h"

static inline int anchor_begin(struct call_anchor *self, const char *call, bool loopback,
                               const char *offer, struct call_anchored **ret_anchored,
                               char **ret_offer, const char **ret_problem)
{
    (void)call, (void)loopback, (void)ret_problem;
    *ret_anchored = (struct call_anchored *)self;
    *ret_offer = memory_copy(offer, strlen(offer));
    return 0;
}

static inline void anchor_fix(struct call_anchor *self, struct call_anchored *anchored,
                              enum call_anchor_side side)
{
    (void)self;
    (void)anchored;
    (void)side;
}

static inline int anchor_accept(struct call_anchor *self, struct call_anchored *anchored,
                                uint64_t now_us, const char *answer, char **ret_answer,
                                const char **ret_problem)
{
    (void)self, (void)anchored, (void)now_us, (void)ret_problem;
    *ret_answer = memory_copy(answer, strlen(answer));
    return 0;
}

static inline char *anchor_due(struct call_anchor *self, struct call_anchored *anchored,
                               enum call_anchor_side side)
{
    (void)self, (void)anchored, (void)side;
    return NULL;
}

static inline bool anchor_holds(struct call_anchor *self, const struct call_anchored *anchored,
                                enum call_anchor_side side)
{
    (void)self, (void)anchored, (void)side;
    return false;
}

static inline void anchor_end(struct call_anchor *self, struct call_anchored *anchored)
{
    (void)self, (void)anchored;
}

static struct call_anchor fake_anchor = { .begin = anchor_begin,
                                          .fix = anchor_fix,
                                          .accept = anchor_accept,
                                          .due = anchor_due,
                                          .holds = anchor_holds,
                                          .end = anchor_end };
