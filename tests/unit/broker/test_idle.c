// What a client takes that waits for messages: only what it uses, and what it has used is given
// back.
#include "support/check.h"

#include "broker/broker_int.h"
#include "broker_stage.h"

static size_t state_bytes(const struct stage *stage)
{
    return stage->world.broker->state_bytes;
}

static struct broker_topic *topic_of(const struct stage *stage, const char *filter)
{
    return broker_topics_find(&stage->world.broker->topics, bytes_of_text(filter));
}

static void test_who_waits_has_nothing_that_it_does_not_use(void **state)
{
    (void)state;
    each_version(version)
    {
        struct stage stage;
        stage_both(&stage, version);
        device_subscribe(&stage.ben, "a/b", 1);
        device_publish_whole(&stage.ann, "a/b", "x", 2, 1);
        uint16_t id = device_expect_message(&stage.ben, "a/b", "x", 1).publish.packet_id;
        device_ack(&stage.ben, MQTT_PUBACK, id);
        const struct broker_client *clients[] = { stage.ann.client, stage.ben.client };
        for (size_t i = 0; i < array_size(clients); i++) {
            const struct broker_session *session = clients[i]->session;
            assert_null(clients[i]->arrival);
            assert_null(clients[i]->controls);
            assert_null(session->absence);
            assert_null(session->received);
            assert_null(session->queue.waiting);
            assert_null(session->queue.inflight);
        }
        const struct broker_topic *topic = topic_of(&stage, "a/b");
        assert_null(topic->branch);
        assert_null(topic->retained);
        stage_done(&stage);
    }
}

static void test_what_is_kept_while_a_client_is_away_goes_when_it_comes(void **state)
{
    (void)state;
    struct stage stage;
    stage_empty(&stage, MQTT_5);
    stage_keep(&stage, &stage.ann, "ann");
    size_t before = state_bytes(&stage);
    struct broker_session *session = stage.ann.client->session;
    for (int i = 0; i < 3; i++) {
        device_lose(&stage.ann);
        assert_non_null(session->absence);
        assert_int_equal(state_bytes(&stage), before + sizeof(struct broker_absence));
        assert_true(stage_keep(&stage, &stage.ann, "ann"));
        assert_null(session->absence);
        assert_int_equal(state_bytes(&stage), before);
    }
    stage_done(&stage);
}

static void test_a_topic_gives_back_what_it_had_for_others(void **state)
{
    (void)state;
    struct stage stage;
    stage_both(&stage, MQTT_5);
    device_subscribe(&stage.ben, "a", 0);
    const struct broker_topic *topic = topic_of(&stage, "a");
    size_t before = state_bytes(&stage);
    static const char *const others[] = { "a/b", "a/+", "a/#", "a/b/c/d", "$share/g/a" };
    for (size_t i = 0; i < array_size(others); i++) {
        device_subscribe(&stage.ann, others[i], 0);
        assert_non_null(topic->branch);
        device_unsubscribe(&stage.ann, others[i]);
        assert_null(topic->branch);
        assert_int_equal(state_bytes(&stage), before);
    }
    device_retain(&stage.ann, "a", "kept");
    assert_non_null(topic->retained);
    device_retain(&stage.ann, "a", "");
    assert_null(topic->retained);
    assert_int_equal(state_bytes(&stage), before);
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_waits_has_nothing_that_it_does_not_use),
        cmocka_unit_test(test_what_is_kept_while_a_client_is_away_goes_when_it_comes),
        cmocka_unit_test(test_a_topic_gives_back_what_it_had_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
