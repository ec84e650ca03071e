/** Dates of HTTP (RFC 9110, 5.6.7). */
#pragma once

#include "base/bytes.h"

/** "Sun, 06 Nov 1994 08:49:37 GMT" and a terminator. */
#define HTTP_DATE_SIZE 30

/** Writes the IMF-fixdate of Unix seconds (years 1970 to 9999; others are clamped). */
void http_date_write(int64_t unix_s, char out[HTTP_DATE_SIZE]);
/** Reads IMF-fixdate and the obsolete RFC 850 and asctime forms. Returns 0 or -EINVAL. */
must_check int http_date_parse(struct bytes text, int64_t *ret_unix_s);
