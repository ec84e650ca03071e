#include "proto/proxy/proxy_header.h"

#include <errno.h>
#include <string.h>

#define VERSION_2      2
#define COMMAND_LOCAL  0
#define COMMAND_PROXY  1
#define FAMILY_NONE    0
#define FAMILY_IPV4    1
#define FAMILY_IPV6    2
#define FAMILY_UNIX    3
#define TLV_CRC32C     0x03 // PP2_TYPE_CRC32C
#define ADDRESSES_IPV4 12u
#define ADDRESSES_IPV6 36u
#define ADDRESSES_UNIX 216u

static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                       0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

uint32_t proxy_crc32c(uint32_t crc, struct bytes bytes)
{
    // a header per connection: eight steps a byte need no table
    crc = ~crc;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/** The CRC is over the whole header with its own value as zeros. */
static bool crc_is_right(struct bytes header, struct bytes value)
{
    static const uint8_t zeros[4];
    const uint8_t *end = header.data + header.size;
    uint32_t crc = proxy_crc32c(0, bytes_of(header.data, (size_t)(value.data - header.data)));
    crc = proxy_crc32c(crc, bytes_of(zeros, sizeof(zeros)));
    const uint8_t *after = value.data + value.size;
    crc = proxy_crc32c(crc, bytes_of(after, (size_t)(end - after)));
    return crc == load_u32(value.data);
}

/** All but the checksum is for others. */
static int read_tlvs(struct bytes header, struct reader *in)
{
    while (reader_left(in) > 0) {
        uint8_t type = reader_u8(in);
        struct bytes value = reader_bytes(in, reader_u16(in));
        if (in->failed)
            return -EBADMSG;
        if (type == TLV_CRC32C && (value.size != 4 || !crc_is_right(header, value)))
            return -EBADMSG;
    }
    return 0;
}

static void read_addresses(struct reader *in, struct proxy_header *header, enum net_family family)
{
    size_t size = family == NET_IPV4 ? 4 : 16;
    header->source.family = header->destination.family = (uint8_t)family;
    reader_copy(in, header->source.ip, size);
    reader_copy(in, header->destination.ip, size);
    header->source.port = reader_u16(in);
    header->destination.port = reader_u16(in);
    header->source = net_address_unmapped(&header->source);
    header->destination = net_address_unmapped(&header->destination);
}

static const struct net_address nobody = { .family = NET_NONE };

/** `in` stands behind the length, and ends with the header. */
static int read_body(struct reader *in, uint8_t command, uint8_t protocol,
                     struct proxy_header *ret_header)
{
    struct proxy_header header = { .local = command == COMMAND_LOCAL };
    uint8_t family = protocol >> 4, transport = protocol & 15;
    if (family > FAMILY_UNIX || transport > PROXY_DATAGRAM)
        return -EBADMSG;
    header.transport = transport;
    if (family == FAMILY_IPV4 && in->size - in->at >= ADDRESSES_IPV4)
        read_addresses(in, &header, NET_IPV4);
    else if (family == FAMILY_IPV6 && in->size - in->at >= ADDRESSES_IPV6)
        read_addresses(in, &header, NET_IPV6);
    else if (family == FAMILY_UNIX && in->size - in->at >= ADDRESSES_UNIX)
        reader_skip(in, ADDRESSES_UNIX);
    else if (family != FAMILY_NONE && !header.local)
        return -EBADMSG;
    else // LOCAL and unspecified: whatever stands here is to be skipped
        reader_skip(in, in->size - in->at);
    if (header.local || transport == PROXY_UNSPECIFIED || header.source.port == 0)
        header.source = header.destination = nobody;
    *ret_header = header;
    return 0;
}

int proxy_header_parse(struct bytes first, struct proxy_header *ret_header)
{
    size_t seen = min_of(first.size, sizeof(signature));
    if (seen > 0 && memcmp(first.data, signature, seen) != 0)
        return -EBADMSG;
    if (first.size > 12 &&
        (first.data[12] >> 4 != VERSION_2 || (first.data[12] & 15) > COMMAND_PROXY))
        return -EBADMSG;
    if (first.size < PROXY_HEADER_FIXED_SIZE)
        return 0;
    size_t size = PROXY_HEADER_FIXED_SIZE + (size_t)load_u16(first.data + 14);
    if (size > PROXY_HEADER_SIZE_MAX)
        return -EMSGSIZE;
    if (first.size < size)
        return 0;
    struct bytes whole = bytes_of(first.data, size);
    struct reader in = reader_of(whole.data, whole.size);
    reader_skip(&in, PROXY_HEADER_FIXED_SIZE);
    struct proxy_header header;
    int error = read_body(&in, first.data[12] & 15, first.data[13], &header);
    if (!error)
        error = read_tlvs(whole, &in);
    if (error)
        return error;
    *ret_header = header;
    return (int)size;
}
