#include "server/media_stream.h"

#include <errno.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "proto/stun/stun.h"
#include "runtime/tcp.h"
#include "server/media_worker_int.h"
#include "server/turn_message.h"
#include "server/turn_queue.h"

/** Before the first check: one frame of a STUN message and what came with it. */
#define STRANGER_BYTES 4096u
#define CLIENT_BYTES   (64u << 10)
/** Nothing that WebRTC sends is longer: DTLS flights are cut to datagrams, too. */
#define FRAME_SIZE_MAX 8192u
#define FRAME_HEADER   2u
#define FRAMES_AT_ONCE 64
#define HANDSHAKE_US   time_from_s(10)
/** How often a connection is asked whether it still belongs to a session. */
#define REVIEW_US time_from_s(10)
/** Older media is of no use to anybody. */
#define QUEUE_US        time_from_ms(300)
#define QUEUE_BYTES     (512u << 10)
#define QUEUE_BYTES_ALL ((uint64_t)64 << 20)
/** What the kernel may hold and not have sent: what waits here can still be dropped. */
#define KERNEL_UNSENT_BYTES  (16u << 10)
#define KEEPALIVE_IDLE_S     30
#define KEEPALIVE_INTERVAL_S 10
/** When the control thread is asked again to take the news of an ended connection. */
#define RETRY_US time_from_ms(100)

struct media_stream {
    struct media_streams *streams;
    struct list node;
    struct list dirty;
    struct stream *stream;
    struct net_path path; /**< `stream` is set at both ends */
    struct net_address limited;
    enum media_stream_limit limit;
    struct loop_timer timer;
    struct turn_queue queue;
    bool proven;  /**< a check was authentic */
    bool corked;  /**< written and not flushed */
    bool blocked; /**< the kernel takes no more: `writable` will come */
    bool closing; /**< freed at the end of the turn */
};

struct media_streams {
    struct media_worker *worker;
    struct list all;
    struct list dirty;
    struct map by_remote; /**< proven ones */
    struct loop_task task;
    uint64_t queued_bytes; /**< memory of all queues */
};

static const struct stream_limits stranger_limits = { .input_bytes = STRANGER_BYTES };
static const struct stream_limits client_limits = { .input_bytes = CLIENT_BYTES };

static struct loop *loop_of(const struct media_streams *streams)
{
    return &streams->worker->worker->loop;
}

static struct bytes key_of(const struct media_stream *stream)
{
    return bytes_of(&stream->path.remote, sizeof(stream->path.remote));
}

// --- ends ---

static void touch(struct media_stream *stream)
{
    if (!list_empty(&stream->dirty))
        return;
    list_append(&stream->streams->dirty, &stream->dirty);
    loop_task_defer(loop_of(stream->streams), &stream->streams->task);
}

/** Nothing is freed before the end of the turn, so this may be called from anywhere. */
static void end(struct media_stream *stream, enum media_metric reason)
{
    if (stream->closing)
        return;
    media_count(stream->streams->worker, reason);
    stream->closing = true;
    touch(stream);
}

static void note_queue(struct media_stream *stream, uint32_t capacity_before)
{
    stream->streams->queued_bytes += (uint64_t)stream->queue.capacity - capacity_before;
}

/** Its session must not wait for consent to expire when it has other paths. */
static void tell_lost(struct media_stream *stream)
{
    struct media_worker *worker = stream->streams->worker;
    struct media_transport *transport =
        media_routes_by_address(&worker->routes, &stream->path.remote);
    if (transport && transport->peer) {
        rtc_peer_path_lost(transport->peer, media_now_us(worker), &stream->path);
        media_worker_serve(worker, transport);
    }
}

/** The connection leaves our books; a timer is left where the control thread was too busy. */
static void stream_free(struct media_stream *stream)
{
    struct media_streams *streams = stream->streams;
    if (stream->proven && map_find(&streams->by_remote, key_of(stream)) == stream) {
        map_remove(&streams->by_remote, key_of(stream));
        tell_lost(stream);
    }
    stream->stream = stream_close(stream->stream);
    uint32_t before = stream->queue.capacity;
    turn_queue_done(&stream->queue);
    note_queue(stream, before);
    list_remove(&stream->dirty);
    if (!media_stream_tell_closed(streams->worker, stream->limit, &stream->limited)) {
        loop_timer_set_after(&stream->timer, RETRY_US); // a place not given back is lost for ever
        return;
    }
    loop_timer_cancel(&stream->timer);
    list_remove(&stream->node);
    metric_subtract(&streams->worker->metrics[MEDIA_METRIC_STREAMS], 1);
    free(stream);
}

static void timer_expired(struct loop_timer *timer, uint64_t now_us)
{
    struct media_stream *stream = container_of(timer, struct media_stream, timer);
    struct media_worker *worker = stream->streams->worker;
    if (stream->closing)
        stream_free(stream);
    else if (!stream->proven)
        end(stream, MEDIA_METRIC_STREAM_CLOSED_TIMEOUT);
    else if (!media_routes_by_address(&worker->routes, &stream->path.remote))
        end(stream, MEDIA_METRIC_STREAM_CLOSED_UNUSED);
    else
        loop_timer_set(timer, now_us + REVIEW_US);
}

// --- towards the client ---

static void write_frame(struct media_stream *stream, struct bytes packet)
{
    uint8_t header[FRAME_HEADER];
    store_u16(header, (uint16_t)packet.size);
    if (!stream->corked) {
        stream->corked = true;
        stream_cork(stream->stream);
        touch(stream);
    }
    if (stream_write(stream->stream, bytes_of(header, sizeof(header))) < 0 ||
        stream_write(stream->stream, packet) < 0)
        end(stream, MEDIA_METRIC_STREAM_CLOSED_RESET); // half a frame would break all that follows
}

static void flush(struct media_stream *stream)
{
    if (!stream->corked)
        return;
    stream->corked = false;
    stream_uncork(stream->stream);
    if (stream_unsent(stream->stream) == 0)
        return;
    stream->blocked = true;
    stream_notify_drained(stream->stream);
}

static void drop_first(struct media_stream *stream, enum media_metric reason)
{
    uint32_t before = stream->queue.capacity;
    turn_queue_remove(&stream->queue);
    note_queue(stream, before);
    media_count(stream->streams->worker, reason);
}

static void drop_old(struct media_stream *stream)
{
    uint64_t now_us = media_now_us(stream->streams->worker), time_us;
    struct bytes packet;
    while (turn_queue_first(&stream->queue, &time_us, &packet) && now_us - time_us > QUEUE_US)
        drop_first(stream, MEDIA_METRIC_STREAM_DROPPED_OLD);
}

static void queue_packet(struct media_stream *stream, struct bytes packet)
{
    struct media_streams *streams = stream->streams;
    drop_old(stream);
    if (streams->queued_bytes + packet.size > QUEUE_BYTES_ALL) {
        media_count(streams->worker, MEDIA_METRIC_STREAM_DROPPED_FULL);
        return;
    }
    uint32_t before = stream->queue.capacity;
    uint8_t *at;
    while (!(at = turn_queue_add(&stream->queue, QUEUE_BYTES, media_now_us(streams->worker),
                                 (uint32_t)packet.size)) &&
           stream->queue.count > 0) {
        turn_queue_remove(&stream->queue);
        media_count(streams->worker, MEDIA_METRIC_STREAM_DROPPED_FULL);
    }
    note_queue(stream, before);
    if (!at)
        return;
    struct writer writer = writer_of(at, packet.size);
    writer_bytes(&writer, packet.data, packet.size);
}

/** What waits goes out in small steps, so that what cannot is dropped when it is old. */
static void pump(struct media_stream *stream)
{
    uint64_t time_us;
    struct bytes packet;
    drop_old(stream);
    while (!stream->blocked && !stream->closing && stream->queue.count > 0) {
        for (size_t written = 0; written < KERNEL_UNSENT_BYTES / 2 && !stream->closing &&
                                 turn_queue_first(&stream->queue, &time_us, &packet);) {
            written += packet.size;
            write_frame(stream, packet);
            uint32_t before = stream->queue.capacity;
            turn_queue_remove(&stream->queue);
            note_queue(stream, before);
        }
        if (!stream->closing)
            flush(stream);
    }
}

static void send_packet(struct media_stream *stream, struct bytes packet)
{
    if (stream->blocked || stream->queue.count > 0)
        queue_packet(stream, packet);
    else
        write_frame(stream, packet);
}

static void send_run(struct media_streams *streams, const struct datagram_batch *batch,
                     const struct datagram_run *run)
{
    struct media_stream *stream =
        map_find(&streams->by_remote, bytes_of(&run->path.remote, sizeof(run->path.remote)));
    if (!stream || stream->closing) {
        metric_add(&streams->worker->metrics[MEDIA_METRIC_STREAM_DROPPED_GONE], run->count);
        return;
    }
    for (uint32_t at = 0; at < run->size && !stream->closing; at += run->segment_size)
        send_packet(stream, bytes_of(batch->bytes + run->offset + at,
                                     min_of((uint32_t)run->segment_size, run->size - at)));
    if (!stream->closing)
        flush(stream);
}

void media_streams_take_batch(struct media_streams *streams, struct datagram_batch *batch)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->run_count; i++) {
        if (batch->runs[i].path.remote.stream)
            send_run(streams, batch, &batch->runs[i]);
        else
            batch->runs[kept++] = batch->runs[i];
    }
    batch->run_count = kept;
}

// --- from the client ---

/** The session that the first frame's check is for is another worker's: so is the connection. */
static void move(struct media_stream *stream, uint32_t owner)
{
    struct media_worker *worker = stream->streams->worker;
    struct media_message_stream message = {
        .parcel = stream_detach(stream->stream),
        .remote = stream->path.remote,
        .local = stream->path.local,
        .limited = stream->limited,
        .limit = stream->limit,
        .ends_us = stream->timer.deadline_us,
    };
    stream->stream = NULL;
    if (worker_group_send(worker->worker->group, owner, MEDIA_MESSAGE_STREAM, &message,
                          sizeof(message)) < 0) {
        stream_parcel_free(message.parcel);
        end(stream, MEDIA_METRIC_STREAM_CLOSED_BUSY);
        return;
    }
    stream->limit = MEDIA_STREAM_LIMIT_NONE; // its place goes along
    end(stream, MEDIA_METRIC_STREAM_MOVED);
}

/** Whether the first frame is a check of a session that lives, or may live, on this worker. */
static bool prove(struct media_stream *stream, struct bytes frame)
{
    struct media_streams *streams = stream->streams;
    uint32_t owner;
    if (media_port_check_owner(streams->worker, frame, &owner) < 0) {
        end(stream, MEDIA_METRIC_STREAM_CLOSED_UNAUTHENTIC);
        return false;
    }
    if (owner != MEDIA_CLAIM_NOBODY && owner != streams->worker->worker->index) {
        move(stream, owner);
        return false;
    }
    struct media_stream *other = map_find(&streams->by_remote, key_of(stream));
    if (other) { // its end has not reached us yet
        map_remove(&streams->by_remote, key_of(other));
        end(other, MEDIA_METRIC_STREAM_CLOSED_RESET);
    }
    stream->proven = true;
    map_set(&streams->by_remote, key_of(stream), stream);
    stream_set_limits(stream->stream, &client_limits);
    tcp_stream_set_unsent_limit(stream->stream, KERNEL_UNSENT_BYTES);
    tcp_stream_set_keepalive(stream->stream, KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S);
    loop_timer_set_after(&stream->timer, REVIEW_US);
    media_count(streams->worker, MEDIA_METRIC_STREAM_PROVEN);
    return true;
}

/** The next whole frame behind `*used`; false when there is none, or the stream has ended. */
static bool next_frame(struct media_stream *stream, struct bytes input, size_t *used,
                       struct bytes *ret_frame)
{
    if (stream->closing || input.size - *used < FRAME_HEADER)
        return false;
    size_t size = load_u16(input.data + *used);
    size_t limit = stream->proven ? FRAME_SIZE_MAX : STRANGER_BYTES - FRAME_HEADER;
    if (size > limit) {
        end(stream, MEDIA_METRIC_STREAM_CLOSED_TOO_LARGE);
        return false;
    }
    if (input.size - *used - FRAME_HEADER < size)
        return false;
    *ret_frame = bytes_of(input.data + *used + FRAME_HEADER, size);
    *used += FRAME_HEADER + size;
    return stream->proven || prove(stream, *ret_frame);
}

static void on_readable(void *owner, struct stream *unused_stream unused)
{
    struct media_stream *stream = owner;
    while (!stream->closing) {
        struct udp_datagram datagrams[FRAMES_AT_ONCE];
        struct bytes input = stream_input(stream->stream), frame;
        size_t used = 0, count = 0;
        while (count < FRAMES_AT_ONCE && next_frame(stream, input, &used, &frame)) {
            // the input is ours; a frame of nothing is allowed and means nothing
            if (frame.size > 0)
                datagrams[count++] =
                    (struct udp_datagram){ stream->path, (uint8_t *)(uintptr_t)frame.data,
                                           frame.size };
        }
        if (count > 0)
            media_port_relayed(stream->streams->worker, datagrams, count);
        if (stream->closing || used == 0)
            return;
        stream_consume(stream->stream, used);
    }
}

static void on_ended(void *owner, struct stream *unused_stream unused)
{
    end(owner, MEDIA_METRIC_STREAM_CLOSED_BY_PEER);
}

static void on_writable(void *owner, struct stream *unused_stream unused)
{
    struct media_stream *stream = owner;
    stream->blocked = false;
    if (!stream->closing)
        pump(stream);
}

static void on_closed(void *owner, struct stream *unused_stream unused,
                      enum stream_close_reason reason, int unused_error unused)
{
    end(owner, reason == STREAM_ENDED ? MEDIA_METRIC_STREAM_CLOSED_BY_PEER
                                      : MEDIA_METRIC_STREAM_CLOSED_RESET);
}

static const struct stream_handler handler = {
    .readable = on_readable,
    .ended = on_ended,
    .writable = on_writable,
    .closed = on_closed,
};

void media_streams_adopt(struct media_streams *streams, const struct media_message_stream *message)
{
    struct media_stream *stream = memory_new(struct media_stream);
    stream->streams = streams;
    stream->path.local = net_address_unmapped(&message->local);
    stream->path.remote = net_address_unmapped(&message->remote);
    stream->path.local.stream = stream->path.remote.stream = 1;
    stream->limited = message->limited;
    stream->limit = message->limit;
    list_init(&stream->dirty);
    list_init(&stream->node);
    list_append(&streams->all, &stream->node);
    loop_timer_init(&stream->timer, loop_of(streams), timer_expired);
    metric_add(&streams->worker->metrics[MEDIA_METRIC_STREAMS], 1);
    if (stream_attach(message->parcel, loop_of(streams), &handler, stream, &stream->stream) < 0) {
        end(stream, MEDIA_METRIC_STREAM_CLOSED_RESET);
        return;
    }
    stream_set_limits(stream->stream, &stranger_limits);
    if (message->ends_us != 0)
        loop_timer_set(&stream->timer, message->ends_us);
    else
        loop_timer_set_after(&stream->timer, HANDSHAKE_US);
}

// --- all of them ---

static void run_task(struct loop_task *task)
{
    struct media_streams *streams = container_of(task, struct media_streams, task);
    while (!list_empty(&streams->dirty)) {
        struct media_stream *stream = container_of(streams->dirty.next, struct media_stream, dirty);
        list_remove(&stream->dirty);
        if (stream->closing)
            stream_free(stream);
        else
            flush(stream);
    }
}

struct media_streams *media_streams_new(struct media_worker *worker)
{
    struct media_streams *streams = memory_new(struct media_streams);
    streams->worker = worker;
    list_init(&streams->all);
    list_init(&streams->dirty);
    uint64_t secret[2];
    random_fill(&worker->worker->entropy.random, secret, sizeof(secret));
    map_init(&streams->by_remote, secret);
    loop_task_init(&streams->task, run_task);
    return streams;
}

struct media_streams *media_streams_free(struct media_streams *streams)
{
    if (!streams)
        return NULL;
    loop_task_cancel(&streams->task);
    struct media_stream *stream;
    list_each(stream, &streams->all, node)
    {
        stream_close(stream->stream);
        turn_queue_done(&stream->queue);
        loop_timer_cancel(&stream->timer);
        list_remove(&stream->dirty);
        list_remove(&stream->node);
        free(stream);
    }
    map_done(&streams->by_remote);
    free(streams);
    return NULL;
}
