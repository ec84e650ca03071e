#include <stdio.h>

#include "proto/http/http_date.h"
#include "proto/http/http_response.h"

void http_response_begin(struct text_builder *out, unsigned status, int64_t date_unix_s)
{
    text_append_format(out, "HTTP/1.1 %03u %s\r\n", status, http_status_phrase(status));
    if (date_unix_s == 0)
        return;
    char date[HTTP_DATE_SIZE];
    http_date_write(date_unix_s, date);
    http_field_write_text(out, "Date", date);
}

void http_client_request_begin(struct text_builder *out, const char *method, const char *target,
                               const char *host)
{
    text_append_format(out, "%s %s HTTP/1.1\r\n", method, target);
    http_field_write_text(out, "Host", host);
}

void http_field_write(struct text_builder *out, const char *name, struct bytes value)
{
    bool good = http_is_token(bytes_of_text(name));
    for (size_t i = 0; good && i < value.size; i++) {
        uint8_t c = value.data[i];
        good = (c >= 0x20 || c == '\t') && c != 0x7f;
    }
    if (!good) {
        out->truncated = true;
        return;
    }
    text_append(out, name);
    text_append(out, ": ");
    text_append_bytes(out, value);
    text_append(out, "\r\n");
}

void http_field_write_text(struct text_builder *out, const char *name, const char *value)
{
    http_field_write(out, name, bytes_of_text(value));
}

void http_field_write_number(struct text_builder *out, const char *name, uint64_t value)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    http_field_write(out, name, bytes_of(text, (size_t)size));
}

void http_head_end(struct text_builder *out)
{
    text_append(out, "\r\n");
}

size_t http_chunk_head_write(size_t size, char out[HTTP_CHUNK_HEAD_SIZE])
{
    return (size_t)snprintf(out, HTTP_CHUNK_HEAD_SIZE, "%zx\r\n", size);
}
