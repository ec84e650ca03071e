/** Shared by exchange.c, exchange_peer.c and exchange_mirror.c only. */
#pragma once

#include "base/map.h"
#include "room/exchange.h"
#include "room/forward.h"

struct exchange {
    struct exchange_config config;
    struct map peers;  /**< session -> struct exchange_peer */
    struct map tracks; /**< track_key -> struct track, ours and mirrors */
    struct map groups; /**< name -> struct exchange_group */
    struct room_metrics metrics;
    struct gop_policy gop_policy;
    struct list probing;        /**< peers, by their probes */
    struct follow_queue behind; /**< subscriptions that wait for room, or come from the past */
    uint64_t swept_us;          /**< when all tracks were last looked at */
    struct list by_age;         /**< peers, in the order in which they came */
    uint64_t came;              /**< how many did */
    struct shed shed;
    struct shed_cut cut;  /**< what is left out now */
    bool full;            /**< nothing is left to leave out, and there is no time left still */
    uint32_t pauses_left; /**< that may be told until the next sweep */
    /** For one peer at a time: what its bandwidth is divided over. */
    struct allocate_item allocate_items[RTC_SECTIONS_MAX];
    uint16_t allocate_sections[RTC_SECTIONS_MAX];
};

/** A probe of a peer's path that is under way. */
struct exchange_probe {
    struct list by_exchange;
    uint64_t begun_us;
    uint64_t bitrate_bps;
    uint32_t bytes;      /**< of it */
    uint32_t bytes_left; /**< when looked at last; 0: none is under way */
    uint16_t back;       /**< what was repeated last, so far behind the newest */
};

/** A peer's sections on this worker. Both arrays have `section_count` places. */
struct exchange_peer {
    handle session;
    struct list by_age;
    uint64_t number; /**< of those who came before and since */
    struct rtc_peer *rtc;
    size_t section_count;
    uint64_t allocated_us;  /**< when its bandwidth was last divided; 0: divide now */
    uint64_t allocated_bps; /**< what that needs, audio included */
    uint64_t divided_bps;   /**< the bandwidth that it was divided from */
    uint32_t shed;          /**< videos that it does not get for lack of time */
    struct exchange_probe probe;
    struct track **tracks;               /**< NULL where the section is no publication */
    struct subscription **subscriptions; /**< NULL where the section is no slot */
};

static inline void exchange_count(struct exchange *exchange, enum room_metric metric,
                                  uint64_t amount)
{
    metric_add(&exchange->metrics.values[metric], amount);
}

struct exchange_peer *exchange_find_peer(struct exchange *exchange, handle session);
/** Sends what waited for the peer to show its keys. */
void exchange_peer_goes_on(struct exchange *exchange, uint64_t now_us, struct exchange_peer *peer,
                           struct datagram_batch *batch);
struct track *exchange_find_track(struct exchange *exchange, const struct track_key *key);
void exchange_track_add(struct exchange *exchange, struct track *track);
/** Takes everyone off the track, tells its mirrors, forgets and frees it. */
void exchange_track_drop(struct exchange *exchange, struct track *track);
/** The mirror of a remote publication, made and asked for when it is not here yet. */
struct track *exchange_mirror_get(struct exchange *exchange, const struct track_key *key,
                                  uint16_t worker, bool video);
/** Tells the publisher's worker that packets are wanted here. */
void exchange_mirror_ask(struct exchange *exchange, const struct track *track);
/** Divides the bandwidth of the peers whose time it is; key frames are asked for. */
void exchange_allocate_tick(struct exchange *exchange, uint64_t now_us);
/** What is left out of a subscription of a peer. */
enum shed_level exchange_shed_level(const struct exchange *exchange,
                                    const struct exchange_peer *peer,
                                    const struct subscription *subscription);
/** Looks whether a peer's path is to be probed. */
void exchange_probe_check(struct exchange *exchange, struct exchange_peer *peer);
/** Sends what is due of the probes under way. */
void exchange_probe_tick(struct exchange *exchange, uint64_t now_us, struct datagram_batch *batch);
/** Tells the control thread of something that happened to a publication of ours. */
void exchange_report(struct exchange *exchange, const struct track *track,
                     enum media_event_kind kind);
/** Tells the publisher of a video which layers nobody watches, and that one is watched again. */
void exchange_demand_tick(struct exchange *exchange, struct track *track, uint64_t now_us);
/** Takes a track out of its group. */
void exchange_group_leave(struct exchange *exchange, struct track *track);
/** Leaves in `packets` those that are to be heard; returns how many. */
uint32_t exchange_loudest_filter(struct exchange *exchange, uint64_t now_us, struct track *track,
                                 struct packet **packets, uint32_t count);
/** Sends a new mirror the groups of pictures that are here. False when it got none whole. */
bool exchange_gop_send(struct exchange *exchange, uint64_t now_us, struct track *track,
                       uint16_t worker);
/** Takes in a piece of such a group; with the last one, subscribers of the mirror begin. */
void exchange_gop_input(struct exchange *exchange, uint64_t now_us,
                        const struct exchange_message *message, struct datagram_batch *batch);
/** Drops a mirror that nobody here watches any more. */
void exchange_mirror_release(struct exchange *exchange, struct track *track);
/** Hands a burst to the workers that mirror the track. */
void exchange_mirror_send(struct exchange *exchange, struct track *track,
                          struct packet *const *packets, uint32_t count);
/** The same message to every worker that mirrors the track. */
void exchange_mirror_tell(struct exchange *exchange, struct track *track,
                          const struct exchange_message *message);
