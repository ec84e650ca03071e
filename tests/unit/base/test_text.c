#include "support/check.h"

#include <errno.h>

#include "base/text.h"

static void test_base64_follows_rfc_4648(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };
    for (size_t i = 0; i < array_size(vectors); i++) {
        char text[32];
        text_base64_write(bytes_of_text(vectors[i][0]), text);
        assert_string_equal(text, vectors[i][1]);
        uint8_t back[32];
        int size = text_base64_parse(bytes_of_text(text), back, sizeof(back));
        assert_int_equal(size, strlen(vectors[i][0]));
        assert_memory_equal(back, vectors[i][0], (size_t)size);
    }
    uint8_t out[4];
    assert_int_equal(text_base64_parse(bytes_of_text("Zg=!"), out, 4), -EINVAL);
    assert_int_equal(text_base64_parse(bytes_of_text("Zm9vYmFy"), out, 4), -ENOSPC);
}

static void test_utf8_refuses_what_rfc_3629_forbids(void **state)
{
    (void)state;
    assert_true(text_is_utf8(bytes_of_text("gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x93")));
    static const char *const bad[] = { "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80",
                                       "\xe2\x82", "\x80",         "\xf0\x80\x80\x80" };
    for (size_t i = 0; i < array_size(bad); i++)
        assert_false(text_is_utf8(bytes_of_text(bad[i])));
}

static void test_numbers_are_digits_only(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_int_equal(text_parse_u64(bytes_of_text("65535"), 65535, &value), 0);
    assert_int_equal(value, 65535);
    static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1" };
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(text_parse_u64(bytes_of_text(bad[i]), UINT64_MAX, &value), -EINVAL);
    assert_int_equal(text_parse_u64(bytes_of_text("65536"), 65535, &value), -ERANGE);
    assert_int_equal(text_parse_u64(bytes_of_text("18446744073709551616"), UINT64_MAX, &value),
                     -ERANGE);
    assert_int_equal(value, 65535);
}

static void test_builder_never_overflows(void **state)
{
    (void)state;
    char data[8];
    struct text_builder builder = text_builder_of(data, sizeof(data));
    text_append(&builder, "abc");
    text_append_format(&builder, "%d", 1234);
    assert_string_equal(data, "abc1234");
    assert_false(builder.truncated);
    text_append(&builder, "x");
    assert_true(builder.truncated);
    assert_string_equal(data, "abc1234");
}

static void test_hex_round_trip(void **state)
{
    (void)state;
    uint8_t out[4];
    assert_int_equal(text_hex_parse(bytes_of_text("00ffA5"), out, sizeof(out)), 3);
    char text[9];
    text_hex_write(bytes_of(out, 3), text);
    assert_string_equal(text, "00ffa5");
    assert_int_equal(text_hex_parse(bytes_of_text("0g"), out, sizeof(out)), -EINVAL);
    assert_int_equal(text_hex_parse(bytes_of_text("0"), out, sizeof(out)), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_follows_rfc_4648),
        cmocka_unit_test(test_utf8_refuses_what_rfc_3629_forbids),
        cmocka_unit_test(test_numbers_are_digits_only),
        cmocka_unit_test(test_builder_never_overflows),
        cmocka_unit_test(test_hex_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
