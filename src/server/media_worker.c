#include "server/media_worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/media_data.h"
#include "server/media_worker_int.h"
#include "server/turn_host.h"

#define BATCH_BYTES      (1u << 20)
#define BATCH_RUNS       1024
#define HANDOFF_CAPACITY 1024
#define TICK_US          (20 * TIME_US_PER_MS)
/** What a peer has to do so much later may be later still by a tick, and a little. */
#define LAZY_US       (200 * TIME_US_PER_MS)
#define LAZY_SLACK_US (25 * 1000)

static bool tell_control(struct media_worker *worker, enum media_message type, const void *body,
                         size_t size)
{
    if (mailbox_send(worker->shared->control, type, body, size) == 0)
        return true;
    log_warning(&worker->log, "the control thread is too busy to hear of media events");
    return false;
}

bool media_stream_tell_closed(const struct media_worker *worker, enum media_stream_limit limit,
                              const struct net_address *limited)
{
    struct mailbox *control = worker->shared->control;
    struct media_message_stream_closed closed = { *limited };
    struct turn_message_closed turn_closed = { .remote = *limited };
    switch (limit) {
    case MEDIA_STREAM_LIMIT_MEDIA:
        return mailbox_send(control, MEDIA_MESSAGE_STREAM_CLOSED, &closed, sizeof(closed)) == 0;
    case MEDIA_STREAM_LIMIT_TURN:
        return mailbox_send(control, TURN_MESSAGE_CLOSED, &turn_closed, sizeof(turn_closed)) == 0;
    case MEDIA_STREAM_LIMIT_NONE:
        break;
    }
    return true;
}

static void tell_event(struct media_worker *worker, handle session, enum media_event_kind kind,
                       const char *reason)
{
    struct media_event event = { .kind = kind, .session = session, .reason = reason };
    tell_control(worker, MEDIA_MESSAGE_EVENT, &event, sizeof(event));
}

static void tell_closed(struct media_worker *worker, handle session)
{
    struct media_event event = { .kind = MEDIA_EVENT_FAILED,
                                 .session = session,
                                 .reason = "The client closed the connection.",
                                 .closed = true };
    tell_control(worker, MEDIA_MESSAGE_EVENT, &event, sizeof(event));
}

/** Without this message none of the session's slots would ever be filled. */
static void tell_adopted(struct media_worker *worker, struct media_transport *transport)
{
    struct media_message_adopted adopted = { .session = transport->session,
                                             .worker = worker->worker->index };
    transport->untold = !tell_control(worker, MEDIA_MESSAGE_ADOPTED, &adopted, sizeof(adopted));
    worker->untold |= transport->untold;
}

static void tell_adopted_again(struct media_worker *worker)
{
    worker->untold = false;
    size_t cursor = 0;
    struct media_transport *transport;
    while ((transport = media_routes_next(&worker->routes, &cursor))) {
        if (transport->untold)
            tell_adopted(worker, transport);
    }
}

static void peer_timer_expired(struct loop_timer *timer, uint64_t now_us)
{
    struct media_transport *transport = container_of(timer, struct media_transport, timer);
    rtc_peer_tick(transport->peer, now_us);
    media_worker_serve(transport->owner, transport);
}

void media_worker_adopt(struct media_worker *worker, struct media_transport *transport)
{
    int error = rtc_peer_new(&worker->rtc, false, transport->params, media_now_us(worker),
                             &transport->peer);
    if (error) {
        log_warning(&worker->log, "a session cannot be set up", log_error_code("error", error));
        tell_event(worker, transport->session, MEDIA_EVENT_FAILED,
                   "The offer's credentials or fingerprint cannot be used.");
        return;
    }
    transport->owner = worker;
    loop_timer_init(&transport->timer, &worker->worker->loop, peer_timer_expired);
    exchange_peer_add(worker->exchange, transport->session, transport->peer);
    if (transport->member.call)
        rtc_peer_data_take_negotiated(transport->peer);
    transport->data = data_hub_peer_add(worker->data, transport->session, &transport->member);
    media_count(worker, MEDIA_METRIC_ADOPTED);
    media_count(worker, MEDIA_METRIC_SESSIONS);
    tell_adopted(worker, transport);
}

static void take_peer_event(struct media_worker *worker, struct media_transport *transport,
                            const struct rtc_event *event)
{
    switch (event->kind) {
    case RTC_EVENT_CONNECTED:
    case RTC_EVENT_RECONNECTED:
        tell_event(worker, transport->session, MEDIA_EVENT_CONNECTED, NULL);
        exchange_peer_ready(worker->exchange, media_now_us(worker), transport->session,
                            &worker->batch);
        break;
    case RTC_EVENT_DISCONNECTED:
        tell_event(worker, transport->session, MEDIA_EVENT_DISCONNECTED, NULL);
        break;
    case RTC_EVENT_FAILED:
        log_info(&worker->log, "a peer connection failed", log_text("reason", event->reason));
        // the reason's text may end with the peer
        tell_event(worker, transport->session, MEDIA_EVENT_FAILED,
                   "The secure media connection could not be set up.");
        break;
    case RTC_EVENT_CLOSED:
        tell_closed(worker, transport->session);
        break;
    default:
        exchange_peer_event(worker->exchange, media_now_us(worker), transport->session, event,
                            &worker->batch);
        break;
    }
}

void media_worker_serve(struct media_worker *worker, struct media_transport *transport)
{
    struct rtc_event event;
    while (rtc_peer_event(transport->peer, &event))
        take_peer_event(worker, transport, &event);
    media_data_serve(worker, transport);
    uint64_t now_us = media_now_us(worker);
    rtc_peer_output(transport->peer, now_us, &worker->batch);
    uint64_t deadline_us =
        media_data_is_due(transport) ? now_us : rtc_peer_deadline(transport->peer);
    // reports and consent: with the next tick, or wake-ups would be most of what a small room costs
    if (deadline_us >= now_us + LAZY_US && deadline_us < TIME_NEVER - LAZY_US)
        loop_timer_set_lazy(&transport->timer, deadline_us + LAZY_SLACK_US, LAZY_SLACK_US);
    else
        loop_timer_set(&transport->timer, deadline_us);
}

static void drop_peer(struct media_worker *worker, struct media_transport *transport)
{
    if (!transport->peer)
        return;
    rtc_peer_close(transport->peer);
    rtc_peer_output(transport->peer, media_now_us(worker), &worker->batch);
    media_capture_end(worker, transport);
    exchange_peer_remove(worker->exchange, transport->session);
    data_hub_peer_remove(worker->data, media_now_us(worker), transport->session);
    transport->peer = rtc_peer_free(transport->peer);
    worker->rtc.event_count = 0;
    metric_subtract(&worker->metrics[MEDIA_METRIC_SESSIONS], 1);
}

// Exchange: what a worker's rooms say to others.

static bool to_worker(void *owner, uint16_t index, const struct exchange_message *message)
{
    struct media_worker *worker = owner;
    // media may get lost; sessions and slots that come by the same way may not
    if ((message->kind == EXCHANGE_BURST || message->kind == EXCHANGE_GOP) &&
        mailbox_is_crowded(&worker_group_get(worker->worker->group, index)->mailbox))
        return false;
    return worker_group_send(worker->worker->group, index, MEDIA_MESSAGE_EXCHANGE, message,
                             sizeof(*message)) == 0;
}

static void to_control(void *owner, const struct media_event *event)
{
    tell_control(owner, MEDIA_MESSAGE_EVENT, event, sizeof(*event));
}

void media_worker_wake(struct media_worker *worker, handle session)
{
    struct media_transport *transport = media_routes_by_session(&worker->routes, session);
    if (transport && transport->peer) {
        list_remove(&transport->awake);
        list_append(&worker->awake, &transport->awake);
    }
}

static void wake(void *owner, handle session)
{
    media_worker_wake(owner, session);
}

static const struct exchange_ops exchange_ops = {
    .to_worker = to_worker,
    .to_control = to_control,
    .wake = wake,
};

// Messages of the control thread and of other workers.

static void take_session(struct media_worker *worker, const struct media_message_session *message)
{
    struct media_transport *transport = media_routes_by_session(&worker->routes, message->session);
    if (!transport) {
        transport =
            media_routes_add(&worker->routes, message->session, message->claim, message->params);
        transport->member = message->member;
        return;
    }
    media_claim_unref(message->claim);
    media_routes_renew(&worker->routes, transport, message->params);
    if (!transport->peer)
        return;
    rtc_peer_update(transport->peer, transport->params, media_now_us(worker));
    exchange_peer_update(worker->exchange, transport->session);
    media_worker_serve(worker, transport);
}

static void take_close(struct media_worker *worker, const struct media_message_close *message)
{
    struct media_transport *transport = media_routes_by_session(&worker->routes, message->session);
    if (!transport)
        return;
    drop_peer(worker, transport);
    media_routes_remove(&worker->routes, transport);
}

static void take_permit(struct media_worker *worker, const struct media_message_permit *message)
{
    struct media_transport *transport = media_routes_by_session(&worker->routes, message->session);
    if (!transport)
        return;
    transport->member.may_send = message->may_send;
    data_hub_permit(worker->data, message->session, message->may_send);
}

static void take_deliver(struct media_worker *worker, const struct media_message_deliver *message)
{
    data_hub_deliver(worker->data, media_now_us(worker), message->parcel);
    data_parcel_unref(message->parcel);
}

static void take_stats(struct media_worker *worker, const struct media_message_stats *message)
{
    const struct media_transport *transport =
        media_routes_by_session(&worker->routes, message->session);
    struct media_message_stats_answer answer = { .number = message->number };
    if (transport && transport->peer) {
        answer.stats = memory_new(struct media_session_stats);
        rtc_peer_read_stats(transport->peer, media_now_us(worker), &answer.stats->rtc);
        answer.stats->data = data_hub_stats(worker->data, transport->session);
    }
    if (!tell_control(worker, MEDIA_MESSAGE_STATS_ANSWER, &answer, sizeof(answer)))
        free(answer.stats);
}

static void take_slot(struct media_worker *worker, const struct media_message_slot *message)
{
    bool empty = message->publisher.session == 0;
    const struct rtc_section *publisher = NULL;
    if (!empty)
        publisher =
            &rtc_params_get(message->publisher_params)->sections[message->publisher.section];
    int error = exchange_slot_set(worker->exchange, media_now_us(worker), message->session,
                                  message->section, empty ? NULL : &message->publisher,
                                  (uint16_t)message->publisher_worker, publisher);
    if (!error && !empty)
        exchange_slot_wish(worker->exchange, message->session, message->section, &message->wish);
    if (!error && !empty)
        exchange_publication_group(worker->exchange, &message->publisher, message->group,
                                   message->loudest);
    if (error && !empty)
        log_debug(&worker->log, "a slot could not be filled", log_error_code("error", error));
    rtc_params_unref(message->publisher_params);
}

static void received(struct worker *base, void *owner unused, const struct message *message)
{
    struct media_worker *worker = base->state;
    switch ((enum media_message)message->type) {
    case MEDIA_MESSAGE_SESSION:
        take_session(worker, message_body(message, struct media_message_session));
        break;
    case MEDIA_MESSAGE_CLOSE:
        take_close(worker, message_body(message, struct media_message_close));
        break;
    case MEDIA_MESSAGE_SLOT:
        take_slot(worker, message_body(message, struct media_message_slot));
        break;
    case MEDIA_MESSAGE_BLOCK: {
        const struct media_message_block *block = message_body(message, struct media_message_block);
        exchange_publication_block(worker->exchange, block->session, block->section,
                                   block->blocked);
        break;
    }
    case MEDIA_MESSAGE_LOUDEST: {
        const struct media_message_loudest *voices =
            message_body(message, struct media_message_loudest);
        exchange_group_places(worker->exchange, voices->group, voices->loudest);
        break;
    }
    case MEDIA_MESSAGE_EXCHANGE:
        exchange_message_input(worker->exchange, media_now_us(worker),
                               message_body(message, struct exchange_message), &worker->batch);
        break;
    case MEDIA_MESSAGE_DATA:
        media_data_received(worker, message_body(message, struct data_message));
        break;
    case MEDIA_MESSAGE_DELIVER:
        take_deliver(worker, message_body(message, struct media_message_deliver));
        break;
    case MEDIA_MESSAGE_PERMIT:
        take_permit(worker, message_body(message, struct media_message_permit));
        break;
    case MEDIA_MESSAGE_STATS:
        take_stats(worker, message_body(message, struct media_message_stats));
        break;
    case MEDIA_MESSAGE_CAPTURE:
        media_capture_take(worker, message_body(message, struct media_message_capture));
        break;
    case MEDIA_MESSAGE_STREAM:
        media_streams_adopt(worker->streams, message_body(message, struct media_message_stream));
        break;
    case MEDIA_MESSAGE_ADOPTED:
    case MEDIA_MESSAGE_CAPTURED:
    case MEDIA_MESSAGE_EVENT:
    case MEDIA_MESSAGE_STREAM_CLOSED:
    case MEDIA_MESSAGE_STATS_ANSWER:
        break;
    default:
        turn_worker_received(worker->turn, message);
        break;
    }
}

void media_message_discard(const struct message *message)
{
    if (message->type >= TURN_MESSAGE_SETTINGS)
        turn_message_discard(message);
    else if (message->type == MEDIA_MESSAGE_SESSION) {
        const struct media_message_session *session =
            message_body(message, struct media_message_session);
        media_claim_unref(session->claim);
        rtc_params_unref(session->params);
    } else if (message->type == MEDIA_MESSAGE_SLOT) {
        rtc_params_unref(message_body(message, struct media_message_slot)->publisher_params);
    } else if (message->type == MEDIA_MESSAGE_EXCHANGE) {
        exchange_message_discard(message_body(message, struct exchange_message));
    } else if (message->type == MEDIA_MESSAGE_DATA) {
        data_message_discard(message_body(message, struct data_message));
    } else if (message->type == MEDIA_MESSAGE_DELIVER) {
        data_parcel_unref(message_body(message, struct media_message_deliver)->parcel);
    } else if (message->type == MEDIA_MESSAGE_STREAM) {
        stream_parcel_free(message_body(message, struct media_message_stream)->parcel);
    }
}

static void discard(struct worker *base unused, void *owner unused, const struct message *message)
{
    media_message_discard(message);
}

// The worker's life.

static void udp_received(void *owner, struct udp_socket *socket unused,
                         const struct udp_datagram *datagrams, size_t count)
{
    media_port_input(owner, datagrams, count);
}

static const struct udp_ops udp_ops = { .received = udp_received };

static void handed_over(void *owner, const struct udp_datagram *datagrams, size_t count)
{
    media_port_input(owner, datagrams, count);
}

static void tick_expired(struct loop_timer *timer, uint64_t now_us)
{
    struct media_worker *worker = container_of(timer, struct media_worker, tick);
    media_load_judge(worker, now_us);
    uint64_t next_us = exchange_tick(worker->exchange, now_us, &worker->batch);
    data_hub_tick(worker->data, now_us);
    if (worker->untold)
        tell_adopted_again(worker);
    media_capture_tick(worker, now_us);
    worker->tick_due_us = next_us;
    loop_timer_set(timer, next_us);
}

/** What goes to clients behind TURN allocations of ours stays inside the process. */
static void send_batch(struct datagram_batch *batch, void *owner)
{
    struct media_worker *worker = owner;
    if (!list_empty(&worker->captures))
        media_capture_outgoing(worker);
    media_streams_take_batch(worker->streams, batch);
    if (worker->turn)
        turn_worker_take_batch(worker->turn, batch);
    if (!datagram_batch_empty(batch))
        udp_socket_send(worker->socket, batch);
    datagram_batch_clear(batch);
}

/** End of a turn: peers that others made talk, then everything in as few system calls as can be. */
static void flush(struct loop_hook *hook)
{
    struct media_worker *worker = container_of(hook, struct media_worker, flush);
    // each serves what it was woken for, and may wake others
    while (!list_empty(&worker->awake)) {
        struct media_transport *transport =
            container_of(worker->awake.next, struct media_transport, awake);
        list_remove(&transport->awake);
        media_worker_serve(worker, transport);
    }
    send_batch(&worker->batch, worker);
}

static int open_socket(struct media_worker *worker)
{
    struct media_workers *shared = worker->shared;
    struct udp_config config = shared->udp;
    config.first_of_port = worker->worker->index == 0;
    if (worker->worker->index > 0)
        config.bind.port = shared->port;
    int error = udp_socket_open(&config, &worker->worker->loop, &udp_ops, worker, &worker->socket);
    if (error)
        return error;
    if (worker->worker->index == 0) {
        shared->port = udp_socket_port(worker->socket);
        shared->ipv6 = udp_socket_has_ipv6(worker->socket);
    }
    datagram_batch_init(&worker->batch, BATCH_BYTES, BATCH_RUNS);
    worker->batch.flush = send_batch;
    worker->batch.owner = worker;
    return 0;
}

static void turn_gave_stream(void *owner, const struct media_message_stream *message)
{
    struct media_worker *worker = owner;
    media_streams_adopt(worker->streams, message);
}

static void stop(struct worker *base, void *owner);

static int start(struct worker *base, void *owner)
{
    struct media_worker *worker = memory_new(struct media_worker);
    worker->worker = base;
    worker->shared = owner;
    worker->log = (struct log){ worker->shared->log_sink, "media", &base->log_rate };
    snprintf(worker->labels, sizeof(worker->labels), "worker=\"%u\"", base->index);
    list_init(&worker->awake);
    list_init(&worker->captures);
    int error = handoff_init(&worker->handoff, &base->loop, HANDOFF_CAPACITY, handed_over, worker);
    if (!error)
        error = open_socket(worker);
    if (error) {
        handoff_done(&worker->handoff);
        free(worker);
        return error;
    }
    uint64_t secret[2];
    random_fill(&base->entropy.random, secret, sizeof(secret));
    media_routes_init(&worker->routes, secret);
    worker->rtc.pool = &base->packets;
    worker->rtc.random = &base->entropy.random;
    worker->rtc.dtls = worker->shared->dtls;
    worker->rtc.ciphers = worker->shared->ciphers;
    worker->rtc.unix_offset_us = worker->shared->unix_offset_us;
    struct exchange_config exchange = {
        .worker = (uint16_t)base->index,
        .ops = &exchange_ops,
        .owner = worker,
        .gop_age_us = worker->shared->gop_age_us,
        .protection = worker->shared->protection,
        .pool = &base->packets,
    };
    worker->exchange = exchange_new(&exchange);
    worker->data = media_data_new(worker);
    loop_hook_init(&worker->flush, flush);
    loop_hook_add(&base->loop, &worker->flush);
    loop_timer_init(&worker->tick, &base->loop, tick_expired);
    worker->tick_due_us = media_now_us(worker) + TICK_US;
    if (worker->shared->media) // a TURN server alone sleeps while nothing comes
        loop_timer_set_after(&worker->tick, TICK_US);
    worker->streams = media_streams_new(worker);
    base->state = worker;
    if (worker->shared->turn)
        error = turn_worker_new(base, worker->shared->turn, worker->socket,
                                worker->shared->media ? media_port_relayed : NULL, worker,
                                &worker->turn);
    if (worker->turn && worker->shared->ice_tcp)
        turn_worker_set_media_stream(worker->turn, turn_gave_stream);
    if (error) {
        stop(base, owner);
        handoff_done(&worker->handoff);
        free(worker);
        return error;
    }
    atomic_store(&worker->shared->workers[base->index], worker);
    return 0;
}

static void stop(struct worker *base, void *owner unused)
{
    struct media_worker *worker = base->state;
    size_t cursor = 0;
    struct media_transport *transport;
    while ((transport = media_routes_next(&worker->routes, &cursor))) {
        drop_peer(worker, transport);
        media_routes_remove(&worker->routes, transport);
    }
    send_batch(&worker->batch, worker); // the goodbyes
    worker->streams = media_streams_free(worker->streams);
    turn_worker_stop(worker->turn);
    exchange_drop_all(worker->exchange);
    worker->exchange = exchange_free(worker->exchange);
    worker->data = data_hub_free(worker->data);
    loop_timer_cancel(&worker->tick);
    loop_hook_remove(&worker->flush);
    worker->socket = udp_socket_close(worker->socket);
    datagram_batch_done(&worker->batch);
    media_routes_done(&worker->routes);
}

/** All workers have stopped: nobody hands datagrams over any more. */
static void release(struct worker *base, void *owner unused)
{
    struct media_worker *worker = base->state;
    turn_worker_free(worker->turn);
    handoff_done(&worker->handoff);
    free(worker);
}

const struct worker_ops media_worker_ops = {
    .start = start,
    .received = received,
    .stop = stop,
    .release = release,
    .discard = discard,
};

void media_worker_metric_sets(const struct media_worker *worker,
                              struct metric_set ret_sets[MEDIA_WORKER_METRIC_SETS])
{
    rtc_metric_sets(&worker->rtc.counters, worker->labels, ret_sets);
    ret_sets[RTC_METRIC_SETS] =
        (struct metric_set){ room_metric_descriptions, exchange_metrics(worker->exchange)->values,
                             ROOM_METRIC_COUNT, worker->labels };
    ret_sets[RTC_METRIC_SETS + 1] = (struct metric_set){ media_metric_descriptions, worker->metrics,
                                                         MEDIA_METRIC_COUNT, worker->labels };
    ret_sets[RTC_METRIC_SETS + 2] = data_hub_metrics(worker->data, worker->labels);
    ret_sets[RTC_METRIC_SETS + 3] =
        runtime_metric_set(&worker->worker->loop.metrics, worker->labels);
}
