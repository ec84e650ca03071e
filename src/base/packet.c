#include "base/packet.h"

#include <stdlib.h>

#include "base/memory.h"

/** 32 packets are 70 KB: few allocations for a busy pool, little memory for a quiet one. */
#define SLAB_PACKETS 32

struct packet_slab {
    struct packet_slab *next;
    struct packet packets[SLAB_PACKETS];
};

void packet_pool_init(struct packet_pool *pool, uint32_t limit)
{
    ensure(limit > 0);
    *pool = (struct packet_pool){ .limit = limit };
}

/** Moves what came home to the owner's stack. The whole stack is taken at once: no ABA. */
static void collect(struct packet_pool *pool)
{
    struct packet *packet = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    while (packet) {
        struct packet *next = packet->next;
        packet->next = pool->free;
        pool->free = packet;
        pool->free_count++;
        packet = next;
    }
}

static void grow(struct packet_pool *pool)
{
    uint32_t count = min_of((uint32_t)SLAB_PACKETS, pool->limit - pool->allocated);
    if (count == 0)
        return;
    struct packet_slab *slab = aligned_alloc(16, sizeof(*slab));
    if (!slab)
        return;
    slab->next = pool->slabs;
    pool->slabs = slab;
    for (uint32_t i = 0; i < count; i++) {
        struct packet *packet = &slab->packets[i];
        atomic_init(&packet->references, 0);
        packet->pool = pool;
        packet->next = pool->free;
        pool->free = packet;
    }
    pool->allocated += count;
    pool->free_count += count;
}

struct packet *packet_pool_take(struct packet_pool *pool)
{
    if (!pool->free)
        collect(pool);
    if (!pool->free)
        grow(pool);
    struct packet *packet = pool->free;
    if (!packet) {
        pool->exhausted++;
        return NULL;
    }
    pool->free = packet->next;
    pool->free_count--;
    packet->next = NULL;
    packet->size = 0;
    packet->received_us = 0;
    atomic_store_explicit(&packet->references, 1, memory_order_relaxed);
    return packet;
}

uint32_t packet_pool_in_use(struct packet_pool *pool)
{
    collect(pool);
    return pool->allocated - pool->free_count;
}

uint32_t packet_pool_done(struct packet_pool *pool)
{
    uint32_t in_use = packet_pool_in_use(pool);
    if (in_use > 0)
        return in_use;
    while (pool->slabs) {
        struct packet_slab *slab = pool->slabs;
        pool->slabs = slab->next;
        free(slab);
    }
    *pool = (struct packet_pool){ 0 };
    return 0;
}
