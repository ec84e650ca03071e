/**
 * The stateless cookie of a DTLS server (RFC 6347, 4.2.1): nothing is kept for a client, and no
 * larger answer sent to it, before it has shown that it receives at its address.
 *
 *     ClientHello                 -->
 *                                 <--  HelloVerifyRequest (cookie)
 *     ClientHello (the same
 *     with cookie)                -->  dtls_new with cookie_checked
 *
 * WebRTC does without: there ICE has proven the address. A ClientHello has to come in one fragment
 * and alone in its datagram, as all libraries send it below some 1400 bytes; putting fragments
 * together would take memory for strangers.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "crypto/hmac.h"

/** How long a cookie is good, at least; at most twice that. */
#define DTLS_COOKIE_LIFETIME_US 30000000u
#define DTLS_COOKIE_SIZE        17
#define DTLS_HELLO_VERIFY_SIZE  (13 + 12 + 3 + DTLS_COOKIE_SIZE)

/** A secret of the server. A value, shareable for reading. */
struct dtls_cookie_key {
    struct hmac_key hmac;
};

/** The same on all workers: a cookie that one has sent is good on another. */
void dtls_cookie_key_init(struct dtls_cookie_key *key, const uint8_t secret[32]);

/** A ClientHello (RFC 5246, 7.4.1.2; RFC 6347, 4.3.2), as views of the datagram. */
struct dtls_client_hello {
    struct bytes
        parameters;      /**< client_version, random, session_id: what stands before the cookie */
    struct bytes random; /**< 32 bytes */
    struct bytes cookie;
    struct bytes choices; /**< cipher_suites and compression_methods */
    uint64_t record_sequence;
    uint16_t message_sequence;
};

/** Whether the datagram begins with a ClientHello of epoch 0, whole or not. Cheap. */
bool dtls_is_client_hello(struct bytes datagram);
/** Returns 0, or -EINVAL when the datagram is not one whole unfragmented ClientHello. */
must_check int dtls_client_hello_parse(struct bytes datagram, struct dtls_client_hello *ret_hello);
/**
 * Whether the ClientHello has a cookie that was made here for this path and these parameters, not
 * long ago, and the message number that goes with one.
 */
must_check bool dtls_cookie_is_right(const struct dtls_cookie_key *key, uint64_t now_us,
                                     const struct net_path *path,
                                     const struct dtls_client_hello *hello);
/** Writes the HelloVerifyRequest for the ClientHello: one datagram. */
void dtls_hello_verify_write(const struct dtls_cookie_key *key, uint64_t now_us,
                             const struct net_path *path, const struct dtls_client_hello *hello,
                             uint8_t out[DTLS_HELLO_VERIFY_SIZE]);
