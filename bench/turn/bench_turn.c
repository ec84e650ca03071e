// links: proto/stun runtime
// libraries: openssl
// The load generator against a TURN server (or the bare forwarder): one measurement per run, its
// result one line of JSON. bench/turn/run.sh says how to start the servers and makes the tables.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/memory.h"
#include "client_stream.h"
#include "proto/stun/stun.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"

/** Packets under way per client: what coturn's sockets of 64 KiB can hold. */
#define WINDOW_EACH_MAX 32
#define WARM_UP_US      (200 * TIME_US_PER_MS)

static const char usage_text[] =
    "bench_turn relay|allocate|strangers|overrun --server IP:PORT [options]\n"
    "  relay      CPU per relayed packet, in a closed loop\n"
    "  allocate   CPU and memory per allocation (--clients), none of which carries data\n"
    "  strangers  the same per source address (--clients) that sends one packet (--kind)\n"
    "  overrun    what one client's run of --burst packets loses, --clients times\n"
    "server: --pid PID --core N (the one it is pinned to)  --bare (it is the forwarder)\n"
    "addresses: --client-ip FIRST  --peer-ip IP (127.1.0.0 and 127.0.0.1)\n"
    "credentials: --user NAME --password TEXT\n"
    "clients: --clients N  --transport udp|tcp|tls  --indications  --outstanding N (requests)\n"
    "allocate: --bind (each with a channel, so that its relay has a socket)\n"
    "data: --burst N  --size BYTES  --direction up|down|both  --gso  --no-gro  --window PACKETS\n"
    "      --seconds S  --spin US (looking for data without sleeping)\n"
    "strangers: --kind binding|allocate|junk\n";

static _Noreturn void refuse(const char *what)
{
    fprintf(stderr, "bench_turn: %s (--help tells more)\n", what);
    exit(2);
}

void load_open(struct load *load)
{
    const struct load_options *options = &load->options;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    load->client_port = port_open(INADDR_ANY, 0, options->gro);
    load->peer_port = port_open(options->peer_ip, 0, options->gro);
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load->tls = options->transport == LOAD_TLS ? client_stream_tls_new() : NULL;
    load->clients = memory_new_array(struct load_client, options->clients);
    load->by_relay = memory_new_array(uint32_t, 65536);
    struct entropy entropy;
    entropy_init(&entropy);
    random_fill(&entropy.random, load->pattern, sizeof(load->pattern));
    load->transaction = random_u32(&entropy.random);
    entropy_done(&entropy);
}

void load_close(struct load *load)
{
    for (uint32_t i = 0; i < load->options.clients; i++)
        load->clients[i].stream = client_stream_close(load->clients[i].stream);
    load->client_port = port_close(load->client_port);
    load->peer_port = port_close(load->peer_port);
    close(load->epoll_fd);
    client_stream_tls_free(load->tls);
    free(load->clients);
    free(load->by_relay);
}

static struct server_usage read_usage(const struct load *load)
{
    return server_usage_read(load->options.pid, load->options.core);
}

static void prepare(struct load *load)
{
    if (!load_bring(load, 0, load->options.clients, STEP_READY)) {
        fprintf(stderr, "bench_turn: the clients did not get ready\n");
        exit(1);
    }
}

static uint64_t all_received(const struct load *load)
{
    return load->counts.received[LOAD_UP] + load->counts.received[LOAD_DOWN];
}

/** How much the server waited for its core: what else runs there makes it dearer. */
static void print_waited(const struct server_usage *used)
{
    printf("\"waited\":%.3f,", (double)used->waited_ns / (double)max_of(used->cpu_ns, UINT64_C(1)));
}

static void print_counts(const struct load *load)
{
    printf("\"lost\":%llu,\"disordered\":%llu,\"corrupt\":%llu",
           (unsigned long long)load->counts.lost, (unsigned long long)load->counts.disordered,
           (unsigned long long)load->counts.corrupt);
}

static double own_cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * TIME_US_PER_S +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void run_relay(struct load *load)
{
    prepare(load);
    load_run(load, WARM_UP_US);
    struct server_usage before = read_usage(load);
    uint64_t packets = all_received(load), start_us = clock_now_us();
    double own_us = own_cpu_us();
    load_run(load, (uint64_t)(load->options.seconds * TIME_US_PER_S));
    struct server_usage now = read_usage(load), used = server_usage_since(&before, &now);
    double seconds = (double)(clock_now_us() - start_us) / TIME_US_PER_S;
    own_us = own_cpu_us() - own_us;
    packets = all_received(load) - packets;
    double count = packets ? (double)packets : 1;
    printf("{\"us\":%.4f,\"softirq_us\":%.4f,\"pps\":%.0f,\"load\":%.4f,\"own_us\":%.4f,"
           "\"packets\":%llu,\"per_wakeup\":%.2f,",
           (double)used.cpu_ns / 1e3 / count, (double)used.softirq_ns / 1e3 / count,
           count / seconds, (double)used.cpu_ns / 1e9 / seconds, own_us / count,
           (unsigned long long)packets, count / (double)(used.wakeups ? used.wakeups : 1));
    print_waited(&used);
    print_counts(load);
    printf("}\n");
    load_bring(load, 0, load->options.clients, STEP_RELEASED);
}

static void print_each(const struct load *load, const struct server_usage *used, uint64_t spent_us)
{
    double count = load->options.clients;
    printf("{");
    print_waited(used);
    printf("\"us\":%.3f,\"bytes\":%.1f,\"slab\":%.1f,\"rate\":%.0f,\"answers\":%llu,"
           "\"errors\":%llu}\n",
           (double)used->cpu_ns / 1e3 / count, (double)(int64_t)used->memory / count,
           (double)(int64_t)used->slab / count, count * TIME_US_PER_S / (double)spent_us,
           (unsigned long long)load->counts.answers, (unsigned long long)load->counts.errors);
}

static void run_allocate(struct load *load)
{
    struct server_usage before = read_usage(load);
    uint64_t start_us = clock_now_us();
    bool done = load_bring(load, 0, load->options.clients,
                           load->options.bind ? STEP_READY : STEP_ALLOCATED);
    uint64_t spent_us = clock_now_us() - start_us;
    struct server_usage now = read_usage(load), used = server_usage_since(&before, &now);
    if (!done)
        fprintf(stderr, "bench_turn: not all were allocated\n");
    print_each(load, &used, spent_us);
    load_bring(load, 0, load->options.clients, STEP_RELEASED);
}

static size_t write_stranger(const struct load *load, const char *kind, uint32_t index,
                             uint8_t *out, size_t capacity)
{
    if (strcmp(kind, "allocate") == 0)
        return load_write_bare_allocate(load, index, out, capacity);
    if (strcmp(kind, "junk") == 0)
        return (size_t)snprintf((char *)out, capacity, "%014u", index);
    struct stun_writer writer;
    uint8_t id[STUN_TRANSACTION_ID_SIZE] = { 0 };
    store_u32(id, index);
    stun_writer_start(&writer, out, capacity, STUN_REQUEST, STUN_BINDING, id);
    return stun_writer_finish(&writer);
}

/** Takes answers for as long as they come. */
static void take_all(struct load *load, int silence_ms)
{
    while (load_turn(load, silence_ms))
        ;
}

static void run_strangers(struct load *load, const char *kind)
{
    struct server_usage before = read_usage(load);
    uint64_t start_us = clock_now_us();
    for (uint32_t i = 0; i < load->options.clients; i++) {
        uint8_t message[256];
        size_t size = write_stranger(load, kind, i, message, sizeof(message));
        load->clients[i].asked_us = start_us;
        port_add(load->client_port, load->options.server, load->options.client_ip + i,
                 bytes_of(NULL, 0), bytes_of(message, size), false);
        port_flush(load->client_port);
        // slowly enough for a server that makes a socket per source
        if (i % 16 == 15)
            take_all(load, 1);
    }
    take_all(load, 500);
    struct server_usage now = read_usage(load), used = server_usage_since(&before, &now);
    print_each(load, &used, clock_now_us() - start_us);
}

static void run_overrun(struct load *load)
{
    prepare(load);
    uint64_t sent = 0;
    for (uint32_t i = 0; i < load->options.clients; i++) {
        for (enum load_direction direction = 0; direction < LOAD_DIRECTIONS; direction++) {
            if (!load->options.directions[direction])
                continue;
            load_send_burst(load, i, direction, load->options.burst);
            load_data_flush(load);
            load_settle(load, 1000);
            sent += load->options.burst;
        }
    }
    printf("{\"sent\":%llu,", (unsigned long long)sent);
    print_counts(load);
    printf("}\n");
    load_bring(load, 0, load->options.clients, STEP_RELEASED);
}

static uint32_t number_of(const char *text, uint32_t least, uint32_t most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || end == text || value < least || value > most)
        refuse(text);
    return (uint32_t)value;
}

static void set_server(struct load_options *options, const char *text)
{
    struct net_address address;
    if (net_address_parse(text, &address) != 0 || address.family != NET_IPV4)
        refuse("--server takes an IPv4 address and a port");
    options->server = (struct port_address){ load_u32(address.ip), address.port };
}

static uint32_t ip_of(const char *text)
{
    struct net_address address;
    if (net_address_parse_ip(text, 0, &address) != 0 || address.family != NET_IPV4)
        refuse("an IPv4 address is needed");
    return load_u32(address.ip);
}

static void set_transport(struct load_options *options, const char *text)
{
    static const char *const names[] = { "udp", "tcp", "tls" };
    for (unsigned i = 0; i < array_size(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            options->transport = i;
            return;
        }
    }
    refuse(text);
}

enum load_option {
    OPTION_SERVER = 256,
    OPTION_CLIENT_IP,
    OPTION_PEER_IP,
    OPTION_PID,
    OPTION_CORE,
    OPTION_BARE,
    OPTION_USER,
    OPTION_PASSWORD,
    OPTION_CLIENTS,
    OPTION_TRANSPORT,
    OPTION_INDICATIONS,
    OPTION_OUTSTANDING,
    OPTION_BIND,
    OPTION_BURST,
    OPTION_SIZE,
    OPTION_DIRECTION,
    OPTION_GSO,
    OPTION_NO_GRO,
    OPTION_WINDOW,
    OPTION_SECONDS,
    OPTION_SPIN,
    OPTION_KIND,
    OPTION_HELP,
};

static const struct option option_names[] = {
    { "server", 1, NULL, OPTION_SERVER },
    { "client-ip", 1, NULL, OPTION_CLIENT_IP },
    { "peer-ip", 1, NULL, OPTION_PEER_IP },
    { "pid", 1, NULL, OPTION_PID },
    { "core", 1, NULL, OPTION_CORE },
    { "bare", 0, NULL, OPTION_BARE },
    { "user", 1, NULL, OPTION_USER },
    { "password", 1, NULL, OPTION_PASSWORD },
    { "clients", 1, NULL, OPTION_CLIENTS },
    { "transport", 1, NULL, OPTION_TRANSPORT },
    { "indications", 0, NULL, OPTION_INDICATIONS },
    { "outstanding", 1, NULL, OPTION_OUTSTANDING },
    { "bind", 0, NULL, OPTION_BIND },
    { "burst", 1, NULL, OPTION_BURST },
    { "size", 1, NULL, OPTION_SIZE },
    { "direction", 1, NULL, OPTION_DIRECTION },
    { "gso", 0, NULL, OPTION_GSO },
    { "no-gro", 0, NULL, OPTION_NO_GRO },
    { "window", 1, NULL, OPTION_WINDOW },
    { "seconds", 1, NULL, OPTION_SECONDS },
    { "spin", 1, NULL, OPTION_SPIN },
    { "kind", 1, NULL, OPTION_KIND },
    { "help", 0, NULL, OPTION_HELP },
    { 0 },
};

static void set_option(struct load_options *options, const char **kind, int option)
{
    switch (option) {
    case OPTION_SERVER:
        set_server(options, optarg);
        break;
    case OPTION_CLIENT_IP:
        options->client_ip = ip_of(optarg);
        break;
    case OPTION_PEER_IP:
        options->peer_ip = ip_of(optarg);
        break;
    case OPTION_PID:
        options->pid = number_of(optarg, 1, UINT32_MAX);
        break;
    case OPTION_CORE:
        options->core = (int)number_of(optarg, 0, 4095);
        break;
    case OPTION_BARE:
        options->bare = true;
        break;
    case OPTION_USER:
        options->user = optarg;
        break;
    case OPTION_PASSWORD:
        options->password = optarg;
        break;
    case OPTION_CLIENTS:
        options->clients = number_of(optarg, 1, 60000);
        break;
    case OPTION_TRANSPORT:
        set_transport(options, optarg);
        break;
    case OPTION_INDICATIONS:
        options->indications = true;
        break;
    case OPTION_OUTSTANDING:
        options->outstanding = number_of(optarg, 1, 10000);
        break;
    case OPTION_BIND:
        options->bind = true;
        break;
    case OPTION_BURST:
        options->burst = number_of(optarg, 1, 10000);
        break;
    case OPTION_SIZE:
        options->size = number_of(optarg, LOAD_PAYLOAD_MIN, LOAD_PAYLOAD_MAX) & ~3u;
        break;
    case OPTION_DIRECTION:
        options->directions[LOAD_UP] = strcmp(optarg, "down") != 0;
        options->directions[LOAD_DOWN] = strcmp(optarg, "up") != 0;
        break;
    case OPTION_GSO:
        options->gso = true;
        break;
    case OPTION_NO_GRO:
        options->gro = false;
        break;
    case OPTION_WINDOW:
        options->window = number_of(optarg, 1, 100000);
        break;
    case OPTION_SECONDS:
        options->seconds = strtod(optarg, NULL);
        break;
    case OPTION_SPIN:
        options->spin_us = number_of(optarg, 0, 1000000);
        break;
    case OPTION_KIND:
        *kind = optarg;
        break;
    case OPTION_HELP:
        fputs(usage_text, stdout);
        exit(0);
    default:
        refuse("unknown option");
    }
}

int main(int argc, char **argv)
{
    const char *kind = "binding";
    static struct load load = {
        .options = {
            .client_ip = 0x7f010000,
            .peer_ip = INADDR_LOOPBACK,
            .user = "bench",
            .password = "bench",
            .directions = { true, false },
            .gro = true,
            .clients = 50,
            .burst = 8,
            .size = 1200,
            .window = 256,
            .outstanding = 16,
            .spin_us = 200,
            .seconds = 1,
        },
    };
    struct load_options *options = &load.options;
    for (int option; (option = getopt_long(argc, argv, "", option_names, NULL)) != -1;)
        set_option(options, &kind, option);
    if (optind + 1 != argc || !options->server.number)
        refuse("one command and --server are needed");
    if (options->window > options->clients * WINDOW_EACH_MAX)
        options->window = options->clients * WINDOW_EACH_MAX;
    if (options->window < options->burst)
        options->window = options->burst;
    if (options->transport != LOAD_UDP && options->burst > 64)
        refuse("bursts of at most 64 over a stream");
    load_open(&load);
    const char *command = argv[optind];
    if (strcmp(command, "relay") == 0)
        run_relay(&load);
    else if (strcmp(command, "allocate") == 0)
        run_allocate(&load);
    else if (strcmp(command, "strangers") == 0)
        run_strangers(&load, kind);
    else if (strcmp(command, "overrun") == 0)
        run_overrun(&load);
    else
        refuse(command);
    load_close(&load);
    return 0;
}
