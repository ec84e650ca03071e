// What a stranger can do to a broker: everything that it makes us hold has a bound.
#include "broker_stage.h"

#include <stdio.h>

static size_t held(const struct world *world)
{
    return world_metric(world, BROKER_METRIC_MESSAGE_BYTES);
}

static void listen_again(struct device *device)
{
    device->deaf = false;
    if (device->client)
        broker_client_block(device->client, false);
    world_run(device->world);
}

static void test_packets_that_announce_too_much(void **state)
{
    (void)state; // ended as soon as the length is known, before any of it is held
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .packet_size_max = 1000 });
        device_come(&stage.world, &stage.ann, version, "ann");
        char payload[1000];
        memset(payload, 'x', sizeof(payload));
        struct mqtt_publish publish = { .topic = bytes_of_text("a"),
                                        .payload =
                                            bytes_of(payload, version == MQTT_5 ? 993 : 994) };
        device_publish_with(&stage.ann, &publish, nothing()); // 1000 bytes in all
        device_expect_nothing(&stage.ann);
        device_send_hex(&stage.ann, "30e607"); // 1001
        device_expect_ended(&stage.ann, MQTT_PACKET_TOO_LARGE);
        // before CONNECT nobody is told anything
        device_open(&stage.world, &stage.ben, version);
        device_send_hex(&stage.ben, "10ffffff7f");
        device_expect_closed(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_TOO_LARGE), 2);
        stage_done(&stage);
    }
}

static void test_packets_in_pieces(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        device_come(&stage.world, &stage.ben, version, "ben");
        device_subscribe(&stage.ben, "#", 0);
        uint8_t memory[512];
        struct writer writer = writer_of(memory, sizeof(memory));
        struct mqtt_connect connect = { .version = version,
                                        .clean_start = true,
                                        .client_id = bytes_of_text("ann") };
        mqtt_write_connect(&writer, &connect, nothing(), nothing());
        char payload[200];
        memset(payload, 'x', sizeof(payload));
        payload[199] = '\0';
        struct mqtt_publish publish = {
            .topic = bytes_of_text("a"), .payload = bytes_of(payload, 199), .qos = 1, .packet_id = 1
        };
        mqtt_write_publish(&writer, version, &publish, nothing());
        mqtt_write_ping(&writer, MQTT_PINGREQ);
        device_open(&stage.world, &stage.ann, version);
        for (size_t i = 0; i < writer.size; i++)
            device_send(&stage.ann, bytes_of(memory + i, 1));
        device_expect(&stage.ann, MQTT_CONNACK);
        device_expect(&stage.ann, MQTT_PUBACK);
        device_expect(&stage.ann, MQTT_PINGRESP);
        device_expect_message(&stage.ben, "a", payload, 0);
        stage_done(&stage);
    }
}

static void test_a_stranger_announces_less_than_a_client(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, &(struct broker_config){ .packet_size_max = 1u << 20 });
    struct device ann;
    device_open(&world, &ann, MQTT_3_1_1);
    device_send_hex(&ann, "10808020"); // a CONNECT of half a megabyte begins
    device_expect_closed(&ann);
    assert_int_equal(world_metric(&world, BROKER_METRIC_TOO_LARGE), 1);
    device_done(&ann);
    device_come(&world, &ann, MQTT_3_1_1, "ann");
    device_send_hex(&ann, "30808020");
    device_expect_nothing(&ann);
    device_done(&ann);
    world_done(&world);
}

static void test_a_disk_that_stalls_is_not_waited_for_in_memory(void **state)
{
    (void)state; // messages of QoS 0 that replace each other, which no acknowledgement slows
    struct world world;
    world_init(&world, &(struct broker_config){ .journal = true, .memory_max = 1u << 20 });
    struct device ann;
    device_come(&world, &ann, MQTT_3_1_1, "ann");
    world.disk_waits = true;
    static char payload[10001];
    memset(payload, 'x', sizeof(payload) - 1);
    for (unsigned i = 0; i < 100; i++)
        device_retain(&ann, "a", payload);
    // a quarter of what may be held, and then it is not listened to
    assert_true(broker_client_is_busy(ann.client));
    assert_true(ann.unread_size > 600000);
    world.disk_waits = false;
    world_run(&world);
    assert_false(broker_client_is_busy(ann.client));
    assert_int_equal(ann.unread_size, 0);
    assert_true(world.disk_size > 1000000);
    assert_int_equal(world_metric(&world, BROKER_METRIC_DROPPED_MEMORY), 0);
    device_done(&ann);
    world_done(&world);
}

static void test_all_identifiers_of_qos_2(void **state)
{
    (void)state; // before 5.0 nothing bounds them but their number
    struct stage stage;
    stage_both(&stage, MQTT_3_1_1);
    uint8_t *packets = malloc(65535 * 8);
    for (unsigned release = 0; release <= 1; release++) {
        struct writer writer = writer_of(packets, 65535 * 8);
        for (unsigned id = 65535; id > 0; id--) {
            struct mqtt_publish publish = { .topic = bytes_of_text("a"),
                                            .qos = 2,
                                            .packet_id = (uint16_t)id };
            if (release)
                mqtt_write_ack(&writer, MQTT_3_1_1, MQTT_PUBREL,
                               &(struct mqtt_ack){ .packet_id = (uint16_t)id });
            else
                mqtt_write_publish(&writer, MQTT_3_1_1, &publish, nothing());
            if (writer.size < 4096 && id > 1)
                continue;
            device_send(&stage.ann, writer_written(&writer));
            writer.size = 0;
        }
        struct mqtt_packet packet;
        unsigned count = 0;
        while (device_next(&stage.ann, &packet))
            count += packet.type == (release ? MQTT_PUBCOMP : MQTT_PUBREC);
        assert_int_equal(count, 65535);
        assert_int_equal(held(&stage.world), 0);
    }
    free(packets);
    stage_done(&stage);
}

static void test_slow_readers_lose_messages_and_nobody_else(void **state)
{
    (void)state;
    each_version(version) for (uint8_t qos = 0; qos <= 2; qos++)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .queue_count_max = 20,
                                                          .queue_bytes_max = 10000,
                                                          .inflight_max = 5 });
        device_come(&stage.world, &stage.ann, version, "ann");
        device_come(&stage.world, &stage.ben, version, "ben");
        device_subscribe(&stage.ben, "#", qos);
        stage.ben.deaf = true;
        char payload[1000];
        memset(payload, 'x', sizeof(payload));
        payload[999] = '\0';
        for (uint16_t i = 1; i <= 100; i++) {
            device_publish(&stage.ann, "a", i < 50 ? payload : "small", qos, qos ? i : 0);
            device_ack(&stage.ann, MQTT_PUBREL, i);
        }
        // ten of a kilobyte fill the queue
        assert_true(held(&stage.world) < 20000);
        assert_true(world_metric(&stage.world, BROKER_METRIC_DROPPED_FULL) >= 80);
        listen_again(&stage.ben);
        unsigned count = 0;
        struct mqtt_packet packet;
        while (device_next(&stage.ben, &packet)) {
            count += packet.type == MQTT_PUBLISH;
            if (packet.type == MQTT_PUBREL)
                device_ack(&stage.ben, MQTT_PUBCOMP, packet.ack.packet_id);
            else if (qos)
                device_ack(&stage.ben, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC,
                           packet.publish.packet_id);
        }
        assert_int_equal(count, 100 - world_metric(&stage.world, BROKER_METRIC_DROPPED_FULL));
        device_expect_nothing(&stage.ben);
        assert_int_equal(held(&stage.world), 0);
        stage_done(&stage);
    }
}

static void test_answers_that_nobody_reads(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        stage.ann.deaf = true;
        // each of these has an answer of 10,000 bytes
        uint8_t *packet = malloc(50000);
        struct writer writer = writer_of(packet, 50000);
        struct mqtt_packet_start start = mqtt_begin(&writer, MQTT_SUBSCRIBE, 2);
        writer_u16(&writer, 1);
        if (version == MQTT_5)
            writer_u8(&writer, 0);
        for (int i = 0; i < 10000; i++) {
            mqtt_write_text(&writer, bytes_of_text("a"));
            writer_u8(&writer, 0);
        }
        mqtt_end(&writer, start);
        for (int i = 0; i < 20; i++)
            device_send(&stage.ann, writer_written(&writer));
        assert_true(broker_client_is_busy(stage.ann.client));
        assert_true(stage.ann.unread_size >= 12 * writer.size);
        listen_again(&stage.ann);
        for (int i = 0; i < 20; i++)
            assert_int_equal(device_expect(&stage.ann, MQTT_SUBACK).list.items.size, 10000);
        device_expect_nothing(&stage.ann);
        free(packet);
        stage_done(&stage);
    }
}

static void test_a_bomb_of_retained_messages(void **state)
{
    (void)state; // one small packet asks for all of them thousands of times
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .journal = true, .queue_count_max = 10 });
        stage_keep(&stage, &stage.ben, "ben");
        device_come(&stage.world, &stage.ann, version, "ann");
        char topic[16];
        for (int i = 0; i < 200; i++) {
            snprintf(topic, sizeof(topic), "t/%d", i);
            device_retain(&stage.ann, topic, "x");
        }
        size_t before = held(&stage.world);
        stage.ben.deaf = true;
        uint8_t *packet = malloc(50000);
        struct writer writer = writer_of(packet, 50000);
        struct mqtt_packet_start start = mqtt_begin(&writer, MQTT_SUBSCRIBE, 2);
        writer_u16(&writer, 1);
        if (version == MQTT_5)
            writer_u8(&writer, 0);
        for (int i = 0; i < 10000; i++) {
            mqtt_write_text(&writer, bytes_of_text("#"));
            writer_u8(&writer, 0);
        }
        mqtt_end(&writer, start);
        device_send(&stage.ben, writer_written(&writer));
        assert_true(held(&stage.world) - before < 210 * 100);
        listen_again(&stage.ben);
        unsigned count = 0;
        struct mqtt_packet read;
        while (device_next(&stage.ben, &read))
            count += read.type == MQTT_PUBLISH;
        assert_in_range(count, 200, 210);
        free(packet);
        stage_done(&stage);
    }
}

static void test_a_bomb_of_subscriptions(void **state)
{
    (void)state; // many sessions with filters that are long and deep
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .journal = true, .state_max = 100000 });
        char filter[300], id[16];
        stage_keep(&stage, &stage.ann, "s");
        // deeper than anyone needs
        memset(filter, '/', 200);
        filter[200] = '\0';
        assert_int_equal(
            device_subscribe_with(&stage.ann, filter, (struct mqtt_subscription_options){ 0 }, 0),
            version == MQTT_5 ? MQTT_TOPIC_FILTER_INVALID : MQTT_SUBSCRIBE_FAILURE);
        device_retain(&stage.ann, filter, "x");
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_RETAINED), 0);
        unsigned granted = 0, refused = 0;
        for (int i = 0; i < 30; i++) {
            device_reset(&stage.ann);
            snprintf(id, sizeof(id), "s%d", i);
            stage_keep(&stage, &stage.ann, id);
            for (int j = 0; j < 20; j++) {
                memset(filter, '/', 100);
                snprintf(filter + 100, sizeof(filter) - 100, "%d/%d", i, j);
                uint8_t reason = device_subscribe_with(&stage.ann, filter,
                                                       (struct mqtt_subscription_options){ 0 }, 0);
                granted += reason == 0;
                refused +=
                    reason == (version == MQTT_5 ? MQTT_QUOTA_EXCEEDED : MQTT_SUBSCRIBE_FAILURE);
            }
        }
        assert_int_equal(granted + refused, 600);
        assert_true(granted > 50 && refused > 50);
        stage_done(&stage);
    }
}

static void test_filters_that_look_at_every_topic(void **state)
{
    (void)state; // one packet with as many of them as fit
    struct stage stage;
    stage_both(&stage, MQTT_5);
    char topic[16];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(topic, sizeof(topic), "t%u/x", i);
        device_retain(&stage.ann, topic, "x");
    }
    static struct mqtt_subscription asked[900];
    static char filters[900][16];
    for (unsigned i = 0; i < 900; i++) {
        snprintf(filters[i], sizeof(filters[i]), "+/%u", i);
        asked[i] = (struct mqtt_subscription){ .filter = bytes_of_text(filters[i]) };
    }
    static uint8_t packet[20000];
    struct writer writer = writer_of(packet, sizeof(packet));
    mqtt_write_subscribe(&writer, MQTT_5, 7, asked, 900, 0);
    device_send(&stage.ben, writer_written(&writer));
    struct bytes reasons = device_expect(&stage.ben, MQTT_SUBACK).list.items;
    assert_int_equal(reasons.size, 900);
    unsigned granted = 0;
    while (granted < 900 && reasons.data[granted] == MQTT_SUCCESS)
        granted++;
    // each looks at a thousand topics
    assert_true(granted > 150 && granted < 250);
    assert_int_equal(reasons.data[granted], MQTT_QUOTA_EXCEEDED);
    // in the next turn it may ask again
    device_subscribe(&stage.ben, "+/800", 0);
    stage_done(&stage);
}

/** A message to very many is paid for by who sends it: others have their turn between. */
static void test_messages_to_a_thousand_groups(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        char filter[32];
        for (unsigned i = 0; i < 900; i++) {
            snprintf(filter, sizeof(filter), "$share/g%u/a", i);
            device_subscribe(&stage.ben, filter, 0);
        }
        stage.ben.deaf = true;
        uint8_t packets[8192];
        struct writer writer = writer_of(packets, sizeof(packets));
        struct mqtt_publish publish = { .topic = bytes_of_text("a"),
                                        .payload = bytes_of_text("x") };
        unsigned count = 0;
        for (; writer.size + 16 < sizeof(packets); count++)
            mqtt_write_publish(&writer, version, &publish, bytes_of(NULL, 0));
        // as it comes from the network: at once
        struct bytes input = writer_written(&writer);
        size_t taken = broker_client_input(stage.ann.client, stage.world.now_us, input);
        uint64_t received = world_metric(&stage.world, BROKER_METRIC_RECEIVED);
        assert_in_range(received, 200, 250);
        assert_true(taken < input.size && broker_client_is_busy(stage.ann.client));
        // and goes on, without anything for it
        device_send(&stage.ann, bytes_of(input.data + taken, input.size - taken));
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_RECEIVED), count);
        stage_done(&stage);
    }
}

static void test_messages_that_wait_for_many(void **state)
{
    (void)state; // they are shared; their places in the queues count as well
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .memory_max = 50000 });
        char id[16];
        for (int i = 0; i < 50; i++) {
            snprintf(id, sizeof(id), "s%d", i);
            stage_keep(&stage, &stage.ben, id);
            device_subscribe(&stage.ben, "#", 1);
        }
        device_reset(&stage.ben);
        device_come(&stage.world, &stage.ann, version, "ann");
        // 3.1.1 has no words for it but the end
        for (uint16_t i = 1; i <= 100 && stage.ann.client; i++)
            device_publish(&stage.ann, "a", "", 1, i);
        assert_in_range(held(&stage.world), 40000, 51000);
        assert_true(world_metric(&stage.world, BROKER_METRIC_DROPPED_MEMORY) > 0);
        stage_done(&stage);
    }
}

static void test_a_storm_of_wills(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .journal = true, .queue_count_max = 50 });
        device_come(&stage.world, &stage.ben, version, "ben");
        device_subscribe(&stage.ben, "will/#", 1);
        stage.ben.deaf = true;
        static struct device crowd[300];
        char id[16];
        for (size_t i = 0; i < array_size(crowd); i++) {
            snprintf(id, sizeof(id), "will/%zu", i);
            device_come_with_will(&stage.world, &crowd[i], version, id,
                                  &(struct last_words){ id, "gone", 1, false, 0, 0 });
        }
        for (size_t i = 0; i < array_size(crowd); i++)
            device_done(&crowd[i]);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_WILLS), 300);
        listen_again(&stage.ben);
        unsigned count = 0;
        struct mqtt_packet packet;
        while (device_next(&stage.ben, &packet)) {
            count++;
            device_ack(&stage.ben, MQTT_PUBACK, packet.publish.packet_id);
        }
        assert_int_equal(count + world_metric(&stage.world, BROKER_METRIC_DROPPED_FULL), 300);
        assert_in_range(count, 50, 151);
        assert_int_equal(held(&stage.world), 0);
        stage_done(&stage);
    }
}

static void test_a_storm_of_takeovers(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        static struct device crowd[200];
        for (size_t i = 0; i < array_size(crowd); i++) {
            device_connect(&stage.world, &crowd[i], version, "one", i % 3 == 0, 60);
            device_publish(&crowd[i], "a", "x", 1, 1);
        }
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_CLIENTS), 1);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 1);
        for (size_t i = 0; i < array_size(crowd); i++)
            device_done(&crowd[i]);
        stage_done(&stage);
    }
}

static void test_names_that_pretend_to_be_others(void **state)
{
    (void)state; // a session is its user's; a zero byte in a name would look like another user
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        struct mqtt_connect connect = { .version = version,
                                        .clean_start = true,
                                        .client_id = bytes_of("b\0c", 3),
                                        .has_user = true,
                                        .user = bytes_of_text("a") };
        device_ask(&stage.world, &stage.ann, &connect, nothing());
        if (version == MQTT_5)
            assert_int_equal(device_expect(&stage.ann, MQTT_CONNACK).connack.reason,
                             MQTT_MALFORMED_PACKET);
        device_expect_closed(&stage.ann);
        connect.client_id = bytes_of_text("c");
        connect.user = bytes_of("a\0b", 3);
        device_ask(&stage.world, &stage.ann, &connect, nothing());
        if (version == MQTT_5)
            device_expect(&stage.ann, MQTT_CONNACK);
        device_expect_closed(&stage.ann);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 0);
        stage_done(&stage);
    }
}

static void test_topics_of_the_server_cannot_be_spoken_for(void **state)
{
    (void)state; // not directly, not by an alias, not by a will
    struct stage stage;
    stage_both(&stage, MQTT_5);
    device_subscribe(&stage.ben, "$SYS/#", 0);
    struct block block;
    mqtt_write_property_two(block_begin(&block), MQTT_PROPERTY_TOPIC_ALIAS, 1);
    device_publish_block(&stage.ann, "$SYS/broker/version", 1, 1, &block);
    assert_int_equal(device_expect(&stage.ann, MQTT_PUBACK).ack.reason, MQTT_NOT_AUTHORIZED);
    device_publish_block(&stage.ann, "", 1, 2, &block);
    assert_int_equal(device_expect(&stage.ann, MQTT_PUBACK).ack.reason, MQTT_NOT_AUTHORIZED);
    // nor does an alias find what another client named
    device_publish_block(&stage.ben, "", 0, 0, &block);
    device_expect_ended(&stage.ben, MQTT_PROTOCOL_ERROR);
    stage_done(&stage);
}

static void test_what_is_forbidden_later_is_not_asked_by_an_alias(void **state)
{
    (void)state;
    struct stage stage;
    stage_both(&stage, MQTT_5);
    device_subscribe(&stage.ben, "#", 0);
    struct block block;
    mqtt_write_property_two(block_begin(&block), MQTT_PROPERTY_TOPIC_ALIAS, 1);
    device_publish_block(&stage.ann, "door", 0, 0, &block);
    device_expect_message(&stage.ben, "door", "p", 0);
    stage.world.forbidden = "door";
    device_publish_block(&stage.ann, "", 0, 0, &block);
    device_expect_nothing(&stage.ben);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets_that_announce_too_much),
        cmocka_unit_test(test_packets_in_pieces),
        cmocka_unit_test(test_a_stranger_announces_less_than_a_client),
        cmocka_unit_test(test_a_disk_that_stalls_is_not_waited_for_in_memory),
        cmocka_unit_test(test_all_identifiers_of_qos_2),
        cmocka_unit_test(test_slow_readers_lose_messages_and_nobody_else),
        cmocka_unit_test(test_answers_that_nobody_reads),
        cmocka_unit_test(test_a_bomb_of_retained_messages),
        cmocka_unit_test(test_a_bomb_of_subscriptions),
        cmocka_unit_test(test_filters_that_look_at_every_topic),
        cmocka_unit_test(test_messages_to_a_thousand_groups),
        cmocka_unit_test(test_messages_that_wait_for_many),
        cmocka_unit_test(test_a_storm_of_wills),
        cmocka_unit_test(test_a_storm_of_takeovers),
        cmocka_unit_test(test_names_that_pretend_to_be_others),
        cmocka_unit_test(test_topics_of_the_server_cannot_be_spoken_for),
        cmocka_unit_test(test_what_is_forbidden_later_is_not_asked_by_an_alias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
