/** The inside of a peer, shared by peer*.c, receiver.c, sender.c and rtcp*.c only. */
#pragma once

#include "proto/bwe/bwe.h"
#include "proto/fec/ulpfec.h"
#include "proto/ice/ice_agent.h"
#include "proto/ice/ice_lite.h"
#include "proto/rtp/nack_generator.h"
#include "proto/rtp/receive_stats.h"
#include "proto/rtp/rewrite.h"
#include "proto/rtp/send_stats.h"
#include "proto/rtp/twcc_receiver.h"
#include "rtc/media_info.h"
#include "rtc/pacer.h"
#include "rtc/peer.h"

/** Streams (SSRCs) that a publisher may have; more are refused. */
#define RTC_STREAMS_MAX 64

/** Ended streams that are remembered: their replay windows stay, and their packets stay out. */
#define RTC_ENDED_MAX 64

/** An SSRC that was in use. */
struct rtc_ended {
    uint32_t ssrc;
    bool replaced; /**< by another SSRC: late packets must not bring it back */
    /** It was a stream of a section that may send again: a publisher that was once understood puts
     * no mid and rid into its packets any more. */
    bool resting;
    uint16_t section; /**< of a resting one, as are the others below */
    uint8_t layer;
    bool repair;
};

/** One incoming SSRC of a publication, or its retransmissions. */
struct rtc_stream {
    uint32_t ssrc;
    uint16_t section;
    uint8_t layer;
    uint8_t epoch;
    bool repair;              /**< an RTX stream: packets belong to `repaired` */
    uint32_t repaired;        /**< SSRC of the stream it repairs; 0: not known yet */
    bool key_frame_wanted;    /**< send PLI with the next output */
    uint64_t sequence_offset; /**< added to the SRTP index: streams of a layer follow each other */
    uint64_t highest;         /**< highest sequence passed on */
    uint32_t highest_timestamp;
    struct media_layering *layering; /**< of video; NULL before the first packet */
    uint64_t clock_us;               /**< when its sender report was last passed on; 0: never */
    struct rtp_receive_stats stats;
    struct rtp_nack_generator nack;
};

/** Groups of packets that are protected at a time, turn by turn. */
#define RTC_FEC_INTERLEAVE RTC_SENDER_FEC_NUMBERS

struct rtc_sender_fec {
    uint8_t next;      /**< the group of the next packet */
    uint8_t spread;    /**< groups in use: a thin stream would be doubled by all */
    uint64_t since_us; /**< when the first packet was taken in */
    struct ulpfec_encoder encoders[RTC_FEC_INTERLEAVE];
};

struct rtc_sender {
    struct rtc_peer *peer;
    struct rtc_sender *next_replaced;
    uint16_t section;
    uint32_t ssrc;
    uint32_t rtx_ssrc;
    uint16_t rtx_sequence;
    uint32_t clock_rate_hz;
    struct rtc_numbers next;
    struct rtc_clock clock;
    uint64_t report_us; /**< when the next sender report is due */
    struct rtp_send_stats stats;
    struct secure_rtp_sender index;
    struct secure_rtp_sender rtx_index;
    struct rtp_rewriter rewriter;
    struct rtp_rewriter rtx_rewriter;
    struct rtc_playout_delay playout_delay; /**< what the receiver shall know */
    bool playout_delay_told;                /**< it does: a report has said so */
    uint16_t playout_delay_since;           /**< the first number that told it */
    bool can_protect;                       /**< the section has RED and ULPFEC */
    struct rtc_sender_fec *fec;             /**< NULL until something is protected */
};

enum rtc_peer_state {
    RTC_PEER_CHECKING, /**< no path yet */
    RTC_PEER_SECURING, /**< DTLS */
    RTC_PEER_CONNECTED,
    RTC_PEER_FAILED,
    RTC_PEER_CLOSED,
};

struct rtc_peer {
    struct rtc_thread *thread;
    struct rtc_params *params;
    bool client;
    enum rtc_peer_state state;
    bool silenced;     /**< consent expired: nothing but ICE may be sent */
    uint64_t heard_us; /**< when media or RTCP came over `path` last */
    bool has_path;
    struct net_path path;

    struct ice_lite ice;     /**< server */
    struct ice_agent *agent; /**< client */
    uint32_t ice_generation;
    struct dtls *dtls;
    struct secure_rtp_session *receiving; /**< RTP and RTCP from the other side; NULL: no keys */
    struct secure_rtp_session *sending;
    bool keys_shown;       /**< the other side has sent what only its keys can make */
    struct rtc_data *data; /**< data channels; NULL as long as there is no section of them */
    bool takes_negotiated; /**< channels that were not opened with a word */

    // publications
    struct rtc_stream *streams; /**< heap, grows to RTC_STREAMS_MAX */
    uint32_t stream_count;
    uint32_t stream_last;                  /**< index of the last hit */
    struct rtc_ended ended[RTC_ENDED_MAX]; /**< a ring; `ended_at` is the oldest when full */
    uint32_t ended_count;
    uint32_t ended_at;
    struct twcc_receiver twcc;
    int64_t clock_offset_us; /**< publisher's NTP to our Unix time */
    bool clock_offset_known;

    // slots
    struct rtc_sender **senders; /**< by section; NULL where it is no slot */
    size_t sender_count;         /**< places in `senders` */
    struct rtc_sender *replaced; /**< by the last update: their users hear of it after it */
    uint16_t transport_sequence; /**< of the next packet that carries one */
    bool numbered;               /**< slots have transport-wide numbers: feedback will come */
    struct bwe *bwe;             /**< NULL until the first of them is sent */
    struct rtc_pacer pacer;
    uint64_t remb_bps; /**< what the receiver last said; 0: nothing */
    uint64_t allocated_bps;
    uint64_t wanted_bps;
    uint32_t rtcp_ssrc;
    uint64_t report_us; /**< next receiver report; TIME_NEVER without publications */
    uint64_t wake_us;   /**< senders may have started since: look at their reports then */
};

static inline const struct rtc_negotiated *peer_negotiated(const struct rtc_peer *peer)
{
    return rtc_params_get(peer->params);
}

static inline void peer_count(struct rtc_peer *peer, enum rtc_metric metric, uint64_t amount)
{
    rtc_count(&peer->thread->counters, metric, amount);
}

/** Wall clock of `now_us`. */
static inline uint64_t peer_unix_us(const struct rtc_peer *peer, uint64_t now_us)
{
    return (uint64_t)((int64_t)now_us + peer->thread->unix_offset_us);
}

/** Room for one more event of the peer; NULL (counted) when too many wait. Zeroed but for kind. */
struct rtc_event *peer_event_add(struct rtc_peer *peer, enum rtc_event_kind kind);

/** Counts a packet that is dropped; returns `error`. */
static inline int peer_drop(struct rtc_peer *peer, enum rtc_metric reason, int error)
{
    peer_count(peer, reason, 1);
    return error;
}

// describe.c
/**
 * Counts a packet of `stream` and fills in its media_info. `index` is its number in the stream,
 * `extensions` count from the packet's first byte. Returns 0 or a counted error.
 */
int peer_describe(struct rtc_peer *peer, uint64_t now_us, struct packet *packet,
                  const struct rtp_packet *rtp, const struct rtp_extensions *extensions,
                  struct rtc_stream *stream, uint64_t index, bool repaired);

// receiver.c
/** Takes one RTP datagram. */
int peer_receive_rtp(struct rtc_peer *peer, uint64_t now_us, struct bytes datagram,
                     struct rtc_media *media);
struct rtc_stream *peer_find_stream(struct rtc_peer *peer, uint32_t ssrc);
/** Forgets streams of sections that are no publications any more. */
void peer_sync_streams(struct rtc_peer *peer);
void peer_drop_streams(struct rtc_peer *peer);

// sender.c
struct rtc_sender *peer_sender_new(struct rtc_peer *peer, uint16_t section);
struct rtc_sender *peer_sender_by_ssrc(struct rtc_peer *peer, uint32_t ssrc);
struct rtc_sender *peer_sender_free(struct rtc_sender *sender);
/** Protects and commits one packet whose header stands at `at`, as a packet of `index`. */
bool peer_sender_commit(struct rtc_sender *sender, struct secure_rtp_sender *index, uint8_t *at,
                        size_t header_size, struct bytes payload, struct datagram_batch *batch);
/**
 * Takes a packet into a group of FEC and puts it into RED: the payload type of `header` becomes
 * RED's. Returns the new payload, in `buffer`, which has a byte more than `payload`.
 */
struct bytes peer_sender_wrap(struct rtc_sender *sender, uint64_t now_us, uint8_t *header,
                              size_t header_size, struct bytes payload, uint8_t *buffer);
/** A report of the receiver: `highest` is the newest sequence number that it has got. */
void peer_sender_acknowledged(struct rtc_sender *sender, uint16_t highest);
/** Makes and drops senders so that they fit the sections. */
void peer_sync_senders(struct rtc_peer *peer);
void peer_drop_senders(struct rtc_peer *peer);

// bandwidth.c
/** Takes a REMB message of the receiver. */
void peer_take_remb(struct rtc_peer *peer, uint64_t bitrate_bps);
/** Takes transport-wide feedback: the control information of its packet. */
void peer_take_transport_feedback(struct rtc_peer *peer, uint64_t now_us, struct bytes control);
/** The first packet with a transport-wide number is being sent. */
void peer_begin_estimate(struct rtc_peer *peer, uint64_t now_us);
/** Packets take another way from now on. */
void peer_bandwidth_path_changed(struct rtc_peer *peer, uint64_t now_us);
/** Whether rtc_peer_bandwidth_bps is no more than the guess of a beginning. */
bool peer_bandwidth_guessed(const struct rtc_peer *peer);
void peer_bandwidth_tick(struct rtc_peer *peer, uint64_t now_us);
uint64_t peer_bandwidth_deadline(const struct rtc_peer *peer);

/** An RTP packet was committed: `header` has been stamped with the number that this uses up. */
static inline void peer_note_sent(struct rtc_peer *peer, uint64_t now_us,
                                  const struct rtp_rewritten *header, size_t payload_size)
{
    if (header->transport_sequence_at == 0)
        return;
    if (unlikely(!peer->bwe))
        peer_begin_estimate(peer, now_us);
    bwe_sent(peer->bwe, now_us, peer->transport_sequence++,
             header->size + payload_size + RTC_WIRE_OVERHEAD);
}

// rtcp_input.c
int peer_receive_rtcp(struct rtc_peer *peer, uint64_t now_us, struct bytes datagram);

// rtcp_output.c
uint64_t peer_rtcp_deadline(const struct rtc_peer *peer);
void peer_rtcp_output(struct rtc_peer *peer, uint64_t now_us, struct datagram_batch *batch);
