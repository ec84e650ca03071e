/**
 * One secure peer connection (ICE, DTLS, SRTP, RTCP) composed from the engines of proto/. No I/O:
 * datagrams go in, media packets, events and datagrams come out. The server, the simulator and the
 * load generator use the same engine: as server it is ICE-lite and DTLS passive, as client a full
 * ICE agent and DTLS active.
 */
#pragma once

#include "base/address.h"
#include "base/random.h"
#include "rtc/negotiate.h"
#include "rtc/sender.h"

struct rtc_peer;
struct certificate;
struct ice_candidate;

struct rtc_peer_config {
    bool client;                           /**< full ICE, DTLS active */
    const struct certificate *certificate; /**< ours; outlives the peer */
    struct packet_pool *pool;              /**< received media; outlives the peer */
    struct random *random;                 /**< outlives the peer */
    struct rtc_counters *counters;         /**< of this thread; outlives the peer */
    /** Unix time minus the monotonic clock of `now_us`: for sender reports. */
    int64_t unix_offset_us;
};

enum rtc_event_kind {
    RTC_EVENT_CONNECTED,    /**< keys are there, media may flow */
    RTC_EVENT_DISCONNECTED, /**< no consent on the path; may come back */
    RTC_EVENT_RECONNECTED,
    RTC_EVENT_FAILED,           /**< for good: `reason` says why */
    RTC_EVENT_NACK,             /**< the receiver of slot `section` misses `lost` */
    RTC_EVENT_KEY_FRAME_WANTED, /**< the receiver of slot `section` sent PLI or FIR */
    RTC_EVENT_KEY_FRAME_NEEDED, /**< publication `section`: losses that NACK could not mend */
    RTC_EVENT_CLOCK,            /**< publication `section`: `clock` from its sender report */
};

#define RTC_NACK_MAX 64

struct rtc_event {
    enum rtc_event_kind kind;
    uint16_t section; /**< index of the m= section */
    uint8_t layer;    /**< simulcast layer of a publication */
    const char *reason;
    struct rtc_clock clock;
    uint16_t lost_count;
    uint16_t lost[RTC_NACK_MAX];
};

/** Media packets out of a burst of datagrams. The caller owns a reference to each. */
#define RTC_MEDIA_MAX 64
struct rtc_media {
    struct packet *packets[RTC_MEDIA_MAX];
    uint16_t sections[RTC_MEDIA_MAX];
    uint32_t count;
};

/**
 * A new peer with what was negotiated (a reference is kept). Returns 0, -ENOMEM or -EINVAL.
 */
must_check int rtc_peer_new(const struct rtc_peer_config *config, struct rtc_params *params,
                            uint64_t now_us, struct rtc_peer **ret_peer);
/** Accepts NULL; returns NULL. */
struct rtc_peer *rtc_peer_free(struct rtc_peer *peer);
/**
 * The parameters after a later offer: sections are added, change direction or end, ICE restarts
 * when the credentials are new. Senders of sections that go on stay the same objects.
 */
void rtc_peer_update(struct rtc_peer *peer, struct rtc_params *params, uint64_t now_us);
const struct rtc_negotiated *rtc_peer_negotiated(const struct rtc_peer *peer);

/**
 * Takes one datagram that arrived over `path`. Media is appended to `media`, which must have room
 * for one more packet. Returns 0, or a negative errno for a datagram that was dropped (counted).
 */
int rtc_peer_input(struct rtc_peer *peer, uint64_t now_us, const struct net_path *path,
                   const uint8_t *data, size_t size, struct rtc_media *media);
/** Client only: our own addresses, then the other side's candidates as they come. */
must_check int rtc_peer_add_local_address(struct rtc_peer *peer, const struct net_address *address);
must_check int rtc_peer_add_remote_candidate(struct rtc_peer *peer,
                                             const struct ice_candidate *candidate);

void rtc_peer_tick(struct rtc_peer *peer, uint64_t now_us);
/** When rtc_peer_tick or rtc_peer_output has work next. */
uint64_t rtc_peer_deadline(const struct rtc_peer *peer);
/** Writes what is due (STUN, DTLS, RTCP) into the batch. */
void rtc_peer_output(struct rtc_peer *peer, uint64_t now_us, struct datagram_batch *batch);
/** The next event; false when there is none. */
bool rtc_peer_event(struct rtc_peer *peer, struct rtc_event *ret_event);

/** The sender of a slot section; NULL when the section is no slot. Stays valid while it is one. */
struct rtc_sender *rtc_peer_sender(struct rtc_peer *peer, uint16_t section);
/** Asks the publisher for a key frame (PLI) with the next output. */
void rtc_peer_request_key_frame(struct rtc_peer *peer, uint16_t section, uint8_t layer);
/** Whether keys are there. */
bool rtc_peer_connected(const struct rtc_peer *peer);
/** The path in use; false before one is. */
bool rtc_peer_path(const struct rtc_peer *peer, struct net_path *ret_path);
/** Smoothed round trip from consent checks, 0 before the first. */
uint32_t rtc_peer_rtt_us(const struct rtc_peer *peer);
/**
 * Client only: sends a packet of its own media in a section (the load generator and simulations);
 * `payload` is one RTP payload.
 */
bool rtc_peer_publish(struct rtc_peer *peer, uint64_t now_us, struct datagram_batch *batch,
                      uint16_t section, struct bytes payload, uint8_t codec, uint32_t timestamp,
                      bool marker);
