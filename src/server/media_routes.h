/**
 * One worker's tables from what a datagram shows (its source address, the ICE fragment in a STUN
 * check, an SSRC) to the session it belongs to. A source address gets a route after an authentic
 * check, or when media comes from it that is, or might be, the session's.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "runtime/loop.h"
#include "server/media_message.h"

/** Addresses from which one client may send at a time (its candidate pairs). */
#define MEDIA_ROUTES_PER_SESSION 16

/** Fragments of before an ICE restart that are still found: checks with them may be under way. */
#define MEDIA_OLD_PARAMS 2

/** A session as one worker sees it; `peer` is set on the worker that owns it. */
struct media_capture;
struct route;

struct media_transport {
    handle session;
    struct media_claim *claim;
    struct rtc_params *params;
    struct rtc_params *old[MEDIA_OLD_PARAMS]; /**< of other fragments, newest first; or NULL */
    struct rtc_peer *peer;
    struct media_capture *capture; /**< NULL: none */
    struct data_member member;
    struct data_peer *data; /**< with `peer` */
    uint64_t data_turn_us;  /**< of the turn in which these data messages were read */
    uint32_t data_messages;
    size_t data_bytes;
    bool untold; /**< the control thread's mailbox was full: it does not know that we have it */
    struct list routes;
    uint32_t route_count;
    struct route *guess; /**< the one of `routes` that media_routes_guess added last, or NULL */
    struct list sources; /**< SSRCs by which it is found */
    struct loop_timer timer;
    struct list awake; /**< in the worker's list of peers with output */
    void *owner;       /**< the worker's state */
};

struct media_routes {
    struct map sessions;  /**< handle -> media_transport */
    struct map ufrags;    /**< local ICE fragment -> media_transport */
    struct map addresses; /**< remote address -> route */
    struct map sources;   /**< SSRC that a client announced -> source; the first to say it has it */
};

/** `secret` keys the address and fragment tables. */
void media_routes_init(struct media_routes *routes, const uint64_t secret[2]);
/** All transports must have been removed. */
void media_routes_done(struct media_routes *routes);

/** Adds a session (references are taken over). Never NULL. */
struct media_transport *media_routes_add(struct media_routes *routes, handle session,
                                         struct media_claim *claim, struct rtc_params *params);
/** New parameters (reference taken over): a new fragment is found too from now on. */
void media_routes_renew(struct media_routes *routes, struct media_transport *transport,
                        struct rtc_params *params);
/** Forgets the session with all its fragments and addresses, and frees it. */
void media_routes_remove(struct media_routes *routes, struct media_transport *transport);

struct media_transport *media_routes_by_session(const struct media_routes *routes, handle session);
struct media_transport *media_routes_by_ufrag(const struct media_routes *routes,
                                              struct bytes ufrag);
struct media_transport *media_routes_by_address(const struct media_routes *routes,
                                                const struct net_address *remote);
/**
 * The session whose client announced this SSRC, or NULL: where media comes from an address that
 * nobody has, this says whose keys to try. It proves nothing.
 */
struct media_transport *media_routes_by_ssrc(const struct media_routes *routes, uint32_t ssrc);
/** Remembers an address. True when the oldest of the session had to go: it has too many. */
bool media_routes_learn(struct media_routes *routes, struct media_transport *transport,
                        const struct net_address *remote);
/**
 * Remembers an address that nothing has proven, in place of the last such one of the session.
 * Nothing when the session has all the addresses that it may.
 */
void media_routes_guess(struct media_routes *routes, struct media_transport *transport,
                        const struct net_address *remote);
/** Walks all sessions: `*cursor` = 0 first; NULL at the end. */
struct media_transport *media_routes_next(const struct media_routes *routes, size_t *cursor);
