#include <errno.h>
#include <string.h>

#include "runtime/sockaddr.h"
#include "runtime/udp_gather_int.h"

static void count_sent(struct udp_socket *socket, unsigned messages, unsigned datagrams,
                       uint64_t bytes)
{
    udp_socket_count(socket, RUNTIME_UDP_SEND_MESSAGES, messages);
    udp_socket_count(socket, RUNTIME_UDP_SENT, datagrams);
    udp_socket_count(socket, RUNTIME_UDP_SENT_BYTES, bytes);
}

/** One system call for one message: again at once when the error may be another datagram's. */
static ssize_t send_once(struct udp_socket *socket, const struct msghdr *header)
{
    ssize_t sent = -1;
    for (int attempt = 0; attempt < 2 && sent < 0; attempt++) {
        if (attempt > 0 && !udp_send_error_may_be_pending(socket, errno))
            break;
        sent = sendmsg(udp_socket_fd(socket), header, 0);
        udp_socket_count(socket, RUNTIME_UDP_SEND_CALLS, 1);
    }
    return sent;
}

/** Moves `size` bytes from the front of `pieces` to `ret_cut`; returns how many pieces that are. */
static size_t cut_segment(struct iovec **pieces, size_t size, struct iovec *ret_cut)
{
    size_t count = 0;
    while (size > 0) {
        struct iovec *piece = *pieces;
        size_t taken = min_of(size, piece->iov_len);
        ret_cut[count++] = (struct iovec){ piece->iov_base, taken };
        piece->iov_base = (uint8_t *)piece->iov_base + taken;
        piece->iov_len -= taken;
        size -= taken;
        if (piece->iov_len == 0)
            ++*pieces;
    }
    return count;
}

/** Sends a refused run datagram by datagram; uses up its pieces. */
static void send_singly(struct gather_run *run, struct msghdr *header)
{
    struct udp_socket *socket = run->socket;
    struct iovec *pieces = run->pieces;
    struct iovec cut[GATHER_PIECES_MAX];
    unsigned taken = 0;
    header->msg_controllen -= UDP_SEGMENT_CONTROL_SIZE;
    header->msg_iov = cut;
    for (size_t left = run->size; left > 0;) {
        size_t size = min_of((size_t)run->segment_size, left);
        header->msg_iovlen = cut_segment(&pieces, size, cut);
        left -= size;
        if (send_once(socket, header) < 0) {
            udp_socket_count(socket, udp_send_reason(errno), 1);
            continue;
        }
        taken++;
        count_sent(socket, 1, 1, size);
    }
    udp_send_note_refusal(socket, taken, run->segment_size);
}

/** Deals with the error of message `at`. Returns the number of messages that are settled. */
static unsigned settle_failure(struct udp_gather *gather, unsigned at, int error, bool retried)
{
    struct gather_run *run = gather->sent[at];
    struct udp_socket *socket = run->socket;
    if (error == EINTR || (!retried && udp_send_error_may_be_pending(socket, error)))
        return 0;
    if (error == EAGAIN && !gather->waited) {
        gather->waited = true;
        udp_send_wait(socket);
        return 0;
    }
    if (error == EAGAIN) {
        for (unsigned i = at; i < gather->message_count; i++)
            udp_socket_count(socket, RUNTIME_UDP_SEND_BUSY, gather->sent[i]->count);
        return gather->message_count - at;
    }
    if (error == EMSGSIZE)
        socket->refused_port = run->path.remote.port;
    if (run->count > 1 && udp_send_run_refused(error))
        send_singly(run, &gather->messages[at].msg_hdr);
    else
        udp_socket_count(socket, udp_send_reason(error), run->count);
    return 1;
}

static void note_sent(struct udp_gather *gather, unsigned at, unsigned count)
{
    struct udp_socket *socket = gather->sent[at]->socket;
    unsigned datagrams = 0;
    uint64_t bytes = 0;
    for (unsigned i = at; i < at + count; i++) {
        const struct gather_run *run = gather->sent[i];
        datagrams += run->count;
        bytes += run->size;
        if (run->count > 1)
            socket->gso_failures = 0;
    }
    count_sent(socket, count, datagrams, bytes);
}

/** One system call for what is left from `at` on. Returns the messages taken, or -1. */
static int send_call(struct udp_gather *gather, int fd, unsigned at)
{
    unsigned left = gather->message_count - at;
    if (left == 1)
        return sendmsg(fd, &gather->messages[at].msg_hdr, 0) < 0 ? -1 : 1;
    return sendmmsg(fd, gather->messages + at, left, 0);
}

static void transmit(struct udp_gather *gather, struct udp_socket *socket)
{
    bool retried = false;
    for (unsigned at = 0; at < gather->message_count;) {
        int sent = send_call(gather, udp_socket_fd(socket), at);
        udp_socket_count(socket, RUNTIME_UDP_SEND_CALLS, 1);
        if (sent > 0) {
            note_sent(gather, at, (unsigned)sent);
            at += (unsigned)sent;
            retried = false;
            continue;
        }
        unsigned settled = settle_failure(gather, at, errno, retried);
        retried = settled == 0;
        at += settled;
    }
    gather->message_count = 0;
}

static void set_dont_fragment(const struct udp_socket *socket, const struct net_address *remote,
                              bool on)
{
    // PROBE sets DF and believes no ICMP message about the path's MTU, as OMIT does without DF
    if (remote->family == NET_IPV4)
        sockaddr_wish(udp_socket_fd(socket), IPPROTO_IP, IP_MTU_DISCOVER,
                      on ? IP_PMTUDISC_PROBE : IP_PMTUDISC_OMIT);
    else
        sockaddr_wish(udp_socket_fd(socket), IPPROTO_IPV6, IPV6_DONTFRAG, on);
}

static void put_message(struct udp_gather *gather, struct gather_run *run)
{
    struct udp_socket *socket = run->socket;
    unsigned at = gather->message_count;
    socklen_t name_size = sockaddr_write(&run->path.remote, socket->family, &gather->names[at]);
    if (name_size == 0) {
        udp_socket_count(socket, RUNTIME_UDP_SEND_UNREACHABLE, run->count);
        return;
    }
    size_t control_size = udp_send_control(socket, &gather->control[at], &run->path.local,
                                           run->count > 1 ? run->segment_size : 0);
    gather->messages[at].msg_hdr = (struct msghdr){
        .msg_name = &gather->names[at],
        .msg_namelen = name_size,
        .msg_iov = run->pieces,
        .msg_iovlen = run->piece_count,
        .msg_control = gather->control[at].bytes,
        .msg_controllen = control_size,
    };
    gather->sent[at] = run;
    gather->message_count++;
}

/** A datagram with DF goes alone: IPv4 knows DF as an option of the socket only. */
static void send_unfragmented(struct udp_gather *gather, struct gather_run *run)
{
    transmit(gather, run->socket);
    set_dont_fragment(run->socket, &run->path.remote, true);
    put_message(gather, run);
    transmit(gather, run->socket);
    set_dont_fragment(run->socket, &run->path.remote, false);
}

void udp_gather_send_runs(struct udp_gather *gather, struct gather_run *run)
{
    struct udp_socket *socket = run->socket;
    for (;;) {
        if (gather->message_count == UDP_SEND_MESSAGES)
            transmit(gather, socket);
        if (run->flags & UDP_GATHER_DONT_FRAGMENT)
            send_unfragmented(gather, run);
        else
            put_message(gather, run);
        if (run->next == GATHER_NONE)
            break;
        run = &gather->runs[run->next];
    }
    transmit(gather, socket);
}
