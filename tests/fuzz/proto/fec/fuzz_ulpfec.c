// FEC payloads, and what comes of them with packets of any kind.
#include "proto/fec/ulpfec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // the first two bytes tell where the FEC payload ends; then come packets, each after its size
    if (size < 2)
        return 0;
    size_t fec_size = min_of((size_t)load_u16(data), size - 2);
    struct ulpfec fec;
    if (ulpfec_parse(bytes_of(data + 2, fec_size), &fec) < 0)
        return 0;
    struct bytes packets[ULPFEC_SPAN_MAX];
    size_t count = 0;
    for (size_t at = 2 + fec_size; at + 2 <= size && count < ULPFEC_SPAN_MAX;) {
        size_t packet_size = min_of((size_t)load_u16(data + at), size - at - 2);
        packets[count++] = bytes_of(data + at + 2, packet_size);
        at += 2 + packet_size;
    }
    uint8_t out[ULPFEC_PACKET_MAX];
    ssize_t made = ulpfec_recover(&fec, packets, count, 1, out);
    ensure(made < 0 || (made >= 12 && made <= ULPFEC_PACKET_MAX));
    if (made >= 12)
        ensure(ulpfec_protects(&fec, load_u16(out + 2)));
    return 0;
}
