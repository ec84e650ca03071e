// Starting a call: finding who is to ring, and what happens when both sides call each other.
#include <errno.h>
#include <string.h>

#include "signal/model/calls_int.h"

/** Who is to ring. */
struct callees {
    struct call_device *devices[CALL_CALLEES_MAX];
    size_t count;
    bool some_busy;
};

static void add_callee(struct callees *callees, struct call_device *device)
{
    if (call_device_is_busy(device))
        callees->some_busy = true;
    else if (callees->count < CALL_CALLEES_MAX)
        callees->devices[callees->count++] = device;
}

static void find_callees(const struct call_directory *directory, const char *to,
                         struct callees *callees)
{
    const struct call_user *user = map_find(&directory->users, bytes_of_text(to));
    struct call_device *device;
    if (presence_of(directory, to).presence == PRESENCE_DND) {
        callees->some_busy = true;
        return;
    }
    if (user) {
        list_each(device, &user->devices, user_node) add_callee(callees, device);
        return;
    }
    device = map_find(&directory->links, bytes_of_text(to));
    if (device)
        add_callee(callees, device);
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

/**
 * Both sides call each other at once. The call of the user whose name sorts first goes on,
 * whichever came first: so both sides, and one day two servers, come to the same end.
 */
static int settle_glare(struct call_directory *directory, const struct call_device *caller,
                        uint64_t now_us, const char *to, bool *ret_glare)
{
    struct call *crossing = find_crossing(directory, caller, to);
    if (!crossing)
        return 0;
    if (call_device_is_busy(caller) && !call_side_find(caller, crossing->record.id))
        return -EALREADY;
    metric_add(&directory->metrics[CALL_METRIC_GLARES], 1);
    if (strcmp(caller->user->name, to) > 0)
        return -EDEADLK;
    call_end(directory, crossing, now_us, CALL_ENDED_GLARE, NULL);
    *ret_glare = true;
    return 0;
}

static bool is_own_name(const struct call_device *device, const char *to)
{
    return (device->user && strcmp(device->user->name, to) == 0) ||
           (device->link[0] && strcmp(device->link, to) == 0);
}

/** Nobody rings; whoever was called may want to know of it later. */
static int refuse(const struct call_directory *directory, const struct call_device *caller,
                  uint64_t now_us, const struct call_request *request, bool busy)
{
    struct call_record record = call_record_begin(caller, now_us, request);
    call_directory_record(directory, &record, now_us,
                          busy ? CALL_ENDED_BUSY : CALL_ENDED_UNAVAILABLE);
    return busy ? -EBUSY : -ENOENT;
}

int call_start(struct call_directory *directory, struct call_device *device, uint64_t now_us,
               const struct call_request *request, char ret_id[CALL_ID_SIZE])
{
    if (is_own_name(device, request->to))
        return -EINVAL;
    bool glare = false;
    int result = settle_glare(directory, device, now_us, request->to, &glare);
    if (result < 0)
        return result;
    if (call_device_is_busy(device))
        return -EALREADY;
    if (!device->name[0])
        call_device_set_name(device, request->name ? request->name : "Guest");
    struct callees callees = { 0 };
    find_callees(directory, request->to, &callees);
    if (callees.count == 0)
        return refuse(directory, device, now_us, request, callees.some_busy);
    if (directory->calls.count >= directory->config.call_count_max)
        return -ENOSPC;
    const struct call *call =
        call_new(directory, device, now_us, request, callees.devices, callees.count, glare);
    memcpy(ret_id, call->record.id, CALL_ID_SIZE);
    return 0;
}
