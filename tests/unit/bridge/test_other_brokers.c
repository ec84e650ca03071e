// A bridge at brokers that can do less than ours, or misbehave: their packets are written by hand.
#include "bridge_world.h"

struct play {
    struct world here;
    struct bridge_config config;
    struct bridge *bridge;
    struct device ann; /**< publishes here */
};

static bool serve(struct world *here, struct broker_client *client)
{
    struct play *play = container_of(here, struct play, here);
    if (broker_client_socket(client) != play)
        return false;
    bridge_run(play->bridge, here->now_us);
    return true;
}

static void begin(struct play *play, enum bridge_protocol protocol, enum bridge_direction direction)
{
    *play = (struct play){ 0 };
    world_init(&play->here, &(struct broker_config){ .journal = true });
    play->here.serve = serve;
    play->config = (struct bridge_config){ .broker = play->here.broker,
                                           .random = &play->here.random,
                                           .socket = play,
                                           .name = "west",
                                           .client_id = "roost.west",
                                           .protocol = protocol };
    assert_null(bridge_topics_add(&play->config.topics, direction, 2, bytes_of_text("a/#"),
                                  bytes_of_text(""), bytes_of_text("")));
    play->bridge = bridge_new(&play->config, play->here.now_us);
    world_run(&play->here);
    device_come(&play->here, &play->ann, MQTT_5, "ann");
}

static void done(struct play *play)
{
    device_done(&play->ann);
    bridge_free(play->bridge, play->here.now_us);
    bridge_topics_done(&play->config.topics);
    world_done(&play->here);
}

/** What the bridge says next; the other broker reads it. */
static struct mqtt_packet said(struct play *play, enum mqtt_version version, enum mqtt_type type)
{
    static uint8_t bytes[4096];
    struct bytes output = bridge_output(play->bridge);
    struct mqtt_frame frame;
    struct mqtt_packet packet;
    assert_true(output.size > 0 && output.size <= sizeof(bytes));
    memcpy(bytes, output.data, output.size);
    assert_int_equal(mqtt_frame_read(bytes_of(bytes, output.size), sizeof(bytes), &frame), 0);
    bridge_sent(play->bridge, frame.size);
    assert_int_equal(mqtt_packet_read(&frame, version, &packet), 0);
    assert_int_equal(packet.type, type);
    return packet;
}

static void says(struct play *play, const struct writer *writer)
{
    assert_false(writer->failed);
    struct bytes bytes = writer_written(writer);
    size_t taken = bridge_input(play->bridge, play->here.now_us, bytes);
    assert_int_equal(taken, bytes.size);
    world_run(&play->here);
}

static void says_hex(struct play *play, const char *hex)
{
    uint8_t bytes[256];
    int size = text_hex_parse(bytes_of_text(hex), bytes, sizeof(bytes));
    struct writer writer = writer_of(bytes, sizeof(bytes));
    writer.size = (size_t)size;
    says(play, &writer);
}

static void acknowledges(struct play *play, enum mqtt_type type, uint16_t id, uint8_t reason)
{
    uint8_t bytes[16];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    mqtt_write_ack(&writer, MQTT_5, type, &(struct mqtt_ack){ .packet_id = id, .reason = reason });
    says(play, &writer);
}

/** The connection is there; what the bridge greets with. */
static struct mqtt_packet call_in(struct play *play)
{
    assert_int_equal(bridge_state(play->bridge), BRIDGE_CALLING);
    bridge_connected(play->bridge, play->here.now_us);
    return said(play, MQTT_VERSION_UNKNOWN, MQTT_CONNECT);
}

/** The broker has ended the connection; the next call is there. */
static struct mqtt_packet call_again(struct play *play)
{
    bridge_lost(play->bridge, play->here.now_us);
    for (unsigned i = 0; bridge_state(play->bridge) != BRIDGE_CALLING && i < 100; i++) {
        world_wait(&play->here, 1);
        bridge_tick(play->bridge, play->here.now_us);
    }
    return call_in(play);
}

/** Our session is new: one there that is left from before is ended first. */
static struct mqtt_packet first_call(struct play *play)
{
    assert_true(call_in(play).connect.clean_start);
    says_hex(play, "2003000000");
    said(play, MQTT_5, MQTT_DISCONNECT);
    struct mqtt_packet connect = call_again(play);
    assert_false(connect.connect.clean_start);
    return connect;
}

static enum bridge_news_kind news_of(struct play *play)
{
    struct bridge_news news;
    assert_true(bridge_next_news(play->bridge, &news));
    return news.kind;
}

static void test_a_broker_without_exactly_once(void **state)
{
    (void)state;
    struct play play;
    begin(&play, BRIDGE_PROTOCOL_AUTO, BRIDGE_OUT);
    device_publish_whole(&play.ann, "a/x", "waits", 2, 1);
    first_call(&play);
    says_hex(&play, "20050000022401"); // CONNACK: Maximum QoS 1
    assert_int_equal(bridge_state(play.bridge), BRIDGE_UP);
    struct mqtt_packet packet = said(&play, MQTT_5, MQTT_PUBLISH);
    assert_int_equal(packet.publish.qos, 1);
    uint16_t id = packet.publish.packet_id;
    // lost before its acknowledgement: once more, under the same identifier
    call_again(&play);
    says_hex(&play, "20050100022401");
    packet = said(&play, MQTT_5, MQTT_PUBLISH);
    assert_int_equal(packet.publish.qos, 1);
    assert_int_equal(packet.publish.packet_id, id);
    assert_true(packet.publish.dup);
    acknowledges(&play, MQTT_PUBACK, id, MQTT_SUCCESS);
    // it is done here as well, and the next one is subscribed to with QoS 1
    assert_int_equal(world_metric(&play.here, BROKER_METRIC_MESSAGE_BYTES), 0);
    device_publish_whole(&play.ann, "a/x", "now", 2, 1);
    packet = said(&play, MQTT_5, MQTT_PUBLISH);
    assert_int_equal(packet.publish.qos, 1);
    acknowledges(&play, MQTT_PUBACK, packet.publish.packet_id, MQTT_SUCCESS);
    assert_int_equal(world_metric(&play.here, BROKER_METRIC_MESSAGE_BYTES), 0);
    assert_int_equal(bridge_output(play.bridge).size, 0);
    done(&play);
}

static void test_a_broker_that_acknowledges_nothing(void **state)
{
    (void)state;
    struct play play;
    begin(&play, BRIDGE_PROTOCOL_AUTO, BRIDGE_OUT);
    device_publish_whole(&play.ann, "a/x", "1", 2, 1);
    device_publish_whole(&play.ann, "a/x", "2", 1, 1);
    first_call(&play);
    says_hex(&play, "200700000424002500"); // Maximum QoS 0, no retained messages
    assert_int_equal(said(&play, MQTT_5, MQTT_PUBLISH).publish.qos, 0);
    assert_int_equal(said(&play, MQTT_5, MQTT_PUBLISH).publish.qos, 0);
    assert_int_equal(world_metric(&play.here, BROKER_METRIC_MESSAGE_BYTES), 0);
    device_retain(&play.ann, "a/x", "3");
    assert_false(said(&play, MQTT_5, MQTT_PUBLISH).publish.retain);
    done(&play);
}

static void test_its_limits_are_kept(void **state)
{
    (void)state;
    struct play play;
    begin(&play, BRIDGE_PROTOCOL_AUTO, BRIDGE_OUT);
    for (uint16_t i = 1; i <= 3; i++)
        device_publish_whole(&play.ann, "a/x", "m", 1, i);
    device_publish_whole(&play.ann, "a/x", "this one is longer than forty bytes altogether", 1, 4);
    first_call(&play);
    says_hex(&play, "200b0000082100022700000028"); // Receive Maximum 2, packets of 40 bytes
    uint16_t id = said(&play, MQTT_5, MQTT_PUBLISH).publish.packet_id;
    said(&play, MQTT_5, MQTT_PUBLISH);
    assert_int_equal(bridge_output(play.bridge).size, 0);
    acknowledges(&play, MQTT_PUBACK, id, MQTT_SUCCESS);
    id = said(&play, MQTT_5, MQTT_PUBLISH).publish.packet_id;
    acknowledges(&play, MQTT_PUBACK, id, MQTT_NOT_AUTHORIZED);
    assert_int_equal(bridge_output(play.bridge).size, 0);
    const metric_value *values = bridge_metrics(play.bridge).values;
    assert_int_equal(metric_get(&values[BRIDGE_METRIC_DROPPED_REFUSED]), 1);
    assert_int_equal(metric_get(&values[BRIDGE_METRIC_DROPPED_QUEUE]), 1);
    assert_int_equal(news_of(&play), BRIDGE_NEWS_UP);
    assert_int_equal(news_of(&play), BRIDGE_NEWS_MESSAGE);
    done(&play);
}

static void test_versions_are_tried_one_after_the_other(void **state)
{
    (void)state;
    for (unsigned closes = 0; closes < 2; closes++) {
        struct play play;
        begin(&play, BRIDGE_PROTOCOL_AUTO, BRIDGE_OUT);
        assert_int_equal(call_in(&play).connect.version, MQTT_5);
        if (!closes)
            says_hex(&play, "20020001"); // as 3.1.1 refuses it
        struct mqtt_packet connect = call_again(&play);
        assert_int_equal(connect.connect.version, MQTT_3_1_1);
        assert_true(connect.connect.is_bridge);
        if (!closes)
            says_hex(&play, "20020001");
        connect = call_again(&play);
        assert_int_equal(connect.connect.version, MQTT_3_1_1);
        assert_false(connect.connect.is_bridge);
        // its session of before is left first, for ours here is new
        assert_true(connect.connect.clean_start);
        says_hex(&play, "20020000");
        said(&play, MQTT_3_1_1, MQTT_DISCONNECT);
        connect = call_again(&play);
        assert_false(connect.connect.clean_start);
        says_hex(&play, "20020000");
        assert_int_equal(bridge_state(play.bridge), BRIDGE_UP);
        done(&play);
    }
}

static void test_what_could_loop_is_not_bridged(void **state)
{
    (void)state;
    struct play play;
    begin(&play, BRIDGE_PROTOCOL_3_1_1, BRIDGE_BOTH);
    assert_true(call_in(&play).connect.is_bridge);
    says_hex(&play, "20020001");
    assert_false(call_again(&play).connect.is_bridge);
    says_hex(&play, "20020000");
    assert_int_equal(bridge_state(play.bridge), BRIDGE_CLOSING);
    assert_int_equal(news_of(&play), BRIDGE_NEWS_LOOP);
    done(&play);
}

static void test_a_silent_broker(void **state)
{
    (void)state;
    struct play play;
    begin(&play, BRIDGE_PROTOCOL_AUTO, BRIDGE_OUT);
    call_in(&play);
    // no CONNACK
    world_wait(&play.here, 11);
    bridge_tick(play.bridge, play.here.now_us);
    assert_int_equal(news_of(&play), BRIDGE_NEWS_SILENT);
    assert_int_equal(call_again(&play).connect.version, MQTT_5);
    says_hex(&play, "2003000000");
    said(&play, MQTT_5, MQTT_DISCONNECT);
    call_again(&play);
    says_hex(&play, "200600000313000a"); // Server Keep Alive 10 s
    for (unsigned i = 0; i < 2; i++) {
        assert_true(bridge_deadline(play.bridge) <= play.here.now_us + 10 * TIME_US_PER_S);
        world_wait(&play.here, 10);
        bridge_tick(play.bridge, play.here.now_us);
        said(&play, MQTT_5, MQTT_PINGREQ);
        if (i == 0)
            says_hex(&play, "d000");
    }
    world_wait(&play.here, 10);
    bridge_tick(play.bridge, play.here.now_us);
    assert_int_equal(bridge_state(play.bridge), BRIDGE_CLOSING);
    assert_int_equal(news_of(&play), BRIDGE_NEWS_UP);
    assert_int_equal(news_of(&play), BRIDGE_NEWS_SILENT);
    done(&play);
}

/** Nonsense ends the connection, and another one follows. */
static void test_a_broken_broker(void **state)
{
    static const char *const rows[] = {
        "2003000000",               // a second CONNACK
        "1000",                     // what clients say
        "c000",                     //
        "8200",                     //
        "f000",                     // AUTH that nobody asked for
        "30080003612f780323",       // half a property
        "300a0003612f780323000178", // a topic alias, which we do not allow
        "32050003612f78",           // no identifier
        "36",                       // QoS 3
        "908080808001",             // a length of five bytes
        "40020000",                 // identifier 0
        "ff",                       //
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct play play;
        begin(&play, BRIDGE_PROTOCOL_AUTO, BRIDGE_IN);
        first_call(&play);
        says_hex(&play, "2003000000");
        assert_int_equal(news_of(&play), BRIDGE_NEWS_UP);
        uint8_t bytes[64] = { 0 };
        int size = text_hex_parse(bytes_of_text(rows[i]), bytes, sizeof(bytes));
        // with something behind, so that short ones are whole
        size_t taken =
            bridge_input(play.bridge, play.here.now_us, bytes_of(bytes, (size_t)size + 8));
        assert_int_equal(taken, (size_t)size + 8);
        assert_int_equal(bridge_state(play.bridge), BRIDGE_CLOSING);
        assert_int_equal(news_of(&play), BRIDGE_NEWS_BROKEN);
        call_again(&play);
        done(&play);
    }
}

static void test_messages_without_a_rule_or_too_large(void **state)
{
    (void)state;
    struct play play;
    begin(&play, BRIDGE_PROTOCOL_AUTO, BRIDGE_IN);
    first_call(&play);
    says_hex(&play, "2003000000");
    said(&play, MQTT_5, MQTT_SUBSCRIBE);
    says_hex(&play, "320700017a0005006d"); // z, QoS 1
    assert_int_equal(said(&play, MQTT_5, MQTT_PUBACK).ack.packet_id, 5);
    says_hex(&play, "340700017a0006006d"); // and QoS 2
    assert_int_equal(said(&play, MQTT_5, MQTT_PUBREC).ack.packet_id, 6);
    says_hex(&play, "62020006");
    assert_int_equal(said(&play, MQTT_5, MQTT_PUBCOMP).ack.packet_id, 6);
    const metric_value *values = bridge_metrics(play.bridge).values;
    assert_int_equal(metric_get(&values[BRIDGE_METRIC_DROPPED_RULE]), 2);
    assert_int_equal(metric_get(&values[BRIDGE_METRIC_RECEIVED]), 0);
    // a filter that is not granted is told
    says_hex(&play, "9004ffff0087");
    assert_int_equal(news_of(&play), BRIDGE_NEWS_UP);
    assert_int_equal(news_of(&play), BRIDGE_NEWS_FILTER);
    // and goodbye, with a reason
    says_hex(&play, "e0028b00");
    assert_int_equal(news_of(&play), BRIDGE_NEWS_ENDED);
    assert_int_equal(bridge_state(play.bridge), BRIDGE_CLOSING);
    done(&play);
}

/** Before 5.0 nobody can be told how much we take: the message is not to come again and again. */
static void test_a_message_that_is_too_large_is_thrown_away(void **state)
{
    (void)state;
    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct play play;
        begin(&play, BRIDGE_PROTOCOL_3_1_1, BRIDGE_IN);
        call_in(&play);
        says_hex(&play, "20020000"); // our session is new: it begins anew there, and again
        said(&play, MQTT_3_1_1, MQTT_DISCONNECT);
        call_again(&play);
        says_hex(&play, "20020000");
        said(&play, MQTT_3_1_1, MQTT_SUBSCRIBE);
        size_t size = (1u << 20) + 100;
        uint8_t *packet = calloc(1, size + 50), *payload = calloc(1, size);
        struct writer writer = writer_of(packet, size + 50);
        mqtt_write_publish(&writer, MQTT_3_1_1,
                           &(struct mqtt_publish){ .topic = bytes_of_text("a/x"),
                                                   .payload = bytes_of(payload, size),
                                                   .qos = qos,
                                                   .packet_id = qos ? 9 : 0 },
                           bytes_of(NULL, 0));
        writer_bytes(&writer, "\xd0\x00", 2);
        // byte by byte at first, as networks may have it
        size_t given = 0, taken = 0;
        while (taken < writer.size) {
            given = given < 40 ? given + 1 : writer.size;
            taken += bridge_input(play.bridge, play.here.now_us,
                                  bytes_of(packet + taken, given - taken));
            assert_true(taken <= given);
        }
        free(packet);
        free(payload);
        world_run(&play.here);
        if (qos == 1)
            assert_int_equal(said(&play, MQTT_3_1_1, MQTT_PUBACK).ack.packet_id, 9);
        if (qos == 2) {
            assert_int_equal(said(&play, MQTT_3_1_1, MQTT_PUBREC).ack.packet_id, 9);
            says_hex(&play, "62020009");
            assert_int_equal(said(&play, MQTT_3_1_1, MQTT_PUBCOMP).ack.packet_id, 9);
        }
        assert_int_equal(bridge_state(play.bridge), BRIDGE_UP);
        const metric_value *values = bridge_metrics(play.bridge).values;
        assert_int_equal(metric_get(&values[BRIDGE_METRIC_DROPPED_LARGE]), 1);
        says_hex(&play, "30060003612f786d");
        assert_int_equal(metric_get(&values[BRIDGE_METRIC_RECEIVED]), 1);
        done(&play);
    }
}

/** While our broker takes no more, nothing of the other is lost: it waits where it is. */
static void test_our_broker_is_behind(void **state)
{
    (void)state;
    struct play play;
    begin(&play, BRIDGE_PROTOCOL_AUTO, BRIDGE_IN);
    device_done(&play.ann);
    device_connect(&play.here, &play.ann, MQTT_5, "kept", false, 1000);
    device_subscribe(&play.ann, "a/#", 1);
    first_call(&play);
    says_hex(&play, "2003000000");
    said(&play, MQTT_5, MQTT_SUBSCRIBE);
    play.here.disk_waits = true;
    uint8_t bytes[16];
    unsigned given = 0;
    for (; !bridge_is_busy(play.bridge); given++) {
        struct writer writer = writer_of(bytes, sizeof(bytes));
        mqtt_write_publish(&writer, MQTT_5,
                           &(struct mqtt_publish){ .topic = bytes_of_text("a/x"),
                                                   .qos = 1,
                                                   .packet_id = (uint16_t)(given + 1) },
                           bytes_of(NULL, 0));
        says(&play, &writer);
        assert_true(given < 10000);
    }
    size_t taken = bridge_input(play.bridge, play.here.now_us, bytes_of(bytes, 12));
    assert_int_equal(taken, 0);
    assert_int_equal(bridge_output(play.bridge).size, 0);
    play.here.disk_waits = false;
    world_run(&play.here);
    assert_false(bridge_is_busy(play.bridge));
    for (unsigned i = 0; i < given; i++)
        assert_int_equal(said(&play, MQTT_5, MQTT_PUBACK).ack.packet_id, i + 1);
    done(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_broker_without_exactly_once),
        cmocka_unit_test(test_a_broker_that_acknowledges_nothing),
        cmocka_unit_test(test_its_limits_are_kept),
        cmocka_unit_test(test_versions_are_tried_one_after_the_other),
        cmocka_unit_test(test_what_could_loop_is_not_bridged),
        cmocka_unit_test(test_a_silent_broker),
        cmocka_unit_test(test_a_broken_broker),
        cmocka_unit_test(test_messages_without_a_rule_or_too_large),
        cmocka_unit_test(test_a_message_that_is_too_large_is_thrown_away),
        cmocka_unit_test(test_our_broker_is_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
