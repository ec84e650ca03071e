#include "support/check.h"

#include "server/pcap.h"

static uint16_t checksum(const uint8_t *data, size_t size, uint32_t sum)
{
    for (size_t i = 0; i < size; i += 2)
        sum += (uint32_t)data[i] << 8 | (i + 1 < size ? data[i + 1] : 0);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static struct net_address address(const char *ip, uint16_t port)
{
    struct net_address result;
    assert_int_equal(net_address_parse_ip(ip, port, &result), 0);
    return result;
}

static void test_a_datagram_over_ipv4_has_right_headers_and_sums(void **state)
{
    (void)state;
    uint8_t out[PCAP_RECORD_OVERHEAD + 16];
    struct net_address from = address("192.0.2.1", 1000), to = address("198.51.100.2", 2000);
    size_t size = pcap_write_udp(out, 1700000000123456, &from, &to, bytes_of_text("hello"));
    assert_int_equal(size, 16 + 20 + 8 + 5);
    assert_int_equal(load_u32(out), 1700000000);
    assert_int_equal(load_u32(out + 4), 123456);
    assert_int_equal(load_u32(out + 8), 33);
    const uint8_t *ip = out + 16, *udp = ip + 20;
    assert_int_equal(checksum(ip, 20, 0), 0xffff);
    assert_int_equal(load_u16(ip + 2), 33);
    assert_memory_equal(ip + 12, from.ip, 4);
    assert_int_equal(load_u16(udp), 1000);
    assert_int_equal(load_u16(udp + 2), 2000);
    assert_memory_equal(udp + 8, "hello", 5);
    assert_int_equal(checksum(udp, 13, 17u + 13 + checksum(ip + 12, 8, 0)), 0xffff);
}

static void test_a_datagram_over_ipv6_has_right_headers_and_sums(void **state)
{
    (void)state;
    uint8_t out[PCAP_RECORD_OVERHEAD + 16];
    struct net_address from = address("2001:db8::1", 1), to = address("2001:db8::2", 65535);
    size_t size = pcap_write_udp(out, 0, &from, &to, bytes_of_text("hi"));
    assert_int_equal(size, 16 + 40 + 8 + 2);
    const uint8_t *ip = out + 16, *udp = ip + 40;
    assert_int_equal(ip[0] >> 4, 6);
    assert_int_equal(load_u16(ip + 4), 10);
    assert_memory_equal(ip + 24, to.ip, 16);
    assert_int_equal(checksum(udp, 10, 17u + 10 + checksum(ip + 8, 32, 0)), 0xffff);
}

static void test_an_empty_datagram_is_a_record_as_well(void **state)
{
    (void)state;
    uint8_t out[PCAP_RECORD_OVERHEAD], header[PCAP_HEADER_SIZE];
    struct net_address from = address("127.0.0.1", 1), to = address("127.0.0.1", 2);
    assert_int_equal(pcap_write_udp(out, 0, &from, &to, bytes_of(NULL, 0)), 16 + 28);
    pcap_write_header(header);
    assert_int_equal(load_u32(header), 0xa1b2c3d4);
    assert_int_equal(load_u32(header + 20), 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_datagram_over_ipv4_has_right_headers_and_sums),
        cmocka_unit_test(test_a_datagram_over_ipv6_has_right_headers_and_sums),
        cmocka_unit_test(test_an_empty_datagram_is_a_record_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
