/** Statistics of one session, asked of the worker that has it. Control thread. */
#pragma once

#include "base/handle.h"
#include "server/media_message.h"

struct media_host;

/** Questions that wait for their worker at most. */
#define MEDIA_STATS_WAITING_MAX 256

/**
 * Asks. `done` is called later, once, on the control thread: with the numbers (valid within the
 * call), or NULL when the session ended meanwhile. Returns 0; -ENOENT when there is no such
 * session; -ENOTCONN before its client was seen; -EAGAIN when too many wait.
 */
must_check int media_host_stats(struct media_host *host, handle session,
                                void (*done)(void *owner, const struct media_session_stats *stats),
                                void *owner);
