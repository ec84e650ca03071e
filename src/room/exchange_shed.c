// What this worker leaves out when it has more to do than its core can (shed.h): who is shed is
// worked out here, the division of each peer's bandwidth obeys (exchange_allocate.c).
#include "room/exchange_int.h"

/** What comes back at least, of all that is shed: the last step must not take for ever. */
#define RETURN_SHARE 16

enum shed_level exchange_shed_level(const struct exchange *exchange,
                                    const struct exchange_peer *peer,
                                    const struct subscription *subscription)
{
    return shed_level(&exchange->cut, shed_class(subscription->wish.priority), peer->number);
}

static uint64_t rate_at(const struct allocate_item *item, uint8_t level)
{
    struct allocate_item left = *item;
    ladder_shed(&left, level);
    for (int i = ALLOCATE_STEPS_MAX - 1; i >= 0; i--) {
        if (left.steps[i].sent)
            return left.steps[i].bitrate_bps;
    }
    return 0;
}

/** What a subscription gets at each level; less than everything where its path carries less. */
static void read_rates(const struct exchange *exchange, const struct exchange_peer *peer,
                       const struct subscription *subscription, uint64_t now_us,
                       uint64_t ret_bps[SHED_VIDEO + 1])
{
    struct allocate_item item;
    ladder_describe(subscription->track, now_us, &subscription->wish, &item);
    for (uint8_t level = SHED_NOTHING; level <= SHED_VIDEO; level++)
        ret_bps[level] = rate_at(&item, level);
    uint8_t step = subscription->allocation.step;
    uint64_t has_bps = step == ALLOCATE_NONE ? 0 : item.steps[step].bitrate_bps;
    if (exchange_shed_level(exchange, peer, subscription) == SHED_NOTHING)
        ret_bps[SHED_NOTHING] = min_of(ret_bps[SHED_NOTHING], has_bps);
    for (unsigned level = SHED_SIZE; level <= SHED_VIDEO; level++)
        ret_bps[level] = min_of(ret_bps[level], ret_bps[level - 1]);
}

/** What the videos of some peers come to. */
struct tally {
    struct shed_sums sums;
    uint64_t sent_bps; /**< now */
    uint32_t sent;     /**< videos that are sent now: of a camera that is on, and measured */
};

static void add_peer(const struct exchange *exchange, const struct exchange_peer *peer,
                     uint64_t now_us, struct tally *tally)
{
    for (size_t i = 0; i < peer->section_count; i++) {
        const struct subscription *subscription = peer->subscriptions[i];
        if (!subscription || !subscription->track || !subscription->track->video ||
            subscription->wish.paused)
            continue;
        uint64_t rates_bps[SHED_VIDEO + 1];
        read_rates(exchange, peer, subscription, now_us, rates_bps);
        unsigned class = shed_class(subscription->wish.priority);
        for (unsigned level = SHED_NOTHING; level < SHED_VIDEO; level++)
            tally->sums.saves_bps[shed_rung(level, class)] +=
                rates_bps[level] - rates_bps[level + 1];
        enum shed_level level = exchange_shed_level(exchange, peer, subscription);
        tally->sent_bps += rates_bps[level];
        tally->sent += rates_bps[level] > 0;
    }
}

/**
 * The first of the latest peers who save so much of a rung together: at least so much, or else at
 * most, so that any change is one.
 */
static uint64_t latest_who_save(const struct exchange *exchange, uint64_t now_us, unsigned rung,
                                uint64_t rest_bps, bool at_least)
{
    struct tally tally = { 0 };
    uint64_t from = UINT64_MAX;
    ensure(rung < SHED_RUNGS);
    const uint64_t *saved_bps = &tally.sums.saves_bps[rung];
    for (struct list *at = exchange->by_age.previous;
         at != &exchange->by_age && *saved_bps < rest_bps; at = at->previous) {
        const struct exchange_peer *peer = container_of(at, struct exchange_peer, by_age);
        add_peer(exchange, peer, now_us, &tally);
        if (!at_least && *saved_bps > rest_bps)
            break;
        from = peer->number;
    }
    return from;
}

/** So that `keep` thousandths of the video are sent that is sent now. */
static struct shed_cut choose_cut(const struct exchange *exchange, uint64_t now_us, uint32_t keep)
{
    struct tally tally = { 0 };
    uint64_t all_bps = 0, rest_bps;
    const struct exchange_peer *peer;
    list_each(peer, &exchange->by_age, by_age) add_peer(exchange, peer, now_us, &tally);
    for (unsigned rung = 0; rung < SHED_RUNGS; rung++)
        all_bps += tally.sums.saves_bps[rung];
    if (keep < SHED_KEEP && tally.sent == 0) // joins are no overload, nor is what begins measured
        return shed_is_full(&exchange->shed, now_us)
                   ? (struct shed_cut){ .rung = SHED_RUNGS, .from = UINT64_MAX }
                   : exchange->cut;
    uint64_t wanted_bps = tally.sent_bps * keep / SHED_KEEP;
    if (keep > SHED_KEEP)
        wanted_bps = max_of(wanted_bps, tally.sent_bps + all_bps / RETURN_SHARE);
    if (wanted_bps >= all_bps)
        return SHED_CUT_NONE;
    unsigned rung = shed_reach(&tally.sums, all_bps - wanted_bps, &rest_bps);
    uint64_t from = latest_who_save(exchange, now_us, rung, rest_bps, keep < SHED_KEEP);
    return (struct shed_cut){ .rung = (uint8_t)rung, .from = from };
}

enum shed_level exchange_sheds(const struct exchange *exchange)
{
    const struct shed_cut *cut = &exchange->cut;
    if (shed_cut_is_none(cut))
        return SHED_NOTHING;
    // nobody of the rung itself, perhaps
    unsigned rung = cut->from == UINT64_MAX ? cut->rung - 1u : cut->rung;
    return (enum shed_level)(rung / SHED_CLASSES + 1);
}

bool exchange_is_full(const struct exchange *exchange)
{
    return exchange->full;
}

bool exchange_load(struct exchange *exchange, uint64_t now_us, const struct shed_reading *reading)
{
    bool before = !shed_cut_is_none(&exchange->cut);
    uint32_t keep = shed_judge(&exchange->shed, now_us, reading, before);
    exchange->full = exchange->full && shed_is_full(&exchange->shed, now_us);
    if (keep == SHED_KEEP)
        return false;
    struct shed_cut cut = choose_cut(exchange, now_us, keep);
    exchange->full = cut.rung == SHED_RUNGS && shed_is_full(&exchange->shed, now_us);
    if (cut.rung == exchange->cut.rung && cut.from == exchange->cut.from)
        return false;
    exchange->cut = cut;
    struct exchange_peer *peer;
    list_each(peer, &exchange->by_age, by_age) peer->allocated_us = 0;
    exchange_count(exchange, keep < SHED_KEEP ? ROOM_METRIC_SHED_MORE : ROOM_METRIC_SHED_LESS, 1);
    metric_set(&exchange->metrics.values[ROOM_METRIC_SHED_LEVEL], exchange_sheds(exchange));
    return before != !shed_cut_is_none(&exchange->cut);
}
