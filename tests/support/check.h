/** cmocka in the order its headers need, and the shorthands our tests share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define assert_text_equal(a, b) assert_string_equal(a, b)
