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

static size_t set_of(const struct login_tag *tag)
{
    size_t index;
    // other bytes than those that are compared
    memcpy(&index, tag->code + sizeof(tag->code) - sizeof(index), sizeof(index));
    return index % LOGIN_CACHE_SETS;
}

static bool is_of(const struct login_cache_cell *cell, const struct login_tag *tag)
{
    return memcmp(cell->code, tag->code, sizeof(cell->code)) == 0;
}

bool login_cache_has(const struct login_cache *cache, const struct login_tag *tag, uint64_t now_us)
{
    const struct login_cache_cell *set = cache->sets[set_of(tag)];
    for (size_t i = 0; i < LOGIN_CACHE_WAYS; i++) {
        if (set[i].until_us > now_us && is_of(&set[i], tag))
            return true;
    }
    return false;
}

void login_cache_add(struct login_cache *cache, const struct login_tag *tag, uint64_t now_us)
{
    struct login_cache_cell *set = cache->sets[set_of(tag)], *place = set;
    for (size_t i = 1; i < LOGIN_CACHE_WAYS && !is_of(place, tag); i++) {
        if (is_of(&set[i], tag) || set[i].until_us < place->until_us)
            place = &set[i];
    }
    memcpy(place->code, tag->code, sizeof(place->code));
    place->until_us = now_us + KEEP_US;
}
