// Datagrams of the shared port: whose are they, and are they on the right worker?
#include <errno.h>

#include "proto/rtp/packet.h"
#include "proto/stun/stun.h"
#include "server/media_worker_int.h"

/** Whether a STUN check carries the integrity of a session's local credentials. */
static bool check_is_authentic(const struct media_transport *transport, struct bytes datagram,
                               struct bytes ufrag)
{
    struct stun_message message;
    if (stun_message_parse(datagram, &message) < 0)
        return false;
    const struct rtc_params *candidates[1 + MEDIA_OLD_PARAMS] = { transport->params };
    for (int i = 0; i < MEDIA_OLD_PARAMS; i++)
        candidates[1 + i] = transport->old[i];
    for (size_t i = 0; i < array_size(candidates) && candidates[i]; i++) {
        const struct rtc_negotiated *negotiated = rtc_params_get(candidates[i]);
        if (text_equal(ufrag, negotiated->local_ufrag))
            return stun_message_check_integrity(&message, bytes_of_text(negotiated->local_pwd)) ==
                   0;
    }
    return false;
}

/** Nobody's, unless its address has a `route`: then its session's engine judges and counts it. */
static struct media_transport *not_found(struct media_worker *worker, struct media_transport *route,
                                         enum media_metric reason)
{
    if (!route)
        media_count(worker, reason);
    return route;
}

/**
 * The session of a datagram that an address does not tell: only an authentic check does. The first
 * one for a session that nobody has makes it ours. `route` is the session that the address had so
 * far, or NULL.
 */
static struct media_transport *find_by_check(struct media_worker *worker,
                                             const struct udp_datagram *datagram,
                                             struct media_transport *route)
{
    struct bytes bytes = bytes_of(datagram->data, datagram->size);
    struct bytes ufrag;
    if (!stun_message_is(datagram->data, datagram->size) || ice_request_ufrag(bytes, &ufrag) < 0)
        return not_found(worker, route, MEDIA_METRIC_DROPPED_UNKNOWN_ADDRESS);
    struct media_transport *transport = media_routes_by_ufrag(&worker->routes, ufrag);
    if (!transport)
        return not_found(worker, route, MEDIA_METRIC_DROPPED_UNKNOWN_UFRAG);
    if (!check_is_authentic(transport, bytes, ufrag))
        return not_found(worker, route, MEDIA_METRIC_DROPPED_UNAUTHENTIC);
    uint32_t index = worker->worker->index;
    if (media_claim_owner(transport->claim) == MEDIA_CLAIM_NOBODY &&
        media_claim_take(transport->claim, index) == index)
        media_worker_adopt(worker, transport);
    if (media_routes_learn(&worker->routes, transport, &datagram->path.remote))
        media_count(worker, MEDIA_METRIC_DROPPED_ROUTES);
    return transport;
}

/**
 * The session that media from an unknown address names by its SSRC: the client's NAT may have given
 * it another port. The engine judges; the answers to what it asks that address must find it.
 */
static struct media_transport *find_by_ssrc(struct media_worker *worker,
                                            const struct udp_datagram *datagram)
{
    const uint8_t *data = datagram->data;
    if (datagram->size < RTP_HEADER_SIZE || data[0] < 128 || data[0] > 191)
        return NULL;
    uint32_t ssrc = load_u32(data + (rtp_is_rtcp(data) ? 4 : 8));
    struct media_transport *transport = media_routes_by_ssrc(&worker->routes, ssrc);
    if (transport)
        media_routes_guess(&worker->routes, transport, &datagram->path.remote);
    return transport;
}

static void hand_over(struct media_worker *worker, const struct media_transport *transport,
                      const struct udp_datagram *datagram)
{
    uint32_t owner = media_claim_owner(transport->claim);
    struct media_worker *other =
        owner < worker->shared->count ? atomic_load(&worker->shared->workers[owner]) : NULL;
    // a session whose peer could not be made is owned by us and has none
    if (other && other != worker && handoff_give(&other->handoff, datagram))
        media_count(worker, MEDIA_METRIC_HANDED_OVER);
    else
        media_count(worker, MEDIA_METRIC_DROPPED_HANDOVER);
}

static void finish_run(struct media_worker *worker, struct media_transport *transport)
{
    if (!transport || !transport->peer)
        return;
    if (worker->media.count > 0)
        exchange_media(worker->exchange, media_now_us(worker), transport->session, &worker->media,
                       &worker->batch);
    media_worker_serve(worker, transport);
}

/** What TURN's engine does may come back to us as media: the run before it must have ended. */
static void end_run(struct media_worker *worker, struct media_transport **current)
{
    finish_run(worker, *current);
    *current = NULL;
}

/** ChannelData, and STUN that is not ICE's: neither media's tables nor its transports are asked. */
static bool turn_takes(struct media_worker *worker, const struct udp_datagram *datagram,
                       struct media_transport **current)
{
    if (!turn_worker_wants(datagram->data, datagram->size))
        return false;
    end_run(worker, current);
    turn_worker_udp_input(worker->turn, datagram);
    return true;
}

/** DTLS of a source that ICE has not proven, so that it is not media's. */
static bool turn_takes_dtls(struct media_worker *worker, const struct udp_datagram *datagram,
                            struct media_transport **current)
{
    if (datagram->size == 0 || datagram->data[0] < 20 || datagram->data[0] > 63)
        return false;
    end_run(worker, current);
    turn_worker_dtls_input(worker->turn, datagram);
    return true;
}

static void input(struct media_worker *worker, const struct udp_datagram *datagrams, size_t count,
                  bool relayed)
{
    uint64_t now_us = media_now_us(worker);
    bool turn = worker->turn && !relayed;
    struct media_transport *current = NULL;
    const struct net_address *remote = NULL; // set when `current` is
    for (size_t i = 0; i < count; i++) {
        const struct udp_datagram *datagram = &datagrams[i];
        // a relay's run: neither media's tables nor its transports are asked
        if (turn && turn_takes(worker, datagram, &current))
            continue;
        struct media_transport *transport = current;
        if (!current || !net_address_equal(remote, &datagram->path.remote)) {
            remote = &datagram->path.remote;
            transport = media_routes_by_address(&worker->routes, remote);
        }
        if (turn && !transport && turn_takes_dtls(worker, datagram, &current))
            continue;
        if (!transport)
            transport = find_by_ssrc(worker, datagram);
        // an address may pass to another session: its checks say so
        if (!transport || (datagram->size > 0 && datagram->data[0] <= 3))
            transport = find_by_check(worker, datagram, transport);
        if (transport != current) {
            finish_run(worker, current);
            current = transport;
        }
        if (!transport)
            continue;
        if (!transport->peer) {
            hand_over(worker, transport, datagram);
            continue;
        }
        if (transport->capture)
            media_capture_incoming(worker, transport, &datagram->path,
                                   bytes_of(datagram->data, datagram->size));
        if (worker->media.count == RTC_MEDIA_MAX)
            exchange_media(worker->exchange, now_us, transport->session, &worker->media,
                           &worker->batch);
        (void)rtc_peer_input(transport->peer, now_us, &datagram->path,
                             bytes_of(datagram->data, datagram->size), &worker->media);
    }
    finish_run(worker, current);
}

void media_port_input(struct media_worker *worker, const struct udp_datagram *datagrams,
                      size_t count)
{
    input(worker, datagrams, count, false);
    if (worker->turn)
        turn_worker_flush(worker->turn); // the bytes are the socket's
}

void media_port_relayed(void *worker, const struct udp_datagram *datagrams, size_t count)
{
    input(worker, datagrams, count, true);
}

int media_port_check_owner(struct media_worker *worker, struct bytes datagram, uint32_t *ret_owner)
{
    struct bytes ufrag;
    if (!stun_message_is(datagram.data, datagram.size) || ice_request_ufrag(datagram, &ufrag) < 0)
        return -EACCES;
    struct media_transport *transport = media_routes_by_ufrag(&worker->routes, ufrag);
    if (!transport || !check_is_authentic(transport, datagram, ufrag))
        return -EACCES;
    *ret_owner = media_claim_owner(transport->claim);
    return 0;
}
