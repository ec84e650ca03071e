#include "datagram_port.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/datagram.h"
#include "base/memory.h"

#define BUFFER_BYTES (64 << 20)

static void give_up(const char *what)
{
    fprintf(stderr, "bench_turn: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

struct datagram_port *port_open(uint32_t ip, uint16_t number, bool gro)
{
    struct datagram_port *port = memory_new(struct datagram_port);
    port->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(ip),
        .sin_port = htons(number),
    };
    socklen_t size = sizeof(name);
    if (port->fd < 0 || bind(port->fd, (struct sockaddr *)&name, size) < 0 ||
        getsockname(port->fd, (struct sockaddr *)&name, &size) < 0)
        give_up("socket");
    port->ip = ip;
    port->number = ntohs(name.sin_port);
    // root may go beyond the system's limit; others take what there is
    set_option(port->fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
    set_option(port->fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
    set_option(port->fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES);
    set_option(port->fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES);
    set_option(port->fd, IPPROTO_IP, IP_PKTINFO, ip == INADDR_ANY);
    set_option(port->fd, IPPROTO_UDP, UDP_GRO, gro);
    struct port_incoming *in = &port->in;
    in->bytes = memory_allocate(PORT_RECEIVE_MAX, PORT_SLOT);
    for (size_t i = 0; i < PORT_RECEIVE_MAX; i++) {
        in->slots[i] = (struct iovec){ in->bytes + i * PORT_SLOT, PORT_SLOT };
        in->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &in->names[i],
            .msg_iov = &in->slots[i],
            .msg_iovlen = 1,
            .msg_control = in->control[i].bytes,
        };
    }
    return port;
}

struct datagram_port *port_close(struct datagram_port *port)
{
    if (port) {
        close(port->fd);
        free(port->in.bytes);
        free(port);
    }
    return NULL;
}

static void put_control(struct msghdr *message, int level, int type, const void *content,
                        size_t size)
{
    uint8_t *at = (uint8_t *)message->msg_control + message->msg_controllen;
    struct cmsghdr *header = (struct cmsghdr *)(void *)at;
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), content, size);
    message->msg_controllen += CMSG_SPACE(size);
}

/** The message's datagrams became two: from now on the kernel cuts it. */
static void mark_run(struct port_outgoing *out, struct msghdr *message)
{
    uint16_t size = (uint16_t)out->joined_size;
    if (out->joined == 1)
        put_control(message, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
}

static void start_message(struct port_outgoing *out, struct port_address to, uint32_t from_ip)
{
    unsigned at = out->count++;
    out->names[at] = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(to.ip),
        .sin_port = htons(to.number),
    };
    struct msghdr *message = &out->messages[at].msg_hdr;
    *message = (struct msghdr){
        .msg_name = &out->names[at],
        .msg_namelen = sizeof(out->names[at]),
        .msg_iov = &out->pieces[out->piece_count],
        .msg_control = out->control[at].bytes,
    };
    if (from_ip) {
        struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(from_ip) };
        put_control(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    }
    out->joined = 0;
}

void port_add(struct datagram_port *port, struct port_address to, uint32_t from_ip,
              struct bytes head, struct bytes body, bool join)
{
    struct port_outgoing *out = &port->out;
    ensure(head.size <= PORT_HEAD_MAX);
    if (out->joined == DATAGRAM_RUN_COUNT_MAX ||
        (out->joined + 1) * (head.size + body.size) > DATAGRAM_RUN_SIZE_MAX)
        join = false;
    if (out->piece_count + 2 > PORT_PIECES_MAX || (!join && out->count == PORT_SEND_MAX)) {
        port_flush(port);
        join = false;
    }
    if (!join || out->count == 0)
        start_message(out, to, from_ip);
    struct msghdr *message = &out->messages[out->count - 1].msg_hdr;
    mark_run(out, message);
    uint8_t *copy = out->heads[out->piece_count / 2];
    if (head.size > 0)
        memcpy(copy, head.data, head.size);
    struct iovec *pieces = &out->pieces[out->piece_count];
    pieces[0] = (struct iovec){ copy, head.size };
    // iovec has no const
    pieces[1] = (struct iovec){ (void *)(uintptr_t)body.data, body.size };
    out->piece_count += 2;
    message->msg_iovlen += 2;
    out->joined++;
    out->joined_size = head.size + body.size;
}

void port_flush(struct datagram_port *port)
{
    struct port_outgoing *out = &port->out;
    for (unsigned at = 0; at < out->count;) {
        int sent = sendmmsg(port->fd, out->messages + at, out->count - at, 0);
        if (sent > 0) {
            at += (unsigned)sent;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            struct pollfd full = { .fd = port->fd, .events = POLLOUT };
            (void)poll(&full, 1, 1);
        } else if (errno != ECONNREFUSED && errno != EINTR) {
            give_up("sendmmsg");
        }
    }
    out->count = out->piece_count = out->joined = 0;
}

static void read_control(struct msghdr *message, uint32_t *ret_to_ip, size_t *ret_segment)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control;
         control = CMSG_NXTHDR(message, control)) {
        const void *content = CMSG_DATA(control);
        if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO)
            *ret_to_ip = ntohl(((const struct in_pktinfo *)content)->ipi_addr.s_addr);
        else if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO)
            *ret_segment = (size_t) * (const int *)content;
    }
}

size_t port_receive(struct datagram_port *port, port_handler *handler, void *owner)
{
    struct port_incoming *in = &port->in;
    for (size_t i = 0; i < PORT_RECEIVE_MAX; i++) {
        in->messages[i].msg_hdr.msg_namelen = sizeof(in->names[i]);
        in->messages[i].msg_hdr.msg_controllen = sizeof(in->control[i]);
    }
    int count = recvmmsg(port->fd, in->messages, PORT_RECEIVE_MAX, 0, NULL);
    size_t datagrams = 0;
    for (int i = 0; i < count; i++) {
        struct port_address from = {
            .ip = ntohl(in->names[i].sin_addr.s_addr),
            .number = ntohs(in->names[i].sin_port),
        };
        size_t size = in->messages[i].msg_len, segment = size;
        uint32_t to_ip = port->ip;
        read_control(&in->messages[i].msg_hdr, &to_ip, &segment);
        const uint8_t *data = in->slots[i].iov_base;
        for (size_t at = 0; at < size; at += segment, datagrams++)
            handler(owner, from, to_ip, bytes_of(data + at, min_of(segment, size - at)));
    }
    return datagrams;
}
