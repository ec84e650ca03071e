/** The inside of a certificate, for the TLS and DTLS files of this folder. */
#pragma once

#include "crypto/openssl_int.h"

#include <stdatomic.h>

#include "crypto/x509.h"

struct certificate {
    atomic_uint references;
    X509 *leaf;
    STACK_OF(X509) * chain; // without the leaf; may be NULL
    EVP_PKEY *key;
    char fingerprint[CERTIFICATE_FINGERPRINT_SIZE];
    int64_t not_before_unix_s;
    int64_t not_after_unix_s;
};

/** Gives a context certificate, chain and key. */
static inline bool certificate_install(const struct certificate *certificate, SSL_CTX *context)
{
    return SSL_CTX_use_cert_and_key(context, certificate->leaf, certificate->key,
                                    certificate->chain, 1) == 1;
}
