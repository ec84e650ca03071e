// A sender like TCP Reno's, which takes what it can get.
#include "sim/flow_int.h"

#define TCP_BYTES 1448

void flow_tcp_acknowledged(struct flow *flow, uint64_t now_us, uint32_t number)
{
    if (number > flow->acknowledged) {
        uint32_t fresh = number - flow->acknowledged;
        flow->acknowledged = number;
        flow->duplicates = 0;
        flow->progress_us = now_us;
        // RFC 6582: what is still missing of the same event
        flow->again = number < flow->recover;
        if (!flow->again)
            flow->window += flow->window < flow->threshold ? fresh : fresh / flow->window;
        return;
    }
    if (++flow->duplicates != 3 || number < flow->recover)
        return;
    flow->threshold = max_of(flow->window / 2, 2.0);
    flow->window = flow->threshold;
    flow->recover = flow->next;
    flow->again = true;
}

bool flow_tcp_may_send(const struct flow *flow)
{
    uint32_t out = flow->next - flow->acknowledged;
    return flow->again || out - min_of(flow->duplicates, out) < (uint32_t)flow->window;
}

void flow_tcp_output(struct flow *flow, uint64_t now_us, struct datagram_batch *batch)
{
    if (flow->done_us > 0)
        return;
    uint64_t all = flow->config.transfer_bytes / TCP_BYTES;
    if (all > 0 && flow->acknowledged >= all) {
        flow->done_us = now_us;
        return;
    }
    if (flow->progress_us == 0)
        flow->progress_us = now_us;
    if (now_us - flow->progress_us >= FLOW_TCP_RETRY_US) {
        flow->threshold = max_of(flow->window / 2, 2.0);
        flow->window = 1;
        flow->next = flow->acknowledged;
        flow->recover = flow->acknowledged;
        flow->duplicates = 0;
        flow->progress_us = now_us;
    }
    if (flow->again) {
        flow_send_packet(flow, now_us, flow->acknowledged, TCP_BYTES, false, batch);
        flow->again = false;
    }
    while (flow_tcp_may_send(flow))
        flow_send_packet(flow, now_us, flow->next++, TCP_BYTES, false, batch);
}
