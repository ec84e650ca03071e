#include "proto/bwe/probe.h"

#include "base/time.h"

/** A train lasts this long, longer after others deceived, and has so many packets at least. */
#define TRAIN_US        (15 * TIME_US_PER_MS)
#define TRAIN_PACKETS   5
#define TRAIN_BYTES_MAX 60000
/** Lengthened at most by two to the power of this. */
#define LONGER_MAX 4
/** Nobody began, or did not come to an end: without. */
#define WANTED_US  (2 * TIME_US_PER_S)
#define SENDING_US (400 * TIME_US_PER_MS)
/** Its feedback must have come by then. */
#define JUDGING_US (1 * TIME_US_PER_S)
/** Parts of a train that must have arrived to tell anything. */
#define ARRIVED_SHARE 0.8
#define ARRIVED_MIN   4
/** Slower than this share of its departure: the path is full, and a bit less is what it carries. */
#define SATURATED       0.9
#define SATURATED_SHARE 0.95
/** It found as much as it looked for: there may be more. */
#define WHOLE_SHARE 0.8
/** Longest time from first to last for a rate that means anything. */
#define SPAN_MAX_US (1 * TIME_US_PER_S)
/** Pause after a success, and after failures: doubled each time. */
#define PAUSE_US        (1 * TIME_US_PER_S)
#define PAUSE_DOUBLINGS 2

static void enter(struct bwe_probe *probe, uint64_t now_us, enum bwe_probe_state state)
{
    probe->state = state;
    probe->since_us = now_us;
}

/** Once may be chance, or others; again is the path. */
static bool distrusts(const struct bwe_probe *probe)
{
    return probe->deceived >= 2;
}

void bwe_probe_want(struct bwe_probe *probe, uint64_t now_us, double rate_bps)
{
    ensure(probe->state == BWE_PROBE_NONE);
    uint8_t id = probe->id == UINT8_MAX ? 1 : probe->id + 1;
    uint8_t longer = distrusts(probe) ? min_of(probe->deceived, LONGER_MAX) : 0;
    double bytes = rate_bps / 8 * (double)(TRAIN_US << longer) / (double)TIME_US_PER_S;
    *probe = (struct bwe_probe){
        .id = id,
        .strikes = probe->strikes,
        .deceived = probe->deceived,
        .found_first = probe->found_first,
        .begun = probe->begun,
        .rate_bps = rate_bps,
        .bytes = (uint32_t)min_of(bytes, (double)TRAIN_BYTES_MAX),
        .packets = TRAIN_PACKETS,
        .all_bytes = (uint32_t)min_of(bytes, (double)TRAIN_BYTES_MAX),
        .next_us = probe->next_us,
        .raised_us = probe->raised_us,
        .raised_bps = probe->raised_bps,
    };
    enter(probe, now_us, BWE_PROBE_WANTED);
}

void bwe_probe_begin(struct bwe_probe *probe, uint64_t now_us)
{
    if (probe->state != BWE_PROBE_WANTED)
        return;
    probe->begun = true;
    enter(probe, now_us, BWE_PROBE_SENDING);
}

void bwe_probe_sent(struct bwe_probe *probe, uint64_t now_us, uint16_t sequence, size_t size)
{
    if (probe->sent_count++ == 0)
        probe->first_sent_us = now_us;
    probe->last_sent_us = now_us;
    probe->last_sequence = sequence;
    probe->last_size = (uint16_t)size;
    probe->sent_bytes += (uint32_t)size;
    probe->bytes -= min_of((uint32_t)size, probe->bytes);
    probe->packets -= probe->packets > 0;
    if (probe->bytes == 0 && probe->packets == 0)
        enter(probe, now_us, BWE_PROBE_JUDGING);
}

void bwe_probe_arrived(struct bwe_probe *probe, uint8_t mark, int64_t arrival_us, uint16_t size)
{
    if (mark != probe->id || probe->state < BWE_PROBE_SENDING)
        return;
    if (probe->received_count == 0 || arrival_us < probe->first_arrival_us) {
        probe->first_arrival_us = arrival_us;
        probe->first_size = size;
    }
    if (probe->received_count == 0 || arrival_us > probe->last_arrival_us)
        probe->last_arrival_us = arrival_us;
    probe->received_count++;
    probe->received_bytes += size;
    if (probe->half_bytes == 0 && probe->received_bytes * 2 >= probe->all_bytes) {
        probe->half_bytes = probe->received_bytes;
        probe->half_arrival_us = probe->last_arrival_us;
    }
}

/** Bits/s of `bytes` in `span_us`; 0 when the time makes no sense. */
static double rate_of(uint32_t bytes, int64_t span_us)
{
    if (span_us <= 0 || span_us > (int64_t)SPAN_MAX_US)
        return 0;
    return (double)bytes * 8 * (double)TIME_US_PER_S / (double)span_us;
}

/**
 * A path that was found out to give a burst for nothing (a token bucket) shows what it carries in
 * the second half of a long train.
 */
static double slower_half(const struct bwe_probe *probe, double arrived_bps)
{
    if (!distrusts(probe) || probe->half_bytes == 0)
        return arrived_bps;
    double second_bps = rate_of(probe->received_bytes - probe->half_bytes,
                                probe->last_arrival_us - probe->half_arrival_us);
    return second_bps > 0 ? min_of(arrived_bps, second_bps) : arrived_bps;
}

uint64_t bwe_probe_deadline(const struct bwe_probe *probe)
{
    switch (probe->state) {
    case BWE_PROBE_WANTED:
        return probe->since_us + WANTED_US;
    case BWE_PROBE_SENDING:
        return probe->since_us + SENDING_US;
    case BWE_PROBE_JUDGING:
        return probe->since_us + JUDGING_US;
    case BWE_PROBE_NONE:
        break;
    }
    return TIME_NEVER;
}

void bwe_probe_tick(struct bwe_probe *probe, uint64_t now_us)
{
    if (bwe_probe_deadline(probe) > now_us)
        return;
    if (probe->state == BWE_PROBE_SENDING && probe->sent_count > 0)
        enter(probe, now_us, BWE_PROBE_JUDGING);
    else
        bwe_probe_failed(probe, now_us);
}

/** The rate between first and last packet, there and here, whichever is less. */
static double measure(const struct bwe_probe *probe)
{
    if (probe->received_count < ARRIVED_MIN ||
        probe->received_count < ARRIVED_SHARE * probe->sent_count ||
        probe->received_bytes < ARRIVED_SHARE * probe->sent_bytes)
        return 0;
    // the last packet's bytes left after the sending time, the first one's came before the other
    double sent_bps = rate_of(probe->sent_bytes - probe->last_size,
                              (int64_t)(probe->last_sent_us - probe->first_sent_us));
    double arrived_bps = rate_of(probe->received_bytes - probe->first_size,
                                 probe->last_arrival_us - probe->first_arrival_us);
    // what left or came at once has no rate of its own: the pace that was asked for bounds it
    sent_bps = sent_bps > 0 ? sent_bps : probe->rate_bps;
    arrived_bps = arrived_bps > 0 ? arrived_bps : sent_bps;
    arrived_bps = slower_half(probe, arrived_bps);
    if (arrived_bps < SATURATED * sent_bps)
        return SATURATED_SHARE * arrived_bps;
    double slower_bps = min_of(sent_bps, arrived_bps);
    return min_of(slower_bps, probe->rate_bps);
}

bool bwe_probe_judge(struct bwe_probe *probe, uint64_t now_us, uint16_t sequence, double *ret_bps)
{
    if (probe->state != BWE_PROBE_JUDGING || (int16_t)(sequence - probe->last_sequence) < 0)
        return false;
    *ret_bps = measure(probe);
    probe->found_first = true;
    enter(probe, now_us, BWE_PROBE_NONE);
    return true;
}

void bwe_probe_succeeded(struct bwe_probe *probe, uint64_t now_us, double found_bps)
{
    probe->state = BWE_PROBE_NONE;
    probe->strikes = 0;
    probe->hurry = found_bps > WHOLE_SHARE * probe->rate_bps;
    probe->next_us = now_us + PAUSE_US;
    probe->raised_us = now_us;
    probe->raised_bps = found_bps;
}

void bwe_probe_failed(struct bwe_probe *probe, uint64_t now_us)
{
    probe->state = BWE_PROBE_NONE;
    probe->found_first = true;
    probe->next_us = now_us + (PAUSE_US << min_of(probe->strikes, PAUSE_DOUBLINGS));
    probe->strikes = (uint8_t)min_of(probe->strikes + 1, UINT8_MAX);
}
