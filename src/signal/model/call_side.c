// A device's part in a call.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/model/calls_int.h"

struct call_side *call_side_new(struct call *call, struct call_device *device)
{
    struct call_side *side = memory_new(struct call_side);
    side->call = call;
    side->device = device;
    side->trickles = device->trickles;
    list_init(&side->call_node);
    call_gathering_init(&side->gathering);
    list_append(&device->sides, &side->device_node);
    device->side_count++;
    return side;
}

void call_side_free(struct call_side *side)
{
    call_gathering_done(&side->gathering);
    list_remove(&side->call_node);
    list_remove(&side->device_node);
    side->device->side_count--;
    free(side);
}

struct call_side *call_side_find(const struct call_device *device, const char *id)
{
    struct call_side *side;
    list_each(side, &device->sides, device_node)
    {
        if (strcmp(side->call->record.id, id) == 0)
            return side;
    }
    return NULL;
}

bool call_side_is_caller(const struct call_side *side)
{
    return side == side->call->caller;
}

struct call_side *call_side_other(const struct call_side *side)
{
    const struct call *call = side->call;
    ensure(call->state == CALL_ACCEPTED);
    return call_side_is_caller(side) ? container_of(call->callees.next, struct call_side, call_node)
                                     : call->caller;
}
