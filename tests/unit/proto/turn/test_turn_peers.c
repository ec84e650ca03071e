#include "support/check.h"

#include <errno.h>

#include "base/memory.h"
#include "base/random.h"
#include "proto/turn/turn_peers.h"

static struct net_address ip(const char *text)
{
    struct net_address address;
    if (net_address_parse_ip(text, 9, &address) != 0)
        fail_msg("not an address: %s", text);
    return address;
}

static struct turn_network network(const char *text)
{
    struct turn_network result;
    if (turn_network_parse(text, &result) != 0)
        fail_msg("not a network: %s", text);
    return result;
}

/** Rules from texts with NULL at the end. */
static struct turn_peers *rules(const char *const *allowed, const char *const *denied,
                                const char *const *own)
{
    struct turn_network networks[2][8];
    struct net_address addresses[8];
    struct turn_peers_config config = { .allowed = networks[0],
                                        .denied = networks[1],
                                        .own = addresses };
    for (; allowed && *allowed; allowed++)
        networks[0][config.allowed_count++] = network(*allowed);
    for (; denied && *denied; denied++)
        networks[1][config.denied_count++] = network(*denied);
    for (; own && *own; own++)
        addresses[config.own_count++] = ip(*own);
    return turn_peers_new(&config);
}

#define RULES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void check(const struct turn_peers *peers, const char *text, enum turn_peer_verdict expected)
{
    struct net_address peer = ip(text);
    struct turn_peer_decision decision = { 0 };
    enum turn_peer_verdict verdict = turn_peers_judge(peers, &peer, &decision);
    if (verdict != expected)
        fail_msg("%s: %d instead of %d (%s)", text, verdict, expected, decision.rule);
    assert_int_equal(decision.verdict, verdict);
    assert_non_null(decision.rule);
    assert_int_equal(decision.remedy == NULL, verdict == TURN_PEER_ALLOWED);
}

static const char *rule_of(const struct turn_peers *peers, const char *text)
{
    struct net_address peer = ip(text);
    struct turn_peer_decision decision;
    turn_peers_judge(peers, &peer, &decision);
    return decision.rule;
}

static void test_public_addresses_are_allowed(void **state)
{
    (void)state;
    struct turn_peers *peers = rules(NULL, NULL, NULL);
    const char *const open[] = { "8.8.8.8",         "1.0.0.1",          "9.255.255.255",
                                 "11.0.0.0",        "100.63.255.255",   "100.128.0.0",
                                 "126.255.255.255", "128.0.0.0",        "169.253.255.255",
                                 "169.255.0.0",     "172.15.255.255",   "172.32.0.0",
                                 "192.0.1.0",       "192.0.3.0",        "192.88.98.255",
                                 "192.167.255.255", "192.169.0.0",      "198.17.255.255",
                                 "198.20.0.0",      "198.51.99.255",    "203.0.114.0",
                                 "223.255.255.255", "2000::1",          "2001:4860:4860::8888",
                                 "2001:1::1",       "2001:db7:ffff::1", "2001:db9::1",
                                 "2a00::1",         "3ffe::1",          "3fff:1000::1",
                                 "::ffff:8.8.8.8",  "64:ff9b::8.8.8.8", "2002:808:808::1" };
    for (size_t i = 0; i < array_size(open); i++)
        check(peers, open[i], TURN_PEER_ALLOWED);
    turn_peers_free(peers);
}

static void test_special_networks_are_denied_to_their_last_address(void **state)
{
    (void)state;
    struct turn_peers *peers = rules(NULL, NULL, NULL);
    const char *const closed[] = { "0.0.0.0",
                                   "0.255.255.255",
                                   "10.0.0.0",
                                   "10.255.255.255",
                                   "100.64.0.0",
                                   "100.127.255.255",
                                   "127.0.0.1",
                                   "127.255.255.255",
                                   "169.254.0.0",
                                   "169.254.255.255",
                                   "172.16.0.0",
                                   "172.31.255.255",
                                   "192.0.0.0",
                                   "192.0.0.255",
                                   "192.0.2.0",
                                   "192.0.2.255",
                                   "192.88.99.1",
                                   "192.168.0.0",
                                   "192.168.255.255",
                                   "198.18.0.0",
                                   "198.19.255.255",
                                   "198.51.100.0",
                                   "198.51.100.255",
                                   "203.0.113.0",
                                   "203.0.113.255",
                                   "224.0.0.0",
                                   "239.255.255.255",
                                   "240.0.0.0",
                                   "255.255.255.254",
                                   "255.255.255.255",
                                   "::",
                                   "::1",
                                   "::2",
                                   "100::",
                                   "100::ffff:ffff:ffff:ffff",
                                   "64:ff9b:1::",
                                   "64:ff9b:1:ffff:ffff:ffff:808:808",
                                   "2001:2::",
                                   "2001:2:0:ffff::",
                                   "2001:db8::",
                                   "2001:db8:ffff::",
                                   "3fff::",
                                   "3fff:fff::",
                                   "5f00::1",
                                   "fc00::",
                                   "fdff::1",
                                   "fe80::1",
                                   "febf::1",
                                   "fec0::1",
                                   "feff::1",
                                   "ff00::1",
                                   "ff02::1",
                                   "4000::1",
                                   "1fff::1",
                                   "8000::1" };
    for (size_t i = 0; i < array_size(closed); i++)
        check(peers, closed[i], TURN_PEER_DENIED);
    turn_peers_free(peers);
}

static void test_attack_cve_2020_26262_loopback_by_its_other_names(void **state)
{
    (void)state;
    struct turn_peers *peers = rules(NULL, NULL, NULL);
    const char *const names[] = { "0.0.0.0", "::", "::1", "127.0.0.1", "127.1.2.3" };
    for (size_t i = 0; i < array_size(names); i++)
        check(peers, names[i], TURN_PEER_DENIED);
    turn_peers_free(peers);
}

static void test_attack_cve_2026_27624_mapped_loopback(void **state)
{
    (void)state;
    struct turn_peers *peers = rules(NULL, NULL, NULL);
    check(peers, "::ffff:127.0.0.1", TURN_PEER_DENIED);
    check(peers, "::ffff:7f00:1", TURN_PEER_DENIED);
    check(peers, "::ffff:0.0.0.0", TURN_PEER_DENIED);
    check(peers, "::ffff:10.0.0.1", TURN_PEER_DENIED);
    check(peers, "::ffff:169.254.169.254", TURN_PEER_DENIED);
    assert_text_equal(rule_of(peers, "::ffff:127.0.0.1"), "loopback");
    turn_peers_free(peers);
}

static void test_attack_every_encoding_of_a_closed_ipv4_address_is_closed(void **state)
{
    (void)state;
    struct turn_peers *peers = rules(NULL, NULL, NULL);
    const struct {
        const char *text, *rule;
    } attacks[] = {
        { "::127.0.0.1", "loopback" },        // IPv4-compatible
        { "::ffff:0:127.0.0.1", "loopback" }, // IPv4-translated
        { "64:ff9b::127.0.0.1", "loopback" }, // NAT64
        { "64:ff9b::10.1.2.3", "private networks (RFC 1918)" },
        { "64:ff9b::169.254.169.254", "cloud metadata" },
        { "2002:7f00:1::", "loopback" }, // 6to4
        { "2002:a00:1::1", "private networks (RFC 1918)" },
        { "2002:c0a8:101:1::5", "private networks (RFC 1918)" },
        { "2002:a9fe:a9fe::", "cloud metadata" },
        { "2001:0:7f00:1::f7f7:f7f7", "loopback" },               // Teredo server
        { "2001:0:808:808::80ff:fffe", "loopback" },              // Teredo client 127.0.0.1
        { "2001:0:808:808:0:0:5601:5601", "cloud metadata" },     // Teredo client 169.254.169.254
        { "2a00::5efe:10.0.0.1", "private networks (RFC 1918)" }, // ISATAP
        { "2a00::200:5efe:127.0.0.1", "loopback" },
        { "2002:808:808::5efe:192.168.1.1", "private networks (RFC 1918)" }, // both
    };
    for (size_t i = 0; i < array_size(attacks); i++) {
        check(peers, attacks[i].text, TURN_PEER_DENIED);
        assert_text_equal(rule_of(peers, attacks[i].text), attacks[i].rule);
    }
    turn_peers_free(peers);
}

static void test_attack_cloud_metadata(void **state)
{
    (void)state;
    const char *const services[] = {
        "169.254.169.254", "169.254.170.2",      "100.100.100.200",
        "192.0.0.192",     "168.63.129.16",      "fd00:ec2::254",
        "fd20:ce::254",    "fd00:c1::a9fe:a9fe", "::ffff:168.63.129.16"
    };
    struct turn_peers *closed = rules(NULL, NULL, NULL);
    // large networks are opened for peers, not for what hands out credentials
    struct turn_peers *wide = rules(
        RULES("0.0.0.0/0", "::/0", "169.254.0.0/16", "100.64.0.0/10", "fd00::/8"), NULL, NULL);
    struct turn_peers *named = rules(RULES("169.254.169.254"), NULL, NULL);
    for (size_t i = 0; i < array_size(services); i++) {
        check(closed, services[i], TURN_PEER_DENIED);
        check(wide, services[i], TURN_PEER_DENIED);
    }
    check(wide, "169.254.1.1", TURN_PEER_ALLOWED);
    check(named, "169.254.169.254", TURN_PEER_ALLOWED);
    check(named, "169.254.170.2", TURN_PEER_DENIED);
    turn_peers_free(closed);
    turn_peers_free(wide);
    turn_peers_free(named);
}

static void test_allowed_networks_open_what_is_closed_by_default(void **state)
{
    (void)state;
    struct turn_peers *peers = rules(RULES("10.1.0.0/16", "fd00:1::/32"), NULL, NULL);
    check(peers, "10.1.2.3", TURN_PEER_ALLOWED);
    check(peers, "::ffff:10.1.2.3", TURN_PEER_ALLOWED);
    check(peers, "64:ff9b::10.1.2.3", TURN_PEER_ALLOWED);
    check(peers, "10.2.0.1", TURN_PEER_DENIED);
    check(peers, "fd00:1::7", TURN_PEER_ALLOWED);
    check(peers, "fd00:2::7", TURN_PEER_DENIED);
    assert_text_equal(rule_of(peers, "10.1.2.3"), "turn.allowed_peers");
    // a form that nobody would route stays closed
    check(peers, "::10.1.2.3", TURN_PEER_DENIED);
    turn_peers_free(peers);
}

static void test_the_longest_prefix_decides_and_denial_wins_ties(void **state)
{
    (void)state;
    struct turn_peers *peers =
        rules(RULES("10.0.0.0/8", "10.1.2.0/24", "20.0.0.0/8", "10.9.0.0/16"),
              RULES("10.1.0.0/16", "20.0.0.0/8", "10.1.2.7", "30.0.0.0/7"), NULL);
    check(peers, "10.2.0.1", TURN_PEER_ALLOWED);
    check(peers, "10.1.0.1", TURN_PEER_DENIED);
    check(peers, "10.1.2.1", TURN_PEER_ALLOWED);
    check(peers, "10.1.2.7", TURN_PEER_DENIED);
    check(peers, "10.9.1.1", TURN_PEER_ALLOWED);
    check(peers, "20.1.1.1", TURN_PEER_DENIED);
    check(peers, "30.1.1.1", TURN_PEER_DENIED);
    check(peers, "31.255.255.255", TURN_PEER_DENIED);
    check(peers, "32.0.0.0", TURN_PEER_ALLOWED);
    assert_text_equal(rule_of(peers, "20.1.1.1"), "turn.denied_peers");
    turn_peers_free(peers);
}

static void test_a_denied_ipv6_network_holds_for_what_it_carries_too(void **state)
{
    (void)state;
    struct turn_peers *peers = rules(NULL, RULES("2002::/16", "64:ff9b::/96", "8.8.4.0/24"), NULL);
    check(peers, "2002:808:808::", TURN_PEER_DENIED);
    check(peers, "64:ff9b::8.8.8.8", TURN_PEER_DENIED);
    check(peers, "8.8.8.8", TURN_PEER_ALLOWED);
    check(peers, "::ffff:8.8.4.4", TURN_PEER_DENIED);
    turn_peers_free(peers);
}

static void test_rules_for_everything(void **state)
{
    (void)state;
    struct turn_peers *open = rules(RULES("0.0.0.0/0", "::/0"), NULL, NULL);
    check(open, "10.0.0.1", TURN_PEER_ALLOWED);
    check(open, "fd00::1", TURN_PEER_ALLOWED);
    // this machine has to be named
    check(open, "127.0.0.1", TURN_PEER_DENIED);
    check(open, "0.0.0.0", TURN_PEER_DENIED);
    check(open, "::1", TURN_PEER_DENIED);
    turn_peers_free(open);
    struct turn_peers *shut = rules(RULES("10.0.0.7"), RULES("0.0.0.0/0", "::/0"), NULL);
    check(shut, "8.8.8.8", TURN_PEER_DENIED);
    check(shut, "2a00::1", TURN_PEER_DENIED);
    check(shut, "10.0.0.7", TURN_PEER_ALLOWED);
    turn_peers_free(shut);
}

static void test_own_addresses_are_own_whatever_network_they_are_in(void **state)
{
    (void)state;
    const char *const *own = RULES("10.0.0.5", "198.51.100.7", "9.9.9.9", "2a00::5");
    struct turn_peers *peers = rules(NULL, NULL, own);
    check(peers, "10.0.0.5", TURN_PEER_OWN);
    check(peers, "198.51.100.7", TURN_PEER_OWN);
    check(peers, "9.9.9.9", TURN_PEER_OWN);
    check(peers, "::ffff:9.9.9.9", TURN_PEER_OWN);
    check(peers, "64:ff9b::9.9.9.9", TURN_PEER_OWN);
    check(peers, "2002:909:909::", TURN_PEER_OWN);
    check(peers, "2a00::5", TURN_PEER_OWN);
    check(peers, "2a00::6", TURN_PEER_ALLOWED);
    check(peers, "10.0.0.6", TURN_PEER_DENIED);
    turn_peers_free(peers);
}

static void test_own_addresses_open_to_rules_that_name_them(void **state)
{
    (void)state;
    const char *const *own = RULES("10.0.0.5", "10.0.0.6", "9.9.9.9", "127.0.0.1", "::1");
    struct turn_peers *peers =
        rules(RULES("10.0.0.0/8", "10.0.0.6", "127.0.0.0/8", "::1"), RULES("9.9.9.9"), own);
    // a large network is opened for the other machines in it
    check(peers, "10.0.0.5", TURN_PEER_OWN);
    check(peers, "10.0.0.7", TURN_PEER_ALLOWED);
    check(peers, "10.0.0.6", TURN_PEER_ALLOWED);
    check(peers, "127.0.0.1", TURN_PEER_ALLOWED);
    check(peers, "::1", TURN_PEER_ALLOWED);
    check(peers, "9.9.9.9", TURN_PEER_DENIED);
    turn_peers_free(peers);
}

static void test_a_refusal_tells_rule_and_remedy(void **state)
{
    (void)state;
    struct turn_peers *peers = rules(NULL, NULL, NULL);
    struct net_address peer = ip("192.168.1.20");
    struct turn_peer_decision decision;
    turn_peers_judge(peers, &peer, &decision);
    assert_text_equal(decision.rule, "private networks (RFC 1918)");
    assert_text_equal(decision.remedy, "To relay to this network add it to turn.allowed_peers.");
    struct net_address none = { .family = NET_NONE };
    assert_int_equal(turn_peers_judge(peers, &none, &decision), TURN_PEER_DENIED);
    assert_non_null(decision.remedy);
    turn_peers_free(peers);
    assert_null(turn_peers_free(NULL));
}

static void test_canonical_forms_keep_the_port_and_end_with_the_address(void **state)
{
    (void)state;
    struct net_address forms[TURN_CANONICAL_MAX];
    struct net_address plain = ip("8.8.8.8");
    plain.port = 77;
    assert_int_equal(turn_peer_canonical(&plain, forms), 1);
    assert_true(net_address_equal(&forms[0], &plain));
    struct net_address mapped = ip("::ffff:8.8.8.8");
    mapped.port = 77;
    assert_int_equal(turn_peer_canonical(&mapped, forms), 2);
    assert_true(net_address_equal(&forms[0], &plain));
    assert_true(net_address_equal(&forms[1], &mapped));
    // the most that an address can mean: Teredo server and client, ISATAP, itself
    struct net_address teredo = ip("2001:0:102:304:0:5efe:506:708");
    assert_int_equal(turn_peer_canonical(&teredo, forms), TURN_CANONICAL_MAX);
    struct net_address client = ip("250.249.248.247");
    assert_true(net_address_same_ip(&forms[0], &client));
    struct net_address server = ip("1.2.3.4");
    assert_true(net_address_same_ip(&forms[1], &server));
    struct net_address loopback = ip("::1");
    assert_int_equal(turn_peer_canonical(&loopback, forms), 1);
    struct net_address ordinary = ip("2a00::7f00:1");
    assert_int_equal(turn_peer_canonical(&ordinary, forms), 1);
}

static void test_local_nat64_is_judged_in_all_of_its_layouts(void **state)
{
    (void)state;
    struct turn_peers *peers = rules(RULES("64:ff9b:1::/48"), NULL, NULL);
    // 10.11.12.13 behind prefixes of 48, 56, 64 and 96 bits
    check(peers, "64:ff9b:1:a0b:c:d00::", TURN_PEER_DENIED);
    check(peers, "64:ff9b:1:10a:b:c0d::", TURN_PEER_DENIED);
    check(peers, "64:ff9b:1:1:a:b0c:d00:0", TURN_PEER_DENIED);
    check(peers, "64:ff9b:1::a0b:c0d", TURN_PEER_DENIED);
    check(peers, "64:ff9b:1::808:808", TURN_PEER_ALLOWED);
    turn_peers_free(peers);
}

static void test_networks_are_parsed_strictly(void **state)
{
    (void)state;
    const struct {
        const char *text, *ip;
        int prefix;
    } good[] = { { "10.0.0.0/8", "10.0.0.0", 8 },
                 { "0.0.0.0/0", "0.0.0.0", 0 },
                 { "1.2.3.4", "1.2.3.4", 32 },
                 { "1.2.3.4/32", "1.2.3.4", 32 },
                 { "2001:db8::/32", "2001:db8::", 32 },
                 { "::/0", "::", 0 },
                 { "::1", "::1", 128 },
                 { "fe80::/10", "fe80::", 10 },
                 { "::ffff:10.0.0.0/104", "10.0.0.0", 8 },
                 { "::ffff:1.2.3.4", "1.2.3.4", 32 } };
    for (size_t i = 0; i < array_size(good); i++) {
        struct turn_network parsed = network(good[i].text);
        struct net_address address = ip(good[i].ip);
        assert_true(net_address_same_ip(&parsed.address, &address));
        assert_int_equal(parsed.prefix, good[i].prefix);
        assert_int_equal(parsed.address.port, 0);
    }
    const char *const bad[] = {
        "",
        "/",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/a",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8 ",
        " 10.0.0.0/8",
        "10.0.0.0/8/8",
        "10.0.0/8",
        "::/129",
        "fe80::1%lo",
        "10.0.0.0/0008",
        "example.org",
        "010.0.0.0/8",
        "10.0.0.1/8",
        "2001:db8::1/32",
        "[::1]/128",
        "10.0.0.0/99999999999",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/8"
    };
    for (size_t i = 0; i < array_size(bad); i++) {
        struct turn_network parsed = { .prefix = 77 };
        if (turn_network_parse(bad[i], &parsed) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(parsed.prefix, 77);
    }
}

/** Every prefix length of many random rules, against the plain definition. */
static void test_many_rules_match_as_one_after_the_other_would(void **state)
{
    (void)state;
    struct random random;
    random_seeded_init(&random, 3);
    enum { COUNT = 300 };
    static struct turn_network networks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        uint32_t prefix = random_below(&random, 33);
        // few bits, so that networks contain one another
        uint32_t bits = (random_u32(&random) & 0x81828384u) & (prefix ? ~0u << (32 - prefix) : 0u);
        networks[i] = (struct turn_network){ .address = { .family = NET_IPV4 },
                                             .prefix = (uint8_t)max_of(prefix, 1u) };
        store_u32(networks[i].address.ip, bits);
    }
    struct turn_peers_config config = { .denied = networks, .denied_count = COUNT };
    struct turn_peers *peers = turn_peers_new(&config);
    for (int round = 0; round < 20000; round++) {
        struct net_address peer = { .family = NET_IPV4 };
        uint32_t value = random_u32(&random) & 0x83868788u;
        store_u32(peer.ip, value | 0x08000000u);
        bool expected = false;
        for (size_t i = 0; i < COUNT && !expected; i++)
            expected = (load_u32(peer.ip) ^ load_u32(networks[i].address.ip)) >>
                           (32 - networks[i].prefix) ==
                       0;
        struct turn_peer_decision decision;
        turn_peers_judge(peers, &peer, &decision);
        assert_int_equal(strcmp(decision.rule, "turn.denied_peers") == 0, expected);
    }
    turn_peers_free(peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_addresses_are_allowed),
        cmocka_unit_test(test_special_networks_are_denied_to_their_last_address),
        cmocka_unit_test(test_attack_cve_2020_26262_loopback_by_its_other_names),
        cmocka_unit_test(test_attack_cve_2026_27624_mapped_loopback),
        cmocka_unit_test(test_attack_every_encoding_of_a_closed_ipv4_address_is_closed),
        cmocka_unit_test(test_attack_cloud_metadata),
        cmocka_unit_test(test_allowed_networks_open_what_is_closed_by_default),
        cmocka_unit_test(test_the_longest_prefix_decides_and_denial_wins_ties),
        cmocka_unit_test(test_a_denied_ipv6_network_holds_for_what_it_carries_too),
        cmocka_unit_test(test_rules_for_everything),
        cmocka_unit_test(test_own_addresses_are_own_whatever_network_they_are_in),
        cmocka_unit_test(test_own_addresses_open_to_rules_that_name_them),
        cmocka_unit_test(test_a_refusal_tells_rule_and_remedy),
        cmocka_unit_test(test_canonical_forms_keep_the_port_and_end_with_the_address),
        cmocka_unit_test(test_local_nat64_is_judged_in_all_of_its_layouts),
        cmocka_unit_test(test_networks_are_parsed_strictly),
        cmocka_unit_test(test_many_rules_match_as_one_after_the_other_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
