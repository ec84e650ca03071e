#include "media/layering.h"

/** The layer of `layers` that a row or column of the grid stands for: the last one is the top. */
static uint8_t layer_of(unsigned place, unsigned layers)
{
    return (uint8_t)(place == 2 ? layers - 1 : min_of(place, layers - 1));
}

/** The row or column of a layer. */
static uint8_t place_of(unsigned layer)
{
    return (uint8_t)min_of(layer, 2u);
}

/** Rows of the grid that so many spatial layers take. */
static uint8_t rows_of(unsigned layers)
{
    return (uint8_t)min_of(layers, (unsigned)MEDIA_SPATIAL_LAYERS);
}

/** The decode target of a point: of those that are active, the highest that is not above it. */
static uint8_t find_target(const struct dependency_structure *structure, uint32_t active,
                           uint8_t point)
{
    uint8_t spatial = layer_of(media_point_spatial(point), structure->spatial_layers);
    uint8_t temporal = layer_of(media_point_temporal(point), structure->temporal_layers);
    int best = -1;
    uint8_t found = 0;
    for (uint8_t i = 0; i < structure->target_count; i++) {
        uint8_t s = structure->targets[i].spatial_id, t = structure->targets[i].temporal_id;
        int rank = s * DEPENDENCY_TEMPORAL_MAX + t;
        if (!(active >> i & 1) || s > spatial || t > temporal || rank <= best)
            continue;
        best = rank;
        found = i;
    }
    return found;
}

/** Whether who got one target has all that another one needs. */
static bool contains(const struct dependency_structure *structure, uint8_t target, uint8_t other)
{
    for (unsigned i = 0; i < structure->template_count; i++) {
        uint64_t indications = structure->templates[i].indications;
        if (dependency_indication_of(indications, other) != DEPENDENCY_NOT_PRESENT &&
            dependency_indication_of(indications, target) == DEPENDENCY_NOT_PRESENT)
            return false;
    }
    return true;
}

/**
 * The publisher sends these targets; `before`: it sent others of the same structure. Where sizes
 * stand apart (K-SVC), receivers of one that ends have nothing that the next smaller one refers to.
 */
static void take_active(struct media_layering *layering, uint32_t active, bool before)
{
    const struct dependency_structure *structure = &layering->structure;
    layering->active_targets = active;
    for (uint8_t point = 0; point < MEDIA_POINTS; point++) {
        uint8_t old = layering->targets[point];
        uint8_t now = find_target(structure, active, point);
        layering->targets[point] = now;
        if (before && structure->targets[now].spatial_id < structure->targets[old].spatial_id &&
            !contains(structure, old, now))
            layering->broken |= (uint16_t)(1u << point);
    }
}

static void take_structure(struct media_layering *layering,
                           const struct dependency_structure *structure)
{
    layering->structure = *structure;
    for (int i = 0; i < MEDIA_LAYERING_FRAMES; i++)
        layering->frames[i].points = 0;
    layering->broken = 0;
    layering->has_structure = true;
}

/** The points that have got everything that a frame refers to. */
static uint16_t find_follows(const struct media_layering *layering,
                             const struct dependency_descriptor *descriptor)
{
    uint16_t follows = MEDIA_POINTS_ALL;
    for (unsigned i = 0; i < descriptor->references.count; i++) {
        uint16_t number =
            (uint16_t)(descriptor->frame_number - descriptor->references.differences[i]);
        unsigned place = number % MEDIA_LAYERING_FRAMES;
        follows &=
            layering->frames[place].frame_number == number ? layering->frames[place].points : 0;
    }
    return follows;
}

static bool read_descriptor(struct media_layering *layering, struct bytes value, bool new_picture,
                            struct media_layers *layers)
{
    struct dependency_descriptor descriptor;
    struct dependency_structure structure;
    if (dependency_descriptor_read(value, layering->has_structure ? &layering->structure : NULL,
                                   &structure, &descriptor) < 0)
        return false;
    uint16_t broken = layering->broken;
    if (descriptor.has_structure)
        take_structure(layering, &structure);
    if (descriptor.has_structure || descriptor.active_written)
        take_active(layering, descriptor.active_targets, !descriptor.has_structure);
    for (uint8_t point = 0; point < MEDIA_POINTS; point++) {
        enum dependency_indication indication =
            dependency_indication_of(descriptor.indications, layering->targets[point]);
        layers->points |= (uint16_t)((indication != DEPENDENCY_NOT_PRESENT) << point);
        layers->starts |= (uint16_t)((indication == DEPENDENCY_SWITCH) << point);
    }
    layers->points &= (uint16_t)~layering->broken;
    layers->broken = (layering->broken & ~broken) != 0;
    layers->follows = find_follows(layering, &descriptor);
    unsigned place = descriptor.frame_number % MEDIA_LAYERING_FRAMES;
    layering->frames[place].frame_number = descriptor.frame_number;
    layering->frames[place].points = layers->points;
    layers->described = true;
    layers->spatial = place_of(descriptor.spatial_id) & 3u;
    layers->temporal = place_of(descriptor.temporal_id) & 3u;
    layers->picture_start = descriptor.frame_start && descriptor.spatial_id == 0 && new_picture;
    layers->frame_start = descriptor.frame_start;
    layers->layer_end = descriptor.frame_end;
    layers->has_structure = descriptor.has_structure;
    if (descriptor.has_structure)
        layers->rows = rows_of(structure.spatial_layers) & 3u;
    layers->key_frame =
        descriptor.has_structure && descriptor.frame_start && descriptor.references.count == 0;
    layers->mask = dependency_mask_place_of(&descriptor);
    layers->active_targets = layering->active_targets;
    return true;
}

/** The points of a row and above, from a column on. */
static uint16_t points_from(unsigned row, unsigned column)
{
    uint16_t columns = (uint16_t)(7u & 7u << column);
    uint16_t points = 0;
    for (unsigned i = row; i < MEDIA_SPATIAL_LAYERS; i++)
        points |= (uint16_t)(columns << (i * MEDIA_TEMPORAL_LAYERS));
    return points;
}

/** RFC 9628, 4.2. Z: upper spatial layers do not refer to this one. */
static uint16_t vp9_points(struct media_layering *layering, const struct payload_info *payload,
                           unsigned row, unsigned column)
{
    if (payload->spatial_layers > 0)
        layering->spatial_top = (uint8_t)(payload->spatial_layers - 1);
    layering->spatial_top = max_of(layering->spatial_top, payload->spatial_id);
    bool top = payload->spatial_id == layering->spatial_top;
    if (payload->spatial_id == 0 && payload->inter_picture)
        layering->spatially_apart = payload->not_for_upper && !top;
    uint16_t points = points_from(row, column);
    if (payload->not_for_upper && !top)
        points &= (uint16_t)(7u << (row * MEDIA_TEMPORAL_LAYERS));
    return points;
}

static void read_payload(struct media_layering *layering, enum codec_id codec,
                         const struct payload_info *payload, bool new_picture,
                         struct media_layers *layers)
{
    unsigned row = place_of(payload->spatial_id), column = place_of(payload->temporal_id);
    layers->picture_start = payload->frame_start && new_picture;
    layers->layer_end = payload->layer_end;
    if (payload->key_frame_start) {
        layers->starts = MEDIA_POINTS_ALL;
        layering->temporal_top = 0;
    }
    layers->points = MEDIA_POINTS_ALL;
    if (!payload->has_layers || codec == CODEC_AV1)
        return;
    layers->spatial = row & 3;
    layers->temporal = column & 3;
    layering->temporal_top = max_of(layering->temporal_top, payload->temporal_id);
    if (codec == CODEC_VP9) {
        layers->rows = rows_of(payload->spatial_layers) & 3u;
        layers->points = vp9_points(layering, payload, row, column);
        // U: what follows in higher layers refers to nothing in them from before this picture
        if (payload->layer_sync) {
            layers->up_from = column & 3;
            layers->up_to = 2;
        }
        return;
    }
    layers->points = points_from(0, column);
    // VP8's Y: this frame, of a higher layer, refers to the base layer only
    if (payload->layer_sync && payload->temporal_id > 0) {
        layers->up_from = (column - 1) & 3;
        layers->up_to = (uint8_t)(payload->temporal_id == layering->temporal_top ? 2 : column & 3);
    }
}

void media_layering_read(struct media_layering *layering, enum codec_id codec,
                         const struct payload_info *payload, struct bytes descriptor,
                         uint32_t timestamp, struct media_layers *ret_layers)
{
    bool new_picture = !layering->started || (int32_t)(timestamp - layering->timestamp) > 0;
    *ret_layers = (struct media_layers){ .follows = MEDIA_POINTS_ALL };
    if (descriptor.size == 0 || !read_descriptor(layering, descriptor, new_picture, ret_layers)) {
        if (payload)
            read_payload(layering, codec, payload, new_picture, ret_layers);
        else
            ret_layers->points = MEDIA_POINTS_ALL;
    }
    ret_layers->nested = !layering->spatially_apart && !ret_layers->described;
    if (new_picture) {
        layering->started = true;
        layering->timestamp = timestamp;
    }
}

bool media_targets_read(struct bytes descriptor, struct media_targets *ret_targets)
{
    struct dependency_structure structure;
    struct dependency_descriptor read;
    if (dependency_descriptor_read(descriptor, NULL, &structure, &read) < 0 || !read.has_structure)
        return false;
    struct media_targets targets = { .count = structure.target_count };
    for (uint8_t point = 0; point < MEDIA_POINTS; point++) {
        uint8_t spatial = layer_of(media_point_spatial(point), structure.spatial_layers);
        uint8_t temporal = layer_of(media_point_temporal(point), structure.temporal_layers);
        for (unsigned i = 0; i < structure.target_count; i++) {
            if (structure.targets[i].spatial_id <= spatial &&
                structure.targets[i].temporal_id <= temporal)
                targets.active[point] |= 1u << i;
        }
    }
    for (unsigned row = 0; row < MEDIA_SPATIAL_LAYERS; row++)
        dependency_structure_size(&structure, layer_of(row, structure.spatial_layers),
                                  &targets.width[row], &targets.height[row]);
    *ret_targets = targets;
    return true;
}
