// What the path to the other side carries.
#include <stdlib.h>

#include "base/memory.h"
#include "rtc/peer_int.h"

/** The pace is 5/2 of the path's rate, at least of this one; the rate while a queue drains. */
#define PACE_PARTS     5
#define PACE_OF        2
#define PACE_FLOOR_BPS 100000

void peer_begin_estimate(struct rtc_peer *peer, uint64_t now_us)
{
    peer->bwe = memory_new(struct bwe);
    bwe_init(peer->bwe, now_us);
    bwe_set_wanted(peer->bwe, now_us, peer->wanted_bps);
}

void peer_bandwidth_path_changed(struct rtc_peer *peer, uint64_t now_us)
{
    peer->remb_bps = 0;
    if (peer->bwe)
        bwe_path_changed(peer->bwe, now_us);
}

void peer_take_remb(struct rtc_peer *peer, uint64_t bitrate_bps)
{
    peer->remb_bps = min_of(bitrate_bps, (uint64_t)BWE_MAX_BPS);
}

void peer_take_transport_feedback(struct rtc_peer *peer, uint64_t now_us, struct bytes control)
{
    struct twcc_feedback feedback;
    if (!peer->bwe || twcc_feedback_parse(control, &feedback) < 0 ||
        bwe_feedback(peer->bwe, now_us, &feedback) < 0)
        peer_count(peer, RTC_METRIC_DROPPED_FEEDBACK, 1);
    else
        peer_count(peer, RTC_METRIC_FEEDBACK, 1);
}

void peer_bandwidth_tick(struct rtc_peer *peer, uint64_t now_us)
{
    if (peer->bwe)
        bwe_tick(peer->bwe, now_us);
}

uint64_t peer_bandwidth_deadline(const struct rtc_peer *peer)
{
    return peer->bwe ? bwe_deadline(peer->bwe) : TIME_NEVER;
}

/** What feedback tells; 0 where none comes. */
static uint64_t estimate_bps(const struct rtc_peer *peer)
{
    if (peer->bwe)
        return bwe_bps(peer->bwe);
    return peer->numbered ? BWE_START_BPS : 0;
}

bool peer_bandwidth_guessed(const struct rtc_peer *peer)
{
    return peer->remb_bps == 0 && estimate_bps(peer) > 0 && !(peer->bwe && bwe_heard(peer->bwe));
}

uint64_t rtc_peer_bandwidth_bps(const struct rtc_peer *peer)
{
    uint64_t bps = estimate_bps(peer);
    return bps == 0 || peer->remb_bps == 0 ? max_of(bps, peer->remb_bps)
                                           : min_of(bps, peer->remb_bps);
}

bool rtc_peer_explores(const struct rtc_peer *peer)
{
    return peer->bwe && bwe_heard(peer->bwe) && peer->bwe->probe.begun &&
           peer->bwe->probe.found_first;
}

uint64_t rtc_peer_pacing_bps(const struct rtc_peer *peer)
{
    uint64_t bps = rtc_peer_bandwidth_bps(peer);
    if (bps == 0 || peer_bandwidth_guessed(peer))
        return 0;
    bps = max_of(bps, (uint64_t)PACE_FLOOR_BPS);
    // more is allocated than there is: nothing goes ahead of its time
    bool thin = rtc_peer_explores(peer) && peer->allocated_bps > bps;
    uint64_t pace_bps =
        thin || (peer->bwe && bwe_drains(peer->bwe)) ? bps : bps * PACE_PARTS / PACE_OF;
    struct rtc_probe probe;
    // a train of its own pace must not wait
    return rtc_peer_probe(peer, &probe) ? max_of(pace_bps, 2 * probe.bitrate_bps) : pace_bps;
}

void rtc_peer_set_demand(struct rtc_peer *peer, uint64_t now_us, uint64_t allocated_bps,
                         uint64_t wanted_bps)
{
    peer->allocated_bps = min_of(allocated_bps, (uint64_t)BWE_MAX_BPS);
    peer->wanted_bps = min_of(wanted_bps, (uint64_t)BWE_MAX_BPS);
    if (peer->bwe)
        bwe_set_wanted(peer->bwe, now_us, peer->wanted_bps);
}

bool rtc_peer_probe(const struct rtc_peer *peer, struct rtc_probe *ret_probe)
{
    const struct bwe_probe *probe = peer->bwe ? &peer->bwe->probe : NULL;
    if (!probe || (probe->state != BWE_PROBE_WANTED && probe->state != BWE_PROBE_SENDING))
        return false;
    *ret_probe = (struct rtc_probe){
        .bitrate_bps = (uint64_t)probe->rate_bps,
        .bytes_left = probe->bytes,
        .packets_left = probe->packets,
    };
    return true;
}

void rtc_peer_probe_begin(struct rtc_peer *peer, uint64_t now_us)
{
    if (!peer->bwe || peer->bwe->probe.state != BWE_PROBE_WANTED)
        return;
    bwe_probe_begin(&peer->bwe->probe, now_us);
    peer_count(peer, RTC_METRIC_PROBES, 1);
}
