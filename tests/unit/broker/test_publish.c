// PUBLISH: what receivers see of a message, and in which order (5.0, 3.3).
#include "broker_stage.h"

#include <stdio.h>

static void test_mqtt_3_3_1_3_dup_is_not_passed_on(void **state)
{
    (void)state; // [MQTT-3.3.1-1], [MQTT-4.3.2-2], [MQTT-4.3.3-2]
    each_version(version) for (uint8_t qos = 1; qos <= 2; qos++)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a", 2);
        struct mqtt_publish publish = { .dup = true,
                                        .qos = qos,
                                        .packet_id = 3,
                                        .topic = bytes_of_text("a"),
                                        .payload = bytes_of_text("x") };
        device_publish_with(&stage.ann, &publish, nothing());
        assert_false(device_expect_message(&stage.ben, "a", "x", qos).publish.dup);
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_2_3_the_topic_matches_the_filter(void **state)
{
    (void)state; // [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.2-1], [MQTT-4.7.3-4]
    static const struct {
        const char *filter, *topic;
        bool matches;
    } rows[] = {
        { "a/b", "a/b", true },
        { "a/b", "a/B", false },
        { "a/b", "a/b/", false },
        { "a/b", "/a/b", false },
        { "a/+", "a/b", true },
        { "a/+", "a/", true },
        { "a/+", "a", false },
        { "a/+", "a/b/c", false },
        { "+/b", "a/b", true },
        { "+", "/a", false },
        { "+/+", "/a", true },
        { "/+", "/a", true },
        { "a/#", "a", true },
        { "a/#", "a/b/c", true },
        { "a/#", "ab", false },
        { "#", "a/b", true },
        { "#", "/", true },
        { "a/+/c", "a/b/c", true },
        { "+/#", "a", true },
        { "a b", "a b", true },
        { "a//b", "a/b", false },
        // composed and decomposed letters are different ones
        { "\xc3\xa4", "a\xcc\x88", false },
        // [MQTT-1.5.4-3]: nor is a mark in front left out
        { "a",
          "\xef\xbb\xbf"
          "a",
          false },
        { "\xef\xbb\xbf"
          "a",
          "\xef\xbb\xbf"
          "a",
          true },
    };
    each_version(version) for (size_t i = 0; i < array_size(rows); i++)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, rows[i].filter, 0);
        device_publish(&stage.ann, rows[i].topic, "x", 0, 0);
        if (rows[i].matches)
            device_expect_message(&stage.ben, rows[i].topic, "x", 0);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_mqtt_4_7_2_1_wildcards_do_not_find_the_servers_topics(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "#", 0);
        device_subscribe(&stage.ben, "+/a", 0);
        device_subscribe(&stage.ann, "$x/#", 0);
        struct broker_publication news = { .topic = bytes_of_text("$x/a"),
                                           .payload = bytes_of_text("1"),
                                           .retain = true };
        broker_publish(stage.world.broker, stage.world.now_us, &news);
        world_run(&stage.world);
        device_expect_message(&stage.ann, "$x/a", "1", 0);
        // nor what is retained, and nobody else publishes there
        device_subscribe(&stage.ben, "#", 0);
        device_publish(&stage.ben, "$x/a", "2", 0, 0);
        device_expect_nothing(&stage.ben);
        device_expect_nothing(&stage.ann);
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_2_4_properties_are_passed_on_unaltered(void **state)
{
    (void)state; // [MQTT-3.3.2-15], -16, -17, -18, -20
    struct stage stage;
    stage_both(&stage, MQTT_5);
    device_subscribe(&stage.ben, "a", 0);
    struct block block;
    struct writer *writer = block_begin(&block);
    mqtt_write_user_property(writer, bytes_of_text("z"), bytes_of_text("1"));
    mqtt_write_property_byte(writer, MQTT_PROPERTY_PAYLOAD_FORMAT, 1);
    mqtt_write_property_text(writer, MQTT_PROPERTY_RESPONSE_TOPIC, bytes_of_text("r/1"));
    mqtt_write_user_property(writer, bytes_of_text("a"), bytes_of_text("2"));
    mqtt_write_property_text(writer, MQTT_PROPERTY_CORRELATION_DATA, bytes_of("\0\xff", 2));
    mqtt_write_property_text(writer, MQTT_PROPERTY_CONTENT_TYPE, bytes_of_text("text/x"));
    mqtt_write_user_property(writer, bytes_of_text("z"), bytes_of_text("3"));
    device_publish_block(&stage.ann, "a", 0, 0, &block);
    struct mqtt_packet packet = device_expect_message(&stage.ben, "a", "p", 0);
    const struct mqtt_properties *got = &packet.properties;
    assert_int_equal(got->payload_format, 1);
    assert_true(text_equal(got->response_topic, "r/1"));
    assert_true(bytes_equal(got->correlation_data, bytes_of("\0\xff", 2)));
    assert_true(text_equal(got->content_type, "text/x"));
    char names[8], values[8];
    user_properties(got, names, values);
    assert_string_equal(names, "zaz");
    assert_string_equal(values, "123");
    stage_done(&stage);
}

static void test_properties_stay_out_of_3_1_1(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    device_come(&stage.world, &stage.ben, MQTT_3_1_1, "ben");
    device_subscribe(&stage.ben, "a", 0);
    struct block block;
    mqtt_write_user_property(block_begin(&block), bytes_of_text("k"), bytes_of_text("v"));
    device_publish_block(&stage.ann, "a", 0, 0, &block);
    device_expect_message(&stage.ben, "a", "p", 0);
    stage_done(&stage);
}

static void test_mqtt_3_3_4_1_the_answer_is_of_the_quality(void **state)
{
    (void)state; // [MQTT-2.2.1-5], [MQTT-4.3.2-4], [MQTT-4.3.3-8]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_publish(&stage.ann, "a", "x", 0, 0);
        device_expect_nothing(&stage.ann);
        device_publish(&stage.ann, "a", "x", 1, 0xffff);
        assert_int_equal(device_expect(&stage.ann, MQTT_PUBACK).ack.packet_id, 0xffff);
        device_publish(&stage.ann, "a", "x", 2, 0x1234);
        assert_int_equal(device_expect(&stage.ann, MQTT_PUBREC).ack.packet_id, 0x1234);
        device_expect_nothing(&stage.ann);
        stage_done(&stage);
    }
}

static void test_mqtt_3_4_2_1_reasons_of_acknowledgements(void **state)
{
    (void)state; // [MQTT-3.5.2-1]; before 5.0 who may not is not told (3.1.1, 3.3.5)
    each_version(version) for (uint8_t qos = 1; qos <= 2; qos++)
    {
        struct stage stage;
        stage_both(&stage, version);
        stage.world.forbidden = "secret";
        bool tells = version == MQTT_5;
        enum mqtt_type type = qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
        device_subscribe(&stage.ben, "#", 0);
        device_publish(&stage.ann, "secret/a", "x", qos, 1);
        assert_int_equal(device_expect(&stage.ann, type).ack.reason,
                         tells ? MQTT_NOT_AUTHORIZED : 0);
        device_expect_nothing(&stage.ben);
        device_publish(&stage.ann, "a", "x", qos, 2);
        assert_int_equal(device_expect(&stage.ann, type).ack.reason, 0);
        device_expect_message(&stage.ben, "a", "x", 0);
        device_lose(&stage.ben);
        device_publish(&stage.ann, "a", "x", qos, 3);
        assert_int_equal(device_expect(&stage.ann, type).ack.reason,
                         tells ? MQTT_NO_MATCHING_SUBSCRIBERS : 0);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DENIED_PUBLISH), 1);
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_4_2_overlapping_subscriptions_are_one_copy(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.3.5-1]; identifiers: [MQTT-3.3.4-3], [MQTT-3.3.4-4]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        uint32_t has_ids = version == MQTT_5;
        device_subscribe_as(&stage.ben, "a/#", (struct mqtt_subscription_options){ .qos = 0 },
                            has_ids * 268435455);
        device_subscribe_as(&stage.ben, "a/+", (struct mqtt_subscription_options){ .qos = 2 },
                            has_ids * 7);
        device_subscribe_as(&stage.ben, "+/b", (struct mqtt_subscription_options){ .qos = 1 }, 0);
        device_subscribe_as(&stage.ben, "#", (struct mqtt_subscription_options){ .qos = 0 },
                            has_ids * 300);
        for (uint8_t qos = 0; qos <= 2; qos++) {
            device_publish(&stage.ann, "a/b", "x", qos, qos);
            struct mqtt_packet packet = device_expect_message(&stage.ben, "a/b", "x", qos);
            device_expect_nothing(&stage.ben);
            struct reader reader =
                reader_of(packet.properties.raw.data, packet.properties.raw.size);
            struct mqtt_property_entry entry;
            uint64_t sum = 0, count = 0;
            while (mqtt_property_next(&reader, &entry)) {
                assert_int_equal(entry.property, MQTT_PROPERTY_SUBSCRIPTION_ID);
                sum += entry.number;
                count++;
            }
            assert_int_equal(count, has_ids * 3);
            assert_int_equal(sum, has_ids * (268435455 + 7 + 300));
        }
        stage_done(&stage);
    }
}

static void test_identifiers_wait_with_their_message(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    stage_keep(&stage, &stage.ben, "ben");
    struct mqtt_subscription_options options = { .qos = 1 };
    device_subscribe_as(&stage.ben, "a/#", options, 5);
    device_subscribe_as(&stage.ben, "a/b", options, 6);
    device_subscribe_as(&stage.ben, "#", options, 7);
    device_lose(&stage.ben);
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    device_publish_whole(&stage.ann, "a/b", "x", 1, 1);
    world_crash(&stage.world);
    device_forget(&stage.ann);
    stage_keep(&stage, &stage.ben, "ben");
    struct mqtt_packet packet = device_expect_message(&stage.ben, "a/b", "x", 1);
    struct reader reader = reader_of(packet.properties.raw.data, packet.properties.raw.size);
    struct mqtt_property_entry entry;
    uint32_t sum = 0;
    while (mqtt_property_next(&reader, &entry))
        sum += entry.number;
    assert_int_equal(sum, 18);
    stage_done(&stage);
}

static void test_mqtt_4_5_0_1_every_subscriber_gets_it(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        struct device eve;
        device_come(&stage.world, &eve, version, "eve");
        device_subscribe(&stage.ann, "a", 1);
        device_subscribe(&stage.ben, "#", 1);
        device_subscribe(&eve, "+", 0);
        device_publish(&stage.ann, "a", "x", 1, 1);
        device_expect(&stage.ann, MQTT_PUBACK);
        device_expect_message(&stage.ann, "a", "x", 1);
        device_expect_message(&stage.ben, "a", "x", 1);
        device_expect_message(&eve, "a", "x", 0);
        device_done(&eve);
        stage_done(&stage);
    }
}

static void test_mqtt_4_6_0_5_order_is_kept(void **state)
{
    (void)state; // [MQTT-4.6.0-6]; 3.1.1: [MQTT-4.6.0-5], [MQTT-4.6.0-6]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a/#", 2);
        char payload[16];
        // more than may be on their way, of all qualities, and to a socket that stops meanwhile
        for (uint16_t i = 1; i <= 300; i++) {
            stage.ben.deaf = i > 100 && i < 200;
            if (i == 200)
                broker_client_block(stage.ben.client, false);
            snprintf(payload, sizeof(payload), "%d", i);
            device_publish(&stage.ann, i % 2 ? "a/1" : "a/2", payload, 1, i);
        }
        struct mqtt_packet packet;
        for (int i = 1; i <= 300; i++) {
            snprintf(payload, sizeof(payload), "%d", i);
            packet = device_expect_message(&stage.ben, i % 2 ? "a/1" : "a/2", payload, 1);
            device_ack(&stage.ben, MQTT_PUBACK, packet.publish.packet_id);
        }
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_the_owner_takes_messages_for_itself(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        stage.world.taken_topic = "room/1";
        device_subscribe(&stage.ben, "#", 0);
        device_publish_whole(&stage.ann, "room/1", "x", 2, 1);
        assert_int_equal(stage.world.taken_count, 1);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_3_3_1_3_dup_is_not_passed_on),
        cmocka_unit_test(test_mqtt_3_3_2_3_the_topic_matches_the_filter),
        cmocka_unit_test(test_mqtt_4_7_2_1_wildcards_do_not_find_the_servers_topics),
        cmocka_unit_test(test_mqtt_3_3_2_4_properties_are_passed_on_unaltered),
        cmocka_unit_test(test_properties_stay_out_of_3_1_1),
        cmocka_unit_test(test_mqtt_3_3_4_1_the_answer_is_of_the_quality),
        cmocka_unit_test(test_mqtt_3_4_2_1_reasons_of_acknowledgements),
        cmocka_unit_test(test_mqtt_3_3_4_2_overlapping_subscriptions_are_one_copy),
        cmocka_unit_test(test_identifiers_wait_with_their_message),
        cmocka_unit_test(test_mqtt_4_5_0_1_every_subscriber_gets_it),
        cmocka_unit_test(test_mqtt_4_6_0_5_order_is_kept),
        cmocka_unit_test(test_the_owner_takes_messages_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
