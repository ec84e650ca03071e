#include "admin/json_memory.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/memory.h"

/** In front of each block: how large it is. */
struct block {
    size_t size;
    _Alignas(max_align_t) uint8_t content[];
};

static void *take(size_t size)
{
    struct block *block = size <= SIZE_MAX - sizeof(*block) ? malloc(sizeof(*block) + size) : NULL;
    if (!block)
        return NULL;
    block->size = size;
    return block->content;
}

static void give(void *content)
{
    if (!content)
        return;
    struct block *block = container_of(content, struct block, content);
    memory_wipe(block, sizeof(*block) + block->size);
    free(block);
}

void json_memory_be_wiped(void)
{
    json_set_alloc_funcs(take, give);
}
