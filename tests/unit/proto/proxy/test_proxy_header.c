// What load balancers write before a client's bytes, byte by byte.
#include "support/check.h"

#include <errno.h>

#include "proto/proxy/proxy_header.h"

struct built {
    uint8_t bytes[PROXY_HEADER_SIZE_MAX + 64];
    struct writer writer;
};

static void start(struct built *built, uint8_t command, uint8_t protocol)
{
    static const uint8_t signature[] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                         0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };
    built->writer = writer_of(built->bytes, sizeof(built->bytes));
    writer_bytes(&built->writer, signature, sizeof(signature));
    writer_u8(&built->writer, (uint8_t)(0x20 | command));
    writer_u8(&built->writer, protocol);
    writer_u16(&built->writer, 0);
}

static struct bytes finish(struct built *built)
{
    writer_patch_u16(&built->writer, 14, (uint16_t)(built->writer.size - 16));
    return writer_written(&built->writer);
}

static void start_ipv4(struct built *built)
{
    static const uint8_t addresses[] = { 192, 0, 2, 7, 198, 51, 100, 1 };
    start(built, 1, 0x11);
    writer_bytes(&built->writer, addresses, sizeof(addresses));
    writer_u16(&built->writer, 40000);
    writer_u16(&built->writer, 3478);
}

static void append_tlv(struct built *built, uint8_t type, const void *value, uint16_t size)
{
    writer_u8(&built->writer, type);
    writer_u16(&built->writer, size);
    writer_bytes(&built->writer, value, size);
}

static void test_an_ipv4_client_is_told(void **state unused)
{
    struct built built;
    struct proxy_header header;
    start_ipv4(&built);
    struct bytes bytes = finish(&built);
    assert_int_equal(proxy_header_parse(bytes, &header), 28);
    struct net_address source = net_address_ipv4(192, 0, 2, 7, 40000);
    struct net_address destination = net_address_ipv4(198, 51, 100, 1, 3478);
    assert_true(net_address_equal(&header.source, &source));
    assert_true(net_address_equal(&header.destination, &destination));
    assert_int_equal(header.transport, PROXY_STREAM);
    assert_false(header.local);
}

static void test_an_ipv6_client_is_told(void **state unused)
{
    struct built built;
    struct proxy_header header;
    start(&built, 1, 0x22);
    struct net_address source, destination;
    assert_int_equal(net_address_parse_ip("2001:db8::7", 40000, &source), 0);
    assert_int_equal(net_address_parse_ip("2001:db8::1", 3478, &destination), 0);
    writer_bytes(&built.writer, source.ip, 16);
    writer_bytes(&built.writer, destination.ip, 16);
    writer_u16(&built.writer, source.port);
    writer_u16(&built.writer, destination.port);
    assert_int_equal(proxy_header_parse(finish(&built), &header), 52);
    assert_true(net_address_equal(&header.source, &source));
    assert_true(net_address_equal(&header.destination, &destination));
    assert_int_equal(header.transport, PROXY_DATAGRAM);
}

static void test_a_mapped_ipv4_client_is_an_ipv4_client(void **state unused)
{
    struct built built;
    struct proxy_header header;
    static const uint8_t mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7 };
    start(&built, 1, 0x21);
    writer_bytes(&built.writer, mapped, 16);
    writer_bytes(&built.writer, mapped, 16);
    writer_u32(&built.writer, 40000u << 16 | 3478);
    assert_int_equal(proxy_header_parse(finish(&built), &header), 52);
    struct net_address source = net_address_ipv4(192, 0, 2, 7, 40000);
    assert_true(net_address_equal(&header.source, &source));
}

static void test_a_header_that_tells_nobody_leaves_the_connections_addresses(void **state unused)
{
    static const struct {
        uint8_t command, protocol, size;
    } cases[] = { { 0, 0x00, 0 },   { 0, 0x11, 12 }, { 1, 0x00, 0 }, { 1, 0x00, 9 },
                  { 1, 0x31, 216 }, { 1, 0x10, 12 }, { 0, 0x11, 3 } };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct built built;
        struct proxy_header header;
        start(&built, cases[i].command, cases[i].protocol);
        for (uint8_t j = 0; j < cases[i].size; j++)
            writer_u8(&built.writer, 7);
        assert_int_equal(proxy_header_parse(finish(&built), &header), 16 + cases[i].size);
        assert_int_equal(header.source.family, NET_NONE);
        assert_int_equal(header.destination.family, NET_NONE);
        assert_int_equal(header.local, cases[i].command == 0);
    }
}

static void test_extensions_are_skipped(void **state unused)
{
    struct built built;
    struct proxy_header header;
    start_ipv4(&built);
    append_tlv(&built, 0x01, "stun.turn", 9);
    append_tlv(&built, 0x04, "", 0);
    append_tlv(&built, 0xea, "\1vpce", 5);
    struct bytes bytes = finish(&built);
    assert_int_equal(proxy_header_parse(bytes, &header), (int)bytes.size);
    assert_int_equal(header.source.port, 40000);
}

static void test_a_checksum_is_checked(void **state unused)
{
    struct built built;
    struct proxy_header header;
    start_ipv4(&built);
    append_tlv(&built, 0x03, "\0\0\0\0", 4);
    append_tlv(&built, 0x01, "h2", 2);
    struct bytes bytes = finish(&built);
    assert_int_equal(proxy_header_parse(bytes, &header), -EBADMSG);
    store_u32(built.bytes + 31, proxy_crc32c(0, bytes));
    assert_int_equal(proxy_header_parse(bytes, &header), (int)bytes.size);
    built.bytes[16] ^= 1;
    assert_int_equal(proxy_header_parse(bytes, &header), -EBADMSG);
}

static void test_the_checksum_is_castagnolis(void **state unused)
{
    // RFC 3720, B.4
    static const uint8_t zeros[32];
    assert_int_equal(proxy_crc32c(0, bytes_of_text("123456789")), 0xe3069283);
    assert_int_equal(proxy_crc32c(0, bytes_of(zeros, 32)), 0x8a9136aa);
}

static void test_a_header_is_read_as_it_comes(void **state unused)
{
    struct built built;
    struct proxy_header header = { .transport = PROXY_DATAGRAM };
    start_ipv4(&built);
    append_tlv(&built, 0x01, "h2", 2);
    struct bytes bytes = finish(&built);
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(proxy_header_parse(bytes_of(bytes.data, size), &header), 0);
    assert_int_equal(header.transport, PROXY_DATAGRAM); // untouched
    writer_u32(&built.writer, 0x00010000);              // the client's own bytes behind it
    assert_int_equal(proxy_header_parse(writer_written(&built.writer), &header), (int)bytes.size);
}

static void test_other_bytes_are_refused_at_once(void **state unused)
{
    struct built built;
    struct proxy_header header;
    assert_int_equal(proxy_header_parse(bytes_of_text("PROXY TCP4 "), &header), -EBADMSG);
    assert_int_equal(proxy_header_parse(bytes_of("\r\n\r\n\1", 5), &header), -EBADMSG);
    start_ipv4(&built);
    finish(&built);
    built.bytes[12] = 0x11; // version 1
    assert_int_equal(proxy_header_parse(bytes_of(built.bytes, 13), &header), -EBADMSG);
    built.bytes[12] = 0x22; // no such command
    assert_int_equal(proxy_header_parse(bytes_of(built.bytes, 13), &header), -EBADMSG);
}

static void test_headers_that_lie_about_their_size_are_refused(void **state unused)
{
    struct built built;
    struct proxy_header header;
    start(&built, 1, 0x11); // IPv4 without addresses
    assert_int_equal(proxy_header_parse(finish(&built), &header), -EBADMSG);
    start(&built, 1, 0x21); // IPv6 with those of IPv4
    writer_zeros(&built.writer, 12);
    assert_int_equal(proxy_header_parse(finish(&built), &header), -EBADMSG);
    start(&built, 1, 0x41); // no such family
    writer_zeros(&built.writer, 12);
    assert_int_equal(proxy_header_parse(finish(&built), &header), -EBADMSG);
    start_ipv4(&built); // an extension that is longer than the header
    writer_u24(&built.writer, 0x010005);
    assert_int_equal(proxy_header_parse(finish(&built), &header), -EBADMSG);
    start_ipv4(&built);
    writer_zeros(&built.writer, PROXY_HEADER_SIZE_MAX - 27);
    assert_int_equal(proxy_header_parse(finish(&built), &header), -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ipv4_client_is_told),
        cmocka_unit_test(test_an_ipv6_client_is_told),
        cmocka_unit_test(test_a_mapped_ipv4_client_is_an_ipv4_client),
        cmocka_unit_test(test_a_header_that_tells_nobody_leaves_the_connections_addresses),
        cmocka_unit_test(test_extensions_are_skipped),
        cmocka_unit_test(test_a_checksum_is_checked),
        cmocka_unit_test(test_the_checksum_is_castagnolis),
        cmocka_unit_test(test_a_header_is_read_as_it_comes),
        cmocka_unit_test(test_other_bytes_are_refused_at_once),
        cmocka_unit_test(test_headers_that_lie_about_their_size_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
