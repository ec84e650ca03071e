// What passes between the sides of a call as it is; and between devices beside all calls.
#include <errno.h>

#include "signal/model/calls_int.h"

int call_pass_candidate(struct call_device *device, const char *id,
                        const struct call_candidate *candidate)
{
    struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    struct call *call = side->call;
    struct call_event event = { .kind = CALL_EVENT_CANDIDATE,
                                .call = call->record.id,
                                .candidate = candidate };
    if (call_side_is_caller(side)) {
        const struct call_side *callee;
        list_each(callee, &call->callees, call_node) call_notify(callee->device, &event);
    } else if (call->state == CALL_ACCEPTED) {
        call_notify(call->caller->device, &event);
    } else {
        call_side_keep(side, candidate);
    }
    return 0;
}

int call_pass_offer(struct call_device *device, const char *id, const char *sdp)
{
    const struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    struct call *call = side->call;
    if (call->state != CALL_ACCEPTED)
        return -EPROTO;
    if (call->offering && call->offering != side)
        return -EAGAIN;
    call->offering = side;
    call_notify(
        call_side_other(side)->device,
        &(struct call_event){ .kind = CALL_EVENT_OFFER, .call = call->record.id, .sdp = sdp });
    return 0;
}

int call_pass_answer(struct call_device *device, const char *id, const char *sdp)
{
    const struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    struct call *call = side->call;
    if (call->state != CALL_ACCEPTED || !call->offering || call->offering == side)
        return -EPROTO;
    call->offering = NULL;
    call_notify(
        call_side_other(side)->device,
        &(struct call_event){ .kind = CALL_EVENT_ANSWER, .call = call->record.id, .sdp = sdp });
    return 0;
}

int call_relay(const struct call_directory *directory, struct call_device *device, const char *to,
               const char *data)
{
    if (!device->user)
        return -EPROTO;
    const struct call_user *user = map_find(&directory->users, bytes_of_text(to));
    if (!user)
        return -ENOENT;
    struct call_event event = { .kind = CALL_EVENT_RELAY, .peer = device, .to = to, .data = data };
    size_t told = 0;
    struct call_device *other;
    list_each(other, &user->devices, user_node)
    {
        if (other == device || other->binding != device->binding)
            continue;
        call_notify(other, &event);
        told++;
    }
    return told > 0 ? 0 : -ENOENT;
}
