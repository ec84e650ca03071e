/**
 * The dependency descriptor: a header extension that tells, beside any codec and even when payloads
 * are encrypted, to which layers a frame belongs and which frames it refers to (RTP Payload Format
 * For AV1, version 1.0, appendix A).
 *
 *     |S|E| template  |        frame number           |     3 bytes: mandatory
 *     |T|A|D|F|C| [structure] [active targets] [DTIs] [differences] [chains] |
 *
 * A stream has a structure, sent with its key frames: templates of frames, and *decode targets*,
 * which are the things that a receiver may want (a spatial and a temporal layer and all below). A
 * frame names its template and overrides what differs.
 */
#pragma once

#include "base/bytes.h"

#define DEPENDENCY_TEMPLATES_MAX  64
#define DEPENDENCY_TARGETS_MAX    32
#define DEPENDENCY_SPATIAL_MAX    4 /**< spatial layers */
#define DEPENDENCY_TEMPORAL_MAX   8 /**< temporal layers */
#define DEPENDENCY_REFERENCES_MAX 8 /**< that a frame may have: AV1 knows seven */
#define DEPENDENCY_FIXED_SIZE     3 /**< bytes of a descriptor with nothing optional */
/** Bytes of a descriptor at most: what the length of a header extension can say. */
#define DEPENDENCY_DESCRIPTOR_MAX 255

/** What a frame is to a decode target: two bits. */
enum dependency_indication {
    DEPENDENCY_NOT_PRESENT = 0,
    DEPENDENCY_DISCARDABLE = 1, /**< shown, and no other frame of the target refers to it */
    DEPENDENCY_SWITCH = 2, /**< when it can be decoded, so can all of the target that follows it */
    DEPENDENCY_REQUIRED = 3,
};

/** Frames back, counted in frame numbers. */
struct dependency_references {
    uint8_t count;
    uint16_t differences[DEPENDENCY_REFERENCES_MAX];
};

struct dependency_template {
    uint8_t spatial_id;
    uint8_t temporal_id;
    uint64_t indications; /**< two bits for each target: see dependency_indication_of */
    struct dependency_references references;
};

struct dependency_structure {
    uint8_t id_offset; /**< template id of the first template */
    uint8_t template_count;
    uint8_t target_count;
    uint8_t chain_count;
    uint8_t spatial_layers;
    uint8_t temporal_layers; /**< most that one spatial layer has */
    struct {
        uint8_t spatial_id; /**< the highest of the target's frames */
        uint8_t temporal_id;
    } targets[DEPENDENCY_TARGETS_MAX];
    bool has_resolutions;
    struct {
        uint32_t width;
        uint32_t height;
    } resolutions[DEPENDENCY_SPATIAL_MAX]; /**< by spatial layer */
    struct dependency_template templates[DEPENDENCY_TEMPLATES_MAX];
};

/** One packet's descriptor. */
struct dependency_descriptor {
    bool frame_start; /**< first packet of a frame: of one spatial layer of a picture */
    bool frame_end;
    bool has_structure;
    uint16_t frame_number;
    uint8_t spatial_id;
    uint8_t temporal_id;
    uint32_t active_targets; /**< bit i: target i is being sent; all, where no mask is written */
    uint64_t indications;
    struct dependency_references references;
    uint16_t active_at_bit; /**< where the mask of active targets is, or would go */
    bool active_written;    /**< it is there */
    uint8_t target_count;
};

static inline enum dependency_indication dependency_indication_of(uint64_t indications,
                                                                  unsigned target)
{
    return (enum dependency_indication)(indications >> (2 * target) & 3);
}

/** Size of a spatial layer; both 0 when the structure does not tell, or what it tells is absurd. */
static inline void dependency_structure_size(const struct dependency_structure *structure,
                                             unsigned layer, uint16_t *ret_width,
                                             uint16_t *ret_height)
{
    uint32_t width = structure->resolutions[layer].width;
    uint32_t height = structure->resolutions[layer].height;
    bool known = structure->has_resolutions && width <= UINT16_MAX && height <= UINT16_MAX;
    *ret_width = known ? (uint16_t)width : 0;
    *ret_height = known ? (uint16_t)height : 0;
}

/**
 * Reads one descriptor. `known` is the stream's structure so far, or NULL; a structure in the
 * descriptor is used for it, and put into `*ret_structure`, which is otherwise left alone.
 *
 * Returns 0; -EBADMSG when it is malformed, -ENOENT when it refers to a structure or a template
 * that is not there. On errors neither output is to be used.
 */
must_check int dependency_descriptor_read(struct bytes value,
                                          const struct dependency_structure *known,
                                          struct dependency_structure *ret_structure,
                                          struct dependency_descriptor *ret_descriptor);

/** What a descriptor's fixed part says; false when it is shorter than that. */
static inline bool dependency_frame_number(struct bytes value, uint16_t *ret_number)
{
    if (value.size < DEPENDENCY_FIXED_SIZE)
        return false;
    *ret_number = load_u16(value.data + 1);
    return true;
}

/**
 * Where in a descriptor the mask of active targets stands, or has to be put in. A short form of
 * what was read, to be kept with the packet. `targets` 0: a mask cannot be told.
 */
struct dependency_mask_place {
    uint16_t at_bit;
    uint8_t targets;
    bool written;
};

static inline struct dependency_mask_place
dependency_mask_place_of(const struct dependency_descriptor *descriptor)
{
    return (struct dependency_mask_place){
        .at_bit = descriptor->active_at_bit,
        .targets = descriptor->target_count,
        .written = descriptor->active_written,
    };
}

/**
 * Writes a descriptor again with another frame number and, when `mask` is not NULL, with
 * `active_targets` as its mask of active targets. `out` holds DEPENDENCY_DESCRIPTOR_MAX bytes.
 * Returns the size; 0 when the result would be too long, or the place does not fit `value`.
 */
size_t dependency_descriptor_write(struct bytes value, uint16_t frame_number,
                                   const struct dependency_mask_place *mask,
                                   uint32_t active_targets, uint8_t *out);
