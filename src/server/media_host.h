/**
 * The media server for the control thread: starts the workers and implements media_control
 * (sessions, offers, slots) over them. It keeps the whole wanted state; what workers have is a
 * projection of it that is sent again when a session is adopted.
 */
#pragma once

#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "room/media_control.h"
#include "room/protection.h"
#include "runtime/loop.h"
#include "runtime/udp.h"
#include "server/media_candidates.h"

struct media_host;
struct certificate;
struct stream_parcel;
struct turn_host;

struct media_host_config {
    uint32_t workers;      /**< 1 to TRACK_WORKERS_MAX */
    bool pin;              /**< each worker to a core */
    struct udp_config udp; /**< of every worker's socket; `first_of_port` is set here */
    struct media_candidate_config candidates; /**< what it points to outlives the host */
    struct certificate *certificate;          /**< for DTLS; a reference is taken */
    uint32_t max_sessions;
    uint64_t gop_age_us;             /**< see exchange_config */
    enum protection_mode protection; /**< the same */
    struct random *random;           /**< the control thread's */
    struct loop *loop;               /**< the control thread's */
    struct log *log;
    struct turn_host *turn; /**< its TURN server runs on the same workers; may be NULL */
    bool turn_only;         /**< no media server: relays do not reach one */
    bool ice_tcp;           /**< TURN's TCP ports take ICE (RFC 6544), too */
    /** There are events to fetch from `media_control.event`. On the control thread. */
    void (*wake)(void *owner);
    void *owner;
};

/**
 * Starts workers and sockets. Returns 0 or a negative errno (-EADDRINUSE: the port is taken), with
 * a sentence in `ret_problem`.
 */
must_check int media_host_start(const struct media_host_config *config,
                                struct media_host **ret_host, const char **ret_problem);
/** Ends all sessions and workers; says goodbye to clients. Accepts NULL; returns NULL. */
struct media_host *media_host_stop(struct media_host *host);
struct media_control *media_host_control(struct media_host *host);
/** The real UDP port. */
uint16_t media_host_port(const struct media_host *host);
/** Addresses may have changed (an interface came up, a reload): new sessions get the present ones.
 */
must_check int media_host_refresh_candidates(struct media_host *host);

/**
 * A TCP port that takes ICE (RFC 6544): offered as a passive candidate from now on, after UDP.
 * Unspecified: on all of our addresses. At most MEDIA_CANDIDATES_TCP_MAX.
 */
void media_host_add_tcp_port(struct media_host *host, const struct net_address *bound);
/** A connection that speaks ICE: http_server_config.adopt_media. Owns the parcel. */
void media_host_adopt_stream(void *host, struct stream_parcel *parcel,
                             const struct net_address *remote, const struct net_address *local);

/** Counter sets of all workers: at most `capacity` are written; returns how many there are. */
size_t media_host_metric_sets(const struct media_host *host, struct metric_set *out,
                              size_t capacity);
