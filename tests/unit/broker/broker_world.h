/**
 * A broker with devices at its side: what they send goes straight in, what the broker has for them
 * is collected, parsed, and asked for packet by packet. Time and the disk move when a test says so.
 */
#pragma once

#include "support/check.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "broker/broker.h"
#include "broker/broker_journal.h"

#define WORLD_UNIX_US (1700000000ull * TIME_US_PER_S)

struct world {
    struct broker_owner owner;
    struct random random;
    struct broker_config config;
    struct broker *broker;
    uint64_t now_us;
    /** The disk: what a process after this one would find. */
    uint8_t *disk;
    size_t disk_size;
    bool disk_waits; /**< nothing becomes durable */
    /** What the owner decides: wrong passwords, forbidden topics and filters; NULL: nothing. */
    const char *wrong_password;
    const char *forbidden;
    int login_result; /**< -EINPROGRESS: a test calls broker_client_admit */
    unsigned gone_count;
    unsigned taken_count;
    const char *taken_topic; /**< of the owner itself */
    /** Clients that are no devices: true when it was one of those. NULL: there are none. */
    bool (*serve)(struct world *world, struct broker_client *client);
};

struct device {
    struct world *world;
    struct broker_client *client; /**< NULL: its connection is closed */
    struct net_address remote;
    enum mqtt_version version;
    uint8_t *arrived;
    size_t arrived_size;
    size_t arrived_at;
    uint8_t *unread; /**< what the broker has not taken */
    size_t unread_size;
    bool deaf; /**< its socket takes nothing */
};

/** ---- the owner ---- */

static inline struct world *world_of(struct broker_owner *owner)
{
    return container_of(owner, struct world, owner);
}

static inline int world_login(struct broker_owner *self, struct broker_client *client,
                              const struct broker_login *login, struct bytes *ret_user)
{
    struct world *world = world_of(self);
    (void)client;
    if (world->wrong_password && text_equal(login->password, world->wrong_password))
        return MQTT_BAD_USER_OR_PASSWORD;
    *ret_user = login->user;
    return world->login_result;
}

static inline bool world_may(struct broker_owner *self, const struct broker_client *client,
                             struct bytes topic)
{
    (void)client;
    const struct world *world = world_of(self);
    return !world->forbidden || !text_starts_with(topic, world->forbidden);
}

static inline int world_take(struct broker_owner *self, struct broker_client *client,
                             uint64_t now_us, const struct mqtt_publish *publish,
                             const struct mqtt_properties *properties)
{
    (void)client, (void)now_us, (void)properties;
    struct world *world = world_of(self);
    bool takes = world->taken_topic && text_equal(publish->topic, world->taken_topic);
    world->taken_count += takes;
    return takes ? MQTT_SUCCESS : -ENOENT;
}

static inline void world_gone(struct broker_owner *self, struct broker_client *client)
{
    (void)client;
    world_of(self)->gone_count++;
}

/** ---- the world ---- */

/** Zero fields of `config` are the broker's defaults, but for $SYS, which is off. */
static inline void world_init(struct world *world, const struct broker_config *config)
{
    *world = (struct world){ .now_us = TIME_US_PER_S, .config = *config };
    world->owner = (struct broker_owner){ .login = world_login,
                                          .may_publish = world_may,
                                          .may_subscribe = world_may,
                                          .take = world_take,
                                          .gone = world_gone };
    random_seeded_init(&world->random, 1);
    world->config.random = &world->random;
    world->config.owner = &world->owner;
    if (!world->config.sys_interval_us)
        world->config.sys_interval_us = TIME_NEVER;
    world->broker = broker_new(&world->config, world->now_us);
    broker_set_unix_offset(world->broker, WORLD_UNIX_US);
}

static inline void world_done(struct world *world)
{
    broker_free(world->broker);
    free(world->disk);
}

/** Writes the journal out, as far as the disk goes along. */
static inline void world_write(struct world *world)
{
    if (world->disk_waits)
        return;
    size_t size;
    uint64_t position;
    uint8_t *batch = broker_journal_take(world->broker, &size, &position);
    if (size > 0) {
        world->disk = memory_resize(world->disk, world->disk_size + size);
        memcpy(world->disk + world->disk_size, batch, size);
        world->disk_size += size;
    }
    free(batch);
    broker_journal_durable(world->broker, position);
}

static inline void device_take(struct device *device, struct bytes output)
{
    device->arrived = memory_resize(device->arrived, device->arrived_size + output.size + 1);
    if (output.size > 0)
        memcpy(device->arrived + device->arrived_size, output.data, output.size);
    device->arrived_size += output.size;
}

static inline void device_feed(struct device *device);

/** Until nothing moves any more. */
static inline void world_run(struct world *world)
{
    world_write(world);
    struct broker_client *client;
    while ((client = broker_next_ready(world->broker))) {
        if (world->serve && world->serve(world, client)) {
            world_write(world);
            continue;
        }
        struct device *device = broker_client_socket(client);
        if (device->deaf) {
            broker_client_block(client, true);
            continue;
        }
        device_take(device, broker_client_output(client, world->now_us));
        if (broker_client_is_over(client)) {
            device->client = NULL;
            broker_client_closed(client, world->now_us);
        } else if (device->unread_size > 0) {
            device_feed(device);
        }
        world_write(world);
    }
}

static inline void world_wait(struct world *world, uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        world->now_us += TIME_US_PER_S;
        if (broker_deadline(world->broker) <= world->now_us)
            broker_tick(world->broker, world->now_us);
        world_run(world);
    }
}

static inline uint64_t world_metric(const struct world *world, enum broker_metric metric)
{
    return metric_get(&broker_metrics(world->broker).values[metric]);
}

/** The process dies, connections and all; another one finds what is on the disk. */
static inline void world_crash(struct world *world)
{
    broker_free(world->broker);
    world->now_us += TIME_US_PER_S;
    world->broker = broker_new(&world->config, world->now_us);
    broker_set_unix_offset(world->broker, WORLD_UNIX_US);
    int result = broker_restore(world->broker, bytes_of(world->disk, world->disk_size));
    assert_int_equal(result, 0);
    broker_resume(world->broker, world->now_us);
    world_run(world);
}

/** ---- devices ---- */

/** A network connection, before any packet. */
static inline void device_open(struct world *world, struct device *device,
                               enum mqtt_version version)
{
    *device = (struct device){ .world = world, .version = version };
    device->remote = net_address_ipv4(192, 0, 2, 1, 1000);
    device->client = broker_client_open(world->broker, world->now_us, device, &device->remote);
}

static inline void device_feed(struct device *device)
{
    if (!device->client)
        return;
    struct bytes input = bytes_of(device->unread, device->unread_size);
    size_t taken = broker_client_input(device->client, device->world->now_us, input);
    assert_true(taken <= input.size);
    memmove(device->unread, device->unread + taken, input.size - taken);
    device->unread_size = input.size - taken;
}

/** Sends bytes; the broker answers at once. */
static inline void device_send(struct device *device, struct bytes bytes)
{
    assert_non_null(device->client);
    device->unread = memory_resize(device->unread, device->unread_size + bytes.size + 1);
    memcpy(device->unread + device->unread_size, bytes.data, bytes.size);
    device->unread_size += bytes.size;
    device_feed(device);
    world_run(device->world);
}

static inline void device_send_hex(struct device *device, const char *hex)
{
    uint8_t packet[1024];
    int size = text_hex_parse(bytes_of_text(hex), packet, sizeof(packet));
    assert_true(size > 0);
    device_send(device, bytes_of(packet, (size_t)size));
}

/** Its network is gone, without a word. */
static inline void device_lose(struct device *device)
{
    if (device->client)
        broker_client_closed(device->client, device->world->now_us);
    device->client = NULL;
    world_run(device->world);
}

/** At the end of a test; what was not asked for is forgotten. */
static inline void device_done(struct device *device)
{
    device_lose(device);
    free(device->arrived);
    free(device->unread);
    *device = (struct device){ 0 };
}

/** After world_crash: the connection died with the process. */
static inline void device_forget(struct device *device)
{
    device->client = NULL;
    device->arrived_at = device->arrived_size;
    device->unread_size = 0;
}

/** The next packet that arrived; false: there is none. */
static inline bool device_next(struct device *device, struct mqtt_packet *ret_packet)
{
    struct bytes rest =
        bytes_of(device->arrived + device->arrived_at, device->arrived_size - device->arrived_at);
    struct mqtt_frame frame;
    if (rest.size == 0)
        return false;
    assert_int_equal(mqtt_frame_read(rest, MQTT_PACKET_SIZE_MAX, &frame), 0);
    device->arrived_at += frame.size;
    assert_int_equal(mqtt_packet_read(&frame, device->version, ret_packet), 0);
    return true;
}

static inline struct mqtt_packet device_expect(struct device *device, enum mqtt_type type)
{
    struct mqtt_packet packet;
    if (!device_next(device, &packet))
        fail_msg("no packet came where one of type %d should", type);
    assert_int_equal(packet.type, type);
    return packet;
}

static inline void device_expect_nothing(struct device *device)
{
    struct mqtt_packet packet;
    if (device_next(device, &packet))
        fail_msg("a packet of type %d came", packet.type);
    assert_non_null(device->client);
}

/** The connection was closed by the broker, after all that arrived. */
static inline void device_expect_closed(struct device *device)
{
    struct mqtt_packet packet;
    if (device_next(device, &packet))
        fail_msg("a packet of type %d came before the end", packet.type);
    assert_null(device->client);
}

/** The broker ended it for a reason: 5.0 is told, others see the end alone. */
static inline void device_expect_ended(struct device *device, enum mqtt_reason reason)
{
    if (device->version == MQTT_5)
        assert_int_equal(device_expect(device, MQTT_DISCONNECT).notice.reason, reason);
    device_expect_closed(device);
}

/** ---- what devices say ---- */

/** Sends a CONNECT with further properties; its answer is not read. */
static inline void device_connect_with(struct device *device, const struct mqtt_connect *connect,
                                       struct bytes properties, struct bytes will_properties)
{
    uint8_t packet[4096];
    struct writer writer = writer_of(packet, sizeof(packet));
    mqtt_write_connect(&writer, connect, properties, will_properties);
    assert_false(writer.failed);
    device_send(device, writer_written(&writer));
}

/** Opens a connection and CONNECTs. `expiry_s` is 3.1.1's "clean session" when it is 0. */
static inline struct mqtt_connack device_connect(struct world *world, struct device *device,
                                                 enum mqtt_version version, const char *id,
                                                 bool clean, uint32_t expiry_s)
{
    device_open(world, device, version);
    uint8_t block[16];
    struct writer properties = writer_of(block, sizeof(block));
    if (expiry_s)
        mqtt_write_property_four(&properties, MQTT_PROPERTY_SESSION_EXPIRY, expiry_s);
    struct mqtt_connect connect = { .version = version,
                                    .clean_start =
                                        version == MQTT_5 ? clean : clean || expiry_s == 0,
                                    .client_id = bytes_of_text(id) };
    device_connect_with(device, &connect, writer_written(&properties), bytes_of(NULL, 0));
    struct mqtt_connack connack = device_expect(device, MQTT_CONNACK).connack;
    assert_int_equal(connack.reason, MQTT_SUCCESS);
    return connack;
}

/** A session that ends with its connection. */
static inline void device_come(struct world *world, struct device *device,
                               enum mqtt_version version, const char *id)
{
    device_connect(world, device, version, id, true, 0);
}

static inline void device_publish_with(struct device *device, const struct mqtt_publish *publish,
                                       struct bytes properties)
{
    size_t size = publish->topic.size + publish->payload.size + properties.size + 100;
    uint8_t *packet = malloc(size);
    struct writer writer = writer_of(packet, size);
    mqtt_write_publish(&writer, device->version, publish, properties);
    device_send(device, writer_written(&writer));
    free(packet);
}

/** `packet_id` 0 with QoS 0. The answer is not read. */
static inline void device_publish(struct device *device, const char *topic, const char *payload,
                                  uint8_t qos, uint16_t packet_id)
{
    device_publish_with(device,
                        &(struct mqtt_publish){ .topic = bytes_of_text(topic),
                                                .payload = bytes_of_text(payload),
                                                .qos = qos,
                                                .packet_id = packet_id },
                        bytes_of(NULL, 0));
}

static inline void device_retain(struct device *device, const char *topic, const char *payload)
{
    device_publish_with(device,
                        &(struct mqtt_publish){ .topic = bytes_of_text(topic),
                                                .payload = bytes_of_text(payload),
                                                .retain = true },
                        bytes_of(NULL, 0));
}

/** Returns the reason code of the only filter. */
static inline uint8_t device_subscribe_with(struct device *device, const char *filter,
                                            struct mqtt_subscription_options options, uint32_t id)
{
    uint8_t packet[1024];
    struct writer writer = writer_of(packet, sizeof(packet));
    struct mqtt_subscription asked = { bytes_of_text(filter), options };
    mqtt_write_subscribe(&writer, device->version, 77, &asked, 1, id);
    device_send(device, writer_written(&writer));
    struct mqtt_packet packet_read = device_expect(device, MQTT_SUBACK);
    assert_int_equal(packet_read.list.packet_id, 77);
    assert_int_equal(packet_read.list.items.size, 1);
    return packet_read.list.items.data[0];
}

static inline void device_subscribe(struct device *device, const char *filter, uint8_t qos)
{
    struct mqtt_subscription_options options = { .qos = qos };
    assert_int_equal(device_subscribe_with(device, filter, options, 0), qos);
}

static inline uint8_t device_unsubscribe(struct device *device, const char *filter)
{
    uint8_t packet[1024];
    struct writer writer = writer_of(packet, sizeof(packet));
    struct bytes asked = bytes_of_text(filter);
    mqtt_write_unsubscribe(&writer, device->version, 78, &asked, 1);
    device_send(device, writer_written(&writer));
    struct mqtt_packet read = device_expect(device, MQTT_UNSUBACK);
    assert_int_equal(read.list.packet_id, 78);
    return read.list.items.size > 0 ? read.list.items.data[0] : 0;
}

static inline void device_ack(struct device *device, enum mqtt_type type, uint16_t packet_id)
{
    uint8_t packet[16];
    struct writer writer = writer_of(packet, sizeof(packet));
    mqtt_write_ack(&writer, device->version, type, &(struct mqtt_ack){ .packet_id = packet_id });
    device_send(device, writer_written(&writer));
}

static inline void device_disconnect(struct device *device, uint8_t reason)
{
    uint8_t packet[16];
    struct writer writer = writer_of(packet, sizeof(packet));
    mqtt_write_notice(&writer, device->version, MQTT_DISCONNECT, reason, bytes_of(NULL, 0));
    device_send(device, writer_written(&writer));
}

/** A message that must have come. Returns its packet. */
static inline struct mqtt_packet device_expect_message(struct device *device, const char *topic,
                                                       const char *payload, uint8_t qos)
{
    struct mqtt_packet packet = device_expect(device, MQTT_PUBLISH);
    assert_true(text_equal(packet.publish.topic, topic));
    assert_true(text_equal(packet.publish.payload, payload));
    assert_int_equal(packet.publish.qos, qos);
    return packet;
}

/** A message of QoS 1 or 2 from a device to the broker, with all its acknowledgements. */
static inline void device_publish_whole(struct device *device, const char *topic,
                                        const char *payload, uint8_t qos, uint16_t packet_id)
{
    device_publish(device, topic, payload, qos, packet_id);
    if (qos == 1)
        assert_int_equal(device_expect(device, MQTT_PUBACK).ack.packet_id, packet_id);
    if (qos != 2)
        return;
    assert_int_equal(device_expect(device, MQTT_PUBREC).ack.packet_id, packet_id);
    device_ack(device, MQTT_PUBREL, packet_id);
    assert_int_equal(device_expect(device, MQTT_PUBCOMP).ack.packet_id, packet_id);
}

/** Both versions, for tests that hold for both. */
#define each_version(version)                                                                      \
    for (enum mqtt_version version = MQTT_3_1_1; version <= MQTT_5; version++)
