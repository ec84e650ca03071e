/** Writes JSON (RFC 8259) into a buffer that grows. Commas come by themselves. */
#pragma once

#include "base/bytes.h"

struct json_text {
    char *data; /**< heap; not terminated */
    size_t size;
    size_t capacity;
    bool comma; /**< the next value needs one before it */
};

void json_text_init(struct json_text *text);
void json_text_done(struct json_text *text);
/** Forgets what was written, keeps the memory. */
void json_text_clear(struct json_text *text);
static inline struct bytes json_text_bytes(const struct json_text *text)
{
    return bytes_of(text->data, text->size);
}

/** `opening` is '{' or '[', `closing` its partner. */
void json_text_open(struct json_text *text, char opening);
void json_text_close(struct json_text *text, char closing);
/** The key of the next value; `key` needs no escaping. */
void json_text_key(struct json_text *text, const char *key);
/** NULL writes null. The value is UTF-8. */
void json_text_string(struct json_text *text, const char *value);
void json_text_number(struct json_text *text, uint64_t value);
void json_text_boolean(struct json_text *text, bool value);
void json_text_null(struct json_text *text);
/** JSON as it was written before: a value, or the rest of an object from its first key on. */
void json_text_raw(struct json_text *text, struct bytes json);
