#include "crypto/tls_int.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "crypto/x509_int.h"

// TLS 1.2 with forward secrecy and AEAD only; TLS 1.3's own list is as good as it comes.
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(context->openssl);
    BIO_meth_free(context->bio_method);
    cipher_provider_free(context->ciphers);
    free(context);
}

static int failed(struct text_builder *error, const char *sentence)
{
    if (error) {
        text_append(error, sentence);
        openssl_error_take(error);
        text_append(error, ".");
    }
    ERR_clear_error();
    return -EINVAL;
}

/** RFC 7301, 3.1: a list of names, each behind its length. */
static int write_alpn(struct tls_context *context, const char *const *names, size_t count)
{
    struct writer writer = writer_of(context->alpn, sizeof(context->alpn));
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (length == 0 || length >= TLS_ALPN_SIZE_MAX)
            return -EINVAL;
        writer_u8(&writer, (uint8_t)length);
        writer_bytes(&writer, names[i], length);
    }
    context->alpn_size = (unsigned int)writer.size;
    return writer.failed ? -EINVAL : 0;
}

static bool context_open(struct tls_context *context, const SSL_METHOD *method)
{
    atomic_init(&context->references, 1);
    context->bio_method = byte_queue_bio_method();
    context->openssl = SSL_CTX_new(method);
    if (!context->openssl)
        return false;
    SSL_CTX_set_options(context->openssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                              SSL_OP_CIPHER_SERVER_PREFERENCE |
                                              SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context->openssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                           SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_set_min_proto_version(context->openssl, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context->openssl, CIPHERS) == 1;
}

// The server's side.

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                       const unsigned char *offered, unsigned int offered_size, void *owner)
{
    (void)ssl;
    const struct tls_context *context = owner;
    unsigned char *chosen;
    int result = SSL_select_next_proto(&chosen, out_size, context->alpn, context->alpn_size,
                                       offered, offered_size);
    if (result != OPENSSL_NPN_NEGOTIATED)
        return context->alpn_required ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

int tls_server_context_new(const struct tls_server_config *config, struct text_builder *error,
                           struct tls_server_context **ret_context)
{
    static const unsigned char session_id_context[] = "roost";
    ERR_clear_error();
    struct tls_server_context *context = memory_new(struct tls_server_context);
    struct tls_context *common = &context->common;
    int result = 0;
    if (!context_open(common, TLS_server_method()))
        result = failed(error, "TLS cannot be set up: ");
    else if (!config->certificate || !certificate_install(config->certificate, common->openssl))
        result = failed(error, "The certificate cannot be used: ");
    else if (write_alpn(common, config->alpn, config->alpn_count) < 0)
        result = failed(error, "The list of ALPN protocols is malformed: ");
    if (result < 0) {
        tls_context_unref(common);
        return result;
    }
    common->alpn_required = config->alpn_required;
    if (common->alpn_size > 0)
        SSL_CTX_set_alpn_select_cb(common->openssl, select_alpn, common);
    // stateless tickets only: nothing is kept for clients that are gone
    SSL_CTX_set_session_cache_mode(common->openssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(common->openssl, session_id_context,
                                   sizeof(session_id_context) - 1);
    SSL_CTX_set_num_tickets(common->openssl, 1);
    common->ciphers = cipher_provider_new(CIPHER_BEST);
    SSL_CTX_set_keylog_callback(common->openssl, tls_stream_note_secret);
    *ret_context = context;
    return 0;
}

struct tls_server_context *tls_server_context_ref(struct tls_server_context *context)
{
    tls_context_ref(&context->common);
    return context;
}

struct tls_server_context *tls_server_context_unref(struct tls_server_context *context)
{
    if (context)
        tls_context_unref(&context->common);
    return NULL;
}

// The client's side.

static bool trust(SSL_CTX *openssl, struct bytes authorities_pem)
{
    if (authorities_pem.size == 0)
        return SSL_CTX_set_default_verify_paths(openssl) == 1;
    if (authorities_pem.size > INT_MAX)
        return false;
    BIO *bio = BIO_new_mem_buf(authorities_pem.data, (int)authorities_pem.size);
    ensure(bio);
    int count = 0;
    X509 *authority;
    while ((authority = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(openssl), authority) == 1)
            count++;
        X509_free(authority);
    }
    ERR_clear_error();
    BIO_free(bio);
    return count > 0;
}

int tls_client_context_new(const struct tls_client_config *config, struct text_builder *error,
                           struct tls_client_context **ret_context)
{
    ERR_clear_error();
    struct tls_client_context *context = memory_new(struct tls_client_context);
    struct tls_context *common = &context->common;
    int result = 0;
    if (!context_open(common, TLS_client_method()))
        result = failed(error, "TLS cannot be set up: ");
    else if (config->verify && !trust(common->openssl, config->authorities_pem))
        result = failed(error, "The certificates of the authorities cannot be read: ");
    else if (config->certificate && !certificate_install(config->certificate, common->openssl))
        result = failed(error, "The certificate cannot be used: ");
    else if (write_alpn(common, config->alpn, config->alpn_count) < 0)
        result = failed(error, "The list of ALPN protocols is malformed: ");
    if (result < 0) {
        tls_context_unref(common);
        return result;
    }
    common->verify = config->verify;
    SSL_CTX_set_verify(common->openssl, config->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (common->alpn_size > 0)
        SSL_CTX_set_alpn_protos(common->openssl, common->alpn, common->alpn_size);
    *ret_context = context;
    return 0;
}

struct tls_client_context *tls_client_context_ref(struct tls_client_context *context)
{
    tls_context_ref(&context->common);
    return context;
}

struct tls_client_context *tls_client_context_unref(struct tls_client_context *context)
{
    if (context)
        tls_context_unref(&context->common);
    return NULL;
}
