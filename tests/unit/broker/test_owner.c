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

static void tell_all_with(struct world *world, const char *topic, const char *payload, uint8_t qos,
                          bool retain)
{
    broker_publish(world->broker, world->now_us,
                   &(struct broker_publication){ .topic = bytes_of_text(topic),
                                                 .payload = bytes_of_text(payload),
                                                 .qos = qos,
                                                 .retain = retain });
    world_run(world);
}

static void tell_all(struct world *world, const char *topic, const char *payload, bool retain)
{
    tell_all_with(world, topic, payload, 0, retain);
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

/** ---- the next process ---- */

static bool disk_has(const struct world *world, const char *text)
{
    return memmem(world->disk, world->disk_size, text, strlen(text));
}

/** Two kept sessions that subscribed; ben is there, ann is away. */
static void stage_listeners(struct stage *stage, enum mqtt_version version, const char *reserved)
{
    *stage = (struct stage){ .version = version };
    world_init(&stage->world,
               &(struct broker_config){ .journal = true, .reserved = reserved, .inflight_max = 1 });
    stage_keep(stage, &stage->ann, "ann");
    device_subscribe(&stage->ann, "own/+/state", 1);
    device_lose(&stage->ann);
    stage_keep(stage, &stage->ben, "ben");
    device_subscribe(&stage->ben, "own/ben/event", 1);
    device_subscribe(&stage->ben, "lamp", 1);
    assert_int_equal(send_to(&stage->ben, "own/ben/event", "ring", 1), 0);
    assert_int_equal(send_to(&stage->ben, "own/ben/event", "ring twice", 1), 0);
    tell_all_with(&stage->world, "lamp", "on", 1, false);
    tell_all_with(&stage->world, "own/ben/state", "busy", 1, true);
    device_expect_message(&stage->ben, "own/ben/event", "ring", 1);
}

static void crash(struct stage *stage)
{
    device_forget(&stage->ann);
    device_forget(&stage->ben);
    world_crash(&stage->world);
}

static void test_a_call_does_not_ring_in_the_next_process(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_listeners(&stage, version, OWN);
        assert_false(disk_has(&stage.world, "ring"));
        assert_false(disk_has(&stage.world, "busy"));
        crash(&stage);
        assert_true(stage_keep(&stage, &stage.ben, "ben"));
        device_ack(&stage.ben, MQTT_PUBACK,
                   device_expect_message(&stage.ben, "lamp", "on", 1).publish.packet_id);
        device_expect_nothing(&stage.ben);
        assert_true(stage_keep(&stage, &stage.ann, "ann"));
        device_expect_nothing(&stage.ann);
        stage_done(&stage);
    }
}

static void test_nor_when_it_was_written_by_an_older_one(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        // which knew of nothing that is reserved
        stage_listeners(&stage, version, NULL);
        assert_true(disk_has(&stage.world, "ring twice"));
        stage.world.config.reserved = OWN;
        crash(&stage);
        assert_true(stage_keep(&stage, &stage.ben, "ben"));
        device_expect_message(&stage.ben, "lamp", "on", 1);
        device_expect_nothing(&stage.ben);
        assert_true(stage_keep(&stage, &stage.ann, "ann"));
        device_expect_nothing(&stage.ann);
        // nor does a short journal have them
        size_t size;
        uint8_t *snapshot = broker_snapshot(stage.world.broker, &size);
        assert_null(memmem(snapshot, size, "ring", 4));
        free(snapshot);
        stage_done(&stage);
    }
}

/** What was received before and is not released is another message than the next one. */
static void test_identifiers_of_qos_2_outlive_what_they_were_for(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage = { .version = version };
        world_init(&stage.world, &(struct broker_config){ .journal = true, .reserved = OWN });
        stage_keep(&stage, &stage.ben, "ben");
        device_subscribe(&stage.ben, "own/state", 2);
        device_subscribe(&stage.ben, "lamp", 2);
        tell_all_with(&stage.world, "own/state", "busy", 2, false);
        uint16_t before =
            device_expect_message(&stage.ben, "own/state", "busy", 2).publish.packet_id;
        crash(&stage);
        assert_true(stage_keep(&stage, &stage.ben, "ben"));
        assert_int_equal(device_expect(&stage.ben, MQTT_PUBREL).ack.packet_id, before);
        tell_all_with(&stage.world, "lamp", "on", 2, false);
        uint16_t after = device_expect_message(&stage.ben, "lamp", "on", 2).publish.packet_id;
        assert_int_not_equal(before, after);
        device_ack(&stage.ben, MQTT_PUBCOMP, before);
        device_ack(&stage.ben, MQTT_PUBREC, after);
        assert_int_equal(device_expect(&stage.ben, MQTT_PUBREL).ack.packet_id, after);
        device_ack(&stage.ben, MQTT_PUBCOMP, after);
        // whole: nothing comes back
        crash(&stage);
        assert_true(stage_keep(&stage, &stage.ben, "ben"));
        device_expect_nothing(&stage.ben);
        assert_int_equal(world_metric(&stage.world, BROKER_METRIC_MESSAGE_BYTES), 0);
        stage_done(&stage);
    }
}

static void test_what_nobody_waits_for_any_more_is_taken_back(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_listeners(&stage, version, OWN);
        device_lose(&stage.ben);
        // the owner hears of it before anything is sent
        stage_keep(&stage, &stage.ben, "ben");
        device_expect_message(&stage.ben, "own/ben/event", "ring", 1);
        broker_client_take_back(stage.ben.client, bytes_of_text("own/ben/event"));
        world_run(&stage.world);
        uint16_t id = device_expect_message(&stage.ben, "lamp", "on", 1).publish.packet_id;
        device_expect_nothing(&stage.ben);
        device_ack(&stage.ben, MQTT_PUBACK, id);
        assert_true(broker_client_has_all(stage.ben.client));
        crash(&stage);
        stage_keep(&stage, &stage.ben, "ben");
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
        cmocka_unit_test(test_a_call_does_not_ring_in_the_next_process),
        cmocka_unit_test(test_nor_when_it_was_written_by_an_older_one),
        cmocka_unit_test(test_identifiers_of_qos_2_outlive_what_they_were_for),
        cmocka_unit_test(test_what_nobody_waits_for_any_more_is_taken_back),
        cmocka_unit_test(test_the_owner_hears_who_is_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
