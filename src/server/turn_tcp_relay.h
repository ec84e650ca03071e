/**
 * TCP allocations (RFC 6062) on one worker: connections with peers from the relay's port, which
 * carry the bytes of a client's data connection once it is bound (ConnectionBind).
 *
 *     client's data connection (turn_stream.h)  <==>  peer's connection
 *
 * Both directions have back-pressure: who does not read makes the other one wait, and at most a
 * buffer of each side is held here. Until it is bound at most 64 KiB of the peer are held.
 *
 * The functions are what `struct turn_ops` asks for.
 */
#pragma once

#include "server/turn_stream.h"

struct turn_tcp_relays;

/** Never NULL. Counts into `streams`, which outlives it. */
struct turn_tcp_relays *turn_tcp_relays_new(struct turn_worker *turn, struct turn_streams *streams);
/** Closes everything, and the engine hears it. Before turn_streams_free. Accepts NULL; returns
 *  NULL. */
struct turn_tcp_relays *turn_tcp_relays_free(struct turn_tcp_relays *relays);

/** turn_ops.relay_open with `tcp`: listens at relay->bind. Returns 0 or a negative errno. */
must_check int turn_tcp_relay_open(struct turn_tcp_relays *relays, struct turn_relay *relay);
/** turn_ops.relay_close of such a relay; its connections end as well. */
void turn_tcp_relay_close(struct turn_tcp_relays *relays, struct turn_relay *relay);
/** turn_ops.tcp_connect */
must_check int turn_tcp_relay_connect(struct turn_tcp_relays *relays, struct turn_relay *relay,
                                      uint32_t connection, const struct net_address *peer);
/**
 * turn_ops.tcp_bind: the client's stream is a pipe from now on; bytes flow from the next turn on,
 * behind the answer. Returns 0, -ENOENT (no such connection), -EPROTONOSUPPORT (the client speaks
 * no stream) or -EBUSY (it is bound, or the stream has an allocation).
 */
must_check int turn_tcp_relay_bind(struct turn_tcp_relays *relays, uint32_t connection,
                                   const struct turn_source *client);
/** turn_ops.tcp_close. Accepts NULL: all have ended. */
void turn_tcp_relay_end(struct turn_tcp_relays *relays, uint32_t connection);
