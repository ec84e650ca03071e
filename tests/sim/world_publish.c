#include "sim/world_int.h"

#include <string.h>

#include "rtc/peer_int.h"
#include "support/check.h"

#define FRAME_US              33333
#define PACKETS_A_FRAME       4
#define PACKET_PAYLOAD        1000
#define AUDIO_PAYLOAD         160
#define KEY_FRAME_EVERY       300
#define LAYER_KEY_FRAME_EVERY 30

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

/** Each layer is four times as dear as the one below it. */
static uint16_t layer_payload(uint32_t layer)
{
    return (uint16_t)(PACKET_PAYLOAD >> (2 * (WORLD_LAYERS - 1 - layer)));
}

static bool is_key_frame(const struct world_client *client)
{
    bool simulcast = client->layers[0].rewriter.one_byte.size > 0;
    return client->key_frame_next ||
           client->frame % (simulcast ? LAYER_KEY_FRAME_EVERY : KEY_FRAME_EVERY) == 0;
}

static uint32_t parts_of_frame(const struct world_client *client)
{
    return is_key_frame(client) && client->key_frame_parts > 0 ? client->key_frame_parts
                                                               : PACKETS_A_FRAME;
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

/**
 * One RTP payload: a VP8 descriptor (RFC 7741, 4.2) and header, filler, and at its end the frame's
 * number and the publisher's name.
 */
static void fill_payload(struct world_client *client, struct packet *packet, uint32_t part,
                         bool video, uint32_t layer)
{
    struct media_info *info = media_info_of(packet);
    uint8_t *payload = packet->bytes;
    uint16_t size = video ? layer_payload(layer) : AUDIO_PAYLOAD;
    memset(payload, 0xaa, size);
    bool key = is_key_frame(client);
    if (video) {
        payload[0] = part == 0 ? 0x10 : 0x00; // S: start of a partition
        payload[1] = part == 0 ? (key ? 0x10 : 0x11) : 0xaa;
        static const uint8_t start_code[] = { 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02 };
        if (part == 0 && key) {
            memcpy(payload + 4, start_code, sizeof(start_code));
            uint32_t halvings = WORLD_LAYERS - 1 - layer;
            payload[7] = (uint8_t)(1280 >> halvings);
            payload[8] = (uint8_t)(1280 >> halvings >> 8);
            payload[9] = (uint8_t)(720 >> halvings);
            payload[10] = (uint8_t)(720 >> halvings >> 8);
        }
    }
    payload[size - 9] = 0;
    store_u32(payload + size - 8, client->frame);
    store_u32(payload + size - 4, client->name);
    *info = (struct media_info){
        .timestamp = video ? client->video_timestamp + client->frame * units_of_frame(client, 90)
                           : client->frame * units_of_frame(client, 48),
        .payload_size = size,
        .marker = part == (video ? parts_of_frame(client) : 1) - 1,
        .codec = video ? CODEC_VP8 : CODEC_OPUS,
    };
    if (!video && client->audio_level > 0) {
        packet->bytes[size + 1] = 0x80 | client->audio_level;
        info->extensions.present = RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL);
        info->extensions.places[RTP_EXTENSION_AUDIO_LEVEL].at = (uint16_t)(size + 1);
        info->extensions.places[RTP_EXTENSION_AUDIO_LEVEL].size = 1;
    }
}

static void publish_layer(struct world_client *client, uint32_t number,
                          struct datagram_batch *batch)
{
    struct world_layer *layer = &client->layers[number];
    for (uint32_t part = 0; !layer->paused && part < parts_of_frame(client); part++) {
        struct packet *packet = packet_pool_take(&client->pool, PACKET_BYTES_MAX);
        assert_non_null(packet);
        fill_payload(client, packet, part, true, number);
        packet->bytes[layer_payload(number) - 9] = (uint8_t)number;
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

void world_publish_frame(struct world_client *client, uint64_t now_us, struct datagram_batch *batch)
{
    for (uint16_t i = 0; i < client->offer.section_count; i++) {
        struct rtc_sender *sender = rtc_peer_sender(client->peer, i);
        bool video = client->sections[i].kind == RTC_KIND_VIDEO;
        if (client->produce) {
            client->produce(client->producer, i, now_us, batch);
            continue;
        }
        if (client->sections[i].rid_count > 0) {
            for (uint32_t layer = 0; layer < WORLD_LAYERS; layer++)
                publish_layer(client, layer, batch);
            continue;
        }
        for (uint32_t part = 0; sender && part < (video ? parts_of_frame(client) : 1); part++) {
            struct packet *packet = packet_pool_take(&client->pool, PACKET_BYTES_MAX);
            assert_non_null(packet);
            fill_payload(client, packet, part, video, WORLD_LAYERS - 1);
            media_info_of(packet)->sequence = client->output[i]++;
            struct rtc_outgoing outgoing = world_outgoing(client, i, media_info_of(packet));
            packet_ring_put(&client->sent[i], packet);
            uint8_t red[REDUNDANCY_SIZE_MAX];
            size_t red_size =
                !video && client->sends_red
                    ? redundancy_write(&client->sent[i], packet, 2, RTC_CLIENT_OPUS, red)
                    : 0;
            if (red_size > 0) {
                outgoing.payload = bytes_of(red, red_size);
                outgoing.payload_type = RTC_CLIENT_RED;
            }
            rtc_sender_send(sender, now_us, batch, packet, &outgoing);
            packet_unref(packet);
        }
    }
    client->frame++;
    client->key_frame_next = false;
}
