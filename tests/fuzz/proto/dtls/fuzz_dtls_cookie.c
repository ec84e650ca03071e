// Arbitrary bytes as the first datagram of a stranger. What reads as a ClientHello gets a cookie
// smaller than itself; put into the hello, the cookie is right for its address and no other; and
// the handshake that begins with it copes with whatever else the hello says.
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "proto/dtls/dtls.h"
#include "proto/dtls/dtls_cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_US 12345678901u

static struct dtls_context *shared_context(void)
{
    static struct dtls_context *context;
    if (!context) {
        struct random random;
        random_seeded_init(&random, 1);
        struct certificate *certificate;
        int result = certificate_make(
            &(struct certificate_request){ .common_name = "fuzz", .not_after_unix_s = 1900000000 },
            &random, &certificate);
        ensure(result == 0);
        result = dtls_context_new_server(certificate, NULL, &context);
        ensure(result == 0);
        certificate_unref(certificate);
    }
    return context;
}

/** The same hello with `cookie`, as the client would send it again. */
static size_t with_cookie(struct bytes hello, const struct dtls_client_hello *parsed,
                          struct bytes cookie, uint8_t *out)
{
    size_t before = (size_t)(parsed->parameters.data - hello.data) + parsed->parameters.size;
    const uint8_t *after = parsed->choices.data;
    size_t left = (size_t)(hello.data + hello.size - after);
    memcpy(out, hello.data, before);
    out[before] = (uint8_t)cookie.size;
    memcpy(out + before + 1, cookie.data, cookie.size);
    memcpy(out + before + 1 + cookie.size, after, left);
    size_t size = before + 1 + cookie.size + left;
    store_u16(out + 11, (uint16_t)(size - 13));
    store_u24(out + 14, (uint32_t)(size - 25));
    store_u16(out + 17, 1);
    store_u24(out + 22, (uint32_t)(size - 25));
    return size;
}

static void handshake(struct bytes hello)
{
    struct dtls *dtls = dtls_new(
        &(struct dtls_config){ .context = shared_context(), .cookie_checked = true }, NOW_US);
    dtls_input(dtls, NOW_US, hello);
    struct datagram_batch batch;
    datagram_batch_init(&batch, 64 << 10, 64);
    struct net_path path = { 0 };
    dtls_output(dtls, NOW_US, &path, &batch);
    datagram_batch_done(&batch);
    dtls_free(dtls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes datagram = bytes_of(data, size);
    struct dtls_client_hello hello;
    if (dtls_client_hello_parse(datagram, &hello) < 0 || size > 8192)
        return 0;
    ensure(dtls_is_client_hello(datagram));
    static const uint8_t secret[32] = { 1 };
    struct dtls_cookie_key key;
    dtls_cookie_key_init(&key, secret);
    struct net_path path = { .local = net_address_ipv4(192, 0, 2, 1, 3478),
                             .remote = net_address_ipv4(192, 0, 2, 2, 40000) };
    uint8_t answer[DTLS_HELLO_VERIFY_SIZE], again[8192 + 64];
    dtls_hello_verify_write(&key, NOW_US, &path, &hello, answer);
    ensure(sizeof(answer) < size);
    struct bytes cookie =
        bytes_of(answer + sizeof(answer) - DTLS_COOKIE_SIZE, (size_t)DTLS_COOKIE_SIZE);
    size_t again_size = with_cookie(datagram, &hello, cookie, again);
    ensure(dtls_client_hello_parse(bytes_of(again, again_size), &hello) == 0);
    ensure(dtls_cookie_is_right(&key, NOW_US, &path, &hello));
    path.remote.port++;
    ensure(!dtls_cookie_is_right(&key, NOW_US, &path, &hello));
    handshake(bytes_of(again, again_size));
    return 0;
}
