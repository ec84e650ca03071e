// What a client receives, by the headers of packets: number, timestamp and marker.
#include "media_client.h"

#include "rtc/media_info.h"

static struct media_stream *find_stream(struct media_client *client, uint32_t ssrc)
{
    for (uint32_t i = 0; i < MEDIA_STREAMS; i++) {
        struct media_stream *stream = &client->streams[(ssrc + i) % MEDIA_STREAMS];
        if (stream->ssrc == ssrc || stream->ssrc == 0)
            return stream;
    }
    return NULL;
}

static void take_latency(struct media_timing *timing, uint64_t arrived_us, uint32_t frame)
{
    uint64_t sent_us = timing->sent_us[frame % MEDIA_FRAMES];
    if (timing->count < timing->capacity && sent_us > 0 && arrived_us >= sent_us)
        timing->latencies_us[timing->count++] = (uint32_t)(arrived_us - sent_us);
}

static void add_packet(struct media_counts *counts, size_t size, bool late, uint16_t gap)
{
    counts->packets++;
    counts->bytes += size;
    if (late) // counted as lost when the one after it came
        counts->lost -= counts->lost > 0;
    else
        counts->lost += gap;
}

void media_count(struct media_client *client, uint64_t arrived_us, const uint8_t *data, size_t size)
{
    struct media_shared *shared = client->shared;
    uint16_t sequence = load_u16(data + 2);
    uint32_t timestamp = load_u32(data + 4), ssrc = load_u32(data + 8);
    // what comes before the keys is lost to the client
    if (client->first_packet_us == 0 && client->connected_us != 0)
        client->first_packet_us = arrived_us;
    struct media_stream *stream = find_stream(client, ssrc);
    if (!stream)
        return;
    if (stream->ssrc == 0) {
        // the load's first frame, as long as joins come before it
        *stream = (struct media_stream){ .ssrc = ssrc,
                                         .next_sequence = sequence,
                                         .timestamp_offset = timestamp,
                                         .timed = !shared->live && !shared->measured };
    }
    uint16_t gap = (uint16_t)(sequence - stream->next_sequence);
    bool late = gap >= 0x8000;
    if (!late)
        stream->next_sequence = (uint16_t)(sequence + 1);
    if (!shared->measuring)
        return;
    bool marker = data[1] & 0x80, audio = (data[1] & 0x7f) == RTC_CLIENT_OPUS;
    uint32_t ticks = timestamp - stream->timestamp_offset;
    add_packet(&client->counts, size, late, gap);
    if (audio)
        add_packet(&client->audio, size, late, gap);
    if (audio && stream->timed)
        take_latency(&shared->audio, arrived_us, ticks / MEDIA_AUDIO_TICKS);
    else if (marker && stream->timed)
        take_latency(&shared->video, arrived_us, ticks / MEDIA_VIDEO_TICKS);
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
