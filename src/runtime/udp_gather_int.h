/** Shared by udp_gather.c, which forms runs, and udp_gather_send.c, which sends them. */
#pragma once

#include "runtime/udp_gather.h"
#include "runtime/udp_int.h"

/** Runs that wait at once; then all are sent. */
#define GATHER_RUNS_MAX 128
/**
 * Pieces of one run: a header, a payload, then padding and the next header in one, ..., the last
 * padding.
 */
#define GATHER_PIECES_MAX (2 * DATAGRAM_RUN_COUNT_MAX + 1)
/** What one run may copy: headers, padding, short payloads. */
#define GATHER_SLAB_SIZE (DATAGRAM_RUN_SIZE_MAX + UDP_GATHER_HEADER_MAX + 64)
/** From one slab to the next: not a power of two, or all would share a few cache lines. */
#define GATHER_SLAB_STRIDE (GATHER_SLAB_SIZE + 1088)
#define GATHER_NONE        UINT32_MAX

struct gather_run {
    struct udp_socket *socket; /**< NULL: forgotten */
    struct net_path path;
    uint32_t size;
    uint32_t copied;       /**< of `slab` */
    uint32_t next;         /**< run of the same socket; GATHER_NONE */
    uint16_t segment_size; /**< of every datagram but the last */
    uint8_t count;
    uint8_t piece_count;
    uint8_t flags;
    bool closed;   /**< no datagram fits behind */
    bool first;    /**< of its socket in this flush */
    uint8_t *slab; /**< its own, GATHER_SLAB_SIZE bytes: what is copied */
    struct iovec pieces[GATHER_PIECES_MAX];
};

_Static_assert(GATHER_PIECES_MAX <= UINT8_MAX, "piece_count");

struct udp_gather {
    struct gather_run *runs; /**< GATHER_RUNS_MAX */
    uint32_t run_count;
    uint8_t *slabs; /**< of all runs */
    bool waited;    /**< for room, once per flush */
    // one call's messages
    unsigned message_count;
    struct mmsghdr messages[UDP_SEND_MESSAGES];
    struct sockaddr_storage names[UDP_SEND_MESSAGES];
    union udp_control control[UDP_SEND_MESSAGES];
    struct gather_run *sent[UDP_SEND_MESSAGES];
};

/** Sends the runs of one socket, from `run` on. */
void udp_gather_send_runs(struct udp_gather *gather, struct gather_run *run);
