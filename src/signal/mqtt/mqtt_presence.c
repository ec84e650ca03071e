#include "signal/mqtt/mqtt_presence.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "proto/mqtt/mqtt_topic.h"
#include "signal/mqtt/mqtt_topics.h"

#define OFFLINE_KEPT_S (24u * 60 * 60)
/** A name may become three times as long. */
#define TOPIC_SIZE_MAX (sizeof(MQTT_TOPICS_FRONT "/presence") + 3 * CALL_NAME_SIZE)

static const char *const words[] = {
    [PRESENCE_OFFLINE] = "offline", [PRESENCE_AWAY] = "away", [PRESENCE_ONLINE] = "online",
    [PRESENCE_BUSY] = "busy",       [PRESENCE_DND] = "dnd",
};

static void write_topic(const char *user, char out[TOPIC_SIZE_MAX])
{
    struct text_builder builder = text_builder_of(out, TOPIC_SIZE_MAX);
    text_append(&builder, MQTT_TOPICS_FRONT);
    mqtt_topics_append_level(&builder, bytes_of_text(user));
    text_append(&builder, "/presence");
}

static void write_view(struct json_text *text, const char *user, const struct presence_view *view)
{
    json_text_clear(text);
    json_text_open(text, '{');
    json_text_key(text, "user");
    json_text_string(text, user);
    json_text_key(text, "presence");
    json_text_string(text, words[view->presence]);
    if (view->name) {
        json_text_key(text, "name");
        json_text_string(text, view->name);
    }
    json_text_key(text, "bindings");
    json_text_open(text, '[');
    for (int binding = 0; binding < CALL_BINDING_COUNT; binding++) {
        if (view->bindings & 1u << binding)
            json_text_string(text, call_binding_text((enum call_binding)binding));
    }
    json_text_close(text, ']');
    json_text_close(text, '}');
}

static void publish(struct mqtt_presence *presence, const char *topic, struct bytes payload,
                    uint32_t expiry_s)
{
    broker_publish(presence->broker, presence->now(presence->owner),
                   &(struct broker_publication){ .topic = bytes_of_text(topic),
                                                 .payload = payload,
                                                 .qos = 1,
                                                 .retain = true,
                                                 .expiry_s = expiry_s });
    presence->wake(presence->owner);
}

/** A topic of a user who left is there for a while: the one that is there longest gives way. */
static void keep_offline(struct mqtt_presence *presence, const char *user, const char *topic)
{
    char **place = &presence->offline[presence->offline_at];
    presence->offline_at = (presence->offline_at + 1) % MQTT_PRESENCE_OFFLINE_MAX;
    char *former = *place;
    *place = memory_copy(user, strlen(user));
    if (!former)
        return;
    char former_topic[TOPIC_SIZE_MAX];
    write_topic(former, former_topic);
    if (strcmp(topic, former_topic) != 0 &&
        presence_of(presence->calls, former).presence == PRESENCE_OFFLINE)
        publish(presence, former_topic, bytes_of(NULL, 0), 0);
    free(former);
}

static void changed(struct presence_all *all, const char *user, const struct presence_view *view)
{
    struct mqtt_presence *presence = container_of(all, struct mqtt_presence, all);
    char topic[TOPIC_SIZE_MAX];
    write_topic(user, topic);
    bool is_offline = view->presence == PRESENCE_OFFLINE;
    // who is not shown does not begin to be by leaving
    if (is_offline ? !broker_has_retained(presence->broker, bytes_of_text(topic)) : !view->is_shown)
        return;
    write_view(&presence->text, user, view);
    publish(presence, topic, json_text_bytes(&presence->text), is_offline ? OFFLINE_KEPT_S : 0);
    if (is_offline)
        keep_offline(presence, user, topic);
}

void mqtt_presence_start(struct mqtt_presence *presence)
{
    json_text_init(&presence->text);
    presence->all.notify = changed;
    presence_watch_all(presence->calls, &presence->all);
}

void mqtt_presence_stop(struct mqtt_presence *presence)
{
    if (!presence->broker)
        return;
    presence_unwatch_all(presence->calls, &presence->all);
    json_text_done(&presence->text);
    for (size_t i = 0; i < MQTT_PRESENCE_OFFLINE_MAX; i++)
        free(presence->offline[i]);
}

bool mqtt_presence_may_subscribe(const struct broker_client *client, struct bytes filter)
{
    if (broker_client_user(client).size == 0 || !text_starts_with(filter, MQTT_TOPICS_FRONT))
        return false;
    struct bytes rest =
        bytes_of(filter.data + strlen(MQTT_TOPICS_FRONT), filter.size - strlen(MQTT_TOPICS_FRONT));
    struct bytes user = mqtt_level_take(&rest);
    return !text_equal(user, "#") && rest.data && text_equal(rest, "presence");
}
