/** Shared by the files of this folder only. */
#pragma once

#include "proto/stun/stun.h"

/** Families of the address attributes (RFC 8489, section 14.1). */
#define STUN_FAMILY_IPV4 0x01
#define STUN_FAMILY_IPV6 0x02

/** Whether the address of this attribute type is XORed with cookie and transaction id. */
static inline bool stun_type_is_masked(uint16_t type)
{
    return type == STUN_XOR_MAPPED_ADDRESS || type == STUN_XOR_PEER_ADDRESS ||
           type == STUN_XOR_RELAYED_ADDRESS;
}

/**
 * XORs port and IP with the 16 bytes from the magic cookie on (section 14.2): cookie, then the
 * transaction id. Masking and unmasking are the same.
 */
void stun_address_mask(struct net_address *address, const uint8_t cookie[16]);

/**
 * The pieces over which an integrity attribute at offset `at` is computed: the message before it
 * with the header's length set as if the message ended with this attribute (section 14.5).
 */
struct stun_covered {
    uint8_t head[4];
    struct bytes parts[2];
};
void stun_covered_set(struct stun_covered *covered, const uint8_t *message, size_t at,
                      size_t value_size);
