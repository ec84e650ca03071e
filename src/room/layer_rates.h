/**
 * What one incoming stream carries now, measured: bits for each operating point (media/layering.h),
 * pictures for each frame rate, and how many layers there are.
 */
#pragma once

#include "rtc/media_info.h"

/** Zeroed: nothing came yet. */
struct layer_rates {
    uint32_t bytes_all;           /**< since the last measurement, of packets of all points */
    uint32_t bytes[MEDIA_POINTS]; /**< of others */
    uint32_t pictures[MEDIA_TEMPORAL_LAYERS];  /**< the same */
    uint64_t row_us[MEDIA_SPATIAL_LAYERS];     /**< when the spatial layer's last packet came */
    uint64_t column_us[MEDIA_TEMPORAL_LAYERS]; /**< the temporal layer's */
    uint64_t bitrate_bps[MEDIA_POINTS];        /**< smoothed over a second or so; 0: not known */
    /** Thousandths of pictures per second at each column of the grid, smoothed; 0: not known. */
    uint32_t picture_rate_mhz[MEDIA_TEMPORAL_LAYERS];
};

/** A packet came. */
void layer_rates_packet(struct layer_rates *rates, uint64_t now_us, const struct media_info *info);
/** Measures what came in the last `passed_us`; `first`: it is not known since when. */
void layer_rates_measure(struct layer_rates *rates, uint64_t passed_us, bool first);
/** Spatial layers that are being sent, 1 to MEDIA_SPATIAL_LAYERS. */
uint8_t layer_rates_rows(const struct layer_rates *rates, uint64_t now_us);
/** Temporal layers that are being sent, 1 to MEDIA_TEMPORAL_LAYERS. */
uint8_t layer_rates_columns(const struct layer_rates *rates, uint64_t now_us);
