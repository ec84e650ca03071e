/** The compression of permessage-deflate messages (RFC 7692, 7.2) on zlib. */
#pragma once

#include "base/bytes.h"

struct ws_inflater;

/** NULL when the system has no memory. */
struct ws_inflater *ws_inflater_new(uint8_t window_bits);
void ws_inflater_free(struct ws_inflater *inflater);
/**
 * Inflates from `*input` (moved forward) into `out`. Returns the bytes written; 0 when all input
 * was taken and nothing came of it; -EBADMSG for malformed data.
 */
must_check long ws_inflater_run(struct ws_inflater *inflater, struct bytes *input, uint8_t *out,
                                size_t capacity);

/**
 * Compresses one message on its own (no context takeover). Returns the size, or -ENOSPC when it
 * does not fit `capacity`: send the message as it is then. -ENOMEM when the system has no memory.
 */
must_check long ws_deflate_message(struct bytes message, uint8_t window_bits, uint8_t *out,
                                   size_t capacity);
