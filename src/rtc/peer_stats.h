/** What can be told of one peer connection: for operators, taken when they ask. */
#pragma once

#include "rtc/peer.h"

#define RTC_STATS_STREAMS_MAX 64

/** One RTP stream: a publication's layer as it came in, or a slot's as it went out. */
struct rtc_stream_stats {
    uint16_t section; /**< of the offer */
    uint8_t layer;    /**< of a publication, 0 the smallest */
    bool outgoing;    /**< to the client */
    uint32_t ssrc;
    uint64_t packets;      /**< since the stream began */
    uint64_t bytes;        /**< of payload */
    int64_t lost;          /**< packets: seen by us, or reported by the client */
    uint8_t fraction_lost; /**< outgoing: as the client last reported, in 256ths */
    uint64_t jitter_us;
    uint64_t round_trip_us; /**< outgoing: by RTCP; 0: not known */
};

/** What feedback of the client tells of the path to it. */
struct rtc_congestion_stats {
    bool known;                /**< such feedback comes */
    uint64_t acknowledged_bps; /**< what arrives; 0: too little to tell */
    uint32_t round_trip_us;    /**< of packets and their feedback */
    uint32_t queue_us;         /**< delay of the newest packet above the smallest one */
    double loss;               /**< share of packets, lately */
    const char *limited_by;    /**< "nothing", "delay", "loss" or "silence" */
};

/** What both sides' SCTP speaks, of the extensions that one side may leave out. */
struct rtc_data_stats {
    bool associated;          /**< there is an association; else all are false */
    bool partial_reliability; /**< RFC 3758 */
    bool interleaving;        /**< I-DATA, RFC 8260 */
    bool stream_reset;        /**< RFC 6525 */
    bool zero_checksum;       /**< RFC 9653 */
};

struct rtc_peer_stats {
    uint64_t at_us; /**< of the monotonic clock: rates are differences of two */
    bool connected;
    struct net_path path;   /**< family NET_NONE in `remote`: none */
    uint32_t rtt_us;        /**< of the path, by consent checks; 0: not known */
    uint64_t bandwidth_bps; /**< estimate towards the client; 0: not known */
    uint64_t allocated_bps; /**< what the room sends now */
    uint64_t wanted_bps;    /**< what it would send if it could */
    struct rtc_congestion_stats congestion;
    struct rtc_data_stats data;
    uint32_t stream_count;
    struct rtc_stream_stats streams[RTC_STATS_STREAMS_MAX];
};

/** Fills `ret_stats`; streams beyond RTC_STATS_STREAMS_MAX are left out. */
void rtc_peer_read_stats(const struct rtc_peer *peer, uint64_t now_us,
                         struct rtc_peer_stats *ret_stats);
