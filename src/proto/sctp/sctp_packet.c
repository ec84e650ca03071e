#include "proto/sctp/sctp_packet.h"

#include <errno.h>

#include "proto/sctp/sctp_crc32c.h"

#define CHECKSUM_AT 8

/** The checksum over the packet with zeros in its place. */
static uint32_t checksum_of(struct bytes packet)
{
    static const uint8_t zeros[4] = { 0 };
    uint32_t crc = sctp_crc32c(0, bytes_of(packet.data, CHECKSUM_AT));
    crc = sctp_crc32c(crc, bytes_of(zeros, sizeof(zeros)));
    return sctp_crc32c(crc,
                       bytes_of(packet.data + SCTP_HEADER_SIZE, packet.size - SCTP_HEADER_SIZE));
}

int sctp_packet_parse(struct bytes packet, bool zero_is_right, struct sctp_header *ret_header,
                      struct reader *ret_chunks)
{
    struct reader reader = reader_of(packet.data, packet.size);
    struct sctp_header header = { 0 };
    header.source_port = reader_u16(&reader);
    header.destination_port = reader_u16(&reader);
    header.verification_tag = reader_u32(&reader);
    uint32_t sent = __builtin_bswap32(reader_u32(&reader)); // little endian, unlike all else
    if (reader.failed)
        return -EINVAL;
    if (!(sent == 0 && zero_is_right) && sent != checksum_of(packet))
        return -EBADMSG;
    *ret_header = header;
    *ret_chunks = reader;
    return 0;
}

/** The value of `length` bytes less the header that was read, and what pads it. */
static bool take_value(struct reader *reader, uint16_t length, struct bytes *ret_value)
{
    if (reader->failed || length < SCTP_CHUNK_HEADER_SIZE) {
        reader->failed = true;
        return false;
    }
    *ret_value = reader_bytes(reader, length - SCTP_CHUNK_HEADER_SIZE);
    size_t padding = SCTP_PADDED(length) - length;
    reader_skip(reader, min_of(padding, reader_left(reader)));
    return !reader->failed;
}

bool sctp_chunk_next(struct reader *chunks, struct sctp_chunk *ret_chunk)
{
    if (reader_left(chunks) == 0)
        return false;
    ret_chunk->type = reader_u8(chunks);
    ret_chunk->flags = reader_u8(chunks);
    return take_value(chunks, reader_u16(chunks), &ret_chunk->value);
}

bool sctp_parameter_next(struct reader *parameters, struct sctp_parameter *ret_parameter)
{
    if (reader_left(parameters) == 0)
        return false;
    const uint8_t *start = parameters->data + parameters->at;
    ret_parameter->type = reader_u16(parameters);
    if (!take_value(parameters, reader_u16(parameters), &ret_parameter->value))
        return false;
    ret_parameter->whole = bytes_of(start, SCTP_CHUNK_HEADER_SIZE + ret_parameter->value.size);
    return true;
}

void sctp_packet_begin(struct writer *packet, const struct sctp_header *header)
{
    writer_u16(packet, header->source_port);
    writer_u16(packet, header->destination_port);
    writer_u32(packet, header->verification_tag);
    writer_u32(packet, 0);
}

void sctp_packet_seal(uint8_t *packet, size_t size)
{
    store_u32(packet + CHECKSUM_AT, 0);
    store_u32(packet + CHECKSUM_AT, __builtin_bswap32(sctp_crc32c(0, bytes_of(packet, size))));
}

size_t sctp_chunk_begin(struct writer *packet, uint8_t type, uint8_t flags)
{
    size_t at = packet->size;
    writer_u8(packet, type);
    writer_u8(packet, flags);
    writer_u16(packet, 0);
    return at;
}

size_t sctp_parameter_begin(struct writer *packet, uint16_t type)
{
    writer_zeros(packet, SCTP_PADDED(packet->size) - packet->size);
    size_t at = packet->size;
    writer_u16(packet, type);
    writer_u16(packet, 0);
    return at;
}

void sctp_parameter_end(struct writer *packet, size_t at)
{
    if (!packet->failed)
        writer_patch_u16(packet, at + 2, (uint16_t)(packet->size - at));
}

void sctp_chunk_end(struct writer *packet, size_t at)
{
    sctp_parameter_end(packet, at);
    writer_zeros(packet, SCTP_PADDED(packet->size) - packet->size);
}
