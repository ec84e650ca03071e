#include "proto/bwe/trend.h"

#include "base/time.h"

#define SMOOTHING 0.9
/** The slope is compared after times this and the number of spacings behind it. */
#define GAIN          4.0
#define SPACINGS_MAX  60
#define THRESHOLD     12.5
#define THRESHOLD_MIN 6.0
/** The least while others fill the queue. */
#define THRESHOLD_STEEP 20.0
#define THRESHOLD_MAX   600.0
/** How fast the threshold follows, per ms: down slowly, so that competing flows do not starve us.
 */
#define FOLLOW_UP   0.0087
#define FOLLOW_DOWN 0.01
/** A spike this far above the threshold does not move it. */
#define SPIKE 15.0
/** Above the threshold for this long, in two groups at least: overuse. */
#define OVERUSE_MS    10.0
#define FOLLOW_MS_MAX 100.0

void bwe_trend_init(struct bwe_trend *trend)
{
    *trend = (struct bwe_trend){ .threshold = THRESHOLD, .over_ms = -1 };
}

/** The slope of the delays over their arrivals by least squares; `otherwise` when there is none. */
static double fit(const struct bwe_trend *trend, double otherwise)
{
    // `at` is the oldest when the window is full
    uint32_t origin_us = trend->arrivals_us[trend->at];
    double sum_x = 0;
    double sum_y = 0;
    for (int i = 0; i < BWE_TREND_WINDOW; i++) {
        sum_x += (double)(int32_t)(trend->arrivals_us[i] - origin_us);
        sum_y += (double)trend->delays_ms[i];
    }
    double mean_x = sum_x / BWE_TREND_WINDOW;
    double mean_y = sum_y / BWE_TREND_WINDOW;
    double numerator = 0;
    double denominator = 0;
    for (int i = 0; i < BWE_TREND_WINDOW; i++) {
        double x = (double)(int32_t)(trend->arrivals_us[i] - origin_us) - mean_x;
        numerator += x * ((double)trend->delays_ms[i] - mean_y);
        denominator += x * x;
    }
    return denominator > 0 ? numerator / denominator * (double)TIME_US_PER_MS : otherwise;
}

static void adapt_threshold(struct bwe_trend *trend, uint64_t now_us, double magnitude)
{
    double passed_ms =
        trend->adapted_us == 0 ? 0 : (double)(now_us - trend->adapted_us) / (double)TIME_US_PER_MS;
    trend->adapted_us = now_us;
    if (magnitude > trend->threshold + SPIKE)
        return;
    double follow = magnitude < trend->threshold ? FOLLOW_DOWN : FOLLOW_UP;
    trend->threshold += follow * (magnitude - trend->threshold) * min_of(passed_ms, FOLLOW_MS_MAX);
    double least = trend->steep ? THRESHOLD_STEEP : THRESHOLD_MIN;
    trend->threshold = trend->threshold < least ? least : min_of(trend->threshold, THRESHOLD_MAX);
}

static void detect(struct bwe_trend *trend, double slope, double spacing_ms)
{
    double modified = min_of((double)trend->spacings, (double)SPACINGS_MAX) * slope * GAIN;
    if (modified > trend->threshold) {
        trend->over_ms = trend->over_ms < 0 ? spacing_ms / 2 : trend->over_ms + spacing_ms;
        trend->overuses = (uint8_t)min_of(trend->overuses + 1, UINT8_MAX);
        // a slope that already falls is no reason to act
        if (trend->over_ms > OVERUSE_MS && trend->overuses > 1 && slope >= trend->slope) {
            trend->over_ms = 0;
            trend->overuses = 0;
            trend->usage = BWE_USAGE_OVER;
        }
    } else {
        trend->over_ms = -1;
        trend->overuses = 0;
        trend->usage = modified < -trend->threshold ? BWE_USAGE_UNDER : BWE_USAGE_NORMAL;
    }
}

void bwe_trend_add(struct bwe_trend *trend, uint64_t now_us, const struct bwe_spacing *spacing,
                   int64_t arrival_us)
{
    trend->spacings = (uint16_t)min_of(trend->spacings + 1, 1000);
    trend->accumulated_ms +=
        (double)(spacing->arrival_us - spacing->sent_us) / (double)TIME_US_PER_MS;
    trend->smoothed_ms = SMOOTHING * trend->smoothed_ms + (1 - SMOOTHING) * trend->accumulated_ms;
    trend->arrivals_us[trend->at] = (uint32_t)arrival_us;
    // clocks drift by seconds a day: a float holds that to less than a microsecond
    trend->delays_ms[trend->at] = (float)trend->smoothed_ms;
    trend->at = (uint8_t)((trend->at + 1) % BWE_TREND_WINDOW);
    trend->count = (uint8_t)min_of(trend->count + 1, BWE_TREND_WINDOW);
    double slope = trend->count == BWE_TREND_WINDOW ? fit(trend, trend->slope) : trend->slope;
    if (trend->spacings < 2)
        return;
    detect(trend, slope, (double)spacing->sent_us / (double)TIME_US_PER_MS);
    trend->slope = slope;
    double magnitude =
        min_of((double)trend->spacings, (double)SPACINGS_MAX) * (slope < 0 ? -slope : slope) * GAIN;
    adapt_threshold(trend, now_us, magnitude);
}
