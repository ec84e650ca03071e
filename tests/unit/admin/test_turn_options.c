// Section [turn]: what its lists say, and what the TURN server is given.
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "admin/turn_config.h"
#include "admin/turn_options.h"
#include "base/memory.h"
#include "base/text.h"

static void test_items_of_secrets_may_hold_blanks(void **state)
{
    (void)state;
    static const char *const expected[] = { "a secret of words", "x=y/z+", "last" };
    struct bytes item, rest = bytes_of_text(" a secret of words,, x=y/z+ ,\tlast , ");
    for (size_t i = 0; i < array_size(expected); i++) {
        assert_true(turn_option_next(&rest, &item));
        assert_true(text_equal(item, expected[i]));
    }
    assert_false(turn_option_next(&rest, &item));
    rest = bytes_of_text("");
    assert_false(turn_option_next(&rest, &item));
}

static void test_relay_addresses_have_one_family(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bind, *told;
    } good[] = { { "10.0.0.5", "10.0.0.5", "10.0.0.5" },
                 { "10.0.0.5/198.51.100.5", "10.0.0.5", "198.51.100.5" },
                 { "[2001:db8::1]/2001:db8::2", "2001:db8::1", "2001:db8::2" } };
    for (size_t i = 0; i < array_size(good); i++) {
        struct turn_relay_address address;
        char text[NET_ADDRESS_TEXT_MAX];
        assert_int_equal(turn_option_relay_address(good[i].text, &address), 0);
        assert_string_equal(net_address_format_ip(&address.bind, text), good[i].bind);
        assert_string_equal(net_address_format_ip(&address.told, text), good[i].told);
        assert_int_equal(address.bind.port + address.told.port, 0);
    }
    static const char *const bad[] = {
        "",           "0.0.0.0",         "10.0.0.5/", "10.0.0.5/::1", "::1/1.2.3.4",
        "10.0.0.5:1", "1.2.3.4/0.0.0.0", "name"
    };
    for (size_t i = 0; i < array_size(bad); i++) {
        struct turn_relay_address address;
        assert_int_equal(turn_option_relay_address(bad[i], &address), -EINVAL);
    }
}

static void test_alternate_servers_have_an_address_and_may_have_a_name(void **state)
{
    (void)state;
    struct turn_alternate_server server;
    char text[NET_ADDRESS_TEXT_MAX];
    assert_int_equal(turn_option_alternate("192.0.2.1:3478", &server), 0);
    assert_string_equal(net_address_format(&server.address, text), "192.0.2.1:3478");
    assert_null(server.domain);
    assert_int_equal(turn_option_alternate("[2001:db8::1]:443/turn.example.org", &server), 0);
    assert_string_equal(server.domain, "turn.example.org");
    static const char *const bad[] = { "", "192.0.2.1", "192.0.2.1:0", "192.0.2.1:1/", "name:1" };
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(turn_option_alternate(bad[i], &server), -EINVAL);
}

static void test_keys_have_the_length_of_their_algorithm(void **state)
{
    (void)state;
    struct turn_option_key key;
    // of 16 and of 32 bytes
    static const char short_key[] = "AAECAwQFBgcICQoLDA0ODw==";
    static const char long_key[] = "AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8=";
    char text[128];
    snprintf(text, sizeof(text), "a:b:A256GCM:%s", long_key);
    assert_int_equal(turn_option_key(bytes_of_text(text), &key), 0);
    assert_string_equal(key.kid, "a:b");
    assert_int_equal(key.key.algorithm, TURN_TOKEN_A256GCM);
    assert_int_equal(key.key.key_size, 32);
    assert_int_equal(key.key.key[31], 15);
    snprintf(text, sizeof(text), "k:A128GCM:%s", short_key);
    assert_int_equal(turn_option_key(bytes_of_text(text), &key), 0);
    assert_int_equal(key.key.key_size, 16);
    static const char *const formats[] = { "k:A256GCM:%s", "k:A128CBC:%s", ":A128GCM:%s",
                                           "A128GCM:%s", "k:A128GCM%s" };
    for (size_t i = 0; i < array_size(formats); i++) {
        struct text_builder out = text_builder_of(text, sizeof(text));
        const char *rest = strchr(formats[i], '%');
        text_append_bytes(&out, bytes_of(formats[i], (size_t)(rest - formats[i])));
        text_append(&out, short_key);
        assert_int_equal(turn_option_key(bytes_of_text(text), &key), -EINVAL);
    }
}

/** ---- checks ---- */

static void test_contradictions_of_the_section_are_found(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "turn.min_port=60000", "turn.max_port=50000", "must not be above" },
        { "turn.default_lifetime=1h", "turn.max_lifetime=30m", "not be longer" },
        { "turn.port=5349", "turn.udp=true", "must differ" },
        { "turn.bind=", "turn.udp=true", "turn.bind must name" },
        { "turn.relay_addresses=10.0.0.1/::1", "turn.udp=true", "not \"10.0.0.1/::1\"" },
        { "turn.alternate_servers=turn.example.org", "turn.udp=true", "IP:PORT/DOMAIN" },
        { "turn.redirect_above=5", "turn.udp=true", "needs turn.alternate_servers" },
        { "turn.oauth_keys=a:A256GCM:secret", "turn.udp=true", "key 1 is not" },
        { "turn.nat_discovery_address=192.0.2.2", "turn.udp=true", "media.bind must name" },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct options options;
        struct options_problems problems = { 0 };
        options_init(&options);
        options_set(&options, cases[i][0], &problems);
        options_set(&options, cases[i][1], &problems);
        options_check(&options, &problems);
        assert_int_equal(problems.count, 1);
        if (!strstr(problems.sentences[0], cases[i][2]))
            fail_msg("%s", problems.sentences[0]);
        assert_null(strstr(problems.sentences[0], "secret")); // not even a broken one
        options_problems_done(&problems);
        options_done(&options);
    }
}

/** ---- what the server gets ---- */

struct fixture {
    struct options options;
    struct data_folder data;
    struct user_list users;
    struct turn_own own;
    struct turn_settings *settings;
};

static void give(struct fixture *fixture, const char *const *sets)
{
    struct options_problems problems = { 0 };
    options_init(&fixture->options);
    for (; sets && *sets; sets++)
        options_set(&fixture->options, *sets, &problems);
    options_check(&fixture->options, &problems);
    assert_int_equal(problems.count, 0);
    memset(fixture->data.turn_secret, 7, sizeof(fixture->data.turn_secret));
    struct turn_relay_address relays[TURN_RELAY_ADDRESSES_MAX];
    struct net_address external = net_address_ipv4(198, 51, 100, 77, 0);
    struct turn_settings_input input = {
        .options = &fixture->options.values,
        .data = &fixture->data,
        .users = &fixture->users,
        .relays = relays,
        .relay_count = turn_config_relays(&fixture->options.values, &external, relays),
        .own = &fixture->own,
        .external = external,
        .media_port = 3478,
        .draining = true,
        .drain_deadline_us = 5,
    };
    fixture->settings = turn_config_settings(&input);
}

static void take_back(struct fixture *fixture)
{
    turn_settings_unref(fixture->settings);
    options_done(&fixture->options);
}

static void test_settings_hold_what_the_options_say(void **state)
{
    (void)state;
    static const char *const sets[] = { "turn.realm=example.org",
                                        "turn.secrets=one, two",
                                        "turn.max_lifetime=20m",
                                        "turn.max_permissions=9",
                                        "turn.tcp_relay=true",
                                        "turn.alternate_servers=192.0.2.9:1 192.0.2.8:2/x",
                                        "turn.relay_addresses=127.0.0.1/198.51.100.3",
                                        NULL };
    struct fixture fixture = { 0 };
    give(&fixture, sets);
    const struct turn_settings_config *config = turn_settings_get(fixture.settings);
    assert_string_equal(config->realm, "example.org");
    assert_null(config->software);
    assert_int_equal(config->secret_count, 3); // the data folder's is the last
    assert_true(text_equal(config->secrets[0], "one"));
    assert_int_equal(config->secrets[2].size, DATA_SECRET_SIZE);
    assert_int_equal(config->lifetime_max_s, 1200);
    assert_int_equal(config->permissions_max, 9);
    assert_true(config->tcp_relay && config->draining && !config->mobility);
    assert_int_equal(config->alternate_count, 2);
    assert_string_equal(config->alternates[1].domain, "x");
    assert_true(config->media_count > 0);
    assert_int_equal(config->media[0].port, 3478);
    take_back(&fixture);
}

static void test_users_who_are_disabled_or_have_no_digest_keys_are_not_told(void **state)
{
    (void)state;
    char ann[] = "ann", ben[] = "ben", cid[] = "cid";
    struct user users[] = { { .name = ann, .keys.has_digest = true },
                            { .name = ben, .keys.has_digest = true, .disabled = true },
                            { .name = cid } };
    struct fixture fixture = { .users = { .items = users, .count = 3 } };
    give(&fixture, NULL);
    assert_non_null(turn_settings_user(fixture.settings, bytes_of_text("ann")));
    assert_null(turn_settings_user(fixture.settings, bytes_of_text("ben")));
    assert_null(turn_settings_user(fixture.settings, bytes_of_text("cid")));
    take_back(&fixture);
}

static enum turn_peer_verdict judge(const struct fixture *fixture, const char *ip)
{
    struct net_address peer;
    struct turn_peer_decision decision;
    assert_int_equal(net_address_parse_ip(ip, 80, &peer), 0);
    return turn_peers_judge(turn_settings_peers(fixture->settings), &peer, &decision);
}

static void test_peers_are_judged_by_rules_and_own_addresses(void **state)
{
    (void)state;
    static const char *const sets[] = { "turn.allowed_peers=10.1.0.0/16",
                                        "turn.denied_peers=8.8.8.0/24",
                                        "turn.relay_addresses=127.0.0.1/198.51.100.3", NULL };
    struct fixture fixture = { 0 };
    give(&fixture, sets);
    assert_int_equal(judge(&fixture, "10.1.2.3"), TURN_PEER_ALLOWED);
    assert_int_equal(judge(&fixture, "10.2.2.3"), TURN_PEER_DENIED);
    assert_int_equal(judge(&fixture, "8.8.8.8"), TURN_PEER_DENIED);
    assert_int_equal(judge(&fixture, "8.8.4.4"), TURN_PEER_ALLOWED);
    // told to clients, so it is ours
    assert_int_equal(judge(&fixture, "198.51.100.77"), TURN_PEER_OWN);
    assert_int_equal(judge(&fixture, "198.51.100.3"), TURN_PEER_OWN);
    take_back(&fixture);
}

static void test_addresses_of_interfaces_are_own(void **state)
{
    (void)state;
    struct net_address fresh = net_address_ipv4(9, 9, 9, 9, 0);
    struct fixture fixture = { 0 };
    give(&fixture, NULL);
    assert_int_equal(judge(&fixture, "9.9.9.9"), TURN_PEER_ALLOWED);
    take_back(&fixture);
    fixture = (struct fixture){ .own = { &fresh, 1 } };
    give(&fixture, NULL);
    assert_int_equal(judge(&fixture, "9.9.9.9"), TURN_PEER_OWN);
    take_back(&fixture);
}

static void test_own_addresses_are_read_again_and_kept_when_they_cannot_be(void **state)
{
    (void)state;
    struct turn_own own = { 0 };
    assert_int_equal(turn_own_read(&own), 1);
    assert_true(own.count > 0); // loopback
    assert_int_equal(turn_own_read(&own), 0);
    own.items[0].ip[3] ^= 1; // as if it had been another one before
    assert_int_equal(turn_own_read(&own), 1);
    size_t count = own.count;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = turn_own_read(&own);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, -EMFILE);
    assert_int_equal(own.count, count);
    turn_own_done(&own);
}

static void test_relays_are_told_by_the_external_address(void **state)
{
    (void)state;
    struct options options;
    struct options_problems problems = { 0 };
    struct turn_relay_address relays[TURN_RELAY_ADDRESSES_MAX];
    struct net_address external = net_address_ipv4(198, 51, 100, 77, 0), none = { 0 };
    char text[NET_ADDRESS_TEXT_MAX];
    options_init(&options);
    size_t count = turn_config_relays(&options.values, &external, relays);
    assert_true(count >= 1);
    for (size_t i = 0; i < count; i++) {
        if (relays[i].bind.family == NET_IPV4)
            assert_string_equal(net_address_format_ip(&relays[i].told, text), "198.51.100.77");
        else
            assert_true(net_address_same_ip(&relays[i].told, &relays[i].bind));
    }
    options_set(&options, "media.bind=127.0.0.9", &problems);
    assert_int_equal(turn_config_relays(&options.values, &none, relays), 1);
    assert_string_equal(net_address_format_ip(&relays[0].told, text), "127.0.0.9");
    options_set(&options, "turn.relay_addresses=127.0.0.1/192.0.2.4 ::1", &problems);
    assert_int_equal(turn_config_relays(&options.values, &external, relays), 2);
    assert_string_equal(net_address_format_ip(&relays[0].told, text), "192.0.2.4");
    assert_int_equal(problems.count, 0);
    options_done(&options);
}

static void test_the_offer_tells_what_is_open(void **state)
{
    (void)state;
    struct options options;
    struct options_problems problems = { 0 };
    struct data_folder data = { 0 };
    struct turn_config_host host;
    options_init(&options);
    struct turn_offer offer = turn_config_offer(&options.values, &data, &host);
    assert_string_equal(offer.host, "");
    assert_int_equal(offer.udp_port, 3478);
    assert_int_equal(offer.https_port, 8443);
    assert_int_equal(offer.lifetime_s, 12 * 3600);
    assert_int_equal(offer.secret.size, DATA_SECRET_SIZE);
    options_set(&options, "http.names=a.example b.example", &problems);
    options_set(&options, "turn.tls=false", &problems);
    options_set(&options, "turn.secrets=first,second", &problems);
    options_set(&options, "server.roles=turn", &problems);
    offer = turn_config_offer(&options.values, &data, &host);
    assert_string_equal(offer.host, "a.example");
    assert_int_equal(offer.tls_port, 0);
    assert_int_equal(offer.https_port, 0); // no web server
    assert_true(text_equal(offer.secret, "first"));
    options_set(&options, "turn.public_host=2001:db8::1", &problems);
    offer = turn_config_offer(&options.values, &data, &host);
    assert_string_equal(offer.host, "[2001:db8::1]");
    assert_int_equal(problems.count, 0);
    options_done(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_of_secrets_may_hold_blanks),
        cmocka_unit_test(test_relay_addresses_have_one_family),
        cmocka_unit_test(test_alternate_servers_have_an_address_and_may_have_a_name),
        cmocka_unit_test(test_keys_have_the_length_of_their_algorithm),
        cmocka_unit_test(test_contradictions_of_the_section_are_found),
        cmocka_unit_test(test_settings_hold_what_the_options_say),
        cmocka_unit_test(test_users_who_are_disabled_or_have_no_digest_keys_are_not_told),
        cmocka_unit_test(test_peers_are_judged_by_rules_and_own_addresses),
        cmocka_unit_test(test_addresses_of_interfaces_are_own),
        cmocka_unit_test(test_own_addresses_are_read_again_and_kept_when_they_cannot_be),
        cmocka_unit_test(test_relays_are_told_by_the_external_address),
        cmocka_unit_test(test_the_offer_tells_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
