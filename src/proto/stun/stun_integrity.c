#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "crypto/hmac.h"
#include "proto/stun/stun_int.h"

void stun_covered_set(struct stun_covered *covered, const uint8_t *message, size_t at,
                      size_t value_size)
{
    memcpy(covered->head, message, 2);
    store_u16(covered->head + 2, (uint16_t)(at + 4 + value_size - STUN_HEADER_SIZE));
    covered->parts[0] = bytes_of(covered->head, sizeof(covered->head));
    covered->parts[1] = bytes_of(message + 4, at - 4);
}

/** The HMAC of the covered parts. */
static void covered_hmac(const struct stun_covered *covered, const struct hmac_key *key,
                         uint8_t out[HMAC_SIZE_MAX])
{
    struct hmac hmac;
    hmac_begin(&hmac, key);
    hmac_add(&hmac, covered->parts[0]);
    hmac_add(&hmac, covered->parts[1]);
    hmac_end(&hmac, out);
}

/** `at`: offset of the attribute, 0 for none. */
static int check(const struct stun_message *message, size_t at, size_t size,
                 const struct hmac_key *key)
{
    if (at == 0)
        return -ENOENT;
    struct stun_covered covered;
    uint8_t code[HMAC_SIZE_MAX];
    stun_covered_set(&covered, message->bytes.data, at, size);
    covered_hmac(&covered, key, code);
    return bytes_equal_constant_time(bytes_of(code, size),
                                     bytes_of(message->bytes.data + at + 4, size))
               ? 0
               : -EBADMSG;
}

int stun_message_check_integrity_key(const struct stun_message *message, const struct hmac_key *key)
{
    ensure(key->kind == HASH_SHA1);
    return check(message, message->integrity, STUN_INTEGRITY_SIZE, key);
}

int stun_message_check_integrity_sha256_key(const struct stun_message *message,
                                            const struct hmac_key *key)
{
    ensure(key->kind == HASH_SHA256);
    return check(message, message->sha256, message->sha256_size, key);
}

int stun_message_check_integrity(const struct stun_message *message, struct bytes key)
{
    struct hmac_key prepared;
    hmac_key_init(&prepared, HASH_SHA1, key);
    int result = stun_message_check_integrity_key(message, &prepared);
    hmac_key_wipe(&prepared);
    return result;
}

int stun_message_check_integrity_sha256(const struct stun_message *message, struct bytes key)
{
    struct hmac_key prepared;
    hmac_key_init(&prepared, HASH_SHA256, key);
    int result = stun_message_check_integrity_sha256_key(message, &prepared);
    hmac_key_wipe(&prepared);
    return result;
}

static void write_code(struct stun_writer *writer, uint16_t type, size_t size,
                       const struct hmac_key *key)
{
    if (writer->out.failed)
        return;
    struct stun_covered covered;
    uint8_t code[HMAC_SIZE_MAX];
    stun_covered_set(&covered, writer->out.data, writer->out.size, size);
    covered_hmac(&covered, key, code);
    stun_write_bytes(writer, type, bytes_of(code, size));
}

void stun_write_integrity_key(struct stun_writer *writer, const struct hmac_key *key)
{
    ensure(key->kind == HASH_SHA1);
    write_code(writer, STUN_MESSAGE_INTEGRITY, STUN_INTEGRITY_SIZE, key);
}

void stun_write_integrity_sha256_key(struct stun_writer *writer, const struct hmac_key *key)
{
    ensure(key->kind == HASH_SHA256);
    write_code(writer, STUN_MESSAGE_INTEGRITY_SHA256, STUN_INTEGRITY_SHA256_SIZE, key);
}

void stun_write_integrity(struct stun_writer *writer, struct bytes key)
{
    struct hmac_key prepared;
    hmac_key_init(&prepared, HASH_SHA1, key);
    stun_write_integrity_key(writer, &prepared);
    hmac_key_wipe(&prepared);
}

void stun_write_integrity_sha256(struct stun_writer *writer, struct bytes key)
{
    struct hmac_key prepared;
    hmac_key_init(&prepared, HASH_SHA256, key);
    stun_write_integrity_sha256_key(writer, &prepared);
    hmac_key_wipe(&prepared);
}

int stun_message_check_fingerprint(const struct stun_message *message)
{
    if (message->fingerprint == 0)
        return -ENOENT;
    // it is last, so that the header's length already counts it
    const uint8_t *at = message->bytes.data + message->fingerprint;
    uint32_t crc = stun_crc32(bytes_of(message->bytes.data, message->fingerprint));
    return load_u32(at + 4) == (crc ^ STUN_FINGERPRINT_XOR) ? 0 : -EBADMSG;
}

void stun_write_fingerprint(struct stun_writer *writer)
{
    if (writer->out.failed)
        return;
    size_t size = writer->out.size;
    writer_patch_u16(&writer->out, 2, (uint16_t)(size + 8 - STUN_HEADER_SIZE));
    stun_write_u32(writer, STUN_FINGERPRINT,
                   stun_crc32(writer_written(&writer->out)) ^ STUN_FINGERPRINT_XOR);
}

/** The digest of texts with colons between them. */
static void joined_digest(enum hash_kind kind, const struct bytes *texts, size_t count,
                          uint8_t *out)
{
    struct hash hash;
    hash_begin(&hash, kind);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            hash_add(&hash, bytes_of(":", 1));
        hash_add(&hash, texts[i]);
    }
    hash_end(&hash, out);
}

void stun_long_term_key(struct bytes username, struct bytes realm, struct bytes password,
                        uint8_t out[HASH_MD5_SIZE])
{
    joined_digest(HASH_MD5, (const struct bytes[]){ username, realm, password }, 3, out);
}

void stun_long_term_key_sha256(struct bytes username, struct bytes realm, struct bytes password,
                               uint8_t out[HASH_SHA256_SIZE])
{
    joined_digest(HASH_SHA256, (const struct bytes[]){ username, realm, password }, 3, out);
}

void stun_userhash(struct bytes username, struct bytes realm, uint8_t out[HASH_SHA256_SIZE])
{
    joined_digest(HASH_SHA256, (const struct bytes[]){ username, realm }, 2, out);
}
