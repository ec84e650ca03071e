/**
 * What the forwarding path knows of one received RTP packet, parsed and decrypted once by the
 * publisher's worker and kept in the packet's metadata for every reader.
 */
#pragma once

#include "base/packet.h"

/** Longest abs-capture-time extension: timestamp and offset. */
#define MEDIA_CAPTURE_TIME_MAX 16

struct media_info {
    uint64_t sequence; /**< unwrapped: never decreases over the 16-bit wrap */
    uint32_t timestamp;
    uint16_t payload_offset; /**< of the RTP payload in the packet's bytes */
    uint16_t payload_size;   /**< without padding */
    uint8_t codec;           /**< enum codec_id */
    uint8_t layer;           /**< simulcast layer: index of the rid in the offer, 0 when single */
    bool marker;
    bool key_frame; /**< first packet of a frame that needs no earlier one */
    bool late;      /**< a retransmission, or reordered behind newer packets */

    bool has_audio_level;
    bool voice_activity;
    uint8_t audio_level; /**< -dBov, 0 loud to 127 silent (RFC 6464) */
    bool has_orientation;
    uint8_t orientation;
    bool has_playout_delay;
    uint8_t playout_delay[3];
    uint8_t capture_time_size; /**< 0: absent */
    uint8_t capture_time[MEDIA_CAPTURE_TIME_MAX];
};

static inline struct media_info *media_info_of(struct packet *packet)
{
    return packet_metadata(packet, struct media_info);
}

static inline struct bytes media_payload_of(struct packet *packet)
{
    const struct media_info *info = media_info_of(packet);
    return bytes_of(packet->bytes + info->payload_offset, info->payload_size);
}
