// One connection of a TURN client: its first bytes, its messages, and moving to another worker.
#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "proto/proxy/proxy_header.h"
#include "proto/stun/stun.h"
#include "runtime/secure_stream.h"
#include "runtime/tcp.h"
#include "server/media_stream.h"
#include "server/protocol_sniff.h"
#include "server/turn_host.h"
#include "server/turn_stream_int.h"

static const struct stream_limits stranger_limits = { .input_bytes = TURN_STREAM_STRANGER_BYTES };
/** Under TLS: two records. */
static const struct stream_limits transport_limits = { .input_bytes = 34u << 10 };

// --- life ---

static void timer_expired(struct loop_timer *timer, uint64_t unused_now unused)
{
    struct turn_stream *stream = container_of(timer, struct turn_stream, timer);
    bool silent = stream->phase < TURN_STREAM_MESSAGES;
    turn_stream_end(stream, silent ? TURN_STREAM_CLOSED_HANDSHAKE : TURN_STREAM_CLOSED_UNALLOCATED,
                    true);
}

struct turn_stream *turn_stream_new(struct turn_streams *streams,
                                    const struct turn_connection_origin *origin)
{
    struct turn_stream *stream = memory_new(struct turn_stream);
    stream->carrier.ops = &turn_stream_ops;
    stream->streams = streams;
    stream->origin = *origin;
    stream->source = (struct turn_source){ .transport = TURN_TCP, .carrier = &stream->carrier };
    list_init(&stream->dirty);
    list_init(&stream->node);
    list_append(&streams->all, &stream->node);
    loop_timer_init(&stream->timer, turn_worker_loop(streams->turn), timer_expired);
    metric_add(&streams->metrics[TURN_STREAM_OPEN], 1);
    return stream;
}

struct turn_stream *turn_stream_of(const struct turn_source *source)
{
    struct turn_carrier *carrier = source->carrier;
    if (!carrier || carrier->ops != &turn_stream_ops)
        return NULL;
    return container_of(carrier, struct turn_stream, carrier);
}

void turn_stream_end(struct turn_stream *stream, enum turn_stream_metric reason, bool orderly)
{
    if (stream->closing)
        return;
    turn_stream_count(stream->streams, reason);
    loop_timer_cancel(&stream->timer);
    stream->closing = true;
    stream->orderly = orderly;
    turn_stream_touch(stream);
}

void turn_stream_end_dead(struct turn_stream *stream, enum turn_stream_metric reason)
{
    turn_stream_end(stream, reason, false);
    stream->dead = true;
    turn_stream_touch(stream);
}

/** It speaks TURN: from now on it is a client. */
static void become_client(struct turn_stream *stream)
{
    struct turn_streams *streams = stream->streams;
    bool secure = stream_is_secure(stream->stream);
    stream->phase = TURN_STREAM_MESSAGES;
    stream->source.transport = secure ? TURN_TLS : TURN_TCP;
    // what others' clients are used to: some take a TLS record for a message
    stream_set_record_per_write(stream->stream, true);
    turn_stream_count(streams, secure ? TURN_STREAM_OPENED_TLS : TURN_STREAM_OPENED_TCP);
    tcp_stream_set_unsent_limit(stream->stream, streams->options.kernel_unsent_bytes);
    tcp_stream_set_keepalive(stream->stream, TURN_STREAM_KEEPALIVE_IDLE_S,
                             TURN_STREAM_KEEPALIVE_INTERVAL_S);
    loop_timer_set_after(&stream->timer, streams->options.unallocated_us);
}

void turn_streams_connection(struct turn_streams *streams,
                             const struct turn_message_connection *message)
{
    struct turn_stream *stream = turn_stream_new(streams, &message->origin);
    int error = tcp_stream_new(turn_worker_loop(streams->turn), message->fd, &stranger_limits,
                               &turn_stream_handler, stream, &stream->stream);
    if (error) {
        turn_stream_end_dead(stream, TURN_STREAM_CLOSED_RESET);
        return;
    }
    struct net_address local = stream_local(stream->stream);
    struct net_address remote = stream_remote(stream->stream);
    stream->source.path.local = net_address_unmapped(&local);
    stream->source.path.remote = net_address_unmapped(&remote);
    stream->phase = message->origin.proxy ? TURN_STREAM_PROXY : TURN_STREAM_FIRST;
    loop_timer_set_after(&stream->timer, streams->options.handshake_us);
}

void turn_streams_adopt(struct turn_streams *streams, const struct turn_message_stream *message)
{
    struct turn_stream *stream = turn_stream_new(streams, &message->origin);
    int error = stream_attach(message->parcel, turn_worker_loop(streams->turn),
                              &turn_stream_handler, stream, &stream->stream);
    if (error) {
        turn_stream_end_dead(stream, TURN_STREAM_CLOSED_RESET);
        return;
    }
    stream->source.path.local = net_address_unmapped(&message->local);
    stream->source.path.remote = net_address_unmapped(&message->client);
    stream_set_limits(stream->stream, &stranger_limits);
    if (message->sniffed) {
        become_client(stream);
        if (message->ends_us != 0)
            loop_timer_set(&stream->timer, message->ends_us);
        return;
    }
    bool secure = stream_is_secure(stream->stream);
    stream->phase = secure ? TURN_STREAM_SECURE : TURN_STREAM_FIRST;
    loop_timer_set_after(&stream->timer, streams->options.handshake_us);
}

// --- moving ---

/** The allocation that the client speaks of lives with another worker: so does the client now. */
static void move(struct turn_stream *stream, uint32_t worker)
{
    struct turn_streams *streams = stream->streams;
    turn_stream_hand_over(stream);
    struct turn_message_stream message = {
        .parcel = stream_detach(stream->stream),
        .origin = stream->origin,
        .client = stream->source.path.remote,
        .local = stream->source.path.local,
        .ends_us = stream->timer.deadline_us, // or who keeps moving could stay for ever
        .sniffed = true,
    };
    stream->stream = NULL;
    struct worker_group *group = turn_worker_shared(streams->turn)->group;
    if (worker_group_send(group, worker, TURN_MESSAGE_STREAM, &message, sizeof(message)) < 0) {
        stream_parcel_free(message.parcel);
        turn_stream_end_dead(stream, TURN_STREAM_CLOSED_BUSY);
        return;
    }
    stream->origin.limited = false; // its place goes along
    turn_stream_end_dead(stream, TURN_STREAM_CLOSED_MOVED);
}

/** Another worker than this one that a stranger's message must reach; or -ENOENT. */
static int foreign_worker(const struct turn_stream *stream, struct bytes message)
{
    if (stream->allocated || stream->cache)
        return -ENOENT;
    struct turn_worker *turn = stream->streams->turn;
    int worker = turn_message_worker(turn_worker_server(turn), message);
    return worker >= 0 && (uint32_t)worker != turn_worker_index(turn) ? worker : -ENOENT;
}

// --- messages ---

/**
 * Whole messages on a stream (RFC 8656 section 12.5): STUN is a multiple of four, ChannelData is
 * padded to one, and the padding is not in its length.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |0 1|     Channel Number        |            Length             |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                application data, padding                      |
 *
 * RFC 8656 ends the channels at 0x4fff; clients of RFC 5766 use them up to 0x7fff.
 *
 * Returns the size without padding, 0 when more bytes are needed, or -EBADMSG for neither.
 */
static int message_size(struct bytes rest)
{
    if (rest.size < 4)
        return 0;
    if (rest.data[0] >= 0x80)
        return -EBADMSG;
    if (rest.data[0] >= 0x40)
        return 4 + load_u16(rest.data + 2);
    return stun_message_stream_size(rest.data, rest.size);
}

static size_t padded(int size)
{
    return ((size_t)size + 3) & ~(size_t)3;
}

/** Ends the stream when what comes next is no message, or one that a stranger may not send. */
static bool is_acceptable(struct turn_stream *stream, int size)
{
    if (size < 0) {
        turn_stream_end(stream, TURN_STREAM_CLOSED_NOT_TURN, false);
        return false;
    }
    bool stranger = !stream->allocated && !stream->cache;
    if (stranger && padded(size) > TURN_STREAM_STRANGER_BYTES) {
        turn_stream_end(stream, TURN_STREAM_CLOSED_TOO_LARGE, false);
        return false;
    }
    return true;
}

/**
 * All whole messages that have arrived: their data leaves together, and only then the bytes go.
 * Returns the worker to move to before the first message left, or -ENOENT.
 */
static int take_messages(struct turn_stream *stream)
{
    struct turn_streams *streams = stream->streams;
    struct bytes input = stream_input(stream->stream);
    size_t used = 0;
    int worker = -ENOENT;
    while (!stream->closing && stream->phase == TURN_STREAM_MESSAGES) {
        struct bytes rest = bytes_of(input.data + used, input.size - used);
        int size = rest.size > 0 ? message_size(rest) : 0;
        if (!is_acceptable(stream, size) || size == 0 || padded(size) > rest.size)
            break;
        struct bytes message = bytes_of(rest.data, (size_t)size);
        worker = foreign_worker(stream, message);
        if (worker >= 0)
            break;
        used += padded(size);
        turn_stream_count(streams, TURN_STREAM_RECEIVED);
        turn_worker_client_input(streams->turn, &stream->source, &stream->cache, message);
    }
    if (used > 0) {
        turn_worker_flush(streams->turn);
        stream_consume(stream->stream, used);
    }
    return worker;
}

static void read_messages(struct turn_stream *stream)
{
    int worker = take_messages(stream);
    if (worker >= 0 && !stream->closing)
        move(stream, (uint32_t)worker);
}

// --- first bytes ---

static bool read_proxy_header(struct turn_stream *stream)
{
    struct proxy_header header;
    int size = proxy_header_parse(stream_input(stream->stream), &header);
    if (size < 0)
        turn_stream_end(stream, TURN_STREAM_CLOSED_PROXY, false);
    if (size <= 0)
        return false;
    if (header.source.family != NET_NONE) {
        stream->source.path.remote = header.source;
        stream->source.path.local = header.destination;
    }
    stream->phase = TURN_STREAM_FIRST;
    stream_consume(stream->stream, (size_t)size);
    return true;
}

static void begin_tls(struct turn_stream *stream)
{
    struct tls_server_context *tls = turn_worker_tls(stream->streams->turn);
    if (stream->phase == TURN_STREAM_SECURE) {
        turn_stream_end(stream, TURN_STREAM_CLOSED_NOT_TURN, false);
    } else if (!tls) {
        turn_stream_end(stream, TURN_STREAM_CLOSED_NO_TLS, false);
    } else {
        stream->phase = TURN_STREAM_SECURE;
        stream_set_limits(stream->stream, &transport_limits);
        stream->stream = secure_stream_new_server(stream->stream, tls, &stranger_limits,
                                                  &turn_stream_handler, stream);
    }
}

/** ICE over TCP (RFC 6544) on TURN's ports: the media server of this worker takes it from here. */
static void give_to_media(struct turn_stream *stream)
{
    struct media_message_stream message = {
        .parcel = stream_detach(stream->stream),
        .remote = stream->source.path.remote,
        .local = stream->source.path.local,
        .limited = stream->origin.remote,
        .limit = stream->origin.limited ? MEDIA_STREAM_LIMIT_TURN : MEDIA_STREAM_LIMIT_NONE,
        .ends_us = stream->timer.deadline_us,
    };
    stream->stream = NULL;
    if (turn_worker_give_media_stream(stream->streams->turn, &message) < 0) {
        stream_parcel_free(message.parcel);
        turn_stream_end_dead(stream, TURN_STREAM_CLOSED_NOT_TURN);
        return;
    }
    stream->origin.limited = false; // its place goes along
    turn_stream_end_dead(stream, TURN_STREAM_CLOSED_MEDIA);
}

static void read_first_bytes(struct turn_stream *stream)
{
    switch (protocol_sniff(stream_input(stream->stream))) {
    case PROTOCOL_MORE_NEEDED:
        break;
    case PROTOCOL_TLS:
        begin_tls(stream);
        break;
    case PROTOCOL_STUN:
        become_client(stream);
        read_messages(stream);
        break;
    case PROTOCOL_ICE_TCP:
        give_to_media(stream);
        break;
    default:
        turn_stream_end(stream, TURN_STREAM_CLOSED_NOT_TURN, false);
        break;
    }
}

// --- events ---

static void on_readable(void *owner, struct stream *unused_stream unused)
{
    struct turn_stream *stream = owner;
    if (stream->closing)
        return;
    if (stream->phase == TURN_STREAM_PROXY && !read_proxy_header(stream))
        return;
    if (stream->phase <= TURN_STREAM_SECURE)
        read_first_bytes(stream);
    else if (stream->phase == TURN_STREAM_MESSAGES)
        read_messages(stream);
}

static void on_ended(void *owner, struct stream *unused_stream unused)
{
    struct turn_stream *stream = owner;
    // a data connection may end one direction only: its pipe looks at that when it starts
    stream->peer_ended = true;
    if (stream->phase != TURN_STREAM_PIPE)
        turn_stream_end(stream, TURN_STREAM_CLOSED_BY_PEER, true);
}

static void on_writable(void *owner, struct stream *unused_stream unused)
{
    turn_stream_writable(owner);
}

static void on_closed(void *owner, struct stream *unused_stream unused,
                      enum stream_close_reason reason, int unused_error unused)
{
    enum turn_stream_metric metric = TURN_STREAM_CLOSED_RESET;
    if (reason == STREAM_ENDED)
        metric = TURN_STREAM_CLOSED_BY_PEER;
    else if (reason == STREAM_TLS_FAILED)
        metric = TURN_STREAM_CLOSED_TLS;
    turn_stream_end_dead(owner, metric);
}

const struct stream_handler turn_stream_handler = {
    .readable = on_readable,
    .ended = on_ended,
    .writable = on_writable,
    .closed = on_closed,
};
