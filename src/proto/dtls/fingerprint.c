#include <errno.h>
#include <string.h>

#include "proto/dtls/dtls.h"

static int hash_of_name(struct bytes name, enum hash_kind *ret_hash)
{
    static const struct {
        const char *name;
        enum hash_kind hash;
    } names[] = {
        { "sha-256", HASH_SHA256 },
        { "sha-1", HASH_SHA1 },
        { "sha-384", HASH_SHA384 },
        { "sha-512", HASH_SHA512 },
    };
    for (size_t i = 0; i < array_size(names); i++) {
        if (text_equal_ignore_case(name, names[i].name)) {
            *ret_hash = names[i].hash;
            return 0;
        }
    }
    return -ENOTSUP; // RFC 8122, 5 forbids md2 and md5
}

int dtls_fingerprint_of(struct bytes hash, struct bytes digest,
                        struct dtls_fingerprint *ret_fingerprint)
{
    struct dtls_fingerprint fingerprint = { 0 };
    int result = hash_of_name(hash, &fingerprint.hash);
    if (result < 0)
        return result;
    if (digest.size != hash_size(fingerprint.hash))
        return -EINVAL;
    memcpy(fingerprint.value, digest.data, digest.size);
    *ret_fingerprint = fingerprint;
    return 0;
}

int dtls_fingerprint_parse(struct bytes hash, struct bytes value,
                           struct dtls_fingerprint *ret_fingerprint)
{
    uint8_t digest[HASH_SIZE_MAX];
    size_t size = (value.size + 1) / 3;
    if (value.size % 3 != 2 || size > sizeof(digest))
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        bool separated = i + 1 == size || value.data[3 * i + 2] == ':';
        if (!separated || text_hex_parse(bytes_of(value.data + 3 * i, 2), digest + i, 1) != 1)
            return -EINVAL;
    }
    return dtls_fingerprint_of(hash, bytes_of(digest, size), ret_fingerprint);
}
