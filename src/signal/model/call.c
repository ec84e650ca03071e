// One call: its states, its beginning and its end.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/model/calls_int.h"

#define NO_STATE (-1)

static const int transitions[][CALL_INPUT_END + 1] = {
    [CALL_OFFERED] = { CALL_RINGING, CALL_ACCEPTED, CALL_ENDED },
    [CALL_RINGING] = { CALL_RINGING, CALL_ACCEPTED, CALL_ENDED },
    [CALL_ACCEPTED] = { NO_STATE, NO_STATE, CALL_ENDED },
    [CALL_ENDED] = { NO_STATE, NO_STATE, NO_STATE },
};

bool call_allows(const struct call *call, enum call_input input)
{
    return transitions[call->state][input] != NO_STATE;
}

void call_change(struct call *call, enum call_input input)
{
    ensure(call_allows(call, input));
    call->state = (enum call_state)transitions[call->state][input];
}

struct call_record call_record_begin(const struct call_device *caller, uint64_t now_us,
                                     const struct call_request *request)
{
    struct call_record record = {
        .caller_verified = caller->user && caller->verified,
        .caller_binding = caller->binding,
        .callee_binding = CALL_BINDING_COUNT,
        .media = request->media,
        .began_us = now_us,
    };
    if (caller->user)
        snprintf(record.caller, sizeof(record.caller), "%s", call_device_user(caller));
    const char *given = request->name ? request->name : "Guest";
    snprintf(record.caller_name, sizeof(record.caller_name), "%s",
             caller->name[0] ? caller->name : given);
    snprintf(record.callee, sizeof(record.callee), "%s", request->to);
    return record;
}

/** Nobody counts it as ringing any more. */
static void end_attempt(struct call_directory *directory, struct call *call, uint64_t now_us,
                        bool settled)
{
    if (call->attempt)
        call_attempt_end(&directory->attempts, call->attempt, now_us, settled);
    call->attempt = NULL;
}

/** Forgets a call that nobody has heard of. */
static void discard(struct call_directory *directory, struct call *call, uint64_t now_us)
{
    end_attempt(directory, call, now_us, false);
    list_remove(&call->ringing_node);
    map_remove(&directory->calls, bytes_of_text(call->record.id));
    metric_subtract(&directory->metrics[CALL_METRIC_CALLS], 1);
    call_side_free(call->caller);
    struct call_side *side;
    list_each(side, &call->callees, call_node) call_side_free(side);
    free(call);
}

int call_new(struct call_directory *directory, struct call_device *caller, uint64_t now_us,
             const struct call_request *request, const struct call_plan *plan,
             struct call **ret_call)
{
    ensure(plan->callee_count > 0 && plan->callee_count <= CALL_CALLEES_MAX);
    struct call *call = memory_new(struct call);
    call->record = call_record_begin(caller, now_us, request);
    if (!caller->name[0]) // a name that a call was placed under stays
        call_device_set_name(caller, call->record.caller_name);
    call->record.id[0] = 'c';
    random_identifier(directory->config.random, call->record.id + 1, CALL_ID_SIZE - 2);
    call->deadline_us = now_us + directory->config.ring_timeout_us;
    list_append(&directory->ringing, &call->ringing_node);
    map_set(&directory->calls, bytes_of_text(call->record.id), call);
    metric_add(&directory->metrics[CALL_METRIC_CALLS], 1);
    metric_add(&directory->metrics[CALL_METRIC_STARTED], 1);
    call->glare = plan->crossing != NULL;
    if (!plan->replaced) // which rings at nobody
        call->attempt = call_attempt_begin(&directory->attempts, caller, request->to, now_us);
    if (plan->leaving)
        memcpy(call->leaves, plan->leaving->call->record.id, CALL_ID_SIZE);
    if (plan->replaced)
        memcpy(call->replaces, plan->replaced->call->record.id, CALL_ID_SIZE);
    call->caller = call_side_new(call, caller);
    call->caller->knows = true;
    list_init(&call->callees);
    for (size_t i = 0; i < plan->callee_count; i++)
        list_append(&call->callees, &call_side_new(call, plan->callees[i])->call_node);
    char *offer cleanup(memory_free_at) = NULL;
    if (call_wants_anchor(directory, caller, plan)) {
        int error = call_anchored_begin(directory, call, request->sdp, &offer);
        if (error) {
            discard(directory, call, now_us);
            return error;
        }
    }
    // nothing can fail any more: until now the other call would have gone on
    if (plan->crossing)
        call_end(directory, plan->crossing, now_us, CALL_ENDED_GLARE, NULL);
    call_describe(directory, call->caller, now_us, CALL_EVENT_INCOMING,
                  offer ? offer : request->sdp);
    *ret_call = call;
    return 0;
}

/** Takes the device out of the call; `told`: it hears why, if it knows of the call. */
static void end_side(struct call_side *side, enum call_ended_reason reason, bool told)
{
    const struct call *call = side->call;
    struct call_device *device = side->device;
    told = told && side->knows;
    call_side_free(side);
    if (told)
        call_notify(device, &(struct call_event){ .kind = CALL_EVENT_ENDED,
                                                  .call = call->record.id,
                                                  .reason = reason });
}

static bool rings_one_device(const struct call *call)
{
    return call->callees.next->next == &call->callees;
}

/** They begin or cease to be busy. */
static void touch_users(struct call_directory *directory, const struct call *call)
{
    const struct call_side *side = call->caller;
    if (side->device->user)
        presence_touch(directory, side->device->user->name);
    list_each(side, &call->callees, call_node)
    {
        if (side->device->user)
            presence_touch(directory, side->device->user->name);
    }
}

void call_end(struct call_directory *directory, struct call *call, uint64_t now_us,
              enum call_ended_reason reason, const struct call_device *except)
{
    if (call->state == CALL_ACCEPTED)
        touch_users(directory, call);
    call_change(call, CALL_INPUT_END);
    end_attempt(directory, call, now_us, reason == CALL_ENDED_GLARE);
    list_remove(&call->ringing_node);
    map_remove(&directory->calls, bytes_of_text(call->record.id));
    metric_subtract(&directory->metrics[CALL_METRIC_CALLS], 1);
    call_anchored_end(directory, call);
    // whoever only rang hears that another device dealt with it
    bool elsewhere = reason == CALL_ENDED_REJECTED && !rings_one_device(call);
    struct call_side *leaving = call_side_find(call->caller->device, call->leaves);
    end_side(call->caller, reason, call->caller->device != except);
    struct call_side *side;
    list_each(side, &call->callees, call_node)
        end_side(side, elsewhere ? CALL_ENDED_ELSEWHERE : reason, side->device != except);
    if (leaving && !call->record.accepted_us)
        call_transfer_failed(leaving, reason);
    call_directory_record(directory, &call->record, now_us, reason);
    free(call);
}

void call_leave(struct call_directory *directory, struct call_side *side, uint64_t now_us,
                enum call_ended_reason reason)
{
    struct call *call = side->call;
    bool others_ring =
        call->state != CALL_ACCEPTED && !call_side_is_caller(side) && !rings_one_device(call);
    if (others_ring)
        call_side_free(side);
    else
        call_end(directory, call, now_us, reason, side->device);
}

int call_ringing(struct call_device *device, const char *id)
{
    const struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    struct call *call = side->call;
    if (call_side_is_caller(side) || !call_allows(call, CALL_INPUT_RING))
        return -EPROTO;
    bool first = call->state == CALL_OFFERED;
    call_change(call, CALL_INPUT_RING);
    if (first)
        call_notify(call->caller->device,
                    &(struct call_event){ .kind = CALL_EVENT_RINGING, .call = call->record.id });
    return 0;
}

int call_accept(struct call_directory *directory, struct call_device *device, uint64_t now_us,
                const char *id, const char *sdp)
{
    struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    struct call *call = side->call;
    if (call_side_is_caller(side) || !call_allows(call, CALL_INPUT_ACCEPT))
        return -EPROTO;
    char *answer cleanup(memory_free_at) = NULL;
    if (call->anchored) {
        int error = call_anchored_accept(directory, side, now_us, sdp, &answer);
        if (error)
            return error;
    }
    call_change(call, CALL_INPUT_ACCEPT);
    end_attempt(directory, call, now_us, true);
    call->record.accepted_us = now_us;
    call->record.callee_binding = device->binding;
    list_remove(&call->ringing_node);
    metric_add(&directory->metrics[CALL_METRIC_ACCEPTED], 1);
    touch_users(directory, call);
    struct call_side *other;
    list_each(other, &call->callees, call_node)
    {
        if (other != side)
            end_side(other, CALL_ENDED_ELSEWHERE, true);
    }
    if (side->trickles) // nobody is left for whom the caller's candidates are gathered
        call_gathering_done(&call->caller->gathering);
    call_describe(directory, side, now_us, CALL_EVENT_ACCEPTED, answer ? answer : sdp);
    call_transfer_done(directory, call, now_us);
    return 0;
}

int call_reject(struct call_directory *directory, struct call_device *device, uint64_t now_us,
                const char *id, bool busy)
{
    struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    if (call_side_is_caller(side) || side->call->state == CALL_ACCEPTED)
        return -EPROTO;
    if (busy)
        call_leave(directory, side, now_us, CALL_ENDED_BUSY);
    else
        call_end(directory, side->call, now_us, CALL_ENDED_REJECTED, device);
    return 0;
}

int call_cancel(struct call_directory *directory, struct call_device *device, uint64_t now_us,
                const char *id)
{
    const struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    if (!call_side_is_caller(side))
        return -EPROTO;
    bool accepted = side->call->state == CALL_ACCEPTED;
    call_end(directory, side->call, now_us, accepted ? CALL_ENDED_HANGUP : CALL_ENDED_CANCELLED,
             device);
    return 0;
}

int call_hangup(struct call_directory *directory, struct call_device *device, uint64_t now_us,
                const char *id)
{
    const struct call_side *side = call_side_find(device, id);
    if (!side)
        return -ENOENT;
    if (call_side_is_caller(side))
        return call_cancel(directory, device, now_us, id);
    if (side->call->state != CALL_ACCEPTED)
        return call_reject(directory, device, now_us, id, false);
    call_end(directory, side->call, now_us, CALL_ENDED_HANGUP, device);
    return 0;
}
