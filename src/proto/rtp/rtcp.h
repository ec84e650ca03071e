/**
 * RTCP (RFC 3550 section 6, RFC 4585, RFC 5104, RFC 3611, REMB): a compound packet is read one
 * packet at a time, each by its own parser; writers append whole packets to a `struct writer`.
 * Reduced-size compounds (RFC 5506) are accepted: nothing has to come first.
 * Transport-wide congestion control feedback has a file of its own, twcc_feedback.h.
 *
 *     struct reader reader = reader_of(data, size);
 *     struct rtcp_packet packet;
 *     while (rtcp_next(&reader, &packet) > 0)
 *         switch (packet.type) { case RTCP_SENDER_REPORT: ...
 */
#pragma once

#include "base/bytes.h"

enum rtcp_type {
    RTCP_SENDER_REPORT = 200,
    RTCP_RECEIVER_REPORT = 201,
    RTCP_SOURCE_DESCRIPTION = 202,
    RTCP_BYE = 203,
    RTCP_APP = 204,
    RTCP_TRANSPORT_FEEDBACK = 205, /**< RFC 4585, 6.1 */
    RTCP_PAYLOAD_FEEDBACK = 206,
    RTCP_EXTENDED_REPORT = 207, /**< RFC 3611 */
};

/** FMT of RTCP_TRANSPORT_FEEDBACK. */
enum rtcp_transport_format {
    RTCP_TRANSPORT_NACK = 1, /**< RFC 4585, 6.2.1 */
    RTCP_TRANSPORT_WIDE = 15,
};

/** FMT of RTCP_PAYLOAD_FEEDBACK. */
enum rtcp_payload_format {
    RTCP_PAYLOAD_PLI = 1, /**< RFC 4585, 6.3.1 */
    RTCP_PAYLOAD_SLI = 2,
    RTCP_PAYLOAD_FIR = 4, /**< RFC 5104, 4.3.1 */
    RTCP_PAYLOAD_APPLICATION = 15,
};

#define RTCP_HEADER_SIZE       4
#define RTCP_REPORT_BLOCK_SIZE 24
#define RTCP_REPORT_BLOCKS_MAX 31

/** One packet of a compound. */
struct rtcp_packet {
    uint8_t type;
    uint8_t count;     /**< RC, SC or FMT */
    struct bytes body; /**< behind the 4-byte header, without padding */
};

/**
 * Takes the next packet from `reader`. Returns 1 with a packet, 0 at the end, or -EBADMSG when the
 * rest is not RTCP (the reader then stays failed).
 */
int rtcp_next(struct reader *reader, struct rtcp_packet *ret_packet);

struct rtcp_sender_info {
    uint32_t ssrc;
    uint64_t ntp; /**< 32.32 fixed point since 1900 */
    uint32_t rtp_timestamp;
    uint32_t packet_count;
    uint32_t octet_count;
};

struct rtcp_report_block {
    uint32_t ssrc;
    uint8_t fraction_lost;       /**< of 256 */
    int32_t cumulative_lost;     /**< 24 bits, signed */
    uint32_t highest_sequence;   /**< extended */
    uint32_t jitter;             /**< in timestamp units */
    uint32_t last_sender_report; /**< middle 32 bits of the NTP time; 0: none yet */
    uint32_t delay_since_last;   /**< in 1/65536 s */
};

/** Report blocks of an SR or RR, or a cursor behind other fixed parts. */
must_check int rtcp_sender_report_parse(const struct rtcp_packet *packet,
                                        struct rtcp_sender_info *ret_info);
/** The SSRC of the reporter in an SR or RR. */
must_check int rtcp_reporter_parse(const struct rtcp_packet *packet, uint32_t *ret_ssrc);
/** The `index`th report block (< packet->count) of an SR or RR. 0 or -EBADMSG. */
must_check int rtcp_report_block_parse(const struct rtcp_packet *packet, size_t index,
                                       struct rtcp_report_block *ret_block);

/** The `index`th SSRC of a BYE. Returns 0 or -ENOENT. */
must_check int rtcp_bye_parse(const struct rtcp_packet *packet, size_t index, uint32_t *ret_ssrc);

/** The first CNAME in an SDES packet and whose it is. Returns 0, -ENOENT or -EBADMSG. */
must_check int rtcp_cname_parse(const struct rtcp_packet *packet, uint32_t *ret_ssrc,
                                struct bytes *ret_cname);

/** Common part of all feedback packets (RFC 4585, 6.1). */
struct rtcp_feedback {
    uint32_t sender_ssrc;
    uint32_t media_ssrc;
    struct bytes control; /**< feedback control information */
};
must_check int rtcp_feedback_parse(const struct rtcp_packet *packet,
                                   struct rtcp_feedback *ret_feedback);

/** Walks the sequence numbers of a NACK (RFC 4585, 6.2.1: PID and BLP). Start with zeros. */
struct rtcp_nack_cursor {
    size_t at;
    uint16_t next;
    uint16_t mask;
};
bool rtcp_nack_next(struct bytes control, struct rtcp_nack_cursor *cursor, uint16_t *ret_sequence);

/** Walks the entries of a FIR (RFC 5104, 4.3.1.1). `*at` = 0 first. */
bool rtcp_fir_next(struct bytes control, size_t *at, uint32_t *ret_ssrc, uint8_t *ret_command);

#define RTCP_REMB_SSRCS_MAX 255
struct rtcp_remb {
    uint64_t bitrate_bps;
    uint8_t ssrc_count;
    const uint8_t *ssrcs; /**< big-endian words: load_u32(ssrcs + 4 * i) */
};
/** Parses REMB (draft-alvestrand-rmcat-remb-03) or says -ENOENT for other application feedback. */
must_check int rtcp_remb_parse(struct bytes control, struct rtcp_remb *ret_remb);

/** XR report blocks (RFC 3611): receiver reference time (type 4) and DLRR (type 5). */
struct rtcp_xr_block {
    uint8_t type;
    uint8_t specific;
    struct bytes body;
};
#define RTCP_XR_RECEIVER_REFERENCE_TIME 4
#define RTCP_XR_DLRR                    5
/** Walks the blocks of an XR packet; `*at` = 0 first. */
bool rtcp_xr_next(const struct rtcp_packet *packet, size_t *at, struct rtcp_xr_block *ret_block);
/** One sub-block of a DLRR block; `*at` = 0 first. */
bool rtcp_dlrr_next(struct bytes body, size_t *at, uint32_t *ret_ssrc, uint32_t *ret_last_report,
                    uint32_t *ret_delay);

// Writers. Each appends one whole packet or, when it does not fit, nothing and sets `failed`.

/** SR with up to 31 report blocks. */
void rtcp_sender_report_write(struct writer *writer, const struct rtcp_sender_info *info,
                              const struct rtcp_report_block *blocks, size_t block_count);
void rtcp_receiver_report_write(struct writer *writer, uint32_t ssrc,
                                const struct rtcp_report_block *blocks, size_t block_count);
/** SDES with one chunk: the CNAME (at most 255 bytes) of `ssrc`. */
void rtcp_cname_write(struct writer *writer, uint32_t ssrc, struct bytes cname);
/** BYE for up to 31 sources. */
void rtcp_bye_write(struct writer *writer, const uint32_t *ssrcs, size_t ssrc_count);
void rtcp_pli_write(struct writer *writer, uint32_t sender_ssrc, uint32_t media_ssrc);
void rtcp_fir_write(struct writer *writer, uint32_t sender_ssrc, uint32_t media_ssrc,
                    uint8_t command);
/**
 * NACK for sequence numbers in ascending serial order. Writes as many as fit; returns how many of
 * them were written.
 */
size_t rtcp_nack_write(struct writer *writer, uint32_t sender_ssrc, uint32_t media_ssrc,
                       const uint16_t *sequences, size_t sequence_count);
void rtcp_remb_write(struct writer *writer, uint32_t sender_ssrc, uint64_t bitrate_bps,
                     const uint32_t *ssrcs, size_t ssrc_count);
/** XR with one receiver reference time block. */
void rtcp_receiver_reference_write(struct writer *writer, uint32_t ssrc, uint64_t ntp);
/** XR with one DLRR block of one sub-block. */
void rtcp_dlrr_write(struct writer *writer, uint32_t sender_ssrc, uint32_t ssrc,
                     uint32_t last_report, uint32_t delay);
