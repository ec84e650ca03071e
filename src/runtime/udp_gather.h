/**
 * Datagrams sent from where they lie. A relay adds a header of a few bytes to what it has just
 * received, or takes one off, and sends it on; runs of one destination leave as one UDP_SEGMENT
 * message whose pieces are the received datagrams, or a copy where that is measured to be cheaper
 * than many pieces. Runs form per socket and path, whatever comes between; the messages of one
 * socket leave in one system call.
 *
 *     uint32_t run = UDP_GATHER_NO_RUN;                         // one per destination, kept
 *     udp_gather_add(gather, socket, &path, header, 4, payload, padding, 0, &run);
 *     udp_gather_flush(gather);                                 // before the bytes change
 *
 * Datagrams of one destination keep their order; those of different ones may overtake each other.
 */
#pragma once

#include "runtime/udp.h"

struct udp_gather;

/** Start value of a run hint. A stale hint is harmless: it is checked against the destination. */
#define UDP_GATHER_NO_RUN UINT32_MAX
/** Largest header copied in. */
#define UDP_GATHER_HEADER_MAX 48

enum udp_gather_flag {
    UDP_GATHER_DONT_FRAGMENT = 1, /**< set DF on this one (slow: a socket option around it) */
};

/** Never NULL; for one thread. */
struct udp_gather *udp_gather_new(void);
/** Accepts NULL; returns NULL. */
struct udp_gather *udp_gather_free(struct udp_gather *gather);
/**
 * Adds one datagram: `header` (copied, may be NULL), `payload` (must stay until the flush), and
 * `padding` zero bytes (0 to 3). `run` remembers, for the caller, which run of this destination is
 * open. Flushes by itself when full.
 */
void udp_gather_add(struct udp_gather *gather, struct udp_socket *socket,
                    const struct net_path *path, const void *header, size_t header_size,
                    struct bytes payload, size_t padding, unsigned flags, uint32_t *run);
/** Sends all; afterwards nothing points into the payloads. */
void udp_gather_flush(struct udp_gather *gather);
/** Forgets what waits for a socket that is about to be closed. */
void udp_gather_forget(struct udp_gather *gather, const struct udp_socket *socket);
