// links: room proto/ws proto/http runtime
// libraries: jansson
// The load generator: one publisher to N subscribers over native signaling, ICE, DTLS and SRTP.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/memory.h"
#include "media_client.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "signal_client.h"

struct load {
    struct net_address server;
    uint32_t subscribers;
    uint32_t fps;
    uint32_t burst;
    uint16_t payload_size;
    uint32_t seconds;
    long pid;
    struct entropy entropy;
    struct media_shared shared;
    struct media_client **clients; /**< the publisher is the first */
    struct signal_client **signals;
    uint32_t count;
    int epoll_fd;
    uint32_t keep_at;
};

/** CPU time of the server in microseconds, and its memory; zeros when the process is not known. */
static void read_server(const struct load *load, uint64_t *ret_cpu_us, uint64_t *ret_rss_kb)
{
    char path[64], line[1024];
    *ret_cpu_us = *ret_rss_kb = 0;
    snprintf(path, sizeof(path), "/proc/%ld/stat", load->pid);
    FILE *file = load->pid ? fopen(path, "r") : NULL;
    if (!file)
        return;
    unsigned long user = 0, system = 0;
    long pages = 0;
    if (fgets(line, sizeof(line), file)) {
        char *rest = strrchr(line, ')');
        if (rest)
            (void)!sscanf(rest + 1,
                          " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d "
                          "%*d %*d %*u %*u %ld",
                          &user, &system, &pages);
    }
    fclose(file);
    *ret_cpu_us = (uint64_t)(user + system) * TIME_US_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
    *ret_rss_kb = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static bool add_client(struct load *load, bool publishes)
{
    char name[32];
    snprintf(name, sizeof(name), publishes ? "publisher" : "viewer-%u", load->count);
    struct signal_client *signal =
        signal_client_open(&load->server, "load", name, &load->entropy.random);
    if (!signal)
        return false;
    char *offer = NULL;
    struct media_client *media = media_client_new(&load->shared, publishes, &offer);
    char *answer = media ? signal_client_offer(signal, offer, publishes ? "camera" : NULL) : NULL;
    bool ok = answer && media_client_answer(media, answer);
    free(offer);
    free(answer);
    if (!ok)
        return false;
    load->clients[load->count] = media;
    load->signals[load->count] = signal;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = media };
    epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, media->fd, &event);
    load->count++;
    return true;
}

/** One turn: sockets, and a slice of the timers and of the signaling connections. */
static void turn(struct load *load, int wait_ms)
{
    struct epoll_event events[256];
    int count = epoll_wait(load->epoll_fd, events, array_size(events), wait_ms);
    for (int i = 0; i < count; i++)
        media_client_receive(events[i].data.ptr, clock_now_us());
    uint64_t now_us = clock_now_us();
    for (uint32_t i = 0; i < load->count; i++)
        media_client_tick(load->clients[i], now_us);
    for (uint32_t i = 0; i < 1 + load->count / 256 && load->count; i++) {
        load->keep_at = (load->keep_at + 1) % load->count;
        signal_client_keep(load->signals[load->keep_at], now_us);
    }
}

static bool connect_one(struct load *load, bool publishes)
{
    if (!add_client(load, publishes))
        return false;
    struct media_client *client = load->clients[load->count - 1];
    uint64_t end_us = clock_now_us() + time_from_s(10);
    while (!client->connected && clock_now_us() < end_us)
        turn(load, 1);
    if (!client->connected)
        fprintf(stderr, "load: client %u did not connect\n", load->count);
    return client->connected;
}

static void run_media(struct load *load, uint64_t duration_us)
{
    uint64_t now_us = clock_now_us(), end_us = now_us + duration_us, frame_us = now_us;
    uint64_t interval_us = TIME_US_PER_S / load->fps;
    while (now_us < end_us) {
        if (now_us >= frame_us) {
            media_client_publish(load->clients[0], now_us, load->burst, load->payload_size);
            frame_us += interval_us;
        }
        now_us = clock_now_us();
        turn(load, frame_us > now_us + 1000 ? 1 : 0);
        now_us = clock_now_us();
    }
}

/** One frame that everyone receives: subscribers learn their slot's timestamps from it. */
static void show_first_frame(struct load *load)
{
    uint64_t end_us = clock_now_us() + time_from_ms(1500);
    media_client_publish(load->clients[0], clock_now_us(), load->burst, load->payload_size);
    while (clock_now_us() < end_us)
        turn(load, 1);
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static void report(struct load *load, uint64_t cpu_us, uint64_t wall_us, uint64_t idle_kb,
                   uint64_t playing_kb, uint64_t empty_kb)
{
    struct media_shared *shared = &load->shared;
    uint64_t packets = 0, lost = 0, joins_us = 0;
    for (uint32_t i = 1; i < load->count; i++) {
        packets += load->clients[i]->packets;
        lost += load->clients[i]->lost;
        joins_us += load->clients[i]->connected_us - load->clients[i]->started_us;
    }
    qsort(shared->latencies_us, shared->latency_count, sizeof(uint32_t), compare);
    size_t last = shared->latency_count ? shared->latency_count - 1 : 0;
    printf("subscribers            %u\n", load->count - 1);
    printf("packets/s              %.0f\n", (double)packets * 1e6 / (double)wall_us);
    printf("lost                   %.4f %%\n",
           packets ? 100.0 * (double)lost / (double)(packets + lost) : 0.0);
    printf("server CPU             %.1f %% of a core\n", 100.0 * (double)cpu_us / (double)wall_us);
    printf("CPU us per packet      %.3f\n", packets ? (double)cpu_us / (double)packets : 0.0);
    printf("latency of a burst     p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
           shared->latencies_us[last / 2] / 1e3, shared->latencies_us[last * 99 / 100] / 1e3,
           shared->latencies_us[last] / 1e3);
    printf("memory per subscriber  %.1f KB idle, %.1f KB playing\n",
           (double)(idle_kb - empty_kb) / (load->count - 1),
           (double)(playing_kb - empty_kb) / (load->count - 1));
    printf("media connect, mean    %.2f ms from socket to keys\n",
           (double)joins_us / 1e3 / (load->count - 1));
}

static int run(struct load *load)
{
    uint64_t empty_kb, idle_kb, playing_kb, cpu_us, cpu_end_us;
    if (!connect_one(load, true))
        return 1;
    read_server(load, &cpu_us, &empty_kb);
    for (uint32_t i = 0; i < load->subscribers; i++) {
        if (!connect_one(load, false))
            return 1;
    }
    read_server(load, &cpu_us, &idle_kb);
    show_first_frame(load);
    run_media(load, time_from_s(2));
    load->shared.measuring = true;
    read_server(load, &cpu_us, &playing_kb);
    uint64_t start_us = clock_now_us();
    run_media(load, time_from_s(load->seconds));
    uint64_t wall_us = clock_now_us() - start_us;
    read_server(load, &cpu_end_us, &playing_kb);
    report(load, cpu_end_us - cpu_us, wall_us, idle_kb, playing_kb, empty_kb);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_sfu --server 127.0.0.1:PORT [--pid PID] [--subscribers N]\n"
                    "                 [--seconds S] [--fps F] [--burst PACKETS] [--payload BYTES]\n"
                    "                 [--feedback]\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct load load = {
        .subscribers = 100, .fps = 30, .burst = 9, .payload_size = 1160, .seconds = 10
    };
    static const struct option options[] = {
        { "server", required_argument, NULL, 's' },
        { "pid", required_argument, NULL, 'p' },
        { "subscribers", required_argument, NULL, 'n' },
        { "seconds", required_argument, NULL, 't' },
        { "fps", required_argument, NULL, 'f' },
        { "burst", required_argument, NULL, 'b' },
        { "payload", required_argument, NULL, 'l' },
        { "feedback", no_argument, NULL, 'r' },
        { 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        uint32_t number = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 's':
            if (net_address_parse(optarg, &load.server) < 0)
                return usage();
            break;
        case 'p':
            load.pid = (long)number;
            break;
        case 'n':
            load.subscribers = number;
            break;
        case 't':
            load.seconds = number;
            break;
        case 'f':
            load.fps = number;
            break;
        case 'b':
            load.burst = number;
            break;
        case 'l':
            load.payload_size = (uint16_t)number;
            break;
        case 'r':
            load.shared.feedback = true;
            break;
        default:
            return usage();
        }
    }
    if (load.server.port == 0 || load.subscribers == 0 || load.fps == 0 || load.burst == 0)
        return usage();
    entropy_init(&load.entropy);
    size_t latencies = (size_t)load.subscribers * load.fps * (load.seconds + 1);
    media_shared_init(&load.shared, &load.entropy.random, latencies);
    load.clients = memory_new_array(struct media_client *, load.subscribers + 1);
    load.signals = memory_new_array(struct signal_client *, load.subscribers + 1);
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int result = run(&load);
    for (uint32_t i = 0; i < load.count; i++) {
        signal_client_close(load.signals[i]);
        media_client_free(load.clients[i]);
    }
    media_shared_done(&load.shared);
    free(load.clients);
    free(load.signals);
    return result;
}
