/**
 * One peer connection of the load generator (ICE, DTLS, SRTP) on a UDP socket of its own, with any
 * number of sections that send feeds or receive. What comes is counted by its headers, which SRTP
 * leaves readable; with `decrypts` it goes through the whole engine, as in browsers.
 */
#pragma once

#include "base/datagram.h"
#include "proto/rtp/rewrite.h"
#include "proto/srtp/secure_rtp.h"
#include "rtc/client.h"
#include "rtc/peer.h"

#define MEDIA_FRAMES      1024  /**< frames whose sending time is remembered */
#define MEDIA_VIDEO_TICKS 3000u /**< of a frame: 90 kHz, 30 a second */
#define MEDIA_AUDIO_TICKS 960u  /**< the same: 48 kHz, 50 a second */
#define MEDIA_FEEDS       2     /**< sending sections of a client */
#define MEDIA_LAYERS      3     /**< of simulcast */
#define MEDIA_SECTIONS    256
#define MEDIA_STREAMS     512 /**< of one receiver; a power of two */

/** How long frames of the one feed of a kind are on their way. */
struct media_timing {
    uint64_t sent_us[MEDIA_FRAMES]; /**< Unix time, by frame */
    uint32_t *latencies_us;
    size_t count;
    size_t capacity;
};

/** What all clients of a generator share. */
struct media_shared {
    struct rtc_thread thread;
    struct packet_pool pool;
    struct certificate *certificate;
    struct net_address address; /**< where sockets are bound; the port is not used */
    struct net_address server;  /**< its candidates of other addresses are not used */
    bool decrypts;              /**< receivers decrypt and report */
    bool data;                  /**< subscribers have data channels */
    bool stamps;                /**< arrival is when the kernel had the datagram */
    bool live;                  /**< who joins may miss frame 0, so latencies are not known */
    bool measuring;
    bool measured;             /**< at least once: streams that begin later are not timed */
    struct media_timing video; /**< from a frame's first packet to its last one's arrival */
    struct media_timing audio;
};

/** One outgoing SSRC. */
struct media_layer {
    uint16_t payload_size;
    uint16_t burst; /**< packets of a frame */
    uint64_t sequence;
    struct rtp_rewriter rewriter;
    struct secure_rtp_sender index;
};

/** What a section sends: frames at a fixed rate. */
struct media_feed {
    uint16_t section;
    bool video;
    bool key_frame_wanted;
    uint8_t audio_level; /**< -dBov */
    uint32_t interval_us;
    uint64_t next_us;
    uint32_t frame;
    uint32_t layer_count;
    struct media_layer layers[MEDIA_LAYERS];
};

/** What is known of one incoming SSRC. */
struct media_stream {
    uint32_t ssrc; /**< 0: free */
    uint16_t next_sequence;
    uint32_t timestamp_offset; /**< of frame 0 */
    bool timed;                /**< the offset is known: it was there from the load's first frame */
};

struct media_counts {
    uint64_t packets;
    uint64_t lost; /**< gaps in the numbers */
    uint64_t bytes;
};

struct media_client {
    struct media_shared *shared;
    int fd;
    struct net_address address;
    struct rtc_peer *peer;
    bool passive; /**< ICE-lite and DTLS server, as servers are otherwise */
    struct rtc_client_section sections[MEDIA_SECTIONS];
    struct rtc_client_offer offer;
    char ufrag[9], pwd[25], fingerprint[120];
    struct datagram_batch batch;
    struct media_feed feeds[MEDIA_FEEDS];
    uint32_t feed_count;
    bool plain; /**< no peer: feeds go as plain RTP over `plain_path` */
    struct net_path plain_path;
    // Unix times in microseconds, 0: not yet. `started_us` is the caller's: before signaling
    uint64_t started_us, connected_us, first_packet_us, first_picture_us;
    uint32_t channel_count;       /**< data channels that are open */
    bool picture_began;           /**< the beginning of a key frame came */
    struct media_counts counts;   /**< of everything that came while measuring */
    struct media_counts audio;    /**< of that, the sound */
    struct media_stream *streams; /**< MEDIA_STREAMS by SSRC */
};

/** `address`: where sockets are bound and the server is, with any port; `latencies`: how many are
 * kept. */
void media_shared_init(struct media_shared *shared, struct random *random,
                       const struct net_address *address, size_t latencies);
void media_shared_done(struct media_shared *shared);

/** NULL, with a message, when there is no socket. */
struct media_client *media_client_new(struct media_shared *shared);
void media_client_free(struct media_client *client);
void media_client_receives(struct media_client *client, enum rtc_kind kind);
/** `burst` packets of `payload_size` bytes 30 times a second; simulcast: two smaller layers, too.
 */
void media_client_sends_video(struct media_client *client, uint16_t burst, uint16_t payload_size,
                              bool simulcast);
/** 50 packets a second at a loudness of -`level` dBov. */
void media_client_sends_audio(struct media_client *client, uint16_t payload_size, uint8_t level);
/** Our offer, or our answer when the server has offered these sections. Heap. */
char *media_client_describe(struct media_client *client);
/** Instead of a description: feeds go as plain RTP to `remote`. */
void media_client_start_plain(struct media_client *client, const struct net_address *remote);
/** Starts ICE with the server's description. False, with a message, when it cannot. */
bool media_client_start(struct media_client *client, const char *description);
/** The socket is readable. */
void media_client_receive(struct media_client *client);
/** Timers and output. */
void media_client_tick(struct media_client *client);

// media_feed.c
/** Prepares a feed's layers. NULL: for plain RTP, without extensions. */
void media_feed_start(struct media_client *client, struct media_feed *feed,
                      const struct rtc_negotiated *negotiated);
/** Sends one frame. */
void media_feed_send(struct media_client *client, struct media_feed *feed);
// media_count.c
/** Counts one SRTP packet. */
void media_count(struct media_client *client, uint64_t arrived_us, const uint8_t *data,
                 size_t size);
/** Looks for the first whole picture in what was decrypted. */
void media_count_picture(struct media_client *client, uint64_t arrived_us,
                         const struct rtc_media *received);
