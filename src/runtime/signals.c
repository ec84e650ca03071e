#include "runtime/signals.h"

#include <errno.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_ready(struct loop_watch *watch, unsigned events unused)
{
    struct signals *signals = container_of(watch, struct signals, watch);
    struct signalfd_siginfo info;
    // one per turn is plenty, and the handler may end us
    if (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        signals->received(signals->owner, (int)info.ssi_signo);
}

void signals_ignore_pipe(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigaction(SIGPIPE, &ignore, NULL);
}

int signals_init(struct signals *signals, struct loop *loop,
                 void (*received)(void *owner, int signal), void *owner)
{
    *signals = (struct signals){ .received = received, .owner = owner };
    signals_ignore_pipe();
    sigemptyset(&signals->set);
    sigaddset(&signals->set, SIGTERM);
    sigaddset(&signals->set, SIGINT);
    sigaddset(&signals->set, SIGHUP);
    sigaddset(&signals->set, SIGUSR1);
    int error = -pthread_sigmask(SIG_BLOCK, &signals->set, NULL);
    if (error < 0)
        return error;
    int fd = signalfd(-1, &signals->set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    loop_watch_init(&signals->watch, fd, on_ready);
    error = loop_watch_add(loop, &signals->watch, LOOP_READABLE);
    if (error < 0)
        close(fd);
    return error;
}

void signals_done(struct signals *signals)
{
    if (!signals->watch.loop)
        return;
    loop_watch_remove(&signals->watch);
    close(signals->watch.fd);
    pthread_sigmask(SIG_UNBLOCK, &signals->set, NULL);
}
