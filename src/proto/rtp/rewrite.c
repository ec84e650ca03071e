#include "proto/rtp/rewrite.h"

#include <string.h>

enum {
    FIRST_BYTE = RTP_VERSION << 6,
    FIRST_PADDING = 0x20,
    FIRST_EXTENSION = 0x10,
    BLOCK_AT = RTP_HEADER_SIZE, // profile and length of the extension block
    ELEMENTS_AT = RTP_HEADER_SIZE + 4,
    ONE_BYTE_ID_MAX = 14,
    ONE_BYTE_SIZE_MAX = 16,
};

static bool fits_one_byte(uint8_t id, size_t size)
{
    return id <= ONE_BYTE_ID_MAX && size >= 1 && size <= ONE_BYTE_SIZE_MAX;
}

/** Writes the head of an element; returns where its value goes. */
static uint8_t *element_head(uint8_t *at, bool two_byte, uint8_t id, size_t size)
{
    if (!two_byte) {
        *at = (uint8_t)(id << 4 | (uint8_t)(size - 1));
        return at + 1;
    }
    at[0] = id;
    at[1] = (uint8_t)size;
    return at + 2;
}

/** Returns the offset of the value's place, or 0 when this form cannot hold it. */
static uint8_t form_add(struct rtp_header_form *form, bool two_byte, uint8_t id, struct bytes value)
{
    if (id == 0 || value.size == 0 || value.size > RTP_REWRITE_TEXT_MAX)
        return 0;
    if (!two_byte && !fits_one_byte(id, value.size))
        return 0;
    uint8_t *place = element_head(form->bytes + form->size, two_byte, id, value.size);
    memcpy(place, value.data, value.size);
    form->size = (uint8_t)(place + value.size - form->bytes);
    return (uint8_t)(place - form->bytes);
}

static void form_build(struct rtp_header_form *form, bool two_byte,
                       const struct rtp_rewriter_config *config)
{
    static const uint8_t zeros[3];
    const uint8_t *ids = config->map->id_of_kind;
    *form = (struct rtp_header_form){ .size = ELEMENTS_AT };
    form->bytes[0] = FIRST_BYTE;
    store_u32(form->bytes + 8, config->ssrc);
    store_u16(form->bytes + BLOCK_AT, two_byte ? RTP_EXTENSION_TWO_BYTE : RTP_EXTENSION_ONE_BYTE);
    form_add(form, two_byte, ids[RTP_EXTENSION_MID], config->mid);
    form_add(form, two_byte, ids[RTP_EXTENSION_RID], config->rid);
    form_add(form, two_byte, ids[RTP_EXTENSION_REPAIRED_RID], config->repaired_rid);
    form_add(form, two_byte, ids[RTP_EXTENSION_PLAYOUT_DELAY], config->playout_delay);
    if (config->abs_send_time)
        form->abs_send_time_at =
            form_add(form, two_byte, ids[RTP_EXTENSION_ABS_SEND_TIME], bytes_of(zeros, 3));
    if (config->transport_sequence)
        form->transport_sequence_at =
            form_add(form, two_byte, ids[RTP_EXTENSION_TRANSPORT_SEQUENCE], bytes_of(zeros, 2));
}

/** How many elements a form holds: tells whether the one-byte form left something out. */
static size_t form_elements(const struct rtp_header_form *form, bool two_byte)
{
    size_t count = 0;
    for (size_t at = ELEMENTS_AT; at < form->size; count++)
        at += two_byte ? 2u + form->bytes[at + 1] : 2u + (form->bytes[at] & 0x0fu);
    return count;
}

void rtp_rewriter_init(struct rtp_rewriter *rewriter, const struct rtp_rewriter_config *config)
{
    *rewriter = (struct rtp_rewriter){ .two_byte_allowed = config->map->two_byte_allowed };
    form_build(&rewriter->one_byte, false, config);
    form_build(&rewriter->two_byte, true, config);
    rewriter->one_byte_possible =
        form_elements(&rewriter->one_byte, false) == form_elements(&rewriter->two_byte, true);
    memcpy(rewriter->id_of_kind, config->map->id_of_kind, sizeof(rewriter->id_of_kind));
    for (unsigned kind = 0; kind < RTP_EXTENSION_COUNT; kind++)
        if (rewriter->id_of_kind[kind] != 0)
            rewriter->pass |= config->pass & RTP_EXTENSION_BIT(kind);
}

/** The value that passes of a kind. */
static struct bytes value_of(unsigned kind, const struct rtp_rewrite *fields,
                             const struct rtp_extensions *source, const uint8_t *source_data)
{
    if (kind == RTP_EXTENSION_DEPENDENCY_DESCRIPTOR && fields->descriptor.size > 0)
        return fields->descriptor;
    return bytes_of(source_data + source->places[kind].at, source->places[kind].size);
}

static bool needs_two_byte(const struct rtp_rewriter *rewriter, uint32_t pass,
                           const struct rtp_rewrite *fields, const struct rtp_extensions *source,
                           const uint8_t *source_data)
{
    for (uint32_t left = pass; left; left &= left - 1) {
        unsigned kind = (unsigned)__builtin_ctz(left);
        if (!fits_one_byte(rewriter->id_of_kind[kind],
                           value_of(kind, fields, source, source_data).size))
            return true;
    }
    return false;
}

static uint8_t *pass_elements(const struct rtp_rewriter *rewriter, bool two_byte, uint32_t pass,
                              const struct rtp_rewrite *fields, const struct rtp_extensions *source,
                              const uint8_t *source_data, uint8_t *out, uint8_t *at)
{
    for (uint32_t left = pass; left; left &= left - 1) {
        unsigned kind = (unsigned)__builtin_ctz(left);
        uint8_t id = rewriter->id_of_kind[kind];
        struct bytes value = value_of(kind, fields, source, source_data);
        if (!two_byte && !fits_one_byte(id, value.size))
            continue;
        if ((size_t)(at - out) + 2 + value.size + 3 > RTP_REWRITE_HEADER_MAX)
            continue;
        at = element_head(at, two_byte, id, value.size);
        memcpy(at, value.data, value.size);
        at += value.size;
    }
    return at;
}

struct rtp_rewritten rtp_rewriter_write(const struct rtp_rewriter *rewriter,
                                        const struct rtp_rewrite *fields,
                                        const struct rtp_extensions *source,
                                        const uint8_t *source_data, uint8_t *out)
{
    uint32_t pass = source ? rewriter->pass & source->present : 0;
    bool two_byte =
        rewriter->two_byte_allowed && (!rewriter->one_byte_possible ||
                                       needs_two_byte(rewriter, pass, fields, source, source_data));
    const struct rtp_header_form *form = two_byte ? &rewriter->two_byte : &rewriter->one_byte;

    // a constant size is a few vector moves; what lies behind form->size is overwritten
    memcpy(out, form->bytes, sizeof(form->bytes));
    uint8_t *at = out + form->size;
    if (pass)
        at = pass_elements(rewriter, two_byte, pass, fields, source, source_data, out, at);
    uint8_t first = FIRST_BYTE | (fields->padding ? FIRST_PADDING : 0);
    if (at == out + ELEMENTS_AT) {
        at = out + BLOCK_AT;
    } else {
        while ((at - out) % 4 != 0)
            *at++ = 0;
        first |= FIRST_EXTENSION;
        store_u16(out + BLOCK_AT + 2, (uint16_t)((at - out - ELEMENTS_AT) / 4));
    }
    out[0] = first;
    out[1] = (uint8_t)((fields->marker ? 0x80 : 0) | fields->payload_type);
    store_u16(out + 2, fields->sequence);
    store_u32(out + 4, fields->timestamp);
    return (struct rtp_rewritten){
        .size = (uint16_t)(at - out),
        .abs_send_time_at = form->abs_send_time_at,
        .transport_sequence_at = form->transport_sequence_at,
    };
}
