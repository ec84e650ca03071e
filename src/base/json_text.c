#include "base/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void json_text_init(struct json_text *text)
{
    *text = (struct json_text){ 0 };
}

void json_text_done(struct json_text *text)
{
    free(text->data);
    json_text_init(text);
}

void json_text_clear(struct json_text *text)
{
    text->size = 0;
    text->comma = false;
}

static char *reserve(struct json_text *text, size_t size)
{
    if (text->capacity - text->size < size) {
        text->capacity = max_of(text->capacity * 2, text->size + size + 256);
        text->data = memory_resize(text->data, text->capacity);
    }
    return text->data + text->size;
}

static void add(struct json_text *text, const char *data, size_t size)
{
    memcpy(reserve(text, size), data, size);
    text->size += size;
}

static void begin_value(struct json_text *text)
{
    if (text->comma)
        add(text, ",", 1);
    text->comma = true;
}

void json_text_open(struct json_text *text, char opening)
{
    begin_value(text);
    add(text, &opening, 1);
    text->comma = false;
}

void json_text_close(struct json_text *text, char closing)
{
    add(text, &closing, 1);
    text->comma = true;
}

void json_text_key(struct json_text *text, const char *key)
{
    begin_value(text);
    add(text, "\"", 1);
    add(text, key, strlen(key));
    add(text, "\":", 2);
    text->comma = false;
}

static void add_escaped(struct json_text *text, unsigned char character)
{
    static const char hex[] = "0123456789abcdef";
    char escape[6] = { '\\', 'u', '0', '0', hex[character >> 4], hex[character & 15] };
    size_t size = 2;
    switch (character) {
    case '"':
    case '\\':
        escape[1] = (char)character;
        break;
    case '\n':
        escape[1] = 'n';
        break;
    case '\r':
        escape[1] = 'r';
        break;
    case '\t':
        escape[1] = 't';
        break;
    default:
        size = 6;
    }
    add(text, escape, size);
}

void json_text_string(struct json_text *text, const char *value)
{
    if (!value) {
        json_text_null(text);
        return;
    }
    begin_value(text);
    add(text, "\"", 1);
    const char *from = value;
    for (const char *at = value;; at++) {
        unsigned char character = (unsigned char)*at;
        if (character >= 0x20 && character != '"' && character != '\\')
            continue;
        add(text, from, (size_t)(at - from));
        if (character == 0)
            break;
        add_escaped(text, character);
        from = at + 1;
    }
    add(text, "\"", 1);
}

void json_text_number(struct json_text *text, uint64_t value)
{
    begin_value(text);
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    add(text, digits + at, sizeof(digits) - at);
}

void json_text_boolean(struct json_text *text, bool value)
{
    begin_value(text);
    add(text, value ? "true" : "false", value ? 4 : 5);
}

void json_text_null(struct json_text *text)
{
    begin_value(text);
    add(text, "null", 4);
}

void json_text_raw(struct json_text *text, struct bytes json)
{
    begin_value(text);
    add(text, (const char *)json.data, json.size);
}
