#include "crypto/openssl_int.h"

#include "crypto/x509.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/address.h"
#include "base/memory.h"
#include "crypto/hash.h"
#include "crypto/x509_int.h"

/** "AB:CD:..." as RFC 8122, section 5 writes a digest. */
static void fingerprint_write(X509 *leaf, char out[CERTIFICATE_FINGERPRINT_SIZE])
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t digest[HASH_SHA256_SIZE];
    unsigned int size = sizeof(digest);
    int done = X509_digest(leaf, EVP_sha256(), digest, &size);
    ensure(done == 1 && size == sizeof(digest));
    for (size_t i = 0; i < sizeof(digest); i++) {
        out[3 * i] = digits[digest[i] >> 4];
        out[3 * i + 1] = digits[digest[i] & 15];
        out[3 * i + 2] = i + 1 < sizeof(digest) ? ':' : '\0';
    }
}

static int64_t unix_time_of(const ASN1_TIME *time)
{
    struct tm parts = { 0 };
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return 0;
    return (int64_t)timegm(&parts);
}

/** Takes over all three arguments. */
static struct certificate *certificate_of(X509 *leaf, STACK_OF(X509) * chain, EVP_PKEY *key)
{
    struct certificate *certificate = memory_new(struct certificate);
    atomic_init(&certificate->references, 1);
    certificate->leaf = leaf;
    certificate->chain = chain;
    certificate->key = key;
    fingerprint_write(leaf, certificate->fingerprint);
    certificate->not_before_unix_s = unix_time_of(X509_get0_notBefore(leaf));
    certificate->not_after_unix_s = unix_time_of(X509_get0_notAfter(leaf));
    return certificate;
}

struct certificate *certificate_ref(struct certificate *certificate)
{
    atomic_fetch_add_explicit(&certificate->references, 1, memory_order_relaxed);
    return certificate;
}

struct certificate *certificate_unref(struct certificate *certificate)
{
    if (!certificate ||
        atomic_fetch_sub_explicit(&certificate->references, 1, memory_order_acq_rel) > 1)
        return NULL;
    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->chain, X509_free);
    EVP_PKEY_free(certificate->key);
    free(certificate);
    return NULL;
}

// Making one.

/** One entry of subjectAltName: iPAddress when it is one, else dNSName (RFC 5280, 4.2.1.6). */
static int add_name(GENERAL_NAMES *names, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ensure(name);
    struct net_address address;
    if (net_address_parse_ip(text, 0, &address) == 0) {
        ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
        ensure(octets);
        ASN1_OCTET_STRING_set(octets, address.ip, address.family == NET_IPV4 ? 4 : 16);
        GENERAL_NAME_set0_value(name, GEN_IPADD, octets);
    } else {
        size_t length = strlen(text);
        bool allowed = length > 0 && length <= 253 &&
                       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789.-_*") == length;
        if (!allowed) {
            GENERAL_NAME_free(name);
            return -EINVAL;
        }
        ASN1_IA5STRING *string = ASN1_IA5STRING_new();
        ensure(string);
        ASN1_STRING_set(string, text, (int)length);
        GENERAL_NAME_set0_value(name, GEN_DNS, string);
    }
    sk_GENERAL_NAME_push(names, name);
    return 0;
}

static int add_names(X509 *leaf, const struct certificate_request *request)
{
    if (request->name_count == 0)
        return 0;
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    ensure(names);
    int result = 0;
    for (size_t i = 0; i < request->name_count && result == 0; i++)
        result = add_name(names, request->names[i]);
    if (result == 0 && X509_add1_ext_i2d(leaf, NID_subject_alt_name, names, 0, 0) != 1)
        result = -EINVAL;
    GENERAL_NAMES_free(names);
    return result;
}

static int add_extension(X509 *leaf, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, leaf, leaf, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!extension)
        return -EINVAL;
    int added = X509_add_ext(leaf, extension, -1);
    X509_EXTENSION_free(extension);
    return added == 1 ? 0 : -EINVAL;
}

static int set_serial(X509 *leaf, struct random *random)
{
    uint8_t serial[16];
    random_fill(random, serial, sizeof(serial));
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); // positive, always 16 octets
    BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
    ensure(number);
    bool done = BN_to_ASN1_INTEGER(number, X509_get_serialNumber(leaf)) != NULL;
    BN_free(number);
    return done ? 0 : -EINVAL;
}

static int set_subject(X509 *leaf, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(leaf);
    bool done = X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                           (const unsigned char *)common_name, -1, -1, 0) == 1 &&
                X509_set_issuer_name(leaf, name) == 1;
    return done ? 0 : -EINVAL;
}

static int fill_leaf(X509 *leaf, EVP_PKEY *key, const struct certificate_request *request,
                     struct random *random)
{
    bool done = X509_set_version(leaf, X509_VERSION_3) == 1 && set_serial(leaf, random) == 0 &&
                set_subject(leaf, request->common_name) == 0 &&
                ASN1_TIME_set(X509_getm_notBefore(leaf), (time_t)request->not_before_unix_s) &&
                ASN1_TIME_set(X509_getm_notAfter(leaf), (time_t)request->not_after_unix_s) &&
                X509_set_pubkey(leaf, key) == 1 && add_names(leaf, request) == 0 &&
                add_extension(leaf, NID_basic_constraints, "critical,CA:FALSE") == 0 &&
                add_extension(leaf, NID_key_usage, "critical,digitalSignature") == 0 &&
                add_extension(leaf, NID_ext_key_usage, "serverAuth,clientAuth") == 0 &&
                X509_sign(leaf, key, EVP_sha256()) > 0;
    return done ? 0 : -EINVAL;
}

int certificate_make(const struct certificate_request *request, struct random *random,
                     struct certificate **ret_certificate)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *leaf = X509_new();
    ensure(key && leaf);
    int result = fill_leaf(leaf, key, request, random);
    ERR_clear_error();
    if (result < 0) {
        X509_free(leaf);
        EVP_PKEY_free(key);
        return result;
    }
    *ret_certificate = certificate_of(leaf, NULL, key);
    return 0;
}

// Loading one.

/** An encrypted key must fail, not ask the terminal for its password. */
static int no_password(char *buffer, int size, int writing, void *owner)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)owner;
    return -1;
}

static BIO *bio_of(struct bytes text)
{
    if (text.size > INT_MAX)
        text.size = 0;
    BIO *bio = BIO_new_mem_buf(text.data ? (const void *)text.data : "", (int)text.size);
    ensure(bio);
    return bio;
}

static X509 *read_chain(struct bytes pem, STACK_OF(X509) * *ret_chain)
{
    BIO *bio = bio_of(pem);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    if (leaf) {
        STACK_OF(X509) *chain = sk_X509_new_null();
        ensure(chain);
        X509 *next;
        while ((next = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
            sk_X509_push(chain, next);
        *ret_chain = chain;
        ERR_clear_error(); // the end of the text was one
    }
    BIO_free(bio);
    return leaf;
}

static EVP_PKEY *read_key(struct bytes pem)
{
    BIO *bio = bio_of(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    return key;
}

static int load_failed(struct text_builder *error, const char *sentence, int result)
{
    if (error) {
        text_append(error, sentence);
        openssl_error_take(error);
        text_append(error, ".");
    }
    ERR_clear_error();
    return result;
}

int certificate_load(struct bytes chain_pem, struct bytes key_pem, struct text_builder *error,
                     struct certificate **ret_certificate)
{
    ERR_clear_error();
    STACK_OF(X509) *chain = NULL;
    X509 *leaf = read_chain(chain_pem, &chain);
    if (!leaf)
        return load_failed(error, "The certificate cannot be read: ", -EINVAL);
    EVP_PKEY *key = read_key(key_pem);
    int result = 0;
    if (!key)
        result = load_failed(error, "The private key cannot be read: ", -EINVAL);
    else if (X509_check_private_key(leaf, key) != 1)
        result = load_failed(error, "The private key is not this certificate's: ", -EKEYREJECTED);
    if (result < 0) {
        X509_free(leaf);
        sk_X509_pop_free(chain, X509_free);
        EVP_PKEY_free(key);
        return result;
    }
    *ret_certificate = certificate_of(leaf, chain, key);
    return 0;
}

// Describing one.

static void append_bio(BIO *bio, struct text_builder *out)
{
    char *text;
    long size = BIO_get_mem_data(bio, &text);
    if (size > 0)
        text_append_bytes(out, bytes_of(text, (size_t)size));
    BIO_free(bio);
}

void certificate_write_chain(const struct certificate *certificate, struct text_builder *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    ensure(bio);
    PEM_write_bio_X509(bio, certificate->leaf);
    for (int i = 0; i < sk_X509_num(certificate->chain); i++)
        PEM_write_bio_X509(bio, sk_X509_value(certificate->chain, i));
    append_bio(bio, out);
}

void certificate_write_key(const struct certificate *certificate, struct text_builder *out)
{
    BIO *bio = BIO_new(BIO_s_secmem()); // wiped when freed
    ensure(bio);
    PEM_write_bio_PrivateKey(bio, certificate->key, NULL, NULL, 0, NULL, NULL);
    append_bio(bio, out);
}

const char *certificate_fingerprint(const struct certificate *certificate)
{
    return certificate->fingerprint;
}

int64_t certificate_not_before_unix_s(const struct certificate *certificate)
{
    return certificate->not_before_unix_s;
}

int64_t certificate_not_after_unix_s(const struct certificate *certificate)
{
    return certificate->not_after_unix_s;
}

bool certificate_is_self_signed(const struct certificate *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(certificate->leaf),
                         X509_get_issuer_name(certificate->leaf)) == 0;
}

bool certificate_covers(const struct certificate *certificate, const char *name)
{
    struct net_address address;
    bool covers = net_address_parse_ip(name, 0, &address) == 0
                      ? X509_check_ip(certificate->leaf, address.ip,
                                      address.family == NET_IPV4 ? 4 : 16, 0) == 1
                      : X509_check_host(certificate->leaf, name, 0, 0, NULL) == 1;
    ERR_clear_error();
    return covers;
}
