/** What the native_*.c files share: the engine, its connections and sessions. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "room/directory.h"
#include "runtime/address_limit.h"
#include "signal/access/admission.h"
#include "signal/access/token.h"
#include "signal/access/turn_offer.h"
#include "signal/messaging/messaging.h"
#include "signal/model/calls.h"
#include "signal/native/native.h"
#include "signal/native/native_replay.h"
#include "signal/native/wire.h"

#define NATIVE_VERSION           1
#define NATIVE_SESSION_ID_LENGTH 16
#define NATIVE_TOKEN_LENGTH      32

/** Close codes (RFC 6455, 7.4; 4000 on are ours). */
enum native_close {
    NATIVE_CLOSE_NORMAL = 1000,
    NATIVE_CLOSE_GOING_AWAY = 1001,
    NATIVE_CLOSE_POLICY = 1008,
    NATIVE_CLOSE_TOO_LARGE = 1009,
    NATIVE_CLOSE_TRY_LATER = 1013,
    NATIVE_CLOSE_TAKEN_OVER = 4000,
    NATIVE_CLOSE_REVOKED = 4001,
};

enum native_metric {
#define METRIC(id, kind, name, labels, help) NATIVE_METRIC_##id,
#include "signal/native/native_metrics.def"
#undef METRIC
    NATIVE_METRIC_COUNT,
};

struct signal_native {
    struct native_config config;
    uint64_t unix_at_zero_us;
    struct map sessions;                /**< by id */
    struct map logins;                  /**< sessions that have one, by its name */
    struct list waiting;                /**< connections without a session, the oldest first */
    struct list connected;              /**< connections with one */
    struct list away;                   /**< sessions without a connection, the longest first */
    struct address_limit address_limit; /**< of sessions */
    struct bytes input;                 /**< what is being read */
    struct json_text out;               /**< what is being written */
    struct json_text frame;             /**< what is being sent: `out` with its number */
    uint64_t shared_serial;             /**< of the room event that `shared` says */
    struct native_body *shared;
    uint64_t kept_bytes; /**< unconfirmed messages of all sessions */
    uint64_t sent_count; /**< numbered messages so far, and their bytes */
    uint64_t sent_bytes;
    metric_value metrics[NATIVE_METRIC_COUNT];
    metric_value requests[WIRE_REQUEST_COUNT];
    metric_value errors[WIRE_ERROR_COUNT];
};

/**
 * A token bucket: a message costs one token and one more for each 4 KiB, and afterwards what it
 * made us send. That may leave a debt, so nothing is refused for the size of its audience alone.
 */
struct native_bucket {
    uint64_t refilled_us;
    int64_t millitokens;
    uint32_t refused; /**< in tokens, less what passed since */
};

/** Whom a transport vouches for: struct native_login, kept. */
struct native_identity {
    char *name; /**< of the session; NULL: this one says hello */
    char *user;
    enum call_binding binding;
};

struct native_connection {
    struct list node; /**< in waiting or connected */
    struct signal_native *native;
    struct native_session *session; /**< NULL before hello, or after another took it over */
    struct native_transport *transport;
    void *socket;
    struct net_address remote;
    char *host; /**< by which the client reached us; NULL: not known */
    struct native_identity identity;
    bool hears; /**< with `identity`: what is sent to it arrives */
    uint64_t opened_us;
    struct native_bucket bucket;
    bool closing; /**< by us: nothing is sent or heard any more */
};

/** A request that waits until it is decided whether its sender may come in. */
struct native_parked {
    char *text; /**< as it came; NULL: none waits */
    size_t size;
    uint64_t id;
    bool for_keys;                   /**< else for an answer of `admission` */
    bool ready;                      /**< it can run */
    struct admission_answer *answer; /**< NULL: look at the token again */
};

/** A request that waits for the disk. */
struct native_pending {
    uint64_t request; /**< its id */
    enum wire_request_type type;
    struct messaging_receipt receipt; /**< of a message */
    bool seen;                        /**< of a list of calls */
};

/** A message that was handed to the client. */
struct native_handed {
    uint64_t seq;
    char id[MESSAGE_ID_SIZE];
};

/** Those that it has not confirmed, the oldest first. */
struct native_unconfirmed {
    struct native_handed *items;
    size_t count;
    size_t capacity;
};

struct native_session {
    struct list away_node;
    struct signal_native *native;
    struct native_connection *connection; /**< NULL: away */
    char id[NATIVE_SESSION_ID_LENGTH + 1];
    char token[NATIVE_TOKEN_LENGTH + 1];
    struct net_address remote;
    uint64_t away_since_us;
    uint64_t last_request_id;
    struct native_replay replay;
    struct room_observer observer;
    struct room_member *member;  /**< NULL: in no room */
    bool name_is_fixed;          /**< a token gave the member's name */
    bool admitted;               /**< showed a valid token or password */
    bool moderates;              /**< its account is a moderator's, in rooms that ask no token */
    struct token_grants *grants; /**< of the token it registered with, if that is for rooms */
    struct native_parked parked;
    struct call_device device;
    bool relays;                      /**< speaks `relay` instead of calls */
    enum call_binding binding_before; /**< of a session that relays: when it did not */
    struct list relayed;              /**< struct native_relayed: whom it has something with */
    struct presence_watcher watcher;  /**< of its contacts */
    struct native_identity identity;
    uint64_t handed_seq; /**< the last message that its transport took */
    struct native_unconfirmed unconfirmed;
    struct native_pending *pending; /**< in no order */
    size_t pending_count;
};

/** ---- native_send.c ---- */

/** The client has all up to `seq`. */
void native_confirm(struct native_session *session, uint64_t seq);
/** Whether sessions keep more unconfirmed messages than they may together. */
bool native_keeps_too_much(const struct signal_native *native);

/** Closes a connection from our side. */
void native_close_connection(struct native_connection *connection, uint16_t code,
                             const char *reason);
/** Sends `native->out` as it is, without a number: to connections without a session. */
void native_send_bare(struct native_connection *connection);
/** Numbers, keeps and sends a body. */
void native_send_body(struct native_session *session, struct native_body *body);
/** Numbers, keeps and sends what was written to `native->out` with wire_write_... */
void native_send_event(struct native_session *session);
void native_send_reply(struct native_session *session, uint64_t request_id);
/** Sends a kept message once more. */
void native_send_again(struct native_session *session, uint64_t seq);
/** The writer for the next message, empty. */
struct json_text *native_out(struct signal_native *native);

void native_ok(struct native_session *session, const struct wire_message *message);
/** `sentence` NULL: the schema's. */
void native_refuse(struct native_session *session, const struct wire_message *message,
                   enum wire_error error, const char *sentence);
void native_refuse_bare(struct native_connection *connection, uint64_t id, enum wire_error error,
                        const char *sentence);

/** ---- native_contacts.c ---- */

void native_contacts_init(struct native_session *session);
/** Watches no contacts any more. */
void native_contacts_done(struct native_session *session);

/** ---- native_messages.c ---- */

void native_message_came(struct call_device *device, const struct user_message *message);
void native_missed_some(struct call_device *device, uint64_t calls, uint64_t messages);
/** The client has all up to `seq`. */
void native_messages_confirmed(struct native_session *session, uint64_t seq);
/** The session ends. `lost`: its client was not heard any more; what it has not confirmed waits. */
void native_messages_done(struct native_session *session, bool lost);
/**
 * Gives a device that has just come what its user's other devices were handed and have not
 * confirmed: their connections may be dead.
 */
void native_messages_catch_up(struct native_session *session);
/** Whether the reply to this request is still to come. */
bool native_is_pending(const struct native_session *session, uint64_t request);

/** ---- native_devices.c ---- */

/** It has a user name now; `is_new`: it had not, or another, and hears what it is given. */
void native_device_registered(struct native_session *session, uint64_t now_us, bool is_new);
/** call_device_ops.disconnect. */
void native_device_revoked(struct call_device *device, uint64_t now_us);

/** ---- native_session.c ---- */

/** A session for a connection that has none. NULL: the server is full. */
struct native_session *native_session_new(struct native_connection *connection);
/** Joins the two. */
void native_session_attach(struct native_session *session, struct native_connection *connection);
/** The client is back: it gets what it missed since `last_seq`. Returns how many messages. */
uint64_t native_session_send_missed(struct native_session *session, uint64_t last_seq);
/** Others hear that it is back. */
void native_session_come_back(struct native_session *session);
void native_welcome(struct native_session *session, uint64_t now_us, uint64_t id);
void native_hello(struct native_connection *connection, uint64_t now_us,
                  const struct wire_message *message);
void native_resume(struct native_connection *connection, uint64_t now_us,
                   const struct wire_message *message);
void native_ping(struct native_connection *connection, const struct wire_message *message);
/** Leaves the session waiting for a resume. */
void native_session_detach(struct native_session *session, uint64_t now_us);
/** Ends the session; its connection, if any, stays without one. */
void native_session_end(struct native_session *session, uint64_t now_us, bool lost);
/** Frees a session without telling anyone. */
void native_session_free(struct native_session *session);

/** ---- native.c ---- */

/** A connection without a session. NULL: there are too many. */
struct native_connection *native_connection_new(struct signal_native *native, uint64_t now_us,
                                                struct native_transport *transport, void *socket,
                                                const struct net_address *remote);

/** ---- native_login.c ---- */

/** A session for a connection that has a login and no session, registered. NULL: it is full. */
struct native_session *native_login_begin(struct native_connection *connection, uint64_t now_us);
void native_identity_done(struct native_identity *identity);
/** `hello` of a client with a login: whatever it did before is over, and it has a new session. */
void native_login_again(struct native_connection *connection, uint64_t now_us,
                        const struct wire_message *message);

/** ---- handlers, by family ---- */

typedef void native_handler(struct native_session *session, uint64_t now_us,
                            const struct wire_message *message);

native_handler native_goodbye;                              // native_session.c
native_handler native_ice_request;                          // native_ice.c
native_handler native_join, native_leave, native_update;    // native_room.c
native_handler native_offer, native_candidate, native_mute; // native_media.c
native_handler native_subscribe, native_unsubscribe, native_wish;
native_handler native_chat, native_keys;               // native_chat.c
native_handler native_kick, native_lock, native_block; // native_moderation.c
native_handler native_promote, native_end;
native_handler native_register, native_unregister, native_link, native_unlink; // native_call.c
native_handler native_call, native_call_ringing, native_call_accept, native_call_reject;
native_handler native_call_cancel, native_call_hangup, native_call_candidate;
native_handler native_call_offer, native_call_answer, native_call_hold, native_call_transfer;
native_handler native_contacts, native_presence;              // native_contacts.c
native_handler native_message, native_messages, native_calls; // native_messages.c
native_handler native_devices, native_device_revoke;          // native_devices.c
native_handler native_relay;                                  // native_relay.c

/** True when the session is in a room; else refuses. */
bool native_need_member(struct native_session *session, const struct wire_message *message);
/** Unix time. */
uint64_t native_unix_us(const struct signal_native *native, uint64_t now_us);
/** ---- native_admission.c ---- */

/**
 * Decides whether someone may do what `question` says (its `session` and `remote` are filled in).
 * Returns true with `ret_grants` (zeroed when there is no token and none is needed); else the
 * request is refused, or parked: it will run again.
 */
bool native_admit(struct native_session *session, uint64_t now_us,
                  const struct wire_message *message, struct admission_question *question,
                  struct token_grants *ret_grants);
/** Runs the request that was parked, when it can and the client is connected. */
void native_run_parked(struct native_session *session, uint64_t now_us);
void native_parked_done(struct native_parked *parked);
/** native.c: carries a request out. */
void native_handle(struct native_session *session, uint64_t now_us,
                   const struct wire_message *message);

/** The ICE servers of a session as the protocol has them. Points into itself; holds a secret. */
struct native_ice {
    struct wire_ice_server *servers;
    size_t count;
    struct turn_ticket ticket;
};
/** For a reply to `session`, whose connection is there. */
void native_ice_init(struct native_ice *ice, const struct native_session *session, uint64_t now_us);
/** Once the reply is written. */
void native_ice_done(struct native_ice *ice);

struct wire_limits native_limits(const struct signal_native *native);

/** ---- native_call.c, native_relay.c ---- */

/** Refuses what call_start refused with that result. */
void native_refuse_call(struct native_session *session, const struct wire_message *message,
                        int result);
/** Whether the session can begin to speak `relay`, or cease to: not while it has calls. */
bool native_relay_may_set(const struct native_session *session, bool relays);
/** It does so from now on; its name stays. */
void native_relay_set(struct native_session *session, bool relays);
/** What a call says to a session that speaks `relay`. */
void native_relay_event(struct native_session *session, const struct call_event *event);
void native_relay_done(struct native_session *session);

/** ---- native_events.c, native_call_events.c ---- */

/** As the protocol shows them; the texts are the member's and the publication's own. */
struct wire_member native_wire_member(const struct room_member *member);
struct wire_track native_wire_track(const struct room_publication *publication);
void native_room_notify(struct room_observer *observer, const struct room_event *event);
extern const struct call_device_ops native_call_ops;
/** Of a client that asks and does not listen. */
extern const struct call_device_ops native_deaf_ops;

static inline void native_count(struct signal_native *native, enum native_metric metric,
                                uint64_t amount)
{
    metric_add(&native->metrics[metric], amount);
}
