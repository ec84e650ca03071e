/**
 * Whether the queue of the path grows: the slope of the one-way delay over the last groups of
 * packets, against a threshold that adapts (draft-ietf-rmcat-gcc-02, 5.4; the slope by least
 * squares in place of the draft's Kalman filter, as later practice has it).
 */
#pragma once

#include "base/compiler.h"
#include "proto/bwe/groups.h"

#define BWE_TREND_WINDOW 20

enum bwe_usage {
    BWE_USAGE_NORMAL,
    BWE_USAGE_OVER,  /**< the queue grows */
    BWE_USAGE_UNDER, /**< it drains */
};

struct bwe_trend {
    uint32_t arrivals_us[BWE_TREND_WINDOW]; /**< low half: only differences count */
    float delays_ms[BWE_TREND_WINDOW];      /**< smoothed */
    uint8_t at;                             /**< place of the next */
    uint8_t count;
    uint8_t overuses;  /**< groups in a row that were above the threshold */
    uint16_t spacings; /**< seen at all, to 1000 */
    bool steep;        /**< others fill the queue: gentle slopes are theirs */
    enum bwe_usage usage;
    double accumulated_ms;
    double smoothed_ms;
    double slope; /**< ms of delay per ms */
    double threshold;
    double over_ms; /**< time above the threshold; below 0: not */
    uint64_t adapted_us;
};

void bwe_trend_init(struct bwe_trend *trend);
/** Takes the spacing of two groups, the later of which arrived at `arrival_us`. */
void bwe_trend_add(struct bwe_trend *trend, uint64_t now_us, const struct bwe_spacing *spacing,
                   int64_t arrival_us);
