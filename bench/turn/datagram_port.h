/**
 * A UDP socket of the load generator: one for all clients (each has an address of its own in
 * 127.0.0.0/8, chosen per datagram), one for all peers. So the generator's cost does not grow with
 * the number of clients, and what the kernel keeps for them does not blur the server's figures.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/bytes.h"

#define PORT_SEND_MAX    256  /**< kernel messages per sendmmsg */
#define PORT_PIECES_MAX  2048 /**< of all of them: a head and a body per datagram */
#define PORT_HEAD_MAX    64
#define PORT_RECEIVE_MAX 32
#define PORT_SLOT        65536

union port_control {
    struct cmsghdr aligned;
    uint8_t bytes[96];
};

struct port_outgoing {
    struct mmsghdr messages[PORT_SEND_MAX];
    struct sockaddr_in names[PORT_SEND_MAX];
    union port_control control[PORT_SEND_MAX];
    struct iovec pieces[PORT_PIECES_MAX];
    uint8_t heads[PORT_PIECES_MAX / 2][PORT_HEAD_MAX];
    unsigned count;       /**< messages */
    unsigned piece_count; /**< even: a head, a body */
    unsigned joined;      /**< datagrams in the last message */
    size_t joined_size;   /**< of one of them */
};

struct port_incoming {
    struct mmsghdr messages[PORT_RECEIVE_MAX];
    struct sockaddr_in names[PORT_RECEIVE_MAX];
    union port_control control[PORT_RECEIVE_MAX];
    struct iovec slots[PORT_RECEIVE_MAX];
    uint8_t *bytes;
};

struct datagram_port {
    int fd;
    uint32_t ip; /**< host order, as all here */
    uint16_t number;
    struct port_outgoing out;
    struct port_incoming in;
};

/** One end of a datagram's way. */
struct port_address {
    uint32_t ip;
    uint16_t number;
};

typedef void port_handler(void *owner, struct port_address from, uint32_t to_ip,
                          struct bytes datagram);

/** Binds to `ip`:`number` (0: any) with the largest buffers to be had; ends the program if not. */
struct datagram_port *port_open(uint32_t ip, uint16_t number, bool gro);
struct datagram_port *port_close(struct datagram_port *port);
/**
 * Adds a datagram of `head` (copied) and `body` (must stay until port_flush), from `from_ip` if not
 * 0. `join`: in one UDP_SEGMENT message with the one before, which must have the same ends and
 * size.
 */
void port_add(struct datagram_port *port, struct port_address to, uint32_t from_ip,
              struct bytes head, struct bytes body, bool join);
void port_flush(struct datagram_port *port);
/** Gives what is there, at most one system call, to `handler`. Returns the number of datagrams. */
size_t port_receive(struct datagram_port *port, port_handler *handler, void *owner);
