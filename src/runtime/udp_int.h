/** Shared by the files of the UDP socket: udp.c, udp_receive.c, udp_send.c. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "runtime/udp.h"

/** Kernel messages per recvmmsg; each may be a run of 64 KB. */
#define UDP_RECEIVE_MESSAGES 16
/** recvmmsg calls per turn: then others get theirs. */
#define UDP_RECEIVE_ROUNDS 4
#define UDP_RECEIVE_SLOT   65536
/** Kernel messages per sendmmsg. */
#define UDP_SEND_MESSAGES 64

/** Room for one message's ancillary data, with slack for what we did not ask for. */
#define UDP_CONTROL_SIZE 192

union udp_control {
    struct cmsghdr aligned;
    uint8_t bytes[UDP_CONTROL_SIZE];
};

/** Memory of the receiving side. */
struct udp_receiver {
    struct mmsghdr messages[UDP_RECEIVE_MESSAGES];
    struct iovec vectors[UDP_RECEIVE_MESSAGES];
    struct sockaddr_storage names[UDP_RECEIVE_MESSAGES];
    union udp_control control[UDP_RECEIVE_MESSAGES];
    struct udp_datagram datagrams[UDP_RECEIVE_MAX];
    size_t count;     /**< filled in `datagrams` */
    uint8_t *bytes;   /**< UDP_RECEIVE_MESSAGES slots */
    uint32_t dropped; /**< SO_RXQ_OVFL as last told: a running count */
};

/** Memory of the sending side. */
struct udp_sender {
    struct mmsghdr messages[UDP_SEND_MESSAGES];
    struct iovec vectors[UDP_SEND_MESSAGES];
    struct sockaddr_storage names[UDP_SEND_MESSAGES];
    union udp_control control[UDP_SEND_MESSAGES];
    unsigned datagrams[UDP_SEND_MESSAGES]; /**< in each message */
    unsigned count;                        /**< messages filled */
    bool waited;                           /**< for room, once per udp_socket_send */
};

struct udp_socket {
    struct loop_watch watch;
    struct loop *loop;
    const struct udp_ops *ops;
    void *owner;
    int fd;
    int family; /**< AF_INET6 (dual stack) or AF_INET */
    uint16_t port;
    bool gro;
    bool gso;
    unsigned gso_failures; /**< in a row: refused as a run, taken one by one */
    uint32_t receive_buffer_bytes;
    struct udp_receiver receiver;
    struct udp_sender sender;
};

/** The watch's handler: receives a bounded number of batches. */
void udp_receive_ready(struct loop_watch *watch, unsigned events);
