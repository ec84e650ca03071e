/** The inside of TURN over DTLS: turn_dtls.c finds the association, turn_association.c is one. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "proto/dtls/dtls.h"
#include "proto/dtls/dtls_cookie.h"
#include "runtime/address_limit.h"
#include "server/turn_dtls.h"
#include "server/turn_host.h"

/** An association that has no allocation ends after this unless options say otherwise. */
#define TURN_DTLS_UNALLOCATED_US (30 * TIME_US_PER_S)
/** Per worker, unless options say otherwise. */
#define TURN_DTLS_ASSOCIATIONS_MAX 8192
/** Of one IPv4 address or IPv6 /64: an office behind one NAT has many clients. */
#define TURN_DTLS_PER_ADDRESS 256
/** A handshake costs a signature and some 60 KB until it is done. */
#define TURN_DTLS_HANDSHAKES_MAX  512
#define TURN_DTLS_HANDSHAKE_PER_S 50
#define TURN_DTLS_HANDSHAKE_BURST 250
/** Nothing has measured the path: somewhat less than the second that RFC 6347 advises. */
#define TURN_DTLS_RETRANSMIT_US (500 * TIME_US_PER_MS)
/** Sealed records that wait for the next flush. */
#define TURN_DTLS_OUTPUT_SIZE (256u << 10)

struct turn_dtls {
    struct turn_worker *turn;
    struct dtls_context *context;
    struct cipher_provider *provider;
    struct dtls_cookie_key cookie_key;
    struct map associations;       /**< by struct net_path */
    struct list beginners;         /**< struct turn_association in their first handshake, by age */
    struct turn_association *last; /**< of the last datagram */
    struct address_limit limit;
    struct address_rate rate;
    uint64_t unallocated_us;
    uint8_t *output; /**< TURN_DTLS_OUTPUT_SIZE bytes once something was sealed */
    size_t output_used;
    struct datagram_batch batch; /**< handshakes and alerts */
    struct loop_hook flush;
    metric_value metrics[TURN_DTLS_METRIC_COUNT];
    metric_value dtls_metrics[DTLS_METRIC_COUNT];
};

/** One handshake or what came out of it. */
struct turn_dtls_side {
    struct dtls *dtls;
    uint8_t random[32]; /**< of its ClientHello: tells a repeated one from another client */
};

/** A client. */
struct turn_association {
    struct turn_carrier carrier; /**< first: turn_source.carrier points here */
    struct turn_dtls *set;
    struct udp_socket *socket;
    struct turn_source source;
    struct turn_dtls_side side;
    struct turn_dtls_side next; /**< a client began anew from the same port; not proven so far */
    struct list beginner;       /**< of the set, until it is connected */
    struct turn_allocation *cache;
    uint64_t ends_us; /**< unless it has an allocation by then */
    uint32_t run;     /**< of udp_gather */
    bool connected;
    bool allocated;
    bool adopted; /**< another worker's socket receives it */
    bool ending;  /**< an operator or the end of the server: the timer closes it */
    struct loop_timer timer;
};

static inline void turn_dtls_count_event(struct turn_dtls *set, enum turn_dtls_metric metric)
{
    metric_add(&set->metrics[metric], 1);
}

static inline uint64_t turn_dtls_now_us(const struct turn_dtls *set)
{
    return loop_now_us(turn_worker_loop(set->turn));
}

// turn_dtls.c
/** The association of this path, or NULL. */
struct turn_association *turn_dtls_find(struct turn_dtls *set, const struct net_path *path);
/** A new one, within the limits; NULL: counted. */
struct turn_association *turn_dtls_add(struct turn_dtls *set, struct udp_socket *socket,
                                       const struct net_path *path);
/** Room for a record until the next flush. */
uint8_t *turn_dtls_reserve(struct turn_dtls *set, size_t size);
/** Takes it out of the tables. */
void turn_dtls_remove(struct turn_dtls *set, struct turn_association *association);

// turn_association.c
/** Begins with a ClientHello whose cookie is right; the caller has seen to the limits. */
struct turn_association *turn_association_new(struct turn_dtls *set, struct udp_socket *socket,
                                              const struct net_path *path);
/** The client begins (anew) with this ClientHello. */
void turn_association_begin(struct turn_association *association,
                            const struct dtls_client_hello *hello);
/** Whether this ClientHello began what is there or about to be: then it is a repetition. */
bool turn_association_knows(const struct turn_association *association,
                            const struct dtls_client_hello *hello);
/** A datagram of it; it may be gone afterwards. */
void turn_association_input(struct turn_association *association, uint8_t *data, size_t size);
/** Sends and takes what the engines have, and sets the timer. It may be gone afterwards. */
void turn_association_serve(struct turn_association *association);
/** Frees what is left of it, without a word. */
void turn_association_free(struct turn_association *association);
/** Says goodbye and frees it; its allocation ends. `why`: what is counted. */
void turn_association_end(struct turn_association *association, enum turn_dtls_metric why);

// turn_association_move.c
/**
 * Whether this message of a client without allocation is for one that lives on another worker, and
 * the association went there: then it is gone.
 */
bool turn_association_moves(struct turn_association *association, struct bytes message);
