#include "proto/rtp/twcc_feedback.h"

#include <errno.h>

#include "proto/rtp/rtcp.h"

/** Packet status symbols (section 3.1.1). */
enum {
    NOT_RECEIVED = 0,
    SMALL_DELTA = 1,
    LARGE_DELTA = 2,
    RESERVED = 3,
};

enum {
    HEAD_SIZE = RTCP_HEADER_SIZE + 8 + 8,
    RUN_LENGTH_MAX = 0x1fff,
    ONE_BIT_SYMBOLS = 14,
    TWO_BIT_SYMBOLS = 7,
    BUILD_MAX = 4096,
};

int twcc_feedback_parse(struct bytes control, struct twcc_feedback *ret_feedback)
{
    struct reader reader = reader_of(control.data, control.size);
    struct twcc_feedback feedback = { .base_sequence = reader_u16(&reader) };
    feedback.status_count = reader_u16(&reader);
    feedback.reference = (int32_t)(reader_u24(&reader) ^ 0x800000) - 0x800000;
    feedback.feedback_count = reader_u8(&reader);
    feedback.rest = reader_bytes(&reader, reader_left(&reader));
    if (reader.failed || feedback.status_count == 0 ||
        feedback.status_count > TWCC_STATUS_COUNT_MAX)
        return -EBADMSG;
    *ret_feedback = feedback;
    return 0;
}

/**
 * Run length chunk:      |0| S |   run length (13)     |
 * Status vector chunk:   |1|S|   14 or 7 symbols       |   S = 0: one bit each, 1: two bits
 */
static void chunk_load(struct twcc_cursor *cursor, uint16_t chunk)
{
    if (!(chunk & 0x8000)) {
        cursor->vector_bits = 0;
        cursor->run_symbol = chunk >> 13 & 3;
        cursor->run_left = chunk & RUN_LENGTH_MAX;
        return;
    }
    cursor->vector_bits = chunk & 0x4000 ? 2 : 1;
    cursor->vector_left = chunk & 0x4000 ? TWO_BIT_SYMBOLS : ONE_BIT_SYMBOLS;
    cursor->vector = (uint16_t)(chunk << 2);
}

/** The next symbol, or -1 when the chunks end. */
static int symbol_next(struct twcc_cursor *cursor)
{
    while (cursor->vector_bits ? cursor->vector_left == 0 : cursor->run_left == 0) {
        uint16_t chunk = reader_u16(&cursor->chunks);
        if (cursor->chunks.failed)
            return -1;
        chunk_load(cursor, chunk);
    }
    if (cursor->vector_bits == 0) {
        cursor->run_left--;
        return cursor->run_symbol;
    }
    int symbol = cursor->vector >> (16 - cursor->vector_bits);
    cursor->vector = (uint16_t)(cursor->vector << cursor->vector_bits);
    cursor->vector_left--;
    return symbol;
}

/**
 * Counts the symbols of a chunk, `left` at most, and adds the size of their deltas. False when one
 * of them is reserved.
 */
static bool chunk_measure(uint16_t chunk, size_t left, size_t *ret_symbols, size_t *deltas_size)
{
    struct twcc_cursor scout = { 0 };
    chunk_load(&scout, chunk);
    if (scout.vector_bits == 0) {
        *ret_symbols = min_of((size_t)scout.run_left, left);
        *deltas_size += *ret_symbols * scout.run_symbol;
        return scout.run_symbol != RESERVED || *ret_symbols == 0;
    }
    *ret_symbols = min_of((size_t)scout.vector_left, left);
    for (size_t i = 0; i < *ret_symbols; i++) {
        int symbol = symbol_next(&scout);
        if (symbol == RESERVED)
            return false;
        *deltas_size += (size_t)symbol;
    }
    return true;
}

int twcc_cursor_of(const struct twcc_feedback *feedback, struct twcc_cursor *ret_cursor)
{
    struct twcc_cursor cursor = {
        .chunks = reader_of(feedback->rest.data, feedback->rest.size),
        .sequence = feedback->base_sequence,
        .left = feedback->status_count,
        .time_us = (int64_t)feedback->reference * TWCC_REFERENCE_US,
    };
    // the deltas begin where the chunks end: a look at each chunk finds the place
    struct twcc_cursor scout = cursor;
    size_t deltas_size = 0;
    for (size_t left = feedback->status_count; left > 0;) {
        uint16_t chunk = reader_u16(&scout.chunks);
        size_t symbols;
        if (scout.chunks.failed || !chunk_measure(chunk, left, &symbols, &deltas_size))
            return -EBADMSG;
        left -= symbols;
    }
    cursor.deltas = scout.chunks;
    if (reader_left(&cursor.deltas) < deltas_size)
        return -EBADMSG;
    *ret_cursor = cursor;
    return 0;
}

bool twcc_cursor_next(struct twcc_cursor *cursor, uint16_t *ret_sequence, bool *ret_received,
                      int64_t *ret_time_us)
{
    if (cursor->left == 0)
        return false;
    cursor->left--;
    int symbol = symbol_next(cursor);
    if (symbol == SMALL_DELTA)
        cursor->time_us += (int64_t)reader_u8(&cursor->deltas) * TWCC_DELTA_US;
    else if (symbol == LARGE_DELTA)
        cursor->time_us += (int64_t)(int16_t)reader_u16(&cursor->deltas) * TWCC_DELTA_US;
    *ret_sequence = cursor->sequence++;
    *ret_received = symbol == SMALL_DELTA || symbol == LARGE_DELTA;
    *ret_time_us = cursor->time_us;
    return true;
}

/** A feedback packet on its way: one symbol per packet, and the deltas as they will be sent. */
struct build {
    size_t count;
    uint8_t symbols[BUILD_MAX];
    size_t delta_count;
    int16_t deltas[BUILD_MAX];
    size_t deltas_size;
};

/** The chunk writer below covers at least 7 symbols with each chunk but the last. */
static size_t build_size(const struct build *build, size_t count)
{
    size_t chunks = (count + TWO_BIT_SYMBOLS - 1) / TWO_BIT_SYMBOLS;
    return HEAD_SIZE + 2 * chunks + build->deltas_size + 3;
}

static void build_fill(struct build *build, int64_t reference_us,
                       const struct twcc_arrival *arrivals, size_t count, size_t room)
{
    int64_t time_us = reference_us;
    for (size_t i = 0; i < count; i++) {
        uint8_t symbol = NOT_RECEIVED;
        int64_t delta = 0;
        if (arrivals[i].received) {
            int64_t step_us = (int64_t)arrivals[i].time_us - time_us;
            int64_t half = step_us < 0 ? -TWCC_DELTA_US / 2 : TWCC_DELTA_US / 2;
            delta = (step_us + half) / TWCC_DELTA_US;
            if (delta < INT16_MIN || delta > INT16_MAX)
                return;
            symbol = delta >= 0 && delta <= 255 ? SMALL_DELTA : LARGE_DELTA;
        }
        if (build_size(build, build->count + 1) + symbol > room)
            return;
        build->symbols[build->count++] = symbol;
        if (symbol == NOT_RECEIVED)
            continue;
        build->deltas[build->delta_count++] = (int16_t)delta;
        build->deltas_size += symbol;
        time_us += delta * TWCC_DELTA_US;
    }
}

static size_t run_length(const struct build *build, size_t at)
{
    size_t end = at;
    while (end < build->count && build->symbols[end] == build->symbols[at] &&
           end - at < RUN_LENGTH_MAX)
        end++;
    return end - at;
}

static bool has_large(const struct build *build, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++)
        if (build->symbols[i] == LARGE_DELTA)
            return true;
    return false;
}

static void vector_chunk(struct writer *writer, const struct build *build, size_t at, size_t count,
                         unsigned bits)
{
    unsigned chunk = bits == 2 ? 0xc000 : 0x8000;
    for (size_t i = 0; i < count; i++)
        chunk |= (unsigned)build->symbols[at + i] << (14 - bits * (i + 1));
    writer_u16(writer, (uint16_t)chunk);
}

static void chunks_write(struct writer *writer, const struct build *build)
{
    size_t at = 0;
    while (at < build->count) {
        size_t left = build->count - at;
        size_t run = run_length(build, at);
        size_t one_bit = min_of(left, (size_t)ONE_BIT_SYMBOLS);
        size_t two_bit = min_of(left, (size_t)TWO_BIT_SYMBOLS);
        bool large = has_large(build, at, one_bit);
        if (run > ONE_BIT_SYMBOLS || run == left || (large && run >= TWO_BIT_SYMBOLS)) {
            writer_u16(writer, (uint16_t)((size_t)build->symbols[at] << 13 | run));
            at += run;
        } else if (!large) {
            vector_chunk(writer, build, at, one_bit, 1);
            at += one_bit;
        } else {
            vector_chunk(writer, build, at, two_bit, 2);
            at += two_bit;
        }
    }
}

static void deltas_write(struct writer *writer, const struct build *build)
{
    size_t next = 0;
    for (size_t i = 0; i < build->count; i++) {
        if (build->symbols[i] == SMALL_DELTA)
            writer_u8(writer, (uint8_t)build->deltas[next++]);
        else if (build->symbols[i] == LARGE_DELTA)
            writer_u16(writer, (uint16_t)build->deltas[next++]);
    }
}

size_t twcc_feedback_write(struct writer *writer, uint32_t sender_ssrc, uint32_t media_ssrc,
                           uint8_t feedback_count, uint16_t base_sequence,
                           const struct twcc_arrival *arrivals, size_t count)
{
    size_t first = 0;
    while (first < count && !arrivals[first].received)
        first++;
    if (first == count || writer->failed)
        return 0;
    uint64_t reference = arrivals[first].time_us / TWCC_REFERENCE_US;

    struct build build;
    build.count = 0;
    build.delta_count = 0;
    build.deltas_size = 0;
    build_fill(&build, (int64_t)(reference * TWCC_REFERENCE_US), arrivals,
               min_of(count, (size_t)BUILD_MAX), writer->capacity - writer->size);
    if (build.delta_count == 0)
        return 0;

    size_t head_at = writer->size;
    writer_u8(writer, 2 << 6 | RTCP_TRANSPORT_WIDE);
    writer_u8(writer, RTCP_TRANSPORT_FEEDBACK);
    writer_u16(writer, 0);
    writer_u32(writer, sender_ssrc);
    writer_u32(writer, media_ssrc);
    writer_u16(writer, base_sequence);
    writer_u16(writer, (uint16_t)build.count);
    writer_u24(writer, reference & 0xffffff);
    writer_u8(writer, feedback_count);
    chunks_write(writer, &build);
    deltas_write(writer, &build);
    size_t padding = (4 - (writer->size - head_at) % 4) % 4;
    if (padding > 0) {
        // the draft pads with zeros; receivers stop after the last delta, but the P bit is honest
        writer->data[head_at] |= 0x20;
        writer_zeros(writer, padding - 1);
        writer_u8(writer, (uint8_t)padding);
    }
    writer_patch_u16(writer, head_at + 2, (uint16_t)((writer->size - head_at) / 4 - 1));
    return build.count;
}
