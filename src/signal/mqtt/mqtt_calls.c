#include "signal/mqtt/mqtt_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "signal/mqtt/mqtt_topics.h"

#define REQUEST "/request"
#define EVENT   "/event"
/** Of a device's topics up to its client identifier. Those with longer names have none. */
#define FRONT_SIZE_MAX 1024
/** Devices whose acknowledgements are looked for in one turn. */
#define CONFIRMED_PER_TURN 64

/** Close codes of the engine (docs/protocol.md) that mean something here. */
enum {
    CLOSE_GOING_AWAY = 1001,
    CLOSE_LOST = 1006,
    CLOSE_POLICY = 1008,
    CLOSE_TOO_LARGE = 1009,
    CLOSE_TRY_LATER = 1013,
    CLOSE_REVOKED = 4001,
};

struct mqtt_device {
    struct list closing_node;
    struct list unread_node;
    struct mqtt_calls *calls;
    struct broker_client *client;
    struct native_connection *connection;
    uint16_t close_code; /**< 0: it goes on */
    char front[];        /**< of its topics: roost/v1/ann/lamp */
};

/** ---- topics ---- */

/** The front of a client's own topics; false: it has none. */
static bool write_front(const struct broker_client *client, char out[FRONT_SIZE_MAX])
{
    struct bytes user = broker_client_user(client), id = broker_client_id(client);
    if (user.size == 0 || id.size == 0)
        return false;
    struct text_builder builder = text_builder_of(out, FRONT_SIZE_MAX);
    text_append(&builder, MQTT_TOPICS_FRONT);
    mqtt_topics_append_level(&builder, user);
    text_append(&builder, "/");
    mqtt_topics_append_level(&builder, id);
    return !builder.truncated;
}

static bool is_topic(struct bytes topic, const char *front, const char *end)
{
    size_t length = strlen(front);
    return topic.size > length && memcmp(topic.data, front, length) == 0 &&
           text_equal(bytes_of(topic.data + length, topic.size - length), end);
}

bool mqtt_calls_may_subscribe(const struct mqtt_calls *calls, const struct broker_client *client,
                              struct bytes filter)
{
    char front[FRONT_SIZE_MAX];
    return calls->config.native && write_front(client, front) && is_topic(filter, front, EVENT);
}

/** ---- devices ---- */

static struct mqtt_device *find(const struct mqtt_calls *calls, const char *front)
{
    return map_find(&calls->devices, bytes_of_text(front));
}

static void device_free(struct mqtt_device *device)
{
    map_remove(&device->calls->devices, bytes_of_text(device->front));
    list_remove(&device->closing_node);
    list_remove(&device->unread_node);
    free(device);
}

/** Its connection to the engine ends with a code. */
static void device_end(struct mqtt_device *device, uint64_t now_us, uint16_t code)
{
    struct mqtt_calls *calls = device->calls;
    struct native_connection *connection = device->connection;
    device_free(device);
    signal_native_closed(calls->config.native, now_us, connection, code);
    calls->config.changed(calls->config.changed_owner);
}

static struct mqtt_device *device_new(struct mqtt_calls *calls, struct broker_client *client,
                                      uint64_t now_us, const char *front, int *ret_error)
{
    struct bytes user = broker_client_user(client);
    char *user_text = memory_copy(user.data, user.size);
    struct mqtt_device *device = memory_allocate(1, sizeof(*device) + strlen(front) + 1);
    device->calls = calls;
    device->client = client;
    strcpy(device->front, front);
    list_init(&device->closing_node);
    list_init(&device->unread_node);
    map_set(&calls->devices, bytes_of_text(front), device);
    struct native_login login = { .name = front, .user = user_text, .binding = CALL_BINDING_MQTT };
    device->connection =
        signal_native_open_login(calls->config.native, now_us, &calls->transport, device,
                                 broker_client_remote(client), &login, ret_error);
    free(user_text);
    if (!device->connection) {
        device_free(device);
        return NULL;
    }
    char host[TURN_HOST_SIZE];
    calls->config.host(calls->config.owner, client, host);
    signal_native_set_host(device->connection, host);
    return device;
}

/** The device of a client, which it becomes with that; NULL: it cannot. */
static struct mqtt_device *device_get(struct mqtt_calls *calls, struct broker_client *client,
                                      uint64_t now_us, const char *front, int *ret_error)
{
    struct mqtt_device *device = find(calls, front);
    return device ? device : device_new(calls, client, now_us, front, ret_error);
}

/** ---- the engine's transport ---- */

static int transport_send(struct native_transport *self, void *socket, struct bytes text)
{
    struct mqtt_calls *calls = container_of(self, struct mqtt_calls, transport);
    struct mqtt_device *device = socket;
    char topic[FRONT_SIZE_MAX + sizeof(EVENT)];
    struct text_builder builder = text_builder_of(topic, sizeof(topic));
    text_append(&builder, device->front);
    text_append(&builder, EVENT);
    int result = broker_client_send(
        device->client, calls->config.now(calls->config.owner),
        &(struct broker_publication){ .topic = bytes_of_text(topic), .payload = text, .qos = 1 });
    calls->config.wake(calls->config.owner);
    if (list_empty(&device->unread_node))
        list_append(&calls->unread, &device->unread_node);
    // who has not subscribed does not want to hear
    return result == -ENOENT ? 0 : result;
}

static void transport_close(struct native_transport *self, void *socket, uint16_t code,
                            const char *reason)
{
    (void)reason;
    struct mqtt_calls *calls = container_of(self, struct mqtt_calls, transport);
    struct mqtt_device *device = socket;
    device->close_code = code;
    list_append(&calls->closing, &device->closing_node);
    calls->config.wake(calls->config.owner);
}

/** Why its client is disconnected; MQTT_SUCCESS: it is not. */
static enum mqtt_reason reason_of(uint16_t close_code)
{
    switch (close_code) {
    case CLOSE_POLICY:
        return MQTT_MESSAGE_RATE_TOO_HIGH;
    case CLOSE_TOO_LARGE:
        return MQTT_PACKET_TOO_LARGE;
    case CLOSE_TRY_LATER:
        return MQTT_QUOTA_EXCEEDED;
    case CLOSE_REVOKED:
        return MQTT_ADMINISTRATIVE_ACTION;
    default:
        return MQTT_SUCCESS;
    }
}

static void close_some(struct mqtt_calls *calls, uint64_t now_us)
{
    while (!list_empty(&calls->closing)) {
        struct mqtt_device *device =
            container_of(calls->closing.next, struct mqtt_device, closing_node);
        struct broker_client *client = device->client;
        enum mqtt_reason reason = reason_of(device->close_code);
        // ends its session too, unless that waits for the client to come back
        if (reason != MQTT_SUCCESS)
            broker_client_disconnect(client, now_us, reason);
        else
            device_end(device, now_us, device->close_code);
        calls->config.wake(calls->config.owner);
    }
}

/** Whether the engine's messages have arrived; the next ones are looked at another time. */
static void confirm_some(struct mqtt_calls *calls)
{
    for (unsigned i = 0; i < CONFIRMED_PER_TURN && !list_empty(&calls->unread); i++) {
        struct mqtt_device *device =
            container_of(calls->unread.next, struct mqtt_device, unread_node);
        list_remove(&device->unread_node);
        if (broker_client_has_all(device->client))
            signal_native_confirm_login(calls->config.native, device->connection);
        else
            list_append(&calls->unread, &device->unread_node);
    }
}

void mqtt_calls_run(struct mqtt_calls *calls, uint64_t now_us)
{
    close_some(calls, now_us);
    confirm_some(calls);
}

/** ---- the broker's owner ---- */

int mqtt_calls_take(struct mqtt_calls *calls, struct broker_client *client, uint64_t now_us,
                    const struct mqtt_publish *publish)
{
    char front[FRONT_SIZE_MAX];
    if (!calls->config.native || !text_starts_with(publish->topic, MQTT_TOPICS_FRONT) ||
        !write_front(client, front) || !is_topic(publish->topic, front, REQUEST))
        return -ENOENT;
    int error;
    struct mqtt_device *device = device_get(calls, client, now_us, front, &error);
    if (!device)
        return error == -EINVAL ? MQTT_NOT_AUTHORIZED : MQTT_QUOTA_EXCEEDED;
    signal_native_input(calls->config.native, now_us, device->connection, publish->payload);
    calls->config.changed(calls->config.changed_owner);
    return MQTT_SUCCESS;
}

void mqtt_calls_here(struct mqtt_calls *calls, struct broker_client *client, uint64_t now_us,
                     bool present)
{
    char front[FRONT_SIZE_MAX];
    if (!calls->config.native || !write_front(client, front))
        return;
    if (!present) {
        // its session of before has ended
        signal_native_forget(calls->config.native, now_us, front);
        calls->config.changed(calls->config.changed_owner);
        return;
    }
    char filter[FRONT_SIZE_MAX + sizeof(EVENT)];
    struct text_builder builder = text_builder_of(filter, sizeof(filter));
    text_append(&builder, front);
    text_append(&builder, EVENT);
    // what it was told in a session that is over: calls that ring there have long ended
    if (!signal_native_has_login(calls->config.native, front))
        broker_client_take_back(client, bytes_of_text(filter));
    if (broker_client_has_subscribed(client, bytes_of_text(filter)))
        mqtt_calls_subscribed(calls, client, now_us, bytes_of_text(filter), true);
}

void mqtt_calls_subscribed(struct mqtt_calls *calls, struct broker_client *client, uint64_t now_us,
                           struct bytes filter, bool is_there)
{
    char front[FRONT_SIZE_MAX];
    if (!calls->config.native || !text_starts_with(filter, MQTT_TOPICS_FRONT) ||
        !write_front(client, front) || !is_topic(filter, front, EVENT))
        return;
    int error;
    struct mqtt_device *device =
        is_there ? device_get(calls, client, now_us, front, &error) : find(calls, front);
    if (device && is_there)
        signal_native_begin_login(calls->config.native, now_us, device->connection);
    else if (device)
        signal_native_end_login(calls->config.native, now_us, device->connection);
    calls->config.changed(calls->config.changed_owner);
}

void mqtt_calls_left(struct mqtt_calls *calls, struct broker_client *client, uint64_t now_us,
                     enum broker_leave how)
{
    char front[FRONT_SIZE_MAX];
    if (!calls->config.native || !write_front(client, front))
        return;
    struct mqtt_device *device = find(calls, front);
    if (!device)
        return;
    device_end(device, now_us, how == BROKER_LEFT_GOODBYE ? CLOSE_GOING_AWAY : CLOSE_LOST);
    if (how == BROKER_LEFT_LOST)
        signal_native_forget(calls->config.native, now_us, front);
    calls->config.changed(calls->config.changed_owner);
}

/** ---- life ---- */

void mqtt_calls_init(struct mqtt_calls *calls, const struct mqtt_calls_config *config)
{
    *calls =
        (struct mqtt_calls){ .config = *config,
                             .transport = { .send = transport_send, .close = transport_close } };
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    map_init(&calls->devices, secret);
    list_init(&calls->closing);
    list_init(&calls->unread);
}

void mqtt_calls_done(struct mqtt_calls *calls)
{
    ensure(calls->devices.count == 0);
    map_done(&calls->devices);
}
