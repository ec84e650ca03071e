#include "users/login_cache.h"

#include <string.h>

#include "base/memory.h"
#include "base/time.h"

#define KEEP_US (3600 * TIME_US_PER_S)

void login_cache_init(struct login_cache *cache, struct random *random)
{
    uint8_t secret[HMAC_SHA256_SIZE];
    random_fill(random, secret, sizeof(secret));
    memset(cache, 0, sizeof(*cache));
    hmac_key_init(&cache->key, HASH_SHA256, bytes_of(secret, sizeof(secret)));
    memory_wipe(secret, sizeof(secret));
}

void login_cache_done(struct login_cache *cache)
{
    memory_wipe(cache, sizeof(*cache));
}

/** With its size, so that no two lists of texts look alike. */
static void add_text(struct hmac *hmac, struct bytes text)
{
    uint64_t size = text.size;
    hmac_add(hmac, bytes_of(&size, sizeof(size)));
    hmac_add(hmac, text);
}

struct login_tag login_cache_tag(const struct login_cache *cache, const struct user_keys *keys,
                                 struct bytes name, struct bytes password)
{
    struct login_tag tag;
    struct hmac hmac;
    hmac_begin(&hmac, &cache->key);
    add_text(&hmac, name);
    add_text(&hmac, password);
    add_text(&hmac, bytes_of(keys->scram_sha256.stored_key, SCRAM_KEY_SIZE_MAX));
    add_text(&hmac, bytes_of(keys->sha256, USER_SHA256_SIZE));
    hmac_end(&hmac, tag.code);
    return tag;
}

static size_t cell_of(const struct login_tag *tag)
{
    size_t index;
    // other bytes than those that are compared
    memcpy(&index, tag->code + sizeof(tag->code) - sizeof(index), sizeof(index));
    return index % LOGIN_CACHE_CELLS;
}

bool login_cache_has(const struct login_cache *cache, const struct login_tag *tag, uint64_t now_us)
{
    size_t cell = cell_of(tag);
    return cache->cells[cell].until_us > now_us &&
           memcmp(cache->cells[cell].code, tag->code, sizeof(cache->cells[cell].code)) == 0;
}

void login_cache_add(struct login_cache *cache, const struct login_tag *tag, uint64_t now_us)
{
    size_t cell = cell_of(tag);
    memcpy(cache->cells[cell].code, tag->code, sizeof(cache->cells[cell].code));
    cache->cells[cell].until_us = now_us + KEEP_US;
}
