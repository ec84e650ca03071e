// How much at a time, how large, and under which names: limits that both sides tell each other.
#include "broker_stage.h"

static struct bytes with_two(struct block *block, enum mqtt_property property, uint16_t value)
{
    mqtt_write_property_two(block_begin(block), property, value);
    return block_bytes(block);
}

static struct bytes with_four(struct block *block, enum mqtt_property property, uint32_t value)
{
    mqtt_write_property_four(block_begin(block), property, value);
    return block_bytes(block);
}

static unsigned count_messages(struct device *device, uint16_t *ret_last_id)
{
    unsigned count = 0;
    struct mqtt_packet packet;
    while (device_next(device, &packet)) {
        if (packet.type != MQTT_PUBLISH)
            continue;
        count++;
        *ret_last_id = packet.publish.packet_id;
    }
    return count;
}

static void test_mqtt_3_3_4_9_no_more_than_the_receive_maximum(void **state)
{
    (void)state; // [MQTT-4.9.0-1], -2
    for (uint8_t qos = 1; qos <= 2; qos++) {
        struct stage stage;
        stage_both(&stage, MQTT_5);
        struct block block;
        device_come_with(&stage.world, &stage.ben, "ben",
                         with_two(&block, MQTT_PROPERTY_RECEIVE_MAXIMUM, 3));
        device_subscribe(&stage.ben, "a", 2);
        for (uint16_t i = 1; i <= 10; i++)
            device_publish(&stage.ann, "a", "x", qos, i);
        uint16_t id = 0;
        assert_int_equal(count_messages(&stage.ben, &id), 3);
        // QoS 0 does not count, but it keeps its place
        device_publish(&stage.ann, "a", "last", 0, 0);
        assert_int_equal(count_messages(&stage.ben, &id), 0);
        if (qos == 1) {
            device_ack(&stage.ben, MQTT_PUBACK, id);
            assert_int_equal(count_messages(&stage.ben, &id), 1);
        } else {
            device_ack(&stage.ben, MQTT_PUBREC, id);
            assert_int_equal(device_expect(&stage.ben, MQTT_PUBREL).ack.packet_id, id);
            assert_int_equal(count_messages(&stage.ben, &id), 0);
            device_ack(&stage.ben, MQTT_PUBCOMP, id);
            assert_int_equal(count_messages(&stage.ben, &id), 1);
            // a refusal is an end as well
            device_ack_reason(&stage.ben, MQTT_PUBREC, id, MQTT_UNSPECIFIED_ERROR);
            assert_int_equal(count_messages(&stage.ben, &id), 1);
        }
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_4_9_when_messages_come_again(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    stage_keep(&stage, &stage.ben, "ben");
    device_subscribe(&stage.ben, "a", 1);
    for (uint16_t i = 1; i <= 10; i++)
        device_publish(&stage.ann, "a", "x", 1, i);
    uint16_t id = 0;
    assert_int_equal(count_messages(&stage.ben, &id), 10);
    struct block block;
    struct writer *writer = block_begin(&block);
    mqtt_write_property_four(writer, MQTT_PROPERTY_SESSION_EXPIRY, 3600);
    mqtt_write_property_two(writer, MQTT_PROPERTY_RECEIVE_MAXIMUM, 2);
    device_come_with(&stage.world, &stage.ben, "ben", block_bytes(&block));
    for (int rest = 10; rest > 0; rest -= 2) {
        struct mqtt_publish first = device_expect_message(&stage.ben, "a", "x", 1).publish;
        struct mqtt_publish second = device_expect_message(&stage.ben, "a", "x", 1).publish;
        device_expect_nothing(&stage.ben);
        assert_true(first.dup && second.dup);
        uint8_t both[] = { 0x40, 2, (uint8_t)(first.packet_id >> 8),  (uint8_t)first.packet_id,
                           0x40, 2, (uint8_t)(second.packet_id >> 8), (uint8_t)second.packet_id };
        device_send(&stage.ben, bytes_of(both, sizeof(both)));
    }
    device_expect_nothing(&stage.ben);
    assert_int_equal(world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES), 0);
    stage_done(&stage);
}

static void test_mqtt_3_3_4_10_other_packets_are_not_delayed(void **state)
{
    (void)state; // [MQTT-4.9.0-3]
    struct stage stage;
    stage_both(&stage, MQTT_5);
    struct block block;
    device_come_with(&stage.world, &stage.ben, "ben",
                     with_two(&block, MQTT_PROPERTY_RECEIVE_MAXIMUM, 1));
    device_subscribe(&stage.ben, "a", 2);
    device_publish(&stage.ann, "a", "1", 2, 1);
    device_publish(&stage.ann, "a", "2", 2, 2);
    uint16_t id = device_expect_message(&stage.ben, "a", "1", 2).publish.packet_id;
    device_publish(&stage.ben, "b", "x", 1, 9);
    device_expect(&stage.ben, MQTT_PUBACK);
    device_subscribe(&stage.ben, "c", 0);
    device_unsubscribe(&stage.ben, "c");
    device_send_hex(&stage.ben, "c000");
    device_expect(&stage.ben, MQTT_PINGRESP);
    device_ack(&stage.ben, MQTT_PUBREC, id);
    device_expect(&stage.ben, MQTT_PUBREL);
    stage_done(&stage);
}

static void test_mqtt_3_3_4_7_a_client_that_sends_too_many(void **state)
{
    (void)state;
    struct stage stage = { .version = MQTT_5 };
    world_init(&stage.world, &(struct broker_config){ .receive_max = 3 });
    struct mqtt_packet connack = device_come_with(&stage.world, &stage.ann, "ann", nothing());
    assert_int_equal(connack.properties.receive_maximum, 3);
    for (uint16_t i = 1; i <= 3; i++) {
        device_publish(&stage.ann, "a", "x", 2, i);
        device_expect(&stage.ann, MQTT_PUBREC);
    }
    device_ack(&stage.ann, MQTT_PUBREL, 2);
    device_expect(&stage.ann, MQTT_PUBCOMP);
    device_publish(&stage.ann, "a", "x", 2, 4);
    device_expect(&stage.ann, MQTT_PUBREC);
    device_publish(&stage.ann, "a", "x", 2, 4); // the same message
    device_expect(&stage.ann, MQTT_PUBREC);
    device_publish(&stage.ann, "a", "x", 2, 5);
    device_expect_ended(&stage.ann, MQTT_RECEIVE_MAXIMUM_EXCEEDED);
    stage_done(&stage);
}

static void test_mqtt_3_1_2_24_nothing_larger_than_the_client_takes(void **state)
{
    (void)state; // [MQTT-3.1.2-25]
    struct stage stage;
    stage_both(&stage, MQTT_5);
    struct block block;
    device_come_with(&stage.world, &stage.ben, "ben",
                     with_four(&block, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE, 40));
    device_subscribe(&stage.ben, "a", 2);
    // QoS 1: 2 of header, 3 of topic, 2 of identifier, 1 of properties
    static const char text[] = "12345678901234567890123456789012345678901234567890";
    for (int length = 28; length <= 36; length++) {
        struct mqtt_publish publish = { .topic = bytes_of_text("a"),
                                        .payload = bytes_of(text, (size_t)length),
                                        .qos = 1,
                                        .packet_id = 7 };
        device_publish_with(&stage.ann, &publish, nothing());
        if (length <= 32)
            assert_int_equal(device_expect(&stage.ben, MQTT_PUBLISH).publish.payload.size, length);
        else
            device_expect_nothing(&stage.ben);
    }
    assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DROPPED_LARGE), 4);
    // properties count
    struct block large;
    mqtt_write_user_property(block_begin(&large), bytes_of(text, 20), bytes_of(text, 20));
    device_publish_block(&stage.ann, "a", 0, 0, &large);
    device_expect_nothing(&stage.ben);
    // of what was dropped nothing is awaited
    device_publish(&stage.ann, "a", "x", 1, 8);
    device_expect_message(&stage.ben, "a", "x", 1);
    stage_done(&stage);
}

static void test_mqtt_3_1_2_24_answers_too(void **state)
{
    (void)state;
    struct stage stage;
    stage_both(&stage, MQTT_5);
    struct block block;
    struct mqtt_connect connect = { .version = MQTT_5, .client_id = bytes_of_text("ben") };
    device_ask(&stage.world, &stage.ben, &connect,
               with_four(&block, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE, 10));
    device_expect_closed(&stage.ben); // no CONNACK is that small
    device_come_with(&stage.world, &stage.ben, "ben",
                     with_four(&block, MQTT_PROPERTY_MAXIMUM_PACKET_SIZE, 30));
    uint8_t memory[256];
    struct writer writer = writer_of(memory, sizeof(memory));
    struct mqtt_subscription subscriptions[30];
    for (size_t i = 0; i < array_size(subscriptions); i++)
        subscriptions[i] = (struct mqtt_subscription){ .filter = bytes_of_text("a") };
    mqtt_write_subscribe(&writer, MQTT_5, 1, subscriptions, array_size(subscriptions), 0);
    device_send(&stage.ben, writer_written(&writer));
    device_expect_ended(&stage.ben, MQTT_PACKET_TOO_LARGE);
    stage_done(&stage);
}

static void test_mqtt_3_1_2_26_aliases_within_what_the_client_takes(void **state)
{
    (void)state; // [MQTT-3.1.2-27], [MQTT-3.3.2-11]
    struct stage stage;
    stage_both(&stage, MQTT_5);
    device_subscribe(&stage.ben, "#", 0);
    device_publish(&stage.ann, "t/1", "x", 0, 0);
    struct mqtt_packet packet = device_expect_message(&stage.ben, "t/1", "x", 0);
    assert_false(mqtt_has(&packet.properties, MQTT_PROPERTY_TOPIC_ALIAS));
    struct block block;
    device_come_with(&stage.world, &stage.ben, "ben",
                     with_two(&block, MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM, 2));
    device_subscribe(&stage.ben, "#", 0);
    static const char *const topics[] = { "t/1", "t/2", "t/3", "t/2", "t/1", "t/3" };
    static const uint16_t aliases[] = { 1, 2, 0, 2, 1, 0 };
    for (size_t i = 0; i < array_size(topics); i++) {
        device_publish(&stage.ann, topics[i], "x", 0, 0);
        packet = device_expect(&stage.ben, MQTT_PUBLISH);
        assert_int_equal(packet.properties.topic_alias, aliases[i]);
        bool is_known = i >= 3 && aliases[i];
        assert_true(text_equal(packet.publish.topic, is_known ? "" : topics[i]));
    }
    // [MQTT-3.3.2-7]: another connection knows none of them
    device_come_with(&stage.world, &stage.ben, "ben",
                     with_two(&block, MQTT_PROPERTY_TOPIC_ALIAS_MAXIMUM, 2));
    device_subscribe(&stage.ben, "#", 0);
    device_publish(&stage.ann, "t/2", "x", 0, 0);
    packet = device_expect_message(&stage.ben, "t/2", "x", 0);
    assert_int_equal(packet.properties.topic_alias, 1);
    stage_done(&stage);
}

static void publish_alias(struct device *device, const char *topic, uint16_t alias)
{
    struct block block;
    with_two(&block, MQTT_PROPERTY_TOPIC_ALIAS, alias);
    device_publish_block(device, topic, 0, 0, &block);
}

static void test_mqtt_3_3_2_12_all_aliases_that_were_told(void **state)
{
    (void)state;
    struct stage stage = { .version = MQTT_5 };
    world_init(&stage.world, &(struct broker_config){ .alias_max = 3 });
    struct mqtt_packet connack = device_come_with(&stage.world, &stage.ann, "ann", nothing());
    assert_int_equal(connack.properties.topic_alias_maximum, 3);
    device_come(&stage.world, &stage.ben, MQTT_5, "ben");
    device_subscribe(&stage.ben, "#", 0);
    static const char *const topics[] = { "one", "two", "three" };
    for (uint16_t i = 1; i <= 3; i++) {
        publish_alias(&stage.ann, topics[i - 1], i);
        device_expect_message(&stage.ben, topics[i - 1], "p", 0);
    }
    for (uint16_t i = 1; i <= 3; i++) {
        publish_alias(&stage.ann, "", i);
        device_expect_message(&stage.ben, topics[i - 1], "p", 0);
    }
    publish_alias(&stage.ann, "four", 1); // it may change
    device_expect_message(&stage.ben, "four", "p", 0);
    publish_alias(&stage.ann, "", 1);
    struct mqtt_packet packet = device_expect_message(&stage.ben, "four", "p", 0);
    assert_false(mqtt_has(&packet.properties, MQTT_PROPERTY_TOPIC_ALIAS));
    // [MQTT-3.3.2-7]
    device_reset(&stage.ann);
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    publish_alias(&stage.ann, "", 1);
    device_expect_ended(&stage.ann, MQTT_PROTOCOL_ERROR);
    stage_done(&stage);
}

static void test_other_limits_are_for_those_who_come_later(void **state)
{
    (void)state; // what a client was told holds for its connection
    struct stage stage = { .version = MQTT_5 };
    world_init(&stage.world, &(struct broker_config){ .alias_max = 8, .receive_max = 8 });
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    device_come(&stage.world, &stage.ben, MQTT_5, "ben");
    device_subscribe(&stage.ben, "#", 0);
    publish_alias(&stage.ann, "eight", 8);
    device_expect_message(&stage.ben, "eight", "p", 0);
    broker_reload(stage.world.broker, &(struct broker_config){ .alias_max = 2,
                                                               .receive_max = 2,
                                                               .packet_size_max = 200,
                                                               .keep_alive_max_s = 60 });
    publish_alias(&stage.ann, "", 8);
    device_expect_message(&stage.ben, "eight", "p", 0);
    char large[400];
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    for (uint16_t i = 1; i <= 8; i++) {
        device_publish(&stage.ann, "a", large, 2, i);
        device_expect(&stage.ann, MQTT_PUBREC);
    }
    struct mqtt_packet connack = device_come_with(&stage.world, &stage.ben, "ben", nothing());
    assert_int_equal(connack.properties.topic_alias_maximum, 2);
    assert_int_equal(connack.properties.receive_maximum, 2);
    assert_int_equal(connack.properties.maximum_packet_size, 200);
    assert_int_equal(connack.properties.server_keep_alive_s, 60);
    device_publish(&stage.ben, "a", large, 0, 0);
    device_expect_ended(&stage.ben, MQTT_PACKET_TOO_LARGE);
    stage_done(&stage);
}

static void test_mqtt_3_1_2_28_what_connack_does_not_say(void **state)
{
    (void)state; // [MQTT-3.2.2-1], -9, [MQTT-4.12.0-6], no Server Keep Alive: [MQTT-3.2.2-22]
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    struct mqtt_packet connack = device_come_with(&stage.world, &stage.ann, "ann", nothing());
    static const enum mqtt_property absent[] = {
        MQTT_PROPERTY_RESPONSE_INFORMATION, MQTT_PROPERTY_AUTHENTICATION_METHOD,
        MQTT_PROPERTY_MAXIMUM_QOS,          MQTT_PROPERTY_RETAIN_AVAILABLE,
        MQTT_PROPERTY_SHARED_AVAILABLE,     MQTT_PROPERTY_WILDCARDS_AVAILABLE,
        MQTT_PROPERTY_SERVER_KEEP_ALIVE,    MQTT_PROPERTY_ASSIGNED_CLIENT_ID,
        MQTT_PROPERTY_SESSION_EXPIRY,       MQTT_PROPERTY_REASON_STRING,
    };
    for (size_t i = 0; i < array_size(absent); i++)
        assert_false(mqtt_has(&connack.properties, absent[i]));
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_3_3_4_9_no_more_than_the_receive_maximum),
        cmocka_unit_test(test_mqtt_3_3_4_9_when_messages_come_again),
        cmocka_unit_test(test_mqtt_3_3_4_10_other_packets_are_not_delayed),
        cmocka_unit_test(test_mqtt_3_3_4_7_a_client_that_sends_too_many),
        cmocka_unit_test(test_mqtt_3_1_2_24_nothing_larger_than_the_client_takes),
        cmocka_unit_test(test_mqtt_3_1_2_24_answers_too),
        cmocka_unit_test(test_mqtt_3_1_2_26_aliases_within_what_the_client_takes),
        cmocka_unit_test(test_mqtt_3_3_2_12_all_aliases_that_were_told),
        cmocka_unit_test(test_other_limits_are_for_those_who_come_later),
        cmocka_unit_test(test_mqtt_3_1_2_28_what_connack_does_not_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
