// Devices: the names they have, the links they wait at, what they say to their like.
#include "model_harness.h"

static int try_register(struct fake_device *fake, const char *user, bool verified)
{
    return call_device_register(&model.calls, &fake->device, user, NULL, verified);
}

static void test_a_name_is_shared_by_verified_devices_alone(void **state)
{
    (void)state;
    struct fake_device guest, ann, phone;
    enter(&guest, CALL_BINDING_PEERJS, "guest");
    enter_as(&ann, CALL_BINDING_NATIVE, "ann", NULL, true);
    enter_as(&phone, CALL_BINDING_MQTT, "ann", NULL, true);
    assert_int_equal(try_register(&guest, "ann", false), -EEXIST);
    assert_string_equal(call_device_user(&guest.device), "guest");
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_USERS]), 2);
    // who proves a name takes it from who has not
    assert_int_equal(try_register(&phone, "guest", true), 0);
    assert_null(call_device_user(&guest.device));
    assert_hears(&guest, "unregistered: guest");
    assert_string_equal(call_device_user(&phone.device), "guest");
    go(&ann);
    go(&phone);
    assert_int_equal(try_register(&guest, "ann", false), 0);
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_USERS]), 1);
    go(&guest);
}

static void test_names_of_accounts_need_proof(void **state)
{
    (void)state;
    struct fake_device stranger, ann;
    char id[CALL_ID_SIZE];
    bool waits;
    model.account = "ann";
    enter(&stranger, CALL_BINDING_RELAY, "stranger");
    assert_int_equal(try_register(&stranger, "ann", false), -EACCES);
    // nor can calls to ann be caught at a link while she is not there
    assert_int_equal(call_device_link(&model.calls, &stranger.device, "ann", "Ann", &waits),
                     -EACCES);
    assert_int_equal(try_call(&stranger, "ann", id), -ENOENT);
    enter_as(&ann, CALL_BINDING_NATIVE, "ann", NULL, true);
    assert_int_equal(call_device_link(&model.calls, &stranger.device, "ann", "S", &waits), 0);
    assert_false(waits);
    call(&stranger, "ann", id);
    assert_hears(&ann, "incoming from S: v=0 offer");
    go(&stranger);
    go(&ann);
}

static void test_a_new_account_takes_its_name_from_guests(void **state)
{
    (void)state;
    struct fake_device squatter, waiter, bob, ann;
    char id[CALL_ID_SIZE], other[CALL_ID_SIZE];
    bool waits;
    enter(&squatter, CALL_BINDING_NATIVE, "ann");
    enter(&bob, CALL_BINDING_PEERJS, "bob");
    call(&bob, "ann", id);
    assert_hears(&squatter, "incoming from bob: v=0 offer");
    model.account = "ann";
    call_name_claim(&model.calls, model.now_us, "ann");
    assert_hears(&squatter, "ended: unavailable");
    assert_hears(&squatter, "unregistered: ann");
    assert_hears(&bob, "ended: unavailable");
    assert_null(call_device_user(&squatter.device));
    assert_int_equal(try_register(&squatter, "ann", false), -EACCES);
    assert_int_equal(try_call(&bob, "ann", id), -ENOENT);
    // calls that were accepted go on, and so do those that ring at another name of the device
    assert_int_equal(try_register(&squatter, "zoe", false), 0);
    call(&bob, "zoe", id);
    assert_hears(&squatter, "incoming from bob: v=0 offer");
    assert_int_equal(accept_call(&squatter, id), 0);
    assert_hears(&bob, "accepted by zoe: v=0 answer");
    memset(&waiter, 0, sizeof(waiter));
    call_device_init(&waiter.device, &fake_ops, CALL_BINDING_NATIVE);
    assert_int_equal(call_device_link(&model.calls, &waiter.device, "dan", "D", &waits), 0);
    call(&bob, "dan", other);
    assert_hears(&waiter, "incoming from bob: v=0 offer");
    model.account = "zoe";
    call_name_claim(&model.calls, model.now_us, "zoe");
    assert_hears(&squatter, "unregistered: zoe");
    assert_hears(&squatter, "nothing");
    model.account = "dan";
    call_name_claim(&model.calls, model.now_us, "dan");
    assert_hears(&waiter, "ended: unavailable");
    assert_hears(&waiter, "unregistered: dan");
    assert_int_equal(hang_up(&bob, id), 0);
    assert_hears(&squatter, "ended: hangup");
    // who has proven it stays
    enter_as(&ann, CALL_BINDING_MQTT, "ann", NULL, true);
    call_name_claim(&model.calls, model.now_us, "ann");
    assert_string_equal(call_device_user(&ann.device), "ann");
    go(&squatter);
    go(&waiter);
    go(&bob);
    go(&ann);
}

static void test_links_join_whoever_comes(void **state)
{
    (void)state;
    struct fake_device first, second, third;
    char id[CALL_ID_SIZE];
    bool waits;
    struct fake_device *all[] = { &first, &second, &third };
    enum call_binding bindings[] = { CALL_BINDING_NATIVE, CALL_BINDING_PEERJS, CALL_BINDING_MQTT };
    for (size_t i = 0; i < 3; i++) {
        memset(all[i], 0, sizeof(*all[i]));
        call_device_init(&all[i]->device, &fake_ops, bindings[i]);
    }
    assert_int_equal(call_device_link(&model.calls, &first.device, "l-1", "First", &waits), 0);
    assert_true(waits);
    assert_int_equal(call_device_link(&model.calls, &second.device, "l-1", "Second", &waits), 0);
    assert_false(waits);
    call(&second, "l-1", id);
    assert_hears(&first, "incoming from Second: v=0 offer");
    assert_int_equal(call_device_link(&model.calls, &third.device, "l-1", "T", &waits), -EBUSY);
    assert_int_equal(hang_up(&second, id), 0);
    assert_hears(&first, "ended: cancelled");
    // whoever registers the name takes it over
    assert_int_equal(try_register(&third, "l-1", false), 0);
    assert_hears(&first, "link: l-1");
    for (size_t i = 0; i < 3; i++)
        go(all[i]);
}

static void test_what_is_relayed_reaches_devices_of_the_same_language(void **state)
{
    (void)state;
    struct fake_device ann, desk, phone, page, nobody;
    enter(&ann, CALL_BINDING_PEERJS, "ann");
    enter_as(&desk, CALL_BINDING_PEERJS, "bob", NULL, true);
    enter_as(&phone, CALL_BINDING_MQTT, "bob", NULL, true);
    enter_as(&page, CALL_BINDING_PEERJS, "bob", NULL, true);
    assert_int_equal(call_relay(&model.calls, &ann.device, "bob", "{\"a\":1}"), 0);
    assert_hears(&desk, "relay from ann: {\"a\":1}");
    assert_hears(&page, "relay from ann: {\"a\":1}");
    assert_hears(&phone, "nothing");
    assert_hears(&ann, "nothing");
    // a user's own devices may speak to one another
    assert_int_equal(call_relay(&model.calls, &desk.device, "bob", "2"), 0);
    assert_hears(&page, "relay from bob: 2");
    assert_hears(&desk, "nothing");
    assert_int_equal(call_relay(&model.calls, &phone.device, "ann", "3"), -ENOENT);
    assert_int_equal(call_relay(&model.calls, &phone.device, "bob", "3"), -ENOENT);
    assert_int_equal(call_relay(&model.calls, &ann.device, "carl", "3"), -ENOENT);
    memset(&nobody, 0, sizeof(nobody));
    call_device_init(&nobody.device, &fake_ops, CALL_BINDING_PEERJS);
    assert_int_equal(call_relay(&model.calls, &nobody.device, "bob", "3"), -EPROTO);
    go(&ann);
    go(&desk);
    go(&phone);
    go(&page);
}

static void test_names_are_bounded(void **state)
{
    (void)state;
    struct fake_device ann, bob;
    bool waits;
    model.calls.config.user_count_max = 1;
    enter(&ann, CALL_BINDING_NATIVE, "ann");
    memset(&bob, 0, sizeof(bob));
    call_device_init(&bob.device, &fake_ops, CALL_BINDING_MQTT);
    assert_int_equal(try_register(&bob, "bob", false), -ENOSPC);
    assert_int_equal(call_device_link(&model.calls, &bob.device, "l-1", "Bob", &waits), -ENOSPC);
    assert_int_equal(try_register(&ann, "ann", false), 0);
    go(&ann);
    go(&bob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_name_is_shared_by_verified_devices_alone),
        TEST(test_names_of_accounts_need_proof),
        TEST(test_a_new_account_takes_its_name_from_guests),
        TEST(test_links_join_whoever_comes),
        TEST(test_what_is_relayed_reaches_devices_of_the_same_language),
        TEST(test_names_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
