// Calls that wait, and calls that move on to somebody else.
#include "model_harness.h"

/** Three people with one device each, none like another. */
struct three {
    struct fake_device ann, bob, carl;
    char talk[CALL_ID_SIZE]; /**< of ann and bob */
    char next[CALL_ID_SIZE];
};

static int transfer(struct fake_device *fake, const char *id, const char *to)
{
    return call_transfer(&fake->device, id, to);
}

/** Calls as the device was told to, in place of call `leaves`. */
static int follow(struct fake_device *fake, const char *to, const char *leaves,
                  char ret_id[CALL_ID_SIZE])
{
    struct call_request request = { .to = to, .sdp = "v=0 moved", .transfer = leaves };
    return call_start(&model.calls, &fake->device, model.now_us, &request, ret_id);
}

static void connect(struct fake_device *caller, struct fake_device *callee, const char *to,
                    char ret_id[CALL_ID_SIZE])
{
    call(caller, to, ret_id);
    assert_int_equal(accept_call(callee, ret_id), 0);
    hears(callee);
    hears(caller);
}

/** Ann has called bob, and they talk. */
static void begin(struct three *three)
{
    enter(&three->ann, CALL_BINDING_NATIVE, "ann");
    enter(&three->bob, CALL_BINDING_MQTT, "bob");
    enter(&three->carl, CALL_BINDING_RELAY, "carl");
    three->ann.device.transfers = three->bob.device.transfers = true;
    three->carl.device.transfers = true;
    connect(&three->ann, &three->bob, "bob", three->talk);
}

static void end(struct three *three)
{
    go(&three->ann);
    go(&three->bob);
    go(&three->carl);
}

static void test_a_call_is_held_and_taken_back(void **state)
{
    (void)state;
    struct three three;
    begin(&three);
    assert_int_equal(call_hold(&three.ann.device, three.talk, true), 0);
    assert_hears(&three.bob, "held: yes");
    assert_int_equal(call_hold(&three.ann.device, three.talk, true), 0);
    assert_hears(&three.bob, "nothing");
    // each side holds for itself
    assert_int_equal(call_hold(&three.bob.device, three.talk, true), 0);
    assert_hears(&three.ann, "held: yes");
    assert_int_equal(call_hold(&three.ann.device, three.talk, false), 0);
    assert_hears(&three.bob, "held: no");
    assert_int_equal(call_hold(&three.carl.device, three.talk, true), -ENOENT);
    end(&three);
}

static void test_who_holds_a_call_may_place_another(void **state)
{
    (void)state;
    struct three three;
    begin(&three);
    assert_int_equal(try_call(&three.ann, "carl", three.next), -EALREADY);
    assert_int_equal(call_hold(&three.ann.device, three.talk, true), 0);
    // calls that come find it busy all the same
    assert_int_equal(try_call(&three.carl, "ann", three.next), -EBUSY);
    call(&three.ann, "carl", three.next);
    assert_int_equal(call_hold(&three.ann.device, three.next, true), -EPROTO); // it rings
    assert_int_equal(accept_call(&three.carl, three.next), 0);
    // one of them at a time
    assert_int_equal(call_hold(&three.ann.device, three.talk, false), -EALREADY);
    assert_int_equal(call_hold(&three.ann.device, three.next, true), 0);
    assert_int_equal(call_hold(&three.ann.device, three.talk, false), 0);
    assert_int_equal(hang_up(&three.ann, three.talk), 0);
    assert_int_equal(call_hold(&three.ann.device, three.next, false), 0);
    end(&three);
}

static void test_held_calls_are_bounded(void **state)
{
    (void)state;
    static struct fake_device others[CALL_HELD_MAX + 2];
    struct fake_device ann;
    char id[CALL_ID_SIZE], user[16];
    enter(&ann, CALL_BINDING_NATIVE, "ann");
    for (size_t i = 0; i < CALL_HELD_MAX + 2; i++) {
        snprintf(user, sizeof(user), "other%zu", i);
        enter(&others[i], CALL_BINDING_NATIVE, user);
        if (i == CALL_HELD_MAX + 1) {
            assert_int_equal(try_call(&ann, user, id), -EALREADY);
            continue;
        }
        connect(&ann, &others[i], user, id);
        assert_int_equal(call_hold(&ann.device, id, true), 0);
    }
    go(&ann);
    for (size_t i = 0; i < CALL_HELD_MAX + 2; i++)
        go(&others[i]);
}

static void test_a_call_is_transferred(void **state)
{
    (void)state;
    struct three three;
    begin(&three);
    assert_int_equal(transfer(&three.ann, three.talk, "carl"), 0);
    assert_hears(&three.bob, "transfer: carl");
    assert_int_equal(follow(&three.bob, "carl", three.talk, three.next), 0);
    assert_hears(&three.carl, "incoming from bob: v=0 moved");
    assert_hears(&three.ann, "nothing"); // the call goes on until they accept
    assert_int_equal(accept_call(&three.carl, three.next), 0);
    assert_hears(&three.bob, "accepted by carl: v=0 answer");
    assert_hears(&three.bob, "ended: transferred");
    assert_string_equal(three.bob.call, three.talk);
    assert_hears(&three.ann, "ended: transferred");
    assert_string_equal(last_record()->id, three.talk);
    assert_int_equal(last_record()->reason, CALL_ENDED_TRANSFERRED);
    assert_int_equal(hang_up(&three.carl, three.next), 0);
    assert_hears(&three.bob, "ended: hangup");
    end(&three);
}

static void test_who_transfers_may_leave_at_once(void **state)
{
    (void)state;
    struct three three;
    begin(&three);
    assert_int_equal(transfer(&three.bob, three.talk, "carl"), 0);
    assert_hears(&three.ann, "transfer: carl");
    assert_int_equal(hang_up(&three.bob, three.talk), 0);
    assert_hears(&three.ann, "ended: hangup");
    assert_int_equal(follow(&three.ann, "carl", three.talk, three.next), 0);
    assert_int_equal(accept_call(&three.carl, three.next), 0);
    assert_hears(&three.ann, "accepted by carl: v=0 answer");
    end(&three);
}

static void test_a_transfer_that_fails_leaves_the_call(void **state)
{
    (void)state;
    struct three three;
    begin(&three);
    // nobody there
    assert_int_equal(transfer(&three.ann, three.talk, "dora"), 0);
    assert_hears(&three.bob, "transfer: dora");
    assert_int_equal(follow(&three.bob, "dora", three.talk, three.next), -ENOENT);
    assert_hears(&three.ann, "transfer failed: unavailable");
    // once for each try: it is not a permission to call around
    assert_int_equal(follow(&three.bob, "dora", three.talk, three.next), -EALREADY);
    assert_hears(&three.ann, "nothing");
    // rejected
    assert_int_equal(transfer(&three.ann, three.talk, "carl"), 0);
    assert_int_equal(follow(&three.bob, "carl", three.talk, three.next), 0);
    assert_int_equal(call_reject(&model.calls, &three.carl.device, model.now_us, three.next, false),
                     0);
    assert_hears(&three.ann, "transfer failed: rejected");
    // not answered
    assert_int_equal(transfer(&three.ann, three.talk, "carl"), 0);
    assert_int_equal(follow(&three.bob, "carl", three.talk, three.next), 0);
    pass(45 * S);
    assert_hears(&three.ann, "transfer failed: timeout");
    // and they talk on
    assert_int_equal(
        call_pass_offer(&model.calls, &three.ann.device, model.now_us, three.talk, "v=0 on"), 0);
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_CALLS]), 1);
    end(&three);
}

static void test_transfers_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct three three;
    begin(&three);
    assert_int_equal(transfer(&three.ann, three.talk, "ann"), -EINVAL);
    assert_int_equal(transfer(&three.ann, three.talk, "bob"), -EINVAL);
    assert_int_equal(transfer(&three.carl, three.talk, "bob"), -ENOENT);
    three.bob.device.transfers = false;
    assert_int_equal(transfer(&three.ann, three.talk, "carl"), -EOPNOTSUPP);
    three.bob.device.transfers = true;
    assert_hears(&three.bob, "nothing");
    // nobody told bob to call carl in its place
    assert_int_equal(follow(&three.bob, "carl", three.talk, three.next), -EALREADY);
    assert_int_equal(transfer(&three.ann, three.talk, "dora"), 0);
    assert_int_equal(follow(&three.bob, "carl", three.talk, three.next), -EALREADY);
    assert_int_equal(hang_up(&three.ann, three.talk), 0);
    call(&three.ann, "bob", three.talk);
    assert_int_equal(transfer(&three.ann, three.talk, "carl"), -EPROTO); // it rings
    end(&three);
}

static void test_who_asked_first_hands_over_the_call(void **state)
{
    (void)state;
    struct three three;
    struct fake_device elsewhere;
    char asked[CALL_ID_SIZE];
    begin(&three);
    go(&three.carl);
    enter_as(&three.carl, CALL_BINDING_NATIVE, "carl", NULL, true);
    enter_as(&elsewhere, CALL_BINDING_MQTT, "carl", NULL, true);
    three.carl.device.transfers = true;
    assert_int_equal(call_hold(&three.ann.device, three.talk, true), 0);
    assert_hears(&three.bob, "held: yes");
    connect(&three.ann, &three.carl, "carl", asked);
    assert_hears(&elsewhere, "incoming from ann: v=0 offer");
    assert_hears(&elsewhere, "ended: elsewhere");
    assert_int_equal(transfer(&three.ann, three.talk, "carl"), 0);
    assert_hears(&three.bob, "transfer: carl");
    assert_int_equal(follow(&three.bob, "carl", three.talk, three.next), 0);
    // it rings where she asked, though carl is in that call, and nowhere else
    assert_hears(&three.carl, "incoming in place from bob: v=0 moved");
    assert_hears(&elsewhere, "nothing");
    assert_int_equal(accept_call(&three.carl, three.next), 0);
    assert_hears(&three.bob, "accepted by carl: v=0 answer");
    assert_hears(&three.bob, "ended: transferred");
    assert_hears(&three.carl, "ended: transferred");
    assert_string_equal(three.carl.call, asked);
    assert_hears(&three.ann, "ended: transferred");
    assert_hears(&three.ann, "ended: transferred");
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_CALLS]), 1);
    end(&three);
    go(&elsewhere);
}

static void test_of_who_was_asked_and_is_gone_all_devices_ring(void **state)
{
    (void)state;
    struct three three;
    char asked[CALL_ID_SIZE];
    begin(&three);
    assert_int_equal(call_hold(&three.ann.device, three.talk, true), 0);
    connect(&three.ann, &three.carl, "carl", asked);
    three.carl.device.transfers = false;
    assert_int_equal(transfer(&three.ann, three.talk, "carl"), -EOPNOTSUPP);
    three.carl.device.transfers = true;
    assert_int_equal(transfer(&three.ann, three.talk, "carl"), 0);
    assert_int_equal(hang_up(&three.carl, asked), 0);
    assert_int_equal(follow(&three.bob, "carl", three.talk, three.next), 0);
    assert_hears(&three.carl, "incoming from bob: v=0 moved");
    // whoever is lost now leaves no trace in the other calls
    go(&three.bob);
    assert_hears(&three.carl, "ended: lost");
    assert_hears(&three.ann, "ended: hangup");
    assert_hears(&three.ann, "ended: lost");
    go(&three.ann);
    go(&three.carl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_call_is_held_and_taken_back),
        TEST(test_who_holds_a_call_may_place_another),
        TEST(test_held_calls_are_bounded),
        TEST(test_a_call_is_transferred),
        TEST(test_who_transfers_may_leave_at_once),
        TEST(test_a_transfer_that_fails_leaves_the_call),
        TEST(test_transfers_that_make_no_sense_are_refused),
        TEST(test_who_asked_first_hands_over_the_call),
        TEST(test_of_who_was_asked_and_is_gone_all_devices_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
