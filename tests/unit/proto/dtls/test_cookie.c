// A server for clients without certificate: the stateless cookie (RFC 6347, 4.2.1), and records
// that are opened and sealed in place.
#include "dtls_pair.h"

#include "proto/dtls/dtls_cookie.h"

#define PLAIN_MAX 16384

/** A client, and a server that exists only after the cookie. */
struct cookie_pair {
    uint64_t now_us;
    struct random random;
    struct certificate *certificate;
    struct dtls_context *client_context, *server_context;
    struct dtls *client, *server;
    struct dtls_cookie_key key;
    struct net_path path;
    struct datagram_batch batch;
    uint32_t verified; // HelloVerifyRequests sent
    uint32_t sent;
    uint32_t lost; // this one is
    bool connected[2];
    bool ended[2];
    uint64_t server_sequence; // of the first record the server sent
    uint64_t hello_sequence;  // of the ClientHello with cookie
};

static void start_client(struct cookie_pair *pair)
{
    dtls_free(pair->client);
    pair->client = dtls_new(
        &(struct dtls_config){ .context = pair->client_context, .client = true }, pair->now_us);
}

static void prepare(struct cookie_pair *pair)
{
    static const uint8_t secret[32] = { 7 };
    *pair = (struct cookie_pair){ .now_us = 100000000, .lost = UINT32_MAX };
    random_seeded_init(&pair->random, 1);
    pair->certificate = make_certificate(&pair->random);
    assert_int_equal(dtls_context_new_server(pair->certificate, NULL, &pair->server_context), 0);
    assert_int_equal(dtls_context_new_client(NULL, &pair->client_context), 0);
    dtls_cookie_key_init(&pair->key, secret);
    pair->path.local = net_address_ipv4(192, 0, 2, 1, 3478);
    pair->path.remote = net_address_ipv4(198, 51, 100, 7, 40000);
    datagram_batch_init(&pair->batch, 256 << 10, 256);
    start_client(pair);
}

static void done(struct cookie_pair *pair)
{
    dtls_free(pair->client);
    dtls_free(pair->server);
    dtls_context_unref(pair->client_context);
    dtls_context_unref(pair->server_context);
    certificate_unref(pair->certificate);
    datagram_batch_done(&pair->batch);
}

static void take_events(struct cookie_pair *pair)
{
    struct dtls *ends[2] = { pair->client, pair->server };
    struct dtls_event event;
    for (size_t i = 0; i < 2; i++)
        while (ends[i] && dtls_event(ends[i], &event)) {
            pair->connected[i] |= event.kind == DTLS_CONNECTED;
            pair->ended[i] |= event.kind != DTLS_CONNECTED;
        }
}

/** What the server does with a datagram of somebody it has no association with. */
static void strange_input(struct cookie_pair *pair, struct bytes datagram)
{
    struct dtls_client_hello hello;
    assert_true(dtls_is_client_hello(datagram));
    assert_int_equal(dtls_client_hello_parse(datagram, &hello), 0);
    if (!dtls_cookie_is_right(&pair->key, pair->now_us, &pair->path, &hello)) {
        uint8_t answer[DTLS_HELLO_VERIFY_SIZE];
        dtls_hello_verify_write(&pair->key, pair->now_us, &pair->path, &hello, answer);
        assert_true(sizeof(answer) < datagram.size);
        assert_int_equal(load_u64(answer + 3), hello.record_sequence);
        pair->verified++;
        if (pair->sent++ != pair->lost)
            dtls_input(pair->client, pair->now_us, bytes_of(answer, sizeof(answer)));
        return;
    }
    pair->hello_sequence = hello.record_sequence;
    pair->server =
        dtls_new(&(struct dtls_config){ .context = pair->server_context, .cookie_checked = true },
                 pair->now_us);
    assert_int_equal(dtls_input(pair->server, pair->now_us, datagram), 0);
}

/** One exchange in both directions; false when nobody had anything to say. */
static bool exchange(struct cookie_pair *pair)
{
    bool said = false;
    for (size_t i = 0; i < 2; i++) {
        struct dtls *from = i == 0 ? pair->client : pair->server;
        if (!from)
            continue;
        datagram_batch_clear(&pair->batch);
        dtls_output(from, pair->now_us, &pair->path, &pair->batch);
        struct datagram_cursor cursor = { 0 };
        struct net_path path;
        const uint8_t *data;
        size_t size;
        while (datagram_batch_next(&pair->batch, &cursor, &path, &data, &size)) {
            said = true;
            if (i == 1 && pair->server_sequence == 0)
                pair->server_sequence = load_u64(data + 3);
            if (pair->sent++ == pair->lost)
                continue;
            struct dtls *to = i == 0 ? pair->server : pair->client;
            if (to)
                dtls_input(to, pair->now_us, bytes_of(data, size));
            else
                strange_input(pair, bytes_of(data, size));
        }
    }
    take_events(pair);
    return said;
}

static void run(struct cookie_pair *pair)
{
    for (int i = 0; i < 100 && !(pair->connected[0] && pair->connected[1]); i++) {
        if (exchange(pair))
            continue;
        uint64_t next_us = dtls_deadline(pair->client);
        if (pair->server)
            next_us = time_earlier(next_us, dtls_deadline(pair->server));
        assert_true(next_us != TIME_NEVER);
        pair->now_us = next_us;
        dtls_tick(pair->client, pair->now_us);
        if (pair->server)
            dtls_tick(pair->server, pair->now_us);
    }
    assert_true(pair->connected[0] && pair->connected[1]);
}

static void test_an_association_begins_with_the_second_hello(void **state)
{
    (void)state;
    struct cookie_pair pair;
    prepare(&pair);
    uint64_t began_us = pair.now_us;
    run(&pair);
    assert_int_equal(pair.verified, 1);
    assert_int_equal(pair.now_us, began_us); // nobody had to wait
    // RFC 6347, 4.2.1: the ServerHello has the record number of the ClientHello with cookie
    assert_int_equal(pair.hello_sequence, 1);
    assert_int_equal(pair.server_sequence, 1);
    done(&pair);
}

static void test_a_handshake_with_cookie_survives_the_loss_of_any_one_datagram(void **state)
{
    (void)state;
    for (uint32_t lost = 0; lost < 8; lost++) {
        struct cookie_pair pair;
        prepare(&pair);
        pair.lost = lost;
        run(&pair);
        done(&pair);
    }
}

/** The two hellos of a client, as bytes. */
static void hellos(struct cookie_pair *pair, uint8_t first[2048], size_t *first_size,
                   uint8_t second[2048], size_t *second_size)
{
    struct net_path path;
    const uint8_t *data;
    dtls_output(pair->client, pair->now_us, &pair->path, &pair->batch);
    struct datagram_cursor cursor = { 0 };
    assert_true(datagram_batch_next(&pair->batch, &cursor, &path, &data, first_size));
    memcpy(first, data, *first_size);
    struct dtls_client_hello hello;
    assert_int_equal(dtls_client_hello_parse(bytes_of(first, *first_size), &hello), 0);
    assert_int_equal(hello.cookie.size, 0);
    uint8_t answer[DTLS_HELLO_VERIFY_SIZE];
    dtls_hello_verify_write(&pair->key, pair->now_us, &pair->path, &hello, answer);
    dtls_input(pair->client, pair->now_us, bytes_of(answer, sizeof(answer)));
    datagram_batch_clear(&pair->batch);
    dtls_output(pair->client, pair->now_us, &pair->path, &pair->batch);
    cursor = (struct datagram_cursor){ 0 };
    assert_true(datagram_batch_next(&pair->batch, &cursor, &path, &data, second_size));
    memcpy(second, data, *second_size);
}

static bool is_right(struct cookie_pair *pair, const uint8_t *data, size_t size)
{
    struct dtls_client_hello hello;
    return dtls_client_hello_parse(bytes_of(data, size), &hello) == 0 &&
           dtls_cookie_is_right(&pair->key, pair->now_us, &pair->path, &hello);
}

static void test_a_cookie_is_bound_to_address_secret_and_parameters(void **state)
{
    (void)state;
    struct cookie_pair pair;
    prepare(&pair);
    uint8_t first[2048], hello[2048];
    size_t first_size, size;
    hellos(&pair, first, &first_size, hello, &size);
    assert_false(is_right(&pair, first, first_size));
    assert_true(is_right(&pair, hello, size));
    struct net_path path = pair.path;
    pair.path.remote.port++;
    assert_false(is_right(&pair, hello, size));
    pair.path = path;
    pair.path.remote.ip[3] ^= 1;
    assert_false(is_right(&pair, hello, size));
    pair.path = path;
    pair.path.local.port++;
    assert_false(is_right(&pair, hello, size));
    pair.path = path;
    struct dtls_cookie_key key = pair.key;
    static const uint8_t other[32] = { 8 };
    dtls_cookie_key_init(&pair.key, other);
    assert_false(is_right(&pair, hello, size));
    pair.key = key;
    // version, random, session id, cookie, suites, compression: all that stands at their places
    struct dtls_client_hello parsed;
    assert_int_equal(dtls_client_hello_parse(bytes_of(hello, size), &parsed), 0);
    size_t end = (size_t)(parsed.choices.data + parsed.choices.size - hello);
    for (size_t at = 25; at < end; at++) {
        hello[at] ^= 1;
        assert_false(is_right(&pair, hello, size));
        hello[at] ^= 1;
    }
    assert_true(is_right(&pair, hello, size));
    hello[13 + 5] = 0; // message_seq of a hello without cookie
    assert_false(is_right(&pair, hello, size));
    done(&pair);
}

static void test_a_cookie_grows_old(void **state)
{
    (void)state;
    struct cookie_pair pair;
    prepare(&pair);
    pair.now_us = 5ull * DTLS_COOKIE_LIFETIME_US + DTLS_COOKIE_LIFETIME_US - 1;
    uint8_t first[2048], hello[2048];
    size_t first_size, size;
    hellos(&pair, first, &first_size, hello, &size);
    pair.now_us += DTLS_COOKIE_LIFETIME_US;
    assert_true(is_right(&pair, hello, size));
    pair.now_us += 1;
    assert_false(is_right(&pair, hello, size));
    pair.now_us = 5ull * DTLS_COOKIE_LIFETIME_US - 1; // not yet made
    assert_false(is_right(&pair, hello, size));
    pair.now_us = (5ull + 256) * DTLS_COOKIE_LIFETIME_US; // the same low byte
    assert_false(is_right(&pair, hello, size));
    done(&pair);
}

static void test_only_whole_hellos_are_read(void **state)
{
    (void)state;
    struct cookie_pair pair;
    prepare(&pair);
    uint8_t hello[2048], second[2048];
    size_t size, second_size;
    hellos(&pair, hello, &size, second, &second_size);
    struct dtls_client_hello parsed;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1);
        memcpy(exact, hello, cut);
        assert_int_equal(dtls_client_hello_parse(bytes_of(exact, cut), &parsed), -EINVAL);
        free(exact);
    }
    hello[size] = 0; // something behind it
    assert_int_equal(dtls_client_hello_parse(bytes_of(hello, size + 1), &parsed), -EINVAL);
    static const size_t places[] = { 0, 4, 13, 16, 21, 24 }; // type, epoch, message, fragment
    for (size_t i = 0; i < array_size(places); i++) {
        hello[places[i]] ^= 1;
        assert_int_equal(dtls_client_hello_parse(bytes_of(hello, size), &parsed), -EINVAL);
        hello[places[i]] ^= 1;
    }
    assert_int_equal(dtls_client_hello_parse(bytes_of(hello, size), &parsed), 0);
    done(&pair);
}

static void pass_in_place(struct cookie_pair *pair, struct dtls *from, struct dtls *to, size_t size)
{
    uint8_t *plain = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        plain[i] = (uint8_t)random_u32(&pair->random);
    uint8_t *record = malloc(size + DTLS_RECORD_OVERHEAD);
    memcpy(record + DTLS_RECORD_PREFIX, plain, size);
    assert_int_equal(dtls_seal(from, record, size), 0);
    size_t at = 0;
    struct bytes data;
    assert_int_equal(dtls_open(to, pair->now_us, record, size + DTLS_RECORD_OVERHEAD, &at, &data),
                     1);
    assert_true(bytes_equal(data, bytes_of(plain, size)));
    assert_int_equal(dtls_open(to, pair->now_us, record, size + DTLS_RECORD_OVERHEAD, &at, &data),
                     0);
    free(record);
    free(plain);
}

static void test_records_of_every_size_pass_in_place(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 20, 1200, 1463, 1500, 9000, PLAIN_MAX };
    struct cookie_pair pair;
    prepare(&pair);
    run(&pair);
    for (size_t i = 0; i < array_size(sizes); i++) {
        pass_in_place(&pair, pair.client, pair.server, sizes[i]);
        pass_in_place(&pair, pair.server, pair.client, sizes[i]);
    }
    static uint8_t too_large[PLAIN_MAX + 1 + DTLS_RECORD_OVERHEAD];
    assert_int_equal(dtls_seal(pair.client, too_large, PLAIN_MAX + 1), -EMSGSIZE);
    done(&pair);
}

static void test_several_records_of_one_datagram_come_one_by_one(void **state)
{
    (void)state;
    struct cookie_pair pair;
    prepare(&pair);
    run(&pair);
    uint8_t datagram[3 * (DTLS_RECORD_OVERHEAD + 4)];
    size_t size = 0;
    for (uint8_t i = 0; i < 3; i++) {
        memset(datagram + size + DTLS_RECORD_PREFIX, i, 4);
        assert_int_equal(dtls_seal(pair.client, datagram + size, 4), 0);
        size += DTLS_RECORD_OVERHEAD + 4;
    }
    datagram[size / 3 + DTLS_RECORD_PREFIX] ^= 1; // the second one is forged
    size_t at = 0;
    struct bytes data;
    assert_int_equal(dtls_open(pair.server, pair.now_us, datagram, size, &at, &data), 1);
    assert_int_equal(data.data[0], 0);
    assert_int_equal(dtls_open(pair.server, pair.now_us, datagram, size, &at, &data), 1);
    assert_int_equal(data.data[0], 2);
    assert_int_equal(dtls_open(pair.server, pair.now_us, datagram, size, &at, &data), 0);
    done(&pair);
}

static void test_a_record_opens_once(void **state)
{
    (void)state;
    struct cookie_pair pair;
    prepare(&pair);
    run(&pair);
    uint8_t record[DTLS_RECORD_OVERHEAD + 4] = { 0 }, again[sizeof(record)];
    assert_int_equal(dtls_seal(pair.client, record, 4), 0);
    memcpy(again, record, sizeof(record));
    size_t at = 0;
    struct bytes data;
    assert_int_equal(dtls_open(pair.server, pair.now_us, record, sizeof(record), &at, &data), 1);
    at = 0;
    assert_int_equal(dtls_open(pair.server, pair.now_us, again, sizeof(again), &at, &data), 0);
    done(&pair);
}

static void test_close_notify_ends_what_is_opened_in_place(void **state)
{
    (void)state;
    struct cookie_pair pair;
    prepare(&pair);
    run(&pair);
    dtls_close(pair.client);
    datagram_batch_clear(&pair.batch);
    dtls_output(pair.client, pair.now_us, &pair.path, &pair.batch);
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *sent;
    size_t size, at = 0;
    assert_true(datagram_batch_next(&pair.batch, &cursor, &path, &sent, &size));
    uint8_t datagram[64];
    memcpy(datagram, sent, size);
    struct bytes data;
    assert_int_equal(dtls_open(pair.server, pair.now_us, datagram, size, &at, &data), 0);
    take_events(&pair);
    assert_true(pair.ended[1]);
    uint8_t record[DTLS_RECORD_OVERHEAD] = { 0 };
    assert_int_equal(dtls_seal(pair.server, record, 0), -ENOTCONN);
    assert_int_equal(dtls_seal(pair.client, record, 0), -ENOTCONN);
    // the answer to it
    assert_false(dtls_has_output(pair.server));
    dtls_close(pair.server);
    assert_true(dtls_has_output(pair.server));
    datagram_batch_clear(&pair.batch);
    dtls_output(pair.server, pair.now_us, &pair.path, &pair.batch);
    dtls_close(pair.server);
    assert_false(dtls_has_output(pair.server));
    done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_association_begins_with_the_second_hello),
        cmocka_unit_test(test_a_handshake_with_cookie_survives_the_loss_of_any_one_datagram),
        cmocka_unit_test(test_a_cookie_is_bound_to_address_secret_and_parameters),
        cmocka_unit_test(test_a_cookie_grows_old),
        cmocka_unit_test(test_only_whole_hellos_are_read),
        cmocka_unit_test(test_records_of_every_size_pass_in_place),
        cmocka_unit_test(test_several_records_of_one_datagram_come_one_by_one),
        cmocka_unit_test(test_a_record_opens_once),
        cmocka_unit_test(test_close_notify_ends_what_is_opened_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
