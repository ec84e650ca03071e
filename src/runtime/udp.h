/**
 * UDP in batches. One socket per worker, all on one port (SO_REUSEPORT): the kernel keeps a
 * client's 5-tuple on one of them. Dual stack where the system has IPv6, IPv4 alone elsewhere.
 *
 * Replies leave from the address that was addressed (IPV6_PKTINFO): `path.local` is filled on
 * reception and obeyed on sending. IPv4 is NET_IPV4 everywhere, never a mapped address.
 *
 * Runs of equal datagrams cross the kernel as one message both ways (UDP_GRO, UDP_SEGMENT); where
 * the system refuses, single messages take their place at run time.
 *
 * The kernel's path MTU guesses are not used (a forged ICMP message must not cut off a client, and
 * media has no way to answer EMSGSIZE): datagrams go out at the size given, without DF.
 */
#pragma once

#include "base/datagram.h"
#include "runtime/loop.h"

struct udp_socket;
/** What sockets receive into and send from; see udp_memory_new. */
struct udp_memory;

struct udp_datagram {
    struct net_path path; /**< local: the address it was sent to, with this socket's port */
    uint8_t *data;
    size_t size;
};

struct udp_ops {
    /**
     * One receive batch. `datagrams` and their bytes (which the handler may change in place) are
     * valid during the call only (the bytes longer where udp_memory_keep says so). The handler may
     * send; it must not close the socket.
     */
    void (*received)(void *owner, struct udp_socket *socket, const struct udp_datagram *datagrams,
                     size_t count);
    /**
     * With `report_errors`: an ICMP message about something sent to `remote`: its type and code
     * (ICMP or ICMPv6 by the family of `remote`) and `data`, the MTU where the message has one. A
     * datagram that was refused here because DF forbade to cut it is reported in the same way.
     * Anyone can forge these: nothing may follow from them but a hint to whoever sent. At most
     * UDP_ERRORS_PER_SECOND a socket after a burst of UDP_ERRORS_BURST. Must not close the socket.
     * May be NULL.
     */
    void (*error)(void *owner, struct udp_socket *socket, const struct net_address *remote,
                  uint8_t type, uint8_t code, uint32_t data);
};

#define UDP_ERRORS_PER_SECOND 10
#define UDP_ERRORS_BURST      8

/** A buffer size that says: as the system has it, without a system call. */
#define UDP_BUFFER_SYSTEM UINT32_MAX

struct udp_config {
    /**
     * Where to bind. NET_NONE: every address, dual stack. Port 0: a free one, see
     * udp_socket_port; the other workers' sockets then take that port.
     */
    struct net_address bind;
    /** Fail with -EADDRINUSE when anyone (even an equal socket of another process) has the port.
     * Set it for the first worker's socket and not for those that join it. */
    bool first_of_port;
    bool ipv4_only;
    bool no_gro; /**< off even where the kernel could: tests, comparisons */
    bool no_gso;
    uint32_t receive_buffer_bytes; /**< 0: 8 MB asked for; the system may grant less */
    uint32_t send_buffer_bytes;    /**< the same */
    uint8_t dscp;                  /**< RFC 8837: e.g. 46 (EF), 34 (AF41); 0: default */
    /** Shared by the sockets of one thread, outlives them. NULL: the socket has its own (1.2 MB).
     */
    struct udp_memory *memory;
    /** The port is this socket's alone: no other socket of this process or another may share it.
     * For relays; saves a system call too. */
    bool exclusive;
    bool report_errors;   /**< see udp_ops.error */
    bool empty_datagrams; /**< receive those of no bytes as well: a relay passes them on */
};

/** Largest number of datagrams given to `received` at once. */
#define UDP_RECEIVE_MAX 1024

/**
 * Opens, binds and starts to receive on `loop`. Returns 0, or a negative errno (-EADDRINUSE,
 * -EACCES, -EADDRNOTAVAIL) with `ret_socket` untouched.
 */
must_check int udp_socket_open(const struct udp_config *config, struct loop *loop,
                               const struct udp_ops *ops, void *owner,
                               struct udp_socket **ret_socket);
/** Accepts NULL; returns NULL. */
struct udp_socket *udp_socket_close(struct udp_socket *socket);
/** The real port. */
uint16_t udp_socket_port(const struct udp_socket *socket);
/** What it is bound to; NET_NONE with the port for every address. */
struct net_address udp_socket_address(const struct udp_socket *socket);
/** Whether IPv6 peers can be reached. */
bool udp_socket_has_ipv6(const struct udp_socket *socket);
/** Whether runs still go out as one message (no config and no kernel has said no). */
bool udp_socket_uses_gso(const struct udp_socket *socket);
bool udp_socket_uses_gro(const struct udp_socket *socket);

/**
 * Sends all of `batch` and empties it. What the kernel does not take is dropped and counted by
 * reason: media that is late is worthless, and every protocol above repairs loss. When the socket
 * is full the call waits at most half a millisecond once.
 */
void udp_socket_send(struct udp_socket *socket, struct datagram_batch *batch);
/** udp_socket_send as a batch's flush function; set `batch->owner` to the socket. */
void udp_socket_flush(struct datagram_batch *batch, void *socket);

/**
 * Memory for any number of sockets of one thread: thousands of relay sockets cost some 150 bytes
 * each beside the kernel's. Never NULL.
 */
struct udp_memory *udp_memory_new(void);
/** After the last of its sockets is closed. Accepts NULL; returns NULL. */
struct udp_memory *udp_memory_free(struct udp_memory *memory);
/**
 * Lets received bytes outlive the `received` call: they stay until `release` was called, which
 * happens when the room is needed, and by udp_memory_release. So one udp_gather_flush (which
 * `release` must do) serves several sockets' receptions.
 */
void udp_memory_keep(struct udp_memory *memory, void (*release)(void *owner), void *owner);
/**
 * Calls `release` if anything was received since the last time; the next reception uses the memory
 * that the cache still holds. Call it at the end of each turn (loop_hook) where udp_memory_keep is
 * used.
 */
void udp_memory_release(struct udp_memory *memory);
