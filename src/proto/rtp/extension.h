/**
 * RTP header extensions (RFC 8285): which ones we know, which ids the two sides agreed on, and
 * where they stand in a packet. The rewriter for outgoing headers is rewrite.h.
 *
 * One-byte form:  |  ID   | len-1 |  data ...      two-byte form: |  ID  | len |  data ...
 */
#pragma once

#include "proto/rtp/packet.h"

enum rtp_extension_kind {
#define RTP_EXTENSION(kind, uri) RTP_EXTENSION_##kind,
#include "proto/rtp/extension.def"
#undef RTP_EXTENSION
    RTP_EXTENSION_COUNT,
};

#define RTP_EXTENSION_BIT(kind) (1u << (kind))

/** The kind of an extmap URI, or -ENOENT when we do not know it. */
int rtp_extension_kind_find(struct bytes uri);
const char *rtp_extension_uri(enum rtp_extension_kind kind);

/** Negotiated ids in both directions; one map serves all sections of a BUNDLE (RFC 9143, 9.2). */
struct rtp_extension_map {
    uint8_t kind_of_id[256];                 /**< kind + 1; 0: the id is not negotiated */
    uint8_t id_of_kind[RTP_EXTENSION_COUNT]; /**< 0: not negotiated */
    bool two_byte_allowed;                   /**< a=extmap-allow-mixed, or an id above 14 */
};

/**
 * Adds one pair. Returns 0; -EINVAL when `id` is 0, 15 or above 255 (RFC 8285, 5 and 4.2), or when
 * the id already stands for another kind, or the kind for another id.
 */
must_check int rtp_extension_map_set(struct rtp_extension_map *map, enum rtp_extension_kind kind,
                                     uint32_t id);

/** Where each negotiated extension stands in one packet; offsets count from the packet's start. */
struct rtp_extensions {
    uint32_t present; /**< RTP_EXTENSION_BITs */
    struct {
        uint16_t at;
        uint8_t size;
    } places[RTP_EXTENSION_COUNT];
};

/**
 * Finds the extensions of a packet. Malformed elements end the search (RFC 8285, 4.2: what was read
 * before stays valid); unknown ids are skipped. Of two elements of a kind the first one counts.
 */
void rtp_extensions_parse(const struct rtp_packet *packet, const struct rtp_extension_map *map,
                          struct rtp_extensions *ret_extensions);

static inline bool rtp_extensions_has(const struct rtp_extensions *extensions,
                                      enum rtp_extension_kind kind)
{
    return extensions->present & RTP_EXTENSION_BIT(kind);
}

/** The value of one extension; empty when the packet has none. `packet_data` is the packet. */
static inline struct bytes rtp_extensions_get(const struct rtp_extensions *extensions,
                                              enum rtp_extension_kind kind,
                                              const uint8_t *packet_data)
{
    if (!rtp_extensions_has(extensions, kind))
        return bytes_of(NULL, 0);
    return bytes_of(packet_data + extensions->places[kind].at, extensions->places[kind].size);
}

/** RFC 6464: `*ret_level` is -dBov (0 loud to 127 silent). False when absent or malformed. */
bool rtp_extensions_audio_level(const struct rtp_extensions *extensions, const uint8_t *packet_data,
                                uint8_t *ret_level, bool *ret_voice);
/** transport-wide-cc-extensions-01: the transport-wide sequence number. */
bool rtp_extensions_transport_sequence(const struct rtp_extensions *extensions,
                                       const uint8_t *packet_data, uint16_t *ret_sequence);
/** abs-send-time: 24 bits, 6.18 fixed point seconds. */
bool rtp_extensions_abs_send_time(const struct rtp_extensions *extensions,
                                  const uint8_t *packet_data, uint32_t *ret_time);

/** The abs-send-time of a moment: seconds modulo 64 in 6.18 fixed point. */
static inline uint32_t rtp_abs_send_time(uint64_t now_us)
{
    return (uint32_t)(((now_us % 64000000u) << 18) / 1000000u) & 0xffffff;
}
