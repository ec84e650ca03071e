// Frames of clients: what can be read is delivered with the same kind and content.
#include <string.h>

#include "room/data_envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char sender[] = "m0123456789";
    struct data_envelope envelope;
    if (data_envelope_read(bytes_of(data, size), &envelope) < 0)
        return 0;
    ensure(envelope.id_count <= DATA_ENVELOPE_IDS_MAX && envelope.kind < 0x80);
    for (size_t i = 0; i < envelope.id_count; i++)
        ensure(strlen(envelope.ids[i]) > 0 && strlen(envelope.ids[i]) < DATA_MEMBER_SIZE);
    struct blob *blob =
        data_envelope_deliver(envelope.kind, sender, envelope.id_count > 0, envelope.rest);
    ensure(blob);
    struct data_envelope delivered;
    ensure(data_envelope_read(blob_bytes(blob), &delivered) == 0);
    ensure(delivered.kind == envelope.kind && delivered.id_count == 1);
    ensure(strcmp(delivered.ids[0], sender) == 0);
    ensure(bytes_equal(delivered.rest, envelope.rest));
    blob_unref(blob);
    return 0;
}
