#include "support/check.h"

#include <errno.h>

#include "room/data_envelope.h"

static void test_a_frame_names_its_addressees(void **state)
{
    (void)state;
    struct data_envelope envelope;
    struct bytes frame = bytes_of("\1\2\2\3abc\13m0123456789\4chatx", 25);
    assert_int_equal(data_envelope_read(frame, &envelope), 0);
    assert_int_equal(envelope.kind, 2);
    assert_int_equal(envelope.id_count, 2);
    assert_string_equal(envelope.ids[0], "abc");
    assert_string_equal(envelope.ids[1], "m0123456789");
    assert_true(bytes_equal(envelope.rest, bytes_of("\4chatx", 6)));
}

static void test_what_is_delivered_names_the_sender(void **state)
{
    (void)state;
    struct blob *blob = data_envelope_deliver(2, "m1", true, bytes_of("\0hi", 3));
    assert_true(bytes_equal(blob_bytes(blob), bytes_of("\1\202\1\2m1\0hi", 9)));
    blob_unref(blob);
    blob = data_envelope_deliver(0, "", false, bytes_of(NULL, 0));
    assert_true(bytes_equal(blob_bytes(blob), bytes_of("\1\0\0", 3)));
    blob_unref(blob);
}

static void test_a_client_cannot_say_that_a_message_is_directed(void **state)
{
    (void)state;
    struct data_envelope envelope;
    assert_int_equal(data_envelope_read(bytes_of("\1\202\0x", 4), &envelope), 0);
    assert_int_equal(envelope.kind, 2);
}

static void test_bad_frames_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        int error;
    } frames[] = {
        { "", 0, -EBADMSG },
        { "\1\0", 2, -EBADMSG },
        { "\2\0\0", 3, -EBADMSG },
        { "\1\0\1", 3, -EBADMSG },
        { "\1\0\1\5abc", 7, -EBADMSG },
        { "\1\0\1\0", 4, -EBADMSG },
        { "\1\0\1\14m01234567890", 16, -EBADMSG },
        { "\1\0\1\2a\0", 6, -EBADMSG },
        { "\1\0\101", 3, -E2BIG },
    };
    for (size_t i = 0; i < array_size(frames); i++) {
        struct data_envelope envelope;
        assert_int_equal(data_envelope_read(bytes_of(frames[i].bytes, frames[i].size), &envelope),
                         frames[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_frame_names_its_addressees),
        cmocka_unit_test(test_what_is_delivered_names_the_sender),
        cmocka_unit_test(test_a_client_cannot_say_that_a_message_is_directed),
        cmocka_unit_test(test_bad_frames_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
