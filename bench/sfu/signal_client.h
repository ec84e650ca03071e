/** One client's native signaling for the load generator: joins a room and has an offer answered. */
#pragma once

#include <jansson.h>

#include "base/address.h"
#include "base/random.h"

struct signal_client;

/** Connects over plain HTTP, says hello and joins `room`. Blocks. NULL (with a message) on failure.
 */
struct signal_client *signal_client_open(const struct net_address *server, const char *room,
                                         const char *name, struct random *random);
void signal_client_close(struct signal_client *client);
/** Sends an offer whose sending sections are `source`; returns the answer's SDP (heap) or NULL. */
char *signal_client_offer(struct signal_client *client, const char *sdp, const char *source);
/** Answers pings and sends our own; call about every second. Does not block. */
void signal_client_keep(struct signal_client *client, uint64_t now_us);
