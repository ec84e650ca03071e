// Journals that were never written by a broker: they are refused or taken, and then what came of
// them is shortened, resumed, aged, and given to a client that asks for everything.
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int login(struct broker_owner *self, struct broker_client *client,
                 const struct broker_login *login, struct bytes *ret_user)
{
    (void)self, (void)client;
    *ret_user = login->user;
    return MQTT_SUCCESS;
}

static bool may(struct broker_owner *self, const struct broker_client *client, struct bytes topic)
{
    (void)self, (void)client, (void)topic;
    return true;
}

static void tick(struct broker *broker, uint64_t now_us)
{
    if (broker_deadline(broker) <= now_us)
        broker_tick(broker, now_us);
}

static void ask(struct broker *broker, uint64_t now_us, const char *id)
{
    static const struct mqtt_subscription all = { { (const uint8_t *)"#", 1 }, { .qos = 2 } };
    struct net_address remote = net_address_ipv4(192, 0, 2, 1, 1000);
    struct broker_client *client = broker_client_open(broker, now_us, NULL, &remote);
    uint8_t memory[256];
    struct writer writer = writer_of(memory, sizeof(memory));
    struct mqtt_connect connect = { .version = MQTT_5, .client_id = bytes_of_text(id) };
    mqtt_write_connect(&writer, &connect, bytes_of("\x11\xff\xff\xff\xff", 5), bytes_of(NULL, 0));
    mqtt_write_subscribe(&writer, MQTT_5, 1, &all, 1, 1);
    ensure(broker_client_input(client, now_us, writer_written(&writer)) == writer.size);
    struct bytes output;
    while (broker_next_ready(broker)) {
        output = broker_client_output(client, now_us);
        struct mqtt_frame frame;
        while (output.size > 0) {
            ensure(mqtt_frame_read(output, MQTT_PACKET_SIZE_MAX, &frame) == 0);
            output = bytes_of(output.data + frame.size, output.size - frame.size);
        }
    }
    broker_client_closed(client, now_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct random random;
    random_seeded_init(&random, 1);
    struct broker_owner owner = { .login = login, .may_publish = may, .may_subscribe = may };
    struct broker_config config = { .random = &random, .owner = &owner };
    uint64_t now_us = TIME_US_PER_S;
    struct broker *broker = broker_new(&config, now_us);
    broker_set_unix_offset(broker, 1700000000ull * TIME_US_PER_S);
    // memory of its own, so that a read behind the end is found
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    int result = broker_restore(broker, bytes_of(copy, size));
    free(copy);
    // a snapshot of whatever there is can be read
    size_t shorter;
    uint8_t *snapshot = broker_snapshot(broker, &shorter);
    struct broker *second = broker_new(&config, now_us);
    broker_set_unix_offset(second, 1700000000ull * TIME_US_PER_S);
    ensure(broker_restore(second, bytes_of(snapshot, shorter)) == 0 || result != 0);
    free(snapshot);
    broker_free(second);
    broker_resume(broker, now_us);
    tick(broker, now_us);
    ask(broker, now_us, "c");
    now_us += 100 * TIME_US_PER_S;
    tick(broker, now_us);
    ask(broker, now_us, "stranger");
    broker_free(broker);
    return 0;
}
