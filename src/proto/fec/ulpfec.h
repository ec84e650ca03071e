/**
 * Forward error correction by XOR (RFC 5109, level 0 alone): one FEC packet protects up to 48 RTP
 * packets and brings back any one of them. Packets are protected as they are before encryption,
 * with their header extensions.
 *
 *     0                   1                   2                   3
 *    |E|L|P|X|  CC   |M| PT recovery |            SN base            |
 *    |                          TS recovery                          |
 *    |        length recovery        |       protection length       |
 *    |             mask: 16 bits, or 48 with L              |  XOR ...
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"

/** Packets that one FEC packet can protect, by the width of its mask. */
#define ULPFEC_SPAN_MAX 48
/** Largest RTP packet that can be protected. */
#define ULPFEC_PACKET_MAX 1500
/** FEC header and level header with the long mask. */
#define ULPFEC_HEADER_MAX 18

/** What is XORed of the packets so far. Zeroed: none. */
struct ulpfec_encoder {
    uint32_t count;
    uint16_t base;    /**< sequence number of the first one */
    uint16_t longest; /**< bytes behind the fixed header */
    uint16_t length;  /**< XOR of these lengths */
    uint64_t mask;    /**< bit 47 is `base` */
    uint8_t head[8]; /**< XOR of the fixed headers' first bytes: without version, sequence number */
    uint8_t parity[ULPFEC_PACKET_MAX];
};

void ulpfec_encoder_clear(struct ulpfec_encoder *encoder);
/**
 * Takes in one RTP packet: `header` with extensions, then `payload`. Returns 0; -ERANGE when it is
 * too far from the first one, or before it; -EMSGSIZE when it is too long.
 */
must_check int ulpfec_encoder_add(struct ulpfec_encoder *encoder, struct bytes header,
                                  struct bytes payload);
/**
 * Writes the FEC payload for what was taken in. Returns its size; -ENODATA when there is nothing,
 * -EMSGSIZE when `out` is too small.
 */
must_check ssize_t ulpfec_encoder_write(const struct ulpfec_encoder *encoder, uint8_t *out,
                                        size_t capacity);

/** A FEC payload that was received. */
struct ulpfec {
    uint8_t head[8];
    uint16_t base;
    uint16_t length;
    uint64_t mask;       /**< bit 47 is `base` */
    struct bytes parity; /**< in what was parsed */
};

/** Returns 0, or -EBADMSG: cut short, with the extension bit, or protecting nothing. */
must_check int ulpfec_parse(struct bytes payload, struct ulpfec *ret_fec);
static inline bool ulpfec_protects(const struct ulpfec *fec, uint16_t sequence)
{
    uint16_t offset = (uint16_t)(sequence - fec->base);
    return offset < ULPFEC_SPAN_MAX && fec->mask & 1ull << (ULPFEC_SPAN_MAX - 1 - offset);
}
/**
 * Brings back the one protected packet that is missing: `packets` are all the others, whole RTP
 * packets in any order. `out` holds ULPFEC_PACKET_MAX. Returns the size; -ENODATA when not exactly
 * one is missing, -EBADMSG when what comes out is no packet.
 */
must_check ssize_t ulpfec_recover(const struct ulpfec *fec, const struct bytes *packets,
                                  size_t count, uint32_t ssrc, uint8_t *out);
