/** The tables that tools/schema_c.py makes, by which wire_read.c and wire_write.c go. */
#pragma once

#include "signal/native/wire.h"

enum wire_type {
    WIRE_STRING,  /**< const char * */
    WIRE_INTEGER, /**< uint64_t */
    WIRE_BOOLEAN, /**< bool */
    WIRE_ENUM,    /**< an enum whose values count from 0 */
    WIRE_OBJECT,  /**< pointer to a struct */
    WIRE_ARRAY,   /**< pointer to texts or structs, and a count */
    WIRE_JSON,    /**< const char *: any value, as JSON */
};

enum wire_format {
    WIRE_FORMAT_ANY,
    WIRE_FORMAT_SLUG,
    WIRE_FORMAT_LINE,
    WIRE_FORMAT_TEXT,
    WIRE_FORMAT_SDP,
};

struct wire_field {
    const char *name;
    enum wire_type type;
    enum wire_type item_type; /**< of an array: string or object */
    enum wire_format format;
    bool required;
    bool nullable;
    bool has_flag; /**< the struct says at has_offset whether it is there */
    size_t offset;
    size_t has_offset;
    size_t count_offset; /**< of an array */
    uint64_t min;        /**< value, or bytes of a text */
    uint64_t max;        /**< 0: no limit (only in what we send) */
    size_t items_min;
    size_t items_max;
    int default_value;
    const char *const *names; /**< of an enum, ends with NULL */
    const struct wire_object *object;
};

struct wire_object {
    const struct wire_field *fields;
    size_t field_count;
    size_t size; /**< of the struct */
};

struct wire_request_row {
    const char *name;
    const struct wire_object *object;
    bool id_optional;
};

struct wire_error_row {
    const char *code;
    const char *sentence;
};

extern const struct wire_request_row wire_requests[WIRE_REQUEST_COUNT];
extern const struct wire_error_row wire_errors[WIRE_ERROR_COUNT];
