// Anchored calls over a media server that only keeps books: what is asked of it, and what its
// events come to.
#include "signal/anchor/anchor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "support/check.h"

#define S TIME_US_PER_S

#define CALLER CALL_ANCHOR_CALLER
#define CALLEE CALL_ANCHOR_CALLEE

/** Sessions are numbers from 1; texts say what they are for. */
static struct fake {
    struct media_control control;
    media_session last;
    uint32_t open;
    bool full;
    const char *refuses; /**< the text that is refused */
    media_session wants_offer;
    bool offered[16]; /**< by side: its answer is waited for */
    media_session holder;
    bool loopback;
    media_session fixed;
} fake;

static struct anchor anchor;

/** What the owner was told last. */
static struct {
    char call[16];
    enum call_ended_reason reason;
    uint32_t count;
    struct call_anchored *anchored; /**< is ended then, as the model does */
} told;

static char *text_of(const char *what, media_session side, struct bytes of)
{
    char text[128];
    snprintf(text, sizeof(text), "%s %u: %.*s", what, (unsigned)side, (int)of.size,
             (const char *)of.data);
    return memory_copy(text, strlen(text));
}

static bool refused(struct bytes text, const char **ret_problem)
{
    *ret_problem = "It is refused";
    return fake.refuses && text_equal(text, fake.refuses);
}

static int fake_open(struct media_control *self, bool loopback, struct bytes offer,
                     media_session sides[MEDIA_CALL_SIDES], char **ret_offer,
                     const char **ret_problem)
{
    (void)self;
    if (fake.full)
        return -ENOSPC;
    if (refused(offer, ret_problem))
        return -EINVAL;
    fake.loopback = loopback;
    sides[MEDIA_CALL_CALLER] = ++fake.last;
    sides[MEDIA_CALL_CALLEE] = ++fake.last;
    fake.open += 2;
    fake.offered[fake.last] = true;
    *ret_offer = text_of("offer", fake.last, offer);
    return 0;
}

static void fake_fix(struct media_control *self, media_session side)
{
    (void)self;
    fake.fixed = side;
}

static int fake_accept(struct media_control *self, media_session side, struct bytes answer,
                       const char **ret_problem)
{
    (void)self;
    if (!fake.offered[side])
        return -EPROTO;
    if (refused(answer, ret_problem))
        return -EINVAL;
    fake.offered[side] = false;
    fake.wants_offer = 0;
    return 0;
}

static int fake_answer(struct media_control *self, media_session side, struct bytes offer,
                       char **ret_answer, const char **ret_problem)
{
    (void)self;
    if (refused(offer, ret_problem))
        return -EINVAL;
    fake.offered[side] = false; // given up
    *ret_answer = text_of("answer", side, offer);
    return 0;
}

static char *fake_offer(struct media_control *self, media_session side)
{
    (void)self;
    if (fake.wants_offer != side || fake.offered[side])
        return NULL;
    fake.offered[side] = true;
    return text_of("offer", side, bytes_of_text("again"));
}

static bool fake_holds(struct media_control *self, media_session side)
{
    (void)self;
    return fake.holder == side;
}

static void fake_close(struct media_control *self, media_session side)
{
    (void)self;
    assert_in_range(side, 1, fake.last);
    fake.open--;
}

static void ended(void *owner, const char *call, uint64_t now_us, enum call_ended_reason reason)
{
    (void)owner;
    (void)now_us;
    snprintf(told.call, sizeof(told.call), "%s", call);
    told.reason = reason;
    told.count++;
    anchor.ops.end(&anchor.ops, told.anchored);
    told.anchored = NULL;
}

static int set_up(void **state)
{
    (void)state;
    fake = (struct fake){ .control = { .call_open = fake_open,
                                       .call_fix = fake_fix,
                                       .call_accept = fake_accept,
                                       .call_answer = fake_answer,
                                       .call_offer = fake_offer,
                                       .call_holds = fake_holds,
                                       .session_close = fake_close } };
    memset(&told, 0, sizeof(told));
    anchor_init(&anchor, &(struct anchor_config){
                             .media = &fake.control, .call_count_max = 2, .ended = ended });
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(fake.open, 0);
    anchor_done(&anchor);
    return 0;
}

static int try_begin(const char *call, const char *offer, struct call_anchored **ret_anchored)
{
    const char *problem = NULL;
    char *text = NULL;
    int error = anchor.ops.begin(&anchor.ops, call, true, offer, ret_anchored, &text, &problem);
    if (error == -EBADMSG)
        assert_string_equal(problem, "It is refused");
    free(text);
    return error;
}

static int try_accept(struct call_anchored *anchored, const char *answer)
{
    const char *problem = NULL;
    char *text = NULL;
    int error = anchor.ops.accept(&anchor.ops, anchored, 1 * S, answer, &text, &problem);
    free(text);
    return error;
}

/** A call whose callee has accepted at 1 s. */
static struct call_anchored *accepted(const char *call)
{
    struct call_anchored *anchored = NULL;
    assert_int_equal(try_begin(call, "v=0", &anchored), 0);
    assert_int_equal(try_accept(anchored, "v=0"), 0);
    told.anchored = anchored;
    return anchored;
}

static bool report(media_session session, enum media_event_kind kind, bool closed, uint64_t now_us)
{
    struct media_event event = { .kind = kind, .session = session, .closed = closed };
    return anchor_media_event(&anchor, now_us, &event);
}

static void test_each_side_gets_the_servers_descriptions(void **state)
{
    (void)state;
    struct call_anchored *anchored = NULL;
    const char *problem = NULL;
    char *text = NULL;
    assert_int_equal(anchor.ops.begin(&anchor.ops, "c1", true, "sdp A", &anchored, &text, &problem),
                     0);
    assert_string_equal(text, "offer 2: sdp A");
    assert_true(fake.loopback);
    free(text);
    // the caller's offer waits for the callee's answer
    assert_int_equal(anchor.ops.accept(&anchor.ops, anchored, 1 * S, "sdp B", &text, &problem), 0);
    assert_string_equal(text, "answer 1: sdp A");
    free(text);
    assert_int_equal(anchor.ops.offer(&anchor.ops, anchored, CALLEE, "more", &text, &problem), 0);
    assert_string_equal(text, "answer 2: more");
    free(text);
    assert_false(anchor.ops.holds(&anchor.ops, anchored, CALLEE));
    fake.holder = 2;
    assert_true(anchor.ops.holds(&anchor.ops, anchored, CALLEE));
    assert_false(anchor.ops.holds(&anchor.ops, anchored, CALLER));
    anchor.ops.end(&anchor.ops, anchored);
}

static void test_a_sides_offer_waits_for_its_answer_to_the_servers(void **state)
{
    (void)state;
    struct call_anchored *anchored = accepted("c1");
    const char *problem = NULL;
    char *text = anchor.ops.due(&anchor.ops, anchored, CALLER);
    assert_null(text);
    assert_int_equal(anchor.ops.answer(&anchor.ops, anchored, CALLER, "unasked", &problem),
                     -EPROTO);
    fake.wants_offer = 1;
    text = anchor.ops.due(&anchor.ops, anchored, CALLER);
    assert_string_equal(text, "offer 1: again");
    free(text);
    assert_int_equal(anchor.ops.offer(&anchor.ops, anchored, CALLER, "mine", &text, &problem),
                     -EAGAIN);
    fake.refuses = "bad";
    assert_int_equal(anchor.ops.answer(&anchor.ops, anchored, CALLER, "bad", &problem), -EBADMSG);
    assert_int_equal(anchor.ops.answer(&anchor.ops, anchored, CALLER, "good", &problem), 0);
    assert_int_equal(anchor.ops.offer(&anchor.ops, anchored, CALLER, "mine", &text, &problem), 0);
    free(text);
    anchor.ops.end(&anchor.ops, anchored);
}

static void test_after_an_answer_that_cannot_be_used_a_side_may_offer(void **state)
{
    (void)state;
    struct call_anchored *anchored = accepted("c1");
    const char *problem = NULL;
    fake.wants_offer = 1;
    char *text = anchor.ops.due(&anchor.ops, anchored, CALLER);
    free(text);
    fake.refuses = "bad";
    assert_int_equal(anchor.ops.answer(&anchor.ops, anchored, CALLER, "bad", &problem), -EBADMSG);
    assert_string_equal(problem, "It is refused");
    assert_int_equal(anchor.ops.offer(&anchor.ops, anchored, CALLER, "mine", &text, &problem), 0);
    free(text);
    // what it would have been offered is offered anew
    text = anchor.ops.due(&anchor.ops, anchored, CALLER);
    assert_string_equal(text, "offer 1: again");
    free(text);
    assert_int_equal(anchor.ops.answer(&anchor.ops, anchored, CALLER, "good", &problem), 0);
    anchor.ops.end(&anchor.ops, anchored);
}

static void test_a_side_that_takes_no_offers_is_told_of(void **state)
{
    (void)state;
    struct call_anchored *anchored = accepted("c1");
    anchor.ops.fix(&anchor.ops, anchored, CALLEE);
    assert_int_equal(fake.fixed, 2);
    anchor.ops.end(&anchor.ops, anchored);
}

static void test_what_cannot_be_anchored_is_refused(void **state)
{
    (void)state;
    struct call_anchored *calls[3] = { NULL };
    fake.refuses = "bad";
    assert_int_equal(try_begin("c0", "bad", &calls[0]), -EBADMSG);
    fake.full = true;
    assert_int_equal(try_begin("c0", "good", &calls[0]), -ENOSPC);
    fake.full = false;
    assert_int_equal(try_begin("c1", "good", &calls[0]), 0);
    assert_int_equal(try_begin("c2", "good", &calls[1]), 0);
    assert_int_equal(try_begin("c3", "good", &calls[2]), -ENOSPC);
    assert_int_equal(anchor.metrics[ANCHOR_METRIC_REFUSED], 1);
    assert_int_equal(try_accept(calls[0], "bad"), -EBADMSG);
    anchor.ops.end(&anchor.ops, calls[0]);
    assert_int_equal(try_begin("c3", "good", &calls[2]), 0);
    anchor.ops.end(&anchor.ops, calls[1]);
    anchor.ops.end(&anchor.ops, calls[2]);
    assert_int_equal(anchor.metrics[ANCHOR_METRIC_CALLS], 0);
}

static void test_a_client_that_closes_its_connection_hangs_up(void **state)
{
    (void)state;
    accepted("c1");
    assert_true(report(2, MEDIA_EVENT_CONNECTED, false, 2 * S));
    assert_true(report(2, MEDIA_EVENT_FAILED, true, 3 * S));
    assert_string_equal(told.call, "c1");
    assert_int_equal(told.reason, CALL_ENDED_HANGUP);
    // of a session that is no call's, or not any more
    assert_false(report(2, MEDIA_EVENT_FAILED, true, 4 * S));
    assert_false(report(77, MEDIA_EVENT_CONNECTED, false, 4 * S));
    assert_int_equal(told.count, 1);
}

static void test_media_that_fails_ends_the_call(void **state)
{
    (void)state;
    accepted("c1");
    assert_true(report(1, MEDIA_EVENT_FAILED, false, 3 * S));
    assert_int_equal(told.reason, CALL_ENDED_MEDIA);
}

static void test_a_side_that_never_connects_ends_the_call(void **state)
{
    (void)state;
    accepted("c1");
    assert_true(report(1, MEDIA_EVENT_CONNECTED, false, 2 * S));
    uint64_t due_us = anchor_deadline(&anchor);
    assert_in_range(due_us, 20 * S, 60 * S);
    anchor_tick(&anchor, due_us - 1);
    assert_int_equal(told.count, 0);
    anchor_tick(&anchor, due_us);
    assert_int_equal(told.reason, CALL_ENDED_MEDIA);
    assert_true(anchor_deadline(&anchor) == TIME_NEVER);
}

static void test_each_side_has_its_own_time(void **state)
{
    (void)state;
    accepted("c1");
    report(1, MEDIA_EVENT_CONNECTED, false, 2 * S);
    report(2, MEDIA_EVENT_CONNECTED, false, 2 * S);
    report(1, MEDIA_EVENT_DISCONNECTED, false, 50 * S);
    report(2, MEDIA_EVENT_DISCONNECTED, false, 70 * S);
    report(1, MEDIA_EVENT_CONNECTED, false, 75 * S);
    anchor_tick(&anchor, 95 * S);
    assert_int_equal(told.count, 0);
    anchor_tick(&anchor, 101 * S);
    assert_int_equal(told.reason, CALL_ENDED_MEDIA);
}

static void test_a_side_may_be_away_for_a_while(void **state)
{
    (void)state;
    struct call_anchored *anchored = accepted("c1");
    report(1, MEDIA_EVENT_CONNECTED, false, 2 * S);
    report(2, MEDIA_EVENT_CONNECTED, false, 2 * S);
    assert_true(anchor_deadline(&anchor) == TIME_NEVER);
    report(2, MEDIA_EVENT_DISCONNECTED, false, 50 * S);
    assert_true(anchor_deadline(&anchor) > 60 * S);
    report(2, MEDIA_EVENT_CONNECTED, false, 60 * S);
    assert_true(anchor_deadline(&anchor) == TIME_NEVER);
    report(1, MEDIA_EVENT_DISCONNECTED, false, 100 * S);
    anchor_tick(&anchor, anchor_deadline(&anchor));
    assert_int_equal(told.reason, CALL_ENDED_MEDIA);
    (void)anchored;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_side_gets_the_servers_descriptions, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_sides_offer_waits_for_its_answer_to_the_servers,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_anchored_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_client_that_closes_its_connection_hangs_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_media_that_fails_ends_the_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_side_that_never_connects_ends_the_call, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_after_an_answer_that_cannot_be_used_a_side_may_offer,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_side_that_takes_no_offers_is_told_of, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_each_side_has_its_own_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_side_may_be_away_for_a_while, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
