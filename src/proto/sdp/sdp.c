#include "proto/sdp/sdp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/** Memory of one description: blocks that only grow and are freed together. */
struct sdp_arena {
    struct block *blocks;
};

struct block {
    struct block *next;
    size_t used;
    size_t capacity;
    max_align_t bytes[];
};

/** Blocks double in size, so that small descriptions stay small. */
enum {
    BLOCK_SIZE_MIN = 1024,
    BLOCK_SIZE_MAX = 64 * 1024,
};

struct sdp *sdp_new(void)
{
    struct sdp *sdp = memory_new(struct sdp);
    sdp->arena = memory_new(struct sdp_arena);
    return sdp;
}

void sdp_free(struct sdp *sdp)
{
    if (!sdp)
        return;
    struct block *block = sdp->arena->blocks;
    while (block) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(sdp->arena);
    free(sdp);
}

void sdp_free_at(struct sdp **sdp)
{
    sdp_free(*sdp);
}

void *sdp_allocate(struct sdp *sdp, size_t count, size_t size)
{
    ensure(size == 0 || count <= SIZE_MAX / 2 / size);
    size_t wanted = count * size;
    wanted = (wanted + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    struct block *block = sdp->arena->blocks;
    if (!block || block->capacity - block->used < wanted) {
        size_t capacity =
            block ? min_of(2 * block->capacity, (size_t)BLOCK_SIZE_MAX) : (size_t)BLOCK_SIZE_MIN;
        capacity = max_of(wanted, capacity);
        block = memory_allocate(1, sizeof(*block) + capacity);
        block->capacity = capacity;
        block->next = sdp->arena->blocks;
        sdp->arena->blocks = block;
    }
    void *place = (char *)block->bytes + block->used;
    block->used += wanted;
    return place;
}

void *sdp_list_grow(struct sdp *sdp, void *items, size_t count, size_t size)
{
    // full whenever the count is a power of two (or 0)
    if ((count & (count - 1)) != 0)
        return items;
    void *grown = sdp_allocate(sdp, count ? 2 * count : 1, size);
    if (count)
        memcpy(grown, items, count * size);
    return grown;
}

struct bytes sdp_text(struct sdp *sdp, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    ensure(size >= 0);
    char *text = sdp_allocate(sdp, (size_t)size + 1, 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return bytes_of(text, (size_t)size);
}

struct sdp_section *sdp_section_find(const struct sdp *sdp, struct bytes mid)
{
    for (size_t i = 0; i < sdp->sections.count; i++)
        if (bytes_equal(sdp->sections.items[i].mid, mid))
            return &sdp->sections.items[i];
    return NULL;
}

const struct sdp_rtpmap *sdp_rtpmap_find(const struct sdp_section *section, uint8_t payload_type)
{
    for (size_t i = 0; i < section->rtpmaps.count; i++)
        if (section->rtpmaps.items[i].payload_type == payload_type)
            return &section->rtpmaps.items[i];
    return NULL;
}

struct bytes sdp_fmtp_find(const struct sdp_section *section, uint8_t payload_type)
{
    for (size_t i = 0; i < section->fmtps.count; i++)
        if (section->fmtps.items[i].payload_type == payload_type)
            return section->fmtps.items[i].parameters;
    return bytes_of(NULL, 0);
}

bool sdp_attribute_find(const struct sdp_section *section, const char *name,
                        struct bytes *ret_value)
{
    for (size_t i = 0; i < section->attributes.count; i++) {
        if (!text_equal(section->attributes.items[i].name, name))
            continue;
        *ret_value = section->attributes.items[i].value;
        return true;
    }
    return false;
}

bool sdp_words_next(struct bytes *words, struct bytes *ret_word)
{
    while (words->size > 0) {
        struct bytes word = text_take_until(words, ' ');
        if (word.size == 0)
            continue;
        *ret_word = word;
        return true;
    }
    return false;
}

bool sdp_words_have(struct bytes words, struct bytes word)
{
    struct bytes next;
    while (sdp_words_next(&words, &next))
        if (bytes_equal(next, word))
            return true;
    return false;
}

bool sdp_ssrc_group_next(struct bytes *ssrcs, uint32_t *ret_ssrc)
{
    struct bytes word;
    uint64_t value;
    if (!sdp_words_next(ssrcs, &word) || text_parse_u64(word, UINT32_MAX, &value) < 0)
        return false;
    *ret_ssrc = (uint32_t)value;
    return true;
}

enum sdp_direction sdp_direction_reverse(enum sdp_direction direction)
{
    switch (direction) {
    case SDP_DIRECTION_SENDONLY:
        return SDP_DIRECTION_RECVONLY;
    case SDP_DIRECTION_RECVONLY:
        return SDP_DIRECTION_SENDONLY;
    default:
        return direction;
    }
}
