/**
 * One seamless outgoing stream made of many incoming ones. A slot keeps one SSRC while the track,
 * or the simulcast layer, that fills it changes; receivers must see sequence numbers without gaps
 * of our making and timestamps that go on at the codec's clock rate.
 *
 * Between two switches the mapping is a pair of constant offsets, called a span. The last few spans
 * are kept, so that a NACK for an outgoing number finds the incoming packet again.
 */
#pragma once

#include "base/compiler.h"

#define REWRITE_SPANS 8

struct rewrite_span {
    uint64_t first_output;     /**< outgoing number of the span's first packet */
    uint64_t first_input;      /**< its incoming number */
    uint32_t timestamp_offset; /**< outgoing minus incoming, modulo 2^32 */
    uint32_t source;           /**< which incoming stream: the caller's name for it */
    bool continues;            /**< the span before it, behind numbers that were skipped */
    bool squeezed;             /**< timestamps before `squeezed_until` are drawn together */
    uint32_t squeezed_until;   /**< an incoming timestamp */
};

struct rewrite {
    struct rewrite_span spans[REWRITE_SPANS]; /**< a ring; the current one is `current` */
    uint8_t current;
    uint8_t count;
    uint64_t last_output; /**< highest outgoing number given out */
    uint32_t last_timestamp;
    uint64_t last_sent_us; /**< when that one was sent */
};

/** The first outgoing number and timestamp are the caller's random ones (RFC 3550, 5.1). */
void rewrite_init(struct rewrite *rewrite, uint16_t first_sequence, uint32_t first_timestamp);
/**
 * Starts a span: the packet `input` of `source` becomes the next outgoing packet, its timestamp
 * follows the last one by the time passed at `clock_rate`.
 */
void rewrite_switch(struct rewrite *rewrite, uint64_t now_us, uint32_t source, uint64_t input,
                    uint32_t input_timestamp, uint32_t clock_rate);
/**
 * To be called between rewrite_switch and the first rewrite_map: the span begins in the past, and
 * its frames up to the incoming timestamp `until` are to be decoded, not watched. They keep their
 * order, but come so close together (a 32nd) that a receiver sees no time in them; what follows
 * has the distances that it came with.
 */
void rewrite_squeeze(struct rewrite *rewrite, uint32_t input_timestamp, uint32_t until);
/** The outgoing timestamp of a packet of the span. */
uint32_t rewrite_timestamp(const struct rewrite_span *span, uint32_t input_timestamp);
/**
 * Maps a packet of the current span. Returns false for one from before the switch, which the
 * receiver must not see.
 */
bool rewrite_map(struct rewrite *rewrite, uint64_t now_us, uint64_t input, uint32_t input_timestamp,
                 uint64_t *ret_output, uint32_t *ret_timestamp);
/**
 * Takes the next `count` outgoing numbers for packets of the caller's own, and returns the first of
 * them. There is a current span.
 */
uint64_t rewrite_skip(struct rewrite *rewrite, uint32_t count);
/** How far `input` is ahead of the newest packet of the current span; 0 when it is not. */
uint64_t rewrite_ahead(const struct rewrite *rewrite, uint64_t input);
/**
 * Finds the incoming packet behind the outgoing 16-bit number of a NACK. Returns false when it is
 * too old, was never sent, or belongs to a forgotten span.
 */
bool rewrite_find(const struct rewrite *rewrite, uint16_t output, uint64_t *ret_output,
                  const struct rewrite_span **ret_span, uint64_t *ret_input);
/** The current span, or NULL before the first switch. */
const struct rewrite_span *rewrite_current(const struct rewrite *rewrite);
/** Forgets the spans of all sources: their packets are gone. The numbers go on. */
void rewrite_forget(struct rewrite *rewrite);
