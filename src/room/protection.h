/**
 * Whether a receiver's video gets forward error correction (ULPFEC in RED, RFC 5109): where packets
 * are lost and the way there and back is so long that retransmission comes late.
 */
#pragma once

#include "rtc/sender.h"

enum protection_mode {
    PROTECTION_AUTO,   /**< where it pays */
    PROTECTION_ALWAYS, /**< whoever can take it: for tests and for links known to be bad */
    PROTECTION_NEVER,
};

/** Zeroed but for the mode at first. */
struct protection {
    enum protection_mode mode;
    /** Media packets for each FEC packet; 0: none is sent. */
    uint8_t group;
    uint64_t reported_us; /**< of the last report taken into account */
    uint64_t good_us;     /**< since when reports tell of hardly any loss; 0: they do not */
};

/** Takes in what the receiver reports; returns the group. */
uint8_t protection_update(struct protection *protection, uint64_t now_us,
                          const struct rtc_reported *reported);
