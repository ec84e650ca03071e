// Towards a client: straight into the stream while it keeps up, else into queues.
#include "server/turn_stream_int.h"

#include "base/memory.h"
#include "proto/stun/stun.h"
#include "runtime/secure_stream.h"

/** Success responses (RFC 8489 section 5: class bits 0x0100) that tell of an allocation. */
#define ALLOCATE_SUCCESS (0x0100 | STUN_ALLOCATE)
#define REFRESH_SUCCESS  (0x0100 | STUN_REFRESH)

static uint64_t now_of(const struct turn_stream *stream)
{
    return loop_now_us(turn_worker_loop(stream->streams->turn));
}

// --- writing ---

static void write_bytes(struct turn_stream *stream, struct bytes bytes)
{
    if (stream_write(stream->stream, bytes) < 0)
        turn_stream_end(stream, TURN_STREAM_CLOSED_UNREAD, false); // megabytes are allowed
}

static void cork(struct turn_stream *stream)
{
    if (stream->corked)
        return;
    stream->corked = true;
    stream_cork(stream->stream);
    turn_stream_touch(stream);
}

/** Sends what was written; what the kernel does not take now blocks the stream. */
static void flush(struct turn_stream *stream)
{
    stream->handed = 0;
    if (!stream->corked)
        return;
    stream->corked = false;
    stream_uncork(stream->stream);
    if (stream_unsent(stream->stream) == 0)
        return;
    stream->blocked = true;
    stream_notify_drained(stream->stream);
}

/** Counts what is about to be written; at a chunk the kernel is asked whether it takes it. */
static void account(struct turn_stream *stream, size_t size)
{
    cork(stream);
    stream->handed += (uint32_t)size;
    turn_stream_count(stream->streams, TURN_STREAM_SENT);
}

static void flush_chunk(struct turn_stream *stream)
{
    if (stream->handed < stream->streams->options.kernel_unsent_bytes)
        return;
    flush(stream);
    if (!stream->blocked)
        cork(stream);
}

// --- waiting ---

static void note_capacity(struct turn_streams *streams, uint32_t before, uint32_t after)
{
    metric_add(&streams->metrics[TURN_STREAM_QUEUE_BYTES], (uint64_t)after - before);
}

static void remove_data(struct turn_stream *stream)
{
    uint32_t before = stream->data.capacity;
    turn_queue_remove(&stream->data);
    note_capacity(stream->streams, before, stream->data.capacity);
}

/** The oldest data goes when it is too old: the client would play it no more. */
static void drop_old(struct turn_stream *stream)
{
    uint64_t now_us = now_of(stream), time_us;
    struct bytes message;
    while (turn_queue_first(&stream->data, &time_us, &message) &&
           now_us - time_us > stream->streams->options.queue_us) {
        remove_data(stream);
        turn_stream_count(stream->streams, TURN_STREAM_DROPPED_OLD);
    }
}

static bool is_memory_full(const struct turn_streams *streams, uint32_t size)
{
    uint64_t taken = metric_get(&streams->metrics[TURN_STREAM_QUEUE_BYTES]);
    return taken + size > streams->options.queue_bytes_all;
}

/** Room for a message at the end of the queue; older ones make room. NULL: it is dropped. */
static uint8_t *queue_data(struct turn_stream *stream, uint32_t size)
{
    struct turn_streams *streams = stream->streams;
    uint32_t limit = (uint32_t)streams->options.queue_bytes;
    drop_old(stream);
    if (is_memory_full(streams, size)) {
        turn_stream_count(streams, TURN_STREAM_DROPPED_MEMORY);
        return NULL;
    }
    uint32_t before = stream->data.capacity;
    uint8_t *at;
    while (!(at = turn_queue_add(&stream->data, limit, now_of(stream), size)) &&
           stream->data.count > 0) {
        turn_queue_remove(&stream->data);
        turn_stream_count(streams, TURN_STREAM_DROPPED_FULL);
    }
    note_capacity(streams, before, stream->data.capacity);
    turn_stream_count(streams, at ? TURN_STREAM_QUEUED : TURN_STREAM_DROPPED_FULL);
    return at;
}

/** The next message that waits: answers first. Returns its size, 0 when there is none. */
static size_t write_next(struct turn_stream *stream)
{
    uint64_t time_us;
    struct bytes message;
    bool is_answer = turn_queue_first(&stream->answers, &time_us, &message);
    if (!is_answer && !turn_queue_first(&stream->data, &time_us, &message))
        return 0;
    size_t size = message.size;
    account(stream, size);
    write_bytes(stream, message);
    if (is_answer)
        turn_queue_remove(&stream->answers);
    else
        remove_data(stream);
    return size;
}

/** What waits goes out in small steps, so that what cannot is dropped when it is old. */
static void pump(struct turn_stream *stream)
{
    size_t step = max_of(stream->streams->options.kernel_unsent_bytes / 2, 1u);
    drop_old(stream);
    while (!stream->blocked && !stream->closing) {
        size_t written = 0, size;
        while (written < step && !stream->closing && (size = write_next(stream)) > 0)
            written += size;
        if (written == 0)
            break;
        flush(stream);
    }
}

void turn_stream_settle(struct turn_stream *stream)
{
    flush(stream);
    pump(stream);
    if (stream->pipe && !stream->blocked && !stream->closing && !stream->flowing) {
        stream->flowing = true;
        turn_tcp_connection_start(stream->pipe);
    }
}

void turn_stream_writable(struct turn_stream *stream)
{
    stream->blocked = false;
    if (!stream->closing)
        turn_stream_settle(stream);
}

void turn_stream_hand_over(struct turn_stream *stream)
{
    stream->blocked = true; // nothing is flushed in between
    while (stream->answers.count > 0 && write_next(stream) > 0)
        ;
    if (stream->corked)
        stream_uncork(stream->stream);
    stream->corked = false;
}

void turn_stream_drop_queues(struct turn_stream *stream)
{
    metric_add(&stream->streams->metrics[TURN_STREAM_DROPPED_CLOSING], stream->data.count);
    note_capacity(stream->streams, stream->data.capacity, 0);
    turn_queue_done(&stream->data);
    turn_queue_done(&stream->answers);
}

// --- the carrier ---

static struct turn_stream *stream_of(struct turn_carrier *carrier)
{
    return container_of(carrier, struct turn_stream, carrier);
}

/** With an allocation the client may stay, and send large messages. */
static void note_allocation(struct turn_stream *stream, struct bytes answer)
{
    static const struct stream_limits client_limits = { .input_bytes = TURN_STREAM_CLIENT_BYTES };
    uint16_t type = answer.size >= 2 ? load_u16(answer.data) : 0;
    bool begins = type == ALLOCATE_SUCCESS || (type == REFRESH_SUCCESS && !stream->lost);
    if (!begins || stream->allocated)
        return;
    stream->allocated = true;
    stream->lost = false;
    loop_timer_cancel(&stream->timer);
    stream_set_limits(stream->stream, &client_limits);
}

static void carrier_send(struct turn_carrier *carrier, const struct turn_source *unused_to unused,
                         struct bytes message)
{
    struct turn_stream *stream = stream_of(carrier);
    if (stream->closing || stream->flowing)
        return;
    note_allocation(stream, message);
    if (!stream->blocked) {
        account(stream, message.size);
        write_bytes(stream, message);
        flush_chunk(stream);
        return;
    }
    uint8_t *at = turn_queue_add(&stream->answers, TURN_STREAM_ANSWER_BYTES, now_of(stream),
                                 (uint32_t)message.size);
    if (!at) {
        turn_stream_end(stream, TURN_STREAM_CLOSED_UNREAD, false);
        return;
    }
    struct writer writer = writer_of(at, message.size);
    writer_bytes(&writer, message.data, message.size);
}

/** Header, payload and padding, one behind the other at `at`. */
static void write_delivery(uint8_t *at, size_t size, const struct turn_deliver *deliver,
                           struct bytes payload)
{
    struct writer writer = writer_of(at, size);
    writer_bytes(&writer, deliver->header, deliver->header_size);
    writer_bytes(&writer, payload.data, payload.size);
    writer_zeros(&writer, deliver->padding);
}

/** TCP takes the parts as they are; a TLS record is made of one piece. */
static void deliver_now(struct turn_stream *stream, size_t size, const struct turn_deliver *deliver,
                        struct bytes payload)
{
    static const uint8_t zeros[4];
    account(stream, size);
    if (stream->source.transport == TURN_TLS) {
        uint8_t **record = &stream->streams->record;
        if (!*record)
            *record = memory_allocate(1, TURN_STREAM_CLIENT_BYTES);
        ensure(size <= TURN_STREAM_CLIENT_BYTES);
        write_delivery(*record, size, deliver, payload);
        write_bytes(stream, bytes_of(*record, size));
    } else {
        write_bytes(stream, bytes_of(deliver->header, deliver->header_size));
        write_bytes(stream, payload);
        write_bytes(stream, bytes_of(zeros, deliver->padding));
    }
    flush_chunk(stream);
}

static void carrier_deliver(struct turn_carrier *carrier, const struct turn_deliver *deliver,
                            struct bytes payload)
{
    struct turn_stream *stream = stream_of(carrier);
    size_t size = (size_t)deliver->header_size + payload.size + deliver->padding;
    if (stream->closing || stream->phase != TURN_STREAM_MESSAGES) {
        turn_stream_count(stream->streams, TURN_STREAM_DROPPED_CLOSING);
        return;
    }
    if (!stream->blocked) {
        deliver_now(stream, size, deliver, payload);
        return;
    }
    uint8_t *at = queue_data(stream, (uint32_t)size);
    if (at)
        write_delivery(at, size, deliver, payload);
}

static void carrier_ended(struct turn_carrier *carrier, const struct turn_source *unused_of unused,
                          enum turn_end why)
{
    struct turn_stream *stream = stream_of(carrier);
    stream->cache = NULL;
    stream->allocated = false;
    stream->lost = true;
    if (stream->closing || why == TURN_END_DISCONNECTED)
        return;
    // who has released its allocation may make another one
    if (why == TURN_END_RELEASED)
        loop_timer_set_after(&stream->timer, stream->streams->options.unallocated_us);
    else
        turn_stream_end(stream, TURN_STREAM_CLOSED_ENDED, true);
}

const struct turn_carrier_ops turn_stream_ops = {
    .send = carrier_send,
    .deliver = carrier_deliver,
    .ended = carrier_ended,
};
