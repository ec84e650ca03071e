#include "room/speech.h"

#include "base/time.h"

/** Loudness (127 - level) above which a smoothed stream counts as loud: about -45 dBov. */
#define LOUD_Q8      (82u << 8)
#define ATTACK_US    (100 * TIME_US_PER_MS)
#define RELEASE_US   (800 * TIME_US_PER_MS)
#define SMOOTH_SHIFT 3 /**< of 20 ms packets: a time constant of about 160 ms */

static bool set_speaking(struct speech *speech, bool speaking)
{
    bool changed = speech->speaking != speaking;
    speech->speaking = speaking;
    return changed;
}

bool speech_input(struct speech *speech, uint64_t now_us, uint8_t level_dbov)
{
    uint32_t loudness = (127u - (level_dbov & 127u)) << 8;
    speech->loudness_q8 += (loudness >> SMOOTH_SHIFT) - (speech->loudness_q8 >> SMOOTH_SHIFT);
    if (speech->loudness_q8 < LOUD_Q8)
        return speech_tick(speech, now_us);
    if (speech->loud_since_us == 0)
        speech->loud_since_us = now_us;
    speech->loud_last_us = now_us;
    if (now_us - speech->loud_since_us < ATTACK_US)
        return false;
    return set_speaking(speech, true);
}

bool speech_tick(struct speech *speech, uint64_t now_us)
{
    if (speech->loud_since_us == 0 || now_us - speech->loud_last_us < RELEASE_US)
        return false;
    speech->loud_since_us = 0;
    return set_speaking(speech, false);
}

uint8_t speech_level(const struct speech *speech)
{
    return (uint8_t)(127 - min_of(speech->loudness_q8 >> 8, 127u));
}
