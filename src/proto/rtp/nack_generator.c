#include "proto/rtp/nack_generator.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"

enum { MISSING_FIRST_CAPACITY = 32 };

struct rtp_nack_config rtp_nack_config_default(void)
{
    return (struct rtp_nack_config){
        .reorder_wait_us = 10000,
        .reorder_packets = 3,
        .attempts_max = 10,
        .age_max_us = 1000000,
        .round_trip_us = 100000,
        .interval_min_us = 20000,
    };
}

void rtp_nack_generator_init(struct rtp_nack_generator *generator,
                             const struct rtp_nack_config *config)
{
    *generator = (struct rtp_nack_generator){ .config = *config };
}

void rtp_nack_generator_done(struct rtp_nack_generator *generator)
{
    free(generator->missing);
    generator->missing = NULL;
    generator->missing_count = 0;
    generator->missing_capacity = 0;
}

static void missing_drop_first(struct rtp_nack_generator *generator, uint32_t count)
{
    generator->missing_count -= count;
    memmove(generator->missing, generator->missing + count,
            generator->missing_count * sizeof(*generator->missing));
}

/** Makes room for `count` more: forgets what a key frame made useless, else the oldest. */
static void missing_make_room(struct rtp_nack_generator *generator, uint32_t count)
{
    uint32_t needed = min_of(generator->missing_count + count, (uint32_t)RTP_NACK_MISSING_MAX);
    if (needed > generator->missing_capacity) {
        uint32_t capacity = max_of(generator->missing_capacity, (uint32_t)MISSING_FIRST_CAPACITY);
        while (capacity < needed)
            capacity *= 2;
        generator->missing_capacity = capacity;
        generator->missing =
            memory_resize(generator->missing, capacity * sizeof(*generator->missing));
    }
    if (generator->missing_count + count <= RTP_NACK_MISSING_MAX)
        return;
    uint32_t dropped = generator->missing_count + count - RTP_NACK_MISSING_MAX;
    uint32_t useless = 0;
    while (useless < generator->missing_count &&
           generator->missing[useless].sequence < generator->key_frame_sequence)
        useless++;
    if (useless < dropped)
        generator->key_frame_wanted = true;
    dropped = max_of(dropped, useless);
    generator->given_up_total += dropped;
    missing_drop_first(generator, dropped);
}

static void missing_add(struct rtp_nack_generator *generator, uint64_t now_us, uint64_t first,
                        uint64_t end)
{
    if (end - first > RTP_NACK_GAP_MAX) {
        generator->given_up_total += generator->missing_count;
        generator->missing_count = 0;
        generator->key_frame_wanted = true;
        return;
    }
    if (end - first > RTP_NACK_MISSING_MAX) {
        // more than can be remembered: the newest of them
        generator->given_up_total += end - first - RTP_NACK_MISSING_MAX;
        generator->key_frame_wanted = true;
        first = end - RTP_NACK_MISSING_MAX;
    }
    // at once: one by one, whoever jumps with every packet would have us move the list for each
    if (end > first)
        missing_make_room(generator, (uint32_t)(end - first));
    for (uint64_t sequence = first; sequence < end; sequence++)
        generator->missing[generator->missing_count++] =
            (struct rtp_nack_missing){ .sequence = sequence, .since_us = now_us };
}

static void missing_remove(struct rtp_nack_generator *generator, uint64_t sequence)
{
    for (uint32_t i = 0; i < generator->missing_count; i++) {
        struct rtp_nack_missing *entry = &generator->missing[i];
        if (entry->sequence != sequence)
            continue;
        if (entry->attempts > 0)
            generator->recovered_total++;
        generator->missing_count--;
        memmove(entry, entry + 1, (generator->missing_count - i) * sizeof(*entry));
        return;
    }
}

void rtp_nack_generator_received(struct rtp_nack_generator *generator, uint64_t now_us,
                                 uint16_t sequence, bool key_frame)
{
    bool started = generator->sequence.started;
    uint64_t before = generator->sequence.highest;
    uint64_t unwrapped = rtp_sequence_unwrap(&generator->sequence, sequence);
    if (key_frame)
        generator->key_frame_sequence = max_of(generator->key_frame_sequence, unwrapped);
    if (!started)
        return;
    if (unwrapped > before)
        missing_add(generator, now_us, before + 1, unwrapped);
    else
        missing_remove(generator, unwrapped);
}

void rtp_nack_generator_round_trip(struct rtp_nack_generator *generator, uint64_t round_trip_us)
{
    generator->config.round_trip_us = (uint32_t)min_of(round_trip_us, time_from_s(2));
}

/** When an entry is to be asked for next (or given up). */
static uint64_t entry_due(const struct rtp_nack_generator *generator,
                          const struct rtp_nack_missing *entry)
{
    const struct rtp_nack_config *config = &generator->config;
    if (entry->attempts > 0)
        return entry->asked_us + max_of(config->round_trip_us, config->interval_min_us);
    if (generator->sequence.highest - entry->sequence >= config->reorder_packets)
        return entry->since_us;
    return entry->since_us + config->reorder_wait_us;
}

static bool entry_hopeless(const struct rtp_nack_generator *generator,
                           const struct rtp_nack_missing *entry, uint64_t now_us)
{
    return entry->attempts >= generator->config.attempts_max ||
           now_us - entry->since_us > generator->config.age_max_us;
}

size_t rtp_nack_generator_output(struct rtp_nack_generator *generator, uint64_t now_us,
                                 uint16_t *out, size_t capacity)
{
    size_t written = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < generator->missing_count; i++) {
        struct rtp_nack_missing entry = generator->missing[i];
        if (written < capacity && entry_due(generator, &entry) <= now_us) {
            if (entry_hopeless(generator, &entry, now_us)) {
                generator->given_up_total++;
                // what lies before a key frame is lost without harm
                if (entry.sequence > generator->key_frame_sequence)
                    generator->key_frame_wanted = true;
                continue;
            }
            entry.attempts++;
            entry.asked_us = now_us;
            generator->requested_total++;
            out[written++] = (uint16_t)entry.sequence;
        }
        generator->missing[kept++] = entry;
    }
    generator->missing_count = kept;
    return written;
}

uint64_t rtp_nack_generator_deadline(const struct rtp_nack_generator *generator)
{
    uint64_t deadline_us = TIME_NEVER;
    for (uint32_t i = 0; i < generator->missing_count; i++)
        deadline_us = time_earlier(deadline_us, entry_due(generator, &generator->missing[i]));
    return deadline_us;
}

bool rtp_nack_generator_key_frame_wanted(struct rtp_nack_generator *generator)
{
    bool wanted = generator->key_frame_wanted;
    generator->key_frame_wanted = false;
    return wanted;
}
