#include "server/turn_host.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "crypto/tls.h"
#include "runtime/clock.h"
#include "runtime/tcp.h"
#include "server/media_host_int.h"
#include "server/turn_dtls.h"
#include "server/turn_worker.h"

/** Questions of operators that wait for workers; of more the oldest is answered with nothing. */
#define REQUESTS_MAX 256

/** A list or a kill under way. */
struct turn_request {
    struct list node;
    uint64_t id;
    void *owner;
    void (*listed)(void *owner, const struct turn_listed *items, size_t count, const char *next);
    void (*killed)(void *owner, bool found);
    char *username;
    uint32_t worker; /**< asked now */
    size_t limit;
    struct turn_listed *items;
    size_t count;
};

struct turn_host {
    struct turn_host_config config;
    struct turn_shared shared;
    struct media_host *media; /**< NULL before attach and after detach */
    struct list requests;
    size_t request_count;
    uint64_t last_request;
    uint32_t next_worker; /**< for connections: in turn */
};

const char *turn_id_format(uint32_t worker, handle id, char out[TURN_ID_TEXT_MAX])
{
    snprintf(out, TURN_ID_TEXT_MAX, "%" PRIu32 "-%" PRIx64, worker, id);
    return out;
}

/** Both numbers of an id or of a list position; false when it is neither. */
static bool id_parse(const char *text, uint32_t *ret_worker, uint64_t *ret_number)
{
    struct bytes rest = bytes_of_text(text);
    uint64_t worker;
    if (text_parse_u64(text_take_until(&rest, '-'), UINT32_MAX, &worker) < 0 || rest.size == 0 ||
        !isxdigit(rest.data[0]))
        return false;
    char *end;
    errno = 0;
    *ret_number = strtoull((const char *)rest.data, &end, 16); // `text` is terminated
    *ret_worker = (uint32_t)worker;
    return errno == 0 && *end == '\0';
}

// Life.

/** The two IPs of NAT behaviour discovery: the operator's, and the first other relay address. */
static void choose_discovery(struct turn_shared *shared, const struct turn_host_config *config)
{
    const struct net_address *second = &config->options.discovery_address;
    if (second->family == NET_NONE)
        return;
    bool found = false;
    for (size_t i = 0; i < config->relay_address_count; i++) {
        const struct turn_relay_address *relay = &config->relay_addresses[i];
        bool is_second = net_address_same_ip(&relay->bind, second);
        if (!is_second && (found || relay->bind.family != second->family))
            continue;
        found = found || !is_second;
        shared->discovery[is_second] = relay->bind;
        shared->discovery_external[is_second] = relay->told;
    }
    shared->discovery[1] = *second;
    if (!found)
        log_warning(config->log, "NAT behaviour discovery needs a second address of this family",
                    log_address("turn.nat_discovery_address", second));
}

struct turn_host *turn_host_new(const struct turn_host_config *config)
{
    struct turn_host *host = memory_new(struct turn_host);
    host->config = *config;
    list_init(&host->requests);
    struct turn_shared *shared = &host->shared;
    shared->options = config->options;
    struct turn_ports_config ports = {
        .addresses = config->relay_addresses,
        .address_count = config->relay_address_count,
        .port_min = config->port_min,
        .port_max = config->port_max,
    };
    shared->ports = turn_ports_new(&ports);
    uint64_t secret[2];
    random_fill(config->random, secret, sizeof(secret));
    shared->quota = turn_quota_new(&config->limits, secret);
    turn_nonce_key_init(&shared->nonce_key, config->random);
    random_fill(config->random, &shared->cookie_secret, sizeof(shared->cookie_secret));
    shared->settings = turn_settings_ref(config->settings);
    shared->tls = config->tls ? tls_server_context_ref(config->tls) : NULL;
    shared->certificate = config->certificate ? certificate_ref(config->certificate) : NULL;
    shared->log_sink = config->log->sink;
    shared->unix_offset_us = (int64_t)clock_unix_us() - (int64_t)clock_now_us();
    shared->allocations_max = config->allocations_max;
    shared->count = config->workers;
    choose_discovery(shared, config);
    host->config.relay_addresses = NULL;
    return host;
}

static void request_free(struct turn_host *host, struct turn_request *request)
{
    list_remove(&request->node);
    host->request_count--;
    free(request->username);
    free(request->items);
    free(request);
}

struct turn_host *turn_host_free(struct turn_host *host)
{
    if (!host)
        return NULL;
    turn_host_detach(host);
    struct turn_shared *shared = &host->shared;
    turn_settings_unref(shared->settings);
    tls_server_context_unref(shared->tls);
    certificate_unref(shared->certificate);
    turn_quota_free(shared->quota);
    turn_ports_free(shared->ports);
    memory_wipe(&shared->nonce_key, sizeof(shared->nonce_key));
    memory_wipe(&shared->cookie_secret, sizeof(shared->cookie_secret));
    free(host);
    return NULL;
}

struct turn_shared *turn_host_shared(struct turn_host *host)
{
    return &host->shared;
}

void turn_host_attach(struct turn_host *host, struct media_host *media)
{
    host->media = media;
}

static void request_end(struct turn_host *host, struct turn_request *request, const char *next)
{
    for (size_t i = 0; i < request->count; i++)
        request->items[i].info.username = bytes_of_text(request->items[i].name);
    if (request->listed)
        request->listed(request->owner, request->items, request->count, next);
    request_free(host, request);
}

/** An answer that a worker could not send (our mailbox was full) never comes. */
static void give_up_oldest(struct turn_host *host)
{
    struct turn_request *oldest = container_of(host->requests.next, struct turn_request, node);
    if (oldest->killed) {
        oldest->killed(oldest->owner, false);
        request_free(host, oldest);
    } else {
        request_end(host, oldest, "");
    }
}

void turn_host_detach(struct turn_host *host)
{
    host->media = NULL;
    while (!list_empty(&host->requests))
        give_up_oldest(host);
}

// To the workers.

void turn_host_set_settings(struct turn_host *host, struct turn_settings *settings)
{
    for (uint32_t i = 0; host->media && i < host->shared.count; i++) {
        struct turn_message_settings message = { turn_settings_ref(settings) };
        media_host_send(host->media, i, TURN_MESSAGE_SETTINGS, &message, sizeof(message));
    }
}

void turn_host_set_limits(struct turn_host *host, const struct turn_quota_limits *limits)
{
    turn_quota_set_limits(host->shared.quota, limits);
}

void turn_host_set_tls(struct turn_host *host, struct tls_server_context *tls,
                       struct certificate *certificate)
{
    for (uint32_t i = 0; host->media && i < host->shared.count; i++) {
        struct turn_message_tls message = {
            .tls = tls ? tls_server_context_ref(tls) : NULL,
            .certificate = certificate ? certificate_ref(certificate) : NULL,
        };
        media_host_send(host->media, i, TURN_MESSAGE_TLS, &message, sizeof(message));
    }
}

/** Connections go to the workers in turn; the kernel's hash does the same for datagrams. */
static uint32_t take_turn(struct turn_host *host)
{
    return host->next_worker++ % host->shared.count;
}

void turn_host_connection(struct turn_host *host, int fd,
                          const struct turn_connection_origin *origin)
{
    if (!host->media) {
        tcp_connection_close(fd);
        return;
    }
    struct turn_message_connection message = { .fd = fd, .origin = *origin };
    media_host_send(host->media, take_turn(host), TURN_MESSAGE_CONNECTION, &message,
                    sizeof(message));
}

void turn_host_stream(struct turn_host *host, struct stream_parcel *parcel,
                      const struct turn_connection_origin *origin, const struct net_address *local)
{
    if (!host->media) {
        stream_parcel_free(parcel);
        return;
    }
    struct turn_message_stream message = {
        .parcel = parcel,
        .origin = *origin,
        .client = origin->remote,
        .local = *local,
        .sniffed = true,
    };
    media_host_send(host->media, take_turn(host), TURN_MESSAGE_STREAM, &message, sizeof(message));
}

// Questions of operators.

static struct turn_request *request_new(struct turn_host *host, void *owner)
{
    if (!host->media)
        return NULL;
    if (host->request_count == REQUESTS_MAX)
        give_up_oldest(host);
    struct turn_request *request = memory_new(struct turn_request);
    request->id = ++host->last_request;
    request->owner = owner;
    list_init(&request->node);
    list_append(&host->requests, &request->node);
    host->request_count++;
    return request;
}

static struct turn_request *request_find(struct turn_host *host, uint64_t id)
{
    struct turn_request *request;
    list_each(request, &host->requests, node)
    {
        if (request->id == id)
            return request;
    }
    return NULL;
}

static void ask_for_list(struct turn_host *host, const struct turn_request *request, uint32_t after)
{
    struct turn_message_list message = {
        .request = request->id,
        .username =
            request->username ? memory_copy(request->username, strlen(request->username)) : NULL,
        .after = after,
        .limit = request->limit - request->count,
    };
    media_host_send(host->media, request->worker, TURN_MESSAGE_LIST, &message, sizeof(message));
}

void turn_host_list(struct turn_host *host, const struct turn_list_query *query,
                    void (*done)(void *owner, const struct turn_listed *items, size_t count,
                                 const char *next),
                    void *owner)
{
    uint32_t worker = 0;
    uint64_t after = 0;
    bool readable = !query->after || !*query->after || id_parse(query->after, &worker, &after);
    struct turn_request *request =
        readable && worker < host->shared.count ? request_new(host, owner) : NULL;
    if (!request) {
        done(owner, NULL, 0, "");
        return;
    }
    request->listed = done;
    request->worker = worker;
    request->limit =
        query->limit > 0 && query->limit < TURN_LIST_LIMIT_MAX ? query->limit : TURN_LIST_LIMIT_MAX;
    request->items = memory_new_array(struct turn_listed, request->limit);
    if (query->username)
        request->username = memory_copy(query->username, strlen(query->username));
    ask_for_list(host, request, (uint32_t)after);
}

void turn_host_kill(struct turn_host *host, const char *id, void (*done)(void *owner, bool found),
                    void *owner)
{
    uint32_t worker;
    struct turn_message_kill message;
    struct turn_request *request = NULL;
    if (id_parse(id, &worker, &message.id) && worker < host->shared.count)
        request = request_new(host, owner);
    if (!request) {
        done(owner, false);
        return;
    }
    request->killed = done;
    message.request = request->id;
    media_host_send(host->media, worker, TURN_MESSAGE_KILL, &message, sizeof(message));
}

static void take_listed(struct turn_host *host, const struct turn_message_listed *message)
{
    struct turn_request *request = request_find(host, message->request);
    if (!request) {
        free(message->items);
        return;
    }
    memcpy(request->items + request->count, message->items,
           message->count * sizeof(*message->items));
    request->count += message->count;
    free(message->items);
    bool full = request->count == request->limit;
    bool more_workers = request->worker + 1 < host->shared.count;
    char next[TURN_ID_TEXT_MAX] = "";
    if (!full && more_workers) {
        request->worker++;
        ask_for_list(host, request, 0);
        return;
    }
    if (full && message->more)
        turn_id_format(request->worker, request->items[request->count - 1].cursor, next);
    else if (full && more_workers)
        turn_id_format(request->worker + 1, 0, next);
    request_end(host, request, next);
}

void turn_host_received(struct turn_host *host, const struct message *message)
{
    if (message->type == TURN_MESSAGE_LISTED) {
        take_listed(host, message_body(message, struct turn_message_listed));
    } else if (message->type == TURN_MESSAGE_KILLED) {
        const struct turn_message_killed *killed =
            message_body(message, struct turn_message_killed);
        struct turn_request *request = request_find(host, killed->request);
        if (!request)
            return;
        request->killed(request->owner, killed->found);
        request_free(host, request);
    } else if (message->type == TURN_MESSAGE_CLOSED && host->config.connection_closed) {
        host->config.connection_closed(host->config.owner,
                                       &message_body(message, struct turn_message_closed)->remote);
    }
}

void turn_message_discard(const struct message *message)
{
    switch ((enum turn_message)message->type) {
    case TURN_MESSAGE_SETTINGS:
        turn_settings_unref(message_body(message, struct turn_message_settings)->settings);
        break;
    case TURN_MESSAGE_TLS:
        tls_server_context_unref(message_body(message, struct turn_message_tls)->tls);
        certificate_unref(message_body(message, struct turn_message_tls)->certificate);
        break;
    case TURN_MESSAGE_CONNECTION:
        tcp_connection_close(message_body(message, struct turn_message_connection)->fd);
        break;
    case TURN_MESSAGE_STREAM:
        stream_parcel_free(message_body(message, struct turn_message_stream)->parcel);
        break;
    case TURN_MESSAGE_ASSOCIATION:
        turn_dtls_parcel_free(message_body(message, struct turn_message_association)->parcel);
        break;
    case TURN_MESSAGE_LIST:
        free(message_body(message, struct turn_message_list)->username);
        break;
    case TURN_MESSAGE_LISTED:
        free(message_body(message, struct turn_message_listed)->items);
        break;
    default:
        break;
    }
}

// What is told.

uint32_t turn_host_allocation_count(const struct turn_host *host)
{
    return turn_quota_allocations(host->shared.quota);
}

uint16_t turn_host_udp_port(const struct turn_host *host)
{
    return host->shared.udp_port;
}

uint16_t turn_host_tls_udp_port(const struct turn_host *host)
{
    return host->shared.tls_udp_port;
}

size_t turn_host_metric_sets(const struct turn_host *host, struct metric_set *out, size_t capacity)
{
    size_t count = 0;
    for (uint32_t i = 0; i < host->shared.count; i++) {
        const struct turn_worker *turn = atomic_load(&host->shared.workers[i]);
        if (turn && count + TURN_WORKER_METRIC_SETS <= capacity)
            turn_worker_metric_sets(turn, out + count);
        count += TURN_WORKER_METRIC_SETS;
    }
    return count;
}
