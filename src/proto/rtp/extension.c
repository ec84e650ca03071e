#include "proto/rtp/extension.h"

#include <errno.h>
#include <string.h>

static const char *const uris[RTP_EXTENSION_COUNT] = {
#define RTP_EXTENSION(kind, uri) [RTP_EXTENSION_##kind] = uri,
#include "proto/rtp/extension.def"
#undef RTP_EXTENSION
};

/** RFC 8285, 4.2: in the one-byte form, 0 is padding and 15 ends the block. */
enum {
    ID_PADDING = 0,
    ID_STOP = 15,
};

int rtp_extension_kind_find(struct bytes uri)
{
    for (int kind = 0; kind < RTP_EXTENSION_COUNT; kind++)
        if (bytes_equal(uri, bytes_of_text(uris[kind])))
            return kind;
    return -ENOENT;
}

const char *rtp_extension_uri(enum rtp_extension_kind kind)
{
    return uris[kind];
}

int rtp_extension_map_set(struct rtp_extension_map *map, enum rtp_extension_kind kind, uint32_t id)
{
    if (id == ID_PADDING || id == ID_STOP || id > 255)
        return -EINVAL;
    uint8_t stored = (uint8_t)(kind + 1);
    if (map->kind_of_id[id] != 0 && map->kind_of_id[id] != stored)
        return -EINVAL;
    if (map->id_of_kind[kind] != 0 && map->id_of_kind[kind] != id)
        return -EINVAL;
    map->kind_of_id[id] = stored;
    map->id_of_kind[kind] = (uint8_t)id;
    if (id > 14)
        map->two_byte_allowed = true;
    return 0;
}

static void note(struct rtp_extensions *extensions, const struct rtp_extension_map *map, uint8_t id,
                 size_t at, size_t size)
{
    uint8_t stored = map->kind_of_id[id];
    if (stored == 0)
        return;
    uint8_t kind = stored - 1;
    if (extensions->present & RTP_EXTENSION_BIT(kind))
        return;
    extensions->present |= RTP_EXTENSION_BIT(kind);
    extensions->places[kind].at = (uint16_t)at;
    extensions->places[kind].size = (uint8_t)size;
}

static void parse_one_byte(const struct rtp_packet *packet, const struct rtp_extension_map *map,
                           struct rtp_extensions *extensions)
{
    const uint8_t *data = packet->data;
    size_t at = packet->extension_at;
    size_t end = at + packet->extension_size;
    while (at < end) {
        uint8_t id = data[at] >> 4;
        if (data[at] == ID_PADDING) {
            at++;
            continue;
        }
        size_t size = (data[at] & 0x0fu) + 1;
        // id 0 with a length is invalid and, like id 15, ends what can be understood
        if (id == ID_PADDING || id == ID_STOP || at + 1 + size > end)
            return;
        note(extensions, map, id, at + 1, size);
        at += 1 + size;
    }
}

static void parse_two_byte(const struct rtp_packet *packet, const struct rtp_extension_map *map,
                           struct rtp_extensions *extensions)
{
    const uint8_t *data = packet->data;
    size_t at = packet->extension_at;
    size_t end = at + packet->extension_size;
    while (at < end) {
        if (data[at] == ID_PADDING) {
            at++;
            continue;
        }
        if (at + 2 > end || at + 2 + data[at + 1] > end)
            return;
        note(extensions, map, data[at], at + 2, data[at + 1]);
        at += 2u + data[at + 1];
    }
}

void rtp_extensions_parse(const struct rtp_packet *packet, const struct rtp_extension_map *map,
                          struct rtp_extensions *ret_extensions)
{
    ret_extensions->present = 0;
    if (packet->extension_profile == RTP_EXTENSION_ONE_BYTE)
        parse_one_byte(packet, map, ret_extensions);
    else if ((packet->extension_profile & 0xfff0) == RTP_EXTENSION_TWO_BYTE)
        parse_two_byte(packet, map, ret_extensions);
}

bool rtp_extensions_audio_level(const struct rtp_extensions *extensions, const uint8_t *packet_data,
                                uint8_t *ret_level, bool *ret_voice)
{
    struct bytes value = rtp_extensions_get(extensions, RTP_EXTENSION_AUDIO_LEVEL, packet_data);
    if (value.size < 1)
        return false;
    *ret_level = value.data[0] & 0x7f;
    *ret_voice = value.data[0] & 0x80;
    return true;
}

bool rtp_extensions_transport_sequence(const struct rtp_extensions *extensions,
                                       const uint8_t *packet_data, uint16_t *ret_sequence)
{
    struct bytes value =
        rtp_extensions_get(extensions, RTP_EXTENSION_TRANSPORT_SEQUENCE, packet_data);
    if (value.size < 2)
        return false;
    *ret_sequence = load_u16(value.data);
    return true;
}

bool rtp_extensions_abs_send_time(const struct rtp_extensions *extensions,
                                  const uint8_t *packet_data, uint32_t *ret_time)
{
    struct bytes value = rtp_extensions_get(extensions, RTP_EXTENSION_ABS_SEND_TIME, packet_data);
    if (value.size != 3)
        return false;
    *ret_time = load_u24(value.data);
    return true;
}
