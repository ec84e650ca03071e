/**
 * The PROXY protocol, version 2: what a load balancer writes before a client's own bytes, so that
 * the server behind it knows who the client is.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |  signature, 12 bytes: 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A     |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     | ver 2 |command|family |transp.|        length of what follows |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     | source IP, destination IP (4 or 16 bytes each),               |
 *     | source port, destination port (2 bytes each)                  |
 *     | TLVs: type (1), length (2), value                             |
 *
 * command: 0 LOCAL (the proxy speaks for itself), 1 PROXY. family: 0 unspecified, 1 IPv4, 2 IPv6,
 * 3 UNIX. transport: 0 unspecified, 1 stream, 2 datagrams.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"

#define PROXY_HEADER_FIXED_SIZE 16
/** Largest header that is read, TLVs included: real ones take a few hundred bytes. */
#define PROXY_HEADER_SIZE_MAX 4096

enum proxy_transport {
    PROXY_UNSPECIFIED,
    PROXY_STREAM,
    PROXY_DATAGRAM,
};

struct proxy_header {
    /**
     * Who the client is, and which address it spoke to. Both NET_NONE when the header does not
     * tell (LOCAL, UNIX, unspecified): then the connection's own addresses hold.
     */
    struct net_address source;
    struct net_address destination;
    enum proxy_transport transport;
    bool local; /**< the proxy's own connection: a health check */
};

/**
 * Reads the header at the start of a stream, as far as it has come. Returns its whole size, 0 when
 * more bytes are needed, -EBADMSG when these bytes are no valid header (a wrong CRC32c included),
 * or -EMSGSIZE when it is larger than PROXY_HEADER_SIZE_MAX. Refuses at the first wrong byte.
 */
must_check int proxy_header_parse(struct bytes first, struct proxy_header *ret_header);

/** CRC-32C (Castagnoli), as the header's PP2_TYPE_CRC32C: continue with the last result, first 0.
 */
uint32_t proxy_crc32c(uint32_t crc, struct bytes bytes);
