// What is the owner's: topics that no client may use, messages for one client alone, and who is
// here.
#include "broker_stage.h"

#include <stdio.h>

#define OWN "own"

static void stage_reserved(struct stage *stage, enum mqtt_version version)
{
    *stage = (struct stage){ .version = version };
    world_init(&stage->world, &(struct broker_config){ .journal = true, .reserved = OWN });
    device_come(&stage->world, &stage->ann, version, "ann");
    device_come(&stage->world, &stage->ben, version, "ben");
}

static int send_to(struct device *device, const char *topic, const char *payload, uint8_t qos)
{
    int result = broker_client_send(device->client, device->world->now_us,
                                    &(struct broker_publication){ .topic = bytes_of_text(topic),
                                                                  .payload = bytes_of_text(payload),
                                                                  .qos = qos });
    world_run(device->world);
    return result;
}

static void tell_all(struct world *world, const char *topic, const char *payload, bool retain)
{
    broker_publish(world->broker, world->now_us,
                   &(struct broker_publication){ .topic = bytes_of_text(topic),
                                                 .payload = bytes_of_text(payload),
                                                 .retain = retain });
    world_run(world);
}

static void test_a_message_for_one_client(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_reserved(&stage, version);
        assert_int_equal(send_to(&stage.ann, "own/ann/event", "early", 1), -ENOENT);
        device_subscribe(&stage.ann, "own/ann/event", 1);
        device_subscribe(&stage.ann, "#", 1);
        // whoever listens, with whatever filter
        static const char *const filters[] = { "own/ann/event",      "own/ann/#",
                                               "own/+/event",        "#",
                                               "+/ann/event",        "$share/g/own/ann/event",
                                               "$share/g/own/ann/#", "$share/g/#" };
        for (size_t i = 0; i < array_size(filters); i++)
            device_subscribe(&stage.ben, filters[i], 1);
        assert_int_equal(send_to(&stage.ann, "own/ann/event", "for ann", 1), 0);
        uint16_t id =
            device_expect_message(&stage.ann, "own/ann/event", "for ann", 1).publish.packet_id;
        device_ack(&stage.ann, MQTT_PUBACK, id);
        device_expect_nothing(&stage.ann);
        device_expect_nothing(&stage.ben);
        // nothing of it stays
        device_subscribe(&stage.ben, "own/ann/event", 1);
        device_expect_nothing(&stage.ben);
        assert_int_equal(device_unsubscribe(&stage.ann, "own/ann/event"), 0);
        assert_int_equal(send_to(&stage.ann, "own/ann/event", "late", 1), -ENOENT);
        stage_done(&stage);
    }
}

static void test_its_subscription_counts(void **state)
{
    (void)state;
    struct stage stage;
    stage_reserved(&stage, MQTT_5);
    assert_int_equal(device_subscribe_with(&stage.ann, "own/ann/event",
                                           (struct mqtt_subscription_options){ .qos = 0 }, 42),
                     0);
    assert_int_equal(send_to(&stage.ann, "own/ann/event", "x", 1), 0);
    device_expect_message(&stage.ann, "own/ann/event", "x", 0);
    // a wildcard or a shared one is none
    device_subscribe(&stage.ben, "own/ben/#", 1);
    device_subscribe(&stage.ben, "$share/g/own/ben/event", 1);
    assert_false(broker_client_has_subscribed(stage.ben.client, bytes_of_text("own/ben/event")));
    assert_int_equal(send_to(&stage.ben, "own/ben/event", "x", 1), -ENOENT);
    device_subscribe(&stage.ben, "own/ben/event", 1);
    assert_true(broker_client_has_subscribed(stage.ben.client, bytes_of_text("own/ben/event")));
    stage_done(&stage);
}

static void test_who_does_not_read_is_full(void **state)
{
    (void)state;
    struct stage stage = { .version = MQTT_5 };
    world_init(&stage.world,
               &(struct broker_config){ .reserved = OWN, .inflight_max = 1, .queue_count_max = 2 });
    device_come(&stage.world, &stage.ann, MQTT_5, "ann");
    device_subscribe(&stage.ann, "own/ann/event", 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(send_to(&stage.ann, "own/ann/event", "x", 1), 0);
    assert_int_equal(send_to(&stage.ann, "own/ann/event", "x", 1), -ENOBUFS);
    stage_done(&stage);
}

static void test_clients_do_not_publish_there(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_reserved(&stage, version);
        device_subscribe(&stage.ben, "own/#", 1);
        device_subscribe(&stage.ben, "owner", 1);
        static const char *const topics[] = { "own", "own/", "own/ann/event", "own/x" };
        for (size_t i = 0; i < array_size(topics); i++) {
            device_publish(&stage.ann, topics[i], "forged", 1, (uint16_t)(i + 1));
            uint8_t reason = device_expect(&stage.ann, MQTT_PUBACK).ack.reason;
            assert_int_equal(reason, version == MQTT_5 ? MQTT_NOT_AUTHORIZED : MQTT_SUCCESS);
        }
        device_expect_nothing(&stage.ben);
        device_publish_whole(&stage.ann, "owner", "another", 1, 9);
        device_expect_message(&stage.ben, "owner", "another", 1);
        // nor by what they leave behind
        struct mqtt_connect connect = { .version = version,
                                        .clean_start = true,
                                        .client_id = bytes_of_text("eve"),
                                        .has_will = true,
                                        .will = { .topic = bytes_of_text("own/ann/event"),
                                                  .payload = bytes_of_text("forged") } };
        struct device eve = { 0 };
        device_ask(&stage.world, &eve, &connect, nothing());
        assert_int_equal(device_expect(&eve, MQTT_CONNACK).connack.reason,
                         version == MQTT_5 ? MQTT_NOT_AUTHORIZED : 5);
        device_reset(&eve);
        stage_done(&stage);
    }
}

static void test_wildcards_at_the_front_do_not_find_them(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_reserved(&stage, version);
        device_subscribe(&stage.ann, "own/+/state", 0);
        device_subscribe(&stage.ben, "#", 0);
        device_subscribe(&stage.ben, "+/+/state", 0);
        device_subscribe(&stage.ben, "$share/g/#", 0);
        tell_all(&stage.world, "own/ann/state", "online", true);
        device_expect_message(&stage.ann, "own/ann/state", "online", 0);
        device_expect_nothing(&stage.ben);
        // of what is retained neither
        device_subscribe(&stage.ben, "#", 0);
        device_subscribe(&stage.ben, "+/+/state", 0);
        device_subscribe(&stage.ben, "+/#", 0);
        device_expect_nothing(&stage.ben);
        device_subscribe(&stage.ben, "own/#", 0);
        device_expect_message(&stage.ben, "own/ann/state", "online", 0);
        // and of what another process told nothing is left
        world_write(&stage.world);
        device_forget(&stage.ann);
        device_forget(&stage.ben);
        world_crash(&stage.world);
        device_reset(&stage.ben);
        device_come(&stage.world, &stage.ben, version, "ben");
        device_subscribe(&stage.ben, "own/#", 0);
        device_expect_nothing(&stage.ben);
        stage_done(&stage);
    }
}

/** ---- what the owner hears ---- */

static char heard[512];

static void hear(const char *what, struct bytes of_what)
{
    size_t length = strlen(heard);
    snprintf(heard + length, sizeof(heard) - length, "%s%.*s; ", what, (int)of_what.size,
             (const char *)of_what.data);
}

static void owner_here(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                       bool present)
{
    (void)self, (void)now_us;
    hear(present ? "here again " : "here ", broker_client_id(client));
}

static void owner_subscribed(struct broker_owner *self, struct broker_client *client,
                             uint64_t now_us, struct bytes filter, bool is_there)
{
    (void)self, (void)client, (void)now_us;
    hear(is_there ? "+" : "-", filter);
}

static void owner_left(struct broker_owner *self, struct broker_client *client, uint64_t now_us,
                       enum broker_leave how)
{
    (void)self, (void)now_us;
    static const char *const words[] = { "goodbye ", "lost ", "away " };
    hear(words[how], broker_client_id(client));
}

static void expect_heard(const char *text)
{
    assert_string_equal(heard, text);
    heard[0] = '\0';
}

static void test_the_owner_hears_who_is_here(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_empty(&stage, version);
        stage.world.owner.here = owner_here;
        stage.world.owner.subscribed = owner_subscribed;
        stage.world.owner.left = owner_left;
        heard[0] = '\0';
        device_come(&stage.world, &stage.ann, version, "ann");
        expect_heard("here ann; ");
        device_subscribe(&stage.ann, "a/b", 0);
        assert_int_equal(device_unsubscribe(&stage.ann, "a/b"), 0);
        (void)device_unsubscribe(&stage.ann, "a/c");
        expect_heard("+a/b; -a/b; ");
        device_disconnect(&stage.ann, MQTT_SUCCESS);
        expect_heard("goodbye ann; ");
        device_reset(&stage.ann);
        device_come(&stage.world, &stage.ann, version, "ann");
        device_lose(&stage.ann);
        expect_heard("here ann; lost ann; ");
        // one that is kept
        stage_keep(&stage, &stage.ben, "ben");
        device_lose(&stage.ben);
        assert_true(stage_keep(&stage, &stage.ben, "ben"));
        expect_heard("here ben; away ben; here again ben; ");
        // who takes it over is here after the other has left
        struct device second = { 0 };
        assert_true(stage_keep(&stage, &second, "ben"));
        expect_heard("away ben; here again ben; ");
        device_disconnect(&second, MQTT_SUCCESS);
        expect_heard("goodbye ben; ");
        device_reset(&second);
        stage_done(&stage);
        expect_heard("");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_for_one_client),
        cmocka_unit_test(test_its_subscription_counts),
        cmocka_unit_test(test_who_does_not_read_is_full),
        cmocka_unit_test(test_clients_do_not_publish_there),
        cmocka_unit_test(test_wildcards_at_the_front_do_not_find_them),
        cmocka_unit_test(test_the_owner_hears_who_is_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
