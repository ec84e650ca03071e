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

/** Name: 8 bytes that are 0 where a room has its number, then what is written here. */
struct blob *data_call_name_new(uint64_t number, handle from, handle to,
                                const struct rtc_data_channel *channel)
{
    enum { HEAD = 4 * sizeof(uint64_t) + 3 + sizeof(uint32_t) + 3 * sizeof(uint16_t) };
    size_t size = HEAD + channel->label.size + channel->protocol.size;
    uint8_t *at;
    struct blob *name = channel->label.size <= UINT16_MAX ? blob_new_uninit(size, &at) : NULL;
    if (!name)
        return NULL;
    struct writer writer = writer_of(at, size);
    writer_u64(&writer, 0);
    writer_u64(&writer, channel->negotiated ? 0 : number);
    writer_u64(&writer, channel->negotiated ? min_of(from, to) : from);
    writer_u64(&writer, channel->negotiated ? max_of(from, to) : to);
    writer_u8(&writer, channel->ordered);
    writer_u8(&writer, (uint8_t)channel->reliability);
    writer_u32(&writer, channel->limit);
    writer_u16(&writer, channel->priority);
    writer_u8(&writer, channel->negotiated);
    writer_u16(&writer, channel->stream);
    writer_u16(&writer, (uint16_t)channel->label.size);
    writer_bytes(&writer, channel->label.data, channel->label.size);
    writer_bytes(&writer, channel->protocol.data, channel->protocol.size);
    return name;
}

bool data_call_name_read(const struct blob *name, handle ret_sides[2],
                         struct rtc_data_channel *ret_channel)
{
    struct bytes bytes = blob_bytes(name);
    struct reader reader = reader_of(bytes.data, bytes.size);
    if (reader_u64(&reader) != 0)
        return false;
    reader_u64(&reader); // its number
    ret_sides[0] = reader_u64(&reader);
    ret_sides[1] = reader_u64(&reader);
    ret_channel->ordered = reader_u8(&reader) != 0;
    ret_channel->reliability = (enum rtc_data_reliability)reader_u8(&reader);
    ret_channel->limit = reader_u32(&reader);
    ret_channel->priority = reader_u16(&reader);
    ret_channel->negotiated = reader_u8(&reader) != 0;
    ret_channel->stream = reader_u16(&reader);
    ret_channel->label = reader_bytes(&reader, reader_u16(&reader));
    ret_channel->protocol = reader_bytes(&reader, reader_left(&reader));
    return true;
}
