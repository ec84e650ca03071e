// What a client receives, by the headers of packets: number, timestamp and marker.
#include "media_client.h"

#include "rtc/media_info.h"

#define VIDEO_TICKS 3000u

static struct media_stream *find_stream(struct media_client *client, uint32_t ssrc)
{
    for (uint32_t i = 0; i < MEDIA_STREAMS; i++) {
        struct media_stream *stream = &client->streams[(ssrc + i) % MEDIA_STREAMS];
        if (stream->ssrc == ssrc || stream->ssrc == 0)
            return stream;
    }
    return NULL;
}

static void take_latency(struct media_shared *shared, uint64_t arrived_us, uint32_t ticks)
{
    uint64_t sent_us = shared->frame_sent_us[ticks / VIDEO_TICKS % MEDIA_FRAMES];
    if (shared->latency_count < shared->latency_capacity && arrived_us >= sent_us)
        shared->latencies_us[shared->latency_count++] = (uint32_t)(arrived_us - sent_us);
}

void media_count(struct media_client *client, uint64_t arrived_us, const uint8_t *data, size_t size)
{
    struct media_shared *shared = client->shared;
    uint16_t sequence = load_u16(data + 2);
    uint32_t timestamp = load_u32(data + 4), ssrc = load_u32(data + 8);
    if (client->first_packet_us == 0)
        client->first_packet_us = arrived_us;
    struct media_stream *stream = find_stream(client, ssrc);
    if (!stream)
        return;
    if (stream->ssrc == 0) {
        // the load's first frame, as long as joins come before it
        *stream = (struct media_stream){ .ssrc = ssrc,
                                         .next_sequence = sequence,
                                         .timestamp_offset = timestamp };
    }
    uint16_t gap = (uint16_t)(sequence - stream->next_sequence);
    bool late = gap >= 0x8000;
    if (!late)
        stream->next_sequence = (uint16_t)(sequence + 1);
    if (!shared->measuring)
        return;
    client->packets++;
    client->bytes += size;
    if (late) // counted as lost when the one after it came
        client->lost -= client->lost > 0;
    else
        client->lost += gap;
    bool marker = data[1] & 0x80;
    if (marker && !shared->live)
        take_latency(shared, arrived_us, timestamp - stream->timestamp_offset);
}

void media_count_picture(struct media_client *client, uint64_t arrived_us,
                         const struct rtc_media *received)
{
    for (uint32_t i = 0; i < received->count && client->first_picture_us == 0; i++) {
        const struct media_info *info = media_info_of(received->packets[i]);
        if (client->sections[received->sections[i]].kind != RTC_KIND_VIDEO)
            continue;
        client->picture_began |= info->key_frame;
        if (client->picture_began && info->marker)
            client->first_picture_us = arrived_us;
    }
}
