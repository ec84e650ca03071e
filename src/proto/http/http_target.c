#include "proto/http/http_target.h"

#include <errno.h>
#include <string.h>

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** The byte that the escape at text.data[at] stands for, or -EINVAL. */
static int escape_value(struct bytes text, size_t at)
{
    if (text.size - at < 3)
        return -EINVAL;
    int high = hex_value(text.data[at + 1]);
    int low = hex_value(text.data[at + 2]);
    return high < 0 || low < 0 ? -EINVAL : high << 4 | low;
}

static bool is_control(int c)
{
    return c < 0x20 || c == 0x7f;
}

/** Decodes all escapes but those of "/" and "%"; returns the size or a negative errno. */
static int path_decode(struct bytes path, char *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < path.size; i++) {
        int c = path.data[i];
        bool escaped = false;
        if (c == '%') {
            c = escape_value(path, i);
            if (c < 0)
                return -EINVAL;
            escaped = c == '/' || c == '%';
            i += 2;
        }
        if (is_control(c))
            return -EINVAL;
        size_t needed = escaped ? 3 : 1;
        if (capacity - size <= needed)
            return -ENAMETOOLONG;
        if (escaped)
            memcpy(out + size, c == '/' ? "%2F" : "%25", 3);
        else
            out[size] = (char)c;
        size += needed;
    }
    out[size] = '\0';
    return text_is_utf8(bytes_of(out, size)) ? (int)size : -EINVAL;
}

/** Removes empty, "." and ".." segments in place (RFC 3986, 5.2.4, but refusing to go above). */
static int dot_segments_remove(char *path, size_t size, size_t *ret_size)
{
    size_t out = 0;
    size_t at = 0;
    bool ends_as_folder = false;
    while (at < size) {
        at++; // the slash in front of the segment
        const char *slash = memchr(path + at, '/', size - at);
        size_t length = slash ? (size_t)(slash - (path + at)) : size - at;
        ends_as_folder = true;
        if (length == 2 && path[at] == '.' && path[at + 1] == '.') {
            if (out == 0)
                return -EACCES;
            do
                out--;
            while (path[out] != '/');
        } else if (length > 0 && !(length == 1 && path[at] == '.')) {
            path[out] = '/';
            memmove(path + out + 1, path + at, length);
            out += length + 1;
            ends_as_folder = slash != NULL;
        }
        at += length;
    }
    if (out == 0 || ends_as_folder)
        path[out++] = '/';
    path[out] = '\0';
    *ret_size = out;
    return 0;
}

int http_path_normalise(struct bytes path, char *out, size_t capacity, size_t *ret_size)
{
    if (path.size == 0 || path.data[0] != '/')
        return -EINVAL;
    int size = path_decode(path, out, capacity);
    if (size < 0)
        return size;
    return dot_segments_remove(out, (size_t)size, ret_size);
}

/** Decodes every escape; refuses control characters and what is not UTF-8. */
static int text_decode(struct bytes text, bool plus_is_space, char *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        int c = text.data[i];
        if (c == '%') {
            c = escape_value(text, i);
            if (c < 0)
                return -EINVAL;
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (is_control(c))
            return -EINVAL;
        if (capacity - size <= 1)
            return -ENAMETOOLONG;
        out[size++] = (char)c;
    }
    if (capacity == 0)
        return -ENAMETOOLONG;
    out[size] = '\0';
    return text_is_utf8(bytes_of(out, size)) ? (int)size : -EINVAL;
}

int http_segment_decode(struct bytes segment, char *out, size_t capacity)
{
    return text_decode(segment, false, out, capacity);
}

void http_percent_encode(struct text_builder *out, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != 0 && strchr("-._~", c));
        if (plain)
            text_append_bytes(out, bytes_of(&c, 1));
        else
            text_append_format(out, "%%%02X", c);
    }
}

int http_query_find(struct bytes query, const char *name, char *out, size_t capacity)
{
    while (query.size > 0) {
        struct bytes value = text_take_until(&query, '&');
        struct bytes key = text_take_until(&value, '=');
        char decoded[64];
        if (text_decode(key, true, decoded, sizeof(decoded)) < 0 || strcmp(decoded, name) != 0)
            continue;
        return text_decode(value, true, out, capacity);
    }
    return -ENOENT;
}

/** Splits "[v6]" or a name from what is behind it. */
static int host_split(struct bytes text, struct bytes *ret_host, struct bytes *ret_rest)
{
    size_t size = 0;
    if (text.size > 0 && text.data[0] == '[') {
        const uint8_t *end = memchr(text.data, ']', text.size);
        if (!end)
            return -EINVAL;
        size = (size_t)(end - text.data) + 1;
        for (size_t i = 1; i + 1 < size; i++) {
            uint8_t c = text.data[i];
            if (hex_value(c) < 0 && c != ':' && c != '.')
                return -EINVAL;
        }
        if (size < 4)
            return -EINVAL;
    } else {
        for (; size < text.size && text.data[size] != ':'; size++) {
            uint8_t c = text.data[size];
            bool good = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                        (c != 0 && strchr("-._~", c));
            if (!good)
                return -EINVAL;
        }
    }
    *ret_host = bytes_of(text.data, size);
    *ret_rest = bytes_of(text.data + size, text.size - size);
    return 0;
}

int http_host_parse(struct bytes text, struct bytes *ret_host, uint16_t *ret_port)
{
    struct bytes host, rest;
    if (text.size == 0 || text.size > 261 || host_split(text, &host, &rest) != 0 || host.size == 0)
        return -EINVAL;
    uint64_t port = 0;
    if (rest.size > 0) {
        if (rest.data[0] != ':')
            return -EINVAL;
        rest = bytes_of(rest.data + 1, rest.size - 1);
        if (rest.size > 0 && text_parse_u64(rest, UINT16_MAX, &port) != 0)
            return -EINVAL;
    }
    *ret_host = host;
    *ret_port = (uint16_t)port;
    return 0;
}
