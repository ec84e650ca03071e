// JSON from a stranger: whatever is read hangs together, and is read the same from its own source.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_read.h"
#include "base/text.h"

static void check(const struct json_value *value, struct bytes text)
{
    if (value->source.size == 0 || value->source.data < text.data ||
        value->source.data + value->source.size > text.data + text.size)
        abort();
    if (value->kind == JSON_KIND_TEXT && (strlen(value->text) != (size_t)value->integer ||
                                          !text_is_utf8(bytes_of_text(value->text))))
        abort();
    if (value->kind != JSON_KIND_ARRAY && value->kind != JSON_KIND_OBJECT) {
        if (value->span != 1 || value->count != 0)
            abort();
        return;
    }
    const struct json_value *inner = json_first(value);
    for (uint32_t i = 0; i < value->count; i++, inner = json_next(inner)) {
        if ((value->kind == JSON_KIND_OBJECT) != (inner->name != NULL))
            abort();
        if (inner->name && json_member(value, inner->name) != inner)
            abort();
        check(inner, text);
    }
    if (inner != json_next(value))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_limits limits = { .depth_max = 16, .values_max = 1000 };
    struct bytes text = bytes_of(data, size);
    struct json_document document, again;
    struct json_problem problem;
    if (json_read(text, &limits, &document, &problem) < 0)
        return 0;
    check(document.values, text);
    if (json_read(document.values->source, &limits, &again, &problem) < 0 ||
        again.values->span != document.values->span)
        abort();
    json_document_done(&again);
    json_document_done(&document);
    return 0;
}
