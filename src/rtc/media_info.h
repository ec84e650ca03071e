/**
 * What the forwarding path knows of one received RTP packet, parsed and decrypted once by the
 * publisher's worker and kept in the packet's metadata for every reader.
 */
#pragma once

#include "base/packet.h"
#include "media/layering.h"
#include "proto/rtp/extension.h"

struct media_info {
    uint64_t sequence; /**< unwrapped: goes on over the 16-bit wrap */
    uint32_t timestamp;
    uint16_t payload_at;   /**< offset of the RTP payload in the packet's bytes */
    uint16_t payload_size; /**< without padding */
    /**
     * Audio that came in RED (RFC 2198): offset of the RED payload, which ends with the payload
     * above, its primary block. 0: it came plain.
     */
    uint16_t red_at;
    uint8_t payload_type; /**< the publisher's, of the medium itself */
    uint8_t codec;        /**< enum codec_id */
    uint8_t epoch;        /**< changes when the stream began anew with unrelated numbers */
    uint8_t layer;        /**< simulcast layer: index of the rid in the offer, 0 when single */
    bool marker;
    bool key_frame; /**< a decoder may begin with this packet */
    bool repaired;  /**< came as a retransmission */
    uint16_t width; /**< of a key frame that tells; else 0 */
    uint16_t height;
    /** Picture id of VP8 and VP9. Places count from the beginning of the payload. */
    uint16_t picture_id;
    uint8_t picture_id_bits; /**< 7 or 15; 0: none */
    uint8_t picture_id_at;
    uint8_t tl0;    /**< TL0PICIDX */
    uint8_t tl0_at; /**< 0: none */
    struct media_layers layers;
    /** Parsed with the publisher's ids; places count from the packet's first byte. */
    struct rtp_extensions extensions;
};

static inline struct media_info *media_info_of(struct packet *packet)
{
    return packet_metadata(packet, struct media_info);
}

static inline struct bytes media_payload_of(struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    return bytes_of(packet->bytes + info->payload_at, info->payload_size);
}
