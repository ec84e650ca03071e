#include "room/data_envelope.h"

#include <errno.h>
#include <string.h>

#define VERSION  1
#define DIRECTED 0x80

static bool read_id(struct reader *reader, char id[DATA_MEMBER_SIZE])
{
    struct bytes text = reader_bytes(reader, reader_u8(reader));
    if (text.size == 0 || text.size >= DATA_MEMBER_SIZE || memchr(text.data, 0, text.size))
        return false;
    memcpy(id, text.data, text.size);
    id[text.size] = 0;
    return true;
}

int data_envelope_read(struct bytes frame, struct data_envelope *ret_envelope)
{
    struct reader reader = reader_of(frame.data, frame.size);
    uint8_t version = reader_u8(&reader);
    uint8_t kind = reader_u8(&reader);
    size_t count = reader_u8(&reader);
    if (reader.failed || version != VERSION)
        return -EBADMSG;
    if (count > DATA_ENVELOPE_IDS_MAX)
        return -E2BIG;
    for (size_t i = 0; i < count; i++) {
        if (!read_id(&reader, ret_envelope->ids[i]))
            return -EBADMSG;
    }
    ret_envelope->kind = kind & (uint8_t)~DIRECTED;
    ret_envelope->id_count = count;
    ret_envelope->rest = reader_bytes(&reader, reader_left(&reader));
    return 0;
}

struct blob *data_envelope_deliver(uint8_t kind, const char *sender, bool directed,
                                   struct bytes rest)
{
    size_t length = strlen(sender);
    size_t size = (length > 0 ? 4 : 3) + length + rest.size;
    uint8_t *at;
    struct blob *blob = blob_new_uninit(size, &at);
    if (!blob)
        return NULL;
    struct writer writer = writer_of(at, size);
    writer_u8(&writer, VERSION);
    writer_u8(&writer, directed ? kind | DIRECTED : kind);
    writer_u8(&writer, length > 0);
    if (length > 0)
        writer_u8(&writer, (uint8_t)length);
    writer_bytes(&writer, sender, length);
    writer_bytes(&writer, rest.data, rest.size);
    ensure(!writer.failed && writer.size == size);
    return blob;
}
