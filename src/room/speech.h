/**
 * Is this publication speech right now? Decided from the audio levels that senders put into their
 * packets (RFC 6464), with hysteresis so that a pause for breath does not flicker.
 */
#pragma once

#include "base/compiler.h"

struct speech {
    uint32_t loudness_q8;   /**< smoothed 127 - level, 8 fractional bits */
    uint64_t loud_since_us; /**< 0: not loud */
    uint64_t loud_last_us;
    bool speaking;
};

/**
 * Takes the level of one packet (0 loud to 127 silent). Returns true when `speaking` changed.
 */
bool speech_input(struct speech *speech, uint64_t now_us, uint8_t level_dbov);
/** Ends speech of a stream that went silent without packets. True when `speaking` changed. */
bool speech_tick(struct speech *speech, uint64_t now_us);
/** Smoothed level in -dBov, 0 loud to 127 silent. */
uint8_t speech_level(const struct speech *speech);
