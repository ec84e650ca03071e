// A message into one session's queue, and what an acknowledgement takes out of it.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker_deliver.h"

static uint64_t unix_of(const struct broker *broker, uint64_t time_us)
{
    return time_us == TIME_NEVER ? 0 : broker->unix_at_zero_us + time_us;
}

struct broker_record broker_record_of_message(const struct broker *broker,
                                              enum broker_record_type type, uint64_t session,
                                              uint32_t seconds,
                                              const struct broker_message *message)
{
    uint64_t expires = unix_of(broker, message->expires_us);
    if (type == BROKER_RECORD_WILL && message->expires_us != TIME_NEVER)
        expires = max_of(message->expires_us, (uint64_t)1);
    return (struct broker_record){ .type = type,
                                   .session = session,
                                   .message = message->number,
                                   .seconds = seconds,
                                   .unix_us = expires,
                                   .qos = message->qos,
                                   .flags = message->retain,
                                   .name = broker_message_topic(message),
                                   .properties = broker_message_properties(message),
                                   .payload = broker_message_payload(message) };
}

void broker_journal_message(struct broker *broker, enum broker_record_type type, uint64_t session,
                            uint32_t seconds, const struct broker_message *message)
{
    struct broker_record record = broker_record_of_message(broker, type, session, seconds, message);
    broker_journal_append(&broker->journal, &record);
}

/** The identifiers behind the first one, as the journal keeps them. */
static struct bytes ids_bytes(const uint32_t *ids)
{
    size_t count = 0;
    while (ids && ids[count])
        count++;
    return bytes_of(ids, count * sizeof(*ids));
}

struct broker_record broker_record_of_entry(const struct broker_session *session,
                                            const struct broker_entry *entry)
{
    bool released = entry->state == BROKER_ENTRY_RELEASED;
    unsigned flags = (entry->retain ? BROKER_ENTRY_FLAG_RETAIN : 0u) |
                     (released ? BROKER_ENTRY_FLAG_RELEASED : 0u);
    return (struct broker_record){ .type = BROKER_RECORD_ENTRY,
                                   .session = session->number,
                                   .message = entry->message ? entry->message->number : 0,
                                   .order = entry->order,
                                   .id = entry->id,
                                   .packet_id = entry->packet_id,
                                   .qos = entry->qos,
                                   .flags = (uint8_t)flags,
                                   .properties = ids_bytes(entry->ids) };
}

/** ---- in ---- */

static uint32_t queue_count_max(const struct broker_session *session)
{
    const struct broker_inner *inner = session->client ? session->client->inner : NULL;
    return inner ? inner->queue_count_max : session->broker->config.queue_count_max;
}

bool broker_is_full(const struct broker_session *session)
{
    const struct broker_config *config = &session->broker->config;
    const struct broker_queue *queue = &session->queue;
    const struct broker_inner *inner = session->client ? session->client->inner : NULL;
    return queue->count >= queue_count_max(session) ||
           queue->bytes >= (inner ? inner->queue_bytes_max : config->queue_bytes_max);
}

bool broker_client_has_all(const struct broker_client *client)
{
    const struct broker_queue *queue = &client->session->queue;
    return queue->count == 0 && queue->inflight_count == 0;
}

bool broker_has_room_to_replay(const struct broker_session *session)
{
    // all retained messages fit once, so that a filter finds them all however many they are
    const struct broker *broker = session->broker;
    return session->queue.count <
           (uint64_t)queue_count_max(session) + broker->topics.retained_count;
}

void broker_drop_first(struct broker_session *session, enum broker_metric why)
{
    broker_count_dropped(session, why);
    struct broker_entry entry = broker_queue_pop(&session->queue);
    broker_entry_end(session, &entry);
}

/** What has expired meanwhile takes nobody's place. */
static bool make_room(struct broker_session *session, uint64_t now_us, bool is_replay)
{
    if (is_replay)
        return broker_has_room_to_replay(session);
    while (broker_is_full(session)) {
        if (broker_queue_first(&session->queue)->message->expires_us > now_us)
            return false;
        broker_drop_first(session, BROKER_METRIC_DROPPED_EXPIRED);
    }
    return true;
}

/** How many more messages may be sent before the client acknowledges one (5.0, 4.9). */
static bool may_start(const struct broker_session *session)
{
    uint16_t window = session->broker->config.inflight_max;
    return session->client && session->client->state == BROKER_CLIENT_OPEN &&
           !session->client->held &&
           session->queue.inflight_count < min_of(window, session->client->receive_max);
}

/** What the server says of itself and to its callers is not true of the next process. */
static bool is_for_the_journal(const struct broker_session *session,
                               const struct broker_entry *entry)
{
    const struct broker *broker = session->broker;
    return entry->qos > 0 && session->is_kept && broker->journal.is_kept &&
           !broker_is_reserved(broker, broker_message_topic(entry->message));
}

static void journal_entry(struct broker_session *session, struct broker_entry *entry)
{
    struct broker *broker = session->broker;
    struct broker_message *message = entry->message;
    if (message->journal_references++ == 0) {
        message->number = ++broker->next_message;
        broker_journal_message(broker, BROKER_RECORD_MESSAGE, 0, 0, message);
    }
    entry->order = ++session->queue.last_order;
    struct broker_record record = broker_record_of_entry(session, entry);
    uint64_t position = broker_journal_append(&broker->journal, &record);
    // QoS 1 may come twice: it need not wait
    if (entry->qos == 2)
        entry->durable = position;
}

/**
 * Of a message that is not for the journal: who has received it must not take another one of the
 * next process for it. That one releases the identifier, as if this message had been received.
 */
static void journal_identifier(struct broker_session *session, struct broker_entry *entry)
{
    if (entry->qos < 2 || !session->is_kept || !session->broker->journal.is_kept)
        return;
    entry->order = ++session->queue.last_order;
    entry->durable = broker_journal_append(
        &session->broker->journal, &(struct broker_record){ .type = BROKER_RECORD_ENTRY,
                                                            .session = session->number,
                                                            .order = entry->order,
                                                            .packet_id = entry->packet_id,
                                                            .qos = entry->qos,
                                                            .flags = BROKER_ENTRY_FLAG_RELEASED });
}

/** Whether a message is for now, or for when the client comes back. */
static bool is_wanted(const struct broker_session *session, uint8_t qos)
{
    if (!session->client)
        return qos > 0 && session->is_kept;
    if (qos > 0 || !session->client->held)
        return true;
    if (session->client->inner->dropped)
        metric_add(session->client->inner->dropped, 1);
    return false;
}

bool broker_deliver(struct broker_session *session, uint64_t now_us,
                    const struct broker_delivery *delivery)
{
    struct broker *broker = session->broker;
    struct broker_entry entry = {
        .message = delivery->message,
        .durable = delivery->qos == 2 ? delivery->durable : BROKER_AT_ONCE,
        .ids = delivery->ids,
        .id = delivery->id,
        .qos = delivery->qos,
        .retain = delivery->retain,
    };
    if (!is_wanted(session, entry.qos)) {
        free(entry.ids);
        return true;
    }
    if (!make_room(session, now_us, delivery->is_replay)) {
        broker_count_dropped(session, BROKER_METRIC_DROPPED_FULL);
        free(entry.ids);
        return false;
    }
    if (metric_get(&broker->metrics[BROKER_METRIC_MESSAGE_BYTES]) >= broker->config.memory_max) {
        broker_count_dropped(session, BROKER_METRIC_DROPPED_MEMORY);
        free(entry.ids);
        return false;
    }
    broker_message_ref(entry.message);
    broker_entry_count(broker, &entry);
    bool starts = entry.qos > 0 && session->queue.count == 0 && may_start(session);
    struct broker_entry *started = starts ? broker_queue_start(&session->queue, entry) : NULL;
    if (is_for_the_journal(session, &entry))
        journal_entry(session, started ? started : &entry);
    else if (started)
        journal_identifier(session, started);
    if (!started)
        broker_queue_push(&session->queue, &entry);
    if (session->client)
        broker_client_ready(session->client);
    return true;
}

/** ---- on its way ---- */

/** The message is not needed by this entry any more, and maybe by none in the journal. */
static void forget_message(struct broker *broker, struct broker_entry *entry)
{
    struct broker_message *message = entry->message;
    if (!message)
        return;
    if (message->journal_references > 0 && entry->order && --message->journal_references == 0)
        broker_journal_append(&broker->journal,
                              &(struct broker_record){ .type = BROKER_RECORD_MESSAGE_END,
                                                       .message = message->number });
    entry->message = broker_message_unref(broker, message);
}

void broker_entry_end(struct broker_session *session, struct broker_entry *entry)
{
    if (entry->order)
        broker_journal_append(&session->broker->journal,
                              &(struct broker_record){ .type = BROKER_RECORD_ENTRY_END,
                                                       .session = session->number,
                                                       .order = entry->order });
    forget_message(session->broker, entry);
    broker_entry_done(session->broker, entry);
}

bool broker_start_next(struct broker_session *session)
{
    if (!may_start(session))
        return false;
    struct broker_entry *entry =
        broker_queue_start(&session->queue, broker_queue_pop(&session->queue));
    if (!entry->order) {
        journal_identifier(session, entry);
        return true;
    }
    uint64_t position = broker_journal_append(
        &session->broker->journal, &(struct broker_record){ .type = BROKER_RECORD_ENTRY_STARTED,
                                                            .session = session->number,
                                                            .order = entry->order,
                                                            .packet_id = entry->packet_id });
    // under another identifier it would be another message to who has received it
    if (entry->qos == 2)
        entry->durable = position;
    return true;
}

static void remove_inflight(struct broker_session *session, struct broker_entry *entry)
{
    struct broker_entry taken = broker_queue_remove(&session->queue, entry);
    broker_entry_end(session, &taken);
    // another message may start
    broker_client_ready(session->client);
}

void broker_client_take_back(struct broker_client *client, struct bytes topic)
{
    struct broker_session *session = client->session;
    struct broker_queue *queue = &session->queue;
    ensure(broker_is_reserved(session->broker, topic));
    // once around, so that the others keep their order
    for (uint32_t left = queue->count; left > 0; left--) {
        struct broker_entry entry = broker_queue_pop(queue);
        if (bytes_equal(broker_message_topic(entry.message), topic))
            broker_entry_end(session, &entry);
        else
            broker_queue_push(queue, &entry);
    }
    for (uint16_t i = queue->inflight_count; i > 0; i--) {
        struct broker_entry *entry = &queue->inflight[i - 1];
        if (entry->message && bytes_equal(broker_message_topic(entry->message), topic))
            remove_inflight(session, entry);
    }
}

void broker_handle_ack(struct broker_client *client, const struct mqtt_packet *packet)
{
    struct broker_session *session = client->session;
    struct broker_entry *entry = broker_queue_find(&session->queue, packet->ack.packet_id);
    bool sent = entry && entry - session->queue.inflight < session->queue.sent_count;
    uint8_t qos = packet->type == MQTT_PUBACK ? 1 : 2;
    if (!sent || entry->qos != qos) {
        // 5.0, 4.3.3: who has lost its state is helped to come to an end
        if (packet->type == MQTT_PUBREC)
            broker_control_ack(client, MQTT_PUBREL, packet->ack.packet_id, MQTT_PACKET_ID_NOT_FOUND,
                               BROKER_AT_ONCE);
        return;
    }
    // 5.0, 4.3.3: until PUBREC it is not acknowledged
    if (packet->type == MQTT_PUBCOMP && entry->state != BROKER_ENTRY_RELEASED)
        return;
    if (packet->type != MQTT_PUBREC || mqtt_reason_is_error(packet->ack.reason)) {
        remove_inflight(session, entry);
        return;
    }
    if (entry->state == BROKER_ENTRY_STARTED) {
        entry->state = BROKER_ENTRY_RELEASED;
        // a new process must not send the message again; a second PUBREC waits for that, too
        if (entry->order)
            entry->durable =
                broker_journal_append(&session->broker->journal,
                                      &(struct broker_record){ .type = BROKER_RECORD_ENTRY_RELEASED,
                                                               .session = session->number,
                                                               .order = entry->order });
        forget_message(session->broker, entry);
    }
    broker_control_ack(client, MQTT_PUBREL, packet->ack.packet_id, MQTT_SUCCESS, entry->durable);
}
