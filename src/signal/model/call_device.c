// Devices: how they become callable, and what they are called.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "signal/model/calls_int.h"

static const struct {
    const char *text;
    uint32_t call_max;
    bool renegotiates;
} bindings[CALL_BINDING_COUNT] = {
#define CALL_BINDING(id, ...) [CALL_BINDING_##id] = { __VA_ARGS__ },
#include "signal/model/call_bindings.def"
#undef CALL_BINDING
};

const char *call_binding_text(enum call_binding binding)
{
    return bindings[binding].text;
}

void call_device_init(struct call_device *device, const struct call_device_ops *ops,
                      enum call_binding binding)
{
    *device = (struct call_device){ .ops = ops,
                                    .binding = binding,
                                    .trickles = true,
                                    .renegotiates = bindings[binding].renegotiates,
                                    .call_max = bindings[binding].call_max,
                                    .choice = PRESENCE_ONLINE };
    list_init(&device->user_node);
    list_init(&device->sides);
}

void call_device_set_binding(struct call_directory *directory, struct call_device *device,
                             enum call_binding binding)
{
    ensure(device->side_count == 0);
    device->binding = binding;
    device->call_max = bindings[binding].call_max;
    device->renegotiates = bindings[binding].renegotiates;
    if (device->user) // who is seen by the languages of its devices
        presence_touch(directory, device->user->name);
}

static struct call_side *first_side(const struct call_device *device)
{
    if (list_empty(&device->sides))
        return NULL;
    return container_of(device->sides.next, struct call_side, device_node);
}

void call_device_done(struct call_directory *directory, struct call_device *device, uint64_t now_us,
                      enum call_ended_reason reason)
{
    struct call_side *side;
    while ((side = first_side(device)))
        call_leave(directory, side, now_us, reason);
    (void)!call_device_unregister(directory, device);
    (void)!call_device_unlink(directory, device);
}

bool call_device_is_busy(const struct call_device *device)
{
    return device->side_count >= device->call_max;
}

bool call_device_talks(const struct call_device *device)
{
    const struct call_side *side;
    list_each(side, &device->sides, device_node)
    {
        if (side->call->state == CALL_ACCEPTED)
            return true;
    }
    return false;
}

uint32_t call_device_talking_count(const struct call_device *device, const struct call_side *except)
{
    uint32_t count = 0;
    const struct call_side *side;
    list_each(side, &device->sides, device_node) count += !side->holds && side != except ? 1 : 0;
    return count;
}

bool call_device_is_at(const struct call_device *device, const char *name)
{
    return (device->user && strcmp(device->user->name, name) == 0) ||
           (device->link[0] && strcmp(device->link, name) == 0);
}

void call_device_set_name(struct call_device *device, const char *name)
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

static bool is_account(const struct call_directory *directory, const char *name)
{
    const struct call_directory_config *config = &directory->config;
    return config->is_account && config->is_account(config->owner, name);
}

/** The display name of the account of that name; NULL: there is none. */
static const char *account_name(const struct call_directory *directory, const char *user_name)
{
    const struct call_directory_config *config = &directory->config;
    struct contact_account account;
    // of all that begin so, the name itself sorts first
    bool found = config->accounts && config->accounts(config->owner, user_name, 1, &account) == 1 &&
                 strcmp(account.user, user_name) == 0;
    return found ? account.name : NULL;
}

static struct call_device *find_guest(const struct call_directory *directory, const char *user_name,
                                      const struct call_device *except)
{
    const struct call_user *user = map_find(&directory->users, bytes_of_text(user_name));
    struct call_device *device;
    if (!user)
        return NULL;
    list_each(device, &user->devices, user_node)
    {
        if (device != except && !device->verified)
            return device;
    }
    return NULL;
}

static void tell_unregistered(struct call_device *device, const char *name)
{
    call_notify(device, &(struct call_event){ .kind = CALL_EVENT_UNREGISTERED, .to = name });
}

/** Who took the name without proof loses it to whoever has one. */
static void put_guests_out(struct call_directory *directory, const char *user_name,
                           const struct call_device *except)
{
    struct call_device *guest;
    while ((guest = find_guest(directory, user_name, except))) {
        (void)!call_device_unregister(directory, guest);
        tell_unregistered(guest, user_name);
    }
}

/** A call that rings at the device because of its name; NULL: none does. */
static struct call *find_ringing(const struct call_device *device, const char *name)
{
    const struct call_side *side;
    list_each(side, &device->sides, device_node)
    {
        struct call *call = side->call;
        if (!call_side_is_caller(side) && call->state != CALL_ACCEPTED &&
            strcmp(call->record.callee, name) == 0)
            return call;
    }
    return NULL;
}

static void end_ringing(struct call_directory *directory, uint64_t now_us,
                        const struct call_device *device, const char *name)
{
    struct call *call;
    while ((call = find_ringing(device, name)))
        call_end(directory, call, now_us, CALL_ENDED_UNAVAILABLE, NULL);
}

void call_name_claim(struct call_directory *directory, uint64_t now_us, const char *name)
{
    struct call_device *device;
    while ((device = find_guest(directory, name, NULL))) {
        end_ringing(directory, now_us, device, name);
        (void)!call_device_unregister(directory, device);
        tell_unregistered(device, name);
    }
    device = map_find(&directory->links, bytes_of_text(name));
    if (!device)
        return;
    end_ringing(directory, now_us, device, name);
    (void)!call_device_unlink(directory, device);
    tell_unregistered(device, name);
}

int call_device_register(struct call_directory *directory, struct call_device *device,
                         const char *user_name, const char *name, bool verified)
{
    if ((!verified && is_account(directory, user_name)) || call_address_room(user_name, NULL))
        return -EACCES;
    if (verified)
        put_guests_out(directory, user_name, device);
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
        if (!device->id[0])
            random_identifier(directory->config.random, device->id, CALL_DEVICE_ID_SIZE - 1);
        list_append(&user->devices, &device->user_node);
    }
    device->verified = verified;
    // an account's own name, where it has one, so that nobody takes another's
    const char *own = verified ? account_name(directory, user_name) : NULL;
    call_device_set_name(device, own ? own : name ? name : user_name);
    if (verified || !directory->config.hide_guests)
        contact_index_add(&directory->shown, user);
    presence_touch(directory, user_name);
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
    device->choice = PRESENCE_ONLINE;
    device->more_waits = false;
    list_remove(&device->user_node);
    presence_touch(directory, user->name);
    if (list_empty(&user->devices)) {
        contact_index_remove(&directory->shown, user);
        map_remove(&directory->users, bytes_of_text(user->name));
        metric_subtract(&directory->metrics[CALL_METRIC_USERS], 1);
        free(user);
    }
    return 0;
}

struct call_device *call_user_next(const struct call_directory *directory, const char *name,
                                   const struct call_device *after)
{
    const struct call_user *user = map_find(&directory->users, bytes_of_text(name));
    if (!user)
        return NULL;
    struct list *node = after ? after->user_node.next : user->devices.next;
    return node == &user->devices ? NULL : container_of(node, struct call_device, user_node);
}

size_t call_device_list(const struct call_device *device, size_t limit,
                        const struct call_device **ret_devices)
{
    size_t count = 0;
    const struct call_device *other;
    if (!device->user)
        return 0;
    list_each(other, &device->user->devices, user_node)
    {
        if (count < limit)
            ret_devices[count++] = other;
    }
    return count;
}

int call_device_revoke(struct call_directory *directory, struct call_device *device,
                       uint64_t now_us, const char *id)
{
    struct call_device *other;
    if (!device->user)
        return -ENOENT;
    if (strcmp(device->id, id) == 0)
        return -EINVAL;
    list_each(other, &device->user->devices, user_node)
    {
        if (strcmp(other->id, id) != 0 || !other->ops->disconnect)
            continue;
        metric_add(&directory->metrics[CALL_METRIC_REVOKED], 1);
        other->ops->disconnect(other, now_us);
        return 0;
    }
    return -ENOENT;
}

static struct call_device *proven_device(const struct call_directory *directory, const char *name)
{
    const struct call_user *user = map_find(&directory->users, bytes_of_text(name));
    struct call_device *device;
    if (!user)
        return NULL;
    list_each(device, &user->devices, user_node)
    {
        if (device->verified && device->ops->disconnect)
            return device;
    }
    return NULL;
}

void call_user_sign_out(struct call_directory *directory, uint64_t now_us, const char *name)
{
    struct call_device *device;
    while ((device = proven_device(directory, name))) {
        metric_add(&directory->metrics[CALL_METRIC_REVOKED], 1);
        device->ops->disconnect(device, now_us);
    }
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
        if (!call_device_is_busy(device))
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
    bool of_room = call_address_room(link, NULL); // a room is always there to be called
    if (!own && ((user && all_busy(user)) || (!user && holder && call_device_is_busy(holder))))
        return -EBUSY;
    bool comes_to_wait = !user && !holder && !of_room;
    if (comes_to_wait && is_account(directory, link)) // calls to it would reach a stranger
        return -EACCES;
    if (comes_to_wait &&
        directory->users.count + directory->links.count >= directory->config.user_count_max)
        return -ENOSPC;
    if (!device->verified) // else a link would put any name beside a user that a token vouches for
        call_device_set_name(device, name);
    if (comes_to_wait) {
        (void)!call_device_unlink(directory, device);
        snprintf(device->link, sizeof(device->link), "%s", link);
        map_set(&directory->links, bytes_of_text(link), device);
    }
    *ret_waits = own || comes_to_wait;
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

void call_device_set_away(struct call_directory *directory, struct call_device *device, bool away)
{
    if (device->away == away)
        return;
    device->away = away;
    if (device->user)
        presence_touch(directory, device->user->name);
    const struct call_side *side;
    list_each(side, &device->sides, device_node)
    {
        if (side->call->state != CALL_ACCEPTED)
            continue;
        struct call_event event = { .kind = CALL_EVENT_PEER,
                                    .call = side->call->record.id,
                                    .away = away };
        call_notify(call_side_other(side)->device, &event);
    }
}
