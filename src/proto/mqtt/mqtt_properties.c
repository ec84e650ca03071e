#include "proto/mqtt/mqtt_properties.h"

#include <string.h>

#include "base/text.h"

enum kind {
    KIND_NONE,
    KIND_BYTE,
    KIND_TWO,
    KIND_FOUR,
    KIND_VARIABLE,
    KIND_TEXT,
    KIND_BINARY,
    KIND_PAIR,
};

struct row {
    enum kind kind;
    uint32_t where; /**< a bit per packet type; bit 0: in a will */
    size_t offset;
};

#define IN(type) (1u << MQTT_##type)
#define IN_WILL  (1u << MQTT_PROPERTIES_OF_WILL)
#define IN_ANSWERS                                                                                 \
    (IN(CONNACK) | IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP) | IN(SUBACK) |               \
     IN(UNSUBACK) | IN(DISCONNECT) | IN(AUTH))
#define IN_EVERYWHERE                                                                              \
    (IN_ANSWERS | IN_WILL | IN(CONNECT) | IN(PUBLISH) | IN(SUBSCRIBE) | IN(UNSUBSCRIBE))

/** Has no field of its own: it may repeat, and is read from the block. */
#define user_property raw

static const struct row rows[] = {
#define PROPERTY(name, identifier, kind, field, where)                                             \
    [identifier] = { KIND_##kind, where, offsetof(struct mqtt_properties, field) },
#include "proto/mqtt/mqtt_properties.def"
#undef PROPERTY
};

#undef user_property

/** ---- integers and strings ---- */

uint32_t mqtt_read_variable(struct reader *reader, bool shortest)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t byte = reader_u8(reader);
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if (shortest && shift > 0 && byte == 0)
            break;
        return reader->failed ? 0 : value;
    }
    reader->failed = true;
    return 0;
}

size_t mqtt_variable_size(uint32_t value)
{
    return value < 1u << 7 ? 1 : value < 1u << 14 ? 2 : value < 1u << 21 ? 3 : 4;
}

void mqtt_write_variable(struct writer *writer, uint32_t value)
{
    ensure(value <= MQTT_VARIABLE_MAX);
    for (; value >= 0x80; value >>= 7)
        writer_u8(writer, (uint8_t)(value | 0x80));
    writer_u8(writer, (uint8_t)value);
}

bool mqtt_text_is_valid(struct bytes text)
{
    return (text.size == 0 || !memchr(text.data, 0, text.size)) && text_is_utf8(text);
}

struct bytes mqtt_read_binary(struct reader *reader)
{
    return reader_bytes(reader, reader_u16(reader));
}

struct bytes mqtt_read_text(struct reader *reader)
{
    struct bytes text = mqtt_read_binary(reader);
    if (!mqtt_text_is_valid(text))
        reader->failed = true;
    return text;
}

void mqtt_write_text(struct writer *writer, struct bytes text)
{
    ensure(text.size <= UINT16_MAX);
    writer_u16(writer, (uint16_t)text.size);
    writer_bytes(writer, text.data, text.size);
}

/** ---- reading ---- */

static uint32_t read_number(struct reader *reader, enum kind kind)
{
    switch (kind) {
    case KIND_BYTE:
        return reader_u8(reader);
    case KIND_TWO:
        return reader_u16(reader);
    case KIND_FOUR:
        return reader_u32(reader);
    default:
        return mqtt_read_variable(reader, true);
    }
}

bool mqtt_property_next(struct reader *block, struct mqtt_property_entry *ret_entry)
{
    if (reader_left(block) == 0)
        return false;
    size_t start = block->at;
    // all identifiers fit into one byte of the variable byte integer that they are
    uint8_t identifier = reader_u8(block);
    const struct row *row = identifier < array_size(rows) ? &rows[identifier] : &rows[0];
    *ret_entry = (struct mqtt_property_entry){ .property = identifier };
    switch (row->kind) {
    case KIND_NONE:
        block->failed = true;
        return false;
    case KIND_TEXT:
        ret_entry->text = mqtt_read_text(block);
        break;
    case KIND_BINARY:
        ret_entry->text = mqtt_read_binary(block);
        break;
    case KIND_PAIR:
        ret_entry->text = mqtt_read_text(block);
        ret_entry->value = mqtt_read_text(block);
        break;
    default:
        ret_entry->number = read_number(block, row->kind);
    }
    if (block->failed)
        return false;
    ret_entry->raw = bytes_of(block->data + start, block->at - start);
    return true;
}

/** What the standard says of single values (5.0, under each property). */
static bool number_is_valid(enum mqtt_property property, uint32_t number)
{
    switch (property) {
    case MQTT_PROPERTY_PAYLOAD_FORMAT:
    case MQTT_PROPERTY_REQUEST_PROBLEM:
    case MQTT_PROPERTY_REQUEST_RESPONSE:
    case MQTT_PROPERTY_MAXIMUM_QOS:
    case MQTT_PROPERTY_RETAIN_AVAILABLE:
    case MQTT_PROPERTY_WILDCARDS_AVAILABLE:
    case MQTT_PROPERTY_SUBSCRIPTION_IDS_AVAILABLE:
    case MQTT_PROPERTY_SHARED_AVAILABLE:
        return number <= 1;
    case MQTT_PROPERTY_SUBSCRIPTION_ID:
    case MQTT_PROPERTY_RECEIVE_MAXIMUM:
    case MQTT_PROPERTY_MAXIMUM_PACKET_SIZE:
        return number > 0;
    default:
        return true;
    }
}

/** Only user properties may repeat, and the identifiers of several subscriptions in PUBLISH. */
static bool may_repeat(enum mqtt_property property, unsigned where)
{
    return property == MQTT_PROPERTY_USER_PROPERTY ||
           (property == MQTT_PROPERTY_SUBSCRIPTION_ID && where == MQTT_PUBLISH);
}

static void store(struct mqtt_properties *properties, const struct row *row,
                  const struct mqtt_property_entry *entry)
{
    void *field = (char *)properties + row->offset;
    switch (row->kind) {
    case KIND_BYTE:
        *(uint8_t *)field = (uint8_t)entry->number;
        break;
    case KIND_TWO:
        *(uint16_t *)field = (uint16_t)entry->number;
        break;
    case KIND_FOUR:
    case KIND_VARIABLE:
        *(uint32_t *)field = entry->number;
        break;
    case KIND_TEXT:
    case KIND_BINARY:
        *(struct bytes *)field = entry->text;
        break;
    default:
        break;
    }
}

int mqtt_properties_read(struct reader *reader, unsigned where,
                         struct mqtt_properties *ret_properties)
{
    *ret_properties = (struct mqtt_properties){ 0 };
    uint32_t size = mqtt_read_variable(reader, true);
    ret_properties->raw = reader_bytes(reader, size);
    if (reader->failed)
        return MQTT_MALFORMED_PACKET;
    struct reader block = reader_of(ret_properties->raw.data, ret_properties->raw.size);
    struct mqtt_property_entry entry;
    while (mqtt_property_next(&block, &entry)) {
        const struct row *row = &rows[entry.property];
        uint64_t bit = 1ull << entry.property;
        if (!(row->where & 1u << where))
            return MQTT_PROTOCOL_ERROR;
        if ((ret_properties->present & bit) && !may_repeat(entry.property, where))
            return MQTT_PROTOCOL_ERROR;
        if (!number_is_valid(entry.property, entry.number) && row->kind < KIND_TEXT)
            return MQTT_PROTOCOL_ERROR;
        ret_properties->present |= bit;
        store(ret_properties, row, &entry);
    }
    return block.failed ? MQTT_MALFORMED_PACKET : 0;
}

/** ---- writing ---- */

void mqtt_write_property_byte(struct writer *writer, enum mqtt_property property, uint8_t value)
{
    writer_u8(writer, (uint8_t)property);
    writer_u8(writer, value);
}

void mqtt_write_property_two(struct writer *writer, enum mqtt_property property, uint16_t value)
{
    writer_u8(writer, (uint8_t)property);
    writer_u16(writer, value);
}

void mqtt_write_property_four(struct writer *writer, enum mqtt_property property, uint32_t value)
{
    writer_u8(writer, (uint8_t)property);
    writer_u32(writer, value);
}

void mqtt_write_property_variable(struct writer *writer, enum mqtt_property property,
                                  uint32_t value)
{
    writer_u8(writer, (uint8_t)property);
    mqtt_write_variable(writer, value);
}

void mqtt_write_property_text(struct writer *writer, enum mqtt_property property,
                              struct bytes value)
{
    writer_u8(writer, (uint8_t)property);
    mqtt_write_text(writer, value);
}

void mqtt_write_user_property(struct writer *writer, struct bytes name, struct bytes value)
{
    writer_u8(writer, MQTT_PROPERTY_USER_PROPERTY);
    mqtt_write_text(writer, name);
    mqtt_write_text(writer, value);
}
