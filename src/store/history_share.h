/**
 * Who may have how much wait for the history's file, so that whoever asks too much is refused and
 * nobody else: a user has an eighth of what may wait in all, and all guests together a quarter, of
 * which each has a quarter.
 */
#pragma once

#include "base/map.h"

#define HISTORY_SHARE_USER   8
#define HISTORY_SHARE_GUESTS 4
#define HISTORY_SHARE_GUEST  16

/** Requests, and their bytes. */
struct history_amount {
    uint64_t count;
    uint64_t bytes;
};

struct history_shares {
    struct map senders; /**< struct history_amount by kind and name */
    struct history_amount guests;
    struct history_amount max; /**< of all together */
};

/** `secret` keys the map: names are strangers' choice. */
void history_shares_init(struct history_shares *shares, const uint64_t secret[2],
                         struct history_amount max);
void history_shares_done(struct history_shares *shares);
/** False: the sender has as much waiting as it may. `name` NULL: one without a name. */
must_check bool history_shares_take(struct history_shares *shares, const char *name, bool is_guest,
                                    size_t bytes);
/** What was taken waits no longer. */
void history_shares_give(struct history_shares *shares, const char *name, bool is_guest,
                         size_t bytes);
