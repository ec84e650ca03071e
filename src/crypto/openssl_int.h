/**
 * OpenSSL's headers. To be included first in a file: they use words as parameter names that
 * base/compiler.h defines.
 */
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/text.h"

/** Appends why OpenSSL's last call on this thread failed, and empties its queue of errors. */
static inline void openssl_error_take(struct text_builder *out)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    text_append(out, reason ? reason : "unknown error");
    ERR_clear_error();
}
