#include "room/allocate.h"

#include "base/time.h"

/** Going up must leave this much of the new step's rate over: 1/8. */
#define SPARE_SHARE  8
#define PAUSE_MIN_US (2 * TIME_US_PER_S)
#define PAUSE_MAX_US (32 * TIME_US_PER_S)
/** Down again this soon after going up: it was a mistake. */
#define MISTAKE_US (10 * TIME_US_PER_S)
/** The first step of a lone video may be tried without room for it, for this long. */
#define TRIAL_US (2 * TIME_US_PER_S)
/** Or for longer, with pictures left out, when there is room for 2/5 of it. */
#define THIN_PARTS 2
#define THIN_OF    5
/** A lone one that just fits stays for so long when it does not, if it adds so little to a queue.
 */
#define HOLD_US  (3 * TIME_US_PER_S)
#define HOLD_BPS 50000

void allocate_state_init(struct allocate_state *state)
{
    *state = (struct allocate_state){ .step = ALLOCATE_STEPS_MAX - 1, .fresh = true };
}

/** The next step that is sent, above `step` (ALLOCATE_NONE: the lowest one), or ALLOCATE_NONE. */
static uint8_t step_above(const struct allocate_item *item, uint8_t step)
{
    for (uint8_t i = step == ALLOCATE_NONE ? 0 : step + 1; i < ALLOCATE_STEPS_MAX; i++) {
        if (item->steps[i].sent)
            return i;
    }
    return ALLOCATE_NONE;
}

/** The best that an item should ever get, or ALLOCATE_NONE when there is none. */
static uint8_t wanted_step(const struct allocate_item *item)
{
    for (int i = ALLOCATE_STEPS_MAX - 1; i >= 0 && !item->paused; i--) {
        if (item->steps[i].sent)
            return (uint8_t)i;
    }
    return ALLOCATE_NONE;
}

static uint64_t bitrate_of(const struct allocate_item *item, uint8_t step)
{
    return step == ALLOCATE_NONE ? 0 : item->steps[step].bitrate_bps;
}

static bool is_above(uint8_t step, uint8_t other)
{
    return step != ALLOCATE_NONE && (other == ALLOCATE_NONE || step > other);
}

struct division {
    uint64_t now_us;
    uint64_t left_bps;
    bool nothing_yet;
    bool explored;
    const struct allocate_item *items;
    size_t count;
    uint8_t *chosen;
};

static bool has_thin_room(const struct division *division, uint64_t rate_bps)
{
    return division->left_bps * THIN_OF >= rate_bps * THIN_PARTS;
}

/** Whether the worst step of an item is sent although there is not enough for it. */
static bool is_worth_it(const struct division *division, size_t index, uint64_t rate_bps, bool up)
{
    const struct allocate_state *state = division->items[index].state;
    if (!division->nothing_yet || division->chosen[index] != ALLOCATE_NONE)
        return false;
    // the pace holds it down to what there is: some pictures are better than none, and an estimate
    // that dips for a moment is no reason to begin anew with a key frame
    if (division->explored)
        return has_thin_room(division, rate_bps) ||
               (!up && rate_bps <= HOLD_BPS && division->now_us - state->thin_us < HOLD_US);
    // no picture at all tells nothing about the path: one is tried now and then
    return up || state->fresh || division->now_us - state->raised_us < TRIAL_US;
}

/** Whether an item may go from its choice so far to `step`; takes its rate off what is left. */
static bool take_step(struct division *division, size_t index, uint8_t step)
{
    const struct allocate_item *item = &division->items[index];
    struct allocate_state *state = item->state;
    bool first = division->chosen[index] == ALLOCATE_NONE;
    uint64_t have = bitrate_of(item, division->chosen[index]);
    uint64_t rate = bitrate_of(item, step);
    uint64_t cost = rate > have ? rate - have : 0;
    bool up = is_above(step, state->step);
    bool fits = cost + (up ? rate / SPARE_SHARE : 0) <= division->left_bps;
    uint64_t up_after_us = state->up_after_us;
    bool plenty = cost + rate <= division->left_bps;
    if (first) {
        // any picture is worth more than calm: where there is room for it, it never waits for long
        if (cost <= division->left_bps && state->pause_us > PAUSE_MIN_US)
            up_after_us -= state->pause_us - PAUSE_MIN_US;
        // a path that was wide until now has a queue to get rid of first
        if (plenty)
            state->thin_us = 0;
        else if (cost <= division->left_bps)
            state->thin_us = division->now_us;
    }
    if (up && !plenty && division->now_us < up_after_us)
        return false;
    if (!fits && !is_worth_it(division, index, rate, up))
        return false;
    division->left_bps -= min_of(cost, division->left_bps);
    division->chosen[index] = step;
    division->nothing_yet = false;
    return true;
}

/** One step up for each item of a priority; false when nobody took one. */
static bool take_round(struct division *division, uint8_t priority, const uint8_t *wanted,
                       bool first)
{
    bool taken = false;
    for (size_t i = 0; i < division->count; i++) {
        const struct allocate_item *item = &division->items[i];
        bool begun = division->chosen[i] != ALLOCATE_NONE;
        if (item->priority != priority || wanted[i] == ALLOCATE_NONE || begun == first ||
            division->chosen[i] == wanted[i])
            continue;
        uint8_t next = step_above(item, division->chosen[i]);
        if (next != ALLOCATE_NONE)
            taken |= take_step(division, i, next);
    }
    return taken;
}

/** The highest priority below `below`; -1 when there is none. */
static int next_priority(const struct allocate_item *items, size_t count, int below)
{
    int highest = -1;
    for (size_t i = 0; i < count; i++) {
        if (items[i].priority < below && items[i].priority > highest)
            highest = items[i].priority;
    }
    return highest;
}

static void remember(const struct allocate_item *item, uint64_t now_us, uint8_t chosen,
                     uint8_t wanted, bool explored)
{
    struct allocate_state *state = item->state;
    // what was lowered because less is wanted or sent is no sign of a narrow path
    bool narrow = is_above(wanted, chosen);
    if (state->fresh || is_above(chosen, state->step))
        state->raised_us = now_us;
    if (narrow && !state->fresh && is_above(state->step, chosen)) {
        // that the lowest fits no longer, where it did, is no sign that going up was wrong
        bool mistake = state->raised_us > 0 && now_us - state->raised_us < MISTAKE_US &&
                       !(explored && chosen == ALLOCATE_NONE && state->thin_us > 0);
        state->pause_us = mistake ? min_of(max_of(state->pause_us * 2, PAUSE_MIN_US), PAUSE_MAX_US)
                                  : PAUSE_MIN_US;
        state->up_after_us = now_us + state->pause_us;
    }
    state->step = chosen;
    // what has not been measured yet was chosen blindly
    state->fresh = bitrate_of(item, wanted) == 0;
}

void allocate_divide(uint64_t now_us, uint64_t available_bps, bool starved, bool explored,
                     const struct allocate_item *items, size_t count,
                     struct allocate_sums *ret_sums)
{
    struct allocate_sums sums = { 0 };
    uint8_t chosen[ALLOCATE_ITEMS_MAX], wanted[ALLOCATE_ITEMS_MAX];
    ensure(count <= ALLOCATE_ITEMS_MAX);
    for (size_t i = 0; i < count; i++) {
        wanted[i] = wanted_step(&items[i]);
        chosen[i] = ALLOCATE_NONE;
        sums.wanted_bps += bitrate_of(&items[i], wanted[i]);
    }
    if (available_bps > 0 || starved) {
        struct division division = { now_us, available_bps, true, explored, items, count, chosen };
        for (int p = INT16_MAX; (p = next_priority(items, count, p)) >= 0;)
            take_round(&division, (uint8_t)p, wanted, true);
        for (int p = INT16_MAX; (p = next_priority(items, count, p)) >= 0;) {
            while (take_round(&division, (uint8_t)p, wanted, false))
                continue;
        }
    }
    for (size_t i = 0; i < count; i++) {
        bool unknown = available_bps == 0 && !starved;
        if (unknown)
            chosen[i] = wanted[i];
        sums.allocated_bps += bitrate_of(&items[i], chosen[i]);
        if (items[i].paused) {
            items[i].state->step = ALLOCATE_NONE;
            items[i].state->up_after_us = 0; // wanted again: at once
        } else if (wanted[i] == ALLOCATE_NONE) {
            // nothing comes yet: the first that does is welcome
            allocate_state_init(items[i].state);
        } else {
            remember(&items[i], now_us, chosen[i], wanted[i], explored);
        }
    }
    *ret_sums = sums;
}
