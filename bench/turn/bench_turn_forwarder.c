// links: proto/stun runtime
// libraries: openssl
// The physical limit that a TURN server is measured against: the same sockets and the same runs,
// but no STUN, no checks, no counters, no time. A client says hello with its peer's address
// (write_bare_hello in load_control.c; a peer's port of 0 says goodbye for all) and gets a socket
// of its own on the peer's side; from then on ChannelData headers are taken off one way and put
// before the data the other way.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/datagram.h"
#include "base/memory.h"

#define MESSAGES_MAX 64
#define SLOT         65536
#define EVENTS       256
#define CLIENTS_MAX  65536 /**< a power of two */
#define CHANNEL      0x4000
#define HEADER       4
#define HELLO        8
#define PACKETS_MAX  4096 /**< waiting to be sent */
#define NO_RUN       UINT32_MAX

struct client {
    struct sockaddr_in address;
    struct sockaddr_in peer;
    int relay; /**< the socket on the peer's side */
    uint32_t run[2];
};

union control {
    struct cmsghdr aligned;
    uint8_t bytes[64];
};

/** Datagrams of one destination that leave as one message. */
struct run {
    struct client *client;
    struct iovec pieces[2 * DATAGRAM_RUN_COUNT_MAX];
    size_t piece_count;
    unsigned count;
    size_t segment;
    size_t size;
    bool closed; /**< one that is shorter ended it */
    union control control;
};

enum side {
    TO_PEERS,
    TO_CLIENTS,
};

struct forwarder {
    struct in_addr address;
    int front;
    int epoll_fd;
    unsigned messages; /**< per recvmmsg */
    struct client *clients[CLIENTS_MAX];
    struct mmsghdr in[MESSAGES_MAX];
    struct iovec slots[MESSAGES_MAX];
    struct sockaddr_in names[MESSAGES_MAX];
    union control control[MESSAGES_MAX];
    uint8_t *bytes;
    unsigned slots_used;
    struct run *runs;
    unsigned run_count;
    struct mmsghdr out[PACKETS_MAX];
    uint8_t headers[PACKETS_MAX][HEADER];
    unsigned packets;
};

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

static int open_socket(struct in_addr address, struct sockaddr_in *ret_name)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {
        .sin_family = AF_INET,
        .sin_addr = address,
    };
    socklen_t size = sizeof(name);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&name, &size) < 0)
        give_up("socket");
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20);
    set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20);
    set_option(fd, IPPROTO_UDP, UDP_GRO, 1);
    *ret_name = name;
    return fd;
}

static void watch(struct forwarder *forwarder, int fd, void *what)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };
    if (epoll_ctl(forwarder->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        give_up("epoll_ctl");
}

/** The client's place, or the empty one where it belongs. */
static struct client **find(struct forwarder *forwarder, const struct sockaddr_in *address)
{
    uint32_t at = (address->sin_addr.s_addr ^ (uint32_t)address->sin_port << 13) * 2654435761u;
    for (at >>= 16;; at = (at + 1) % CLIENTS_MAX) {
        struct client *client = forwarder->clients[at];
        if (!client || (client->address.sin_addr.s_addr == address->sin_addr.s_addr &&
                        client->address.sin_port == address->sin_port))
            return &forwarder->clients[at];
    }
}

/** The generator goes: its clients' sockets do too. */
static void forget_all(struct forwarder *forwarder)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = forwarder->clients[i];
        if (client) {
            close(client->relay);
            free(client);
            forwarder->clients[i] = NULL;
        }
    }
}

static void greet(struct forwarder *forwarder, struct client **place,
                  const struct sockaddr_in *address, const uint8_t *hello)
{
    struct sockaddr_in relay;
    if (!*place) {
        *place = memory_new(struct client);
        (*place)->address = *address;
        (*place)->relay = open_socket(forwarder->address, &relay);
        (*place)->run[0] = (*place)->run[1] = NO_RUN;
        watch(forwarder, (*place)->relay, *place);
    }
    struct client *client = *place;
    socklen_t size = sizeof(relay);
    getsockname(client->relay, (struct sockaddr *)&relay, &size);
    client->peer = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(load_u16(hello + 2)),
        .sin_addr.s_addr = htonl(load_u32(hello + 4)),
    };
    uint8_t answer[HELLO] = { 0 };
    store_u16(answer + 2, ntohs(relay.sin_port));
    store_u32(answer + 4, ntohl(relay.sin_addr.s_addr));
    (void)!sendto(forwarder->front, answer, sizeof(answer), 0, (const struct sockaddr *)address,
                  sizeof(*address));
}

static void finish_run(struct run *run, enum side side, struct mmsghdr *out)
{
    struct client *client = run->client;
    client->run[side] = NO_RUN;
    *out = (struct mmsghdr){ .msg_hdr = {
                                 .msg_name = side == TO_PEERS ? &client->peer : &client->address,
                                 .msg_namelen = sizeof(client->peer),
                                 .msg_iov = run->pieces,
                                 .msg_iovlen = run->piece_count,
                             } };
    if (run->count == 1)
        return;
    uint16_t segment = (uint16_t)run->segment;
    struct cmsghdr *control = &run->control.aligned;
    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(segment));
    memcpy(CMSG_DATA(control), &segment, sizeof(segment));
    out->msg_hdr.msg_control = control;
    out->msg_hdr.msg_controllen = CMSG_SPACE(sizeof(segment));
}

static void flush(struct forwarder *forwarder, enum side side)
{
    for (unsigned i = 0; i < forwarder->run_count; i++) {
        struct run *run = &forwarder->runs[i];
        finish_run(run, side, &forwarder->out[i]);
        if (side == TO_PEERS)
            (void)!sendmsg(run->client->relay, &forwarder->out[i].msg_hdr, 0);
    }
    if (side == TO_CLIENTS && forwarder->run_count > 0)
        (void)!sendmmsg(forwarder->front, forwarder->out, forwarder->run_count, 0);
    forwarder->run_count = forwarder->packets = forwarder->slots_used = 0;
}

static struct run *open_run(struct forwarder *forwarder, struct client *client, enum side side,
                            size_t size)
{
    uint32_t at = client->run[side];
    if (at != NO_RUN) {
        struct run *run = &forwarder->runs[at];
        if (!run->closed && size <= run->segment && run->count < DATAGRAM_RUN_COUNT_MAX &&
            run->size + size <= DATAGRAM_RUN_SIZE_MAX)
            return run;
    }
    client->run[side] = forwarder->run_count;
    struct run *run = &forwarder->runs[forwarder->run_count++];
    run->client = client;
    run->piece_count = run->count = 0;
    run->size = 0;
    run->segment = size;
    run->closed = false;
    return run;
}

static void add(struct forwarder *forwarder, struct client *client, enum side side, uint8_t *data,
                size_t size)
{
    size_t sent = side == TO_PEERS ? size : size + HEADER;
    struct run *run = open_run(forwarder, client, side, sent);
    if (side == TO_CLIENTS) {
        uint8_t *header = forwarder->headers[forwarder->packets];
        store_u16(header, CHANNEL);
        store_u16(header + 2, (uint16_t)size);
        run->pieces[run->piece_count++] = (struct iovec){ header, HEADER };
    }
    run->pieces[run->piece_count++] = (struct iovec){ data, size };
    run->count++;
    run->size += sent;
    run->closed = sent < run->segment;
    forwarder->packets++;
}

/** Receives behind the slots in use; returns the number of messages. */
static int receive(struct forwarder *forwarder, int fd)
{
    unsigned first = forwarder->slots_used;
    unsigned room = min_of(MESSAGES_MAX - first, forwarder->messages);
    for (unsigned i = first; i < first + room; i++) {
        forwarder->in[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
        forwarder->in[i].msg_hdr.msg_controllen = sizeof(union control);
    }
    int count = recvmmsg(fd, forwarder->in + first, room, 0, NULL);
    if (count > 0)
        forwarder->slots_used += (unsigned)count;
    return count;
}

static size_t segment_of(struct mmsghdr *message)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(&message->msg_hdr); control;
         control = CMSG_NXTHDR(&message->msg_hdr, control)) {
        const void *content = CMSG_DATA(control);
        if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO)
            return (size_t) * (const int *)content;
    }
    return message->msg_len;
}

static void from_clients(struct forwarder *forwarder)
{
    int count = receive(forwarder, forwarder->front);
    bool goodbye = false;
    for (int i = 0; i < count; i++) {
        struct client **place = find(forwarder, &forwarder->names[i]);
        uint8_t *data = forwarder->slots[i].iov_base;
        size_t size = forwarder->in[i].msg_len, segment = segment_of(&forwarder->in[i]);
        for (size_t at = 0; at < size; at += segment) {
            size_t one = min_of(segment, size - at);
            if (one == HELLO && load_u32(data + at) == 0)
                goodbye = true;
            else if (one == HELLO && load_u16(data + at) == 0)
                greet(forwarder, place, &forwarder->names[i], data + at);
            else if (*place && one > HEADER)
                add(forwarder, *place, TO_PEERS, data + at + HEADER, one - HEADER);
        }
    }
    flush(forwarder, TO_PEERS);
    if (goodbye)
        forget_all(forwarder);
}

static void from_peers(struct forwarder *forwarder, struct client *client)
{
    // what 64 messages can hold at most must fit
    if (forwarder->slots_used + forwarder->messages > MESSAGES_MAX)
        flush(forwarder, TO_CLIENTS);
    unsigned first = forwarder->slots_used;
    int count = receive(forwarder, client->relay);
    for (unsigned i = first; count > 0 && i < first + (unsigned)count; i++) {
        uint8_t *data = forwarder->slots[i].iov_base;
        size_t size = forwarder->in[i].msg_len, segment = segment_of(&forwarder->in[i]);
        for (size_t at = 0; at < size; at += segment)
            add(forwarder, client, TO_CLIENTS, data + at, min_of(segment, size - at));
    }
}

static struct forwarder *forwarder_new(struct in_addr address, unsigned messages)
{
    struct forwarder *forwarder = memory_new(struct forwarder);
    struct sockaddr_in name;
    forwarder->messages = messages;
    forwarder->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    forwarder->address = address;
    forwarder->front = open_socket(address, &name);
    watch(forwarder, forwarder->front, NULL);
    forwarder->bytes = memory_allocate(MESSAGES_MAX, SLOT);
    forwarder->runs = memory_new_array(struct run, PACKETS_MAX);
    for (unsigned i = 0; i < MESSAGES_MAX; i++) {
        forwarder->slots[i] = (struct iovec){ forwarder->bytes + (size_t)i * SLOT, SLOT };
        forwarder->in[i].msg_hdr = (struct msghdr){
            .msg_name = &forwarder->names[i],
            .msg_iov = &forwarder->slots[i],
            .msg_iovlen = 1,
            .msg_control = &forwarder->control[i],
        };
    }
    printf("%u\n", ntohs(name.sin_port));
    fflush(stdout);
    return forwarder;
}

/** Until a signal ends it. Usage: bench_turn_forwarder [IP [MESSAGES per system call]]. */
int main(int argc, char **argv)
{
    struct in_addr address = { htonl(INADDR_LOOPBACK) };
    int messages = argc > 2 ? atoi(argv[2]) : 16;
    if (messages < 1 || messages > MESSAGES_MAX || (argc > 1 && !inet_aton(argv[1], &address)))
        give_up("an address, and 1 to 64 messages");
    struct rlimit files = { 65536, 65536 };
    (void)setrlimit(RLIMIT_NOFILE, &files);
    struct forwarder *forwarder = forwarder_new(address, (unsigned)messages);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(forwarder->epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                from_peers(forwarder, events[i].data.ptr);
        }
        flush(forwarder, TO_CLIENTS);
        for (int i = 0; i < count; i++) {
            if (!events[i].data.ptr)
                from_clients(forwarder);
        }
    }
}
