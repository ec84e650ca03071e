// Calls between devices of several languages.
#include "model_harness.h"

static void test_a_call_between_two_languages(void **state)
{
    (void)state;
    struct fake_device ann, bob;
    char id[CALL_ID_SIZE];
    enter(&ann, CALL_BINDING_NATIVE, "ann");
    enter(&bob, CALL_BINDING_MQTT, "bob");
    call(&ann, "bob", id);
    assert_hears(&bob, "incoming from ann: v=0 offer");
    assert_string_equal(bob.call, id);
    assert_int_equal(call_ringing(&bob.device, id), 0);
    assert_hears(&ann, "ringing");
    // what the callee gathers early reaches the caller behind the answer
    struct call_candidate early = { .candidate = "one", .sdp_m_line_index = 0 };
    assert_int_equal(call_pass_candidate(&bob.device, id, &early), 0);
    assert_int_equal(call_pass_candidate(&bob.device, id, NULL), 0);
    assert_hears(&ann, "nothing");
    assert_int_equal(accept_call(&bob, id), 0);
    assert_hears(&ann, "accepted by bob: v=0 answer");
    assert_hears(&ann, "candidate: one");
    assert_hears(&ann, "candidate: end");
    assert_int_equal(call_pass_offer(&model.calls, &bob.device, model.now_us, id, "v=0 more"), 0);
    assert_hears(&ann, "offer: v=0 more");
    assert_int_equal(call_pass_offer(&model.calls, &ann.device, model.now_us, id, "v=0 too"),
                     -EAGAIN);
    assert_int_equal(call_pass_answer(&model.calls, &ann.device, model.now_us, id, "v=0 well"), 0);
    assert_hears(&bob, "answer: v=0 well");
    call_device_set_away(&model.calls, &bob.device, true);
    assert_hears(&ann, "peer: away");
    assert_int_equal(hang_up(&bob, id), 0);
    assert_hears(&ann, "ended: hangup");
    assert_hears(&bob, "nothing");
    go(&ann);
    go(&bob);
}

/** Every language among them. */
#define DEVICES 9
static const enum call_binding mixed[DEVICES] = {
    CALL_BINDING_NATIVE, CALL_BINDING_MQTT,   CALL_BINDING_PEERJS,
    CALL_BINDING_RELAY,  CALL_BINDING_NATIVE, CALL_BINDING_MQTT,
    CALL_BINDING_PEERJS, CALL_BINDING_RELAY,  CALL_BINDING_NATIVE,
};

static void enter_bob_everywhere(struct fake_device bobs[DEVICES])
{
    for (size_t i = 0; i < DEVICES; i++)
        enter_as(&bobs[i], mixed[i], "bob", NULL, true);
}

static void test_all_of_a_users_devices_ring_and_the_first_answer_wins(void **state)
{
    (void)state;
    static struct fake_device bobs[DEVICES];
    struct fake_device ann;
    char id[CALL_ID_SIZE];
    enter(&ann, CALL_BINDING_PEERJS, "ann");
    enter_bob_everywhere(bobs);
    for (size_t winner = 0; winner < CALL_CALLEES_MAX; winner++) {
        call(&ann, "bob", id);
        for (size_t i = 0; i < CALL_CALLEES_MAX; i++)
            assert_hears(&bobs[i], "incoming from ann: v=0 offer");
        assert_hears(&bobs[CALL_CALLEES_MAX], "nothing"); // it is one too many
        assert_int_equal(call_ringing(&bobs[2].device, id), 0);
        assert_int_equal(call_ringing(&bobs[5].device, id), 0);
        assert_hears(&ann, "ringing");
        assert_int_equal(accept_call(&bobs[winner], id), 0);
        assert_hears(&ann, "accepted by bob: v=0 answer");
        for (size_t i = 0; i < CALL_CALLEES_MAX; i++) {
            assert_hears(&bobs[i], i == winner ? "nothing" : "ended: elsewhere");
            if (i != winner)
                assert_int_equal(accept_call(&bobs[i], id), -ENOENT);
        }
        assert_int_equal(hang_up(&ann, id), 0);
        assert_hears(&bobs[winner], "ended: hangup");
        assert_int_equal(last_record()->callee_binding, mixed[winner]);
    }
    go(&ann);
    for (size_t i = 0; i < DEVICES; i++)
        go(&bobs[i]);
}

static void test_what_ends_the_ringing_of_many(void **state)
{
    (void)state;
    static struct fake_device bobs[DEVICES];
    struct fake_device ann;
    char id[CALL_ID_SIZE];
    enter(&ann, CALL_BINDING_NATIVE, "ann");
    enter_bob_everywhere(bobs);
    // one rejects for all
    call(&ann, "bob", id);
    assert_int_equal(call_reject(&model.calls, &bobs[3].device, model.now_us, id, false), 0);
    assert_hears(&ann, "ended: rejected");
    for (size_t i = 0; i < CALL_CALLEES_MAX; i++) {
        assert_hears(&bobs[i], "incoming from ann: v=0 offer");
        assert_hears(&bobs[i], i == 3 ? "nothing" : "ended: elsewhere");
    }
    // one by one they are busy or lost; the last one ends it
    call(&ann, "bob", id);
    for (size_t i = 0; i < CALL_CALLEES_MAX; i++) {
        assert_hears(&ann, "nothing");
        assert_hears(&bobs[i], "incoming from ann: v=0 offer");
        if (i == 2)
            go(&bobs[i]);
        else
            assert_int_equal(call_reject(&model.calls, &bobs[i].device, model.now_us, id, true), 0);
        assert_hears(&bobs[i], "nothing");
    }
    assert_hears(&ann, "ended: busy");
    // nobody answers
    call(&ann, "bob", id);
    pass(45 * S - 1);
    assert_hears(&ann, "nothing");
    pass(1);
    assert_hears(&ann, "ended: timeout");
    assert_hears(&bobs[0], "incoming from ann: v=0 offer");
    assert_hears(&bobs[0], "ended: timeout");
    assert_int_equal(call_directory_deadline(&model.calls), TIME_NEVER);
    // the caller is lost
    call(&ann, "bob", id);
    go(&ann);
    assert_hears(&bobs[0], "incoming from ann: v=0 offer");
    assert_hears(&bobs[0], "ended: lost");
    for (size_t i = 0; i < DEVICES; i++)
        go(&bobs[i]);
}

static void test_a_device_is_busy_when_its_places_are_taken(void **state)
{
    (void)state;
    static struct fake_device callers[17];
    struct fake_device mesh, one;
    char ids[17][CALL_ID_SIZE], id[CALL_ID_SIZE], user[16];
    enter(&mesh, CALL_BINDING_PEERJS, "mesh");
    enter(&one, CALL_BINDING_NATIVE, "one");
    for (size_t i = 0; i < 17; i++) {
        snprintf(user, sizeof(user), "caller%zu", i);
        enter(&callers[i], i % 2 ? CALL_BINDING_RELAY : CALL_BINDING_MQTT, user);
    }
    for (size_t i = 0; i < 16; i++) {
        call(&callers[i], "mesh", ids[i]);
        assert_false(call_device_is_busy(&callers[16].device));
        assert_int_equal(accept_call(&mesh, ids[i]), 0);
    }
    assert_int_equal(try_call(&callers[16], "mesh", ids[16]), -EBUSY);
    assert_int_equal(last_record()->reason, CALL_ENDED_BUSY);
    assert_string_equal(last_record()->id, "");
    assert_int_equal(try_call(&mesh, "one", id), -EALREADY);
    // each call is its own: what happens in one concerns nobody else
    assert_int_equal(call_pass_offer(&model.calls, &mesh.device, model.now_us, ids[5], "v=0 five"),
                     0);
    assert_hears(&callers[5], "accepted by mesh: v=0 answer");
    assert_hears(&callers[5], "offer: v=0 five");
    assert_int_equal(call_pass_offer(&model.calls, &callers[5].device, model.now_us, ids[7], "v=0"),
                     -ENOENT);
    assert_int_equal(hang_up(&mesh, ids[3]), 0);
    assert_hears(&callers[3], "accepted by mesh: v=0 answer");
    assert_hears(&callers[3], "ended: hangup");
    // the place is free again, for a call of its own as well
    call(&mesh, "one", id);
    assert_hears(&one, "incoming from mesh: v=0 offer");
    assert_int_equal(try_call(&callers[16], "one", ids[16]), -EBUSY);
    assert_int_equal(try_call(&callers[16], "mesh", ids[16]), -EBUSY);
    // the other sides hear when it goes away, and when it is gone
    call_device_set_away(&model.calls, &mesh.device, true);
    assert_hears(&callers[5], "peer: away");
    assert_hears(&one, "nothing");
    go(&mesh);
    assert_hears(&one, "ended: lost");
    assert_hears(&callers[5], "ended: lost");
    assert_hears(&callers[0], "accepted by mesh: v=0 answer");
    assert_hears(&callers[0], "peer: away");
    assert_hears(&callers[0], "ended: lost");
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_CALLS]), 0);
    go(&one);
    for (size_t i = 0; i < 17; i++)
        go(&callers[i]);
}

static void test_a_busy_device_lets_the_users_others_ring(void **state)
{
    (void)state;
    struct fake_device ann, carl, desk, phone;
    char id[CALL_ID_SIZE], other[CALL_ID_SIZE];
    enter(&ann, CALL_BINDING_NATIVE, "ann");
    enter(&carl, CALL_BINDING_PEERJS, "carl");
    enter_as(&desk, CALL_BINDING_NATIVE, "bob", NULL, true);
    enter_as(&phone, CALL_BINDING_MQTT, "bob", NULL, true);
    call(&desk, "carl", other);
    call(&ann, "bob", id);
    assert_hears(&desk, "nothing");
    assert_hears(&phone, "incoming from ann: v=0 offer");
    go(&ann);
    go(&carl);
    go(&desk);
    go(&phone);
}

static void test_who_wants_no_calls_is_busy(void **state)
{
    (void)state;
    struct fake_device ann, desk, phone;
    char id[CALL_ID_SIZE];
    enter(&ann, CALL_BINDING_NATIVE, "ann");
    enter_as(&desk, CALL_BINDING_NATIVE, "bob", NULL, true);
    enter_as(&phone, CALL_BINDING_MQTT, "bob", NULL, true);
    assert_int_equal(presence_choose(&model.calls, &phone.device, PRESENCE_DND), 0);
    assert_int_equal(try_call(&ann, "bob", id), -EBUSY);
    assert_hears(&desk, "nothing");
    assert_int_equal(last_record()->reason, CALL_ENDED_BUSY);
    // but calls others
    call(&phone, "ann", id);
    assert_int_equal(hang_up(&phone, id), 0);
    assert_int_equal(presence_choose(&model.calls, &phone.device, PRESENCE_ONLINE), 0);
    call(&ann, "bob", id);
    go(&ann);
    go(&desk);
    go(&phone);
}

static void test_of_two_calls_that_cross_one_goes_on(void **state)
{
    (void)state;
    struct fake_device ann, bob;
    char from_ann[CALL_ID_SIZE], from_bob[CALL_ID_SIZE];
    enter(&ann, CALL_BINDING_NATIVE, "ann");
    enter(&bob, CALL_BINDING_PEERJS, "bob");
    // ann's goes on, whichever was first
    call(&ann, "bob", from_ann);
    assert_int_equal(try_call(&bob, "ann", from_bob), -EDEADLK);
    assert_int_equal(hang_up(&ann, from_ann), 0);
    assert_hears(&bob, "incoming from ann: v=0 offer");
    assert_hears(&bob, "ended: cancelled");
    call(&bob, "ann", from_bob);
    assert_hears(&ann, "incoming from bob: v=0 offer");
    call(&ann, "bob", from_ann);
    assert_hears(&ann, "ended: glare");
    assert_hears(&bob, "ended: glare");
    assert_hears(&bob, "incoming by glare from ann: v=0 offer");
    assert_int_equal(accept_call(&bob, from_ann), 0);
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_GLARES]), 2);
    go(&ann);
    go(&bob);
}

static void test_a_device_that_takes_no_offers_is_not_offered_anything_later(void **state)
{
    (void)state;
    struct fake_device ann, bob;
    char id[CALL_ID_SIZE];
    enter(&ann, CALL_BINDING_NATIVE, "ann");
    enter(&bob, CALL_BINDING_PEERJS, "bob");
    call(&ann, "bob", id);
    assert_int_equal(accept_call(&bob, id), 0);
    assert_hears(&bob, "incoming from ann: v=0 offer");
    assert_int_equal(call_pass_offer(&model.calls, &ann.device, model.now_us, id, "v=0 more"),
                     -EOPNOTSUPP);
    assert_hears(&bob, "nothing");
    // the call goes on as it was, and nothing is under way
    assert_int_equal(call_pass_offer(&model.calls, &bob.device, model.now_us, id, "v=0 mine"), 0);
    go(&ann);
    go(&bob);
}

static void test_between_devices_of_many_calls_both_go_on(void **state)
{
    (void)state;
    struct fake_device ann, bob;
    char from_ann[CALL_ID_SIZE], from_bob[CALL_ID_SIZE];
    enter(&ann, CALL_BINDING_PEERJS, "ann");
    enter(&bob, CALL_BINDING_PEERJS, "bob");
    call(&bob, "ann", from_bob);
    call(&ann, "bob", from_ann);
    assert_int_equal(accept_call(&ann, from_bob), 0);
    assert_int_equal(accept_call(&bob, from_ann), 0);
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_GLARES]), 0);
    go(&ann);
    go(&bob);
}

static void test_a_record_is_left_of_each_call(void **state)
{
    (void)state;
    struct fake_device ann, bob;
    char id[CALL_ID_SIZE];
    enter_as(&ann, CALL_BINDING_MQTT, "ann", "Ann B.", true);
    assert_int_equal(try_call(&ann, "bob", id), -ENOENT);
    const struct call_record *record = last_record();
    assert_string_equal(record->caller, "ann");
    assert_string_equal(record->callee, "bob");
    assert_int_equal(record->reason, CALL_ENDED_UNAVAILABLE);
    enter(&bob, CALL_BINDING_RELAY, "bob");
    uint64_t began_us = model.now_us;
    call(&ann, "bob", id);
    pass(5 * S);
    assert_int_equal(accept_call(&bob, id), 0);
    // it tells who called, though she is nobody any more
    assert_int_equal(call_device_unregister(&model.calls, &ann.device), 0);
    pass(60 * S);
    assert_int_equal(model.record_count, 1);
    assert_int_equal(hang_up(&ann, id), 0);
    assert_int_equal(model.record_count, 2);
    record = last_record();
    assert_string_equal(record->id, id);
    assert_string_equal(record->caller, "ann");
    assert_string_equal(record->caller_name, "Ann B.");
    assert_true(record->caller_verified);
    assert_string_equal(record->callee, "bob");
    assert_int_equal(record->caller_binding, CALL_BINDING_MQTT);
    assert_int_equal(record->callee_binding, CALL_BINDING_RELAY);
    assert_string_equal(call_binding_text(record->callee_binding), "simple-peer");
    assert_int_equal(record->media, CALL_MEDIA_VIDEO);
    assert_int_equal(record->began_us, began_us);
    assert_int_equal(record->accepted_us, began_us + 5 * S);
    assert_int_equal(record->ended_us, began_us + 65 * S);
    assert_int_equal(record->reason, CALL_ENDED_HANGUP);
    call(&ann, "bob", id);
    pass(45 * S);
    record = last_record();
    assert_string_equal(record->caller, "");
    assert_int_equal(record->reason, CALL_ENDED_TIMEOUT);
    assert_int_equal(record->accepted_us, 0);
    assert_int_equal(record->callee_binding, CALL_BINDING_COUNT);
    go(&ann);
    go(&bob);
}

static void test_a_stranger_has_the_name_of_the_call_that_was_placed(void **state)
{
    (void)state;
    struct fake_device stranger, bob;
    char id[CALL_ID_SIZE];
    memset(&stranger, 0, sizeof(stranger));
    call_device_init(&stranger.device, &fake_ops, CALL_BINDING_PEERJS);
    assert_int_equal(try_call(&stranger, "bob", id), -ENOENT);
    assert_string_equal(last_record()->caller_name, "Guest");
    enter(&bob, CALL_BINDING_NATIVE, "bob");
    struct call_request request = { .to = "bob", .sdp = "v=0", .name = "Cleo" };
    assert_int_equal(call_start(&model.calls, &stranger.device, model.now_us, &request, id), 0);
    assert_hears(&bob, "incoming from Cleo: v=0");
    go(&stranger);
    go(&bob);
}

static void test_calls_are_bounded(void **state)
{
    (void)state;
    struct fake_device ann, bob, carl;
    char id[CALL_ID_SIZE];
    model.calls.config.call_count_max = 1;
    enter(&ann, CALL_BINDING_PEERJS, "ann");
    enter(&bob, CALL_BINDING_NATIVE, "bob");
    enter(&carl, CALL_BINDING_NATIVE, "carl");
    call(&ann, "bob", id);
    assert_int_equal(try_call(&ann, "carl", id), -ENOSPC);
    // a callee that never accepts makes us keep no more than a call needs
    for (int i = 0; i < 1000; i++) {
        struct call_candidate candidate = { .candidate = "again", .sdp_m_line_index = -1 };
        assert_int_equal(call_pass_candidate(&bob.device, bob.call, &candidate), 0);
    }
    assert_int_equal(accept_call(&bob, bob.call), 0);
    assert_hears(&ann, "accepted by bob: v=0 answer");
    assert_int_equal(ann.count - ann.taken, CALL_CANDIDATES_MAX);
    go(&ann);
    go(&bob);
    go(&carl);
}

/** A guest from an address: of a stranger, who has names without number. */
static void enter_from(struct fake_device *fake, const char *user, uint8_t host)
{
    enter(fake, CALL_BINDING_NATIVE, user);
    fake->device.remote = net_address_ipv4(203, 0, 113, host, 5000);
}

static void test_who_rings_again_and_again_gives_way(void **state)
{
    (void)state;
    struct fake_device stranger, ben, carl, other;
    char id[CALL_ID_SIZE], second[CALL_ID_SIZE];
    enter_from(&stranger, "stranger", 1);
    enter_from(&carl, "carl", 2);
    enter_from(&other, "other", 1);
    enter(&ben, CALL_BINDING_NATIVE, "ben");
    call(&stranger, "ben", id);
    assert_hears(&ben, "incoming from stranger: v=0 offer");
    // as any first call it keeps the line
    assert_int_equal(try_call(&carl, "ben", second), -EBUSY);
    pass(45 * S);
    assert_hears(&ben, "ended: timeout");
    assert_hears(&stranger, "ended: timeout");
    call(&stranger, "ben", id);
    assert_hears(&ben, "incoming from stranger: v=0 offer");
    // the same stranger by another name is the same
    assert_int_equal(try_call(&other, "ben", second), -EBUSY);
    call(&carl, "ben", second);
    assert_hears(&stranger, "ended: busy");
    assert_hears(&ben, "ended: busy");
    assert_hears(&ben, "incoming from carl: v=0 offer");
    // and the line that is another's is not taken by insisting
    assert_int_equal(try_call(&stranger, "ben", id), -EBUSY);
    assert_int_equal(accept_call(&ben, second), 0);
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_GAVE_WAY]), 1);
    go(&stranger);
    go(&ben);
    go(&carl);
    go(&other);
}

/** Rings and is taken back, until the model refuses. Returns how often it rang. */
static unsigned ring_until_refused(struct fake_device *caller, struct fake_device *callee,
                                   const char *to)
{
    unsigned count = 0;
    char id[CALL_ID_SIZE];
    int result;
    while ((result = try_call(caller, to, id)) == 0) {
        assert_int_equal(hang_up(caller, id), 0);
        callee->count = callee->taken = 0;
        count++;
    }
    assert_int_equal(result, -EAGAIN);
    return count;
}

static void test_a_caller_rings_so_often_without_an_answer(void **state)
{
    (void)state;
    struct fake_device stranger, again, ben, dan, ann, desk;
    char id[CALL_ID_SIZE];
    enter_from(&stranger, "stranger", 1);
    enter_from(&again, "again", 1);
    enter(&ben, CALL_BINDING_NATIVE, "ben");
    enter(&dan, CALL_BINDING_NATIVE, "dan");
    assert_int_equal(ring_until_refused(&stranger, &ben, "ben"), CALL_ATTEMPTS_OWED_MAX);
    assert_int_equal(ring_until_refused(&again, &ben, "ben"), 0);
    // others may be rung at, others may ring
    call(&stranger, "dan", id);
    assert_int_equal(hang_up(&stranger, id), 0);
    enter_as(&ann, CALL_BINDING_NATIVE, "ann", NULL, true);
    ann.device.remote = stranger.device.remote;
    call(&ann, "ben", id);
    assert_int_equal(hang_up(&ann, id), 0);
    // time pays
    pass(2 * 45 * S);
    assert_int_equal(ring_until_refused(&again, &ben, "ben"), 1);
    pass(2 * 45 * S);
    // an answer settles it
    call(&stranger, "ben", id);
    assert_int_equal(accept_call(&ben, id), 0);
    assert_int_equal(hang_up(&stranger, id), 0);
    assert_int_equal(ring_until_refused(&stranger, &ben, "ben"), CALL_ATTEMPTS_OWED_MAX);
    // a user is one caller, with all its devices
    enter_as(&desk, CALL_BINDING_NATIVE, "ann", NULL, true);
    ring_until_refused(&ann, &dan, "dan");
    assert_int_equal(ring_until_refused(&desk, &dan, "dan"), 0);
    // what is paid is forgotten with the next call
    pass(3600 * S);
    call(&stranger, "ben", id);
    assert_int_equal(model.calls.attempts.pairs.count, 1);
    go(&stranger);
    go(&again);
    go(&ben);
    go(&dan);
    go(&ann);
    go(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_call_between_two_languages),
        TEST(test_all_of_a_users_devices_ring_and_the_first_answer_wins),
        TEST(test_what_ends_the_ringing_of_many),
        TEST(test_a_device_is_busy_when_its_places_are_taken),
        TEST(test_a_busy_device_lets_the_users_others_ring),
        TEST(test_who_wants_no_calls_is_busy),
        TEST(test_of_two_calls_that_cross_one_goes_on),
        TEST(test_a_device_that_takes_no_offers_is_not_offered_anything_later),
        TEST(test_between_devices_of_many_calls_both_go_on),
        TEST(test_a_record_is_left_of_each_call),
        TEST(test_a_stranger_has_the_name_of_the_call_that_was_placed),
        TEST(test_calls_are_bounded),
        TEST(test_who_rings_again_and_again_gives_way),
        TEST(test_a_caller_rings_so_often_without_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
