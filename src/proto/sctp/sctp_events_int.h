/** The queue of events of an association. Private to this folder. */
#pragma once

#include "proto/sctp/sctp.h"

/** What an event is charged with besides its message. */
#define SCTP_EVENT_COST 64

struct sctp_events {
    struct sctp_event *ring; /**< heap, a power of two */
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
    size_t held; /**< bytes that the events cost */
};

/** Adds an event; a message's reference goes with it. Who adds has looked at `held`. */
void sctp_events_add(struct sctp_events *events, const struct sctp_event *event);
bool sctp_events_next(struct sctp_events *events, struct sctp_event *ret_event);
/** Drops what was not fetched. */
void sctp_events_done(struct sctp_events *events);
