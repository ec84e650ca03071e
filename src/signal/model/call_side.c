// A device's part in a call, and the candidates it names before the call is accepted.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/model/calls_int.h"

struct call_side *call_side_new(struct call *call, struct call_device *device)
{
    ensure(!call_device_is_busy(device));
    struct call_side *side = memory_new(struct call_side);
    side->call = call;
    side->device = device;
    list_init(&side->call_node);
    list_append(&device->sides, &side->device_node);
    device->side_count++;
    return side;
}

void call_side_free(struct call_side *side)
{
    for (size_t i = 0; i < side->kept_count; i++) {
        free(side->kept[i].candidate);
        free(side->kept[i].sdp_mid);
        free(side->kept[i].username_fragment);
    }
    free(side->kept);
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

static char *copy_text(const char *text)
{
    return text ? memory_copy(text, strlen(text)) : NULL;
}

/** More than anyone gathers are dropped: the call works by those that came before. */
void call_side_keep(struct call_side *side, const struct call_candidate *candidate)
{
    if (!side->kept)
        side->kept = memory_new_array(struct call_kept_candidate, CALL_CANDIDATES_MAX);
    if (side->kept_count == CALL_CANDIDATES_MAX)
        return;
    struct call_kept_candidate *kept = &side->kept[side->kept_count++];
    *kept = (struct call_kept_candidate){ .is_end = !candidate };
    if (!candidate)
        return;
    kept->candidate = copy_text(candidate->candidate);
    kept->sdp_mid = copy_text(candidate->sdp_mid);
    kept->username_fragment = copy_text(candidate->username_fragment);
    kept->sdp_m_line_index = candidate->sdp_m_line_index;
}

void call_side_pass_kept(const struct call_side *side)
{
    const struct call *call = side->call;
    for (size_t i = 0; i < side->kept_count; i++) {
        const struct call_kept_candidate *kept = &side->kept[i];
        struct call_candidate candidate = { .candidate = kept->candidate,
                                            .sdp_mid = kept->sdp_mid,
                                            .username_fragment = kept->username_fragment,
                                            .sdp_m_line_index = kept->sdp_m_line_index };
        call_notify(call->caller->device,
                    &(struct call_event){ .kind = CALL_EVENT_CANDIDATE,
                                          .call = call->record.id,
                                          .candidate = kept->is_end ? NULL : &candidate });
    }
}
