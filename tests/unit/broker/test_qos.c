// The exchanges of QoS 1 and 2 in both directions, and what is sent again (5.0, 4.3 and 4.4).
#include "broker_stage.h"

static void resend(struct device *device, uint8_t qos, uint16_t packet_id, const char *payload)
{
    struct mqtt_publish publish = { .dup = true,
                                    .qos = qos,
                                    .packet_id = packet_id,
                                    .topic = bytes_of_text("a"),
                                    .payload = bytes_of_text(payload) };
    device_publish_with(device, &publish, nothing());
}

static void test_mqtt_4_3_2_5_qos_1_is_new_after_puback(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a", 0);
        device_publish_whole(&stage.ann, "a", "x", 1, 5);
        device_expect_message(&stage.ben, "a", "x", 0);
        resend(&stage.ann, 1, 5, "y");
        assert_int_equal(device_expect(&stage.ann, MQTT_PUBACK).ack.packet_id, 5);
        device_expect_message(&stage.ben, "a", "y", 0);
        stage_done(&stage);
    }
}

static void test_mqtt_4_3_3_10_qos_2_comes_once(void **state)
{
    (void)state; // [MQTT-4.3.3-11], -12; 3.1.1: [MQTT-4.3.3-2]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a", 0);
        device_publish(&stage.ann, "a", "x", 2, 5);
        device_expect_message(&stage.ben, "a", "x", 0);
        resend(&stage.ann, 2, 5, "x");
        device_publish(&stage.ann, "a", "x", 2, 5);
        for (int i = 0; i < 3; i++)
            assert_int_equal(device_expect(&stage.ann, MQTT_PUBREC).ack.packet_id, 5);
        device_expect_nothing(&stage.ben);
        device_ack(&stage.ann, MQTT_PUBREL, 5);
        assert_int_equal(device_expect(&stage.ann, MQTT_PUBCOMP).ack.reason, 0);
        device_publish(&stage.ann, "a", "y", 2, 5);
        device_expect(&stage.ann, MQTT_PUBREC);
        device_expect_message(&stage.ben, "a", "y", 0);
        stage_done(&stage);
    }
}

static void test_mqtt_4_3_3_10_across_connections_and_crashes(void **state)
{
    (void)state;
    each_version(version) for (int crash = 0; crash <= 1; crash++)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ann, "ann");
        device_come(&stage.world, &stage.ben, version, "ben");
        device_subscribe(&stage.ben, "a", 0);
        device_publish(&stage.ann, "a", "x", 2, 5);
        device_expect_message(&stage.ben, "a", "x", 0);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
            device_forget(&stage.ben);
            device_reset(&stage.ben);
            device_come(&stage.world, &stage.ben, version, "ben");
            device_subscribe(&stage.ben, "a", 0);
        }
        assert_true(stage_keep(&stage, &stage.ann, "ann"));
        resend(&stage.ann, 2, 5, "x");
        assert_int_equal(device_expect(&stage.ann, MQTT_PUBREC).ack.packet_id, 5);
        device_expect_nothing(&stage.ben);
        device_ack(&stage.ann, MQTT_PUBREL, 5);
        device_expect(&stage.ann, MQTT_PUBCOMP);
        stage_done(&stage);
    }
}

static void test_mqtt_4_3_3_9_a_refusal_ends_the_exchange(void **state)
{
    (void)state;
    struct stage stage;
    stage_both(&stage, MQTT_5);
    device_subscribe(&stage.ben, "a", 0);
    stage.world.forbidden = "a";
    device_publish(&stage.ann, "a", "x", 2, 5);
    assert_int_equal(device_expect(&stage.ann, MQTT_PUBREC).ack.reason, MQTT_NOT_AUTHORIZED);
    stage.world.forbidden = NULL;
    device_publish(&stage.ann, "a", "y", 2, 5);
    assert_int_equal(device_expect(&stage.ann, MQTT_PUBREC).ack.reason, 0);
    device_expect_message(&stage.ben, "a", "y", 0);
    stage_done(&stage);
}

static void test_a_message_without_memory_may_come_again(void **state)
{
    (void)state;
    each_version(version) for (uint8_t qos = 1; qos <= 2; qos++)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .journal = true, .memory_max = 2000 });
        stage_keep(&stage, &stage.ann, "ann");
        device_come(&stage.world, &stage.ben, version, "ben");
        device_subscribe(&stage.ben, "a", 0);
        char large[3000];
        memset(large, 'x', sizeof(large));
        large[sizeof(large) - 1] = '\0';
        device_publish(&stage.ann, "a", large, qos, 5);
        device_expect_nothing(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DROPPED_MEMORY), 1);
        if (version == MQTT_5) {
            assert_int_equal(
                device_expect(&stage.ann, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC).ack.reason,
                MQTT_QUOTA_EXCEEDED);
        } else {
            // without a word for it, the end is one: it is not taken for what was received
            device_expect_closed(&stage.ann);
            assert_true(stage_keep(&stage, &stage.ann, "ann"));
        }
        resend(&stage.ann, qos, 5, "smaller");
        device_expect_message(&stage.ben, "a", "smaller", 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_7_2_1_pubrel_of_nothing(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_ack(&stage.ann, MQTT_PUBREL, 77);
        struct mqtt_ack ack = device_expect(&stage.ann, MQTT_PUBCOMP).ack;
        assert_int_equal(ack.packet_id, 77);
        assert_int_equal(ack.reason, version == MQTT_5 ? MQTT_PACKET_ID_NOT_FOUND : 0);
        stage_done(&stage);
    }
}

static void test_mqtt_4_3_3_4_pubrel_answers_pubrec(void **state)
{
    (void)state; // [MQTT-3.6.2-1]; also of a message that nobody knows
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a", 2);
        device_publish(&stage.ann, "a", "x", 2, 1);
        uint16_t id = device_expect_message(&stage.ben, "a", "x", 2).publish.packet_id;
        // [MQTT-4.3.3-3]: until PUBREC nothing else acknowledges it
        device_ack(&stage.ben, MQTT_PUBACK, id);
        device_ack(&stage.ben, MQTT_PUBCOMP, id);
        device_expect_nothing(&stage.ben);
        device_ack(&stage.ben, MQTT_PUBREC, id);
        device_ack(&stage.ben, MQTT_PUBREC, id);
        for (int i = 0; i < 2; i++) {
            struct mqtt_ack release = device_expect(&stage.ben, MQTT_PUBREL).ack;
            assert_int_equal(release.packet_id, id);
            assert_int_equal(release.reason, 0);
        }
        device_ack(&stage.ben, MQTT_PUBCOMP, id);
        device_ack(&stage.ben, MQTT_PUBREC, id);
        assert_int_equal(device_expect(&stage.ben, MQTT_PUBREL).ack.reason,
                         version == MQTT_5 ? MQTT_PACKET_ID_NOT_FOUND : 0);
        // acknowledgements of nothing are of no consequence
        device_ack(&stage.ben, MQTT_PUBACK, 999);
        device_ack(&stage.ben, MQTT_PUBCOMP, 999);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_mqtt_4_4_0_1_what_is_unacknowledged_comes_again(void **state)
{
    (void)state; // [MQTT-3.3.1-1], [MQTT-4.3.2-3], [MQTT-4.3.3-5], -6, 3.1.1: [MQTT-4.4.0-1]
    each_version(version) for (int crash = 0; crash <= 1; crash++)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 2);
        device_come(&stage.world, &stage.ann, version, "ann");
        static const uint8_t qualities[] = { 2, 1, 2, 1, 0 };
        uint16_t ids[5];
        for (int i = 0; i < 5; i++) {
            const char *payload = (const char *[]){ "0", "1", "2", "3", "4" }[i];
            device_publish(&stage.ann, "a", payload, qualities[i], qualities[i] ? 10 : 0);
            device_ack(&stage.ann, MQTT_PUBREL, 10);
            ids[i] =
                device_expect_message(&stage.ben, "a", payload, qualities[i]).publish.packet_id;
        }
        device_ack(&stage.ben, MQTT_PUBREC, ids[0]);
        device_expect(&stage.ben, MQTT_PUBREL);
        device_ack(&stage.ben, MQTT_PUBACK, ids[1]);
        // nothing comes again while the connection stands
        world_wait(&stage.world, 100);
        device_expect_nothing(&stage.ben);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
            device_forget(&stage.ben);
        }
        for (int again = 0; again < 2; again++) {
            stage_keep(&stage, &stage.ben, "ben");
            assert_int_equal(device_expect(&stage.ben, MQTT_PUBREL).ack.packet_id, ids[0]);
            struct mqtt_publish publish = device_expect_message(&stage.ben, "a", "2", 2).publish;
            assert_true(publish.dup && publish.packet_id == ids[2]);
            publish = device_expect_message(&stage.ben, "a", "3", 1).publish;
            assert_true(publish.dup && publish.packet_id == ids[3]);
            device_expect_nothing(&stage.ben);
        }
        stage_done(&stage);
    }
}

static void test_mqtt_4_4_0_2_a_refusal_acknowledges(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    stage_keep(&stage, &stage.ben, "ben");
    device_subscribe(&stage.ben, "a", 2);
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    device_publish(&stage.ann, "a", "1", 1, 1);
    uint16_t id = device_expect_message(&stage.ben, "a", "1", 1).publish.packet_id;
    device_ack_reason(&stage.ben, MQTT_PUBACK, id, MQTT_UNSPECIFIED_ERROR);
    device_publish(&stage.ann, "a", "2", 2, 2);
    id = device_expect_message(&stage.ben, "a", "2", 2).publish.packet_id;
    device_ack_reason(&stage.ben, MQTT_PUBREC, id, MQTT_QUOTA_EXCEEDED);
    device_expect_nothing(&stage.ben); // no PUBREL
    stage_keep(&stage, &stage.ben, "ben");
    device_expect_nothing(&stage.ben);
    assert_int_equal(world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES), 0);
    stage_done(&stage);
}

static void test_mqtt_2_2_1_4_identifiers_in_use_are_not_given_again(void **state)
{
    (void)state; // 3.1.1: [MQTT-2.3.1-4]; [MQTT-4.3.2-1], [MQTT-4.3.3-1]
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a", 1);
        device_publish(&stage.ann, "a", "held", 1, 1);
        uint16_t held = device_expect_message(&stage.ben, "a", "held", 1).publish.packet_id;
        // all identifiers once around, but for the one that is in use
        unsigned given = 0;
        for (unsigned i = 0; i < 65600; i++) {
            struct mqtt_publish publish = { .topic = bytes_of_text("a"), .qos = 1, .packet_id = 1 };
            device_publish_with(&stage.ann, &publish, nothing());
            uint16_t id = device_expect(&stage.ben, MQTT_PUBLISH).publish.packet_id;
            assert_true(id != 0 && id != held);
            device_ack(&stage.ben, MQTT_PUBACK, id);
            given += id == (uint16_t)(held + 1);
            stage.ben.arrived_at = stage.ben.arrived_size = 0;
            stage.ann.arrived_at = stage.ann.arrived_size = 0;
        }
        assert_int_equal(given, 2);
        stage_done(&stage);
    }
}

static void test_promises_wait_for_the_disk(void **state)
{
    (void)state; // [MQTT-4.3.2-4], [MQTT-4.3.3-8]: ownership is accepted when it cannot be lost
    each_version(version) for (uint8_t qos = 1; qos <= 2; qos++)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", qos);
        device_lose(&stage.ben);
        stage_keep(&stage, &stage.ann, "ann");
        stage.world.disk_waits = true;
        device_publish(&stage.ann, "a", "x", qos, 1);
        device_expect_nothing(&stage.ann);
        // who waits for nothing is not kept waiting
        struct device eve;
        device_come(&stage.world, &eve, version, "eve");
        device_subscribe(&eve, "b", 1);
        device_publish(&eve, "b", "y", 1, 1);
        device_expect(&eve, MQTT_PUBACK);
        device_expect_message(&eve, "b", "y", 1);
        stage.world.disk_waits = false;
        world_run(&stage.world);
        device_expect(&stage.ann, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC);
        device_done(&eve);
        stage_done(&stage);
    }
}

static void test_qos_2_goes_out_when_it_cannot_come_under_another_name(void **state)
{
    (void)state; // its identifier has to be known to whoever comes after a crash
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 2);
        device_come(&stage.world, &stage.ann, version, "ann");
        stage.world.disk_waits = true;
        device_publish(&stage.ann, "a", "x", 2, 1);
        device_expect_nothing(&stage.ben);
        stage.world.disk_waits = false;
        world_run(&stage.world);
        device_expect_message(&stage.ben, "a", "x", 2);
        stage_done(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_4_3_2_5_qos_1_is_new_after_puback),
        cmocka_unit_test(test_mqtt_4_3_3_10_qos_2_comes_once),
        cmocka_unit_test(test_mqtt_4_3_3_10_across_connections_and_crashes),
        cmocka_unit_test(test_mqtt_4_3_3_9_a_refusal_ends_the_exchange),
        cmocka_unit_test(test_a_message_without_memory_may_come_again),
        cmocka_unit_test(test_mqtt_3_7_2_1_pubrel_of_nothing),
        cmocka_unit_test(test_mqtt_4_3_3_4_pubrel_answers_pubrec),
        cmocka_unit_test(test_mqtt_4_4_0_1_what_is_unacknowledged_comes_again),
        cmocka_unit_test(test_mqtt_4_4_0_2_a_refusal_acknowledges),
        cmocka_unit_test(test_mqtt_2_2_1_4_identifiers_in_use_are_not_given_again),
        cmocka_unit_test(test_promises_wait_for_the_disk),
        cmocka_unit_test(test_qos_2_goes_out_when_it_cannot_come_under_another_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
