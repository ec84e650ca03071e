#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_read.h"
#include "base/memory.h"
#include "base/text.h"
#include "signal/native/wire_int.h"

struct reading {
    struct wire_message *message;
    struct wire_problem *problem;
};

static int refuse(struct wire_problem *problem, enum wire_error error, const char *format, ...)
    format_check(3, 4);

#define refuse_field(reading, format, ...)                                                         \
    refuse((reading)->problem, WIRE_ERROR_BAD_REQUEST, format, __VA_ARGS__)

static int refuse(struct wire_problem *problem, enum wire_error error, const char *format, ...)
{
    problem->error = error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->sentence, sizeof(problem->sentence), format, arguments);
    va_end(arguments);
    return -EBADMSG;
}

static bool is_slug(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        // bytes of other scripts: the parser has seen to it that they are UTF-8
        if (!letter && c < 0x80 && (c == 0 || !strchr("-._~@+", c)))
            return false;
    }
    return true;
}

bool wire_is_slug(struct bytes text)
{
    return text.size > 0 && text_is_utf8(text) && is_slug(text);
}

static bool has_controls(const char *text, const char *allowed)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && !strchr(allowed, c)) || c == 0x7f)
            return true;
    }
    return false;
}

static int check_text(struct reading *reading, const struct wire_field *field, const char *text,
                      size_t size)
{
    if (size < field->min || size > field->max)
        return refuse_field(reading, "\"%s\" must have %u to %u bytes; it has %zu.", field->name,
                            (unsigned)field->min, (unsigned)field->max, size);
    switch (field->format) {
    case WIRE_FORMAT_ANY:
        break;
    case WIRE_FORMAT_SLUG:
        if (!is_slug(bytes_of(text, size)))
            return refuse_field(reading, "\"%s\" may only have letters, digits and - . _ ~ @ +.",
                                field->name);
        break;
    case WIRE_FORMAT_LINE:
        if (has_controls(text, ""))
            return refuse_field(reading, "\"%s\" must be one line without control characters.",
                                field->name);
        break;
    case WIRE_FORMAT_TEXT:
        if (has_controls(text, "\t\n\r"))
            return refuse_field(reading, "\"%s\" must not have control characters.", field->name);
        break;
    case WIRE_FORMAT_SDP:
        if (strncmp(text, "v=0", 3) != 0 || has_controls(text, "\t\n\r"))
            return refuse_field(reading, "\"%s\" must be a session description: v=0 and so on.",
                                field->name);
        break;
    }
    return 0;
}

static int read_object(struct reading *reading, const struct wire_object *object,
                       const struct json_value *json, char *out);

static int read_string(struct reading *reading, const struct wire_field *field,
                       const struct json_value *json, char *out)
{
    if (json->kind != JSON_KIND_TEXT)
        return refuse_field(reading, "\"%s\" must be a text.", field->name);
    int result = check_text(reading, field, json->text, (size_t)json->integer);
    if (result == 0)
        memcpy(out, &json->text, sizeof(json->text));
    return result;
}

static int read_integer(struct reading *reading, const struct wire_field *field,
                        const struct json_value *json, char *out)
{
    int64_t value = json->integer;
    if (json->kind != JSON_KIND_INTEGER || value < 0 || (uint64_t)value < field->min ||
        (uint64_t)value > field->max)
        return refuse_field(reading, "\"%s\" must be a whole number from %llu to %llu.",
                            field->name, (unsigned long long)field->min,
                            (unsigned long long)field->max);
    uint64_t number = (uint64_t)value;
    memcpy(out, &number, sizeof(number));
    return 0;
}

static int read_enum(struct reading *reading, const struct wire_field *field,
                     const struct json_value *json, char *out)
{
    const char *text = json->text;
    for (unsigned place = 0; text && field->names[place]; place++) {
        if (strcmp(field->names[place], text) == 0) {
            memcpy(out, &place, sizeof(place));
            return 0;
        }
    }
    char names[128];
    struct text_builder list = text_builder_of(names, sizeof(names));
    for (unsigned place = 0; field->names[place]; place++)
        text_append_format(&list, "%s\"%s\"", place ? ", " : "", field->names[place]);
    return refuse_field(reading, "\"%s\" must be one of %s.", field->name, names);
}

/** Memory that lives as long as the message. */
static void *message_memory(struct reading *reading, size_t count, size_t size)
{
    struct wire_message *message = reading->message;
    // one array per field and no array within one: the schema's widest request has two
    ensure(message->array_count < array_size(message->arrays));
    void *memory = memory_allocate(count, size);
    message->arrays[message->array_count++] = memory;
    return memory;
}

static int read_inner(struct reading *reading, const struct wire_field *field,
                      const struct json_value *json, char *out)
{
    if (json->kind != JSON_KIND_OBJECT)
        return refuse_field(reading, "\"%s\" must be an object.", field->name);
    void *inner = message_memory(reading, 1, field->object->size);
    memcpy(out, &inner, sizeof(inner));
    return read_object(reading, field->object, json, inner);
}

static int read_array(struct reading *reading, const struct wire_field *field,
                      const struct json_value *json, char *object)
{
    if (json->kind != JSON_KIND_ARRAY)
        return refuse_field(reading, "\"%s\" must be an array.", field->name);
    size_t count = json->count;
    if (count < field->items_min || count > field->items_max)
        return refuse_field(reading, "\"%s\" must have %zu to %zu items; it has %zu.", field->name,
                            field->items_min, field->items_max, count);
    if (count == 0)
        return 0;
    size_t size = field->item_type == WIRE_OBJECT ? field->object->size : sizeof(char *);
    char *items = message_memory(reading, count, size);
    memcpy(object + field->offset, &items, sizeof(items));
    memcpy(object + field->count_offset, &count, sizeof(count));
    const struct json_value *item = json_first(json);
    for (size_t i = 0; i < count; i++, item = json_next(item)) {
        int result;
        if (field->item_type == WIRE_STRING)
            result = read_string(reading, field, item, items + i * size);
        else if (item->kind == JSON_KIND_OBJECT)
            result = read_object(reading, field->object, item, items + i * size);
        else
            result = refuse_field(reading, "The items of \"%s\" must be objects.", field->name);
        if (result < 0)
            return result;
    }
    return 0;
}

/** A text of its own: what it was read from does not live as long. */
static int read_json_value(struct reading *reading, const struct wire_field *field,
                           const struct json_value *json, char *out)
{
    size_t size = json->source.size;
    if (size > field->max)
        return refuse_field(reading, "\"%s\" must have at most %u bytes; it has %zu.", field->name,
                            (unsigned)field->max, size);
    char *copy = message_memory(reading, size + 1, 1);
    memcpy(copy, json->source.data, size);
    memcpy(out, &copy, sizeof(copy));
    return 0;
}

static int read_value(struct reading *reading, const struct wire_field *field,
                      const struct json_value *json, char *object)
{
    char *out = object + field->offset;
    switch (field->type) {
    case WIRE_STRING:
        return read_string(reading, field, json, out);
    case WIRE_INTEGER:
        return read_integer(reading, field, json, out);
    case WIRE_BOOLEAN:
        if (json->kind != JSON_KIND_TRUE && json->kind != JSON_KIND_FALSE)
            return refuse_field(reading, "\"%s\" must be true or false.", field->name);
        *(bool *)out = json->kind == JSON_KIND_TRUE;
        return 0;
    case WIRE_ENUM:
        return read_enum(reading, field, json, out);
    case WIRE_OBJECT:
        return read_inner(reading, field, json, out);
    case WIRE_ARRAY:
        return read_array(reading, field, json, object);
    case WIRE_JSON:
        return read_json_value(reading, field, json, out);
    }
    return 0;
}

static void set_default(const struct wire_field *field, char *object)
{
    char *out = object + field->offset;
    uint64_t number = (uint64_t)field->default_value;
    unsigned place = (unsigned)field->default_value;
    if (field->type == WIRE_INTEGER)
        memcpy(out, &number, sizeof(number));
    else if (field->type == WIRE_ENUM)
        memcpy(out, &place, sizeof(place));
    else if (field->type == WIRE_BOOLEAN)
        *(bool *)out = field->default_value != 0;
}

/** Fields that the schema does not know are ignored: newer clients may send more. */
static int read_object(struct reading *reading, const struct wire_object *object,
                       const struct json_value *json, char *out)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct wire_field *field = &object->fields[i];
        const struct json_value *value = json_member(json, field->name);
        if (!value && field->required)
            return refuse_field(reading, "\"%s\" is missing.", field->name);
        // null for a field that may be absent is as good as absent
        if (!value || (value->kind == JSON_KIND_NULL && (field->nullable || !field->required))) {
            set_default(field, out);
            continue;
        }
        int result = read_value(reading, field, value, out);
        if (result < 0)
            return result;
        if (field->has_flag)
            *(bool *)(out + field->has_offset) = true;
    }
    return 0;
}

static int find_type(const char *name, enum wire_request_type *ret_type)
{
    for (unsigned i = 0; i < WIRE_REQUEST_COUNT; i++) {
        if (strcmp(wire_requests[i].name, name) == 0) {
            *ret_type = (enum wire_request_type)i;
            return 0;
        }
    }
    return -ENOENT;
}

#define ID_MAX 9007199254740991 // 2^53 - 1: exact in JavaScript

static int read_envelope(struct reading *reading, const struct json_value *json)
{
    const struct json_value *id = json_member(json, "id");
    bool id_good = id && id->kind == JSON_KIND_INTEGER && id->integer >= 1 && id->integer <= ID_MAX;
    if (id_good)
        reading->problem->id = (uint64_t)id->integer;
    const struct json_value *type = json_member(json, "type");
    if (!type || type->kind != JSON_KIND_TEXT)
        return refuse(reading->problem, WIRE_ERROR_BAD_MESSAGE, "\"type\" is missing.");
    if (find_type(type->text, &reading->message->type) < 0)
        return refuse(reading->problem, WIRE_ERROR_UNKNOWN_TYPE, "%s",
                      wire_error_sentence(WIRE_ERROR_UNKNOWN_TYPE));
    bool optional = wire_requests[reading->message->type].id_optional;
    if (!id_good && (id || !optional))
        return refuse(reading->problem, WIRE_ERROR_BAD_REQUEST,
                      "\"id\" must be a whole number from 1 to 2^53 - 1.");
    reading->message->id = reading->problem->id;
    return 0;
}

static int read_json(struct reading *reading, struct bytes text)
{
    static const struct json_limits limits = { .depth_max = WIRE_DEPTH_MAX,
                                               .values_max = WIRE_VALUES_MAX };
    struct json_problem where;
    int result = json_read(text, &limits, &reading->message->json, &where);
    if (result == -E2BIG)
        return refuse(reading->problem, WIRE_ERROR_BAD_MESSAGE,
                      "The message nests deeper than %d or has more than %d values.",
                      WIRE_DEPTH_MAX, WIRE_VALUES_MAX);
    if (result < 0)
        return refuse(reading->problem, WIRE_ERROR_BAD_MESSAGE,
                      "The message is not JSON (line %u, column %u).", where.line, where.column);
    const struct json_value *json = reading->message->json.values;
    if (json->kind != JSON_KIND_OBJECT)
        return refuse(reading->problem, WIRE_ERROR_BAD_MESSAGE, "The message must be an object.");
    result = read_envelope(reading, json);
    if (result < 0)
        return result;
    return read_object(reading, wire_requests[reading->message->type].object, json,
                       (char *)&reading->message->request);
}

int wire_read(struct bytes text, struct wire_message *ret_message, struct wire_problem *ret_problem)
{
    struct wire_message message = { 0 };
    struct wire_problem problem = { 0 };
    struct reading reading = { .message = &message, .problem = &problem };
    int result = read_json(&reading, text);
    if (result < 0) {
        wire_message_done(&message);
        *ret_problem = problem;
        return result;
    }
    *ret_message = message;
    return 0;
}

void wire_message_done(struct wire_message *message)
{
    for (size_t i = 0; i < message->array_count; i++)
        free(message->arrays[i]);
    message->array_count = 0;
    json_document_done(&message->json);
}
