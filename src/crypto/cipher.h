/**
 * Which implementation of the bulk ciphers to use. One provider is made at start (per process or
 * per worker), is read-only afterwards and may be shared between threads; it must outlive every
 * cipher made from it.
 */
#pragma once

#include "base/bytes.h"

enum cipher_choice {
    CIPHER_BEST,    /**< the fastest this CPU and this build have */
    CIPHER_OPENSSL, /**< OpenSSL EVP only */
};

struct cipher_provider;

/** Never NULL. */
struct cipher_provider *cipher_provider_new(enum cipher_choice choice);
void cipher_provider_free(struct cipher_provider *provider);
/** What AES-GCM runs on, for logs: "openssl", "ipsec-mb vaes-avx512". */
const char *cipher_provider_name(const struct cipher_provider *provider);
