// Shared subscriptions (5.0, 4.8.2); clients of 3.1.1 may have them as well.
#include "broker_stage.h"

#define MEMBERS 3

static void members_come(struct stage *stage, struct device members[MEMBERS], uint8_t qos)
{
    static const char *const names[] = { "m0", "m1", "m2" };
    for (int i = 0; i < MEMBERS; i++) {
        members[i] = (struct device){ 0 };
        stage_keep(stage, &members[i], names[i]);
        device_subscribe(&members[i], "$share/group/a/+", qos);
    }
}

static void members_done(struct device members[MEMBERS])
{
    for (int i = 0; i < MEMBERS; i++)
        device_reset(&members[i]);
}

static void test_mqtt_4_8_2_1_one_member_gets_it_in_turn(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        struct device members[MEMBERS];
        members_come(&stage, members, 1);
        for (int i = 0; i < 2 * MEMBERS; i++)
            device_publish(&stage.ann, "a/b", "x", 1, 1);
        for (int i = 0; i < MEMBERS; i++) {
            device_expect_message(&members[i], "a/b", "x", 1);
            device_expect_message(&members[i], "a/b", "x", 1);
            device_expect_nothing(&members[i]);
        }
        members_done(members);
        stage_done(&stage);
    }
}

static void test_groups_and_others_get_copies_of_their_own(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "$share/one/a", 0);
        device_subscribe(&stage.ben, "$share/two/a", 0);
        device_subscribe(&stage.ben, "$share/two/#", 0);
        device_subscribe(&stage.ben, "a", 0);
        device_publish(&stage.ann, "a", "x", 0, 0);
        for (int i = 0; i < 4; i++)
            device_expect_message(&stage.ben, "a", "x", 0);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_mqtt_3_3_4_5_each_copy_has_the_identifier_of_its_subscription(void **state)
{
    (void)state;
    struct stage stage;
    stage_both(&stage, MQTT_5);
    struct mqtt_subscription_options options = { .qos = 1 };
    device_subscribe_as(&stage.ben, "$share/g/a", options, 7);
    device_subscribe_as(&stage.ben, "a", options, 9);
    device_subscribe_as(&stage.ben, "+", options, 11);
    device_subscribe_as(&stage.ben, "$share/h/a", options, 0);
    device_publish(&stage.ann, "a", "x", 1, 1);
    unsigned copies[3] = { 0 }; // of the first group, of the second, and of both plain ones
    for (int i = 0; i < 3; i++) {
        struct mqtt_packet packet = device_expect_message(&stage.ben, "a", "x", 1);
        struct reader reader = reader_of(packet.properties.raw.data, packet.properties.raw.size);
        struct mqtt_property_entry entry;
        uint64_t sum = 0, count = 0;
        while (mqtt_property_next(&reader, &entry)) {
            assert_int_equal(entry.property, MQTT_PROPERTY_SUBSCRIPTION_ID);
            sum += entry.number;
            count++;
        }
        copies[0] += count == 1 && sum == 7;
        copies[1] += count == 0;
        copies[2] += count == 2 && sum == 9 + 11;
    }
    device_expect_nothing(&stage.ben);
    for (int i = 0; i < 3; i++)
        assert_int_equal(copies[i], 1);
    stage_done(&stage);
}

static void test_mqtt_4_8_2_3_the_quality_of_the_member(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ann, "$share/g/a", 0);
        device_subscribe(&stage.ben, "$share/g/a", 2);
        for (uint16_t i = 1; i <= 2; i++)
            device_publish(&stage.ann, "a", "x", 2, i);
        device_expect_message(&stage.ben, "a", "x", 2);
        device_expect(&stage.ann, MQTT_PUBREC);
        // one of them in turn, whichever was first
        struct mqtt_packet packet;
        bool has_got = false;
        while (device_next(&stage.ann, &packet))
            has_got |= packet.type == MQTT_PUBLISH && packet.publish.qos == 0;
        assert_true(has_got);
        stage_done(&stage);
    }
}

static void test_mqtt_4_8_2_4_qos_2_is_completed_to_its_member(void **state)
{
    (void)state; // [MQTT-4.8.2-5]: to nobody else, even when it never comes back
    each_version(version) for (int crash = 0; crash <= 1; crash++)
    {
        struct stage stage;
        stage_both(&stage, version);
        struct device members[MEMBERS];
        members_come(&stage, members, 2);
        device_publish(&stage.ann, "a/b", "x", 2, 1);
        uint16_t id = device_expect_message(&members[0], "a/b", "x", 2).publish.packet_id;
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ann);
            device_forget(&stage.ben);
            device_forget(&members[0]);
            device_forget(&members[1]);
            device_forget(&members[2]);
            stage_keep(&stage, &members[1], "m1");
        }
        stage_keep(&stage, &members[0], "m0");
        struct mqtt_publish again = device_expect_message(&members[0], "a/b", "x", 2).publish;
        assert_true(again.dup && again.packet_id == id);
        device_expect_nothing(&members[1]);
        device_reset(&members[0]);
        device_connect(&stage.world, &members[0], version, "m0", true, 0);
        device_expect_nothing(&members[1]);
        members_done(members);
        stage_done(&stage);
    }
}

static void test_mqtt_4_8_2_6_a_refused_message_goes_to_nobody(void **state)
{
    (void)state;
    struct stage stage;
    stage_both(&stage, MQTT_5);
    struct device members[MEMBERS];
    members_come(&stage, members, 1);
    device_publish(&stage.ann, "a/b", "x", 1, 1);
    uint16_t id = device_expect_message(&members[0], "a/b", "x", 1).publish.packet_id;
    device_ack_reason(&members[0], MQTT_PUBACK, id, MQTT_UNSPECIFIED_ERROR);
    for (int i = 0; i < MEMBERS; i++)
        device_expect_nothing(&members[i]);
    assert_int_equal(world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES), 0);
    members_done(members);
    stage_done(&stage);
}

static void test_who_is_there_goes_first(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        struct device members[MEMBERS];
        members_come(&stage, members, 1);
        device_lose(&members[0]);
        device_lose(&members[2]);
        for (int i = 0; i < 3; i++) {
            device_publish(&stage.ann, "a/b", "x", 1, 1);
            device_expect_message(&members[1], "a/b", "x", 1);
        }
        // when nobody is there, it waits for one of them
        device_lose(&members[1]);
        device_publish(&stage.ann, "a/b", "later", 1, 1);
        unsigned count = 0;
        static const char *const names[] = { "m0", "m1", "m2" };
        for (int i = 0; i < MEMBERS; i++) {
            struct mqtt_packet packet;
            stage_keep(&stage, &members[i], names[i]);
            while (device_next(&members[i], &packet))
                count += text_equal(packet.publish.payload, "later");
        }
        assert_int_equal(count, 1);
        members_done(members);
        stage_done(&stage);
    }
}

static void test_a_slow_member_does_not_stop_the_others(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .queue_count_max = 5 });
        device_come(&stage.world, &stage.ann, version, "ann");
        struct device members[MEMBERS];
        members_come(&stage, members, 0);
        members[0].deaf = true;
        for (int i = 0; i < 100; i++)
            device_publish(&stage.ann, "a/b", "x", 0, 0);
        unsigned count = 0;
        struct mqtt_packet packet;
        for (int i = 1; i < MEMBERS; i++) {
            while (device_next(&members[i], &packet))
                count++;
        }
        assert_int_equal(count, 95);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DROPPED_FULL), 0);
        members_done(members);
        stage_done(&stage);
    }
}

static void test_a_group_of_slow_members_loses_messages(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .queue_count_max = 2 });
        device_come(&stage.world, &stage.ann, version, "ann");
        device_come(&stage.world, &stage.ben, version, "ben");
        device_subscribe(&stage.ben, "$share/g/a", 0);
        stage.ben.deaf = true;
        for (int i = 0; i < 5; i++)
            device_publish(&stage.ann, "a", "x", 0, 0);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DROPPED_FULL), 3);
        stage_done(&stage);
    }
}

static void test_who_has_no_room_for_more_does_not_take_it_from_others(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .queue_count_max = 2 });
        device_come(&stage.world, &stage.ann, version, "ann");
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "$share/g/a", 1);
        device_subscribe(&stage.ben, "b", 1);
        device_lose(&stage.ben);
        struct device eve = { 0 };
        stage_keep(&stage, &eve, "eve");
        device_subscribe(&eve, "$share/g/a", 1);
        device_lose(&eve);
        // nobody is there, and ben's queue is full of something else
        for (uint16_t i = 1; i <= 2; i++)
            device_publish(&stage.ann, "b", "x", 1, i);
        for (uint16_t i = 3; i <= 4; i++)
            device_publish(&stage.ann, "a", "for one of them", 1, i);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_DROPPED_FULL), 0);
        stage_keep(&stage, &eve, "eve");
        device_expect_message(&eve, "a", "for one of them", 1);
        device_expect_message(&eve, "a", "for one of them", 1);
        device_reset(&eve);
        stage_done(&stage);
    }
}

static void test_no_retained_messages_for_them(void **state)
{
    (void)state; // 5.0, 4.8.2
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_retain(&stage.ann, "a", "kept");
        device_subscribe(&stage.ben, "$share/g/a", 0);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

static void test_the_right_is_that_of_the_filter(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        stage.world.forbidden = "secret";
        assert_int_equal(device_subscribe_with(&stage.ben, "$share/g/secret/a",
                                               (struct mqtt_subscription_options){ 0 }, 0),
                         version == MQTT_5 ? MQTT_NOT_AUTHORIZED : MQTT_SUBSCRIBE_FAILURE);
        device_subscribe(&stage.ben, "$share/secret/a", 0); // a group is a name
        stage_done(&stage);
    }
}

static void test_mqtt_4_8_2_2_names_of_groups(void **state)
{
    (void)state;
    static const char *const wrong[] = { "$share/",    "$share//a",   "$share/g",   "$share/g/",
                                         "$share/+/a", "$share/g#/a", "$share/g/a#" };
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        for (size_t i = 0; i < array_size(wrong); i++)
            assert_int_equal(device_subscribe_with(&stage.ben, wrong[i],
                                                   (struct mqtt_subscription_options){ 0 }, 0),
                             version == MQTT_5 ? MQTT_TOPIC_FILTER_INVALID
                                               : MQTT_SUBSCRIBE_FAILURE);
        device_subscribe(&stage.ben, "$share/g//", 0);
        device_publish(&stage.ann, "/", "x", 0, 0);
        device_expect_message(&stage.ben, "/", "x", 0);
        stage_done(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mqtt_4_8_2_1_one_member_gets_it_in_turn),
        cmocka_unit_test(test_groups_and_others_get_copies_of_their_own),
        cmocka_unit_test(test_mqtt_3_3_4_5_each_copy_has_the_identifier_of_its_subscription),
        cmocka_unit_test(test_mqtt_4_8_2_3_the_quality_of_the_member),
        cmocka_unit_test(test_mqtt_4_8_2_4_qos_2_is_completed_to_its_member),
        cmocka_unit_test(test_mqtt_4_8_2_6_a_refused_message_goes_to_nobody),
        cmocka_unit_test(test_who_is_there_goes_first),
        cmocka_unit_test(test_a_slow_member_does_not_stop_the_others),
        cmocka_unit_test(test_a_group_of_slow_members_loses_messages),
        cmocka_unit_test(test_who_has_no_room_for_more_does_not_take_it_from_others),
        cmocka_unit_test(test_no_retained_messages_for_them),
        cmocka_unit_test(test_the_right_is_that_of_the_filter),
        cmocka_unit_test(test_mqtt_4_8_2_2_names_of_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
