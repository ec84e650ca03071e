/**
 * OpaqueString (RFC 8265 section 4.2): the one form in which user names of TURN and all passwords
 * are compared.
 */
#pragma once

#include "base/bytes.h"

/**
 * As far as it changes what people type: valid UTF-8, not empty, no control characters (C0, DEL,
 * C1), every other space of Unicode becomes U+0020. ASCII passes unchanged. Neither NFC is applied
 * nor are code points refused that Unicode has not assigned: a text written with combining
 * characters differs from the same one with composed ones.
 *
 * Returns 0 with `out` (of `capacity`) terminated and its length, or -EINVAL (`out` then holds
 * nothing of use), also when it is as long as `capacity`. The result is never longer than `raw`.
 */
must_check int opaque_string_prepare(struct bytes raw, char *out, size_t capacity,
                                     size_t *ret_size);
