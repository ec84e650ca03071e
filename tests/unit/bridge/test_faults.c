// A connection that is lost, and processes that die, before every single packet that crosses a
// bridge: what was published with QoS 1 arrives, with QoS 2 once and no more, in order, whichever
// way it goes and whichever version is spoken.
#include "bridge_world.h"

#include <stdio.h>

#define MESSAGES  5
#define STEPS_MAX 120

struct run {
    enum bridge_direction direction;
    enum bridge_protocol protocol;
    uint8_t qos;
    enum fault fault;
    unsigned at;
};

static void come(struct world *world, struct device *device, const char *id)
{
    if (device->world)
        device_done(device);
    device_connect(world, device, MQTT_5, id, false, 100000);
}

static void publish(struct device *device, unsigned number, uint8_t qos)
{
    char payload[16];
    snprintf(payload, sizeof(payload), "%u", number);
    device_publish_whole(device, "a/b", payload, qos, (uint16_t)(number + 1));
}

/** What waits in the subscriber's session: all of it, in order, and whether it came once. */
static void collect(struct device *device, const struct run *run)
{
    unsigned next = 0;
    struct mqtt_packet packet;
    while (device_next(device, &packet)) {
        if (packet.type == MQTT_PUBREL) {
            device_ack(device, MQTT_PUBCOMP, packet.ack.packet_id);
            continue;
        }
        assert_int_equal(packet.type, MQTT_PUBLISH);
        assert_int_equal(packet.publish.qos, run->qos);
        uint64_t number;
        assert_int_equal(text_parse_u64(packet.publish.payload, MESSAGES, &number), 0);
        if (run->qos == 2)
            assert_int_equal(number, next);
        else
            assert_true(number <= next);
        next = max_of(next, (unsigned)number + 1);
        device_ack(device, run->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, packet.publish.packet_id);
    }
    assert_int_equal(next, MESSAGES);
}

/** Returns whether the fault struck: there was such a packet. */
static bool one_run(const struct run *run)
{
    struct bridge_world world;
    struct device ann = { 0 }, ben = { 0 };
    bridge_world_init(&world);
    world.config.protocol = run->protocol;
    bridge_rule(&world, "a/#", run->direction, 2, "", "");
    bridge_begin(&world);
    bool is_out = run->direction == BRIDGE_OUT;
    struct world *from = is_out ? &world.here : &world.there;
    struct world *to = is_out ? &world.there : &world.here;

    come(to, &ben, "ben");
    device_subscribe(&ben, "a/#", 2);
    device_done(&ben);
    bridge_up(&world);
    come(from, &ann, "ann");
    world.fault = run->fault;
    world.fault_at = run->at;
    for (unsigned i = 0; i < MESSAGES; i++)
        publish(&ann, i, run->qos);
    bridge_pump(&world);
    bool struck = world.fault == FAULT_NONE;
    if (struck && run->fault == (is_out ? FAULT_CRASH_HERE : FAULT_CRASH_THERE))
        device_forget(&ann);
    world.fault = FAULT_NONE;
    bridge_up(&world);
    bridge_wait(&world, 1);

    come(to, &ben, "ben");
    collect(&ben, run);
    device_done(&ben);
    device_done(&ann);
    bridge_world_done(&world);
    return struck;
}

static void every_step(enum bridge_direction direction, enum fault fault)
{
    for (enum bridge_protocol protocol = BRIDGE_PROTOCOL_AUTO; protocol <= BRIDGE_PROTOCOL_3_1_1;
         protocol++) {
        for (uint8_t qos = 1; qos <= 2; qos++) {
            struct run run = { direction, protocol, qos, fault, 0 };
            while (run.at < STEPS_MAX && one_run(&run))
                run.at++;
            // each message needs at least its PUBLISH and its answer, and then nothing is left
            assert_in_range(run.at, (uint64_t)MESSAGES * 2 * qos, STEPS_MAX - 1);
        }
    }
}

static void test_lost_connections_out(void **state)
{
    (void)state;
    every_step(BRIDGE_OUT, FAULT_CUT);
}

static void test_lost_connections_in(void **state)
{
    (void)state;
    every_step(BRIDGE_IN, FAULT_CUT);
}

static void test_our_process_dies_out(void **state)
{
    (void)state;
    every_step(BRIDGE_OUT, FAULT_CRASH_HERE);
}

static void test_our_process_dies_in(void **state)
{
    (void)state;
    every_step(BRIDGE_IN, FAULT_CRASH_HERE);
}

static void test_the_other_process_dies_out(void **state)
{
    (void)state;
    every_step(BRIDGE_OUT, FAULT_CRASH_THERE);
}

static void test_the_other_process_dies_in(void **state)
{
    (void)state;
    every_step(BRIDGE_IN, FAULT_CRASH_THERE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_connections_out),
        cmocka_unit_test(test_lost_connections_in),
        cmocka_unit_test(test_our_process_dies_out),
        cmocka_unit_test(test_our_process_dies_in),
        cmocka_unit_test(test_the_other_process_dies_out),
        cmocka_unit_test(test_the_other_process_dies_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
