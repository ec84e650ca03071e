// Bridges of other brokers as our clients: Mosquitto's set a bit of the protocol level, and tell
// their state below $SYS.
#include "broker_stage.h"

#define STATE "$SYS/broker/connection/site.west/state"

static void come_as_bridge(struct stage *stage)
{
    struct mqtt_connect connect = { .version = MQTT_3_1_1,
                                    .clean_start = true,
                                    .is_bridge = true,
                                    .client_id = bytes_of_text("bridge"),
                                    .has_will = true,
                                    .will = { .topic = bytes_of_text(STATE),
                                              .payload = bytes_of_text("0"),
                                              .qos = 1,
                                              .retain = true } };
    device_ask(&stage->world, &stage->ann, &connect, nothing());
    assert_int_equal(device_expect(&stage->ann, MQTT_CONNACK).connack.reason, MQTT_ACCEPTED);
}

static void test_a_bridge_does_not_get_its_own_messages_back(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_3_1_1);
    come_as_bridge(&stage);
    device_come(&stage.world, &stage.ben, MQTT_5, "ben");
    device_subscribe(&stage.ann, "a/#", 1);
    device_publish_whole(&stage.ann, "a/x", "mine", 1, 1);
    device_expect_nothing(&stage.ann);
    // and keeps the retain flag of others'
    device_retain(&stage.ben, "a/x", "retained");
    assert_true(device_expect_message(&stage.ann, "a/x", "retained", 0).publish.retain);
    stage_done(&stage);
}

static void test_a_bridge_tells_its_state(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_3_1_1);
    come_as_bridge(&stage);
    device_retain(&stage.ann, STATE, "1");
    device_come(&stage.world, &stage.ben, MQTT_5, "ben");
    device_subscribe(&stage.ben, STATE, 1);
    device_expect_message(&stage.ben, STATE, "1", 0);
    device_lose(&stage.ann);
    device_expect_message(&stage.ben, STATE, "0", 1);
    // what else is below $SYS stays the server's
    device_publish(&stage.ben, "$SYS/broker/version", "x", 1, 1);
    assert_int_equal(device_expect(&stage.ben, MQTT_PUBACK).ack.reason, MQTT_NOT_AUTHORIZED);
    stage_done(&stage);
}

static void test_the_bit_is_not_for_5(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    device_open(&stage.world, &stage.ann, MQTT_5);
    device_send_hex(&stage.ann, "100e00044d51545485020000000000016100");
    assert_int_equal(device_expect(&stage.ann, MQTT_CONNACK).connack.reason,
                     MQTT_UNSUPPORTED_VERSION);
    device_expect_closed(&stage.ann);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bridge_does_not_get_its_own_messages_back),
        cmocka_unit_test(test_a_bridge_tells_its_state),
        cmocka_unit_test(test_the_bit_is_not_for_5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
