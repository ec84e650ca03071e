/** What the cipher files of this folder share. */
#pragma once

#include "crypto/cipher.h"

#ifdef ROOST_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

struct cipher_provider {
    const char *name;
#ifdef ROOST_HAVE_IPSEC_MB
    /** All NULL: OpenSSL. They are plain functions that need no manager behind them. */
    aes_gcm_pre_t gcm_128_prepare;
    aes_gcm_pre_t gcm_256_prepare;
    aes_gcm_enc_dec_t gcm_128_encrypt;
    aes_gcm_enc_dec_t gcm_256_encrypt;
    aes_gcm_enc_dec_t gcm_128_decrypt;
    aes_gcm_enc_dec_t gcm_256_decrypt;
#endif
};
