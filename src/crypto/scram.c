#include "crypto/scram.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "crypto/hmac.h"

static void hmac_of(enum hash_kind kind, struct bytes key, struct bytes data, uint8_t *out)
{
    if (kind == HASH_SHA1)
        hmac_sha1(key, data, out);
    else
        hmac_sha256(key, data, out);
}

/** ---- keys ---- */

/** `ret_server_key` may be NULL. */
static void derive(const struct scram_verifier *verifier, struct bytes password,
                   uint8_t *ret_stored_key, uint8_t *ret_server_key)
{
    enum hash_kind kind = verifier->kind;
    size_t size = hash_size(kind);
    uint8_t salted[SCRAM_KEY_SIZE_MAX], client_key[SCRAM_KEY_SIZE_MAX];
    pbkdf2_block(kind, password, bytes_of(verifier->salt, verifier->salt_size),
                 verifier->iterations, salted);
    hmac_of(kind, bytes_of(salted, size), bytes_of_text("Client Key"), client_key);
    hash_compute(kind, bytes_of(client_key, size), ret_stored_key);
    if (ret_server_key)
        hmac_of(kind, bytes_of(salted, size), bytes_of_text("Server Key"), ret_server_key);
    memory_wipe(salted, sizeof(salted));
    memory_wipe(client_key, sizeof(client_key));
}

void scram_verifier_make(struct scram_verifier *verifier, enum hash_kind kind,
                         struct bytes password, struct bytes salt, uint32_t iterations)
{
    ensure(salt.size > 0 && salt.size <= PBKDF2_SALT_SIZE_MAX);
    *verifier = (struct scram_verifier){ .kind = kind,
                                         .iterations = iterations,
                                         .salt_size = (uint8_t)salt.size };
    memcpy(verifier->salt, salt.data, salt.size);
    derive(verifier, password, verifier->stored_key, verifier->server_key);
}

static bool is_stored_key(const struct scram_verifier *verifier, const uint8_t *key)
{
    size_t size = hash_size(verifier->kind);
    return bytes_equal_constant_time(bytes_of(key, size), bytes_of(verifier->stored_key, size));
}

bool scram_verifier_admits(const struct scram_verifier *verifier, struct bytes password)
{
    uint8_t stored_key[SCRAM_KEY_SIZE_MAX];
    derive(verifier, password, stored_key, NULL);
    bool same = is_stored_key(verifier, stored_key);
    memory_wipe(stored_key, sizeof(stored_key));
    return same;
}

bool scram_verifier_admits_proof(const struct scram_verifier *verifier, struct bytes auth_message,
                                 struct bytes proof)
{
    size_t size = hash_size(verifier->kind);
    if (proof.size != size)
        return false;
    // the proof is ClientKey xor ClientSignature, and ClientKey hashes to StoredKey
    uint8_t client_key[SCRAM_KEY_SIZE_MAX], stored_key[SCRAM_KEY_SIZE_MAX];
    hmac_of(verifier->kind, bytes_of(verifier->stored_key, size), auth_message, client_key);
    for (size_t i = 0; i < size; i++)
        client_key[i] ^= proof.data[i];
    hash_compute(verifier->kind, bytes_of(client_key, size), stored_key);
    memory_wipe(client_key, sizeof(client_key));
    return is_stored_key(verifier, stored_key);
}

void scram_verifier_sign(const struct scram_verifier *verifier, struct bytes auth_message,
                         uint8_t out[SCRAM_KEY_SIZE_MAX])
{
    hmac_of(verifier->kind, bytes_of(verifier->server_key, hash_size(verifier->kind)), auth_message,
            out);
}

/** ---- as text ---- */

static void append_base64(struct text_builder *builder, const uint8_t *data, size_t size)
{
    char text[TEXT_BASE64_SIZE(PBKDF2_SALT_SIZE_MAX)];
    text_base64_write(bytes_of(data, size), text);
    text_append(builder, text);
}

void scram_verifier_write(const struct scram_verifier *verifier, char out[SCRAM_VERIFIER_TEXT_SIZE])
{
    struct text_builder builder = text_builder_of(out, SCRAM_VERIFIER_TEXT_SIZE);
    size_t size = hash_size(verifier->kind);
    text_append(&builder, verifier->kind == HASH_SHA1 ? "SCRAM-SHA-1$" : "SCRAM-SHA-256$");
    text_append_format(&builder, "%u:", verifier->iterations);
    append_base64(&builder, verifier->salt, verifier->salt_size);
    text_append(&builder, "$");
    append_base64(&builder, verifier->stored_key, size);
    text_append(&builder, ":");
    append_base64(&builder, verifier->server_key, size);
    ensure(!builder.truncated);
}

static bool take_key(struct bytes text, size_t size, uint8_t out[SCRAM_KEY_SIZE_MAX])
{
    return text_base64_parse(text, out, size) == (int)size;
}

int scram_verifier_parse(struct bytes text, struct scram_verifier *ret_verifier)
{
    struct scram_verifier verifier = { .kind = HASH_SHA256 };
    struct bytes scheme = text_take_until(&text, '$');
    if (text_equal(scheme, "SCRAM-SHA-1"))
        verifier.kind = HASH_SHA1;
    else if (!text_equal(scheme, "SCRAM-SHA-256"))
        return -EINVAL;
    struct bytes salt = text_take_until(&text, '$');
    struct bytes count = text_take_until(&salt, ':');
    struct bytes stored_key = text_take_until(&text, ':');
    uint64_t iterations;
    if (text_parse_u64(count, SCRAM_ITERATIONS_MAX, &iterations) < 0 ||
        iterations < SCRAM_ITERATIONS_MIN)
        return -EINVAL;
    verifier.iterations = (uint32_t)iterations;
    int salt_size = text_base64_parse(salt, verifier.salt, sizeof(verifier.salt));
    size_t size = hash_size(verifier.kind);
    if (salt_size <= 0 || !take_key(stored_key, size, verifier.stored_key) ||
        !take_key(text, size, verifier.server_key))
        return -EINVAL;
    verifier.salt_size = (uint8_t)salt_size;
    *ret_verifier = verifier;
    return 0;
}
