/** The inside of a media worker, shared by media_worker.c and media_*.c only. */
#pragma once

#include "rtc/peer.h"
#include "server/media_capture.h"
#include "server/media_metrics.h"
#include "server/media_routes.h"
#include "server/media_stream.h"
#include "server/media_worker.h"
#include "server/turn_worker.h"

struct media_worker {
    struct worker *worker;
    struct media_workers *shared;
    struct log log;
    struct udp_socket *socket;
    struct handoff handoff; /**< other workers give us datagrams of our sessions */
    struct datagram_batch batch;
    struct loop_hook flush;
    struct loop_timer tick;
    uint64_t tick_due_us; /**< when the next tick should be */
    struct media_routes routes;
    struct exchange *exchange;
    struct data_hub *data;
    struct media_streams *streams; /**< clients over TCP */
    struct turn_worker *turn;      /**< NULL: no TURN server here */
    struct rtc_thread rtc;
    struct rtc_media media; /**< of the transport whose datagrams are being read */
    bool untold;            /**< some of our sessions are: see media_transport */
    struct list captures;   /**< of our transports */
    struct list awake;      /**< transports with output, served at the end of the turn */
    metric_value metrics[MEDIA_METRIC_COUNT];
    char labels[24];
};

static inline void media_count(struct media_worker *worker, enum media_metric metric)
{
    metric_add(&worker->metrics[metric], 1);
}

static inline uint64_t media_now_us(const struct media_worker *worker)
{
    return loop_now_us(&worker->worker->loop);
}

// media_port.c
/** A batch of datagrams from our socket or from another worker. */
void media_port_input(struct media_worker *worker, const struct udp_datagram *datagrams,
                      size_t count);
/** Media that reaches us through a TURN allocation of this server or a connection; never TURN. */
void media_port_relayed(void *worker, const struct udp_datagram *datagrams, size_t count);
/**
 * Which worker a STUN check is for: `ret_owner` is its index, or MEDIA_CLAIM_NOBODY when whoever
 * takes the check first gets the session. Returns 0, or -EACCES when it is no authentic check.
 */
must_check int media_port_check_owner(struct media_worker *worker, struct bytes datagram,
                                      uint32_t *ret_owner);

// media_worker.c
/** Makes the peer of a session that this worker has just claimed. */
void media_worker_adopt(struct media_worker *worker, struct media_transport *transport);
/** Hands on what a peer has to tell and to send, and sets its timer. */
void media_worker_serve(struct media_worker *worker, struct media_transport *transport);
/** Serves the transport of a session at the end of the turn, if it is here. */
void media_worker_wake(struct media_worker *worker, handle session);

// media_load.c
/** With each tick: is there time for all that this worker does? If not, video is left out. */
void media_load_judge(struct media_worker *worker, uint64_t now_us);
