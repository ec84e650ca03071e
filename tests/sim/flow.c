#include "sim/flow_int.h"

#include <stdlib.h>

#include "base/memory.h"
#include "proto/rtp/rtcp.h"
#include "support/check.h"

#define START_US      TIME_US_PER_S // when a network's time begins
#define FRAME_US      33333
#define PACKET_BYTES  1200
#define AUDIO_US      20000
#define PADDING       1000
#define PACE_PARTS    5 // 2.5 times the estimate
#define PACE_OF       2
#define RECEIVER_PORT 9000

/** What a packet of a flow begins with. */
struct head {
    uint64_t sent_us;
    uint32_t number;
    uint8_t flow;
    bool audio;
    bool acknowledgement;
};

struct flows {
    struct network *net;
    struct network_endpoint *receiver;
    struct net_address receiver_address;
    struct network_pipe_config path, way_back;
    struct flow flows[FLOWS_MAX];
    size_t count;
    uint32_t acknowledged[FLOWS_MAX]; /**< by TCP's receiver: all below */
    struct datagram_batch answers;
};

static uint64_t since_start_us(uint64_t now_us)
{
    return now_us - START_US;
}

// The receiver's side

static void record(struct flow *flow, uint64_t now_us, const struct head *head, size_t size)
{
    if (flow->arrival_count == flow->arrival_capacity) {
        flow->arrival_capacity = max_of(flow->arrival_capacity * 2, (size_t)4096);
        flow->arrivals =
            memory_resize(flow->arrivals, flow->arrival_capacity * sizeof(*flow->arrivals));
    }
    const struct network_pipe_config *path =
        flow->config.back ? &flow->flows->way_back : &flow->flows->path;
    uint64_t alone_us = flow->config.delay_us + path->delay_us;
    uint64_t taken_us = now_us - head->sent_us;
    flow->arrivals[flow->arrival_count++] = (struct flow_arrival){
        .at_ms = (uint32_t)(since_start_us(now_us) / TIME_US_PER_MS),
        .queued_ms = (uint16_t)((taken_us - min_of(alone_us, taken_us)) / TIME_US_PER_MS),
        .bytes = (uint16_t)size,
        .audio = head->audio,
    };
}

static void answer_tcp(struct flows *flows, const struct net_path *path, const struct head *head)
{
    struct flow *flow = &flows->flows[head->flow];
    uint32_t *acknowledged = &flows->acknowledged[head->flow];
    flow->seen[head->number % 65536 / 8] |= (uint8_t)(1u << head->number % 8);
    while (flow->seen[*acknowledged % 65536 / 8] & 1u << *acknowledged % 8) {
        flow->seen[*acknowledged % 65536 / 8] &= (uint8_t) ~(1u << *acknowledged % 8);
        ++*acknowledged;
    }
    struct head answer = { .number = *acknowledged, .flow = head->flow, .acknowledgement = true };
    datagram_batch_add(&flows->answers, path, &answer, sizeof(answer));
}

static void media_output(struct flow *flow, uint64_t now_us, struct datagram_batch *batch);
static uint64_t media_deadline(const struct flow *flow);
static void media_tick(struct flow *flow, uint64_t now_us);
static void take_feedback(struct flow *flow, uint64_t now_us, struct bytes datagram);

/** The flow whose media the receiver sends to there; NULL: none. */
static struct flow *flow_back_to(struct flows *flows, const struct net_address *address)
{
    for (size_t i = 0; i < flows->count; i++) {
        if (flows->flows[i].config.back && net_address_equal(&flows->flows[i].address, address))
            return &flows->flows[i];
    }
    return NULL;
}

static void receiver_input(void *owner, uint64_t now_us, const struct net_path *path,
                           struct bytes datagram)
{
    struct flows *flows = owner;
    struct flow *back = flow_back_to(flows, &path->remote);
    if (back) {
        take_feedback(back, now_us, datagram);
        return;
    }
    struct head head;
    memcpy(&head, datagram.data, sizeof(head));
    struct flow *flow = &flows->flows[head.flow];
    record(flow, now_us, &head, datagram.size);
    if (flow->config.kind == FLOW_TCP)
        answer_tcp(flows, path, &head);
    else
        twcc_receiver_packet(&flow->receiver, now_us, (uint16_t)head.number, 1);
}

static uint64_t receiver_deadline(void *owner)
{
    struct flows *flows = owner;
    uint64_t deadline_us = datagram_batch_empty(&flows->answers) ? TIME_NEVER : 0;
    for (size_t i = 0; i < flows->count; i++) {
        struct flow *flow = &flows->flows[i];
        if (flow->config.back)
            deadline_us = time_earlier(deadline_us, media_deadline(flow));
        else if (flow->config.kind == FLOW_MEDIA)
            deadline_us = time_earlier(deadline_us, twcc_receiver_deadline(&flow->receiver));
    }
    return deadline_us;
}

static void write_feedback(struct flow *flow, uint64_t now_us, const struct net_path *path,
                           struct datagram_batch *batch)
{
    uint8_t bytes[1200];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    while (twcc_receiver_output(&flow->receiver, now_us, 1, &writer)) {
        datagram_batch_add(batch, path, bytes, writer.size);
        writer = writer_of(bytes, sizeof(bytes));
    }
}

static void receiver_output(void *owner, uint64_t now_us, struct datagram_batch *batch)
{
    struct flows *flows = owner;
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *data;
    size_t size;
    while (datagram_batch_next(&flows->answers, &cursor, &path, &data, &size))
        datagram_batch_add(batch, &path, data, size);
    datagram_batch_clear(&flows->answers);
    for (size_t i = 0; i < flows->count; i++) {
        struct flow *flow = &flows->flows[i];
        path = (struct net_path){ .local = flows->receiver_address, .remote = flow->address };
        if (flow->config.back)
            media_output(flow, now_us, batch);
        else if (flow->config.kind == FLOW_MEDIA)
            write_feedback(flow, now_us, &path, batch);
    }
}

static void receiver_tick(void *owner, uint64_t now_us)
{
    struct flows *flows = owner;
    for (size_t i = 0; i < flows->count; i++) {
        if (flows->flows[i].config.back)
            media_tick(&flows->flows[i], now_us);
    }
}

static const struct network_ops receiver_ops = { receiver_input, receiver_tick, receiver_deadline,
                                                 receiver_output };

// Media

void flow_send_packet(struct flow *flow, uint64_t now_us, uint32_t number, size_t size, bool audio,
                      struct datagram_batch *batch)
{
    uint8_t bytes[PACKET_BYTES + 300] = { 0 };
    struct head head = {
        .sent_us = now_us,
        .number = number,
        .flow = (uint8_t)(flow - flow->flows->flows),
        .audio = audio,
    };
    memcpy(bytes, &head, sizeof(head));
    const struct net_address *receiver = &flow->flows->receiver_address;
    struct net_path path = { .local = flow->config.back ? *receiver : flow->address,
                             .remote = flow->config.back ? flow->address : *receiver };
    datagram_batch_add(batch, &path, bytes, size);
    flow->sent_packets++;
    if (flow->config.kind == FLOW_MEDIA)
        bwe_sent(&flow->bwe, now_us, flow->sequence++, size);
}

static uint64_t best_level(const struct flow *flow, uint64_t available_bps)
{
    if (flow->config.levels_bps[0] == 0)
        return min_of(flow->config.best_bps, available_bps);
    uint64_t best = 0;
    for (int i = 0; i < FLOW_LEVELS_MAX && flow->config.levels_bps[i] > 0; i++) {
        // as the allocator has it: up with something to spare
        uint64_t level = flow->config.levels_bps[i];
        bool up = level > flow->sending_bps;
        if (level + (up ? level / 8 : 0) <= available_bps)
            best = level;
    }
    return best;
}

static void make_frame(struct flow *flow, uint64_t now_us)
{
    uint64_t estimate_bps = bwe_bps(&flow->bwe);
    uint64_t usable_bps = estimate_bps - estimate_bps / 20;
    uint64_t left_bps =
        usable_bps > flow->config.audio_bps ? usable_bps - flow->config.audio_bps : 0;
    flow->sending_bps = best_level(flow, left_bps);
    flow->pending_bytes += (uint32_t)(flow->sending_bps * FRAME_US / TIME_US_PER_S / 8);
    flow->next_frame_us = now_us + FRAME_US;
}

static bool media_has_packet(const struct flow *flow)
{
    return flow->pending_bytes > 0 || flow->bwe.probe.state == BWE_PROBE_SENDING;
}

/** One packet of the pacer: of a frame, or padding of a train. */
static void send_paced(struct flow *flow, uint64_t now_us, struct datagram_batch *batch)
{
    double pace_bps = (double)bwe_bps(&flow->bwe) * PACE_PARTS / PACE_OF;
    if (flow->bwe.probe.state == BWE_PROBE_SENDING)
        pace_bps = flow->bwe.probe.rate_bps;
    size_t size =
        flow->pending_bytes > 0 ? min_of(flow->pending_bytes, (uint32_t)PACKET_BYTES) : PADDING;
    size = max_of(size, (size_t)60);
    flow->pending_bytes -= min_of((uint32_t)size, flow->pending_bytes);
    flow_send_packet(flow, now_us, flow->sequence, size, false, batch);
    flow->next_packet_us = now_us + (uint64_t)((double)size * 8 * 1e6 / pace_bps);
}

static bool started(const struct flow *flow, uint64_t now_us)
{
    return since_start_us(now_us) >= flow->config.start_us;
}

static uint64_t media_deadline(const struct flow *flow)
{
    uint64_t start_us = START_US + flow->config.start_us;
    if (network_now(flow->flows->net) < start_us)
        return start_us;
    uint64_t deadline_us = bwe_deadline(&flow->bwe);
    if (flow->paused)
        return deadline_us;
    if (flow->config.audio_bps > 0)
        deadline_us = time_earlier(deadline_us, flow->next_audio_us);
    if (media_has_packet(flow))
        deadline_us = time_earlier(deadline_us, flow->next_packet_us);
    return time_earlier(deadline_us, flow->next_frame_us);
}

static void media_tick(struct flow *flow, uint64_t now_us)
{
    if (started(flow, now_us) && bwe_deadline(&flow->bwe) <= now_us)
        bwe_tick(&flow->bwe, now_us);
}

static void media_output(struct flow *flow, uint64_t now_us, struct datagram_batch *batch)
{
    if (flow->paused || !started(flow, now_us))
        return;
    bwe_set_wanted(&flow->bwe, now_us, flow->config.best_bps + flow->config.audio_bps);
    if (flow->bwe.probe.state == BWE_PROBE_WANTED && !flow->config.no_probes)
        bwe_probe_begin(&flow->bwe.probe, now_us);
    if (flow->config.audio_bps > 0 && flow->next_audio_us <= now_us) {
        flow_send_packet(flow, now_us, flow->sequence,
                         flow->config.audio_bps * AUDIO_US / TIME_US_PER_S / 8, true, batch);
        flow->next_audio_us = now_us + AUDIO_US;
    }
    if (flow->next_frame_us <= now_us)
        make_frame(flow, now_us);
    while (media_has_packet(flow) && flow->next_packet_us <= now_us)
        send_paced(flow, now_us, batch);
}

static void take_feedback(struct flow *flow, uint64_t now_us, struct bytes datagram)
{
    struct reader reader = reader_of(datagram.data, datagram.size);
    struct rtcp_packet packet;
    while (rtcp_next(&reader, &packet) > 0) {
        struct rtcp_feedback feedback;
        struct twcc_feedback told;
        if (rtcp_feedback_parse(&packet, &feedback) < 0 ||
            twcc_feedback_parse(feedback.control, &told) < 0 ||
            bwe_feedback(&flow->bwe, now_us, &told) < 0)
            flow->bad_feedback++;
    }
}

// Both

static void flow_input(void *owner, uint64_t now_us, const struct net_path *path unused,
                       struct bytes datagram)
{
    struct flow *flow = owner;
    struct head head;
    if (flow->config.back) {
        memcpy(&head, datagram.data, sizeof(head));
        record(flow, now_us, &head, datagram.size);
        twcc_receiver_packet(&flow->receiver, now_us, (uint16_t)head.number, 1);
        return;
    }
    if (flow->config.kind == FLOW_MEDIA) {
        take_feedback(flow, now_us, datagram);
        return;
    }
    memcpy(&head, datagram.data, sizeof(head));
    flow_tcp_acknowledged(flow, now_us, head.number);
}

static uint64_t flow_deadline(void *owner)
{
    struct flow *flow = owner;
    uint64_t start_us = START_US + flow->config.start_us;
    if (flow->config.back)
        return twcc_receiver_deadline(&flow->receiver);
    if (flow->config.kind == FLOW_MEDIA)
        return media_deadline(flow);
    if (network_now(flow->flows->net) < start_us)
        return start_us;
    return flow->done_us > 0         ? TIME_NEVER
           : flow_tcp_may_send(flow) ? 0
                                     : flow->progress_us + FLOW_TCP_RETRY_US;
}

static void flow_tick(void *owner, uint64_t now_us)
{
    struct flow *flow = owner;
    if (flow->config.kind == FLOW_MEDIA && !flow->config.back)
        media_tick(flow, now_us);
}

static void flow_output(void *owner, uint64_t now_us, struct datagram_batch *batch)
{
    struct flow *flow = owner;
    struct net_path path = { .local = flow->address, .remote = flow->flows->receiver_address };
    if (flow->config.back)
        write_feedback(flow, now_us, &path, batch);
    else if (flow->config.kind == FLOW_MEDIA)
        media_output(flow, now_us, batch);
    else if (started(flow, now_us))
        flow_tcp_output(flow, now_us, batch);
}

static const struct network_ops flow_ops = { flow_input, flow_tick, flow_deadline, flow_output };

// Setting up

struct flows *flows_new(uint64_t seed)
{
    struct flows *flows = memory_new(struct flows);
    flows->net = network_new(seed);
    flows->receiver_address = net_address_ipv4(198, 51, 100, 1, RECEIVER_PORT);
    flows->receiver = network_add(flows->net, &receiver_ops, flows);
    network_bind(flows->receiver, &flows->receiver_address);
    datagram_batch_init(&flows->answers, 1u << 20, 4096);
    return flows;
}

void flows_free(struct flows *flows)
{
    for (size_t i = 0; i < flows->count; i++) {
        struct flow *flow = &flows->flows[i];
        bwe_done(&flow->bwe);
        twcc_receiver_done(&flow->receiver);
        free(flow->arrivals);
    }
    network_free(flows->net);
    datagram_batch_done(&flows->answers);
    free(flows);
}

void flows_set_path(struct flows *flows, const struct network_pipe_config *config)
{
    flows->path = *config;
    network_pipe_set(network_downlink(flows->receiver), config);
}

void flows_set_way_back(struct flows *flows, const struct network_pipe_config *config)
{
    flows->way_back = *config;
    network_pipe_set(network_uplink(flows->receiver), config);
}

void flow_set_return_path(struct flow *flow, const struct network_pipe_config *config)
{
    struct network_pipe_config added = *config;
    added.delay_us += flow->config.delay_us;
    network_pipe_set(network_downlink(flow->endpoint), &added);
}

struct flow *flows_add(struct flows *flows, const struct flow_config *config)
{
    assert_true(flows->count < FLOWS_MAX);
    struct flow *flow = &flows->flows[flows->count++];
    *flow = (struct flow){
        .flows = flows,
        .config = *config,
        .address = net_address_ipv4(203, 0, 113, (uint8_t)flows->count, 5000),
        .window = 10,
        .threshold = 1e9,
    };
    bwe_init(&flow->bwe, START_US + config->start_us);
    struct twcc_receiver_config receiver = { .interval_us = 50000, .packets_max = 200 };
    twcc_receiver_init(&flow->receiver, &receiver);
    flow->endpoint = network_add(flows->net, &flow_ops, flow);
    network_bind(flow->endpoint, &flow->address);
    struct network_pipe_config way = { .delay_us = config->delay_us };
    network_pipe_set(network_uplink(flow->endpoint), &way);
    flow_set_return_path(flow, &(struct network_pipe_config){ 0 });
    return flow;
}

void flows_run(struct flows *flows, uint64_t duration_us)
{
    network_run(flows->net, duration_us);
}

// What came of it

static bool between(const struct flow_arrival *arrival, double from_s, double to_s)
{
    return arrival->at_ms >= from_s * 1000 && arrival->at_ms < to_s * 1000;
}

uint64_t flow_rate_bps(const struct flow *flow, double from_s, double to_s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < flow->arrival_count; i++) {
        if (between(&flow->arrivals[i], from_s, to_s))
            bytes += flow->arrivals[i].bytes;
    }
    return (uint64_t)((double)bytes * 8 / (to_s - from_s));
}

uint32_t flow_queue_ms(const struct flow *flow, double from_s, double to_s, unsigned percent)
{
    uint32_t *counts = memory_new_array(uint32_t, 65536);
    uint64_t total = 0;
    for (size_t i = 0; i < flow->arrival_count; i++) {
        if (between(&flow->arrivals[i], from_s, to_s)) {
            counts[flow->arrivals[i].queued_ms]++;
            total++;
        }
    }
    uint64_t passed = 0;
    uint32_t ms = 0;
    while (ms < 65535 && (passed += counts[ms]) * 100 < total * percent)
        ms++;
    free(counts);
    return ms;
}

double flow_loss(const struct flow *flow)
{
    return flow->sent_packets == 0 ? 0
                                   : 1 - (double)flow->arrival_count / (double)flow->sent_packets;
}

uint32_t flow_settled_ms(const struct flow *flow, double from_s, uint64_t low_bps,
                         uint64_t high_bps)
{
    uint32_t good_ms = 0;
    double end_s =
        flow->arrival_count > 0 ? flow->arrivals[flow->arrival_count - 1].at_ms / 1000.0 : 0;
    for (double at_s = from_s; at_s + 0.5 <= end_s; at_s += 0.1) {
        uint64_t bps = flow_rate_bps(flow, at_s, at_s + 0.5);
        good_ms = bps >= low_bps && bps <= high_bps ? good_ms + 100 : 0;
        if (good_ms >= 1500)
            return (uint32_t)((at_s - from_s) * 1000 + 0.5) + 100 - good_ms;
    }
    return UINT32_MAX;
}
