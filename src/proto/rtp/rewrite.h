/**
 * Writes outgoing RTP headers. A rewriter belongs to one outgoing stream (SSRC); it keeps the whole
 * header prebuilt, with the extensions that never change (mid, rid) and room for those that the
 * transport fills in at send time (abs-send-time, transport-wide sequence number). Extensions that
 * pass through are copied behind them from the source packet. CSRCs are not forwarded.
 */
#pragma once

#include "proto/rtp/extension.h"

/** Longest mid, rid or repaired-rid that a rewriter takes. */
#define RTP_REWRITE_TEXT_MAX 32
/** Room that always suffices for a rewritten header: fixed part, template, passed extensions. */
#define RTP_REWRITE_HEADER_MAX 512

/** Extensions that describe the medium rather than the hop, and so pass through an SFU. */
#define RTP_REWRITE_PASS_DEFAULT                                                                   \
    (RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL) |                                                \
     RTP_EXTENSION_BIT(RTP_EXTENSION_VIDEO_ORIENTATION) |                                          \
     RTP_EXTENSION_BIT(RTP_EXTENSION_PLAYOUT_DELAY) |                                              \
     RTP_EXTENSION_BIT(RTP_EXTENSION_ABS_CAPTURE_TIME) |                                           \
     RTP_EXTENSION_BIT(RTP_EXTENSION_VIDEO_CONTENT_TYPE) |                                         \
     RTP_EXTENSION_BIT(RTP_EXTENSION_COLOR_SPACE) |                                                \
     RTP_EXTENSION_BIT(RTP_EXTENSION_DEPENDENCY_DESCRIPTOR))

struct rtp_rewriter_config {
    const struct rtp_extension_map *map; /**< read by init only */
    uint32_t ssrc;
    struct bytes mid;           /**< empty: not written */
    struct bytes rid;           /**< empty: not written */
    struct bytes repaired_rid;  /**< empty: not written */
    bool abs_send_time;         /**< leave room, when negotiated */
    bool transport_sequence;    /**< leave room, when negotiated */
    struct bytes playout_delay; /**< 3 bytes in each packet; empty: not written */
    uint32_t pass;              /**< RTP_EXTENSION_BITs copied from the source, when negotiated */
};

/** A prebuilt header in one of the two extension forms. */
struct rtp_header_form {
    uint8_t bytes[RTP_HEADER_SIZE + 4 + 3 * (2 + RTP_REWRITE_TEXT_MAX) + 14];
    uint8_t size;                  /**< with the block head, without padding to 4 bytes */
    uint8_t abs_send_time_at;      /**< offset of its 3 bytes; 0: not there */
    uint8_t transport_sequence_at; /**< offset of its 2 bytes; 0: not there */
};

struct rtp_rewriter {
    struct rtp_header_form one_byte;
    struct rtp_header_form two_byte; /**< used when a passed value needs it */
    uint32_t pass;
    uint8_t id_of_kind[RTP_EXTENSION_COUNT];
    bool one_byte_possible; /**< no template id above 14 and no text above 16 bytes */
    bool two_byte_allowed;
};

/** What changes from packet to packet. */
struct rtp_rewrite {
    uint32_t timestamp;
    uint16_t sequence;
    uint8_t payload_type;
    bool marker;
    bool padding; /**< sets the P bit: the caller writes the padding behind the payload */
    struct bytes descriptor; /**< passes in place of the source's dependency descriptor */
};

/** What the rewriter wrote. Offsets are from the packet's start; 0: not there. */
struct rtp_rewritten {
    uint16_t size; /**< of the header: the payload goes here */
    uint8_t abs_send_time_at;
    uint8_t transport_sequence_at;
};

/** Texts longer than RTP_REWRITE_TEXT_MAX are left out. */
void rtp_rewriter_init(struct rtp_rewriter *rewriter, const struct rtp_rewriter_config *config);

/**
 * Writes one header to `out`, which holds RTP_REWRITE_HEADER_MAX bytes. `source` and `source_data`
 * are the source packet's extensions and its bytes, or both NULL for packets of our own. Passed
 * values that do not fit the forms agreed on (longer than 16 bytes without two-byte form) are left
 * out. The bytes of abs-send-time and transport sequence are zero.
 */
struct rtp_rewritten rtp_rewriter_write(const struct rtp_rewriter *rewriter,
                                        const struct rtp_rewrite *fields,
                                        const struct rtp_extensions *source,
                                        const uint8_t *source_data, uint8_t *out);

/** Fills in what is known only when the packet leaves. `packet` was written by a rewriter. */
static inline void rtp_rewritten_stamp(const struct rtp_rewritten *rewritten, uint8_t *packet,
                                       uint64_t now_us, uint16_t transport_sequence)
{
    if (rewritten->abs_send_time_at)
        store_u24(packet + rewritten->abs_send_time_at, rtp_abs_send_time(now_us));
    if (rewritten->transport_sequence_at)
        store_u16(packet + rewritten->transport_sequence_at, transport_sequence);
}
