// Messages that open data channels: what is taken is written again as the same bytes.
#include "proto/sctp/dcep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes message = bytes_of(data, size);
    struct dcep_open open, again;
    if (dcep_open_parse(message, &open) < 0)
        return 0;
    ensure(!dcep_is_ack(message));
    uint8_t bytes[1024];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    dcep_open_write(&writer, &open);
    if (writer.failed)
        return 0;
    ensure(dcep_open_parse(writer_written(&writer), &again) == 0);
    ensure(writer.size == size && again.limit == open.limit && again.priority == open.priority);
    ensure(again.unordered == open.unordered && again.reliability == open.reliability);
    ensure(bytes_equal(again.label, open.label) && bytes_equal(again.protocol, open.protocol));
    return 0;
}
