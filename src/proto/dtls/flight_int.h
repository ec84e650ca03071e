/**
 * The flight of handshake messages that was sent last, as datagrams, to send it again.
 *
 * Each sending gives the plaintext records (epoch 0) fresh sequence numbers, as RFC 6347, 4.2.4
 * asks: they are not authenticated, so they can be renumbered. The one encrypted record of a
 * flight, Finished, is repeated as it was; to a peer that has it already it is a duplicate.
 */
#pragma once

#include "base/bytes.h"

/** Enough for a chain of several RSA certificates. */
#define FLIGHT_SIZE_MAX      (32u << 10)
#define FLIGHT_DATAGRAMS_MAX 32

struct flight {
    uint8_t *bytes;
    size_t capacity;
    size_t size;
    uint16_t sizes[FLIGHT_DATAGRAMS_MAX];
    uint8_t count;
    // how far the current sending has come
    uint8_t sent;
    size_t sent_bytes;
    uint64_t next_sequence;      // of epoch 0; goes on from flight to flight
    uint64_t encrypted_sequence; // one above the highest of epoch 1 that OpenSSL used
};

/** Forgets the datagrams, not the sequence numbers. */
void flight_clear(struct flight *flight);
/** Adds a datagram. Returns 0 or -ENOBUFS. */
must_check int flight_add(struct flight *flight, struct bytes datagram);
/** Starts from the first datagram. */
void flight_rewind(struct flight *flight);
bool flight_all_sent(const struct flight *flight);
/** Size of the next datagram to send. */
size_t flight_next_size(const struct flight *flight);
/** Writes the next datagram. */
void flight_next(struct flight *flight, uint8_t *out);
void flight_done(struct flight *flight);
