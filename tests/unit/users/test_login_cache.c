// What is remembered of right passwords, and for how long.
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/time.h"
#include "users/login_cache.h"

static struct login_cache *cache_new(uint64_t seed)
{
    struct random random;
    random_seeded_init(&random, seed);
    struct login_cache *cache = memory_new(struct login_cache);
    login_cache_init(cache, &random);
    return cache;
}

static struct login_tag tag_of(const struct login_cache *cache, uint8_t keys, const char *name,
                               const char *password)
{
    struct user_keys made = { .scram_sha256.stored_key = { keys } };
    return login_cache_tag(cache, &made, bytes_of_text(name), bytes_of_text(password));
}

static void tags_differ_in_all_they_are_made_of(void **state)
{
    (void)state;
    struct login_cache *one = cache_new(1), *other = cache_new(2);
    const struct login_tag tags[] = {
        tag_of(one, 1, "ann", "pencil"),   tag_of(one, 2, "ann", "pencil"),
        tag_of(one, 1, "ben", "pencil"),   tag_of(one, 1, "ann", "pencils"),
        tag_of(one, 1, "annp", "encil"),   tag_of(one, 1, "", "annpencil"),
        tag_of(other, 1, "ann", "pencil"),
    };
    for (size_t i = 0; i < array_size(tags); i++) {
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&tags[i], &tags[j], sizeof(tags[i]));
    }
    struct login_tag again = tag_of(one, 1, "ann", "pencil");
    assert_memory_equal(&again, &tags[0], sizeof(again));
    free(one);
    free(other);
}

static void an_hour_is_remembered(void **state)
{
    (void)state;
    struct login_cache *cache = cache_new(1);
    struct login_tag tag = tag_of(cache, 1, "ann", "pencil");
    uint64_t now_us = 5 * TIME_US_PER_S;
    assert_false(login_cache_has(cache, &tag, now_us));
    login_cache_add(cache, &tag, now_us);
    assert_true(login_cache_has(cache, &tag, now_us + 3599 * TIME_US_PER_S));
    assert_false(login_cache_has(cache, &tag, now_us + 3600 * TIME_US_PER_S));
    free(cache);
}

static void users_of_a_large_site_have_room_beside_each_other(void **state)
{
    (void)state;
    struct login_cache *cache = cache_new(1);
    unsigned kept = 0;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 10000; i++) {
            char name[16];
            snprintf(name, sizeof(name), "user%u", i);
            struct login_tag tag = tag_of(cache, 1, name, "pencil");
            if (round == 0)
                login_cache_add(cache, &tag, i);
            else
                kept += login_cache_has(cache, &tag, 10000);
        }
    }
    assert_true(kept > 9000);
    // some who come again and again take one place each
    for (unsigned i = 0; i < 500; i++) {
        char name[16];
        snprintf(name, sizeof(name), "ann%u", i % 50);
        struct login_tag tag = tag_of(cache, 1, name, "pencil");
        login_cache_add(cache, &tag, 20000);
    }
    unsigned places = 0;
    for (size_t i = 0; i < LOGIN_CACHE_SETS; i++) {
        for (size_t j = 0; j < LOGIN_CACHE_WAYS; j++)
            places += cache->sets[i][j].until_us == 20000 + 3600 * TIME_US_PER_S;
    }
    assert_int_equal(places, 50);
    free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_differ_in_all_they_are_made_of),
        cmocka_unit_test(an_hour_is_remembered),
        cmocka_unit_test(users_of_a_large_site_have_room_beside_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
