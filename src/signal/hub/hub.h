/**
 * What all languages of signaling share: the rooms and the calls of this server, and the timer that
 * moves them on. A binding is given the hub, acts on `rooms` and `calls`, and says
 * signal_hub_changed afterwards. Of the control thread; outlives the bindings.
 */
#pragma once

#include "room/directory.h"
#include "runtime/loop.h"
#include "signal/anchor/anchor.h"
#include "signal/focus/focus.h"
#include "signal/messaging/messaging.h"
#include "signal/model/calls.h"

struct signal_hub_config {
    struct loop *loop;                  /**< of the control thread; required */
    struct random *random;              /**< the system's; required */
    struct media_control *media;        /**< required */
    struct room_directory_config rooms; /**< `media` and `random` are filled in */
    struct call_directory_config calls; /**< `random`, `anchor` and `rooms` are filled in */
    uint32_t anchored_count_max;        /**< calls whose media goes through us */
    bool require_token;                 /**< who calls a room must have shown a token */
    struct admission *admission;        /**< or is asked about; NULL: nobody decides */
    /** Whether what a token granted still holds; NULL: always. */
    bool (*grants_stand)(void *owner, const struct token_grants *grants);
    void *owner;             /**< of that */
    struct history *history; /**< of messages and calls; NULL: nothing is kept */
};

struct signal_hub {
    struct loop *loop;
    struct room_directory rooms;
    struct call_directory calls;
    struct messaging messaging;
    struct anchor anchor;
    struct focus focus;
    struct loop_timer timer;
};

void signal_hub_init(struct signal_hub *hub, const struct signal_hub_config *config);
/** After its bindings. */
void signal_hub_done(struct signal_hub *hub);
/** Takes new limits; who is in stays in. */
void signal_hub_reload(struct signal_hub *hub, const struct signal_hub_config *config);
/** Rooms or calls were changed: settles them; deadlines may be nearer. */
void signal_hub_changed(struct signal_hub *hub);
/** The owner of media was woken: takes its events. */
void signal_hub_media_ready(struct signal_hub *hub);
/** What `admission` says of a session that may be a call to a room. */
void signal_hub_admitted(struct signal_hub *hub, const char *session,
                         const struct admission_answer *answer);
/** Writes at most `capacity` metric sets; returns how many. */
size_t signal_hub_metrics(const struct signal_hub *hub, struct metric_set *sets, size_t capacity);
