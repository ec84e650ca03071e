#include <string.h>

#include "proto/mqtt/mqtt_packet.h"

/** ---- frames ---- */

struct mqtt_packet_start mqtt_begin(struct writer *writer, enum mqtt_type type, uint8_t flags)
{
    struct mqtt_packet_start start = { .at = writer->size, .first = (uint8_t)(type << 4 | flags) };
    writer_zeros(writer, MQTT_HEADER_SIZE_MAX);
    return start;
}

/** Puts a length in front of what was written behind `room` bytes that were left for it. */
static void close_gap(struct writer *writer, size_t at, size_t room, const uint8_t *head,
                      size_t head_size)
{
    size_t body = writer->size - at - room;
    if (head_size > room) {
        size_t more = head_size - room;
        writer_zeros(writer, more);
        if (writer->failed)
            return;
    }
    memmove(writer->data + at + head_size, writer->data + at + room, body);
    memcpy(writer->data + at, head, head_size);
    writer->size = at + head_size + body;
}

void mqtt_end(struct writer *writer, struct mqtt_packet_start start)
{
    if (writer->failed)
        return;
    uint8_t head[MQTT_HEADER_SIZE_MAX];
    struct writer header = writer_of(head, sizeof(head));
    writer_u8(&header, start.first);
    mqtt_write_variable(&header, (uint32_t)(writer->size - start.at - MQTT_HEADER_SIZE_MAX));
    close_gap(writer, start.at, MQTT_HEADER_SIZE_MAX, head, header.size);
}

size_t mqtt_properties_begin(struct writer *writer)
{
    size_t start = writer->size;
    writer_u8(writer, 0);
    return start;
}

void mqtt_properties_end(struct writer *writer, size_t start)
{
    if (writer->failed)
        return;
    uint8_t head[4];
    struct writer length = writer_of(head, sizeof(head));
    mqtt_write_variable(&length, (uint32_t)(writer->size - start - 1));
    close_gap(writer, start, 1, head, length.size);
}

void mqtt_write_header(struct writer *writer, enum mqtt_type type, uint8_t flags, size_t body_size)
{
    writer_u8(writer, (uint8_t)(type << 4 | flags));
    mqtt_write_variable(writer, (uint32_t)body_size);
}

static void write_block(struct writer *writer, enum mqtt_version version, struct bytes properties)
{
    if (version != MQTT_5)
        return;
    mqtt_write_variable(writer, (uint32_t)properties.size);
    writer_bytes(writer, properties.data, properties.size);
}

/** ---- packets ---- */

void mqtt_write_connect(struct writer *writer, const struct mqtt_connect *connect,
                        struct bytes properties, struct bytes will_properties)
{
    const struct mqtt_will *will = &connect->will;
    struct mqtt_packet_start start = mqtt_begin(writer, MQTT_CONNECT, 0);
    mqtt_write_text(writer, bytes_of_text(connect->version == MQTT_3_1 ? "MQIsdp" : "MQTT"));
    writer_u8(writer, (uint8_t)(connect->version | (connect->is_bridge ? MQTT_BRIDGE_BIT : 0)));
    unsigned flags = (unsigned)connect->clean_start << 1 | (unsigned)connect->has_password << 6 |
                     (unsigned)connect->has_user << 7;
    if (connect->has_will)
        flags |= 1u << 2 | (unsigned)will->qos << 3 | (unsigned)will->retain << 5;
    writer_u8(writer, (uint8_t)flags);
    writer_u16(writer, connect->keep_alive_s);
    write_block(writer, connect->version, properties);
    mqtt_write_text(writer, connect->client_id);
    if (connect->has_will) {
        write_block(writer, connect->version, will_properties);
        mqtt_write_text(writer, will->topic);
        mqtt_write_text(writer, will->payload);
    }
    if (connect->has_user)
        mqtt_write_text(writer, connect->user);
    if (connect->has_password)
        mqtt_write_text(writer, connect->password);
    mqtt_end(writer, start);
}

void mqtt_write_connack(struct writer *writer, enum mqtt_version version,
                        const struct mqtt_connack *connack, struct bytes properties)
{
    struct mqtt_packet_start start = mqtt_begin(writer, MQTT_CONNACK, 0);
    writer_u8(writer, connack->session_present);
    writer_u8(writer, connack->reason);
    write_block(writer, version, properties);
    mqtt_end(writer, start);
}

void mqtt_write_publish_header(struct writer *writer, enum mqtt_version version,
                               const struct mqtt_publish *publish, struct bytes properties)
{
    size_t body = 2 + publish->topic.size + publish->payload.size;
    if (publish->qos > 0)
        body += 2;
    if (version == MQTT_5)
        body += mqtt_variable_size((uint32_t)properties.size) + properties.size;
    unsigned flags = (unsigned)publish->dup << 3 | (unsigned)publish->qos << 1 | publish->retain;
    mqtt_write_header(writer, MQTT_PUBLISH, (uint8_t)flags, body);
    mqtt_write_text(writer, publish->topic);
    if (publish->qos > 0)
        writer_u16(writer, publish->packet_id);
    write_block(writer, version, properties);
}

void mqtt_write_publish(struct writer *writer, enum mqtt_version version,
                        const struct mqtt_publish *publish, struct bytes properties)
{
    mqtt_write_publish_header(writer, version, publish, properties);
    writer_bytes(writer, publish->payload.data, publish->payload.size);
}

void mqtt_write_ack(struct writer *writer, enum mqtt_version version, enum mqtt_type type,
                    const struct mqtt_ack *ack)
{
    // 5.0, 3.4.2.1: success need not be said
    bool says_reason = version == MQTT_5 && ack->reason != MQTT_SUCCESS;
    mqtt_write_header(writer, type, type == MQTT_PUBREL ? 2 : 0, says_reason ? 3 : 2);
    writer_u16(writer, ack->packet_id);
    if (says_reason)
        writer_u8(writer, ack->reason);
}

void mqtt_write_list_ack(struct writer *writer, enum mqtt_version version, enum mqtt_type type,
                         uint16_t packet_id, struct bytes reasons)
{
    struct mqtt_packet_start start = mqtt_begin(writer, type, 0);
    writer_u16(writer, packet_id);
    write_block(writer, version, bytes_of(NULL, 0));
    if (version == MQTT_5 || type == MQTT_SUBACK)
        writer_bytes(writer, reasons.data, reasons.size);
    mqtt_end(writer, start);
}

void mqtt_write_subscribe(struct writer *writer, enum mqtt_version version, uint16_t packet_id,
                          const struct mqtt_subscription *subscriptions, size_t count,
                          uint32_t subscription_id)
{
    struct mqtt_packet_start start = mqtt_begin(writer, MQTT_SUBSCRIBE, 2);
    writer_u16(writer, packet_id);
    if (version == MQTT_5) {
        size_t block = mqtt_properties_begin(writer);
        if (subscription_id)
            mqtt_write_property_variable(writer, MQTT_PROPERTY_SUBSCRIPTION_ID, subscription_id);
        mqtt_properties_end(writer, block);
    }
    for (size_t i = 0; i < count; i++) {
        const struct mqtt_subscription_options *options = &subscriptions[i].options;
        mqtt_write_text(writer, subscriptions[i].filter);
        unsigned flags = options->qos;
        if (version == MQTT_5)
            flags |= (unsigned)options->no_local << 2 |
                     (unsigned)options->retain_as_published << 3 |
                     (unsigned)options->retain_handling << 4;
        writer_u8(writer, (uint8_t)flags);
    }
    mqtt_end(writer, start);
}

void mqtt_write_unsubscribe(struct writer *writer, enum mqtt_version version, uint16_t packet_id,
                            const struct bytes *filters, size_t count)
{
    struct mqtt_packet_start start = mqtt_begin(writer, MQTT_UNSUBSCRIBE, 2);
    writer_u16(writer, packet_id);
    write_block(writer, version, bytes_of(NULL, 0));
    for (size_t i = 0; i < count; i++)
        mqtt_write_text(writer, filters[i]);
    mqtt_end(writer, start);
}

void mqtt_write_ping(struct writer *writer, enum mqtt_type type)
{
    mqtt_write_header(writer, type, 0, 0);
}

void mqtt_write_notice(struct writer *writer, enum mqtt_version version, enum mqtt_type type,
                       uint8_t reason, struct bytes properties)
{
    struct mqtt_packet_start start = mqtt_begin(writer, type, 0);
    if (version == MQTT_5 && (reason || properties.size > 0)) {
        writer_u8(writer, reason);
        if (properties.size > 0)
            write_block(writer, version, properties);
    }
    mqtt_end(writer, start);
}

enum mqtt_return_code mqtt_return_code_of(uint8_t reason)
{
    switch (reason) {
    case MQTT_SUCCESS:
        return MQTT_ACCEPTED;
    case MQTT_UNSUPPORTED_VERSION:
        return MQTT_REFUSED_VERSION;
    case MQTT_CLIENT_ID_NOT_VALID:
        return MQTT_REFUSED_CLIENT_ID;
    case MQTT_BAD_USER_OR_PASSWORD:
        return MQTT_REFUSED_USER_OR_PASSWORD;
    case MQTT_NOT_AUTHORIZED:
    case MQTT_BANNED:
    case MQTT_BAD_AUTHENTICATION_METHOD:
        return MQTT_REFUSED_NOT_AUTHORIZED;
    default:
        return MQTT_REFUSED_UNAVAILABLE;
    }
}
