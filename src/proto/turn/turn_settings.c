#include "proto/turn/turn_settings_int.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/memory.h"
#include "base/text.h"
#include "proto/stun/stun.h"

struct turn_settings {
    _Atomic uint32_t references;
    struct turn_settings_config config; /**< its pointers are ours */
    struct turn_peers *peers;
    struct bytes *secrets; /**< config.secrets */
    uint8_t *secret_bytes; /**< what they view, one after the other */
    size_t secret_bytes_size;
    struct hmac_key *rest_keys;             /**< of the secrets */
    struct turn_static_user *user_array;    /**< config.users */
    struct turn_token_key *token_key_array; /**< config.token_keys */
    uint8_t (*userhashes)[HASH_SHA256_SIZE];
    // lookups by what strangers send; the keys themselves come from the operator
    struct map users;
    struct map users_by_hash;
    struct map token_keys;
};

static char *copy_text(const char *text)
{
    return text ? memory_copy(text, strlen(text)) : NULL;
}

static void *copy_array(const void *array, size_t count, size_t size)
{
    return memory_copy(array, count * size);
}

static void copy_secrets(struct turn_settings *settings)
{
    struct turn_settings_config *config = &settings->config;
    for (size_t i = 0; i < config->secret_count; i++)
        settings->secret_bytes_size += config->secrets[i].size;
    settings->secret_bytes = memory_allocate(settings->secret_bytes_size, 1);
    settings->secrets = memory_new_array(struct bytes, config->secret_count);
    settings->rest_keys = memory_new_array(struct hmac_key, config->secret_count);
    struct writer writer = writer_of(settings->secret_bytes, settings->secret_bytes_size);
    for (size_t i = 0; i < config->secret_count; i++) {
        struct bytes secret = config->secrets[i];
        settings->secrets[i] = bytes_of(writer.data + writer.size, secret.size);
        writer_bytes(&writer, secret.data, secret.size);
        hmac_key_init(&settings->rest_keys[i], HASH_SHA1, secret);
    }
    config->secrets = settings->secrets;
}

static void copy_users(struct turn_settings *settings)
{
    static const uint64_t no_secret[2];
    struct turn_settings_config *config = &settings->config;
    struct turn_static_user *users = copy_array(config->users, config->user_count, sizeof(*users));
    settings->userhashes = memory_allocate(config->user_count, sizeof(*settings->userhashes));
    map_init(&settings->users, no_secret);
    map_init(&settings->users_by_hash, no_secret);
    struct bytes realm = bytes_of_text(config->realm);
    for (size_t i = 0; i < config->user_count; i++) {
        users[i].username = copy_text(users[i].username);
        struct bytes name = bytes_of_text(users[i].username);
        uint8_t *hash = settings->userhashes[i];
        stun_userhash(name, realm, hash);
        (void)map_set(&settings->users, name, &users[i]);
        (void)map_set(&settings->users_by_hash, bytes_of(hash, HASH_SHA256_SIZE), &users[i]);
    }
    config->users = settings->user_array = users;
}

static void copy_token_keys(struct turn_settings *settings)
{
    static const uint64_t no_secret[2];
    struct turn_settings_config *config = &settings->config;
    struct turn_token_key *keys =
        copy_array(config->token_keys, config->token_key_count, sizeof(*keys));
    map_init(&settings->token_keys, no_secret);
    for (size_t i = 0; i < config->token_key_count; i++) {
        ensure(keys[i].key_size == (keys[i].algorithm == TURN_TOKEN_A128GCM ? 16 : 32));
        keys[i].kid = copy_text(keys[i].kid);
        (void)map_set(&settings->token_keys, bytes_of_text(keys[i].kid), &keys[i]);
    }
    config->token_keys = settings->token_key_array = keys;
}

static void copy_peers(struct turn_settings *settings)
{
    struct turn_peers_config *peers = &settings->config.peers;
    settings->peers = turn_peers_new(peers);
    peers->allowed = copy_array(peers->allowed, peers->allowed_count, sizeof(*peers->allowed));
    peers->denied = copy_array(peers->denied, peers->denied_count, sizeof(*peers->denied));
    peers->own = copy_array(peers->own, peers->own_count, sizeof(*peers->own));
}

static void copy_alternates(struct turn_settings_config *config)
{
    struct turn_alternate_server *alternates =
        copy_array(config->alternates, config->alternate_count, sizeof(*alternates));
    for (size_t i = 0; i < config->alternate_count; i++)
        alternates[i].domain = copy_text(alternates[i].domain);
    config->alternates = alternates;
}

static void default_u32(uint32_t *value, uint32_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static void set_defaults(struct turn_settings_config *config)
{
    config->realm = copy_text(config->realm && *config->realm ? config->realm : "roost");
    ensure(strlen(config->realm) <= TURN_REALM_MAX);
    config->server_name = copy_text(config->server_name ? config->server_name : config->realm);
    config->software = copy_text(config->software);
    default_u32(&config->lifetime_default_s, 600);
    default_u32(&config->lifetime_max_s, 3600);
    default_u32(&config->nonce_lifetime_s, 3600);
    default_u32(&config->permissions_max, 512);
    default_u32(&config->channels_max, 256);
    default_u32(&config->tcp_connections_max, 32);
    ensure(config->media_count <= array_size(config->media));
}

struct turn_settings *turn_settings_new(const struct turn_settings_config *config)
{
    struct turn_settings *settings = memory_new(struct turn_settings);
    atomic_init(&settings->references, 1);
    settings->config = *config;
    set_defaults(&settings->config);
    copy_secrets(settings);
    copy_users(settings);
    copy_token_keys(settings);
    copy_peers(settings);
    copy_alternates(&settings->config);
    return settings;
}

struct turn_settings *turn_settings_ref(struct turn_settings *settings)
{
    atomic_fetch_add_explicit(&settings->references, 1, memory_order_relaxed);
    return settings;
}

/** For what `config` calls const: it is ours. */
static void release(const void *memory)
{
    memory_free_at(&memory);
}

static void release_secret(void *memory, size_t size)
{
    memory_wipe(memory, size);
    free(memory);
}

static void release_credentials(struct turn_settings *settings)
{
    const struct turn_settings_config *config = &settings->config;
    map_done(&settings->users);
    map_done(&settings->users_by_hash);
    map_done(&settings->token_keys);
    for (size_t i = 0; i < config->user_count; i++)
        release(config->users[i].username);
    for (size_t i = 0; i < config->token_key_count; i++)
        release(config->token_keys[i].kid);
    free(settings->userhashes);
    free(settings->secrets);
    release_secret(settings->secret_bytes, settings->secret_bytes_size);
    release_secret(settings->rest_keys, config->secret_count * sizeof(*settings->rest_keys));
    release_secret(settings->user_array, config->user_count * sizeof(*settings->user_array));
    release_secret(settings->token_key_array,
                   config->token_key_count * sizeof(*settings->token_key_array));
}

struct turn_settings *turn_settings_unref(struct turn_settings *settings)
{
    if (!settings || atomic_fetch_sub_explicit(&settings->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    const struct turn_settings_config *config = &settings->config;
    release_credentials(settings);
    release(config->realm);
    release(config->server_name);
    release(config->software);
    release(config->peers.allowed);
    release(config->peers.denied);
    release(config->peers.own);
    for (size_t i = 0; i < config->alternate_count; i++)
        release(config->alternates[i].domain);
    release(config->alternates);
    turn_peers_free(settings->peers);
    free(settings);
    return NULL;
}

const struct turn_settings_config *turn_settings_get(const struct turn_settings *settings)
{
    return &settings->config;
}

const struct turn_peers *turn_settings_peers(const struct turn_settings *settings)
{
    return settings->peers;
}

const struct turn_static_user *turn_settings_user(const struct turn_settings *settings,
                                                  struct bytes username)
{
    return map_find(&settings->users, username);
}

const struct turn_static_user *turn_settings_user_by_hash(const struct turn_settings *settings,
                                                          struct bytes userhash)
{
    return map_find(&settings->users_by_hash, userhash);
}

const struct turn_token_key *turn_settings_token_key(const struct turn_settings *settings,
                                                     struct bytes kid)
{
    return map_find(&settings->token_keys, kid);
}

const struct hmac_key *turn_settings_rest_keys(const struct turn_settings *settings,
                                               size_t *ret_count)
{
    *ret_count = settings->config.secret_count;
    return settings->rest_keys;
}
