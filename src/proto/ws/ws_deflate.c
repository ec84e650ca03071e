#include "proto/ws/ws_deflate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

struct ws_inflater {
    z_stream stream;
};

struct ws_inflater *ws_inflater_new(uint8_t window_bits)
{
    struct ws_inflater *inflater = calloc(1, sizeof(*inflater));
    if (!inflater)
        return NULL;
    if (inflateInit2(&inflater->stream, -(int)window_bits) != Z_OK) {
        free(inflater);
        return NULL;
    }
    return inflater;
}

void ws_inflater_free(struct ws_inflater *inflater)
{
    if (!inflater)
        return;
    inflateEnd(&inflater->stream);
    free(inflater);
}

long ws_inflater_run(struct ws_inflater *inflater, struct bytes *input, uint8_t *out,
                     size_t capacity)
{
    z_stream *stream = &inflater->stream;
    size_t given = min_of(input->size, (size_t)1 << 20);
    stream->next_in = input->data;
    stream->avail_in = (uInt)given;
    stream->next_out = out;
    stream->avail_out = (uInt)min_of(capacity, (size_t)1 << 20);
    uInt room = stream->avail_out;
    int result = inflate(stream, Z_SYNC_FLUSH);
    size_t taken = given - stream->avail_in;
    *input = bytes_of(input->data + taken, input->size - taken);
    if (result == Z_STREAM_END) {
        // a final block ends the stream; the next message starts anew (RFC 7692, 7.2.3.4)
        if (inflateReset(stream) != Z_OK)
            return -EBADMSG;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return -EBADMSG;
    }
    size_t written = room - stream->avail_out;
    bool stuck = written == 0 && taken == 0 && given > 0;
    return stuck ? -EBADMSG : (long)written;
}

/** A window no larger than the message saves the memory that zlib would clear. */
static int window_for(size_t size, uint8_t window_bits)
{
    int bits = 9;
    while (bits < window_bits && (1u << bits) < size)
        bits++;
    return bits;
}

long ws_deflate_message(struct bytes message, uint8_t window_bits, uint8_t *out, size_t capacity)
{
    z_stream stream = { 0 };
    int bits = window_for(message.size, window_bits);
    if (message.size > UINT32_MAX || capacity > UINT32_MAX)
        return -ENOSPC;
    if (deflateInit2(&stream, 3, Z_DEFLATED, -bits, min_of(bits - 6, 8), Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return -ENOMEM;
    stream.next_in = message.data;
    stream.avail_in = (uInt)message.size;
    stream.next_out = out;
    stream.avail_out = (uInt)capacity;
    int result = deflate(&stream, Z_SYNC_FLUSH);
    size_t size = capacity - stream.avail_out;
    bool whole = result == Z_OK && stream.avail_in == 0 && stream.avail_out > 0;
    deflateEnd(&stream);
    // a flush ends in 00 00 ff ff, which the format leaves out (RFC 7692, 7.2.1)
    static const uint8_t tail[4] = { 0x00, 0x00, 0xff, 0xff };
    if (!whole || size < 4 || memcmp(out + size - 4, tail, 4) != 0)
        return -ENOSPC;
    return (long)(size - 4);
}
