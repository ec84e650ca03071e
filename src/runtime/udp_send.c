#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "runtime/sockaddr.h"
#include "runtime/udp_int.h"

/** Runs refused in a row, each then taken one by one, until runs are not tried any more. */
#define GSO_FAILURES_MAX 8
/** A datagram that every link takes whole: IPv6's smallest MTU without its headers. */
#define SEGMENT_ANY_LINK (1280 - 40 - 8)
/** How long a full socket may hold up the loop, once per udp_socket_send. */
#define SEND_WAIT_NS 500000

/** Appends one ancillary item behind `used` bytes; returns the new size. */
static size_t put_control(union udp_control *control, size_t used, int level, int type,
                          const void *content, size_t size)
{
    struct cmsghdr *header = (struct cmsghdr *)(void *)(control->bytes + used);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), content, size);
    return used + CMSG_SPACE(size);
}

/** Asks for `local` as the source. An IPv4 source on a dual-stack socket is a mapped address. */
static size_t put_source(const struct udp_socket *socket, union udp_control *control,
                         const struct net_address *local)
{
    if (socket->bound.family != NET_NONE || local->family == NET_NONE ||
        net_address_is_unspecified(local))
        return 0;
    if (socket->family == AF_INET6) {
        struct in6_pktinfo info = {
            .ipi6_addr = sockaddr_to_ipv6(local),
            .ipi6_ifindex = local->scope,
        };
        return put_control(control, 0, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
    if (local->family != NET_IPV4)
        return 0;
    struct in_pktinfo info = { 0 };
    memcpy(&info.ipi_spec_dst, local->ip, 4);
    return put_control(control, 0, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
}

size_t udp_send_control(const struct udp_socket *socket, union udp_control *control,
                        const struct net_address *local, uint16_t segment_size)
{
    size_t size = put_source(socket, control, local);
    if (segment_size > 0)
        size = put_control(control, size, IPPROTO_UDP, UDP_SEGMENT, &segment_size,
                           sizeof(segment_size));
    return size;
}

/** Puts one kernel message of `count` datagrams into the next place. */
// iovec has no const: NOLINTNEXTLINE(readability-non-const-parameter)
static void put_message(struct udp_socket *socket, const struct net_path *path, uint8_t *bytes,
                        size_t size, unsigned count, uint16_t segment_size)
{
    struct udp_sender *sender = &socket->memory->sender;
    unsigned at = sender->count;
    socklen_t name_size = sockaddr_write(&path->remote, socket->family, &sender->names[at]);
    if (name_size == 0) {
        udp_socket_count(socket, RUNTIME_UDP_SEND_UNREACHABLE, count);
        return;
    }
    size_t control_size =
        udp_send_control(socket, &sender->control[at], &path->local, count > 1 ? segment_size : 0);
    sender->vectors[at] = (struct iovec){ .iov_base = bytes, .iov_len = size };
    sender->messages[at] = (struct mmsghdr){ .msg_hdr = {
                                                 .msg_name = &sender->names[at],
                                                 .msg_namelen = name_size,
                                                 .msg_iov = &sender->vectors[at],
                                                 .msg_iovlen = 1,
                                                 .msg_control = sender->control[at].bytes,
                                                 .msg_controllen = control_size,
                                             } };
    sender->datagrams[at] = count;
    sender->count++;
}

enum runtime_metric udp_send_reason(int error)
{
    switch (error) {
    case EAGAIN:
        return RUNTIME_UDP_SEND_BUSY;
    case ENOBUFS:
    case ENOMEM:
        return RUNTIME_UDP_SEND_NO_BUFFERS;
    case EMSGSIZE:
        return RUNTIME_UDP_SEND_TOO_LONG;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ECONNREFUSED:
    case EACCES:
    case EPERM: // a firewall rule of this machine
        return RUNTIME_UDP_SEND_UNREACHABLE;
    default:
        return RUNTIME_UDP_SEND_FAILED;
    }
}

static void count_sent(struct udp_socket *socket, unsigned from, unsigned messages)
{
    const struct udp_sender *sender = &socket->memory->sender;
    for (unsigned i = from; i < from + messages; i++) {
        udp_socket_count(socket, RUNTIME_UDP_SENT, sender->datagrams[i]);
        udp_socket_count(socket, RUNTIME_UDP_SENT_BYTES, sender->vectors[i].iov_len);
        if (sender->datagrams[i] > 1)
            socket->gso_failures = 0;
    }
    udp_socket_count(socket, RUNTIME_UDP_SEND_MESSAGES, messages);
}

void udp_send_note_refusal(struct udp_socket *socket, unsigned taken, uint16_t segment_size)
{
    udp_socket_count(socket, RUNTIME_UDP_SEGMENTATION_REFUSED, 1);
    // One by one it went: so it was the run that was refused, not the address. Where segments are
    // longer than some link, the length may be the reason: whoever sends such must not be able to
    // take runs from everybody.
    if (taken > 0 && segment_size <= SEGMENT_ANY_LINK && ++socket->gso_failures >= GSO_FAILURES_MAX)
        socket->gso = false;
}

/** Sends a refused run datagram by datagram. */
static void send_singly(struct udp_socket *socket, unsigned at)
{
    struct udp_sender *sender = &socket->memory->sender;
    struct msghdr header = sender->messages[at].msg_hdr;
    uint8_t *bytes = sender->vectors[at].iov_base;
    size_t size = sender->vectors[at].iov_len;
    // the segment size is the last ancillary item: what is before it stays
    header.msg_controllen -= UDP_SEGMENT_CONTROL_SIZE;
    uint16_t segment;
    memcpy(&segment,
           CMSG_DATA((struct cmsghdr *)(void *)(sender->control[at].bytes + header.msg_controllen)),
           sizeof(segment));
    unsigned taken = 0;
    for (size_t offset = 0; offset < size; offset += segment) {
        struct iovec vector = { bytes + offset, min_of((size_t)segment, size - offset) };
        header.msg_iov = &vector;
        udp_socket_count(socket, RUNTIME_UDP_SEND_CALLS, 1);
        if (sendmsg(udp_socket_fd(socket), &header, 0) < 0) {
            udp_socket_count(socket, udp_send_reason(errno), 1);
            continue;
        }
        taken++;
        udp_socket_count(socket, RUNTIME_UDP_SENT_BYTES, vector.iov_len);
    }
    udp_socket_count(socket, RUNTIME_UDP_SEND_MESSAGES, taken);
    udp_socket_count(socket, RUNTIME_UDP_SENT, taken);
    udp_send_note_refusal(socket, taken, segment);
}

void udp_send_wait(const struct udp_socket *socket)
{
    struct pollfd poll_fd = { .fd = udp_socket_fd(socket), .events = POLLOUT };
    struct timespec limit = { .tv_nsec = SEND_WAIT_NS };
    (void)ppoll(&poll_fd, 1, &limit, NULL);
}

bool udp_send_run_refused(int error)
{
    return error == EIO || error == EINVAL || error == EOPNOTSUPP || error == EMSGSIZE;
}

bool udp_send_error_may_be_pending(const struct udp_socket *socket, int error)
{
    return socket->report_errors && error != EAGAIN && error != EINTR && error != ENOBUFS &&
           error != ENOMEM && error != EINVAL;
}

/** Deals with the error of message `at`. Returns the number of messages that are settled. */
static unsigned settle_failure(struct udp_socket *socket, unsigned at, int error)
{
    struct udp_sender *sender = &socket->memory->sender;
    if (error == EINTR)
        return 0;
    if (error == EAGAIN && !sender->waited) {
        sender->waited = true;
        udp_send_wait(socket);
        return 0;
    }
    if (error == EAGAIN) {
        for (unsigned i = at; i < sender->count; i++)
            udp_socket_count(socket, RUNTIME_UDP_SEND_BUSY, sender->datagrams[i]);
        return sender->count - at;
    }
    if (!sender->retried && udp_send_error_may_be_pending(socket, error)) {
        sender->retried = true;
        return 0;
    }
    sender->retried = false;
    if (sender->datagrams[at] > 1 && udp_send_run_refused(error))
        send_singly(socket, at);
    else
        udp_socket_count(socket, udp_send_reason(error), sender->datagrams[at]);
    return 1;
}

static void transmit(struct udp_socket *socket)
{
    struct udp_sender *sender = &socket->memory->sender;
    for (unsigned at = 0; at < sender->count;) {
        int sent = sendmmsg(udp_socket_fd(socket), sender->messages + at, sender->count - at, 0);
        udp_socket_count(socket, RUNTIME_UDP_SEND_CALLS, 1);
        if (sent > 0) {
            sender->retried = false;
            count_sent(socket, at, (unsigned)sent);
            at += (unsigned)sent;
        } else {
            at += settle_failure(socket, at, errno);
        }
    }
    sender->count = 0;
}

static void send_run(struct udp_socket *socket, const struct datagram_run *run, uint8_t *bytes)
{
    if (run->count == 1 || socket->gso) {
        if (socket->memory->sender.count == UDP_SEND_MESSAGES)
            transmit(socket);
        put_message(socket, &run->path, bytes, run->size, run->count, run->segment_size);
        return;
    }
    for (uint32_t at = 0; at < run->size; at += run->segment_size) {
        if (socket->memory->sender.count == UDP_SEND_MESSAGES)
            transmit(socket);
        size_t size = min_of((uint32_t)run->segment_size, run->size - at);
        put_message(socket, &run->path, bytes + at, size, 1, run->segment_size);
    }
}

void udp_socket_send(struct udp_socket *socket, struct datagram_batch *batch)
{
    socket->memory->sender.waited = false;
    for (uint32_t i = 0; i < batch->run_count; i++)
        send_run(socket, &batch->runs[i], batch->bytes + batch->runs[i].offset);
    transmit(socket);
    datagram_batch_clear(batch);
}

void udp_socket_flush(struct datagram_batch *batch, void *socket)
{
    udp_socket_send(socket, batch);
}
