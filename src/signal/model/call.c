// One call: its states, and what passes between its two sides.
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

struct call *call_find(const struct call_device *device, const char *id)
{
    return device->call && strcmp(device->call->id, id) == 0 ? device->call : NULL;
}

struct call_device *call_other(const struct call *call, const struct call_device *device)
{
    ensure(call->state == CALL_ACCEPTED && call->leg_count == 1);
    return device == call->caller ? call->legs[0].device : call->caller;
}

struct call *call_new(struct call_directory *directory, struct call_device *caller, uint64_t now_us,
                      const struct call_request *request, struct call_device *const *callees,
                      size_t callee_count, bool glare)
{
    ensure(callee_count > 0 && callee_count <= CALL_LEGS_MAX && !caller->call);
    struct call *call = memory_new(struct call);
    call->id[0] = 'c';
    random_identifier(directory->config.random, call->id + 1, CALL_ID_SIZE - 2);
    call->caller = caller;
    caller->call = call;
    snprintf(call->to, sizeof(call->to), "%s", request->to);
    call->deadline_us = now_us + directory->config.ring_timeout_us;
    list_append(&directory->ringing, &call->ringing_node);
    map_set(&directory->calls, bytes_of_text(call->id), call);
    metric_add(&directory->metrics[CALL_METRIC_CALLS], 1);
    metric_add(&directory->metrics[CALL_METRIC_STARTED], 1);
    for (size_t i = 0; i < callee_count; i++) {
        ensure(!callees[i]->call);
        call->legs[call->leg_count++].device = callees[i];
        callees[i]->call = call;
    }
    for (size_t i = 0; i < callee_count; i++) {
        call_notify(callees[i], &(struct call_event){
                                    .kind = CALL_EVENT_INCOMING,
                                    .call = call->id,
                                    .peer = caller,
                                    .to = request->to,
                                    .sdp = request->sdp,
                                    .media = request->media,
                                    .glare = glare,
                                    .timeout_us = directory->config.ring_timeout_us,
                                });
    }
    return call;
}

static void leg_clear(struct call_leg *leg)
{
    for (size_t i = 0; i < leg->kept_count; i++) {
        free(leg->kept[i].candidate);
        free(leg->kept[i].sdp_mid);
        free(leg->kept[i].username_fragment);
    }
    free(leg->kept);
    *leg = (struct call_leg){ 0 };
}

static void tell_ended(struct call_device *device, const struct call *call,
                       enum call_ended_reason reason)
{
    call_notify(device, &(struct call_event){
                            .kind = CALL_EVENT_ENDED, .call = call->id, .reason = reason });
}

void call_end(struct call_directory *directory, struct call *call, enum call_ended_reason reason,
              const struct call_device *except)
{
    call_change(call, CALL_INPUT_END);
    list_remove(&call->ringing_node);
    map_remove(&directory->calls, bytes_of_text(call->id));
    metric_subtract(&directory->metrics[CALL_METRIC_CALLS], 1);
    call->caller->call = NULL;
    if (call->caller != except)
        tell_ended(call->caller, call, reason);
    for (size_t i = 0; i < call->leg_count; i++) {
        struct call_device *device = call->legs[i].device;
        device->call = NULL;
        // whoever only rang hears that another device dealt with it
        bool other_rang = call->leg_count > 1 && reason == CALL_ENDED_REJECTED;
        if (device != except)
            tell_ended(device, call, other_rang ? CALL_ENDED_ELSEWHERE : reason);
        leg_clear(&call->legs[i]);
    }
    free(call);
}

static struct call_leg *find_leg(struct call *call, const struct call_device *device)
{
    for (size_t i = 0; i < call->leg_count; i++) {
        if (call->legs[i].device == device)
            return &call->legs[i];
    }
    return NULL;
}

static void remove_leg(struct call *call, struct call_leg *leg)
{
    leg->device->call = NULL;
    leg_clear(leg);
    call->leg_count--;
    *leg = call->legs[call->leg_count];
    call->legs[call->leg_count] = (struct call_leg){ 0 };
}

void call_drop_leg(struct call_directory *directory, struct call *call, struct call_device *device,
                   enum call_ended_reason reason)
{
    if (call->leg_count == 1)
        call_end(directory, call, reason, device);
    else
        remove_leg(call, find_leg(call, device));
}

int call_ringing(struct call_device *device, const char *id)
{
    struct call *call = call_find(device, id);
    if (!call)
        return -ENOENT;
    if (device == call->caller || !call_allows(call, CALL_INPUT_RING))
        return -EPROTO;
    bool first = call->state == CALL_OFFERED;
    call_change(call, CALL_INPUT_RING);
    if (first)
        call_notify(call->caller,
                    &(struct call_event){ .kind = CALL_EVENT_RINGING, .call = call->id });
    return 0;
}

static void pass_kept(struct call *call, const struct call_leg *leg)
{
    for (size_t i = 0; i < leg->kept_count; i++) {
        const struct call_kept_candidate *kept = &leg->kept[i];
        struct call_candidate candidate = { .candidate = kept->candidate,
                                            .sdp_mid = kept->sdp_mid,
                                            .username_fragment = kept->username_fragment,
                                            .sdp_m_line_index = kept->sdp_m_line_index };
        call_notify(call->caller,
                    &(struct call_event){ .kind = CALL_EVENT_CANDIDATE,
                                          .call = call->id,
                                          .candidate = kept->is_end ? NULL : &candidate });
    }
}

int call_accept(struct call_directory *directory, struct call_device *device, const char *id,
                const char *sdp)
{
    struct call *call = call_find(device, id);
    if (!call)
        return -ENOENT;
    if (device == call->caller || !call_allows(call, CALL_INPUT_ACCEPT))
        return -EPROTO;
    call_change(call, CALL_INPUT_ACCEPT);
    list_remove(&call->ringing_node);
    metric_add(&directory->metrics[CALL_METRIC_ACCEPTED], 1);
    for (size_t i = call->leg_count; i-- > 0;) {
        struct call_device *other = call->legs[i].device;
        if (other == device)
            continue;
        remove_leg(call, &call->legs[i]);
        tell_ended(other, call, CALL_ENDED_ELSEWHERE);
    }
    call_notify(call->caller, &(struct call_event){ .kind = CALL_EVENT_ACCEPTED,
                                                    .call = call->id,
                                                    .peer = device,
                                                    .to = call->to,
                                                    .sdp = sdp });
    pass_kept(call, &call->legs[0]);
    return 0;
}

int call_reject(struct call_directory *directory, struct call_device *device, const char *id,
                bool busy)
{
    struct call *call = call_find(device, id);
    if (!call)
        return -ENOENT;
    if (device == call->caller || call->state == CALL_ACCEPTED)
        return -EPROTO;
    if (busy)
        call_drop_leg(directory, call, device, CALL_ENDED_BUSY);
    else
        call_end(directory, call, CALL_ENDED_REJECTED, device);
    return 0;
}

int call_cancel(struct call_directory *directory, struct call_device *device, const char *id)
{
    struct call *call = call_find(device, id);
    if (!call)
        return -ENOENT;
    if (device != call->caller)
        return -EPROTO;
    bool accepted = call->state == CALL_ACCEPTED;
    call_end(directory, call, accepted ? CALL_ENDED_HANGUP : CALL_ENDED_CANCELLED, device);
    return 0;
}

int call_hangup(struct call_directory *directory, struct call_device *device, const char *id)
{
    struct call *call = call_find(device, id);
    if (!call)
        return -ENOENT;
    if (device == call->caller)
        return call_cancel(directory, device, id);
    if (call->state != CALL_ACCEPTED)
        return call_reject(directory, device, id, false);
    call_end(directory, call, CALL_ENDED_HANGUP, device);
    return 0;
}

static char *copy_text(const char *text)
{
    return text ? memory_copy(text, strlen(text)) : NULL;
}

/** More than anyone gathers are dropped: the call works by those that came before. */
static void keep_candidate(struct call_leg *leg, const struct call_candidate *candidate)
{
    if (!leg->kept)
        leg->kept = memory_new_array(struct call_kept_candidate, CALL_CANDIDATES_MAX);
    if (leg->kept_count == CALL_CANDIDATES_MAX)
        return;
    struct call_kept_candidate *kept = &leg->kept[leg->kept_count++];
    *kept = (struct call_kept_candidate){ .is_end = !candidate };
    if (!candidate)
        return;
    kept->candidate = copy_text(candidate->candidate);
    kept->sdp_mid = copy_text(candidate->sdp_mid);
    kept->username_fragment = copy_text(candidate->username_fragment);
    kept->sdp_m_line_index = candidate->sdp_m_line_index;
}

int call_pass_candidate(struct call_device *device, const char *id,
                        const struct call_candidate *candidate)
{
    struct call *call = call_find(device, id);
    if (!call)
        return -ENOENT;
    struct call_event event = { .kind = CALL_EVENT_CANDIDATE,
                                .call = call->id,
                                .candidate = candidate };
    if (device == call->caller) {
        for (size_t i = 0; i < call->leg_count; i++)
            call_notify(call->legs[i].device, &event);
    } else if (call->state == CALL_ACCEPTED) {
        call_notify(call->caller, &event);
    } else {
        keep_candidate(find_leg(call, device), candidate);
    }
    return 0;
}

int call_pass_offer(struct call_device *device, const char *id, const char *sdp)
{
    struct call *call = call_find(device, id);
    if (!call)
        return -ENOENT;
    if (call->state != CALL_ACCEPTED)
        return -EPROTO;
    if (call->offering && call->offering != device)
        return -EAGAIN;
    call->offering = device;
    call_notify(call_other(call, device),
                &(struct call_event){ .kind = CALL_EVENT_OFFER, .call = call->id, .sdp = sdp });
    return 0;
}

int call_pass_answer(struct call_device *device, const char *id, const char *sdp)
{
    struct call *call = call_find(device, id);
    if (!call)
        return -ENOENT;
    if (call->state != CALL_ACCEPTED || !call->offering || call->offering == device)
        return -EPROTO;
    call->offering = NULL;
    call_notify(call_other(call, device),
                &(struct call_event){ .kind = CALL_EVENT_ANSWER, .call = call->id, .sdp = sdp });
    return 0;
}
