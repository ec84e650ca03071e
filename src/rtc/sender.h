/**
 * The outgoing half of one slot: one SSRC (and one for retransmissions) towards one receiver, its
 * header template, counters and sender reports. Which packets it carries is decided in room/.
 */
#pragma once

#include "base/datagram.h"
#include "rtc/media_info.h"

struct rtc_sender;

/**
 * What a packet costs on the wire besides its RTP packet: IPv4, UDP, and the tag of SRTP. Rates of
 * paths, and what is compared with them, count it: small packets cost much more than they carry.
 */
#define RTC_WIRE_OVERHEAD (20 + 8 + 16)

/** Where a track's RTP clock stands: `timestamp` was captured at `unix_us` on our wall clock. */
struct rtc_clock {
    bool valid;
    uint32_t timestamp;
    uint64_t unix_us;
};

/** Numbers of an outgoing stream. */
struct rtc_numbers {
    uint16_t sequence;  /**< of the next packet */
    uint32_t timestamp; /**< of the last one sent, or what the first shall have */
    uint64_t sent_us;   /**< when that was sent; 0: nothing yet */
};

/** What changes in a packet on its way out. */
struct rtc_outgoing {
    uint64_t sequence; /**< unwrapped: its high bits are the SRTP rollover counter's business */
    uint32_t timestamp;
    uint8_t payload_type; /**< the receiver's */
    /**
     * Payloads shorter than this get RTP padding up to it (0: none), so that a burst becomes one
     * run of equal datagrams.
     */
    uint16_t pad_to;
    bool protect;            /**< video: rtc_sender_can_protect, and it shall be */
    bool ends_picture;       /**< for this receiver: gets a marker, if the packet has none */
    bool empty;              /**< of the packet only the number: nothing shall be missing there */
    struct bytes payload;    /**< instead of the packet's; empty: that */
    struct bytes head;       /**< instead of the first bytes of the packet's payload */
    struct bytes descriptor; /**< instead of the packet's dependency descriptor; empty: that */
};

/** Connected, with keys and a path. */
bool rtc_sender_ready(const struct rtc_sender *sender);
/**
 * Whether the receiver has shown that it has its keys. The one that sends the last flight of a DTLS
 * handshake has keys first, and what it sends before the other one has taken that flight in is
 * lost.
 */
bool rtc_sender_keys_shown(const struct rtc_sender *sender);
/** What the receiver last said of this stream (RFC 3550, 6.4). */
struct rtc_reported {
    uint64_t at_us;         /**< when; 0: never */
    uint8_t fraction_lost;  /**< in 256ths */
    uint64_t round_trip_us; /**< smoothed; 0: not known */
};
void rtc_sender_reported(const struct rtc_sender *sender, struct rtc_reported *ret_reported);
/**
 * What the path to the receiver carries, see rtc_peer_bandwidth_bps; 0: not known, not even by a
 * first feedback.
 */
uint64_t rtc_sender_bandwidth_bps(const struct rtc_sender *sender);
/** Why something shall be sent, in the order of what waits first when the path is full. */
enum rtc_urgency {
    RTC_URGENCY_PAST,   /**< packets of the past, to begin with; paced on unknown paths, too */
    RTC_URGENCY_LIVE,   /**< video of this moment */
    RTC_URGENCY_REPAIR, /**< what the receiver misses */
};
/**
 * Bytes of datagrams that may go to the receiver now without filling queues on its path, over all
 * its slots; UINT32_MAX when nothing has to wait. What is sent without asking (sound) counts, too.
 */
uint32_t rtc_sender_room(const struct rtc_sender *sender, uint64_t now_us,
                         enum rtc_urgency urgency);
/**
 * Rewrites, encrypts and appends one packet to the batch. Returns false when it was dropped
 * (counted): batch full or not connected.
 */
bool rtc_sender_send(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch,
                     struct packet *packet, const struct rtc_outgoing *outgoing);
/**
 * Repairs a loss: the packet in an RTX packet (RFC 4588) when negotiated. Returns false without
 * RTX: the same SRTP index must not be encrypted twice with another header.
 */
bool rtc_sender_resend(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch,
                       struct packet *packet, const struct rtc_outgoing *outgoing);
/** Whether packets of this section can be sent again, and padding can, beside the medium. */
bool rtc_sender_can_repair(const struct rtc_sender *sender);
/** Padding of one packet: its count is one byte (RFC 3550, 5.1). */
#define RTC_SENDER_PAD_SIZE 255
/**
 * Sends a packet of padding alone, in the numbers of retransmissions. Returns false when it was
 * dropped (counted), or without RTX.
 */
bool rtc_sender_pad(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch);
/**
 * The clock of what is being sent, with the outgoing timestamp: sender reports come from it, and
 * receivers keep lips in step by it.
 */
void rtc_sender_set_clock(struct rtc_sender *sender, const struct rtc_clock *clock);
/** Where the stream's numbers go on: random at first, behind the last packet later. */
void rtc_sender_start_numbers(const struct rtc_sender *sender, struct rtc_numbers *ret_numbers);
/** What rtc_sender_send reads lies behind pointers, this many deep. */
#define RTC_SENDER_DEPTH 4
/**
 * Brings what rtc_sender_send reads into the processor's cache, pointer by pointer: call it with
 * `depth` from 0 to RTC_SENDER_DEPTH - 1, with other work between.
 */
void rtc_sender_prefetch(const struct rtc_sender *sender, unsigned depth);

/** Whether the receiver takes forward error correction of video (ULPFEC in RED). */
bool rtc_sender_can_protect(const struct rtc_sender *sender);
/** FEC packets that rtc_sender_send_fec sends at most. */
#define RTC_SENDER_FEC_NUMBERS 4
/**
 * How many FEC packets should go now, at the end of a picture, for what was sent with `protect`:
 * one for `group` packets, or when these wait for long. 0: none yet.
 */
uint32_t rtc_sender_fec_due(const struct rtc_sender *sender, uint64_t now_us, uint8_t group);
/** Sends so many FEC packets, in numbers from `sequence` on. */
void rtc_sender_send_fec(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch,
                         uint64_t sequence);
