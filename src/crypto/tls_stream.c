#include "crypto/tls_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/memory.h"

struct tls_stream {
    struct tls_context *context;
    SSL *ssl;
    struct byte_queue input;  // ciphertext from the network
    struct byte_queue output; // ciphertext for it
    struct byte_queue_pair pair;
    enum tls_state state;
    bool closed; // our close_notify was written
    char alpn[TLS_ALPN_SIZE_MAX];
    char server_name[TLS_SERVER_NAME_SIZE];
    char error[TLS_ERROR_SIZE];
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

static void stream_failed(struct tls_stream *stream, const char *what)
{
    struct text_builder error = text_builder_of(stream->error, sizeof(stream->error));
    long verified = SSL_get_verify_result(stream->ssl);
    text_append(&error, what);
    if (stream->context->verify && verified != X509_V_OK) {
        text_append(&error, X509_verify_cert_error_string(verified));
        ERR_clear_error();
    } else {
        openssl_error_take(&error);
    }
    text_append(&error, ".");
    stream->state = TLS_FAILED;
}

static void remember_names(struct tls_stream *stream)
{
    const unsigned char *alpn;
    unsigned int alpn_size;
    SSL_get0_alpn_selected(stream->ssl, &alpn, &alpn_size);
    struct bytes chosen = bytes_of(alpn_size ? alpn : NULL, alpn_size);
    if (text_copy(stream->alpn, sizeof(stream->alpn), chosen) < 0)
        stream->alpn[0] = '\0';
    const char *name = SSL_get_servername(stream->ssl, TLSEXT_NAMETYPE_host_name);
    struct bytes asked = name ? bytes_of_text(name) : bytes_of(NULL, 0);
    if (SSL_is_server(stream->ssl) &&
        text_copy(stream->server_name, sizeof(stream->server_name), asked) < 0)
        stream->server_name[0] = '\0';
}

static void continue_handshake(struct tls_stream *stream)
{
    if (stream->state != TLS_HANDSHAKE)
        return;
    ERR_clear_error();
    int result = SSL_do_handshake(stream->ssl);
    if (result == 1) {
        stream->state = TLS_OPEN;
        remember_names(stream);
    } else if (SSL_get_error(stream->ssl, result) != SSL_ERROR_WANT_READ) {
        stream_failed(stream, "The TLS handshake failed: ");
    }
}

struct tls_stream *tls_stream_new_server(struct tls_server_context *context)
{
    struct tls_stream *stream = stream_new(&context->common);
    SSL_set_accept_state(stream->ssl);
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
    return stream->error;
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

ssize_t tls_stream_read(struct tls_stream *stream, void *out, size_t capacity)
{
    if (stream->state == TLS_FAILED)
        return -EPROTO;
    if (stream->state == TLS_PEER_CLOSED)
        return 0;
    if (stream->state == TLS_HANDSHAKE || capacity == 0)
        return -EAGAIN;
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
        stream_failed(stream, "The TLS connection broke: ");
        return -EPROTO;
    }
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
        size_t size = 0;
        if (SSL_write_ex(stream->ssl, plain.data + taken, plain.size - taken, &size) != 1) {
            stream_failed(stream, "The TLS connection broke: ");
            return -EPROTO;
        }
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
    if (stream->state == TLS_OPEN || stream->state == TLS_PEER_CLOSED) {
        ERR_clear_error();
        SSL_shutdown(stream->ssl);
        ERR_clear_error();
    }
}

const char *tls_stream_alpn(const struct tls_stream *stream)
{
    return stream->alpn;
}

const char *tls_stream_server_name(const struct tls_stream *stream)
{
    return stream->server_name;
}

const char *tls_stream_version(const struct tls_stream *stream)
{
    return SSL_get_version(stream->ssl);
}
