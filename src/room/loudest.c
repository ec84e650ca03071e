#include "room/loudest.h"

#include "base/time.h"

/** -60 dBov: what is quieter takes nobody's place. */
#define FLOOR 67
/** A peak fades by a decibel in this time. */
#define FADE_US (30 * TIME_US_PER_MS)
/** So long a place is kept after the last loud packet. */
#define HOLD_US (700 * TIME_US_PER_MS)
/** Who has just got a place is not the next to lose it, and only to somebody clearly louder. */
#define TENURE_US (400 * TIME_US_PER_MS)
#define MARGIN    6

void loudest_init(struct loudest *loudest, uint32_t places)
{
    *loudest = (struct loudest){ 0 };
    list_init(&loudest->voices);
    loudest_set_places(loudest, places);
}

static void set_chosen(struct loudest_voice *voice, bool chosen)
{
    if (voice->chosen == chosen)
        return;
    voice->chosen = chosen;
    voice->loudest->chosen_count += chosen ? 1u : -1u;
}

void loudest_join(struct loudest *loudest, struct loudest_voice *voice)
{
    loudest_leave(voice);
    voice->loudest = loudest;
    list_append(&loudest->voices, &voice->node);
    loudest->voice_count++;
}

void loudest_leave(struct loudest_voice *voice)
{
    if (!voice->loudest)
        return;
    set_chosen(voice, false);
    list_remove(&voice->node);
    voice->loudest->voice_count--;
    voice->loudest = NULL;
}

static uint8_t faded(const struct loudest_voice *voice, uint64_t now_us)
{
    uint64_t faded_by = now_us > voice->peak_us ? (now_us - voice->peak_us) / FADE_US : 0;
    return voice->peak > faded_by ? (uint8_t)(voice->peak - faded_by) : 0;
}

static struct loudest_voice *weakest(const struct loudest *loudest, uint64_t now_us)
{
    struct loudest_voice *found = NULL, *voice;
    list_each(voice, &loudest->voices, node)
    {
        if (voice->chosen && (!found || faded(voice, now_us) < faded(found, now_us)))
            found = voice;
    }
    return found;
}

void loudest_set_places(struct loudest *loudest, uint32_t places)
{
    loudest->places = places ? places : UINT32_MAX;
    while (loudest->chosen_count > loudest->places)
        set_chosen(weakest(loudest, UINT64_MAX), false);
}

/** Whether a voice that is this loud now may have another one's place. */
static bool outdoes(const struct loudest_voice *holder, uint64_t now_us, uint8_t loudness)
{
    uint8_t held = faded(holder, now_us);
    if (held < FLOOR && now_us - holder->loud_us >= HOLD_US)
        return true;
    return now_us - holder->chosen_us >= TENURE_US && loudness >= held + MARGIN;
}

bool loudest_packet(struct loudest_voice *voice, uint64_t now_us, uint8_t loudness)
{
    struct loudest *loudest = voice->loudest;
    if (!loudest)
        return true;
    if (loudness >= faded(voice, now_us)) {
        voice->peak = loudness;
        voice->peak_us = now_us;
    }
    if (loudness >= FLOOR)
        voice->loud_us = now_us;
    if (voice->chosen)
        return true;
    if (loudest->chosen_count >= loudest->places) {
        struct loudest_voice *holder = loudness >= FLOOR ? weakest(loudest, now_us) : NULL;
        if (!holder || !outdoes(holder, now_us, loudness))
            return false;
        set_chosen(holder, false);
    }
    set_chosen(voice, true);
    voice->chosen_us = now_us;
    return true;
}
