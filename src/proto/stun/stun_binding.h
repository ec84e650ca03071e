/**
 * A STUN server (RFC 8489, section 2 "Binding") with the NAT behaviour discovery of RFC 5780, as
 * one function without state: a Binding request comes in, the answer goes out.
 *
 * Discovery needs two IP addresses and two ports: four sockets, named by two bits.
 *
 *                       first port              second port
 *     first address     STUN_BINDING_FIRST (0)  STUN_BINDING_OTHER_PORT (1)
 *     second address    STUN_BINDING_OTHER_IP   STUN_BINDING_OTHER_IP | STUN_BINDING_OTHER_PORT
 *
 * Nothing here makes an answer larger than its use: plain STUN answers with XOR-MAPPED-ADDRESS
 * alone (32 bytes for IPv4), and PADDING comes back no longer than it went in.
 */
#pragma once

#include "proto/stun/stun.h"

/** Bits of a socket's number. */
#define STUN_BINDING_FIRST      0u
#define STUN_BINDING_OTHER_PORT 1u
#define STUN_BINDING_OTHER_IP   2u
#define STUN_BINDING_SOCKETS    4

/** Longest PADDING sent back: the usual MTU of a wire, a multiple of 4 (RFC 5780, section 7.6). */
#define STUN_BINDING_PADDING_MAX 1500
/** Longest SOFTWARE sent; what is longer is left out. */
#define STUN_BINDING_SOFTWARE_MAX 128
/** Every answer fits into this. */
#define STUN_BINDING_ANSWER_MAX 1800

/** Zeroed: a plain STUN server. */
struct stun_binding_config {
    struct bytes software; /**< the SOFTWARE attribute; empty: not sent */
    /** There are four sockets, at `sockets`. Otherwise RFC 5780 attributes are unknown (420). */
    bool discovery;
    /** Their addresses as clients see them, all of one family. */
    struct net_address sockets[STUN_BINDING_SOCKETS];
};

struct stun_binding_request {
    struct bytes message;      /**< one whole message, not looked at so far */
    struct net_address source; /**< who sent it */
    bool stream;               /**< over TCP, TLS or DTLS: the answer goes back the way it came */
    uint8_t socket;            /**< which of the four it arrived on, with `discovery` */
};

struct stun_binding_answer {
    size_t size;           /**< bytes written */
    uint8_t socket;        /**< which of the four sends it (where it arrived without `discovery`) */
    struct net_address to; /**< the source, or with RESPONSE-PORT another port of its IP */
};

/**
 * Answers a Binding request: success, 400 or 420. `out` holds STUN_BINDING_ANSWER_MAX bytes.
 * Returns 0; -EBADMSG when this is no STUN message or its FINGERPRINT is wrong; -ENOMSG when it is
 * one but no Binding request (an indication that keeps a NAT open, a response, another method):
 * drop it without an answer then. USERNAME and integrity are not asked for and not looked at (RFC
 * 8489, section 9: the server decides whether to).
 */
must_check int stun_binding_answer(const struct stun_binding_config *config,
                                   const struct stun_binding_request *request,
                                   uint8_t out[STUN_BINDING_ANSWER_MAX],
                                   struct stun_binding_answer *ret_answer);
