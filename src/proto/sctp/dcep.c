#include "proto/sctp/dcep.h"

#include <errno.h>

enum {
    MESSAGE_ACK = 2,
    MESSAGE_OPEN = 3,
    TYPE_UNORDERED = 0x80,
};

const uint8_t dcep_ack[1] = { MESSAGE_ACK };

int dcep_open_parse(struct bytes message, struct dcep_open *ret_open)
{
    struct reader reader = reader_of(message.data, message.size);
    struct dcep_open open;
    uint8_t kind = reader_u8(&reader);
    uint8_t type = reader_u8(&reader);
    open.unordered = type & TYPE_UNORDERED;
    open.reliability = (enum dcep_reliability)(type & ~TYPE_UNORDERED);
    open.priority = reader_u16(&reader);
    open.limit = reader_u32(&reader);
    uint16_t label_size = reader_u16(&reader);
    uint16_t protocol_size = reader_u16(&reader);
    open.label = reader_bytes(&reader, label_size);
    open.protocol = reader_bytes(&reader, protocol_size);
    if (!reader_finished(&reader) || kind != MESSAGE_OPEN || open.reliability > DCEP_LIFETIME)
        return -EINVAL;
    if (open.reliability == DCEP_RELIABLE)
        open.limit = 0; // "MUST be ignored"
    *ret_open = open;
    return 0;
}

void dcep_open_write(struct writer *message, const struct dcep_open *open)
{
    writer_u8(message, MESSAGE_OPEN);
    writer_u8(message, (uint8_t)(open->reliability | (open->unordered ? TYPE_UNORDERED : 0)));
    writer_u16(message, open->priority);
    writer_u32(message, open->limit);
    writer_u16(message, (uint16_t)open->label.size);
    writer_u16(message, (uint16_t)open->protocol.size);
    writer_bytes(message, open->label.data, open->label.size);
    writer_bytes(message, open->protocol.data, open->protocol.size);
}

bool dcep_is_ack(struct bytes message)
{
    return message.size > 0 && message.data[0] == MESSAGE_ACK;
}
