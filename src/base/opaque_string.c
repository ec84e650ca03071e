#include "base/opaque_string.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

/** The code point at `*at` of well-formed UTF-8; moves behind it. */
static uint32_t next_code_point(struct bytes text, size_t *at)
{
    const uint8_t *from = text.data + *at;
    size_t length = from[0] < 0x80 ? 1 : from[0] < 0xe0 ? 2 : from[0] < 0xf0 ? 3 : 4;
    uint32_t point = length == 1 ? from[0] : from[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++)
        point = point << 6 | (from[i] & 0x3fu);
    *at += length;
    return point;
}

/** The other spaces of Unicode (category Zs). */
static bool is_other_space(uint32_t point)
{
    return point == 0xa0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200a) ||
           point == 0x202f || point == 0x205f || point == 0x3000;
}

static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

int opaque_string_prepare(struct bytes raw, char *out, size_t capacity, size_t *ret_size)
{
    if (raw.size == 0 || raw.size >= capacity || !text_is_utf8(raw))
        return -EINVAL;
    size_t size = 0;
    for (size_t at = 0; at < raw.size;) {
        size_t from = at;
        uint32_t point = next_code_point(raw, &at);
        if (is_control(point))
            return -EINVAL;
        if (is_other_space(point)) {
            out[size++] = ' ';
        } else {
            memcpy(out + size, raw.data + from, at - from);
            size += at - from;
        }
    }
    out[size] = '\0';
    *ret_size = size;
    return 0;
}
