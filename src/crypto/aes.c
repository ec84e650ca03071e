#include "crypto/openssl_int.h"

#include "crypto/aes.h"

#include <limits.h>

// The context itself is the object: EVP keeps the key schedule and wipes it when freed.
static EVP_CIPHER_CTX *evp_of(struct aes_counter *counter)
{
    return (EVP_CIPHER_CTX *)(void *)counter;
}

struct aes_counter *aes_counter_new(struct bytes key)
{
    ensure(key.size == 16 || key.size == 32);
    EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();
    ensure(evp);
    const EVP_CIPHER *cipher = key.size == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr();
    int done = EVP_EncryptInit_ex(evp, cipher, NULL, key.data, NULL);
    ensure(done == 1);
    return (struct aes_counter *)(void *)evp;
}

void aes_counter_free(struct aes_counter *counter)
{
    EVP_CIPHER_CTX_free(evp_of(counter));
}

void aes_counter_crypt(struct aes_counter *counter, const uint8_t iv[AES_BLOCK_SIZE_BYTES],
                       struct bytes in, uint8_t *out)
{
    if (in.size == 0)
        return;
    ensure(in.size <= INT_MAX);
    int size;
    bool done = EVP_EncryptInit_ex(evp_of(counter), NULL, NULL, NULL, iv) == 1 &&
                EVP_EncryptUpdate(evp_of(counter), out, &size, in.data, (int)in.size) == 1;
    ensure(done);
}
