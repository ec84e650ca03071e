#include "admin/log_output.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "runtime/clock.h"

/** Kept free at the end of a line for its closing and the note that something was left out. */
#define LINE_RESERVE 32
/** Of one value; the rest is cut. */
#define VALUE_MAX 1024

static const char *const level_names[] = { "debug", "info", "warning", "error" };

static void append_time(struct text_builder *out, uint64_t unix_us)
{
    time_t seconds = (time_t)(unix_us / TIME_US_PER_S);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc))
        return;
    text_append_format(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", utc.tm_year + 1900,
                       utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                       (unsigned)(unix_us % TIME_US_PER_S / TIME_US_PER_MS));
}

/** The bytes of a value that are shown: cut at a character's border. */
static struct bytes shortened(struct bytes text)
{
    if (text.size <= VALUE_MAX)
        return text;
    size_t size = VALUE_MAX;
    while (size > 0 && (text.data[size] & 0xc0) == 0x80)
        size--;
    return bytes_of(text.data, size);
}

/**
 * Escapes for JSON (`\u001b`) or for a terminal (`\x1b`): control characters of both blocks (U+0080
 * to U+009F drive terminals too), quotes, backslashes; bytes that are no UTF-8 become '?'.
 */
static void append_escaped(struct text_builder *out, struct bytes text, bool json)
{
    text = shortened(text);
    bool utf8 = text_is_utf8(text);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool second_block = c == 0xc2 && i + 1 < text.size && text.data[i + 1] < 0xa0;
        if (c >= 0x80 && !utf8)
            text_append(out, "?");
        else if (second_block)
            text_append_format(out, json ? "\\u%04x" : "\\x%02x", text.data[++i]);
        else if (c < 0x20 || c == 0x7f)
            text_append_format(out, json ? "\\u%04x" : "\\x%02x", c);
        else if (c == '"' || c == '\\')
            text_append_format(out, "\\%c", c);
        else
            text_append_bytes(out, bytes_of(&c, 1));
    }
}

static const char *error_text(int64_t error)
{
    const char *text = error > INT32_MIN && error < 0 ? strerrordesc_np((int)-error) : NULL;
    return text ? text : "unknown error";
}

/** A value that is no number, as text; `address` is room for it. */
static struct bytes value_text(const struct log_field *field, char address[NET_ADDRESS_TEXT_MAX])
{
    switch (field->kind) {
    case LOG_FIELD_ADDRESS:
        return bytes_of_text(net_address_format(field->address, address));
    case LOG_FIELD_ERROR:
        return bytes_of_text(error_text(field->number));
    default:
        return field->text;
    }
}

static bool needs_quotes(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || strchr("\"=\\", text.data[i]) || text.data[i] >= 0x7f)
            return true;
    }
    return text.size == 0;
}

static void append_value(struct text_builder *out, const struct log_field *field, bool json)
{
    if (field->kind == LOG_FIELD_NUMBER) {
        text_append_format(out, "%" PRId64, field->number);
        return;
    }
    char address[NET_ADDRESS_TEXT_MAX];
    struct bytes text = value_text(field, address);
    const char *quote = json || needs_quotes(text) ? "\"" : "";
    text_append(out, quote);
    append_escaped(out, text, json);
    text_append(out, quote);
}

static void append_json_head(struct text_builder *out, const struct log_record *record,
                             uint64_t unix_us)
{
    text_append(out, "{\"time\":\"");
    append_time(out, unix_us);
    text_append_format(out, "\",\"level\":\"%s\",\"domain\":\"", level_names[record->level]);
    append_escaped(out, bytes_of_text(record->domain ? record->domain : ""), true);
    text_append(out, "\",\"message\":\"");
    append_escaped(out, bytes_of_text(record->message), true);
    text_append(out, "\"");
}

static void append_human_head(struct text_builder *out, const struct log_record *record,
                              bool colour, uint64_t unix_us)
{
    static const char *const labels[] = { "debug  ", "info   ", "warning", "error  " };
    static const char *const colours[] = { "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m" };
    append_time(out, unix_us);
    text_append_format(out, " %s%s%s %-8s ", colour ? colours[record->level] : "",
                       labels[record->level], colour ? "\x1b[0m" : "",
                       record->domain ? record->domain : "");
    append_escaped(out, bytes_of_text(record->message), false);
}

static void append_field(struct text_builder *out, const struct log_field *field,
                         enum log_output_format format)
{
    if (format == LOG_OUTPUT_JSON) {
        text_append_format(out, ",\"%s\":", field->key);
        append_value(out, field, true);
    } else {
        bool colour = format == LOG_OUTPUT_HUMAN_COLOUR;
        text_append_format(out, "  %s%s=%s", colour ? "\x1b[36m" : "", field->key,
                           colour ? "\x1b[0m" : "");
        append_value(out, field, false);
    }
}

/** Fields one by one: the first that does not fit is taken back, and the rest is left out. */
static bool append_fields(struct text_builder *out, const struct log_record *record,
                          enum log_output_format format)
{
    const struct log_field *field = record->fields;
    for (; field && field->kind != LOG_FIELD_END; field++) {
        size_t before = out->length;
        append_field(out, field, format);
        if (out->truncated) {
            out->length = before;
            out->data[before] = '\0';
            out->truncated = false;
            return false;
        }
    }
    return true;
}

void log_output_write_line(const struct log_record *record, enum log_output_format format,
                           uint64_t unix_us, struct text_builder *out)
{
    ensure(out->capacity > 4 * LINE_RESERVE);
    size_t capacity = out->capacity;
    out->capacity -= 2 * LINE_RESERVE;
    bool json = format == LOG_OUTPUT_JSON;
    if (json)
        append_json_head(out, record, unix_us);
    else
        append_human_head(out, record, format == LOG_OUTPUT_HUMAN_COLOUR, unix_us);
    bool whole = append_fields(out, record, format);
    out->capacity = capacity;
    out->truncated = false;
    if (record->suppressed > 0)
        text_append_format(out, json ? ",\"suppressed\":%u" : "  suppressed=%u",
                           record->suppressed);
    if (!whole)
        text_append(out, json ? ",\"cut\":true" : "  ...");
    text_append(out, json ? "}\n" : "\n");
}

static void write_record(struct log_sink *self, const struct log_record *record)
{
    const struct log_output *output = container_of(self, struct log_output, sink);
    char line[LOG_OUTPUT_LINE_MAX];
    struct text_builder out = text_builder_of(line, sizeof(line));
    log_output_write_line(record, output->format, clock_unix_us(), &out);
    // nobody is left to tell when the log itself cannot be written
    ssize_t written = write(output->fd, line, out.length);
    (void)written;
}

void log_output_init(struct log_output *output, int fd, enum log_output_format format,
                     enum log_level level)
{
    *output = (struct log_output){ .sink = { .write = write_record }, .fd = fd, .format = format };
    log_output_set_level(output, level);
}

void log_output_set_level(struct log_output *output, enum log_level level)
{
    atomic_store_explicit(&output->sink.level, (int)level, memory_order_relaxed);
}
