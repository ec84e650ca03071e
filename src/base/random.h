/**
 * Randomness as an argument. Engines take a `struct random`; the server gives them the system's
 * (runtime/entropy.h), tests and simulations a seeded one, so that every run can be repeated.
 */
#pragma once

#include "base/compiler.h"

struct random {
    /** Fills `out` with `size` random bytes. Never fails. */
    void (*fill)(struct random *self, void *out, size_t size);
    uint64_t state[4]; /**< of the seeded generator; free for other implementations */
};

/** A fast, repeatable generator (xoshiro256**) for tests and simulations. Not for secrets. */
void random_seeded_init(struct random *random, uint64_t seed);

static inline void random_fill(struct random *random, void *out, size_t size)
{
    random->fill(random, out, size);
}

uint32_t random_u32(struct random *random);
uint64_t random_u64(struct random *random);
/** Uniform in [0, bound); `bound` must not be 0. */
uint32_t random_below(struct random *random, uint32_t bound);
/**
 * Writes `length` characters of the ice-char alphabet (RFC 8839, 5.4: letters, digits, '+', '/')
 * and a terminator; 6 bits of randomness per character.
 */
void random_text(struct random *random, char *out, size_t length);
/**
 * Writes `length` letters and digits and a terminator: identifiers for people's eyes and for URLs,
 * 5.95 bits of randomness per character.
 */
void random_identifier(struct random *random, char *out, size_t length);
