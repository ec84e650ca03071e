// Calls whose media goes through the server: which ones, and what their devices hear.
#include <stdlib.h>

#include "base/memory.h"
#include "unit/signal/model/model_harness.h"

/** Stands for the media server: its texts say what they are for. */
static struct fake_anchor {
    struct call_anchor ops;
    uint32_t open;
    bool loopback;
    int refuses; /**< the next description, with this error */
    bool due[2];
    bool holds[2];
    bool fixed[2];
} anchor;

static char *text_of(const char *what, const char *of)
{
    char text[128];
    snprintf(text, sizeof(text), "%s of %s", what, of);
    return memory_copy(text, strlen(text));
}

static int refused(const char **ret_problem)
{
    int error = anchor.refuses;
    anchor.refuses = 0;
    if (error)
        *ret_problem = "It is refused";
    return error;
}

static int fake_begin(struct call_anchor *self, const char *call, bool loopback, const char *offer,
                      struct call_anchored **ret_anchored, char **ret_offer,
                      const char **ret_problem)
{
    (void)self;
    (void)call;
    int error = refused(ret_problem);
    if (error)
        return error;
    anchor.open++;
    anchor.loopback = loopback;
    *ret_anchored = (struct call_anchored *)&anchor;
    *ret_offer = text_of("offer", offer);
    return 0;
}

static void fake_fix(struct call_anchor *self, struct call_anchored *anchored,
                     enum call_anchor_side side)
{
    (void)self;
    (void)anchored;
    anchor.fixed[side] = true;
}

static int fake_accept(struct call_anchor *self, struct call_anchored *anchored, uint64_t now_us,
                       const char *answer, char **ret_answer, const char **ret_problem)
{
    (void)self;
    (void)anchored;
    assert_int_equal(now_us, model.now_us);
    int error = refused(ret_problem);
    if (!error)
        *ret_answer = text_of("answer", answer);
    return error;
}

static int fake_offer(struct call_anchor *self, struct call_anchored *anchored,
                      enum call_anchor_side side, const char *offer, char **ret_answer,
                      const char **ret_problem)
{
    (void)self;
    (void)anchored;
    (void)side;
    int error = refused(ret_problem);
    if (!error)
        *ret_answer = text_of("answer", offer);
    return error;
}

static int fake_answer(struct call_anchor *self, struct call_anchored *anchored,
                       enum call_anchor_side side, const char *answer, const char **ret_problem)
{
    (void)self;
    (void)anchored;
    (void)side;
    (void)answer;
    return refused(ret_problem);
}

static char *fake_due(struct call_anchor *self, struct call_anchored *anchored,
                      enum call_anchor_side side)
{
    (void)self;
    (void)anchored;
    bool due = anchor.due[side];
    anchor.due[side] = false;
    return due ? text_of("offer", "the server") : NULL;
}

static bool fake_holds(struct call_anchor *self, const struct call_anchored *anchored,
                       enum call_anchor_side side)
{
    (void)self;
    (void)anchored;
    return anchor.holds[side];
}

static void fake_end(struct call_anchor *self, struct call_anchored *anchored)
{
    (void)self;
    assert_ptr_equal(anchored, &anchor);
    anchor.open--;
}

static struct fake_device ann, bob;

static int set_up_anchor(void **state)
{
    anchor = (struct fake_anchor){ .ops = { .begin = fake_begin,
                                            .fix = fake_fix,
                                            .accept = fake_accept,
                                            .offer = fake_offer,
                                            .answer = fake_answer,
                                            .due = fake_due,
                                            .holds = fake_holds,
                                            .end = fake_end } };
    set_up(state);
    model.calls.config.anchor = &anchor.ops;
    return 0;
}

static int tear_down_anchor(void **state)
{
    assert_int_equal(anchor.open, 0);
    return tear_down(state);
}

static void two_devices(enum call_binding caller, enum call_binding callee)
{
    enter(&ann, caller, "ann");
    enter(&bob, callee, "bob");
}

static void leave(void)
{
    go(&ann);
    go(&bob);
}

/** An accepted call of ann to bob, all heard. */
static void establish(char id[CALL_ID_SIZE])
{
    two_devices(CALL_BINDING_NATIVE, CALL_BINDING_PEERJS);
    assert_int_equal(try_call(&ann, "bob", id), 0);
    assert_hears(&bob, "incoming from ann: offer of v=0 offer");
    assert_int_equal(call_accept(&model.calls, &bob.device, model.now_us, id, "v=0 bob"), 0);
    assert_hears(&ann, "accepted by bob: answer of v=0 bob");
}

static void test_different_languages_meet_at_the_server(void **state)
{
    (void)state;
    char id[CALL_ID_SIZE];
    establish(id);
    // candidates are the server's affair
    struct call_candidate candidate = { .candidate = "one", .sdp_m_line_index = -1 };
    assert_int_equal(call_pass_candidate(&ann.device, id, &candidate), 0);
    assert_int_equal(call_pass_candidate(&bob.device, id, NULL), 0);
    assert_hears(&ann, "nothing");
    assert_hears(&bob, "nothing");
    assert_int_equal(anchor.open, 1);
    assert_int_equal(hang_up(&ann, id), 0);
    assert_hears(&bob, "ended: hangup");
    assert_int_equal(anchor.open, 0);
    leave();
}

static void test_the_same_language_meets_directly_unless_told_otherwise(void **state)
{
    (void)state;
    static const struct {
        enum call_media_way way;
        enum call_binding callee;
        bool anchored;
    } cases[] = {
        { CALL_MEDIA_WAY_AUTO, CALL_BINDING_NATIVE, false },
        { CALL_MEDIA_WAY_AUTO, CALL_BINDING_MQTT, true },
        { CALL_MEDIA_WAY_DIRECT, CALL_BINDING_MQTT, false },
        { CALL_MEDIA_WAY_ANCHORED, CALL_BINDING_NATIVE, true },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        char id[CALL_ID_SIZE];
        model.calls.config.media_way = cases[i].way;
        two_devices(CALL_BINDING_NATIVE, cases[i].callee);
        assert_int_equal(try_call(&ann, "bob", id), 0);
        assert_hears(&bob, cases[i].anchored ? "incoming from ann: offer of v=0 offer"
                                             : "incoming from ann: v=0 offer");
        assert_int_equal(anchor.open, cases[i].anchored);
        leave();
    }
}

static void test_one_device_of_another_language_decides_for_all(void **state)
{
    (void)state;
    char id[CALL_ID_SIZE];
    struct fake_device second;
    enter(&ann, CALL_BINDING_NATIVE, "ann");
    enter_as(&bob, CALL_BINDING_NATIVE, "bob", "bob", true);
    enter_as(&second, CALL_BINDING_MQTT, "bob", "bob", true);
    second.device.loopback = true;
    assert_int_equal(try_call(&ann, "bob", id), 0);
    assert_hears(&bob, "incoming from ann: offer of v=0 offer");
    assert_hears(&second, "incoming from ann: offer of v=0 offer");
    assert_true(anchor.loopback);
    // one takes the call, whichever it is
    assert_int_equal(call_accept(&model.calls, &bob.device, model.now_us, id, "v=0 bob"), 0);
    assert_hears(&second, "ended: elsewhere");
    assert_int_equal(anchor.open, 1);
    go(&second);
    leave();
}

static void test_what_cannot_be_anchored_is_no_call(void **state)
{
    (void)state;
    char id[CALL_ID_SIZE];
    two_devices(CALL_BINDING_NATIVE, CALL_BINDING_PEERJS);
    anchor.refuses = -EBADMSG;
    assert_int_equal(try_call(&ann, "bob", id), -EBADMSG);
    assert_string_equal(model.calls.problem, "It is refused");
    anchor.refuses = -ENOSPC;
    assert_int_equal(try_call(&ann, "bob", id), -ENOSPC);
    assert_hears(&bob, "nothing");
    assert_hears(&ann, "nothing");
    assert_int_equal(model.calls.metrics[CALL_METRIC_CALLS], 0);
    assert_int_equal(try_call(&ann, "bob", id), 0);
    leave();
}

static void test_an_answer_that_does_not_fit_ends_the_call(void **state)
{
    (void)state;
    char id[CALL_ID_SIZE];
    two_devices(CALL_BINDING_NATIVE, CALL_BINDING_PEERJS);
    assert_int_equal(try_call(&ann, "bob", id), 0);
    anchor.refuses = -EBADMSG;
    assert_int_equal(call_accept(&model.calls, &bob.device, model.now_us, id, "v=0 bob"), -EBADMSG);
    assert_hears(&ann, "ended: media");
    assert_hears(&bob, "incoming from ann: offer of v=0 offer");
    assert_hears(&bob, "ended: media");
    assert_int_equal(last_record()->reason, CALL_ENDED_MEDIA);
    assert_int_equal(anchor.open, 0);
    leave();
}

static void test_later_offers_are_answered_by_the_server(void **state)
{
    (void)state;
    char id[CALL_ID_SIZE];
    establish(id);
    anchor.due[CALL_ANCHOR_CALLER] = true;
    assert_int_equal(call_pass_offer(&model.calls, &bob.device, model.now_us, id, "v=0 more"), 0);
    assert_hears(&bob, "answer: answer of v=0 more");
    assert_hears(&ann, "offer: offer of the server");
    assert_int_equal(call_pass_answer(&model.calls, &ann.device, model.now_us, id, "v=0 well"), 0);
    // not the other's to hear
    assert_hears(&bob, "nothing");
    anchor.refuses = -EBADMSG;
    assert_int_equal(call_pass_offer(&model.calls, &bob.device, model.now_us, id, "v=0 bad"),
                     -EBADMSG);
    assert_hears(&bob, "nothing");
    assert_int_equal(hang_up(&bob, id), 0);
    leave();
}

static void test_the_media_server_knows_who_takes_no_offers(void **state)
{
    (void)state;
    char id[CALL_ID_SIZE];
    establish(id);
    assert_true(anchor.fixed[CALL_ANCHOR_CALLEE]);
    assert_false(anchor.fixed[CALL_ANCHOR_CALLER]);
    leave();
}

static void test_a_crossing_call_goes_on_when_the_new_one_cannot_be(void **state)
{
    (void)state;
    char from_ann[CALL_ID_SIZE], from_bob[CALL_ID_SIZE];
    two_devices(CALL_BINDING_NATIVE, CALL_BINDING_MQTT);
    assert_int_equal(try_call(&bob, "ann", from_bob), 0);
    assert_hears(&ann, "incoming from bob: offer of v=0 offer");
    anchor.refuses = -ENOSPC;
    assert_int_equal(try_call(&ann, "bob", from_ann), -ENOSPC);
    assert_hears(&ann, "nothing");
    assert_hears(&bob, "nothing");
    assert_int_equal(call_accept(&model.calls, &ann.device, model.now_us, from_bob, "v=0 ann"), 0);
    assert_hears(&bob, "accepted by ann: answer of v=0 ann");
    leave();
}

static void test_hold_is_told_once(void **state)
{
    (void)state;
    char id[CALL_ID_SIZE];
    establish(id);
    anchor.holds[CALL_ANCHOR_CALLEE] = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(call_pass_offer(&model.calls, &bob.device, model.now_us, id, "v=0"), 0);
    assert_hears(&ann, "held: yes");
    assert_hears(&ann, "nothing");
    anchor.holds[CALL_ANCHOR_CALLEE] = false;
    assert_int_equal(call_pass_offer(&model.calls, &bob.device, model.now_us, id, "v=0"), 0);
    assert_hears(&ann, "held: no");
    leave();
}

static void test_media_that_ends_hangs_up(void **state)
{
    (void)state;
    char id[CALL_ID_SIZE];
    establish(id);
    call_media_ended(&model.calls, "cnobody", model.now_us, CALL_ENDED_HANGUP);
    call_media_ended(&model.calls, id, model.now_us, CALL_ENDED_HANGUP);
    assert_hears(&ann, "ended: hangup");
    assert_hears(&bob, "ended: hangup");
    assert_int_equal(anchor.open, 0);
    leave();
}

#define ANCHOR_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_anchor, tear_down_anchor)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ANCHOR_TEST(test_different_languages_meet_at_the_server),
        ANCHOR_TEST(test_the_same_language_meets_directly_unless_told_otherwise),
        ANCHOR_TEST(test_one_device_of_another_language_decides_for_all),
        ANCHOR_TEST(test_what_cannot_be_anchored_is_no_call),
        ANCHOR_TEST(test_an_answer_that_does_not_fit_ends_the_call),
        ANCHOR_TEST(test_later_offers_are_answered_by_the_server),
        ANCHOR_TEST(test_the_media_server_knows_who_takes_no_offers),
        ANCHOR_TEST(test_a_crossing_call_goes_on_when_the_new_one_cannot_be),
        ANCHOR_TEST(test_hold_is_told_once),
        ANCHOR_TEST(test_media_that_ends_hangs_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
