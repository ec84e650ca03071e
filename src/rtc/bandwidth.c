// What the path to the other side carries.
#include "rtc/peer_int.h"

/** No path of ours carries more, and sums of rates must not overflow. */
#define BANDWIDTH_MAX_BPS 100000000000ull
/** The pace is 5/2 of the path's rate, at least of this one. */
#define PACE_PARTS     5
#define PACE_OF        2
#define PACE_FLOOR_BPS 100000

void peer_take_remb(struct rtc_peer *peer, uint64_t bitrate_bps)
{
    peer->remb_bps = min_of(bitrate_bps, (uint64_t)BANDWIDTH_MAX_BPS);
}

uint64_t rtc_peer_bandwidth_bps(const struct rtc_peer *peer)
{
    return peer->remb_bps;
}

uint64_t rtc_peer_pacing_bps(const struct rtc_peer *peer)
{
    uint64_t bandwidth_bps = rtc_peer_bandwidth_bps(peer);
    return bandwidth_bps == 0
               ? 0
               : max_of(bandwidth_bps, (uint64_t)PACE_FLOOR_BPS) * PACE_PARTS / PACE_OF;
}

void rtc_peer_set_demand(struct rtc_peer *peer, uint64_t allocated_bps, uint64_t wanted_bps)
{
    peer->allocated_bps = min_of(allocated_bps, (uint64_t)BANDWIDTH_MAX_BPS);
    peer->wanted_bps = min_of(wanted_bps, (uint64_t)BANDWIDTH_MAX_BPS);
}
