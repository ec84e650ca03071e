#include <errno.h>
#include <time.h> // errqueue.h needs it before

#include <linux/errqueue.h>

#include "runtime/sockaddr.h"
#include "runtime/udp_int.h"

/** Messages taken from the error queue per turn. What is in it takes room from the receive buffer,
 * so more are taken than are reported. */
#define ERRORS_PER_TURN 32

#define ICMP_UNREACHABLE      3
#define ICMP_FRAGMENT_NEEDED  4
#define ICMPV6_PACKET_TOO_BIG 2
#define ERROR_INTERVAL_US     (TIME_US_PER_S / UDP_ERRORS_PER_SECOND)

/** What the error queue says about one datagram that was sent. */
struct error_report {
    struct net_address remote;
    struct sock_extended_err content;
    bool found;
};

/** Takes one message. Returns false when there is none. */
static bool take(const struct udp_socket *socket, struct error_report *ret_report)
{
    struct sockaddr_storage name = { 0 };
    union udp_control control;
    // the datagram that is quoted would come as the message's bytes: they are not looked at
    struct msghdr header = {
        .msg_name = &name,
        .msg_namelen = sizeof(name),
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    if (recvmsg(udp_socket_fd(socket), &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    *ret_report = (struct error_report){ .remote = sockaddr_read(&name) };
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&header); item; item = CMSG_NXTHDR(&header, item)) {
        if ((item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_RECVERR) ||
            (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_RECVERR)) {
            ret_report->content = *(const struct sock_extended_err *)(const void *)CMSG_DATA(item);
            ret_report->found = true;
        }
    }
    return true;
}

/**
 * A bucket of UDP_ERRORS_BURST that fills by UDP_ERRORS_PER_SECOND, kept as the time when it is
 * full again.
 */
static bool may_report(struct udp_socket *socket)
{
    uint64_t now_us = loop_now_us(socket->loop);
    uint64_t from_us = max_of(socket->errors_free_us, now_us);
    if (from_us + ERROR_INTERVAL_US > now_us + UDP_ERRORS_BURST * ERROR_INTERVAL_US)
        return false;
    socket->errors_free_us = from_us + ERROR_INTERVAL_US;
    return true;
}

static void report(struct udp_socket *socket, struct error_report *report)
{
    const struct sock_extended_err *content = &report->content;
    uint8_t type = content->ee_type, code = content->ee_code;
    bool local = content->ee_origin == SO_EE_ORIGIN_LOCAL && content->ee_errno == EMSGSIZE;
    if (local) {
        // too long for our own link, and DF is set: the same news as from a router; for IPv4 the
        // kernel leaves out the port
        if (report->remote.port == 0)
            report->remote.port = socket->refused_port;
        bool ipv4 = report->remote.family == NET_IPV4;
        type = ipv4 ? ICMP_UNREACHABLE : ICMPV6_PACKET_TOO_BIG;
        code = ipv4 ? ICMP_FRAGMENT_NEEDED : 0;
    }
    if (!report->found || report->remote.family == NET_NONE ||
        !(local || content->ee_origin == SO_EE_ORIGIN_ICMP ||
          content->ee_origin == SO_EE_ORIGIN_ICMP6)) {
        udp_socket_count(socket, RUNTIME_UDP_ERRORS_STRANGE, 1);
        return;
    }
    if (!may_report(socket)) {
        udp_socket_count(socket, RUNTIME_UDP_ERRORS_LIMITED, 1);
        return;
    }
    udp_socket_count(socket, RUNTIME_UDP_ERRORS, 1);
    if (socket->ops->error)
        socket->ops->error(socket->owner, socket, &report->remote, type, code, content->ee_info);
}

void udp_errors_read(struct udp_socket *socket)
{
    struct error_report taken;
    for (int i = 0; i < ERRORS_PER_TURN && take(socket, &taken); i++)
        report(socket, &taken);
}
