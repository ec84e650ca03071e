#include "crypto/openssl_int.h"

#include "crypto/aead.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/memory.h"
#include "crypto/cipher_int.h"

struct aead {
    EVP_CIPHER_CTX *evp; // NULL when the provider's functions are used
#ifdef ROOST_HAVE_IPSEC_MB
    aes_gcm_enc_dec_t encrypt;
    aes_gcm_enc_dec_t decrypt;
    _Alignas(64) struct gcm_key_data schedule; // its vector loads want the alignment
#endif
};

static void use_openssl(struct aead *aead, struct bytes key)
{
    aead->evp = EVP_CIPHER_CTX_new();
    ensure(aead->evp);
    const EVP_CIPHER *cipher = key.size == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
    int done = EVP_CipherInit_ex(aead->evp, cipher, NULL, key.data, NULL, 1);
    ensure(done == 1);
}

#ifdef ROOST_HAVE_IPSEC_MB
static bool use_provider(struct aead *aead, const struct cipher_provider *provider,
                         struct bytes key)
{
    if (!provider || !provider->gcm_128_prepare)
        return false;
    if (key.size == 16) {
        provider->gcm_128_prepare(key.data, &aead->schedule);
        aead->encrypt = provider->gcm_128_encrypt;
        aead->decrypt = provider->gcm_128_decrypt;
    } else {
        provider->gcm_256_prepare(key.data, &aead->schedule);
        aead->encrypt = provider->gcm_256_encrypt;
        aead->decrypt = provider->gcm_256_decrypt;
    }
    return true;
}
#else
static bool use_provider(struct aead *aead, const struct cipher_provider *provider,
                         struct bytes key)
{
    (void)aead;
    (void)provider;
    (void)key;
    return false;
}
#endif

struct aead *aead_new(const struct cipher_provider *provider, struct bytes key)
{
    ensure(key.size == 16 || key.size == 32);
    struct aead *aead = aligned_alloc(_Alignof(struct aead), sizeof(*aead));
    ensure(aead);
    *aead = (struct aead){ 0 };
    if (!use_provider(aead, provider, key))
        use_openssl(aead, key);
    return aead;
}

void aead_free(struct aead *aead)
{
    if (!aead)
        return;
    EVP_CIPHER_CTX_free(aead->evp);
    memory_wipe(aead, sizeof(*aead));
    free(aead);
}

void aead_prefetch(const struct aead *aead)
{
    memory_prefetch(aead, sizeof(*aead));
}

/** Sets the IV and the additional data of one operation. */
static bool evp_begin(EVP_CIPHER_CTX *evp, const uint8_t *iv, struct bytes additional, int encrypt)
{
    int size;
    return EVP_CipherInit_ex(evp, NULL, NULL, NULL, iv, encrypt) == 1 &&
           (additional.size == 0 ||
            EVP_CipherUpdate(evp, NULL, &size, additional.data, (int)additional.size) == 1);
}

static bool evp_crypt(EVP_CIPHER_CTX *evp, struct bytes in, uint8_t *out)
{
    int size;
    return in.size == 0 || EVP_CipherUpdate(evp, out, &size, in.data, (int)in.size) == 1;
}

/** As EVP_CTRL_AEAD_GET_TAG does, without its detour over the control numbers of old. */
static bool evp_get_tag(EVP_CIPHER_CTX *evp, uint8_t *out)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, out, AEAD_TAG_SIZE),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CIPHER_CTX_get_params(evp, parameters) == 1;
}

void aead_seal(struct aead *aead, const uint8_t iv[AEAD_IV_SIZE], struct bytes additional,
               struct bytes plain, uint8_t *out)
{
    ensure(plain.size <= INT_MAX && additional.size <= INT_MAX);
#ifdef ROOST_HAVE_IPSEC_MB
    if (aead->encrypt) {
        _Alignas(64) struct gcm_context_data context;
        aead->encrypt(&aead->schedule, &context, out, plain.data, plain.size, iv, additional.data,
                      additional.size, out + plain.size, AEAD_TAG_SIZE);
        return;
    }
#endif
    int size;
    bool done = evp_begin(aead->evp, iv, additional, 1) && evp_crypt(aead->evp, plain, out) &&
                EVP_CipherFinal_ex(aead->evp, out + plain.size, &size) == 1 &&
                evp_get_tag(aead->evp, out + plain.size);
    ensure(done);
}

int aead_open(struct aead *aead, const uint8_t iv[AEAD_IV_SIZE], struct bytes additional,
              struct bytes sealed, uint8_t *out)
{
    if (sealed.size < AEAD_TAG_SIZE || sealed.size > INT_MAX || additional.size > INT_MAX)
        return -EINVAL;
    struct bytes cipher = bytes_of(sealed.data, sealed.size - AEAD_TAG_SIZE);
    uint8_t tag[AEAD_TAG_SIZE];
    __builtin_memcpy(tag, sealed.data + cipher.size, sizeof(tag));
#ifdef ROOST_HAVE_IPSEC_MB
    if (aead->decrypt) {
        _Alignas(64) struct gcm_context_data context;
        uint8_t expected[AEAD_TAG_SIZE];
        aead->decrypt(&aead->schedule, &context, out, cipher.data, cipher.size, iv, additional.data,
                      additional.size, expected, sizeof(expected));
        bool same = bytes_equal_constant_time(bytes_of(tag, sizeof(tag)),
                                              bytes_of(expected, sizeof(expected)));
        return same ? 0 : -EBADMSG;
    }
#endif
    int size;
    uint8_t nothing[AEAD_TAG_SIZE];
    bool begun = evp_begin(aead->evp, iv, additional, 0) &&
                 EVP_CIPHER_CTX_ctrl(aead->evp, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) == 1;
    ensure(begun);
    bool authentic =
        evp_crypt(aead->evp, cipher, out) && EVP_CipherFinal_ex(aead->evp, nothing, &size) == 1;
    return authentic ? 0 : -EBADMSG;
}
