#include "signal/model/messages.h"

#include "signal/model/calls_int.h"

static const struct call_user *find_user(const struct call_directory *directory, const char *name)
{
    return map_find(&directory->users, bytes_of_text(name));
}

/** A simple-peer client has no words for messages, though the engine that it speaks with has. */
static bool takes_messages(const struct call_device *device)
{
    return device->ops->message && device->binding != CALL_BINDING_RELAY;
}

struct message_audience message_audience(const struct call_directory *directory, const char *name,
                                         const struct call_device *except)
{
    struct message_audience audience = { 0 };
    const struct call_user *user = find_user(directory, name);
    if (!user)
        return audience;
    audience.is_registered = true;
    const struct call_device *device;
    list_each(device, &user->devices, user_node)
    {
        // devices that share a name are all verified
        audience.is_verified = device->verified;
        if (device == except || !takes_messages(device))
            continue;
        if (device->away)
            audience.away++;
        else
            audience.connected++;
    }
    return audience;
}

void message_hand_over(const struct call_directory *directory, const char *name,
                       const struct user_message *message, const struct call_device *except)
{
    const struct call_user *user = find_user(directory, name);
    if (!user)
        return;
    struct call_device *device;
    list_each(device, &user->devices, user_node)
    {
        if (device != except && takes_messages(device))
            device->ops->message(device, message);
    }
}

void message_tell_missed(const struct call_directory *directory, const char *name, uint64_t calls,
                         uint64_t messages)
{
    const struct call_user *user = find_user(directory, name);
    if (!user)
        return;
    struct call_device *device;
    list_each(device, &user->devices, user_node)
    {
        if (device->ops->missed && takes_messages(device))
            device->ops->missed(device, calls, messages);
    }
}

void message_note_more(const struct call_directory *directory, const char *name, bool more)
{
    const struct call_user *user = find_user(directory, name);
    if (!user)
        return;
    struct call_device *device;
    list_each(device, &user->devices, user_node)
    {
        device->more_waits = more;
    }
}
