/**
 * What a session's client has not confirmed yet: replies and events with their numbers, for a
 * resume and for requests that are sent again. Bounded in bytes; the oldest go first.
 */
#pragma once

#include "base/bytes.h"

/** A message as JSON without its number. An event is shared by all sessions that get it. */
struct native_body {
    uint32_t references;
    uint64_t reply_to; /**< id of the request that one session made; 0: an event */
    size_t size;
    char text[];
};

/** A copy of `text` (an object) with one reference. */
struct native_body *native_body_new(struct bytes text, uint64_t reply_to);
struct native_body *native_body_take(struct native_body *body);
/** NULL is allowed. */
void native_body_release(struct native_body *body);

/** A ring; the messages' numbers follow each other without gaps. */
struct native_replay {
    struct native_body **items;
    size_t capacity; /**< a power of two, or 0 */
    size_t first;
    size_t count;
    size_t bytes;
    uint64_t next_seq; /**< of the next message */
};

void native_replay_init(struct native_replay *replay);
void native_replay_done(struct native_replay *replay);
/** Keeps a message (takes a reference of its own); returns its number. */
uint64_t native_replay_add(struct native_replay *replay, struct native_body *body,
                           size_t bytes_max);
/** The client has all up to `seq`. */
void native_replay_confirm(struct native_replay *replay, uint64_t seq);
/** True when all after `seq` is here. */
bool native_replay_reaches(const struct native_replay *replay, uint64_t seq);
/** Number of the oldest message kept; `next_seq` when there is none. */
uint64_t native_replay_oldest(const struct native_replay *replay);
/** The message of a number that is kept. */
struct native_body *native_replay_get(const struct native_replay *replay, uint64_t seq);
/** Number of the reply to a request, or 0 when it is not kept. */
uint64_t native_replay_find_reply(const struct native_replay *replay, uint64_t request_id);
