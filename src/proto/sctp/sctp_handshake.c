#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/sctp/sctp_int.h"

// The four steps that set an association up (RFC 9260, 5.1), also when both sides begin at once
// (5.2.1) or one begins anew (5.2.2, 5.2.4).

static uint32_t make_tag(struct sctp *sctp)
{
    uint32_t tag;
    do
        tag = random_u32(sctp->config.random);
    while (tag == 0);
    return tag;
}

void sctp_control_sent(struct sctp *sctp, uint64_t now_us)
{
    sctp->control_us = now_us + sctp->control_wait_us;
}

void sctp_control_done(struct sctp *sctp)
{
    sctp->control_us = TIME_NEVER;
    sctp->control_wait_us = SCTP_RTO_INITIAL_US;
    sctp->control_tries = 0;
}

void sctp_connect(struct sctp *sctp)
{
    if (sctp->state != SCTP_STATE_CLOSED)
        return;
    // an INIT of theirs that was answered already: both handshakes are to end in one association
    bool answered = sctp->pending.valid;
    sctp->local_tag = answered ? sctp->pending.local_tag : make_tag(sctp);
    sctp->local_tsn = answered ? sctp->pending.local_tsn : random_u32(sctp->config.random);
    sctp->state = SCTP_STATE_COOKIE_WAIT;
    sctp->owed.init = true;
}

/** INIT and INIT ACK are alone in their packets. */
static void write_alone(struct sctp *sctp, struct writer *packet, uint32_t tag, uint8_t type,
                        const struct sctp_init *init)
{
    sctp_packet_begin(
        packet, &(struct sctp_header){ sctp->config.local_port, sctp->config.remote_port, tag });
    sctp_init_write(packet, type, init);
}

static struct sctp_init own_init(const struct sctp *sctp, uint32_t tag, uint32_t tsn)
{
    return (struct sctp_init){
        .tag = tag,
        .window = sctp->config.receive_window,
        .streams_out = sctp->config.streams,
        .streams_in = sctp->config.streams,
        .tsn = tsn,
        .features = sctp->config.features,
    };
}

void sctp_write_init(struct sctp *sctp, struct writer *packet)
{
    struct sctp_init init = own_init(sctp, sctp->local_tag, sctp->local_tsn);
    write_alone(sctp, packet, 0, SCTP_INIT, &init);
}

void sctp_write_init_ack(struct sctp *sctp, struct writer *packet)
{
    const struct sctp_pending *pending = &sctp->pending;
    struct sctp_init init = own_init(sctp, pending->local_tag, pending->local_tsn);
    init.cookie = bytes_of(pending->nonce, sizeof(pending->nonce));
    if (sctp->unrecognized_size > 0) {
        init.unrecognized_count = 1;
        init.unrecognized[0] = bytes_of(sctp->unrecognized, sctp->unrecognized_size);
    }
    write_alone(sctp, packet, pending->peer.tag, SCTP_INIT_ACK, &init);
}

/** Of what the INIT's parameters that we do not know say one is named, if it is short. */
static void keep_unrecognized(struct sctp *sctp, const struct sctp_init *init)
{
    sctp->unrecognized_size = 0;
    if (init->unrecognized_count == 0 || init->unrecognized[0].size > sizeof(sctp->unrecognized))
        return;
    sctp->unrecognized_size = (uint32_t)init->unrecognized[0].size;
    memcpy(sctp->unrecognized, init->unrecognized[0].data, sctp->unrecognized_size);
}

void sctp_take_init(struct sctp *sctp, const struct sctp_chunk *chunk)
{
    struct sctp_init init;
    if (sctp_init_parse(chunk, &init) < 0) {
        sctp_count(sctp, SCTP_METRIC_DROP_MALFORMED, 1);
        return;
    }
    if (sctp->state == SCTP_STATE_SHUTDOWN_ACK_SENT) { // RFC 9260, 9.2
        sctp->owed.shutdown_ack = true;
        return;
    }
    bool handshake =
        sctp->state == SCTP_STATE_COOKIE_WAIT || sctp->state == SCTP_STATE_COOKIE_ECHOED;
    struct sctp_pending *pending = &sctp->pending;
    sctp->owed.init_ack = true;
    bool repeated =
        pending->valid && pending->peer.tag == init.tag && pending->peer.tsn == init.tsn;
    if (repeated && (!handshake || pending->local_tag == sctp->local_tag))
        return; // the cookie that is under way stays good
    keep_unrecognized(sctp, &init);
    init.cookie = bytes_of(NULL, 0);
    init.unrecognized_count = 0;
    *pending = (struct sctp_pending){
        .valid = true,
        // 5.2.1: handshakes that meet must end in one association; else it may be a restart
        .local_tag = handshake ? sctp->local_tag : make_tag(sctp),
        .local_tsn = handshake ? sctp->local_tsn : random_u32(sctp->config.random),
        .peer = init,
    };
    random_fill(sctp->config.random, pending->nonce, sizeof(pending->nonce));
}

static bool both(bool a, bool b)
{
    return a && b;
}

/** Everything starts with what the other side's INIT or INIT ACK says. */
static void adopt(struct sctp *sctp, const struct sctp_init *peer)
{
    sctp_flight_done(&sctp->flight);
    sctp_send_queue_done(&sctp->queue);
    sctp_tracking_done(&sctp->tracking);
    sctp_reassembly_done(&sctp->reassembly);
    const struct sctp_features *own = &sctp->config.features, *theirs = &peer->features;
    sctp->features = (struct sctp_features){
        .forward_tsn = both(own->forward_tsn, theirs->forward_tsn),
        .interleaving = both(own->interleaving, theirs->interleaving),
        .reconfig = both(own->reconfig, theirs->reconfig),
        .zero_checksum = both(own->zero_checksum, theirs->zero_checksum),
    };
    sctp->peer_tag = peer->tag;
    sctp->peer_window = peer->window;
    sctp->streams_out = min_of(sctp->config.streams, peer->streams_in);
    sctp->queue.interleaving = sctp->features.interleaving;
    sctp_tracking_init(&sctp->tracking, peer->tsn);
    sctp_reassembly_init(&sctp->reassembly, sctp->config.message_size_max, &sctp->events);
    sctp_flight_init(&sctp->flight, &sctp->queue, sctp->local_tsn);
    sctp_congestion_init(&sctp->congestion, sctp->config.packet_size);
    sctp_resets_init(sctp, sctp->local_tsn, peer->tsn);
    sctp->resend_us = TIME_NEVER;
    sctp->sack_us = TIME_NEVER;
    sctp->unreported = 0;
    sctp->timeouts = 0;
    sctp->forward_us = 0;
    sctp->forward_tsn = sctp->local_tsn - 1;
    sctp->window_told = sctp->config.receive_window;
    sctp->owed = (struct sctp_owed){ 0 };
}

static void forget_cookie(struct sctp *sctp)
{
    free(sctp->cookie);
    sctp->cookie = NULL;
}

static void established(struct sctp *sctp, uint64_t now_us, enum sctp_event_kind event)
{
    forget_cookie(sctp);
    sctp_control_done(sctp);
    sctp->owed.init = false;
    sctp->owed.cookie_echo = false;
    sctp->state = SCTP_STATE_ESTABLISHED;
    sctp->heartbeat_us = now_us + SCTP_HEARTBEAT_US;
    sctp->heartbeat_waits = false;
    sctp_count(sctp, event == SCTP_RESTARTED ? SCTP_METRIC_RESTARTED : SCTP_METRIC_ESTABLISHED, 1);
    sctp_event_simple(sctp, event, 0);
}

void sctp_take_init_ack(struct sctp *sctp, const struct sctp_chunk *chunk)
{
    struct sctp_init init;
    if (sctp->state != SCTP_STATE_COOKIE_WAIT) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    if (sctp_init_parse(chunk, &init) < 0 || init.cookie.size == 0 ||
        init.cookie.size > SCTP_COOKIE_MAX) {
        sctp_count(sctp, SCTP_METRIC_DROP_MALFORMED, 1);
        return;
    }
    adopt(sctp, &init);
    sctp_control_done(sctp);
    forget_cookie(sctp);
    sctp->cookie = memory_copy(init.cookie.data, init.cookie.size);
    sctp->cookie_size = (uint16_t)init.cookie.size;
    sctp->owed.cookie_echo = true;
    sctp->state = SCTP_STATE_COOKIE_ECHOED;
}

void sctp_take_cookie_echo(struct sctp *sctp, uint64_t now_us, const struct sctp_chunk *chunk)
{
    const struct sctp_pending *pending = &sctp->pending;
    if (!pending->valid || !bytes_equal_constant_time(
                               chunk->value, bytes_of(pending->nonce, sizeof(pending->nonce)))) {
        sctp_count(sctp, SCTP_METRIC_DROP_UNEXPECTED, 1);
        return;
    }
    bool handshake =
        sctp->state == SCTP_STATE_COOKIE_WAIT || sctp->state == SCTP_STATE_COOKIE_ECHOED;
    bool same = sctp->state != SCTP_STATE_CLOSED && pending->local_tag == sctp->local_tag &&
                pending->peer.tag == sctp->peer_tag;
    if (same && handshake) {
        established(sctp, now_us, SCTP_ESTABLISHED); // 5.2.4, D: the handshakes have met
    } else if (!same) {
        if (sctp->state == SCTP_STATE_SHUTDOWN_ACK_SENT) { // 5.2.4, A: no restart now
            sctp->owed.shutdown_ack = true;
            return;
        }
        bool restart = !handshake && sctp->state != SCTP_STATE_CLOSED;
        if (restart && sctp_window(sctp) == 0) {
            // the application has yet to hear of what was before; they ask again
            sctp_count(sctp, SCTP_METRIC_DROP_WINDOW, 1);
            return;
        }
        sctp->local_tag = pending->local_tag;
        sctp->local_tsn = pending->local_tsn;
        adopt(sctp, &pending->peer);
        established(sctp, now_us, restart ? SCTP_RESTARTED : SCTP_ESTABLISHED);
    }
    sctp->owed.cookie_ack = true;
}

void sctp_take_cookie_ack(struct sctp *sctp, uint64_t now_us)
{
    if (sctp->state == SCTP_STATE_COOKIE_ECHOED)
        established(sctp, now_us, SCTP_ESTABLISHED);
}

void sctp_take_stale_cookie(struct sctp *sctp)
{
    if (sctp->state != SCTP_STATE_COOKIE_ECHOED)
        return;
    forget_cookie(sctp); // 5.2.6: from the start
    sctp->owed.cookie_echo = false;
    sctp->owed.init = true;
    sctp->state = SCTP_STATE_COOKIE_WAIT;
}
