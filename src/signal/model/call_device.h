/**
 * Users and their devices. A device is one reachable session of whatever binding (a browser tab, an
 * MQTT client, a PeerJS peer). It is callable under a user name, at a link, or not at all.
 */
#pragma once

#include "base/address.h"
#include "base/list.h"
#include "signal/model/call_event.h"
#include "signal/model/messages.h"
#include "signal/model/presence.h"

#define CALL_NAME_SIZE      65
#define CALL_DEVICE_ID_SIZE 12

struct call_directory;
struct call_user;

/** The languages by which devices are connected. */
enum call_binding {
#define CALL_BINDING(id, ...) CALL_BINDING_##id,
#include "signal/model/call_bindings.def"
#undef CALL_BINDING
    CALL_BINDING_COUNT,
};

/** How a device hears of things. It must not call into the model from within. */
struct call_device_ops {
    void (*notify)(struct call_device *device, const struct call_event *event);
    /** A message came, or another device of the user sent it. NULL: it takes none. */
    void (*message)(struct call_device *device, const struct user_message *message);
    /** So much waits for its user. NULL: it has no words for that. */
    void (*missed)(struct call_device *device, uint64_t calls, uint64_t messages);
    /** The user wants it gone: it disconnects, and is no device any more when this returns. */
    void (*disconnect)(struct call_device *device, uint64_t now_us);
};

/** Embedded in a binding's session. */
struct call_device {
    const struct call_device_ops *ops;
    enum call_binding binding;
    uint32_t call_max;         /**< calls it takes part in at once */
    struct list user_node;     /**< in its user's devices */
    struct call_user *user;    /**< NULL: not registered */
    char link[CALL_NAME_SIZE]; /**< where it waits; "": nowhere */
    char name[CALL_NAME_SIZE]; /**< display name; "": none */
    bool verified;             /**< a token or password vouched for the user name */
    bool trickles;     /**< [true] its language has candidates apart from descriptions (RFC 8838) */
    bool renegotiates; /**< by its binding: it takes offers within a call */
    bool transfers;    /**< [false] it follows CALL_EVENT_TRANSFER, and calls that replace others */
    bool loopback;     /**< it reached the server over loopback */
    bool away;         /**< its connection is lost, and it may come back */
    enum presence choice;         /**< what it says about its user: online, away or dnd */
    bool more_waits;              /**< of what its user missed: see messaging_give_more */
    char id[CALL_DEVICE_ID_SIZE]; /**< by which its user knows it, from its first registration on */
    struct net_address remote;    /**< filled in by the binding; NET_NONE: not known */
    int64_t since_unix_ms; /**< of the registration; filled in by the binding; 0: not known */
    struct list sides;     /**< struct call_side: the calls it takes part in, ringing ones too */
    uint32_t side_count;
};

/** `call_max`, `trickles` and `transfers` become what is usual, and may be changed for the calls to
 * come. */
void call_device_init(struct call_device *device, const struct call_device_ops *ops,
                      enum call_binding binding);
/** The device, which has no calls, speaks another language from now on; its name stays. */
void call_device_set_binding(struct call_directory *directory, struct call_device *device,
                             enum call_binding binding);
/** Takes the device out of everything: its calls end with `reason` for the other sides. */
void call_device_done(struct call_directory *directory, struct call_device *device, uint64_t now_us,
                      enum call_ended_reason reason);
/**
 * Makes the device callable as `user`, instead of what it was before. `verified`: something vouches
 * for its right to the name. Returns 0, -EEXIST (another device has the name, and this one is not
 * verified; one that is takes it from those that are not, who are told), -EACCES (an account's
 * name, not verified, or a room's address) or -ENOSPC.
 */
must_check int call_device_register(struct call_directory *directory, struct call_device *device,
                                    const char *user, const char *name, bool verified);
/** Returns 0 or -ENOENT. */
must_check int call_device_unregister(struct call_directory *directory, struct call_device *device);
/**
 * Comes to a link. Returns 0 with `ret_waits`: true, it waits there now; false, someone is there to
 * be called. -EBUSY: who is there is in a call; -EACCES: an account's name, and nobody is there;
 * -ENOSPC.
 */
must_check int call_device_link(struct call_directory *directory, struct call_device *device,
                                const char *link, const char *name, bool *ret_waits);
/** Returns 0 or -ENOENT. */
must_check int call_device_unlink(struct call_directory *directory, struct call_device *device);
/** The devices of its user, itself among them, at most `limit`. Returns how many. */
size_t call_device_list(const struct call_device *device, size_t limit,
                        const struct call_device **ret_devices);
/**
 * Walks the devices that are callable as `user`: the first for `after` NULL, then the one after it;
 * NULL at the end. `after` must still be one of them.
 */
struct call_device *call_user_next(const struct call_directory *directory, const char *user,
                                   const struct call_device *after);
/** Disconnects the device of its user with that id. Returns 0, -ENOENT, or -EINVAL: it is itself.
 */
must_check int call_device_revoke(struct call_directory *directory, struct call_device *device,
                                  uint64_t now_us, const char *id);
/**
 * Sends all devices of a user away whose right to the name was proven: the account is gone, or has
 * another password.
 */
void call_user_sign_out(struct call_directory *directory, uint64_t now_us, const char *user);
/**
 * An account of that name was made: devices that have the name without proof, or wait at a link of
 * it, lose it and are told (CALL_EVENT_UNREGISTERED); calls that ring at them end.
 */
void call_name_claim(struct call_directory *directory, uint64_t now_us, const char *name);
/** The name it is callable under; NULL: none. */
const char *call_device_user(const struct call_device *device);
/** Whether it has no place for one more call that comes. */
bool call_device_is_busy(const struct call_device *device);
/** Whether one of its calls was accepted. */
bool call_device_talks(const struct call_device *device);
/** Tells the other sides of accepted calls. */
void call_device_set_away(struct call_directory *directory, struct call_device *device, bool away);
/** The binding's name for logs, metrics and the history. */
const char *call_binding_text(enum call_binding binding);
