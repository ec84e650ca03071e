#include "proto/http/http_message.h"

#include "base/text.h"

static const struct {
    enum http_method method;
    const char *name;
} methods[] = {
    { HTTP_METHOD_GET, "GET" },       { HTTP_METHOD_HEAD, "HEAD" },
    { HTTP_METHOD_POST, "POST" },     { HTTP_METHOD_PUT, "PUT" },
    { HTTP_METHOD_DELETE, "DELETE" }, { HTTP_METHOD_OPTIONS, "OPTIONS" },
    { HTTP_METHOD_PATCH, "PATCH" },
};

enum http_method http_method_parse(struct bytes text)
{
    for (size_t i = 0; i < array_size(methods); i++) {
        if (text_equal(text, methods[i].name))
            return methods[i].method;
    }
    return HTTP_METHOD_NONE;
}

const char *http_method_name(enum http_method method)
{
    for (size_t i = 0; i < array_size(methods); i++) {
        if (methods[i].method == method)
            return methods[i].name;
    }
    return "";
}

static const struct {
    unsigned status;
    const char *phrase;
} phrases[] = {
    { 100, "Continue" },
    { 101, "Switching Protocols" },
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 206, "Partial Content" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 421, "Misdirected Request" },
    { 422, "Unprocessable Content" },
    { 426, "Upgrade Required" },
    { 428, "Precondition Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
};

const char *http_status_phrase(unsigned status)
{
    for (size_t i = 0; i < array_size(phrases); i++) {
        if (phrases[i].status == status)
            return phrases[i].phrase;
    }
    return "";
}

struct bytes http_headers_find(const struct http_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (text_equal_ignore_case(headers->items[i].name, name))
            return headers->items[i].value;
    }
    return bytes_of(NULL, 0);
}

size_t http_headers_count(const struct http_headers *headers, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < headers->count; i++)
        count += text_equal_ignore_case(headers->items[i].name, name);
    return count;
}

bool http_headers_list_has(const struct http_headers *headers, const char *name, const char *token)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (!text_equal_ignore_case(headers->items[i].name, name))
            continue;
        struct bytes rest = headers->items[i].value;
        struct bytes element;
        while (http_list_next(&rest, &element)) {
            if (text_equal_ignore_case(element, token))
                return true;
        }
    }
    return false;
}

/** The size of the element at the start: up to a comma that is in no quoted string. */
static size_t element_size(struct bytes text)
{
    bool quoted = false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            return i;
    }
    return text.size;
}

bool http_list_next(struct bytes *rest, struct bytes *ret_element)
{
    while (rest->size > 0) {
        size_t size = element_size(*rest);
        struct bytes element = text_trim(bytes_of(rest->data, size));
        size_t taken = min_of(size + 1, rest->size);
        *rest = bytes_of(rest->data + taken, rest->size - taken);
        if (element.size > 0) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}

bool http_is_token_character(uint8_t c)
{
    // one bit per character of RFC 9110, 5.6.2: !#$%&'*+-.^_`|~ digits and letters
    static const uint32_t set[8] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff, 0, 0, 0, 0 };
    return set[c >> 5] >> (c & 31) & 1;
}

bool http_is_token(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!http_is_token_character(text.data[i]))
            return false;
    }
    return text.size > 0;
}
