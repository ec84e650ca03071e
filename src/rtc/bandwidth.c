// What the path to the other side carries.
#include "rtc/peer_int.h"

/** No path of ours carries more, and sums of rates must not overflow. */
#define BANDWIDTH_MAX_BPS 100000000000ull

void peer_take_remb(struct rtc_peer *peer, uint64_t bitrate_bps)
{
    peer->remb_bps = min_of(bitrate_bps, (uint64_t)BANDWIDTH_MAX_BPS);
}

uint64_t rtc_peer_bandwidth_bps(const struct rtc_peer *peer)
{
    return peer->remb_bps;
}

void rtc_peer_set_demand(struct rtc_peer *peer, uint64_t allocated_bps, uint64_t wanted_bps)
{
    peer->allocated_bps = min_of(allocated_bps, (uint64_t)BANDWIDTH_MAX_BPS);
    peer->wanted_bps = min_of(wanted_bps, (uint64_t)BANDWIDTH_MAX_BPS);
}
