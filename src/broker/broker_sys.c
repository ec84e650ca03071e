// $SYS: what the broker tells of itself, under the names that Mosquitto has made common.
#include <stdio.h>

#include "broker/broker_int.h"

static void tell(struct broker *broker, uint64_t now_us, const char *topic, const char *payload)
{
    broker_publish(broker, now_us,
                   &(struct broker_publication){ .topic = bytes_of_text(topic),
                                                 .payload = bytes_of_text(payload),
                                                 .retain = true });
}

static void tell_number(struct broker *broker, uint64_t now_us, const char *topic, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    tell(broker, now_us, topic, text);
}

void broker_sys_publish(struct broker *broker, uint64_t now_us)
{
    static const struct {
        const char *topic;
        enum broker_metric metric;
    } rows[] = {
        { "$SYS/broker/clients/connected", BROKER_METRIC_CLIENTS },
        { "$SYS/broker/clients/total", BROKER_METRIC_SESSIONS },
        { "$SYS/broker/clients/expired", BROKER_METRIC_EXPIRED },
        { "$SYS/broker/subscriptions/count", BROKER_METRIC_SUBSCRIPTIONS },
        { "$SYS/broker/retained messages/count", BROKER_METRIC_RETAINED },
        { "$SYS/broker/store/messages/bytes", BROKER_METRIC_MESSAGE_BYTES },
        { "$SYS/broker/publish/messages/received", BROKER_METRIC_RECEIVED },
        { "$SYS/broker/publish/messages/sent", BROKER_METRIC_SENT },
        { "$SYS/broker/publish/messages/dropped", BROKER_METRIC_DROPPED_FULL },
        { "$SYS/broker/bytes/received", BROKER_METRIC_BYTES_RECEIVED },
        { "$SYS/broker/bytes/sent", BROKER_METRIC_BYTES_SENT },
    };
    tell(broker, now_us, "$SYS/broker/version", broker->config.version);
    char uptime[40];
    snprintf(uptime, sizeof(uptime), "%llu seconds",
             (unsigned long long)((now_us - broker->started_us) / TIME_US_PER_S));
    tell(broker, now_us, "$SYS/broker/uptime", uptime);
    for (size_t i = 0; i < array_size(rows); i++)
        tell_number(broker, now_us, rows[i].topic, metric_get(&broker->metrics[rows[i].metric]));
}
