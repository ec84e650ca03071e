#include "runtime/entropy.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/memory.h"

static void fill_from_kernel(uint8_t *out, size_t size)
{
    while (size > 0) {
        ssize_t got = getrandom(out, size, 0);
        // without randomness there is no safe way on: keys and nonces depend on it
        ensure(got > 0 || errno == EINTR);
        if (got > 0) {
            out += got;
            size -= (size_t)got;
        }
    }
}

static void entropy_fill(struct random *random, void *out, size_t size)
{
    struct entropy *entropy = container_of(random, struct entropy, random);
    if (size > sizeof(entropy->buffer) / 2) {
        fill_from_kernel(out, size);
        return;
    }
    if (entropy->left < size) {
        fill_from_kernel(entropy->buffer, sizeof(entropy->buffer));
        entropy->left = sizeof(entropy->buffer);
    }
    uint8_t *from = entropy->buffer + sizeof(entropy->buffer) - entropy->left;
    memcpy(out, from, size);
    memory_wipe(from, size);
    entropy->left -= size;
}

void entropy_init(struct entropy *entropy)
{
    *entropy = (struct entropy){ .random = { .fill = entropy_fill } };
}

void entropy_done(struct entropy *entropy)
{
    memory_wipe(entropy->buffer, sizeof(entropy->buffer));
    entropy->left = 0;
}
