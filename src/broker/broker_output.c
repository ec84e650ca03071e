// What a client is sent: answers first, then messages, encoded into memory that all clients share.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker_deliver.h"

/** So much at a time: more clients get their turn, and the caller's buffers stay small. */
#define OUTPUT_SIZE (64u << 10)
/** Topic alias, expiry, and identifiers in front of a message's own properties. */
#define OWN_PROPERTIES_MAX 16

struct broker_client *broker_next_ready(struct broker *broker)
{
    if (list_empty(&broker->ready))
        return NULL;
    return container_of(broker->ready.next, struct broker_client, turn_node);
}

bool broker_client_is_over(const struct broker_client *client)
{
    return client->state == BROKER_CLIENT_ENDING && !client->controls;
}

void broker_client_block(struct broker_client *client, bool blocked)
{
    client->blocked = blocked;
    if (blocked)
        broker_client_unready(client);
    else
        broker_client_ready(client);
}

static bool is_durable(const struct broker *broker, uint64_t position)
{
    return position <= broker->journal.durable;
}

/** Until the journal has moved on. */
static void hold(struct broker_client *client)
{
    list_remove(&client->turn_node);
    list_append(&client->broker->holding, &client->turn_node);
}

/** ---- room in the scratch memory ---- */

/** Whether the packet goes out now: the first always does, others while there is room. */
static bool make_room(struct broker *broker, struct writer *writer, size_t size)
{
    if (writer->size > 0 && writer->size + size > OUTPUT_SIZE)
        return false;
    if (writer->capacity - writer->size < size) {
        struct broker_scratch *scratch = &broker->scratch;
        scratch->capacity = max_of(scratch->capacity * 2, writer->size + size);
        scratch->data = memory_resize(scratch->data, scratch->capacity);
        writer->data = scratch->data;
        writer->capacity = scratch->capacity;
    }
    return true;
}

/** ---- answers ---- */

/** False: some are left, for want of room or of the journal. */
static bool write_controls(struct broker_client *client, struct writer *writer)
{
    struct broker_controls *controls = client->controls;
    while (controls && controls->count > 0) {
        struct broker_control *control = &controls->ring[controls->at];
        if (!is_durable(client->broker, control->durable)) {
            hold(client);
            return false;
        }
        if (!make_room(client->broker, writer, control->size + 8))
            return false;
        if (control->type == MQTT_CONNACK)
            client->greeted = true;
        if (control->packet)
            writer_bytes(writer, control->packet, control->size);
        else
            mqtt_write_ack(writer, client->version, control->type, &control->ack);
        free(control->packet);
        controls->bytes -= control->size;
        controls->at = (controls->at + 1) & (controls->capacity - 1);
        controls->count--;
    }
    broker_control_done(client);
    return true;
}

/** ---- messages ---- */

static uint16_t give_alias(struct broker_client *client, struct bytes topic, bool *ret_new)
{
    return broker_aliases_give(&client->aliases_out, topic, client->alias_max,
                               client->broker->topics.secret, ret_new);
}

static size_t id_count(const struct broker_entry *entry)
{
    size_t count = entry->id ? 1 : 0;
    for (size_t i = 0; entry->ids && entry->ids[i]; i++)
        count++;
    return count;
}

/** What the server adds to a message's own properties (5.0, 3.3.2.3). */
static void write_own_properties(struct writer *writer, const struct broker_entry *entry,
                                 uint64_t now_us, uint16_t alias)
{
    const struct broker_message *message = entry->message;
    if (alias)
        mqtt_write_property_two(writer, MQTT_PROPERTY_TOPIC_ALIAS, alias);
    if (message->expires_us != TIME_NEVER) {
        uint64_t left_us = message->expires_us > now_us ? message->expires_us - now_us : 0;
        mqtt_write_property_four(writer, MQTT_PROPERTY_MESSAGE_EXPIRY,
                                 (uint32_t)((left_us + TIME_US_PER_S - 1) / TIME_US_PER_S));
    }
    if (entry->id)
        mqtt_write_property_variable(writer, MQTT_PROPERTY_SUBSCRIPTION_ID, entry->id);
    for (size_t i = 0; entry->ids && entry->ids[i]; i++)
        mqtt_write_property_variable(writer, MQTT_PROPERTY_SUBSCRIPTION_ID, entry->ids[i]);
}

static size_t size_bound(const struct broker_entry *entry)
{
    const struct broker_message *message = entry->message;
    return (size_t)message->topic_size + message->properties_size + message->payload_size +
           OWN_PROPERTIES_MAX + id_count(entry) * 5 + 16;
}

/** Larger than what the client takes, without an alias (5.0, 3.1.2.11.4). */
static bool is_too_large(const struct broker_client *client, const struct broker_entry *entry)
{
    const struct broker_message *message = entry->message;
    if (size_bound(entry) <= client->packet_size_max)
        return false;
    size_t properties = message->properties_size;
    if (message->expires_us != TIME_NEVER)
        properties += 5;
    if (entry->id)
        properties += 1 + mqtt_variable_size(entry->id);
    for (size_t i = 0; entry->ids && entry->ids[i]; i++)
        properties += 1 + mqtt_variable_size(entry->ids[i]);
    size_t body = 2 + (size_t)message->topic_size + (entry->qos > 0 ? 2 : 0) +
                  mqtt_variable_size((uint32_t)properties) + properties + message->payload_size;
    return 1 + mqtt_variable_size((uint32_t)body) + body > client->packet_size_max;
}

static void write_publish(struct broker_client *client, struct writer *writer,
                          const struct broker_entry *entry, uint64_t now_us)
{
    const struct broker_message *message = entry->message;
    struct mqtt_publish publish = { .dup = entry->was_sent,
                                    .retain = entry->retain,
                                    .qos = entry->qos,
                                    .packet_id = entry->packet_id,
                                    .topic = broker_message_topic(message),
                                    .payload = broker_message_payload(message) };
    broker_count(client->broker, BROKER_METRIC_SENT);
    if (client->version != MQTT_5) {
        mqtt_write_publish(writer, client->version, &publish, bytes_of(NULL, 0));
        return;
    }
    bool is_new = false;
    bool is_tight = size_bound(entry) > client->packet_size_max;
    uint16_t alias = is_tight ? 0 : give_alias(client, publish.topic, &is_new);
    if (alias && !is_new)
        publish.topic = bytes_of(NULL, 0);
    // the message's own properties stand between ours and the payload
    struct bytes own = broker_message_properties(message);
    size_t ours_max = OWN_PROPERTIES_MAX + id_count(entry) * 5;
    uint8_t *block = writer->data + writer->capacity - ours_max - own.size;
    struct writer properties = writer_of(block, ours_max + own.size);
    write_own_properties(&properties, entry, now_us, alias);
    writer_bytes(&properties, own.data, own.size);
    ensure(!properties.failed);
    mqtt_write_publish(writer, client->version, &publish, writer_written(&properties));
}

enum turn {
    TURN_ON,   /**< the next one */
    TURN_FULL, /**< no room: later */
    TURN_HELD, /**< the journal, or the client, has to move first */
};

static void drop_inflight(struct broker_client *client, struct broker_entry *entry,
                          enum broker_metric why)
{
    broker_count_dropped(client->session, why);
    struct broker_entry taken = broker_queue_remove(&client->session->queue, entry);
    broker_entry_end(client->session, &taken);
}

/** A message that has its identifier: sent, sent again, or released again. */
static enum turn write_inflight(struct broker_client *client, struct writer *writer,
                                uint64_t now_us)
{
    struct broker_queue *queue = &client->session->queue;
    struct broker_entry *entry = &queue->inflight[queue->sent_count];
    if (!is_durable(client->broker, entry->durable)) {
        hold(client);
        return TURN_HELD;
    }
    if (entry->state == BROKER_ENTRY_RELEASED) {
        if (!make_room(client->broker, writer, 8))
            return TURN_FULL;
        struct mqtt_ack ack = { .packet_id = entry->packet_id };
        mqtt_write_ack(writer, client->version, MQTT_PUBREL, &ack);
    } else if (is_too_large(client, entry)) {
        // another connection may have taken it
        drop_inflight(client, entry, BROKER_METRIC_DROPPED_LARGE);
        return TURN_ON;
    } else if (!entry->was_sent && entry->message->expires_us <= now_us) {
        drop_inflight(client, entry, BROKER_METRIC_DROPPED_EXPIRED);
        return TURN_ON;
    } else if (queue->sent_count >= client->receive_max) {
        // it takes fewer at a time than the connection before it did (5.0, 4.9)
        return TURN_HELD;
    } else {
        // once for the packet, once for its properties while they are put together
        if (!make_room(client->broker, writer, 2 * size_bound(entry)))
            return TURN_FULL;
        write_publish(client, writer, entry, now_us);
        entry->was_sent = true;
    }
    queue->sent_count++;
    return TURN_ON;
}

/** The message that waits longest. */
static enum turn write_waiting(struct broker_client *client, struct writer *writer, uint64_t now_us)
{
    struct broker_entry *first = broker_queue_first(&client->session->queue);
    if (first->message->expires_us <= now_us) {
        broker_drop_first(client->session, BROKER_METRIC_DROPPED_EXPIRED);
        return TURN_ON;
    }
    if (is_too_large(client, first)) {
        broker_drop_first(client->session, BROKER_METRIC_DROPPED_LARGE);
        return TURN_ON;
    }
    if (first->qos > 0)
        return broker_start_next(client->session) ? TURN_ON : TURN_HELD;
    if (!make_room(client->broker, writer, 2 * size_bound(first)))
        return TURN_FULL;
    write_publish(client, writer, first, now_us);
    struct broker_entry entry = broker_queue_pop(&client->session->queue);
    broker_entry_done(client->broker, &entry);
    return TURN_ON;
}

static enum turn write_messages(struct broker_client *client, struct writer *writer,
                                uint64_t now_us)
{
    struct broker_queue *queue = &client->session->queue;
    enum turn turn = TURN_ON;
    while (turn == TURN_ON) {
        if (queue->sent_count < queue->inflight_count)
            turn = write_inflight(client, writer, now_us);
        else if (queue->count > 0)
            turn = write_waiting(client, writer, now_us);
        else
            return TURN_HELD;
    }
    return turn;
}

struct bytes broker_client_output(struct broker_client *client, uint64_t now_us)
{
    struct broker *broker = client->broker;
    struct writer writer = writer_of(broker->scratch.data, broker->scratch.capacity);
    broker_client_unready(client);
    client->steps = 0;
    bool done = write_controls(client, &writer);
    enum turn turn = TURN_HELD;
    if (client->state == BROKER_CLIENT_OPEN && client->greeted && !client->held)
        turn = write_messages(client, &writer, now_us);
    bool held = !list_empty(&client->turn_node);
    if (turn == TURN_FULL || (!done && !held))
        broker_client_ready(client);
    metric_add(&broker->metrics[BROKER_METRIC_BYTES_SENT], writer.size);
    return writer_written(&writer);
}
