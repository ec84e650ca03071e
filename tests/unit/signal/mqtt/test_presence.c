// Presence of users of any language, as retained messages.
#include "unit/broker/broker_world.h"

#include <stdio.h>

#include "signal/mqtt/mqtt_presence.h"

struct stage {
    struct world world;
    struct call_directory calls;
    struct mqtt_presence presence;
    struct device ann;
};

static void wake(void *owner)
{
    (void)owner;
}

static uint64_t now(void *owner)
{
    const struct stage *stage = owner;
    return stage->world.now_us;
}

static void stage_begin(struct stage *stage, bool hide_guests, enum mqtt_version version)
{
    *stage = (struct stage){ 0 };
    world_init(&stage->world,
               &(struct broker_config){ .reserved = "roost", .queue_count_max = 5000 });
    call_directory_init(&stage->calls,
                        &(struct call_directory_config){ .random = &stage->world.random,
                                                         .hide_guests = hide_guests });
    stage->presence = (struct mqtt_presence){ .broker = stage->world.broker,
                                              .calls = &stage->calls,
                                              .wake = wake,
                                              .now = now,
                                              .owner = stage };
    mqtt_presence_start(&stage->presence);
    device_come(&stage->world, &stage->ann, version, "ann");
}

static void stage_end(struct stage *stage)
{
    device_done(&stage->ann);
    mqtt_presence_stop(&stage->presence);
    call_directory_done(&stage->calls);
    world_done(&stage->world);
}

/** The model hears of time, and the broker sends what it has. */
static void pass(struct stage *stage, uint64_t seconds)
{
    for (uint64_t i = 0; i <= seconds; i++) {
        stage->world.now_us += TIME_US_PER_S;
        presence_tick(&stage->calls, stage->world.now_us);
        if (broker_deadline(stage->world.broker) <= stage->world.now_us)
            broker_tick(stage->world.broker, stage->world.now_us);
    }
    world_run(&stage->world);
}

static void no_news(struct call_device *device, const struct call_event *event)
{
    (void)device, (void)event;
}

static const struct call_device_ops ops = { .notify = no_news };

static void come(struct stage *stage, struct call_device *device, const char *user, bool verified)
{
    call_device_init(device, &ops, CALL_BINDING_PEERJS);
    assert_int_equal(call_device_register(&stage->calls, device, user, "A name", verified), 0);
}

static void leave(struct stage *stage, struct call_device *device)
{
    call_device_done(&stage->calls, device, stage->world.now_us, CALL_ENDED_HANGUP);
}

static void expect(struct device *device, const char *topic, const char *payload)
{
    struct mqtt_packet packet = device_expect(device, MQTT_PUBLISH);
    assert_true(text_equal(packet.publish.topic, topic));
    if (!text_equal(packet.publish.payload, payload))
        fail_msg("%.*s", (int)packet.publish.payload.size, packet.publish.payload.data);
}

#define ONLINE                                                                                     \
    "{\"user\":\"be+n\",\"presence\":\"online\",\"name\":\"A name\",\"bindings\":[\"peerjs\"]}"
#define OFFLINE "{\"user\":\"be+n\",\"presence\":\"offline\",\"bindings\":[]}"
#define TOPIC   "roost/v1/be%2Bn/presence"

static void test_it_is_told_and_retained(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        struct call_device ben;
        stage_begin(&stage, false, version);
        device_subscribe(&stage.ann, "roost/v1/+/presence", 0);
        come(&stage, &ben, "be+n", false);
        pass(&stage, 0);
        expect(&stage.ann, TOPIC, ONLINE);
        assert_int_equal(presence_choose(&stage.calls, &ben, PRESENCE_DND), 0);
        pass(&stage, 2);
        assert_true(strstr(
            (const char *)device_expect(&stage.ann, MQTT_PUBLISH).publish.payload.data, "\"dnd\""));
        // to whoever comes later as well
        device_subscribe(&stage.ann, TOPIC, 0);
        assert_true(device_expect(&stage.ann, MQTT_PUBLISH).publish.retain);
        leave(&stage, &ben);
        pass(&stage, 2);
        expect(&stage.ann, TOPIC, OFFLINE);
        device_subscribe(&stage.ann, TOPIC, 0);
        expect(&stage.ann, TOPIC, OFFLINE);
        // for a day
        stage.world.now_us += 25ull * 3600 * TIME_US_PER_S;
        pass(&stage, 0);
        device_subscribe(&stage.ann, TOPIC, 0);
        device_expect_nothing(&stage.ann);
        stage_end(&stage);
    }
}

static void test_who_was_there_before_is_told_too(void **state)
{
    (void)state;
    struct stage stage;
    struct call_device ben;
    stage_begin(&stage, false, MQTT_5);
    mqtt_presence_stop(&stage.presence);
    come(&stage, &ben, "be+n", true);
    mqtt_presence_start(&stage.presence);
    device_subscribe(&stage.ann, TOPIC, 0);
    expect(&stage.ann, TOPIC, ONLINE);
    leave(&stage, &ben);
    stage_end(&stage);
}

static void test_guests_who_are_hidden_are_not_told(void **state)
{
    (void)state;
    struct stage stage;
    struct call_device guest, ben;
    stage_begin(&stage, true, MQTT_5);
    device_subscribe(&stage.ann, "roost/v1/+/presence", 0);
    come(&stage, &guest, "guest", false);
    pass(&stage, 2);
    leave(&stage, &guest);
    pass(&stage, 2);
    device_expect_nothing(&stage.ann);
    come(&stage, &ben, "be+n", true);
    pass(&stage, 2);
    expect(&stage.ann, TOPIC, ONLINE);
    leave(&stage, &ben);
    stage_end(&stage);
}

static void test_those_who_left_do_not_pile_up(void **state)
{
    (void)state;
    struct stage stage;
    struct call_device one;
    stage_begin(&stage, false, MQTT_5);
    for (unsigned i = 0; i < 2 * MQTT_PRESENCE_OFFLINE_MAX; i++) {
        char name[32];
        snprintf(name, sizeof(name), "guest-%u", i);
        come(&stage, &one, name, false);
        pass(&stage, 0);
        leave(&stage, &one);
        pass(&stage, 0);
    }
    assert_int_equal(world_metric(&stage.world, BROKER_METRIC_RETAINED), MQTT_PRESENCE_OFFLINE_MAX);
    assert_false(
        broker_has_retained(stage.world.broker, bytes_of_text("roost/v1/guest-0/presence")));
    assert_true(
        broker_has_retained(stage.world.broker, bytes_of_text("roost/v1/guest-1999/presence")));
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_told_and_retained),
        cmocka_unit_test(test_who_was_there_before_is_told_too),
        cmocka_unit_test(test_guests_who_are_hidden_are_not_told),
        cmocka_unit_test(test_those_who_left_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
