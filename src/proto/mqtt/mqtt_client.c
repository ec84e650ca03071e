#include "proto/mqtt/mqtt_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/** From the connection to its CONNACK, and from PINGREQ to a sign of life: at least so long. */
#define ANSWER_US (10 * TIME_US_PER_S)
/** Properties of CONNECT that we write. */
#define CONNECT_PROPERTIES_MAX 32
/** Fixed header, lengths and properties' lengths around texts. */
#define PACKET_EXTRA 64

/** Of a message that is too large: longer ones end the connection. */
#define SKIPPED_TOPIC_MAX (60u << 10)
/** Memory of an output that is empty. */
#define KEPT_CAPACITY (64u << 10)

/** ---- output ---- */

/** A writer behind what waits, with room for `size` more bytes. */
static struct writer begin(struct mqtt_client *client, size_t size)
{
    size_t wanted = client->output_size + size + PACKET_EXTRA;
    if (client->output_capacity < wanted) {
        client->output_capacity = max_of(client->output_capacity * 2, wanted);
        client->output = memory_resize(client->output, client->output_capacity);
    }
    struct writer writer = writer_of(client->output, client->output_capacity);
    writer.size = client->output_size;
    return writer;
}

static void end(struct mqtt_client *client, uint64_t now_us, const struct writer *writer)
{
    ensure(!writer->failed);
    client->output_size = writer->size;
    client->last_output_us = now_us;
}

struct bytes mqtt_client_output(const struct mqtt_client *client)
{
    return bytes_of(client->output, client->output_size);
}

void mqtt_client_sent(struct mqtt_client *client, size_t size)
{
    ensure(size <= client->output_size);
    if (size == 0)
        return;
    // it is CONNECT, with a password
    if (client->state == MQTT_CLIENT_GREETING)
        memory_wipe(client->output, size);
    client->output_size -= size;
    memmove(client->output, client->output + size, client->output_size);
    if (client->output_size > 0 || client->output_capacity <= KEPT_CAPACITY)
        return;
    free(client->output);
    client->output = NULL;
    client->output_capacity = 0;
}

void mqtt_client_done(struct mqtt_client *client)
{
    // a CONNECT with a password may still be in it
    if (client->output)
        memory_wipe(client->output, client->output_capacity);
    free(client->output);
    *client = (struct mqtt_client){ 0 };
}

/** ---- greeting ---- */

void mqtt_client_connect(struct mqtt_client *client, uint64_t now_us,
                         const struct mqtt_client_config *config)
{
    const struct mqtt_connect *connect = &config->connect;
    mqtt_client_done(client);
    client->state = MQTT_CLIENT_GREETING;
    client->version = connect->version;
    client->keep_alive_s = connect->keep_alive_s;
    client->last_input_us = now_us;
    client->ping_us = TIME_NEVER;
    client->own_packet_size_max =
        config->packet_size_max ? config->packet_size_max : MQTT_PACKET_SIZE_MAX;
    client->receive_max = UINT16_MAX;
    client->packet_size_max = MQTT_PACKET_SIZE_MAX;
    client->qos_max = 2;
    client->retain_available = true;

    uint8_t block[CONNECT_PROPERTIES_MAX];
    struct writer properties = writer_of(block, sizeof(block));
    if (config->session_expiry_s)
        mqtt_write_property_four(&properties, MQTT_PROPERTY_SESSION_EXPIRY,
                                 config->session_expiry_s);
    if (config->receive_max)
        mqtt_write_property_two(&properties, MQTT_PROPERTY_RECEIVE_MAXIMUM, config->receive_max);
    if (config->packet_size_max)
        mqtt_write_property_four(&properties, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE,
                                 config->packet_size_max);
    struct writer writer = begin(client, sizeof(block) + connect->client_id.size +
                                             connect->user.size + connect->password.size +
                                             connect->will.topic.size + connect->will.payload.size);
    mqtt_write_connect(&writer, connect, writer_written(&properties), bytes_of(NULL, 0));
    end(client, now_us, &writer);
}

/** The reason of 5.0 that says the same. */
static uint8_t reason_of(uint8_t return_code)
{
    switch (return_code) {
    case MQTT_ACCEPTED:
        return MQTT_SUCCESS;
    case MQTT_REFUSED_VERSION:
        return MQTT_UNSUPPORTED_VERSION;
    case MQTT_REFUSED_CLIENT_ID:
        return MQTT_CLIENT_ID_NOT_VALID;
    case MQTT_REFUSED_UNAVAILABLE:
        return MQTT_SERVER_UNAVAILABLE;
    case MQTT_REFUSED_USER_OR_PASSWORD:
        return MQTT_BAD_USER_OR_PASSWORD;
    case MQTT_REFUSED_NOT_AUTHORIZED:
        return MQTT_NOT_AUTHORIZED;
    default:
        return MQTT_UNSPECIFIED_ERROR;
    }
}

static void take_connack(struct mqtt_client *client, struct mqtt_packet *packet)
{
    const struct mqtt_properties *told = &packet->properties;
    if (client->version != MQTT_5)
        packet->connack.reason = reason_of(packet->connack.reason);
    client->state = packet->connack.reason == MQTT_SUCCESS ? MQTT_CLIENT_OPEN : MQTT_CLIENT_ENDED;
    if (mqtt_has(told, MQTT_PROPERTY_RECEIVE_MAXIMUM))
        client->receive_max = told->receive_maximum;
    if (mqtt_has(told, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE))
        client->packet_size_max = told->maximum_packet_size;
    if (mqtt_has(told, MQTT_PROPERTY_MAXIMUM_QOS))
        client->qos_max = told->maximum_qos;
    if (mqtt_has(told, MQTT_PROPERTY_RETAIN_AVAILABLE))
        client->retain_available = told->retain_available;
    if (mqtt_has(told, MQTT_PROPERTY_SERVER_KEEP_ALIVE))
        client->keep_alive_s = told->server_keep_alive_s;
}

/**
 * A server that has no 5.0 refuses it in words of 3.1.1: a CONNACK without properties (3.1.1,
 * 3.2), which nothing else than that can be.
 */
static bool is_old_refusal(const struct mqtt_client *client, const struct mqtt_frame *frame)
{
    return client->version == MQTT_5 && frame->type == MQTT_CONNACK && frame->body.size == 2 &&
           frame->body.data[1] != MQTT_ACCEPTED;
}

/** ---- input ---- */

/** What a server may send, and when. */
static bool is_expected(const struct mqtt_client *client, enum mqtt_type type)
{
    if (client->state == MQTT_CLIENT_GREETING)
        return type == MQTT_CONNACK;
    switch (type) {
    case MQTT_CONNECT:
    case MQTT_CONNACK:
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
    case MQTT_PINGREQ:
    case MQTT_AUTH: // we never name a method
        return false;
    case MQTT_DISCONNECT:
        return client->version == MQTT_5;
    default:
        return true;
    }
}

static int fault(struct mqtt_client *client, uint64_t now_us, int reason)
{
    mqtt_client_disconnect(client, now_us, (enum mqtt_reason)reason);
    return -reason;
}

static int read_packet(struct mqtt_client *client, uint64_t now_us, const struct mqtt_frame *frame,
                       struct mqtt_packet *packet)
{
    if (!is_expected(client, frame->type))
        return fault(client, now_us, MQTT_PROTOCOL_ERROR);
    enum mqtt_version version = is_old_refusal(client, frame) ? MQTT_3_1_1 : client->version;
    int reason = mqtt_packet_read(frame, version, packet);
    if (reason)
        return fault(client, now_us, reason);
    if (packet->type == MQTT_CONNACK) {
        client->version = version;
        take_connack(client, packet);
    }
    // we allow no aliases (5.0, 3.3.2.3.4)
    if (packet->type == MQTT_PUBLISH && mqtt_has(&packet->properties, MQTT_PROPERTY_TOPIC_ALIAS))
        return fault(client, now_us, MQTT_TOPIC_ALIAS_INVALID);
    if (packet->type == MQTT_DISCONNECT)
        client->state = MQTT_CLIENT_ENDED;
    return 1;
}

/**
 * A message that is too large: what stands before its payload is handed over, the rest is thrown
 * away as it comes.
 */
static int skip(struct mqtt_client *client, uint64_t now_us, struct bytes *input,
                const struct mqtt_frame *frame, struct mqtt_packet *packet)
{
    struct reader reader = reader_of(input->data, input->size);
    reader_u8(&reader);
    mqtt_read_variable(&reader, true);
    size_t head = reader.at;
    size_t topic = reader_u16(&reader);
    bool is_open = client->state == MQTT_CLIENT_OPEN && client->version != MQTT_5;
    if (!is_open || frame->type != MQTT_PUBLISH || topic > SKIPPED_TOPIC_MAX)
        return fault(client, now_us, MQTT_PACKET_TOO_LARGE);
    if (head + 2 + topic + 2 > frame->size)
        return fault(client, now_us, MQTT_MALFORMED_PACKET);
    reader_skip(&reader, topic + 2); // and an identifier, which QoS 0 does not have
    if (reader.failed)
        return 0;
    struct mqtt_frame beginning = *frame;
    beginning.body = bytes_of(input->data + head, reader.at - head);
    *input = bytes_of(input->data + reader.at, input->size - reader.at);
    client->skipped_left = frame->size - reader.at;
    int result = read_packet(client, now_us, &beginning, packet);
    return result < 0 ? result : MQTT_CLIENT_SKIPPED;
}

/** Returns whether all of it has come. */
static bool skip_rest(struct mqtt_client *client, uint64_t now_us, struct bytes *input)
{
    size_t size = min_of(client->skipped_left, input->size);
    if (size == 0)
        return client->skipped_left == 0;
    *input = bytes_of(input->data + size, input->size - size);
    client->skipped_left -= size;
    client->last_input_us = now_us;
    return client->skipped_left == 0;
}

int mqtt_client_read(struct mqtt_client *client, uint64_t now_us, struct bytes *input,
                     struct mqtt_packet *ret_packet)
{
    while (client->state == MQTT_CLIENT_GREETING || client->state == MQTT_CLIENT_OPEN) {
        if (!skip_rest(client, now_us, input))
            return 0;
        struct mqtt_frame frame;
        int result = mqtt_frame_read(*input, client->own_packet_size_max, &frame);
        if (result == -EAGAIN)
            return 0;
        if (result == -EMSGSIZE)
            return skip(client, now_us, input, &frame, ret_packet);
        if (result < 0)
            return fault(client, now_us, MQTT_MALFORMED_PACKET);
        *input = bytes_of(input->data + frame.size, input->size - frame.size);
        client->last_input_us = now_us;
        client->ping_us = TIME_NEVER;
        result = read_packet(client, now_us, &frame, ret_packet);
        if (result < 0 || ret_packet->type != MQTT_PINGRESP)
            return result;
    }
    // what comes behind the end is of no use to anyone
    *input = bytes_of(NULL, 0);
    return 0;
}

/** ---- writing ---- */

static bool may_write(const struct mqtt_client *client)
{
    return client->state == MQTT_CLIENT_OPEN;
}

bool mqtt_client_publish(struct mqtt_client *client, uint64_t now_us,
                         const struct mqtt_publish *publish, struct bytes properties)
{
    if (!may_write(client))
        return true;
    struct mqtt_publish message = *publish;
    message.retain = publish->retain && client->retain_available;
    struct writer writer =
        begin(client, publish->topic.size + publish->payload.size + properties.size);
    mqtt_write_publish(&writer, client->version, &message, properties);
    if (writer.size - client->output_size > client->packet_size_max)
        return false;
    end(client, now_us, &writer);
    return true;
}

void mqtt_client_ack(struct mqtt_client *client, uint64_t now_us, enum mqtt_type type,
                     const struct mqtt_ack *ack)
{
    if (!may_write(client))
        return;
    struct writer writer = begin(client, 8);
    mqtt_write_ack(&writer, client->version, type, ack);
    end(client, now_us, &writer);
}

void mqtt_client_subscribe(struct mqtt_client *client, uint64_t now_us, uint16_t packet_id,
                           const struct mqtt_subscription *subscription)
{
    if (!may_write(client))
        return;
    struct writer writer = begin(client, subscription->filter.size + 16);
    mqtt_write_subscribe(&writer, client->version, packet_id, subscription, 1, 0);
    end(client, now_us, &writer);
}

void mqtt_client_unsubscribe(struct mqtt_client *client, uint64_t now_us, uint16_t packet_id,
                             struct bytes filter)
{
    if (!may_write(client))
        return;
    struct writer writer = begin(client, filter.size + 16);
    mqtt_write_unsubscribe(&writer, client->version, packet_id, &filter, 1);
    end(client, now_us, &writer);
}

static void say_goodbye(struct mqtt_client *client, uint64_t now_us, enum mqtt_reason reason,
                        struct bytes properties)
{
    if (may_write(client)) {
        struct writer writer = begin(client, 8 + properties.size);
        mqtt_write_notice(&writer, client->version, MQTT_DISCONNECT, (uint8_t)reason, properties);
        end(client, now_us, &writer);
    }
    client->state = MQTT_CLIENT_ENDED;
}

void mqtt_client_disconnect(struct mqtt_client *client, uint64_t now_us, enum mqtt_reason reason)
{
    say_goodbye(client, now_us, reason, bytes_of(NULL, 0));
}

void mqtt_client_forget(struct mqtt_client *client, uint64_t now_us)
{
    uint8_t block[8];
    struct writer properties = writer_of(block, sizeof(block));
    mqtt_write_property_four(&properties, MQTT_PROPERTY_SESSION_EXPIRY, 0);
    say_goodbye(client, now_us, MQTT_SUCCESS, writer_written(&properties));
}

/** ---- time ---- */

static uint64_t answer_us(const struct mqtt_client *client)
{
    return max_of(ANSWER_US, client->keep_alive_s * TIME_US_PER_S / 2);
}

uint64_t mqtt_client_deadline(const struct mqtt_client *client)
{
    switch (client->state) {
    case MQTT_CLIENT_GREETING:
        return client->last_input_us + ANSWER_US;
    case MQTT_CLIENT_OPEN:
        if (client->ping_us != TIME_NEVER)
            return client->ping_us + answer_us(client);
        // a server that only takes is asked as well: either direction may have died
        return client->keep_alive_s ? min_of(client->last_output_us, client->last_input_us) +
                                          client->keep_alive_s * TIME_US_PER_S
                                    : TIME_NEVER;
    default:
        return TIME_NEVER;
    }
}

bool mqtt_client_tick(struct mqtt_client *client, uint64_t now_us)
{
    if (mqtt_client_deadline(client) > now_us)
        return true;
    if (client->state == MQTT_CLIENT_GREETING || client->ping_us != TIME_NEVER) {
        client->state = MQTT_CLIENT_ENDED;
        return false;
    }
    struct writer writer = begin(client, 2);
    mqtt_write_ping(&writer, MQTT_PINGREQ);
    end(client, now_us, &writer);
    client->ping_us = now_us;
    return true;
}
