// A bridge whose other broker is the fuzzer: what it says and in which pieces, when connections
// come and end, when time goes on, when our own disk has written, and what is published here.
//
//     first byte: how the bridge is set up; then steps: | what | size, or how long | bytes |
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bridge/bridge.h"

enum step {
    STEP_SAY = 0, /**< and 1 to 7 */
    STEP_CALL = 8,
    STEP_LOSE,
    STEP_WAIT,
    STEP_DISK,
    STEP_PUBLISH,
    STEP_DEAF,
    STEP_STOP,
};

struct world {
    struct broker_owner owner;
    struct random random;
    struct broker *broker;
    struct bridge_config config;
    struct bridge *bridge;
    uint64_t now_us;
    bool disk_waits;
    uint8_t *unread;
    size_t unread_size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int login(struct broker_owner *self, struct broker_client *client,
                 const struct broker_login *login, struct bytes *ret_user)
{
    (void)self, (void)client, (void)login, (void)ret_user;
    return MQTT_NOT_AUTHORIZED;
}

static bool may(struct broker_owner *self, const struct broker_client *client, struct bytes topic)
{
    (void)self, (void)client, (void)topic;
    return false;
}

/** What the bridge says can be read, whichever version it speaks. */
static void check(struct world *world)
{
    struct bytes output = bridge_output(world->bridge);
    struct mqtt_frame frame;
    size_t size = 0;
    while (size < output.size) {
        struct bytes rest = bytes_of(output.data + size, output.size - size);
        ensure(mqtt_frame_read(rest, MQTT_PACKET_SIZE_MAX, &frame) == 0);
        size += frame.size;
    }
    bridge_sent(world->bridge, output.size);
}

static void feed(struct world *world)
{
    size_t taken =
        bridge_input(world->bridge, world->now_us, bytes_of(world->unread, world->unread_size));
    ensure(taken <= world->unread_size);
    world->unread_size -= taken;
    memmove(world->unread, world->unread + taken, world->unread_size);
}

static void run(struct world *world)
{
    struct broker_client *client;
    do {
        if (!world->disk_waits) {
            size_t size;
            uint64_t position;
            free(broker_journal_take(world->broker, &size, &position));
            broker_journal_durable(world->broker, position);
        }
        client = broker_next_ready(world->broker);
        if (client)
            bridge_run(world->bridge, world->now_us);
        if (world->unread_size > 0 && !bridge_is_busy(world->bridge))
            feed(world);
        check(world);
    } while (client);
    struct bridge_news news;
    while (bridge_next_news(world->bridge, &news))
        ensure(news.kind <= BRIDGE_NEWS_JOURNAL);
    if (bridge_state(world->bridge) == BRIDGE_CLOSING)
        bridge_lost(world->bridge, world->now_us);
}

static void say(struct world *world, struct bytes bytes)
{
    if (bridge_is_busy(world->bridge) && world->unread_size > 4096)
        return;
    world->unread = memory_resize(world->unread, world->unread_size + bytes.size + 1);
    if (bytes.size > 0)
        memcpy(world->unread + world->unread_size, bytes.data, bytes.size);
    world->unread_size += bytes.size;
    feed(world);
}

static void step(struct world *world, uint8_t what, uint8_t size, struct reader *reader)
{
    switch (what >> 4) {
    case STEP_CALL:
        world->unread_size = 0;
        bridge_connected(world->bridge, world->now_us);
        break;
    case STEP_LOSE:
        world->unread_size = 0;
        bridge_lost(world->bridge, world->now_us);
        break;
    case STEP_WAIT:
        world->now_us += (uint64_t)size * size * TIME_US_PER_S / 16;
        if (broker_deadline(world->broker) <= world->now_us)
            broker_tick(world->broker, world->now_us);
        bridge_tick(world->bridge, world->now_us);
        break;
    case STEP_DISK:
        world->disk_waits = !world->disk_waits;
        break;
    case STEP_PUBLISH:
        broker_publish(world->broker, world->now_us,
                       &(struct broker_publication){ .topic = bytes_of_text("a/x"),
                                                     .payload = bytes_of(world, size),
                                                     .retain = what & 4,
                                                     .qos = (uint8_t)((what & 3) % 3) });
        break;
    case STEP_DEAF:
        bridge_block(world->bridge, size & 1);
        break;
    case STEP_STOP:
        bridge_stop(world->bridge, world->now_us, size & 1);
        run(world);
        bridge_free(world->bridge, world->now_us);
        world->unread_size = 0;
        world->bridge = bridge_new(&world->config, world->now_us);
        break;
    default:
        say(world, reader_bytes(reader, min_of((size_t)size, reader_left(reader))));
    }
    run(world);
}

static void add_rule(struct world *world, enum bridge_direction direction, const char *pattern,
                     const char *local, const char *remote)
{
    ensure(!bridge_topics_add(&world->config.topics, direction, 2, bytes_of_text(pattern),
                              bytes_of_text(local), bytes_of_text(remote)));
}

static void start(struct world *world, uint8_t how)
{
    world->owner =
        (struct broker_owner){ .login = login, .may_publish = may, .may_subscribe = may };
    random_seeded_init(&world->random, 1);
    struct broker_config config = { .random = &world->random,
                                    .owner = &world->owner,
                                    .packet_size_max = 1000,
                                    .memory_max = 20000,
                                    .sys_interval_us = TIME_NEVER,
                                    .journal = true };
    world->broker = broker_new(&config, world->now_us);
    world->config =
        (struct bridge_config){ .broker = world->broker,
                                .random = &world->random,
                                .socket = world,
                                .name = "b",
                                .client_id = "b",
                                .protocol = how & 1 ? BRIDGE_PROTOCOL_3_1_1 : BRIDGE_PROTOCOL_AUTO,
                                .clean = how & 2,
                                .drop_retain = how & 4,
                                .notification_topic = how & 8 ? "state" : NULL,
                                .packet_size_max = 1000,
                                .receive_max = 3,
                                .queue_count_max = 5,
                                .queue_bytes_max = 1000 };
    add_rule(world, how & 16 ? BRIDGE_BOTH : BRIDGE_OUT, "a/#", "", "");
    add_rule(world, BRIDGE_IN, "+", "from/", "b/");
    world->bridge = bridge_new(&world->config, world->now_us);
    run(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = { .now_us = TIME_US_PER_S };
    struct reader reader = reader_of(data, size);
    start(&world, reader_u8(&reader));
    while (reader_left(&reader) >= 2) {
        uint8_t what = reader_u8(&reader);
        step(&world, what, reader_u8(&reader), &reader);
    }
    bridge_free(world.bridge, world.now_us);
    bridge_topics_done(&world.config.topics);
    broker_free(world.broker);
    free(world.unread);
    return 0;
}
