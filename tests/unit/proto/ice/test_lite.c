// The lite agent alone, with a peer made by hand: honest, wrong and malicious.
#include "support/check.h"

#include <errno.h>

#include "base/text.h"
#include "proto/ice/ice_lite.h"
#include "proto/stun/stun.h"

#define LOCAL_PWD  "serverserverserverserver"
#define REMOTE_PWD "clientclientclientclient"
#define HIGH       0x7e0000ffu
#define LOW        0x640000ffu

struct bench {
    struct ice_lite ice;
    struct ice_metrics metrics;
    struct random random;
    struct datagram_batch batch;
    uint64_t now_us;
    uint8_t last_id; /**< last byte of the last request's transaction id */
};

struct check {
    const char *username; /**< NULL: the right one */
    const char *pwd;      /**< NULL: the right one */
    uint32_t priority;
    bool controlled;
    bool use_candidate;
    uint16_t extra; /**< an attribute to add; 0: none */
};

static void bench_start(struct bench *bench)
{
    *bench = (struct bench){ .now_us = 1000000 };
    random_seeded_init(&bench->random, 1);
    datagram_batch_init(&bench->batch, 65536, 64);
    const struct ice_lite_config config = {
        .local = { bytes_of_text("srvu"), bytes_of_text(LOCAL_PWD) },
        .remote = { bytes_of_text("cliu"), bytes_of_text(REMOTE_PWD) },
        .random = &bench->random,
        .metrics = &bench->metrics,
    };
    assert_int_equal(ice_lite_init(&bench->ice, &config), 0);
}

static void bench_end(struct bench *bench)
{
    ice_lite_done(&bench->ice);
    datagram_batch_done(&bench->batch);
}

static struct net_path path_from(uint8_t host, uint16_t port)
{
    return (struct net_path){ .local = net_address_ipv4(198, 51, 100, 1, 3478),
                              .remote = net_address_ipv4(192, 0, 2, host, port) };
}

static size_t make_request(struct bench *bench, const struct check *check, uint8_t *out,
                           size_t capacity)
{
    uint8_t id[12] = { [11] = ++bench->last_id };
    struct stun_writer writer;
    stun_writer_start(&writer, out, capacity, STUN_REQUEST, STUN_BINDING, id);
    stun_write_bytes(&writer, STUN_USERNAME,
                     bytes_of_text(check->username ? check->username : "srvu:cliu"));
    if (check->priority)
        stun_write_u32(&writer, STUN_PRIORITY, check->priority);
    stun_write_u64(&writer, check->controlled ? STUN_ICE_CONTROLLED : STUN_ICE_CONTROLLING, 42);
    if (check->use_candidate)
        stun_write_flag(&writer, STUN_USE_CANDIDATE);
    if (check->extra)
        stun_write_u32(&writer, check->extra, 1);
    stun_write_integrity(&writer, bytes_of_text(check->pwd ? check->pwd : LOCAL_PWD));
    stun_write_fingerprint(&writer);
    return stun_writer_finish(&writer);
}

static int input(struct bench *bench, const struct net_path *path, const struct check *check)
{
    uint8_t out[512];
    size_t size = make_request(bench, check, out, sizeof(out));
    return ice_lite_input(&bench->ice, bench->now_us, path, bytes_of(out, size));
}

static void nominate(struct bench *bench, const struct net_path *path, uint32_t priority)
{
    const struct check check = { .priority = priority, .use_candidate = true };
    assert_int_equal(input(bench, path, &check), 0);
}

static void ping(struct bench *bench, const struct net_path *path, uint32_t priority)
{
    const struct check check = { .priority = priority };
    assert_int_equal(input(bench, path, &check), 0);
}

static void output(struct bench *bench)
{
    datagram_batch_clear(&bench->batch);
    ice_lite_output(&bench->ice, bench->now_us, &bench->batch);
}

/** The n-th datagram of the last output. */
static struct stun_message sent(struct bench *bench, size_t n, struct net_path *ret_path)
{
    struct datagram_cursor cursor = { 0 };
    const uint8_t *data;
    size_t size;
    for (size_t i = 0; i <= n; i++)
        assert_true(datagram_batch_next(&bench->batch, &cursor, ret_path, &data, &size));
    struct stun_message message;
    assert_int_equal(stun_message_parse(bytes_of(data, size), &message), 0);
    return message;
}

static size_t sent_count(struct bench *bench)
{
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *data;
    size_t size, count = 0;
    while (datagram_batch_next(&bench->batch, &cursor, &path, &data, &size))
        count++;
    return count;
}

/** Answers the n-th datagram of the last output, a check, as if from `from`. */
static int answer(struct bench *bench, size_t n, const struct net_path *from, const char *pwd,
                  uint16_t error)
{
    struct net_path path;
    struct stun_message check = sent(bench, n, &path);
    assert_int_equal(check.class, STUN_REQUEST);
    uint8_t out[256];
    struct stun_writer writer;
    stun_writer_start(&writer, out, sizeof(out), error ? STUN_ERROR : STUN_SUCCESS, STUN_BINDING,
                      stun_message_transaction_id(&check));
    if (error)
        stun_write_error(&writer, error);
    else
        stun_write_address(&writer, STUN_XOR_MAPPED_ADDRESS, &path.local);
    stun_write_integrity(&writer, bytes_of_text(pwd));
    stun_write_fingerprint(&writer);
    return ice_lite_input(&bench->ice, bench->now_us, from ? from : &path,
                          bytes_of(out, stun_writer_finish(&writer)));
}

/** Answers the consent check in the last output, from where it went unless `from` says else. */
static int answer_consent(struct bench *bench, const struct net_path *from, const char *pwd,
                          uint16_t error)
{
    return answer(bench, sent_count(bench) - 1, from, pwd, error);
}

/** The number of the check to `path` in the last output. */
static size_t check_to(struct bench *bench, const struct net_path *path)
{
    struct net_path to;
    for (size_t n = 0;; n++) {
        if (sent(bench, n, &to).class == STUN_REQUEST && net_path_equal(&to, path))
            return n;
    }
}

/** Answers the check to `asked` with an id that says that it was the one to another path. */
static int forge_answer(struct bench *bench, const struct net_path *asked, uint8_t index,
                        const struct net_path *from)
{
    struct net_path to;
    struct stun_message check = sent(bench, check_to(bench, asked), &to);
    uint8_t id[12], out[256];
    memcpy(id, stun_message_transaction_id(&check), sizeof(id));
    id[11] = index;
    struct stun_writer writer;
    stun_writer_start(&writer, out, sizeof(out), STUN_SUCCESS, STUN_BINDING, id);
    stun_write_integrity(&writer, bytes_of_text(REMOTE_PWD));
    stun_write_fingerprint(&writer);
    return ice_lite_input(&bench->ice, bench->now_us, from,
                          bytes_of(out, stun_writer_finish(&writer)));
}

static bool next_event(struct bench *bench, enum ice_event_kind kind)
{
    struct ice_event event;
    return ice_lite_event(&bench->ice, &event) && event.kind == kind;
}

static bool no_event(struct bench *bench)
{
    struct ice_event event;
    return !ice_lite_event(&bench->ice, &event);
}

static void assert_selected(struct bench *bench, const struct net_path *expected)
{
    struct net_path path;
    assert_true(ice_lite_path(&bench->ice, &path));
    assert_true(net_path_equal(&path, expected));
}

static uint64_t counter(const struct bench *bench, enum ice_metric metric)
{
    return metric_get(&bench->metrics.values[metric]);
}

/** A peer on `path`, whose consent check has been answered: nothing is due. */
static void settle(struct bench *bench, const struct net_path *path)
{
    nominate(bench, path, HIGH);
    output(bench);
    assert_int_equal(answer_consent(bench, NULL, REMOTE_PWD, 0), 0);
    assert_true(next_event(bench, ICE_EVENT_SELECTED));
    assert_true(no_event(bench));
}

static void test_media_from_elsewhere_is_asked_and_its_answer_moves_the_selection(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path old = path_from(1, 5000), new = path_from(9, 6000), to;
    ice_lite_appeared(&bench.ice, bench.now_us, &new);
    assert_int_equal(ice_lite_deadline(&bench.ice), TIME_NEVER); // nothing was selected
    settle(&bench, &old);
    bench.now_us += 100000;
    ice_lite_appeared(&bench.ice, bench.now_us, &new);
    assert_int_equal(ice_lite_deadline(&bench.ice), 0);
    output(&bench);
    assert_int_equal(sent_count(&bench), 1);
    (void)sent(&bench, 0, &to);
    assert_true(net_path_equal(&to, &new));
    assert_false(ice_lite_knows(&bench.ice, &new));
    assert_selected(&bench, &old);
    bench.now_us += 20000;
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), 0);
    assert_selected(&bench, &new);
    assert_true(next_event(&bench, ICE_EVENT_SELECTED));
    assert_int_equal(counter(&bench, ICE_PROBES_SENT), 1);
    assert_int_equal(counter(&bench, ICE_PROBES_ANSWERED), 1);
    // what was late on the old path does not take it back, a nomination there does
    ice_lite_used(&bench.ice, bench.now_us, &old);
    assert_selected(&bench, &new);
    bench.now_us += 3000000;
    nominate(&bench, &old, HIGH);
    ice_lite_used(&bench.ice, bench.now_us, &old);
    assert_selected(&bench, &old);
    bench_end(&bench);
}

static void test_media_over_a_path_that_was_checked_only_moves_the_selection_too(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path wifi = path_from(1, 5000), mobile = path_from(9, 6000);
    settle(&bench, &wifi);
    ping(&bench, &mobile, LOW);
    ice_lite_used(&bench.ice, bench.now_us, &mobile);
    assert_selected(&bench, &wifi);
    ice_lite_appeared(&bench.ice, bench.now_us, &wifi); // it is the selected one
    output(&bench);
    assert_int_equal(counter(&bench, ICE_PROBES_SENT), 0);
    ice_lite_appeared(&bench.ice, bench.now_us, &mobile);
    output(&bench);
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), 0);
    assert_selected(&bench, &mobile);
    bench_end(&bench);
}

static void test_a_forged_source_moves_nothing_and_is_asked_rarely(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path old = path_from(1, 5000), forged = path_from(9, 6000), other = path_from(8, 1);
    settle(&bench, &old);
    for (int i = 0; i < 1000; i++) { // a second of it
        bench.now_us += 1000;
        ice_lite_appeared(&bench.ice, bench.now_us, i % 2 ? &forged : &other);
        output(&bench);
    }
    assert_in_range(counter(&bench, ICE_PROBES_SENT), 10, 21);
    // the peer itself gets the check, and answers from where it is: not the way that it was asked
    bench.now_us += 50000;
    ice_lite_appeared(&bench.ice, bench.now_us, &forged);
    output(&bench);
    assert_int_equal(answer_consent(&bench, &old, REMOTE_PWD, 0), -EBADMSG);
    assert_int_equal(answer_consent(&bench, NULL, "not the password at all", 0), -EACCES);
    assert_selected(&bench, &old);
    assert_false(ice_lite_knows(&bench.ice, &forged));
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, STUN_FORBIDDEN), 0);
    assert_selected(&bench, &old);
    assert_int_equal(counter(&bench, ICE_PROBES_ANSWERED), 0);
    bench_end(&bench);
}

static void test_the_agent_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct ice_lite) <= 2560);
}

static void test_a_check_is_answered_with_where_it_came_from(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000), to;
    assert_int_equal(ice_lite_deadline(&bench.ice), TIME_NEVER);
    ping(&bench, &path, HIGH);
    assert_int_equal(ice_lite_deadline(&bench.ice), 0);
    output(&bench);
    assert_int_equal(sent_count(&bench), 1);
    struct stun_message answer = sent(&bench, 0, &to);
    assert_int_equal(answer.class, STUN_SUCCESS);
    assert_int_equal(stun_message_transaction_id(&answer)[11], bench.last_id);
    assert_int_equal(stun_message_check_integrity(&answer, bytes_of_text(LOCAL_PWD)), 0);
    assert_int_equal(stun_message_check_fingerprint(&answer), 0);
    struct net_address mapped;
    assert_int_equal(stun_message_find_address(&answer, STUN_XOR_MAPPED_ADDRESS, &mapped), 0);
    assert_true(net_address_equal(&mapped, &path.remote));
    assert_true(net_path_equal(&to, &path));
    assert_true(ice_lite_knows(&bench.ice, &path));
    assert_selected(&bench, &path); // usable before nomination
    assert_true(no_event(&bench));
    bench_end(&bench);
}

static void test_nomination_selects_and_asks_for_consent_at_once(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000), to;
    nominate(&bench, &path, HIGH);
    assert_true(next_event(&bench, ICE_EVENT_SELECTED));
    assert_true(no_event(&bench));
    output(&bench);
    assert_int_equal(sent_count(&bench), 2);
    struct stun_message check = sent(&bench, 1, &to);
    struct bytes username;
    uint64_t tie_breaker;
    assert_true(stun_message_find(&check, STUN_USERNAME, &username));
    assert_true(text_equal(username, "cliu:srvu"));
    assert_int_equal(stun_message_find_u64(&check, STUN_ICE_CONTROLLED, &tie_breaker), 0);
    assert_true(tie_breaker > 0); // libjuice takes 0 for none, and refuses the check
    assert_int_equal(stun_message_check_integrity(&check, bytes_of_text(REMOTE_PWD)), 0);
    bench.now_us += 30000;
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), 0);
    assert_int_equal(ice_lite_rtt_us(&bench.ice), 30000);
    uint64_t next_us = ice_lite_deadline(&bench.ice) - (bench.now_us - 30000);
    assert_in_range(next_us, 4000000, 6000000);
    bench_end(&bench);
}

static void test_the_fragment_of_the_peer_may_be_of_another_generation(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000);
    assert_int_equal(input(&bench, &path, &(struct check){ .username = "srvu:former" }), 0);
    output(&bench);
    assert_int_equal(sent_count(&bench), 1);
    bench_end(&bench);
}

static void test_strangers_get_no_answer(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000);
    const struct check wrong[] = {
        { .username = "srvu:" },      { .username = "srvu" },
        { .username = "srvux:cliu" }, { .username = "" },
        { .username = "xxxx:cliu" },  { .pwd = REMOTE_PWD, .use_candidate = true },
    };
    for (size_t i = 0; i < array_size(wrong); i++)
        assert_int_equal(input(&bench, &path, &wrong[i]), -EACCES);
    uint8_t out[512];
    size_t size = make_request(&bench, &(struct check){ 0 }, out, sizeof(out));
    out[size - 1] ^= 1;
    assert_int_equal(ice_lite_input(&bench.ice, 1, &path, bytes_of(out, size)), -EBADMSG);
    assert_int_equal(ice_lite_input(&bench.ice, 1, &path, bytes_of(out, size - 4)), -EBADMSG);
    struct stun_writer writer; // no integrity at all
    stun_writer_start(&writer, out, sizeof(out), STUN_REQUEST, STUN_BINDING, out + 8);
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text("srvu:cliu"));
    size = stun_writer_finish(&writer);
    assert_int_equal(ice_lite_input(&bench.ice, 1, &path, bytes_of(out, size)), -EACCES);
    stun_writer_start(&writer, out, sizeof(out), STUN_REQUEST, STUN_ALLOCATE, out + 8);
    size = stun_writer_finish(&writer);
    assert_int_equal(ice_lite_input(&bench.ice, 1, &path, bytes_of(out, size)), -EBADMSG);
    output(&bench);
    assert_int_equal(sent_count(&bench), 0);
    assert_false(ice_lite_knows(&bench.ice, &path));
    assert_int_equal(counter(&bench, ICE_DROPPED_USERNAME), 5);
    assert_int_equal(counter(&bench, ICE_DROPPED_INTEGRITY), 2);
    assert_int_equal(counter(&bench, ICE_DROPPED_FINGERPRINT), 1);
    assert_int_equal(counter(&bench, ICE_DROPPED_MALFORMED), 1);
    assert_int_equal(counter(&bench, ICE_DROPPED_METHOD), 1);
    bench_end(&bench);
}

static void test_a_controlled_peer_is_told_to_change_its_role(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000), to;
    const struct check check = { .controlled = true, .use_candidate = true };
    assert_int_equal(input(&bench, &path, &check), 0);
    output(&bench);
    struct stun_message answer = sent(&bench, 0, &to);
    uint16_t code;
    assert_int_equal(answer.class, STUN_ERROR);
    assert_int_equal(stun_message_find_error(&answer, &code, NULL), 0);
    assert_int_equal(code, STUN_ROLE_CONFLICT);
    assert_int_equal(stun_message_check_integrity(&answer, bytes_of_text(LOCAL_PWD)), 0);
    assert_true(no_event(&bench));
    assert_false(ice_lite_knows(&bench.ice, &path));
    bench_end(&bench);
}

static void test_an_unknown_required_attribute_is_named_in_the_answer(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000), to;
    assert_int_equal(input(&bench, &path, &(struct check){ .extra = 0x7777 }), 0);
    assert_int_equal(input(&bench, &path, &(struct check){ .extra = 0xc057 }), 0); // optional
    output(&bench);
    struct stun_message answer = sent(&bench, 0, &to);
    uint16_t code;
    struct bytes unknown;
    assert_int_equal(stun_message_find_error(&answer, &code, NULL), 0);
    assert_int_equal(code, STUN_UNKNOWN_ATTRIBUTE);
    assert_true(stun_message_find(&answer, STUN_UNKNOWN_ATTRIBUTES, &unknown));
    assert_int_equal(unknown.size, 2);
    assert_int_equal(load_u16(unknown.data), 0x7777);
    assert_int_equal(sent(&bench, 1, &to).class, STUN_SUCCESS);
    bench_end(&bench);
}

static void test_known_paths_are_bounded_and_the_selected_stays(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path selected = path_from(1, 5000);
    nominate(&bench, &selected, HIGH);
    for (uint16_t i = 1; i <= 100; i++) {
        bench.now_us += 1000;
        struct net_path path = path_from(2, (uint16_t)(6000 + i));
        ping(&bench, &path, LOW);
        output(&bench);
    }
    assert_true(ice_lite_knows(&bench.ice, &selected));
    for (uint16_t i = 1; i <= 100; i++) {
        struct net_path path = path_from(2, (uint16_t)(6000 + i));
        // the newest 15 beside the selected one
        assert_int_equal(ice_lite_knows(&bench.ice, &path), i > 85);
    }
    assert_selected(&bench, &selected);
    assert_int_equal(counter(&bench, ICE_PATHS_EVICTED), 85);
    bench_end(&bench);
}

static void test_a_better_or_rebound_path_takes_over_at_once(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path a = path_from(1, 5000), b = path_from(2, 5000), c = path_from(2, 5001);
    nominate(&bench, &a, LOW);
    nominate(&bench, &b, HIGH);
    assert_selected(&bench, &b);
    bench.now_us += 1000;
    nominate(&bench, &c, HIGH); // the same candidate behind another port
    assert_selected(&bench, &c);
    bench_end(&bench);
}

static void test_aggressive_nomination_ends_on_the_best_path(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path good = path_from(1, 5000), bad = path_from(2, 5000);
    nominate(&bench, &bad, LOW);
    for (int i = 0; i < 50; i++) { // every check of both carries USE-CANDIDATE
        bench.now_us += 500000;
        nominate(&bench, i % 2 ? &bad : &good, i % 2 ? LOW : HIGH);
        output(&bench);
        if (sent_count(&bench) == 2)
            assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), 0);
        assert_selected(&bench, &good);
    }
    assert_int_equal(counter(&bench, ICE_SELECTIONS), 2);
    bench_end(&bench);
}

static void test_a_peer_that_means_a_worse_path_gets_it(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path good = path_from(1, 5000), bad = path_from(2, 5000);
    nominate(&bench, &good, HIGH);
    bench.now_us += 1000000;
    ping(&bench, &good, HIGH); // still alive, but no longer nominated
    nominate(&bench, &bad, LOW);
    assert_selected(&bench, &good);
    bench.now_us += 500000;
    nominate(&bench, &bad, LOW);
    assert_selected(&bench, &bad);

    bench.now_us += 3000000; // and at once when the one in use is silent
    output(&bench);
    struct net_path third = path_from(3, 5000);
    nominate(&bench, &third, LOW - 1);
    assert_selected(&bench, &third);
    bench_end(&bench);
}

/** RFC 8445, section 19.5.1: a peer that nominates the address of someone else. */
static void test_a_victim_that_never_answers_is_spared_soon(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path victim = path_from(99, 80), path;
    uint64_t begin_us = bench.now_us;
    // the attacker goes on checking with the victim's address as source
    while (ice_lite_path(&bench.ice, &path) || bench.now_us == begin_us) {
        nominate(&bench, &victim, HIGH);
        output(&bench);
        bench.now_us += 250000;
        ice_lite_tick(&bench.ice, bench.now_us);
        assert_true(bench.now_us - begin_us <= ICE_CONSENT_UNPROVEN_US);
    }
    assert_true(next_event(&bench, ICE_EVENT_SELECTED));
    assert_true(next_event(&bench, ICE_EVENT_CONSENT_EXPIRED));
    // and stays so: one small check per second is all that it gets
    size_t requests = 0;
    for (int i = 0; i < 40; i++) {
        nominate(&bench, &victim, HIGH);
        output(&bench);
        requests += sent_count(&bench) - 1;
        assert_false(ice_lite_path(&bench.ice, &path));
        bench.now_us += 250000;
        ice_lite_tick(&bench.ice, bench.now_us);
    }
    assert_true(requests <= 11);
    bench_end(&bench);
}

/** Nobody has ever answered: however many addresses are nominated, it ends as soon. */
static void test_victims_that_take_turns_are_spared_as_soon(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path;
    uint64_t begin_us = bench.now_us;
    for (uint32_t i = 0; i < 120; i++) {
        struct net_path victim = path_from(99, (uint16_t)(80 + i % 2));
        nominate(&bench, &victim, LOW + i);
        output(&bench);
        bench.now_us += 250000;
        ice_lite_tick(&bench.ice, bench.now_us);
        bool sends = ice_lite_path(&bench.ice, &path);
        assert_int_equal(sends, bench.now_us - begin_us < ICE_CONSENT_UNPROVEN_US);
    }
    // who answers is served all the same
    struct net_path own = path_from(1, 5000);
    nominate(&bench, &own, HIGH);
    output(&bench);
    assert_int_equal(answer(&bench, check_to(&bench, &own), NULL, REMOTE_PWD, 0), 0);
    assert_selected(&bench, &own);
    bench_end(&bench);
}

/** Who never nominates is sent to for as long as who never answers. */
static void test_a_victim_that_was_never_nominated_is_spared_too(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path victim = path_from(99, 80), path;
    ping(&bench, &victim, HIGH);
    uint64_t end_us = bench.now_us + ICE_CONSENT_UNPROVEN_US;
    output(&bench);
    assert_int_equal(ice_lite_deadline(&bench.ice), end_us);
    for (; bench.now_us < 2 * end_us; bench.now_us += 250000) {
        ping(&bench, &victim, HIGH);
        output(&bench);
        ice_lite_tick(&bench.ice, bench.now_us);
        assert_int_equal(ice_lite_path(&bench.ice, &path), bench.now_us < end_us);
    }
    nominate(&bench, &victim, HIGH); // late, but it may be a client
    assert_selected(&bench, &victim);
    bench_end(&bench);
}

/** A member that answers for its own address, and nominates others with forged checks. */
static void test_a_nominated_path_is_asked_before_media_goes_there(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path own = path_from(1, 5000), victim = path_from(99, 80), other = path_from(98, 80);
    settle(&bench, &own);
    for (uint32_t i = 0; i < 200; i++) {
        bench.now_us += 60000;
        nominate(&bench, i % 2 ? &victim : &other, HIGH + i);
        ice_lite_used(&bench.ice, bench.now_us, i % 2 ? &other : &victim);
        output(&bench);
        assert_selected(&bench, &own);
    }
    assert_int_equal(answer(&bench, check_to(&bench, &victim), &own, REMOTE_PWD, 0), -EBADMSG);
    assert_selected(&bench, &own);
    // a client that is there answers, and is there at once; for a while it may come back unasked
    nominate(&bench, &own, HIGH + 1000);
    bench.now_us += 60000;
    struct net_path moved = path_from(2, 5000);
    nominate(&bench, &moved, HIGH + 1000);
    output(&bench);
    assert_int_equal(answer(&bench, check_to(&bench, &moved), NULL, REMOTE_PWD, 0), 0);
    assert_selected(&bench, &moved);
    bench_end(&bench);
}

/** What an address has proven once is no consent for ever, though its owner goes on asking. */
static void test_a_path_that_answered_long_ago_is_asked_again(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path own = path_from(1, 5000), left = path_from(2, 5000);
    settle(&bench, &left);
    nominate(&bench, &own, HIGH + 1);
    output(&bench);
    assert_int_equal(answer(&bench, check_to(&bench, &own), NULL, REMOTE_PWD, 0), 0);
    assert_selected(&bench, &own);
    nominate(&bench, &left, HIGH + 1000); // it answered a moment ago
    assert_selected(&bench, &left);
    uint64_t expiry_us = bench.now_us + ICE_CONSENT_EXPIRY_US;
    for (uint32_t i = 1; i < 100; i++) {
        bench.now_us += 1000000;
        struct net_path *path = i % 2 ? &own : &left, got;
        nominate(&bench, path, HIGH + 2 + i);
        output(&bench);
        // the member answers where it is
        for (size_t n = 0; n < sent_count(&bench); n++) {
            if (sent(&bench, n, &got).class == STUN_REQUEST && net_path_equal(&got, &own))
                (void)answer(&bench, n, NULL, REMOTE_PWD, 0);
        }
        ice_lite_tick(&bench.ice, bench.now_us);
        if (ice_lite_path(&bench.ice, &got) && net_path_equal(&got, &left))
            assert_true(bench.now_us < expiry_us);
    }
    bench_end(&bench);
}

/** Media keeps asking while the answer is on a long way. */
static void test_a_question_that_is_repeated_keeps_its_id(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path old = path_from(1, 5000), new = path_from(9, 6000);
    settle(&bench, &old);
    ice_lite_appeared(&bench.ice, bench.now_us, &new);
    output(&bench);
    uint8_t first[12], later[12];
    struct net_path to;
    struct stun_message check = sent(&bench, 0, &to);
    memcpy(first, stun_message_transaction_id(&check), sizeof(first));
    for (int i = 0; i < 5; i++) { // a round trip of 300 ms
        bench.now_us += 60000;
        ice_lite_appeared(&bench.ice, bench.now_us, &new);
        output(&bench);
        check = sent(&bench, 0, &to);
        memcpy(later, stun_message_transaction_id(&check), sizeof(later));
        assert_memory_equal(first, later, sizeof(first));
    }
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), 0);
    assert_selected(&bench, &new);
    bench_end(&bench);
}

static void test_an_expired_path_comes_back_when_the_peer_answers(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000), got;
    nominate(&bench, &path, HIGH);
    output(&bench);
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), 0);
    assert_true(next_event(&bench, ICE_EVENT_SELECTED));
    bench.now_us += ICE_CONSENT_EXPIRY_US;
    ice_lite_tick(&bench.ice, bench.now_us);
    assert_true(next_event(&bench, ICE_EVENT_CONSENT_EXPIRED));
    assert_int_equal(ice_lite_deadline(&bench.ice), TIME_NEVER);
    assert_int_equal(counter(&bench, ICE_EXPIRATIONS), 1);
    bench.now_us += 5000000;
    ping(&bench, &path, HIGH);
    output(&bench);
    assert_int_equal(sent_count(&bench), 2);
    assert_false(ice_lite_path(&bench.ice, &got));
    assert_int_equal(ice_lite_deadline(&bench.ice), TIME_NEVER); // asked once
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), 0);
    assert_selected(&bench, &path);
    assert_true(next_event(&bench, ICE_EVENT_RECONNECTED));
    assert_true(no_event(&bench));
    bench_end(&bench);
}

static void test_consent_answers_must_be_authentic_and_symmetric(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000), elsewhere = path_from(1, 5001);
    nominate(&bench, &path, HIGH);
    output(&bench);
    assert_int_equal(answer_consent(&bench, NULL, LOCAL_PWD, 0), -EACCES);
    assert_int_equal(answer_consent(&bench, &elsewhere, REMOTE_PWD, 0), -EBADMSG);
    assert_int_equal(ice_lite_rtt_us(&bench.ice), 0);
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), 0);
    assert_true(ice_lite_rtt_us(&bench.ice) > 0);
    // the same answer again is an answer to nothing
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), -EBADMSG);
    assert_int_equal(counter(&bench, ICE_DROPPED_TRANSACTION), 1);
    assert_int_equal(counter(&bench, ICE_CONSENT_ANSWERED), 1);
    bench_end(&bench);
}

static void test_error_403_ends_consent_at_once(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000), got;
    nominate(&bench, &path, HIGH);
    output(&bench);
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, STUN_SERVER_ERROR), 0);
    assert_true(ice_lite_path(&bench.ice, &got));
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, STUN_FORBIDDEN), 0);
    assert_false(ice_lite_path(&bench.ice, &got));
    bench_end(&bench);
}

static void test_answers_wait_for_room_and_are_bounded(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000), to;
    int refused = 0;
    for (int i = 0; i < 20; i++)
        refused += input(&bench, &path, &(struct check){ 0 }) == -EBUSY;
    assert_int_equal(refused, 20 - ICE_ANSWERS_MAX);
    assert_int_equal(counter(&bench, ICE_DROPPED_BUSY), refused);
    struct datagram_batch small;
    datagram_batch_init(&small, DATAGRAM_SIZE_MAX, 2);
    size_t total = 0;
    for (int i = 0; i < ICE_ANSWERS_MAX && ice_lite_deadline(&bench.ice) == 0; i++) {
        ice_lite_output(&bench.ice, bench.now_us, &small);
        struct datagram_cursor cursor = { 0 };
        const uint8_t *data;
        size_t size;
        while (datagram_batch_next(&small, &cursor, &to, &data, &size))
            assert_int_equal(data[19], ++total); // in order, each once
        datagram_batch_clear(&small);
    }
    assert_int_equal(total, ICE_ANSWERS_MAX);
    datagram_batch_done(&small);
    bench_end(&bench);
}

/** Restarts the agent; the peer's next checks use these. */
static struct check restart(struct bench *bench, uint32_t priority, bool use_candidate)
{
    const struct ice_credentials local = { bytes_of_text("newL"),
                                           bytes_of_text("newLnewLnewLnewLnewLnewL") };
    const struct ice_credentials remote = { bytes_of_text("newR"),
                                            bytes_of_text("newRnewRnewRnewRnewRnewR") };
    assert_int_equal(ice_lite_restart(&bench->ice, &local, &remote), 0);
    return (struct check){ .username = "newL:newR",
                           .pwd = "newLnewLnewLnewLnewLnewL",
                           .priority = priority,
                           .use_candidate = use_candidate };
}

static void test_after_a_restart_the_first_nomination_counts(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path good = path_from(1, 5000), bad = path_from(2, 5000);
    nominate(&bench, &good, HIGH);
    output(&bench);
    struct check check = restart(&bench, LOW, true);
    ping(&bench, &good, HIGH); // the old credentials still hold
    assert_int_equal(input(&bench, &bad, &check), 0);
    assert_selected(&bench, &bad);
    assert_int_equal(input(&bench, &good, &(struct check){ .priority = HIGH }), -EACCES);
    assert_true(next_event(&bench, ICE_EVENT_RESTARTED));
    assert_true(next_event(&bench, ICE_EVENT_SELECTED));
    assert_true(no_event(&bench));
    bench_end(&bench);
}

static void test_after_a_restart_all_is_said_with_the_new_credentials(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path path = path_from(1, 5000), other = path_from(2, 5000), to;
    nominate(&bench, &path, HIGH);
    output(&bench);
    assert_int_equal(answer_consent(&bench, NULL, REMOTE_PWD, 0), 0);
    struct check check = restart(&bench, HIGH, false);
    ping(&bench, &path, HIGH); // its answer has not left when the restart is taken up
    assert_int_equal(input(&bench, &other, &check), 0);
    output(&bench);
    assert_int_equal(sent_count(&bench), 2);
    struct stun_message answer = sent(&bench, 0, &to), request = sent(&bench, 1, &to);
    assert_int_equal(stun_message_transaction_id(&answer)[11], bench.last_id);
    assert_int_equal(stun_message_check_integrity(&answer, bytes_of_text(check.pwd)), 0);
    // the path in use is asked at once whether it knows the new credentials
    struct bytes username;
    assert_true(net_path_equal(&to, &path));
    assert_true(stun_message_find(&request, STUN_USERNAME, &username));
    assert_true(text_equal(username, "newR:newL"));
    bench_end(&bench);
}

static void test_illegal_credentials_are_refused(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct ice_credentials good = { bytes_of_text("abcd"), bytes_of_text(LOCAL_PWD) };
    const struct ice_credentials bad[] = {
        { bytes_of_text("abc"), bytes_of_text(LOCAL_PWD) },
        { bytes_of_text("ab:d"), bytes_of_text(LOCAL_PWD) },
        { bytes_of_text("abcd"), bytes_of_text("123456789012345678901") },
        { bytes_of_text("abcd"), bytes_of_text("1234567890123456789 12") },
        { bytes_of_text(""), bytes_of_text("") },
    };
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(ice_lite_restart(&bench.ice, &good, &bad[i]), -EINVAL);
        assert_int_equal(ice_lite_restart(&bench.ice, &bad[i], &good), -EINVAL);
    }
    char text[257];
    memset(text, 'x', sizeof(text));
    struct ice_credentials longest = { bytes_of(text, 256), bytes_of(text, 256) };
    assert_int_equal(ice_lite_restart(&bench.ice, &longest, &longest), 0);
    longest.pwd.size++;
    assert_int_equal(ice_lite_restart(&bench.ice, &longest, &good), -EINVAL);
    bench_end(&bench);
}

static void test_the_longest_credentials_fit_into_messages(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    char text[256];
    memset(text, 'x', sizeof(text));
    struct ice_credentials longest = { bytes_of(text, 256), bytes_of(text, 256) };
    assert_int_equal(ice_lite_restart(&bench.ice, &longest, &longest), 0);
    char username[514], pwd[257] = { 0 };
    memset(username, 'x', sizeof(username));
    username[256] = ':';
    username[513] = '\0';
    memset(pwd, 'x', 256);
    struct net_path path = path_from(1, 5000), to;
    uint8_t out[1024];
    const struct check check = { .username = username, .pwd = pwd, .use_candidate = true };
    size_t size = make_request(&bench, &check, out, sizeof(out));
    assert_true(size > 0);
    assert_int_equal(ice_lite_input(&bench.ice, bench.now_us, &path, bytes_of(out, size)), 0);
    output(&bench);
    assert_int_equal(sent_count(&bench), 2);
    struct stun_message request = sent(&bench, 1, &to);
    assert_int_equal(stun_message_check_integrity(&request, bytes_of_text(pwd)), 0);
    bench_end(&bench);
}

static void test_demux_finds_the_local_fragment(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    uint8_t out[512];
    struct bytes ufrag;
    size_t size = make_request(&bench, &(struct check){ 0 }, out, sizeof(out));
    assert_int_equal(ice_request_ufrag(bytes_of(out, size), &ufrag), 0);
    assert_true(text_equal(ufrag, "srvu"));
    for (size_t i = 0; i < size; i++)
        assert_int_equal(ice_request_ufrag(bytes_of(out, i), &ufrag), -EBADMSG);
    const char *bad[] = { "", ":x", "nocolon" };
    for (size_t i = 0; i < array_size(bad); i++) {
        size = make_request(&bench, &(struct check){ .username = bad[i] }, out, sizeof(out));
        assert_int_equal(ice_request_ufrag(bytes_of(out, size), &ufrag), -EBADMSG);
    }
    out[0] = 1; // an answer
    assert_int_equal(ice_request_ufrag(bytes_of(out, size), &ufrag), -EBADMSG);
    bench_end(&bench);
}

static void test_media_on_a_newly_nominated_path_moves_the_selection_at_once(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path wifi = path_from(1, 5000), mobile = path_from(2, 6000), never = path_from(3, 7);
    nominate(&bench, &wifi, HIGH);
    bench.now_us += 1000000;
    ping(&bench, &wifi, HIGH);
    nominate(&bench, &mobile, LOW);
    assert_selected(&bench, &wifi); // one nomination of a worse path is not enough
    ice_lite_used(&bench.ice, bench.now_us, &mobile);
    assert_selected(&bench, &mobile);
    // what was late on the old way, or comes over one that was never nominated, changes nothing
    ping(&bench, &never, HIGH);
    ice_lite_used(&bench.ice, bench.now_us, &wifi);
    ice_lite_used(&bench.ice, bench.now_us, &never);
    assert_selected(&bench, &mobile);
    bench_end(&bench);
}

static void test_when_a_connection_ends_another_nominated_path_takes_over(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path udp = path_from(1, 5000), tcp = path_from(1, 5000);
    tcp.local.stream = tcp.remote.stream = 1; // the same ports: still another path
    nominate(&bench, &udp, LOW);
    nominate(&bench, &tcp, HIGH);
    assert_selected(&bench, &tcp);
    ice_lite_path_lost(&bench.ice, bench.now_us, &tcp);
    assert_selected(&bench, &udp);
    bench_end(&bench);
}

static void test_when_the_only_connection_ends_any_nomination_replaces_it(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path tcp = path_from(1, 5000), udp = path_from(1, 6000);
    tcp.local.stream = tcp.remote.stream = 1;
    nominate(&bench, &tcp, HIGH);
    assert_selected(&bench, &tcp);
    ice_lite_path_lost(&bench.ice, bench.now_us, &tcp);
    nominate(&bench, &udp, LOW);
    assert_selected(&bench, &udp);
    bench_end(&bench);
}

/** Media comes over the selected path for seconds, then nothing: the questions are sent. */
static void fall_silent(struct bench *bench)
{
    for (int i = 0; i < 400; i++) { // until the pause before the first one is forgotten
        bench->now_us += 20000;
        ice_lite_heard(&bench->ice, bench->now_us);
    }
    output(bench);
    bench->now_us += 100000;
    ice_lite_tick(&bench->ice, bench->now_us);
    output(bench);
    assert_int_equal(counter(bench, ICE_SILENCES), 1);
}

/** Time passes in which another path may take over. */
static void let_decide(struct bench *bench)
{
    bench->now_us += ICE_FAILOVER_DECIDE_US + ICE_FAILOVER_GRACE_US;
    ice_lite_tick(&bench->ice, bench->now_us);
}

/** The peer made another's address known with a forged check, and reads what its own is asked. */
static void test_the_question_to_one_path_does_not_tell_the_answer_of_another(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path own = path_from(1, 5000), victim = path_from(99, 80);
    settle(&bench, &own);
    ping(&bench, &victim, LOW);
    fall_silent(&bench);
    for (uint8_t index = 0; index < ICE_LITE_PATHS; index++)
        (void)forge_answer(&bench, &own, index, &victim);
    assert_int_equal(answer(&bench, check_to(&bench, &own), &victim, REMOTE_PWD, 0), -EBADMSG);
    let_decide(&bench);
    assert_selected(&bench, &own);
    // what the victim alone can read would move it
    assert_int_equal(answer(&bench, check_to(&bench, &victim), NULL, REMOTE_PWD, 0), 0);
    let_decide(&bench);
    assert_selected(&bench, &victim);
    bench_end(&bench);
}

/** The question went to another path of the peer, whose place the victim's address has now. */
static void test_the_answer_of_a_path_that_was_forgotten_is_that_of_no_other(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path own = path_from(1, 5000), second = path_from(2, 5000);
    settle(&bench, &own);
    ping(&bench, &second, LOW);
    fall_silent(&bench);
    size_t question = check_to(&bench, &second);
    for (uint8_t i = 0; i < ICE_LITE_PATHS - 1; i++) {
        struct net_path victim = path_from((uint8_t)(99 + i), 80);
        bench.now_us += 10;
        ping(&bench, &victim, LOW);
        bench.ice.answers.count = 0; // they have left
        assert_int_equal(answer(&bench, question, &victim, REMOTE_PWD, 0), -EBADMSG);
    }
    assert_false(ice_lite_knows(&bench.ice, &second));
    let_decide(&bench);
    assert_selected(&bench, &own);
    bench_end(&bench);
}

static void test_a_connection_that_has_ended_does_not_take_over(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    struct net_path udp = path_from(1, 5000), tcp = path_from(1, 6000);
    tcp.local.stream = tcp.remote.stream = 1;
    settle(&bench, &udp);
    ping(&bench, &tcp, LOW);
    fall_silent(&bench);
    assert_int_equal(answer(&bench, check_to(&bench, &tcp), NULL, REMOTE_PWD, 0), 0);
    ice_lite_path_lost(&bench.ice, bench.now_us, &tcp);
    let_decide(&bench);
    assert_selected(&bench, &udp);
    bench_end(&bench);
}

static void test_metrics_describe_every_counter(void **state)
{
    (void)state;
    struct ice_metrics metrics = { 0 };
    struct metric_set set = ice_metric_set(&metrics, "");
    assert_int_equal(set.count, ICE_METRIC_COUNT);
    assert_text_equal(set.descriptions[ICE_DROPPED_BUSY].labels, "reason=\"busy\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_agent_is_small),
        cmocka_unit_test(test_media_from_elsewhere_is_asked_and_its_answer_moves_the_selection),
        cmocka_unit_test(test_media_over_a_path_that_was_checked_only_moves_the_selection_too),
        cmocka_unit_test(test_a_forged_source_moves_nothing_and_is_asked_rarely),
        cmocka_unit_test(test_a_check_is_answered_with_where_it_came_from),
        cmocka_unit_test(test_nomination_selects_and_asks_for_consent_at_once),
        cmocka_unit_test(test_the_fragment_of_the_peer_may_be_of_another_generation),
        cmocka_unit_test(test_strangers_get_no_answer),
        cmocka_unit_test(test_a_controlled_peer_is_told_to_change_its_role),
        cmocka_unit_test(test_an_unknown_required_attribute_is_named_in_the_answer),
        cmocka_unit_test(test_known_paths_are_bounded_and_the_selected_stays),
        cmocka_unit_test(test_a_better_or_rebound_path_takes_over_at_once),
        cmocka_unit_test(test_aggressive_nomination_ends_on_the_best_path),
        cmocka_unit_test(test_a_peer_that_means_a_worse_path_gets_it),
        cmocka_unit_test(test_a_victim_that_never_answers_is_spared_soon),
        cmocka_unit_test(test_victims_that_take_turns_are_spared_as_soon),
        cmocka_unit_test(test_a_victim_that_was_never_nominated_is_spared_too),
        cmocka_unit_test(test_a_nominated_path_is_asked_before_media_goes_there),
        cmocka_unit_test(test_a_path_that_answered_long_ago_is_asked_again),
        cmocka_unit_test(test_a_question_that_is_repeated_keeps_its_id),
        cmocka_unit_test(test_an_expired_path_comes_back_when_the_peer_answers),
        cmocka_unit_test(test_consent_answers_must_be_authentic_and_symmetric),
        cmocka_unit_test(test_error_403_ends_consent_at_once),
        cmocka_unit_test(test_answers_wait_for_room_and_are_bounded),
        cmocka_unit_test(test_after_a_restart_the_first_nomination_counts),
        cmocka_unit_test(test_after_a_restart_all_is_said_with_the_new_credentials),
        cmocka_unit_test(test_illegal_credentials_are_refused),
        cmocka_unit_test(test_the_longest_credentials_fit_into_messages),
        cmocka_unit_test(test_demux_finds_the_local_fragment),
        cmocka_unit_test(test_media_on_a_newly_nominated_path_moves_the_selection_at_once),
        cmocka_unit_test(test_when_a_connection_ends_another_nominated_path_takes_over),
        cmocka_unit_test(test_when_the_only_connection_ends_any_nomination_replaces_it),
        cmocka_unit_test(test_the_question_to_one_path_does_not_tell_the_answer_of_another),
        cmocka_unit_test(test_the_answer_of_a_path_that_was_forgotten_is_that_of_no_other),
        cmocka_unit_test(test_a_connection_that_has_ended_does_not_take_over),
        cmocka_unit_test(test_metrics_describe_every_counter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
