// The state of a broker out of its journal.
//
// Records are replayed as they were appended, so that a snapshot, a whole journal, and a snapshot
// with what followed it are all the same thing to read.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker_deliver.h"
#include "broker/broker_subscribe.h"
#include "proto/mqtt/mqtt_topic.h"

struct restoring {
    struct broker *broker;
    struct map sessions; /**< struct broker_session by number */
    struct map messages; /**< struct broker_message by number, a reference each */
};

static struct broker_session *session_of(const struct restoring *restoring,
                                         const struct broker_record *record)
{
    return map_find(&restoring->sessions, map_key_u64(&record->session));
}

/** ---- messages ---- */

static struct broker_message *message_from(struct restoring *restoring,
                                           const struct broker_record *record)
{
    struct broker *broker = restoring->broker;
    struct broker_message *message =
        broker_message_new(broker, record->name, record->properties, record->payload);
    if (!message)
        return NULL;
    message->number = record->message;
    message->qos = record->qos;
    message->retain = record->flags & 1;
    if (record->unix_us)
        message->expires_us = record->unix_us > broker->unix_at_zero_us
                                  ? record->unix_us - broker->unix_at_zero_us
                                  : 0;
    return message;
}

static bool is_content(const struct broker_record *record)
{
    return mqtt_topic_is_valid(record->name) && record->qos <= 2;
}

/**
 * What does not fit into the memory that is allowed now is dropped, and counted. What is reserved
 * was written by versions of before, and is not true any more.
 */
static int restore_message(struct restoring *restoring, const struct broker_record *record)
{
    if (!is_content(record))
        return -EBADMSG;
    if (broker_is_reserved(restoring->broker, record->name))
        return 0;
    struct broker_message *message = message_from(restoring, record);
    if (!message)
        return 0;
    restoring->broker->next_message = max_of(restoring->broker->next_message, record->message);
    struct broker_message *former =
        map_set(&restoring->messages, map_key_u64(&record->message), message);
    broker_message_unref(restoring->broker, former);
    return 0;
}

static void restore_message_end(struct restoring *restoring, const struct broker_record *record)
{
    broker_message_unref(restoring->broker,
                         map_remove(&restoring->messages, map_key_u64(&record->message)));
}

static int restore_retained(struct restoring *restoring, const struct broker_record *record)
{
    if (!is_content(record))
        return -EBADMSG;
    struct broker *broker = restoring->broker;
    struct broker_message *message =
        record->payload.size > 0 ? message_from(restoring, record) : NULL;
    if (record->payload.size > 0 && !message)
        return 0;
    if (!broker_topics_retain(&broker->topics, record->name, message,
                              broker->config.retained_count_max))
        broker_count(broker, BROKER_METRIC_DROPPED_FULL);
    broker_message_unref(broker, message);
    return 0;
}

/** ---- sessions ---- */

static int restore_session(struct restoring *restoring, const struct broker_record *record)
{
    struct broker *broker = restoring->broker;
    const uint8_t *zero =
        record->name.size > 0 ? memchr(record->name.data, 0, record->name.size) : NULL;
    if (!zero || zero - record->name.data > BROKER_USER_SIZE_MAX ||
        record->name.data + record->name.size - zero > UINT16_MAX + 1 || record->session == 0)
        return -EBADMSG;
    struct broker_session *session = session_of(restoring, record);
    if (!session) {
        struct bytes user = bytes_of(record->name.data, (size_t)(zero - record->name.data));
        struct bytes id = bytes_of(zero + 1, record->name.size - user.size - 1);
        if (broker_session_find(broker, user, id))
            return -EBADMSG;
        session = broker_session_new(broker, user, id);
        session->number = record->session;
        session->is_kept = true;
        broker->next_session = max_of(broker->next_session, record->session);
        map_set(&restoring->sessions, map_key_u64(&record->session), session);
    }
    session->expiry_s = record->seconds;
    if (record->unix_us)
        broker_session_set_left(session, (int64_t)(record->unix_us - broker->unix_at_zero_us));
    else
        broker_session_set_present(session);
    return 0;
}

static void drop_message(struct broker *broker, struct broker_entry *entry)
{
    if (entry->message)
        entry->message->journal_references--;
    entry->message = broker_message_unref(broker, entry->message);
}

static void drop_entry(struct broker *broker, struct broker_entry entry)
{
    drop_message(broker, &entry);
    broker_entry_done(broker, &entry);
}

static void restore_session_end(struct restoring *restoring, const struct broker_record *record)
{
    struct broker_session *session =
        map_remove(&restoring->sessions, map_key_u64(&record->session));
    if (!session)
        return;
    struct broker_queue *queue = &session->queue;
    while (queue->inflight_count > 0)
        drop_entry(restoring->broker, broker_queue_remove(queue, queue->inflight));
    while (queue->count > 0)
        drop_entry(restoring->broker, broker_queue_pop(queue));
    broker_session_free(session);
}

static void restore_subscription(struct restoring *restoring, const struct broker_record *record)
{
    struct broker_session *session = session_of(restoring, record);
    if (session)
        broker_restore_subscription(session, record);
}

/** ---- entries ---- */

/** Ends with the first that cannot be. */
static uint32_t *ids_of(struct bytes ids)
{
    size_t count = ids.size / sizeof(uint32_t);
    if (count == 0)
        return NULL;
    uint32_t *copy = memory_new_array(uint32_t, count + 1);
    memcpy(copy, ids.data, count * sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = copy[i] <= MQTT_VARIABLE_MAX ? copy[i] : 0;
    return copy;
}

static void restore_entry(struct restoring *restoring, const struct broker_record *record)
{
    struct broker_session *session = session_of(restoring, record);
    struct broker_message *message = map_find(&restoring->messages, map_key_u64(&record->message));
    bool released = record->flags & BROKER_ENTRY_FLAG_RELEASED;
    if (!session || (!message && !released) || record->qos < 1 || record->qos > 2 ||
        record->id > MQTT_VARIABLE_MAX || (released && record->packet_id == 0) ||
        session->queue.inflight_count == BROKER_INFLIGHT_MAX)
        return;
    struct broker_entry entry = {
        .order = record->order,
        .ids = ids_of(record->properties),
        .id = record->id,
        .packet_id = record->packet_id,
        .qos = record->qos,
        .state = released ? BROKER_ENTRY_RELEASED : BROKER_ENTRY_WAITING,
        .retain = record->flags & BROKER_ENTRY_FLAG_RETAIN,
        // nobody knows: who has it already will know it by its identifier
        .was_sent = record->packet_id != 0,
    };
    if (message && !released) {
        entry.message = broker_message_ref(message);
        message->journal_references++;
    }
    broker_entry_count(restoring->broker, &entry);
    session->queue.last_order = max_of(session->queue.last_order, record->order);
    if (record->packet_id) {
        session->queue.last_packet_id = record->packet_id;
        broker_queue_start(&session->queue, entry);
    } else {
        broker_queue_push(&session->queue, &entry);
    }
}

static struct broker_entry *inflight_of(struct broker_session *session, uint64_t order)
{
    for (uint16_t i = 0; session && i < session->queue.inflight_count; i++) {
        if (session->queue.inflight[i].order == order)
            return &session->queue.inflight[i];
    }
    return NULL;
}

/** Messages start in the order they wait: it is the first one. */
static void restore_started(struct restoring *restoring, const struct broker_record *record)
{
    struct broker_session *session = session_of(restoring, record);
    struct broker_entry *first = session ? broker_queue_first(&session->queue) : NULL;
    if (!first || first->order != record->order || record->packet_id == 0 ||
        session->queue.inflight_count == BROKER_INFLIGHT_MAX)
        return;
    struct broker_entry entry = broker_queue_pop(&session->queue);
    entry.packet_id = record->packet_id;
    entry.was_sent = true;
    session->queue.last_packet_id = record->packet_id;
    broker_queue_start(&session->queue, entry);
}

static void restore_released(struct restoring *restoring, const struct broker_record *record)
{
    struct broker_entry *entry = inflight_of(session_of(restoring, record), record->order);
    if (!entry)
        return;
    entry->state = BROKER_ENTRY_RELEASED;
    drop_message(restoring->broker, entry);
}

static void restore_entry_end(struct restoring *restoring, const struct broker_record *record)
{
    struct broker_session *session = session_of(restoring, record);
    if (!session)
        return;
    struct broker_entry *entry = inflight_of(session, record->order);
    struct broker_entry *first = broker_queue_first(&session->queue);
    if (entry)
        drop_entry(restoring->broker, broker_queue_remove(&session->queue, entry));
    else if (first && first->order == record->order)
        drop_entry(restoring->broker, broker_queue_pop(&session->queue));
}

/** ---- QoS 2 that came, and wills ---- */

static void restore_received(struct restoring *restoring, const struct broker_record *record)
{
    struct broker_session *session = session_of(restoring, record);
    if (session && record->packet_id && !broker_session_received(session, record->packet_id))
        broker_session_add_received(session, record->packet_id);
}

static int restore_will(struct restoring *restoring, const struct broker_record *record)
{
    if (!is_content(record) || record->session == 0)
        return -EBADMSG;
    struct broker *broker = restoring->broker;
    struct broker_session *session = session_of(restoring, record);
    struct broker_message *message = message_from(restoring, record);
    if (!message)
        return 0;
    message->expires_us = record->unix_us ? record->unix_us : TIME_NEVER;
    if (session) {
        broker_session_set_will(session, message, record->seconds);
        return 0;
    }
    broker->next_session = max_of(broker->next_session, record->session);
    broker_message_unref(broker, map_set(&broker->wills, map_key_u64(&record->session), message));
    return 0;
}

static void restore_will_end(struct restoring *restoring, const struct broker_record *record)
{
    struct broker_session *session = session_of(restoring, record);
    if (session)
        broker_session_set_will(session, NULL, 0);
    else
        broker_message_unref(restoring->broker,
                             map_remove(&restoring->broker->wills, map_key_u64(&record->session)));
}

/** ---- all ---- */

static int restore_record(struct restoring *restoring, const struct broker_record *record)
{
    struct broker_session *session;
    switch (record->type) {
    case BROKER_RECORD_SESSION:
        return restore_session(restoring, record);
    case BROKER_RECORD_SESSION_END:
        restore_session_end(restoring, record);
        break;
    case BROKER_RECORD_SUBSCRIPTION:
        restore_subscription(restoring, record);
        break;
    case BROKER_RECORD_UNSUBSCRIPTION:
        session = session_of(restoring, record);
        if (session)
            broker_unsubscribe(session, record->name);
        break;
    case BROKER_RECORD_MESSAGE:
        return restore_message(restoring, record);
    case BROKER_RECORD_MESSAGE_END:
        restore_message_end(restoring, record);
        break;
    case BROKER_RECORD_ENTRY:
        restore_entry(restoring, record);
        break;
    case BROKER_RECORD_ENTRY_STARTED:
        restore_started(restoring, record);
        break;
    case BROKER_RECORD_ENTRY_RELEASED:
        restore_released(restoring, record);
        break;
    case BROKER_RECORD_ENTRY_END:
        restore_entry_end(restoring, record);
        break;
    case BROKER_RECORD_RECEIVED:
        restore_received(restoring, record);
        break;
    case BROKER_RECORD_RECEIVED_END:
        session = session_of(restoring, record);
        if (session)
            broker_session_remove_received(session, record->packet_id);
        break;
    case BROKER_RECORD_RETAINED:
        return restore_retained(restoring, record);
    case BROKER_RECORD_WILL:
        return restore_will(restoring, record);
    case BROKER_RECORD_WILL_END:
        restore_will_end(restoring, record);
        break;
    }
    return 0;
}

static void release_messages(struct restoring *restoring)
{
    size_t cursor = 0;
    void *message;
    while (map_next(&restoring->messages, &cursor, NULL, &message))
        broker_message_unref(restoring->broker, message);
}

/** What was promised is kept: limits, which may be others now, are for what comes. */
static void lift_limits(struct broker_config *config)
{
    config->memory_max = config->state_max = SIZE_MAX / 4;
    config->session_count_max = config->retained_count_max = UINT32_MAX;
    config->subscription_count_max = UINT32_MAX;
    config->session_expiry_max_s = UINT32_MAX;
}

int broker_restore(struct broker *broker, struct bytes records)
{
    struct restoring restoring = { .broker = broker };
    bool is_kept = broker->journal.is_kept;
    struct broker_config config = broker->config;
    // what is read is in the journal already
    broker->journal.is_kept = false;
    lift_limits(&broker->config);
    struct reader reader = reader_of(records.data, records.size);
    struct broker_record record;
    int result = 0;
    while (result == 0 && broker_record_read(&reader, &record))
        result = restore_record(&restoring, &record);
    if (reader.failed)
        result = -EBADMSG;
    broker->journal.is_kept = is_kept;
    broker->config = config;
    release_messages(&restoring);
    map_done(&restoring.sessions);
    map_done(&restoring.messages);
    return result;
}

/** Connections whose sessions were not to be kept are over. */
static void publish_wills(struct broker *broker, uint64_t now_us)
{
    size_t cursor = 0;
    void *message;
    struct bytes number;
    while (map_next(&broker->wills, &cursor, &number, &message)) {
        struct broker_record end = { .type = BROKER_RECORD_WILL_END };
        memcpy(&end.session, number.data, sizeof(end.session));
        broker_journal_append(&broker->journal, &end);
        broker_will_publish(broker, now_us, message, NULL);
    }
    map_done(&broker->wills);
    broker->wills = (struct map){ 0 };
}

void broker_resume(struct broker *broker, uint64_t now_us)
{
    struct broker_session *session;
    index_each(session, &broker->sessions, entry)
    {
        struct broker_absence *absence = session->absence;
        if (!absence) {
            broker_session_lost(session, now_us);
        } else {
            // of a clock that was set back meanwhile
            absence->left_us = min_of(absence->left_us, (int64_t)now_us);
            broker_session_set_timer(session);
        }
    }
    // when every session can get them
    index_each(session, &broker->sessions, entry) broker_session_publish_due_will(session, now_us);
    publish_wills(broker, now_us);
}
