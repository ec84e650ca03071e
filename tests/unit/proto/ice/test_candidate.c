#include "support/check.h"

#include <errno.h>

#include "proto/ice/ice_candidate.h"

static struct ice_candidate parse(const char *line)
{
    struct ice_candidate candidate;
    assert_int_equal(ice_candidate_parse(bytes_of_text(line), &candidate), 0);
    return candidate;
}

static const char *written(const struct ice_candidate *candidate)
{
    static char line[ICE_CANDIDATE_TEXT_MAX];
    struct text_builder text = text_builder_of(line, sizeof(line));
    ice_candidate_write(candidate, &text);
    assert_false(text.truncated);
    return line;
}

static void test_lines_of_browsers_are_read(void **state)
{
    (void)state;
    // Chromium
    struct ice_candidate c = parse("a=candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ "
                                   "srflx raddr 192.168.1.5 rport 46154 generation 0 ufrag kwPk "
                                   "network-id 1 network-cost 10\r\n");
    assert_int_equal(c.type, ICE_SERVER_REFLEXIVE);
    assert_int_equal(c.priority, 1677729535);
    assert_text_equal(c.foundation, "842163049");
    struct net_address expected = net_address_ipv4(203, 0, 113, 7, 46154);
    assert_true(net_address_equal(&c.address, &expected));
    expected = net_address_ipv4(192, 168, 1, 5, 46154);
    assert_true(net_address_equal(&c.related, &expected));
    // Firefox
    c = parse("candidate:0 1 UDP 2122252543 5a1b4c9e-26a7-4a4c-b5a9-6bb8bb7e5a4b.local 54400 typ "
              "host");
    assert_true(ice_candidate_is_named(&c));
    assert_text_equal(c.name, "5a1b4c9e-26a7-4a4c-b5a9-6bb8bb7e5a4b.local");
    assert_int_equal(c.address.family, NET_NONE);
    assert_int_equal(c.address.port, 54400);
    c = parse("candidate:4 1 TCP 2105524479 192.168.1.5 9 typ host tcptype active");
    assert_int_equal(c.transport, ICE_TCP_ACTIVE);
    // Safari, IPv6
    c = parse("candidate:3 1 udp 2122262783 2001:db8::5 56000 typ host generation 0 ufrag AbCd");
    assert_int_equal(net_address_parse_ip("2001:db8::5", 56000, &expected), 0);
    assert_true(net_address_equal(&c.address, &expected));
    // an mDNS relay hides the base: raddr 0.0.0.0 rport 0
    c = parse("candidate:1 1 udp 100 192.0.2.4 3000 typ relay raddr 0.0.0.0 rport 0");
    assert_int_equal(c.type, ICE_RELAYED);
    assert_int_equal(c.related.family, NET_IPV4);
    c = parse("candidate:1 1 udp 100 192.0.2.4 3000 typ prflx raddr base.local rport 7");
    assert_int_equal(c.type, ICE_PEER_REFLEXIVE);
    assert_int_equal(c.related.family, NET_NONE);
}

static void test_what_is_written_is_read_back(void **state)
{
    (void)state;
    const char *lines[] = {
        "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
        "candidate:F+/9 256 udp 0 2001:db8::1 65535 typ host",
        "candidate:1 1 udp 1694498815 192.0.2.1 5000 typ srflx raddr 10.0.0.1 rport 5001",
        "candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
        "candidate:1 1 tcp 1518280447 192.0.2.1 443 typ host tcptype passive",
        "candidate:1 1 tcp 1518280447 192.0.2.1 443 typ host tcptype so",
        "candidate:1 1 udp 41885695 192.0.2.1 5000 typ relay raddr 192.0.2.2 rport 5002",
        "candidate:1 1 udp 2122260223 abc-def.local 5000 typ host",
    };
    for (size_t i = 0; i < array_size(lines); i++) {
        struct ice_candidate candidate = parse(lines[i]);
        assert_text_equal(written(&candidate), lines[i]);
    }
}

static void test_malformed_lines_are_refused(void **state)
{
    (void)state;
    const char *lines[] = {
        "",
        "candidate:",
        "candidate:1",
        "candidate:1 1 udp 1 192.0.2.1 5000",
        "candidate:1 1 udp 1 192.0.2.1 5000 typ",
        "candidate:1 1 udp 1 192.0.2.1 5000 host",
        "candidate:1 0 udp 1 192.0.2.1 5000 typ host",
        "candidate:1 257 udp 1 192.0.2.1 5000 typ host",
        "candidate:1 x udp 1 192.0.2.1 5000 typ host",
        "candidate:1 1 udp 4294967296 192.0.2.1 5000 typ host",
        "candidate:1 1 udp -1 192.0.2.1 5000 typ host",
        "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
        "candidate:1 1 udp 1 192.0.2.1%$ 5000 typ host",
        "candidate:\x01 1 udp 1 192.0.2.1 5000 typ host",
        "candidate:\xc3\xa9 1 udp 1 192.0.2.1 5000 typ host",
        "candidate:1 1 udp 1 <script> 5000 typ host",
        "candidate:1 1 tcp 1 192.0.2.1 5000 typ host",
        "candidate:1 1 tcp 1 192.0.2.1 5000 typ host tcptype sideways",
        "candidate:1 1 udp 1 192.0.2.1 5000 typ srflx raddr !! rport 1",
        "candidate:1 1 udp 1 192.0.2.1 5000 typ srflx raddr 10.0.0.1 rport x",
        "candidate:123456789012345678901234567890123 1 udp 1 192.0.2.1 5000 typ host",
    };
    for (size_t i = 0; i < array_size(lines); i++) {
        struct ice_candidate candidate = { .priority = 77 };
        assert_int_equal(ice_candidate_parse(bytes_of_text(lines[i]), &candidate), -EINVAL);
        assert_int_equal(candidate.priority, 77);
    }
}

static void test_unknown_kinds_are_told_apart_from_malformed_ones(void **state)
{
    (void)state;
    struct ice_candidate candidate;
    assert_int_equal(
        ice_candidate_parse(bytes_of_text("candidate:1 1 sctp 1 192.0.2.1 5 typ host"), &candidate),
        -EPROTONOSUPPORT);
    assert_int_equal(
        ice_candidate_parse(bytes_of_text("candidate:1 1 udp 1 192.0.2.1 5 typ next"), &candidate),
        -EPROTONOSUPPORT);
}

static void test_names_are_bounded(void **state)
{
    (void)state;
    char line[400];
    for (int length = 252; length <= 255; length++) {
        memset(line, 0, sizeof(line));
        strcpy(line, "1 1 udp 1 ");
        memset(line + 10, 'n', (size_t)length);
        strcat(line, " 5000 typ host");
        struct ice_candidate candidate;
        int result = ice_candidate_parse(bytes_of_text(line), &candidate);
        assert_int_equal(result, length <= ICE_NAME_MAX ? 0 : -EINVAL);
        if (result == 0)
            assert_int_equal(strlen(written(&candidate)), strlen(line) + strlen("candidate:"));
    }
}

static void test_priorities_follow_the_formula(void **state)
{
    (void)state;
    assert_int_equal(ice_priority(ICE_HOST, 65535, 1), 2130706431);
    assert_int_equal(ice_priority(ICE_SERVER_REFLEXIVE, 65535, 1), 1694498815);
    assert_int_equal(ice_priority(ICE_PEER_REFLEXIVE, 65535, 1), 1862270975);
    assert_int_equal(ice_priority(ICE_RELAYED, 65535, 2), 16777214);
    // 2^32 * min + 2 * max + (G > D)
    assert_true(ice_pair_priority(1, 2) == (1ull << 32) + 4);
    assert_true(ice_pair_priority(2, 1) == (1ull << 32) + 5);
    assert_true(ice_pair_priority(7, 7) == (7ull << 32) + 14);
}

static void test_host_candidates_share_foundations_by_ip(void **state)
{
    (void)state;
    struct net_address one = net_address_ipv4(192, 0, 2, 1, 1000);
    struct net_address same_ip = net_address_ipv4(192, 0, 2, 1, 2000);
    struct net_address other = net_address_ipv4(192, 0, 2, 2, 1000);
    struct ice_candidate a = ice_candidate_host(&one, 65535);
    struct ice_candidate b = ice_candidate_host(&same_ip, 65535);
    struct ice_candidate c = ice_candidate_host(&other, 1);
    assert_text_equal(a.foundation, b.foundation);
    assert_string_not_equal(a.foundation, c.foundation);
    assert_true(a.priority > c.priority);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_browsers_are_read),
        cmocka_unit_test(test_what_is_written_is_read_back),
        cmocka_unit_test(test_malformed_lines_are_refused),
        cmocka_unit_test(test_unknown_kinds_are_told_apart_from_malformed_ones),
        cmocka_unit_test(test_names_are_bounded),
        cmocka_unit_test(test_priorities_follow_the_formula),
        cmocka_unit_test(test_host_candidates_share_foundations_by_ip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
