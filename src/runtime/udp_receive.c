#include <errno.h>
#include <netinet/udp.h>

#include "runtime/sockaddr.h"
#include "runtime/udp_int.h"

#ifndef SOL_UDP
#define SOL_UDP IPPROTO_UDP
#endif

/** What one kernel message says about its datagrams. */
struct arrival {
    struct net_path path;
    size_t segment_size; /**< 0: one datagram */
};

void udp_receiver_init(struct udp_receiver *receiver)
{
    for (size_t i = 0; i < UDP_RECEIVE_MESSAGES; i++) {
        receiver->vectors[i].iov_len = UDP_RECEIVE_SLOT;
        receiver->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &receiver->names[i],
            .msg_iov = &receiver->vectors[i],
            .msg_iovlen = 1,
            .msg_control = receiver->control[i].bytes,
        };
    }
}

void udp_memory_keep(struct udp_memory *memory, void (*release)(void *owner), void *owner)
{
    memory->receiver.release = release;
    memory->receiver.owner = owner;
}

void udp_memory_release(struct udp_memory *memory)
{
    struct udp_receiver *receiver = &memory->receiver;
    if (receiver->used == 0)
        return;
    receiver->used = 0;
    receiver->release(receiver->owner);
}

/** Readies `slots` of the receiver, behind what is kept. */
static void prepare(struct udp_memory *memory, size_t slots)
{
    struct udp_receiver *receiver = &memory->receiver;
    if (receiver->used > UDP_RECEIVE_KEPT_MAX ||
        receiver->used + slots * UDP_RECEIVE_STRIDE > UDP_RECEIVE_MESSAGES * UDP_RECEIVE_STRIDE)
        udp_memory_release(memory);
    uint8_t *at = receiver->bytes + receiver->used;
    for (size_t i = 0; i < slots; i++, at += UDP_RECEIVE_STRIDE) {
        struct msghdr *header = &receiver->messages[i].msg_hdr;
        receiver->vectors[i].iov_base = at;
        header->msg_namelen = sizeof(receiver->names[i]);
        header->msg_controllen = sizeof(receiver->control[i].bytes);
    }
}

/** What `count` messages fill stays, when the bytes are kept: up to the end of the last one. */
static void keep(struct udp_receiver *receiver, size_t count)
{
    if (!receiver->release)
        return;
    const uint8_t *end = (const uint8_t *)receiver->vectors[count - 1].iov_base +
                         receiver->messages[count - 1].msg_len;
    // whole cache lines, and at least one: `used` says that there is something to release
    receiver->used = ((size_t)(end - receiver->bytes) + 64) & ~(size_t)63;
}

static void read_overflow(struct udp_socket *socket, const struct cmsghdr *control)
{
    uint32_t dropped = *(const uint32_t *)(const void *)CMSG_DATA(control);
    udp_socket_count(socket, RUNTIME_UDP_RECEIVED_OVERFLOW, dropped - socket->dropped);
    socket->dropped = dropped;
}

static void read_control(struct udp_socket *socket, const struct cmsghdr *control,
                         struct arrival *arrival)
{
    const void *content = CMSG_DATA(control);
    struct net_address *local = &arrival->path.local;
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        const struct in6_pktinfo *info = content;
        *local = sockaddr_from_ipv6(&info->ipi6_addr, socket->bound.port, info->ipi6_ifindex);
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        const struct in_pktinfo *info = content;
        *local = sockaddr_from_ipv4(&info->ipi_addr, socket->bound.port);
    } else if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
        int size = *(const int *)content;
        arrival->segment_size = size > 0 ? (size_t)size : 0;
    } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
        read_overflow(socket, control);
    }
}

static void deliver(struct udp_socket *socket)
{
    struct udp_receiver *receiver = &socket->memory->receiver;
    size_t count = receiver->count;
    receiver->count = 0;
    if (count > 0)
        socket->ops->received(socket->owner, socket, receiver->datagrams, count);
}

/**
 * Cuts a run into its datagrams: all of the segment size but the last. Not inlined: the compiler
 * would keep the path in parts and build it anew for each datagram, 10 ns each.
 */
// the handler may change the bytes: NOLINTNEXTLINE(readability-non-const-parameter)
__attribute__((noinline)) static void
add_datagrams(struct udp_socket *socket, const struct arrival *arrival, uint8_t *bytes, size_t size)
{
    struct udp_receiver *receiver = &socket->memory->receiver;
    struct runtime_metrics *metrics = &socket->loop->metrics;
    size_t segment = arrival->segment_size ? arrival->segment_size : size;
    if (segment > DATAGRAM_SIZE_MAX) {
        runtime_count(metrics, RUNTIME_UDP_RECEIVED_OVERSIZED, (size + segment - 1) / segment);
        return;
    }
    size_t at = 0, added = 0;
    if (size == 0 && !socket->empty_datagrams)
        return;
    do {
        if (receiver->count == UDP_RECEIVE_MAX)
            deliver(socket);
        receiver->datagrams[receiver->count++] = (struct udp_datagram){
            .path = arrival->path,
            .data = bytes + at,
            .size = min_of(segment, size - at),
        };
        at += segment;
        added++;
    } while (at < size);
    runtime_count(metrics, RUNTIME_UDP_RECEIVED_BYTES, size);
    runtime_count(metrics, RUNTIME_UDP_RECEIVED, added);
}

static void read_message(struct udp_socket *socket, size_t index)
{
    struct udp_receiver *receiver = &socket->memory->receiver;
    struct msghdr *header = &receiver->messages[index].msg_hdr;
    struct arrival arrival = {
        .path.remote = sockaddr_read(&receiver->names[index]),
        .path.local = socket->bound,
    };
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control;
         control = CMSG_NXTHDR(header, control))
        read_control(socket, control, &arrival);
    if (header->msg_flags & MSG_TRUNC) {
        runtime_count(&socket->loop->metrics, RUNTIME_UDP_RECEIVED_OVERSIZED, 1);
        return;
    }
    add_datagrams(socket, &arrival, receiver->vectors[index].iov_base,
                  receiver->messages[index].msg_len);
}

/** One system call for at most `slots` messages. Returns how many came or a negative errno. */
static int receive_call(const struct udp_socket *socket, unsigned slots)
{
    struct mmsghdr *messages = socket->memory->receiver.messages;
    if (slots > 1) {
        int count = recvmmsg(udp_socket_fd(socket), messages, slots, 0, NULL);
        return count < 0 ? -errno : count;
    }
    ssize_t size = recvmsg(udp_socket_fd(socket), &messages[0].msg_hdr, 0);
    if (size < 0)
        return -errno;
    messages[0].msg_len = (unsigned)size;
    return 1;
}

/**
 * One batch. Returns how many messages came, or a negative errno: -EAGAIN, or an error that ICMP
 * reported for something we sent, which is cleared by reading it.
 */
static int receive_batch(struct udp_socket *socket, unsigned slots)
{
    prepare(socket->memory, slots);
    int count = receive_call(socket, slots);
    udp_socket_count(socket, RUNTIME_UDP_RECEIVE_CALLS, 1);
    if (count <= 0)
        return count;
    udp_socket_count(socket, RUNTIME_UDP_RECEIVE_MESSAGES, (uint64_t)count);
    keep(&socket->memory->receiver, (size_t)count);
    for (size_t i = 0; i < (size_t)count; i++)
        read_message(socket, i);
    deliver(socket);
    return count;
}

/**
 * One slot was asked for and filled: whether there is more, the next turn shows (the loop's watches
 * are level-triggered), and several of them in a row say that more slots are worth it.
 */
static void note_lone_message(struct udp_socket *socket)
{
    uint32_t turn = (uint32_t)metric_get(&socket->loop->metrics.values[RUNTIME_LOOP_TURNS]);
    bool in_a_row = turn - socket->receive_turn <= 1;
    socket->receive_streak = in_a_row ? (uint8_t)(socket->receive_streak + 1) : 0;
    socket->receive_turn = turn;
    if (socket->receive_streak >= UDP_RECEIVE_STREAK) {
        socket->receive_streak = 0;
        socket->receive_slots = 2;
    }
}

/**
 * A relay's socket holds one message at most times, the one of all clients many: each asks for as
 * many as it lately had. A call that does not fill its slots shows that the socket is empty.
 */
static void receive(struct udp_socket *socket)
{
    for (unsigned total = 0, rounds = 0; total < UDP_RECEIVE_TURN && rounds < 8; rounds++) {
        unsigned slots = socket->receive_slots;
        int count = receive_batch(socket, slots);
        if (count == -EAGAIN)
            return;
        if (count < 0)
            continue;
        if (slots == 1) {
            note_lone_message(socket);
            return;
        }
        total += (unsigned)count;
        if ((unsigned)count < slots) {
            if (total * 2 <= slots)
                socket->receive_slots = (uint8_t)(slots / 2);
            return;
        }
        socket->receive_slots = (uint8_t)min_of(slots * 2, (unsigned)UDP_RECEIVE_MESSAGES);
    }
}

void udp_receive_ready(struct loop_watch *watch, unsigned events)
{
    struct udp_socket *socket = container_of(watch, struct udp_socket, watch);
    if ((events & LOOP_HANGUP) && socket->report_errors)
        udp_errors_read(socket);
    if ((events & LOOP_READABLE) || !socket->report_errors)
        receive(socket);
}
