/** What the files of the flows share. */
#pragma once

#include "sim/flow.h"

/** Nothing was acknowledged for so long: all that is missing is sent once more. */
#define FLOW_TCP_RETRY_US TIME_US_PER_S

/** Sends a packet of a flow: `number` is what its receiver answers with. */
void flow_send_packet(struct flow *flow, uint64_t now_us, uint32_t number, size_t size, bool audio,
                      struct datagram_batch *batch);
/** All packets below `number` have arrived. */
void flow_tcp_acknowledged(struct flow *flow, uint64_t now_us, uint32_t number);
bool flow_tcp_may_send(const struct flow *flow);
void flow_tcp_output(struct flow *flow, uint64_t now_us, struct datagram_batch *batch);
