#include "runtime/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/sockaddr.h"
#include "runtime/udp_int.h"

#define BUFFER_BYTES_DEFAULT (8u << 20)

struct udp_memory *udp_memory_new(void)
{
    struct udp_memory *memory = memory_new(struct udp_memory);
    memory->receiver.bytes = memory_allocate(UDP_RECEIVE_MESSAGES, UDP_RECEIVE_STRIDE);
    udp_receiver_init(&memory->receiver);
    return memory;
}

struct udp_memory *udp_memory_free(struct udp_memory *memory)
{
    if (!memory)
        return NULL;
    free(memory->receiver.bytes);
    free(memory);
    return NULL;
}

/** A socket buffer of `bytes`: past the system's limit where we may, else up to it. */
static void set_buffer(int fd, int forced, int plain, uint32_t bytes)
{
    if (bytes == UDP_BUFFER_SYSTEM)
        return;
    int value = (int)min_of(bytes ? bytes : BUFFER_BYTES_DEFAULT, 1u << 30);
    if (setsockopt(fd, SOL_SOCKET, forced, &value, sizeof(value)) < 0)
        sockaddr_wish(fd, SOL_SOCKET, plain, value);
}

static bool has_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/** Whether this kernel knows UDP_SEGMENT; devices that refuse show when sending. */
static bool has_gso(struct udp_memory *memory, int fd)
{
    if (memory->gso == UDP_ABILITY_UNKNOWN) {
        int size = 0;
        socklen_t length = sizeof(size);
        bool has = getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, &length) == 0;
        memory->gso = has ? UDP_ABILITY_YES : UDP_ABILITY_NO;
    }
    return memory->gso == UDP_ABILITY_YES;
}

/**
 * No learned path MTU: nobody can shrink our datagrams by a forged ICMP message (OMIT does not even
 * let one into the routing tables), and one that is too long for a link is fragmented instead of
 * lost. On a dual-stack socket the IPv4 options steer the IPv4 traffic.
 */
static void set_options(struct udp_socket *socket, const struct udp_config *config)
{
    int fd = udp_socket_fd(socket);
    bool ipv4 = socket->family == AF_INET || socket->bound.family == NET_NONE;
    bool ipv6 = socket->family == AF_INET6;
    set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, config->receive_buffer_bytes);
    set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, config->send_buffer_bytes);
    sockaddr_wish(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    if (ipv4)
        sockaddr_wish(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
    if (ipv6)
        sockaddr_wish(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
    if (config->dscp && ipv4)
        sockaddr_wish(fd, IPPROTO_IP, IP_TOS, config->dscp << 2);
    if (config->dscp && ipv6)
        sockaddr_wish(fd, IPPROTO_IPV6, IPV6_TCLASS, config->dscp << 2);
    if (socket->bound.family == NET_NONE && ipv6)
        sockaddr_wish(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    else if (socket->bound.family == NET_NONE)
        sockaddr_wish(fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (config->report_errors && ipv4)
        sockaddr_wish(fd, IPPROTO_IP, IP_RECVERR, 1);
    if (config->report_errors && ipv6)
        sockaddr_wish(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    socket->gro = !config->no_gro && has_option(fd, IPPROTO_UDP, UDP_GRO, 1);
    socket->gso = !config->no_gso && has_gso(socket->memory, fd);
}

static int bind_socket(int fd, const struct net_address *address, int family)
{
    struct sockaddr_storage name;
    socklen_t size = sockaddr_write(address, family, &name);
    return bind(fd, (struct sockaddr *)&name, size) < 0 ? -errno : 0;
}

/**
 * Whether a port is taken, also by sockets that would share it with us: only a bind without
 * SO_REUSEPORT tells. Otherwise a second server of the same user would silently get half of our
 * datagrams.
 */
static int check_port_free(const struct udp_config *config)
{
    struct net_address address = config->bind;
    int family;
    int fd = sockaddr_open_socket(SOCK_DGRAM, config->ipv4_only, &address, &family);
    if (fd < 0)
        return fd;
    int error = bind_socket(fd, &address, family);
    close(fd);
    return error;
}

static int open_and_bind(struct udp_socket *socket, const struct udp_config *config)
{
    struct net_address address = config->bind;
    int family;
    int fd = sockaddr_open_socket(SOCK_DGRAM, config->ipv4_only, &address, &family);
    if (fd < 0)
        return fd;
    loop_watch_init(&socket->watch, fd, udp_receive_ready);
    socket->family = (uint16_t)family;
    if (!net_address_is_unspecified(&address))
        socket->bound = address;
    if (!config->exclusive && !has_option(fd, SOL_SOCKET, SO_REUSEPORT, 1))
        return -errno;
    set_options(socket, config);
    int error = bind_socket(fd, &address, family);
    if (error < 0)
        return error;
    socket->bound.port = address.port ? address.port : sockaddr_bound_port(fd);
    return 0;
}

int udp_socket_open(const struct udp_config *config, struct loop *loop, const struct udp_ops *ops,
                    void *owner, struct udp_socket **ret_socket)
{
    if (config->first_of_port && config->bind.port != 0) {
        int error = check_port_free(config);
        if (error < 0)
            return error;
    }
    struct udp_socket *socket = memory_new(struct udp_socket);
    loop_watch_init(&socket->watch, -1, udp_receive_ready);
    socket->loop = loop;
    socket->ops = ops;
    socket->owner = owner;
    socket->owns_memory = !config->memory;
    socket->memory = config->memory ? config->memory : udp_memory_new();
    // a socket of its own memory is one of the few that everybody sends to
    socket->receive_slots = config->memory ? 1 : UDP_RECEIVE_MESSAGES;
    socket->report_errors = config->report_errors;
    socket->empty_datagrams = config->empty_datagrams;
    socket->gather_last = UINT32_MAX;
    int error = open_and_bind(socket, config);
    if (error == 0)
        error = loop_watch_add(loop, &socket->watch, LOOP_READABLE);
    if (error < 0) {
        udp_socket_close(socket);
        return error;
    }
    *ret_socket = socket;
    return 0;
}

struct udp_socket *udp_socket_close(struct udp_socket *socket)
{
    if (!socket)
        return NULL;
    loop_watch_remove(&socket->watch);
    if (udp_socket_fd(socket) >= 0)
        close(udp_socket_fd(socket));
    if (socket->owns_memory)
        udp_memory_free(socket->memory);
    free(socket);
    return NULL;
}

uint16_t udp_socket_port(const struct udp_socket *socket)
{
    return socket->bound.port;
}

struct net_address udp_socket_address(const struct udp_socket *socket)
{
    return socket->bound;
}

bool udp_socket_has_ipv6(const struct udp_socket *socket)
{
    return socket->family == AF_INET6;
}

bool udp_socket_uses_gso(const struct udp_socket *socket)
{
    return socket->gso;
}

bool udp_socket_uses_gro(const struct udp_socket *socket)
{
    return socket->gro;
}
