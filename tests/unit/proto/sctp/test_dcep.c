// Messages that open data channels.
#include "proto/sctp/dcep.h"

#include <errno.h>

#include "support/check.h"

static void test_what_is_written_is_read_again(void **state unused)
{
    for (int kind = 0; kind < 6; kind++) {
        uint8_t bytes[64];
        struct writer message = writer_of(bytes, sizeof(bytes));
        const struct dcep_open open = {
            .unordered = kind & 1,
            .reliability = (enum dcep_reliability)(kind / 2),
            .priority = 512,
            .limit = kind / 2 ? 300 : 0,
            .label = bytes_of_text("chat"),
            .protocol = bytes_of_text("json"),
        };
        dcep_open_write(&message, &open);
        assert_int_equal(message.size, DCEP_OPEN_HEADER_SIZE + 8);
        struct dcep_open read;
        assert_int_equal(dcep_open_parse(writer_written(&message), &read), 0);
        assert_int_equal(read.unordered, open.unordered);
        assert_int_equal(read.reliability, open.reliability);
        assert_int_equal(read.priority, 512);
        assert_int_equal(read.limit, open.limit);
        assert_true(bytes_equal(read.label, open.label));
        assert_true(bytes_equal(read.protocol, open.protocol));
        assert_int_equal(dcep_open_parse(bytes_of(bytes, message.size - 1), &read), -EINVAL);
    }
}

static void test_bytes_of_a_browser(void **state unused)
{
    // Chromium: createDataChannel("d", { ordered: false, maxRetransmits: 0 })
    static const uint8_t bytes[] = { 3, 0x81, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 'd' };
    struct dcep_open open;
    assert_int_equal(dcep_open_parse(bytes_of(bytes, sizeof(bytes)), &open), 0);
    assert_true(open.unordered);
    assert_int_equal(open.reliability, DCEP_RETRANSMITS);
    assert_int_equal(open.limit, 0);
    assert_int_equal(open.priority, 256);
    assert_true(bytes_equal(open.label, bytes_of_text("d")));
    assert_int_equal(open.protocol.size, 0);
}

static void test_other_messages_are_no_open(void **state unused)
{
    struct dcep_open open;
    uint8_t bytes[12] = { 3, 0x03 };
    assert_int_equal(dcep_open_parse(bytes_of(bytes, 12), &open), -EINVAL); // no such type
    bytes[1] = 0;
    bytes[0] = 2;
    assert_int_equal(dcep_open_parse(bytes_of(bytes, 12), &open), -EINVAL);
    assert_true(dcep_is_ack(bytes_of(dcep_ack, sizeof(dcep_ack))));
    assert_false(dcep_is_ack(bytes_of("\3", 1)));
    assert_false(dcep_is_ack(bytes_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read_again),
        cmocka_unit_test(test_bytes_of_a_browser),
        cmocka_unit_test(test_other_messages_are_no_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
