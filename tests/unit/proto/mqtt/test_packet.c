// Packets: what is written is read back, and what the standards forbid is refused for the right
// reason. Numbers of statements are those of MQTT 5.0 where both versions have one.
#include "support/check.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "proto/mqtt/mqtt_packet.h"

static uint8_t memory[4096];

static struct mqtt_packet packet_of(const struct writer *writer, enum mqtt_version version)
{
    assert_false(writer->failed);
    struct mqtt_frame frame;
    assert_int_equal(mqtt_frame_read(writer_written(writer), 4096, &frame), 0);
    assert_int_equal(frame.size, writer->size);
    struct mqtt_packet packet;
    assert_int_equal(mqtt_packet_read(&frame, version, &packet), 0);
    return packet;
}

/** Reads a packet given in hex; returns the reason. */
static int read_hex(const char *hex, enum mqtt_version version, struct mqtt_packet *packet)
{
    int size = text_hex_parse(bytes_of_text(hex), memory, sizeof(memory));
    assert_true(size > 0);
    struct mqtt_frame frame;
    int result = mqtt_frame_read(bytes_of(memory, (size_t)size), sizeof(memory), &frame);
    if (result < 0)
        return result;
    assert_int_equal(frame.size, size);
    return mqtt_packet_read(&frame, version, packet);
}

static void assert_text(struct bytes actual, const char *expected)
{
    assert_true(text_equal(actual, expected));
}

/** ---- frames ---- */

static void test_frames_are_found(void **state)
{
    (void)state;
    struct mqtt_frame frame;
    static const uint8_t ping[] = { 0xc0, 0 };
    assert_int_equal(mqtt_frame_read(bytes_of(ping, 0), 100, &frame), -EAGAIN);
    assert_int_equal(mqtt_frame_read(bytes_of(ping, 1), 100, &frame), -EAGAIN);
    assert_int_equal(mqtt_frame_read(bytes_of(ping, 2), 100, &frame), 0);
    assert_int_equal(frame.type, MQTT_PINGREQ);
    static const uint8_t large[] = { 0x30, 0x80, 0x80, 0x80, 0x01 };
    for (size_t size = 1; size < 5; size++)
        assert_int_equal(mqtt_frame_read(bytes_of(large, size), 100, &frame), -EAGAIN);
    assert_int_equal(mqtt_frame_read(bytes_of(large, 5), 100, &frame), -EMSGSIZE);
    assert_int_equal(frame.size, 5 + (1 << 21));
    assert_int_equal(mqtt_frame_read(bytes_of(large, 5), MQTT_PACKET_SIZE_MAX, &frame), -EAGAIN);
}

/** MQTT-1.5.5-1, 2.1.2. */
static void test_frames_that_cannot_be(void **state)
{
    (void)state;
    struct mqtt_packet packet;
    assert_int_equal(read_hex("00", MQTT_5, &packet), -EBADMSG);
    assert_int_equal(read_hex("308000", MQTT_5, &packet), -EBADMSG);
    assert_int_equal(read_hex("3080808080", MQTT_5, &packet), -EBADMSG);
    assert_int_equal(read_hex("30ffffff8001", MQTT_5, &packet), -EBADMSG);
}

/** ---- round trips ---- */

static void test_connect_and_back(void **state)
{
    (void)state;
    for (enum mqtt_version version = MQTT_3_1; version <= MQTT_5; version++) {
        uint8_t block[200];
        struct writer properties = writer_of(block, sizeof(block));
        mqtt_write_property_four(&properties, MQTT_PROPERTY_SESSION_EXPIRY, 3600);
        mqtt_write_property_two(&properties, MQTT_PROPERTY_RECEIVE_MAXIMUM, 20);
        mqtt_write_user_property(&properties, bytes_of_text("a"), bytes_of_text("b"));
        mqtt_write_user_property(&properties, bytes_of_text("a"), bytes_of_text("c"));
        uint8_t will_block[20];
        struct writer will_properties = writer_of(will_block, sizeof(will_block));
        mqtt_write_property_four(&will_properties, MQTT_PROPERTY_WILL_DELAY, 7);
        struct mqtt_connect connect = {
            .version = version,
            .keep_alive_s = 60,
            .has_will = true,
            .has_user = true,
            .has_password = true,
            .client_id = bytes_of_text("client"),
            .user = bytes_of_text("ann"),
            .password = bytes_of("\0\xff", 2),
            .will = { .topic = bytes_of_text("will"),
                      .payload = bytes_of_text("gone"),
                      .qos = 2,
                      .retain = true },
        };
        struct writer writer = writer_of(memory, sizeof(memory));
        mqtt_write_connect(&writer, &connect, writer_written(&properties),
                           writer_written(&will_properties));
        struct mqtt_packet packet = packet_of(&writer, MQTT_VERSION_UNKNOWN);
        assert_int_equal(packet.type, MQTT_CONNECT);
        assert_int_equal(packet.connect.version, version);
        assert_int_equal(packet.connect.keep_alive_s, 60);
        assert_false(packet.connect.clean_start);
        assert_text(packet.connect.client_id, "client");
        assert_text(packet.connect.user, "ann");
        assert_true(bytes_equal(packet.connect.password, connect.password));
        assert_text(packet.connect.will.topic, "will");
        assert_text(packet.connect.will.payload, "gone");
        assert_int_equal(packet.connect.will.qos, 2);
        assert_true(packet.connect.will.retain);
        bool five = version == MQTT_5;
        assert_int_equal(packet.properties.session_expiry_s, five ? 3600 : 0);
        assert_int_equal(packet.properties.receive_maximum, five ? 20 : 0);
        assert_int_equal(packet.connect.will.properties.will_delay_s, five ? 7 : 0);
        assert_int_equal(mqtt_has(&packet.properties, MQTT_PROPERTY_USER_PROPERTY), five);
    }
}

static void test_properties_keep_their_order(void **state)
{
    (void)state;
    uint8_t block[400];
    struct writer properties = writer_of(block, sizeof(block));
    char name[2] = "a";
    // longer than 127 bytes: the length in front takes two
    for (; name[0] <= 'z'; name[0]++)
        mqtt_write_user_property(&properties, bytes_of_text(name), bytes_of_text("value"));
    struct mqtt_publish publish = { .topic = bytes_of_text("t"), .qos = 1, .packet_id = 9 };
    struct writer writer = writer_of(memory, sizeof(memory));
    mqtt_write_publish(&writer, MQTT_5, &publish, writer_written(&properties));
    struct mqtt_packet packet = packet_of(&writer, MQTT_5);
    struct reader reader = reader_of(packet.properties.raw.data, packet.properties.raw.size);
    struct mqtt_property_entry entry;
    name[0] = 'a';
    for (; mqtt_property_next(&reader, &entry); name[0]++) {
        assert_int_equal(entry.property, MQTT_PROPERTY_USER_PROPERTY);
        assert_text(entry.text, name);
        assert_text(entry.value, "value");
    }
    assert_int_equal(name[0], 'z' + 1);
}

static void test_publish_and_back(void **state)
{
    (void)state;
    for (unsigned qos = 0; qos <= 2; qos++) {
        for (enum mqtt_version version = MQTT_3_1_1; version <= MQTT_5; version++) {
            struct mqtt_publish publish = { .topic = bytes_of_text("a/b"),
                                            .payload = bytes_of_text("payload"),
                                            .qos = (uint8_t)qos,
                                            .dup = qos > 0,
                                            .retain = true,
                                            .packet_id = qos > 0 ? 0xfffe : 0 };
            struct writer writer = writer_of(memory, sizeof(memory));
            mqtt_write_publish(&writer, version, &publish, bytes_of(NULL, 0));
            struct mqtt_packet packet = packet_of(&writer, version);
            assert_int_equal(packet.publish.qos, qos);
            assert_int_equal(packet.publish.packet_id, publish.packet_id);
            assert_int_equal(packet.publish.dup, qos > 0);
            assert_true(packet.publish.retain);
            assert_text(packet.publish.topic, "a/b");
            assert_text(packet.publish.payload, "payload");
        }
    }
}

static void test_subscribe_and_back(void **state)
{
    (void)state;
    const struct mqtt_subscription asked[] = {
        { bytes_of_text("a/#"), { .qos = 2, .no_local = true, .retain_handling = 2 } },
        { bytes_of_text("b"), { .qos = 1, .retain_as_published = true, .retain_handling = 1 } },
    };
    struct writer writer = writer_of(memory, sizeof(memory));
    mqtt_write_subscribe(&writer, MQTT_5, 7, asked, 2, 268435455);
    struct mqtt_packet packet = packet_of(&writer, MQTT_5);
    assert_int_equal(packet.list.packet_id, 7);
    assert_int_equal(packet.properties.subscription_id, 268435455);
    struct reader items = reader_of(packet.list.items.data, packet.list.items.size);
    struct mqtt_subscription read;
    for (size_t i = 0; i < 2; i++) {
        assert_true(mqtt_list_next_subscription(&items, &read));
        assert_true(bytes_equal(read.filter, asked[i].filter));
        assert_memory_equal(&read.options, &asked[i].options, sizeof(read.options));
    }
    assert_false(mqtt_list_next_subscription(&items, &read));

    struct bytes filters[] = { bytes_of_text("a/#"), bytes_of_text("b") }, filter;
    writer = writer_of(memory, sizeof(memory));
    mqtt_write_unsubscribe(&writer, MQTT_3_1_1, 8, filters, 2);
    packet = packet_of(&writer, MQTT_3_1_1);
    assert_int_equal(packet.type, MQTT_UNSUBSCRIBE);
    items = reader_of(packet.list.items.data, packet.list.items.size);
    assert_true(mqtt_list_next_filter(&items, &filter) && bytes_equal(filter, filters[0]));
    assert_true(mqtt_list_next_filter(&items, &filter) && bytes_equal(filter, filters[1]));
    assert_false(mqtt_list_next_filter(&items, &filter));
}

static void test_answers_and_back(void **state)
{
    (void)state;
    for (enum mqtt_version version = MQTT_3_1_1; version <= MQTT_5; version++) {
        bool five = version == MQTT_5;
        for (enum mqtt_type type = MQTT_PUBACK; type <= MQTT_PUBCOMP; type++) {
            struct writer writer = writer_of(memory, sizeof(memory));
            struct mqtt_ack ack = { .packet_id = 300, .reason = MQTT_PACKET_ID_NOT_FOUND };
            mqtt_write_ack(&writer, version, type, &ack);
            struct mqtt_packet packet = packet_of(&writer, version);
            assert_int_equal(packet.ack.packet_id, 300);
            assert_int_equal(packet.ack.reason, five ? MQTT_PACKET_ID_NOT_FOUND : 0);
        }
        static const uint8_t reasons[] = { 0, 1, 0x80 };
        struct writer writer = writer_of(memory, sizeof(memory));
        mqtt_write_list_ack(&writer, version, MQTT_SUBACK, 5, bytes_of(reasons, 3));
        struct mqtt_packet packet = packet_of(&writer, version);
        assert_true(bytes_equal(packet.list.items, bytes_of(reasons, 3)));
        writer = writer_of(memory, sizeof(memory));
        mqtt_write_list_ack(&writer, version, MQTT_UNSUBACK, 5, bytes_of(reasons, 3));
        packet = packet_of(&writer, version);
        assert_int_equal(packet.list.items.size, five ? 3 : 0);
        writer = writer_of(memory, sizeof(memory));
        mqtt_write_connack(&writer, version, &(struct mqtt_connack){ true, 0 }, bytes_of(NULL, 0));
        assert_true(packet_of(&writer, version).connack.session_present);
        writer = writer_of(memory, sizeof(memory));
        mqtt_write_notice(&writer, version, MQTT_DISCONNECT, MQTT_SERVER_BUSY, bytes_of(NULL, 0));
        assert_int_equal(packet_of(&writer, version).notice.reason, five ? MQTT_SERVER_BUSY : 0);
        writer = writer_of(memory, sizeof(memory));
        mqtt_write_ping(&writer, MQTT_PINGRESP);
        assert_int_equal(packet_of(&writer, version).type, MQTT_PINGRESP);
    }
}

/** ---- what is refused ---- */

struct refusal {
    const char *statement, *hex;
    enum mqtt_version version;
    int reason;
};

static void check_refusals(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct mqtt_packet packet;
        int reason = read_hex(cases[i].hex, cases[i].version, &packet);
        if (reason != cases[i].reason)
            fail_msg("%s (%s): 0x%02x instead of 0x%02x", cases[i].statement, cases[i].hex,
                     (unsigned)reason, (unsigned)cases[i].reason);
    }
}

static void test_connects_that_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        { "good 3.1.1", "100d00044d5154540402003c000161", 0, 0 },
        { "good 5.0", "100e00044d5154540502003c00000161", 0, 0 },
        { "3.1.0 flags", "110d00044d5154540402003c000161", 0, MQTT_MALFORMED_PACKET },
        { "3.1.2-1", "100d00044d5154580402003c000161", 0, MQTT_UNSUPPORTED_VERSION },
        { "3.1.2-2", "100d00044d5154540602003c000161", 0, MQTT_UNSUPPORTED_VERSION },
        { "3.1.2-2", "100d00044d5154540302003c000161", 0, MQTT_UNSUPPORTED_VERSION },
        { "3.1.2-3", "100d00044d5154540403003c000161", 0, MQTT_MALFORMED_PACKET },
        { "3.1.2-11", "100d00044d515454040a003c000161", 0, MQTT_MALFORMED_PACKET },
        { "3.1.2-13", "100d00044d5154540422003c000161", 0, MQTT_MALFORMED_PACKET },
        { "3.1.2-12", "101200044d515454041e003c0001610001620000", 0, MQTT_MALFORMED_PACKET },
        { "3.1.2-9", "100d00044d5154540406003c000161", 0, MQTT_MALFORMED_PACKET },
        { "3.1.2-17", "100d00044d5154540482003c000161", 0, MQTT_MALFORMED_PACKET },
        { "3.1.2-16", "101000044d5154540402003c000161000162", 0, MQTT_MALFORMED_PACKET },
        { "3.1.1: 3.1.2-22", "101000044d5154540442003c000161000162", 0, MQTT_MALFORMED_PACKET },
        { "5.0 may have a password alone", "101100044d5154540542003c00000161000162", 0, 0 },
        { "3.1.1: 3.1.3-8", "100c00044d5154540400003c0000", 0, MQTT_CLIENT_ID_NOT_VALID },
        { "5.0 gives names", "100d00044d5154540500003c000000", 0, 0 },
        { "3.1.3-4", "100d00044d5154540402003c0001ff", 0, MQTT_MALFORMED_PACKET },
        { "1.5.4-2", "100d00044d5154540402003c000100", 0, MQTT_MALFORMED_PACKET },
        { "will topic", "101200044d5154540406003c00016100012b0000", 0, MQTT_TOPIC_NAME_INVALID },
        { "data, no method",
          "101200044d5154540502003c041600016100"
          "0161",
          0, MQTT_PROTOCOL_ERROR },
        { "expiry twice", "101800044d5154540502003c0a11000000011100000001000161", 0,
          MQTT_PROTOCOL_ERROR },
        { "receive maximum 0", "101100044d5154540502003c03210000000161", 0, MQTT_PROTOCOL_ERROR },
        { "packet size 0", "101300044d5154540502003c052700000000000161", 0, MQTT_PROTOCOL_ERROR },
        { "no such property", "101000044d5154540502003c027f01000161", 0, MQTT_MALFORMED_PACKET },
        { "not for CONNECT", "101100044d5154540502003c03230001000161", 0, MQTT_PROTOCOL_ERROR },
        { "properties too long", "100e00044d5154540502003c09000161", 0, MQTT_MALFORMED_PACKET },
    };
    check_refusals(cases, array_size(cases));
}

static void test_messages_that_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        { "good", "300300016d", MQTT_3_1_1, 0 },
        { "good 5.0", "300400016d00", MQTT_5, 0 },
        { "3.3.1-4", "360500016d0001", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "3.3.1-2", "380300016d", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "2.2.1-3", "320500016d0000", MQTT_3_1_1, MQTT_PROTOCOL_ERROR },
        { "3.3.2-1", "300300ff6d", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "3.3.2-1 UTF-8", "30030001ff", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "3.3.2-2", "300300012b", MQTT_3_1_1, MQTT_TOPIC_NAME_INVALID },
        { "3.1.1: 4.7.3-1", "30020000", MQTT_3_1_1, MQTT_PROTOCOL_ERROR },
        { "no topic, no alias", "3003000000", MQTT_5, MQTT_PROTOCOL_ERROR },
        { "an alias alone", "3006000003230001", MQTT_5, 0 },
        { "3.3.2-8", "3006000003230000", MQTT_5, MQTT_TOPIC_ALIAS_INVALID },
        { "3.3.2-13",
          "300800016d0408000"
          "1ff",
          MQTT_5, MQTT_MALFORMED_PACKET },
        { "3.3.2-14",
          "300800016d04080001"
          "23",
          MQTT_5, MQTT_PROTOCOL_ERROR },
        { "format 2", "300600016d020102", MQTT_5, MQTT_PROTOCOL_ERROR },
        { "identifier 0", "300600016d020b00", MQTT_5, MQTT_PROTOCOL_ERROR },
        { "identifiers may repeat", "300800016d040b010b02", MQTT_5, 0 },
        { "3.6.1-1", "60020001", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "no packet identifier", "40020000", MQTT_3_1_1, MQTT_PROTOCOL_ERROR },
        { "PUBACK too long", "4003000100", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "PUBACK too short", "400100", MQTT_5, MQTT_MALFORMED_PACKET },
        { "PUBACK with reason", "4003000110", MQTT_5, 0 },
        { "PUBACK with text",
          "4008000110041f0001"
          "61",
          MQTT_5, 0 },
    };
    check_refusals(cases, array_size(cases));
}

static void test_requests_that_are_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        { "good", "8206000100016101", MQTT_3_1_1, 0 },
        { "3.8.1-1", "8006000100016101", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "3.8.3-2", "82020001", MQTT_3_1_1, MQTT_PROTOCOL_ERROR },
        { "2.2.1-3", "8206000000016101", MQTT_3_1_1, MQTT_PROTOCOL_ERROR },
        { "3.8.3-1", "820600010001ff01", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "QoS 3", "8206000100016103", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "3.1.1: 3.8.3-4", "8206000100016105", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "5.0 has options", "820700010000016105", MQTT_5, 0 },
        { "3.8.3-5", "820700010000016145", MQTT_5, MQTT_MALFORMED_PACKET },
        { "retain handling 3", "820700010000016130", MQTT_5, MQTT_PROTOCOL_ERROR },
        { "3.8.3-4",
          "820f000100000924736861"
          "72652f672f04",
          MQTT_5, MQTT_PROTOCOL_ERROR },
        { "no option",
          "820500010001"
          "61",
          MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "3.10.1-1",
          "a005000100016"
          "1",
          MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "3.10.3-2", "a2020001", MQTT_3_1_1, MQTT_PROTOCOL_ERROR },
        { "3.10.3-1",
          "a205000100"
          "01ff",
          MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "3.14.1-1", "e100", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "DISCONNECT with a reason in 3.1.1", "e00104", MQTT_3_1_1, MQTT_MALFORMED_PACKET },
        { "DISCONNECT with a reason", "e00104", MQTT_5, 0 },
        { "DISCONNECT with expiry", "e00704051100000001", MQTT_5, 0 },
        { "AUTH in 3.1.1", "f000", MQTT_3_1_1, MQTT_PROTOCOL_ERROR },
        { "AUTH", "f000", MQTT_5, 0 },
        { "PINGREQ with more", "c00100", MQTT_5, MQTT_MALFORMED_PACKET },
    };
    check_refusals(cases, array_size(cases));
}

/** Cut anywhere, a packet is refused and nothing behind it is read (ASan). */
static void test_what_is_cut_is_refused(void **state)
{
    (void)state;
    uint8_t block[20];
    struct writer properties = writer_of(block, sizeof(block));
    mqtt_write_property_four(&properties, MQTT_PROPERTY_SESSION_EXPIRY, 3600);
    struct mqtt_connect connect = { .version = MQTT_5,
                                    .has_will = true,
                                    .has_user = true,
                                    .client_id = bytes_of_text("client"),
                                    .user = bytes_of_text("ann"),
                                    .will = { .topic = bytes_of_text("t") } };
    uint8_t whole[200];
    struct writer writer = writer_of(whole, sizeof(whole));
    mqtt_write_connect(&writer, &connect, writer_written(&properties), bytes_of(NULL, 0));
    for (size_t cut = 1; cut < writer.size - 2; cut++) {
        size_t size = writer.size - 2 - cut;
        uint8_t *copy = test_malloc(size);
        memcpy(copy, whole + 2, size);
        struct mqtt_frame frame = { .type = MQTT_CONNECT, .body = bytes_of(copy, size) };
        struct mqtt_packet packet;
        assert_int_not_equal(mqtt_packet_read(&frame, MQTT_VERSION_UNKNOWN, &packet), 0);
        test_free(copy);
    }
}

static void test_a_small_buffer_fails_whole(void **state)
{
    (void)state;
    uint8_t small[12];
    struct writer writer = writer_of(small, sizeof(small));
    struct mqtt_publish publish = { .topic = bytes_of_text("a/long/topic") };
    mqtt_write_publish(&writer, MQTT_5, &publish, bytes_of(NULL, 0));
    assert_true(writer.failed);
    writer = writer_of(small, sizeof(small));
    mqtt_write_unsubscribe(&writer, MQTT_5, 1, &publish.topic, 1);
    assert_true(writer.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_are_found),
        cmocka_unit_test(test_frames_that_cannot_be),
        cmocka_unit_test(test_connect_and_back),
        cmocka_unit_test(test_properties_keep_their_order),
        cmocka_unit_test(test_publish_and_back),
        cmocka_unit_test(test_subscribe_and_back),
        cmocka_unit_test(test_answers_and_back),
        cmocka_unit_test(test_connects_that_are_refused),
        cmocka_unit_test(test_messages_that_are_refused),
        cmocka_unit_test(test_requests_that_are_refused),
        cmocka_unit_test(test_what_is_cut_is_refused),
        cmocka_unit_test(test_a_small_buffer_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
