#include "room/rewrite.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/time.h"

/** What timestamps of the past are divided by: three seconds become a tenth. */
#define SQUEEZE 32

void rewrite_init(struct rewrite *rewrite, uint16_t first_sequence, uint32_t first_timestamp)
{
    // one cycle up, so that unwrapped numbers never go below zero
    *rewrite = (struct rewrite){
        .spans = memory_new_array(struct rewrite_span, REWRITE_SPANS_MIN),
        .capacity = REWRITE_SPANS_MIN,
        .last_output = (1ull << 16) + first_sequence - 1,
        .last_timestamp = first_timestamp,
    };
}

void rewrite_done(struct rewrite *rewrite)
{
    free(rewrite->spans);
    rewrite->spans = NULL;
}

/** The span `age` before the current one. */
static struct rewrite_span *span_at(const struct rewrite *rewrite, int age)
{
    int place = (rewrite->current + rewrite->capacity - age) % rewrite->capacity;
    return &rewrite->spans[place];
}

const struct rewrite_span *rewrite_current(const struct rewrite *rewrite)
{
    return rewrite->count ? &rewrite->spans[rewrite->current] : NULL;
}

/** Twice the places, in the order of age. */
static void grow(struct rewrite *rewrite)
{
    uint8_t capacity = (uint8_t)(rewrite->capacity * 2);
    struct rewrite_span *spans = memory_new_array(struct rewrite_span, capacity);
    for (int i = 0; i < rewrite->count; i++)
        spans[i] = *span_at(rewrite, rewrite->count - 1 - i);
    free(rewrite->spans);
    rewrite->spans = spans;
    rewrite->capacity = capacity;
    rewrite->current = (uint8_t)(rewrite->count - 1);
}

static void push(struct rewrite *rewrite, const struct rewrite_span *span)
{
    // switches are rare: more room is for those who leave something out all the time
    if (rewrite->count == rewrite->capacity && span->continues &&
        rewrite->capacity < REWRITE_SPANS_MAX)
        grow(rewrite);
    rewrite->current = (uint8_t)((rewrite->current + 1) % rewrite->capacity);
    if (rewrite->count < rewrite->capacity)
        rewrite->count++;
    rewrite->spans[rewrite->current] = *span;
}

void rewrite_switch(struct rewrite *rewrite, uint64_t now_us, uint8_t source, uint64_t input,
                    uint32_t input_timestamp, uint32_t clock_rate, const struct rewrite_ids *ids)
{
    uint32_t next_timestamp = rewrite->last_timestamp;
    if (rewrite->last_sent_us > 0) {
        uint64_t passed = (now_us - rewrite->last_sent_us) * clock_rate / TIME_US_PER_S;
        // at least one tick: two frames must never share a timestamp
        next_timestamp += (uint32_t)max_of(passed, (uint64_t)1);
    }
    if (rewrite->count > 0) {
        struct rewrite_span *before = span_at(rewrite, 0);
        before->count = (uint32_t)(rewrite->newest_input + 1 - before->first_input);
    }
    push(rewrite, &(struct rewrite_span){
                      .first_output = rewrite->last_output + 1,
                      .first_input = input,
                      .timestamp_offset = next_timestamp - input_timestamp,
                      .ids = *ids,
                      .source = source,
                  });
    rewrite->newest_input = input - 1;
    rewrite->left_out = false;
}

/** How far `input_timestamp` moves towards the end of the span's past. */
static uint32_t squeeze(uint32_t until, uint32_t input_timestamp)
{
    uint32_t before = until - input_timestamp;
    return before > INT32_MAX ? 0 : before - before / SQUEEZE;
}

void rewrite_squeeze(struct rewrite *rewrite, uint32_t input_timestamp, uint32_t until)
{
    struct rewrite_span *span = &rewrite->spans[rewrite->current];
    span->squeezed = true;
    span->squeezed_until = until;
    span->timestamp_offset -= squeeze(until, input_timestamp);
}

uint32_t rewrite_timestamp(const struct rewrite_span *span, uint32_t input_timestamp)
{
    uint32_t moved = span->squeezed ? squeeze(span->squeezed_until, input_timestamp) : 0;
    return input_timestamp + span->timestamp_offset + moved;
}

/** The span of a packet; NULL when it is from before the switch, or among those left out. */
static const struct rewrite_span *span_of(const struct rewrite *rewrite, uint64_t input)
{
    const struct rewrite_span *span = rewrite_current(rewrite);
    if (!span || input >= span->first_input)
        return span;
    for (int age = 1; span->continues && age < rewrite->count; age++) {
        span = span_at(rewrite, age);
        if (input >= span->first_input)
            return input - span->first_input < span->count ? span : NULL;
    }
    return NULL;
}

bool rewrite_map(struct rewrite *rewrite, uint64_t now_us, uint64_t input, uint32_t input_timestamp,
                 struct rewrite_place *ret_place)
{
    const struct rewrite_span *span = span_of(rewrite, input);
    if (!span)
        return false;
    ret_place->output = span->first_output + (input - span->first_input);
    ret_place->input = input;
    ret_place->span = span;
    if (input > rewrite->newest_input) {
        rewrite->newest_input = input;
        rewrite->left_out = false;
        rewrite->last_output = ret_place->output;
        rewrite->last_timestamp = rewrite_timestamp(span, input_timestamp);
        rewrite->last_sent_us = now_us;
    }
    return true;
}

/** A new span of the same stream, for what comes behind `newest_input` and `skipped` numbers. */
static void go_on(struct rewrite *rewrite, uint64_t first_input, uint32_t skipped,
                  uint16_t pictures)
{
    struct rewrite_span *span = span_at(rewrite, 0);
    struct rewrite_span next = *span;
    // of a span without packets nobody needs to know
    bool empty = rewrite->last_output + 1 == span->first_output;
    span->count = (uint32_t)(rewrite->last_output + 1 - span->first_output);
    next.first_input = first_input;
    next.first_output = rewrite->last_output + 1 + skipped;
    next.ids.picture = (uint16_t)(next.ids.picture - pictures);
    if (empty) {
        next.continues = span->continues;
        *span = next;
    } else {
        next.continues = true;
        push(rewrite, &next);
    }
    rewrite->last_output += skipped;
}

uint64_t rewrite_skip(struct rewrite *rewrite, uint32_t count)
{
    uint64_t skipped = rewrite->last_output + 1;
    go_on(rewrite, rewrite->newest_input + 1, count, 0);
    return skipped;
}

bool rewrite_leave_out(struct rewrite *rewrite, uint64_t input, uint32_t frame, bool picture)
{
    if (rewrite->count == 0)
        return true;
    if (input <= rewrite->newest_input)
        return !span_of(rewrite, input);
    bool inside = rewrite->left_out && rewrite->left_out_frame == frame;
    if (!inside)
        rewrite->last_output += input - rewrite->newest_input - 1;
    go_on(rewrite, input + 1, 0, picture);
    rewrite->newest_input = input;
    rewrite->left_out = true;
    rewrite->left_out_frame = frame;
    return true;
}

uint64_t rewrite_ahead(const struct rewrite *rewrite, uint64_t input)
{
    return rewrite->count > 0 && input > rewrite->newest_input ? input - rewrite->newest_input : 0;
}

bool rewrite_find(const struct rewrite *rewrite, uint16_t output, struct rewrite_place *ret_place)
{
    uint16_t behind = (uint16_t)((uint16_t)rewrite->last_output - output);
    if (behind > INT16_MAX)
        return false;
    uint64_t whole = rewrite->last_output - behind;
    for (int i = 0; i < rewrite->count; i++) {
        const struct rewrite_span *span = span_at(rewrite, i);
        if (whole < span->first_output)
            continue;
        if (i > 0 && whole - span->first_output >= span->count)
            return false; // taken for another packet
        *ret_place = (struct rewrite_place){
            .output = whole,
            .input = span->first_input + (whole - span->first_output),
            .span = span,
        };
        return true;
    }
    return false;
}

void rewrite_forget(struct rewrite *rewrite)
{
    rewrite->count = 0;
    rewrite->left_out = false;
}
