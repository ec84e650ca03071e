// The session of a bridge at our own broker: it lives as long as the bridge is configured, whatever
// holds for the sessions of clients, and no longer. What keeps a bridge from having it is told.
#include "bridge_world.h"

#include "base/map.h"

static void begin_with(struct bridge_world *world, const struct broker_config *here)
{
    bridge_world_init_with(world, here);
    bridge_rule(world, "a/#", BRIDGE_BOTH, 1, "", "");
    bridge_begin(world);
}

static void publish_here(struct bridge_world *world, const char *payload)
{
    broker_publish(world->here.broker, world->here.now_us,
                   &(struct broker_publication){ .topic = bytes_of_text("a/x"),
                                                 .payload = bytes_of_text(payload),
                                                 .qos = 1 });
    bridge_pump(world);
}

static void stop(struct bridge_world *world, bool forget)
{
    bridge_stop(world->bridge, world->here.now_us, forget);
    bridge_pump(world);
    world->bridge = bridge_free(world->bridge, world->here.now_us);
}

/** The bridge is thrown out, as a user is whose password has changed. */
static void throw_out(struct bridge_world *world)
{
    struct map users = { 0 };
    map_set(&users, bytes_of_text("\377bridge"), world);
    broker_users_disconnect(world->here.broker, world->here.now_us, &users, NULL);
    map_done(&users);
    bridge_pump(world);
}

static uint64_t sessions_of(const struct world *world)
{
    return world_metric(world, BROKER_METRIC_SESSIONS);
}

/** The next of what happened is this. */
static uint8_t expect_news(struct bridge_world *world, enum bridge_news_kind kind)
{
    struct bridge_news news;
    assert_true(bridge_next_news(world->bridge, &news));
    assert_int_equal(news.kind, kind);
    return news.reason;
}

static void expect_no_news(struct bridge_world *world)
{
    struct bridge_news news;
    assert_false(bridge_next_news(world->bridge, &news));
}

/** However short those of clients are kept. */
static void test_what_waits_in_it_is_kept(void **state)
{
    (void)state;
    static const uint32_t longest[] = { 100, BROKER_NONE };
    for (size_t i = 0; i < array_size(longest); i++) {
        struct bridge_world world;
        struct device ben;
        begin_with(&world,
                   &(struct broker_config){ .journal = true, .session_expiry_max_s = longest[i] });
        device_come(&world.there, &ben, MQTT_5, "ben");
        device_subscribe(&ben, "a/#", 1);
        world.unreachable = true;
        bridge_pump(&world);
        publish_here(&world, "long ago");
        stop(&world, false);
        world_wait(&world.here, 200);
        assert_int_equal(sessions_of(&world.here), 1);
        world_crash(&world.here);
        world_wait(&world.here, 200);
        world.unreachable = false;
        bridge_begin(&world);
        bridge_up(&world);
        device_expect_message(&ben, "a/x", "long ago", 1);
        device_done(&ben);
        bridge_world_done(&world);
    }
}

/** Strangers who fill the broker do not keep the operator's bridge out. */
static void test_it_does_not_compete_with_clients(void **state)
{
    (void)state;
    static const struct broker_config full[] = {
        { .journal = true, .session_count_max = 1 },
        { .journal = true, .state_max = 1 },
        { .journal = true, .packet_size_max = 1024 },
    };
    char filter[2000];
    memset(filter, 'a', sizeof(filter) - 1);
    filter[sizeof(filter) - 1] = '\0';
    for (size_t i = 0; i < array_size(full); i++) {
        struct bridge_world world;
        struct device ann = { 0 }, ben;
        bridge_world_init_with(&world, &full[i]);
        if (full[i].session_count_max)
            device_connect(&world.here, &ann, MQTT_5, "ann", false, 1000);
        bridge_rule(&world, "a/#", BRIDGE_BOTH, 1, "", "");
        bridge_rule(&world, filter, BRIDGE_BOTH, 1, "", "");
        bridge_begin(&world);
        bridge_up(&world);
        device_come(&world.there, &ben, MQTT_5, "ben");
        device_subscribe(&ben, "a/#", 1);
        publish_here(&world, "through");
        device_expect_message(&ben, "a/x", "through", 1);
        if (ann.world)
            device_done(&ann);
        device_done(&ben);
        bridge_world_done(&world);
    }
}

/** Whatever the bridge is doing just then, on both sides, and in the journal. */
static void test_the_end_of_a_bridge_ends_its_session(void **state)
{
    (void)state;
    enum moment { UP, UNREACHABLE, PREPARING, THROWN_OUT, MOMENTS };
    for (enum moment moment = UP; moment < MOMENTS; moment++) {
        struct bridge_world world;
        begin_with(&world, &(struct broker_config){ .journal = true });
        world.unreachable = moment == UNREACHABLE;
        bridge_pump(&world);
        assert_int_equal(sessions_of(&world.here), 1);
        publish_here(&world, "waits");
        if (moment == PREPARING) {
            stop(&world, false);
            world.here.disk_waits = true;
            bridge_begin(&world);
            bridge_pump(&world);
            assert_int_equal(bridge_state(world.bridge), BRIDGE_PREPARING);
        }
        if (moment == THROWN_OUT) {
            throw_out(&world);
            assert_int_equal(sessions_of(&world.here), 1);
        }
        stop(&world, true);
        assert_int_equal(sessions_of(&world.here), 0);
        if (moment == UP)
            assert_int_equal(sessions_of(&world.there), 0);
        world.here.disk_waits = false;
        world_write(&world.here);
        world_crash(&world.here);
        assert_int_equal(sessions_of(&world.here), 0);
        bridge_world_done(&world);
    }
}

static bool is_north(void *owner, struct bytes name)
{
    unsigned *asked = owner;
    (*asked)++;
    return text_equal(name, "north");
}

/** Those whose bridges went while there was no process. */
static void test_sessions_without_a_bridge_end(void **state)
{
    (void)state;
    struct bridge_world world;
    struct device ann;
    begin_with(&world, &(struct broker_config){ .journal = true });
    bridge_pump(&world);
    stop(&world, false);
    world.config.name = "north";
    bridge_begin(&world);
    bridge_pump(&world);
    stop(&world, false);
    device_connect(&world.here, &ann, MQTT_5, "west", false, 1000);
    device_lose(&ann);
    world_crash(&world.here);
    assert_int_equal(sessions_of(&world.here), 3);
    unsigned asked = 0;
    // none that a bridge has
    world.config.name = "east";
    bridge_begin(&world);
    bridge_pump(&world);
    assert_int_equal(bridge_sessions_end(world.here.broker, world.here.now_us, is_north, &asked),
                     1);
    assert_int_equal(asked, 2);
    assert_int_equal(sessions_of(&world.here), 3);
    stop(&world, false);
    assert_int_equal(bridge_sessions_end(world.here.broker, world.here.now_us, NULL, NULL), 2);
    world_write(&world.here);
    world_crash(&world.here);
    // the client's
    assert_int_equal(sessions_of(&world.here), 1);
    device_done(&ann);
    bridge_world_done(&world);
}

static void test_a_disk_that_stalls_is_told_once(void **state)
{
    (void)state;
    struct bridge_world world;
    bridge_world_init(&world);
    bridge_rule(&world, "a/#", BRIDGE_OUT, 1, "", "");
    world.here.disk_waits = true;
    bridge_begin(&world);
    bridge_wait(&world, 9);
    expect_no_news(&world);
    bridge_wait(&world, 60);
    expect_news(&world, BRIDGE_NEWS_JOURNAL);
    expect_no_news(&world);
    assert_int_equal(bridge_state(world.bridge), BRIDGE_PREPARING);
    assert_int_equal(bridge_metric(&world, BRIDGE_METRIC_HERE), 1);
    world.here.disk_waits = false;
    bridge_up(&world);
    expect_news(&world, BRIDGE_NEWS_UP);
    bridge_world_done(&world);
}

static void test_an_end_by_our_own_broker_is_told(void **state)
{
    (void)state;
    struct bridge_world world;
    begin_with(&world, &(struct broker_config){ .journal = true });
    bridge_up(&world);
    expect_news(&world, BRIDGE_NEWS_UP);
    throw_out(&world);
    assert_int_equal(expect_news(&world, BRIDGE_NEWS_HERE), MQTT_ADMINISTRATIVE_ACTION);
    assert_int_equal(bridge_metric(&world, BRIDGE_METRIC_HERE), 1);
    // tried again, and all is well
    bridge_up(&world);
    expect_news(&world, BRIDGE_NEWS_UP);
    // a broker that stops is no fault
    broker_drain(world.here.broker, world.here.now_us);
    bridge_pump(&world);
    expect_no_news(&world);
    bridge_world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_waits_in_it_is_kept),
        cmocka_unit_test(test_it_does_not_compete_with_clients),
        cmocka_unit_test(test_the_end_of_a_bridge_ends_its_session),
        cmocka_unit_test(test_sessions_without_a_bridge_end),
        cmocka_unit_test(test_a_disk_that_stalls_is_told_once),
        cmocka_unit_test(test_an_end_by_our_own_broker_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
