#include "proto/bwe/groups.h"

#include "base/time.h"

/** Sent within this time of its first packet: one group. */
#define GROUP_US (5 * (int64_t)TIME_US_PER_MS)
/** Packets that queued arrive in a burst, each this close to the last one at most ... */
#define BURST_GAP_US (5 * (int64_t)TIME_US_PER_MS)
/** ... for no longer than this. */
#define BURST_US (100 * (int64_t)TIME_US_PER_MS)
/** Arrivals further apart than departures by this much: a clock was set, or the receiver slept. */
#define JUMP_US       (3 * (int64_t)TIME_US_PER_S)
#define REORDERED_MAX 3

void bwe_groups_clear(struct bwe_groups *groups)
{
    *groups = (struct bwe_groups){ 0 };
}

static struct bwe_group group_of(uint64_t sent_us, int64_t arrival_us)
{
    return (struct bwe_group){ sent_us, sent_us, arrival_us, arrival_us };
}

static bool belongs(const struct bwe_group *group, uint64_t sent_us, int64_t arrival_us)
{
    if ((int64_t)(sent_us - group->first_sent_us) <= GROUP_US)
        return true;
    int64_t sent_gap_us = (int64_t)(sent_us - group->sent_us);
    int64_t gap_us = arrival_us - group->arrival_us;
    return gap_us < sent_gap_us && gap_us <= BURST_GAP_US && gap_us >= -BURST_GAP_US &&
           arrival_us - group->first_arrival_us < BURST_US;
}

/** The spacing of the two groups; false when it says nothing. */
static bool measure(struct bwe_groups *groups, struct bwe_spacing *ret_spacing)
{
    struct bwe_spacing spacing = {
        .sent_us = (int64_t)(groups->current.sent_us - groups->previous.sent_us),
        .arrival_us = groups->current.arrival_us - groups->previous.arrival_us,
    };
    if (spacing.arrival_us - spacing.sent_us >= JUMP_US) {
        bwe_groups_clear(groups);
        return false;
    }
    if (spacing.arrival_us < 0) {
        // a path that reorders; when it goes on, the clock was set back
        if (++groups->reordered >= REORDERED_MAX)
            bwe_groups_clear(groups);
        return false;
    }
    groups->reordered = 0;
    *ret_spacing = spacing;
    return true;
}

bool bwe_groups_add(struct bwe_groups *groups, uint64_t sent_us, int64_t arrival_us,
                    struct bwe_spacing *ret_spacing)
{
    struct bwe_group *current = &groups->current;
    if (groups->count > 0 && sent_us < current->first_sent_us)
        return false;
    if (groups->count > 0 && belongs(current, sent_us, arrival_us)) {
        current->sent_us = max_of(current->sent_us, sent_us);
        current->arrival_us = max_of(current->arrival_us, arrival_us);
        return false;
    }
    bool measured = groups->count == 2 && measure(groups, ret_spacing);
    if (groups->count > 0)
        groups->previous = *current;
    *current = group_of(sent_us, arrival_us);
    groups->count = (uint8_t)min_of(groups->count + 1, 2);
    return measured;
}
