#include "room/data_parcel.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

/** Name: 8 bytes of room, 2 of the label's length, label, protocol. */
#define NAME_LABEL_AT 10

struct data_parcel *data_parcel_new(const struct data_parcel_config *config)
{
    size_t size = config->to_count * sizeof(config->to[0]);
    struct data_parcel *parcel = memory_allocate(1, sizeof(*parcel) + size);
    atomic_init(&parcel->references, 1);
    parcel->from = config->from;
    parcel->name = blob_ref(config->name);
    parcel->message = blob_ref(config->message);
    parcel->text = config->text;
    parcel->droppable = config->droppable;
    parcel->to_count = config->to_count;
    if (size > 0)
        memcpy(parcel->to, config->to, size);
    return parcel;
}

struct data_parcel *data_parcel_ref(struct data_parcel *parcel)
{
    atomic_fetch_add_explicit(&parcel->references, 1, memory_order_relaxed);
    return parcel;
}

struct data_parcel *data_parcel_unref(struct data_parcel *parcel)
{
    if (parcel && atomic_fetch_sub_explicit(&parcel->references, 1, memory_order_acq_rel) == 1) {
        blob_unref(parcel->name);
        blob_unref(parcel->message);
        free(parcel);
    }
    return NULL;
}

bool data_parcel_is_for(const struct data_parcel *parcel, const char *member)
{
    for (uint32_t i = 0; i < parcel->to_count; i++) {
        if (strcmp(parcel->to[i], member) == 0)
            return true;
    }
    return parcel->to_count == 0;
}

size_t data_parcel_size(const struct data_parcel *parcel)
{
    return blob_bytes(parcel->message).size;
}

struct blob *data_name_new(uint64_t room, struct bytes label, struct bytes protocol)
{
    size_t size = NAME_LABEL_AT + label.size + protocol.size;
    uint8_t *at;
    struct blob *name = label.size <= UINT16_MAX ? blob_new_uninit(size, &at) : NULL;
    if (!name)
        return NULL;
    struct writer writer = writer_of(at, size);
    writer_u64(&writer, room);
    writer_u16(&writer, (uint16_t)label.size);
    writer_bytes(&writer, label.data, label.size);
    writer_bytes(&writer, protocol.data, protocol.size);
    return name;
}

bool data_name_has_envelope(const struct blob *name)
{
    struct bytes bytes = blob_bytes(name);
    size_t before = NAME_LABEL_AT + load_u16(bytes.data + NAME_LABEL_AT - 2);
    return text_equal(bytes_of(bytes.data + before, bytes.size - before), DATA_ENVELOPE_PROTOCOL);
}
