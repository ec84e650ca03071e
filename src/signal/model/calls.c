// Finding whom to call: users, links, busy devices, glare, time-outs.
#include "signal/model/calls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "signal/model/calls_int.h"

static const struct metric_description descriptions[CALL_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(CALL_METRIC_##id, __VA_ARGS__)
#include "signal/model/call_metrics.def"
#undef METRIC
};

static void set_defaults(struct call_directory_config *config)
{
    if (!config->ring_timeout_us)
        config->ring_timeout_us = 45 * TIME_US_PER_S;
    if (!config->user_count_max)
        config->user_count_max = 20000;
    if (!config->call_count_max)
        config->call_count_max = 20000;
}

static void init_keyed(struct map *map, struct random *random)
{
    uint64_t secret[2] = { random_u64(random), random_u64(random) };
    map_init(map, secret);
}

void call_directory_init(struct call_directory *directory,
                         const struct call_directory_config *config)
{
    *directory = (struct call_directory){ .config = *config };
    set_defaults(&directory->config);
    init_keyed(&directory->users, config->random);
    init_keyed(&directory->links, config->random);
    init_keyed(&directory->calls, config->random);
    list_init(&directory->ringing);
}

void call_directory_reload(struct call_directory *directory,
                           const struct call_directory_config *config)
{
    struct random *random = directory->config.random;
    directory->config = *config;
    directory->config.random = random;
    set_defaults(&directory->config);
}

void call_directory_done(struct call_directory *directory)
{
    // devices belong to bindings, which took them out before
    ensure(directory->users.count == 0 && directory->links.count == 0 &&
           directory->calls.count == 0);
    map_done(&directory->users);
    map_done(&directory->links);
    map_done(&directory->calls);
}

static struct call *first_ringing(const struct call_directory *directory)
{
    if (list_empty(&directory->ringing))
        return NULL;
    return container_of(directory->ringing.next, struct call, ringing_node);
}

void call_directory_tick(struct call_directory *directory, uint64_t now_us)
{
    struct call *call;
    while ((call = first_ringing(directory)) && call->deadline_us <= now_us) {
        metric_add(&directory->metrics[CALL_METRIC_TIMED_OUT], 1);
        call_end(directory, call, CALL_ENDED_TIMEOUT, NULL);
    }
}

uint64_t call_directory_deadline(const struct call_directory *directory)
{
    const struct call *call = first_ringing(directory);
    return call ? call->deadline_us : TIME_NEVER;
}

struct metric_set call_directory_metrics(const struct call_directory *directory)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = directory->metrics,
                                .count = CALL_METRIC_COUNT,
                                .labels = "" };
}

/** ---- devices and users ---- */

void call_device_init(struct call_device *device, const struct call_device_ops *ops)
{
    *device = (struct call_device){ .ops = ops };
    list_init(&device->user_node);
}

static void leave_call(struct call_directory *directory, struct call_device *device,
                       enum call_ended_reason reason)
{
    struct call *call = device->call;
    if (!call)
        return;
    if (call->state != CALL_ACCEPTED && device != call->caller)
        call_drop_leg(directory, call, device, reason);
    else
        call_end(directory, call, reason, device);
}

void call_device_done(struct call_directory *directory, struct call_device *device,
                      enum call_ended_reason reason)
{
    leave_call(directory, device, reason);
    (void)!call_device_unregister(directory, device);
    (void)!call_device_unlink(directory, device);
}

static void set_name(struct call_device *device, const char *name)
{
    snprintf(device->name, sizeof(device->name), "%s", name);
}

static struct call_user *user_new(struct call_directory *directory, const char *name)
{
    struct call_user *user = memory_new(struct call_user);
    snprintf(user->name, sizeof(user->name), "%s", name);
    list_init(&user->devices);
    map_set(&directory->users, bytes_of_text(name), user);
    metric_add(&directory->metrics[CALL_METRIC_USERS], 1);
    return user;
}

/** A name is shared by devices only when a token vouches for each of them. */
static bool may_share(const struct call_user *user, const struct call_device *device, bool verified)
{
    struct call_device *other;
    list_each(other, &user->devices, user_node)
    {
        if (other != device && !(other->verified && verified))
            return false;
    }
    return true;
}

/** Who waits at a link of that name is told to call. */
static void release_link(struct call_directory *directory, const char *link)
{
    struct call_device *waiting = map_find(&directory->links, bytes_of_text(link));
    if (!waiting)
        return;
    (void)!call_device_unlink(directory, waiting);
    call_notify(waiting, &(struct call_event){ .kind = CALL_EVENT_LINK_READY, .to = link });
}

int call_device_register(struct call_directory *directory, struct call_device *device,
                         const char *user_name, const char *name, bool verified)
{
    struct call_user *user = map_find(&directory->users, bytes_of_text(user_name));
    if (user && !may_share(user, device, verified))
        return -EEXIST;
    if (!user &&
        directory->users.count + directory->links.count >= directory->config.user_count_max)
        return -ENOSPC;
    if (!user || user != device->user) {
        (void)!call_device_unregister(directory, device);
        if (!user)
            user = user_new(directory, user_name);
        device->user = user;
        list_append(&user->devices, &device->user_node);
    }
    device->verified = verified;
    set_name(device, name ? name : user_name);
    if (strcmp(device->link, user_name) == 0)
        (void)!call_device_unlink(directory, device);
    release_link(directory, user_name);
    return 0;
}

int call_device_unregister(struct call_directory *directory, struct call_device *device)
{
    struct call_user *user = device->user;
    if (!user)
        return -ENOENT;
    device->user = NULL;
    device->verified = false;
    list_remove(&device->user_node);
    if (list_empty(&user->devices)) {
        map_remove(&directory->users, bytes_of_text(user->name));
        metric_subtract(&directory->metrics[CALL_METRIC_USERS], 1);
        free(user);
    }
    return 0;
}

const char *call_device_user(const struct call_device *device)
{
    return device->user ? device->user->name : NULL;
}

static bool all_busy(const struct call_user *user)
{
    struct call_device *device;
    list_each(device, &user->devices, user_node)
    {
        if (!device->call)
            return false;
    }
    return true;
}

int call_device_link(struct call_directory *directory, struct call_device *device, const char *link,
                     const char *name, bool *ret_waits)
{
    const struct call_user *user = map_find(&directory->users, bytes_of_text(link));
    const struct call_device *holder = map_find(&directory->links, bytes_of_text(link));
    bool own = holder == device || (user && user == device->user);
    if (!own && ((user && all_busy(user)) || (!user && holder && holder->call)))
        return -EBUSY;
    bool waits = own || (!user && !holder);
    if (waits && holder != device && !user &&
        directory->users.count + directory->links.count >= directory->config.user_count_max)
        return -ENOSPC;
    if (!device->verified) // else a link would put any name beside a user that a token vouches for
        set_name(device, name);
    if (waits && holder != device && !user) {
        (void)!call_device_unlink(directory, device);
        snprintf(device->link, sizeof(device->link), "%s", link);
        map_set(&directory->links, bytes_of_text(link), device);
    }
    *ret_waits = waits;
    return 0;
}

int call_device_unlink(struct call_directory *directory, struct call_device *device)
{
    if (!device->link[0])
        return -ENOENT;
    map_remove(&directory->links, bytes_of_text(device->link));
    device->link[0] = 0;
    return 0;
}

void call_device_set_away(struct call_device *device, bool away)
{
    if (device->away == away)
        return;
    device->away = away;
    struct call *call = device->call;
    if (call && call->state == CALL_ACCEPTED)
        call_notify(
            call_other(call, device),
            &(struct call_event){ .kind = CALL_EVENT_PEER, .call = call->id, .away = away });
}

/** ---- starting a call ---- */

/** Who is to ring. */
struct callees {
    struct call_device *devices[CALL_LEGS_MAX];
    size_t count;
    bool some_busy;
};

static void add_callee(struct callees *callees, struct call_device *device)
{
    if (device->call)
        callees->some_busy = true;
    else if (callees->count < CALL_LEGS_MAX)
        callees->devices[callees->count++] = device;
}

static void find_callees(const struct call_directory *directory, const char *to,
                         struct callees *callees)
{
    const struct call_user *user = map_find(&directory->users, bytes_of_text(to));
    struct call_device *device;
    if (user) {
        list_each(device, &user->devices, user_node) add_callee(callees, device);
        return;
    }
    device = map_find(&directory->links, bytes_of_text(to));
    if (device)
        add_callee(callees, device);
}

/** The call that a device of the callee's has placed to the caller's user and that still rings. */
static struct call *find_crossing(const struct call_directory *directory,
                                  const struct call_device *caller, const char *to)
{
    const struct call_user *callee = map_find(&directory->users, bytes_of_text(to));
    if (!callee || !caller->user)
        return NULL;
    struct call_device *device;
    list_each(device, &callee->devices, user_node)
    {
        struct call *call = device->call;
        if (call && call->caller == device && call->state != CALL_ACCEPTED &&
            strcmp(call->to, caller->user->name) == 0)
            return call;
    }
    return NULL;
}

/**
 * Both sides call each other at once. The call of the user whose name sorts first goes on,
 * whichever came first: so both sides, and one day two servers, come to the same end.
 */
static int settle_glare(struct call_directory *directory, const struct call_device *caller,
                        const char *to, bool *ret_glare)
{
    struct call *crossing = find_crossing(directory, caller, to);
    if (!crossing)
        return 0;
    if (caller->call && caller->call != crossing)
        return -EALREADY;
    metric_add(&directory->metrics[CALL_METRIC_GLARES], 1);
    if (strcmp(caller->user->name, to) > 0)
        return -EDEADLK;
    call_end(directory, crossing, CALL_ENDED_GLARE, NULL);
    *ret_glare = true;
    return 0;
}

static bool is_own_name(const struct call_device *device, const char *to)
{
    return (device->user && strcmp(device->user->name, to) == 0) ||
           (device->link[0] && strcmp(device->link, to) == 0);
}

int call_start(struct call_directory *directory, struct call_device *device, uint64_t now_us,
               const struct call_request *request, char ret_id[CALL_ID_SIZE])
{
    if (is_own_name(device, request->to))
        return -EINVAL;
    bool glare = false;
    int result = settle_glare(directory, device, request->to, &glare);
    if (result < 0)
        return result;
    if (device->call)
        return -EALREADY;
    struct callees callees = { 0 };
    find_callees(directory, request->to, &callees);
    if (callees.count == 0)
        return callees.some_busy ? -EBUSY : -ENOENT;
    if (directory->calls.count >= directory->config.call_count_max)
        return -ENOSPC;
    if (!device->name[0])
        set_name(device, request->name ? request->name : "Guest");
    const struct call *call =
        call_new(directory, device, now_us, request, callees.devices, callees.count, glare);
    memcpy(ret_id, call->id, CALL_ID_SIZE);
    return 0;
}
