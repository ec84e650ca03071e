// Wills: when they are published, and when not (5.0, 3.1.2.5 and 3.1.3.2).
#include "broker_stage.h"

static const struct last_words words = { .topic = "will", .payload = "gone" };

/** Ann with a will, Ben who hears it. */
static void stage_will(struct stage *stage, enum mqtt_version version,
                       const struct last_words *last)
{
    stage_empty(stage, version);
    device_come(&stage->world, &stage->ben, version, "ben");
    device_subscribe(&stage->ben, "will", 2);
    device_come_with_will(&stage->world, &stage->ann, version, "ann", last);
}

static void test_mqtt_3_1_2_8_a_lost_connection_publishes_the_will(void **state)
{
    (void)state; // [MQTT-3.1.2-7], [MQTT-3.1.2-14]
    each_version(version) for (uint8_t qos = 0; qos <= 2; qos++)
    {
        struct stage stage;
        struct last_words last = words;
        last.qos = qos;
        stage_will(&stage, version, &last);
        device_expect_nothing(&stage.ben);
        device_lose(&stage.ann);
        assert_false(device_expect_message(&stage.ben, "will", "gone", qos).publish.retain);
        device_expect_nothing(&stage.ben);
        device_subscribe(&stage.ben, "will", 2); // it is not retained
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_2_8_all_other_ends_publish_it(void **state)
{
    (void)state; // a fault, silence, another connection, the end of the server
    each_version(version) for (int end = 0; end < 4; end++)
    {
        struct stage stage;
        stage_will(&stage, version, &words);
        switch (end) {
        case 0:
            device_send_hex(&stage.ann, "c100");
            break;
        case 1:
            device_send_hex(&stage.ann, version == MQTT_5 ? "2003000000" : "20020000");
            break;
        case 2: {
            struct device second;
            device_come(&stage.world, &second, version, "ann");
            device_done(&second);
            break;
        }
        default:
            broker_drain(stage.world.broker, stage.world.now_us);
        }
        world_run(&stage.world);
        if (end == 3)
            assert_int_equal(world_metric(&stage.world, BROKER_METRIC_WILLS), 1);
        else
            device_expect_message(&stage.ben, "will", "gone", 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_2_15_a_will_may_be_retained(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.1.2-17]
    each_version(version)
    {
        struct stage stage;
        struct last_words last = words;
        last.retain = true;
        stage_will(&stage, version, &last);
        device_lose(&stage.ann);
        device_expect_message(&stage.ben, "will", "gone", 0);
        device_subscribe(&stage.ben, "will", 0);
        assert_true(device_expect_message(&stage.ben, "will", "gone", 0).publish.retain);
        stage_done(&stage);
    }
}

static void test_mqtt_3_14_4_3_a_goodbye_discards_it(void **state)
{
    (void)state; // [MQTT-3.1.2-10]; 3.1.1: [MQTT-3.14.4-3]
    each_version(version) for (uint32_t expiry_s = 0; expiry_s <= 60; expiry_s += 60)
    {
        struct stage stage;
        struct last_words last = words;
        last.expiry_s = expiry_s;
        stage_will(&stage, version, &last);
        device_disconnect(&stage.ann, MQTT_SUCCESS);
        device_expect_closed(&stage.ann);
        world_wait(&stage.world, 100);
        device_expect_nothing(&stage.ben);
        world_crash(&stage.world);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_WILLS), 0);
        device_forget(&stage.ben);
        stage_done(&stage);
    }
}

static void test_a_goodbye_may_ask_for_it(void **state)
{
    (void)state; // 5.0, 3.14.2.1
    struct stage stage;
    stage_will(&stage, MQTT_5, &words);
    device_disconnect(&stage.ann, MQTT_DISCONNECT_WITH_WILL);
    device_expect_closed(&stage.ann);
    device_expect_message(&stage.ben, "will", "gone", 0);
    stage_done(&stage);
}

static void test_mqtt_3_1_2_10_it_is_published_once(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        struct last_words last = words;
        last.expiry_s = 3600;
        stage_will(&stage, version, &last);
        device_lose(&stage.ann);
        device_expect_message(&stage.ben, "will", "gone", 0);
        // the session goes on without it
        assert_true(stage_keep(&stage, &stage.ann, "ann"));
        device_lose(&stage.ann);
        world_crash(&stage.world);
        device_forget(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_WILLS), 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_3_9_a_delayed_will_waits_for_its_client(void **state)
{
    (void)state;
    for (int crash = 0; crash <= 1; crash++) {
        struct stage stage;
        struct last_words last = { "will", "gone", 1, false, .delay_s = 20, .expiry_s = 3600 };
        stage_will(&stage, MQTT_5, &last);
        device_reset(&stage.ben);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "will", 1);
        device_lose(&stage.ann);
        world_wait(&stage.world, 15);
        device_expect_nothing(&stage.ben);
        device_come_with_will(&stage.world, &stage.ann, MQTT_5, "ann", &last);
        world_wait(&stage.world, 30); // it is back, and its new will waits
        device_expect_nothing(&stage.ben);
        device_lose(&stage.ann);
        world_wait(&stage.world, 10);
        if (crash) {
            world_crash(&stage.world);
            stage.ben.client = NULL;
            stage_keep(&stage, &stage.ben, "ben");
        }
        world_wait(&stage.world, 7);
        device_expect_nothing(&stage.ben);
        world_wait(&stage.world, 5);
        device_expect_message(&stage.ben, "will", "gone", 1);
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_2_8_no_longer_than_the_session(void **state)
{
    (void)state; // the end of the session ends the delay, by time, by clean start, by DISCONNECT
    for (int end = 0; end < 3; end++) {
        struct stage stage;
        struct last_words last = { "will", "gone", 0, false, .delay_s = 600, .expiry_s = 20 };
        stage_will(&stage, MQTT_5, &last);
        device_lose(&stage.ann);
        world_wait(&stage.world, 18);
        device_expect_nothing(&stage.ben);
        if (end == 0) {
            world_wait(&stage.world, 4);
        } else if (end == 1) {
            device_reset(&stage.ann);
            device_connect(&stage.world, &stage.ann, MQTT_5, "ann", true, 0);
        } else {
            device_come_with_will(&stage.world, &stage.ann, MQTT_5, "ann", &last);
            device_send_hex(&stage.ann, "e00704051100000000");
            device_send_hex(&stage.ben, "c000");
            assert_null(stage.ann.client);
        }
        struct mqtt_packet packet;
        do {
            if (!device_next(&stage.ben, &packet))
                fail_msg("no will came, end %d", end);
        } while (packet.type != MQTT_PUBLISH);
        assert_true(text_equal(packet.publish.payload, "gone"));
        stage_done(&stage);
    }
}

static void test_a_will_of_a_session_that_is_not_kept_survives_the_process(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "will", 1);
        struct last_words last = { "will", "gone", 1, true, 0, 0 };
        device_come_with_will(&stage.world, &stage.ann, version, "ann", &last);
        world_crash(&stage.world);
        device_forget(&stage.ann);
        device_forget(&stage.ben);
        stage_keep(&stage, &stage.ben, "ben");
        device_expect_message(&stage.ben, "will", "gone", 1);
        // once, however often the process dies
        world_crash(&stage.world);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_WILLS), 0);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_RETAINED), 1);
        device_forget(&stage.ben);
        stage_done(&stage);
    }
}

static void test_a_will_has_its_properties(void **state)
{
    (void)state; // [MQTT-3.3.2-4] and what follows it; the delay is not for receivers
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    device_come(&stage.world, &stage.ben, MQTT_5, "ben");
    device_subscribe(&stage.ben, "will", 0);
    struct block block;
    struct writer *writer = block_begin(&block);
    mqtt_write_property_four(writer, MQTT_PROPERTY_WILL_DELAY, 5);
    mqtt_write_property_text(writer, MQTT_PROPERTY_CONTENT_TYPE, bytes_of_text("t"));
    mqtt_write_property_four(writer, MQTT_PROPERTY_MESSAGE_EXPIRY, 30);
    mqtt_write_user_property(writer, bytes_of_text("k"), bytes_of_text("v"));
    struct mqtt_connect connect = { .version = MQTT_5,
                                    .client_id = bytes_of_text("ann"),
                                    .has_will = true,
                                    .will = { .topic = bytes_of_text("will") } };
    device_open(&stage.world, &stage.ann, MQTT_5);
    device_connect_with(&stage.ann, &connect, nothing(), block_bytes(&block));
    device_expect(&stage.ann, MQTT_CONNACK);
    world_wait(&stage.world, 100);
    device_lose(&stage.ann);
    struct mqtt_packet packet = device_expect_message(&stage.ben, "will", "", 0);
    assert_true(text_equal(packet.properties.content_type, "t"));
    assert_true(mqtt_has(&packet.properties, MQTT_PROPERTY_USER_PROPERTY));
    assert_false(mqtt_has(&packet.properties, MQTT_PROPERTY_WILL_DELAY));
    // its time begins when it is published
    assert_int_equal(packet.properties.message_expiry_s, 30);
    stage_done(&stage);
}

static void test_mqtt_3_1_3_10_the_order_of_a_wills_user_properties(void **state)
{
    (void)state; // across the end of the process, too
    for (int crash = 0; crash <= 1; crash++) {
        struct stage stage;
        stage_empty(&stage, MQTT_5);
        device_connect(&stage.world, &stage.ben, MQTT_5, "ben", false, 3600);
        device_subscribe(&stage.ben, "will", 1);
        struct block block;
        struct writer *writer = block_begin(&block);
        mqtt_write_user_property(writer, bytes_of_text("z"), bytes_of_text("1"));
        mqtt_write_property_text(writer, MQTT_PROPERTY_CONTENT_TYPE, bytes_of_text("t"));
        mqtt_write_user_property(writer, bytes_of_text("a"), bytes_of_text("2"));
        mqtt_write_user_property(writer, bytes_of_text("z"), bytes_of_text("3"));
        struct mqtt_connect connect = { .version = MQTT_5,
                                        .client_id = bytes_of_text("ann"),
                                        .has_will = true,
                                        .will = { .topic = bytes_of_text("will"), .qos = 1 } };
        device_open(&stage.world, &stage.ann, MQTT_5);
        device_connect_with(&stage.ann, &connect, nothing(), block_bytes(&block));
        device_expect(&stage.ann, MQTT_CONNACK);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
            device_forget(&stage.ben);
            stage_keep(&stage, &stage.ben, "ben");
        } else {
            device_lose(&stage.ann);
        }
        struct mqtt_packet packet = device_expect_message(&stage.ben, "will", "", 1);
        char names[8], values[8];
        user_properties(&packet.properties, names, values);
        assert_string_equal(names, "zaz");
        assert_string_equal(values, "123");
        stage_done(&stage);
    }
}

static void test_who_is_back_at_once_after_a_crash_has_left_its_will(void **state)
{
    (void)state; // but for one that was to wait
    each_version(version) for (uint32_t delay_s = 0; delay_s <= (version == MQTT_5 ? 5 : 0);
                               delay_s += 5)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "will", 1);
        struct block block, keep;
        block_begin(&block);
        if (delay_s > 0)
            mqtt_write_property_four(&block.writer, MQTT_PROPERTY_WILL_DELAY, delay_s);
        block_begin(&keep);
        if (version == MQTT_5)
            mqtt_write_property_four(&keep.writer, MQTT_PROPERTY_SESSION_EXPIRY, 3600);
        struct mqtt_connect connect = { .version = version,
                                        .client_id = bytes_of_text("ann"),
                                        .has_will = true,
                                        .will = { .topic = bytes_of_text("will"), .qos = 1 } };
        device_open(&stage.world, &stage.ann, version);
        device_connect_with(&stage.ann, &connect, block_bytes(&keep), block_bytes(&block));
        device_expect(&stage.ann, MQTT_CONNACK);
        world_crash(&stage.world);
        device_forget(&stage.ann);
        device_forget(&stage.ben);
        assert_true(stage_keep(&stage, &stage.ann, "ann"));
        assert_true(stage_keep(&stage, &stage.ben, "ben"));
        if (delay_s == 0)
            device_expect_message(&stage.ben, "will", "", 1);
        world_wait(&stage.world, 100);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_nobody_hears_of_who_had_no_will(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.1.2-12]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "#", 0);
        device_lose(&stage.ann);
        world_wait(&stage.world, 10);
        device_expect_nothing(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_WILLS), 0);
        stage_done(&stage);
    }
}

static void test_a_will_needs_the_right_to_publish(void **state)
{
    (void)state;
    static const char *const topics[] = { "secret", "$SYS/x" };
    each_version(version) for (size_t i = 0; i < array_size(topics); i++)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage.world.forbidden = "secret";
        struct mqtt_connect connect = { .version = version,
                                        .clean_start = true,
                                        .client_id = bytes_of_text("ann"),
                                        .has_will = true,
                                        .will = { .topic = bytes_of_text(topics[i]) } };
        device_ask(&stage.world, &stage.ann, &connect, nothing());
        assert_int_equal(device_expect(&stage.ann, MQTT_CONNACK).connack.reason,
                         version == MQTT_5 ? MQTT_NOT_AUTHORIZED : MQTT_REFUSED_NOT_AUTHORIZED);
        device_expect_closed(&stage.ann);
        stage_done(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_3_1_2_8_a_lost_connection_publishes_the_will),
        cmocka_unit_test(test_mqtt_3_1_2_8_all_other_ends_publish_it),
        cmocka_unit_test(test_mqtt_3_1_2_15_a_will_may_be_retained),
        cmocka_unit_test(test_mqtt_3_14_4_3_a_goodbye_discards_it),
        cmocka_unit_test(test_a_goodbye_may_ask_for_it),
        cmocka_unit_test(test_mqtt_3_1_2_10_it_is_published_once),
        cmocka_unit_test(test_mqtt_3_1_3_9_a_delayed_will_waits_for_its_client),
        cmocka_unit_test(test_mqtt_3_1_2_8_no_longer_than_the_session),
        cmocka_unit_test(test_a_will_of_a_session_that_is_not_kept_survives_the_process),
        cmocka_unit_test(test_a_will_has_its_properties),
        cmocka_unit_test(test_mqtt_3_1_3_10_the_order_of_a_wills_user_properties),
        cmocka_unit_test(test_who_is_back_at_once_after_a_crash_has_left_its_will),
        cmocka_unit_test(test_nobody_hears_of_who_had_no_will),
        cmocka_unit_test(test_a_will_needs_the_right_to_publish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
