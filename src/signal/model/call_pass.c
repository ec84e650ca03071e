// What passes between the sides of a call as it is; and between devices beside all calls.
#include <errno.h>

#include "signal/model/calls_int.h"

int call_pass_candidate(struct call_device *device, const char *id,
                        const struct call_candidate *candidate)
{
    struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    // the server, which negotiates with each side, needs none: it answers checks from anywhere
    if (!side->call->anchored)
        call_describe_candidate(side, candidate);
    return 0;
}

int call_pass_offer(struct call_directory *directory, struct call_device *device, uint64_t now_us,
                    const char *id, const char *sdp)
{
    struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    struct call *call = side->call;
    if (call->state != CALL_ACCEPTED)
        return -EPROTO;
    if (call->anchored)
        return call_anchored_offer(directory, side, sdp);
    if (!call_side_other(side)->device->renegotiates)
        return -EOPNOTSUPP;
    bool crosses = call->offering && call->offering != side;
    if (crosses || call_describes(side) || call_describes(call_side_other(side)))
        return -EAGAIN;
    call->offering = side;
    call_describe(directory, side, now_us, CALL_EVENT_OFFER, sdp);
    return 0;
}

int call_pass_answer(struct call_directory *directory, struct call_device *device, uint64_t now_us,
                     const char *id, const char *sdp)
{
    struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    struct call *call = side->call;
    if (call->anchored && call->state == CALL_ACCEPTED)
        return call_anchored_answer(directory, side, sdp);
    if (call->state != CALL_ACCEPTED || !call->offering || call->offering == side)
        return -EPROTO;
    call->offering = NULL;
    call_describe(directory, side, now_us, CALL_EVENT_ANSWER, sdp);
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
