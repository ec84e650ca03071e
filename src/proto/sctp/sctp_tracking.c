#include "proto/sctp/sctp_tracking_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void sctp_tracking_init(struct sctp_tracking *tracking, uint32_t first_tsn)
{
    *tracking = (struct sctp_tracking){ .cumulative = first_tsn - 1 };
}

void sctp_tracking_done(struct sctp_tracking *tracking)
{
    free(tracking->blocks);
    tracking->blocks = NULL;
    tracking->block_count = 0;
    tracking->block_capacity = 0;
}

/** Index of the first block that does not end before `tsn`. */
static uint32_t find_block(const struct sctp_tracking *tracking, uint32_t tsn)
{
    uint32_t low = 0, high = tracking->block_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sctp_after(tsn, tracking->blocks[middle].last))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void note_duplicate(struct sctp_tracking *tracking, uint32_t tsn)
{
    if (tracking->duplicate_count < SCTP_DUPLICATES_MAX)
        tracking->duplicates[tracking->duplicate_count++] = tsn;
}

/** Whether `tsn` prolongs the block at `index` at either end. */
static bool touches(const struct sctp_tracking *tracking, uint32_t index, uint32_t tsn)
{
    return index < tracking->block_count &&
           (tracking->blocks[index].first == tsn + 1 || tracking->blocks[index].last + 1 == tsn);
}

enum sctp_arrival sctp_tracking_check(struct sctp_tracking *tracking, uint32_t tsn)
{
    if (!sctp_after(tsn, tracking->cumulative)) {
        note_duplicate(tracking, tsn);
        return SCTP_ARRIVAL_DUPLICATE;
    }
    if (tsn - tracking->cumulative > SCTP_TSN_AHEAD_MAX)
        return SCTP_ARRIVAL_TOO_FAR;
    uint32_t index = find_block(tracking, tsn);
    if (index < tracking->block_count && sctp_at_least(tsn, tracking->blocks[index].first)) {
        note_duplicate(tracking, tsn);
        return SCTP_ARRIVAL_DUPLICATE;
    }
    bool joins = tsn == tracking->cumulative + 1 || touches(tracking, index, tsn) ||
                 (index > 0 && touches(tracking, index - 1, tsn));
    return joins || tracking->block_count < SCTP_BLOCKS_MAX ? SCTP_ARRIVAL_NEW
                                                            : SCTP_ARRIVAL_TOO_FAR;
}

static void remove_block(struct sctp_tracking *tracking, uint32_t index)
{
    tracking->block_count--;
    memmove(tracking->blocks + index, tracking->blocks + index + 1,
            (tracking->block_count - index) * sizeof(*tracking->blocks));
}

static void insert_block(struct sctp_tracking *tracking, uint32_t index, uint32_t tsn)
{
    if (tracking->block_count == tracking->block_capacity) {
        tracking->block_capacity = max_of(8u, 2 * tracking->block_capacity);
        tracking->blocks =
            memory_resize(tracking->blocks, tracking->block_capacity * sizeof(*tracking->blocks));
    }
    ensure(tracking->blocks != NULL && index <= tracking->block_count);
    memmove(tracking->blocks + index + 1, tracking->blocks + index,
            (tracking->block_count - index) * sizeof(*tracking->blocks));
    tracking->blocks[index] = (struct sctp_block){ tsn, tsn };
    tracking->block_count++;
}

/** Blocks that the cumulative TSN has reached are part of it. */
static void absorb_blocks(struct sctp_tracking *tracking)
{
    uint32_t gone = 0;
    while (gone < tracking->block_count &&
           !sctp_after(tracking->blocks[gone].first, tracking->cumulative + 1)) {
        if (sctp_after(tracking->blocks[gone].last, tracking->cumulative))
            tracking->cumulative = tracking->blocks[gone].last;
        gone++;
    }
    if (gone == 0)
        return;
    tracking->block_count -= gone;
    memmove(tracking->blocks, tracking->blocks + gone,
            tracking->block_count * sizeof(*tracking->blocks));
}

void sctp_tracking_add(struct sctp_tracking *tracking, uint32_t tsn)
{
    if (tsn == tracking->cumulative + 1) {
        tracking->cumulative = tsn;
        absorb_blocks(tracking);
        return;
    }
    uint32_t index = find_block(tracking, tsn);
    struct sctp_block *before = index > 0 ? &tracking->blocks[index - 1] : NULL;
    struct sctp_block *behind = index < tracking->block_count ? &tracking->blocks[index] : NULL;
    if (before && before->last + 1 == tsn) {
        before->last = tsn;
        if (behind && behind->first == tsn + 1) {
            before->last = behind->last;
            remove_block(tracking, index);
        }
    } else if (behind && behind->first == tsn + 1) {
        behind->first = tsn;
    } else {
        insert_block(tracking, index, tsn);
    }
}

void sctp_tracking_forward(struct sctp_tracking *tracking, uint32_t tsn)
{
    if (!sctp_after(tsn, tracking->cumulative))
        return;
    tracking->cumulative = tsn;
    absorb_blocks(tracking);
}

void sctp_tracking_write(struct sctp_tracking *tracking, uint32_t window, struct writer *packet)
{
    struct sctp_gap gaps[SCTP_BLOCKS_MAX];
    size_t left = (packet->capacity - packet->size) / 4;
    size_t room = left > SCTP_SACK_SIZE / 4 ? left - SCTP_SACK_SIZE / 4 : 0;
    size_t gap_count = min_of(room, (size_t)tracking->block_count);
    for (size_t i = 0; i < gap_count; i++)
        gaps[i] = (struct sctp_gap){
            (uint16_t)(tracking->blocks[i].first - tracking->cumulative),
            (uint16_t)(tracking->blocks[i].last - tracking->cumulative),
        };
    size_t duplicate_count = min_of(room - gap_count, (size_t)tracking->duplicate_count);
    sctp_sack_write(packet, tracking->cumulative, window, gaps, gap_count, tracking->duplicates,
                    duplicate_count);
    tracking->duplicate_count = 0;
}
