// The record layer of TLS 1.3 between two of its ends, and what a peer may do wrong. The handover
// from the handshake, and OpenSSL as the other end, are in test_tls.c and in tests/unit/runtime.
#include "support/check.h"

#include "crypto/tls_records.h"

#include <stdlib.h>

#include "base/text.h"

#define DATA      23
#define ALERT     21
#define HANDSHAKE 22

struct end {
    struct tls_records records;
    struct byte_queue input;
    struct byte_queue output;
};

struct pair {
    struct cipher_provider *provider;
    struct end server;
    struct end client;
};

static void pair_init(struct pair *pair, size_t secret_size)
{
    uint8_t a[TLS_SECRET_SIZE_MAX], b[TLS_SECRET_SIZE_MAX];
    memset(a, 1, sizeof(a));
    memset(b, 2, sizeof(b));
    *pair = (struct pair){ .provider = cipher_provider_new(CIPHER_BEST) };
    struct bytes from_client = bytes_of(a, secret_size), from_server = bytes_of(b, secret_size);
    tls_records_init(&pair->server.records, pair->provider, from_client, from_server, 1);
    tls_records_init(&pair->client.records, pair->provider, from_server, from_client, 0);
    pair->client.records.in.sequence = 1; // a ticket came
}

static void end_done(struct end *end)
{
    byte_queue_done(&end->input);
    byte_queue_done(&end->output);
    tls_records_done(&end->records);
}

static void pair_done(struct pair *pair)
{
    end_done(&pair->server);
    end_done(&pair->client);
    cipher_provider_free(pair->provider);
}

static void carry(struct end *from, struct end *to)
{
    byte_queue_add(&to->input, byte_queue_view(&from->output));
    byte_queue_done(&from->output);
}

static enum tls_record_result next(struct end *end)
{
    const char *problem = "";
    return tls_records_next(&end->records, &end->input, &end->output, &problem);
}

static void expect_data(struct end *end, const char *text)
{
    char got[100] = "";
    assert_int_equal(next(end), TLS_RECORD_DATA);
    // in two pieces: the record waits between them
    size_t size = tls_records_read(&end->records, &end->input, got, 2);
    assert_int_equal(size, 2);
    assert_int_equal(next(end), TLS_RECORD_DATA);
    tls_records_read(&end->records, &end->input, got + size, sizeof(got) - size);
    assert_string_equal(got, text);
}

/** A record of any kind as `from` would send it. */
static void send_any(struct pair *pair, struct end *from, struct end *to, uint8_t type,
                     struct bytes content, size_t padding)
{
    struct tls_direction *out = &from->records.out;
    size_t inner_size = content.size + 1 + padding, size = inner_size + AEAD_TAG_SIZE;
    uint8_t *record = calloc(1, 5 + size);
    uint8_t header[5] = { DATA, 3, 3, (uint8_t)(size >> 8), (uint8_t)size };
    memcpy(record, header, 5);
    memcpy(record + 5, content.data, content.size);
    record[5 + content.size] = type;
    uint8_t iv[AEAD_IV_SIZE];
    memcpy(iv, out->iv, sizeof(iv));
    iv[AEAD_IV_SIZE - 1] ^= (uint8_t)out->sequence++;
    size_t key_size = from->records.secret_size == 32 ? 16 : 32;
    struct aead *aead = aead_new(pair->provider, bytes_of(out->key, key_size));
    aead_seal(aead, iv, bytes_of(header, 5), bytes_of(record + 5, inner_size), record + 5);
    aead_free(aead);
    byte_queue_add(&to->input, bytes_of(record, 5 + size));
    free(record);
}

static void test_keys_are_those_of_rfc_8448(void **state)
{
    (void)state; // 3, "Simple 1-RTT Handshake"
    static const char *const secrets[] = {
        "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
        "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
    };
    static const char *const keys[] = { "17422dda596ed5d9acd890e3c63f5051",
                                        "9f02283b6c9c07efc26bb9f2ac92e356" };
    static const char *const ivs[] = { "5b78923dee08579033e523d9", "cf782b88dd83549aadf1e984" };
    uint8_t client[32], server[32];
    assert_int_equal(text_hex_parse(bytes_of_text(secrets[0]), client, 32), 32);
    assert_int_equal(text_hex_parse(bytes_of_text(secrets[1]), server, 32), 32);
    struct tls_records records;
    tls_records_init(&records, NULL, bytes_of(client, 32), bytes_of(server, 32), 1);
    for (size_t i = 0; i < 2; i++) {
        const struct tls_direction *direction = i ? &records.out : &records.in;
        char key[2 * 16 + 1], iv[2 * AEAD_IV_SIZE + 1];
        text_hex_write(bytes_of(direction->key, 16), key);
        text_hex_write(bytes_of(direction->iv, AEAD_IV_SIZE), iv);
        assert_string_equal(key, keys[i]);
        assert_string_equal(iv, ivs[i]);
    }
    tls_records_done(&records);
}

static void test_data_passes_in_both_directions_and_leaves_no_memory(void **state)
{
    (void)state;
    for (size_t secret_size = 32; secret_size <= 48; secret_size += 16) {
        struct pair pair;
        pair_init(&pair, secret_size);
        for (int i = 0; i < 300; i++) { // the number of a record has more than one octet
            tls_records_write(&pair.server.records, &pair.server.output, bytes_of("hello", 5));
            carry(&pair.server, &pair.client);
            expect_data(&pair.client, "hello");
            tls_records_write(&pair.client.records, &pair.client.output, bytes_of("world", 5));
            carry(&pair.client, &pair.server);
            expect_data(&pair.server, "world");
        }
        assert_int_equal(next(&pair.server), TLS_RECORD_NONE);
        assert_null(pair.server.input.data);
        assert_null(pair.server.output.data);
        pair_done(&pair);
    }
}

static void test_a_record_may_come_octet_by_octet_and_padded(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 48);
    struct end wire = { 0 };
    send_any(&pair, &pair.client, &wire, DATA, bytes_of("padded", 6), 200);
    struct bytes all = byte_queue_view(&wire.input);
    for (size_t i = 0; i < all.size; i++) {
        assert_int_equal(next(&pair.server), TLS_RECORD_NONE);
        byte_queue_add(&pair.server.input, bytes_of(all.data + i, 1));
    }
    expect_data(&pair.server, "padded");
    // none in it is allowed, too
    send_any(&pair, &pair.client, &pair.server, DATA, bytes_of("", 0), 3);
    assert_int_equal(next(&pair.server), TLS_RECORD_NONE);
    assert_null(pair.server.input.data);
    byte_queue_done(&wire.input);
    pair_done(&pair);
}

static void test_keys_change_when_the_peer_asks_and_before_they_are_worn(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 32);
    pair.server.records.out.sequence = pair.client.records.in.sequence = 1u << 24;
    tls_records_write(&pair.server.records, &pair.server.output, bytes_of("after", 5));
    carry(&pair.server, &pair.client);
    expect_data(&pair.client, "after");
    assert_int_equal(pair.server.records.out.sequence, 1); // of the new key
    // asked for: answered, and both directions go on
    uint8_t before[AEAD_KEY_SIZE_MAX];
    memcpy(before, pair.server.records.in.key, sizeof(before));
    struct tls_records former = pair.client.records;
    pair.client.records.out.sequence = 1u << 24;
    pair.server.records.in.sequence = 1u << 24;
    tls_records_write(&pair.client.records, &pair.client.output, bytes_of("changed", 7));
    carry(&pair.client, &pair.server);
    expect_data(&pair.server, "changed");
    assert_memory_not_equal(before, pair.server.records.in.key, sizeof(before));
    assert_memory_not_equal(former.out.secret, pair.client.records.out.secret, 32);
    assert_null(pair.server.output.data); // it was not asked for
    send_any(&pair, &pair.client, &pair.server, HANDSHAKE, bytes_of("\x18\0\0\1\1", 5), 0);
    assert_int_equal(next(&pair.server), TLS_RECORD_NONE);
    assert_null(pair.server.output.data); // before the next data is early enough
    memcpy(before, pair.server.records.out.key, sizeof(before));
    tls_records_write(&pair.server.records, &pair.server.output, bytes_of("answer", 6));
    assert_memory_not_equal(before, pair.server.records.out.key, sizeof(before));
    assert_int_equal(pair.server.records.out.sequence, 1); // once
    carry(&pair.server, &pair.client);
    expect_data(&pair.client, "answer");
    pair_done(&pair);
}

static void test_close_notify_and_other_alerts(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 32);
    send_any(&pair, &pair.client, &pair.server, ALERT, bytes_of("\1\x5a", 2), 0); // user_canceled
    assert_int_equal(next(&pair.server), TLS_RECORD_NONE);
    tls_records_close(&pair.client.records, &pair.client.output);
    carry(&pair.client, &pair.server);
    assert_int_equal(next(&pair.server), TLS_RECORD_CLOSED);
    pair_done(&pair);
    pair_init(&pair, 32);
    send_any(&pair, &pair.client, &pair.server, ALERT, bytes_of("\2\x14", 2), 0);
    assert_int_equal(next(&pair.server), TLS_RECORD_FAILED);
    assert_null(pair.server.output.data); // an alert is not answered
    pair_done(&pair);
}

struct wrong {
    uint8_t type;
    const char *content;
    size_t size;
};

static void test_wrong_records_end_it_with_an_alert(void **state)
{
    (void)state;
    static const struct wrong cases[] = {
        { 20, "\1", 1 },                               // ChangeCipherSpec
        { 0, "", 0 },                                  // zeros only
        { HANDSHAKE, "", 0 },                          // empty
        { HANDSHAKE, "\1\0\0\0", 4 },                  // ClientHello
        { HANDSHAKE, "\x18\0\0\1\2", 5 },              // neither asked nor not
        { HANDSHAKE, "\x18\0\0\1", 4 },                // cut
        { HANDSHAKE, "\x18\0\0\1\0\x18\0\0\1\0", 10 }, // two
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct pair pair;
        pair_init(&pair, 32);
        send_any(&pair, &pair.client, &pair.server, cases[i].type,
                 bytes_of(cases[i].content, cases[i].size), 0);
        assert_int_equal(next(&pair.server), TLS_RECORD_FAILED);
        carry(&pair.server, &pair.client);
        assert_int_equal(next(&pair.client), TLS_RECORD_FAILED);
        pair_done(&pair);
    }
}

static void expect_refused(struct bytes raw)
{
    struct pair pair;
    pair_init(&pair, 32);
    byte_queue_add(&pair.server.input, raw);
    assert_int_equal(next(&pair.server), TLS_RECORD_FAILED);
    pair_done(&pair);
}

static void test_what_is_no_record_of_the_peer_is_refused(void **state)
{
    (void)state;
    expect_refused(bytes_of("\x17\3\3\x41\1", 5)); // longer than any
    expect_refused(bytes_of("\x14\3\3\0\1\1", 6)); // not protected
    expect_refused(bytes_of("\x17\3\3\0\x10"
                            "0123456789abcdef",
                            21)); // shorter than any
    expect_refused(bytes_of("\x17\3\3\0\x11"
                            "0123456789abcdefg",
                            22)); // forged
    // one that came already
    struct pair pair;
    pair_init(&pair, 32);
    tls_records_write(&pair.client.records, &pair.client.output, bytes_of("once", 4));
    byte_queue_add(&pair.server.input, byte_queue_view(&pair.client.output));
    carry(&pair.client, &pair.server);
    expect_data(&pair.server, "once");
    assert_int_equal(next(&pair.server), TLS_RECORD_FAILED);
    pair_done(&pair);
}

/** Sends a record without data. Returns what the server makes of it. */
static enum tls_record_result send_idle(struct pair *pair, uint8_t type, struct bytes content)
{
    send_any(pair, &pair->client, &pair->server, type, content, 0);
    enum tls_record_result result = next(&pair->server);
    pair->client.records.out = pair->server.records.in; // the client's new keys, if there are any
    return result;
}

static void test_records_without_data_are_bounded(void **state)
{
    (void)state;
    static const struct wrong cases[] = {
        { HANDSHAKE, "\x18\0\0\1\0", 5 }, // new keys
        { HANDSHAKE, "\x18\0\0\1\1", 5 }, // and some wanted
        { DATA, "", 0 },
        { ALERT, "\1\x5a", 2 }, // user_canceled
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct pair pair;
        pair_init(&pair, 32);
        struct bytes content = bytes_of(cases[i].content, cases[i].size);
        for (int round = 0; round < 2; round++) { // data makes up for them
            for (int count = 0; count < 32; count++)
                assert_int_equal(send_idle(&pair, cases[i].type, content), TLS_RECORD_NONE);
            send_any(&pair, &pair.client, &pair.server, DATA, bytes_of("data", 4), 0);
            expect_data(&pair.server, "data");
        }
        for (int count = 0; count < 32; count++)
            assert_int_equal(send_idle(&pair, cases[i].type, content), TLS_RECORD_NONE);
        assert_null(pair.server.output.data); // nothing that a peer could make us hold
        assert_int_equal(send_idle(&pair, cases[i].type, content), TLS_RECORD_FAILED);
        pair_done(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_those_of_rfc_8448),
        cmocka_unit_test(test_data_passes_in_both_directions_and_leaves_no_memory),
        cmocka_unit_test(test_a_record_may_come_octet_by_octet_and_padded),
        cmocka_unit_test(test_keys_change_when_the_peer_asks_and_before_they_are_worn),
        cmocka_unit_test(test_close_notify_and_other_alerts),
        cmocka_unit_test(test_wrong_records_end_it_with_an_alert),
        cmocka_unit_test(test_what_is_no_record_of_the_peer_is_refused),
        cmocka_unit_test(test_records_without_data_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
