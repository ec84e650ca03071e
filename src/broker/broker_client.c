// One connection: its packets to those who handle them, its end, its silence.
#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "broker/broker_deliver.h"

/** Of a stranger's first packet: the longest identifier, name and will still fit. */
#define CONNECT_SIZE_MAX (384u << 10)
/** So many unsent answers, or bytes of them: it writes and does not read. */
#define CONTROLS_BUSY       256
#define CONTROLS_BUSY_BYTES (64u << 10)

/** ---- life ---- */

static void timer_expired(struct broker_timer *timer, uint64_t now_us);

static struct broker_client *client_new(struct broker *broker, uint64_t now_us, void *socket)
{
    struct broker_client *client = memory_new(struct broker_client);
    client->broker = broker;
    client->socket = socket;
    client->last_input_us = now_us;
    client->told_receive_max = broker->config.receive_max;
    client->told_alias_max = broker->config.alias_max;
    client->told_packet_size_max = (uint32_t)broker->config.packet_size_max;
    list_append(&broker->clients, &client->node);
    list_init(&client->turn_node);
    broker_timer_init(&client->timer, timer_expired);
    broker_timer_set(&broker->wheel, &client->timer, now_us + broker->config.connect_timeout_us);
    metric_add(&broker->metrics[BROKER_METRIC_CLIENTS], 1);
    return client;
}

struct broker_client *broker_client_open(struct broker *broker, uint64_t now_us, void *socket,
                                         const struct net_address *remote)
{
    if (metric_get(&broker->metrics[BROKER_METRIC_CLIENTS]) >= broker->config.client_count_max)
        return NULL;
    struct broker_client *client = client_new(broker, now_us, socket);
    client->remote = remote;
    return client;
}

struct broker_client *broker_client_open_inner(struct broker *broker, uint64_t now_us, void *socket,
                                               const struct broker_inner *inner)
{
    struct broker_client *client = client_new(broker, now_us, socket);
    client->inner = inner;
    client->held = true;
    client->told_receive_max = UINT16_MAX;
    client->told_alias_max = 0;
    client->told_packet_size_max = MQTT_PACKET_SIZE_MAX;
    return client;
}

static enum broker_leave how_it_leaves(const struct broker_client *client)
{
    if (client->normal_end)
        return BROKER_LEFT_GOODBYE;
    return client->session->is_kept ? BROKER_LEFT_AWAY : BROKER_LEFT_LOST;
}

/** The session goes its own way; its will is due unless the client said goodbye. */
static void leave_session(struct broker_client *client, uint64_t now_us)
{
    struct broker_session *session = client->session;
    if (!session)
        return;
    struct broker_owner *owner = client->broker->config.owner;
    if (owner->left && !client->inner)
        owner->left(owner, client, now_us, how_it_leaves(client));
    client->session = NULL;
    broker_session_left(session, now_us, !client->normal_end);
}

void broker_client_closed(struct broker_client *client, uint64_t now_us)
{
    struct broker *broker = client->broker;
    leave_session(client, now_us);
    if (client->is_known && broker->config.owner->gone)
        broker->config.owner->gone(broker->config.owner, client);
    broker_timer_set(&broker->wheel, &client->timer, TIME_NEVER);
    list_remove(&client->node);
    list_remove(&client->turn_node);
    broker_aliases_free(client->aliases_in);
    broker_aliases_free(client->aliases_out);
    broker_control_done(client);
    broker_arrival_free(client->arrival);
    free(client);
    metric_subtract(&broker->metrics[BROKER_METRIC_CLIENTS], 1);
}

void broker_client_ready(struct broker_client *client)
{
    if (client->blocked || client->is_ready)
        return;
    list_remove(&client->turn_node);
    list_append(&client->broker->ready, &client->turn_node);
    client->is_ready = true;
}

void broker_client_unready(struct broker_client *client)
{
    list_remove(&client->turn_node);
    client->is_ready = false;
}

void broker_client_end(struct broker_client *client, uint64_t now_us)
{
    if (client->state == BROKER_CLIENT_ENDING)
        return;
    client->state = BROKER_CLIENT_ENDING;
    leave_session(client, now_us);
    // whoever closes it hears of it with the next output, even an empty one
    client->blocked = false;
    broker_client_ready(client);
}

void broker_client_disconnect(struct broker_client *client, uint64_t now_us,
                              enum mqtt_reason reason)
{
    // before 5.0 servers have no DISCONNECT; before CONNACK nobody has (5.0, 3.14)
    if (client->state == BROKER_CLIENT_OPEN && client->version == MQTT_5) {
        struct writer writer = broker_scratch_writer(client->broker, 8);
        mqtt_write_notice(&writer, client->version, MQTT_DISCONNECT, (uint8_t)reason,
                          bytes_of(NULL, 0));
        broker_control_packet(client, &writer, BROKER_AT_ONCE);
    }
    broker_client_end(client, now_us);
}

static enum broker_metric metric_of(int reason)
{
    switch (reason) {
    case MQTT_MALFORMED_PACKET:
        return BROKER_METRIC_MALFORMED;
    case MQTT_PACKET_TOO_LARGE:
        return BROKER_METRIC_TOO_LARGE;
    case MQTT_KEEP_ALIVE_TIMEOUT:
        return BROKER_METRIC_SILENT;
    case MQTT_PROTOCOL_ERROR:
        return BROKER_METRIC_PROTOCOL;
    default:
        return BROKER_METRIC_OTHER_END;
    }
}

void broker_client_fault(struct broker_client *client, uint64_t now_us, int reason)
{
    broker_count(client->broker, metric_of(reason));
    broker_client_disconnect(client, now_us, (enum mqtt_reason)reason);
}

static void timer_expired(struct broker_timer *timer, uint64_t now_us)
{
    struct broker_client *client = container_of(timer, struct broker_client, timer);
    struct broker *broker = client->broker;
    if (client->state != BROKER_CLIENT_OPEN) {
        broker_client_fault(client, now_us, MQTT_KEEP_ALIVE_TIMEOUT);
        return;
    }
    // 5.0, 3.1.2.10: one and a half times
    uint64_t deadline_us = client->last_input_us + client->keep_alive_s * (3 * TIME_US_PER_S / 2);
    if (deadline_us <= now_us)
        broker_client_fault(client, now_us, MQTT_KEEP_ALIVE_TIMEOUT);
    else
        broker_timer_set(&broker->wheel, &client->timer, deadline_us);
}

/** ---- packets ---- */

/** 5.0, 4.12: methods are refused with CONNECT, so that no AUTH is ever right. */
static void handle_disconnect(struct broker_client *client, uint64_t now_us,
                              const struct mqtt_packet *packet)
{
    struct broker_session *session = client->session;
    if (mqtt_has(&packet->properties, MQTT_PROPERTY_SESSION_EXPIRY)) {
        // 5.0, 3.14.2.2.2: what was to end with the connection cannot be kept after all
        if (session->expiry_s == 0 && packet->properties.session_expiry_s > 0) {
            broker_client_fault(client, now_us, MQTT_PROTOCOL_ERROR);
            return;
        }
        broker_session_set_expiry(session, packet->properties.session_expiry_s);
    }
    client->normal_end = packet->notice.reason == MQTT_SUCCESS;
    broker_client_end(client, now_us);
}

static void handle(struct broker_client *client, uint64_t now_us, const struct mqtt_packet *packet)
{
    switch (packet->type) {
    case MQTT_PUBLISH:
        broker_handle_publish(client, now_us, packet);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBCOMP:
        broker_handle_ack(client, packet);
        break;
    case MQTT_PUBREL:
        broker_handle_release(client, &packet->ack);
        break;
    case MQTT_SUBSCRIBE:
        broker_handle_subscribe(client, now_us, packet);
        break;
    case MQTT_UNSUBSCRIBE:
        broker_handle_unsubscribe(client, now_us, packet);
        break;
    case MQTT_PINGREQ: {
        struct writer writer = broker_scratch_writer(client->broker, 2);
        mqtt_write_ping(&writer, MQTT_PINGRESP);
        broker_control_packet(client, &writer, BROKER_AT_ONCE);
        break;
    }
    case MQTT_DISCONNECT:
        handle_disconnect(client, now_us, packet);
        break;
    default: // a second CONNECT, AUTH, and what only servers send
        broker_client_fault(client, now_us, MQTT_PROTOCOL_ERROR);
    }
}

static void handle_frame(struct broker_client *client, uint64_t now_us,
                         const struct mqtt_frame *frame)
{
    if (client->state == BROKER_CLIENT_NEW) {
        // 5.0, 3.1: nothing comes before CONNECT
        if (frame->type == MQTT_CONNECT)
            broker_handle_connect(client, now_us, frame);
        else
            broker_client_fault(client, now_us, MQTT_PROTOCOL_ERROR);
        return;
    }
    struct mqtt_packet packet;
    int reason = mqtt_packet_read(frame, client->version, &packet);
    if (reason)
        broker_client_fault(client, now_us, reason);
    else
        handle(client, now_us, &packet);
}

bool broker_client_is_busy(const struct broker_client *client)
{
    const struct broker_controls *controls = client->controls;
    bool is_deaf =
        controls && (controls->count >= CONTROLS_BUSY || controls->bytes >= CONTROLS_BUSY_BYTES);
    return is_deaf || client->state == BROKER_CLIENT_ADMITTING ||
           client->steps >= BROKER_STEPS_BUSY || broker_journal_is_behind(client->broker);
}

static size_t packet_size_max(const struct broker_client *client)
{
    return client->state == BROKER_CLIENT_NEW
               ? min_of(client->told_packet_size_max, CONNECT_SIZE_MAX)
               : client->told_packet_size_max;
}

size_t broker_client_input(struct broker_client *client, uint64_t now_us, struct bytes input)
{
    struct broker *broker = client->broker;
    size_t taken = 0;
    while (!broker_client_is_busy(client) && client->state != BROKER_CLIENT_ENDING) {
        struct mqtt_frame frame;
        int result = mqtt_frame_read(bytes_of(input.data + taken, input.size - taken),
                                     packet_size_max(client), &frame);
        if (result == -EAGAIN)
            break;
        if (result < 0) {
            broker_client_fault(client, now_us,
                                result == -EMSGSIZE ? MQTT_PACKET_TOO_LARGE
                                                    : MQTT_MALFORMED_PACKET);
            break;
        }
        taken += frame.size;
        client->last_input_us = now_us;
        metric_add(&broker->metrics[BROKER_METRIC_BYTES_RECEIVED], frame.size);
        handle_frame(client, now_us, &frame);
    }
    // whoever did much goes on after the others, even with nothing to be sent to it
    if (client->steps >= BROKER_STEPS_BUSY && client->state == BROKER_CLIENT_OPEN)
        broker_client_ready(client);
    // what a client sends that is being ended is of no use to anyone
    return client->state == BROKER_CLIENT_ENDING ? input.size : taken;
}

/** ---- what the caller sees ---- */

void broker_client_set_context(struct broker_client *client, void *context)
{
    client->context = context;
}

void *broker_client_context(const struct broker_client *client)
{
    return client->context;
}

void *broker_client_socket(const struct broker_client *client)
{
    return client->socket;
}

const struct net_address *broker_client_remote(const struct broker_client *client)
{
    return client->remote;
}

struct bytes broker_client_user(const struct broker_client *client)
{
    const struct broker_session *session = client->session;
    if (session)
        return broker_session_user(session);
    return client->arrival ? client->arrival->user : bytes_of(NULL, 0);
}

struct bytes broker_client_id(const struct broker_client *client)
{
    const struct broker_session *session = client->session;
    if (session)
        return broker_session_id(session);
    return client->arrival ? client->arrival->id : bytes_of(NULL, 0);
}
