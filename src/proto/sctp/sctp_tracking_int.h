/** Which TSNs have arrived: what a SACK reports (RFC 9260, 6.2). Private to this folder. */
#pragma once

#include "proto/sctp/sctp_chunk.h"

/** Blocks beyond the cumulative TSN; a chunk that would make one more is not taken. */
#define SCTP_BLOCKS_MAX 256
/** How far a TSN may be ahead: what a gap block can say. */
#define SCTP_TSN_AHEAD_MAX  UINT16_MAX
#define SCTP_DUPLICATES_MAX 16

/** A run of TSNs that have arrived. */
struct sctp_block {
    uint32_t first;
    uint32_t last;
};

struct sctp_tracking {
    uint32_t cumulative; /**< this and all before have arrived or will not */
    uint32_t block_count;
    uint32_t block_capacity;
    struct sctp_block *blocks; /**< heap; ascending, apart from each other */
    uint32_t duplicate_count;
    uint32_t duplicates[SCTP_DUPLICATES_MAX]; /**< since the last SACK */
};

enum sctp_arrival {
    SCTP_ARRIVAL_NEW,
    SCTP_ARRIVAL_DUPLICATE,
    SCTP_ARRIVAL_TOO_FAR, /**< or in one place too many */
};

void sctp_tracking_init(struct sctp_tracking *tracking, uint32_t first_tsn);
void sctp_tracking_done(struct sctp_tracking *tracking);
/** What adding the TSN would mean; duplicates are noted. */
enum sctp_arrival sctp_tracking_check(struct sctp_tracking *tracking, uint32_t tsn);
/** Adds one that sctp_tracking_check called new. */
void sctp_tracking_add(struct sctp_tracking *tracking, uint32_t tsn);
/** FORWARD-TSN: all up to `tsn` count as arrived. */
void sctp_tracking_forward(struct sctp_tracking *tracking, uint32_t tsn);
/** Writes the SACK, as much of it as fits, and forgets the duplicates. */
void sctp_tracking_write(struct sctp_tracking *tracking, uint32_t window, struct writer *packet);
