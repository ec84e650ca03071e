#include "server/pcap.h"

#include <string.h>

#include "base/compiler.h"
#include "base/time.h"

#define LINKTYPE_RAW  101
#define PROTOCOL_UDP  17
#define RECORD_HEADER 16
#define IPV4_HEADER   20
#define IPV6_HEADER   40
#define UDP_HEADER    8
#define HOP_LIMIT     64

/*
 * File:    magic (4), version 2.4 (2, 2), reserved (8), snapshot length (4), link type (4)
 * Record:  seconds (4), microseconds (4), captured length (4), length (4), then the packet
 *
 * The numbers are written in network order; readers see that by the magic.
 */
void pcap_write_header(uint8_t out[PCAP_HEADER_SIZE])
{
    memset(out, 0, PCAP_HEADER_SIZE);
    store_u32(out, 0xa1b2c3d4);
    store_u16(out + 4, 2);
    store_u16(out + 6, 4);
    store_u32(out + 16, PCAP_SNAPLEN);
    store_u32(out + 20, LINKTYPE_RAW);
}

/** The sum of the Internet checksum (RFC 1071), not folded. */
static uint64_t sum_of(uint64_t sum, const uint8_t *data, size_t size)
{
    size_t i = 0;
    for (; i + 1 < size; i += 2)
        sum += load_u16(data + i);
    if (i < size)
        sum += (uint64_t)data[i] << 8;
    return sum;
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/** RFC 791, 3.1 */
static size_t write_ipv4(uint8_t *out, const struct net_address *from, const struct net_address *to,
                         size_t udp_size)
{
    memset(out, 0, IPV4_HEADER);
    out[0] = 0x45;
    store_u16(out + 2, (uint16_t)(IPV4_HEADER + udp_size));
    store_u16(out + 6, 0x4000); // do not fragment
    out[8] = HOP_LIMIT;
    out[9] = PROTOCOL_UDP;
    memcpy(out + 12, from->ip, 4);
    memcpy(out + 16, to->ip, 4);
    store_u16(out + 10, fold(sum_of(0, out, IPV4_HEADER)));
    return IPV4_HEADER;
}

/** RFC 8200, 3 */
static size_t write_ipv6(uint8_t *out, const struct net_address *from, const struct net_address *to,
                         size_t udp_size)
{
    memset(out, 0, 8);
    out[0] = 0x60;
    store_u16(out + 4, (uint16_t)udp_size);
    out[6] = PROTOCOL_UDP;
    out[7] = HOP_LIMIT;
    memcpy(out + 8, from->ip, 16);
    memcpy(out + 24, to->ip, 16);
    return IPV6_HEADER;
}

/** RFC 768, with the sum over addresses, protocol and length (RFC 8200, 8.1) */
static void write_udp(uint8_t *udp, const uint8_t *addresses, size_t addresses_size,
                      const struct net_address *from, const struct net_address *to,
                      struct bytes payload)
{
    size_t size = UDP_HEADER + payload.size;
    store_u16(udp, from->port);
    store_u16(udp + 2, to->port);
    store_u16(udp + 4, (uint16_t)size);
    store_u16(udp + 6, 0);
    if (payload.size > 0)
        memcpy(udp + UDP_HEADER, payload.data, payload.size);
    uint64_t sum = sum_of(PROTOCOL_UDP + size, addresses, addresses_size);
    uint16_t checksum = fold(sum_of(sum, udp, size));
    store_u16(udp + 6, checksum ? checksum : 0xffff);
}

size_t pcap_write_udp(uint8_t *out, uint64_t unix_us, const struct net_address *from,
                      const struct net_address *to, struct bytes payload)
{
    bool ipv6 = to->family == NET_IPV6;
    uint8_t *ip = out + RECORD_HEADER;
    size_t udp_size = UDP_HEADER + payload.size;
    size_t header = ipv6 ? write_ipv6(ip, from, to, udp_size) : write_ipv4(ip, from, to, udp_size);
    write_udp(ip + header, ipv6 ? ip + 8 : ip + 12, ipv6 ? 32 : 8, from, to, payload);
    size_t size = header + udp_size;
    store_u32(out, (uint32_t)(unix_us / TIME_US_PER_S));
    store_u32(out + 4, (uint32_t)(unix_us % TIME_US_PER_S));
    store_u32(out + 8, (uint32_t)size);
    store_u32(out + 12, (uint32_t)size);
    return RECORD_HEADER + size;
}
