#include "room/layer_rates.h"

#include "base/time.h"
#include "rtc/sender.h"

/** Of a packet as it goes out: header with extensions, and what is around it. */
#define PACKET_OVERHEAD (RTP_HEADER_SIZE + 16 + RTC_WIRE_OVERHEAD)
/** A layer without packets for this long is not being sent. */
#define SILENT_US (1000 * TIME_US_PER_MS)

void layer_rates_packet(struct layer_rates *rates, uint64_t now_us, const struct media_info *info)
{
    const struct media_layers *layers = &info->layers;
    uint32_t size = info->payload_size + PACKET_OVERHEAD;
    if (layers->points == MEDIA_POINTS_ALL)
        rates->bytes_all += size;
    else
        for (unsigned i = 0; i < MEDIA_POINTS; i++)
            rates->bytes[i] += size & (0u - (layers->points >> i & 1u));
    for (unsigned i = layers->rows; layers->rows > 0 && i < MEDIA_SPATIAL_LAYERS; i++)
        rates->row_us[i] = 0;
    rates->row_us[layers->spatial] = now_us;
    rates->column_us[layers->temporal] = now_us;
    if (!layers->picture_start)
        return;
    for (unsigned i = layers->temporal; i < MEDIA_TEMPORAL_LAYERS; i++)
        rates->pictures[i]++;
}

/** A new layer counts at once, one key frame does not make a stream dear. */
static uint64_t smooth(uint64_t before, uint64_t now)
{
    return before == 0 ? now : (before * 3 + now) / 4;
}

void layer_rates_measure(struct layer_rates *rates, uint64_t passed_us, bool first)
{
    for (unsigned i = 0; i < MEDIA_POINTS; i++) {
        uint64_t bytes = (uint64_t)rates->bytes[i] + rates->bytes_all;
        uint64_t bps = first ? 0 : bytes * 8 * TIME_US_PER_S / passed_us;
        rates->bitrate_bps[i] = smooth(rates->bitrate_bps[i], bps);
        rates->bytes[i] = 0;
    }
    rates->bytes_all = 0;
    for (unsigned i = 0; i < MEDIA_TEMPORAL_LAYERS; i++) {
        uint64_t rate = first ? 0 : rates->pictures[i] * 1000ull * TIME_US_PER_S / passed_us;
        rates->picture_rate_mhz[i] = (uint32_t)smooth(rates->picture_rate_mhz[i], rate);
        rates->pictures[i] = 0;
    }
}

/** One more than the highest of `count` layers that packets came of just now. */
static uint8_t layers_sent(const uint64_t *last_us, unsigned count, uint64_t now_us)
{
    while (count > 1 && (last_us[count - 1] == 0 || now_us - last_us[count - 1] >= SILENT_US))
        count--;
    return (uint8_t)count;
}

uint8_t layer_rates_rows(const struct layer_rates *rates, uint64_t now_us)
{
    return layers_sent(rates->row_us, MEDIA_SPATIAL_LAYERS, now_us);
}

uint8_t layer_rates_columns(const struct layer_rates *rates, uint64_t now_us)
{
    return layers_sent(rates->column_us, MEDIA_TEMPORAL_LAYERS, now_us);
}
