#include "proto/sctp/sctp_send_queue_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void sctp_send_queue_init(struct sctp_send_queue *queue, size_t capacity)
{
    *queue = (struct sctp_send_queue){ .capacity = capacity };
    list_init(&queue->active);
}

static void message_free(struct sctp_send_queue *queue, struct sctp_outgoing *message)
{
    message->stream->alive--;
    queue->messages--;
    blob_unref(message->content);
    free(message);
}

void sctp_send_queue_done(struct sctp_send_queue *queue)
{
    for (uint32_t i = 0; i < queue->stream_count; i++) {
        struct sctp_out_stream *stream = queue->streams[i];
        struct sctp_outgoing *message;
        if (!stream)
            continue;
        list_each(message, &stream->messages, node) message_free(queue, message);
        free(stream);
    }
    free(queue->streams);
    sctp_send_queue_init(queue, queue->capacity);
}

static struct sctp_out_stream *stream_new(uint16_t id)
{
    struct sctp_out_stream *stream = memory_new(struct sctp_out_stream);
    list_init(&stream->node);
    list_init(&stream->messages);
    stream->id = id;
    stream->weight = SCTP_WEIGHT_DEFAULT;
    return stream;
}

struct sctp_out_stream *sctp_send_queue_stream(struct sctp_send_queue *queue, uint16_t id)
{
    if (id >= queue->stream_count) {
        uint32_t count = max_of(2 * queue->stream_count, id + 1u);
        queue->streams = memory_resize(queue->streams, count * sizeof(*queue->streams));
        memset(queue->streams + queue->stream_count, 0,
               (count - queue->stream_count) * sizeof(*queue->streams));
        queue->stream_count = count;
    }
    if (!queue->streams[id])
        queue->streams[id] = stream_new(id);
    return queue->streams[id];
}

static void activate(struct sctp_send_queue *queue, struct sctp_out_stream *stream)
{
    // who was silent has saved nothing up
    stream->turn = max_of(stream->turn, queue->turn);
    list_append(&queue->active, &stream->node);
}

int sctp_send_queue_add(struct sctp_send_queue *queue, uint64_t now_us,
                        const struct sctp_message *message)
{
    size_t size = blob_bytes(message->content).size;
    if (size == 0 || size > queue->capacity)
        return -EMSGSIZE;
    size_t charged = queue->buffered + queue->messages * SCTP_MESSAGE_COST;
    if (charged > 0 && charged + size > queue->capacity)
        return -EAGAIN;
    struct sctp_out_stream *stream = sctp_send_queue_stream(queue, message->stream);
    if (stream->reset != SCTP_STREAM_OPEN)
        return -EBUSY;
    struct sctp_outgoing *outgoing = memory_new(struct sctp_outgoing);
    outgoing->stream = stream;
    outgoing->content = blob_ref(message->content);
    outgoing->size = (uint32_t)size;
    outgoing->ppid = message->ppid;
    outgoing->unordered = message->unordered;
    outgoing->retransmits_max = message->retransmits_max;
    outgoing->expires_us = message->lifetime_us ? now_us + message->lifetime_us : TIME_NEVER;
    if (list_empty(&stream->messages))
        activate(queue, stream);
    list_append(&stream->messages, &outgoing->node);
    stream->alive++;
    queue->messages++;
    queue->buffered += size;
    return 0;
}

static struct sctp_outgoing *first_message(const struct sctp_out_stream *stream)
{
    return container_of(stream->messages.next, struct sctp_outgoing, node);
}

struct sctp_outgoing *sctp_send_queue_next(const struct sctp_send_queue *queue)
{
    if (queue->in_message)
        return first_message(queue->in_message);
    struct sctp_out_stream *stream, *best = NULL;
    list_each(stream, &queue->active, node) if (!best || stream->turn < best->turn) best = stream;
    return best ? first_message(best) : NULL;
}

/** The message is not in its stream's list any more. */
static void leave_stream(struct sctp_send_queue *queue, struct sctp_outgoing *message)
{
    struct sctp_out_stream *stream = message->stream;
    list_remove(&message->node);
    if (list_empty(&stream->messages))
        list_remove(&stream->node);
    if (queue->in_message == stream)
        queue->in_message = NULL;
}

void sctp_send_queue_take(struct sctp_send_queue *queue, struct sctp_outgoing *message,
                          uint32_t size, uint32_t tsn)
{
    struct sctp_out_stream *stream = message->stream;
    if (message->fragments == 0) {
        message->number = message->unordered ? stream->next_unordered++ : stream->next_ordered++;
        message->first_tsn = tsn;
    }
    message->fragments++;
    message->chunks++;
    message->sent += size;
    queue->turn = stream->turn;
    stream->turn += ((uint64_t)size << 16) / stream->weight;
    if (message->sent == message->size)
        leave_stream(queue, message);
    else if (!queue->interleaving)
        queue->in_message = stream;
}

void sctp_send_queue_give_up(struct sctp_send_queue *queue, struct sctp_outgoing *message)
{
    if (message->sent < message->size) {
        queue->buffered -= message->size - message->sent;
        message->sent = message->size;
        leave_stream(queue, message);
    }
    if (message->chunks == 0)
        message_free(queue, message);
}

void sctp_send_queue_chunk_done(struct sctp_send_queue *queue, struct sctp_outgoing *message,
                                uint32_t size)
{
    queue->buffered -= size;
    if (--message->chunks == 0 && message->sent == message->size)
        message_free(queue, message);
}
