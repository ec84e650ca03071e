// Whether a secret stands in memory that is given back: with AddressSanitizer, which lets us look.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define FREED_IS_SEEN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FREED_IS_SEEN 1
#endif
#endif

static const char *freed_secret;
static unsigned freed_with_secret;

#ifdef FREED_IS_SEEN
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *memory);

static void freed_allocated(const volatile void *memory, size_t size)
{
    (void)memory, (void)size;
}

static void freed_look(const volatile void *memory)
{
    if (memory && freed_secret &&
        memmem((const void *)(uintptr_t)memory, __sanitizer_get_allocated_size(memory),
               freed_secret, strlen(freed_secret)))
        freed_with_secret++;
}
#endif

/** From now on; false: cannot be seen in this build. Call it again for another secret. */
static inline bool freed_watch(const char *secret)
{
    freed_secret = secret;
    freed_with_secret = 0;
#ifdef FREED_IS_SEEN
    static bool installed;
    if (!installed)
        __sanitizer_install_malloc_and_free_hooks(freed_allocated, freed_look);
    installed = true;
    return true;
#else
    return false;
#endif
}

/** How many times it was in memory that was freed; ends the watch. */
static inline unsigned freed_count(void)
{
    freed_secret = NULL;
    return freed_with_secret;
}
