#include "base/random.h"

#include <string.h>

static uint64_t rotate_left(uint64_t value, int count)
{
    return value << count | value >> (64 - count);
}

static uint64_t xoshiro_next(uint64_t state[static 4])
{
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

static void seeded_fill(struct random *self, void *out, size_t size)
{
    uint8_t *at = out;
    while (size > 0) {
        uint64_t value = xoshiro_next(self->state);
        size_t count = min_of(size, sizeof(value));
        memcpy(at, &value, count);
        at += count;
        size -= count;
    }
}

void random_seeded_init(struct random *random, uint64_t seed)
{
    random->fill = seeded_fill;
    for (size_t i = 0; i < array_size(random->state); i++) {
        // splitmix64 spreads a small seed over the whole state
        seed += 0x9e3779b97f4a7c15ull;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        random->state[i] = z ^ (z >> 31);
    }
}

uint32_t random_u32(struct random *random)
{
    uint32_t value;
    random_fill(random, &value, sizeof(value));
    return value;
}

uint64_t random_u64(struct random *random)
{
    uint64_t value;
    random_fill(random, &value, sizeof(value));
    return value;
}

uint32_t random_below(struct random *random, uint32_t bound)
{
    ensure(bound > 0);
    return (uint32_t)((uint64_t)random_u32(random) * bound >> 32);
}

void random_text(struct random *random, char *out, size_t length)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    random_fill(random, out, length);
    for (size_t i = 0; i < length; i++)
        out[i] = alphabet[(uint8_t)out[i] & 63];
    out[length] = '\0';
}

void random_identifier(struct random *random, char *out, size_t length)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (size_t i = 0; i < length; i++)
        out[i] = alphabet[random_below(random, sizeof(alphabet) - 1)];
    out[length] = 0;
}
