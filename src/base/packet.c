#include "base/packet.h"

#include <stdlib.h>

#include "base/memory.h"

/** Few allocations for a busy pool, little memory for a quiet one. */
#define SLAB_BYTES 32768

/**
 * Room for bytes in a packet of each size class. Voices, the smaller layers of a picture, what
 * browsers (1,200 bytes) and other encoders (1,300) fill packets with, an Ethernet frame, the
 * largest. With its head each is a multiple of a cache line.
 */
static const uint16_t class_bytes[PACKET_CLASSES] = { 160, 288, 480, 736, 992, 1312, 1504, 2080 };

static size_t slot_size(uint8_t size_class)
{
    return sizeof(struct packet) + class_bytes[size_class];
}

static uint16_t slots_of(uint8_t size_class)
{
    return (uint16_t)((SLAB_BYTES - sizeof(struct packet_slab)) / slot_size(size_class));
}

static uint8_t class_for(size_t bytes)
{
    ensure(bytes <= PACKET_BYTES_MAX);
    uint8_t size_class = 0;
    while (class_bytes[size_class] < bytes)
        size_class++;
    return size_class;
}

void packet_pool_init(struct packet_pool *pool, uint32_t limit)
{
    ensure(limit > 0);
    uint32_t largest = slots_of(PACKET_CLASSES - 1);
    *pool = (struct packet_pool){ .slab_limit = (limit - 1) / largest + 1 };
    for (size_t i = 0; i < PACKET_CLASSES; i++)
        list_init(&pool->rooms[i]);
    list_init(&pool->spare);
}

/** A packet came home to its slab. */
static void give_back(struct packet_pool *pool, struct packet *packet)
{
    struct packet_slab *slab = packet->slab;
    packet->next = slab->free;
    slab->free = packet;
    pool->out--;
    slab->out--;
    if (slab->out > 0 && !list_empty(&slab->link))
        return;
    list_remove(&slab->link);
    if (slab->out > 0) {
        list_append(&pool->rooms[slab->size_class], &slab->link);
        return;
    }
    list_prepend(&pool->spare, &slab->link);
    pool->slabs_used--;
}

/** Takes in what came home. The whole stack is taken at once: no ABA. */
static void collect(struct packet_pool *pool)
{
    struct packet *packet = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    while (packet) {
        struct packet *next = packet->next;
        give_back(pool, packet);
        packet = next;
    }
}

static struct packet_slab *new_slab(struct packet_pool *pool)
{
    if (pool->slab_count == pool->slab_limit)
        return NULL;
    struct packet_slab *slab = aligned_alloc(64, SLAB_BYTES);
    if (!slab)
        return NULL;
    *slab = (struct packet_slab){ .pool = pool, .next = pool->slabs };
    list_init(&slab->link);
    pool->slabs = slab;
    pool->slab_count++;
    return slab;
}

static struct packet_slab *slab_in(struct list *list)
{
    return list_empty(list) ? NULL : container_of(list->next, struct packet_slab, link);
}

/** One to be cut into slots of a size class. */
static struct packet_slab *empty_slab(struct packet_pool *pool, uint8_t size_class)
{
    struct packet_slab *slab = slab_in(&pool->spare);
    if (!slab)
        slab = new_slab(pool);
    if (!slab)
        return NULL;
    list_remove(&slab->link);
    list_append(&pool->rooms[size_class], &slab->link);
    slab->size_class = size_class;
    slab->slots = slots_of(size_class);
    slab->free = NULL;
    slab->cut = 0;
    pool->slabs_used++;
    return slab;
}

/** One with a free slot of at least a size class, of that one where possible. */
static struct packet_slab *slab_with_room(struct packet_pool *pool, uint8_t size_class)
{
    struct packet_slab *slab = slab_in(&pool->rooms[size_class]);
    if (slab)
        return slab;
    collect(pool);
    slab = slab_in(&pool->rooms[size_class]);
    if (!slab)
        slab = empty_slab(pool, size_class);
    while (!slab && ++size_class < PACKET_CLASSES)
        slab = slab_in(&pool->rooms[size_class]);
    return slab;
}

/** The slots of a slab are written for the first time when they are needed. */
static struct packet *next_slot(struct packet_slab *slab)
{
    struct packet *packet = slab->free;
    if (packet) {
        slab->free = packet->next;
        return packet;
    }
    packet = (struct packet *)(void *)(slab->memory + slab->cut++ * slot_size(slab->size_class));
    packet->slab = slab;
    return packet;
}

struct packet *packet_pool_take(struct packet_pool *pool, size_t bytes)
{
    struct packet_slab *slab = slab_with_room(pool, class_for(bytes));
    if (!slab) {
        pool->exhausted++;
        return NULL;
    }
    struct packet *packet = next_slot(slab);
    pool->out++;
    if (++slab->out == slab->slots)
        list_remove(&slab->link);
    packet->next = NULL;
    packet->size = 0;
    packet->received_us = 0;
    atomic_store_explicit(&packet->references, 1, memory_order_relaxed);
    return packet;
}

uint32_t packet_pool_in_use(struct packet_pool *pool)
{
    collect(pool);
    return pool->out;
}

bool packet_pool_half_used(struct packet_pool *pool)
{
    collect(pool);
    return pool->slabs_used > pool->slab_limit / 2;
}

size_t packet_pool_bytes(const struct packet_pool *pool)
{
    return (size_t)pool->slab_count * SLAB_BYTES;
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
