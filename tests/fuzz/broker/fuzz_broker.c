// A broker and a few connections to it, all of whose bytes are the fuzzer's: what they send and in
// which pieces, when their sockets stop, when they are lost, when time goes on, when the disk has
// written, and when the process dies. All memory must be given back at the end.
//
//     each step: | what (high 4 bits) and which connection (low 4) | size, or how long | bytes |
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "broker/broker.h"
#include "proto/mqtt/mqtt_topic.h"

#define CONNECTIONS 4
#define DISK_MAX    (1u << 20)

enum step {
    STEP_SEND = 0, /**< and 1 to 7 */
    STEP_LOSE = 8,
    STEP_WAIT,
    STEP_DEAF,
    STEP_DISK,
    STEP_CRASH,
    STEP_ADMIT,
    STEP_NEWS,
};

struct socket {
    struct broker_client *client;
    struct net_address remote;
    uint8_t *unread;
    size_t unread_size;
    bool deaf;
};

struct world {
    struct broker_owner owner;
    struct random random;
    struct broker_config config;
    struct broker *broker;
    uint64_t now_us;
    uint8_t *disk;
    size_t disk_size;
    bool disk_waits;
    struct socket sockets[CONNECTIONS];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** ---- the owner ---- */

static int login(struct broker_owner *self, struct broker_client *client,
                 const struct broker_login *login, struct bytes *ret_user)
{
    (void)self, (void)client;
    if (text_equal(login->user, "later"))
        return -EINPROGRESS;
    if (text_equal(login->user, "nobody"))
        return MQTT_NOT_AUTHORIZED;
    *ret_user = bytes_of(login->user.data, min_of(login->user.size, (size_t)255));
    return MQTT_SUCCESS;
}

static bool may(struct broker_owner *self, const struct broker_client *client, struct bytes topic)
{
    (void)self, (void)client;
    ensure(topic.size > 0);
    return topic.data[0] != 'x';
}

static void say(struct broker_client *client, uint64_t now_us, struct bytes topic)
{
    int result = broker_client_send(
        client, now_us,
        &(struct broker_publication){
            .topic = topic, .payload = bytes_of_text("for you alone"), .qos = 1 });
    if (result != 0 && result != -ENOENT && result != -ENOBUFS)
        abort();
}

/** What is below "o/" is taken, and answered under the same name. */
static int take(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                const struct mqtt_publish *publish, const struct mqtt_properties *properties)
{
    (void)self, (void)properties;
    if (!text_starts_with(publish->topic, "o/"))
        return -ENOENT;
    say(client, now_us, publish->topic);
    return MQTT_SUCCESS;
}

static void here(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                 bool present)
{
    (void)self;
    if (broker_client_has_subscribed(client, bytes_of_text("o/x")) && !present)
        abort();
    say(client, now_us, bytes_of_text("o/x"));
}

static void subscribed(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                       struct bytes filter, bool is_there)
{
    (void)self;
    if (broker_client_has_subscribed(client, filter) != is_there &&
        !text_starts_with(filter, "$share/"))
        abort();
    if (is_there && mqtt_topic_is_valid(filter))
        say(client, now_us, filter);
}

static void left(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                 enum broker_leave how)
{
    (void)self, (void)how;
    say(client, now_us, bytes_of_text("o/x"));
}

/** ---- moving bytes ---- */

static void write_journal(struct world *world)
{
    if (world->disk_waits)
        return;
    size_t size;
    uint64_t position;
    uint8_t *batch = broker_journal_take(world->broker, &size, &position);
    if (size > 0 && world->disk_size + size < DISK_MAX) {
        world->disk = memory_resize(world->disk, world->disk_size + size);
        memcpy(world->disk + world->disk_size, batch, size);
        world->disk_size += size;
    }
    free(batch);
    broker_journal_durable(world->broker, position);
}

static void feed(struct world *world, struct socket *socket)
{
    size_t taken = broker_client_input(socket->client, world->now_us,
                                       bytes_of(socket->unread, socket->unread_size));
    ensure(taken <= socket->unread_size);
    socket->unread_size -= taken;
    memmove(socket->unread, socket->unread + taken, socket->unread_size);
}

/** What the broker sends can be read. */
static void check(struct bytes output)
{
    struct mqtt_frame frame;
    while (output.size > 0) {
        ensure(mqtt_frame_read(output, MQTT_PACKET_SIZE_MAX, &frame) == 0);
        output = bytes_of(output.data + frame.size, output.size - frame.size);
    }
}

static void lose(struct world *world, struct socket *socket)
{
    if (socket->client)
        broker_client_closed(socket->client, world->now_us);
    free(socket->unread);
    *socket = (struct socket){ 0 };
}

static void run(struct world *world)
{
    write_journal(world);
    struct broker_client *client;
    while ((client = broker_next_ready(world->broker))) {
        struct socket *socket = broker_client_socket(client);
        if (socket->deaf) {
            broker_client_block(client, true);
            continue;
        }
        check(broker_client_output(client, world->now_us));
        if (broker_client_is_over(client))
            lose(world, socket);
        else if (socket->unread_size > 0)
            feed(world, socket);
        write_journal(world);
    }
}

/** ---- steps ---- */

static void send_bytes(struct world *world, struct socket *socket, struct bytes bytes)
{
    if (!socket->client) {
        socket->remote = net_address_ipv4(192, 0, 2, 1, 1000);
        socket->client = broker_client_open(world->broker, world->now_us, socket, &socket->remote);
        ensure(socket->client);
    }
    // a caller reads no more while the broker does not take it
    if (broker_client_is_busy(socket->client) && socket->unread_size > 4096)
        return;
    socket->unread = memory_resize(socket->unread, socket->unread_size + bytes.size + 1);
    if (bytes.size > 0)
        memcpy(socket->unread + socket->unread_size, bytes.data, bytes.size);
    socket->unread_size += bytes.size;
    feed(world, socket);
}

static void start(struct world *world)
{
    world->broker = broker_new(&world->config, world->now_us);
    broker_set_unix_offset(world->broker, 1700000000ull * TIME_US_PER_S);
}

static void crash(struct world *world)
{
    broker_free(world->broker);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        world->sockets[i].client = NULL;
        lose(world, &world->sockets[i]);
    }
    start(world);
    ensure(broker_restore(world->broker, bytes_of(world->disk, world->disk_size)) == 0);
    size_t size;
    free(broker_snapshot(world->broker, &size));
    broker_resume(world->broker, world->now_us);
}

static void step(struct world *world, uint8_t what, uint8_t size, struct reader *reader)
{
    struct socket *socket = &world->sockets[(what & 15) % CONNECTIONS];
    struct bytes bytes;
    switch (what >> 4) {
    case STEP_LOSE:
        lose(world, socket);
        break;
    case STEP_WAIT:
        world->now_us += (uint64_t)size * size * TIME_US_PER_S / 16;
        if (broker_deadline(world->broker) <= world->now_us)
            broker_tick(world->broker, world->now_us);
        break;
    case STEP_DEAF:
        socket->deaf = !socket->deaf;
        if (socket->client && !socket->deaf)
            broker_client_block(socket->client, false);
        break;
    case STEP_DISK:
        world->disk_waits = !world->disk_waits;
        break;
    case STEP_CRASH:
        crash(world);
        break;
    case STEP_ADMIT:
        if (!socket->client)
            break;
        broker_client_admit(socket->client, world->now_us, size & 1 ? MQTT_NOT_AUTHORIZED : 0,
                            bytes_of_text("late"));
        feed(world, socket);
        break;
    case STEP_NEWS:
        broker_publish(world->broker, world->now_us,
                       &(struct broker_publication){ .topic = bytes_of_text("$news"),
                                                     .payload = bytes_of_text("n"),
                                                     .retain = size & 4,
                                                     .qos = size & 1,
                                                     .expiry_s = size & 8 });
        break;
    default:
        bytes = reader_bytes(reader, min_of((size_t)size, reader_left(reader)));
        send_bytes(world, socket, bytes);
    }
    run(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = { .now_us = TIME_US_PER_S };
    world.owner = (struct broker_owner){ .login = login,
                                         .may_publish = may,
                                         .may_subscribe = may,
                                         .take = take,
                                         .here = here,
                                         .subscribed = subscribed,
                                         .left = left };
    random_seeded_init(&world.random, 1);
    world.config = (struct broker_config){ .random = &world.random,
                                           .owner = &world.owner,
                                           .packet_size_max = 1000,
                                           .receive_max = 3,
                                           .alias_max = 3,
                                           .inflight_max = 3,
                                           .queue_count_max = 6,
                                           .queue_bytes_max = 600,
                                           .memory_max = 8000,
                                           .state_max = 60000,
                                           .subscription_count_max = 8,
                                           .retained_count_max = 8,
                                           .session_count_max = 6,
                                           .session_expiry_max_s = 5000,
                                           .reserved = "o",
                                           .journal = true };
    start(&world);
    struct reader reader = reader_of(data, size);
    while (reader_left(&reader) >= 2) {
        uint8_t what = reader_u8(&reader);
        step(&world, what, reader_u8(&reader), &reader);
    }
    for (size_t i = 0; i < CONNECTIONS; i++)
        lose(&world, &world.sockets[i]);
    // what it kept leads to a broker again
    world.disk_waits = false;
    run(&world);
    if (world.disk_size < DISK_MAX / 2)
        crash(&world);
    broker_free(world.broker);
    free(world.disk);
    return 0;
}
