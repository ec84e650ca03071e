#include "proto/bwe/history.h"

#include <stdlib.h>

#include "base/memory.h"

void bwe_history_init(struct bwe_history *history)
{
    *history = (struct bwe_history){
        .ring = memory_new_array(struct bwe_packet, BWE_HISTORY_MIN),
        .mask = BWE_HISTORY_MIN - 1,
    };
}

void bwe_history_done(struct bwe_history *history)
{
    free(history->ring);
    history->ring = NULL;
}

/** Moves the newest packets into a ring of another size. */
static void resize(struct bwe_history *history, uint32_t places)
{
    struct bwe_packet *ring = memory_new_array(struct bwe_packet, places);
    uint32_t kept = min_of(history->mask + 1, places);
    for (uint32_t i = 1; i <= kept; i++) {
        uint16_t sequence = (uint16_t)(history->next - i);
        ring[sequence & (places - 1)] = history->ring[sequence & history->mask];
    }
    free(history->ring);
    history->ring = ring;
    history->mask = places - 1;
}

void bwe_history_grow(struct bwe_history *history)
{
    ensure(history->mask + 1 < BWE_HISTORY_MAX);
    resize(history, (history->mask + 1) * 2);
}

void bwe_history_shrink(struct bwe_history *history)
{
    if (history->mask + 1 > BWE_HISTORY_MIN)
        resize(history, BWE_HISTORY_MIN);
}
