/**
 * A server and its clients as engines over the virtual network: negotiation, ICE, DTLS, SRTP and
 * forwarding are the real ones; only sockets, threads and the clock are not there. The server may
 * have several workers, whose exchanges talk through queues as mailboxes would.
 */
#pragma once

#include "proto/rtp/rewrite.h"
#include "proto/srtp/secure_rtp.h"
#include "room/exchange.h"
#include "room/packet_ring.h"
#include "room/redundancy.h"
#include "rtc/client.h"
#include "support/network.h"

/** The room that world_group puts publications into. */
#define WORLD_GROUP    1
#define WORLD_WORKERS  2
#define WORLD_CLIENTS  4
#define WORLD_SECTIONS 6
#define WORLD_LAYERS   3

#define WORLD_DECODER_PICTURES 64

struct world;

/** A picture that came, in part or whole, by what its publisher wrote into it. */
struct world_decoding {
    uint32_t frame, reference; /**< the same: a key frame */
    uint8_t layer, parts, seen;
    bool decoded;
};

/** A receiver's decoder: a picture counts when all of it came, and what it refers to, too. */
struct world_decoder {
    struct world_decoding pictures[WORLD_DECODER_PICTURES]; /**< by frame */
    uint32_t decoded;
};

/** Frames of one received section. */
struct world_received {
    uint32_t packets;
    uint32_t frames; /**< complete ones, by marker */
    uint32_t key_frames;
    uint32_t last_frame; /**< number that the publisher wrote into it */
    uint32_t publisher;  /**< name that the publisher wrote into it */
    uint64_t newest;     /**< unwrapped RTP sequence number, 0: none */
    uint64_t oldest;
    uint32_t distinct;       /**< packets less duplicates */
    uint32_t repeated;       /**< retransmissions of what was there: not in `packets` */
    uint32_t layer;          /**< of the last packet, as its publisher numbered it */
    uint32_t delays_told;    /**< packets with the playout-delay extension */
    uint32_t delay;          /**< its last value, 24 bits */
    uint32_t last_timestamp; /**< of the packet that told `last_frame` */
    struct rtc_clock clock;  /**< of the last sender report */
    struct world_decoder decoder;
    uint8_t seen[65536 / 8];
};

/** One simulcast layer of a client, told by mid and rid. */
struct world_layer {
    bool paused;
    uint32_t bitrate_bps; /**< 0: its pictures are a few packets of the same size */
    uint32_t every;       /**< has every second picture, third...; 0: all */
    uint32_t since_key, pictures, last_frame[2]; /**< by temporal layer */
    uint8_t tl0;
    uint16_t sequence;
    struct rtp_rewriter rewriter;
    struct secure_rtp_sender index;
};

struct world_client {
    struct world *world;
    uint32_t name;
    uint16_t worker; /**< of the server: where its peer lives */
    handle session;
    struct network_endpoint *endpoint;
    struct net_address address;
    struct rtc_thread thread;
    struct packet_pool pool;
    struct random random;
    struct rtc_peer *peer;
    struct rtc_client_section sections[WORLD_SECTIONS];
    struct rtc_client_offer offer;
    char ufrag[9], pwd[25];
    struct rtc_negotiation *negotiation; /**< the server's */
    struct rtc_params *server_params;
    struct rtc_peer *server_peer;
    bool two_way; /**< its sections are those of a call */
    bool connected, failed, server_connected, server_disconnected;
    bool publishing;
    enum media_pause pause; /**< of a video that it watches, as the server said last */
    uint8_t demand;         /**< layers of its video that are watched, as the server said last */
    /** Gets decrypted RTP packets in place of the engine. */
    void (*tap)(void *owner, struct bytes packet);
    void *tap_owner;
    /** Sends the next picture of a section in place of what is made here; world_send. */
    void (*produce)(void *owner, uint16_t section, uint64_t now_us, struct datagram_batch *batch);
    void *producer;
    /** Sees every received packet. */
    void (*take)(void *owner, uint16_t section, struct packet *packet);
    void *taker;
    struct rtc_playout_delay playout_delay; /**< what the server shall tell it */
    bool sends_red;                         /**< its sound, with two packets repeated in each */
    uint8_t audio_level;                    /**< of its sound, -dBov (RFC 6464); 0: not told */
    bool temporal_layers;                   /**< its video (VP8, VP9) comes in three frame rates */
    uint32_t key_frame_parts; /**< packets of its key frames; 0: as many as of others */
    uint32_t frame;
    uint32_t video_timestamp; /**< of frame 0 */
    uint32_t frame_us;        /**< of its media clock between two frames; 0: 30 a second */
    int32_t fast_ppm;         /**< how much faster its media clock goes than its wall clock */
    uint32_t key_frames_asked;
    uint64_t layers_asked; /**< key frames, until now */
    bool key_frame_next;
    uint64_t next_frame_us;
    uint64_t output[WORLD_SECTIONS];
    struct packet_ring sent[WORLD_SECTIONS]; /**< for NACKs */
    struct datagram_batch repairs;
    struct world_layer
        layers[WORLD_LAYERS]; /**< of its simulcast; the last one is of other video */
    struct world_received received[WORLD_SECTIONS];
};

struct world_worker {
    struct world *world;
    uint16_t index;
    struct rtc_thread thread;
    struct packet_pool pool;
    struct random random;
    struct exchange *exchange;
    uint64_t tick_us;
    bool awake;
};

/** What a test adds to the world: called after the engines have taken input, or with their tick. */
struct world_extension {
    void (*server)(void *owner, uint64_t now_us);
    void (*client)(void *owner, uint64_t now_us, struct world_client *client);
    void *owner;
};

struct world_message {
    uint16_t to;
    struct exchange_message message;
};

struct world {
    struct network *net;
    struct network_endpoint *server;
    struct net_address server_address;
    struct certificate *server_certificate;
    struct certificate *client_certificate;
    struct dtls_context *server_dtls;
    struct dtls_context *client_dtls;
    struct world_worker workers[WORLD_WORKERS];
    struct world_client clients[WORLD_CLIENTS];
    uint32_t client_count;
    struct world_message messages[4096];
    size_t message_count;
    uint64_t
        idle_us; /**< how long exchanges with nothing urgent wait for a tick; 0: as they wish */
    uint32_t live_events;
    uint32_t silent_events;
    uint32_t layer_events;
    struct media_layer layers[MEDIA_LAYERS_MAX]; /**< as told last, of any publication */
    bool remb_only;                              /**< clients know no transport-wide feedback */
    uint32_t lost_kinds;     /**< 1 << exchange_message_kind: meet a full mailbox */
    uint32_t burst_messages; /**< between workers */
    uint32_t clock_messages; /**< between workers */
    struct world_extension extension;
};

struct world *world_new(uint64_t seed);
void world_free(struct world *world);
/** A client whose peer will live on `worker`. Sections are set before world_join. */
struct world_client *world_add_client(struct world *world, uint16_t worker);
/** Index of the new section. */
uint16_t world_add_section(struct world_client *client, enum rtc_kind kind, bool sends);
/** One in which both sides send. */
uint16_t world_add_two_way(struct world_client *client, enum rtc_kind kind);
/** A video section of WORLD_LAYERS layers, with key frames each second; one for a client. */
uint16_t world_add_simulcast(struct world_client *client);
/** Numbers, keeps and sends a packet whose description is filled in; takes over the reference. */
void world_send(struct world_client *client, uint16_t section, uint64_t now_us,
                struct datagram_batch *batch, struct packet *packet);
/** How a slot shall be filled. */
void world_wish(struct world_client *subscriber, uint16_t slot, const struct media_wish *wish);
/** Offers and answers; the peers exist afterwards. Call again after adding sections. */
void world_negotiate(struct world_client *client);
/** The server offers the callee what the caller has offered it, and the callee answers. */
void world_negotiate_callee(struct world_client *callee, const struct world_client *caller);
/** New credentials on both sides. */
void world_restart_ice(struct world_client *client);
/** Shows a publication in a slot. */
void world_show(struct world_client *subscriber, uint16_t slot, struct world_client *publisher,
                uint16_t publication);
/** Puts a publication among the voices of room 1, on the worker of everybody who may hear it. */
void world_group(struct world_client *publisher, uint16_t publication, uint32_t places);
/** A section rests (or comes back), by another offer. */
void world_rest(struct world_client *client, uint16_t section, bool inactive);
/** Sends a compound RTCP packet of the test's making from the client. */
void world_send_rtcp(struct world_client *client, struct bytes plain);
/** Runs until all clients are connected on both sides. */
bool world_connect(struct world *world, uint64_t timeout_us);
/** Microseconds from one frame of a publisher to the next. */
uint64_t world_frame_us(const struct world_client *publisher);
