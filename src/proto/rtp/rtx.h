/**
 * Retransmission payload format (RFC 4588, section 4): the payload of an RTX packet is the original
 * sequence number (OSN, 2 bytes) and the original payload.
 */
#pragma once

#include "proto/rtp/packet.h"

#define RTX_OSN_SIZE 2

/**
 * Takes the original sequence number and payload out of an RTX packet. Returns 0, or -ENODATA for
 * an RTX packet without payload (padding probes of browsers).
 */
must_check int rtx_decapsulate(const struct rtp_packet *rtx, uint16_t *ret_sequence,
                               struct bytes *ret_payload);

/**
 * Makes the original packet again in place: moves the header over the OSN, sets `ssrc`,
 * `payload_type` and the original sequence number. `data` is the RTX packet of `size` bytes.
 * Returns 0 with `*ret_data` pointing into `data`, -ENODATA as above, or -EBADMSG.
 */
must_check int rtx_restore(uint8_t *data, size_t size, uint32_t ssrc, uint8_t payload_type,
                           uint8_t **ret_data, size_t *ret_size);

/** Writes the OSN; the payload follows behind it. Header and payload are the caller's. */
static inline void rtx_osn_store(uint8_t *out, uint16_t original_sequence)
{
    store_u16(out, original_sequence);
}
