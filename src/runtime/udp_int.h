/** Shared by the files of the UDP socket: udp*.c. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "runtime/udp.h"

/** Kernel messages per recvmmsg; each may be a run of 64 KB. */
#define UDP_RECEIVE_MESSAGES 16
/**
 * A socket that was ready in so many turns in a row, and gave one message each time, may have more:
 * only then are two asked for. Finding out that there is no second one costs 75 ns, 5 % of what a
 * lone datagram costs a relay.
 */
#define UDP_RECEIVE_STREAK 4
/** Kernel messages per turn: then others get theirs. */
#define UDP_RECEIVE_TURN (4 * UDP_RECEIVE_MESSAGES)
#define UDP_RECEIVE_SLOT 65536
/** From one slot to the next: not a power of two, or all slots would share a few cache lines. */
#define UDP_RECEIVE_STRIDE (UDP_RECEIVE_SLOT + 1088)
/** Received bytes that are kept at most (udp_memory_keep) when room for more is asked for: about a
 * second-level cache, or sending them would fetch them from farther away. */
#define UDP_RECEIVE_KEPT_MAX (128 << 10)
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
    size_t count;   /**< filled in `datagrams` */
    uint8_t *bytes; /**< UDP_RECEIVE_MESSAGES times UDP_RECEIVE_STRIDE */
    size_t used;    /**< of `bytes`: kept until `release` */
    void (*release)(void *owner);
    void *owner;
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
    bool retried;                          /**< the message at hand, after a pending error */
};

/** What the kernel was found to have. */
enum udp_ability {
    UDP_ABILITY_UNKNOWN,
    UDP_ABILITY_NO,
    UDP_ABILITY_YES,
};

struct udp_memory {
    struct udp_receiver receiver;
    struct udp_sender sender;
    enum udp_ability gso; /**< asked once, not by each socket */
};

struct udp_socket {
    struct loop_watch watch;
    struct loop *loop;
    const struct udp_ops *ops;
    void *owner;
    struct udp_memory *memory;
    struct net_address bound; /**< NET_NONE: to every address; the port is the real one */
    uint64_t errors_free_us;  /**< when reported errors have all their burst again */
    uint32_t dropped;         /**< SO_RXQ_OVFL as last told: a running count */
    uint32_t gather_last;     /**< hint of udp_gather: its last run in this flush */
    uint16_t refused_port;    /**< of the last datagram refused for its length: for its report */
    uint16_t family;          /**< AF_INET6 (dual stack when not bound) or AF_INET */
    uint8_t receive_slots;    /**< of the next recvmmsg: what recent ones needed */
    uint8_t receive_streak;   /**< turns in a row that filled one slot */
    uint32_t receive_turn;    /**< of the loop, when last ready */
    uint8_t gso_failures;     /**< in a row: refused as a run, taken one by one */
    bool gro;
    bool gso;
    bool owns_memory;
    bool report_errors;
    bool empty_datagrams;
};

/** A relay has thousands of them. */
_Static_assert(sizeof(struct udp_socket) <= 160, "light sockets");

static inline int udp_socket_fd(const struct udp_socket *socket)
{
    return socket->watch.fd;
}

static inline void udp_socket_count(struct udp_socket *socket, enum runtime_metric metric,
                                    uint64_t amount)
{
    runtime_count(&socket->loop->metrics, metric, amount);
}

/** The watch's handler: receives a bounded number of messages. */
void udp_receive_ready(struct loop_watch *watch, unsigned events);
/** The receiver's constant parts. */
void udp_receiver_init(struct udp_receiver *receiver);
/** Takes a bounded number of messages from the error queue. */
void udp_errors_read(struct udp_socket *socket);

// What both ways of sending share: udp_send.c.

/**
 * Writes the ancillary data of a message: the source, unless the socket has one only, and for
 * `segment_size` > 0 UDP_SEGMENT as the last item. Returns its size.
 */
size_t udp_send_control(const struct udp_socket *socket, union udp_control *control,
                        const struct net_address *local, uint16_t segment_size);
/** The size of what udp_send_control writes for a segment size, and nothing comes behind it. */
#define UDP_SEGMENT_CONTROL_SIZE CMSG_SPACE(sizeof(uint16_t))
/** Under which reason to count datagrams that `error` (an errno) stopped. */
enum runtime_metric udp_send_reason(int error);
/** Waits for room in a full socket, at most half a millisecond. */
void udp_send_wait(const struct udp_socket *socket);
/** Whether a run may have been refused for being one: then its datagrams may go singly. */
bool udp_send_run_refused(int error);
/** Whether `error` may be an ICMP message's for another datagram: sending again finds out. */
bool udp_send_error_may_be_pending(const struct udp_socket *socket, int error);
/** A run of `segment_size` was refused, and `taken` of its datagrams went singly. */
void udp_send_note_refusal(struct udp_socket *socket, unsigned taken, uint16_t segment_size);
