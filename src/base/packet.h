/**
 * Packets that several threads read: slots of a pool, in a few sizes, and counted references.
 *
 * A pool belongs to one thread, which alone takes packets from it. References may be added and
 * dropped by any thread; the last one to go sends the slot home over a lock-free stack.
 *
 * Memory is taken in slabs, each cut into slots of one size; a slab whose packets are all home may
 * be cut anew for another size. So the packets of a voice, of which a large slot would hold ten,
 * take little more than their bytes. After a pool has warmed up nothing is allocated, and it never
 * holds more than its limit.
 *
 * The one who took a packet fills `bytes`, `size` and `metadata` before it shares the packet, and
 * from then on nobody changes it. Handing a reference to another thread needs a queue that
 * publishes what was written before (runtime/mailbox.h does).
 */
#pragma once

#include <stdatomic.h>

#include "base/compiler.h"
#include "base/list.h"

/** Largest content of one packet. */
#define PACKET_BYTES_MAX 2048
/** Room for what the taker wants to know about the content without parsing it again. */
#define PACKET_METADATA_MAX 128
/** Sizes that slots have. */
#define PACKET_CLASSES 8

struct packet_slab;

struct packet {
    _Atomic uint32_t references;
    uint32_t size;            /**< of the content in `bytes` */
    struct packet_slab *slab; /**< where it goes home to */
    struct packet *next;      /**< inside the pool only */
    uint64_t received_us;     /**< monotonic time of arrival */
    /** For the taker's own struct: `struct mine *m = packet_metadata(packet, struct mine)`. */
    _Alignas(16) uint8_t metadata[PACKET_METADATA_MAX];
    uint8_t bytes[]; /**< room for what was asked for when it was taken */
};

/** The metadata as a struct of the caller's; checked to fit at compile time. */
#define packet_metadata(packet, type)                                                              \
    ({                                                                                             \
        _Static_assert(sizeof(type) <= PACKET_METADATA_MAX, "metadata does not fit");              \
        (type *)(void *)(packet)->metadata;                                                        \
    })

struct packet_pool {
    struct list rooms[PACKET_CLASSES]; /**< slabs of a size that have free slots */
    struct list spare;                 /**< slabs without a packet that is out */
    struct packet_slab *slabs;         /**< all of them */
    uint32_t slab_count;
    uint32_t slab_limit;
    uint32_t slabs_used; /**< with a packet that is out, as far as is known */
    uint32_t out;        /**< packets, likewise */
    uint64_t exhausted;  /**< takes refused because no slot was left */
    uint8_t apart[64];   /**< keeps other threads' writes off the owner's cache line */
    /** Where other threads (and the owner) put what nobody refers to any more. */
    _Atomic(struct packet *) returned;
};

/** Memory from which packets of one size are cut. */
struct packet_slab {
    struct packet_pool *pool;
    struct list link;         /**< in one of the pool's lists; in none while it is full */
    struct packet_slab *next; /**< of all */
    struct packet *free;      /**< slots that came home */
    uint16_t slots;           /**< how many it is cut into */
    uint16_t cut;             /**< of them, those that were out since it was */
    uint16_t out;
    uint8_t size_class;
    _Alignas(64) uint8_t memory[];
};

/**
 * Memory for `limit` of the largest packets at a time (2.2 KB each), rounded up to whole slabs;
 * many more small ones fit. It is taken in slabs of 32 KB when first needed.
 */
void packet_pool_init(struct packet_pool *pool, uint32_t limit);
/**
 * Frees the pool once every packet came home: call it when the other threads have ended or dropped
 * their references. Returns the number of packets that are still referred to; when that is not 0,
 * nothing was freed. Accepts a zeroed pool.
 */
must_check uint32_t packet_pool_done(struct packet_pool *pool);
/**
 * A packet with room for `bytes` (at most PACKET_BYTES_MAX), one reference, `size` 0, and stale
 * metadata and bytes. NULL when the limit is reached or the system has no memory (both counted in
 * `exhausted`). Owner thread only.
 */
must_check struct packet *packet_pool_take(struct packet_pool *pool, size_t bytes);
/** Packets that are out now: an estimate that may lag behind returns. Owner thread only. */
uint32_t packet_pool_in_use(struct packet_pool *pool);
/** Whether more than half of the limit is in use; likewise. Owner thread only. */
bool packet_pool_half_used(struct packet_pool *pool);
/** Memory that the pool has taken, in bytes. Owner thread only. */
size_t packet_pool_bytes(const struct packet_pool *pool);

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
    struct packet_pool *pool = packet->slab->pool;
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
