/**
 * One client's media for the load generator: a real peer connection (ICE, DTLS, SRTP) on a UDP
 * socket of its own. A subscriber counts packets by their headers, which SRTP leaves readable, and
 * takes the time from the publisher's first packet of a frame to its own last one.
 */
#pragma once

#include "base/datagram.h"
#include "rtc/client.h"
#include "rtc/peer.h"

#define MEDIA_FRAMES 256 /**< frames whose sending time is remembered */

struct media_shared {
    struct rtc_thread thread;
    struct packet_pool pool;
    struct certificate *certificate;
    uint64_t frame_sent_us[MEDIA_FRAMES]; /**< by frame number */
    uint32_t *latencies_us;
    size_t latency_count;
    size_t latency_capacity;
    bool measuring;
    bool feedback; /**< subscribers decrypt and send reports, as browsers do */
};

struct media_client {
    struct media_shared *shared;
    int fd;
    struct net_address address;
    struct rtc_peer *peer;
    struct rtc_client_section section;
    struct rtc_client_offer offer;
    char ufrag[9], pwd[25], fingerprint[120];
    uint64_t started_us, connected_us;
    bool connected;
    // what a subscriber counts while measuring
    uint64_t packets;
    uint64_t lost;
    uint64_t bytes;
    bool sequence_known;
    uint16_t next_sequence;
    bool timestamp_known;
    uint32_t timestamp_offset; /**< outgoing minus the publisher's */
    // publisher
    uint64_t output;
    uint32_t frame;
    bool key_frame_wanted;
    struct datagram_batch batch;
};

void media_shared_init(struct media_shared *shared, struct random *random, size_t latencies);
void media_shared_done(struct media_shared *shared);

/** A client that publishes or has one video slot. Its offer's text is heap. */
struct media_client *media_client_new(struct media_shared *shared, bool publishes,
                                      char **ret_offer);
void media_client_free(struct media_client *client);
/** Starts ICE with the server's answer. False with a message when it cannot. */
bool media_client_answer(struct media_client *client, const char *answer);
/** The socket is readable. */
void media_client_receive(struct media_client *client, uint64_t now_us);
/** Timers and output. */
void media_client_tick(struct media_client *client, uint64_t now_us);
/** Sends one frame of `count` packets with payloads of `payload_size`. */
void media_client_publish(struct media_client *client, uint64_t now_us, uint32_t count,
                          uint16_t payload_size);
