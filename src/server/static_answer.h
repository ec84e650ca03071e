/** What assets and files share: the fields and the status of an answer for one representation. */
#pragma once

#include "proto/http/http_conditional.h"
#include "server/http_server.h"

/** Size of an ETag with quotes, suffix and terminator. */
#define STATIC_ETAG_SIZE 64

struct static_content {
    const char *type;
    const char *etag;        /**< of the identity form, with quotes */
    int64_t modified_unix_s; /**< 0: unknown */
    enum http_coding coding; /**< of this representation */
    bool varies;             /**< other codings exist */
    bool immutable;
    uint64_t size;
};

/**
 * Adds the fields and evaluates preconditions and ranges. Answers 304, 412 and 416 itself and
 * returns false; else true with the status and the part to send.
 */
bool static_answer_prepare(struct http_exchange *exchange, const struct static_content *content,
                           unsigned *ret_status, uint64_t *ret_offset, uint64_t *ret_size);
