// links: room proto/ws proto/http runtime
// libraries: jansson
// What forwarding cannot cost less than: for each packet one AES-GCM seal out of a shared plaintext
// and its share of the cheapest way to hand it to the kernel, with the sizes, counts and times of a
// row of measure.py. No protocol, no choice, no counters. Receivers are a process of their own.
#include <errno.h>
#include <getopt.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/address.h"
#include "base/memory.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "server_usage.h"

#define HEADER_SIZE  28 /* RTP with mid, abs-send-time and transport-wide sequence number */
#define KEY_SIZE     16
#define BURST_MAX    50
#define MESSAGES_MAX 64
#define ROOM         (256u << 10) /* handed over at a time: stays in the second-level cache */

struct receiver {
    int in;  /**< the sink's socket */
    int out; /**< connected to it */
    struct sockaddr_in address;
    struct aead *aead;
    uint64_t sequence;
};

struct counts {
    _Atomic uint64_t packets;
    _Atomic uint64_t bytes;
};

struct floor {
    struct sockaddr_in address;
    uint32_t subscribers, burst, rate, payload;
    bool alone;
    struct receiver *receivers;
    int fd; /**< sends to all when connected sockets are not used */
    struct counts *counts;
    uint8_t plain[BURST_MAX][2048];
    uint8_t *room;
    size_t used;
    struct mmsghdr messages[MESSAGES_MAX];
    struct iovec parts[MESSAGES_MAX];
    char controls[MESSAGES_MAX][CMSG_SPACE(sizeof(uint16_t))];
    uint32_t message_count;
};

static void pin(size_t core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static int open_socket(const struct floor *floor, struct sockaddr_in *ret_address)
{
    *ret_address = floor->address;
    socklen_t size = sizeof(*ret_address);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ensure(fd >= 0 && bind(fd, (struct sockaddr *)ret_address, size) == 0 &&
           getsockname(fd, (struct sockaddr *)ret_address, &size) == 0);
    return fd;
}

static void open_receivers(struct floor *floor, struct random *random)
{
    struct cipher_provider *ciphers = cipher_provider_new(CIPHER_BEST);
    floor->receivers = memory_new_array(struct receiver, floor->subscribers);
    for (uint32_t i = 0; i < floor->subscribers; i++) {
        struct receiver *receiver = &floor->receivers[i];
        receiver->in = open_socket(floor, &receiver->address);
        int buffer = 1 << 20, on = 1;
        setsockopt(receiver->in, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
        setsockopt(receiver->in, SOL_UDP, UDP_GRO, &on, sizeof(on));
        struct sockaddr_in any;
        receiver->out = open_socket(floor, &any);
        ensure(connect(receiver->out, (struct sockaddr *)&receiver->address, sizeof(any)) == 0);
        uint8_t key[KEY_SIZE];
        random_fill(random, key, sizeof(key));
        receiver->aead = aead_new(ciphers, bytes_of(key, sizeof(key)));
    }
}

/** The receivers' process: takes and counts, until its parent ends. */
static void sink(struct floor *floor)
{
    static uint8_t data[65536];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(1);
    int epoll_fd = epoll_create1(0);
    for (uint32_t i = 0; i < floor->subscribers; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = floor->receivers[i].in };
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, floor->receivers[i].in, &event);
    }
    size_t datagram = HEADER_SIZE + floor->payload + AEAD_TAG_SIZE;
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll_fd, events, array_size(events), -1);
        for (int i = 0; i < count; i++) {
            ssize_t size;
            while ((size = recv(events[i].data.fd, data, sizeof(data), 0)) > 0) {
                floor->counts->packets += (size_t)size / datagram;
                floor->counts->bytes += (size_t)size;
            }
        }
    }
}

static void hand_over(struct floor *floor, bool connected, int fd)
{
    uint32_t sent = 0;
    if (connected) {
        (void)!sendmsg(fd, &floor->messages[0].msg_hdr, 0);
    } else {
        while (sent < floor->message_count) {
            int count = sendmmsg(floor->fd, floor->messages + sent, floor->message_count - sent, 0);
            if (count <= 0)
                break;
            sent += (uint32_t)count;
        }
    }
    floor->message_count = 0;
    floor->used = 0;
}

static void add_message(struct floor *floor, struct receiver *receiver, bool connected,
                        uint8_t *data, size_t size, uint16_t segment)
{
    uint32_t index = floor->message_count++;
    struct msghdr *message = &floor->messages[index].msg_hdr;
    floor->parts[index] = (struct iovec){ data, size };
    *message = (struct msghdr){ .msg_iov = &floor->parts[index], .msg_iovlen = 1 };
    if (!connected) {
        message->msg_name = &receiver->address;
        message->msg_namelen = sizeof(receiver->address);
    }
    if (size > segment) {
        message->msg_control = floor->controls[index];
        message->msg_controllen = sizeof(floor->controls[index]);
        struct cmsghdr *header = CMSG_FIRSTHDR(message);
        header->cmsg_level = SOL_UDP;
        header->cmsg_type = UDP_SEGMENT;
        header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        memcpy(CMSG_DATA(header), &segment, sizeof(segment));
    }
    bool full = floor->message_count == MESSAGES_MAX || floor->used + BURST_MAX * 2048ul > ROOM;
    if (connected || full)
        hand_over(floor, connected, receiver->out);
}

static void send_burst(struct floor *floor, struct receiver *receiver, bool connected)
{
    uint16_t segment = (uint16_t)(HEADER_SIZE + floor->payload + AEAD_TAG_SIZE);
    uint8_t *first = floor->room + floor->used;
    for (uint32_t i = 0; i < floor->burst; i++) {
        uint8_t *at = floor->room + floor->used, iv[AEAD_IV_SIZE] = { 0 };
        memcpy(at, floor->plain[i], HEADER_SIZE);
        store_u64(iv + 4, receiver->sequence++);
        aead_seal(receiver->aead, iv, bytes_of(at, HEADER_SIZE),
                  bytes_of(floor->plain[i] + HEADER_SIZE, floor->payload), at + HEADER_SIZE);
        floor->used += segment;
        if (floor->alone)
            add_message(floor, receiver, connected, at, segment, segment);
    }
    if (!floor->alone)
        add_message(floor, receiver, connected, first, (size_t)segment * floor->burst, segment);
}

static void sleep_until(uint64_t at_us)
{
    struct timespec at = { .tv_sec = (time_t)(at_us / TIME_US_PER_S),
                           .tv_nsec = (long)(at_us % TIME_US_PER_S * 1000) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}

/** Sends for so long; CPU µs per packet. */
static double run(struct floor *floor, bool connected, uint64_t duration_us,
                  struct server_usage *ret_used)
{
    uint64_t start_us = clock_now_us(), next_us = start_us, packets = 0;
    struct server_usage before = server_usage_read(getpid(), 0);
    while (next_us < start_us + duration_us) {
        sleep_until(next_us);
        for (uint32_t i = 0; i < floor->subscribers; i++)
            send_burst(floor, &floor->receivers[i], connected);
        if (floor->message_count > 0)
            hand_over(floor, false, floor->fd);
        packets += (uint64_t)floor->subscribers * floor->burst;
        next_us += TIME_US_PER_S / floor->rate;
    }
    struct server_usage now = server_usage_read(getpid(), 0);
    *ret_used = server_usage_since(&before, &now);
    return (double)(ret_used->cpu_ns + ret_used->softirq_ns) / 1e3 / (double)packets;
}

static void measure(struct floor *floor, uint64_t duration_us)
{
    double us[2], waited = 0;
    struct server_usage used;
    uint64_t start_us = clock_now_us(), packets = floor->counts->packets;
    uint64_t bytes = floor->counts->bytes;
    for (int connected = 0; connected < 2; connected++) {
        us[connected] = run(floor, connected, duration_us / 2, &used);
        waited += (double)used.waited_ns / 1e3 / (double)duration_us;
    }
    double wall_us = (double)(clock_now_us() - start_us);
    printf("{\"us\": %.4f, \"one_socket\": %.4f, \"connected_sockets\": %.4f, \"waited\": %.4f, "
           "\"pps\": %.0f, \"gbps\": %.4f, \"lost\": 0}\n",
           us[0] < us[1] ? us[0] : us[1], us[0], us[1], waited,
           (double)(floor->counts->packets - packets) * 1e6 / wall_us,
           (double)(floor->counts->bytes - bytes) * 8 / 1e3 / wall_us);
    fflush(stdout);
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_sfu_floor --address IP --subscribers N --burst PACKETS\n"
                    "                       --payload BYTES --rate BURSTS_A_SECOND [--alone]\n"
                    "Reads \"measure MILLISECONDS\" from standard input; ends with it.\n");
    return 2;
}

static bool parse(int argc, char **argv, struct floor *floor)
{
    static const struct option table[] = {
        { "address", required_argument, NULL, 'a' },
        { "subscribers", required_argument, NULL, 'n' },
        { "burst", required_argument, NULL, 'b' },
        { "payload", required_argument, NULL, 'p' },
        { "rate", required_argument, NULL, 'r' },
        { "alone", no_argument, NULL, 'l' },
        { 0 },
    };
    for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        uint32_t number = optarg ? (uint32_t)strtoul(optarg, NULL, 10) : 0;
        switch (option) {
        case 'a':
            if (inet_pton(AF_INET, optarg, &floor->address.sin_addr) != 1)
                return false;
            break;
        case 'n':
            floor->subscribers = number;
            break;
        case 'b':
            floor->burst = number;
            break;
        case 'p':
            floor->payload = number;
            break;
        case 'r':
            floor->rate = number;
            break;
        case 'l':
            floor->alone = true;
            break;
        default:
            return false;
        }
    }
    return floor->subscribers > 0 && floor->burst > 0 && floor->burst <= BURST_MAX &&
           floor->payload > 0 && floor->payload <= 1400 && floor->rate > 0;
}

int main(int argc, char **argv)
{
    static struct floor floor = { .address = { .sin_family = AF_INET } };
    if (!parse(argc, argv, &floor))
        return usage();
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    struct entropy entropy;
    entropy_init(&entropy);
    floor.counts = mmap(NULL, sizeof(*floor.counts), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ensure(floor.counts != MAP_FAILED);
    floor.room = memory_new_array(uint8_t, ROOM + BURST_MAX * 2048ul);
    struct sockaddr_in any;
    floor.fd = open_socket(&floor, &any);
    open_receivers(&floor, &entropy.random);
    pid_t child = fork();
    ensure(child >= 0);
    if (child == 0)
        sink(&floor);
    pin(0);
    char line[64];
    unsigned ms;
    while (fgets(line, sizeof(line), stdin) && sscanf(line, "measure %u", &ms) == 1)
        measure(&floor, time_from_ms(ms));
    kill(child, SIGKILL);
    return 0;
}
