// What one feedback packet tells, brought together with what was sent.
#include <errno.h>

#include "proto/bwe/bwe_int.h"

/** The receiver's clock and ours may part by this much from one feedback to the next. */
#define CLOCK_JUMP_US (3 * (int64_t)TIME_US_PER_S)
/** The smallest delay is looked for anew in each period: clocks drift, routes change. */
#define BASE_DELAY_US (5 * TIME_US_PER_S)
#define NO_DELAY      INT64_MAX

/** Arrivals are on another clock from now on, or the old ones no longer mean anything. */
static void forget_arrivals(struct bwe *bwe)
{
    bwe_groups_clear(&bwe->groups);
    bwe_acknowledged_clear(&bwe->acknowledged);
    bwe->base_delay_us = NO_DELAY;
    bwe->last_base_delay_us = NO_DELAY;
    bwe->queue_us = 0;
}

/** Returns what has to be added to the feedback's times: the reference wraps after 12 days. */
static int64_t unwrap(struct bwe *bwe, uint64_t now_us, int32_t reference)
{
    if (!bwe_heard(bwe)) {
        bwe->reference_us = (int64_t)reference * TWCC_REFERENCE_US;
        forget_arrivals(bwe);
    } else {
        int32_t step = (int32_t)((uint32_t)(reference - bwe->reference) << 8) >> 8;
        int64_t step_us = (int64_t)step * TWCC_REFERENCE_US;
        int64_t apart_us = step_us - (int64_t)(now_us - bwe->feedback_us);
        bwe->reference_us += step_us;
        if (apart_us > CLOCK_JUMP_US || apart_us < -CLOCK_JUMP_US) {
            // anew: leaps of half the range, one after the other, would leave any number behind
            bwe->reference_us = (int64_t)reference * TWCC_REFERENCE_US;
            forget_arrivals(bwe);
        }
    }
    bwe->reference = reference;
    return bwe->reference_us - (int64_t)reference * TWCC_REFERENCE_US;
}

static void note_delay(struct bwe *bwe, uint64_t now_us, int64_t delay_us)
{
    if (bwe->base_delay_us == NO_DELAY || now_us - bwe->base_delay_since_us > BASE_DELAY_US) {
        bwe->last_base_delay_us = bwe->base_delay_us;
        bwe->base_delay_us = delay_us;
        bwe->base_delay_since_us = now_us;
    }
    bwe->base_delay_us = min_of(bwe->base_delay_us, delay_us);
    bwe->queue_us = delay_us - min_of(bwe->base_delay_us, bwe->last_base_delay_us);
}

static void take_received(struct bwe *bwe, uint64_t now_us, struct bwe_packet *packet,
                          int64_t arrival_us, struct bwe_told *told)
{
    uint64_t sent_us = bwe_packet_sent_us(packet, now_us);
    told->recovered += packet->fate == BWE_FATE_LOST;
    told->received++;
    packet->fate = BWE_FATE_RECEIVED;
    bwe_acknowledged_add(&bwe->acknowledged, sent_us, arrival_us, packet->size);
    struct bwe_spacing spacing;
    // a train queues on purpose: its delays are no sign of too much
    if (unlikely(packet->cluster != 0))
        bwe_probe_arrived(&bwe->probe, packet->cluster, arrival_us, packet->size);
    else if (bwe_groups_add(&bwe->groups, sent_us, arrival_us, &spacing))
        bwe_trend_add(&bwe->trend, now_us, &spacing, bwe->groups.previous.arrival_us);
    if (sent_us < told->sent_us)
        return;
    told->sent_us = sent_us;
    told->arrival_us = arrival_us;
}

static void walk(struct bwe *bwe, uint64_t now_us, struct twcc_cursor *cursor, int64_t offset_us,
                 struct bwe_told *told)
{
    uint16_t sequence;
    bool received;
    int64_t time_us;
    while (twcc_cursor_next(cursor, &sequence, &received, &time_us)) {
        struct bwe_packet *packet = bwe_history_find(&bwe->history, sequence);
        if (!packet || packet->fate == BWE_FATE_RECEIVED)
            continue;
        if (received) {
            take_received(bwe, now_us, packet, time_us + offset_us, told);
        } else if (packet->fate == BWE_FATE_OPEN) {
            packet->fate = BWE_FATE_LOST;
            told->lost++;
        }
    }
}

/** The receiver held the feedback back for a while: low samples are the better ones. */
static void note_round_trip(struct bwe *bwe, uint64_t sample_us)
{
    if (bwe->round_trip_us == 0 || sample_us < bwe->round_trip_us)
        bwe->round_trip_us = sample_us;
    else
        bwe->round_trip_us += (sample_us - bwe->round_trip_us) / 8;
}

/** Whether the look at `count` packets is paid for by those that were sent. */
static bool may_tell(struct bwe *bwe, uint32_t count)
{
    uint16_t sent = (uint16_t)(bwe->history.next - bwe->tells_next);
    bwe->tells_next = bwe->history.next;
    bwe->tells_left = min_of(bwe->tells_left + sent * BWE_TELLS_PER_PACKET, BWE_TELLS_MAX);
    if (bwe->tells_left < count)
        return false;
    bwe->tells_left -= count;
    return true;
}

int bwe_feedback(struct bwe *bwe, uint64_t now_us, const struct twcc_feedback *feedback)
{
    struct twcc_cursor cursor;
    if (!may_tell(bwe, feedback->status_count))
        return -EDQUOT;
    if (twcc_cursor_of(feedback, &cursor) < 0)
        return -EBADMSG;
    struct bwe_told told = {
        .last_sequence = (uint16_t)(feedback->base_sequence + feedback->status_count - 1),
    };
    if (bwe_history_unsent(&bwe->history, told.last_sequence))
        return -ERANGE;
    int64_t offset_us = unwrap(bwe, now_us, feedback->reference);
    walk(bwe, now_us, &cursor, offset_us, &told);
    if (told.sent_us > 0) {
        note_round_trip(bwe, now_us - told.sent_us);
        note_delay(bwe, now_us, told.arrival_us - (int64_t)told.sent_us);
    }
    bwe_acknowledged_mark(&bwe->acknowledged);
    bwe_update(bwe, now_us, &told);
    return 0;
}
