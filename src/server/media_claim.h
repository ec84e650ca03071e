/**
 * Which worker has a session. The control thread announces every session to all workers; the
 * first to receive a valid STUN check for it claims it, because the kernel will go on delivering
 * that client's packets there. This one word is all that workers decide among themselves.
 */
#pragma once

#include <stdatomic.h>

#include "base/compiler.h"

#define MEDIA_CLAIM_NOBODY UINT32_MAX

struct media_claim {
    _Atomic uint32_t references;
    _Atomic uint32_t owner; /**< worker index, or MEDIA_CLAIM_NOBODY; changes once */
};

/** One reference, nobody's. */
struct media_claim *media_claim_new(void);
struct media_claim *media_claim_ref(struct media_claim *claim);
/** Accepts NULL; returns NULL. */
struct media_claim *media_claim_unref(struct media_claim *claim);
/** Makes `worker` the owner when there is none yet. Returns the owner. */
uint32_t media_claim_take(struct media_claim *claim, uint32_t worker);
uint32_t media_claim_owner(const struct media_claim *claim);
