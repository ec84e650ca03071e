// Dependency descriptors of one stream: | size | descriptor | size | descriptor ...
#include <string.h>

#include "proto/rtp/dependency_descriptor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** What was read can be written with any mask, and says the same. */
static void rewrite(struct bytes value, const struct dependency_structure *known,
                    const struct dependency_descriptor *descriptor)
{
    uint8_t out[DEPENDENCY_DESCRIPTOR_MAX];
    struct dependency_mask_place place = dependency_mask_place_of(descriptor);
    uint32_t mask = 0x5a5a5a5a & (UINT32_MAX >> (32 - descriptor->target_count));
    size_t size = dependency_descriptor_write(value, 0x1234, &place, mask, out);
    if (size == 0)
        return;
    static struct dependency_structure structure;
    struct dependency_descriptor again;
    ensure(dependency_descriptor_read(bytes_of(out, size), known, &structure, &again) == 0);
    ensure(again.frame_number == 0x1234 && again.active_targets == mask);
    ensure(again.indications == descriptor->indications);
    ensure(again.references.count == descriptor->references.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dependency_structure known, next;
    bool any = false;
    struct reader reader = reader_of(data, size);
    while (reader_left(&reader) > 0) {
        struct bytes value = reader_bytes(&reader, reader_u8(&reader));
        if (reader.failed)
            break;
        struct dependency_descriptor descriptor;
        if (dependency_descriptor_read(value, any ? &known : NULL, &next, &descriptor) < 0)
            continue;
        ensure(descriptor.spatial_id < DEPENDENCY_SPATIAL_MAX);
        ensure(descriptor.temporal_id < DEPENDENCY_TEMPORAL_MAX);
        ensure(descriptor.references.count <= DEPENDENCY_REFERENCES_MAX);
        ensure(descriptor.target_count >= 1 && descriptor.target_count <= DEPENDENCY_TARGETS_MAX);
        rewrite(value, any ? &known : NULL, &descriptor);
        if (descriptor.has_structure) {
            ensure(next.template_count >= 1 && next.template_count <= DEPENDENCY_TEMPLATES_MAX);
            known = next;
            any = true;
        }
    }
    return 0;
}
