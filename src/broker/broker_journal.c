#include "broker/broker_journal.h"

#include "base/memory.h"

enum field {
    FIELD_SESSION = 1 << 0,
    FIELD_MESSAGE = 1 << 1,
    FIELD_ORDER = 1 << 2,
    FIELD_TIME = 1 << 3,
    FIELD_SECONDS = 1 << 4,
    FIELD_ID = 1 << 5,
    FIELD_PACKET_ID = 1 << 6,
    FIELD_QOS = 1 << 7,
    FIELD_FLAGS = 1 << 8,
    FIELD_NAME = 1 << 9,
    FIELD_PROPERTIES = 1 << 10,
    FIELD_PAYLOAD = 1 << 11,
};

/** What a message is. */
#define FIELDS_CONTENT                                                                             \
    (FIELD_TIME | FIELD_QOS | FIELD_FLAGS | FIELD_NAME | FIELD_PROPERTIES | FIELD_PAYLOAD)

static const unsigned fields[] = {
    [BROKER_RECORD_SESSION] = FIELD_SESSION | FIELD_TIME | FIELD_SECONDS | FIELD_NAME,
    [BROKER_RECORD_SESSION_END] = FIELD_SESSION,
    [BROKER_RECORD_SUBSCRIPTION] = FIELD_SESSION | FIELD_ID | FIELD_QOS | FIELD_FLAGS | FIELD_NAME,
    [BROKER_RECORD_UNSUBSCRIPTION] = FIELD_SESSION | FIELD_NAME,
    [BROKER_RECORD_MESSAGE] = FIELD_MESSAGE | FIELDS_CONTENT,
    [BROKER_RECORD_MESSAGE_END] = FIELD_MESSAGE,
    [BROKER_RECORD_ENTRY] = FIELD_SESSION | FIELD_MESSAGE | FIELD_ORDER | FIELD_ID |
                            FIELD_PACKET_ID | FIELD_QOS | FIELD_FLAGS | FIELD_PROPERTIES,
    [BROKER_RECORD_ENTRY_STARTED] = FIELD_SESSION | FIELD_ORDER | FIELD_PACKET_ID,
    [BROKER_RECORD_ENTRY_RELEASED] = FIELD_SESSION | FIELD_ORDER,
    [BROKER_RECORD_ENTRY_END] = FIELD_SESSION | FIELD_ORDER,
    [BROKER_RECORD_RECEIVED] = FIELD_SESSION | FIELD_PACKET_ID,
    [BROKER_RECORD_RECEIVED_END] = FIELD_SESSION | FIELD_PACKET_ID,
    [BROKER_RECORD_RETAINED] = FIELDS_CONTENT,
    [BROKER_RECORD_WILL] = FIELD_SESSION | FIELD_SECONDS | FIELDS_CONTENT,
    [BROKER_RECORD_WILL_END] = FIELD_SESSION,
};

/** Type, size, and the fields of fixed size: 4 numbers of 8, 2 of 4, 1 of 2, 2 of 1, 3 sizes. */
#define HEAD_SIZE_MAX (5 + 4 * 8 + 2 * 4 + 2 + 2 + 3 * 4)

static void write_bytes(struct writer *writer, struct bytes value)
{
    writer_u32(writer, (uint32_t)value.size);
    writer_bytes(writer, value.data, value.size);
}

static void write_fields(struct writer *writer, unsigned has, const struct broker_record *record)
{
    if (has & FIELD_SESSION)
        writer_u64(writer, record->session);
    if (has & FIELD_MESSAGE)
        writer_u64(writer, record->message);
    if (has & FIELD_ORDER)
        writer_u64(writer, record->order);
    if (has & FIELD_TIME)
        writer_u64(writer, record->unix_us);
    if (has & FIELD_SECONDS)
        writer_u32(writer, record->seconds);
    if (has & FIELD_ID)
        writer_u32(writer, record->id);
    if (has & FIELD_PACKET_ID)
        writer_u16(writer, record->packet_id);
    if (has & FIELD_QOS)
        writer_u8(writer, record->qos);
    if (has & FIELD_FLAGS)
        writer_u8(writer, record->flags);
    if (has & FIELD_NAME)
        write_bytes(writer, record->name);
    if (has & FIELD_PROPERTIES)
        write_bytes(writer, record->properties);
    if (has & FIELD_PAYLOAD)
        write_bytes(writer, record->payload);
}

void broker_record_write(uint8_t **data, size_t *size, size_t *capacity,
                         const struct broker_record *record)
{
    size_t room =
        HEAD_SIZE_MAX + record->name.size + record->properties.size + record->payload.size;
    if (*capacity - *size < room) {
        *capacity = max_of(*capacity * 2, *size + room + 4096);
        *data = memory_resize(*data, *capacity);
    }
    struct writer writer = writer_of(*data + *size, room);
    writer_u8(&writer, (uint8_t)record->type);
    writer_u32(&writer, 0);
    write_fields(&writer, fields[record->type], record);
    ensure(!writer.failed);
    store_u32(writer.data + 1, (uint32_t)(writer.size - 5));
    *size += writer.size;
}

uint64_t broker_journal_append(struct broker_journal *journal, const struct broker_record *record)
{
    if (!journal->is_kept)
        return 0;
    broker_record_write(&journal->data, &journal->size, &journal->capacity, record);
    return ++journal->position;
}

static struct bytes read_bytes(struct reader *reader)
{
    return reader_bytes(reader, reader_u32(reader));
}

static void read_fields(struct reader *reader, unsigned has, struct broker_record *record)
{
    if (has & FIELD_SESSION)
        record->session = reader_u64(reader);
    if (has & FIELD_MESSAGE)
        record->message = reader_u64(reader);
    if (has & FIELD_ORDER)
        record->order = reader_u64(reader);
    if (has & FIELD_TIME)
        record->unix_us = reader_u64(reader);
    if (has & FIELD_SECONDS)
        record->seconds = reader_u32(reader);
    if (has & FIELD_ID)
        record->id = reader_u32(reader);
    if (has & FIELD_PACKET_ID)
        record->packet_id = reader_u16(reader);
    if (has & FIELD_QOS)
        record->qos = reader_u8(reader);
    if (has & FIELD_FLAGS)
        record->flags = reader_u8(reader);
    if (has & FIELD_NAME)
        record->name = read_bytes(reader);
    if (has & FIELD_PROPERTIES)
        record->properties = read_bytes(reader);
    if (has & FIELD_PAYLOAD)
        record->payload = read_bytes(reader);
}

bool broker_record_read(struct reader *reader, struct broker_record *ret_record)
{
    if (reader_left(reader) == 0)
        return false;
    uint8_t type = reader_u8(reader);
    struct bytes body = read_bytes(reader);
    if (reader->failed || type >= array_size(fields) || !fields[type]) {
        reader->failed = true;
        return false;
    }
    *ret_record = (struct broker_record){ .type = type };
    struct reader rest = reader_of(body.data, body.size);
    read_fields(&rest, fields[type], ret_record);
    if (!reader_finished(&rest))
        reader->failed = true;
    return !reader->failed;
}
