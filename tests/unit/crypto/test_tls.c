#include "support/check.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "crypto/tls.h"

static const char *const server_alpn[] = { "http/1.1", "stun.turn" };

struct pair {
    struct certificate *certificate;
    struct tls_server_context *server_context;
    struct tls_client_context *client_context;
    struct tls_stream *server;
    struct tls_stream *client;
};

static struct certificate *make_certificate(const char *name)
{
    struct random random;
    random_seeded_init(&random, 1);
    struct certificate_request request = {
        .common_name = name,
        .names = &name,
        .name_count = 1,
        .not_before_unix_s = 1700000000,
        .not_after_unix_s = 4000000000,
    };
    struct certificate *certificate = NULL;
    assert_int_equal(certificate_make(&request, &random, &certificate), 0);
    return certificate;
}

static void pair_init(struct pair *pair, const struct tls_client_config *client, const char *name,
                      bool alpn_required)
{
    *pair = (struct pair){ .certificate = make_certificate("localhost") };
    struct tls_server_config server = { .certificate = pair->certificate,
                                        .alpn = server_alpn,
                                        .alpn_count = array_size(server_alpn),
                                        .alpn_required = alpn_required };
    assert_int_equal(tls_server_context_new(&server, NULL, &pair->server_context), 0);
    assert_int_equal(tls_client_context_new(client, NULL, &pair->client_context), 0);
    pair->server = tls_stream_new_server(pair->server_context);
    pair->client = tls_stream_new_client(pair->client_context, name);
}

static void pair_done(struct pair *pair)
{
    tls_stream_free(pair->server);
    tls_stream_free(pair->client);
    tls_server_context_unref(pair->server_context);
    tls_client_context_unref(pair->client_context);
    certificate_unref(pair->certificate);
}

/** Carries what `from` has to send, at most `piece` bytes at a time. Returns whether any moved. */
static bool carry(struct tls_stream *from, struct tls_stream *to, size_t piece)
{
    bool moved = false;
    for (;;) {
        struct bytes out = tls_stream_output(from);
        if (out.size == 0)
            return moved;
        size_t size = min_of(out.size, piece);
        uint8_t *copy = malloc(size); // exact, for the address sanitizer
        memcpy(copy, out.data, size);
        ssize_t taken = tls_stream_input(to, bytes_of(copy, size));
        free(copy);
        if (taken <= 0)
            return moved;
        tls_stream_output_sent(from, (size_t)taken);
        moved = true;
    }
}

static void shake_hands(struct pair *pair, size_t piece)
{
    while (carry(pair->client, pair->server, piece) || carry(pair->server, pair->client, piece))
        ;
}

static void test_a_handshake_needs_no_particular_cut_of_the_bytes(void **state)
{
    (void)state;
    static const char *const alpn[] = { "unknown", "stun.turn", "http/1.1" };
    for (size_t piece = 1; piece < 4000; piece = piece * 7 + 2) {
        struct pair pair;
        pair_init(&pair, &(struct tls_client_config){ .alpn = alpn, .alpn_count = 3 }, "localhost",
                  true);
        assert_int_equal(tls_stream_state(pair.server), TLS_HANDSHAKE);
        uint8_t byte;
        assert_int_equal(tls_stream_read(pair.server, &byte, 1), -EAGAIN);
        assert_int_equal(tls_stream_write(pair.client, bytes_of("x", 1)), -EAGAIN);
        shake_hands(&pair, piece);
        assert_int_equal(tls_stream_state(pair.server), TLS_OPEN);
        assert_int_equal(tls_stream_state(pair.client), TLS_OPEN);
        assert_text_equal(tls_stream_alpn(pair.server), "http/1.1"); // the server's order
        assert_text_equal(tls_stream_alpn(pair.client), "http/1.1");
        assert_text_equal(tls_stream_version(pair.server), "TLSv1.3");
        assert_text_equal(tls_stream_error(pair.server), "");
        pair_done(&pair);
    }
}

static void test_megabytes_pass_both_ways_within_bounded_buffers(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct tls_client_config){ 0 }, NULL, false);
    shake_hands(&pair, 5000);
    enum { TOTAL = 3 << 20 };
    uint8_t *sent = malloc(TOTAL), *received = malloc(TOTAL);
    struct random random;
    random_seeded_init(&random, 2);
    random_fill(&random, sent, TOTAL);
    for (int way = 0; way < 2; way++) {
        struct tls_stream *from = way ? pair.server : pair.client;
        struct tls_stream *to = way ? pair.client : pair.server;
        size_t written = 0, read = 0;
        bool was_full = false;
        while (read < TOTAL) {
            size_t wanted = TOTAL - written;
            ssize_t size = tls_stream_write(from, bytes_of(sent + written, wanted));
            assert_true(size > 0 || wanted == 0 || size == -EAGAIN);
            was_full |= size < (ssize_t)wanted;
            written += size > 0 ? (size_t)size : 0;
            assert_true(tls_stream_output(from).size < TLS_OUTPUT_SIZE_MAX + 20000);
            carry(from, to, 65536);
            for (int i = 0; i < 3; i++) { // a reader slower than the network
                size = tls_stream_read(to, received + read, min_of((size_t)9000, TOTAL - read));
                if (size > 0)
                    read += (size_t)size;
            }
        }
        assert_true(was_full);
        assert_memory_equal(sent, received, TOTAL);
    }
    free(sent);
    free(received);
    pair_done(&pair);
}

static void test_close_notify_ends_one_direction(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct tls_client_config){ 0 }, NULL, false);
    shake_hands(&pair, 5000);
    assert_int_equal(tls_stream_write(pair.client, bytes_of("last", 4)), 4);
    tls_stream_close(pair.client);
    tls_stream_close(pair.client);
    assert_int_equal(tls_stream_write(pair.client, bytes_of("more", 4)), -EPIPE);
    shake_hands(&pair, 5000);
    char text[16];
    assert_int_equal(tls_stream_read(pair.server, text, sizeof(text)), 4);
    assert_int_equal(tls_stream_read(pair.server, text, sizeof(text)), 0);
    assert_int_equal(tls_stream_state(pair.server), TLS_PEER_CLOSED);
    assert_int_equal(tls_stream_write(pair.server, bytes_of("answer", 6)), 6);
    shake_hands(&pair, 5000);
    assert_int_equal(tls_stream_read(pair.client, text, sizeof(text)), 6);
    pair_done(&pair);
}

static void test_plain_http_on_the_tls_port_fails_with_a_sentence(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct tls_client_config){ 0 }, NULL, false);
    assert_true(tls_stream_input(pair.server, bytes_of_text("GET / HTTP/1.1\r\n\r\n")) > 0);
    assert_int_equal(tls_stream_state(pair.server), TLS_FAILED);
    assert_text_equal(tls_stream_error(pair.server), "The TLS handshake failed: http request.");
    char text[16];
    assert_int_equal(tls_stream_read(pair.server, text, sizeof(text)), -EPROTO);
    assert_int_equal(tls_stream_write(pair.server, bytes_of("x", 1)), -EPROTO);
    assert_int_equal(tls_stream_input(pair.server, bytes_of("x", 1)), -EPROTO);
    pair_done(&pair);
}

static void test_a_flipped_bit_breaks_the_connection(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct tls_client_config){ 0 }, NULL, false);
    shake_hands(&pair, 5000);
    assert_int_equal(tls_stream_write(pair.client, bytes_of("secret", 6)), 6);
    struct bytes out = tls_stream_output(pair.client);
    uint8_t copy[1000];
    assert_null(memmem(out.data, out.size, "secret", 6));
    memcpy(copy, out.data, out.size);
    copy[out.size - 1] ^= 1;
    assert_int_equal(tls_stream_input(pair.server, bytes_of(copy, out.size)), out.size);
    char text[16];
    assert_int_equal(tls_stream_read(pair.server, text, sizeof(text)), -EPROTO);
    assert_int_equal(tls_stream_state(pair.server), TLS_FAILED);
    assert_true(tls_stream_output(pair.server).size > 0); // the alert
    pair_done(&pair);
}

static void test_clients_verify_chain_and_name(void **state)
{
    (void)state;
    struct certificate *trusted = make_certificate("localhost");
    char pem[4096];
    struct text_builder text = text_builder_of(pem, sizeof(pem));
    for (int which = 0; which < 3; which++) {
        struct pair pair;
        pair_init(&pair, &(struct tls_client_config){ 0 }, NULL, false);
        text = text_builder_of(pem, sizeof(pem));
        certificate_write_chain(which == 1 ? trusted : pair.certificate, &text);
        struct tls_client_config config = { .verify = true, .authorities_pem = bytes_of_text(pem) };
        struct tls_client_context *context;
        assert_int_equal(tls_client_context_new(&config, NULL, &context), 0);
        tls_stream_free(pair.client);
        pair.client = tls_stream_new_client(context, which == 2 ? "other.example" : "localhost");
        tls_client_context_unref(context); // the stream keeps it
        shake_hands(&pair, 5000);
        assert_int_equal(tls_stream_state(pair.client), which == 0 ? TLS_OPEN : TLS_FAILED);
        const char *error = tls_stream_error(pair.client);
        if (which == 1)
            assert_non_null(strstr(error, "certificate"));
        if (which == 2)
            assert_text_equal(error, "The TLS handshake failed: hostname mismatch.");
        pair_done(&pair);
    }
    certificate_unref(trusted);
}

static void test_a_missing_alpn_agreement_is_refused_only_when_required(void **state)
{
    (void)state;
    static const char *const alpn[] = { "unknown" };
    struct tls_client_config config = { .alpn = alpn, .alpn_count = 1 };
    for (int required = 0; required < 2; required++) {
        struct pair pair;
        pair_init(&pair, &config, NULL, required);
        shake_hands(&pair, 5000);
        assert_int_equal(tls_stream_state(pair.server), required ? TLS_FAILED : TLS_OPEN);
        assert_text_equal(tls_stream_alpn(pair.server), "");
        pair_done(&pair);
    }
}

static void test_streams_outlive_a_reloaded_context(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct tls_client_config){ 0 }, NULL, false);
    pair.server_context = tls_server_context_unref(pair.server_context);
    shake_hands(&pair, 5000);
    assert_int_equal(tls_stream_state(pair.server), TLS_OPEN);
    pair_done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_handshake_needs_no_particular_cut_of_the_bytes),
        cmocka_unit_test(test_megabytes_pass_both_ways_within_bounded_buffers),
        cmocka_unit_test(test_close_notify_ends_one_direction),
        cmocka_unit_test(test_plain_http_on_the_tls_port_fails_with_a_sentence),
        cmocka_unit_test(test_a_flipped_bit_breaks_the_connection),
        cmocka_unit_test(test_clients_verify_chain_and_name),
        cmocka_unit_test(test_a_missing_alpn_agreement_is_refused_only_when_required),
        cmocka_unit_test(test_streams_outlive_a_reloaded_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
