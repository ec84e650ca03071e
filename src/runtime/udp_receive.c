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

static void prepare(struct udp_receiver *receiver)
{
    for (size_t i = 0; i < UDP_RECEIVE_MESSAGES; i++) {
        receiver->vectors[i] = (struct iovec){
            .iov_base = receiver->bytes + i * UDP_RECEIVE_SLOT,
            .iov_len = UDP_RECEIVE_SLOT,
        };
        receiver->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &receiver->names[i],
            .msg_namelen = sizeof(receiver->names[i]),
            .msg_iov = &receiver->vectors[i],
            .msg_iovlen = 1,
            .msg_control = receiver->control[i].bytes,
            .msg_controllen = sizeof(receiver->control[i].bytes),
        };
    }
}

static void read_overflow(struct udp_socket *socket, const struct cmsghdr *control)
{
    uint32_t dropped = *(const uint32_t *)(const void *)CMSG_DATA(control);
    runtime_count(&socket->loop->metrics, RUNTIME_UDP_RECEIVED_OVERFLOW,
                  dropped - socket->receiver.dropped);
    socket->receiver.dropped = dropped;
}

static void read_control(struct udp_socket *socket, const struct cmsghdr *control,
                         struct arrival *arrival)
{
    const void *content = CMSG_DATA(control);
    struct net_address *local = &arrival->path.local;
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        const struct in6_pktinfo *info = content;
        *local = sockaddr_from_ipv6(&info->ipi6_addr, socket->port, info->ipi6_ifindex);
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        const struct in_pktinfo *info = content;
        *local = sockaddr_from_ipv4(&info->ipi_addr, socket->port);
    } else if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
        int size = *(const int *)content;
        arrival->segment_size = size > 0 ? (size_t)size : 0;
    } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
        read_overflow(socket, control);
    }
}

static void deliver(struct udp_socket *socket)
{
    struct udp_receiver *receiver = &socket->receiver;
    size_t count = receiver->count;
    receiver->count = 0;
    if (count > 0)
        socket->ops->received(socket->owner, socket, receiver->datagrams, count);
}

/** Cuts a run into its datagrams: all of the segment size but the last. */
// the handler may change the bytes: NOLINTNEXTLINE(readability-non-const-parameter)
static void add_datagrams(struct udp_socket *socket, const struct arrival *arrival, uint8_t *bytes,
                          size_t size)
{
    struct udp_receiver *receiver = &socket->receiver;
    struct runtime_metrics *metrics = &socket->loop->metrics;
    size_t segment = arrival->segment_size ? arrival->segment_size : size;
    if (segment > DATAGRAM_SIZE_MAX) {
        runtime_count(metrics, RUNTIME_UDP_RECEIVED_OVERSIZED, (size + segment - 1) / segment);
        return;
    }
    runtime_count(metrics, RUNTIME_UDP_RECEIVED_BYTES, size);
    for (size_t at = 0; at < size; at += segment) {
        if (receiver->count == UDP_RECEIVE_MAX)
            deliver(socket);
        receiver->datagrams[receiver->count++] = (struct udp_datagram){
            .path = arrival->path,
            .data = bytes + at,
            .size = min_of(segment, size - at),
        };
        runtime_count(metrics, RUNTIME_UDP_RECEIVED, 1);
    }
}

static void read_message(struct udp_socket *socket, size_t index)
{
    struct udp_receiver *receiver = &socket->receiver;
    struct msghdr *header = &receiver->messages[index].msg_hdr;
    struct arrival arrival = {
        .path.remote = sockaddr_read(&receiver->names[index]),
        .path.local = { .family = NET_NONE, .port = socket->port },
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

/** One batch. Returns whether the socket may hold more. */
static bool receive_batch(struct udp_socket *socket)
{
    struct udp_receiver *receiver = &socket->receiver;
    struct runtime_metrics *metrics = &socket->loop->metrics;
    prepare(receiver);
    int count = recvmmsg(socket->fd, receiver->messages, UDP_RECEIVE_MESSAGES, 0, NULL);
    runtime_count(metrics, RUNTIME_UDP_RECEIVE_CALLS, 1);
    // an error is one that ICMP reported for something we sent: it is cleared by reading it
    if (count < 0)
        return errno != EAGAIN;
    runtime_count(metrics, RUNTIME_UDP_RECEIVE_MESSAGES, (uint64_t)count);
    for (size_t i = 0; i < (size_t)count; i++)
        read_message(socket, i);
    deliver(socket);
    return count == UDP_RECEIVE_MESSAGES;
}

void udp_receive_ready(struct loop_watch *watch, unsigned events unused)
{
    struct udp_socket *socket = container_of(watch, struct udp_socket, watch);
    for (int round = 0; round < UDP_RECEIVE_ROUNDS; round++) {
        if (!receive_batch(socket))
            return;
    }
}
