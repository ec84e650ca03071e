#include "users/user_keys.h"

#include <string.h>

#include "base/memory.h"
#include "base/opaque_string.h"

static void digest(enum hash_kind kind, const char *name, const char *realm, struct bytes password,
                   uint8_t *out)
{
    struct hash hash;
    hash_begin(&hash, kind);
    hash_add(&hash, bytes_of_text(name));
    hash_add(&hash, bytes_of_text(":"));
    hash_add(&hash, bytes_of_text(realm));
    hash_add(&hash, bytes_of_text(":"));
    hash_add(&hash, password);
    hash_end(&hash, out);
}

static void make_verifier(struct scram_verifier *verifier, enum hash_kind kind,
                          const char *password, struct random *random)
{
    uint8_t salt[USER_SALT_SIZE];
    random_fill(random, salt, sizeof(salt));
    scram_verifier_make(verifier, kind, bytes_of_text(password), bytes_of(salt, sizeof(salt)),
                        USER_ITERATIONS);
}

void user_keys_make(struct user_keys *keys, const char *name, const char *realm,
                    const char *password, bool with_digest, struct random *random)
{
    *keys = (struct user_keys){ .has_digest = with_digest };
    make_verifier(&keys->scram_sha256, HASH_SHA256, password, random);
    make_verifier(&keys->scram_sha1, HASH_SHA1, password, random);
    if (with_digest) {
        digest(HASH_MD5, name, realm, bytes_of_text(password), keys->md5);
        digest(HASH_SHA256, name, realm, bytes_of_text(password), keys->sha256);
    }
}

static bool admits_digest(const struct user_keys *keys, const char *name, const char *realm,
                          struct bytes password)
{
    uint8_t key[USER_SHA256_SIZE];
    digest(HASH_SHA256, name, realm, password, key);
    bool same = bytes_equal_constant_time(bytes_of(key, sizeof(key)),
                                          bytes_of(keys->sha256, sizeof(keys->sha256)));
    memory_wipe(key, sizeof(key));
    return same && keys->has_digest;
}

/** Keys of other servers that are quicker than ours take as long, so that time tells nobody's name.
 */
static void spend_the_rest(const struct scram_verifier *verifier, struct bytes password)
{
    struct scram_verifier rest = { .kind = HASH_SHA256, .salt_size = USER_SALT_SIZE };
    if (verifier->iterations >= USER_ITERATIONS)
        return;
    rest.iterations = USER_ITERATIONS - verifier->iterations;
    (void)scram_verifier_admits(&rest, password);
}

bool user_keys_admit(const struct user_keys *keys, const char *name, const char *realm,
                     struct bytes password)
{
    static const struct scram_verifier nobody = { .kind = HASH_SHA256,
                                                  .iterations = USER_ITERATIONS,
                                                  .salt_size = USER_SALT_SIZE };
    bool has_scram = keys->scram_sha256.iterations > 0;
    char prepared[USER_PASSWORD_MAX + 1];
    size_t size;
    bool is_text = opaque_string_prepare(password, prepared, sizeof(prepared), &size) == 0;
    const struct scram_verifier *verifier = has_scram ? &keys->scram_sha256 : &nobody;
    struct bytes text = is_text ? bytes_of(prepared, size) : bytes_of(NULL, 0);
    bool admitted = scram_verifier_admits(verifier, text);
    spend_the_rest(verifier, text);
    memory_wipe(prepared, sizeof(prepared));
    // older stores have made it of the password as it was typed
    if (!has_scram)
        admitted = admits_digest(keys, name, realm, password);
    return admitted && is_text;
}

static bool is_same_verifier(const struct scram_verifier *one, const struct scram_verifier *other)
{
    return one->iterations == other->iterations && one->salt_size == other->salt_size &&
           memcmp(one->salt, other->salt, sizeof(one->salt)) == 0 &&
           memcmp(one->stored_key, other->stored_key, sizeof(one->stored_key)) == 0;
}

bool user_keys_equal(const struct user_keys *one, const struct user_keys *other)
{
    return is_same_verifier(&one->scram_sha256, &other->scram_sha256) &&
           one->has_digest == other->has_digest &&
           memcmp(one->sha256, other->sha256, sizeof(one->sha256)) == 0;
}

bool user_keys_same_password(const struct user_keys *one, const struct user_keys *other)
{
    bool both = one->has_digest && other->has_digest &&
                memcmp(one->sha256, other->sha256, sizeof(one->sha256)) == 0;
    return both || user_keys_equal(one, other);
}
