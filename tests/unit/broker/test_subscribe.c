// SUBSCRIBE, UNSUBSCRIBE and their answers (5.0, 3.8 to 3.11).
#include <stdio.h>

#include "broker_stage.h"

struct asked {
    const char *filter;
    uint8_t qos;
};

/** Sends one SUBSCRIBE with several filters; returns its answer. */
static struct mqtt_packet subscribe_to(struct device *device, uint16_t packet_id,
                                       const struct asked *asked, size_t count)
{
    uint8_t memory[1024];
    struct writer writer = writer_of(memory, sizeof(memory));
    struct mqtt_subscription subscriptions[8];
    for (size_t i = 0; i < count; i++)
        subscriptions[i] = (struct mqtt_subscription){ .filter = bytes_of_text(asked[i].filter),
                                                       .options = { .qos = asked[i].qos } };
    mqtt_write_subscribe(&writer, device->version, packet_id, subscriptions, count, 0);
    device_send(device, writer_written(&writer));
    return device_expect(device, MQTT_SUBACK);
}

static void test_mqtt_3_8_4_1_suback_answers_each_filter(void **state)
{
    (void)state; // [MQTT-3.8.4-2], -5, -6, -7, [MQTT-3.9.3-1], -2, [MQTT-2.2.1-6]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        stage.world.forbidden = "secret";
        static const struct asked asked[] = { { "a", 2 },          { "b/#/c", 1 },
                                              { "secret/#", 1 },   { "c/+", 0 },
                                              { "", 0 },           { "d+", 0 },
                                              { "$share/g/e", 1 }, { "$share/+/e", 1 } };
        struct mqtt_packet suback = subscribe_to(&stage.ben, 0xfffe, asked, array_size(asked));
        uint8_t invalid = version == MQTT_5 ? MQTT_TOPIC_FILTER_INVALID : MQTT_SUBSCRIBE_FAILURE;
        uint8_t denied = version == MQTT_5 ? MQTT_NOT_AUTHORIZED : MQTT_SUBSCRIBE_FAILURE;
        uint8_t reasons[] = { 2, invalid, denied, 0, invalid, invalid, 1, invalid };
        assert_int_equal(suback.list.packet_id, 0xfffe);
        assert_true(bytes_equal(suback.list.items, bytes_of(reasons, sizeof(reasons))));
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SUBSCRIPTIONS), 3);
        device_publish(&stage.ann, "c/1", "x", 0, 0);
        device_expect_message(&stage.ben, "c/1", "x", 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_8_4_3_an_equal_filter_replaces(void **state)
{
    (void)state; // [MQTT-3.8.4-4]; 3.1.1: [MQTT-3.8.4-3]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_retain(&stage.ann, "a", "kept");
        device_subscribe(&stage.ben, "a", 0);
        device_expect_message(&stage.ben, "a", "kept", 0);
        device_subscribe(&stage.ben, "a", 2);
        device_expect_message(&stage.ben, "a", "kept", 0);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SUBSCRIPTIONS), 1);
        device_publish(&stage.ann, "a", "x", 1, 1);
        device_expect_message(&stage.ben, "a", "x", 1);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

/** More than may be under way: the rest is queued. */
#define MANY 150

static void test_mqtt_3_8_4_4_nothing_is_lost_while_one_is_replaced(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.8.4-3]; the new quality is that of later messages
    each_version(version) for (int crash = 0; crash <= 1; crash++)
    {
        struct stage stage;
        stage_both(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 1);
        char text[8];
        for (uint16_t i = 0; i < MANY; i++) {
            snprintf(text, sizeof(text), "%u", i);
            device_publish(&stage.ann, "a", text, 1, i + 1);
        }
        uint16_t under_way[MANY];
        uint16_t sent = 0;
        while (device_has_more(&stage.ben)) {
            snprintf(text, sizeof(text), "%u", sent);
            under_way[sent++] = device_expect_message(&stage.ben, "a", text, 1).publish.packet_id;
        }
        assert_true(sent > 0 && sent < MANY);
        device_subscribe(&stage.ben, "a", 0);
        device_expect_nothing(&stage.ben);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
            device_forget(&stage.ben);
            device_reset(&stage.ann);
            device_come(&stage.world, &stage.ann, version, "ann");
            assert_true(stage_keep(&stage, &stage.ben, "ben"));
            for (uint16_t i = 0; i < sent; i++) {
                snprintf(text, sizeof(text), "%u", i);
                under_way[i] = device_expect_message(&stage.ben, "a", text, 1).publish.packet_id;
            }
        }
        for (uint16_t i = 0; i < sent; i++)
            device_ack(&stage.ben, MQTT_PUBACK, under_way[i]);
        for (uint16_t i = sent; i < MANY; i++) {
            snprintf(text, sizeof(text), "%u", i);
            device_expect_message(&stage.ben, "a", text, 1);
        }
        device_expect_nothing(&stage.ben);
        device_publish(&stage.ann, "a", "later", 1, 1);
        device_expect_message(&stage.ben, "a", "later", 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_8_4_8_the_lesser_quality(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.8.4-6]
    each_version(version) for (uint8_t from = 0; from <= 2; from++) for (uint8_t to = 0; to <= 2;
                                                                         to++)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a", to);
        device_publish(&stage.ann, "a", "x", from, from);
        device_expect_message(&stage.ben, "a", "x", min_of(from, to));
        stage_done(&stage);
    }
}

static void test_mqtt_3_8_3_3_no_local(void **state)
{
    (void)state;
    struct stage stage;
    stage_both(&stage, MQTT_5);
    struct mqtt_subscription_options options = { .no_local = true };
    device_subscribe_as(&stage.ann, "a", options, 0);
    device_subscribe_as(&stage.ben, "a", options, 0);
    device_publish(&stage.ann, "a", "x", 0, 0);
    device_expect_nothing(&stage.ann);
    device_expect_message(&stage.ben, "a", "x", 0);
    // another filter of the same client says nothing of it
    device_subscribe(&stage.ann, "#", 0);
    device_publish(&stage.ann, "a", "y", 0, 0);
    device_expect_message(&stage.ann, "a", "y", 0);
    device_expect_nothing(&stage.ann);
    stage_done(&stage);
}

static void test_subscriptions_have_a_bound(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .subscription_count_max = 2 });
        device_come(&stage.world, &stage.ben, version, "ben");
        static const struct asked asked[] = { { "a", 1 }, { "b", 1 }, { "c", 1 }, { "a", 0 } };
        struct mqtt_packet suback = subscribe_to(&stage.ben, 1, asked, array_size(asked));
        uint8_t full = version == MQTT_5 ? MQTT_QUOTA_EXCEEDED : MQTT_SUBSCRIBE_FAILURE;
        uint8_t reasons[] = { 1, 1, full, 0 };
        assert_true(bytes_equal(suback.list.items, bytes_of(reasons, sizeof(reasons))));
        device_unsubscribe(&stage.ben, "b");
        device_subscribe(&stage.ben, "c", 1);
        stage_done(&stage);
    }
}

static void test_mqtt_3_10_4_1_unsubscribe_takes_the_equal_filter(void **state)
{
    (void)state; // [MQTT-3.10.4-2], -4, -5, [MQTT-3.11.3-2]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a/+", 0);
        uint8_t none = version == MQTT_5 ? MQTT_NO_SUBSCRIPTION_EXISTED : 0;
        assert_int_equal(device_unsubscribe(&stage.ben, "a/b"), none);
        assert_int_equal(device_unsubscribe(&stage.ben, "a/#"), none);
        assert_int_equal(device_unsubscribe(&stage.ben, "A/+"), none);
        device_publish(&stage.ann, "a/b", "x", 0, 0);
        device_expect_message(&stage.ben, "a/b", "x", 0);
        assert_int_equal(device_unsubscribe(&stage.ben, "a/+"), 0);
        device_publish(&stage.ann, "a/b", "y", 0, 0);
        device_expect_nothing(&stage.ben);
        assert_int_equal(device_unsubscribe(&stage.ben, "a/+"), none);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SUBSCRIPTIONS), 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_10_4_6_several_filters_one_answer(void **state)
{
    (void)state; // [MQTT-3.11.3-1]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a", 0);
        device_subscribe(&stage.ben, "$share/g/a", 0);
        uint8_t memory[256];
        struct writer writer = writer_of(memory, sizeof(memory));
        struct bytes filters[] = { bytes_of_text("b"),          bytes_of_text("a"),
                                   bytes_of_text("$share/h/a"), bytes_of_text("$share/g/a"),
                                   bytes_of_text("#/"),         bytes_of_text("$share/+/a"),
                                   bytes_of_text("$share/") };
        mqtt_write_unsubscribe(&writer, version, 9, filters, array_size(filters));
        device_send(&stage.ben, writer_written(&writer));
        struct mqtt_packet unsuback = device_expect(&stage.ben, MQTT_UNSUBACK);
        assert_int_equal(unsuback.list.packet_id, 9);
        if (version == MQTT_5) {
            uint8_t none = MQTT_NO_SUBSCRIPTION_EXISTED;
            uint8_t reasons[] = { none, 0, none, 0, none, none, none };
            assert_true(bytes_equal(unsuback.list.items, bytes_of(reasons, sizeof(reasons))));
        }
        device_expect_nothing(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SUBSCRIPTIONS), 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_10_4_3_what_was_begun_is_completed(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a", 2);
        device_publish(&stage.ann, "a", "x", 2, 1);
        uint16_t id = device_expect_message(&stage.ben, "a", "x", 2).publish.packet_id;
        device_unsubscribe(&stage.ben, "a");
        device_ack(&stage.ben, MQTT_PUBREC, id);
        assert_int_equal(device_expect(&stage.ben, MQTT_PUBREL).ack.packet_id, id);
        device_ack(&stage.ben, MQTT_PUBCOMP, id);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_subscriptions_outlive_the_process(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        // promised only when they are on the disk
        stage.world.disk_waits = true;
        device_send_hex(&stage.ben, version == MQTT_5 ? "820700010000016101" : "8206000100016101");
        device_expect_nothing(&stage.ben);
        stage.world.disk_waits = false;
        world_run(&stage.world);
        device_expect(&stage.ben, MQTT_SUBACK);
        device_subscribe(&stage.ben, "b/#", 0);
        device_unsubscribe(&stage.ben, "b/#");
        device_subscribe(&stage.ben, "$share/g/c/+", 0);
        world_crash(&stage.world);
        device_forget(&stage.ben);
        assert_true(stage_keep(&stage, &stage.ben, "ben"));
        device_come(&stage.world, &stage.ann, version, "ann");
        device_publish(&stage.ann, "a", "x", 2, 1);
        device_expect_message(&stage.ben, "a", "x", 1);
        device_publish(&stage.ann, "b/1", "x", 0, 0);
        device_expect_nothing(&stage.ben);
        device_publish(&stage.ann, "c/1", "x", 0, 0);
        device_expect_message(&stage.ben, "c/1", "x", 0);
        stage_done(&stage);
    }
}

static void test_options_outlive_the_process(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    stage_keep(&stage, &stage.ben, "ben");
    struct mqtt_subscription_options options = { .no_local = true, .retain_as_published = true };
    device_subscribe_as(&stage.ben, "a", options, 1234);
    world_crash(&stage.world);
    device_forget(&stage.ben);
    stage_keep(&stage, &stage.ben, "ben");
    device_publish(&stage.ben, "a", "mine", 0, 0);
    device_expect_nothing(&stage.ben);
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    device_retain(&stage.ann, "a", "x");
    struct mqtt_packet packet = device_expect_message(&stage.ben, "a", "x", 0);
    assert_true(packet.publish.retain);
    assert_int_equal(packet.properties.subscription_id, 1234);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_3_8_4_1_suback_answers_each_filter),
        cmocka_unit_test(test_mqtt_3_8_4_3_an_equal_filter_replaces),
        cmocka_unit_test(test_mqtt_3_8_4_4_nothing_is_lost_while_one_is_replaced),
        cmocka_unit_test(test_mqtt_3_8_4_8_the_lesser_quality),
        cmocka_unit_test(test_mqtt_3_8_3_3_no_local),
        cmocka_unit_test(test_subscriptions_have_a_bound),
        cmocka_unit_test(test_mqtt_3_10_4_1_unsubscribe_takes_the_equal_filter),
        cmocka_unit_test(test_mqtt_3_10_4_6_several_filters_one_answer),
        cmocka_unit_test(test_mqtt_3_10_4_3_what_was_begun_is_completed),
        cmocka_unit_test(test_subscriptions_outlive_the_process),
        cmocka_unit_test(test_options_outlive_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
