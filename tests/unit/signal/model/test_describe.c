// Descriptions on their way to devices that take no candidates apart from them.
#include "model_harness.h"

#define SECTION(ufrag) "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=ice-ufrag:" ufrag "\r\n"
#define ONE            "candidate:1 1 udp 1 192.0.2.1 9 typ host"
#define TWO            "candidate:2 1 udp 1 192.0.2.2 9 typ host"
#define WITH_ONE       "a=" ONE "\r\na=end-of-candidates\r\n"
#define WITH_TWO       "a=" TWO "\r\na=end-of-candidates\r\n"
#define WITH_BOTH      "a=" ONE "\r\na=" TWO "\r\na=end-of-candidates\r\n"

/** A phone whose language has no candidates apart, and a browser. */
struct pair {
    struct fake_device browser, phone;
    char id[CALL_ID_SIZE];
};

static void enter_pair(struct pair *pair)
{
    enter(&pair->browser, CALL_BINDING_NATIVE, "ann");
    enter_as(&pair->phone, CALL_BINDING_MQTT, "bob", NULL, true);
    pair->phone.device.trickles = false;
}

static void leave_pair(struct pair *pair)
{
    go(&pair->browser);
    go(&pair->phone);
}

static void start(struct fake_device *caller, const char *to, const char *sdp,
                  char ret_id[CALL_ID_SIZE])
{
    struct call_request request = { .to = to, .sdp = sdp };
    assert_int_equal(call_start(&model.calls, &caller->device, model.now_us, &request, ret_id), 0);
}

static int try_accept(struct fake_device *callee, const char *id, const char *sdp)
{
    return call_accept(&model.calls, &callee->device, model.now_us, id, sdp);
}

static void name_candidate(struct fake_device *fake, const char *id, const char *text,
                           const char *ufrag)
{
    struct call_candidate candidate = {
        .candidate = text, .sdp_mid = "0", .username_fragment = ufrag, .sdp_m_line_index = 0
    };
    assert_int_equal(call_pass_candidate(&fake->device, id, text ? &candidate : NULL), 0);
}

static int offer(struct fake_device *fake, const char *id, const char *sdp)
{
    return call_pass_offer(&model.calls, &fake->device, model.now_us, id, sdp);
}

static int answer(struct fake_device *fake, const char *id, const char *sdp)
{
    return call_pass_answer(&model.calls, &fake->device, model.now_us, id, sdp);
}

/** The pair talks; the browser called and has named one candidate. */
static void connect_pair(struct pair *pair)
{
    enter_pair(pair);
    start(&pair->browser, "bob", SECTION("aaaa"), pair->id);
    name_candidate(&pair->browser, pair->id, ONE, "aaaa");
    name_candidate(&pair->browser, pair->id, NULL, NULL);
    assert_hears(&pair->phone, "incoming from ann: " SECTION("aaaa") WITH_ONE);
    assert_int_equal(try_accept(&pair->phone, pair->id, SECTION("pppp") WITH_TWO), 0);
    assert_hears(&pair->browser, "accepted by bob: " SECTION("pppp") WITH_TWO);
}

static void test_an_offer_waits_for_its_candidates(void **state)
{
    (void)state;
    struct pair pair;
    enter_pair(&pair);
    start(&pair.browser, "bob", SECTION("aaaa"), pair.id);
    name_candidate(&pair.browser, pair.id, ONE, "aaaa");
    pass(S / 2);
    name_candidate(&pair.browser, pair.id, TWO, NULL);
    assert_hears(&pair.phone, "nothing");
    name_candidate(&pair.browser, pair.id, NULL, NULL);
    assert_hears(&pair.phone, "incoming from ann: " SECTION("aaaa") WITH_BOTH);
    pass(S);
    assert_hears(&pair.phone, "nothing");
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_UNFINISHED]), 0);
    leave_pair(&pair);
}

static void test_it_waits_for_a_second_at_most(void **state)
{
    (void)state;
    struct pair pair;
    enter_pair(&pair);
    start(&pair.browser, "bob", SECTION("aaaa"), pair.id);
    name_candidate(&pair.browser, pair.id, ONE, "aaaa");
    pass(CALL_GATHER_US - 1);
    assert_hears(&pair.phone, "nothing");
    pass(1);
    assert_hears(&pair.phone, "incoming from ann: " SECTION("aaaa") WITH_ONE);
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_UNFINISHED]), 1);
    // what comes too late is of no use to it, now
    name_candidate(&pair.browser, pair.id, TWO, "aaaa");
    name_candidate(&pair.browser, pair.id, NULL, NULL);
    assert_hears(&pair.phone, "nothing");
    // but in a later offer of the same generation
    assert_int_equal(try_accept(&pair.phone, pair.id, SECTION("pppp")), 0);
    assert_int_equal(offer(&pair.browser, pair.id, SECTION("aaaa")), 0);
    assert_hears(&pair.phone, "offer: " SECTION("aaaa") WITH_BOTH);
    leave_pair(&pair);
}

static void test_an_answer_waits_for_its_candidates(void **state)
{
    (void)state;
    struct pair pair;
    enter_pair(&pair);
    start(&pair.phone, "ann", SECTION("pppp") WITH_TWO, pair.id);
    assert_hears(&pair.browser, "incoming from bob: " SECTION("pppp") WITH_TWO);
    name_candidate(&pair.browser, pair.id, ONE, "aaaa"); // before it accepts
    assert_int_equal(try_accept(&pair.browser, pair.id, SECTION("aaaa")), 0);
    assert_hears(&pair.phone, "nothing");
    // nobody may offer before the answer is there
    assert_int_equal(offer(&pair.browser, pair.id, SECTION("aaaa")), -EAGAIN);
    assert_int_equal(offer(&pair.phone, pair.id, SECTION("pppp")), -EAGAIN);
    name_candidate(&pair.browser, pair.id, TWO, "aaaa");
    name_candidate(&pair.browser, pair.id, NULL, NULL);
    assert_hears(&pair.phone, "accepted by ann: " SECTION("aaaa") WITH_BOTH);
    assert_hears(&pair.phone, "nothing");
    assert_int_equal(offer(&pair.phone, pair.id, SECTION("pppp")), 0);
    leave_pair(&pair);
}

static void test_later_descriptions_are_whole_too(void **state)
{
    (void)state;
    struct pair pair;
    connect_pair(&pair);
    // the same generation has no more candidates to wait for
    assert_int_equal(offer(&pair.browser, pair.id, SECTION("aaaa")), 0);
    assert_hears(&pair.phone, "offer: " SECTION("aaaa") WITH_ONE);
    assert_int_equal(answer(&pair.phone, pair.id, SECTION("pppp")), 0);
    assert_hears(&pair.browser, "answer: " SECTION("pppp"));
    // a restart of ICE has new ones, of which one may come before its description
    name_candidate(&pair.browser, pair.id, ONE, "bbbb");
    assert_int_equal(offer(&pair.browser, pair.id, SECTION("bbbb")), 0);
    assert_int_equal(offer(&pair.browser, pair.id, SECTION("bbbb")), -EAGAIN);
    name_candidate(&pair.browser, pair.id, TWO, "bbbb");
    assert_hears(&pair.phone, "nothing");
    pass(CALL_GATHER_US);
    assert_hears(&pair.phone, "offer: " SECTION("bbbb") WITH_BOTH);
    assert_int_equal(answer(&pair.phone, pair.id, SECTION("qqqq") WITH_ONE), 0);
    assert_hears(&pair.browser, "answer: " SECTION("qqqq") WITH_ONE);
    // and an answer
    assert_int_equal(offer(&pair.phone, pair.id, SECTION("rrrr") WITH_ONE), 0);
    assert_hears(&pair.browser, "offer: " SECTION("rrrr") WITH_ONE);
    assert_int_equal(answer(&pair.browser, pair.id, SECTION("cccc")), 0);
    name_candidate(&pair.browser, pair.id, TWO, "cccc");
    name_candidate(&pair.browser, pair.id, NULL, NULL);
    assert_hears(&pair.phone, "answer: " SECTION("cccc") WITH_TWO);
    assert_hears(&pair.phone, "nothing");
    leave_pair(&pair);
}

static void test_each_device_of_a_callee_gets_what_it_takes(void **state)
{
    (void)state;
    struct pair pair;
    struct fake_device desk;
    enter_pair(&pair);
    enter_as(&desk, CALL_BINDING_NATIVE, "bob", NULL, true);
    start(&pair.browser, "bob", SECTION("aaaa"), pair.id);
    assert_hears(&desk, "incoming from ann: " SECTION("aaaa"));
    name_candidate(&pair.browser, pair.id, ONE, "aaaa");
    assert_hears(&desk, "candidate: " ONE);
    // it answered before the phone could ring: the phone never hears of it
    assert_int_equal(try_accept(&desk, pair.id, SECTION("dddd")), 0);
    assert_hears(&pair.browser, "accepted by bob: " SECTION("dddd"));
    name_candidate(&pair.browser, pair.id, TWO, "aaaa");
    assert_hears(&desk, "candidate: " TWO);
    assert_int_equal(offer(&pair.browser, pair.id, SECTION("aaaa")), 0);
    pass(2 * S);
    assert_int_equal(pair.phone.count, 0);
    assert_int_equal(call_directory_deadline(&model.calls), TIME_NEVER);
    assert_int_equal(hang_up(&desk, pair.id), 0);
    // nor of one that is cancelled at once
    start(&pair.browser, "bob", SECTION("aaaa"), pair.id);
    assert_int_equal(hang_up(&pair.browser, pair.id), 0);
    pass(2 * S);
    assert_int_equal(pair.phone.count, 0);
    // both ring, and the phone answers
    start(&pair.browser, "bob", SECTION("aaaa"), pair.id);
    pass(CALL_GATHER_US);
    assert_hears(&pair.phone, "incoming from ann: " SECTION("aaaa"));
    assert_int_equal(try_accept(&pair.phone, pair.id, SECTION("pppp")), 0);
    assert_int_equal(metric_get(&model.calls.metrics[CALL_METRIC_ACCEPTED]), 2);
    leave_pair(&pair);
    go(&desk);
}

static void test_two_that_do_not_trickle_wait_for_nothing(void **state)
{
    (void)state;
    struct pair pair;
    enter_pair(&pair);
    pair.browser.device.trickles = false;
    start(&pair.browser, "bob", SECTION("aaaa") WITH_ONE, pair.id);
    assert_hears(&pair.phone, "incoming from ann: " SECTION("aaaa") WITH_ONE);
    assert_int_equal(try_accept(&pair.phone, pair.id, SECTION("pppp") WITH_TWO), 0);
    assert_hears(&pair.browser, "accepted by bob: " SECTION("pppp") WITH_TWO);
    leave_pair(&pair);
}

static void test_what_is_kept_is_bounded(void **state)
{
    (void)state;
    struct pair pair;
    connect_pair(&pair);
    for (int i = 0; i < 1000; i++) {
        char text[64];
        snprintf(text, sizeof(text), "candidate:%d 1 udp 1 192.0.2.3 9 typ host", i);
        name_candidate(&pair.browser, pair.id, text, "aaaa");
    }
    assert_int_equal(offer(&pair.browser, pair.id, SECTION("aaaa")), 0);
    const char *heard = hears(&pair.phone);
    size_t count = 0;
    for (const char *at = heard; (at = strstr(at, "a=candidate:")); at++)
        count++;
    assert_int_equal(count, CALL_CANDIDATES_MAX);
    leave_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_offer_waits_for_its_candidates),
        TEST(test_it_waits_for_a_second_at_most),
        TEST(test_an_answer_waits_for_its_candidates),
        TEST(test_later_descriptions_are_whole_too),
        TEST(test_each_device_of_a_callee_gets_what_it_takes),
        TEST(test_two_that_do_not_trickle_wait_for_nothing),
        TEST(test_what_is_kept_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
