#include <errno.h>

#include "base/text.h"
#include "proto/mqtt/mqtt_packet.h"
#include "proto/mqtt/mqtt_topic.h"

/** Of CONNECT (5.0, 3.1.2.3). */
enum connect_flag {
    CONNECT_RESERVED = 0x01,
    CONNECT_CLEAN_START = 0x02,
    CONNECT_WILL = 0x04,
    CONNECT_WILL_QOS = 0x18,
    CONNECT_WILL_RETAIN = 0x20,
    CONNECT_PASSWORD = 0x40,
    CONNECT_USER = 0x80,
};

#define WILL_QOS_SHIFT 3

/** Of PUBLISH (5.0, 3.3.1). */
enum publish_flag {
    PUBLISH_RETAIN = 0x01,
    PUBLISH_QOS = 0x06,
    PUBLISH_DUP = 0x08,
};

#define PUBLISH_QOS_SHIFT 1

/** Of the options of a subscription (5.0, 3.8.3.1). */
enum subscription_flag {
    SUBSCRIPTION_QOS = 0x03,
    SUBSCRIPTION_NO_LOCAL = 0x04,
    SUBSCRIPTION_AS_PUBLISHED = 0x08,
    SUBSCRIPTION_RETAIN_HANDLING = 0x30,
    SUBSCRIPTION_RESERVED = 0xC0,
    SUBSCRIPTION_RESERVED_3_1_1 = 0xFC,
};

#define RETAIN_HANDLING_SHIFT 4

/** ---- frames ---- */

int mqtt_frame_read(struct bytes input, size_t size_max, struct mqtt_frame *ret_frame)
{
    struct reader reader = reader_of(input.data, input.size);
    uint8_t first = reader_u8(&reader);
    if (reader.failed)
        return -EAGAIN;
    if (first >> 4 == 0)
        return -EBADMSG;
    uint32_t length = mqtt_read_variable(&reader, true);
    if (reader.failed)
        // all four bytes were there, or a last one that is too many
        return reader.at > 4 || (reader.at > 1 && !(input.data[reader.at - 1] & 0x80)) ? -EBADMSG
                                                                                       : -EAGAIN;
    *ret_frame = (struct mqtt_frame){ .type = first >> 4,
                                      .flags = first & 0x0f,
                                      .size = reader.at + length };
    if (ret_frame->size > size_max)
        return -EMSGSIZE;
    if (reader_left(&reader) < length)
        return -EAGAIN;
    ret_frame->body = bytes_of(input.data + reader.at, length);
    return 0;
}

/** Bits that are reserved and what they must be (5.0, 2.1.3). */
static bool flags_are_valid(const struct mqtt_frame *frame)
{
    switch (frame->type) {
    case MQTT_PUBLISH:
        return (frame->flags & PUBLISH_QOS) != PUBLISH_QOS;
    case MQTT_PUBREL:
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return frame->flags == 2;
    default:
        return frame->flags == 0;
    }
}

/** ---- CONNECT ---- */

/** The version, or the one to refuse in. Returns 0 or a reason. */
static int read_version(struct reader *reader, enum mqtt_version *ret_version, bool *ret_bridge)
{
    struct bytes name = mqtt_read_binary(reader);
    uint8_t level = reader_u8(reader);
    if (reader->failed)
        return MQTT_MALFORMED_PACKET;
    *ret_bridge = level == (MQTT_3_1 | MQTT_BRIDGE_BIT) || level == (MQTT_3_1_1 | MQTT_BRIDGE_BIT);
    if (*ret_bridge)
        level &= (uint8_t)~MQTT_BRIDGE_BIT;
    if (text_equal(name, "MQTT") && (level == MQTT_3_1_1 || level == MQTT_5))
        *ret_version = level;
    else if (text_equal(name, "MQIsdp") && level == MQTT_3_1)
        *ret_version = MQTT_3_1;
    else {
        if (text_equal(name, "MQTT") || text_equal(name, "MQIsdp"))
            *ret_version = level > MQTT_5 ? MQTT_5 : MQTT_3_1_1;
        return MQTT_UNSUPPORTED_VERSION;
    }
    return 0;
}

static bool connect_flags_are_valid(uint8_t flags, enum mqtt_version version)
{
    if (flags & CONNECT_RESERVED)
        return false;
    if (!(flags & CONNECT_WILL) && flags & (CONNECT_WILL_QOS | CONNECT_WILL_RETAIN))
        return false;
    if ((flags & CONNECT_WILL_QOS) == CONNECT_WILL_QOS)
        return false;
    // 3.1.1, 3.1.2.9: a password needs a user name
    return version == MQTT_5 || flags & CONNECT_USER || !(flags & CONNECT_PASSWORD);
}

static int read_will(struct reader *reader, uint8_t flags, enum mqtt_version version,
                     struct mqtt_will *will)
{
    will->qos = (uint8_t)((flags & CONNECT_WILL_QOS) >> WILL_QOS_SHIFT);
    will->retain = flags & CONNECT_WILL_RETAIN;
    if (version == MQTT_5) {
        int reason = mqtt_properties_read(reader, MQTT_PROPERTIES_OF_WILL, &will->properties);
        if (reason)
            return reason;
    }
    will->topic = mqtt_read_text(reader);
    will->payload = mqtt_read_binary(reader);
    if (reader->failed)
        return MQTT_MALFORMED_PACKET;
    if (!mqtt_topic_is_valid(will->topic))
        return MQTT_TOPIC_NAME_INVALID;
    return mqtt_has(&will->properties, MQTT_PROPERTY_RESPONSE_TOPIC) &&
                   !mqtt_topic_is_valid(will->properties.response_topic)
               ? MQTT_PROTOCOL_ERROR
               : 0;
}

static int read_connect(struct reader *reader, struct mqtt_packet *packet)
{
    struct mqtt_connect *connect = &packet->connect;
    int reason = read_version(reader, &connect->version, &connect->is_bridge);
    if (reason)
        return reason;
    uint8_t flags = reader_u8(reader);
    connect->keep_alive_s = reader_u16(reader);
    if (reader->failed || !connect_flags_are_valid(flags, connect->version))
        return MQTT_MALFORMED_PACKET;
    connect->clean_start = flags & CONNECT_CLEAN_START;
    connect->has_will = flags & CONNECT_WILL;
    connect->has_user = flags & CONNECT_USER;
    connect->has_password = flags & CONNECT_PASSWORD;
    if (connect->version == MQTT_5) {
        reason = mqtt_properties_read(reader, MQTT_CONNECT, &packet->properties);
        if (reason)
            return reason;
    }
    connect->client_id = mqtt_read_text(reader);
    if (connect->has_will) {
        reason = read_will(reader, flags, connect->version, &connect->will);
        if (reason)
            return reason;
    }
    if (connect->has_user)
        connect->user = mqtt_read_text(reader);
    if (connect->has_password)
        connect->password = mqtt_read_binary(reader);
    if (!reader_finished(reader))
        return MQTT_MALFORMED_PACKET;
    // 3.1.1, 3.1.3.1: who has no name can have no session that lasts
    if (connect->client_id.size == 0 && connect->version != MQTT_5 && !connect->clean_start)
        return MQTT_CLIENT_ID_NOT_VALID;
    // 5.0, 3.1.2.11.10
    return mqtt_has(&packet->properties, MQTT_PROPERTY_AUTHENTICATION_DATA) &&
                   !mqtt_has(&packet->properties, MQTT_PROPERTY_AUTHENTICATION_METHOD)
               ? MQTT_PROTOCOL_ERROR
               : 0;
}

/** ---- the others ---- */

/** Properties where the version has them. */
static int read_properties(struct reader *reader, enum mqtt_version version, enum mqtt_type type,
                           struct mqtt_properties *ret_properties)
{
    if (version == MQTT_5)
        return mqtt_properties_read(reader, type, ret_properties);
    return reader->failed ? MQTT_MALFORMED_PACKET : 0;
}

static int read_connack(struct reader *reader, enum mqtt_version version,
                        struct mqtt_packet *packet)
{
    uint8_t flags = reader_u8(reader);
    packet->connack.session_present = flags & 1;
    packet->connack.reason = reader_u8(reader);
    int reason = read_properties(reader, version, MQTT_CONNACK, &packet->properties);
    return reason ? reason : flags > 1 || !reader_finished(reader) ? MQTT_MALFORMED_PACKET : 0;
}

static int read_publish(struct reader *reader, uint8_t flags, enum mqtt_version version,
                        struct mqtt_packet *packet)
{
    struct mqtt_publish *publish = &packet->publish;
    publish->dup = flags & PUBLISH_DUP;
    publish->retain = flags & PUBLISH_RETAIN;
    publish->qos = (uint8_t)((flags & PUBLISH_QOS) >> PUBLISH_QOS_SHIFT);
    if (publish->dup && publish->qos == 0)
        return MQTT_MALFORMED_PACKET;
    publish->topic = mqtt_read_text(reader);
    if (publish->qos > 0)
        publish->packet_id = reader_u16(reader);
    int reason = read_properties(reader, version, MQTT_PUBLISH, &packet->properties);
    if (reason)
        return reason;
    publish->payload = reader_bytes(reader, reader_left(reader));
    if (publish->qos > 0 && publish->packet_id == 0)
        return MQTT_PROTOCOL_ERROR;
    const struct mqtt_properties *properties = &packet->properties;
    bool has_alias = mqtt_has(properties, MQTT_PROPERTY_TOPIC_ALIAS);
    if (has_alias && properties->topic_alias == 0)
        return MQTT_TOPIC_ALIAS_INVALID;
    if (publish->topic.size == 0)
        return has_alias ? 0 : MQTT_PROTOCOL_ERROR;
    if (!mqtt_topic_is_valid(publish->topic))
        return MQTT_TOPIC_NAME_INVALID;
    return mqtt_has(properties, MQTT_PROPERTY_RESPONSE_TOPIC) &&
                   !mqtt_topic_is_valid(properties->response_topic)
               ? MQTT_PROTOCOL_ERROR
               : 0;
}

static int read_ack(struct reader *reader, enum mqtt_version version, enum mqtt_type type,
                    struct mqtt_packet *packet)
{
    packet->ack.packet_id = reader_u16(reader);
    if (reader->failed || (version != MQTT_5 && reader_left(reader) > 0))
        return MQTT_MALFORMED_PACKET;
    if (packet->ack.packet_id == 0)
        return MQTT_PROTOCOL_ERROR;
    if (reader_left(reader) > 0)
        packet->ack.reason = reader_u8(reader);
    if (reader_left(reader) == 0)
        return 0;
    int reason = mqtt_properties_read(reader, type, &packet->properties);
    return reason ? reason : reader_finished(reader) ? 0 : MQTT_MALFORMED_PACKET;
}

static bool next_subscription(struct reader *items, uint8_t *ret_options, struct bytes *ret_filter)
{
    if (reader_left(items) == 0)
        return false;
    *ret_filter = mqtt_read_text(items);
    *ret_options = reader_u8(items);
    return !items->failed;
}

bool mqtt_list_next_subscription(struct reader *items, struct mqtt_subscription *ret_subscription)
{
    uint8_t options;
    if (!next_subscription(items, &options, &ret_subscription->filter))
        return false;
    ret_subscription->options = (struct mqtt_subscription_options){
        .qos = options & SUBSCRIPTION_QOS,
        .no_local = options & SUBSCRIPTION_NO_LOCAL,
        .retain_as_published = options & SUBSCRIPTION_AS_PUBLISHED,
        .retain_handling =
            (uint8_t)((options & SUBSCRIPTION_RETAIN_HANDLING) >> RETAIN_HANDLING_SHIFT),
    };
    return true;
}

bool mqtt_list_next_filter(struct reader *items, struct bytes *ret_filter)
{
    if (reader_left(items) == 0)
        return false;
    *ret_filter = mqtt_read_text(items);
    return !items->failed;
}

static int check_subscriptions(struct bytes list, enum mqtt_version version)
{
    struct reader items = reader_of(list.data, list.size);
    struct bytes filter;
    uint8_t options;
    uint8_t reserved = version == MQTT_5 ? SUBSCRIPTION_RESERVED : SUBSCRIPTION_RESERVED_3_1_1;
    while (next_subscription(&items, &options, &filter)) {
        if (options & reserved || (options & SUBSCRIPTION_QOS) == 3)
            return MQTT_MALFORMED_PACKET;
        if ((options & SUBSCRIPTION_RETAIN_HANDLING) == SUBSCRIPTION_RETAIN_HANDLING)
            return MQTT_PROTOCOL_ERROR;
        // 5.0, 3.8.3.1: who shares a subscription gets what the others of the group publish
        if (options & SUBSCRIPTION_NO_LOCAL && text_starts_with(filter, "$share/"))
            return MQTT_PROTOCOL_ERROR;
    }
    return items.failed ? MQTT_MALFORMED_PACKET : 0;
}

static int check_filters(struct bytes list)
{
    struct reader items = reader_of(list.data, list.size);
    struct bytes filter;
    while (mqtt_list_next_filter(&items, &filter))
        ;
    return items.failed ? MQTT_MALFORMED_PACKET : 0;
}

static int read_list(struct reader *reader, enum mqtt_version version, enum mqtt_type type,
                     struct mqtt_packet *packet)
{
    packet->list.packet_id = reader_u16(reader);
    // 3.1.1's UNSUBACK is the packet identifier alone
    int reason = read_properties(reader, version, type, &packet->properties);
    if (reason)
        return reason;
    packet->list.items = reader_bytes(reader, reader_left(reader));
    if (packet->list.packet_id == 0)
        return MQTT_PROTOCOL_ERROR;
    if (packet->list.items.size == 0)
        return type == MQTT_UNSUBACK && version != MQTT_5 ? 0 : MQTT_PROTOCOL_ERROR;
    switch (type) {
    case MQTT_SUBSCRIBE:
        return check_subscriptions(packet->list.items, version);
    case MQTT_UNSUBSCRIBE:
        return check_filters(packet->list.items);
    default:
        return type == MQTT_UNSUBACK && version != MQTT_5 ? MQTT_MALFORMED_PACKET : 0;
    }
}

static int read_notice(struct reader *reader, enum mqtt_version version, enum mqtt_type type,
                       struct mqtt_packet *packet)
{
    if (reader_left(reader) == 0)
        return 0;
    if (version != MQTT_5)
        return MQTT_MALFORMED_PACKET;
    packet->notice.reason = reader_u8(reader);
    if (reader_left(reader) == 0)
        return 0;
    int reason = mqtt_properties_read(reader, type, &packet->properties);
    return reason ? reason : reader_finished(reader) ? 0 : MQTT_MALFORMED_PACKET;
}

int mqtt_packet_read(const struct mqtt_frame *frame, enum mqtt_version version,
                     struct mqtt_packet *ret_packet)
{
    *ret_packet = (struct mqtt_packet){ .type = frame->type };
    if (!flags_are_valid(frame))
        return MQTT_MALFORMED_PACKET;
    struct reader reader = reader_of(frame->body.data, frame->body.size);
    switch (frame->type) {
    case MQTT_CONNECT:
        return read_connect(&reader, ret_packet);
    case MQTT_CONNACK:
        return read_connack(&reader, version, ret_packet);
    case MQTT_PUBLISH:
        return read_publish(&reader, frame->flags, version, ret_packet);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return read_ack(&reader, version, frame->type, ret_packet);
    case MQTT_SUBSCRIBE:
    case MQTT_SUBACK:
    case MQTT_UNSUBSCRIBE:
    case MQTT_UNSUBACK:
        return read_list(&reader, version, frame->type, ret_packet);
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
        return frame->body.size > 0 ? MQTT_MALFORMED_PACKET : 0;
    case MQTT_AUTH:
        if (version != MQTT_5)
            return MQTT_PROTOCOL_ERROR;
        return read_notice(&reader, version, frame->type, ret_packet);
    default:
        return read_notice(&reader, version, frame->type, ret_packet);
    }
}
