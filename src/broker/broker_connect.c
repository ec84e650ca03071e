// CONNECT: who it is, which session it gets, and CONNACK.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "broker/broker_deliver.h"

/** Letters and digits of an identifier that we give. */
#define ASSIGNED_ID_LENGTH 22

/** ---- refusals ---- */

static void refuse(struct broker_client *client, uint64_t now_us, int reason)
{
    broker_count(client->broker, BROKER_METRIC_REFUSED);
    if (client->version != MQTT_VERSION_UNKNOWN) {
        struct mqtt_connack connack = {
            .reason = client->version == MQTT_5 ? (uint8_t)reason
                                                : (uint8_t)mqtt_return_code_of((uint8_t)reason),
        };
        struct writer writer = broker_scratch_writer(client->broker, 8);
        mqtt_write_connack(&writer, client->version, &connack, bytes_of(NULL, 0));
        broker_control_packet(client, &writer, BROKER_AT_ONCE);
    }
    broker_client_end(client, now_us);
}

/** A packet that is none is refused too, but only 5.0 has words for it. */
static void refuse_packet(struct broker_client *client, uint64_t now_us, int reason)
{
    bool has_words = client->version == MQTT_5 || reason == MQTT_UNSUPPORTED_VERSION ||
                     reason == MQTT_CLIENT_ID_NOT_VALID;
    if (!has_words)
        client->version = MQTT_VERSION_UNKNOWN;
    broker_count(client->broker, reason == MQTT_MALFORMED_PACKET ? BROKER_METRIC_MALFORMED
                                                                 : BROKER_METRIC_PROTOCOL);
    refuse(client, now_us, reason);
}

/** ---- CONNACK ---- */

struct granted {
    bool session_present;
    bool assigned_id;
    bool expiry_was_cut;
    uint16_t server_keep_alive_s; /**< 0: as it wished */
    uint64_t durable;
};

static void write_properties(struct writer *writer, const struct broker_client *client,
                             const struct granted *granted)
{
    mqtt_write_property_two(writer, MQTT_PROPERTY_RECEIVE_MAXIMUM, client->told_receive_max);
    if (client->told_alias_max)
        mqtt_write_property_two(writer, MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM, client->told_alias_max);
    mqtt_write_property_four(writer, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE,
                             client->told_packet_size_max);
    if (granted->expiry_was_cut)
        mqtt_write_property_four(writer, MQTT_PROPERTY_SESSION_EXPIRY, client->session->expiry_s);
    if (granted->server_keep_alive_s)
        mqtt_write_property_two(writer, MQTT_PROPERTY_SERVER_KEEP_ALIVE,
                                granted->server_keep_alive_s);
    if (granted->assigned_id)
        mqtt_write_property_text(writer, MQTT_PROPERTY_ASSIGNED_CLIENT_ID,
                                 broker_client_id(client));
}

static void send_connack(struct broker_client *client, uint64_t now_us,
                         const struct granted *granted)
{
    uint8_t block[64 + ASSIGNED_ID_LENGTH];
    struct writer properties = writer_of(block, sizeof(block));
    write_properties(&properties, client, granted);
    ensure(!properties.failed);
    struct writer writer = broker_scratch_writer(client->broker, sizeof(block) + 16);
    // 3.1 has no such flag
    struct mqtt_connack connack = { .session_present =
                                        granted->session_present && client->version != MQTT_3_1 };
    mqtt_write_connack(&writer, client->version, &connack, writer_written(&properties));
    if (broker_control_fits(client, &writer))
        broker_control_packet(client, &writer, granted->durable);
    else
        broker_client_end(client, now_us);
}

/** ---- the session ---- */

/** Ends another connection to the session; its state stays. */
static void take_over(struct broker_session *session, uint64_t now_us)
{
    struct broker_client *former = session->client;
    if (!former)
        return;
    broker_count(session->broker, BROKER_METRIC_TAKEN_OVER);
    // 5.0, 3.1.4: its will is published as for any connection that ends without a goodbye, unless
    // it was to wait and the same session goes on
    broker_client_disconnect(former, now_us, MQTT_SESSION_TAKEN_OVER);
}

/** The session of a client that comes; NULL: there are too many. */
static struct broker_session *session_for(struct broker_client *client, uint64_t now_us,
                                          struct bytes user, struct bytes client_id, bool clean,
                                          bool *ret_present)
{
    struct broker *broker = client->broker;
    struct broker_session *session = broker_session_find(broker, user, client_id);
    if (session) {
        take_over(session, now_us);
        // it may have ended with its connection
        session = broker_session_find(broker, user, client_id);
    }
    if (session && clean) {
        broker_session_end(session, now_us);
        session = NULL;
    }
    *ret_present = session;
    if (session)
        return session;
    // one guest with many names must not lock out everybody else, and nobody the server's own
    while (!client->inner && !broker_session_has_room(broker, user, client_id)) {
        if (!broker_session_end_oldest(broker, now_us))
            return NULL;
    }
    return broker_session_new(broker, user, client_id);
}

static uint32_t expiry_of(const struct mqtt_packet *packet)
{
    if (packet->connect.version == MQTT_5)
        return packet->properties.session_expiry_s;
    return packet->connect.clean_start ? 0 : UINT32_MAX;
}

/** The message of its will. Returns 0 with `ret_message` (NULL: it has none), or a reason. */
static int make_will(struct broker_client *client, const struct mqtt_connect *connect,
                     struct broker_message **ret_message)
{
    struct broker *broker = client->broker;
    struct broker_owner *owner = broker->config.owner;
    const struct mqtt_will *will = &connect->will;
    *ret_message = NULL;
    if (!connect->has_will)
        return 0;
    if (broker_is_own_topic(broker, will->topic) || !owner->may_publish(owner, client, will->topic))
        return MQTT_NOT_AUTHORIZED;
    struct broker_message *message =
        broker_message_new(broker, will->topic, will->properties.raw, will->payload);
    if (!message)
        return MQTT_QUOTA_EXCEEDED;
    message->qos = will->qos;
    message->retain = will->retain;
    // from when it is published
    if (mqtt_has(&will->properties, MQTT_PROPERTY_MESSAGE_EXPIRY))
        message->expires_us = will->properties.message_expiry_s * TIME_US_PER_S;
    *ret_message = message;
    return 0;
}

/** Limits that the client told. */
static void take_limits(struct broker_client *client, const struct mqtt_packet *packet)
{
    const struct mqtt_properties *told = &packet->properties;
    client->receive_max =
        mqtt_has(told, MQTT_PROPERTY_RECEIVE_MAXIMUM) ? told->receive_maximum : UINT16_MAX;
    client->alias_max = min_of(told->topic_alias_maximum, client->told_alias_max);
    client->packet_size_max = mqtt_has(told, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE)
                                  ? told->maximum_packet_size
                                  : MQTT_PACKET_SIZE_MAX;
    client->quiet_problems =
        mqtt_has(told, MQTT_PROPERTY_REQUEST_PROBLEM) && !told->request_problem;
}

static void set_keep_alive(struct broker_client *client, uint64_t now_us, uint16_t wished_s,
                           struct granted *granted)
{
    uint16_t longest_s = client->broker->config.keep_alive_max_s;
    client->keep_alive_s = wished_s;
    if (client->version == MQTT_5 && longest_s && !client->inner &&
        (wished_s == 0 || wished_s > longest_s))
        client->keep_alive_s = granted->server_keep_alive_s = longest_s;
    broker_timer_set(&client->broker->wheel, &client->timer,
                     client->keep_alive_s ? now_us + client->keep_alive_s * (3 * TIME_US_PER_S / 2)
                                          : TIME_NEVER);
}

static void accept(struct broker_client *client, uint64_t now_us, const struct mqtt_packet *packet,
                   struct bytes user)
{
    const struct mqtt_connect *connect = &packet->connect;
    struct broker *broker = client->broker;
    struct granted granted = { .assigned_id = connect->client_id.size == 0 };
    char assigned[ASSIGNED_ID_LENGTH + 1];
    struct bytes client_id = connect->client_id;
    if (granted.assigned_id) {
        random_identifier(broker->config.random, assigned, ASSIGNED_ID_LENGTH);
        client_id = bytes_of(assigned, ASSIGNED_ID_LENGTH);
    }
    client->arrival->user = user;
    client->arrival->id = client_id;
    struct broker_message *will;
    uint64_t before = broker->journal.position;
    int reason = make_will(client, connect, &will);
    client->arrival->user = client->arrival->id = bytes_of(NULL, 0);
    struct broker_session *session =
        reason ? NULL
               : session_for(client, now_us, user, client_id, connect->clean_start,
                             &granted.session_present);
    if (!session) {
        broker_message_unref(broker, will);
        refuse(client, now_us, reason ? reason : MQTT_QUOTA_EXCEEDED);
        return;
    }
    bool has_discarded = broker->journal.position > before;
    client->session = session;
    broker_session_attach(session, client);
    take_limits(client, packet);
    uint32_t expiry_s = expiry_of(packet);
    broker_session_set_expiry(session, expiry_s);
    granted.expiry_was_cut = client->version == MQTT_5 && session->expiry_s != expiry_s;
    // a will of the connection before that still waited is not published (5.0, 3.1.3.2.2)
    broker_session_set_will(session, will, connect->will.properties.will_delay_s);
    set_keep_alive(client, now_us, connect->keep_alive_s, &granted);
    client->state = BROKER_CLIENT_OPEN;
    broker_count(broker, BROKER_METRIC_CONNECTED);
    // what it was told is gone does not come back with another process
    granted.durable = session->is_kept || has_discarded ? broker->journal.position : BROKER_AT_ONCE;
    send_connack(client, now_us, &granted);
    struct broker_owner *owner = broker->config.owner;
    if (owner->here && !client->inner && client->state == BROKER_CLIENT_OPEN)
        owner->here(owner, client, now_us, granted.session_present);
}

/** ---- the decision ---- */

void broker_arrival_free(struct broker_arrival *arrival)
{
    if (!arrival)
        return;
    // it may hold a password
    if (arrival->body)
        memory_wipe(arrival->body, arrival->body_size);
    free(arrival->body);
    free(arrival);
}

/** Its CONNECT was accepted or refused. */
static void arrive(struct broker_client *client)
{
    broker_arrival_free(client->arrival);
    client->arrival = NULL;
}

static void decided(struct broker_client *client, uint64_t now_us, const struct mqtt_packet *packet,
                    int reason, struct bytes user)
{
    if (reason == MQTT_SUCCESS) {
        ensure(user.size <= BROKER_USER_SIZE_MAX);
        client->is_known = true;
        accept(client, now_us, packet, user);
    } else {
        refuse(client, now_us, reason);
    }
    arrive(client);
}

void broker_handle_connect(struct broker_client *client, uint64_t now_us,
                           const struct mqtt_frame *frame)
{
    struct mqtt_packet packet;
    int reason = mqtt_packet_read(frame, MQTT_VERSION_UNKNOWN, &packet);
    const struct mqtt_connect *connect = &packet.connect;
    client->version = (uint8_t)connect->version;
    client->is_bridge = connect->is_bridge;
    if (reason == 0 && mqtt_has(&packet.properties, MQTT_PROPERTY_AUTHENTICATION_METHOD))
        reason = MQTT_BAD_AUTHENTICATION_METHOD;
    if (reason) {
        refuse_packet(client, now_us, reason);
        return;
    }
    client->arrival = memory_new(struct broker_arrival);
    if (client->inner) {
        accept(client, now_us, &packet, client->inner->user);
        arrive(client);
        return;
    }
    struct broker_login login = { .client_id = connect->client_id,
                                  .user = connect->user,
                                  .password = connect->password,
                                  .has_user = connect->has_user,
                                  .has_password = connect->has_password,
                                  .remote = *client->remote };
    struct broker_owner *owner = client->broker->config.owner;
    struct bytes user = bytes_of(NULL, 0);
    reason = owner->login(owner, client, &login, &user);
    if (reason != -EINPROGRESS) {
        decided(client, now_us, &packet, reason, user);
        return;
    }
    client->state = BROKER_CLIENT_ADMITTING;
    client->is_known = true;
    client->arrival->body = memory_copy(frame->body.data, frame->body.size);
    client->arrival->body_size = frame->body.size;
}

void broker_client_admit(struct broker_client *client, uint64_t now_us, int reason,
                         struct bytes user)
{
    if (client->state != BROKER_CLIENT_ADMITTING)
        return;
    client->state = BROKER_CLIENT_NEW;
    struct mqtt_frame frame = { .type = MQTT_CONNECT,
                                .body =
                                    bytes_of(client->arrival->body, client->arrival->body_size) };
    struct mqtt_packet packet;
    ensure(mqtt_packet_read(&frame, MQTT_VERSION_UNKNOWN, &packet) == 0);
    decided(client, now_us, &packet, reason, user);
}
