#include "sim/world_int.h"

#include <string.h>

#include "rtc/peer_int.h"
#include "support/check.h"

#define FRAME_US      33333
#define AUDIO_PAYLOAD 160

struct rtc_outgoing world_outgoing(const struct world_client *client, uint16_t section,
                                   const struct media_info *info)
{
    bool video = client->sections[section].kind == RTC_KIND_VIDEO;
    return (struct rtc_outgoing){
        .sequence = info->sequence,
        .timestamp = info->timestamp,
        .payload_type = video ? RTC_CLIENT_VP8 : RTC_CLIENT_OPUS,
    };
}

/** From one frame to the next on a clock of so many kHz. */
static uint32_t units_of_frame(const struct world_client *client, uint32_t khz)
{
    return client->frame_us > 0 ? client->frame_us / 1000 * khz : khz * 100 / 3;
}

uint64_t world_frame_us(const struct world_client *publisher)
{
    int64_t nominal_us = publisher->frame_us > 0 ? publisher->frame_us : FRAME_US;
    return (uint64_t)(nominal_us - nominal_us * publisher->fast_ppm / 1000000);
}

static enum codec_id codec_of(const struct world_client *client, uint16_t section)
{
    enum codec_id codec = client->sections[section].codec;
    return codec ? codec : CODEC_VP8;
}

/** A part of a picture: its codec's header, filler, and the truth at its end. */
static struct packet *video_packet(struct world_client *client, uint16_t section, uint32_t layer,
                                   const struct world_picture *picture, uint32_t part)
{
    struct packet *packet = packet_pool_take(&client->pool, PACKET_BYTES_MAX);
    assert_non_null(packet);
    uint16_t size = picture->payload_size;
    memset(packet->bytes, 0xaa, size);
    world_picture_head(client, codec_of(client, section), layer, picture, part, packet->bytes);
    world_picture_truth(client, layer, picture, packet->bytes + size);
    *media_info_of(packet) = (struct media_info){
        .timestamp = client->video_timestamp + client->frame * units_of_frame(client, 90),
        .payload_size = size,
        .marker = part + 1 == picture->parts,
        .codec = (uint8_t)codec_of(client, section),
    };
    return packet;
}

static struct packet *audio_packet(struct world_client *client)
{
    struct packet *packet = packet_pool_take(&client->pool, PACKET_BYTES_MAX);
    assert_non_null(packet);
    memset(packet->bytes, 0xaa, AUDIO_PAYLOAD);
    world_picture_truth(client, 0, &(struct world_picture){ .parts = 1 },
                        packet->bytes + AUDIO_PAYLOAD);
    struct media_info *info = media_info_of(packet);
    *info = (struct media_info){
        .timestamp = client->frame * units_of_frame(client, 48),
        .payload_size = AUDIO_PAYLOAD,
        .marker = true,
        .codec = CODEC_OPUS,
    };
    if (client->audio_level > 0) {
        packet->bytes[AUDIO_PAYLOAD + 1] = 0x80 | client->audio_level;
        info->extensions.present = RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL);
        info->extensions.places[RTP_EXTENSION_AUDIO_LEVEL].at = AUDIO_PAYLOAD + 1;
        info->extensions.places[RTP_EXTENSION_AUDIO_LEVEL].size = 1;
    }
    return packet;
}

static void publish_layer(struct world_client *client, uint16_t section, uint32_t number,
                          struct datagram_batch *batch)
{
    struct world_layer *layer = &client->layers[number];
    struct world_picture picture;
    if (!world_next_picture(client, number, &picture) || layer->paused)
        return;
    for (uint32_t part = 0; part < picture.parts; part++) {
        struct packet *packet = video_packet(client, section, number, &picture, part);
        const struct media_info *info = media_info_of(packet);
        struct rtp_rewrite fields = { .timestamp = info->timestamp + number * 777777,
                                      .sequence = layer->sequence++,
                                      .payload_type = RTC_CLIENT_VP8,
                                      .marker = info->marker };
        uint8_t *at = datagram_batch_reserve(batch, DATAGRAM_SIZE_MAX);
        assert_non_null(at);
        struct rtp_rewritten header = rtp_rewriter_write(&layer->rewriter, &fields, NULL, NULL, at);
        ssize_t size =
            secure_rtp_protect(client->peer->sending, &layer->index, bytes_of(at, header.size),
                               bytes_of(packet->bytes, info->payload_size), at, DATAGRAM_SIZE_MAX);
        assert_true(size > 0);
        datagram_batch_commit(batch, &client->peer->path, (size_t)size);
        packet_unref(packet);
    }
}

void world_send(struct world_client *client, uint16_t section, uint64_t now_us,
                struct datagram_batch *batch, struct packet *packet)
{
    media_info_of(packet)->sequence = client->output[section]++;
    struct rtc_outgoing outgoing = world_outgoing(client, section, media_info_of(packet));
    packet_ring_put(&client->sent[section], packet);
    rtc_sender_send(rtc_peer_sender(client->peer, section), now_us, batch, packet, &outgoing);
    packet_unref(packet);
}

/** Sound, in RED where the client sends that. */
static void publish_audio(struct world_client *client, uint16_t section, uint64_t now_us,
                          struct datagram_batch *batch)
{
    struct packet *packet = audio_packet(client);
    media_info_of(packet)->sequence = client->output[section]++;
    struct rtc_outgoing outgoing = world_outgoing(client, section, media_info_of(packet));
    packet_ring_put(&client->sent[section], packet);
    uint8_t red[REDUNDANCY_SIZE_MAX];
    size_t red_size = client->sends_red ? redundancy_write(&client->sent[section], packet, 2,
                                                           RTC_CLIENT_OPUS, red)
                                        : 0;
    if (red_size > 0) {
        outgoing.payload = bytes_of(red, red_size);
        outgoing.payload_type = RTC_CLIENT_RED;
    }
    rtc_sender_send(rtc_peer_sender(client->peer, section), now_us, batch, packet, &outgoing);
    packet_unref(packet);
}

static void publish_video(struct world_client *client, uint16_t section, uint64_t now_us,
                          struct datagram_batch *batch)
{
    const uint32_t layer = WORLD_LAYERS - 1;
    struct world_picture picture;
    if (!world_next_picture(client, layer, &picture))
        return;
    for (uint32_t part = 0; part < picture.parts; part++)
        world_send(client, section, now_us, batch,
                   video_packet(client, section, layer, &picture, part));
}

/**
 * The client's engine does not know the SSRCs of its layers, and so not when a key frame is wanted
 * of them: the server's worker has counted.
 */
static bool layers_were_asked(struct world_client *client)
{
    const struct rtc_thread *thread = &client->world->workers[client->worker].thread;
    uint64_t asked = metric_get(&thread->counters.values[RTC_METRIC_PLIS_SENT]);
    bool again = asked != client->layers_asked;
    client->layers_asked = asked;
    return again && client->layers[0].bitrate_bps > 0;
}

void world_publish_frame(struct world_client *client, uint64_t now_us, struct datagram_batch *batch)
{
    client->key_frame_next |= layers_were_asked(client);
    for (uint16_t i = 0; i < client->offer.section_count; i++) {
        if (client->produce)
            client->produce(client->producer, i, now_us, batch);
        else if (client->sections[i].rid_count > 0)
            for (uint32_t layer = 0; layer < WORLD_LAYERS; layer++)
                publish_layer(client, i, layer, batch);
        else if (!rtc_peer_sender(client->peer, i))
            continue;
        else if (client->sections[i].kind == RTC_KIND_VIDEO)
            publish_video(client, i, now_us, batch);
        else
            publish_audio(client, i, now_us, batch);
    }
    client->frame++;
    client->key_frame_next = false;
}
