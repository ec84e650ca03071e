/**
 * What carries a TURN client's messages: a UDP socket, a TCP or TLS stream, a DTLS association.
 * `turn_source.carrier` points to one of these, the first member of whatever it is.
 */
#pragma once

#include "proto/turn/turn_server.h"

struct turn_carrier;

struct turn_carrier_ops {
    /** One whole STUN message (an answer, an indication): kept if at all possible. */
    void (*send)(struct turn_carrier *carrier, const struct turn_source *to, struct bytes message);
    /**
     * A peer's data: header, payload and padding of `deliver`, in this order. May be dropped when
     * the client does not keep up. UDP refers to `payload` until turn_worker_flush; others copy.
     */
    void (*deliver)(struct turn_carrier *carrier, const struct turn_deliver *deliver,
                    struct bytes payload);
    /** The allocation of this source ended (`why`): streams close in order; UDP does nothing. */
    void (*ended)(struct turn_carrier *carrier, const struct turn_source *of, enum turn_end why);
};

struct turn_carrier {
    const struct turn_carrier_ops *ops;
};
