// Sessions between connections: how long they stay, and what ends them (5.0, 3.1.2.11.2 and 4.1).
#include "broker_stage.h"

static void test_mqtt_3_1_2_23_a_session_is_kept_as_long_as_asked(void **state)
{
    (void)state; // [MQTT-4.1.0-2]
    for (int crash = 0; crash <= 1; crash++) {
        struct stage stage;
        stage_empty(&stage, MQTT_5);
        device_connect(&stage.world, &stage.ben, MQTT_5, "ben", false, 600);
        device_lose(&stage.ben);
        world_wait(&stage.world, 590);
        if (crash)
            world_crash(&stage.world); // the time goes on
        device_done(&stage.ben);
        assert_true(
            device_connect(&stage.world, &stage.ben, MQTT_5, "ben", false, 600).session_present);
        device_lose(&stage.ben);
        world_wait(&stage.world, 300);
        if (crash)
            world_crash(&stage.world);
        world_wait(&stage.world, 302);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 0);
        device_done(&stage.ben);
        assert_false(
            device_connect(&stage.world, &stage.ben, MQTT_5, "ben", false, 600).session_present);
        stage_done(&stage);
    }
}

static void test_mqtt_4_1_0_1_an_open_connection_keeps_its_session(void **state)
{
    (void)state;
    for (int crash = 0; crash <= 1; crash++) {
        struct stage stage;
        stage_empty(&stage, MQTT_5);
        device_connect(&stage.world, &stage.ben, MQTT_5, "ben", false, 60);
        world_wait(&stage.world, 1000);
        if (crash) {
            // connected until the crash: its time begins there
            world_crash(&stage.world);
            device_forget(&stage.ben);
            world_wait(&stage.world, 50);
        }
        device_reset(&stage.ben);
        assert_true(
            device_connect(&stage.world, &stage.ben, MQTT_5, "ben", false, 60).session_present);
        stage_done(&stage);
    }
}

static void test_a_session_without_expiry_ends_with_its_connection(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a", 1);
        device_lose(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 1);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SUBSCRIPTIONS), 0);
        device_publish_whole(&stage.ann, "a", "x", 1, 1);
        assert_false(stage_keep(&stage, &stage.ben, "ben"));
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_guests_that_are_away_give_way_when_there_are_too_many(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .session_count_max = 3 });
        static const char *const names[] = { "1", "2", "3" };
        for (size_t i = 0; i < array_size(names); i++) {
            stage_keep(&stage, &stage.ann, names[i]);
            device_lose(&stage.ann);
            world_wait(&stage.world, 2);
        }
        // who was here again is the last to give way
        assert_true(stage_keep(&stage, &stage.ann, "1") || version == MQTT_3_1);
        device_lose(&stage.ann);
        device_come(&stage.world, &stage.ben, version, "ben");
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DISPLACED), 1);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 3);
        if (version != MQTT_3_1) {
            assert_true(stage_keep(&stage, &stage.ann, "1"));
            device_lose(&stage.ann);
            assert_true(stage_keep(&stage, &stage.ann, "3"));
            device_lose(&stage.ann);
            assert_false(stage_keep(&stage, &stage.ann, "2")); // in the place of "1"
            device_lose(&stage.ann);
            assert_false(stage_keep(&stage, &stage.ann, "1"));
        }
        stage_done(&stage);
    }
}

static void test_users_that_are_away_do_not_give_way(void **state)
{
    (void)state;
    struct stage stage = { .version = MQTT_3_1_1 };
    world_init(&stage.world, &(struct broker_config){ .session_count_max = 1 });
    struct mqtt_connect connect = { .version = MQTT_3_1_1,
                                    .client_id = bytes_of_text("1"),
                                    .has_user = true,
                                    .user = bytes_of_text("ann") };
    device_ask(&stage.world, &stage.ann, &connect, nothing());
    assert_int_equal(device_expect(&stage.ann, MQTT_CONNACK).connack.reason, 0);
    device_lose(&stage.ann);
    connect = (struct mqtt_connect){ .version = MQTT_3_1_1, .client_id = bytes_of_text("2") };
    device_ask(&stage.world, &stage.ben, &connect, nothing());
    assert_int_equal(device_expect(&stage.ben, MQTT_CONNACK).connack.reason,
                     MQTT_REFUSED_UNAVAILABLE);
    assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DISPLACED), 0);
    stage_done(&stage);
}

static void test_mqtt_3_2_2_3_the_longest_expiry_is_told(void **state)
{
    (void)state;
    static const uint32_t wishes[] = { 99, 100, 101, UINT32_MAX };
    for (size_t i = 0; i < array_size(wishes); i++) {
        struct stage stage = { .version = MQTT_5 };
        world_init(&stage.world, &(struct broker_config){ .session_expiry_max_s = 100 });
        struct block block;
        mqtt_write_property_four(block_begin(&block), MQTT_PROPERTY_SESSION_EXPIRY, wishes[i]);
        struct mqtt_packet connack =
            device_come_with(&stage.world, &stage.ann, "ann", block_bytes(&block));
        assert_int_equal(mqtt_has(&connack.properties, MQTT_PROPERTY_SESSION_EXPIRY),
                         wishes[i] > 100);
        if (wishes[i] > 100)
            assert_int_equal(connack.properties.session_expiry_s, 100);
        device_lose(&stage.ann);
        world_wait(&stage.world, 98);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 1);
        world_wait(&stage.world, 4);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 0);
        stage_done(&stage);
    }
}

static void test_sessions_of_3_1_1_stay_for_the_longest_time(void **state)
{
    (void)state;
    struct stage stage = { .version = MQTT_3_1_1 };
    world_init(&stage.world, &(struct broker_config){ .session_expiry_max_s = 100 });
    stage_keep(&stage, &stage.ann, "ann");
    device_lose(&stage.ann);
    world_wait(&stage.world, 98);
    assert_true(stage_keep(&stage, &stage.ann, "ann"));
    device_lose(&stage.ann);
    world_wait(&stage.world, 102);
    assert_false(stage_keep(&stage, &stage.ann, "ann"));
    stage_done(&stage);
}

/** DISCONNECT of 5.0 with another time to keep the session for. */
static void disconnect_with(struct device *device, uint32_t expiry_s)
{
    struct block block;
    uint8_t memory[32];
    struct writer writer = writer_of(memory, sizeof(memory));
    mqtt_write_property_four(block_begin(&block), MQTT_PROPERTY_SESSION_EXPIRY, expiry_s);
    mqtt_write_notice(&writer, MQTT_5, MQTT_DISCONNECT, MQTT_SUCCESS, block_bytes(&block));
    device_send(device, writer_written(&writer));
}

static void test_disconnect_changes_the_expiry(void **state)
{
    (void)state; // 5.0, 3.14.2.2.2
    for (int crash = 0; crash <= 1; crash++) {
        struct stage stage;
        stage_empty(&stage, MQTT_5);
        stage_keep(&stage, &stage.ann, "ann");
        disconnect_with(&stage.ann, 20);
        device_expect_closed(&stage.ann);
        if (crash)
            world_crash(&stage.world);
        world_wait(&stage.world, 15);
        assert_true(stage_keep(&stage, &stage.ann, "ann"));
        disconnect_with(&stage.ann, 20);
        if (crash)
            world_crash(&stage.world);
        world_wait(&stage.world, 22);
        assert_false(stage_keep(&stage, &stage.ann, "ann"));
        disconnect_with(&stage.ann, 0);
        if (crash)
            world_crash(&stage.world);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 0);
        stage_done(&stage);
    }
}

static void test_disconnect_cannot_keep_what_was_to_end(void **state)
{
    (void)state;
    struct stage stage;
    stage_both(&stage, MQTT_5);
    disconnect_with(&stage.ann, 20);
    device_expect_ended(&stage.ann, MQTT_PROTOCOL_ERROR);
    disconnect_with(&stage.ben, 0);
    device_expect_closed(&stage.ben);
    assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 0);
    stage_done(&stage);
}

static void test_a_kept_session_may_be_kept_no_longer(void **state)
{
    (void)state;
    for (int crash = 0; crash <= 1; crash++) {
        struct stage stage;
        stage_empty(&stage, MQTT_5);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "a", 2);
        device_lose(&stage.ben);
        device_come(&stage.world, &stage.ann, MQTT_5, "ann");
        device_publish_whole(&stage.ann, "a", "1", 2, 1);
        device_publish_whole(&stage.ann, "a", "2", 2, 2);
        device_done(&stage.ben);
        // resumed, but from now on it ends with its connection
        assert_true(
            device_connect(&stage.world, &stage.ben, MQTT_5, "ben", false, 0).session_present);
        uint16_t id = device_expect_message(&stage.ben, "a", "1", 2).publish.packet_id;
        device_expect_message(&stage.ben, "a", "2", 2);
        device_ack(&stage.ben, MQTT_PUBREC, id);
        device_expect(&stage.ben, MQTT_PUBREL);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
            device_forget(&stage.ben);
        }
        device_lose(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES), 0);
        assert_false(stage_keep(&stage, &stage.ben, "ben"));
        stage_done(&stage);
    }
}

static void test_a_takeover_continues_where_the_other_was(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        device_come(&stage.world, &stage.ann, version, "ann");
        struct device former;
        device_connect(&stage.world, &former, version, "ben", false, 3600);
        device_subscribe(&former, "a", 1);
        device_publish(&stage.ann, "a", "1", 1, 1);
        uint16_t id = device_expect_message(&former, "a", "1", 1).publish.packet_id;
        former.deaf = true;
        device_publish(&stage.ann, "a", "2", 1, 2);
        stage_keep(&stage, &stage.ben, "ben");
        struct mqtt_publish again = device_expect_message(&stage.ben, "a", "1", 1).publish;
        assert_true(again.dup && again.packet_id == id);
        assert_false(device_expect_message(&stage.ben, "a", "2", 1).publish.dup);
        // what the other connection still says is not heard
        assert_true(broker_client_input(former.client, stage.world.now_us,
                                        bytes_of("\x40\x02\x00\x01", 4)) == 4);
        device_ack(&stage.ben, MQTT_PUBACK, id);
        device_done(&former);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_sessions_that_end_take_nothing_from_others(void **state)
{
    (void)state; // messages are shared by the sessions that wait for them
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage_keep(&stage, &stage.ann, "ann");
        device_subscribe(&stage.ann, "#", 1);
        device_lose(&stage.ann);
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "#", 1);
        device_lose(&stage.ben);
        struct device eve;
        device_come(&stage.world, &eve, version, "eve");
        device_publish_whole(&eve, "a", "x", 1, 1);
        device_done(&eve);
        device_reset(&stage.ann);
        device_come(&stage.world, &stage.ann, version, "ann"); // clean
        world_crash(&stage.world);
        device_forget(&stage.ann);
        stage_keep(&stage, &stage.ben, "ben");
        uint16_t id = device_expect_message(&stage.ben, "a", "x", 1).publish.packet_id;
        device_ack(&stage.ben, MQTT_PUBACK, id);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES), 0);
        // all that remains of it in the journal is nothing
        world_crash(&stage.world);
        device_forget(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES), 0);
        stage_done(&stage);
    }
}

static void test_names_of_every_length_outlive_the_process(void **state)
{
    (void)state;
    char *id = malloc(65536);
    memset(id, 'i', 65535);
    id[65535] = '\0';
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    uint8_t *memory = malloc(70000);
    struct writer writer = writer_of(memory, 70000);
    struct block block;
    mqtt_write_property_four(block_begin(&block), MQTT_PROPERTY_SESSION_EXPIRY, 100);
    struct mqtt_connect connect = { .version = MQTT_5,
                                    .client_id = bytes_of(id, 65535),
                                    .has_user = true,
                                    .user = bytes_of_text("ann") };
    mqtt_write_connect(&writer, &connect, block_bytes(&block), nothing());
    for (int i = 0; i < 2; i++) {
        device_reset(&stage.ann);
        device_open(&stage.world, &stage.ann, MQTT_5);
        device_send(&stage.ann, writer_written(&writer));
        assert_int_equal(device_expect(&stage.ann, MQTT_CONNACK).connack.session_present, i);
        world_crash(&stage.world);
        device_forget(&stage.ann);
    }
    free(memory);
    free(id);
    stage_done(&stage);
}

static void test_a_clock_that_was_set_back_keeps_no_session_longer(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    device_connect(&stage.world, &stage.ann, MQTT_5, "ann", false, 60);
    device_lose(&stage.ann);
    struct world *world = &stage.world;
    broker_free(world->broker);
    world->broker = broker_new(&world->config, world->now_us);
    broker_set_unix_offset(world->broker, WORLD_UNIX_US - 1000 * TIME_US_PER_S);
    int result = broker_restore(world->broker, bytes_of(world->disk, world->disk_size));
    assert_int_equal(result, 0);
    broker_resume(world->broker, world->now_us);
    world_wait(world, 55);
    assert_int_equal(world_metric(world, BROKER_METRIC_SESSIONS), 1);
    world_wait(world, 7);
    assert_int_equal(world_metric(world, BROKER_METRIC_SESSIONS), 0);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_3_1_2_23_a_session_is_kept_as_long_as_asked),
        cmocka_unit_test(test_mqtt_4_1_0_1_an_open_connection_keeps_its_session),
        cmocka_unit_test(test_a_session_without_expiry_ends_with_its_connection),
        cmocka_unit_test(test_guests_that_are_away_give_way_when_there_are_too_many),
        cmocka_unit_test(test_users_that_are_away_do_not_give_way),
        cmocka_unit_test(test_mqtt_3_2_2_3_the_longest_expiry_is_told),
        cmocka_unit_test(test_sessions_of_3_1_1_stay_for_the_longest_time),
        cmocka_unit_test(test_disconnect_changes_the_expiry),
        cmocka_unit_test(test_disconnect_cannot_keep_what_was_to_end),
        cmocka_unit_test(test_a_kept_session_may_be_kept_no_longer),
        cmocka_unit_test(test_a_takeover_continues_where_the_other_was),
        cmocka_unit_test(test_sessions_that_end_take_nothing_from_others),
        cmocka_unit_test(test_names_of_every_length_outlive_the_process),
        cmocka_unit_test(test_a_clock_that_was_set_back_keeps_no_session_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
