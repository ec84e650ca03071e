/** What contexts and streams of TLS share inside this folder. */
#pragma once

#include "crypto/byte_queue_int.h"

#include <stdatomic.h>

#include "crypto/cipher.h"
#include "crypto/tls.h"

/** The common part of server and client contexts. */
struct tls_context {
    atomic_uint references;
    SSL_CTX *openssl;
    BIO_METHOD *bio_method;
    struct cipher_provider *ciphers; // of a server: what its streams' records are sealed with
    uint8_t alpn[256];               // as on the wire: a length octet before each name
    unsigned int alpn_size;
    bool alpn_required;
    bool verify;
};

struct tls_server_context {
    struct tls_context common;
};

struct tls_client_context {
    struct tls_context common;
};

struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context);
/** OpenSSL's callback for logs of keys: the records' secrets come by it, and go nowhere else. */
void tls_stream_note_secret(const SSL *ssl, const char *line);
