// links: runtime
// What the relay's way through the kernel costs, without its protocol: CPU µs per datagram of
// recvmmsg -> udp_gather -> sendmmsg over loopback, beside a bare forwarder of the same grouping.
//
//     up    clients -> one socket of all clients -> 4 bytes are taken off -> a relay's own socket
//     down  peers -> a relay's own socket -> 4 bytes are put before -> the socket of all clients
//
// Bursts wait in the sockets before the clock starts, and only the thread's own time counts.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/udp.h"
#include "runtime/udp_gather.h"

#define CLIENTS_MAX 64
#define HEADER      4

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/** 127.1.0.1 and on: one address per client, so that their ways differ. */
static struct net_address client_address(uint32_t client, uint16_t port)
{
    return net_address_ipv4(127, 1, 0, (uint8_t)(client + 1), port);
}

static struct sockaddr_in to_sockaddr(const struct net_address *address)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(address->port) };
    memcpy(&in.sin_addr, address->ip, 4);
    return in;
}

/** A plain socket of the outside: peers, clients. */
static int outside_open(const struct net_address *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), bytes = 64 << 20, one = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
    struct sockaddr_in name = to_sockaddr(address);
    if (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
        perror("bind");
        exit(1);
    }
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in name;
    socklen_t size = sizeof(name);
    getsockname(fd, (struct sockaddr *)&name, &size);
    return ntohs(name.sin_port);
}

/** Throws away what arrived; returns the bytes. */
static uint64_t drain(int fd)
{
    uint8_t byte;
    uint64_t total = 0;
    for (ssize_t size; (size = recv(fd, &byte, 1, MSG_TRUNC)) >= 0;)
        total += (uint64_t)size;
    return total;
}

struct forwarder;

struct relay {
    struct forwarder *forwarder;
    struct udp_socket *socket;
    struct net_path to_client;
    struct net_path to_peer;
    uint32_t run_up, run_down;
    int bare; /**< the bare forwarder's socket in its place */
};

struct forwarder {
    struct loop loop;
    struct udp_memory *memory;
    struct udp_gather *gather;
    struct udp_socket *server;
    struct relay relays[CLIENTS_MAX];
    uint32_t clients;
    uint64_t received;
    bool keep;
    // the bare one
    int bare_epoll, bare_server;
    // outside
    int peer, client[CLIENTS_MAX];
};

static void on_client(void *owner, struct udp_socket *unused_socket unused,
                      const struct udp_datagram *datagrams, size_t count)
{
    struct forwarder *forwarder = owner;
    for (size_t i = 0; i < count; i++) {
        struct relay *relay = &forwarder->relays[datagrams[i].path.remote.ip[3] - 1];
        udp_gather_add(forwarder->gather, relay->socket, &relay->to_peer, NULL, 0,
                       bytes_of(datagrams[i].data + HEADER, datagrams[i].size - HEADER), 0, 0,
                       &relay->run_up);
    }
    forwarder->received += count;
    if (!forwarder->keep)
        udp_gather_flush(forwarder->gather);
}

static void on_peer(void *owner, struct udp_socket *unused_socket unused,
                    const struct udp_datagram *datagrams, size_t count)
{
    struct relay *relay = owner;
    struct forwarder *forwarder = relay->forwarder;
    static const uint8_t header[HEADER] = { 0x40 };
    for (size_t i = 0; i < count; i++)
        udp_gather_add(forwarder->gather, forwarder->server, &relay->to_client, header, HEADER,
                       bytes_of(datagrams[i].data, datagrams[i].size), 0, 0, &relay->run_down);
    forwarder->received += count;
    if (!forwarder->keep)
        udp_gather_flush(forwarder->gather);
}

static void release(void *owner)
{
    struct forwarder *forwarder = owner;
    udp_gather_flush(forwarder->gather);
}

static const struct udp_ops client_ops = { .received = on_client };
static const struct udp_ops peer_ops = { .received = on_peer };

static void must(int error)
{
    if (error) {
        fprintf(stderr, "bench_udp_gather: %s\n", strerror(-error));
        exit(1);
    }
}

static void watch_bare(const struct forwarder *forwarder, int fd, uint32_t number)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = number };
    epoll_ctl(forwarder->bare_epoll, EPOLL_CTL_ADD, fd, &event);
}

static struct forwarder *forwarder_new(uint32_t clients, bool keep)
{
    struct forwarder *forwarder = memory_new(struct forwarder);
    must(loop_init(&forwarder->loop));
    forwarder->clients = clients;
    forwarder->keep = keep;
    forwarder->memory = udp_memory_new();
    forwarder->gather = udp_gather_new();
    forwarder->bare_epoll = epoll_create1(0);
    if (keep)
        udp_memory_keep(forwarder->memory, release, forwarder);
    struct net_address loopback = net_address_ipv4(127, 0, 0, 1, 0);
    forwarder->peer = outside_open(&loopback);
    forwarder->bare_server = outside_open(&loopback);
    watch_bare(forwarder, forwarder->bare_server, CLIENTS_MAX);
    struct udp_config config = { .memory = forwarder->memory };
    must(udp_socket_open(&config, &forwarder->loop, &client_ops, forwarder, &forwarder->server));
    for (uint32_t i = 0; i < clients; i++) {
        struct relay *relay = &forwarder->relays[i];
        struct net_address address = client_address(i, 0);
        forwarder->client[i] = outside_open(&address);
        config = (struct udp_config){
            .bind = loopback, .memory = forwarder->memory, .exclusive = true, .report_errors = true
        };
        must(udp_socket_open(&config, &forwarder->loop, &peer_ops, relay, &relay->socket));
        relay->forwarder = forwarder;
        relay->bare = outside_open(&loopback);
        watch_bare(forwarder, relay->bare, i);
        relay->to_client.remote = client_address(i, port_of(forwarder->client[i]));
        relay->to_client.local = net_address_ipv4(127, 0, 0, 1, udp_socket_port(forwarder->server));
        relay->to_peer.remote = net_address_ipv4(127, 0, 0, 1, port_of(forwarder->peer));
        relay->run_up = relay->run_down = UDP_GATHER_NO_RUN;
    }
    return forwarder;
}

static void forwarder_free(struct forwarder *forwarder)
{
    for (uint32_t i = 0; i < forwarder->clients; i++) {
        udp_socket_close(forwarder->relays[i].socket);
        close(forwarder->relays[i].bare);
        close(forwarder->client[i]);
    }
    udp_socket_close(forwarder->server);
    close(forwarder->bare_server);
    close(forwarder->bare_epoll);
    close(forwarder->peer);
    udp_gather_free(forwarder->gather);
    udp_memory_free(forwarder->memory);
    loop_done(&forwarder->loop);
    free(forwarder);
}

/** One burst as one message, as a sender with GSO or a network card with GRO makes it. */
static void send_burst(int fd, uint16_t port, size_t size, unsigned burst)
{
    static const uint8_t bytes[65536];
    struct net_address address = net_address_ipv4(127, 0, 0, 1, port);
    struct sockaddr_in name = to_sockaddr(&address);
    struct iovec vector = { (void *)(uintptr_t)bytes, size * burst };
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
    struct msghdr header = {
        .msg_name = &name, .msg_namelen = sizeof(name), .msg_iov = &vector, .msg_iovlen = 1
    };
    if (burst > 1) {
        header.msg_control = control;
        header.msg_controllen = sizeof(control);
        struct cmsghdr *item = CMSG_FIRSTHDR(&header);
        item->cmsg_level = IPPROTO_UDP;
        item->cmsg_type = UDP_SEGMENT;
        item->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t segment = (uint16_t)size;
        memcpy(CMSG_DATA(item), &segment, sizeof(segment));
    }
    if (sendmsg(fd, &header, 0) < 0)
        perror("sendmsg");
}

#define BARE_MESSAGES 16

struct bare_memory {
    struct mmsghdr messages[BARE_MESSAGES];
    struct iovec vectors[BARE_MESSAGES];
    struct sockaddr_in names[BARE_MESSAGES];
    union {
        struct cmsghdr aligned;
        uint8_t bytes[64];
    } control[BARE_MESSAGES];
    uint8_t bytes[BARE_MESSAGES][65536 + 1088];
};

/** Receives once and sends on what came, run by run, as it is. Returns the datagrams. */
static uint64_t bare_forward(struct forwarder *forwarder, struct bare_memory *memory,
                             uint32_t number, size_t size)
{
    int in = number == CLIENTS_MAX ? forwarder->bare_server : forwarder->relays[number].bare;
    unsigned slots = number == CLIENTS_MAX ? BARE_MESSAGES : 2;
    uint64_t datagrams = 0;
    for (unsigned i = 0; i < slots; i++) {
        memory->vectors[i] = (struct iovec){ memory->bytes[i], 65536 };
        memory->messages[i].msg_hdr = (struct msghdr){ .msg_name = &memory->names[i],
                                                       .msg_namelen = sizeof(memory->names[i]),
                                                       .msg_iov = &memory->vectors[i],
                                                       .msg_iovlen = 1,
                                                       .msg_control = &memory->control[i],
                                                       .msg_controllen = 64 };
    }
    int count = recvmmsg(in, memory->messages, slots, 0, NULL);
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &memory->messages[i].msg_hdr;
        uint32_t client = number;
        int out = forwarder->bare_server;
        if (number == CLIENTS_MAX) {
            client = (ntohl(memory->names[i].sin_addr.s_addr) & 0xff) - 1;
            out = forwarder->relays[client].bare;
            memory->names[i] = to_sockaddr(&forwarder->relays[client].to_peer.remote);
        } else {
            memory->names[i] = to_sockaddr(&forwarder->relays[client].to_client.remote);
        }
        memory->vectors[i].iov_len = memory->messages[i].msg_len;
        datagrams += memory->messages[i].msg_len / size;
        header->msg_controllen = 0;
        if (memory->messages[i].msg_len > size) {
            header->msg_controllen = CMSG_SPACE(sizeof(uint16_t));
            struct cmsghdr *item = CMSG_FIRSTHDR(header);
            item->cmsg_level = IPPROTO_UDP;
            item->cmsg_type = UDP_SEGMENT;
            item->cmsg_len = CMSG_LEN(sizeof(uint16_t));
            uint16_t segment = (uint16_t)size;
            memcpy(CMSG_DATA(item), &segment, sizeof(segment));
        }
        if (sendmsg(out, header, 0) < 0)
            perror("sendmsg");
    }
    return datagrams;
}

struct measure {
    bool up, bare;
    size_t size;
    unsigned burst;
    unsigned rounds;
};

/** Bursts of all clients, forwarded once. Returns the nanoseconds it took. */
static uint64_t run_round(struct forwarder *forwarder, const struct measure *measure)
{
    static struct bare_memory memory;
    struct epoll_event events[CLIENTS_MAX];
    uint64_t wanted = (uint64_t)forwarder->clients * measure->burst;
    uint16_t server =
        measure->bare ? port_of(forwarder->bare_server) : udp_socket_port(forwarder->server);
    for (uint32_t i = 0; i < forwarder->clients; i++) {
        const struct relay *relay = &forwarder->relays[i];
        uint16_t port = measure->bare ? port_of(relay->bare) : udp_socket_port(relay->socket);
        if (measure->up)
            send_burst(forwarder->client[i], server, measure->size + HEADER, measure->burst);
        else
            send_burst(forwarder->peer, port, measure->size, measure->burst);
    }
    uint64_t done = 0, began_ns = now_ns();
    forwarder->received = 0;
    if (measure->bare) {
        size_t size = measure->size + (measure->up ? HEADER : 0);
        while (done < wanted) {
            int count = epoll_wait(forwarder->bare_epoll, events, CLIENTS_MAX, 0);
            for (int i = 0; i < count; i++)
                done += bare_forward(forwarder, &memory, events[i].data.u32, size);
        }
    } else {
        while (forwarder->received < wanted) {
            loop_turn(&forwarder->loop, 0);
            if (forwarder->keep)
                udp_memory_release(forwarder->memory);
        }
    }
    uint64_t took_ns = now_ns() - began_ns;
    uint64_t arrived = 0;
    for (uint32_t i = 0; i < forwarder->clients; i++)
        arrived += drain(forwarder->client[i]);
    arrived += drain(forwarder->peer);
    size_t size = measure->size + (measure->up == measure->bare ? HEADER : 0);
    size = measure->bare && !measure->up ? measure->size : size;
    if (arrived != wanted * (measure->up && !measure->bare ? measure->size : size))
        fprintf(stderr, "lost: %lu of %lu bytes\n", arrived, wanted * size);
    return took_ns;
}

/** Medians: single rounds are disturbed by others on the machine. */
static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_us(struct forwarder *forwarder, const struct measure *measure)
{
    double *all = memory_new_array(double, measure->rounds);
    for (unsigned i = 0; i < measure->rounds; i++)
        all[i] = (double)run_round(forwarder, measure) /
                 ((double)forwarder->clients * measure->burst) / 1000;
    qsort(all, measure->rounds, sizeof(*all), compare);
    double median = all[measure->rounds / 2];
    free(all);
    return median;
}

static void open_and_close(void)
{
    struct loop loop;
    must(loop_init(&loop));
    struct udp_memory *memory = udp_memory_new();
    struct udp_config config = { .bind = net_address_ipv4(127, 0, 0, 1, 0),
                                 .memory = memory,
                                 .exclusive = true,
                                 .report_errors = true,
                                 .receive_buffer_bytes = 1 << 20,
                                 .send_buffer_bytes = UDP_BUFFER_SYSTEM };
    enum { COUNT = 1000 };
    struct udp_socket *sockets[COUNT];
    uint16_t ports[COUNT];
    for (int i = 0; i < COUNT; i++) {
        must(udp_socket_open(&config, &loop, &peer_ops, NULL, &sockets[i]));
        ports[i] = udp_socket_port(sockets[i]);
    }
    for (int i = 0; i < COUNT; i++)
        udp_socket_close(sockets[i]);
    double best_open = 1e9, best_close = 1e9;
    for (int round = 0; round < 7; round++) {
        uint64_t began_ns = now_ns();
        for (int i = 0; i < COUNT; i++) {
            config.bind.port = ports[i];
            must(udp_socket_open(&config, &loop, &peer_ops, NULL, &sockets[i]));
        }
        uint64_t opened_ns = now_ns();
        for (int i = 0; i < COUNT; i++)
            udp_socket_close(sockets[i]);
        best_open = min_of(best_open, (double)(opened_ns - began_ns) / COUNT / 1000);
        best_close = min_of(best_close, (double)(now_ns() - opened_ns) / COUNT / 1000);
    }
    printf("relay socket: open %.2f us, close %.2f us\n\n", best_open, best_close);
    udp_memory_free(memory);
    loop_done(&loop);
}

static void report(const struct measure *asked, uint32_t clients)
{
    struct forwarder *plain = forwarder_new(clients, false);
    struct forwarder *kept = forwarder_new(clients, true);
    struct measure measure = *asked;
    double ours_us = median_us(plain, &measure);
    double kept_us = median_us(kept, &measure);
    measure.bare = true;
    double bare_us = median_us(plain, &measure);
    printf("%-5s %5zu %7u %6u %8.3f %8.3f %6.2f %8.3f %6.2f\n", measure.up ? "up" : "down",
           measure.size, clients, measure.burst, bare_us, ours_us, ours_us / bare_us, kept_us,
           kept_us / bare_us);
    fflush(stdout);
    forwarder_free(plain);
    forwarder_free(kept);
}

/** bench_udp_gather [ROUNDS [up|down SIZE CLIENTS BURST]] */
int main(int argc, char **argv)
{
    static const size_t sizes[] = { 200, 1200 };
    static const unsigned bursts[] = { 1, 4, 8, 16 };
    static const uint32_t clients[] = { 1, 16, 64 };
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 300;
    if (argc < 6)
        open_and_close();
    printf("CPU us per datagram\n%-5s %5s %7s %6s %8s %8s %6s %8s %6s\n", "", "bytes", "clients",
           "burst", "bare", "gather", "ratio", "kept", "ratio");
    if (argc > 5) {
        struct measure one = { .up = strcmp(argv[2], "up") == 0,
                               .size = (size_t)atoi(argv[3]),
                               .burst = (unsigned)atoi(argv[5]),
                               .rounds = rounds };
        report(&one, (uint32_t)atoi(argv[4]));
        return 0;
    }
    for (int up = 1; up >= 0; up--) {
        for (size_t s = 0; s < array_size(sizes); s++) {
            for (size_t c = 0; c < array_size(clients); c++) {
                for (size_t b = 0; b < array_size(bursts); b++) {
                    struct measure measure = { .up = up,
                                               .size = sizes[s],
                                               .burst = bursts[b],
                                               .rounds = rounds * (clients[c] == 1 ? 16 : 2) };
                    report(&measure, clients[c]);
                }
            }
        }
    }
    return 0;
}
