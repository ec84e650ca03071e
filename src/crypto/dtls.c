#include "crypto/openssl_int.h"

#include "crypto/dtls.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "crypto/x509_int.h"

// AES-GCM only: the record layer of proto/dtls goes on with the keys of these.
#define CIPHERS                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"

// Longer handshake messages than any honest certificate makes are not reassembled.
#define MESSAGE_SIZE_MAX (16l << 10)

// OpenSSL would retransmit by the wall clock; it shall never think that the time has come. (The
// handshake is given up long before; the largest value its type has room for is 71 minutes.)
#define OPENSSL_TIMER_US 4000000000u

struct dtls_context {
    atomic_uint references;
    SSL_CTX *openssl;
    BIO_METHOD *bio_method;
};

struct dtls_handshake {
    struct dtls_context *context;
    SSL *ssl;
    const struct dtls_handshake_ops *ops;
    void *owner;
    struct bytes datagram; // being read
    enum dtls_handshake_state state;
    bool wrong_certificate;
    bool listening; // the first ClientHello brings a cookie that was checked before
    char error[DTLS_HANDSHAKE_ERROR_SIZE];
};

// The BIO: one write is one datagram, one read takes one whole.

static int bio_write(BIO *bio, const char *data, int size)
{
    struct dtls_handshake *handshake = BIO_get_data(bio);
    handshake->ops->send(handshake->owner, bytes_of(data, (size_t)size));
    return size;
}

static int bio_read(BIO *bio, char *data, int size)
{
    struct dtls_handshake *handshake = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (handshake->datagram.size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t count = min_of(handshake->datagram.size, (size_t)size);
    memcpy(data, handshake->datagram.data, count);
    handshake->datagram = bytes_of(NULL, 0);
    return (int)count;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "datagrams");
    ensure(method);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

// Contexts.

/** Called instead of OpenSSL's chain verification: the fingerprint is the whole of the trust. */
static int verify_certificate(X509_STORE_CTX *store, void *owner)
{
    (void)owner;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct dtls_handshake *handshake = SSL_get_app_data(ssl);
    uint8_t *der = NULL;
    int size = i2d_X509(X509_STORE_CTX_get0_cert(store), &der);
    bool matches = size > 0 && handshake->ops->certificate_matches(
                                   handshake->owner, bytes_of(der, (size_t)max_of(size, 0)));
    OPENSSL_free(der);
    X509_STORE_CTX_set_error(store, matches ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    handshake->wrong_certificate = !matches;
    return matches;
}

/** For dtls_handshake_skip_cookie: the cookie was found right before OpenSSL saw it. */
static int accept_cookie(SSL *ssl unused, const unsigned char *cookie unused, unsigned size unused)
{
    return 1;
}

static void set_up_verification(SSL_CTX *openssl, bool any_peer)
{
    if (any_peer) {
        SSL_CTX_set_verify(openssl, SSL_VERIFY_NONE, NULL);
        return;
    }
    SSL_CTX_set_verify(openssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(openssl, verify_certificate, NULL);
}

static bool context_set_up(struct dtls_context *context, const struct dtls_context_config *config)
{
    SSL_CTX *openssl = context->openssl;
    SSL_CTX_set_options(openssl, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                     SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(openssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(openssl, MESSAGE_SIZE_MAX);
    SSL_CTX_set_cookie_verify_cb(openssl, accept_cookie);
    set_up_verification(openssl, config->any_peer);
    return SSL_CTX_set_min_proto_version(openssl, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(openssl, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(openssl, CIPHERS) == 1 &&
           (!config->certificate || certificate_install(config->certificate, openssl)) &&
           (!config->srtp_profiles ||
            SSL_CTX_set_tlsext_use_srtp(openssl, config->srtp_profiles) == 0); // sic: 0 is success
}

int dtls_context_new_with(struct certificate *certificate, const char *srtp_profiles,
                          struct text_builder *error, struct dtls_context **ret_context)
{
    const struct dtls_context_config config = {
        .certificate = certificate,
        .srtp_profiles = srtp_profiles,
    };
    return dtls_context_make(&config, error, ret_context);
}

int dtls_context_make(const struct dtls_context_config *config, struct text_builder *error,
                      struct dtls_context **ret_context)
{
    ERR_clear_error();
    struct dtls_context *context = memory_new(struct dtls_context);
    atomic_init(&context->references, 1);
    context->openssl = SSL_CTX_new(DTLS_method());
    context->bio_method = bio_method_new();
    if (!context->openssl || !context_set_up(context, config)) {
        if (error) {
            text_append(error, "DTLS cannot be set up: ");
            openssl_error_take(error);
            text_append(error, ".");
        }
        ERR_clear_error();
        dtls_context_unref(context);
        return -EINVAL;
    }
    *ret_context = context;
    return 0;
}

struct dtls_context *dtls_context_ref(struct dtls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

struct dtls_context *dtls_context_unref(struct dtls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) > 1)
        return NULL;
    SSL_CTX_free(context->openssl);
    BIO_meth_free(context->bio_method);
    free(context);
    return NULL;
}

// Handshakes.

static unsigned int never(SSL *ssl, unsigned int timer_us)
{
    (void)ssl;
    (void)timer_us;
    return OPENSSL_TIMER_US;
}

struct dtls_handshake *dtls_handshake_new(struct dtls_context *context, bool client, uint16_t mtu,
                                          const struct dtls_handshake_ops *ops, void *owner)
{
    struct dtls_handshake *handshake = memory_new(struct dtls_handshake);
    handshake->context = dtls_context_ref(context);
    handshake->ops = ops;
    handshake->owner = owner;
    handshake->ssl = SSL_new(context->openssl);
    BIO *bio = BIO_new(context->bio_method);
    ensure(handshake->ssl && bio);
    BIO_set_data(bio, handshake);
    BIO_set_init(bio, 1);
    SSL_set_bio(handshake->ssl, bio, bio);
    SSL_set_app_data(handshake->ssl, handshake);
    SSL_set_mtu(handshake->ssl, mtu);
    DTLS_set_timer_cb(handshake->ssl, never);
    if (client)
        SSL_set_connect_state(handshake->ssl);
    else
        SSL_set_accept_state(handshake->ssl);
    return handshake;
}

void dtls_handshake_free(struct dtls_handshake *handshake)
{
    if (!handshake)
        return;
    SSL_free(handshake->ssl);
    dtls_context_unref(handshake->context);
    free(handshake);
}

void dtls_handshake_skip_cookie(struct dtls_handshake *handshake)
{
    ensure(SSL_is_server(handshake->ssl));
    handshake->listening = true;
}

static void handshake_failed(struct dtls_handshake *handshake)
{
    struct text_builder error = text_builder_of(handshake->error, sizeof(handshake->error));
    if (handshake->wrong_certificate) {
        text_append(&error, "The peer's certificate does not match its fingerprint.");
        ERR_clear_error();
    } else {
        text_append(&error, "The DTLS handshake failed: ");
        openssl_error_take(&error);
        text_append(&error, ".");
    }
    handshake->state = DTLS_HANDSHAKE_FAILED;
}

/** Has OpenSSL begin with the second ClientHello; its message numbers go on from there. */
static bool handshake_listen(struct dtls_handshake *handshake)
{
    handshake->listening = false;
    BIO_ADDR *nowhere = BIO_ADDR_new();
    ensure(nowhere);
    int result = DTLSv1_listen(handshake->ssl, nowhere);
    BIO_ADDR_free(nowhere);
    return result == 1;
}

static enum dtls_handshake_state handshake_continue(struct dtls_handshake *handshake)
{
    if (handshake->state != DTLS_HANDSHAKE_RUNNING)
        return handshake->state;
    ERR_clear_error();
    if (handshake->listening && !handshake_listen(handshake)) {
        handshake_failed(handshake);
        return handshake->state;
    }
    int result = SSL_do_handshake(handshake->ssl);
    if (result == 1)
        handshake->state = DTLS_HANDSHAKE_DONE;
    else if (SSL_get_error(handshake->ssl, result) != SSL_ERROR_WANT_READ)
        handshake_failed(handshake);
    handshake->datagram = bytes_of(NULL, 0);
    return handshake->state;
}

enum dtls_handshake_state dtls_handshake_start(struct dtls_handshake *handshake)
{
    return SSL_is_server(handshake->ssl) ? handshake->state : handshake_continue(handshake);
}

enum dtls_handshake_state dtls_handshake_input(struct dtls_handshake *handshake,
                                               struct bytes datagram)
{
    handshake->datagram = datagram;
    return handshake_continue(handshake);
}

const char *dtls_handshake_error(const struct dtls_handshake *handshake)
{
    return handshake->error;
}

uint16_t dtls_handshake_srtp_profile(const struct dtls_handshake *handshake)
{
    const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(handshake->ssl);
    return profile ? (uint16_t)profile->id : 0;
}

int dtls_handshake_export(const struct dtls_handshake *handshake, const char *label, uint8_t *out,
                          size_t size)
{
    int done =
        SSL_export_keying_material(handshake->ssl, out, size, label, strlen(label), NULL, 0, 0);
    ERR_clear_error();
    return done == 1 ? 0 : -EPROTO;
}

/** The PRF of TLS 1.2 (RFC 5246, 5) with the hash of the cipher suite. */
static int prf(const EVP_MD *hash, struct bytes secret, struct bytes seed, uint8_t *out,
               size_t size)
{
    // OpenSSL's parameters are not const, though it only reads them
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                         (char *)(uintptr_t)EVP_MD_get0_name(hash), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)(uintptr_t)secret.data,
                                          secret.size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)seed.data,
                                          seed.size),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int done = context ? EVP_KDF_derive(context, out, size, parameters) : 0;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    ERR_clear_error();
    return done == 1 ? 0 : -EPROTO;
}

/**
 * RFC 5246, 6.3:  key_block = PRF(master_secret, "key expansion", server_random + client_random),
 * cut into client key, server key, client salt, server salt (AEAD ciphers have no MAC keys).
 */
int dtls_handshake_record_keys(const struct dtls_handshake *handshake,
                               struct dtls_record_keys *ret_keys)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(handshake->ssl);
    int nid = cipher ? SSL_CIPHER_get_cipher_nid(cipher) : NID_undef;
    if (nid != NID_aes_128_gcm && nid != NID_aes_256_gcm)
        return -EPROTO;
    static const char label[] = "key expansion";
    uint8_t master[48], seed[sizeof(label) - 1 + 64], block[2 * 32 + 2 * 4];
    size_t master_size =
        SSL_SESSION_get_master_key(SSL_get0_session(handshake->ssl), master, sizeof(master));
    memcpy(seed, label, sizeof(label) - 1);
    SSL_get_server_random(handshake->ssl, seed + sizeof(label) - 1, 32);
    SSL_get_client_random(handshake->ssl, seed + sizeof(label) - 1 + 32, 32);
    struct dtls_record_keys keys = { .key_size = nid == NID_aes_128_gcm ? 16 : 32 };
    int result = prf(SSL_CIPHER_get_handshake_digest(cipher), bytes_of(master, master_size),
                     bytes_of(seed, sizeof(seed)), block, 2 * keys.key_size + 8);
    if (result == 0) {
        struct reader reader = reader_of(block, sizeof(block));
        reader_copy(&reader, keys.client_key, keys.key_size);
        reader_copy(&reader, keys.server_key, keys.key_size);
        reader_copy(&reader, keys.client_salt, sizeof(keys.client_salt));
        reader_copy(&reader, keys.server_salt, sizeof(keys.server_salt));
        *ret_keys = keys;
    }
    memory_wipe(master, sizeof(master));
    memory_wipe(block, sizeof(block));
    memory_wipe(&keys, sizeof(keys));
    return result;
}
