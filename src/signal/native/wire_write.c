#include <string.h>

#include "signal/native/wire_int.h"

static void write_object(struct json_text *out, const struct wire_object *object,
                         const char *value);

static bool is_absent(const struct wire_field *field, const char *value)
{
    if (field->has_flag)
        return !*(const bool *)(value + field->has_offset);
    if (field->type != WIRE_STRING && field->type != WIRE_OBJECT && field->type != WIRE_JSON)
        return false;
    const void *pointer;
    memcpy(&pointer, value + field->offset, sizeof(pointer));
    ensure(pointer || !field->required || field->nullable);
    return !pointer && !field->required;
}

static void write_array(struct json_text *out, const struct wire_field *field, const char *value)
{
    const char *items;
    size_t count;
    memcpy(&items, value + field->offset, sizeof(items));
    memcpy(&count, value + field->count_offset, sizeof(count));
    json_text_open(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (field->item_type == WIRE_OBJECT) {
            write_object(out, field->object, items + i * field->object->size);
        } else {
            const char *text;
            memcpy(&text, items + i * sizeof(text), sizeof(text));
            json_text_string(out, text);
        }
    }
    json_text_close(out, ']');
}

static void write_value(struct json_text *out, const struct wire_field *field, const char *value)
{
    const char *pointer;
    uint64_t number;
    unsigned place;
    switch (field->type) {
    case WIRE_STRING:
        memcpy(&pointer, value + field->offset, sizeof(pointer));
        json_text_string(out, pointer);
        break;
    case WIRE_INTEGER:
        memcpy(&number, value + field->offset, sizeof(number));
        json_text_number(out, number);
        break;
    case WIRE_BOOLEAN:
        json_text_boolean(out, *(const bool *)(value + field->offset));
        break;
    case WIRE_ENUM:
        memcpy(&place, value + field->offset, sizeof(place));
        json_text_string(out, field->names[place]);
        break;
    case WIRE_OBJECT:
        memcpy(&pointer, value + field->offset, sizeof(pointer));
        if (pointer)
            write_object(out, field->object, pointer);
        else
            json_text_null(out);
        break;
    case WIRE_ARRAY:
        write_array(out, field, value);
        break;
    case WIRE_JSON:
        memcpy(&pointer, value + field->offset, sizeof(pointer));
        json_text_raw(out, bytes_of_text(pointer ? pointer : "null"));
        break;
    }
}

static void write_fields(struct json_text *out, const struct wire_object *object, const char *value)
{
    for (size_t i = 0; i < object->field_count; i++) {
        const struct wire_field *field = &object->fields[i];
        if (is_absent(field, value))
            continue;
        json_text_key(out, field->name);
        write_value(out, field, value);
    }
}

static void write_object(struct json_text *out, const struct wire_object *object, const char *value)
{
    json_text_open(out, '{');
    write_fields(out, object, value);
    json_text_close(out, '}');
}

static void open_message(struct json_text *out, const char *type, uint64_t id)
{
    json_text_open(out, '{');
    json_text_key(out, "type");
    json_text_string(out, type);
    if (id) {
        json_text_key(out, "id");
        json_text_number(out, id);
    }
}

void wire_write_ok(struct json_text *out, uint64_t id)
{
    open_message(out, "ok", id);
    json_text_close(out, '}');
}

void wire_write_result(struct json_text *out, uint64_t id, const struct wire_object *object,
                       const void *result)
{
    open_message(out, "ok", id);
    json_text_key(out, "result");
    write_object(out, object, result);
    json_text_close(out, '}');
}

void wire_write_error(struct json_text *out, uint64_t id, enum wire_error error,
                      const char *sentence)
{
    open_message(out, "error", id);
    json_text_key(out, "code");
    json_text_string(out, wire_error_code(error));
    json_text_key(out, "message");
    json_text_string(out, sentence ? sentence : wire_error_sentence(error));
    json_text_close(out, '}');
}

void wire_write_event(struct json_text *out, const char *type, const struct wire_object *object,
                      const void *event)
{
    open_message(out, type, 0);
    write_fields(out, object, event);
    json_text_close(out, '}');
}

void wire_write_pong(struct json_text *out)
{
    open_message(out, "pong", 0);
    json_text_close(out, '}');
}

const char *wire_error_code(enum wire_error error)
{
    return wire_errors[error].code;
}

const char *wire_error_sentence(enum wire_error error)
{
    return wire_errors[error].sentence;
}
