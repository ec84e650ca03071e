/**
 * The TURN server of one worker: the engine (proto/turn/turn_server.h) with sockets. It is part of
 * a media worker (media_worker.c), whose UDP port it shares, and moves what the engine decides
 * about: client to peer, peer to client, and inside the process to our own media server and to
 * allocations of other workers.
 */
#pragma once

#include "proto/turn/turn_server.h"
#include "runtime/udp.h"
#include "runtime/udp_gather.h"
#include "runtime/worker.h"
#include "server/turn_carrier.h"

struct turn_worker;
struct turn_shared; // turn_host.h: what all workers share

/** ---- for carriers: turn_stream.c, turn_dtls.c ---- */

struct loop *turn_worker_loop(struct turn_worker *turn);
struct log *turn_worker_log(struct turn_worker *turn);
struct random *turn_worker_random(struct turn_worker *turn);
struct turn_server *turn_worker_server(struct turn_worker *turn);
uint32_t turn_worker_index(const struct turn_worker *turn);
const struct turn_shared *turn_worker_shared(const struct turn_worker *turn);
/** The worker's counters (turn_worker_metrics.def), for turn_worker_count. */
metric_value *turn_worker_metrics(struct turn_worker *turn);
/** Sockets of all relays of this thread; runs leave with the next flush. */
struct udp_gather *turn_worker_gather(struct turn_worker *turn);

/**
 * One whole message of a client, from any carrier. Data for peers refers to `message` until
 * turn_worker_flush: call that before the bytes change. `cache`: see turn_server_client_input.
 */
void turn_worker_client_input(struct turn_worker *turn, const struct turn_source *source,
                              struct turn_allocation **cache, struct bytes message);
/** Sends what was gathered. Cheap when nothing was. */
void turn_worker_flush(struct turn_worker *turn);
