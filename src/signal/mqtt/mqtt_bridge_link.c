// The connection of a bridge: addresses looked up and tried one after the other, bytes to and from
// the engine, the goodbye.
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "proto/mqtt/mqtt_packet.h"
#include "runtime/secure_stream.h"
#include "runtime/tcp.h"
#include "signal/mqtt/mqtt_bridge_int.h"

#define CONNECT_US (15 * TIME_US_PER_S)
#define FINISH_US  (2 * TIME_US_PER_S)
#define PORT       1883
#define PORT_TLS   8883
/** Unsent beyond it, messages wait in our broker, which knows how to drop them. */
#define UNSENT_MAX (64u << 10)

/** ---- one connection ---- */

static uint64_t now_of(const struct mqtt_bridge *bridge)
{
    return loop_now_us(bridge->all->config.loop);
}

static void lost(struct mqtt_bridge *bridge)
{
    bridge->stream = stream_close(bridge->stream);
    bridge->is_open = bridge->paused = false;
    bridge_lost(bridge->engine, now_of(bridge));
    mqtt_bridge_settle(bridge);
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
    mqtt_bridge_settle(bridge);
}

static void stream_opened(void *owner, struct stream *stream)
{
    struct mqtt_bridge *bridge = owner;
    bridge->is_open = true;
    bridge->remote = stream_remote(stream);
    stream_set_deadline(stream, TIME_NEVER);
    bridge_connected(bridge->engine, now_of(bridge));
    mqtt_bridge_settle(bridge);
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
    mqtt_bridge_settle(bridge);
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
    mqtt_bridge_log_failed(bridge, why,
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
    mqtt_bridge_log_failed(bridge, strerror(-result), "too many names are being looked up");
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

void mqtt_bridge_settle(struct mqtt_bridge *bridge)
{
    struct mqtt_bridges *all = bridge->all;
    struct bridge_news news;
    write_out(bridge);
    while (bridge_next_news(bridge->engine, &news))
        mqtt_bridge_log_news(bridge, &news);
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
    mqtt_bridge_settle(bridge);
}

void mqtt_bridge_run(void *socket)
{
    struct mqtt_bridge *bridge = socket;
    bridge_run(bridge->engine, now_of(bridge));
    if (bridge->paused)
        feed(bridge);
    else
        mqtt_bridge_settle(bridge);
}

/** ---- life ---- */

void mqtt_bridge_link_init(struct mqtt_bridge *bridge)
{
    loop_timer_init(&bridge->timer, bridge->all->config.loop, tick);
}

void mqtt_bridge_link_end(struct mqtt_bridge *bridge)
{
    write_out(bridge);
    hang_up(bridge);
    resolver_cancel(bridge->query);
    bridge->query = NULL;
    loop_timer_cancel(&bridge->timer);
}

void mqtt_bridge_link_done(struct mqtt_bridge *bridge)
{
    resolver_cancel(bridge->query);
    stream_close(bridge->stream);
    stream_close(bridge->leaving);
    loop_timer_cancel(&bridge->timer);
}
