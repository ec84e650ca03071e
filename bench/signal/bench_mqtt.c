// links: runtime proto/mqtt proto/ws crypto
// Load for an MQTT broker, in one thread: publishers and subscribers over TCP, TLS or WebSocket, as
// fast as everything that was sent comes back. Prints one line of JSON. bench/signal/run.sh starts
// it beside the servers.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "load.h"
#include "server_usage.h"

#define WARM_UP_US     (300 * TIME_US_PER_MS)
#define GIVE_UP_US     (60 * TIME_US_PER_S)
#define CONNECTING_MAX 100

/** ---- measuring ---- */

static void report(const struct load *load, const struct server_usage *used, uint64_t took_us,
                   uint64_t published, uint64_t received)
{
    double seconds = (double)took_us / 1e6;
    // what a broker does for a message: takes it once and sends it to each
    double per = received > 0 ? (double)used->cpu_ns / 1e3 / (double)received : 0;
    printf("{\"seconds\": %.3f, \"published_per_s\": %.0f, \"received_per_s\": %.0f, "
           "\"cpu_us\": %.4f, \"cores\": %.3f, \"waited\": %.4f, \"lost\": %llu}\n",
           seconds, (double)published / seconds, (double)received / seconds, per,
           (double)used->cpu_ns / 1e3 / (double)took_us,
           (double)used->waited_ns / 1e3 / (double)took_us, (unsigned long long)load->lost);
}

static void turn_until(struct load *load, uint64_t end_us)
{
    while (loop_now_us(&load->loop) < end_us)
        loop_turn(&load->loop, end_us - loop_now_us(&load->loop));
}

static int measure_messages(struct load *load)
{
    load->running = true;
    load_pump(load);
    turn_until(load, loop_now_us(&load->loop) + WARM_UP_US);
    struct server_usage before = server_usage_read(load->options.pid, load->options.core);
    uint64_t begun_us = loop_update_now(&load->loop);
    uint64_t published = load->published, received = load->received;
    turn_until(load, begun_us + load->options.seconds * TIME_US_PER_S);
    struct server_usage now = server_usage_read(load->options.pid, load->options.core);
    struct server_usage used = server_usage_since(&before, &now);
    report(load, &used, loop_update_now(&load->loop) - begun_us, load->published - published,
           load->received - received);
    return 0;
}

/** All connections at once, a bounded number of them on their way. False: they did not come. */
static bool connect_all(struct load *load)
{
    uint64_t end_us = loop_update_now(&load->loop) + GIVE_UP_US;
    unsigned begun = 0;
    while (load->ready < load->link_count) {
        while (begun < load->link_count && begun - load->ready < CONNECTING_MAX)
            load_link_open(&load->links[begun++]);
        loop_turn(&load->loop, TIME_US_PER_S);
        if (load->failed || loop_now_us(&load->loop) > end_us)
            return false;
    }
    return true;
}

static int measure_idle(struct load *load)
{
    struct server_usage before = server_usage_read(load->options.pid, load->options.core);
    uint64_t begun_us = loop_update_now(&load->loop);
    if (!connect_all(load))
        return 1;
    uint64_t took_us = loop_update_now(&load->loop) - begun_us;
    struct server_usage after = server_usage_read(load->options.pid, load->options.core);
    struct server_usage used = server_usage_since(&before, &after);
    // what connecting took is given back before it is asked what idle clients hold
    turn_until(load, loop_now_us(&load->loop) + 2 * TIME_US_PER_S);
    after = server_usage_read(load->options.pid, load->options.core);
    double clients = load->link_count;
    printf("{\"connects_per_s\": %.0f, \"connect_cpu_us\": %.1f, \"kib_per_client\": %.3f, "
           "\"waited\": %.4f}\n",
           clients / ((double)took_us / 1e6), (double)used.cpu_ns / 1e3 / clients,
           ((double)after.memory - (double)before.memory) / 1024 / clients,
           (double)used.waited_ns / 1e3 / (double)took_us);
    return 0;
}

/** ---- options ---- */

static enum load_transport transport_of(const char *name)
{
    return strcmp(name, "tls") == 0 ? LOAD_TLS : strcmp(name, "ws") == 0 ? LOAD_WS : LOAD_TCP;
}

static struct load_options read_options(int argc, char **argv)
{
    static const struct option known[] = {
        { "server", required_argument, NULL, 's' },
        { "transport", required_argument, NULL, 't' },
        { "publishers", required_argument, NULL, 'p' },
        { "subscribers", required_argument, NULL, 'u' },
        { "qos", required_argument, NULL, 'q' },
        { "size", required_argument, NULL, 'z' },
        { "seconds", required_argument, NULL, 'e' },
        { "window", required_argument, NULL, 'w' },
        { "pid", required_argument, NULL, 'i' },
        { "core", required_argument, NULL, 'c' },
        { "idle", required_argument, NULL, 'd' },
        { "version", required_argument, NULL, 'v' },
        { "fan-out", no_argument, NULL, 'f' },
        { 0 },
    };
    struct load_options options = { .publishers = 1,
                                    .subscribers = 1,
                                    .size = 100,
                                    .seconds = 2,
                                    .window = 100,
                                    .version = MQTT_3_1_1 };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 's':
            if (net_address_parse(optarg, &options.server) < 0)
                exit(2);
            break;
        case 't':
            options.transport = transport_of(optarg);
            break;
        case 'p':
            options.publishers = number;
            break;
        case 'u':
            options.subscribers = number;
            break;
        case 'q':
            options.qos = (uint8_t)number;
            break;
        case 'z':
            options.size = number;
            break;
        case 'e':
            options.seconds = number;
            break;
        case 'w':
            options.window = number;
            break;
        case 'i':
            options.pid = number;
            break;
        case 'c':
            options.core = (int)number;
            break;
        case 'd':
            options.idle = number;
            break;
        case 'v':
            options.version = number;
            break;
        case 'f':
            options.fan_out = true;
            break;
        default:
            exit(2);
        }
    }
    return options;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct load_options options = read_options(argc, argv);
    raise_file_limit();
    struct load load;
    if (load_init(&load, &options) < 0)
        return 1;
    int result = options.idle         ? measure_idle(&load)
                 : connect_all(&load) ? measure_messages(&load)
                                      : 1;
    if (result)
        fprintf(stderr, "bench_mqtt: %u of %u clients came in\n", load.ready, load.link_count);
    load_done(&load);
    return result;
}
