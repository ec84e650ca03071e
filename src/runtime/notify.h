/** The service manager's notification protocol (sd_notify), without libsystemd. */
#pragma once

#include "base/compiler.h"

struct notify {
    int fd;               /**< -1: not run by a service manager; every call is then a no-op */
    uint64_t watchdog_us; /**< how often at most notify_watchdog is expected, halved; 0: never */
};

/** Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them from the environment. */
void notify_init(struct notify *notify);
void notify_done(struct notify *notify);
/** READY=1 with a status line (may be NULL); also after a reload. */
void notify_ready(struct notify *notify, const char *status);
/** RELOADING=1 with the monotonic time that the protocol asks for. */
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);
void notify_status(struct notify *notify, const char *status);
void notify_watchdog(struct notify *notify);
