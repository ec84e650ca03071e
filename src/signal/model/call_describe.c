// Descriptions and candidates on their way to the other side: at once to devices that take them
// piece by piece, together to those that do not.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "signal/model/calls_int.h"

/** Whether any device on the other side takes candidates only within the side's descriptions. */
static bool is_wanted_whole(const struct call_side *side)
{
    const struct call *call = side->call;
    if (!side->trickles || call->anchored) // its descriptions are whole anyway, and so are ours
        return false;
    if (!call_side_is_caller(side))
        return !call->caller->trickles;
    const struct call_side *callee;
    list_each(callee, &call->callees, call_node)
    {
        if (!callee->trickles)
            return true;
    }
    return false;
}

static void deliver_to(struct call_side *to, const struct call_side *from,
                       enum call_event_kind kind, const char *sdp)
{
    const struct call *call = from->call;
    to->knows = true;
    call_notify(to->device, &(struct call_event){
                                .kind = kind,
                                .call = call->record.id,
                                .peer = from->device,
                                .to = call->record.callee,
                                .sdp = sdp,
                                .media = call->record.media,
                                .glare = call->glare,
                                .replaces = call->replaces[0] ? call->replaces : NULL,
                                .timeout_us = call->deadline_us - call->record.began_us,
                            });
}

/** To the devices on the other side that take candidates apart, or to those that do not. */
static void deliver(const struct call_side *from, enum call_event_kind kind, const char *sdp,
                    bool trickles)
{
    const struct call *call = from->call;
    if (!call_side_is_caller(from)) {
        if (call->caller->trickles == trickles)
            deliver_to(call->caller, from, kind, sdp);
        return;
    }
    struct call_side *callee;
    list_each(callee, &call->callees, call_node)
    {
        if (callee->trickles == trickles)
            deliver_to(callee, from, kind, sdp);
    }
}

static void deliver_waiting(struct call_side *side)
{
    struct call_gathering *gathering = &side->gathering;
    char *whole = call_gathering_merge(gathering, gathering->waiting_sdp);
    list_remove(&gathering->node);
    free(gathering->waiting_sdp);
    gathering->waiting_sdp = NULL;
    deliver(side, gathering->waiting_kind, whole, false);
    free(whole);
}

/** What the callee named before it accepted follows its answer. */
static void pass_kept(struct call_side *callee)
{
    const struct call_gathering *gathering = &callee->gathering;
    for (size_t i = 0; i < gathering->kept_count; i++) {
        const struct call_kept_candidate *kept = &gathering->kept[i];
        struct call_candidate candidate = { .candidate = kept->candidate,
                                            .sdp_mid = kept->sdp_mid,
                                            .username_fragment = kept->username_fragment,
                                            .sdp_m_line_index = kept->sdp_m_line_index };
        call_describe_candidate(callee, &candidate);
    }
    if (gathering->is_complete)
        call_describe_candidate(callee, NULL);
    call_gathering_done(&callee->gathering);
}

void call_describe(struct call_directory *directory, struct call_side *side, uint64_t now_us,
                   enum call_event_kind kind, const char *sdp)
{
    deliver(side, kind, sdp, true);
    if (!is_wanted_whole(side)) {
        deliver(side, kind, sdp, false);
        if (kind == CALL_EVENT_ACCEPTED)
            pass_kept(side);
        return;
    }
    struct call_gathering *gathering = &side->gathering;
    ensure(!gathering->waiting_sdp);
    call_gathering_follow(gathering, sdp);
    gathering->waiting_kind = kind;
    gathering->waiting_sdp = memory_copy(sdp, strlen(sdp));
    gathering->deadline_us = now_us + CALL_GATHER_US;
    list_append(&directory->gathering, &gathering->node);
    if (gathering->is_complete)
        deliver_waiting(side);
}

bool call_describes(const struct call_side *side)
{
    return side->gathering.waiting_sdp != NULL;
}

/** To the devices on the other side that take candidates apart. */
static void tell_candidate(const struct call_side *from, const struct call_event *event)
{
    const struct call *call = from->call;
    if (!call_side_is_caller(from)) {
        if (call->caller->trickles)
            call_notify(call->caller->device, event);
        return;
    }
    const struct call_side *callee;
    list_each(callee, &call->callees, call_node)
    {
        if (callee->trickles)
            call_notify(callee->device, event);
    }
}

void call_describe_candidate(struct call_side *side, const struct call_candidate *candidate)
{
    struct call *call = side->call;
    struct call_event event = { .kind = CALL_EVENT_CANDIDATE,
                                .call = call->record.id,
                                .candidate = candidate };
    bool has_described = call_side_is_caller(side) || call->state == CALL_ACCEPTED;
    if (has_described)
        tell_candidate(side, &event);
    if (has_described && !is_wanted_whole(side))
        return;
    if (candidate) {
        call_gathering_keep(&side->gathering, candidate);
        return;
    }
    side->gathering.is_complete = true;
    if (call_describes(side))
        deliver_waiting(side);
}

static struct call_side *first_waiting(const struct call_directory *directory)
{
    if (list_empty(&directory->gathering))
        return NULL;
    return container_of(directory->gathering.next, struct call_side, gathering.node);
}

void call_describe_tick(struct call_directory *directory, uint64_t now_us)
{
    struct call_side *side;
    while ((side = first_waiting(directory)) && side->gathering.deadline_us <= now_us) {
        metric_add(&directory->metrics[CALL_METRIC_UNFINISHED], 1);
        side->gathering.is_complete = true;
        deliver_waiting(side);
    }
}

uint64_t call_describe_deadline(const struct call_directory *directory)
{
    const struct call_side *side = first_waiting(directory);
    return side ? side->gathering.deadline_us : TIME_NEVER;
}
