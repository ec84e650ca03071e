// links: runtime proto/ws
// Load for the native protocol, in one thread: calls set up and hung up, messages within calls, or
// clients that only wait to be called. Prints one line of JSON. bench/calls/run.sh starts it beside
// the server.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "caller.h"
#include "server_usage.h"

#define WARM_UP_US     (500 * TIME_US_PER_MS)
#define GIVE_UP_US     (60 * TIME_US_PER_S)
#define CONNECTING_MAX 100

static void turn_until(struct load *load, uint64_t end_us)
{
    while (!load->failed && loop_now_us(&load->loop) < end_us)
        loop_turn(&load->loop, end_us - loop_now_us(&load->loop));
}

/** All connections, a bounded number of them on their way. False: they did not come. */
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

static int measure_load(struct load *load)
{
    load_run(load);
    turn_until(load, loop_update_now(&load->loop) + WARM_UP_US);
    struct server_usage before = server_usage_read(load->options.pid, load->options.core);
    uint64_t begun_us = loop_update_now(&load->loop);
    uint64_t calls = load->calls, messages = load->messages;
    turn_until(load, begun_us + load->options.seconds * TIME_US_PER_S);
    if (load->failed)
        return 1;
    struct server_usage now = server_usage_read(load->options.pid, load->options.core);
    struct server_usage used = server_usage_since(&before, &now);
    double took_us = (double)(loop_update_now(&load->loop) - begun_us);
    double cpu_us = (double)used.cpu_ns / 1e3;
    double made = (double)(load->calls - calls), came = (double)(load->messages - messages);
    printf("{\"calls_per_s\": %.0f, \"cpu_us_per_call\": %.2f, \"messages_per_s\": %.0f, "
           "\"cpu_us_per_message\": %.3f, \"cores\": %.3f, \"waited\": %.4f}\n",
           made / took_us * 1e6, made > 0 ? cpu_us / made : 0, came / took_us * 1e6,
           came > 0 ? cpu_us / came : 0, cpu_us / took_us, (double)used.waited_ns / 1e3 / took_us);
    return 0;
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
    printf("{\"connects_per_s\": %.0f, \"connect_cpu_us\": %.1f, \"kib_per_client\": %.3f}\n",
           clients / ((double)took_us / 1e6), (double)used.cpu_ns / 1e3 / clients,
           ((double)after.memory - (double)before.memory) / 1024 / clients);
    return 0;
}

static enum load_kind kind_of(const char *name)
{
    return strcmp(name, "messages") == 0 ? LOAD_MESSAGES
           : strcmp(name, "idle") == 0   ? LOAD_IDLE
                                         : LOAD_CALLS;
}

static struct load_options read_options(int argc, char **argv)
{
    static const struct option known[] = {
        { "server", required_argument, NULL, 's' },     { "kind", required_argument, NULL, 'k' },
        { "pairs", required_argument, NULL, 'p' },      { "sdp", required_argument, NULL, 'z' },
        { "candidates", required_argument, NULL, 'a' }, { "window", required_argument, NULL, 'w' },
        { "seconds", required_argument, NULL, 'e' },    { "pid", required_argument, NULL, 'i' },
        { "core", required_argument, NULL, 'c' },       { 0 },
    };
    struct load_options options = {
        .pairs = 100, .sdp_size = 4000, .candidates = 4, .window = 10, .seconds = 3
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        unsigned number = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 's':
            if (net_address_parse(optarg, &options.server) < 0)
                exit(2);
            break;
        case 'k':
            options.kind = kind_of(optarg);
            break;
        case 'p':
            options.pairs = number;
            break;
        case 'z':
            options.sdp_size = number;
            break;
        case 'a':
            options.candidates = number;
            break;
        case 'w':
            options.window = number;
            break;
        case 'e':
            options.seconds = number;
            break;
        case 'i':
            options.pid = number;
            break;
        case 'c':
            options.core = (int)number;
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
    int result = options.kind == LOAD_IDLE ? measure_idle(&load)
                 : connect_all(&load)      ? measure_load(&load)
                                           : 1;
    if (result)
        fprintf(stderr, "bench_calls: %u of %u clients came in\n", load.ready, load.link_count);
    load_done(&load);
    return result;
}
