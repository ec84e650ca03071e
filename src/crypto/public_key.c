#include "crypto/openssl_int.h"

#include <openssl/param_build.h>

#include "crypto/public_key.h"

#include <errno.h>

#include "base/memory.h"

#define RSA_BITS_MIN    2048
#define RSA_BITS_MAX    8192
#define RSA_EXPONENT    8 /**< bytes; longer ones only make checks slow */
#define COORDINATE_SIZE 32
#define POINT_SIZE      65

struct public_key {
    EVP_PKEY *key;
    enum signature_kind kind;
};

struct private_key {
    EVP_PKEY *key;
    enum signature_kind kind;
};

/** What signatures a key is for, or -EINVAL. */
static int kind_of(EVP_PKEY *key, enum signature_kind *ret_kind)
{
    char group[32] = "";
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        if (EVP_PKEY_get_bits(key) < RSA_BITS_MIN || EVP_PKEY_get_bits(key) > RSA_BITS_MAX)
            return -EINVAL;
        *ret_kind = SIGNATURE_RS256;
        return 0;
    case EVP_PKEY_EC:
        if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1 ||
            strcmp(group, "prime256v1") != 0)
            return -EINVAL;
        *ret_kind = SIGNATURE_ES256;
        return 0;
    case EVP_PKEY_ED25519:
        *ret_kind = SIGNATURE_EDDSA;
        return 0;
    default:
        return -EINVAL;
    }
}

/** Takes the OpenSSL key over. */
static int adopt(EVP_PKEY *key, struct public_key **ret_key)
{
    enum signature_kind kind;
    if (!key || kind_of(key, &kind) < 0) {
        EVP_PKEY_free(key);
        ERR_clear_error();
        return -EINVAL;
    }
    *ret_key = memory_new(struct public_key);
    **ret_key = (struct public_key){ .key = key, .kind = kind };
    return 0;
}

/** Never asks a terminal for a password. */
static int no_password(char *buffer, int size, int writing, void *owner)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)owner;
    return 0;
}

static EVP_PKEY *read_public(struct bytes pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    if (!key) {
        (void)BIO_reset(bio);
        X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        key = certificate ? X509_get_pubkey(certificate) : NULL;
        X509_free(certificate);
    }
    if (!key) {
        (void)BIO_reset(bio);
        key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    }
    BIO_free(bio);
    return key;
}

static int refuse(struct text_builder *error)
{
    if (error)
        text_append(error, "it is no PEM key of RSA (2048 to 8192 bits), P-256 or Ed25519");
    return -EINVAL;
}

int public_key_load(struct bytes pem, struct text_builder *error, struct public_key **ret_key)
{
    if (pem.size > INT32_MAX || adopt(read_public(pem), ret_key) < 0)
        return refuse(error);
    ERR_clear_error();
    return 0;
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

int public_key_from_rsa(struct bytes modulus, struct bytes exponent, struct public_key **ret_key)
{
    if (modulus.size > RSA_BITS_MAX / 8 || exponent.size > RSA_EXPONENT || exponent.size == 0)
        return -EINVAL;
    BIGNUM *n = BN_bin2bn(modulus.data, (int)modulus.size, NULL);
    BIGNUM *e = BN_bin2bn(exponent.data, (int)exponent.size, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    // an even exponent, or 1, makes every signature right
    if (BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY *key = make_key("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return adopt(key, ret_key);
}

int public_key_from_p256(struct bytes x, struct bytes y, struct public_key **ret_key)
{
    if (x.size != COORDINATE_SIZE || y.size != COORDINATE_SIZE)
        return -EINVAL;
    uint8_t point[POINT_SIZE] = { 4 }; // uncompressed; OpenSSL checks that it is on the curve
    memcpy(point + 1, x.data, COORDINATE_SIZE);
    memcpy(point + 1 + COORDINATE_SIZE, y.data, COORDINATE_SIZE);
    char group[] = "prime256v1";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end(),
    };
    return adopt(make_key("EC", params), ret_key);
}

int public_key_from_ed25519(struct bytes x, struct public_key **ret_key)
{
    if (x.size != 32)
        return -EINVAL;
    return adopt(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.size), ret_key);
}

void public_key_free(struct public_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

enum signature_kind public_key_kind(const struct public_key *key)
{
    return key->kind;
}

/** r and s as DER, which OpenSSL takes. Returns the size, or -EINVAL. */
static int ecdsa_to_der(struct bytes signature, uint8_t **ret_der)
{
    if (signature.size != 2 * COORDINATE_SIZE)
        return -EINVAL;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.data, COORDINATE_SIZE, NULL);
    BIGNUM *s = BN_bin2bn(signature.data + COORDINATE_SIZE, COORDINATE_SIZE, NULL);
    ensure(pair && ECDSA_SIG_set0(pair, r, s) == 1);
    *ret_der = NULL;
    int size = i2d_ECDSA_SIG(pair, ret_der);
    ECDSA_SIG_free(pair);
    return size > 0 ? size : -EINVAL;
}

static bool verify(const struct public_key *key, struct bytes data, struct bytes signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = key->kind == SIGNATURE_EDDSA ? NULL : EVP_sha256();
    bool good =
        EVP_DigestVerifyInit(context, NULL, digest, NULL, key->key) == 1 &&
        EVP_DigestVerify(context, signature.data, signature.size, data.data, data.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}

bool public_key_verify(const struct public_key *key, struct bytes data, struct bytes signature)
{
    if (key->kind != SIGNATURE_ES256)
        return verify(key, data, signature);
    uint8_t *der;
    int size = ecdsa_to_der(signature, &der);
    if (size < 0)
        return false;
    bool good = verify(key, data, bytes_of(der, (size_t)size));
    OPENSSL_free(der);
    return good;
}

int private_key_load(struct bytes pem, struct text_builder *error, struct private_key **ret_key)
{
    if (pem.size > INT32_MAX)
        return refuse(error);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    ERR_clear_error();
    enum signature_kind kind;
    if (!key || kind_of(key, &kind) < 0) {
        EVP_PKEY_free(key);
        return refuse(error);
    }
    *ret_key = memory_new(struct private_key);
    **ret_key = (struct private_key){ .key = key, .kind = kind };
    return 0;
}

void private_key_free(struct private_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

enum signature_kind private_key_kind(const struct private_key *key)
{
    return key->kind;
}

/** DER to r and s, 32 bytes each. */
static int ecdsa_from_der(const uint8_t *der, size_t size, uint8_t *out)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
    if (!pair)
        return -EINVAL;
    bool good = BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, COORDINATE_SIZE) > 0 &&
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + COORDINATE_SIZE, COORDINATE_SIZE) > 0;
    ECDSA_SIG_free(pair);
    return good ? 2 * COORDINATE_SIZE : -EINVAL;
}

int private_key_sign(const struct private_key *key, struct bytes data,
                     uint8_t out[SIGNATURE_SIZE_MAX])
{
    uint8_t signature[SIGNATURE_SIZE_MAX];
    size_t size = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = key->kind == SIGNATURE_EDDSA ? NULL : EVP_sha256();
    bool good = EVP_DigestSignInit(context, NULL, digest, NULL, key->key) == 1 &&
                EVP_DigestSign(context, signature, &size, data.data, data.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    if (!good)
        return -EINVAL;
    if (key->kind == SIGNATURE_ES256)
        return ecdsa_from_der(signature, size, out);
    memcpy(out, signature, size);
    return (int)size;
}
