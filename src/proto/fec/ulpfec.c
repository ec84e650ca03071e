#include "proto/fec/ulpfec.h"

#include <errno.h>
#include <string.h>

enum {
    RTP_FIXED = 12,
    FEC_FIXED = 10,  // the FEC header
    SHORT_LEVEL = 4, // protection length and 16 bits of mask
    LONG_LEVEL = 8,
    BIT_EXTENSION = 0x80,
    BIT_LONG = 0x40,
    VERSION_MASK = 0xc0,
    VERSION = 0x80,
    SHORT_SPAN = 16,
};

void ulpfec_encoder_clear(struct ulpfec_encoder *encoder)
{
    memset(encoder->parity, 0, encoder->longest);
    encoder->count = 0;
    encoder->longest = 0;
    encoder->length = 0;
    encoder->mask = 0;
    memset(encoder->head, 0, sizeof(encoder->head));
}

static void mix(uint8_t *into, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        into[i] ^= data[i];
}

/** The bytes of a fixed header that are mixed: all but sequence number and SSRC. */
static void mix_head(uint8_t *head, const uint8_t *rtp)
{
    mix(head, rtp, 2);
    mix(head + 4, rtp + 4, 4);
}

int ulpfec_encoder_add(struct ulpfec_encoder *encoder, struct bytes header, struct bytes payload)
{
    size_t size = header.size - RTP_FIXED + payload.size;
    if (header.size < RTP_FIXED || size > ULPFEC_PACKET_MAX - RTP_FIXED)
        return -EMSGSIZE;
    uint16_t sequence = load_u16(header.data + 2);
    if (encoder->count == 0)
        encoder->base = sequence;
    uint16_t offset = (uint16_t)(sequence - encoder->base);
    uint64_t bit = offset < ULPFEC_SPAN_MAX ? 1ull << (ULPFEC_SPAN_MAX - 1 - offset) : 0;
    if (bit == 0 || encoder->mask & bit)
        return -ERANGE;
    encoder->mask |= bit;
    encoder->count++;
    encoder->longest = max_of(encoder->longest, (uint16_t)size);
    encoder->length ^= (uint16_t)size;
    mix_head(encoder->head, header.data);
    size_t rest = header.size - RTP_FIXED;
    mix(encoder->parity, header.data + RTP_FIXED, rest);
    mix(encoder->parity + rest, payload.data, payload.size);
    return 0;
}

ssize_t ulpfec_encoder_write(const struct ulpfec_encoder *encoder, uint8_t *out, size_t capacity)
{
    if (encoder->count == 0)
        return -ENODATA;
    bool wide = encoder->mask & ((1ull << (ULPFEC_SPAN_MAX - SHORT_SPAN)) - 1);
    size_t head = FEC_FIXED + (wide ? LONG_LEVEL : SHORT_LEVEL);
    if (head + encoder->longest > capacity)
        return -EMSGSIZE;
    memcpy(out, encoder->head, sizeof(encoder->head));
    // where RTP has its version there are E and L
    out[0] = (uint8_t)((encoder->head[0] & ~VERSION_MASK) | (wide ? BIT_LONG : 0));
    store_u16(out + 2, encoder->base);
    store_u16(out + 8, encoder->length);
    store_u16(out + 10, encoder->longest);
    store_u16(out + 12, (uint16_t)(encoder->mask >> (ULPFEC_SPAN_MAX - SHORT_SPAN)));
    if (wide)
        store_u32(out + 14, (uint32_t)encoder->mask);
    memcpy(out + head, encoder->parity, encoder->longest);
    return (ssize_t)(head + encoder->longest);
}

int ulpfec_parse(struct bytes payload, struct ulpfec *ret_fec)
{
    struct reader reader = reader_of(payload.data, payload.size);
    struct bytes head = reader_bytes(&reader, 8);
    uint16_t length = reader_u16(&reader);
    uint16_t protection = reader_u16(&reader);
    uint64_t mask = (uint64_t)reader_u16(&reader) << (ULPFEC_SPAN_MAX - SHORT_SPAN);
    if (!reader.failed && head.data[0] & BIT_LONG)
        mask |= reader_u32(&reader);
    struct bytes parity = reader_bytes(&reader, protection);
    if (reader.failed || head.data[0] & BIT_EXTENSION || mask == 0 ||
        protection > ULPFEC_PACKET_MAX - RTP_FIXED)
        return -EBADMSG;
    *ret_fec = (struct ulpfec){
        .base = load_u16(head.data + 2),
        .length = length,
        .mask = mask,
        .parity = parity,
    };
    memcpy(ret_fec->head, head.data, sizeof(ret_fec->head));
    return 0;
}

ssize_t ulpfec_recover(const struct ulpfec *fec, const struct bytes *packets, size_t count,
                       uint32_t ssrc, uint8_t *out)
{
    uint8_t made[ULPFEC_PACKET_MAX] = { 0 };
    uint8_t head[8];
    memcpy(head, fec->head, sizeof(head));
    if (fec->parity.size > 0)
        memcpy(made + RTP_FIXED, fec->parity.data, fec->parity.size);
    uint16_t length = fec->length;
    uint64_t missing = fec->mask;
    for (size_t i = 0; i < count; i++) {
        struct bytes packet = packets[i];
        if (packet.size < RTP_FIXED || packet.size > ULPFEC_PACKET_MAX)
            continue;
        uint16_t sequence = load_u16(packet.data + 2);
        uint16_t offset = (uint16_t)(sequence - fec->base);
        if (!ulpfec_protects(fec, sequence) || !(missing & 1ull << (ULPFEC_SPAN_MAX - 1 - offset)))
            continue;
        missing &= ~(1ull << (ULPFEC_SPAN_MAX - 1 - offset));
        mix_head(head, packet.data);
        length ^= (uint16_t)(packet.size - RTP_FIXED);
        mix(made + RTP_FIXED, packet.data + RTP_FIXED, packet.size - RTP_FIXED);
    }
    if (missing == 0 || missing & (missing - 1))
        return -ENODATA;
    if (length > fec->parity.size)
        return -EBADMSG;
    memcpy(made, head, sizeof(head));
    made[0] = (uint8_t)((head[0] & ~VERSION_MASK) | VERSION);
    int offset = ULPFEC_SPAN_MAX - 1 - __builtin_ctzll(missing);
    store_u16(made + 2, (uint16_t)(fec->base + offset));
    store_u32(made + 8, ssrc);
    memcpy(out, made, RTP_FIXED + (size_t)length);
    return RTP_FIXED + length;
}
