/**
 * The limit that losses set (draft-ietf-rmcat-gcc-02, 6): down above 10 %, up again below 2 %. It
 * works where queues are too short to show in delays. Losses that do not become fewer when less is
 * sent are the path's own (radio): they are told apart and set no limit.
 */
#pragma once

#include "base/compiler.h"

struct bwe_loss {
    uint32_t received; /**< in this window */
    uint32_t lost;
    uint64_t window_us;  /**< when it began; 0: with the next packet */
    double fraction;     /**< of the better one of the last two windows: bursts pass */
    double last;         /**< of the last window */
    double own;          /**< what the path loses whatever is sent */
    double limit_bps;    /**< 0: none */
    double begun_bps;    /**< the rate at which losses began; 0: they did not */
    double begun;        /**< their fraction then */
    uint64_t lowered_us; /**< 0: never */
};

struct bwe_loss_input {
    double rate_bps;         /**< by delay */
    double sent_bps;         /**< 0: not known */
    double acknowledged_bps; /**< 0: not known */
    uint64_t round_trip_us;
};

/** Counts what one feedback told. A packet that came after all is taken off `lost` again. */
void bwe_loss_count(struct bwe_loss *loss, uint64_t now_us, uint32_t received, uint32_t lost,
                    uint32_t recovered);
/** Judges when a window is full. Returns true when the limit went down. */
bool bwe_loss_update(struct bwe_loss *loss, uint64_t now_us, const struct bwe_loss_input *input);
/** Other evidence shows that the path carries `rate_bps`. */
void bwe_loss_lift(struct bwe_loss *loss, double rate_bps);
