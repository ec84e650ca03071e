#include "server/turn_worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "crypto/tls.h"
#include "runtime/heap.h"
#include "server/turn_dtls.h"
#include "server/turn_nat_discovery.h"
#include "server/turn_stream.h"
#include "server/turn_tcp_relay.h"
#include "server/turn_worker_int.h"

#define HANDOFF_CAPACITY 1024

const struct metric_description turn_worker_metric_descriptions[TURN_WORKER_METRIC_COUNT] = {
#define METRIC(id, kind, name, labels, help)                                                       \
    METRIC_DESCRIPTION(TURN_WORKER_##id, kind, name, labels, help)
#include "server/turn_worker_metrics.def"
#undef METRIC
};

// What the engine asks for.

static void send_message(void *owner unused, const struct turn_source *to, struct bytes message)
{
    struct turn_carrier *carrier = to->carrier;
    carrier->ops->send(carrier, to, message);
}

static int relay_open(void *owner, struct turn_relay *relay, bool tcp)
{
    struct turn_worker *turn = owner;
    return tcp ? turn_tcp_relay_open(turn->tcp_relays, relay) : turn_relay_socket_open(turn, relay);
}

static void relay_close(void *owner, struct turn_relay *relay)
{
    struct turn_worker *turn = owner;
    struct turn_allocation_info info;
    turn_allocation_info(relay->allocation, &info);
    if (info.tcp_relay)
        turn_tcp_relay_close(turn->tcp_relays, relay);
    else
        turn_relay_socket_close(turn, relay);
}

static void log_end(const struct turn_worker *turn, const struct turn_allocation_info *info,
                    enum turn_end why)
{
    static const char *const transports[TURN_TRANSPORTS] = { "udp", "tcp", "tls", "dtls" };
    char id[TURN_ID_TEXT_MAX];
    const struct net_address *relayed = &info->relayed[info->relayed[0].family == NET_NONE ? 1 : 0];
    log_info(
        &turn->account, "allocation ended",
        log_text("id", turn_id_format(turn->worker->index, info->id, id)),
        log_text("why", turn_end_name(why)), log_bytes("user", info->username),
        log_text("transport", transports[info->transport]), log_address("client", &info->client),
        log_address("relayed", relayed),
        log_number("seconds", (int64_t)((turn_now_us(turn) - info->created_us) / TIME_US_PER_S)),
        log_number("sent_packets", (int64_t)info->sent_packets),
        log_number("sent_bytes", (int64_t)info->sent_bytes),
        log_number("received_packets", (int64_t)info->received_packets),
        log_number("received_bytes", (int64_t)info->received_bytes),
        log_number("dropped_packets", (int64_t)info->dropped_packets));
}

static void forget(struct turn_worker *turn, const struct turn_allocation *allocation)
{
    if (turn->last_allocation == allocation)
        turn->last_allocation = NULL;
}

/** Streams and DTLS associations move themselves (turn_stream.c, turn_association_move.c). */
static void tell_udp_route(struct turn_worker *turn, const struct turn_source *source, bool gone)
{
    if (source->transport == TURN_UDP)
        turn_route_tell(turn, &source->path.remote, gone);
}

static void ended(void *owner, const struct turn_allocation *allocation, enum turn_end why)
{
    struct turn_worker *turn = owner;
    struct turn_allocation_info info;
    turn_allocation_info(allocation, &info);
    log_end(turn, &info, why);
    forget(turn, allocation);
    const struct turn_source *source = turn_allocation_source(allocation);
    uint32_t worker;
    if (turn_route_find(turn, &source->path.remote, &worker))
        tell_udp_route(turn, source, true);
    struct turn_carrier *carrier = source->carrier;
    if (carrier) // it may have ended before
        carrier->ops->ended(carrier, source, why);
}

static void refused(void *owner, const struct turn_allocation *allocation,
                    const struct net_address *peer, const struct turn_peer_decision *decision)
{
    const struct turn_worker *turn = owner;
    struct turn_allocation_info info;
    turn_allocation_info(allocation, &info);
    log_warning(&turn->log, "peer refused with 403 Forbidden", log_address("peer", peer),
                log_text("rule", decision->rule), log_text("remedy", decision->remedy),
                log_bytes("user", info.username), log_address("client", &info.client));
}

static void unauthenticated(void *owner, const struct turn_source *source, struct bytes username,
                            const char *reason)
{
    const struct turn_worker *turn = owner;
    log_warning(&turn->log, "credentials refused with 401 Unauthorized", log_text("reason", reason),
                log_bytes("user", username), log_address("client", &source->path.remote));
}

static void moved(void *owner, const struct turn_allocation *allocation,
                  const struct turn_source *before)
{
    struct turn_worker *turn = owner;
    forget(turn, allocation);
    if (turn->routes.count > 0)
        tell_udp_route(turn, before, true);
    tell_udp_route(turn, turn_allocation_source(allocation), false);
    struct turn_carrier *carrier = before->carrier;
    if (carrier)
        carrier->ops->ended(carrier, before, TURN_END_RELEASED);
}

static int tcp_connect(void *owner, struct turn_relay *relay, uint32_t connection,
                       const struct net_address *peer)
{
    struct turn_worker *turn = owner;
    return turn_tcp_relay_connect(turn->tcp_relays, relay, connection, peer);
}

static int tcp_bind(void *owner, uint32_t connection, const struct turn_source *client)
{
    struct turn_worker *turn = owner;
    return turn_tcp_relay_bind(turn->tcp_relays, connection, client);
}

static void tcp_close(void *owner, uint32_t connection)
{
    struct turn_worker *turn = owner;
    turn_tcp_relay_end(turn->tcp_relays, connection);
}

static const struct turn_ops turn_ops = {
    .send = send_message,
    .relay_open = relay_open,
    .relay_close = relay_close,
    .ended = ended,
    .refused = refused,
    .unauthenticated = unauthenticated,
    .moved = moved,
    .tcp_connect = tcp_connect,
    .tcp_bind = tcp_bind,
    .tcp_close = tcp_close,
};

// What carriers ask for.

struct loop *turn_worker_loop(struct turn_worker *turn)
{
    return &turn->worker->loop;
}

struct log *turn_worker_log(struct turn_worker *turn)
{
    return &turn->log;
}

struct random *turn_worker_random(struct turn_worker *turn)
{
    return &turn->worker->entropy.random;
}

struct turn_server *turn_worker_server(struct turn_worker *turn)
{
    return turn->server;
}

uint32_t turn_worker_index(const struct turn_worker *turn)
{
    return turn->worker->index;
}

const struct turn_shared *turn_worker_shared(const struct turn_worker *turn)
{
    return turn->shared;
}

struct tls_server_context *turn_worker_tls(struct turn_worker *turn)
{
    return turn->tls;
}

struct udp_gather *turn_worker_gather(struct turn_worker *turn)
{
    return turn->gather;
}

void turn_worker_client_input(struct turn_worker *turn, const struct turn_source *source,
                              struct turn_allocation **cache, struct bytes message)
{
    struct turn_forward forward;
    if (turn_server_client_input(turn->server, turn_now_us(turn), source, cache, message,
                                 &forward) == TURN_FORWARD)
        turn_worker_forward(turn, &forward);
}

void turn_worker_flush(struct turn_worker *turn)
{
    turn_worker_flush_media(turn);
    udp_gather_flush(turn->gather);
}

void turn_worker_schedule(struct turn_worker *turn)
{
    loop_timer_set(&turn->timer, turn_server_deadline(turn->server));
}

static void timer_expired(struct loop_timer *timer, uint64_t now_us)
{
    struct turn_worker *turn = container_of(timer, struct turn_worker, timer);
    turn_server_tick(turn->server, now_us);
}

/** Fewer allocations than this are no peak whose memory is missed elsewhere. */
#define PEAK_MIN 1000

/** After a peak its memory lies free in the heap: it goes back to the system. */
static void give_memory_back(struct turn_worker *turn)
{
    size_t count = turn_server_allocation_count(turn->server);
    turn->peak = max_of(turn->peak, count);
    if (turn->peak < PEAK_MIN || count > turn->peak / 4)
        return;
    turn->peak = count;
    heap_trim();
}

/** End of a turn: all that moved the engine's deadline or closed sockets has happened. */
static void end_of_turn(struct loop_hook *hook)
{
    struct turn_worker *turn = container_of(hook, struct turn_worker, flush);
    turn_worker_flush(turn);
    udp_memory_release(turn->memory);
    turn_streams_flush(turn->streams);
    turn_relay_sockets_free_closed(turn);
    give_memory_back(turn);
    turn_worker_schedule(turn);
}

// Life.

/** Received bytes of relays are about to be overwritten: what refers to them goes out. */
static void release_received(void *owner)
{
    turn_worker_flush(owner);
}

static struct turn_server *new_server(struct turn_worker *turn)
{
    const struct turn_shared *shared = turn->shared;
    struct turn_server_config config = {
        .worker = turn->worker->index,
        .worker_count = shared->count,
        .ports = shared->ports,
        .quota = shared->quota,
        .nonce_key = &shared->nonce_key,
        .settings = shared->settings,
        .random = turn_worker_random(turn),
        .unix_offset_us = shared->unix_offset_us,
        .allocations_max = shared->allocations_max,
        .relays_at_once = shared->options.relay_sockets_at_once,
        .ops = &turn_ops,
        .owner = turn,
        .metrics = turn->counters,
    };
    return turn_server_new(&config);
}

static int open_discovery(struct turn_worker *turn)
{
    struct turn_shared *shared = turn->shared;
    bool first = turn->worker->index == 0;
    struct turn_nat_discovery_config config = {
        .loop = &turn->worker->loop,
        .socket = turn->main.socket,
        .socket_is_bound = udp_socket_address(turn->main.socket).family != NET_NONE,
        .addresses = { shared->discovery[0], shared->discovery[1] },
        .external = { shared->discovery_external[0], shared->discovery_external[1] },
        .other_port = first ? shared->options.discovery_port : shared->discovery_port,
        .first = first,
        .quota = shared->quota,
    };
    int error = turn_nat_discovery_new(&config, &turn->discovery);
    if (error == 0 && first)
        shared->discovery_port = turn_nat_discovery_port(turn->discovery);
    return error;
}

static int open_sockets(struct turn_worker *turn)
{
    const struct turn_options *options = &turn->shared->options;
    int error = handoff_init(&turn->clients, &turn->worker->loop, HANDOFF_CAPACITY,
                             turn_clients_received, turn);
    if (!error)
        error = handoff_init(&turn->relays, &turn->worker->loop, HANDOFF_CAPACITY,
                             turn_inside_received, turn);
    if (!error && options->tls_udp)
        error = turn_udp_open_second(turn);
    if (!error && turn->shared->discovery[0].family != NET_NONE)
        error = open_discovery(turn);
    if (!error && options->dtls && turn->certificate)
        turn->dtls = turn_dtls_new(turn, turn->certificate);
    return error;
}

int turn_worker_new(struct worker *worker, struct turn_shared *shared, struct udp_socket *socket,
                    turn_worker_media *media, void *media_owner, struct turn_worker **ret_turn)
{
    struct turn_worker *turn = memory_new(struct turn_worker);
    turn->worker = worker;
    turn->shared = shared;
    turn->media = media;
    turn->media_owner = media_owner;
    turn->log = (struct log){ shared->log_sink, "turn", &worker->log_rate };
    turn->account = (struct log){ shared->log_sink, "turn", NULL };
    snprintf(turn->labels, sizeof(turn->labels), "worker=\"%u\"", worker->index);
    snprintf(turn->dtls_labels, sizeof(turn->dtls_labels), "server=\"turn\",%s", turn->labels);
    if (worker->index == 0) {
        shared->group = worker->group;
        shared->udp_port = udp_socket_port(socket);
    }
    list_init(&turn->closed_relays);
    uint64_t secret[2];
    random_fill(turn_worker_random(turn), secret, sizeof(secret));
    map_init(&turn->routes, secret);
    turn->gather = udp_gather_new();
    turn->memory = udp_memory_new();
    udp_memory_keep(turn->memory, release_received, turn);
    turn->tls = shared->tls ? tls_server_context_ref(shared->tls) : NULL;
    turn->certificate = shared->certificate ? certificate_ref(shared->certificate) : NULL;
    turn->server = new_server(turn);
    const struct turn_stream_options streams = {
        .queue_us = shared->options.stream_queue_us,
        .unallocated_us = shared->options.stream_timeout_us,
    };
    turn->streams = turn_streams_new(turn, &streams);
    turn->tcp_relays = turn_tcp_relays_new(turn, turn->streams);
    turn_udp_init(&turn->main, turn, socket);
    loop_timer_init(&turn->timer, &worker->loop, timer_expired);
    loop_hook_init(&turn->flush, end_of_turn);
    loop_hook_add(&worker->loop, &turn->flush);
    int error = open_sockets(turn);
    if (error) {
        turn_worker_stop(turn);
        turn_worker_free(turn);
        return error;
    }
    atomic_store(&shared->workers[worker->index], turn);
    *ret_turn = turn;
    return 0;
}

/** While carriers and relays are there to hear of it. */
static void end_allocations(struct turn_worker *turn)
{
    uint32_t cursor = 0;
    struct turn_allocation_info info;
    while (turn_server_next(turn->server, &cursor, &info))
        (void)!turn_server_kill(turn->server, turn_now_us(turn), info.id, TURN_END_STOPPED);
}

void turn_worker_stop(struct turn_worker *turn)
{
    if (!turn)
        return;
    end_allocations(turn);
    turn->tcp_relays = turn_tcp_relays_free(turn->tcp_relays);
    turn->streams = turn_streams_free(turn->streams);
    turn->server = turn_server_free(turn->server);
    turn->dtls = turn_dtls_free(turn->dtls);
    turn_worker_flush(turn);
    turn->discovery = turn_nat_discovery_free(turn->discovery);
    turn_relay_sockets_free_closed(turn);
    loop_timer_cancel(&turn->timer);
    loop_hook_remove(&turn->flush);
    turn->second.socket = udp_socket_close(turn->second.socket);
}

struct turn_worker *turn_worker_free(struct turn_worker *turn)
{
    if (!turn)
        return NULL;
    handoff_done(&turn->clients);
    handoff_done(&turn->relays);
    map_done(&turn->routes);
    udp_gather_free(turn->gather);
    udp_memory_free(turn->memory);
    tls_server_context_unref(turn->tls);
    certificate_unref(turn->certificate);
    free(turn);
    return NULL;
}

void turn_worker_metric_sets(const struct turn_worker *turn,
                             struct metric_set ret_sets[TURN_WORKER_METRIC_SETS])
{
    ret_sets[0] = (struct metric_set){ turn_metric_descriptions, turn->counters, TURN_METRIC_COUNT,
                                       turn->labels };
    ret_sets[1] = (struct metric_set){ turn_worker_metric_descriptions, turn->metrics,
                                       TURN_WORKER_METRIC_COUNT, turn->labels };
    ret_sets[2] = turn_streams_metrics(turn->streams, turn->labels);
    ret_sets[3] = ret_sets[4] = ret_sets[5] = (struct metric_set){ .labels = turn->labels };
    if (turn->dtls)
        turn_dtls_metric_sets(turn->dtls, turn->labels, &ret_sets[3]);
    ret_sets[4].labels = turn->dtls_labels;
    if (turn->discovery)
        ret_sets[5] = turn_nat_discovery_metrics(turn->discovery, turn->labels);
}

void turn_worker_set_media_stream(struct turn_worker *turn, turn_worker_media_stream *take)
{
    turn->media_stream = take;
}

int turn_worker_give_media_stream(struct turn_worker *turn,
                                  const struct media_message_stream *message)
{
    if (!turn->media_stream)
        return -ENOTSUP;
    turn->media_stream(turn->media_owner, message);
    return 0;
}
