#include "proto/stun/stun.h"

#include <errno.h>

#define ATTRIBUTE_HEADER_SIZE 4
#define SHA256_SIZE_MIN       16 // section 14.6

bool stun_message_is(const uint8_t *data, size_t size)
{
    return size >= STUN_HEADER_SIZE && (data[0] & 0xc0) == 0 &&
           load_u32(data + 4) == STUN_MAGIC_COOKIE &&
           (size_t)load_u16(data + 2) + STUN_HEADER_SIZE == size && (size & 3) == 0;
}

int stun_message_stream_size(const uint8_t *data, size_t size)
{
    if (size < STUN_HEADER_SIZE)
        return 0;
    uint16_t length = load_u16(data + 2);
    if ((data[0] & 0xc0) != 0 || load_u32(data + 4) != STUN_MAGIC_COOKIE || (length & 3) != 0)
        return -EBADMSG;
    return STUN_HEADER_SIZE + length;
}

/**
 * The two class bits C1 and C0 lie inside the 12 bits of the method (section 5):
 *
 *      0                 1
 *      2  3  4 5 6 7 8 9 0 1 2 3 4 5
 *     |M |M |M|M|M|C|M|M|M|C|M|M|M|M|
 *     |11|10|9|8|7|1|6|5|4|0|3|2|1|0|
 */
static void split_type(uint16_t type, struct stun_message *message)
{
    message->class = (uint8_t)((type >> 7 & 2) | (type >> 4 & 1));
    message->method = (uint16_t)((type & 0xf) | (type >> 1 & 0x70) | (type >> 2 & 0xf80));
}

/** Notes where the attributes are that protect the others. Returns 0 or -EBADMSG. */
static int note_attribute(struct stun_message *message, uint16_t at, uint16_t type, uint16_t length)
{
    if (message->fingerprint)
        return -EBADMSG; // FINGERPRINT must be the last one (section 14.7)
    switch (type) {
    case STUN_FINGERPRINT:
        if (length != 4)
            return -EBADMSG;
        message->fingerprint = at;
        break;
    case STUN_MESSAGE_INTEGRITY:
        // section 14.5: what follows an integrity attribute is ignored
        if (message->integrity || message->sha256)
            break;
        if (length != STUN_INTEGRITY_SIZE)
            return -EBADMSG;
        message->integrity = at;
        break;
    case STUN_MESSAGE_INTEGRITY_SHA256:
        if (message->sha256)
            break;
        if (length < SHA256_SIZE_MIN || length > STUN_INTEGRITY_SHA256_SIZE || (length & 3) != 0)
            return -EBADMSG;
        message->sha256 = at;
        message->sha256_size = length;
        break;
    default:
        return 0;
    }
    if (at < message->end)
        message->end = at;
    return 0;
}

int stun_message_parse(struct bytes datagram, struct stun_message *ret_message)
{
    if (!stun_message_is(datagram.data, datagram.size))
        return -EBADMSG;
    struct stun_message message = { .bytes = datagram, .end = UINT16_MAX };
    split_type(load_u16(datagram.data), &message);
    struct reader reader = reader_of(datagram.data, datagram.size);
    reader_skip(&reader, STUN_HEADER_SIZE);
    while (reader_left(&reader) > 0) {
        // offsets have 16 bits; only a stream could carry a message so long
        if (reader.at > UINT16_MAX)
            return -EBADMSG;
        uint16_t at = (uint16_t)reader.at;
        uint16_t type = reader_u16(&reader);
        uint16_t length = reader_u16(&reader);
        reader_skip(&reader, (length + 3u) & ~3u);
        if (reader.failed || note_attribute(&message, at, type, length) < 0)
            return -EBADMSG;
    }
    message.end = (uint16_t)min_of((size_t)message.end, datagram.size);
    *ret_message = message;
    return 0;
}

bool stun_message_next(const struct stun_message *message, struct stun_cursor *cursor,
                       struct stun_attribute *ret_attribute)
{
    if (cursor->at == 0)
        cursor->at = STUN_HEADER_SIZE;
    if (cursor->at >= message->end)
        return false;
    // framing was checked by stun_message_parse
    const uint8_t *at = message->bytes.data + cursor->at;
    uint16_t length = load_u16(at + 2);
    *ret_attribute = (struct stun_attribute){
        .type = load_u16(at),
        .value = bytes_of(at + ATTRIBUTE_HEADER_SIZE, length),
    };
    size_t next = (size_t)cursor->at + ATTRIBUTE_HEADER_SIZE + ((length + 3u) & ~3u);
    cursor->at = (uint16_t)min_of(next, (size_t)message->end);
    return true;
}

bool stun_message_find(const struct stun_message *message, uint16_t type, struct bytes *ret_value)
{
    struct stun_cursor cursor = { 0 };
    struct stun_attribute attribute;
    while (stun_message_next(message, &cursor, &attribute)) {
        if (attribute.type == type) {
            *ret_value = attribute.value;
            return true;
        }
    }
    return false;
}

int stun_message_find_u32(const struct stun_message *message, uint16_t type, uint32_t *ret_value)
{
    struct bytes value;
    if (!stun_message_find(message, type, &value))
        return -ENOENT;
    if (value.size != 4)
        return -EBADMSG;
    *ret_value = load_u32(value.data);
    return 0;
}

int stun_message_find_u64(const struct stun_message *message, uint16_t type, uint64_t *ret_value)
{
    struct bytes value;
    if (!stun_message_find(message, type, &value))
        return -ENOENT;
    if (value.size != 8)
        return -EBADMSG;
    *ret_value = load_u64(value.data);
    return 0;
}

int stun_message_find_error(const struct stun_message *message, uint16_t *ret_code,
                            struct bytes *ret_reason)
{
    struct bytes value;
    if (!stun_message_find(message, STUN_ERROR_CODE, &value))
        return -ENOENT;
    if (value.size < 4)
        return -EBADMSG;
    uint8_t hundreds = value.data[2] & 7, number = value.data[3];
    if (hundreds < 3 || hundreds > 6 || number > 99)
        return -EBADMSG;
    *ret_code = (uint16_t)(hundreds * 100 + number);
    if (ret_reason)
        *ret_reason = bytes_of(value.data + 4, value.size - 4);
    return 0;
}

static bool type_in(uint16_t type, const uint16_t *types, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (types[i] == type)
            return true;
    }
    return false;
}

size_t stun_message_unknown(const struct stun_message *message, const uint16_t *known,
                            size_t known_count, uint16_t *ret_types, size_t capacity)
{
    size_t count = 0;
    struct stun_cursor cursor = { 0 };
    struct stun_attribute attribute;
    while (count < capacity && stun_message_next(message, &cursor, &attribute)) {
        if (attribute.type < 0x8000 && !type_in(attribute.type, known, known_count) &&
            !type_in(attribute.type, ret_types, count))
            ret_types[count++] = attribute.type;
    }
    return count;
}
