// Starting a call: finding who is to ring, and what happens when both sides call each other.
#include <errno.h>
#include <string.h>

#include "signal/model/calls_int.h"

/** Places that the device gets back when the call that crosses the new one ends. */
static uint32_t freed(const struct call_plan *plan, const struct call_device *device)
{
    return plan->crossing && call_side_find(device, plan->crossing->record.id) ? 1 : 0;
}

static void add_callee(struct call_plan *plan, struct call_device *device)
{
    if (device->side_count - freed(plan, device) >= device->call_max)
        plan->some_busy = true;
    else if (plan->callee_count < CALL_CALLEES_MAX)
        plan->callees[plan->callee_count++] = device;
}

static void find_callees(const struct call_directory *directory, const char *to,
                         struct call_plan *plan)
{
    const struct call_user *user = map_find(&directory->users, bytes_of_text(to));
    struct call_device *device;
    if (presence_of(directory, to).presence == PRESENCE_DND) {
        plan->some_busy = true;
        return;
    }
    if (user) {
        list_each(device, &user->devices, user_node) add_callee(plan, device);
        return;
    }
    device = map_find(&directory->links, bytes_of_text(to));
    if (device)
        add_callee(plan, device);
}

/** The call that `device` has placed to `user` and that still rings. */
static struct call *find_placed(const struct call_device *device, const struct call_user *user)
{
    const struct call_side *side;
    list_each(side, &device->sides, device_node)
    {
        struct call *call = side->call;
        if (call_side_is_caller(side) && call->state != CALL_ACCEPTED &&
            strcmp(call->record.callee, user->name) == 0)
            return call;
    }
    return NULL;
}

/**
 * The call that crosses one of `caller` to `to`: a device of the callee's has placed it to the
 * caller's user. Devices that both have places for more calls may have both of them.
 */
static struct call *find_crossing(const struct call_directory *directory,
                                  const struct call_device *caller, const char *to)
{
    const struct call_user *callee = map_find(&directory->users, bytes_of_text(to));
    if (!callee || !caller->user)
        return NULL;
    const struct call_device *device;
    list_each(device, &callee->devices, user_node)
    {
        struct call *call = find_placed(device, caller->user);
        if (call && (device->call_max == 1 || caller->call_max == 1))
            return call;
    }
    return NULL;
}

/** Calls that it holds take no place, nor do those that end with the new one. */
static bool has_place(const struct call_device *device, const struct call_plan *plan)
{
    uint32_t back = freed(plan, device);
    return call_device_talking_count(device, plan->leaving) - back < device->call_max &&
           device->side_count - back < device->call_max + CALL_HELD_MAX;
}

/**
 * Both sides call each other at once. The call of the user whose name sorts first goes on,
 * whichever came first: so both sides, and one day two servers, come to the same end.
 */
static int settle_glare(struct call_directory *directory, const struct call_device *caller,
                        const char *to, struct call_plan *plan)
{
    struct call *crossing = find_crossing(directory, caller, to);
    if (!crossing)
        return 0;
    plan->crossing = crossing;
    if (!has_place(caller, plan))
        return -EALREADY;
    metric_add(&directory->metrics[CALL_METRIC_GLARES], 1);
    if (strcmp(caller->user->name, to) > 0)
        return -EDEADLK;
    return 0;
}

static bool may_call_room(const struct call_device *device)
{
    uint32_t count = 0;
    const struct call_side *side;
    list_each(side, &device->sides, device_node) count +=
        call_side_is_caller(side) && call_address_room(side->call->record.callee, NULL);
    return count < CALL_ROOMS_MAX;
}

static int find_room(const struct call_directory *directory, const struct call_device *device,
                     const struct call_request *request, const char *room, struct call_plan *plan)
{
    struct call_rooms *rooms = directory->config.rooms;
    if (!may_call_room(device))
        return -EMFILE;
    int result = rooms ? rooms->answerer(rooms, room, request->grants, &plan->callees[0]) : -ENOENT;
    plan->callee_count = result == 0;
    return result == -ENOENT ? 0 : result;
}

/**
 * Whom it rings: the device that the caller is handed on to, all of the callee's, or the one that
 * answers for a room. None: nobody is there.
 */
static int find_whom(const struct call_directory *directory, const struct call_device *device,
                     const struct call_request *request, struct call_plan *plan)
{
    char room[CALL_NAME_SIZE];
    if (plan->leaving)
        plan->replaced = call_transfer_replaced(directory, plan->leaving);
    if (plan->replaced)
        plan->callees[plan->callee_count++] = plan->replaced->device;
    else if (strlen(request->to) < sizeof(room) && call_address_room(request->to, room))
        return find_room(directory, device, request, room, plan);
    else
        find_callees(directory, request->to, plan);
    return 0;
}

/** A call that rings at the device, and gives way to one of another caller; NULL: none. */
static struct call *find_insistent(const struct call_directory *directory,
                                   const struct call_device *device, uint64_t now_us,
                                   const struct call_attempt *own)
{
    const struct call_side *side;
    list_each(side, &device->sides, device_node)
    {
        struct call *call = side->call;
        if (!call_side_is_caller(side) && call->attempt && call->attempt != own &&
            call_attempt_gives_way(&directory->attempts, call->attempt, now_us))
            return call;
    }
    return NULL;
}

/** Who rings again and again does not keep others from ringing. */
static void have_insistent_give_way(struct call_directory *directory, uint64_t now_us,
                                    const char *to, const struct call_attempt *own,
                                    struct call_plan *plan)
{
    struct call_device *device = NULL;
    struct call *call = NULL;
    if (call_attempt_gives_way(&directory->attempts, own, now_us) ||
        presence_of(directory, to).presence == PRESENCE_DND)
        return;
    while (!call && (device = call_user_next(directory, to, device)))
        call = find_insistent(directory, device, now_us, own);
    device = map_find(&directory->links, bytes_of_text(to));
    if (!call && device)
        call = find_insistent(directory, device, now_us, own);
    if (!call)
        return;
    metric_add(&directory->metrics[CALL_METRIC_GAVE_WAY], 1);
    call_end(directory, call, now_us, CALL_ENDED_BUSY, NULL);
    plan->some_busy = false;
    find_callees(directory, to, plan);
}

/** Nobody rings; whoever was called may want to know of it later. */
static int refuse(const struct call_directory *directory, const struct call_device *caller,
                  uint64_t now_us, const struct call_request *request, const struct call_plan *plan)
{
    enum call_ended_reason reason = plan->some_busy ? CALL_ENDED_BUSY : CALL_ENDED_UNAVAILABLE;
    struct call_record record = call_record_begin(caller, now_us, request);
    call_directory_record(directory, &record, now_us, reason);
    if (plan->leaving)
        call_transfer_failed(plan->leaving, reason);
    return plan->some_busy ? -EBUSY : -ENOENT;
}

int call_start(struct call_directory *directory, struct call_device *device, uint64_t now_us,
               const struct call_request *request, char ret_id[CALL_ID_SIZE])
{
    if (call_device_is_at(device, request->to))
        return -EINVAL;
    struct call_plan plan = { .leaving = call_transfer_find(device, request) };
    int result = settle_glare(directory, device, request->to, &plan);
    if (result < 0)
        return result;
    if (!has_place(device, &plan))
        return -EALREADY;
    result = find_whom(directory, device, request, &plan);
    if (result < 0 && plan.leaving)
        call_transfer_failed(plan.leaving, CALL_ENDED_REJECTED);
    if (result < 0)
        return result;
    const struct call_attempt *own = call_attempts_find(&directory->attempts, device, request->to);
    if (plan.callee_count == 0 && plan.some_busy)
        have_insistent_give_way(directory, now_us, request->to, own, &plan);
    if (plan.callee_count == 0)
        return refuse(directory, device, now_us, request, &plan);
    if (!plan.replaced && !call_attempt_may_ring(&directory->attempts, own, now_us)) {
        metric_add(&directory->metrics[CALL_METRIC_INSISTENT], 1);
        return -EAGAIN;
    }
    if (directory->calls.count >= directory->config.call_count_max + (plan.crossing ? 1 : 0))
        return -ENOSPC;
    struct call *call = NULL;
    result = call_new(directory, device, now_us, request, &plan, &call);
    if (result < 0 && plan.leaving)
        call_transfer_failed(plan.leaving, CALL_ENDED_MEDIA);
    if (result < 0)
        return result;
    memcpy(ret_id, call->record.id, CALL_ID_SIZE);
    return 0;
}
