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
struct message;
struct metric_set;
struct tls_server_context;
struct turn_dtls_parcel;
struct media_message_stream; // media_stream.h

/** ---- for the media worker ---- */

/**
 * Data for our own media server: path.remote is the relayed address it comes from, path.local the
 * address it was sent to. TURN inside TURN is not meant to go further: the receiver drops it.
 */
typedef void turn_worker_media(void *owner, const struct udp_datagram *datagrams, size_t count);

/**
 * Starts on the worker's thread. `socket` is the port shared with media. `media` is NULL where no
 * media server runs. Returns 0 or a negative errno (the second port is in use).
 */
must_check int turn_worker_new(struct worker *worker, struct turn_shared *shared,
                               struct udp_socket *socket, turn_worker_media *media,
                               void *media_owner, struct turn_worker **ret_turn);
/** A connection of TURN's ports that speaks ICE: owns what the message carries. */
typedef void turn_worker_media_stream(void *owner, const struct media_message_stream *message);
/** Who takes such connections, with the `media_owner` of before; without it they are closed. */
void turn_worker_set_media_stream(struct turn_worker *turn, turn_worker_media_stream *take);
/** Gives one on. Returns 0, or -ENOTSUP with the message still the caller's. */
must_check int turn_worker_give_media_stream(struct turn_worker *turn,
                                             const struct media_message_stream *message);
/** Ends all allocations, on the worker's thread. Accepts NULL. */
void turn_worker_stop(struct turn_worker *turn);
/** When all workers have stopped: frees the rest. Accepts NULL; returns NULL. */
struct turn_worker *turn_worker_free(struct turn_worker *turn);
/** A message of enum turn_message. */
void turn_worker_received(struct turn_worker *turn, const struct message *message);

/** Whether a datagram of the shared port is TURN's, whatever its source: ChannelData, and STUN that
 *  is neither ICE's nor a response. DTLS is for turn_worker_dtls_input. */
bool turn_worker_wants(const uint8_t *data, size_t size);
/** A datagram that turn_worker_wants, on the shared port. */
void turn_worker_udp_input(struct turn_worker *turn, const struct udp_datagram *datagram);
/** DTLS (first byte 20 to 63) on the shared port from a source that media does not know. */
void turn_worker_dtls_input(struct turn_worker *turn, const struct udp_datagram *datagram);
/**
 * Takes those runs out of a batch of the media server that go to relayed addresses of this server,
 * and sends them to the clients inside the process. The others stay.
 */
void turn_worker_take_batch(struct turn_worker *turn, struct datagram_batch *batch);

#define TURN_WORKER_METRIC_SETS 6
/** Of the engine and of all that carries its clients; they live as long as `turn`. */
void turn_worker_metric_sets(const struct turn_worker *turn,
                             struct metric_set ret_sets[TURN_WORKER_METRIC_SETS]);

/** ---- for carriers: turn_stream.c, turn_dtls.c ---- */

/** What a carrier works with; all of it is the worker's thread's and outlives the carrier. */
struct loop *turn_worker_loop(struct turn_worker *turn);
struct log *turn_worker_log(struct turn_worker *turn);
struct random *turn_worker_random(struct turn_worker *turn);
struct turn_server *turn_worker_server(struct turn_worker *turn);
uint32_t turn_worker_index(const struct turn_worker *turn);
const struct turn_shared *turn_worker_shared(const struct turn_worker *turn);
/** The TLS context of now, for new streams; NULL: no TLS. No reference is given. */
struct tls_server_context *turn_worker_tls(struct turn_worker *turn);
/** Sockets of all relays of this thread; runs leave with the next flush. */
struct udp_gather *turn_worker_gather(struct turn_worker *turn);

/**
 * One whole message of a client, from any carrier. Data for peers refers to `message` until
 * turn_worker_flush: call that before the bytes change. `cache`: see turn_server_client_input.
 */
void turn_worker_client_input(struct turn_worker *turn, const struct turn_source *source,
                              struct turn_allocation **cache, struct bytes message);
/**
 * Gives a DTLS association to another worker, which gets what follows on this path, too. Returns 0,
 * or a negative errno: the parcel is still the caller's.
 */
must_check int turn_worker_give_association(struct turn_worker *turn, uint32_t worker,
                                            const struct net_path *path,
                                            struct turn_dtls_parcel *parcel);
/** An association that another worker gave has ended: nothing more is handed over. */
void turn_worker_association_ended(struct turn_worker *turn, const struct net_path *path);
/** Sends what was gathered. Cheap when nothing was. */
void turn_worker_flush(struct turn_worker *turn);
