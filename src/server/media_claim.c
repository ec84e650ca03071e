#include "server/media_claim.h"

#include <stdlib.h>

#include "base/memory.h"

struct media_claim *media_claim_new(void)
{
    struct media_claim *claim = memory_new(struct media_claim);
    atomic_init(&claim->references, 1);
    atomic_init(&claim->owner, MEDIA_CLAIM_NOBODY);
    return claim;
}

struct media_claim *media_claim_ref(struct media_claim *claim)
{
    atomic_fetch_add_explicit(&claim->references, 1, memory_order_relaxed);
    return claim;
}

struct media_claim *media_claim_unref(struct media_claim *claim)
{
    if (claim && atomic_fetch_sub_explicit(&claim->references, 1, memory_order_acq_rel) == 1)
        free(claim);
    return NULL;
}

uint32_t media_claim_take(struct media_claim *claim, uint32_t worker)
{
    uint32_t owner = MEDIA_CLAIM_NOBODY;
    if (atomic_compare_exchange_strong(&claim->owner, &owner, worker))
        return worker;
    return owner;
}

uint32_t media_claim_owner(const struct media_claim *claim)
{
    return atomic_load_explicit(&claim->owner, memory_order_acquire);
}
