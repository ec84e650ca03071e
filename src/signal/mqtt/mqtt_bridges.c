#include "signal/mqtt/mqtt_bridges.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/mqtt/mqtt_packet.h"
#include "runtime/resolver.h"
#include "runtime/secure_stream.h"
#include "runtime/tcp.h"
#include "signal/mqtt/mqtt_bridge_remedy.h"

#define THREADS    1
#define CONNECT_US (15 * TIME_US_PER_S)
#define FINISH_US  (2 * TIME_US_PER_S)
#define PORT       1883
#define PORT_TLS   8883
/** Unsent beyond it, messages wait in our broker, which knows how to drop them. */
#define UNSENT_MAX (64u << 10)

struct mqtt_bridges {
    struct mqtt_bridges_config config;
    struct jobs *jobs;
    struct job_inbox inbox;
    struct list list; /**< struct mqtt_bridge */
    bool draining;
};

struct mqtt_bridge {
    struct list node;
    struct mqtt_bridges *all;
    struct mqtt_bridge_spec spec;
    char client_id[160];
    char state_topic[224];
    char labels[80];
    struct bridge *engine;
    struct loop_timer timer;
    struct resolver_query *query; /**< NULL: no name is being looked up */
    struct resolver_result found; /**< addresses to try */
    size_t found_at;
    size_t address_at; /**< of the spec's addresses, the one in use */
    struct stream *stream;
    struct stream *leaving; /**< the one before, which is saying goodbye */
    struct net_address remote;
    char problem[TLS_ERROR_SIZE]; /**< why it could not connect: told once */
    bool is_open;                 /**< the stream is connected */
    bool paused;
};

/** ---- log ---- */

static const char *version_text(enum mqtt_version version)
{
    return version == MQTT_5 ? "5.0" : "3.1.1";
}

static void log_news(struct mqtt_bridge *bridge, const struct bridge_news *news)
{
    const struct log *log = bridge->all->config.log;
    struct log_field name = log_text("bridge", bridge->spec.name);
    struct log_field remote = log_address("remote", &bridge->remote);
    struct log_field reason = log_number("reason", news->reason);
    switch (news->kind) {
    case BRIDGE_NEWS_UP:
        bridge->problem[0] = '\0';
        log_info(log, "MQTT bridge connected", name, remote,
                 log_text("version", version_text(news->version)),
                 log_text("session", news->session_present ? "kept" : "new"));
        break;
    case BRIDGE_NEWS_REFUSED:
        log_warning(log, "MQTT bridge refused by the other broker", name, remote, reason,
                    log_text("remedy", mqtt_bridge_remedy(news->reason)));
        break;
    case BRIDGE_NEWS_SILENT:
        log_warning(log, "MQTT bridge: the other broker does not answer", name, remote);
        break;
    case BRIDGE_NEWS_LOST:
        log_warning(log, "MQTT bridge: the connection is lost", name, remote);
        break;
    case BRIDGE_NEWS_ENDED:
        log_warning(log, "MQTT bridge: the other broker has ended the connection", name, remote,
                    reason, log_text("remedy", mqtt_bridge_remedy(news->reason)));
        break;
    case BRIDGE_NEWS_BROKEN:
        log_warning(log, "MQTT bridge: the other broker sends what cannot be", name, remote, reason,
                    log_text("remedy", mqtt_bridge_remedy(news->reason)));
        break;
    case BRIDGE_NEWS_LOOP:
        log_warning(log, "MQTT bridge not made: messages would come back", name, remote,
                    log_text("remedy", "the other broker has neither 5.0 nor the bridges of 3.1.1: "
                                       "give in and out different remote prefixes"));
        break;
    case BRIDGE_NEWS_FILTER:
        log_warning(log, "MQTT bridge: a subscription was refused", name, remote, reason,
                    log_text("filter", news->text),
                    log_text("remedy", "let its user read that topic there"));
        break;
    case BRIDGE_NEWS_MESSAGE:
        log_warning(log, "MQTT bridge: messages are refused", name, remote, reason,
                    log_text("remedy", "let its user write those topics there"));
        break;
    }
}

static void log_failed(struct mqtt_bridge *bridge, const char *why, const char *remedy)
{
    struct bytes problem = bytes_of_text(why);
    if (text_equal(problem, bridge->problem))
        return;
    problem.size = min_of(problem.size, sizeof(bridge->problem) - 1);
    if (text_copy(bridge->problem, sizeof(bridge->problem), problem) < 0)
        bridge->problem[0] = '\0';
    log_warning(bridge->all->config.log, "MQTT bridge cannot connect",
                log_text("bridge", bridge->spec.name),
                log_text("address", bridge->spec.addresses[bridge->address_at].host),
                log_text("problem", why), log_text("remedy", remedy));
}

/** ---- one connection ---- */

static void settle(struct mqtt_bridge *bridge);

static uint64_t now_of(const struct mqtt_bridge *bridge)
{
    return loop_now_us(bridge->all->config.loop);
}

static void lost(struct mqtt_bridge *bridge)
{
    bridge->stream = stream_close(bridge->stream);
    bridge->is_open = bridge->paused = false;
    bridge_lost(bridge->engine, now_of(bridge));
    settle(bridge);
}

static void feed(struct mqtt_bridge *bridge)
{
    while (bridge->is_open) {
        size_t taken = bridge_input(bridge->engine, now_of(bridge), stream_input(bridge->stream));
        stream_consume(bridge->stream, taken);
        if (taken == 0)
            break;
    }
    bool busy = bridge_is_busy(bridge->engine);
    if (bridge->is_open && busy != bridge->paused) {
        bridge->paused = busy;
        stream_pause(bridge->stream, busy);
    }
    settle(bridge);
}

static void stream_opened(void *owner, struct stream *stream)
{
    struct mqtt_bridge *bridge = owner;
    bridge->is_open = true;
    bridge->remote = stream_remote(stream);
    stream_set_deadline(stream, TIME_NEVER);
    bridge_connected(bridge->engine, now_of(bridge));
    settle(bridge);
}

static void stream_readable(void *owner, struct stream *stream)
{
    (void)stream;
    feed(owner);
}

static void stream_ended(void *owner, struct stream *stream)
{
    (void)stream;
    struct mqtt_bridge *bridge = owner;
    if (!bridge->is_open)
        return;
    feed(bridge);
    // what it said last may have ended the connection already
    if (bridge->stream)
        lost(bridge);
}

static void stream_writable(void *owner, struct stream *stream)
{
    (void)stream;
    struct mqtt_bridge *bridge = owner;
    bridge_block(bridge->engine, false);
    settle(bridge);
}

static void connect_next(struct mqtt_bridge *bridge, const char *why);

static void stream_closed(void *owner, struct stream *stream, enum stream_close_reason reason,
                          int error)
{
    struct mqtt_bridge *bridge = owner;
    if (bridge->is_open) {
        lost(bridge);
        return;
    }
    char why[TLS_ERROR_SIZE] = "";
    struct text_builder text = text_builder_of(why, sizeof(why));
    const struct tls_stream *tls = secure_stream_tls(stream);
    if (reason == STREAM_TLS_FAILED && tls)
        text_append(&text, tls_stream_error(tls));
    else
        text_append(&text, reason == STREAM_TIMED_OUT ? "no answer"
                           : error                    ? strerror(-error)
                                                      : "the connection was closed");
    bridge->stream = stream_close(bridge->stream);
    connect_next(bridge, why);
}

static const struct stream_handler handler = {
    .opened = stream_opened,
    .readable = stream_readable,
    .ended = stream_ended,
    .writable = stream_writable,
    .closed = stream_closed,
};

/** One that is saying goodbye is not in the way of the next. */
static void farewell_closed(void *owner, struct stream *stream, enum stream_close_reason reason,
                            int error)
{
    (void)stream, (void)reason, (void)error;
    struct mqtt_bridge *bridge = owner;
    bridge->leaving = stream_close(bridge->leaving);
}

static void farewell_readable(void *owner, struct stream *stream)
{
    (void)owner, (void)stream;
}

static const struct stream_handler farewell = { .readable = farewell_readable,
                                                .closed = farewell_closed };

/** ---- calling ---- */

static struct stream_limits limits_of(const struct mqtt_bridge *bridge)
{
    size_t packet = (size_t)bridge->all->config.packet_size_max + MQTT_HEADER_SIZE_MAX;
    // prefixes make the packets of one turn longer, a few hundred bytes each
    return (struct stream_limits){ .input_bytes = max_of(packet, (size_t)(64u << 10)),
                                   .output_bytes = (16u << 20) + 2 * packet,
                                   .high_water_bytes = UNSENT_MAX };
}

static int connect_to(struct mqtt_bridge *bridge, const struct net_address *address)
{
    struct stream_limits limits = limits_of(bridge);
    int result = tcp_stream_connect(bridge->all->config.loop, address, &limits, &handler, bridge,
                                    &bridge->stream);
    if (result < 0)
        return result;
    bridge->remote = *address;
    if (bridge->spec.tls)
        bridge->stream = secure_stream_new_client(bridge->stream, bridge->spec.tls,
                                                  bridge->spec.addresses[bridge->address_at].host,
                                                  &limits, &handler, bridge);
    stream_set_deadline(bridge->stream, now_of(bridge) + CONNECT_US);
    return 0;
}

/** The next of its addresses; `why` the one before did not do. */
static void connect_next(struct mqtt_bridge *bridge, const char *why)
{
    while (bridge->found_at < bridge->found.count) {
        int result = connect_to(bridge, &bridge->found.addresses[bridge->found_at++]);
        if (result == 0)
            return;
        why = strerror(-result);
    }
    log_failed(bridge, why,
               bridge->spec.tls
                   ? "see whether the other broker listens there with TLS, and whether "
                     "bridge_cafile and the address are those of its certificate"
                   : "see whether the other broker listens there, without TLS");
    bridge->address_at = (bridge->address_at + 1) % bridge->spec.address_count;
    lost(bridge);
}

static void resolved(void *owner, const struct resolver_result *result)
{
    struct mqtt_bridge *bridge = owner;
    bridge->query = NULL;
    bridge->found = *result;
    bridge->found_at = 0;
    connect_next(bridge, result->error == -ENOENT ? "there is no such name"
                                                  : "its name cannot be looked up for now");
}

static void call(struct mqtt_bridge *bridge)
{
    const struct mqtt_bridge_address *address = &bridge->spec.addresses[bridge->address_at];
    uint16_t port = address->port ? address->port : bridge->spec.tls ? PORT_TLS : PORT;
    int result =
        resolver_lookup(&bridge->all->inbox, address->host, port, resolved, bridge, &bridge->query);
    if (result == 0)
        return;
    log_failed(bridge, strerror(-result), "too many names are being looked up");
    lost(bridge);
}

/** ---- after every step ---- */

static void write_out(struct mqtt_bridge *bridge)
{
    struct bytes output = bridge_output(bridge->engine);
    if (!bridge->is_open || output.size == 0)
        return;
    int result = stream_write(bridge->stream, output);
    bridge_sent(bridge->engine, output.size);
    if (result < 0)
        // it reads nothing, or is gone: the stream tells in its time
        stream_set_deadline(bridge->stream, now_of(bridge));
    bridge_block(bridge->engine, stream_unsent(bridge->stream) > UNSENT_MAX);
    if (stream_unsent(bridge->stream) > UNSENT_MAX)
        stream_notify_drained(bridge->stream);
}

static void hang_up(struct mqtt_bridge *bridge)
{
    if (bridge->stream && bridge->is_open) {
        stream_close(bridge->leaving);
        bridge->leaving = bridge->stream;
        bridge->stream = NULL;
        stream_set_handler(bridge->leaving, &farewell, bridge);
        stream_finish(bridge->leaving, FINISH_US);
    }
    bridge->stream = stream_close(bridge->stream);
    bridge->is_open = bridge->paused = false;
    bridge_lost(bridge->engine, now_of(bridge));
}

static void settle(struct mqtt_bridge *bridge)
{
    struct mqtt_bridges *all = bridge->all;
    struct bridge_news news;
    write_out(bridge);
    while (bridge_next_news(bridge->engine, &news))
        log_news(bridge, &news);
    if (bridge_state(bridge->engine) == BRIDGE_CLOSING)
        hang_up(bridge);
    if (bridge_state(bridge->engine) == BRIDGE_CALLING && !bridge->stream && !bridge->query &&
        !all->draining)
        call(bridge);
    loop_timer_set(&bridge->timer, bridge_deadline(bridge->engine));
    all->config.wake(all->config.owner);
}

static void tick(struct loop_timer *timer, uint64_t now_us)
{
    struct mqtt_bridge *bridge = container_of(timer, struct mqtt_bridge, timer);
    bridge_tick(bridge->engine, now_us);
    settle(bridge);
}

void mqtt_bridge_run(void *socket)
{
    struct mqtt_bridge *bridge = socket;
    bridge_run(bridge->engine, now_of(bridge));
    if (bridge->paused)
        feed(bridge);
    else
        settle(bridge);
}

/** ---- one bridge ---- */

static void name_all(struct mqtt_bridge *bridge)
{
    const struct mqtt_bridge_spec *spec = &bridge->spec;
    // as Mosquitto has it: two machines with the same file are two clients
    snprintf(bridge->client_id, sizeof(bridge->client_id), "%.80s.%.64s",
             bridge->all->config.host_name, spec->name);
    const char *client_id = spec->client_id ? spec->client_id : bridge->client_id;
    snprintf(bridge->state_topic, sizeof(bridge->state_topic),
             "$SYS/broker/connection/%.160s/state", client_id);
    snprintf(bridge->labels, sizeof(bridge->labels), "bridge=\"%.64s\"", spec->name);
}

static struct bridge_config config_of(struct mqtt_bridge *bridge)
{
    const struct mqtt_bridge_spec *spec = &bridge->spec;
    const struct mqtt_bridges_config *config = &bridge->all->config;
    const char *topic = spec->notification_topic ? spec->notification_topic : bridge->state_topic;
    return (struct bridge_config){
        .broker = config->broker,
        .random = config->random,
        .socket = bridge,
        .topics = spec->topics,
        .name = spec->name,
        .client_id = spec->client_id ? spec->client_id : bridge->client_id,
        .user = bytes_of_text(spec->user ? spec->user : ""),
        .password = bytes_of_text(spec->password ? spec->password : ""),
        .protocol = spec->protocol,
        .clean = spec->clean,
        .no_bridge_bit = spec->no_bridge_bit,
        .drop_retain = spec->drop_retain,
        .notification_topic = spec->no_notifications ? NULL : topic,
        .notify_here_only = spec->notify_here_only,
        .keep_alive_s = (uint16_t)spec->keep_alive_s,
        .session_expiry_s = spec->session_expiry_s,
        .receive_max = (uint16_t)spec->receive_max,
        .packet_size_max = config->packet_size_max,
        .queue_count_max = spec->queue_count_max,
        .queue_bytes_max = spec->queue_bytes_max,
        .restart_min_us = spec->restart_min_s * TIME_US_PER_S,
        .restart_max_us = spec->restart_max_s * TIME_US_PER_S,
    };
}

static struct metric_set metrics_of(const struct mqtt_bridge *bridge)
{
    struct metric_set set = bridge_metrics(bridge->engine);
    set.labels = bridge->labels;
    return set;
}

static void bridge_start(struct mqtt_bridges *bridges, struct mqtt_bridge_spec *spec)
{
    struct mqtt_bridge *bridge = memory_new(struct mqtt_bridge);
    bridge->all = bridges;
    bridge->spec = *spec;
    *spec = (struct mqtt_bridge_spec){ 0 };
    name_all(bridge);
    list_append(&bridges->list, &bridge->node);
    loop_timer_init(&bridge->timer, bridges->config.loop, tick);
    struct bridge_config config = config_of(bridge);
    bridge->engine = bridge_new(&config, now_of(bridge));
    struct metric_set set = metrics_of(bridge);
    bridges->config.metrics(bridges->config.owner, &set, true);
    settle(bridge);
}

/** `forget`: for good, with what waits in its session. */
static void bridge_end(struct mqtt_bridge *bridge, bool forget)
{
    bridge_stop(bridge->engine, now_of(bridge), forget);
    write_out(bridge);
    hang_up(bridge);
    resolver_cancel(bridge->query);
    bridge->query = NULL;
    loop_timer_cancel(&bridge->timer);
}

static void bridge_dispose(struct mqtt_bridge *bridge)
{
    resolver_cancel(bridge->query);
    stream_close(bridge->stream);
    stream_close(bridge->leaving);
    loop_timer_cancel(&bridge->timer);
    bridge_free(bridge->engine, now_of(bridge));
    list_remove(&bridge->node);
    mqtt_bridge_spec_done(&bridge->spec);
    free(bridge);
}

/** ---- all ---- */

/** The bridge that a spec describes, and nothing else; NULL: none. */
static struct mqtt_bridge_spec *same_of(struct mqtt_bridge_specs *specs,
                                        const struct mqtt_bridge *bridge)
{
    for (size_t i = 0; i < specs->count; i++) {
        struct mqtt_bridge_spec *spec = &specs->items[i];
        if (spec->name && strcmp(spec->name, bridge->spec.name) == 0)
            return spec;
    }
    return NULL;
}

void mqtt_bridges_set(struct mqtt_bridges *bridges, struct mqtt_bridge_specs *specs)
{
    struct mqtt_bridge *bridge;
    list_each(bridge, &bridges->list, node)
    {
        struct mqtt_bridge_spec *spec = same_of(specs, bridge);
        struct bytes was = bytes_of(bridge->spec.identity, bridge->spec.identity_size);
        if (spec && bytes_equal(was, bytes_of(spec->identity, spec->identity_size))) {
            mqtt_bridge_spec_done(spec);
            continue;
        }
        log_info(bridges->config.log, spec ? "MQTT bridge changed" : "MQTT bridge taken down",
                 log_text("bridge", bridge->spec.name));
        struct metric_set set = metrics_of(bridge);
        bridges->config.metrics(bridges->config.owner, &set, false);
        bridge_end(bridge, !spec);
        bridge_dispose(bridge);
    }
    for (size_t i = 0; i < specs->count; i++) {
        if (specs->items[i].name)
            bridge_start(bridges, &specs->items[i]);
    }
    mqtt_bridge_specs_done(specs);
}

int mqtt_bridges_new(const struct mqtt_bridges_config *config, struct mqtt_bridges **ret_bridges)
{
    struct mqtt_bridges *bridges = memory_new(struct mqtt_bridges);
    bridges->config = *config;
    list_init(&bridges->list);
    int result = jobs_start(THREADS, 0, &bridges->jobs);
    if (result == 0)
        result = job_inbox_init(&bridges->inbox, config->loop, bridges->jobs);
    if (result < 0) {
        mqtt_bridges_free(bridges);
        return result;
    }
    *ret_bridges = bridges;
    return 0;
}

struct mqtt_bridges *mqtt_bridges_free(struct mqtt_bridges *bridges)
{
    if (!bridges)
        return NULL;
    bridges->draining = true;
    struct mqtt_bridge *bridge;
    list_each(bridge, &bridges->list, node) bridge_dispose(bridge);
    job_inbox_done(&bridges->inbox);
    jobs_stop(bridges->jobs);
    free(bridges);
    return NULL;
}

void mqtt_bridges_drain(struct mqtt_bridges *bridges)
{
    bridges->draining = true;
    struct mqtt_bridge *bridge;
    list_each(bridge, &bridges->list, node) bridge_end(bridge, false);
}
