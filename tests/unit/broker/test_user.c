// What the owner decides about users that are there: their connections end, or all that was kept of
// them.
#include "broker_stage.h"

#include "base/map.h"

/** Comes as a user, to a session that is kept, with a will. */
static bool come(struct stage *stage, struct device *device, const char *user, const char *id)
{
    device_reset(device);
    device_open(&stage->world, device, stage->version);
    struct block block;
    struct writer *properties = block_begin(&block);
    if (stage->version == MQTT_5)
        mqtt_write_property_four(properties, MQTT_PROPERTY_SESSION_EXPIRY, 3600);
    struct mqtt_connect connect = { .version = stage->version,
                                    .client_id = bytes_of_text(id),
                                    .has_user = true,
                                    .user = bytes_of_text(user),
                                    .has_will = true,
                                    .will = { .topic = bytes_of_text("will"),
                                              .payload = bytes_of_text(id) } };
    device_connect_with(device, &connect, block_bytes(&block), nothing());
    struct mqtt_connack connack = device_expect(device, MQTT_CONNACK).connack;
    assert_int_equal(connack.reason, MQTT_SUCCESS);
    return connack.session_present;
}

/** A map of one name. */
static struct map named(const char *user)
{
    static char there;
    struct map users = { 0 };
    map_set(&users, bytes_of_text(user), &there);
    return users;
}

static bool only_the_lamp(const struct broker_client *client)
{
    return text_equal(broker_client_id(client), "lamp");
}

static void test_a_user_is_disconnected_and_the_sessions_stay(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        struct map ann = named("ann");
        stage_empty(&stage, version);
        come(&stage, &stage.ann, "ann", "lamp");
        come(&stage, &stage.ben, "ben", "lamp");
        device_subscribe(&stage.ben, "will", 0);
        struct device other = { 0 };
        come(&stage, &other, "ann", "other");
        broker_users_disconnect(stage.world.broker, stage.world.now_us, &ann, only_the_lamp);
        world_run(&stage.world);
        device_expect_ended(&stage.ann, MQTT_ADMINISTRATIVE_ACTION);
        device_expect_message(&stage.ben, "will", "lamp", 0);
        device_expect_nothing(&other);
        broker_users_disconnect(stage.world.broker, stage.world.now_us, &ann, NULL);
        world_run(&stage.world);
        device_expect_ended(&other, MQTT_ADMINISTRATIVE_ACTION);
        device_expect_message(&stage.ben, "will", "other", 0);
        device_expect_nothing(&stage.ben);
        assert_true(come(&stage, &stage.ann, "ann", "lamp"));
        device_done(&other);
        map_done(&ann);
        stage_done(&stage);
    }
}

static void test_a_user_is_forgotten_with_all_sessions(void **state)
{
    (void)state;
    each_version(version) for (int crash = 0; crash <= 1; crash++)
    {
        struct stage stage;
        struct map ann = named("ann");
        stage_empty(&stage, version);
        struct device away = { 0 };
        come(&stage, &away, "ann", "away");
        device_lose(&away);
        come(&stage, &stage.ann, "ann", "lamp");
        come(&stage, &stage.ben, "ben", "lamp");
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 3);
        broker_users_forget(stage.world.broker, stage.world.now_us, &ann);
        world_run(&stage.world);
        device_expect_ended(&stage.ann, MQTT_ADMINISTRATIVE_ACTION);
        device_expect_nothing(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_SESSIONS), 1);
        if (crash) {
            world_crash(&stage.world);
            device_forget(&stage.ben);
        }
        assert_false(come(&stage, &stage.ann, "ann", "lamp"));
        assert_false(come(&stage, &away, "ann", "away"));
        assert_true(come(&stage, &stage.ben, "ben", "lamp"));
        device_done(&away);
        map_done(&ann);
        stage_done(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_user_is_disconnected_and_the_sessions_stay),
        cmocka_unit_test(test_a_user_is_forgotten_with_all_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
