// Messages that expire, clients that are silent, and goodbyes (5.0, 3.3.2.3.3, 3.1.2.10, 3.14).
#include "broker_stage.h"

static void publish_for(struct device *device, const char *payload, uint8_t qos, uint16_t packet_id,
                        uint32_t seconds, bool retain)
{
    struct block block;
    mqtt_write_property_four(block_begin(&block), MQTT_PROPERTY_MESSAGE_EXPIRY, seconds);
    struct mqtt_publish publish = { .topic = bytes_of_text("a"),
                                    .payload = bytes_of_text(payload),
                                    .qos = qos,
                                    .packet_id = packet_id,
                                    .retain = retain };
    device_publish_with(device, &publish, block_bytes(&block));
}

static void test_mqtt_3_3_2_6_the_time_that_is_left_is_told(void **state)
{
    (void)state;
    for (int crash = 0; crash <= 1; crash++) {
        struct stage stage;
        stage_empty(&stage, MQTT_5);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 1);
        device_come(&stage.world, &stage.ann, MQTT_5, "ann");
        publish_for(&stage.ann, "now", 1, 1, 100, false);
        struct mqtt_packet packet = device_expect_message(&stage.ben, "a", "now", 1);
        assert_int_equal(packet.properties.message_expiry_s, 100);
        device_ack(&stage.ben, MQTT_PUBACK, packet.publish.packet_id);
        device_lose(&stage.ben);
        publish_for(&stage.ann, "later", 1, 2, 100, false);
        device_publish(&stage.ann, "a", "without", 1, 3);
        world_wait(&stage.world, 40 - (uint64_t)crash);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
        }
        stage_keep(&stage, &stage.ben, "ben");
        packet = device_expect_message(&stage.ben, "a", "later", 1);
        assert_int_equal(packet.properties.message_expiry_s, 60);
        packet = device_expect_message(&stage.ben, "a", "without", 1);
        assert_false(mqtt_has(&packet.properties, MQTT_PROPERTY_MESSAGE_EXPIRY));
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_2_5_what_has_expired_is_not_sent(void **state)
{
    (void)state;
    for (int crash = 0; crash <= 1; crash++) {
        struct stage stage;
        stage_empty(&stage, MQTT_5);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 2);
        device_lose(&stage.ben);
        device_come(&stage.world, &stage.ann, MQTT_5, "ann");
        publish_for(&stage.ann, "1", 1, 1, 10, false);
        publish_for(&stage.ann, "2", 2, 2, 10, false);
        publish_for(&stage.ann, "long", 1, 3, 1000, false);
        world_wait(&stage.world, 11);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
        }
        stage_keep(&stage, &stage.ben, "ben");
        device_expect_message(&stage.ben, "a", "long", 1);
        device_expect_nothing(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DROPPED_EXPIRED), 2);
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_2_5_nor_to_a_socket_that_waits(void **state)
{
    (void)state; // it has its identifier, and was never sent
    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct stage stage;
        stage_both(&stage, MQTT_5);
        device_subscribe(&stage.ben, "a", 2);
        stage.ben.deaf = true;
        publish_for(&stage.ann, "short", qos, qos, 10, false);
        device_publish(&stage.ann, "a", "long", qos, (uint16_t)(qos * 10));
        world_wait(&stage.world, 11);
        stage.ben.deaf = false;
        broker_client_block(stage.ben.client, false);
        world_run(&stage.world);
        device_expect_message(&stage.ben, "a", "long", qos);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_mqtt_4_3_3_7_what_was_sent_does_not_expire(void **state)
{
    (void)state; // [MQTT-4.3.3-13]
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    stage_keep(&stage, &stage.ben, "ben");
    device_subscribe(&stage.ben, "a", 2);
    stage_keep(&stage, &stage.ann, "ann");
    publish_for(&stage.ann, "x", 2, 1, 10, false);
    device_expect(&stage.ann, MQTT_PUBREC);
    uint16_t id = device_expect_message(&stage.ben, "a", "x", 2).publish.packet_id;
    world_wait(&stage.world, 20);
    stage_keep(&stage, &stage.ben, "ben");
    struct mqtt_publish again = device_expect_message(&stage.ben, "a", "x", 2).publish;
    assert_true(again.dup && again.packet_id == id);
    device_ack(&stage.ben, MQTT_PUBREC, id);
    device_expect(&stage.ben, MQTT_PUBREL);
    publish_for(&stage.ann, "x", 2, 1, 10, false); // nor does what we remember of it
    device_expect(&stage.ann, MQTT_PUBREC);
    device_expect_nothing(&stage.ben);
    device_ack(&stage.ann, MQTT_PUBREL, 1);
    assert_int_equal(device_expect(&stage.ann, MQTT_PUBCOMP).ack.reason, 0);
    stage_done(&stage);
}

static void test_what_has_expired_makes_room(void **state)
{
    (void)state;
    struct stage stage = { .version = MQTT_5 };
    world_init(&stage.world, &(struct broker_config){ .journal = true, .queue_count_max = 3 });
    stage_keep(&stage, &stage.ben, "ben");
    device_subscribe(&stage.ben, "a", 1);
    device_lose(&stage.ben);
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    for (uint16_t i = 1; i <= 3; i++)
        publish_for(&stage.ann, "short", 1, i, 10, false);
    device_publish(&stage.ann, "a", "no room", 1, 4);
    world_wait(&stage.world, 11);
    device_publish(&stage.ann, "a", "room", 1, 5);
    stage_keep(&stage, &stage.ben, "ben");
    device_expect_message(&stage.ben, "a", "room", 1);
    device_expect_nothing(&stage.ben);
    stage_done(&stage);
}

static void test_retained_messages_expire(void **state)
{
    (void)state;
    for (int crash = 0; crash <= 1; crash++) {
        struct stage stage;
        stage_empty(&stage, MQTT_5);
        device_come(&stage.world, &stage.ann, MQTT_5, "ann");
        publish_for(&stage.ann, "short", 0, 0, 30, true);
        device_retain(&stage.ann, "b", "stays");
        world_wait(&stage.world, 10);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
        }
        device_come(&stage.world, &stage.ben, MQTT_5, "ben");
        device_subscribe(&stage.ben, "a", 0);
        struct mqtt_packet packet = device_expect_message(&stage.ben, "a", "short", 0);
        assert_int_equal(packet.properties.message_expiry_s, 20 - crash);
        world_wait(&stage.world, 22);
        // nobody has to ask for it to be gone
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_RETAINED), 1);
        device_subscribe(&stage.ben, "#", 0);
        device_expect_message(&stage.ben, "b", "stays", 0);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_one_that_replaces_it_has_its_own_time(void **state)
{
    (void)state;
    struct stage stage;
    stage_both(&stage, MQTT_5);
    publish_for(&stage.ann, "short", 0, 0, 10, true);
    publish_for(&stage.ann, "long", 0, 0, 100, true);
    world_wait(&stage.world, 50);
    assert_int_equal(world_metric(&stage.world, BROKER_METRIC_RETAINED), 1);
    device_retain(&stage.ann, "a", "always");
    world_wait(&stage.world, 100);
    device_subscribe(&stage.ben, "a", 0);
    device_expect_message(&stage.ben, "a", "always", 0);
    stage_done(&stage);
}

/** ---- silence ---- */

static void come_alive(struct stage *stage, struct device *device, uint16_t keep_alive_s)
{
    struct mqtt_connect connect = { .version = stage->version,
                                    .clean_start = true,
                                    .keep_alive_s = keep_alive_s,
                                    .client_id = bytes_of_text("ann") };
    device_ask(&stage->world, device, &connect, nothing());
    assert_int_equal(device_expect(device, MQTT_CONNACK).connack.reason, 0);
}

static void test_mqtt_3_1_2_22_silence_ends_a_connection(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.1.2-24]; [MQTT-3.12.4-1], [MQTT-3.2.2-22]
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        come_alive(&stage, &stage.ann, 10);
        for (int i = 0; i < 3; i++) {
            world_wait(&stage.world, 14);
            device_send_hex(&stage.ann, "c000");
            device_expect(&stage.ann, MQTT_PINGRESP);
        }
        world_wait(&stage.world, 14);
        device_publish(&stage.ann, "a", "x", 0, 0); // any packet is a sign of life
        world_wait(&stage.world, 14);
        device_expect_nothing(&stage.ann);
        world_wait(&stage.world, 3);
        device_expect_ended(&stage.ann, MQTT_KEEP_ALIVE_TIMEOUT);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SILENT), 1);
        stage_done(&stage);
    }
}

static void test_a_part_of_a_packet_is_no_sign_of_life(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        come_alive(&stage, &stage.ann, 10);
        for (int i = 0; i < 16 && stage.ann.client; i++) {
            device_send(&stage.ann, bytes_of(i ? "x" : "\x30\x7f", i ? 1 : 2));
            world_wait(&stage.world, 1);
        }
        device_expect_ended(&stage.ann, MQTT_KEEP_ALIVE_TIMEOUT);
        stage_done(&stage);
    }
}

static void test_a_client_that_reads_nothing_is_silent_too(void **state)
{
    (void)state; // its pings are not read while it does not take what we have
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        come_alive(&stage, &stage.ann, 10);
        stage.ann.deaf = true;
        for (int i = 0; i < 600; i++)
            device_send_hex(&stage.ann, "c000");
        assert_true(broker_client_is_busy(stage.ann.client));
        assert_true(stage.ann.unread_size > 0);
        world_wait(&stage.world, 17);
        stage.ann.deaf = false;
        broker_client_block(stage.ann.client, false);
        world_run(&stage.world);
        assert_null(stage.ann.client);
        stage_done(&stage);
    }
}

static void test_zero_is_never(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        come_alive(&stage, &stage.ann, 0);
        world_wait(&stage.world, 100000);
        device_expect_nothing(&stage.ann);
        stage_done(&stage);
    }
}

static void test_mqtt_3_2_2_21_the_server_may_want_more_life(void **state)
{
    (void)state;
    static const uint16_t wishes[] = { 0, 5, 20, 21, 65535 };
    for (size_t i = 0; i < array_size(wishes); i++) {
        struct stage stage = { .version = MQTT_5 };
        world_init(&stage.world, &(struct broker_config){ .keep_alive_max_s = 20 });
        struct mqtt_connect connect = { .version = MQTT_5,
                                        .keep_alive_s = wishes[i],
                                        .client_id = bytes_of_text("ann") };
        device_ask(&stage.world, &stage.ann, &connect, nothing());
        struct mqtt_packet connack = device_expect(&stage.ann, MQTT_CONNACK);
        bool is_told = wishes[i] == 0 || wishes[i] > 20;
        assert_int_equal(connack.properties.server_keep_alive_s, is_told ? 20 : 0);
        world_wait(&stage.world, 32);
        device_expect_ended(&stage.ann, MQTT_KEEP_ALIVE_TIMEOUT);
        stage_done(&stage);
    }
}

/** ---- goodbyes ---- */

static void test_mqtt_3_14_4_2_disconnect_ends_it(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.14.4-2]; what follows it is not read
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "#", 0);
        device_send_hex(&stage.ann, version == MQTT_5 ? "e00030040001610078" : "e000300400016178");
        device_expect_closed(&stage.ann);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_mqtt_3_14_4_1_nothing_follows_our_disconnect(void **state)
{
    (void)state; // [MQTT-3.14.2-2]: it has no expiry
    struct stage stage;
    stage_both(&stage, MQTT_5);
    device_subscribe(&stage.ben, "#", 0);
    device_publish(&stage.ann, "a", "x", 0, 0);
    stage.ben.deaf = true;
    device_publish(&stage.ann, "a", "y", 0, 0);
    broker_drain(stage.world.broker, stage.world.now_us);
    stage.ben.deaf = false;
    world_run(&stage.world);
    device_expect_message(&stage.ben, "a", "x", 0);
    struct mqtt_packet packet = device_expect(&stage.ben, MQTT_DISCONNECT);
    assert_int_equal(packet.notice.reason, MQTT_SERVER_SHUTTING_DOWN);
    assert_int_equal(packet.properties.present, 0);
    device_expect_closed(&stage.ben);
    stage_done(&stage);
}

static void test_mqtt_3_14_0_1_no_disconnect_before_connack(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    device_open(&stage.world, &stage.ann, MQTT_5);
    stage.world.login_result = -EINPROGRESS;
    struct mqtt_connect connect = { .version = MQTT_5, .client_id = bytes_of_text("ben") };
    device_ask(&stage.world, &stage.ben, &connect, nothing());
    broker_drain(stage.world.broker, stage.world.now_us);
    world_run(&stage.world);
    device_expect_closed(&stage.ann);
    device_expect_closed(&stage.ben);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_3_3_2_6_the_time_that_is_left_is_told),
        cmocka_unit_test(test_mqtt_3_3_2_5_what_has_expired_is_not_sent),
        cmocka_unit_test(test_mqtt_3_3_2_5_nor_to_a_socket_that_waits),
        cmocka_unit_test(test_mqtt_4_3_3_7_what_was_sent_does_not_expire),
        cmocka_unit_test(test_what_has_expired_makes_room),
        cmocka_unit_test(test_retained_messages_expire),
        cmocka_unit_test(test_one_that_replaces_it_has_its_own_time),
        cmocka_unit_test(test_mqtt_3_1_2_22_silence_ends_a_connection),
        cmocka_unit_test(test_a_part_of_a_packet_is_no_sign_of_life),
        cmocka_unit_test(test_a_client_that_reads_nothing_is_silent_too),
        cmocka_unit_test(test_zero_is_never),
        cmocka_unit_test(test_mqtt_3_2_2_21_the_server_may_want_more_life),
        cmocka_unit_test(test_mqtt_3_14_4_2_disconnect_ends_it),
        cmocka_unit_test(test_mqtt_3_14_4_1_nothing_follows_our_disconnect),
        cmocka_unit_test(test_mqtt_3_14_0_1_no_disconnect_before_connack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
