#include "support/check.h"

#include "base/memory.h"
#include "base/text.h"
#include "proto/stun/stun.h"
#include "proto/turn/turn_settings.h"

static void test_zero_fields_take_defaults(void **state)
{
    (void)state;
    struct turn_settings_config empty = { 0 };
    struct turn_settings *settings = turn_settings_new(&empty);
    const struct turn_settings_config *config = turn_settings_get(settings);
    assert_text_equal(config->realm, "roost");
    assert_text_equal(config->server_name, "roost");
    assert_null(config->software);
    assert_int_equal(config->lifetime_default_s, 600);
    assert_int_equal(config->lifetime_max_s, 3600);
    assert_int_equal(config->nonce_lifetime_s, 3600);
    assert_int_equal(config->permissions_max, 512);
    assert_int_equal(config->channels_max, 256);
    assert_int_equal(config->tcp_connections_max, 32);
    assert_null(turn_settings_user(settings, bytes_of("", 0)));
    struct turn_peer_decision decision;
    struct net_address loopback = net_address_ipv4(127, 0, 0, 1, 0);
    assert_int_equal(turn_peers_judge(turn_settings_peers(settings), &loopback, &decision),
                     TURN_PEER_DENIED);
    assert_null(turn_settings_unref(settings));
    assert_null(turn_settings_unref(NULL));
}

/** Everything that settings copy, in memory that is overwritten afterwards. */
struct originals {
    char realm[16], server_name[32], software[16], secret[16], username[16], kid[16], domain[32];
    struct bytes secrets[2];
    struct turn_static_user users[2];
    struct turn_token_key keys[1];
    struct turn_alternate_server alternates[1];
    struct turn_network allowed[1], denied[1];
    struct net_address own[1];
};

static struct turn_settings *settings_of(struct originals *originals)
{
    *originals = (struct originals){ .realm = "example.org",
                                     .server_name = "turn.example.org",
                                     .software = "roost",
                                     .secret = "north",
                                     .username = "gwen",
                                     .kid = "kid-1",
                                     .domain = "b.example.org" };
    originals->secrets[0] = bytes_of_text(originals->secret);
    originals->secrets[1] = bytes_of("", 0);
    originals->users[0] =
        (struct turn_static_user){ .username = originals->username, .md5_key = { 1 } };
    originals->users[1] = (struct turn_static_user){ .username = "ann", .sha256_key = { 2 } };
    originals->keys[0] = (struct turn_token_key){
        .kid = originals->kid, .algorithm = TURN_TOKEN_A256GCM, .key = { 3 }, .key_size = 32
    };
    originals->alternates[0].domain = originals->domain;
    originals->alternates[0].address = net_address_ipv4(192, 0, 2, 9, 3478);
    assert_int_equal(turn_network_parse("10.0.0.0/8", &originals->allowed[0]), 0);
    assert_int_equal(turn_network_parse("8.0.0.0/8", &originals->denied[0]), 0);
    originals->own[0] = net_address_ipv4(9, 9, 9, 9, 0);
    struct turn_settings_config config = {
        .realm = originals->realm,
        .server_name = originals->server_name,
        .software = originals->software,
        .secrets = originals->secrets,
        .secret_count = 2,
        .users = originals->users,
        .user_count = 2,
        .token_keys = originals->keys,
        .token_key_count = 1,
        .alternates = originals->alternates,
        .alternate_count = 1,
        .peers = { .allowed = originals->allowed,
                   .allowed_count = 1,
                   .denied = originals->denied,
                   .denied_count = 1,
                   .own = originals->own,
                   .own_count = 1 },
        .lifetime_max_s = 7200,
    };
    return turn_settings_new(&config);
}

static void test_settings_keep_nothing_of_the_callers(void **state)
{
    (void)state;
    struct originals originals;
    struct turn_settings *settings = settings_of(&originals);
    memset(&originals, 0x55, sizeof(originals));
    const struct turn_settings_config *config = turn_settings_get(settings);
    assert_text_equal(config->realm, "example.org");
    assert_text_equal(config->server_name, "turn.example.org");
    assert_text_equal(config->software, "roost");
    assert_int_equal(config->secret_count, 2);
    assert_true(text_equal(config->secrets[0], "north"));
    assert_int_equal(config->secrets[1].size, 0);
    assert_text_equal(config->users[1].username, "ann");
    assert_text_equal(config->token_keys[0].kid, "kid-1");
    assert_text_equal(config->alternates[0].domain, "b.example.org");
    assert_int_equal(config->peers.allowed[0].prefix, 8);
    assert_int_equal(config->peers.denied[0].address.ip[0], 8);
    assert_int_equal(config->peers.own[0].ip[0], 9);
    assert_int_equal(config->lifetime_max_s, 7200);
    turn_settings_unref(settings);
}

static void test_users_are_found_by_name_and_by_hash(void **state)
{
    (void)state;
    struct originals originals;
    struct turn_settings *settings = settings_of(&originals);
    const struct turn_static_user *user = turn_settings_user(settings, bytes_of_text("gwen"));
    assert_non_null(user);
    assert_text_equal(user->username, "gwen");
    assert_int_equal(user->md5_key[0], 1);
    uint8_t hash[HASH_SHA256_SIZE];
    stun_userhash(bytes_of_text("ann"), bytes_of_text("example.org"), hash);
    user = turn_settings_user_by_hash(settings, bytes_of(hash, sizeof(hash)));
    assert_non_null(user);
    assert_text_equal(user->username, "ann");
    hash[0] ^= 1;
    assert_null(turn_settings_user_by_hash(settings, bytes_of(hash, sizeof(hash))));
    assert_null(turn_settings_user(settings, bytes_of_text("gwe")));
    assert_null(turn_settings_user(settings, bytes_of("gwen\0", 5)));
    turn_settings_unref(settings);
}

static void test_token_keys_are_found_by_their_kid(void **state)
{
    (void)state;
    struct originals originals;
    struct turn_settings *settings = settings_of(&originals);
    const struct turn_token_key *key = turn_settings_token_key(settings, bytes_of_text("kid-1"));
    assert_non_null(key);
    assert_int_equal(key->key[0], 3);
    assert_null(turn_settings_token_key(settings, bytes_of_text("kid-2")));
    turn_settings_unref(settings);
}

static void test_settings_live_until_the_last_reference(void **state)
{
    (void)state;
    struct originals originals;
    struct turn_settings *settings = settings_of(&originals);
    assert_ptr_equal(turn_settings_ref(settings), settings);
    turn_settings_unref(settings);
    assert_text_equal(turn_settings_get(settings)->realm, "example.org");
    turn_settings_unref(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_fields_take_defaults),
        cmocka_unit_test(test_settings_keep_nothing_of_the_callers),
        cmocka_unit_test(test_users_are_found_by_name_and_by_hash),
        cmocka_unit_test(test_token_keys_are_found_by_their_kid),
        cmocka_unit_test(test_settings_live_until_the_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
