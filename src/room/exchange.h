/**
 * All media of one worker: the peers adopted here, the tracks they publish, mirrors of tracks
 * published on other workers, and the subscriptions between them. No I/O: datagrams for our peers
 * go into the caller's batch, everything else leaves through the ops table.
 *
 * A room is not bound to a worker. A publisher's packets are decrypted once, on its own worker, and
 * travel by reference, once, to each worker that has subscribers (a mirror there).
 */
#pragma once

#include "room/media_control.h"
#include "room/metrics.h"
#include "room/protection.h"
#include "room/shed.h"
#include "room/track.h"
#include "room/wish.h"
#include "rtc/peer.h"

struct exchange;

enum exchange_message_kind {
    EXCHANGE_MIRROR,         /**< `worker` wants the packets of `key` */
    EXCHANGE_MIRROR_STOP,    /**< no more */
    EXCHANGE_BURST,          /**< packets of `key`; the receiver takes over the references */
    EXCHANGE_GOP,            /**< the same, from the past: what a new mirror begins with */
    EXCHANGE_CLOCK,          /**< `clock` of a layer of `key` */
    EXCHANGE_DEMAND,         /**< `count` smallest layers of `key` are watched on `worker` */
    EXCHANGE_WANT_KEY_FRAME, /**< subscribers of a mirror need a key frame of `layer` */
    EXCHANGE_RESTART,        /**< the packets of `key` broke off on purpose */
    EXCHANGE_GONE,           /**< the publication `key` ended */
};

#define EXCHANGE_BURST_MAX 20

/** What workers tell each other. By value; only a burst carries ownership. */
struct exchange_message {
    enum exchange_message_kind kind;
    uint16_t worker;
    uint8_t layer;
    uint8_t count;
    bool last; /**< of a group of pictures */
    struct track_key key;
    union {
        struct rtc_clock clock;
        struct packet *packets[EXCHANGE_BURST_MAX];
    };
};

struct exchange_ops {
    /**
     * Sends a message to another worker's exchange. Returns false when it could not be queued: a
     * burst's references are then still the exchange's.
     */
    bool (*to_worker)(void *owner, uint16_t worker, const struct exchange_message *message);
    /** Tells the control thread. `mid` of the event is filled here. */
    void (*to_control)(void *owner, const struct media_event *event);
    /** The peer of a session has something to send (rtc_peer_output). */
    void (*wake)(void *owner, handle session);
};

struct exchange_config {
    uint16_t worker; /**< our index */
    const struct exchange_ops *ops;
    void *owner;
    enum protection_mode protection; /**< forward error correction of video */
    uint64_t gop_age_us; /**< GOP_AGE_DEFAULT_US is a good one; 0: joiners wait for a key frame */
    struct packet_pool *pool; /**< of our publishers' packets; NULL: nobody minds how full it is */
};

struct exchange *exchange_new(const struct exchange_config *config);
/** All peers and tracks must have been removed. Accepts NULL; returns NULL. */
struct exchange *exchange_free(struct exchange *exchange);
/** At the end of the worker: mirrors that others have not told us about the end of. */
void exchange_drop_all(struct exchange *exchange);
const struct room_metrics *exchange_metrics(const struct exchange *exchange);

/** Takes in an adopted peer (not owned) and makes tracks and subscriptions of its sections. */
void exchange_peer_add(struct exchange *exchange, handle session, struct rtc_peer *peer);
/** After rtc_peer_update: sections may have come, changed or ended. */
void exchange_peer_update(struct exchange *exchange, handle session);
/**
 * A peer can take media now: what its slots wait for begins, behind what the peer itself has to
 * send.
 */
void exchange_peer_ready(struct exchange *exchange, uint64_t now_us, handle session,
                         struct datagram_batch *batch);
/** Before the peer is freed. */
void exchange_peer_remove(struct exchange *exchange, handle session);

/**
 * Fills or empties (`publisher` NULL) a slot of a peer that is here. `publisher_worker` is where
 * the publication lives, `publisher_section` what was negotiated for it. Returns 0, or -ENOENT when
 * the slot, or a publication that should be on this worker, is not here.
 */
int exchange_slot_set(struct exchange *exchange, uint64_t now_us, handle session, uint32_t section,
                      const struct track_key *publisher, uint16_t publisher_worker,
                      const struct rtc_section *publisher_section);
/** Drops (or forwards again) the packets of a publication that is here. */
void exchange_publication_block(struct exchange *exchange, handle session, uint32_t section,
                                bool blocked);

/** How a slot is to be filled; holds for whatever fills it until told otherwise. */
void exchange_slot_wish(struct exchange *exchange, handle session, uint32_t section,
                        const struct media_wish *wish);
/**
 * A publication that is here, or mirrored here, belongs to a group (a room): if it is audio, it is
 * forwarded only while it is among the `places` loudest of that group, always with 0. A `name` of
 * 0 takes it out. All tracks of a group have the places that were told last.
 */
void exchange_publication_group(struct exchange *exchange, const struct track_key *publisher,
                                uint64_t name, uint32_t places);
/** Other places for a group, if it is known here. */
void exchange_group_places(struct exchange *exchange, uint64_t name, uint32_t places);

/** Forwards what one peer's datagrams brought; takes over the references and empties `media`. */
void exchange_media(struct exchange *exchange, uint64_t now_us, handle session,
                    struct rtc_media *media, struct datagram_batch *batch);
/** Handles the events of a peer that are about media (NACK, key frames, clocks). */
void exchange_peer_event(struct exchange *exchange, uint64_t now_us, handle session,
                         const struct rtc_event *event, struct datagram_batch *batch);
/** A message of another worker's exchange. */
void exchange_message_input(struct exchange *exchange, uint64_t now_us,
                            const struct exchange_message *message, struct datagram_batch *batch);
/** Frees what a message that nobody will handle carries. */
void exchange_message_discard(const struct exchange_message *message);
/**
 * What is due: packets that waited for room, key-frame requests, the division of bandwidth, speech
 * and liveness. Returns when to call it again, which is soon while packets wait or paths are
 * probed.
 */
uint64_t exchange_tick(struct exchange *exchange, uint64_t now_us, struct datagram_batch *batch);
/**
 * Tells how much this worker has to do: call it with each tick. When it is more than its core can,
 * video is left out (shed.h). Returns true when that began or ended.
 */
bool exchange_load(struct exchange *exchange, uint64_t now_us, const struct shed_reading *reading);
/** The most that is left out of anybody's video now. */
enum shed_level exchange_sheds(const struct exchange *exchange);
/** Nothing is left to leave out: there is no place for anybody else. */
bool exchange_is_full(const struct exchange *exchange);
