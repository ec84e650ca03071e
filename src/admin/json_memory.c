#include "admin/json_memory.h"

#include <jansson.h>
#include <stdlib.h>

#include "runtime/heap.h"

void json_memory_be_wiped(void)
{
    // blocks stay those of malloc: who is given a text of jansson's frees it as any other
    json_set_alloc_funcs(malloc, heap_free_wiped);
}
