// Calls whose media goes through this server: which ones, and what their sides hear of it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/model/calls_int.h"

static bool speak_alike(const struct call_device *caller, const struct call_plan *plan)
{
    for (size_t i = 0; i < plan->callee_count; i++)
        if (plan->callees[i]->binding != caller->binding)
            return false;
    return true;
}

bool call_wants_anchor(const struct call_directory *directory, const struct call_device *caller,
                       const struct call_plan *plan)
{
    const struct call_directory_config *config = &directory->config;
    if (plan->callees[0]->binding == CALL_BINDING_ROOM)
        return false; // its media is the server's own
    // all that ring get one offer: a single one of another language decides for all
    return config->anchor && config->media_way != CALL_MEDIA_WAY_DIRECT &&
           (config->media_way == CALL_MEDIA_WAY_ANCHORED || !speak_alike(caller, plan));
}

int call_anchored_begin(struct call_directory *directory, struct call *call, const char *sdp,
                        char **ret_offer)
{
    struct call_anchor *anchor = directory->config.anchor;
    bool loopback = call->caller->device->loopback;
    const struct call_side *side;
    list_each(side, &call->callees, call_node) loopback |= side->device->loopback;
    return anchor->begin(anchor, call->record.id, loopback, sdp, &call->anchored, ret_offer,
                         &directory->problem);
}

bool call_is_anchored(const struct call_device *device, const char *id)
{
    const struct call_side *side = call_side_find(device, id);
    return side && side->call->anchored;
}

void call_anchored_end(struct call_directory *directory, struct call *call)
{
    struct call_anchor *anchor = directory->config.anchor;
    if (call->anchored)
        anchor->end(anchor, call->anchored);
    call->anchored = NULL;
}

static enum call_anchor_side side_of(const struct call_side *side)
{
    return call_side_is_caller(side) ? CALL_ANCHOR_CALLER : CALL_ANCHOR_CALLEE;
}

/** Takes over the text. */
static void tell(struct call_side *side, enum call_event_kind kind, char *sdp)
{
    call_notify(side->device,
                &(struct call_event){ .kind = kind, .call = side->call->record.id, .sdp = sdp });
    free(sdp);
}

/** A side's description has been agreed on: the other hears of a hold, and is offered what is new.
 */
static void settle(struct call_directory *directory, struct call_side *side)
{
    struct call_anchor *anchor = directory->config.anchor;
    struct call *call = side->call;
    struct call_side *sides[] = { side, call_side_other(side) };
    bool holds = anchor->holds(anchor, call->anchored, side_of(side));
    bool changed = holds != side->media_holds;
    side->media_holds = holds;
    if (changed && holds != side->holds) {
        side->holds = holds;
        call_notify(sides[1]->device, &(struct call_event){ .kind = CALL_EVENT_HELD,
                                                            .call = call->record.id,
                                                            .held = holds });
    }
    for (size_t i = 0; i < array_size(sides); i++) {
        char *offer = anchor->due(anchor, call->anchored, side_of(sides[i]));
        if (offer)
            tell(sides[i], CALL_EVENT_OFFER, offer);
    }
}

int call_anchored_accept(struct call_directory *directory, struct call_side *side, uint64_t now_us,
                         const char *sdp, char **ret_answer)
{
    struct call_anchor *anchor = directory->config.anchor;
    struct call *call = side->call;
    if (!side->device->renegotiates)
        anchor->fix(anchor, call->anchored, CALL_ANCHOR_CALLEE);
    if (!call->caller->device->renegotiates)
        anchor->fix(anchor, call->anchored, CALL_ANCHOR_CALLER);
    int error =
        anchor->accept(anchor, call->anchored, now_us, sdp, ret_answer, &directory->problem);
    if (error) {
        call_end(directory, call, now_us, CALL_ENDED_MEDIA, NULL);
        return error;
    }
    side->media_holds = anchor->holds(anchor, call->anchored, CALL_ANCHOR_CALLEE);
    call->caller->media_holds = anchor->holds(anchor, call->anchored, CALL_ANCHOR_CALLER);
    return 0;
}

int call_anchored_offer(struct call_directory *directory, struct call_side *side, const char *sdp)
{
    struct call_anchor *anchor = directory->config.anchor;
    char *answer = NULL;
    int error = anchor->offer(anchor, side->call->anchored, side_of(side), sdp, &answer,
                              &directory->problem);
    if (error)
        return error;
    tell(side, CALL_EVENT_ANSWER, answer);
    settle(directory, side);
    return 0;
}

int call_anchored_answer(struct call_directory *directory, struct call_side *side, const char *sdp)
{
    struct call_anchor *anchor = directory->config.anchor;
    int error =
        anchor->answer(anchor, side->call->anchored, side_of(side), sdp, &directory->problem);
    if (!error)
        settle(directory, side);
    return error;
}

void call_media_ended(struct call_directory *directory, const char *id, uint64_t now_us,
                      enum call_ended_reason reason)
{
    struct call *call = map_find(&directory->calls, bytes_of_text(id));
    if (call)
        call_end(directory, call, now_us, reason, NULL);
}
