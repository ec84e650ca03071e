#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "roost: out of memory (%zu bytes wanted)\n", size);
    abort();
}

void *memory_allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory)
        out_of_memory(count * size);
    return memory;
}

void *memory_copy(const void *data, size_t size)
{
    char *memory = memory_allocate(size + 1, 1);
    if (size > 0)
        memcpy(memory, data, size);
    return memory;
}

void *memory_resize(void *memory, size_t size)
{
    void *resized = realloc(memory, size ? size : 1);
    if (!resized)
        out_of_memory(size);
    return resized;
}

void *memory_resize_wiped(void *memory, size_t size_was, size_t size)
{
    // never by realloc, which may free the old place as it is
    void *resized = memory_allocate(1, size);
    if (memory) {
        memcpy(resized, memory, min_of(size_was, size));
        memory_wipe(memory, size_was);
    }
    free(memory);
    return resized;
}

void memory_wipe(void *memory, size_t size)
{
    explicit_bzero(memory, size);
}

void memory_free_at(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}
