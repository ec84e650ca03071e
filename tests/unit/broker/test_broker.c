// The common way of messages through a broker, in both versions and between them.
#include "broker_world.h"

static void test_messages_of_every_quality(void **state)
{
    (void)state;
    each_version(from) each_version(to) for (uint8_t qos = 0; qos <= 2; qos++)
    {
        struct world world;
        world_init(&world, &(struct broker_config){ 0 });
        struct device ann, ben;
        device_come(&world, &ann, from, "ann");
        device_come(&world, &ben, to, "ben");
        device_subscribe(&ben, "a/+", 2);
        device_publish_whole(&ann, "a/b", "hello", qos, 9);
        struct mqtt_packet packet = device_expect_message(&ben, "a/b", "hello", qos);
        assert_false(packet.publish.retain || packet.publish.dup);
        uint16_t id = packet.publish.packet_id;
        if (qos == 1)
            device_ack(&ben, MQTT_PUBACK, id);
        if (qos == 2) {
            device_ack(&ben, MQTT_PUBREC, id);
            assert_int_equal(device_expect(&ben, MQTT_PUBREL).ack.packet_id, id);
            device_ack(&ben, MQTT_PUBCOMP, id);
        }
        device_expect_nothing(&ben);
        device_expect_nothing(&ann);
        assert_int_equal(world_metric(&world, BROKER_METRIC_MESSAGE_BYTES), 0);
        device_done(&ann);
        device_done(&ben);
        world_done(&world);
    }
}

static void test_a_kept_session_gets_what_it_missed(void **state)
{
    (void)state;
    each_version(version)
    {
        struct world world;
        world_init(&world, &(struct broker_config){ .journal = true });
        struct device ann, ben;
        assert_false(device_connect(&world, &ben, version, "ben", false, 60).session_present);
        device_subscribe(&ben, "a", 2);
        device_lose(&ben);
        device_come(&world, &ann, version, "ann");
        device_publish_whole(&ann, "a", "0", 0, 0);
        device_publish_whole(&ann, "a", "1", 1, 1);
        device_publish_whole(&ann, "a", "2", 2, 2);
        device_done(&ben);
        assert_true(device_connect(&world, &ben, version, "ben", false, 60).session_present);
        uint16_t first = device_expect_message(&ben, "a", "1", 1).publish.packet_id;
        uint16_t second = device_expect_message(&ben, "a", "2", 2).publish.packet_id;
        assert_int_not_equal(first, second);
        device_expect_nothing(&ben);
        device_done(&ann);
        device_done(&ben);
        world_done(&world);
    }
}

static void test_a_crash_loses_nothing_and_doubles_nothing(void **state)
{
    (void)state;
    each_version(version)
    {
        struct world world;
        world_init(&world, &(struct broker_config){ .journal = true });
        struct device ann, ben;
        device_connect(&world, &ann, version, "ann", false, 60);
        device_connect(&world, &ben, version, "ben", false, 60);
        device_subscribe(&ben, "#", 2);
        device_publish(&ann, "a", "1", 1, 1);
        device_expect(&ann, MQTT_PUBACK);
        device_publish(&ann, "a", "2", 2, 2);
        device_expect(&ann, MQTT_PUBREC);
        uint16_t one = device_expect_message(&ben, "a", "1", 1).publish.packet_id;
        uint16_t two = device_expect_message(&ben, "a", "2", 2).publish.packet_id;
        device_ack(&ben, MQTT_PUBREC, two);
        device_expect(&ben, MQTT_PUBREL);
        // written, and not known to be written: nothing may be promised
        world.disk_waits = true;
        device_publish(&ann, "a", "3", 1, 3);
        device_expect_nothing(&ann);
        world_crash(&world);
        world.disk_waits = false;
        device_forget(&ann);
        device_forget(&ben);
        device_done(&ben);
        assert_true(device_connect(&world, &ben, version, "ben", false, 60).session_present);
        struct mqtt_packet again = device_expect_message(&ben, "a", "1", 1);
        assert_true(again.publish.dup);
        assert_int_equal(again.publish.packet_id, one);
        assert_int_equal(device_expect(&ben, MQTT_PUBREL).ack.packet_id, two);
        device_expect_nothing(&ben);
        // what was not acknowledged comes again, and what was released does not come twice
        device_done(&ann);
        assert_true(device_connect(&world, &ann, version, "ann", false, 60).session_present);
        device_publish_with(&ann,
                            &(struct mqtt_publish){ .dup = true,
                                                    .qos = 2,
                                                    .packet_id = 2,
                                                    .topic = bytes_of_text("a"),
                                                    .payload = bytes_of_text("2") },
                            bytes_of(NULL, 0));
        device_expect(&ann, MQTT_PUBREC);
        device_expect_nothing(&ben);
        device_done(&ann);
        device_done(&ben);
        world_done(&world);
    }
}

static void test_what_the_server_publishes(void **state)
{
    (void)state;
    struct world world;
    world_init(&world,
               &(struct broker_config){ .sys_interval_us = 10 * TIME_US_PER_S, .journal = true });
    struct device ann;
    device_come(&world, &ann, MQTT_5, "ann");
    device_subscribe(&ann, "#", 0);
    device_subscribe(&ann, "$SYS/broker/clients/connected", 0);
    world_wait(&world, 10);
    device_expect_message(&ann, "$SYS/broker/clients/connected", "1", 0);
    device_expect_nothing(&ann);
    // who comes later need not wait
    device_subscribe(&ann, "$SYS/broker/clients/connected", 0);
    assert_true(
        device_expect_message(&ann, "$SYS/broker/clients/connected", "1", 0).publish.retain);
    assert_null(world.disk);
    device_done(&ann);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_of_every_quality),
        cmocka_unit_test(test_a_kept_session_gets_what_it_missed),
        cmocka_unit_test(test_a_crash_loses_nothing_and_doubles_nothing),
        cmocka_unit_test(test_what_the_server_publishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
