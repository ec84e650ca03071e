/**
 * The outgoing half of one slot: one SSRC (and one for retransmissions) towards one receiver, its
 * header template, counters and sender reports. Which packets it carries is decided in room/.
 */
#pragma once

#include "base/datagram.h"
#include "rtc/media_info.h"

struct rtc_sender;

/** Where a track's RTP clock stands: `timestamp` was captured at `unix_us` on our wall clock. */
struct rtc_clock {
    bool valid;
    uint32_t timestamp;
    uint64_t unix_us;
};

/** Whether the receiver negotiated the codec (enum codec_id). */
bool rtc_sender_takes(const struct rtc_sender *sender, uint8_t codec);
/** The receiver's slot is connected and has keys. */
bool rtc_sender_ready(const struct rtc_sender *sender);
/**
 * Rewrites, encrypts and appends one packet to the batch: sequence number `output` and `timestamp`
 * instead of the packet's own. Payloads shorter than `pad_to` bytes get RTP padding up to it
 * (0: none), so that a burst becomes one run of equal datagrams. Returns false when it was dropped
 * (counted): batch full, codec not negotiated, not connected.
 */
bool rtc_sender_send(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch,
                     struct packet *packet, uint64_t output, uint32_t timestamp, uint16_t pad_to);
/**
 * Repairs a loss: the packet in an RTX packet (RFC 4588) when negotiated, else once more as it was.
 */
bool rtc_sender_resend(struct rtc_sender *sender, uint64_t now_us, struct datagram_batch *batch,
                       struct packet *packet, uint64_t output, uint32_t timestamp);
/**
 * The clock of what is being sent, with the outgoing timestamp: sender reports come from it, and
 * receivers keep lips in step by it.
 */
void rtc_sender_set_clock(struct rtc_sender *sender, const struct rtc_clock *clock);
/** The first numbers of the stream, chosen at random. */
void rtc_sender_start_numbers(const struct rtc_sender *sender, uint16_t *ret_sequence,
                              uint32_t *ret_timestamp);
