#include "room/rewrite.h"

#include "base/time.h"

/** What timestamps of the past are divided by: three seconds become a tenth. */
#define SQUEEZE 32

void rewrite_init(struct rewrite *rewrite, uint16_t first_sequence, uint32_t first_timestamp)
{
    // one cycle up, so that unwrapped numbers never go below zero
    *rewrite = (struct rewrite){
        .last_output = (1ull << 16) + first_sequence - 1,
        .last_timestamp = first_timestamp,
    };
}

void rewrite_switch(struct rewrite *rewrite, uint64_t now_us, uint32_t source, uint64_t input,
                    uint32_t input_timestamp, uint32_t clock_rate)
{
    uint32_t next_timestamp = rewrite->last_timestamp;
    if (rewrite->last_sent_us > 0) {
        uint64_t passed = (now_us - rewrite->last_sent_us) * clock_rate / TIME_US_PER_S;
        // at least one tick: two frames must never share a timestamp
        next_timestamp += (uint32_t)max_of(passed, (uint64_t)1);
    }
    rewrite->current = (uint8_t)((rewrite->current + 1) % REWRITE_SPANS);
    if (rewrite->count < REWRITE_SPANS)
        rewrite->count++;
    rewrite->spans[rewrite->current] = (struct rewrite_span){
        .first_output = rewrite->last_output + 1,
        .first_input = input,
        .timestamp_offset = next_timestamp - input_timestamp,
        .source = source,
    };
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

/** The span `age` before the current one. */
static const struct rewrite_span *span_at(const struct rewrite *rewrite, int age)
{
    int place = (rewrite->current + REWRITE_SPANS - age) % REWRITE_SPANS;
    return &rewrite->spans[place];
}

uint64_t rewrite_skip(struct rewrite *rewrite, uint32_t count)
{
    struct rewrite_span next = rewrite->spans[rewrite->current];
    uint64_t skipped = rewrite->last_output + 1;
    next.first_input += skipped - next.first_output;
    next.first_output = skipped + count;
    next.continues = true;
    rewrite->last_output += count;
    rewrite->current = (uint8_t)((rewrite->current + 1) % REWRITE_SPANS);
    if (rewrite->count < REWRITE_SPANS)
        rewrite->count++;
    rewrite->spans[rewrite->current] = next;
    return skipped;
}

const struct rewrite_span *rewrite_current(const struct rewrite *rewrite)
{
    return rewrite->count ? &rewrite->spans[rewrite->current] : NULL;
}

bool rewrite_map(struct rewrite *rewrite, uint64_t now_us, uint64_t input, uint32_t input_timestamp,
                 uint64_t *ret_output, uint32_t *ret_timestamp)
{
    const struct rewrite_span *span = rewrite_current(rewrite);
    // a late packet may be from before numbers that were skipped, but not from before a switch
    for (int age = 1; span && input < span->first_input; age++)
        span = span->continues && age < rewrite->count ? span_at(rewrite, age) : NULL;
    if (!span)
        return false;
    *ret_output = span->first_output + (input - span->first_input);
    *ret_timestamp = rewrite_timestamp(span, input_timestamp);
    if (*ret_output > rewrite->last_output) {
        rewrite->last_output = *ret_output;
        rewrite->last_timestamp = *ret_timestamp;
        rewrite->last_sent_us = now_us;
    }
    return true;
}

uint64_t rewrite_ahead(const struct rewrite *rewrite, uint64_t input)
{
    const struct rewrite_span *span = rewrite_current(rewrite);
    if (!span)
        return 0;
    uint64_t newest = span->first_input + (rewrite->last_output - span->first_output);
    return input > newest ? input - newest : 0;
}

bool rewrite_find(const struct rewrite *rewrite, uint16_t output, uint64_t *ret_output,
                  const struct rewrite_span **ret_span, uint64_t *ret_input)
{
    uint16_t behind = (uint16_t)((uint16_t)rewrite->last_output - output);
    if (behind > INT16_MAX)
        return false;
    uint64_t whole = rewrite->last_output - behind;
    for (int i = 0; i < rewrite->count; i++) {
        const struct rewrite_span *span = span_at(rewrite, i);
        if (whole >= span->first_output) {
            const struct rewrite_span *after = i > 0 ? span_at(rewrite, i - 1) : NULL;
            if (after && after->continues &&
                span->first_input + (whole - span->first_output) >= after->first_input)
                return false; // one of the skipped numbers
            *ret_output = whole;
            *ret_span = span;
            *ret_input = span->first_input + (whole - span->first_output);
            return true;
        }
    }
    return false;
}

void rewrite_forget(struct rewrite *rewrite)
{
    rewrite->count = 0;
}
