/**
 * Heap memory. Small allocations that cannot be had abort with a message: a server that cannot get
 * a few bytes cannot answer anyone. What strangers can make us hold is bounded elsewhere, and large
 * or stranger-driven allocations use malloc and handle NULL.
 */
#pragma once

#include "base/compiler.h"

/** `count` zeroed objects of `size` bytes. Never NULL. */
void *memory_allocate(size_t count, size_t size);
/** A copy of `size` bytes of `data` with a zero byte behind. Never NULL. */
void *memory_copy(const void *data, size_t size);
/** Changes the size of an allocation as realloc does. Never NULL for size > 0. */
void *memory_resize(void *memory, size_t size);
/**
 * The same for what may hold secrets, of `size_was` bytes until now: no copy is left in the old
 * place, and what is new is zero. It always copies, so let sizes double. `memory` may be NULL.
 */
void *memory_resize_wiped(void *memory, size_t size_was, size_t size);
/** Overwrites secrets in a way the compiler keeps. */
void memory_wipe(void *memory, size_t size);

#define memory_new(type)              ((type *)memory_allocate(1, sizeof(type)))
#define memory_new_array(type, count) ((type *)memory_allocate((count), sizeof(type)))

/** For `cleanup(memory_free_at)` on a local pointer. */
void memory_free_at(void *pointer_to_pointer);

/**
 * Asks for `size` bytes to be in the processor's cache soon. `at` need not be valid memory. For
 * objects in their hundreds that are used in turn: each waits for main memory otherwise.
 */
static inline void memory_prefetch(const void *at, size_t size)
{
    for (size_t line = 0; line < size; line += 64)
        __builtin_prefetch((const char *)at + line, 1, 3);
}
