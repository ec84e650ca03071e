// What a client sends. Headers and encryption are the engine's; numbers are kept here, since the
// engine leaves simulcast to its caller.
#include <string.h>

#include "media_client.h"
#include "rtc/peer_int.h"
#include "runtime/clock.h"

#define PAYLOAD_MAX  1400u
#define HEIGHT_SHIFT 8

static const char *const rids[MEDIA_LAYERS] = { "q", "h", "f" };

static struct media_feed *add_feed(struct media_client *client, enum rtc_kind kind)
{
    ensure(client->feed_count < MEDIA_FEEDS && client->offer.section_count < MEDIA_SECTIONS);
    struct media_feed *feed = &client->feeds[client->feed_count++];
    feed->section = (uint16_t)client->offer.section_count++;
    feed->video = kind == RTC_KIND_VIDEO;
    feed->interval_us = feed->video ? TIME_US_PER_S / 30 : TIME_US_PER_S / 50;
    client->sections[feed->section] = (struct rtc_client_section){
        .kind = kind,
        .sends = true,
        .ssrc = random_u32(client->shared->thread.random) | 1,
        .rtx_ssrc = feed->video ? random_u32(client->shared->thread.random) | 1 : 0,
    };
    return feed;
}

void media_client_sends_video(struct media_client *client, uint16_t burst, uint16_t payload_size,
                              bool simulcast)
{
    struct media_feed *feed = add_feed(client, RTC_KIND_VIDEO);
    feed->layer_count = simulcast ? MEDIA_LAYERS : 1;
    for (uint32_t i = 0; i < feed->layer_count; i++) {
        // a layer has a third of the next one's bytes
        uint32_t bytes = (uint32_t)burst * payload_size;
        for (uint32_t below = i + 1; below < feed->layer_count; below++)
            bytes /= 3;
        uint32_t packets = (bytes + payload_size - 1) / payload_size;
        feed->layers[i].burst = (uint16_t)packets;
        feed->layers[i].payload_size = (uint16_t)(bytes / packets);
    }
    if (simulcast) {
        struct rtc_client_section *section = &client->sections[feed->section];
        section->rids = rids;
        section->rid_count = MEDIA_LAYERS;
    }
}

void media_client_sends_audio(struct media_client *client, uint16_t payload_size, uint8_t level)
{
    struct media_feed *feed = add_feed(client, RTC_KIND_AUDIO);
    feed->audio_level = level;
    feed->layer_count = 1;
    feed->layers[0].burst = 1;
    feed->layers[0].payload_size = payload_size;
}

void media_feed_start(struct media_client *client, struct media_feed *feed,
                      const struct rtc_negotiated *negotiated)
{
    struct rtp_extension_map map = { 0 };
    struct bytes mid = { 0 };
    if (negotiated) {
        map = negotiated->extensions;
        mid = bytes_of_text(negotiated->sections[feed->section].mid);
    }
    for (uint32_t i = 0; i < feed->layer_count; i++) {
        struct media_layer *layer = &feed->layers[i];
        bool simulcast = feed->layer_count > 1;
        struct rtp_rewriter_config config = {
            .map = &map,
            .ssrc = client->sections[feed->section].ssrc + 2 * i,
            .mid = mid,
            .rid = simulcast ? bytes_of_text(rids[i]) : (struct bytes){ 0 },
            .abs_send_time = true,
            .transport_sequence = true,
            .pass = feed->video ? 0 : RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL),
        };
        rtp_rewriter_init(&layer->rewriter, &config);
        secure_rtp_sender_init(&layer->index);
        layer->sequence = 1u << 16;
    }
}

/** A VP8 payload (RFC 7741, 4.2) of noise; a key frame tells its size (RFC 6386, 9.1). */
static void fill_video(uint8_t *payload, uint16_t size, bool first, bool key, uint32_t halvings)
{
    memset(payload, 0xaa, size);
    payload[0] = first ? 0x10 : 0x00;
    payload[1] = key ? 0x10 : 0x11;
    if (!first || !key)
        return;
    uint32_t width = 1280 >> halvings, height = 720 >> halvings;
    const uint8_t head[] = { 0x9d,
                             0x01,
                             0x2a,
                             (uint8_t)width,
                             (uint8_t)(width >> HEIGHT_SHIFT),
                             (uint8_t)height,
                             (uint8_t)(height >> HEIGHT_SHIFT) };
    memcpy(payload + 4, head, sizeof(head));
}

static void send_packet(struct media_client *client, struct media_feed *feed,
                        struct media_layer *layer, uint64_t now_us, bool marker,
                        const uint8_t *payload)
{
    uint8_t *at = datagram_batch_reserve(&client->batch, DATAGRAM_SIZE_MAX);
    if (!at)
        return;
    struct rtp_extensions extensions = { 0 };
    if (!feed->video) {
        extensions.present = RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL);
        extensions.places[RTP_EXTENSION_AUDIO_LEVEL].size = 1;
    }
    uint8_t level = 0x80 | feed->audio_level;
    struct rtp_rewrite fields = {
        .timestamp = feed->frame * (feed->video ? MEDIA_VIDEO_TICKS : MEDIA_AUDIO_TICKS),
        .sequence = (uint16_t)layer->sequence++,
        .payload_type = feed->video ? RTC_CLIENT_VP8 : RTC_CLIENT_OPUS,
        .marker = marker,
    };
    struct rtp_rewritten header =
        rtp_rewriter_write(&layer->rewriter, &fields, &extensions, &level, at);
    if (client->plain) {
        memcpy(at + header.size, payload, layer->payload_size);
        datagram_batch_commit(&client->batch, &client->plain_path,
                              header.size + (size_t)layer->payload_size);
        return;
    }
    struct rtc_peer *peer = client->peer;
    rtp_rewritten_stamp(&header, at, now_us, peer->transport_sequence++);
    ssize_t size =
        secure_rtp_protect(peer->sending, &layer->index, bytes_of(at, header.size),
                           bytes_of(payload, layer->payload_size), at, DATAGRAM_SIZE_MAX);
    if (size > 0)
        datagram_batch_commit(&client->batch, &peer->path, (size_t)size);
}

void media_feed_send(struct media_client *client, struct media_feed *feed)
{
    if (!client->plain && (!client->peer->sending || !client->peer->has_path))
        return;
    uint64_t now_us = clock_now_us();
    bool key = feed->key_frame_wanted || feed->frame == 0;
    feed->key_frame_wanted = false;
    struct media_shared *shared = client->shared;
    struct media_timing *timing = feed->video ? &shared->video : &shared->audio;
    timing->sent_us[feed->frame % MEDIA_FRAMES] = clock_unix_us();
    uint8_t payload[PAYLOAD_MAX];
    for (uint32_t i = 0; i < feed->layer_count; i++) {
        struct media_layer *layer = &feed->layers[i];
        for (uint32_t part = 0; part < layer->burst; part++) {
            if (feed->video)
                fill_video(payload, layer->payload_size, part == 0, key, feed->layer_count - 1 - i);
            else
                memset(payload, 0xaa, layer->payload_size);
            send_packet(client, feed, layer, now_us, feed->video && part + 1u == layer->burst,
                        payload);
        }
    }
    feed->frame++;
}
