// Calls that wait and calls that move on: hold, and transfer to somebody else.
//
// A side has the other one call somebody: its device is told, and places the call itself, beside
// the one that it is to leave. Once it is accepted, that one ends. When the side already talks to
// the somebody (it asked first, RFC 5589 calls it attended), the new call rings at the very device
// and takes the place of that call, too.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "signal/model/calls_int.h"

int call_hold(struct call_device *device, const char *id, bool held)
{
    struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    if (side->call->state != CALL_ACCEPTED)
        return -EPROTO;
    if (side->holds == held)
        return 0;
    if (!held && call_device_talking_count(device, NULL) >= device->call_max)
        return -EALREADY;
    side->holds = held;
    call_notify(call_side_other(side)->device, &(struct call_event){ .kind = CALL_EVENT_HELD,
                                                                     .call = side->call->record.id,
                                                                     .held = held });
    return 0;
}

/** Whether the side is the one that is called by this name. */
static bool answers_to(const struct call_side *side, const char *name)
{
    const char *user = call_device_user(side->device);
    return (user && strcmp(user, name) == 0) ||
           (!call_side_is_caller(side) && strcmp(side->call->record.callee, name) == 0);
}

/** The other end of another call of the device, who answers to the name; NULL: there is none. */
static struct call_side *find_consulted(const struct call_side *own, const char *name)
{
    const struct call_side *side;
    list_each(side, &own->device->sides, device_node)
    {
        if (side == own || side->call->state != CALL_ACCEPTED)
            continue;
        struct call_side *other = call_side_other(side);
        if (answers_to(other, name))
            return other;
    }
    return NULL;
}

int call_transfer(struct call_device *device, const char *id, const char *to)
{
    const struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    if (side->call->state != CALL_ACCEPTED)
        return -EPROTO;
    struct call_side *other = call_side_other(side);
    const struct call_side *consulted = find_consulted(side, to);
    if (!other->device->transfers || (consulted && !consulted->device->transfers))
        return -EOPNOTSUPP;
    if (call_device_is_at(other->device, to) || call_device_is_at(device, to))
        return -EINVAL;
    snprintf(other->transfer_to, sizeof(other->transfer_to), "%s", to);
    snprintf(other->transfer_replaces, sizeof(other->transfer_replaces), "%s",
             consulted ? consulted->call->record.id : "");
    call_notify(other->device, &(struct call_event){ .kind = CALL_EVENT_TRANSFER,
                                                     .call = side->call->record.id,
                                                     .to = other->transfer_to });
    return 0;
}

struct call_side *call_transfer_find(const struct call_device *device,
                                     const struct call_request *request)
{
    struct call_side *side = request->transfer ? call_side_find(device, request->transfer) : NULL;
    return side && strcmp(side->transfer_to, request->to) == 0 ? side : NULL;
}

struct call_side *call_transfer_replaced(const struct call_directory *directory,
                                         const struct call_side *leaving)
{
    const struct call *replaced =
        map_find(&directory->calls, bytes_of_text(leaving->transfer_replaces));
    if (!replaced)
        return NULL;
    const struct call_side *own =
        call_side_find(call_side_other(leaving)->device, replaced->record.id);
    return own ? call_side_other(own) : NULL;
}

void call_transfer_failed(struct call_side *leaving, enum call_ended_reason reason)
{
    leaving->transfer_to[0] = 0;
    call_notify(call_side_other(leaving)->device,
                &(struct call_event){ .kind = CALL_EVENT_TRANSFER_FAILED,
                                      .call = leaving->call->record.id,
                                      .reason = reason });
}

static void end_transferred(struct call_directory *directory, const char *id, uint64_t now_us)
{
    struct call *call = map_find(&directory->calls, bytes_of_text(id));
    if (call)
        call_end(directory, call, now_us, CALL_ENDED_TRANSFERRED, NULL);
}

void call_transfer_done(struct call_directory *directory, const struct call *call, uint64_t now_us)
{
    end_transferred(directory, call->leaves, now_us);
    end_transferred(directory, call->replaces, now_us);
}
