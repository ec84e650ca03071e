#include "admin/turn_own.h"

#include <stdlib.h>

#include "base/memory.h"
#include "runtime/interfaces.h"

/** A host of many containers or services has thousands, and none may be missed. */
#define INTERFACES_MAX 8192

static bool is_same(const struct turn_own *own, const struct interface_address *list, size_t count)
{
    if (own->count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!net_address_equal(&own->items[i], &list[i].address))
            return false;
    }
    return true;
}

static void replace(struct turn_own *own, const struct interface_address *list, size_t count)
{
    free(own->items);
    own->items = memory_new_array(struct net_address, max_of(count, (size_t)1));
    own->count = count;
    for (size_t i = 0; i < count; i++)
        own->items[i] = list[i].address;
}

int turn_own_read(struct turn_own *own)
{
    struct interface_address *list = memory_new_array(struct interface_address, INTERFACES_MAX);
    int found = interface_list(list, INTERFACES_MAX);
    int result = found;
    if (found >= 0) {
        result = is_same(own, list, (size_t)found) ? 0 : 1;
        if (result > 0)
            replace(own, list, (size_t)found);
    }
    free(list);
    return result;
}

void turn_own_done(struct turn_own *own)
{
    free(own->items);
    *own = (struct turn_own){ 0 };
}
