#include "runtime/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "runtime/clock.h"

/** Connects to `path`; a leading '@' means an abstract name. Returns -1 on any failure. */
static int connect_to(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    size_t length = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof(name.sun_path))
        return -1;
    memcpy(name.sun_path, path, length);
    if (path[0] == '@')
        name.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (connect(fd, (struct sockaddr *)&name, size) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/** WATCHDOG_USEC when it is meant for this process, halved as the protocol advises. */
static uint64_t watchdog_interval(void)
{
    const char *interval = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t value;
    if (pid &&
        (text_parse_u64(bytes_of_text(pid), UINT32_MAX, &value) < 0 || (pid_t)value != getpid()))
        return 0;
    if (!interval || text_parse_u64(bytes_of_text(interval), UINT64_MAX, &value) < 0)
        return 0;
    return value / 2;
}

void notify_init(struct notify *notify)
{
    const char *path = getenv("NOTIFY_SOCKET");
    *notify = (struct notify){ .fd = path ? connect_to(path) : -1 };
    if (notify->fd >= 0)
        notify->watchdog_us = watchdog_interval();
    // children must not speak for us
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_done(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

static void send_text(struct notify *notify, const char *text)
{
    if (notify->fd >= 0)
        (void)send(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/** `first` and a STATUS line; a line break in the status would begin another assignment. */
static void send_with_status(struct notify *notify, const char *first, const char *status)
{
    char text[512];
    struct text_builder builder = text_builder_of(text, sizeof(text));
    text_append(&builder, first);
    if (status) {
        text_append(&builder, "STATUS=");
        for (const char *at = status; *at; at++)
            text_append_bytes(&builder, bytes_of(*at == '\n' ? " " : at, 1));
        text_append(&builder, "\n");
    }
    send_text(notify, text);
}

void notify_ready(struct notify *notify, const char *status)
{
    send_with_status(notify, "READY=1\n", status);
}

void notify_reloading(struct notify *notify)
{
    char text[80];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", clock_now_us());
    send_text(notify, text);
}

void notify_stopping(struct notify *notify)
{
    send_text(notify, "STOPPING=1\n");
}

void notify_status(struct notify *notify, const char *status)
{
    send_with_status(notify, "", status);
}

void notify_watchdog(struct notify *notify)
{
    send_text(notify, "WATCHDOG=1\n");
}
