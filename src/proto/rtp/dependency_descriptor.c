#include "proto/rtp/dependency_descriptor.h"

#include <errno.h>
#include <string.h>

/** Bits from the most significant on. Sticky, as struct reader is. */
struct bit_reader {
    const uint8_t *data;
    size_t size_bits;
    size_t at;
    bool failed;
};

static uint32_t read_bits(struct bit_reader *reader, unsigned count)
{
    if (reader->failed || reader->size_bits - reader->at < count) {
        reader->failed = true;
        return 0;
    }
    uint32_t value = 0;
    for (unsigned i = 0; i < count; i++, reader->at++)
        value = value << 1 | ((uint32_t)reader->data[reader->at / 8] >> (7 - reader->at % 8) & 1u);
    return value;
}

static bool read_flag(struct bit_reader *reader)
{
    return read_bits(reader, 1);
}

/** ns(n): a value below `limit` in as few bits as can be (AV1 specification, 4.10.7). */
static uint32_t read_below(struct bit_reader *reader, uint32_t limit)
{
    unsigned width = 0;
    while (limit >> width)
        width++;
    uint32_t short_values = (1u << width) - limit;
    uint32_t value = read_bits(reader, width - 1);
    if (value < short_values)
        return value;
    return (value << 1) - short_values + read_bits(reader, 1);
}

enum next_layer {
    NEXT_SAME = 0,
    NEXT_TEMPORAL = 1,
    NEXT_SPATIAL = 2,
    NEXT_NONE = 3,
};

/** template_layers() */
static bool read_layers(struct bit_reader *reader, struct dependency_structure *structure)
{
    uint8_t spatial_id = 0, temporal_id = 0;
    enum next_layer next;
    structure->temporal_layers = 1;
    do {
        if (structure->template_count == DEPENDENCY_TEMPLATES_MAX)
            return false;
        structure->templates[structure->template_count++] =
            (struct dependency_template){ .spatial_id = spatial_id, .temporal_id = temporal_id };
        next = (enum next_layer)read_bits(reader, 2);
        if (next == NEXT_TEMPORAL) {
            temporal_id++;
            structure->temporal_layers =
                max_of(structure->temporal_layers, (uint8_t)(temporal_id + 1));
        } else if (next == NEXT_SPATIAL) {
            temporal_id = 0;
            spatial_id++;
        }
        if (temporal_id == DEPENDENCY_TEMPORAL_MAX || spatial_id == DEPENDENCY_SPATIAL_MAX)
            return false;
    } while (next != NEXT_NONE && !reader->failed);
    structure->spatial_layers = (uint8_t)(spatial_id + 1);
    return true;
}

/** template_dtis(), frame_dtis() */
static uint64_t read_indications(struct bit_reader *reader, unsigned targets)
{
    uint64_t indications = 0;
    for (unsigned i = 0; i < targets; i++)
        indications |= (uint64_t)read_bits(reader, 2) << (2 * i);
    return indications;
}

/** One row of template_fdiffs(): differences of 1 to 16. */
static bool read_template_references(struct bit_reader *reader, struct dependency_references *out)
{
    while (read_flag(reader)) {
        if (out->count == DEPENDENCY_REFERENCES_MAX)
            return false;
        out->differences[out->count++] = (uint16_t)(read_bits(reader, 4) + 1);
    }
    return true;
}

/** frame_fdiffs(): each difference says how many groups of 4 bits it has. */
static bool read_frame_references(struct bit_reader *reader, struct dependency_references *out)
{
    unsigned groups;
    out->count = 0;
    while ((groups = read_bits(reader, 2)) > 0) {
        if (out->count == DEPENDENCY_REFERENCES_MAX)
            return false;
        out->differences[out->count++] = (uint16_t)(read_bits(reader, 4 * groups) + 1);
    }
    return true;
}

/** template_chains(). Chains tell receivers what they miss; we only step over them. */
static void skip_template_chains(struct bit_reader *reader, struct dependency_structure *structure)
{
    structure->chain_count = (uint8_t)read_below(reader, structure->target_count + 1u);
    if (structure->chain_count == 0)
        return;
    for (unsigned i = 0; i < structure->target_count; i++)
        read_below(reader, structure->chain_count);
    for (unsigned i = 0; i < structure->template_count; i++) {
        for (unsigned chain = 0; chain < structure->chain_count; chain++)
            read_bits(reader, 4);
    }
}

/** decode_target_layers(): a target is as high as the highest of its frames. */
static void find_target_layers(struct dependency_structure *structure)
{
    for (unsigned target = 0; target < structure->target_count; target++) {
        uint8_t spatial_id = 0, temporal_id = 0;
        for (unsigned i = 0; i < structure->template_count; i++) {
            const struct dependency_template *template = &structure->templates[i];
            if (dependency_indication_of(template->indications, target) == DEPENDENCY_NOT_PRESENT)
                continue;
            spatial_id = max_of(spatial_id, template->spatial_id);
            temporal_id = max_of(temporal_id, template->temporal_id);
        }
        structure->targets[target].spatial_id = spatial_id;
        structure->targets[target].temporal_id = temporal_id;
    }
}

/** template_dependency_structure() */
static bool read_structure(struct bit_reader *reader, struct dependency_structure *structure)
{
    *structure = (struct dependency_structure){ 0 };
    structure->id_offset = (uint8_t)read_bits(reader, 6);
    structure->target_count = (uint8_t)(read_bits(reader, 5) + 1);
    if (!read_layers(reader, structure))
        return false;
    for (unsigned i = 0; i < structure->template_count; i++)
        structure->templates[i].indications = read_indications(reader, structure->target_count);
    for (unsigned i = 0; i < structure->template_count; i++) {
        if (!read_template_references(reader, &structure->templates[i].references))
            return false;
    }
    skip_template_chains(reader, structure);
    find_target_layers(structure);
    structure->has_resolutions = read_flag(reader);
    for (unsigned i = 0; structure->has_resolutions && i < structure->spatial_layers; i++) {
        structure->resolutions[i].width = read_bits(reader, 16) + 1;
        structure->resolutions[i].height = read_bits(reader, 16) + 1;
    }
    return !reader->failed;
}

int dependency_descriptor_read(struct bytes value, const struct dependency_structure *known,
                               struct dependency_structure *ret_structure,
                               struct dependency_descriptor *ret_descriptor)
{
    struct bit_reader reader = { .data = value.data, .size_bits = value.size * 8 };
    struct dependency_descriptor descriptor = { 0 };
    const struct dependency_structure *structure = known;
    descriptor.frame_start = read_flag(&reader);
    descriptor.frame_end = read_flag(&reader);
    unsigned template_id = read_bits(&reader, 6);
    descriptor.frame_number = (uint16_t)read_bits(&reader, 16);
    bool custom_indications = false, custom_references = false;
    descriptor.active_at_bit = DEPENDENCY_FIXED_SIZE * 8;
    if (value.size > DEPENDENCY_FIXED_SIZE) {
        descriptor.has_structure = read_flag(&reader);
        descriptor.active_written = read_flag(&reader);
        custom_indications = read_flag(&reader);
        custom_references = read_flag(&reader);
        read_flag(&reader); // custom chains are the last thing, and not looked at
        if (descriptor.has_structure) {
            if (!read_structure(&reader, ret_structure))
                return -EBADMSG;
            structure = ret_structure;
        }
        descriptor.active_at_bit = (uint16_t)reader.at;
    }
    if (reader.failed)
        return -EBADMSG;
    if (!structure)
        return -ENOENT;
    descriptor.target_count = structure->target_count;
    descriptor.active_targets = UINT32_MAX >> (DEPENDENCY_TARGETS_MAX - structure->target_count);
    if (descriptor.active_written)
        descriptor.active_targets = read_bits(&reader, structure->target_count);

    unsigned index =
        (template_id + DEPENDENCY_TEMPLATES_MAX - structure->id_offset) % DEPENDENCY_TEMPLATES_MAX;
    if (index >= structure->template_count)
        return -ENOENT;
    const struct dependency_template *template = &structure->templates[index];
    descriptor.spatial_id = template->spatial_id;
    descriptor.temporal_id = template->temporal_id;
    descriptor.indications = custom_indications ? read_indications(&reader, structure->target_count)
                                                : template->indications;
    descriptor.references = template->references;
    if (custom_references && !read_frame_references(&reader, &descriptor.references))
        return -EBADMSG;
    if (reader.failed)
        return -EBADMSG;
    *ret_descriptor = descriptor;
    return 0;
}

struct bit_writer {
    uint8_t *data;
    size_t at;
};

static void write_bits(struct bit_writer *writer, uint32_t value, unsigned count)
{
    for (unsigned i = count; i > 0; i--, writer->at++) {
        uint8_t bit = (uint8_t)(0x80u >> writer->at % 8);
        if (value >> (i - 1) & 1)
            writer->data[writer->at / 8] |= bit;
        else
            writer->data[writer->at / 8] &= (uint8_t)~bit;
    }
}

enum {
    EXTENDED_BITS = 5,
    ACTIVE_FLAG = 0x40, // second of the extended flags
};

size_t dependency_descriptor_write(struct bytes value, uint16_t frame_number,
                                   const struct dependency_mask_place *mask,
                                   uint32_t active_targets, uint8_t *out)
{
    if (value.size < DEPENDENCY_FIXED_SIZE || value.size > DEPENDENCY_DESCRIPTOR_MAX)
        return 0;
    bool extended = value.size > DEPENDENCY_FIXED_SIZE;
    size_t bits = value.size * 8;
    if (!mask) {
        memcpy(out, value.data, value.size);
    } else {
        size_t at = mask->at_bit;
        unsigned known = mask->written ? mask->targets : 0;
        size_t needed = bits + (extended ? 0 : EXTENDED_BITS) + mask->targets - known;
        if (mask->targets == 0 || mask->targets > DEPENDENCY_TARGETS_MAX || at + known > bits ||
            at < DEPENDENCY_FIXED_SIZE * 8 + (extended ? EXTENDED_BITS : 0) ||
            (needed + 7) / 8 > DEPENDENCY_DESCRIPTOR_MAX)
            return 0;
        // what stands behind the mask moves on by its bits; padding at the end is zeros
        struct bit_writer writer = { out, at };
        memcpy(out, value.data, (at + 7) / 8);
        if (!extended)
            write_bits(&writer, 0, EXTENDED_BITS);
        out[DEPENDENCY_FIXED_SIZE] |= ACTIVE_FLAG;
        write_bits(&writer, active_targets, mask->targets);
        struct bit_reader rest = { .data = value.data, .size_bits = bits, .at = at + known };
        while (rest.at < bits) {
            unsigned count = (unsigned)min_of(bits - rest.at, (size_t)32);
            write_bits(&writer, read_bits(&rest, count), count);
        }
        write_bits(&writer, 0, (unsigned)((8 - writer.at % 8) % 8));
        bits = writer.at;
    }
    store_u16(out + 1, frame_number);
    return bits / 8;
}
