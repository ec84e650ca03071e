/**
 * Reads JSON (RFC 8259) in one pass into a flat row of values: what a stranger sends is bounded in
 * nesting and number before anything is built, and costs two allocations whatever it says.
 *
 * Stricter than the RFC where readers differ: a name may come once in an object, texts are UTF-8
 * without NUL and without lone surrogates.
 */
#pragma once

#include "base/bytes.h"

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_FALSE,
    JSON_KIND_TRUE,
    JSON_KIND_INTEGER, /**< a number without fraction and exponent that fits an int64_t */
    JSON_KIND_NUMBER,  /**< any other */
    JSON_KIND_TEXT,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
};

/** Arrays and objects in each other; more are refused, whatever the limits say. */
#define JSON_DEPTH_MAX 32
/** More members of one object are refused: names are compared with each other. */
#define JSON_MEMBERS_MAX 256

struct json_value {
    enum json_kind kind;
    uint32_t count;      /**< ARRAY, OBJECT: items or members */
    uint32_t span;       /**< values from this one to the next beside it: itself and all within */
    uint32_t name_size;  /**< bytes */
    const char *name;    /**< of a member, terminated; NULL: no member */
    const char *text;    /**< TEXT: terminated */
    struct bytes source; /**< as it was written, within what was read */
    int64_t integer;     /**< INTEGER; of a TEXT its size in bytes */
};

struct json_document {
    struct json_value *values; /**< the first is the whole; each is before what is in it */
    char *texts;
};

struct json_limits {
    uint32_t depth_max;  /**< of arrays and objects in each other */
    uint32_t values_max; /**< in all */
};

struct json_problem {
    uint32_t line; /**< from 1 */
    uint32_t column;
};

/**
 * Reads `text`, which must outlive the document for `source` alone. Returns 0; -EBADMSG with
 * `ret_problem` when it is not JSON; -E2BIG when it is beyond the limits.
 */
must_check int json_read(struct bytes text, const struct json_limits *limits,
                         struct json_document *ret_document, struct json_problem *ret_problem);
/** Accepts a zeroed one. */
void json_document_done(struct json_document *document);

/** The member of that name, or NULL: there is none, or `object` is no object (or NULL). */
const struct json_value *json_member(const struct json_value *object, const char *name);

/** The first item or member of one that has some; then the next beside it, `count` times in all. */
static inline const struct json_value *json_first(const struct json_value *value)
{
    return value + 1;
}

static inline const struct json_value *json_next(const struct json_value *value)
{
    return value + value->span;
}
