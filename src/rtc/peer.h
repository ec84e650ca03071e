/**
 * One secure peer connection (ICE, DTLS, SRTP, RTCP) composed from the engines of proto/. No I/O:
 * datagrams go in; media packets, events and datagrams come out. Server, simulator and load
 * generator use the same engine: as server it is ICE-lite, as client a full ICE agent. The client
 * begins DTLS, unless its offer leaves that to the server.
 *
 * Sections are named by their index in the offer. A PUBLISH section is one in which the other side
 * sends, a SLOT one in which we send, and one may be both: a client describes its own view of the
 * session that way too.
 */
#pragma once

#include "base/address.h"
#include "base/random.h"
#include "rtc/metrics.h"
#include "rtc/params.h"
#include "rtc/sender.h"

struct rtc_peer;
struct dtls_context;
struct ice_candidate;

/** Simulcast layers of one publication that are told apart. */
#define RTC_LAYERS_MAX 3

enum rtc_event_kind {
    RTC_EVENT_CONNECTED,    /**< keys are there, media may flow */
    RTC_EVENT_KEYS_SHOWN,   /**< the other side has them, too: see rtc_sender_keys_shown */
    RTC_EVENT_DISCONNECTED, /**< consent expired on the path; may come back */
    RTC_EVENT_RECONNECTED,
    RTC_EVENT_FAILED,           /**< for good: `reason` says why */
    RTC_EVENT_CLOSED,           /**< the other side said goodbye (close_notify) */
    RTC_EVENT_NACK,             /**< the receiver of slot `section` misses `lost` */
    RTC_EVENT_KEY_FRAME_WANTED, /**< the receiver of slot `section` sent PLI or FIR */
    RTC_EVENT_KEY_FRAME_NEEDED, /**< publication `section`: losses that NACK could not mend */
    RTC_EVENT_CLOCK,            /**< publication `section`: `clock` from its sender report */
};

#define RTC_NACK_MAX 64

struct rtc_event {
    enum rtc_event_kind kind;
    uint16_t section;
    uint8_t layer; /**< of a publication, below RTC_LAYERS_MAX */
    const char *reason;
    struct rtc_clock clock;
    uint16_t lost_count;
    uint16_t lost[RTC_NACK_MAX];
};

#define RTC_EVENTS_MAX 64

/** What all peers of one thread share. Outlives them. */
struct rtc_thread {
    struct packet_pool *pool; /**< for received media */
    struct random *random;
    struct dtls_context *dtls;             /**< our certificate */
    const struct cipher_provider *ciphers; /**< may be NULL */
    int64_t unix_offset_us;                /**< Unix time minus the clock of `now_us` */
    struct rtc_counters counters;
    /** Events of the peer called last; fetch them before the next peer is called. */
    struct rtc_event events[RTC_EVENTS_MAX];
    uint32_t event_count;
    uint32_t event_at;
};

/** Media packets out of a burst of datagrams. The caller owns a reference to each. */
#define RTC_MEDIA_MAX 64
struct rtc_media {
    struct packet *packets[RTC_MEDIA_MAX];
    uint16_t sections[RTC_MEDIA_MAX];
    uint32_t count;
};

/**
 * A new peer with what was negotiated (a reference is kept). Returns 0, or -EINVAL when the
 * parameters cannot be used (credentials, fingerprints).
 */
must_check int rtc_peer_new(struct rtc_thread *thread, bool client, struct rtc_params *params,
                            uint64_t now_us, struct rtc_peer **ret_peer);
/** Accepts NULL; returns NULL. */
struct rtc_peer *rtc_peer_free(struct rtc_peer *peer);
/**
 * The parameters after a later offer: sections are added, change direction or end; ICE restarts
 * when the generation is new. Senders of sections that go on stay the same objects.
 */
void rtc_peer_update(struct rtc_peer *peer, struct rtc_params *params, uint64_t now_us);
const struct rtc_negotiated *rtc_peer_negotiated(const struct rtc_peer *peer);

/**
 * Takes one datagram that arrived over `path`. Media is appended to `media`, which must have room
 * for one more packet. Returns 0, or a negative errno for a datagram that was dropped (counted).
 */
int rtc_peer_input(struct rtc_peer *peer, uint64_t now_us, const struct net_path *path,
                   struct bytes datagram, struct rtc_media *media);
/**
 * Decrypts an SRTP or SRTCP packet without noticing it, for captures: one that is about to be given
 * to rtc_peer_input, or was written into a batch (`sent`). Returns the size of the plain packet;
 * -ENOENT (neither, or there are no keys) or what secure_rtp_reveal returns.
 */
must_check ssize_t rtc_peer_reveal(struct rtc_peer *peer, bool sent, struct bytes datagram,
                                   uint8_t *out, size_t capacity);
/** Client only: our own addresses, then the other side's candidates as they come. */
must_check int rtc_peer_add_local(struct rtc_peer *peer, const struct net_address *address);
must_check int rtc_peer_add_remote(struct rtc_peer *peer, uint64_t now_us,
                                   const struct ice_candidate *candidate);

/** Server: the TCP connection under `path` has ended (ice_lite_path_lost). */
void rtc_peer_path_lost(struct rtc_peer *peer, uint64_t now_us, const struct net_path *path);
void rtc_peer_tick(struct rtc_peer *peer, uint64_t now_us);
/** When rtc_peer_tick and rtc_peer_output have work next. */
uint64_t rtc_peer_deadline(const struct rtc_peer *peer);
/** Writes what is due (STUN, DTLS, RTCP) into the batch. */
void rtc_peer_output(struct rtc_peer *peer, uint64_t now_us, struct datagram_batch *batch);
/** The next event; false when there is none. */
bool rtc_peer_event(struct rtc_peer *peer, struct rtc_event *ret_event);
/** Says goodbye (close_notify) with the next output. */
void rtc_peer_close(struct rtc_peer *peer);

/**
 * The sender of a slot section; NULL when the section is no slot. One that an rtc_peer_update takes
 * away stays valid until the next update, so that its user can let go of it.
 */
struct rtc_sender *rtc_peer_sender(struct rtc_peer *peer, uint16_t section);
/** Asks the publisher for a key frame (PLI) with the next output. */
void rtc_peer_request_key_frame(struct rtc_peer *peer, uint16_t section, uint8_t layer);
/** Whether keys are there. */
bool rtc_peer_connected(const struct rtc_peer *peer);
/** The path in use; false before one is, and after consent expired. */
bool rtc_peer_path(const struct rtc_peer *peer, struct net_path *ret_path);
/** The local ICE fragments by which checks for this peer come; the second is empty unless ICE is
 * restarting. Server only. */
void rtc_peer_ufrags(const struct rtc_peer *peer, struct bytes *ret_current,
                     struct bytes *ret_next);
/** Smoothed round trip from consent checks, 0 before the first. */
uint32_t rtc_peer_rtt_us(const struct rtc_peer *peer);
/**
 * What the path to the other side carries now, in bits/s on the wire (RTC_WIRE_OVERHEAD); 0 as
 * long as nothing is known. Estimated from transport-wide feedback, a careful guess before the
 * first comes; never above what the receiver says (REMB), and that alone where it gives no
 * feedback.
 */
uint64_t rtc_peer_bandwidth_bps(const struct rtc_peer *peer);
/**
 * What may be sent at most for a moment: more than the path carries on average, so that a key frame
 * is not late, and little enough that no queue on it grows long. 0: not known, nothing is paced.
 */
uint64_t rtc_peer_pacing_bps(const struct rtc_peer *peer);
/**
 * What the room sends to the peer now (`allocated_bps`) and what it would send if it could
 * (`wanted_bps`), in the unit above. Probing aims at the latter and rests when both are equal.
 */
void rtc_peer_set_demand(struct rtc_peer *peer, uint64_t now_us, uint64_t allocated_bps,
                         uint64_t wanted_bps);

/** A train of packets that shall show whether the path carries more: what is left of it. */
struct rtc_probe {
    uint64_t bitrate_bps; /**< its pace */
    uint32_t bytes_left;  /**< it is complete when both are 0 */
    uint32_t packets_left;
};
/** Whether probes have been sent: they find out by themselves whether the path carries more. */
bool rtc_peer_explores(const struct rtc_peer *peer);
/** Whether a probe is wanted, or under way. */
bool rtc_peer_probe(const struct rtc_peer *peer, struct rtc_probe *ret_probe);
/**
 * Its pace begins: RTP packets sent from now on belong to it, whatever they carry, until it is
 * complete or has taken too long. Harmless when none is wanted. One that nobody begins is forgotten
 * after a while, and asked for again later.
 */
void rtc_peer_probe_begin(struct rtc_peer *peer, uint64_t now_us);
