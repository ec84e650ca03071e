/**
 * Datagrams that the kernel gave to the wrong worker (a client's address changed, so its 5-tuple
 * hashes elsewhere) go to the owning worker by copy, through a bounded ring of its own.
 */
#pragma once

#include "base/address.h"
#include "base/datagram.h"
#include "runtime/ring.h"
#include "runtime/udp.h"
#include "runtime/wakeup.h"

/** Datagrams handled per turn; the rest waits for the next. */
#define HANDOFF_TURN_MAX 256

/** On the owning thread. `datagrams` are valid during the call only, as with udp_ops. */
typedef void handoff_received(void *owner, const struct udp_datagram *datagrams, size_t count);

struct handoff {
    struct ring ring;
    struct wakeup wakeup;
    struct loop *loop;
    handoff_received *received;
    void *owner;
};

/** Room for `capacity` datagrams (2.1 KB each). Returns 0 or a negative errno. */
must_check int handoff_init(struct handoff *handoff, struct loop *loop, size_t capacity,
                            handoff_received *received, void *owner);
/** When no other thread hands over any more. Accepts a zeroed one. */
void handoff_done(struct handoff *handoff);
/**
 * Copies one datagram to the owner of `handoff`, from any thread. Returns false when the ring is
 * full or the datagram larger than DATAGRAM_SIZE_MAX: dropped, and counted for the owner.
 */
bool handoff_give(struct handoff *handoff, const struct udp_datagram *datagram);
