// A session: what is kept of a client between its connections.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker_deliver.h"
#include "broker/broker_subscribe.h"

#define EXPIRES_NEVER UINT32_MAX

/** ---- finding and making ---- */

static size_t write_key(struct bytes user, struct bytes client_id, char *out)
{
    if (user.size > 0)
        memcpy(out, user.data, user.size);
    out[user.size] = '\0';
    if (client_id.size > 0)
        memcpy(out + user.size + 1, client_id.data, client_id.size);
    return user.size + 1 + client_id.size;
}

struct broker_session *broker_session_find(const struct broker *broker, struct bytes user,
                                           struct bytes client_id)
{
    char *key = memory_allocate(1, user.size + 1 + client_id.size);
    size_t size = write_key(user, client_id, key);
    struct index_entry *entry = index_find(&broker->sessions, bytes_of(key, size));
    free(key);
    return entry ? container_of(entry, struct broker_session, entry) : NULL;
}

static struct bytes key_of(const struct broker_session *session)
{
    return bytes_of(session->key, session->entry.key_size);
}

static size_t size_of(size_t key_size)
{
    return sizeof(struct broker_session) + key_size;
}

bool broker_session_has_room(const struct broker *broker, struct bytes user, struct bytes client_id)
{
    // it will be away some day
    size_t size = size_of(user.size + 1 + client_id.size) + sizeof(struct broker_absence);
    return broker->sessions.count < broker->config.session_count_max &&
           broker_has_room(broker, size);
}

struct broker_session *broker_session_new(struct broker *broker, struct bytes user,
                                          struct bytes client_id)
{
    size_t key_size = user.size + 1 + client_id.size;
    struct broker_session *session = memory_allocate(1, size_of(key_size));
    broker->state_bytes += size_of(key_size);
    session->broker = broker;
    session->number = ++broker->next_session;
    session->user_size = (uint8_t)user.size;
    session->entry.key_size = (uint32_t)write_key(user, client_id, session->key);
    index_add(&broker->sessions, &session->entry);
    metric_add(&broker->metrics[BROKER_METRIC_SESSIONS], 1);
    return session;
}

void broker_session_free(struct broker_session *session)
{
    struct broker *broker = session->broker;
    broker_session_set_present(session);
    broker_unsubscribe_all(session);
    broker_queue_done(broker, &session->queue);
    broker_message_unref(broker, session->will);
    index_remove(&broker->sessions, &session->entry);
    metric_subtract(&broker->metrics[BROKER_METRIC_SESSIONS], 1);
    broker->state_bytes -= size_of(session->entry.key_size);
    free(session->received);
    free(session);
}

/** ---- here or away ---- */

static void timer_expired(struct broker_timer *timer, uint64_t now_us)
{
    broker_session_timer(container_of(timer, struct broker_absence, timer)->session, now_us);
}

void broker_session_set_left(struct broker_session *session, int64_t left_us)
{
    if (!session->absence) {
        session->absence = memory_new(struct broker_absence);
        session->absence->session = session;
        list_init(&session->absence->node);
        broker_timer_init(&session->absence->timer, timer_expired);
        session->broker->state_bytes += sizeof(*session->absence);
    }
    session->absence->left_us = left_us;
}

void broker_session_set_present(struct broker_session *session)
{
    struct broker_absence *absence = session->absence;
    if (!absence)
        return;
    broker_timer_set(&session->broker->wheel, &absence->timer, TIME_NEVER);
    list_remove(&absence->node);
    session->broker->state_bytes -= sizeof(*absence);
    session->absence = NULL;
    free(absence);
}

/** ---- the journal's view ---- */

struct broker_record broker_record_of_session(const struct broker_session *session)
{
    const struct broker_absence *absence = session->absence;
    uint64_t left_us = absence ? session->broker->unix_at_zero_us + (uint64_t)absence->left_us : 0;
    return (struct broker_record){ .type = BROKER_RECORD_SESSION,
                                   .session = session->number,
                                   .unix_us = left_us,
                                   .seconds = session->expiry_s,
                                   .name = key_of(session) };
}

static void journal_session(struct broker_session *session)
{
    struct broker_record record = broker_record_of_session(session);
    broker_journal_append(&session->broker->journal, &record);
}

static void journal_number(struct broker_session *session, enum broker_record_type type)
{
    broker_journal_append(&session->broker->journal,
                          &(struct broker_record){ .type = type, .session = session->number });
}

/** The journal forgets messages that were kept for this session alone. */
static void forget_entries(struct broker_session *session)
{
    struct broker_queue *queue = &session->queue;
    while (queue->count > 0) {
        struct broker_entry entry = broker_queue_pop(queue);
        broker_entry_end(session, &entry);
    }
    while (queue->inflight_count > 0) {
        struct broker_entry entry = broker_queue_remove(queue, queue->inflight);
        broker_entry_end(session, &entry);
    }
}

void broker_session_set_expiry(struct broker_session *session, uint32_t expiry_s)
{
    bool is_inner = session->client && session->client->inner;
    uint32_t longest = is_inner ? UINT32_MAX : session->broker->config.session_expiry_max_s;
    session->expiry_s = min_of(expiry_s, longest);
    bool was_kept = session->is_kept;
    session->is_kept = session->expiry_s > 0;
    if (session->is_kept)
        journal_session(session);
    else if (was_kept)
        journal_number(session, BROKER_RECORD_SESSION_END);
}

/** ---- wills ---- */

void broker_session_set_will(struct broker_session *session, struct broker_message *message,
                             uint32_t delay_s)
{
    struct broker *broker = session->broker;
    if (session->will)
        journal_number(session, BROKER_RECORD_WILL_END);
    broker_message_unref(broker, session->will);
    session->will = message;
    session->will_delay_s = delay_s;
    // of sessions that are not kept as well: who saw them come is to hear that they are gone
    if (message)
        broker_journal_message(broker, BROKER_RECORD_WILL, session->number, delay_s, message);
}

void broker_will_publish(struct broker *broker, uint64_t now_us, struct broker_message *message,
                         const struct broker_session *from)
{
    broker_count(broker, BROKER_METRIC_WILLS);
    if (message->expires_us != TIME_NEVER)
        message->expires_us += now_us;
    broker_route(broker, now_us, &(struct broker_routing){ .message = message, .from = from });
    broker_message_unref(broker, message);
}

static void publish_will(struct broker_session *session, uint64_t now_us)
{
    struct broker_message *message = session->will;
    if (!message)
        return;
    session->will = NULL;
    journal_number(session, BROKER_RECORD_WILL_END);
    broker_will_publish(session->broker, now_us, message, session);
}

/** ---- time ---- */

static uint64_t after(int64_t time_us, uint32_t seconds)
{
    if (seconds == EXPIRES_NEVER)
        return TIME_NEVER;
    int64_t deadline_us = time_us + (int64_t)(seconds * TIME_US_PER_S);
    return deadline_us > 0 ? (uint64_t)deadline_us : 0;
}

void broker_session_end(struct broker_session *session, uint64_t now_us)
{
    // 5.0, 3.1.2.5: a will does not wait longer than its session lives
    publish_will(session, now_us);
    forget_entries(session);
    if (session->is_kept)
        journal_number(session, BROKER_RECORD_SESSION_END);
    broker_session_free(session);
}

bool broker_session_end_oldest(struct broker *broker, uint64_t now_us)
{
    if (list_empty(&broker->away))
        return false;
    struct broker_session *oldest =
        container_of(broker->away.next, struct broker_absence, node)->session;
    broker_count(broker, BROKER_METRIC_DISPLACED);
    broker_session_end(oldest, now_us);
    return true;
}

void broker_session_attach(struct broker_session *session, struct broker_client *client)
{
    session->client = client;
    // what was sent and not acknowledged goes out again, from the oldest on (5.0, 4.4)
    session->queue.sent_count = 0;
    broker_session_set_present(session);
}

void broker_session_set_timer(struct broker_session *session)
{
    struct broker_absence *absence = session->absence;
    bool is_guest = session->user_size == 0;
    if (is_guest && list_empty(&absence->node))
        list_append(&session->broker->away, &absence->node);
    uint64_t expiry_us = after(absence->left_us, session->expiry_s);
    uint64_t will_us = session->will ? after(absence->left_us, session->will_delay_s) : TIME_NEVER;
    broker_timer_set(&session->broker->wheel, &absence->timer, time_earlier(expiry_us, will_us));
}

void broker_session_timer(struct broker_session *session, uint64_t now_us)
{
    if (after(session->absence->left_us, session->expiry_s) <= now_us) {
        broker_count(session->broker, BROKER_METRIC_EXPIRED);
        broker_session_end(session, now_us);
        return;
    }
    publish_will(session, now_us);
    broker_session_set_timer(session);
}

void broker_session_left(struct broker_session *session, uint64_t now_us, bool with_will)
{
    session->client = NULL;
    session->queue.sent_count = 0;
    if (!with_will)
        broker_session_set_will(session, NULL, 0);
    if (!session->is_kept) {
        broker_session_end(session, now_us);
        return;
    }
    broker_session_set_left(session, (int64_t)now_us);
    journal_session(session);
    if (session->will && session->will_delay_s == 0)
        publish_will(session, now_us);
    broker_session_set_timer(session);
}

void broker_session_lost(struct broker_session *session, uint64_t now_us)
{
    broker_session_set_left(session, (int64_t)now_us);
    journal_session(session);
    broker_session_set_timer(session);
}

void broker_session_publish_due_will(struct broker_session *session, uint64_t now_us)
{
    if (!session->will || after(session->absence->left_us, session->will_delay_s) > now_us)
        return;
    publish_will(session, now_us);
    broker_session_set_timer(session);
}

/** ---- QoS 2 that came ---- */

/** The place of an identifier in the sorted list, or where it would be. */
static uint16_t received_place(const struct broker_session *session, uint16_t packet_id)
{
    uint16_t low = 0, high = session->received_count;
    // they come in order nearly always
    if (high > 0 && session->received[high - 1] < packet_id)
        return high;
    while (low < high) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        if (session->received[middle] < packet_id)
            low = (uint16_t)(middle + 1);
        else
            high = middle;
    }
    return low;
}

bool broker_session_received(const struct broker_session *session, uint16_t packet_id)
{
    uint16_t place = received_place(session, packet_id);
    return place < session->received_count && session->received[place] == packet_id;
}

void broker_session_add_received(struct broker_session *session, uint16_t packet_id)
{
    uint16_t place = received_place(session, packet_id);
    if (session->received_count == session->received_capacity) {
        uint32_t capacity = max_of(session->received_capacity * 2u, 8u);
        session->received_capacity = (uint16_t)min_of(capacity, (uint32_t)UINT16_MAX);
        session->received = memory_resize(session->received,
                                          session->received_capacity * sizeof(*session->received));
    }
    uint16_t *at = session->received + place;
    memmove(at + 1, at, (size_t)(session->received_count - place) * sizeof(*at));
    *at = packet_id;
    session->received_count++;
}

bool broker_session_remove_received(struct broker_session *session, uint16_t packet_id)
{
    uint16_t place = received_place(session, packet_id);
    if (place == session->received_count || session->received[place] != packet_id)
        return false;
    session->received_count--;
    uint16_t *at = session->received + place;
    memmove(at, at + 1, (size_t)(session->received_count - place) * sizeof(*at));
    if (session->received_count == 0) {
        free(session->received);
        session->received = NULL;
        session->received_capacity = 0;
    }
    return true;
}
