#include "broker/broker.h"

#include <stdlib.h>

#include "base/memory.h"
#include "broker/broker_int.h"

static const struct metric_description descriptions[BROKER_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(BROKER_METRIC_##id, __VA_ARGS__)
#include "broker/broker_metrics.def"
#undef METRIC
};

#define ALIASES_NONE 0xffff

static void set_defaults(struct broker_config *config)
{
#define DEFAULT(field, value) config->field = config->field ? config->field : (value)
    DEFAULT(client_count_max, 100000);
    DEFAULT(session_count_max, 200000);
    DEFAULT(packet_size_max, 1u << 20);
    DEFAULT(receive_max, 100);
    DEFAULT(alias_max, 16);
    DEFAULT(inflight_max, 100);
    DEFAULT(queue_count_max, 1000);
    DEFAULT(queue_bytes_max, 1u << 20);
    DEFAULT(memory_max, 256u << 20);
    DEFAULT(state_max, 512u << 20);
    DEFAULT(subscription_count_max, 1000);
    DEFAULT(retained_count_max, 100000);
    DEFAULT(session_expiry_max_s, 7 * 24 * 3600);
    DEFAULT(connect_timeout_us, 10 * TIME_US_PER_S);
    DEFAULT(sys_interval_us, 10 * TIME_US_PER_S);
    DEFAULT(version, "roost");
#undef DEFAULT
    config->inflight_max = min_of(config->inflight_max, (uint16_t)BROKER_INFLIGHT_MAX);
    if (config->alias_max == ALIASES_NONE)
        config->alias_max = 0;
    if (config->retained_count_max == BROKER_NONE)
        config->retained_count_max = 0;
    if (config->session_expiry_max_s == BROKER_NONE)
        config->session_expiry_max_s = 0;
}

struct broker *broker_new(const struct broker_config *config, uint64_t now_us)
{
    struct broker *broker = memory_new(struct broker);
    broker->config = *config;
    set_defaults(&broker->config);
    broker->started_us = now_us;
    broker->next_sys_us = broker->config.sys_interval_us == TIME_NEVER ? TIME_NEVER : now_us;
    broker->journal.is_kept = config->journal;
    broker_topics_init(&broker->topics, broker);
    index_init(&broker->sessions, broker->topics.secret,
               index_key_offset(struct broker_session, entry, key));
    list_init(&broker->ready);
    list_init(&broker->holding);
    list_init(&broker->clients);
    list_init(&broker->away);
    broker_wheel_init(&broker->wheel, now_us);
    return broker;
}

void broker_reload(struct broker *broker, const struct broker_config *config)
{
    struct broker_config former = broker->config;
    broker->config = *config;
    set_defaults(&broker->config);
    broker->config.random = former.random;
    broker->config.owner = former.owner;
    broker->config.journal = former.journal;
    broker->config.sys_interval_us = former.sys_interval_us;
}

struct broker *broker_free(struct broker *broker)
{
    if (!broker)
        return NULL;
    broker->journal.is_kept = false;
    struct broker_client *client;
    list_each(client, &broker->clients, node)
    {
        if (client->session)
            client->session->client = NULL;
        client->session = NULL;
        broker_client_closed(client, broker->started_us);
    }
    struct broker_session *session;
    index_each(session, &broker->sessions, entry) broker_session_free(session);
    index_done(&broker->sessions);
    void *will;
    size_t cursor = 0;
    while (map_next(&broker->wills, &cursor, NULL, &will))
        broker_message_unref(broker, will);
    map_done(&broker->wills);
    broker_topics_done(&broker->topics);
    ensure(broker->state_bytes == 0);
    broker_targets_done(&broker->targets);
    ensure(metric_get(&broker->metrics[BROKER_METRIC_MESSAGE_BYTES]) == 0);
    free(broker->journal.data);
    free(broker->scratch.data);
    free(broker);
    return NULL;
}

void broker_set_unix_offset(struct broker *broker, uint64_t unix_at_zero_us)
{
    broker->unix_at_zero_us = unix_at_zero_us;
}

void broker_drain(struct broker *broker, uint64_t now_us)
{
    struct broker_client *client;
    list_each(client, &broker->clients, node)
        broker_client_disconnect(client, now_us, MQTT_SERVER_SHUTTING_DOWN);
}

uint64_t broker_deadline(const struct broker *broker)
{
    return time_earlier(broker_wheel_deadline(&broker->wheel), broker->next_sys_us);
}

void broker_tick(struct broker *broker, uint64_t now_us)
{
    broker_wheel_tick(&broker->wheel, now_us);
    if (broker->next_sys_us <= now_us) {
        broker->next_sys_us = now_us + broker->config.sys_interval_us;
        broker_sys_publish(broker, now_us);
    }
}

struct metric_set broker_metrics(const struct broker *broker)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = broker->metrics,
                                .count = BROKER_METRIC_COUNT,
                                .labels = "" };
}

/** ---- journal ---- */

/** Of records that nobody has taken: a share of `memory_max`, and no more than a batch may have. */
#define BEHIND_SHARE 4
#define BEHIND_MAX   (1u << 30)

bool broker_journal_is_behind(const struct broker *broker)
{
    return broker->journal.size >=
           min_of(broker->config.memory_max / BEHIND_SHARE, (size_t)BEHIND_MAX);
}

uint8_t *broker_journal_take(struct broker *broker, size_t *ret_size, uint64_t *ret_position)
{
    struct broker_journal *journal = &broker->journal;
    bool was_behind = broker_journal_is_behind(broker);
    uint8_t *data = journal->data;
    *ret_size = journal->size;
    *ret_position = journal->position;
    journal->data = NULL;
    journal->size = journal->capacity = 0;
    // those who had to wait are looked at again
    struct broker_client *client;
    if (was_behind)
        list_each(client, &broker->clients, node) broker_client_ready(client);
    return data;
}

void broker_journal_durable(struct broker *broker, uint64_t position)
{
    ensure(position <= broker->journal.position);
    broker->journal.durable = max_of(broker->journal.durable, position);
    struct broker_client *client;
    list_each(client, &broker->holding, turn_node) broker_client_ready(client);
}
