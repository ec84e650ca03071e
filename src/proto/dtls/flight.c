#include "proto/dtls/flight_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/dtls/record_int.h"

void flight_clear(struct flight *flight)
{
    flight->size = 0;
    flight->count = 0;
    flight_rewind(flight);
}

static void note_encrypted(struct flight *flight, struct bytes datagram)
{
    struct reader reader = reader_of(datagram.data, datagram.size);
    struct record record;
    while (reader_left(&reader) > 0 && record_parse(&reader, &record) == 0)
        if (record.epoch == 1)
            flight->encrypted_sequence = max_of(flight->encrypted_sequence, record.sequence + 1);
}

int flight_add(struct flight *flight, struct bytes datagram)
{
    if (flight->count == FLIGHT_DATAGRAMS_MAX || datagram.size > UINT16_MAX ||
        flight->size + datagram.size > FLIGHT_SIZE_MAX)
        return -ENOBUFS;
    if (flight->capacity - flight->size < datagram.size) {
        flight->capacity = flight->size + datagram.size;
        flight->bytes = memory_resize(flight->bytes, flight->capacity);
    }
    memcpy(flight->bytes + flight->size, datagram.data, datagram.size);
    flight->size += datagram.size;
    flight->sizes[flight->count++] = (uint16_t)datagram.size;
    note_encrypted(flight, datagram);
    return 0;
}

void flight_rewind(struct flight *flight)
{
    flight->sent = 0;
    flight->sent_bytes = 0;
}

bool flight_all_sent(const struct flight *flight)
{
    return flight->sent == flight->count;
}

size_t flight_next_size(const struct flight *flight)
{
    ensure(!flight_all_sent(flight));
    return flight->sizes[flight->sent];
}

void flight_next(struct flight *flight, uint8_t *out)
{
    size_t size = flight_next_size(flight);
    memcpy(out, flight->bytes + flight->sent_bytes, size);
    flight->sent++;
    flight->sent_bytes += size;
    struct reader reader = reader_of(out, size);
    struct record record;
    while (reader_left(&reader) > 0) {
        uint8_t *header = out + reader.at;
        if (record_parse(&reader, &record) < 0)
            break;
        if (record.epoch == 0)
            store_u64(header + 3, flight->next_sequence++ & RECORD_SEQUENCE_MAX);
    }
}

void flight_done(struct flight *flight)
{
    free(flight->bytes);
    *flight = (struct flight){ 0 };
}
