// CONNECT: which session a client gets, and whether it gets in at all (5.0, 3.1).
#include "broker_stage.h"

static void test_mqtt_3_1_2_4_clean_start_discards_the_session(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.1.2-6]
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 1);
        device_lose(&stage.ben);
        device_come(&stage.world, &stage.ann, version, "ann");
        device_publish_whole(&stage.ann, "a", "missed", 1, 1);
        device_done(&stage.ben);
        assert_false(
            device_connect(&stage.world, &stage.ben, version, "ben", true, 0).session_present);
        device_publish(&stage.ann, "a", "new", 0, 0);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_2_4_a_crash_brings_nothing_back(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 1);
        device_lose(&stage.ben);
        // until the disk knows that the session is gone, the client is not told so
        stage.world.disk_waits = true;
        struct mqtt_connect connect = { .version = version,
                                        .clean_start = true,
                                        .client_id = bytes_of_text("ben") };
        device_ask(&stage.world, &stage.ben, &connect, nothing());
        device_expect_nothing(&stage.ben);
        stage.world.disk_waits = false;
        world_run(&stage.world);
        assert_false(device_expect(&stage.ben, MQTT_CONNACK).connack.session_present);
        world_crash(&stage.world);
        device_forget(&stage.ben);
        assert_false(stage_keep(&stage, &stage.ben, "ben"));
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_2_5_a_session_is_resumed(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.1.2-4]; also [MQTT-3.2.2-3]
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        assert_false(stage_keep(&stage, &stage.ben, "ben")); // [MQTT-3.1.2-6]
        device_subscribe(&stage.ben, "a", 1);
        assert_true(stage_keep(&stage, &stage.ben, "ben"));
        device_come(&stage.world, &stage.ann, version, "ann");
        device_publish(&stage.ann, "a", "x", 0, 0);
        device_expect_message(&stage.ben, "a", "x", 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_3_2_the_client_id_names_the_session(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ben, "ben");
        device_lose(&stage.ben);
        assert_false(stage_keep(&stage, &stage.ann, "benn"));
        assert_false(stage_keep(&stage, &stage.ann, "be"));
        assert_true(stage_keep(&stage, &stage.ann, "ben"));
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_3_5_ids_of_23_letters_and_digits(void **state)
{
    (void)state;
    static const char *const ids[] = { "0", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ",
                                       "KLMNOPQRSTUVWXYZ",
                                       "longer than twenty-three bytes, and of others: \xc3\xa4" };
    each_version(version) for (size_t i = 0; i < array_size(ids); i++)
    {
        struct stage stage;
        stage_empty(&stage, version);
        device_come(&stage.world, &stage.ann, version, ids[i]);
        assert_true(text_equal(broker_client_id(stage.ann.client), ids[i]));
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_3_6_who_has_no_name_is_given_one(void **state)
{
    (void)state; // [MQTT-3.1.3-7], [MQTT-3.2.2-16]; 3.1.1 is not told its name
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        struct mqtt_connect connect = { .version = version, .clean_start = true };
        char first[64] = "";
        for (int i = 0; i < 2; i++) {
            struct device *device = i ? &stage.ben : &stage.ann;
            device_ask(&stage.world, device, &connect, nothing());
            struct mqtt_packet connack = device_expect(device, MQTT_CONNACK);
            assert_int_equal(connack.connack.reason, 0);
            struct bytes id = broker_client_id(device->client);
            assert_true(id.size > 8 && id.size < sizeof(first));
            assert_false(text_equal(id, first));
            if (version == MQTT_5)
                assert_true(bytes_equal(connack.properties.assigned_client_id, id));
            memcpy(first, id.data, id.size);
        }
        device_publish(&stage.ann, "a", "x", 0, 0);
        device_expect_nothing(&stage.ann);
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_4_2_who_may_not_is_refused(void **state)
{
    (void)state; // [MQTT-3.2.2-6], [MQTT-3.2.2-7]
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage.world.wrong_password = "wrong";
        struct mqtt_connect connect = { .version = version,
                                        .clean_start = true,
                                        .client_id = bytes_of_text("ann"),
                                        .has_user = true,
                                        .user = bytes_of_text("ann"),
                                        .has_password = true,
                                        .password = bytes_of_text("wrong") };
        device_ask(&stage.world, &stage.ann, &connect, nothing());
        struct mqtt_connack connack = device_expect(&stage.ann, MQTT_CONNACK).connack;
        assert_int_equal(connack.reason, version == MQTT_5 ? MQTT_BAD_USER_OR_PASSWORD
                                                           : MQTT_REFUSED_USER_OR_PASSWORD);
        assert_false(connack.session_present);
        device_expect_closed(&stage.ann);
        assert_int_equal(stage.world.gone_count, 0);
        connect.password = bytes_of_text("right");
        device_ask(&stage.world, &stage.ann, &connect, nothing());
        assert_int_equal(device_expect(&stage.ann, MQTT_CONNACK).connack.reason, 0);
        assert_true(text_equal(broker_client_user(stage.ann.client), "ann"));
        device_lose(&stage.ann);
        assert_int_equal(stage.world.gone_count, 1);
        stage_done(&stage);
    }
}

/** A CONNECT and what follows it, in one piece. */
static void send_behind_connect(struct stage *stage, struct device *device)
{
    uint8_t memory[512];
    struct writer writer = writer_of(memory, sizeof(memory));
    struct mqtt_connect connect = { .version = stage->version,
                                    .clean_start = true,
                                    .client_id = bytes_of_text("ann") };
    mqtt_write_connect(&writer, &connect, nothing(), nothing());
    struct mqtt_publish publish = {
        .topic = bytes_of_text("a"), .payload = bytes_of_text("early"), .qos = 1, .packet_id = 5
    };
    mqtt_write_publish(&writer, stage->version, &publish, nothing());
    mqtt_write_ping(&writer, MQTT_PINGREQ);
    device_open(&stage->world, device, stage->version);
    device_send(device, writer_written(&writer));
}

static void test_mqtt_3_2_0_1_connack_is_first(void **state)
{
    (void)state; // [MQTT-3.1.4-5], [MQTT-3.2.0-2]
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        device_come(&stage.world, &stage.ben, version, "ben");
        device_subscribe(&stage.ben, "a", 0);
        send_behind_connect(&stage, &stage.ann);
        assert_int_equal(device_expect(&stage.ann, MQTT_CONNACK).connack.reason, 0);
        assert_int_equal(device_expect(&stage.ann, MQTT_PUBACK).ack.packet_id, 5);
        device_expect(&stage.ann, MQTT_PINGRESP);
        device_expect_nothing(&stage.ann);
        device_expect_message(&stage.ben, "a", "early", 0);
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_4_6_nothing_is_done_before_the_decision(void **state)
{
    (void)state;
    static const int decisions[] = { MQTT_SUCCESS, MQTT_NOT_AUTHORIZED };
    each_version(version) for (size_t i = 0; i < array_size(decisions); i++)
    {
        struct stage stage;
        stage_empty(&stage, version);
        device_come(&stage.world, &stage.ben, version, "ben");
        device_subscribe(&stage.ben, "a", 0);
        stage.world.login_result = -EINPROGRESS;
        send_behind_connect(&stage, &stage.ann);
        device_expect_nothing(&stage.ann);
        device_expect_nothing(&stage.ben);
        assert_true(broker_client_is_busy(stage.ann.client));
        broker_client_admit(stage.ann.client, stage.world.now_us, decisions[i],
                            bytes_of_text("ann"));
        device_feed(&stage.ann);
        world_run(&stage.world);
        struct mqtt_connack connack = device_expect(&stage.ann, MQTT_CONNACK).connack;
        if (decisions[i] == MQTT_SUCCESS) {
            device_expect(&stage.ann, MQTT_PUBACK);
            device_expect(&stage.ann, MQTT_PINGRESP);
            device_expect_message(&stage.ben, "a", "early", 0);
        } else {
            assert_int_equal(connack.reason,
                             version == MQTT_5 ? MQTT_NOT_AUTHORIZED : MQTT_REFUSED_NOT_AUTHORIZED);
            device_expect_closed(&stage.ann);
            device_expect_nothing(&stage.ben);
        }
        stage_done(&stage);
    }
}

static void test_a_login_takes_no_longer_than_a_connection_may(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage.world.login_result = -EINPROGRESS;
        send_behind_connect(&stage, &stage.ann);
        device_open(&stage.world, &stage.ben, version); // says nothing at all
        world_wait(&stage.world, 9);
        assert_non_null(stage.ann.client);
        assert_non_null(stage.ben.client);
        struct broker_client *late = stage.ann.client;
        stage.ann.deaf = true;
        world_wait(&stage.world, 3);
        assert_null(stage.ben.client);
        broker_client_admit(late, stage.world.now_us, MQTT_SUCCESS, bytes_of_text("ann"));
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 0);
        stage.ann.deaf = false;
        broker_client_block(late, false);
        assert_int_equal(stage.world.gone_count, 0);
        world_run(&stage.world);
        device_expect_closed(&stage.ann);
        // the owner was asked about it, and has to forget it
        assert_int_equal(stage.world.gone_count, 1);
        stage_done(&stage);
    }
}

static void test_mqtt_3_1_4_3_a_second_connection_takes_over(void **state)
{
    (void)state; // 3.1.1: [MQTT-3.1.4-2]
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        device_connect(&stage.world, &stage.ann, version, "ann", false, 60);
        device_subscribe(&stage.ann, "a", 0);
        assert_true(
            device_connect(&stage.world, &stage.ben, version, "ann", false, 60).session_present);
        device_expect_ended(&stage.ann, MQTT_SESSION_TAKEN_OVER);
        device_publish(&stage.ben, "a", "x", 0, 0);
        device_expect_message(&stage.ben, "a", "x", 0);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_CLIENTS), 1);
        stage_done(&stage);
    }
}

static void test_other_users_have_other_sessions(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        struct mqtt_connect connect = { .version = version,
                                        .client_id = bytes_of_text("phone"),
                                        .has_user = true,
                                        .user = bytes_of_text("ann") };
        struct block keep;
        mqtt_write_property_four(block_begin(&keep), MQTT_PROPERTY_SESSION_EXPIRY, 60);
        device_ask(&stage.world, &stage.ann, &connect, block_bytes(&keep));
        device_expect(&stage.ann, MQTT_CONNACK);
        device_subscribe(&stage.ann, "a", 0);
        connect.user = bytes_of_text("ben");
        device_ask(&stage.world, &stage.ben, &connect, block_bytes(&keep));
        assert_false(device_expect(&stage.ben, MQTT_CONNACK).connack.session_present);
        device_publish(&stage.ben, "a", "x", 0, 0);
        device_expect_nothing(&stage.ben);
        device_expect_message(&stage.ann, "a", "x", 0);
        // clean start is of one's own session alone
        connect.clean_start = true;
        device_ask(&stage.world, &stage.ben, &connect, nothing());
        device_expect(&stage.ben, MQTT_CONNACK);
        device_expect_nothing(&stage.ann);
        stage_done(&stage);
    }
}

static void test_version_3_1_is_spoken(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_3_1);
    assert_false(stage_keep(&stage, &stage.ben, "ben"));
    device_subscribe(&stage.ben, "a", 1);
    device_lose(&stage.ben);
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    device_publish_whole(&stage.ann, "a", "x", 1, 1);
    // its CONNACK has no room for the flag
    assert_false(stage_keep(&stage, &stage.ben, "ben"));
    device_expect_message(&stage.ben, "a", "x", 1);
    stage_done(&stage);
}

static void test_too_many_are_refused(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world,
                   &(struct broker_config){ .session_count_max = 1, .client_count_max = 2 });
        device_come(&stage.world, &stage.ann, version, "ann");
        struct mqtt_connect connect = { .version = version,
                                        .clean_start = true,
                                        .client_id = bytes_of_text("ben") };
        device_ask(&stage.world, &stage.ben, &connect, nothing());
        assert_int_equal(device_expect(&stage.ben, MQTT_CONNACK).connack.reason,
                         version == MQTT_5 ? MQTT_QUOTA_EXCEEDED : MQTT_REFUSED_UNAVAILABLE);
        device_expect_closed(&stage.ben);
        device_reset(&stage.ben);
        device_open(&stage.world, &stage.ben, version);
        struct net_address remote = net_address_ipv4(192, 0, 2, 1, 1000);
        assert_null(broker_client_open(stage.world.broker, stage.world.now_us, NULL, &remote));
        stage_done(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_3_1_2_4_clean_start_discards_the_session),
        cmocka_unit_test(test_mqtt_3_1_2_4_a_crash_brings_nothing_back),
        cmocka_unit_test(test_mqtt_3_1_2_5_a_session_is_resumed),
        cmocka_unit_test(test_mqtt_3_1_3_2_the_client_id_names_the_session),
        cmocka_unit_test(test_mqtt_3_1_3_5_ids_of_23_letters_and_digits),
        cmocka_unit_test(test_mqtt_3_1_3_6_who_has_no_name_is_given_one),
        cmocka_unit_test(test_mqtt_3_1_4_2_who_may_not_is_refused),
        cmocka_unit_test(test_mqtt_3_2_0_1_connack_is_first),
        cmocka_unit_test(test_mqtt_3_1_4_6_nothing_is_done_before_the_decision),
        cmocka_unit_test(test_a_login_takes_no_longer_than_a_connection_may),
        cmocka_unit_test(test_mqtt_3_1_4_3_a_second_connection_takes_over),
        cmocka_unit_test(test_other_users_have_other_sessions),
        cmocka_unit_test(test_version_3_1_is_spoken),
        cmocka_unit_test(test_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
