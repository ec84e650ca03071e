#include "crypto/tls_int.h"
#include "crypto/tls_records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/memory.h"
#include "crypto/hash.h"

#define BROKE             "The TLS connection broke: "
#define SUITE_AES_128_GCM (TLS1_3_CK_AES_128_GCM_SHA256 & 0xffff)
#define SUITE_AES_256_GCM (TLS1_3_CK_AES_256_GCM_SHA384 & 0xffff)

/** The first secrets of application data, as OpenSSL tells them for logs of keys. */
struct tls_secrets {
    uint8_t client[TLS_SECRET_SIZE_MAX];
    uint8_t server[TLS_SECRET_SIZE_MAX];
    size_t client_size; // 0: not told
    size_t server_size;
};

struct tls_stream {
    struct tls_context *context;
    SSL *ssl; // NULL: `records` has taken over
    struct tls_records *records;
    struct tls_secrets *secrets; // of a server's handshake
    struct byte_queue input;     // ciphertext from the network
    struct byte_queue output;    // ciphertext for it
    struct byte_queue_pair pair;
    enum tls_state state;
    bool closed; // our close_notify was written
    char *alpn;  // NULL: none
    char *error; // NULL: none
    const char *version;
};

static struct tls_stream *stream_new(struct tls_context *context)
{
    struct tls_stream *stream = memory_new(struct tls_stream);
    stream->context = tls_context_ref(context);
    stream->pair = (struct byte_queue_pair){ &stream->input, &stream->output };
    stream->ssl = SSL_new(context->openssl);
    ensure(stream->ssl);
    BIO *bio = byte_queue_bio(context->bio_method, &stream->pair);
    SSL_set_bio(stream->ssl, bio, bio);
    return stream;
}

static void stream_failed(struct tls_stream *stream, const char *what, const char *why)
{
    char sentence[TLS_ERROR_SIZE];
    struct text_builder error = text_builder_of(sentence, sizeof(sentence));
    long verified = stream->ssl ? SSL_get_verify_result(stream->ssl) : X509_V_OK;
    text_append(&error, what);
    if (why) {
        text_append(&error, why);
    } else if (stream->context->verify && verified != X509_V_OK) {
        text_append(&error, X509_verify_cert_error_string(verified));
        ERR_clear_error();
    } else {
        openssl_error_take(&error);
    }
    text_append(&error, ".");
    free(stream->error);
    stream->error = memory_copy(sentence, strlen(sentence));
    stream->state = TLS_FAILED;
}

/** ---- from OpenSSL to records of our own ---- */

static bool is_secret(const char *line, const char *label)
{
    size_t size = strlen(label);
    return strncmp(line, label, size) == 0 && line[size] == ' ';
}

/** Returns its size, 0 when it is none of ours. */
static size_t read_secret(const char *hex, uint8_t out[TLS_SECRET_SIZE_MAX])
{
    int size = text_hex_parse(bytes_of_text(hex), out, TLS_SECRET_SIZE_MAX);
    return size == HASH_SHA256_SIZE || size == TLS_SECRET_SIZE_MAX ? (size_t)size : 0;
}

/** A line is a label, the client's random number and the secret, in hex (RFC 9850, 2). */
void tls_stream_note_secret(const SSL *ssl, const char *line)
{
    struct tls_stream *stream = SSL_get_app_data(ssl);
    struct tls_secrets *secrets = stream->secrets;
    const char *hex = strrchr(line, ' ');
    if (!secrets || !hex)
        return;
    if (is_secret(line, "CLIENT_TRAFFIC_SECRET_0"))
        secrets->client_size = read_secret(hex + 1, secrets->client);
    else if (is_secret(line, "SERVER_TRAFFIC_SECRET_0"))
        secrets->server_size = read_secret(hex + 1, secrets->server);
}

static void forget_secrets(struct tls_stream *stream)
{
    if (!stream->secrets)
        return;
    memory_wipe(stream->secrets, sizeof(*stream->secrets));
    free(stream->secrets);
    stream->secrets = NULL;
}

/** The records of the output from `at` on: the tickets, which the last flight consists of. */
static uint64_t count_records(struct bytes output, size_t at)
{
    uint64_t count = 0;
    for (; at + 5 <= output.size;
         at += 5 + ((size_t)output.data[at + 3] << 8 | output.data[at + 4]))
        count++;
    return count;
}

/** Some small devices have no room for whole records, and say so (RFC 6066, 4). */
static bool wants_short_records(const struct tls_stream *stream)
{
    const SSL_SESSION *session = SSL_get_session(stream->ssl);
    return session &&
           SSL_SESSION_get_max_fragment_length(session) != TLSEXT_max_fragment_length_DISABLED;
}

static bool may_take_over(const struct tls_stream *stream)
{
    const struct tls_secrets *secrets = stream->secrets;
    uint16_t suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(stream->ssl));
    return secrets && secrets->client_size > 0 && secrets->client_size == secrets->server_size &&
           (suite == SUITE_AES_128_GCM || suite == SUITE_AES_256_GCM) &&
           !wants_short_records(stream) && SSL_has_pending(stream->ssl) == 0;
}

/** `before`: the size of the output when the client's last message was not yet handled. */
static void take_over(struct tls_stream *stream, size_t before)
{
    const struct tls_secrets *secrets = stream->secrets;
    if (may_take_over(stream)) {
        stream->records = memory_new(struct tls_records);
        tls_records_init(stream->records, stream->context->ciphers,
                         bytes_of(secrets->client, secrets->client_size),
                         bytes_of(secrets->server, secrets->server_size),
                         count_records(byte_queue_view(&stream->output), before));
        SSL_free(stream->ssl);
        stream->ssl = NULL;
    }
    forget_secrets(stream);
}

/** ---- the handshake ---- */

static void handshake_done(struct tls_stream *stream)
{
    const unsigned char *alpn;
    unsigned int alpn_size;
    SSL_get0_alpn_selected(stream->ssl, &alpn, &alpn_size);
    if (alpn_size > 0 && alpn_size < TLS_ALPN_SIZE_MAX)
        stream->alpn = memory_copy(alpn, alpn_size);
    stream->version = SSL_get_version(stream->ssl);
    stream->state = TLS_OPEN;
}

static void continue_handshake(struct tls_stream *stream)
{
    if (stream->state != TLS_HANDSHAKE)
        return;
    ERR_clear_error();
    size_t before = byte_queue_size(&stream->output);
    int result = SSL_do_handshake(stream->ssl);
    if (result == 1) {
        handshake_done(stream);
        take_over(stream, before);
    } else if (SSL_get_error(stream->ssl, result) != SSL_ERROR_WANT_READ) {
        stream_failed(stream, "The TLS handshake failed: ", NULL);
    }
}

struct tls_stream *tls_stream_new_server(struct tls_server_context *context)
{
    struct tls_stream *stream = stream_new(&context->common);
    SSL_set_accept_state(stream->ssl);
    SSL_set_app_data(stream->ssl, stream);
    stream->secrets = memory_new(struct tls_secrets);
    return stream;
}

/** Server Name Indication is for DNS names only (RFC 6066, 3). */
static void set_server_name(SSL *ssl, const char *name, bool verify)
{
    struct net_address address;
    if (net_address_parse_ip(name, 0, &address) == 0) {
        if (verify)
            X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), address.ip,
                                      address.family == NET_IPV4 ? 4 : 16);
        return;
    }
    // what SSL_set_tlsext_host_name does, which casts the const away
    SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)name);
    if (verify)
        SSL_set1_host(ssl, name);
}

struct tls_stream *tls_stream_new_client(struct tls_client_context *context,
                                         const char *server_name)
{
    struct tls_stream *stream = stream_new(&context->common);
    SSL_set_connect_state(stream->ssl);
    if (server_name)
        set_server_name(stream->ssl, server_name, context->common.verify);
    continue_handshake(stream);
    return stream;
}

void tls_stream_free(struct tls_stream *stream)
{
    if (!stream)
        return;
    SSL_free(stream->ssl);
    if (stream->records)
        tls_records_done(stream->records);
    free(stream->records);
    forget_secrets(stream);
    free(stream->alpn);
    free(stream->error);
    byte_queue_done(&stream->input);
    byte_queue_done(&stream->output);
    tls_context_unref(stream->context);
    free(stream);
}

enum tls_state tls_stream_state(const struct tls_stream *stream)
{
    return stream->state;
}

const char *tls_stream_error(const struct tls_stream *stream)
{
    return stream->error ? stream->error : "";
}

ssize_t tls_stream_input(struct tls_stream *stream, struct bytes network)
{
    if (stream->state == TLS_FAILED)
        return -EPROTO;
    size_t room = TLS_INPUT_SIZE_MAX - byte_queue_size(&stream->input);
    size_t taken = min_of(room, network.size);
    byte_queue_add(&stream->input, bytes_of(network.data, taken));
    continue_handshake(stream);
    return (ssize_t)taken;
}

/** Returns as tls_stream_read. */
static ssize_t read_records(struct tls_stream *stream, void *out, size_t capacity)
{
    const char *problem;
    switch (tls_records_next(stream->records, &stream->input, &stream->output, &problem)) {
    case TLS_RECORD_DATA:
        return (ssize_t)tls_records_read(stream->records, &stream->input, out, capacity);
    case TLS_RECORD_NONE:
        return -EAGAIN;
    case TLS_RECORD_CLOSED:
        stream->state = TLS_PEER_CLOSED;
        return 0;
    default:
        stream_failed(stream, BROKE, problem);
        return -EPROTO;
    }
}

static ssize_t read_openssl(struct tls_stream *stream, void *out, size_t capacity)
{
    size_t size = 0;
    ERR_clear_error();
    int result = SSL_read_ex(stream->ssl, out, capacity, &size);
    if (result == 1)
        return (ssize_t)size;
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        stream->state = TLS_PEER_CLOSED;
        return 0;
    default:
        stream_failed(stream, BROKE, NULL);
        return -EPROTO;
    }
}

ssize_t tls_stream_read(struct tls_stream *stream, void *out, size_t capacity)
{
    if (stream->state == TLS_FAILED)
        return -EPROTO;
    if (stream->state == TLS_PEER_CLOSED)
        return 0;
    if (stream->state == TLS_HANDSHAKE || capacity == 0)
        return -EAGAIN;
    return stream->records ? read_records(stream, out, capacity)
                           : read_openssl(stream, out, capacity);
}

/** Takes a part from the front of `plain`; returns its size, 0 after a failure. */
static size_t write_some(struct tls_stream *stream, struct bytes plain)
{
    size_t size = min_of(plain.size, (size_t)TLS_PLAIN_SIZE_MAX);
    if (stream->records) {
        tls_records_write(stream->records, &stream->output, bytes_of(plain.data, size));
        return size;
    }
    if (SSL_write_ex(stream->ssl, plain.data, plain.size, &size) == 1)
        return size;
    stream_failed(stream, BROKE, NULL);
    return 0;
}

ssize_t tls_stream_write(struct tls_stream *stream, struct bytes plain)
{
    if (stream->state == TLS_FAILED)
        return -EPROTO;
    if (stream->closed)
        return -EPIPE;
    if (stream->state == TLS_HANDSHAKE)
        return -EAGAIN;
    size_t taken = 0;
    ERR_clear_error();
    while (taken < plain.size && byte_queue_size(&stream->output) < TLS_OUTPUT_SIZE_MAX) {
        size_t size = write_some(stream, bytes_of(plain.data + taken, plain.size - taken));
        if (size == 0)
            return -EPROTO;
        taken += size;
    }
    return taken > 0 || plain.size == 0 ? (ssize_t)taken : -EAGAIN;
}

struct bytes tls_stream_output(const struct tls_stream *stream)
{
    return byte_queue_view(&stream->output);
}

void tls_stream_output_sent(struct tls_stream *stream, size_t size)
{
    byte_queue_remove(&stream->output, size);
}

void tls_stream_close(struct tls_stream *stream)
{
    if (stream->closed)
        return;
    stream->closed = true;
    if (stream->state != TLS_OPEN && stream->state != TLS_PEER_CLOSED)
        return;
    if (stream->records) {
        tls_records_close(stream->records, &stream->output);
    } else {
        ERR_clear_error();
        SSL_shutdown(stream->ssl);
        ERR_clear_error();
    }
}

const char *tls_stream_alpn(const struct tls_stream *stream)
{
    return stream->alpn ? stream->alpn : "";
}

const char *tls_stream_version(const struct tls_stream *stream)
{
    return stream->version ? stream->version : "";
}
