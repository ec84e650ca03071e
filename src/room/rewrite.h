/**
 * One seamless outgoing stream made of many incoming ones. A slot keeps one SSRC while the track,
 * or the layer, that fills it changes; receivers must see sequence numbers without gaps of our
 * making and timestamps that go on at the codec's clock rate.
 *
 * The mapping is a pair of constant offsets for a run of incoming numbers, called a span. A new one
 * begins at each switch to another stream, behind packets that were left out (of layers that the
 * receiver does not get), and behind numbers that were taken for packets of our own. The last spans
 * are kept, so that a late packet gets its place, and a NACK for an outgoing number finds the
 * incoming packet again.
 */
#pragma once

#include "base/compiler.h"

/** Spans that are kept: so many at first, and more where layers are left out. */
#define REWRITE_SPANS_MIN 8
#define REWRITE_SPANS_MAX 64

/** What codecs count inside of packets: added to the incoming numbers, modulo their size. */
struct rewrite_ids {
    uint16_t picture; /**< picture id of VP8 and VP9 */
    uint16_t frame;   /**< frame number of the dependency descriptor */
    uint8_t tl0;      /**< TL0PICIDX of VP8 and VP9 */
};

struct rewrite_span {
    uint64_t first_output;     /**< outgoing number of the span's first packet */
    uint64_t first_input;      /**< its incoming number */
    uint32_t count;            /**< of numbers in it; the current span has no end yet */
    uint32_t timestamp_offset; /**< outgoing minus incoming, modulo 2^32 */
    uint32_t squeezed_until;   /**< an incoming timestamp */
    struct rewrite_ids ids;
    uint8_t source; /**< which incoming stream: the caller's name for it */
    bool continues; /**< goes on with the stream of the span before it */
    bool squeezed;  /**< timestamps before `squeezed_until` are drawn together */
};

struct rewrite {
    struct rewrite_span *spans; /**< a ring; the current one is `current` */
    uint8_t capacity;
    uint8_t current;
    uint8_t count;
    bool left_out; /**< the newest packet was, as one of `left_out_frame` */
    uint32_t left_out_frame;
    uint64_t newest_input; /**< of the current span's stream, left out or not */
    uint64_t last_output;  /**< highest outgoing number given out */
    uint32_t last_timestamp;
    uint64_t last_sent_us; /**< when that one was sent */
};

/** A packet's place in the outgoing stream. */
struct rewrite_place {
    uint64_t output;
    uint64_t input;
    const struct rewrite_span *span; /**< valid until the next change */
};

/** The first outgoing number and timestamp are the caller's random ones (RFC 3550, 5.1). */
void rewrite_init(struct rewrite *rewrite, uint16_t first_sequence, uint32_t first_timestamp);
void rewrite_done(struct rewrite *rewrite);
/**
 * Starts a span: the packet `input` of `source` becomes the next outgoing packet, its timestamp
 * follows the last one by the time passed at `clock_rate`.
 */
void rewrite_switch(struct rewrite *rewrite, uint64_t now_us, uint8_t source, uint64_t input,
                    uint32_t input_timestamp, uint32_t clock_rate, const struct rewrite_ids *ids);
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
 * Maps a packet of the current stream. Returns false for one that the receiver must not see: from
 * before the switch, or from among those that were left out.
 */
bool rewrite_map(struct rewrite *rewrite, uint64_t now_us, uint64_t input, uint32_t input_timestamp,
                 struct rewrite_place *ret_place);
/**
 * Leaves out a packet of the current stream: the ones behind it close up. Returns false when it
 * came late, and its number is a gap that the receiver sees already: rewrite_map gives that number,
 * which is to be filled with a packet of nothing. `frame` names its frame for its neighbours: what
 * is missing between two packets of one frame is left out with them. `picture` says that the id of
 * a picture goes with it, and those behind it close up, too.
 */
bool rewrite_leave_out(struct rewrite *rewrite, uint64_t input, uint32_t frame, bool picture);
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
bool rewrite_find(const struct rewrite *rewrite, uint16_t output, struct rewrite_place *ret_place);
/** The current span, or NULL before the first switch. */
const struct rewrite_span *rewrite_current(const struct rewrite *rewrite);
/** Forgets the spans of all sources: their packets are gone. The numbers go on. */
void rewrite_forget(struct rewrite *rewrite);
