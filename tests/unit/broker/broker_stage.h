/** Two devices at a broker, and packets with properties: what the tests of statements share. */
#pragma once

#include "broker_world.h"

struct stage {
    struct world world;
    struct device ann; /**< publishes, mostly */
    struct device ben; /**< subscribes, mostly */
    enum mqtt_version version;
};

/** The broker alone; nobody is connected. */
static inline void stage_empty(struct stage *stage, enum mqtt_version version)
{
    *stage = (struct stage){ .version = version };
    world_init(&stage->world, &(struct broker_config){ .journal = true });
}

/** Both are connected; their sessions end with their connections. */
static inline void stage_both(struct stage *stage, enum mqtt_version version)
{
    stage_empty(stage, version);
    device_come(&stage->world, &stage->ann, version, "ann");
    device_come(&stage->world, &stage->ben, version, "ben");
}

/** Of a device that may have been there, and may come again. */
static inline void device_reset(struct device *device)
{
    if (device->world)
        device_done(device);
}

static inline void stage_done(struct stage *stage)
{
    device_reset(&stage->ann);
    device_reset(&stage->ben);
    world_done(&stage->world);
}

/** Connects again, or for the first time, to a session that is kept. Returns session present. */
static inline bool stage_keep(struct stage *stage, struct device *device, const char *id)
{
    device_reset(device);
    return device_connect(&stage->world, device, stage->version, id, false, 3600).session_present;
}

/** ---- properties ---- */

struct block {
    uint8_t memory[512];
    struct writer writer;
};

static inline struct writer *block_begin(struct block *block)
{
    block->writer = writer_of(block->memory, sizeof(block->memory));
    return &block->writer;
}

static inline struct bytes block_bytes(const struct block *block)
{
    return writer_written(&block->writer);
}

/** Names and values of the user properties, in their order, one behind the other. */
static inline void user_properties(const struct mqtt_properties *properties, char ret_names[8],
                                   char ret_values[8])
{
    struct reader reader = reader_of(properties->raw.data, properties->raw.size);
    struct mqtt_property_entry entry;
    size_t count = 0;
    while (mqtt_property_next(&reader, &entry)) {
        if (entry.property != MQTT_PROPERTY_USER_PROPERTY)
            continue;
        assert_true(count < 7 && entry.text.size == 1 && entry.value.size == 1);
        ret_names[count] = (char)entry.text.data[0];
        ret_values[count++] = (char)entry.value.data[0];
    }
    ret_names[count] = ret_values[count] = 0;
}

static inline struct bytes nothing(void)
{
    return bytes_of(NULL, 0);
}

/** ---- connecting ---- */

/** Opens a connection and sends a CONNECT with what a test wants in it; the answer is unread. */
static inline void device_ask(struct world *world, struct device *device,
                              const struct mqtt_connect *connect, struct bytes properties)
{
    device_reset(device);
    device_open(world, device, connect->version);
    device_connect_with(device, connect, properties, nothing());
}

/** Comes with limits or wishes of 5.0 in its properties; a session without them. */
static inline struct mqtt_packet device_come_with(struct world *world, struct device *device,
                                                  const char *id, struct bytes properties)
{
    struct mqtt_connect connect = { .version = MQTT_5, .client_id = bytes_of_text(id) };
    device_ask(world, device, &connect, properties);
    struct mqtt_packet connack = device_expect(device, MQTT_CONNACK);
    assert_int_equal(connack.connack.reason, MQTT_SUCCESS);
    return connack;
}

struct last_words {
    const char *topic;
    const char *payload;
    uint8_t qos;
    bool retain;
    uint32_t delay_s;
    uint32_t expiry_s; /**< of the session */
};

/** Comes with a will. */
static inline void device_come_with_will(struct world *world, struct device *device,
                                         enum mqtt_version version, const char *id,
                                         const struct last_words *words)
{
    struct block properties, will_properties;
    struct writer *own = block_begin(&properties), *will = block_begin(&will_properties);
    if (words->expiry_s)
        mqtt_write_property_four(own, MQTT_PROPERTY_SESSION_EXPIRY, words->expiry_s);
    if (words->delay_s)
        mqtt_write_property_four(will, MQTT_PROPERTY_WILL_DELAY, words->delay_s);
    struct mqtt_connect connect = { .version = version,
                                    .clean_start = version != MQTT_5 && words->expiry_s == 0,
                                    .client_id = bytes_of_text(id),
                                    .has_will = true,
                                    .will = { .topic = bytes_of_text(words->topic),
                                              .payload = bytes_of_text(words->payload),
                                              .qos = words->qos,
                                              .retain = words->retain } };
    device_reset(device);
    device_open(world, device, version);
    device_connect_with(device, &connect, block_bytes(&properties), block_bytes(&will_properties));
    assert_int_equal(device_expect(device, MQTT_CONNACK).connack.reason, MQTT_SUCCESS);
}

/** ---- the rest ---- */

/** A message with properties of 5.0; its answer is unread. */
static inline void device_publish_block(struct device *device, const char *topic, uint8_t qos,
                                        uint16_t packet_id, const struct block *block)
{
    device_publish_with(device,
                        &(struct mqtt_publish){ .topic = bytes_of_text(topic),
                                                .payload = bytes_of_text("p"),
                                                .qos = qos,
                                                .packet_id = packet_id },
                        block_bytes(block));
}

static inline void device_ack_reason(struct device *device, enum mqtt_type type, uint16_t packet_id,
                                     uint8_t reason)
{
    uint8_t packet[16];
    struct writer writer = writer_of(packet, sizeof(packet));
    struct mqtt_ack ack = { .packet_id = packet_id, .reason = reason };
    mqtt_write_ack(&writer, device->version, type, &ack);
    device_send(device, writer_written(&writer));
}

/** Subscribes with options; the quality must be granted. */
static inline void device_subscribe_as(struct device *device, const char *filter,
                                       struct mqtt_subscription_options options, uint32_t id)
{
    assert_int_equal(device_subscribe_with(device, filter, options, id), options.qos);
}

/** Whether a packet waits to be read: for tests where either may be. */
static inline bool device_has_more(const struct device *device)
{
    return device->arrived_at < device->arrived_size;
}

/** A test of its own for each row of a table. */
#define ROW_TEST(test_name, function, row)                                                         \
    (struct CMUnitTest)                                                                            \
    {                                                                                              \
        .name = (test_name), .test_func = (function), .initial_state = (void *)(uintptr_t)(row)    \
    }
