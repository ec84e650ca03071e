// The STUN server: one test for each promise of RFC 8489 and RFC 5780, section 6.1.
#include "support/check.h"

#include <errno.h>
#include <string.h>

#include "proto/stun/stun_binding.h"
#include "rfc5769.h"

static const uint8_t transaction_id[12] = { 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                            0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae };

struct exchange {
    struct stun_binding_config config;
    struct stun_binding_request request;
    struct stun_writer writer;
    uint8_t question[2048];
    uint8_t answer[STUN_BINDING_ANSWER_MAX];
    struct stun_binding_answer sent;
    struct stun_message message;
};

/** A request without attributes from 192.0.2.1:32853, the address of RFC 5769. */
static void begin(struct exchange *exchange)
{
    *exchange = (struct exchange){ .request.source = net_address_ipv4(192, 0, 2, 1, 32853) };
    stun_writer_start(&exchange->writer, exchange->question, sizeof(exchange->question),
                      STUN_REQUEST, STUN_BINDING, transaction_id);
}

static void begin_discovery(struct exchange *exchange, unsigned socket)
{
    begin(exchange);
    exchange->config.discovery = true;
    exchange->request.socket = (uint8_t)socket;
    for (unsigned i = 0; i < STUN_BINDING_SOCKETS; i++)
        exchange->config.sockets[i] =
            net_address_ipv4(198, 51, 100, i & STUN_BINDING_OTHER_IP ? 2 : 1,
                             i & STUN_BINDING_OTHER_PORT ? 3479 : 3478);
}

static int try_finish(struct exchange *exchange)
{
    exchange->request.message = bytes_of(exchange->question, stun_writer_finish(&exchange->writer));
    return stun_binding_answer(&exchange->config, &exchange->request, exchange->answer,
                               &exchange->sent);
}

static void finish(struct exchange *exchange, enum stun_class class)
{
    assert_int_equal(try_finish(exchange), 0);
    assert_int_equal(
        stun_message_parse(bytes_of(exchange->answer, exchange->sent.size), &exchange->message), 0);
    assert_int_equal(exchange->message.class, class);
    assert_int_equal(exchange->message.method, STUN_BINDING);
    assert_memory_equal(stun_message_transaction_id(&exchange->message), transaction_id, 12);
}

static void assert_refused(struct exchange *exchange, uint16_t code)
{
    finish(exchange, STUN_ERROR);
    uint16_t got;
    assert_int_equal(stun_message_find_error(&exchange->message, &got, NULL), 0);
    assert_int_equal(got, code);
    // an error goes back to who asked, from where it was asked
    assert_int_equal(exchange->sent.socket, exchange->request.socket);
    assert_true(net_address_equal(&exchange->sent.to, &exchange->request.source));
    struct bytes value;
    assert_false(stun_message_find(&exchange->message, STUN_XOR_MAPPED_ADDRESS, &value));
}

static void assert_address(const struct exchange *exchange, uint16_t type,
                           const struct net_address *expected)
{
    struct net_address address;
    assert_int_equal(stun_message_find_address(&exchange->message, type, &address), 0);
    assert_true(net_address_equal(&address, expected));
}

static bool has(const struct exchange *exchange, uint16_t type)
{
    struct bytes value;
    return stun_message_find(&exchange->message, type, &value);
}

static void test_plain_answer_is_xor_mapped_address_alone(void **state)
{
    (void)state;
    struct exchange exchange;
    begin(&exchange);
    finish(&exchange, STUN_SUCCESS);
    // header and attribute as in RFC 5769, section 2.2, where they follow a SOFTWARE
    static const uint8_t expected[] = { 0x01, 0x01, 0x00, 0x0c, 0x21, 0x12, 0xa4, 0x42,
                                        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
                                        0xfa, 0x87, 0xdf, 0xae, 0x00, 0x20, 0x00, 0x08,
                                        0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43 };
    assert_int_equal(exchange.sent.size, sizeof(expected));
    assert_memory_equal(exchange.answer, expected, sizeof(expected));
    assert_true(net_address_equal(&exchange.sent.to, &exchange.request.source));
}

static void test_ipv6_source_is_told(void **state)
{
    (void)state;
    struct exchange exchange;
    begin(&exchange);
    assert_int_equal(net_address_parse_ip("2001:db8:1234:5678:11:2233:4455:6677", 32853,
                                          &exchange.request.source),
                     0);
    finish(&exchange, STUN_SUCCESS);
    assert_int_equal(exchange.sent.size, 44);
    // the attribute of RFC 5769, section 2.3: behind 20 bytes of header and 16 of SOFTWARE
    assert_memory_equal(exchange.answer + 20, vector_response_ipv6 + 36, 24);
}

static void test_fingerprint_is_mirrored(void **state)
{
    (void)state;
    struct exchange exchange;
    begin(&exchange);
    stun_write_fingerprint(&exchange.writer);
    finish(&exchange, STUN_SUCCESS);
    assert_int_equal(exchange.sent.size, 40);
    assert_int_equal(stun_message_check_fingerprint(&exchange.message), 0);
}

static void test_wrong_fingerprint_gets_no_answer(void **state)
{
    (void)state;
    struct exchange exchange;
    begin(&exchange);
    stun_write_fingerprint(&exchange.writer);
    exchange.question[stun_writer_finish(&exchange.writer) - 1] ^= 1;
    assert_int_equal(try_finish(&exchange), -EBADMSG);
}

static void test_software_is_told_only_when_asked_for(void **state)
{
    (void)state;
    struct exchange exchange;
    begin(&exchange);
    finish(&exchange, STUN_SUCCESS);
    assert_false(has(&exchange, STUN_SOFTWARE));
    exchange.config.software = bytes_of_text("test vector");
    finish(&exchange, STUN_SUCCESS);
    struct bytes software;
    assert_true(stun_message_find(&exchange.message, STUN_SOFTWARE, &software));
    assert_true(bytes_equal(software, bytes_of_text("test vector")));
}

static void test_unknown_required_attributes_are_listed_with_420(void **state)
{
    (void)state;
    struct exchange exchange;
    begin(&exchange);
    stun_write_u32(&exchange.writer, 0x7ffe, 1);
    stun_write_u32(&exchange.writer, 0x8abc, 1); // optional: does not count
    stun_write_u32(&exchange.writer, 0x7ffd, 1);
    assert_refused(&exchange, 420);
    struct bytes unknown;
    assert_true(stun_message_find(&exchange.message, STUN_UNKNOWN_ATTRIBUTES, &unknown));
    static const uint8_t expected[] = { 0x7f, 0xfe, 0x7f, 0xfd };
    assert_true(bytes_equal(unknown, bytes_of(expected, sizeof(expected))));
}

static void test_known_but_needless_attributes_are_ignored(void **state)
{
    (void)state;
    struct exchange exchange;
    begin(&exchange);
    stun_write_bytes(&exchange.writer, STUN_SOFTWARE, bytes_of_text("client"));
    stun_write_bytes(&exchange.writer, STUN_USERNAME, bytes_of_text("someone"));
    stun_write_integrity(&exchange.writer, bytes_of_text("nobody knows"));
    finish(&exchange, STUN_SUCCESS);
    assert_int_equal(exchange.sent.size, 32);
}

static void test_other_messages_get_no_answer(void **state)
{
    (void)state;
    static const struct {
        enum stun_class class;
        uint16_t method;
    } others[] = { { STUN_INDICATION, STUN_BINDING },
                   { STUN_SUCCESS, STUN_BINDING },
                   { STUN_ERROR, STUN_BINDING },
                   { STUN_REQUEST, STUN_ALLOCATE } };
    for (size_t i = 0; i < array_size(others); i++) {
        struct exchange exchange;
        begin(&exchange);
        stun_writer_start(&exchange.writer, exchange.question, sizeof(exchange.question),
                          others[i].class, others[i].method, transaction_id);
        assert_int_equal(try_finish(&exchange), -ENOMSG);
    }
    struct exchange exchange;
    begin(&exchange);
    exchange.question[4] ^= 1; // not the magic cookie: RFC 3489, or not STUN at all
    assert_int_equal(try_finish(&exchange), -EBADMSG);
}

static void test_discovery_attributes_are_unknown_without_second_address(void **state)
{
    (void)state;
    static const uint16_t types[] = { STUN_CHANGE_REQUEST, STUN_RESPONSE_PORT, STUN_PADDING };
    for (size_t i = 0; i < array_size(types); i++) {
        struct exchange exchange;
        begin(&exchange);
        stun_write_u32(&exchange.writer, types[i], 0);
        assert_refused(&exchange, 420);
        struct bytes unknown;
        assert_true(stun_message_find(&exchange.message, STUN_UNKNOWN_ATTRIBUTES, &unknown));
        assert_int_equal(load_u16(unknown.data), types[i]);
    }
}

static void test_discovery_answers_with_all_addresses(void **state)
{
    (void)state;
    for (unsigned socket = 0; socket < STUN_BINDING_SOCKETS; socket++) {
        struct exchange exchange;
        begin_discovery(&exchange, socket);
        finish(&exchange, STUN_SUCCESS);
        assert_address(&exchange, STUN_MAPPED_ADDRESS, &exchange.request.source);
        assert_address(&exchange, STUN_XOR_MAPPED_ADDRESS, &exchange.request.source);
        assert_address(&exchange, STUN_RESPONSE_ORIGIN, &exchange.config.sockets[socket]);
        assert_address(&exchange, STUN_OTHER_ADDRESS, &exchange.config.sockets[socket ^ 3]);
        assert_int_equal(exchange.sent.socket, socket);
        assert_false(has(&exchange, STUN_PADDING));
    }
}

/** RFC 5780, table 1. */
static void test_change_request_chooses_the_socket(void **state)
{
    (void)state;
    static const struct {
        uint32_t flags;
        unsigned change;
    } cases[] = { { 0, 0 },
                  { 2, STUN_BINDING_OTHER_PORT },
                  { 4, STUN_BINDING_OTHER_IP },
                  { 6, STUN_BINDING_OTHER_IP | STUN_BINDING_OTHER_PORT },
                  { 0xfffffff9, 0 } };
    for (size_t i = 0; i < array_size(cases); i++) {
        for (unsigned socket = 0; socket < STUN_BINDING_SOCKETS; socket++) {
            struct exchange exchange;
            begin_discovery(&exchange, socket);
            stun_write_u32(&exchange.writer, STUN_CHANGE_REQUEST, cases[i].flags);
            finish(&exchange, STUN_SUCCESS);
            unsigned expected = socket ^ cases[i].change;
            assert_int_equal(exchange.sent.socket, expected);
            assert_address(&exchange, STUN_RESPONSE_ORIGIN, &exchange.config.sockets[expected]);
            // OTHER-ADDRESS does not depend on the flags
            assert_address(&exchange, STUN_OTHER_ADDRESS, &exchange.config.sockets[socket ^ 3]);
            assert_true(net_address_equal(&exchange.sent.to, &exchange.request.source));
        }
    }
}

static void test_malformed_change_request_is_a_bad_request(void **state)
{
    (void)state;
    struct exchange exchange;
    begin_discovery(&exchange, 0);
    stun_write_u64(&exchange.writer, STUN_CHANGE_REQUEST, 6);
    assert_refused(&exchange, 400);
}

static void test_response_port_is_where_the_answer_goes(void **state)
{
    (void)state;
    static const uint8_t value[] = { 0x12, 0x34, 0, 0 };
    for (size_t size = 2; size <= 4; size += 2) {
        struct exchange exchange;
        begin_discovery(&exchange, 0);
        stun_write_bytes(&exchange.writer, STUN_RESPONSE_PORT, bytes_of(value, size));
        finish(&exchange, STUN_SUCCESS);
        struct net_address expected = exchange.request.source;
        assert_address(&exchange, STUN_XOR_MAPPED_ADDRESS, &expected);
        expected.port = 0x1234;
        assert_true(net_address_equal(&exchange.sent.to, &expected));
        assert_int_equal(exchange.sent.socket, 0);
    }
}

static void test_malformed_response_port_is_a_bad_request(void **state)
{
    (void)state;
    static const uint8_t zeros[8];
    for (size_t size = 0; size <= sizeof(zeros); size++) {
        struct exchange exchange;
        begin_discovery(&exchange, 0);
        stun_write_bytes(&exchange.writer, STUN_RESPONSE_PORT, bytes_of(zeros, size));
        assert_refused(&exchange, 400);
    }
}

static void test_padding_comes_back_and_never_grows(void **state)
{
    (void)state;
    static const uint8_t zeros[2000];
    static const struct {
        size_t asked, answered;
    } cases[] = { { 0, 0 }, { 4, 4 }, { 7, 4 }, { 1500, 1500 }, { 2000, 1500 } };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct exchange exchange;
        begin_discovery(&exchange, 0);
        exchange.config.software = bytes_of(zeros, STUN_BINDING_SOFTWARE_MAX);
        assert_int_equal(net_address_parse_ip("2001:db8::1", 1, &exchange.request.source), 0);
        stun_write_bytes(&exchange.writer, STUN_PADDING, bytes_of(zeros, cases[i].asked));
        stun_write_fingerprint(&exchange.writer);
        finish(&exchange, STUN_SUCCESS);
        struct bytes padding;
        assert_true(stun_message_find(&exchange.message, STUN_PADDING, &padding));
        assert_int_equal(padding.size, cases[i].answered);
    }
}

static void test_padding_with_response_port_is_a_bad_request(void **state)
{
    (void)state;
    struct exchange exchange;
    begin_discovery(&exchange, 0);
    stun_write_u64(&exchange.writer, STUN_PADDING, 0);
    stun_write_u32(&exchange.writer, STUN_RESPONSE_PORT, 0x12340000);
    assert_refused(&exchange, 400);
}

static void test_connections_cannot_change_their_way(void **state)
{
    (void)state;
    static const uint16_t types[] = { STUN_CHANGE_REQUEST, STUN_RESPONSE_PORT };
    for (size_t i = 0; i < array_size(types); i++) {
        struct exchange exchange;
        begin_discovery(&exchange, 0);
        exchange.request.stream = true;
        stun_write_u32(&exchange.writer, types[i], 0x12340006);
        assert_refused(&exchange, 400);
    }
    struct exchange exchange;
    begin_discovery(&exchange, 0);
    exchange.request.stream = true;
    finish(&exchange, STUN_SUCCESS);
    assert_int_equal(exchange.sent.socket, 0);
}

static void test_plain_answers_hardly_amplify(void **state)
{
    (void)state;
    struct exchange exchange;
    begin(&exchange);
    for (uint16_t type = 0x7000; type < 0x7040; type++)
        stun_write_flag(&exchange.writer, type);
    assert_refused(&exchange, 420);
    assert_true(exchange.sent.size < stun_writer_finish(&exchange.writer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_answer_is_xor_mapped_address_alone),
        cmocka_unit_test(test_ipv6_source_is_told),
        cmocka_unit_test(test_fingerprint_is_mirrored),
        cmocka_unit_test(test_wrong_fingerprint_gets_no_answer),
        cmocka_unit_test(test_software_is_told_only_when_asked_for),
        cmocka_unit_test(test_unknown_required_attributes_are_listed_with_420),
        cmocka_unit_test(test_known_but_needless_attributes_are_ignored),
        cmocka_unit_test(test_other_messages_get_no_answer),
        cmocka_unit_test(test_discovery_attributes_are_unknown_without_second_address),
        cmocka_unit_test(test_discovery_answers_with_all_addresses),
        cmocka_unit_test(test_change_request_chooses_the_socket),
        cmocka_unit_test(test_malformed_change_request_is_a_bad_request),
        cmocka_unit_test(test_response_port_is_where_the_answer_goes),
        cmocka_unit_test(test_malformed_response_port_is_a_bad_request),
        cmocka_unit_test(test_padding_comes_back_and_never_grows),
        cmocka_unit_test(test_padding_with_response_port_is_a_bad_request),
        cmocka_unit_test(test_connections_cannot_change_their_way),
        cmocka_unit_test(test_plain_answers_hardly_amplify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
