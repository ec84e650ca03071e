#include "signal/focus/focus_leg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/access/ban_key.h"

static void count(struct focus *focus, enum focus_metric metric)
{
    metric_add(&focus->metrics[metric], 1);
}

void focus_leg_wake(struct focus_leg *leg)
{
    if (list_empty(&leg->due_node))
        list_append(&leg->focus->due, &leg->due_node);
}

void focus_leg_end_soon(struct focus_leg *leg, enum focus_metric why)
{
    if (!leg->over)
        leg->over_metric = why;
    leg->over = true;
    focus_leg_wake(leg);
}

void focus_caller_take(struct focus_caller *caller, const struct token_grants *grants)
{
    char user[TOKEN_NAME_SIZE];
    memcpy(user, caller->grants.user, sizeof(user));
    caller->has_grants = true;
    caller->grants = *grants;
    if (!grants->user[0])
        memcpy(caller->grants.user, user, sizeof(user));
    if (grants->name[0])
        snprintf(caller->name, sizeof(caller->name), "%s", grants->name);
    if (grants->room[0])
        return;
    caller->grants.moderator = false;
    caller->grants.record = false;
    caller->grants.hidden = false;
}

/** ---- what the model tells ---- */

static void take_offer(struct focus_leg *leg, const char *sdp)
{
    free(leg->offer);
    leg->offer = memory_copy(sdp, strlen(sdp));
}

static void incoming(struct focus_leg *leg, const struct call_event *event)
{
    const struct call_device *caller = event->peer;
    struct focus_caller *kept = &leg->caller;
    snprintf(leg->call, sizeof(leg->call), "%s", event->call);
    if (!kept->name[0])
        snprintf(kept->name, sizeof(kept->name), "%s", caller->name);
    kept->remote = caller->remote;
    kept->loopback = caller->loopback;
    // a name that something vouches for is as good as one in a token
    if (!kept->grants.user[0] && caller->user && caller->verified)
        snprintf(kept->grants.user, sizeof(kept->grants.user), "%s", call_device_user(caller));
    take_offer(leg, event->sdp);
}

static void notified(struct call_device *device, const struct call_event *event)
{
    struct focus_leg *leg = container_of(device, struct focus_leg, device);
    switch (event->kind) {
    case CALL_EVENT_INCOMING:
        incoming(leg, event);
        break;
    case CALL_EVENT_OFFER:
        take_offer(leg, event->sdp);
        break;
    case CALL_EVENT_PEER:
        leg->caller_away = event->away;
        break;
    case CALL_EVENT_ENDED: // it has no side any more, so it goes
        break;
    default: // candidates: the server answers checks from wherever they come
        return;
    }
    focus_leg_wake(leg);
}

static const struct call_device_ops call_ops = { .notify = notified };

/** ---- what the room tells ---- */

static void path_changed(struct focus_leg *leg)
{
    enum room_media_state state = leg->member->media_state;
    if (state == ROOM_MEDIA_FAILED) {
        focus_leg_end_soon(leg, FOCUS_METRIC_FAILED);
        return;
    }
    list_remove(&leg->pathless_node);
    if (state != ROOM_MEDIA_CONNECTED)
        focus_leg_wake(leg); // with the time from which on it has no path
}

static void told(struct room_observer *observer, const struct room_event *event)
{
    struct focus_leg *leg = container_of(observer, struct focus_leg, observer);
    if (event->kind == ROOM_EVENT_REMOVED) {
        leg->member = NULL;
        focus_leg_end_soon(leg, FOCUS_METRIC_REMOVED);
    } else if (event->kind == ROOM_EVENT_MEDIA_STATE && leg->member) {
        path_changed(leg);
    }
}

/** ---- its life ---- */

struct focus_leg *focus_leg_new(struct focus *focus, const char *room,
                                const struct token_grants *grants)
{
    struct focus_leg *leg = memory_new(struct focus_leg);
    leg->focus = focus;
    leg->observer.notify = told;
    leg->refused = FOCUS_METRIC_COUNT;
    snprintf(leg->room, sizeof(leg->room), "%s", room);
    random_identifier(focus->config.random, leg->id, sizeof(leg->id) - 1);
    if (grants)
        focus_caller_take(&leg->caller, grants);
    call_device_init(&leg->device, &call_ops, CALL_BINDING_ROOM);
    snprintf(leg->device.name, sizeof(leg->device.name), "%s", room);
    list_append(&focus->legs, &leg->node);
    list_init(&leg->due_node);
    list_init(&leg->pathless_node);
    // also when no call comes of it
    focus_leg_wake(leg);
    metric_add(&focus->metrics[FOCUS_METRIC_CALLS], 1);
    count(focus, FOCUS_METRIC_STARTED);
    return leg;
}

void focus_leg_free(struct focus_leg *leg, uint64_t now_us)
{
    struct focus *focus = leg->focus;
    struct room_member *member = leg->member;
    leg->member = NULL;
    if (member)
        room_leave(member, now_us, ROOM_LEFT_LEFT);
    call_device_done(focus->config.calls, &leg->device, now_us, CALL_ENDED_HANGUP);
    map_remove(&focus->by_id, bytes_of_text(leg->id));
    list_remove(&leg->node);
    list_remove(&leg->due_node);
    list_remove(&leg->pathless_node);
    metric_subtract(&focus->metrics[FOCUS_METRIC_CALLS], 1);
    free(leg->offer);
    free(leg);
}

/** Nothing comes of the call. */
static void reject(struct focus_leg *leg, uint64_t now_us, enum focus_metric why, bool busy)
{
    count(leg->focus, why);
    (void)!call_reject(leg->focus->config.calls, &leg->device, now_us, leg->call, busy);
    focus_leg_free(leg, now_us);
}

static void hang_up(struct focus_leg *leg, uint64_t now_us, enum focus_metric why)
{
    count(leg->focus, why);
    (void)!call_hangup(leg->focus->config.calls, &leg->device, now_us, leg->call);
    focus_leg_free(leg, now_us);
}

/** ---- who may come in ---- */

/** Whether that is known; else the operator's endpoint was asked. */
static bool decide(struct focus_leg *leg)
{
    struct focus *focus = leg->focus;
    struct admission *admission = focus->config.admission;
    if (leg->decided || leg->caller.has_grants)
        return true;
    if (!admission) {
        if (focus->config.require_token) // since it called
            leg->refused = FOCUS_METRIC_REFUSED_TOKEN;
        return true;
    }
    if (leg->asking)
        return false;
    const struct admission_question question = { .purpose = ADMISSION_JOIN,
                                                 .room = leg->room,
                                                 .name = leg->caller.name,
                                                 .session = leg->id,
                                                 .remote = leg->caller.remote };
    leg->asking = admission->ask(admission, &question) == 0;
    leg->decided = !leg->asking;
    if (leg->asking)
        map_set(&focus->by_id, bytes_of_text(leg->id), leg);
    else
        leg->refused = FOCUS_METRIC_REFUSED_UNDECIDED;
    return leg->decided;
}

static int enter(struct focus_leg *leg, uint64_t now_us)
{
    const struct focus_caller *caller = &leg->caller;
    const struct token_grants *grants = &caller->grants;
    struct room *room;
    char ban_key[ROOM_BAN_KEY_SIZE];
    int result =
        room_directory_open(leg->focus->config.rooms, now_us, leg->room, grants->moderator, &room);
    if (result < 0)
        return result;
    ban_key_write(grants, &caller->remote, caller->name, ban_key);
    return room_join(room,
                     &(struct room_join){ .name = caller->name,
                                          .user = grants->user[0] ? grants->user : NULL,
                                          .ban_key = ban_key,
                                          .moderator = grants->moderator,
                                          .auto_subscribe = true,
                                          .loopback = caller->loopback,
                                          .two_way = true,
                                          .hidden = grants->hidden,
                                          .denials = grants->denials,
                                          .pass = token_pass(grants, caller->has_grants),
                                          .observer = &leg->observer },
                     &leg->member);
}

/** ---- what it does ---- */

/** Answers the offer that waits. False: the call is over. */
static bool answer(struct focus_leg *leg, uint64_t now_us)
{
    struct call_directory *calls = leg->focus->config.calls;
    cleanup(memory_free_at) char *offer = leg->offer;
    leg->offer = NULL;
    const struct room_offer request = { .sdp = bytes_of_text(offer), .plain = true };
    struct media_answer answer;
    const char *problem;
    if (room_member_offer(leg->member, &request, &answer, &problem) < 0) {
        // what the caller changed cannot be, and it does not know what to do then
        if (leg->accepted)
            hang_up(leg, now_us, FOCUS_METRIC_FAILED);
        else
            reject(leg, now_us, FOCUS_METRIC_REFUSED_OFFER, false);
        return false;
    }
    int result;
    if (leg->accepted) {
        result = call_pass_answer(calls, &leg->device, now_us, leg->call, answer.sdp);
    } else {
        // all that there are stand in the answer
        (void)!call_pass_candidate(&leg->device, leg->call, NULL);
        result = call_accept(calls, &leg->device, now_us, leg->call, answer.sdp);
    }
    leg->accepted = true;
    free(answer.sdp);
    free(answer.sections);
    if (result < 0)
        hang_up(leg, now_us, FOCUS_METRIC_FAILED);
    return result == 0;
}

/** Takes the caller into the room. False: the call is over, or nobody knows yet. */
static bool come_in(struct focus_leg *leg, uint64_t now_us)
{
    if (!decide(leg))
        return false;
    if (leg->refused != FOCUS_METRIC_COUNT) {
        reject(leg, now_us, leg->refused, false);
        return false;
    }
    int result = enter(leg, now_us);
    if (result < 0)
        reject(leg, now_us, FOCUS_METRIC_REFUSED_ROOM, result == -ENOSPC || result == -ENFILE);
    return result == 0;
}

static void watch_path(struct focus_leg *leg, uint64_t now_us)
{
    if (leg->member->media_state == ROOM_MEDIA_CONNECTED || !list_empty(&leg->pathless_node))
        return;
    leg->pathless_us = now_us;
    list_append(&leg->focus->pathless, &leg->pathless_node);
}

void focus_leg_run(struct focus_leg *leg, uint64_t now_us)
{
    list_remove(&leg->due_node);
    if (leg->device.side_count == 0) {
        focus_leg_free(leg, now_us);
        return;
    }
    if (leg->over) {
        hang_up(leg, now_us, leg->over_metric);
        return;
    }
    if (!leg->member && !come_in(leg, now_us))
        return;
    if (leg->offer && !answer(leg, now_us))
        return;
    room_member_set_away(leg->member, leg->caller_away);
    watch_path(leg, now_us);
}
