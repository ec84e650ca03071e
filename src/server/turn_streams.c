// The set of one worker's streams: what happens at the end of a turn, and at their end.
#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "server/turn_host.h"
#include "server/turn_stream_int.h"

/** When the control thread is asked again to take the news of ended connections. */
#define RETRY_US (100 * TIME_US_PER_MS)

static const struct metric_description descriptions[TURN_STREAM_METRIC_COUNT] = {
#define METRIC(id, kind, name, labels, help)                                                       \
    METRIC_DESCRIPTION(TURN_STREAM_##id, kind, name, labels, help)
#include "server/turn_stream_metrics.def"
#undef METRIC
};

static void run_task(struct loop_task *task);
static void tell_again(struct loop_timer *timer, uint64_t now_us);

#define DEFAULT(field, value)                                                                      \
    do {                                                                                           \
        if ((field) == 0)                                                                          \
            (field) = (value);                                                                     \
    } while (0)

void turn_streams_set_options(struct turn_streams *streams,
                              const struct turn_stream_options *options)
{
    struct turn_stream_options *own = &streams->options;
    *own = *options;
    DEFAULT(own->queue_us, time_from_ms(300));
    DEFAULT(own->queue_bytes, 512u << 10);
    DEFAULT(own->queue_bytes_all, 64u << 20);
    DEFAULT(own->unallocated_us, time_from_s(30));
    DEFAULT(own->handshake_us, time_from_s(10));
    DEFAULT(own->kernel_unsent_bytes, 16u << 10);
    own->queue_bytes = min_of(own->queue_bytes, (size_t)1 << 30);
}

struct turn_streams *turn_streams_new(struct turn_worker *turn,
                                      const struct turn_stream_options *options)
{
    struct turn_streams *streams = memory_new(struct turn_streams);
    streams->turn = turn;
    turn_streams_set_options(streams, options);
    list_init(&streams->all);
    list_init(&streams->dirty);
    list_init(&streams->untold);
    loop_task_init(&streams->task, run_task);
    loop_timer_init(&streams->retry, turn_worker_loop(turn), tell_again);
    return streams;
}

uint32_t turn_streams_count(const struct turn_streams *streams)
{
    return (uint32_t)metric_get(&streams->metrics[TURN_STREAM_OPEN]);
}

struct metric_set turn_streams_metrics(const struct turn_streams *streams, const char *labels)
{
    return (struct metric_set){ descriptions, streams->metrics, TURN_STREAM_METRIC_COUNT, labels };
}

// --- the end of one ---

/** Returns whether the control thread knows, or need not. */
static bool tell_closed(const struct turn_stream *stream)
{
    if (!stream->origin.limited)
        return true;
    struct mailbox *control = turn_worker_shared(stream->streams->turn)->control;
    struct turn_message_closed closed = { .remote = stream->origin.remote };
    return mailbox_send(control, TURN_MESSAGE_CLOSED, &closed, sizeof(closed)) == 0;
}

/** A place of the limits that nobody gives back would be lost for ever. */
static void tell_again(struct loop_timer *timer, uint64_t now_us)
{
    struct turn_streams *streams = container_of(timer, struct turn_streams, retry);
    struct turn_stream *stream;
    list_each(stream, &streams->untold, node)
    {
        if (!tell_closed(stream)) {
            loop_timer_set(timer, now_us + RETRY_US);
            return;
        }
        list_remove(&stream->node);
        free(stream);
    }
}

/** The engine and the peer of a data connection hear that this client is gone. */
static void leave(struct turn_stream *stream)
{
    if (stream->left)
        return;
    stream->left = true;
    if (stream->pipe)
        turn_tcp_connection_client_gone(stream->pipe);
    else if (stream->phase == TURN_STREAM_MESSAGES && stream->stream)
        turn_server_disconnected(turn_worker_server(stream->streams->turn),
                                 loop_now_us(turn_worker_loop(stream->streams->turn)),
                                 &stream->source);
}

void turn_stream_free(struct turn_stream *stream)
{
    struct turn_streams *streams = stream->streams;
    leave(stream);
    stream->stream = stream_close(stream->stream);
    turn_stream_drop_queues(stream);
    loop_timer_cancel(&stream->timer);
    list_remove(&stream->dirty);
    list_remove(&stream->node);
    metric_subtract(&streams->metrics[TURN_STREAM_OPEN], 1);
    if (tell_closed(stream)) {
        free(stream);
        return;
    }
    list_append(&streams->untold, &stream->node);
    loop_timer_set_after(&streams->retry, RETRY_US);
}

/** One more step towards the end. */
static void close_stream(struct turn_stream *stream)
{
    leave(stream);
    if (stream->dead || !stream->orderly) {
        turn_stream_free(stream);
    } else if (!stream->finishing) {
        stream->finishing = true;
        turn_stream_hand_over(stream);
        turn_stream_drop_queues(stream);
        stream_finish(stream->stream, TURN_STREAM_FAREWELL_US);
    }
}

// --- the end of a turn ---

void turn_stream_touch(struct turn_stream *stream)
{
    struct turn_streams *streams = stream->streams;
    if (!list_empty(&stream->dirty))
        return;
    list_append(&streams->dirty, &stream->dirty);
    loop_task_defer(turn_worker_loop(streams->turn), &streams->task);
}

void turn_streams_flush(struct turn_streams *streams)
{
    while (!list_empty(&streams->dirty)) {
        struct turn_stream *stream = container_of(streams->dirty.next, struct turn_stream, dirty);
        list_remove(&stream->dirty);
        if (stream->closing)
            close_stream(stream);
        else
            turn_stream_settle(stream);
    }
}

static void run_task(struct loop_task *task)
{
    turn_streams_flush(container_of(task, struct turn_streams, task));
}

struct turn_streams *turn_streams_free(struct turn_streams *streams)
{
    if (!streams)
        return NULL;
    struct turn_stream *stream;
    list_each(stream, &streams->all, node)
        turn_stream_end(stream, TURN_STREAM_CLOSED_STOPPED, true);
    turn_streams_flush(streams); // the goodbyes
    list_each(stream, &streams->all, node) turn_stream_free(stream);
    loop_task_cancel(&streams->task);
    loop_timer_cancel(&streams->retry);
    list_each(stream, &streams->untold, node) free(stream);
    free(streams->record);
    free(streams);
    return NULL;
}
