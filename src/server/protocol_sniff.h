/**
 * Which protocol speaks on a TCP stream, from its first bytes: one TLS port serves HTTPS,
 * WebSocket, TURN/TLS and ICE-TCP, and the same table runs before and after decryption.
 *
 *     16 03                             TLS
 *     LL LL 00 01 .. .. 21 12 A4 42     ICE-TCP (RFC 4571 frame of a STUN message)
 *     00|01 xx .. .. 21 12 A4 42        STUN or TURN over TCP
 *     10 <length> 00 04 M Q T T         MQTT CONNECT (also 00 06 MQIsdp)
 *     <                                 XMPP stream
 *     letters                           HTTP or SIP, by the version at the end of the first line
 */
#pragma once

#include "base/bytes.h"

/** More than this many bytes never change the answer for anything but a text protocol. */
#define PROTOCOL_SNIFF_BINARY_SIZE 10

enum protocol_sniffed {
    PROTOCOL_MORE_NEEDED, /**< not enough bytes yet */
    PROTOCOL_HTTP,
    PROTOCOL_TLS,
    PROTOCOL_STUN,
    PROTOCOL_ICE_TCP,
    PROTOCOL_MQTT,
    PROTOCOL_XMPP,
    PROTOCOL_SIP,
    PROTOCOL_UNKNOWN,
};

/**
 * Classifies. A text line that is not finished counts as HTTP as soon as it starts like one, since
 * HTTP's parser has the limits and the refusals.
 */
enum protocol_sniffed protocol_sniff(struct bytes first);
