#include "sim/layered.h"

#include <string.h>

#include "support/check.h"

#define PAYLOAD 400
/** At the end of each payload: references, frame, part, parts, spatial, temporal. */
#define TRUTH_SIZE (LAYERED_REFERENCES_MAX * 4 + 4 + 4)
#define KEY_EVERY  3000
#define TEMPLATES  (MEDIA_SPATIAL_LAYERS * MEDIA_TEMPORAL_LAYERS)

struct picture {
    bool key;
    uint8_t temporal;
    bool sync; /**< layer 1: refers to layer 0 alone. Layer 0: so will the next of layer 1 */
};

static struct picture next_picture(struct layered_stream *stream)
{
    static const uint8_t patterns[3][4] = { { 0, 0, 0, 0 }, { 0, 1, 0, 1 }, { 0, 2, 1, 2 } };
    struct picture picture = { .key = stream->client->key_frame_next ||
                                      stream->pictures % KEY_EVERY == 0 };
    if (picture.key)
        stream->since_key = 0;
    stream->key_pictures += picture.key;
    uint32_t at = stream->since_key++;
    picture.temporal = patterns[stream->mode.temporal - 1][at % 4];
    picture.sync = !stream->mode.rare_syncs || at / 4 % 4 == 0;
    return picture;
}

static void refer(struct layered_frame *frame, const struct layered_frame *to)
{
    for (int i = 0; i < LAYERED_REFERENCES_MAX && to->id != 0; i++) {
        if (frame->references[i] == to->id)
            return;
        if (frame->references[i] == 0) {
            frame->references[i] = to->id;
            return;
        }
    }
}

/** What the frame refers to: its layer's base, the layer between, the spatial layer below. */
static void find_references(const struct layered_stream *stream, const struct picture *picture,
                            uint8_t spatial, struct layered_frame *frame)
{
    const struct layered_frame *last = stream->last[spatial];
    if (!picture->key)
        refer(frame, &last[0]);
    bool middle = picture->temporal == 1 && stream->mode.temporal > 1 && !picture->sync;
    // the second picture of layer 2 goes back to that of layer 1 between
    bool second = picture->temporal == 2 && last[1].id > last[0].id;
    if (!picture->key && (middle || second))
        refer(frame, &last[1]);
    bool below = spatial > 0 && (picture->key || !stream->mode.apart);
    if (below)
        refer(frame, &stream->last[spatial - 1][picture->temporal]);
}

static void write_truth(uint8_t *end, const struct layered_frame *frame, uint32_t part,
                        uint32_t parts, uint8_t spatial, uint8_t temporal)
{
    uint8_t *at = end - TRUTH_SIZE;
    for (int i = 0; i < LAYERED_REFERENCES_MAX; i++)
        store_u32(at + 4 * i, frame->references[i]);
    at += LAYERED_REFERENCES_MAX * 4;
    store_u32(at, frame->id);
    at[4] = (uint8_t)part;
    at[5] = (uint8_t)parts;
    at[6] = spatial;
    at[7] = temporal;
}

static void write_vp8(const struct layered_stream *stream, const struct picture *picture,
                      uint32_t part, uint8_t *at)
{
    static const uint8_t start_code[] = { 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01 };
    uint16_t id = (uint16_t)(stream->pictures & 0x7fff);
    bool sync = picture->temporal == 1   ? picture->sync
                : picture->temporal == 2 ? stream->last[0][1].id < stream->last[0][0].id
                                         : false;
    *at++ = part == 0 ? 0x90 : 0x80;
    *at++ = 0xe0; // I, L, T
    store_u16(at, 0x8000 | id);
    at[2] = stream->tl0;
    at[3] = (uint8_t)(picture->temporal << 6 | (sync ? 0x20 : 0));
    at += 4;
    if (part == 0 && picture->key)
        memcpy(at, start_code, sizeof(start_code));
    else
        *at = 0x11;
}

static void write_vp9(const struct layered_stream *stream, const struct picture *picture,
                      uint8_t spatial, uint32_t part, uint32_t parts, uint8_t *at)
{
    bool top = spatial + 1 == stream->mode.spatial;
    bool structure = picture->key && spatial == 0 && part == 0;
    bool below = spatial > 0 && (picture->key || !stream->mode.apart);
    // what follows in higher layers refers to nothing in them from before
    bool up = picture->temporal == 1 || (picture->temporal == 0 && picture->sync);
    bool not_for_upper = top || (stream->mode.apart && !picture->key);
    *at++ = (uint8_t)(0x80 | (picture->key ? 0 : 0x40) | 0x20 | (part == 0 ? 0x08 : 0) |
                      (part + 1 == parts ? 0x04 : 0) | (structure ? 0x02 : 0) |
                      (not_for_upper ? 0x01 : 0));
    store_u16(at, (uint16_t)(0x8000 | (stream->pictures & 0x7fff)));
    at[2] = (uint8_t)(picture->temporal << 5 | (up ? 0x10 : 0) | spatial << 1 | (below ? 1 : 0));
    at[3] = stream->tl0;
    at += 4;
    if (!structure)
        return;
    *at++ = (uint8_t)((stream->mode.spatial - 1) << 5 | 0x10);
    for (unsigned i = 0; i < stream->mode.spatial; i++, at += 4) {
        uint16_t width = (uint16_t)(stream->width >> (stream->mode.spatial - 1 - i));
        store_u16(at, width);
        store_u16(at + 2, (uint16_t)(width * 9 / 16));
    }
}

static void write_payload(const struct layered_stream *stream, const struct picture *picture,
                          uint8_t spatial, uint32_t part, uint32_t parts, uint8_t *at)
{
    memset(at, 0xaa, PAYLOAD);
    switch (stream->mode.codec) {
    case CODEC_VP8:
        write_vp8(stream, picture, part, at);
        break;
    case CODEC_VP9:
        write_vp9(stream, picture, spatial, part, parts, at);
        break;
    case CODEC_H264: // single NAL units
        at[0] = picture->key ? 0x65 : 0x41;
        at[1] = part == 0 ? 0x80 : 0x00;
        break;
    default: // AV1: one OBU, a frame
        at[0] = (uint8_t)(0x10 | (picture->key && spatial == 0 && part == 0 ? 0x08 : 0));
        at[1] = 0x30;
        break;
    }
}

struct bit_writer {
    uint8_t *data;
    size_t at;
};

static void put(struct bit_writer *writer, uint32_t value, unsigned count)
{
    for (unsigned i = count; i > 0; i--, writer->at++) {
        if (writer->at % 8 == 0)
            writer->data[writer->at / 8] = 0;
        writer->data[writer->at / 8] |= (uint8_t)((value >> (i - 1) & 1u) << (7 - writer->at % 8));
    }
}

static enum dependency_indication indication_of(const struct layered_mode *mode,
                                                const struct picture *picture, uint8_t spatial,
                                                unsigned row, unsigned column)
{
    if (picture->temporal > column || spatial > row ||
        (mode->apart && !picture->key && spatial < row))
        return DEPENDENCY_NOT_PRESENT;
    if (picture->key)
        return DEPENDENCY_SWITCH;
    if (picture->temporal == 2)
        return DEPENDENCY_DISCARDABLE;
    if (spatial < row)
        return DEPENDENCY_REQUIRED;
    return picture->temporal == 1 || column == 0 || picture->sync ? DEPENDENCY_SWITCH
                                                                  : DEPENDENCY_REQUIRED;
}

/** Appendix A.8.2 and A.8.3 of the AV1 payload format: templates hold layers only. */
static size_t write_descriptor(struct layered_stream *stream, const struct picture *picture,
                               uint8_t spatial, const struct layered_frame *frame, bool first,
                               bool last, uint8_t *out)
{
    const struct layered_mode *mode = &stream->mode;
    struct bit_writer writer = { out, 0 };
    unsigned targets = mode->spatial * mode->temporal;
    put(&writer, first, 1);
    put(&writer, last, 1);
    put(&writer, (uint32_t)(spatial * mode->temporal + picture->temporal), 6);
    put(&writer, frame->number, 16);
    bool structure = picture->key && spatial == 0 && first;
    bool active = stream->active_targets != 0 && (structure || stream->says_active);
    stream->says_active = false;
    put(&writer, structure, 1);
    put(&writer, active, 1);
    put(&writer, 6, 3); // own indications and references
    if (structure) {
        put(&writer, 0, 6);
        put(&writer, targets - 1, 5);
        for (unsigned i = 1; i <= targets; i++)
            put(&writer, i == targets ? 3 : i % mode->temporal == 0 ? 2 : 1, 2);
        for (unsigned i = 0; i < targets; i++) {
            for (unsigned target = 0; target < targets; target++) {
                unsigned s = i / mode->temporal, t = i % mode->temporal;
                unsigned row = target / mode->temporal;
                bool in = (mode->apart ? s == row : s <= row) && t <= target % mode->temporal;
                put(&writer, in ? DEPENDENCY_REQUIRED : DEPENDENCY_NOT_PRESENT, 2);
            }
        }
        put(&writer, 0, targets); // no references
        // no chains: ns() of 0 below targets + 1
        unsigned width = 0;
        while ((targets + 1) >> width)
            width++;
        put(&writer, 0, width - 1);
        put(&writer, 1, 1);
        for (unsigned i = 0; i < mode->spatial; i++) {
            uint32_t across = (uint32_t)stream->width >> (mode->spatial - 1 - i);
            put(&writer, across - 1, 16);
            put(&writer, across * 9 / 16 - 1, 16);
        }
    }
    if (active)
        put(&writer, stream->active_targets, targets);
    for (unsigned target = 0; target < targets; target++)
        put(&writer,
            indication_of(mode, picture, spatial, target / mode->temporal, target % mode->temporal),
            2);
    for (int i = 0; i < LAYERED_REFERENCES_MAX && frame->references[i]; i++) {
        put(&writer, 3, 2);
        put(&writer, frame->id - frame->references[i] - 1, 12);
    }
    put(&writer, 0, 2);
    return (writer.at + 7) / 8;
}

/** Some bytes become others, and some lengths. */
static size_t garble(struct random *random, uint8_t *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (random_u32(random) % 4 == 0)
            value[i] = (uint8_t)random_u32(random);
    }
    return random_u32(random) % 4 == 0 ? 1 + random_u32(random) % 60 : size;
}

static void send_frame(struct layered_stream *stream, const struct picture *picture,
                       uint8_t spatial, uint16_t section, uint64_t now_us,
                       struct datagram_batch *batch)
{
    struct world_client *client = stream->client;
    struct layered_frame frame = {
        .id = stream->first_id + ++stream->frames,
        .number = stream->frame_number++,
    };
    find_references(stream, picture, spatial, &frame);
    uint32_t parts = stream->parts << spatial;
    for (uint32_t part = 0; part < parts; part++) {
        struct packet *packet = packet_pool_take(&client->pool, PACKET_BYTES_MAX);
        assert_non_null(packet);
        write_payload(stream, picture, spatial, part, parts, packet->bytes);
        write_truth(packet->bytes + PAYLOAD, &frame, part, parts, spatial, picture->temporal);
        struct media_info *info = media_info_of(packet);
        *info = (struct media_info){
            .timestamp = client->video_timestamp + stream->pictures * 3000u,
            .payload_size = PAYLOAD,
            .codec = (uint8_t)stream->mode.codec,
            .marker = spatial + 1 == stream->rows && part + 1 == parts,
        };
        if (stream->mode.descriptor) {
            size_t size = write_descriptor(stream, picture, spatial, &frame, part == 0,
                                           part + 1 == parts, packet->bytes + PAYLOAD + 4);
            if (stream->garbled)
                size = garble(&client->random, packet->bytes + PAYLOAD + 4, size);
            info->extensions.present = RTP_EXTENSION_BIT(RTP_EXTENSION_DEPENDENCY_DESCRIPTOR);
            info->extensions.places[RTP_EXTENSION_DEPENDENCY_DESCRIPTOR].at = PAYLOAD + 4;
            info->extensions.places[RTP_EXTENSION_DEPENDENCY_DESCRIPTOR].size = (uint8_t)size;
        }
        world_send(client, section, now_us, batch, packet);
    }
    stream->last[spatial][picture->temporal] = frame;
}

static void produce(void *owner, uint16_t section, uint64_t now_us, struct datagram_batch *batch)
{
    struct layered_stream *stream = owner;
    struct picture picture = next_picture(stream);
    stream->tl0 = (uint8_t)(stream->tl0 + (picture.temporal == 0));
    for (uint8_t spatial = 0; spatial < stream->rows; spatial++)
        send_frame(stream, &picture, spatial, section, now_us, batch);
    stream->pictures++;
}

void layered_publish(struct layered_stream *stream, struct world_client *client,
                     const struct layered_mode *mode, uint32_t first_id)
{
    *stream = (struct layered_stream){
        .mode = *mode,
        .client = client,
        .first_id = first_id,
        .frame_number = (uint16_t)(65000 + first_id), // wraps soon
        .pictures = 0x7fff00 + first_id,
        .rows = mode->spatial,
        .width = 1280,
        .parts = 1,
    };
    client->produce = produce;
    client->producer = stream;
}

void layered_send_rows(struct layered_stream *stream, uint8_t rows, uint8_t all)
{
    stream->mode.spatial = stream->rows = rows;
    stream->width = (uint16_t)(1280 >> (all - rows));
    stream->client->key_frame_next = true;
}

// The receiver

/** Of the decode targets, receivers know the structure and the mask that came last. */
static void take_targets(struct layered_judge *judge, struct bytes value)
{
    const struct dependency_structure *known =
        judge->structure.target_count > 0 ? &judge->structure : NULL;
    struct dependency_structure structure;
    struct dependency_descriptor descriptor;
    if (dependency_descriptor_read(value, known, &structure, &descriptor) < 0)
        return;
    if (descriptor.has_structure)
        judge->structure = structure;
    if (descriptor.has_structure || descriptor.active_written)
        judge->active_targets = descriptor.active_targets;
}

static void take_ids(struct layered_judge *judge, struct packet *packet,
                     struct layered_received *frame, uint32_t id)
{
    const struct media_info *info = media_info_of(packet);
    struct bytes value =
        rtp_extensions_get(&info->extensions, RTP_EXTENSION_DEPENDENCY_DESCRIPTOR, packet->bytes);
    if (judge->mode.codec == CODEC_VP8 || judge->mode.codec == CODEC_VP9) {
        assert_int_equal(info->picture_id_bits, 15);
        assert_true(frame->parts_seen == 0 || frame->picture == info->picture_id);
        frame->picture = info->picture_id;
        frame->tl0 = info->tl0;
    }
    if (!judge->mode.descriptor)
        return;
    uint16_t number = 0;
    assert_true(dependency_frame_number(value, &number));
    assert_true(!frame->numbered || frame->number == number);
    frame->numbered = true;
    frame->number = number;
    judge->by_number[number] = id;
    take_targets(judge, value);
}

static void take(void *owner, uint16_t section, struct packet *packet)
{
    struct layered_judge *judge = owner;
    const struct media_info *info = media_info_of(packet);
    (void)section;
    uint16_t place = (uint16_t)info->sequence;
    if (judge->packets[place].seen) // sent again, though it was only late
        return;
    judge->packets[place].seen = true;
    judge->packets[place].timestamp = info->timestamp;
    judge->packets[place].marker = info->marker;
    judge->packets[place].id = 0;
    struct bytes payload = media_payload_of(packet);
    if (payload.size == 0)
        return;
    assert_int_equal(payload.size, PAYLOAD);
    const uint8_t *truth = payload.data + payload.size - TRUTH_SIZE;
    const uint8_t *rest = truth + LAYERED_REFERENCES_MAX * 4;
    uint32_t id = load_u32(rest);
    assert_in_range(id, 1, LAYERED_FRAMES_MAX - 1);
    judge->packets[place].id = id;
    struct layered_received *frame = &judge->frames[id];
    take_ids(judge, packet, frame, id);
    for (int i = 0; i < LAYERED_REFERENCES_MAX; i++)
        frame->references[i] = load_u32(truth + 4 * i);
    assert_true(rest[4] < 64 && !(frame->seen & 1ull << rest[4]));
    frame->seen |= 1ull << rest[4];
    frame->parts_seen++;
    frame->parts = rest[5];
    frame->spatial = rest[6];
    frame->temporal = rest[7];
    frame->timestamp = info->timestamp;
    judge->newest_id = max_of(judge->newest_id, id);
    judge->count[frame->spatial][frame->temporal] += frame->parts_seen == frame->parts;
}

void layered_watch(struct layered_judge *judge, struct world_client *client,
                   const struct layered_mode *mode)
{
    judge->client = client;
    judge->mode = *mode;
    client->take = take;
    client->taker = judge;
}

/** References by the received descriptor's numbers are those of the truth. */
static void judge_numbers(const struct layered_judge *judge, uint32_t id)
{
    const struct layered_received *frame = &judge->frames[id];
    for (int i = 0; judge->mode.descriptor && i < LAYERED_REFERENCES_MAX; i++) {
        uint32_t reference = frame->references[i];
        if (reference)
            assert_int_equal(judge->by_number[(uint16_t)(frame->number - (id - reference))],
                             reference);
    }
}

static void judge_frames(const struct layered_judge *judge)
{
    for (uint32_t id = 1; id < LAYERED_FRAMES_MAX; id++) {
        const struct layered_received *frame = &judge->frames[id];
        if (frame->parts_seen == 0)
            continue;
        if (frame->parts_seen != frame->parts)
            fail_msg("frame %u (layers %u, %u) has %u of %u packets", id, frame->spatial,
                     frame->temporal, frame->parts_seen, frame->parts);
        for (int i = 0; i < LAYERED_REFERENCES_MAX; i++) {
            uint32_t reference = frame->references[i];
            if (reference && judge->frames[reference].parts_seen == 0)
                fail_msg("frame %u (layers %u, %u) refers to %u (%u, %u), which was not sent", id,
                         frame->spatial, frame->temporal, reference,
                         judge->frames[reference].spatial, judge->frames[reference].temporal);
        }
        judge_numbers(judge, id);
    }
}

/** In the order of sequence numbers: markers, and the ids of pictures. */
static void judge_order(const struct layered_judge *judge, bool clean)
{
    const struct world_received *received = &judge->client->received[0];
    uint32_t before = 0;
    bool marked = true;
    for (uint64_t i = received->oldest; i <= received->newest; i++) {
        uint32_t id = judge->packets[(uint16_t)i].id;
        if (id == 0)
            continue;
        const struct layered_received *frame = &judge->frames[id];
        const struct layered_received *last = &judge->frames[before];
        bool new_picture = before == 0 || frame->timestamp != last->timestamp;
        if (new_picture != marked)
            fail_msg("frame %u after %u: a picture %s", id, before,
                     new_picture ? "without a marker at its end" : "with one inside");
        if (new_picture && before != 0 && judge->mode.codec == CODEC_VP8)
            assert_int_equal(frame->tl0, (uint8_t)(last->tl0 + (frame->temporal == 0)));
        if (judge->mode.descriptor && before != 0 && id != before)
            assert_in_range((uint16_t)(frame->number - last->number), 1, 1000);
        // of a picture that was lost nobody knows in time whether it was to be left out
        if (new_picture && before != 0 && frame->picture != last->picture)
            assert_in_range((frame->picture - last->picture) & 0x7fff, 1,
                            judge->mode.codec == CODEC_VP8 && clean ? 1 : 100);
        marked = judge->packets[(uint16_t)i].marker;
        before = id;
    }
}

void layered_verdict(const struct layered_judge *judge, bool clean)
{
    const struct world_received *received = &judge->client->received[0];
    assert_int_equal(received->distinct, received->newest - received->oldest + 1);
    judge_frames(judge);
    judge_order(judge, clean);
}
