// OpaqueString as RFC 8265 has it, as far as it goes here.
#include "support/check.h"

#include "base/opaque_string.h"

#define LIMIT 509

static void check_prepared(const char *raw, const char *expected)
{
    char out[LIMIT + 1];
    size_t size = 0;
    assert_int_equal(opaque_string_prepare(bytes_of_text(raw), out, sizeof(out), &size), 0);
    assert_text_equal(out, expected);
    assert_int_equal(size, strlen(expected));
}

static void spaces_are_one_and_controls_are_refused(void **state)
{
    (void)state;
    check_prepared("gwen", "gwen");
    check_prepared(" All printable ASCII: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ",
                   " All printable ASCII: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ");
    // no-break, ogham, en quad, hair, narrow no-break, mathematical, ideographic space
    check_prepared("a\xc2\xa0.\xe1\x9a\x80.\xe2\x80\x80.\xe2\x80\x8a.\xe2\x80\xaf.\xe2\x81\x9f.\xe3"
                   "\x80\x80z",
                   "a . . . . . . z");
    // zero width space is none of them; four bytes pass too
    check_prepared("\xe2\x80\x8b\xf0\x9f\x90\xa6", "\xe2\x80\x8b\xf0\x9f\x90\xa6");
    char out[LIMIT + 1], longest[LIMIT + 2];
    size_t size;
    const char *const bad[] = { "",         "\x01",     "a\tb", "a\nb",    "\x7f",
                                "\xc2\x80", "\xc2\x9f", "\xff", "\xe2\x80" };
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_not_equal(opaque_string_prepare(bytes_of_text(bad[i]), out, sizeof(out), &size),
                             0);
    assert_int_not_equal(opaque_string_prepare(bytes_of("a\0b", 3), out, sizeof(out), &size), 0);
    memset(longest, 'n', sizeof(longest));
    assert_int_equal(opaque_string_prepare(bytes_of(longest, LIMIT), out, sizeof(out), &size), 0);
    assert_int_not_equal(
        opaque_string_prepare(bytes_of(longest, LIMIT + 1), out, sizeof(out), &size), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spaces_are_one_and_controls_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
