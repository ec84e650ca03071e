/**
 * Packets in the classic pcap format (draft-ietf-opsawg-pcap), link type RAW: each record is an IP
 * packet. What was received and sent over UDP sockets gets the headers it had, or as good as that.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"

#define PCAP_HEADER_SIZE 24
/** Record header, IPv6 header, UDP header. */
#define PCAP_RECORD_OVERHEAD (16 + 40 + 8)
#define PCAP_SNAPLEN         65535

/** The header of a file. */
void pcap_write_header(uint8_t out[PCAP_HEADER_SIZE]);
/**
 * One UDP datagram from `from` to `to`, which are of one family. Returns the size of the record;
 * `out` has room for PCAP_RECORD_OVERHEAD and the payload, which is at most 65,000 bytes.
 */
size_t pcap_write_udp(uint8_t *out, uint64_t unix_us, const struct net_address *from,
                      const struct net_address *to, struct bytes payload);
