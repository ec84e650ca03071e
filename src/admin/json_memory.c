#include "admin/json_memory.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/memory.h"

/** Blocks stay those of malloc: who is given a text of jansson's frees it as any other. */
static void give(void *block)
{
    if (block)
        memory_wipe(block, malloc_usable_size(block));
    free(block);
}

void json_memory_be_wiped(void)
{
    json_set_alloc_funcs(malloc, give);
}
