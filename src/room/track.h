/**
 * A publication on one worker: where its packets are kept and who on this worker watches it. On the
 * publisher's worker it is fed by the peer; on others it is a mirror, fed by bursts from there.
 */
#pragma once

#include "base/handle.h"
#include "base/list.h"
#include "room/follow.h"
#include "room/gop_cache.h"
#include "room/keyframe.h"
#include "room/layer_rates.h"
#include "room/loudest.h"
#include "room/media_control.h"
#include "room/packet_ring.h"
#include "room/speech.h"
#include "rtc/peer.h"

#define TRACK_LAYERS_MAX RTC_LAYERS_MAX
/** Workers that one process may have: a bit for each in a track's mirror set. */
#define TRACK_WORKERS_MAX 256

/** Names a publication in the whole process; usable as a map key. */
struct track_key {
    handle session;
    uint32_t section;
    uint32_t reserved; /**< 0 */
};

static inline struct bytes track_key_bytes(const struct track_key *key)
{
    return bytes_of(key, sizeof(*key));
}

/** One simulcast layer, or the only stream. */
struct track_layer {
    struct packet_ring ring;
    struct keyframe_request key_frame;
    struct gop_cache gop;
    struct media_targets targets; /**< of its dependency descriptors */
    struct rtc_clock clock;
    uint8_t epoch;           /**< of the newest stream, to which `clock` belongs */
    uint64_t last_packet_us; /**< 0: no packet yet */
    struct layer_rates rates;
    uint16_t width; /**< of the picture; 0: not known */
    uint16_t height;
};

/** Which layers of a video somebody watches, as counts of the smallest; see exchange_demand.c. */
struct track_demand {
    uint8_t told; /**< what the publisher knows; of a mirror: the publisher's worker */
    uint64_t checked_us;
    uint64_t told_us;
    uint64_t less_since_us;             /**< since when less than that is watched; 0: it is not */
    uint8_t workers[TRACK_WORKERS_MAX]; /**< on workers that mirror the track */
};

struct track {
    struct track_key key;
    bool video;
    bool mirror;
    bool answered;          /**< a mirror that the publisher's worker has sent packets to */
    bool gone;              /**< a mirror whose publication is said to have ended */
    uint16_t source_worker; /**< of a mirror */
    bool blocked;           /**< a moderator muted it: packets are dropped */
    bool simulcast;         /**< more than one layer was seen */
    bool live;              /**< packets came in the last seconds */
    uint64_t last_packet_us;
    uint64_t asked_us;    /**< a mirror's last wish for packets */
    uint64_t measured_us; /**< when the layers' rates were measured */
    struct speech speech;
    struct loudest_voice voice; /**< of audio: is it among the loudest of its room? */
    bool unheard;               /**< it is not, and its subscriptions know */
    struct track_layer layers[TRACK_LAYERS_MAX];
    struct media_layer told[TRACK_LAYERS_MAX]; /**< what control knows of them */
    struct list subscriptions;
    struct track_demand demand;
    const struct gop_policy *gop_policy;      /**< of the worker */
    struct follow_queue *behind;              /**< of the worker */
    uint64_t mirrors[TRACK_WORKERS_MAX / 64]; /**< workers that mirror it */
};

struct track *track_new(const struct track_key *key, bool video);
/** All subscriptions must have left. Accepts NULL; returns NULL. */
struct track *track_free(struct track *track);
/**
 * Keeps a packet in its layer's ring. Returns false for duplicates and packets that came too late:
 * they must not be forwarded.
 */
bool track_put(struct track *track, uint64_t now_us, struct packet *packet);
/** The publisher has so many tracks of this kind: each keeps its share of packets. */
void track_share(struct track *track, size_t tracks);
/** Forgets all packets and what was known of the streams: others follow. */
void track_clear(struct track *track);
/**
 * Gives back packets that nobody will ask for again; call it some times a second. Groups of
 * pictures not older than `gop_age_us` stay.
 */
void track_expire(struct track *track, uint64_t now_us, uint64_t gop_age_us);
/** What came until now is not to be replayed to anybody. */
void track_forget_gops(struct track *track);
/** The best layer that is being sent now. */
uint8_t track_best_layer(const struct track *track, uint64_t now_us);
/** Whether packets of a layer come now. */
bool track_layer_sent(const struct track *track, uint64_t now_us, uint8_t layer);
/**
 * Sizes that are sent, smallest first: simulcast layers, or the spatial layers of the only stream
 * (media/layering.h). The layer to which one belongs, or NULL when its packets do not come now.
 */
const struct track_layer *track_row(const struct track *track, uint64_t now_us, uint8_t row);
/** The operating point of all of a row that is sent. */
uint8_t track_row_point(const struct track *track, uint64_t now_us, uint8_t row);
/** Width and height of a row that is sent; both 0 when they are not known. */
void track_row_size(const struct track *track, uint64_t now_us, uint8_t row, uint16_t *ret_width,
                    uint16_t *ret_height);
/** Measures the rates of all layers; call it some times a second. */
void track_measure(struct track *track, uint64_t now_us);
/** Whether layers came, went, or have another size than `track->told` says, which is brought up to
 *  date: control is to be told. */
bool track_layers_changed(struct track *track, uint64_t now_us);
/** Asks for a key frame of a layer; a no-op for audio. */
void track_want_key_frame(struct track *track, uint8_t layer);

/** Returns false when the worker mirrored it before. */
bool track_mirror_add(struct track *track, uint16_t worker);
void track_mirror_remove(struct track *track, uint16_t worker);
/** The next worker at or after `*cursor` that mirrors the track; false at the end. */
bool track_mirror_next(const struct track *track, uint32_t *cursor, uint16_t *ret_worker);
