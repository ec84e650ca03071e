#include "runtime/heap.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/memory.h"

void heap_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void heap_free_wiped(void *block)
{
    if (block)
        memory_wipe(block, malloc_usable_size(block));
    free(block);
}
