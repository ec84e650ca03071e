// The shortest journal that leads to what a broker keeps.
#include <string.h>

#include "broker/broker_deliver.h"
#include "broker/broker_subscribe.h"

struct snapshot {
    struct broker_topic_visitor visitor;
    const struct broker *broker;
    uint8_t *data;
    size_t size;
    size_t capacity;
    struct map messages; /**< by number: those that were written */
};

static void write_record(struct snapshot *snapshot, const struct broker_record *record)
{
    broker_record_write(&snapshot->data, &snapshot->size, &snapshot->capacity, record);
}

static void write_content(struct snapshot *snapshot, enum broker_record_type type, uint64_t session,
                          uint32_t seconds, const struct broker_message *message)
{
    struct broker_record record =
        broker_record_of_message(snapshot->broker, type, session, seconds, message);
    write_record(snapshot, &record);
}

static void write_retained(struct broker_topic_visitor *visitor, struct broker_topic *topic)
{
    struct snapshot *snapshot = container_of(visitor, struct snapshot, visitor);
    write_content(snapshot, BROKER_RECORD_RETAINED, 0, 0, topic->retained->message);
}

static void write_entry(struct snapshot *snapshot, const struct broker_session *session,
                        const struct broker_entry *entry)
{
    if (!entry->order)
        return;
    if (entry->message && !map_find(&snapshot->messages, map_key_u64(&entry->message->number))) {
        map_set(&snapshot->messages, map_key_u64(&entry->message->number), entry->message);
        write_content(snapshot, BROKER_RECORD_MESSAGE, 0, 0, entry->message);
    }
    struct broker_record record = broker_record_of_entry(session, entry);
    write_record(snapshot, &record);
}

static void write_session(struct snapshot *snapshot, const struct broker_session *session)
{
    struct broker_record record = broker_record_of_session(session);
    write_record(snapshot, &record);
    for (const struct broker_subscription *subscription = session->subscriptions; subscription;
         subscription = subscription->next) {
        uint8_t filter[BROKER_FILTER_SIZE_MAX];
        record = broker_record_of_subscription(subscription, filter);
        write_record(snapshot, &record);
    }
    const struct broker_queue *queue = &session->queue;
    for (uint16_t i = 0; i < queue->inflight_count; i++)
        write_entry(snapshot, session, &queue->inflight[i]);
    for (uint32_t i = 0; i < queue->count; i++)
        write_entry(snapshot, session, &queue->waiting[(queue->at + i) & (queue->capacity - 1)]);
    for (uint16_t i = 0; i < session->received_count; i++)
        write_record(snapshot, &(struct broker_record){ .type = BROKER_RECORD_RECEIVED,
                                                        .session = session->number,
                                                        .packet_id = session->received[i] });
}

uint8_t *broker_snapshot(const struct broker *broker, size_t *ret_size)
{
    struct snapshot snapshot = { .visitor = { .matched = write_retained }, .broker = broker };
    broker_topics_all_retained(&broker->topics, &snapshot.visitor);
    const struct broker_session *session;
    index_each(session, &broker->sessions, entry)
    {
        if (session->is_kept)
            write_session(&snapshot, session);
        if (session->will)
            write_content(&snapshot, BROKER_RECORD_WILL, session->number, session->will_delay_s,
                          session->will);
    }
    size_t cursor = 0;
    void *value;
    struct bytes number;
    while (map_next(&broker->wills, &cursor, &number, &value)) {
        uint64_t of_session;
        memcpy(&of_session, number.data, sizeof(of_session));
        write_content(&snapshot, BROKER_RECORD_WILL, of_session, 0, value);
    }
    map_done(&snapshot.messages);
    *ret_size = snapshot.size;
    return snapshot.data;
}
