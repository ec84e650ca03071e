/**
 * What a server keeps of a password for SCRAM (RFC 5802; RFC 7677 for SHA-256), and the checks that
 * it is good for: of a password in the clear, and of a client's proof in an exchange.
 *
 *     SaltedPassword = Hi(password, salt, iterations)          PBKDF2, one block
 *     StoredKey      = H(HMAC(SaltedPassword, "Client Key"))
 *     ServerKey      = HMAC(SaltedPassword, "Server Key")
 *
 * Who steals a verifier must guess the password at the price of its iterations, and cannot answer a
 * server with what was stolen; only who also listens to an exchange can sign in as the user.
 *
 * Passwords come as OpaqueString (base/opaque_string.h). The messages of the exchange are a
 * protocol's business; the two functions about `auth_message` are what they need from here.
 */
#pragma once

#include "base/bytes.h"
#include "crypto/hash.h"
#include "crypto/pbkdf2.h"

#define SCRAM_KEY_SIZE_MAX   HASH_SHA256_SIZE
#define SCRAM_ITERATIONS_MIN 4096 /**< RFC 5802 section 5.1, RFC 7677 section 4 */
#define SCRAM_ITERATIONS_MAX                                                                       \
    1000000 /**< 0.1 s of a core: what somebody else's verifier may cost                           \
             */

/** Secret. A value without iterations is none. */
struct scram_verifier {
    enum hash_kind kind; /**< HASH_SHA1 or HASH_SHA256 */
    uint32_t iterations;
    uint8_t salt_size;
    uint8_t salt[PBKDF2_SALT_SIZE_MAX];
    uint8_t stored_key[SCRAM_KEY_SIZE_MAX]; /**< hash_size(kind) bytes, as the next one */
    uint8_t server_key[SCRAM_KEY_SIZE_MAX];
};

/** Slow on purpose. The salt has 1 to PBKDF2_SALT_SIZE_MAX bytes. */
void scram_verifier_make(struct scram_verifier *verifier, enum hash_kind kind,
                         struct bytes password, struct bytes salt, uint32_t iterations);
/** Whether this is the password. As slow as the other one, in constant time. */
bool scram_verifier_admits(const struct scram_verifier *verifier, struct bytes password);
/**
 * Whether a client's proof ("p=" of client-final-message, decoded) shows that it knows the
 * password. `auth_message` is AuthMessage of RFC 5802 section 3. Fast.
 */
bool scram_verifier_admits_proof(const struct scram_verifier *verifier, struct bytes auth_message,
                                 struct bytes proof);
/** ServerSignature ("v=" of server-final-message, not encoded): hash_size(kind) bytes. Fast. */
void scram_verifier_sign(const struct scram_verifier *verifier, struct bytes auth_message,
                         uint8_t out[SCRAM_KEY_SIZE_MAX]);

/**
 * The text of RFC 5803, which PostgreSQL keeps as well:
 *
 *     SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>      the last three in base64
 */
#define SCRAM_VERIFIER_TEXT_SIZE 224

void scram_verifier_write(const struct scram_verifier *verifier,
                          char out[SCRAM_VERIFIER_TEXT_SIZE]);
/**
 * Returns 0, or -EINVAL with `ret_verifier` untouched: another form, or iterations beyond the
 * bounds above.
 */
must_check int scram_verifier_parse(struct bytes text, struct scram_verifier *ret_verifier);
