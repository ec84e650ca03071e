// A bridge between two brokers: what it carries, what it keeps, what it drops and counts, how it
// comes back.
#include "bridge_world.h"

static void come(struct world *world, struct device *device, const char *id)
{
    device_come(world, device, MQTT_5, id);
}

static void begin_both(struct bridge_world *world, enum bridge_protocol protocol)
{
    bridge_world_init(world);
    world->config.protocol = protocol;
    bridge_rule(world, "a/#", BRIDGE_BOTH, 2, "", "");
    bridge_begin(world);
}

static void test_messages_cross_both_ways_and_do_not_come_back(void **state)
{
    (void)state;
    for (enum bridge_protocol protocol = BRIDGE_PROTOCOL_AUTO; protocol <= BRIDGE_PROTOCOL_3_1_1;
         protocol++) {
        struct bridge_world world;
        struct device ann, ben;
        begin_both(&world, protocol);
        bridge_up(&world);
        come(&world.here, &ann, "ann");
        come(&world.there, &ben, "ben");
        device_subscribe(&ann, "a/#", 2);
        device_subscribe(&ben, "a/#", 2);
        for (uint8_t qos = 0; qos <= 2; qos++) {
            uint16_t id = qos ? 10 : 0;
            device_publish_whole(&ann, "a/x", "from here", 0, 0);
            bridge_pump(&world);
            device_expect_message(&ann, "a/x", "from here", 0);
            device_expect_message(&ben, "a/x", "from here", 0);
            device_publish(&ben, "a/x", "from there", qos, id);
            bridge_pump(&world);
            assert_int_equal(bridge_metric(&world, BRIDGE_METRIC_RECEIVED), qos + 1);
            // an answer and its own copy, the message, and nothing else
            struct mqtt_packet packet;
            unsigned copies = 0;
            while (device_next(&ben, &packet))
                copies += packet.type == MQTT_PUBLISH;
            assert_int_equal(copies, 1);
            if (qos == 2)
                device_ack(&ben, MQTT_PUBREL, id);
            packet = device_expect_message(&ann, "a/x", "from there", qos);
            if (qos > 0)
                device_ack(&ann, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, packet.publish.packet_id);
            ann.arrived_at = ann.arrived_size;
            ben.arrived_at = ben.arrived_size;
        }
        assert_int_equal(bridge_metric(&world, BRIDGE_METRIC_SENT), 3);
        device_done(&ann);
        device_done(&ben);
        bridge_world_done(&world);
    }
}

static void test_retained_messages_properties_and_expiry_cross(void **state)
{
    (void)state;
    struct bridge_world world;
    struct device ann, ben;
    bridge_world_init(&world);
    bridge_rule(&world, "#", BRIDGE_OUT, 1, "out/", "far/");
    bridge_begin(&world);
    come(&world.here, &ann, "ann");
    uint8_t memory[64];
    struct writer block = writer_of(memory, sizeof(memory));
    mqtt_write_property_four(&block, MQTT_PROPERTY_MESSAGE_EXPIRY, 100);
    mqtt_write_user_property(&block, bytes_of_text("k"), bytes_of_text("v"));
    struct mqtt_publish publish = { .topic = bytes_of_text("out/t"),
                                    .payload = bytes_of_text("old"),
                                    .retain = true };
    device_publish_with(&ann, &publish, writer_written(&block));
    // before the first connection: what is retained goes there with it
    bridge_up(&world);
    come(&world.there, &ben, "ben");
    device_subscribe(&ben, "#", 1);
    struct mqtt_packet packet = device_expect_message(&ben, "far/t", "old", 0);
    assert_true(packet.publish.retain);
    assert_in_range(packet.properties.message_expiry_s, 90, 100);
    assert_true(mqtt_has(&packet.properties, MQTT_PROPERTY_USER_PROPERTY));
    // and with another connection to a session that is kept it does not again
    link_cut(&world);
    bridge_up(&world);
    device_expect_nothing(&ben);
    assert_int_equal(bridge_metric(&world, BRIDGE_METRIC_SENT), 1);
    device_done(&ann);
    device_done(&ben);
    bridge_world_done(&world);
}

static void retain(struct world *at, const char *payload)
{
    broker_publish(at->broker, at->now_us,
                   &(struct broker_publication){ .topic = bytes_of_text("a/t"),
                                                 .payload = bytes_of_text(payload),
                                                 .retain = true });
}

/** What is retained with QoS 0 while the other broker is away does not wait, and is not lost. */
static void test_retained_messages_are_the_same_again_after_a_loss(void **state)
{
    (void)state;
    for (enum bridge_protocol protocol = BRIDGE_PROTOCOL_AUTO; protocol <= BRIDGE_PROTOCOL_3_1_1;
         protocol++) {
        for (enum bridge_direction direction = BRIDGE_OUT; direction <= BRIDGE_IN; direction++) {
            struct bridge_world world;
            struct device ben;
            bridge_world_init(&world);
            world.config.protocol = protocol;
            bridge_rule(&world, "a/#", direction, direction == BRIDGE_OUT ? 1 : 0, "", "");
            bridge_begin(&world);
            bridge_up(&world);
            struct world *from = direction == BRIDGE_OUT ? &world.here : &world.there;
            struct world *to = direction == BRIDGE_OUT ? &world.there : &world.here;
            come(to, &ben, "ben");
            device_subscribe(&ben, "a/#", 0);
            retain(from, "before");
            bridge_pump(&world);
            device_expect_message(&ben, "a/t", "before", 0);
            link_cut(&world);
            retain(from, "meanwhile");
            bridge_up(&world);
            device_expect_message(&ben, "a/t", "meanwhile", 0);
            device_expect_nothing(&ben);
            device_done(&ben);
            bridge_world_done(&world);
        }
    }
}

/** Neither side's is known to be the newer one. */
static void test_retained_messages_of_both_are_left_alone(void **state)
{
    (void)state;
    for (enum bridge_protocol protocol = BRIDGE_PROTOCOL_AUTO; protocol <= BRIDGE_PROTOCOL_3_1_1;
         protocol++) {
        struct bridge_world world;
        struct device ann, ben;
        bridge_world_init(&world);
        world.config.protocol = protocol;
        bridge_rule(&world, "a/#", BRIDGE_BOTH, 0, "", "");
        bridge_begin(&world);
        bridge_up(&world);
        retain(&world.here, "before");
        bridge_pump(&world);
        link_cut(&world);
        come(&world.here, &ann, "ann");
        come(&world.there, &ben, "ben");
        retain(&world.here, "newer here");
        bridge_up(&world);
        device_subscribe(&ann, "a/#", 0);
        device_expect_message(&ann, "a/t", "newer here", 0);
        device_subscribe(&ben, "a/#", 0);
        device_expect_message(&ben, "a/t", "before", 0);
        device_done(&ann);
        device_done(&ben);
        bridge_world_done(&world);
    }
}

static void test_messages_wait_within_bounds(void **state)
{
    (void)state;
    struct bridge_world world;
    struct device ann, ben;
    bridge_world_init(&world);
    world.config.queue_count_max = 3;
    bridge_rule(&world, "a/#", BRIDGE_OUT, 1, "", "");
    bridge_begin(&world);
    world.unreachable = true;
    bridge_pump(&world);
    come(&world.here, &ann, "ann");
    for (uint16_t i = 1; i <= 5; i++)
        device_publish_whole(&ann, "a/x", "kept", 1, i);
    device_publish_whole(&ann, "a/x", "for now alone", 0, 0);
    assert_int_equal(bridge_metric(&world, BRIDGE_METRIC_DROPPED_QUEUE), 3);
    bridge_wait(&world, 100);
    come(&world.there, &ben, "ben");
    device_subscribe(&ben, "#", 0);
    world.unreachable = false;
    bridge_up(&world);
    for (unsigned i = 0; i < 3; i++)
        device_expect_message(&ben, "a/x", "kept", 0);
    device_expect_nothing(&ben);
    device_done(&ann);
    device_done(&ben);
    bridge_world_done(&world);
}

/** The pauses between attempts grow to the longest, and a connection that holds ends that. */
static void test_attempts_become_rarer(void **state)
{
    (void)state;
    struct bridge_world world;
    begin_both(&world, BRIDGE_PROTOCOL_AUTO);
    world.unreachable = true;
    bridge_pump(&world);
    bridge_wait(&world, 600);
    // at most 30 s apart, 15 on average; not every second
    assert_in_range(world.calls, 20, 120);
    assert_int_equal(bridge_metric(&world, BRIDGE_METRIC_LOST), world.calls);
    world.unreachable = false;
    bridge_up(&world);
    bridge_wait(&world, 60);
    link_cut(&world);
    bridge_wait(&world, 3);
    assert_int_equal(bridge_state(world.bridge), BRIDGE_UP);
    bridge_world_done(&world);
}

static void test_a_refusal_is_told(void **state)
{
    (void)state;
    struct bridge_world world;
    bridge_world_init(&world);
    world.there.wrong_password = "wrong";
    world.config.user = bytes_of_text("ann");
    world.config.password = bytes_of_text("wrong");
    bridge_rule(&world, "a/#", BRIDGE_OUT, 1, "", "");
    bridge_begin(&world);
    bridge_pump(&world);
    assert_int_equal(bridge_state(world.bridge), BRIDGE_WAITING);
    struct bridge_news news;
    assert_true(bridge_next_news(world.bridge, &news));
    assert_int_equal(news.kind, BRIDGE_NEWS_REFUSED);
    assert_int_equal(news.reason, MQTT_BAD_USER_OR_PASSWORD);
    assert_int_equal(bridge_metric(&world, BRIDGE_METRIC_REFUSED), 1);
    world.there.wrong_password = NULL;
    bridge_up(&world);
    assert_true(bridge_next_news(world.bridge, &news));
    assert_int_equal(news.kind, BRIDGE_NEWS_UP);
    bridge_world_done(&world);
}

static void test_the_state_is_retained_on_both_sides(void **state)
{
    (void)state;
    struct bridge_world world;
    struct device ann, ben;
    bridge_world_init(&world);
    world.config.notification_topic = "$SYS/broker/connection/roost.west/state";
    bridge_rule(&world, "a/#", BRIDGE_OUT, 1, "", "");
    bridge_begin(&world);
    bridge_up(&world);
    come(&world.here, &ann, "ann");
    come(&world.there, &ben, "ben");
    device_subscribe(&ann, world.config.notification_topic, 0);
    device_subscribe(&ben, world.config.notification_topic, 0);
    device_expect_message(&ann, world.config.notification_topic, "1", 0);
    device_expect_message(&ben, world.config.notification_topic, "1", 0);
    link_cut(&world);
    world_run(&world.there);
    world_run(&world.here);
    device_expect_message(&ann, world.config.notification_topic, "0", 0);
    device_expect_message(&ben, world.config.notification_topic, "0", 0);
    bridge_up(&world);
    device_expect_message(&ben, world.config.notification_topic, "1", 0);
    // an end in order says so as well
    bridge_stop(world.bridge, world.here.now_us, false);
    bridge_pump(&world);
    device_expect_message(&ben, world.config.notification_topic, "0", 0);
    assert_int_equal(bridge_state(world.bridge), BRIDGE_WAITING);
    assert_null(world.link.client);
    device_done(&ann);
    device_done(&ben);
    bridge_world_done(&world);
}

/** PUBACK goes back when our journal has the message, and not before. */
static void test_the_other_broker_waits_for_our_journal(void **state)
{
    (void)state;
    struct bridge_world world;
    struct device ann, ben;
    bridge_world_init(&world);
    bridge_rule(&world, "a/#", BRIDGE_IN, 2, "", "");
    bridge_begin(&world);
    bridge_up(&world);
    device_connect(&world.here, &ann, MQTT_5, "ann", false, 1000);
    device_subscribe(&ann, "a/#", 2);
    come(&world.there, &ben, "ben");
    world.here.disk_waits = true;
    device_publish_whole(&ben, "a/x", "m", 1, 1);
    bridge_pump(&world);
    crash_here(&world);
    device_forget(&ann);
    bridge_up(&world);
    device_done(&ann);
    device_connect(&world.here, &ann, MQTT_5, "ann", false, 1000);
    device_expect_message(&ann, "a/x", "m", 1);
    device_done(&ann);
    device_done(&ben);
    bridge_world_done(&world);
}

/** Two messages of QoS 2 under way, one each way, whose exchanges end before packet `at`. */
static void leave_halfway(struct bridge_world *world, unsigned at)
{
    struct device ann, ben;
    come(&world->here, &ann, "ann");
    come(&world->there, &ben, "ben");
    world->steps = 0;
    world->fault = FAULT_CUT;
    world->fault_at = at;
    device_publish_whole(&ann, "a/1", "first", 2, 1);
    device_publish_whole(&ben, "a/1", "first", 2, 1);
    bridge_pump(world);
    world->fault = FAULT_NONE;
    device_done(&ann);
    device_done(&ben);
}

/** Two more, which must come: to who sent them, and to the other. */
static void expect_new_ones(struct bridge_world *world)
{
    struct device devices[2];
    come(&world->here, &devices[0], "ann");
    come(&world->there, &devices[1], "ben");
    for (unsigned i = 0; i < 2; i++) {
        device_subscribe(&devices[i], "a/2", 0);
        device_publish(&devices[i], "a/2", "second", 2, 1);
        device_ack(&devices[i], MQTT_PUBREL, 1);
    }
    bridge_pump(world);
    for (unsigned i = 0; i < 2; i++) {
        unsigned got = 0;
        struct mqtt_packet packet;
        while (device_next(&devices[i], &packet))
            got += packet.type == MQTT_PUBLISH;
        assert_int_equal(got, 2);
        device_done(&devices[i]);
    }
}

/** Identifiers of QoS 2 that one side remembers and the other does not stand for new messages. */
static void test_a_side_that_forgot_all(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * 2 * 9; i++) {
        struct bridge_world world;
        begin_both(&world, i & 1 ? BRIDGE_PROTOCOL_3_1_1 : BRIDGE_PROTOCOL_AUTO);
        bridge_up(&world);
        leave_halfway(&world, i / 4);
        if (i & 2) {
            world.there.disk_size = 0;
            crash_there(&world);
        } else {
            // its bridge's end is not written either
            world.here.disk_waits = true;
            link_cut(&world);
            world.here.disk_size = 0;
            crash_here(&world);
        }
        bridge_up(&world);
        expect_new_ones(&world);
        bridge_world_done(&world);
    }
}

/** Rules that a new configuration does not have any more are no subscriptions either. */
static void test_rules_change(void **state)
{
    (void)state;
    struct bridge_world world;
    struct device ann, ben;
    begin_both(&world, BRIDGE_PROTOCOL_AUTO);
    bridge_up(&world);
    bridge_stop(world.bridge, world.here.now_us, false);
    bridge_pump(&world);
    world.bridge = bridge_free(world.bridge, world.here.now_us);
    bridge_topics_done(&world.config.topics);
    bridge_rule(&world, "b/#", BRIDGE_OUT, 1, "", "");
    come(&world.here, &ann, "ann");
    device_publish_with(&ann,
                        &(struct mqtt_publish){ .topic = bytes_of_text("b/x"),
                                                .payload = bytes_of_text("retained"),
                                                .retain = true },
                        bytes_of(NULL, 0));
    bridge_begin(&world);
    bridge_up(&world);
    assert_int_equal(world_metric(&world.here, BROKER_METRIC_SUBSCRIPTIONS), 1);
    // nor there, where the session was kept
    assert_int_equal(world_metric(&world.there, BROKER_METRIC_SUBSCRIPTIONS), 0);
    come(&world.there, &ben, "ben");
    device_subscribe(&ben, "#", 0);
    device_expect_message(&ben, "b/x", "retained", 0);
    device_publish(&ann, "a/x", "no more", 0, 0);
    device_publish(&ann, "b/x", "now", 0, 0);
    bridge_pump(&world);
    device_expect_message(&ben, "b/x", "now", 0);
    device_expect_nothing(&ben);
    device_done(&ann);
    device_done(&ben);
    bridge_world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_cross_both_ways_and_do_not_come_back),
        cmocka_unit_test(test_retained_messages_properties_and_expiry_cross),
        cmocka_unit_test(test_retained_messages_are_the_same_again_after_a_loss),
        cmocka_unit_test(test_retained_messages_of_both_are_left_alone),
        cmocka_unit_test(test_messages_wait_within_bounds),
        cmocka_unit_test(test_attempts_become_rarer),
        cmocka_unit_test(test_a_refusal_is_told),
        cmocka_unit_test(test_the_state_is_retained_on_both_sides),
        cmocka_unit_test(test_the_other_broker_waits_for_our_journal),
        cmocka_unit_test(test_a_side_that_forgot_all),
        cmocka_unit_test(test_rules_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
