/**
 * Flows through one bottleneck, in virtual time: media under the congestion control of proto/bwe,
 * and transfers like TCP's. All end at one receiver, whose downlink is the bottleneck; each has a
 * delay of its own. Media may go the other way, too, out of the receiver's uplink, in which the
 * feedback of the others waits then.
 *
 *     struct flows *flows = flows_new(1);
 *     flows_set_path(flows, &(struct network_pipe_config){ .bandwidth_bps = 1000000 });
 *     struct flow *flow = flows_add(flows, &(struct flow_config){ .best_bps = 2000000 });
 *     flows_run(flows, time_from_s(30));
 *     assert_true(flow_rate_bps(flow, 10, 30) > 800000);
 */
#pragma once

#include "proto/bwe/bwe.h"
#include "proto/rtp/twcc_receiver.h"
#include "support/network.h"

#define FLOWS_MAX       8
#define FLOW_LEVELS_MAX 4

enum flow_kind {
    FLOW_MEDIA, /**< an encoder that follows the estimate */
    FLOW_TCP,   /**< Reno: always has more to send */
};

struct flow_config {
    enum flow_kind kind;
    uint64_t delay_us; /**< one way, besides the bottleneck's */
    uint64_t start_us; /**< from the beginning */
    uint64_t best_bps; /**< media: its best quality */
    /** Media that comes in steps, as layers do: the best that fits is sent. 0 ends; all 0: any. */
    uint64_t levels_bps[FLOW_LEVELS_MAX];
    uint64_t audio_bps;      /**< media: always sent besides, in packets of 20 ms */
    bool back;               /**< media: from the receiver to the other end */
    bool no_probes;          /**< nobody sends the trains that are wanted */
    uint64_t transfer_bytes; /**< TCP: ends after them; 0: never */
};

struct flows;

/** One packet that arrived. */
struct flow_arrival {
    uint32_t at_ms;
    uint16_t queued_ms; /**< in the bottleneck */
    uint16_t bytes;
    bool audio;
};

struct flow {
    struct flows *flows;
    struct flow_config config;
    struct network_endpoint *endpoint;
    struct net_address address;
    // media
    struct bwe bwe;
    uint64_t sending_bps; /**< quality now, without audio */
    bool paused;
    uint32_t pending_bytes; /**< of frames that wait for the pacer */
    uint64_t next_frame_us;
    uint64_t next_packet_us;
    uint64_t next_audio_us;
    uint16_t sequence;
    struct twcc_receiver receiver;
    uint64_t bad_feedback;
    // TCP
    double window; /**< packets */
    double threshold;
    uint32_t next, acknowledged; /**< packets */
    uint32_t recover;            /**< losses below this number are of one event */
    uint32_t duplicates;         /**< acknowledgements of nothing new, in a row */
    bool again;                  /**< what is missing goes once more */
    uint64_t progress_us;
    uint64_t done_us;
    uint8_t seen[65536 / 8];
    // what came of it
    uint64_t sent_packets;
    struct flow_arrival *arrivals; /**< heap */
    size_t arrival_count;
    size_t arrival_capacity;
};

struct flows *flows_new(uint64_t seed);
void flows_free(struct flows *flows);
/** Sets the bottleneck; packets in it are not touched. */
void flows_set_path(struct flows *flows, const struct network_pipe_config *config);
/** Sets the way out of the receiver, for all feedback and for media that goes back. */
void flows_set_way_back(struct flows *flows, const struct network_pipe_config *config);
/** Impairs the way of feedback of one flow. Its delay is added to the flow's. */
void flow_set_return_path(struct flow *flow, const struct network_pipe_config *config);
struct flow *flows_add(struct flows *flows, const struct flow_config *config);
void flows_run(struct flows *flows, uint64_t duration_us);

/** Bits/s that arrived between two seconds of the run. */
uint64_t flow_rate_bps(const struct flow *flow, double from_s, double to_s);
/** So many percent of the packets waited no longer than this in the bottleneck. */
uint32_t flow_queue_ms(const struct flow *flow, double from_s, double to_s, unsigned percent);
/** Share of all packets sent that did not arrive. */
double flow_loss(const struct flow *flow);
/**
 * When, after `from_s`, the rate over 500 ms first came within [low, high] and stayed there for two
 * seconds: ms after `from_s`; UINT32_MAX when it never did.
 */
uint32_t flow_settled_ms(const struct flow *flow, double from_s, uint64_t low_bps,
                         uint64_t high_bps);
