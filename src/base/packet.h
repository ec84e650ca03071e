/**
 * Packets that several threads read: fixed slots from a pool, counted references.
 *
 * A pool belongs to one thread, which alone takes packets from it. References may be added and
 * dropped by any thread; the last one to go sends the slot home over a lock-free stack. After a
 * pool has warmed up nothing is allocated, and it never holds more than its limit.
 *
 * The one who took a packet fills `bytes`, `size` and `metadata` before it shares the packet, and
 * from then on nobody changes it. Handing a reference to another thread needs a queue that
 * publishes what was written before (runtime/mailbox.h does).
 */
#pragma once

#include <stdatomic.h>

#include "base/compiler.h"

/** Largest content of one packet. */
#define PACKET_BYTES_MAX 2048
/** Room for what the taker wants to know about the content without parsing it again. */
#define PACKET_METADATA_MAX 128

struct packet_pool;

struct packet {
    _Atomic uint32_t references;
    uint32_t size;            /**< of the content in `bytes` */
    struct packet_pool *pool; /**< where it goes home to */
    struct packet *next;      /**< inside the pool only */
    uint64_t received_us;     /**< monotonic time of arrival */
    /** For the taker's own struct: `struct mine *m = packet_metadata(packet, struct mine)`. */
    _Alignas(16) uint8_t metadata[PACKET_METADATA_MAX];
    uint8_t bytes[PACKET_BYTES_MAX];
};

/** The metadata as a struct of the caller's; checked to fit at compile time. */
#define packet_metadata(packet, type)                                                              \
    ({                                                                                             \
        _Static_assert(sizeof(type) <= PACKET_METADATA_MAX, "metadata does not fit");              \
        (type *)(void *)(packet)->metadata;                                                        \
    })

struct packet_slab;

struct packet_pool {
    struct packet *free; /**< the owner's own stack */
    uint32_t free_count;
    uint32_t allocated; /**< slots that exist */
    uint32_t limit;
    uint64_t exhausted; /**< takes refused because all `limit` packets were in use */
    struct packet_slab *slabs;
    uint8_t apart[64]; /**< keeps other threads' writes off the owner's cache line */
    /** Where other threads (and the owner) put what nobody refers to any more. */
    _Atomic(struct packet *) returned;
};

/** At most `limit` packets at a time (2.2 KB each); memory is taken in slabs when first needed. */
void packet_pool_init(struct packet_pool *pool, uint32_t limit);
/**
 * Frees the pool once every packet came home: call it when the other threads have ended or dropped
 * their references. Returns the number of packets that are still referred to; when that is not 0,
 * nothing was freed. Accepts a zeroed pool.
 */
must_check uint32_t packet_pool_done(struct packet_pool *pool);
/**
 * A packet with one reference, `size` 0 and stale metadata and bytes. NULL when the limit is
 * reached or the system has no memory (both counted in `exhausted`). Owner thread only.
 */
must_check struct packet *packet_pool_take(struct packet_pool *pool);
/** Packets that are out now: an estimate that may lag behind returns. Owner thread only. */
uint32_t packet_pool_in_use(struct packet_pool *pool);

/** One more reference; returns `packet`. Any thread that already holds one. */
static inline struct packet *packet_ref(struct packet *packet)
{
    atomic_fetch_add_explicit(&packet->references, 1, memory_order_relaxed);
    return packet;
}

/** `count` more references at once. */
static inline void packet_ref_many(struct packet *packet, uint32_t count)
{
    atomic_fetch_add_explicit(&packet->references, count, memory_order_relaxed);
}

/** Drops one reference; the last sends the packet home. Any thread. NULL is accepted. */
static inline void packet_unref(struct packet *packet)
{
    if (!packet)
        return;
    // release: our reads end before the owner may write again; acquire: theirs ended before ours
    if (atomic_fetch_sub_explicit(&packet->references, 1, memory_order_acq_rel) != 1)
        return;
    struct packet_pool *pool = packet->pool;
    struct packet *top = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    do {
        packet->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&pool->returned, &top, packet,
                                                    memory_order_release, memory_order_relaxed));
}

/** For `cleanup(packet_unref_at)` on a local pointer. */
static inline void packet_unref_at(struct packet **packet)
{
    packet_unref(*packet);
}
