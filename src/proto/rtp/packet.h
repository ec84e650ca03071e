/**
 * RTP packets (RFC 3550, section 5.1): a zero-copy parser and a plain writer.
 *
 *     0                   1                   2                   3
 *     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |                           timestamp                           |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |           synchronization source (SSRC) identifier            |
 *    +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
 *    |            contributing source (CSRC) identifiers (CC)        |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *    |      defined by profile       |   length in 32-bit words (X)  |
 *    |                        header extension                       |
 *    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
#pragma once

#include "base/bytes.h"

#define RTP_VERSION          2
#define RTP_HEADER_SIZE      12
#define RTP_PAYLOAD_TYPE_MAX 127

/** RFC 8285, sections 4.2 and 4.3: what stands in "defined by profile". */
#define RTP_EXTENSION_ONE_BYTE 0xBEDE
#define RTP_EXTENSION_TWO_BYTE 0x1000 /**< the low 4 bits are "appbits" */

/** A parsed packet: numbers, and places inside the bytes that were given to the parser. */
struct rtp_packet {
    const uint8_t *data; /**< not owned */
    uint16_t size;
    uint16_t sequence;
    uint32_t timestamp;
    uint32_t ssrc;
    uint8_t payload_type;
    uint8_t csrc_count;
    bool marker;
    bool has_extension;
    uint8_t padding_size;       /**< with its own count byte; 0: none */
    uint16_t extension_profile; /**< 0 when there is no header extension */
    uint16_t extension_at;      /**< offset of the first extension byte */
    uint16_t extension_size;    /**< bytes, a multiple of 4 */
    uint16_t payload_at;        /**< offset of the payload: also the size of the header */
    uint16_t payload_size;      /**< without padding; 0 for pure padding packets */
};

/**
 * Parses one packet without copying. Returns 0, or -EBADMSG when it is not RTP version 2, is cut
 * short, or its padding count is impossible (RFC 3550, A.1).
 */
must_check int rtp_packet_parse(const uint8_t *data, size_t size, struct rtp_packet *ret_packet);

static inline struct bytes rtp_packet_payload(const struct rtp_packet *packet)
{
    return bytes_of(packet->data + packet->payload_at, packet->payload_size);
}

/** The `index`th contributing source; `index` < csrc_count. */
uint32_t rtp_packet_csrc(const struct rtp_packet *packet, size_t index);

/**
 * True when the second byte of an RTP or RTCP packet says RTCP (RFC 5761, section 4: 192 to 223).
 * `data` holds at least 2 bytes.
 */
static inline bool rtp_is_rtcp(const uint8_t *data)
{
    return data[1] >= 192 && data[1] <= 223;
}

/** Writes the fixed 12 bytes. `first` is the first byte: version, P, X and CC bits. */
static inline void rtp_header_store(uint8_t *out, uint8_t first, bool marker, uint8_t payload_type,
                                    uint16_t sequence, uint32_t timestamp, uint32_t ssrc)
{
    out[0] = first;
    out[1] = (uint8_t)((marker ? 0x80 : 0) | payload_type);
    store_u16(out + 2, sequence);
    store_u32(out + 4, timestamp);
    store_u32(out + 8, ssrc);
}
