/**
 * SCTP packets (RFC 9260, 3): a common header, then chunks; and the type-length-value form that
 * parameters and error causes share.
 *
 *     0                   1                   2                   3
 *    |          source port          |       destination port        |
 *    |                        verification tag                       |
 *    |               checksum (CRC32c, in little endian)             |
 *    |     type      |     flags     |            length             |  chunk
 *    |   value, padded with zeros to a multiple of 4 ...             |
 */
#pragma once

#include "base/bytes.h"

#define SCTP_HEADER_SIZE       12
#define SCTP_CHUNK_HEADER_SIZE 4
/** Room a chunk or parameter of `size` bytes takes. */
#define SCTP_PADDED(size) (((size) + 3u) & ~3u)

struct sctp_header {
    uint16_t source_port;
    uint16_t destination_port;
    uint32_t verification_tag;
};

/** A chunk, or with `flags` unused a parameter or error cause. Views of the packet. */
struct sctp_chunk {
    uint8_t type;
    uint8_t flags;
    struct bytes value;
};

struct sctp_parameter {
    uint16_t type;
    struct bytes value;
    struct bytes whole; /**< with its header, without padding */
};

/**
 * Takes the header of a packet; `ret_chunks` reads what follows. A checksum of zero is taken
 * without a look when `zero_is_right` (RFC 9653). Returns 0, -EINVAL (too short) or -EBADMSG
 * (wrong checksum).
 */
must_check int sctp_packet_parse(struct bytes packet, bool zero_is_right,
                                 struct sctp_header *ret_header, struct reader *ret_chunks);
/** Of a packet that was taken: nothing stands where the checksum belongs. */
static inline bool sctp_packet_without_checksum(struct bytes packet)
{
    return load_u32(packet.data + 8) == 0;
}
/**
 * The next chunk; false at the end, and when what follows is none (the reader has then failed).
 * Padding of the last one may be missing.
 */
bool sctp_chunk_next(struct reader *chunks, struct sctp_chunk *ret_chunk);
/** The same for parameters of a chunk and causes of an error. */
bool sctp_parameter_next(struct reader *parameters, struct sctp_parameter *ret_parameter);

/** Begins a packet; the checksum is zero until sctp_packet_seal. */
void sctp_packet_begin(struct writer *packet, const struct sctp_header *header);
/** Puts the checksum into a whole packet of at least SCTP_HEADER_SIZE bytes. */
void sctp_packet_seal(uint8_t *packet, size_t size);
/** Begins a chunk; what is written until sctp_chunk_end is its value. Returns where it begins. */
size_t sctp_chunk_begin(struct writer *packet, uint8_t type, uint8_t flags);
/** Sets the length of the chunk that begins at `at`, and pads it. */
void sctp_chunk_end(struct writer *packet, size_t at);
/**
 * The same for a parameter or error cause in a chunk. Padding is written when another one begins:
 * the length of a chunk does not count the padding of its last parameter (RFC 9260, 3.2).
 */
size_t sctp_parameter_begin(struct writer *packet, uint16_t type);
void sctp_parameter_end(struct writer *packet, size_t at);
