// The pictures of a publisher: how large they are, what they refer to, how their payloads begin.
#include "sim/world_int.h"

#include <string.h>

#include "support/check.h"

#define PACKETS_A_FRAME       4
#define PACKET_PAYLOAD        1000
#define KEY_FRAME_EVERY       300
#define LAYER_KEY_FRAME_EVERY 30
#define FRAMES_A_SECOND       30
/** A key frame is so many times as dear as the average. */
#define KEY_FRAME_COSTS 5

/** Each layer is four times as dear as the one below it. */
static uint16_t fixed_payload(uint32_t layer)
{
    return (uint16_t)(PACKET_PAYLOAD >> (2 * (WORLD_LAYERS - 1 - layer)));
}

/** Encoders give 40 % to the first temporal layer, 20 to the second, 40 to the third. */
static uint32_t tenths_of_average(const struct world_client *client,
                                  const struct world_picture *picture)
{
    if (picture->key)
        return KEY_FRAME_COSTS * 10;
    if (!client->temporal_layers)
        return 10;
    return picture->temporal == 0 ? 16 : 8;
}

static void size_picture(const struct world_client *client, uint32_t number,
                         struct world_picture *picture)
{
    const struct world_layer *layer = &client->layers[number];
    if (layer->bitrate_bps == 0) {
        picture->payload_size = fixed_payload(number);
        picture->parts =
            picture->key && client->key_frame_parts > 0 ? client->key_frame_parts : PACKETS_A_FRAME;
        return;
    }
    uint32_t bytes = layer->bitrate_bps / 8 / FRAMES_A_SECOND * max_of(layer->every, 1u) *
                     tenths_of_average(client, picture) / 10;
    picture->parts = (bytes + PACKET_PAYLOAD - 1) / PACKET_PAYLOAD;
    picture->payload_size = (uint16_t)max_of(bytes / picture->parts, (uint32_t)WORLD_PAYLOAD_MIN);
}

bool world_next_picture(struct world_client *client, uint32_t number,
                        struct world_picture *ret_picture)
{
    struct world_layer *layer = &client->layers[number];
    bool simulcast = client->layers[0].rewriter.one_byte.size > 0;
    uint32_t key_every =
        simulcast && layer->bitrate_bps == 0 ? LAYER_KEY_FRAME_EVERY : KEY_FRAME_EVERY;
    bool key = client->key_frame_next || client->frame % key_every == 0;
    if (!key && layer->every > 1 && client->frame % layer->every != 0)
        return false;
    // of four pictures, 0 1 2 3: layers 0 2 1 2, each referring to the last one below or, the base,
    // to itself
    static const uint8_t pattern[] = { 0, 2, 1, 2 };
    layer->since_key = key ? 0 : layer->since_key + 1;
    uint8_t temporal = client->temporal_layers ? pattern[layer->since_key % 4] : 0;
    bool behind_middle = temporal == 2 && layer->since_key % 4 == 3;
    *ret_picture = (struct world_picture){
        .key = key,
        .temporal = temporal,
        .sync = temporal > 0 && !behind_middle,
        .number = layer->pictures++,
        .reference = key ? client->frame : layer->last_frame[behind_middle],
    };
    layer->tl0 = (uint8_t)(layer->tl0 + (temporal == 0));
    ret_picture->tl0 = layer->tl0;
    if (temporal < 2)
        layer->last_frame[temporal] = client->frame;
    size_picture(client, number, ret_picture);
    return true;
}

/** RFC 7741, 4.2 and 9.1. */
static void head_vp8(const struct world_client *client, const struct world_picture *picture,
                     uint32_t part, uint16_t width, uint8_t *at)
{
    *at = part == 0 ? 0x10 : 0x00; // S: start of a partition
    if (client->temporal_layers) {
        *at++ |= 0x80;
        *at++ = 0xe0; // I, L, T
        store_u16(at, (uint16_t)(0x8000 | (picture->number & 0x7fff)));
        at[2] = picture->tl0;
        at[3] = (uint8_t)(picture->temporal << 6 | (picture->sync ? 0x20 : 0)); // Y
        at += 3;
    }
    static const uint8_t start_code[] = { 0x9d, 0x01, 0x2a };
    if (part > 0)
        return;
    at[1] = picture->key ? 0x10 : 0x11;
    if (!picture->key)
        return;
    memcpy(at + 4, start_code, sizeof(start_code));
    uint16_t height = (uint16_t)(width * 9 / 16);
    at[7] = (uint8_t)width;
    at[8] = (uint8_t)(width >> 8);
    at[9] = (uint8_t)height;
    at[10] = (uint8_t)(height >> 8);
}

/** RFC 9628, 4.2; non-flexible mode. */
static void head_vp9(const struct world_client *client, const struct world_picture *picture,
                     uint32_t part, uint16_t width, uint8_t *at)
{
    bool structure = picture->key && part == 0;
    bool layers = client->temporal_layers;
    *at++ =
        (uint8_t)(0x80 | (picture->key ? 0 : 0x40) | (layers ? 0x20 : 0) | (part == 0 ? 0x08 : 0) |
                  (part + 1 == picture->parts ? 0x04 : 0) | (structure ? 0x02 : 0));
    store_u16(at, (uint16_t)(0x8000 | (picture->number & 0x7fff)));
    at += 2;
    if (layers) {
        *at++ = (uint8_t)(picture->temporal << 5 | (picture->sync ? 0x10 : 0));
        *at++ = picture->tl0;
    }
    if (!structure)
        return;
    *at = 0x10;
    store_u16(at + 1, width);
    store_u16(at + 3, (uint16_t)(width * 9 / 16));
}

void world_picture_head(const struct world_client *client, enum codec_id codec, uint32_t number,
                        const struct world_picture *picture, uint32_t part, uint8_t *at)
{
    uint16_t width = (uint16_t)(1280 >> (WORLD_LAYERS - 1 - number));
    switch (codec) {
    case CODEC_VP9:
        head_vp9(client, picture, part, width, at);
        break;
    case CODEC_H264: // single NAL units, of slices
        at[0] = picture->key ? 0x65 : 0x41;
        at[1] = part == 0 ? 0x80 : 0x00;
        break;
    case CODEC_AV1: // a part of the only OBU: Z, Y, W = 1, N
        at[0] = (uint8_t)((part > 0 ? 0x80 : 0) | (part + 1 < picture->parts ? 0x40 : 0) | 0x10 |
                          (picture->key && part == 0 ? 0x08 : 0));
        at[1] = 0x30;
        break;
    default:
        head_vp8(client, picture, part, width, at);
        break;
    }
}

void world_picture_truth(const struct world_client *client, uint32_t number,
                         const struct world_picture *picture, uint8_t *end)
{
    store_u32(end - WORLD_TRUTH_SIZE, picture->reference);
    end[4 - WORLD_TRUTH_SIZE] = (uint8_t)picture->parts;
    end[-9] = (uint8_t)number;
    store_u32(end - 8, client->frame);
    store_u32(end - 4, client->name);
}

// What a receiver makes of them

static bool has_reference(const struct world_decoder *decoder, const struct world_decoding *picture)
{
    if (picture->reference == picture->frame)
        return true;
    const struct world_decoding *to =
        &decoder->pictures[picture->reference % WORLD_DECODER_PICTURES];
    return to->decoded && to->frame == picture->reference && to->layer == picture->layer;
}

void world_decode(struct world_decoder *decoder, struct bytes payload)
{
    const uint8_t *end = payload.data + payload.size;
    struct world_decoding told = {
        .frame = load_u32(end - 8),
        .reference = load_u32(end - WORLD_TRUTH_SIZE),
        .parts = end[4 - WORLD_TRUTH_SIZE],
        .layer = end[-9],
    };
    struct world_decoding *picture = &decoder->pictures[told.frame % WORLD_DECODER_PICTURES];
    if (picture->parts == 0 || picture->frame != told.frame || picture->layer != told.layer)
        *picture = told;
    picture->seen++;
    // those that waited for it are decoded, too
    for (uint32_t i = 0; i < WORLD_DECODER_PICTURES; i++) {
        struct world_decoding *next = &decoder->pictures[(told.frame + i) % WORLD_DECODER_PICTURES];
        if (next->frame != told.frame + i || next->parts == 0 || next->seen < next->parts ||
            next->decoded || !has_reference(decoder, next))
            continue;
        next->decoded = true;
        decoder->decoded++;
    }
}
