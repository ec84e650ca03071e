// Retained messages (5.0, 3.3.1.3 and 3.8.3.1).
#include "broker_stage.h"

static void retain_with(struct device *device, const char *payload, uint8_t qos)
{
    struct mqtt_publish publish = { .topic = bytes_of_text("a"),
                                    .payload = bytes_of_text(payload),
                                    .qos = qos,
                                    .packet_id = qos,
                                    .retain = true };
    device_publish_with(device, &publish, nothing());
}

static void test_mqtt_3_3_1_5_the_last_one_is_kept(void **state)
{
    (void)state; // [MQTT-3.3.1-9]; 3.1.1: [MQTT-3.3.1-5], -6, -7, -8
    each_version(version) for (uint8_t qos = 0; qos <= 2; qos++)
    {
        struct stage stage;
        stage_both(&stage, version);
        retain_with(&stage.ann, "first", 1);
        retain_with(&stage.ann, "last", qos);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_RETAINED), 1);
        device_subscribe(&stage.ben, "+", 1);
        struct mqtt_packet packet =
            device_expect_message(&stage.ben, "a", "last", min_of(qos, (uint8_t)1));
        assert_true(packet.publish.retain);
        assert_false(packet.publish.dup);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_1_6_an_empty_one_removes(void **state)
{
    (void)state; // [MQTT-3.3.1-7]; 3.1.1: [MQTT-3.3.1-10], -11
    each_version(version) for (int crash = 0; crash <= 1; crash++)
    {
        struct stage stage;
        stage_both(&stage, version);
        retain_with(&stage.ann, "first", 1);
        device_subscribe(&stage.ben, "a", 0);
        device_expect_message(&stage.ben, "a", "first", 0);
        retain_with(&stage.ann, "", 0);
        // it is a message like any other
        assert_false(device_expect_message(&stage.ben, "a", "", 0).publish.retain);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
            stage.ben.client = NULL;
            device_reset(&stage.ben);
            device_come(&stage.world, &stage.ben, version, "ben");
        }
        device_subscribe(&stage.ben, "a", 0);
        device_expect_nothing(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES), 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_1_8_others_change_nothing(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.3.1-12]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        retain_with(&stage.ann, "kept", 1);
        device_publish(&stage.ann, "a", "passing", 1, 2);
        device_publish(&stage.ann, "a", "", 0, 0);
        device_subscribe(&stage.ben, "a", 0);
        device_expect_message(&stage.ben, "a", "kept", 0);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_1_10_retain_handling(void **state)
{
    (void)state; // [MQTT-3.3.1-9], -11
    struct stage stage;
    stage_both(&stage, MQTT_5);
    retain_with(&stage.ann, "kept", 0);
    struct mqtt_subscription_options options = { .retain_handling = 2 };
    device_subscribe_as(&stage.ben, "a", options, 0);
    device_expect_nothing(&stage.ben);
    options.retain_handling = 1;
    device_subscribe_as(&stage.ben, "a", options, 0);
    device_expect_nothing(&stage.ben);
    device_unsubscribe(&stage.ben, "a");
    device_subscribe_as(&stage.ben, "a", options, 9);
    assert_int_equal(device_expect_message(&stage.ben, "a", "kept", 0).properties.subscription_id,
                     9);
    options.retain_handling = 0;
    device_subscribe_as(&stage.ben, "a", options, 0);
    device_expect_message(&stage.ben, "a", "kept", 0);
    device_expect_nothing(&stage.ben);
    stage_done(&stage);
}

static void test_mqtt_3_3_1_12_retain_as_published(void **state)
{
    (void)state; // [MQTT-3.3.1-13]; 3.1.1: [MQTT-3.3.1-9]
    each_version(version) for (int as_published = 0; as_published <= (version == MQTT_5);
                               as_published++)
    {
        struct stage stage;
        stage_both(&stage, version);
        struct mqtt_subscription_options options = { .qos = 1,
                                                     .retain_as_published = as_published };
        device_subscribe_as(&stage.ben, "a", options, 0);
        retain_with(&stage.ann, "x", 1);
        assert_int_equal(device_expect_message(&stage.ben, "a", "x", 1).publish.retain,
                         as_published);
        device_publish(&stage.ann, "a", "y", 1, 2);
        assert_false(device_expect_message(&stage.ben, "a", "y", 1).publish.retain);
        stage_done(&stage);
    }
}

static void test_retained_messages_match_filters(void **state)
{
    (void)state;
    static const char *const topics[] = { "a", "a/b", "a/b/c", "/a", "b/", "c" };
    static const struct {
        const char *filter;
        unsigned count;
    } rows[] = { { "#", 6 },     { "+", 2 },       { "a/#", 3 }, { "+/b", 1 }, { "a/+/c", 1 },
                 { "+/+", 3 },   { "/#", 1 },      { "b/+", 1 }, { "b/#", 1 }, { "+/#", 6 },
                 { "a/b/c", 1 }, { "a/b/c/#", 1 }, { "x", 0 },   { "a/+", 1 }, { "+/+/+", 1 } };
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        for (size_t i = 0; i < array_size(topics); i++)
            device_retain(&stage.ann, topics[i], "x");
        for (size_t i = 0; i < array_size(rows); i++) {
            device_subscribe(&stage.ben, rows[i].filter, 0);
            for (unsigned j = 0; j < rows[i].count; j++)
                device_expect(&stage.ben, MQTT_PUBLISH);
            device_expect_nothing(&stage.ben);
        }
        stage_done(&stage);
    }
}

static void test_they_are_no_part_of_a_session(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.1.2-7]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_retain(&stage.ann, "a", "kept");
        device_disconnect(&stage.ann, MQTT_SUCCESS);
        device_reset(&stage.ann);
        device_come(&stage.world, &stage.ann, version, "ann"); // a session anew
        device_subscribe(&stage.ben, "a", 0);
        device_expect_message(&stage.ben, "a", "kept", 0);
        stage_done(&stage);
    }
}

static void test_they_outlive_the_process(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        // promised only when it is on the disk
        stage.world.disk_waits = true;
        retain_with(&stage.ann, "kept", 1);
        device_expect_nothing(&stage.ann);
        stage.world.disk_waits = false;
        world_run(&stage.world);
        device_expect(&stage.ann, MQTT_PUBACK);
        world_crash(&stage.world);
        device_forget(&stage.ann);
        stage.ben.client = NULL;
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 1);
        assert_true(device_expect_message(&stage.ben, "a", "kept", 1).publish.retain);
        stage_done(&stage);
    }
}

static void test_the_flag_of_a_replay_is_kept_while_it_waits(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        retain_with(&stage.ann, "kept", 1);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 1);
        device_expect_message(&stage.ben, "a", "kept", 1);
        world_crash(&stage.world);
        device_forget(&stage.ann);
        device_forget(&stage.ben);
        stage_keep(&stage, &stage.ben, "ben");
        struct mqtt_publish publish = device_expect_message(&stage.ben, "a", "kept", 1).publish;
        assert_true(publish.retain && publish.dup);
        stage_done(&stage);
    }
}

static void test_they_have_a_bound(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .retained_count_max = 2 });
        device_come(&stage.world, &stage.ann, version, "ann");
        device_come(&stage.world, &stage.ben, version, "ben");
        device_retain(&stage.ann, "1", "x");
        device_retain(&stage.ann, "2", "x");
        device_retain(&stage.ann, "3/4/5", "x");
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_RETAINED), 2);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DROPPED_FULL), 1);
        device_retain(&stage.ann, "2", "y"); // replacing takes no place
        device_retain(&stage.ann, "1", "");
        device_retain(&stage.ann, "3/4/5", "z");
        device_subscribe(&stage.ben, "3/#", 0);
        device_expect_message(&stage.ben, "3/4/5", "z", 0);
        device_subscribe(&stage.ben, "2", 0);
        device_expect_message(&stage.ben, "2", "y", 0);
        device_subscribe(&stage.ben, "1", 0);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_they_can_be_removed_when_memory_is_full(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .memory_max = 3000 });
        device_come(&stage.world, &stage.ann, version, "ann");
        for (int i = 0; i < 75; i++)
            device_retain(&stage.ann, (char[]){ 't', (char)('0' + i), 0 }, "x");
        uint64_t full = world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES);
        assert_in_range(full, 2900, 3000);
        device_retain(&stage.ann, "t0", "");
        assert_true(world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES) < full);
        stage_done(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_3_3_1_5_the_last_one_is_kept),
        cmocka_unit_test(test_mqtt_3_3_1_6_an_empty_one_removes),
        cmocka_unit_test(test_mqtt_3_3_1_8_others_change_nothing),
        cmocka_unit_test(test_mqtt_3_3_1_10_retain_handling),
        cmocka_unit_test(test_mqtt_3_3_1_12_retain_as_published),
        cmocka_unit_test(test_retained_messages_match_filters),
        cmocka_unit_test(test_they_are_no_part_of_a_session),
        cmocka_unit_test(test_they_outlive_the_process),
        cmocka_unit_test(test_the_flag_of_a_replay_is_kept_while_it_waits),
        cmocka_unit_test(test_they_have_a_bound),
        cmocka_unit_test(test_they_can_be_removed_when_memory_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
