#include "server/media_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "crypto/x509.h"
#include "runtime/clock.h"
#include "server/media_host_int.h"
#include "server/media_stream.h"
#include "server/turn_host.h"

#define MAILBOX_CAPACITY 16384
/** A worker that is slow for a moment loses nothing; one that has hung must not eat all memory. */
#define UNSENT_MAX 262144
#define RESEND_US  (2 * TIME_US_PER_MS)
/** Per worker, in largest packets of 2.2 KB: at least a second of 200 good video streams. */
#define WORKER_PACKETS 65536
/** Events that wait for signaling at most; it is told of sessions' ends by closing them. */
#define EVENTS_MAX 65536
/** ICE-TCP connections of the HTTPS port: of one address (a site behind one NAT), and in all. */
#define STREAMS_PER_ADDRESS_MAX 512
#define STREAMS_MAX             20000

/** Sends what waits, each worker's in order, until its mailbox is full again. */
static void resend(struct loop_timer *timer, uint64_t now_us unused)
{
    struct media_host *host = container_of(timer, struct media_host, resend);
    bool full[TRACK_WORKERS_MAX] = { false };
    struct host_unsent *unsent;
    list_each(unsent, &host->unsent, node)
    {
        const struct message *message = &unsent->message;
        uint32_t worker = unsent->worker;
        full[worker] = full[worker] || worker_group_send(host->shared.group, worker, message->type,
                                                         message->body, message->size) < 0;
        if (full[worker])
            continue;
        list_remove(&unsent->node);
        free(unsent);
        host->unsent_of[worker]--;
        host->unsent_count--;
    }
    if (host->unsent_count > 0)
        loop_timer_set_after(timer, RESEND_US);
}

void media_host_send(struct media_host *host, uint32_t worker, uint32_t type, const void *body,
                     size_t size)
{
    if (host->unsent_of[worker] == 0 &&
        worker_group_send(host->shared.group, worker, type, body, size) == 0)
        return;
    struct host_unsent *unsent = memory_new(struct host_unsent);
    unsent->worker = worker;
    unsent->message.type = type;
    unsent->message.size = (uint32_t)size;
    memcpy(unsent->message.body, body, size);
    if (host->unsent_count == UNSENT_MAX) {
        media_message_discard(&unsent->message);
        free(unsent);
        log_failure(host->config.log, "a media worker does not take messages any more",
                    log_number("worker", worker));
        return;
    }
    list_append(&host->unsent, &unsent->node);
    host->unsent_of[worker]++;
    host->unsent_count++;
    if (!loop_timer_armed(&host->resend))
        loop_timer_set_after(&host->resend, RESEND_US);
}

void media_host_event_add(struct media_host *host, const struct media_event *event)
{
    if (host->event_count == EVENTS_MAX)
        return;
    struct host_event *entry = memory_new(struct host_event);
    entry->event = *event;
    list_append(&host->events, &entry->node);
    host->event_count++;
}

static bool take_event(struct media_control *control, struct media_event *ret_event)
{
    struct media_host *host = media_host_of(control);
    if (list_empty(&host->events))
        return false;
    struct host_event *entry = container_of(host->events.next, struct host_event, node);
    *ret_event = entry->event;
    list_remove(&entry->node);
    host->event_count--;
    free(entry);
    return true;
}

static void received(void *owner, const struct message *message)
{
    struct media_host *host = owner;
    if (message->type >= TURN_MESSAGE_SETTINGS) {
        turn_host_received(host->config.turn, message);
        return;
    }
    if (message->type == MEDIA_MESSAGE_ADOPTED) {
        const struct media_message_adopted *adopted =
            message_body(message, struct media_message_adopted);
        media_session_adopted(host, adopted->session, adopted->worker);
        return;
    }
    if (message->type == MEDIA_MESSAGE_CAPTURED) {
        struct media_captured piece = *message_body(message, struct media_captured);
        if (host->captured)
            host->captured(host->captured_owner, &piece);
        free(piece.data);
        return;
    }
    if (message->type == MEDIA_MESSAGE_STREAM_CLOSED) {
        address_limit_release(&host->streams,
                              &message_body(message, struct media_message_stream_closed)->limited);
        return;
    }
    if (message->type == MEDIA_MESSAGE_STATS_ANSWER) {
        media_stats_answered(host, message_body(message, struct media_message_stats_answer));
        return;
    }
    const struct media_event *event = message_body(message, struct media_event);
    // the session may have been closed while its worker wrote
    if (!handle_table_find(&host->sessions, event->session))
        return;
    media_host_event_add(host, event);
    host->config.wake(host->config.owner);
}

static void discard(void *owner unused, const struct message *message)
{
    if (message->type >= TURN_MESSAGE_SETTINGS)
        turn_message_discard(message);
    else if (message->type == MEDIA_MESSAGE_CAPTURED)
        free(message_body(message, struct media_captured)->data);
    else if (message->type == MEDIA_MESSAGE_STATS_ANSWER)
        free(message_body(message, struct media_message_stats_answer)->stats);
}

static const struct mailbox_ops mailbox_ops = { .received = received, .discard = discard };

static const char *problem_of(int error)
{
    switch (error) {
    case -EADDRINUSE:
        return "The media UDP port is in use by another program: set media.udp_port to a free one, "
               "or stop that program.";
    case -EACCES:
        return "The media UDP port needs privileges: choose media.udp_port above 1023.";
    case -EADDRNOTAVAIL:
        return "The address in media.bind is not one of this machine's.";
    default:
        return "The media workers could not be started.";
    }
}

static int start_workers(struct media_host *host)
{
    struct worker_group_config config = {
        .name = "media",
        .count = host->config.workers,
        .packet_limit = WORKER_PACKETS,
        .pin = host->config.pin,
        .ops = &media_worker_ops,
        .owner = &host->shared,
    };
    return worker_group_start(&config, &host->shared.group);
}

int media_host_start(const struct media_host_config *config, struct media_host **ret_host,
                     const char **ret_problem)
{
    ensure(config->workers > 0 && config->workers <= TRACK_WORKERS_MAX);
    struct media_host *host = memory_new(struct media_host);
    host->config = *config;
    host->control = media_session_control;
    host->control.event = take_event;
    list_init(&host->events);
    list_init(&host->unsent);
    list_init(&host->questions);
    loop_timer_init(&host->resend, config->loop, resend);
    handle_table_init(&host->sessions, config->max_sessions);
    uint64_t secret[2];
    random_fill(config->random, secret, sizeof(secret));
    address_limit_init(&host->streams, STREAMS_PER_ADDRESS_MAX, STREAMS_MAX, secret);
    certificate_ref(config->certificate);
    host->ciphers = cipher_provider_new(CIPHER_BEST);
    host->shared.udp = config->udp;
    host->shared.ciphers = host->ciphers;
    host->shared.log_sink = config->log->sink;
    host->shared.control = &host->mailbox;
    host->shared.count = config->workers;
    host->shared.media = !config->turn_only;
    host->shared.ice_tcp = config->ice_tcp && !config->turn_only;
    host->shared.gop_age_us = config->gop_age_us;
    host->shared.protection = config->protection;
    if (config->turn) {
        host->shared.turn = turn_host_shared(config->turn);
        host->shared.turn->control = &host->mailbox;
    }
    host->shared.unix_offset_us = (int64_t)clock_unix_us() - (int64_t)clock_now_us();
    int error = mailbox_init(&host->mailbox, config->loop, MAILBOX_CAPACITY, &mailbox_ops, host);
    if (!error)
        error = dtls_context_new(config->certificate, NULL, &host->shared.dtls);
    if (!error)
        error = start_workers(host);
    host->config.candidates.ipv6 = host->shared.ipv6;
    host->config.candidates.bound = config->udp.bind;
    if (!error)
        error = media_host_refresh_candidates(host);
    if (error) {
        *ret_problem = problem_of(error);
        media_host_stop(host);
        return error;
    }
    log_info(config->log, config->turn_only ? "TURN is ready" : "media is ready",
             log_number("port", host->shared.port), log_number("workers", config->workers),
             log_text("aes_gcm", cipher_provider_name(host->ciphers)));
    if (config->turn)
        turn_host_attach(config->turn, host);
    *ret_host = host;
    return 0;
}

struct media_host *media_host_stop(struct media_host *host)
{
    if (!host)
        return NULL;
    if (host->config.turn)
        turn_host_detach(host->config.turn);
    host->shared.group = worker_group_stop(host->shared.group);
    loop_timer_cancel(&host->resend);
    media_stats_stop(host);
    struct host_unsent *unsent;
    list_each(unsent, &host->unsent, node)
    {
        media_message_discard(&unsent->message);
        free(unsent);
    }
    uint32_t cursor = 0;
    struct host_session *session;
    while ((session = handle_table_next(&host->sessions, &cursor, NULL)))
        media_session_free(host, session);
    handle_table_done(&host->sessions);
    mailbox_done(&host->mailbox);
    address_limit_done(&host->streams);
    struct media_event event;
    while (take_event(&host->control, &event))
        ;
    dtls_context_unref(host->shared.dtls);
    cipher_provider_free(host->ciphers);
    certificate_unref(host->config.certificate);
    free(host);
    return NULL;
}

struct media_control *media_host_control(struct media_host *host)
{
    return &host->control;
}

uint16_t media_host_port(const struct media_host *host)
{
    return host->shared.port;
}

int media_host_refresh_candidates(struct media_host *host)
{
    struct media_candidates fresh;
    int error = media_candidates_collect(&host->config.candidates, &fresh);
    if (error)
        return error;
    memcpy(fresh.tcp, host->candidates.tcp, sizeof(fresh.tcp));
    fresh.tcp_count = host->candidates.tcp_count;
    host->candidates = fresh;
    return 0;
}

void media_host_add_tcp_port(struct media_host *host, const struct net_address *bound)
{
    struct media_candidates *candidates = &host->candidates;
    for (size_t i = 0; i < candidates->tcp_count; i++) {
        // one port on every IPv4 and every IPv6 address is one line for each of ours
        if (candidates->tcp[i].port == bound->port && net_address_is_unspecified(bound))
            return;
    }
    if (candidates->tcp_count < MEDIA_CANDIDATES_TCP_MAX)
        candidates->tcp[candidates->tcp_count++] = *bound;
}

void media_host_adopt_stream(void *owner, struct stream_parcel *parcel,
                             const struct net_address *remote, const struct net_address *local)
{
    struct media_host *host = owner;
    struct net_address address = net_address_unmapped(remote);
    if (!address_limit_take(&host->streams, &address)) {
        stream_parcel_free(parcel);
        log_warning(host->config.log, "too many media connections over TCP",
                    log_address("from", &address));
        return;
    }
    struct media_message_stream message = {
        .parcel = parcel,
        .remote = address,
        .local = *local,
        .limited = address,
        .limit = MEDIA_STREAM_LIMIT_MEDIA,
    };
    media_host_send(host, host->next_stream++ % host->shared.count, MEDIA_MESSAGE_STREAM, &message,
                    sizeof(message));
}

size_t media_host_metric_sets(const struct media_host *host, struct metric_set *out,
                              size_t capacity)
{
    size_t count = 0;
    for (uint32_t i = 0; i < host->shared.count; i++) {
        const struct media_worker *worker = atomic_load(&host->shared.workers[i]);
        if (worker && count + MEDIA_WORKER_METRIC_SETS <= capacity)
            media_worker_metric_sets(worker, out + count);
        count += MEDIA_WORKER_METRIC_SETS;
    }
    return count;
}
