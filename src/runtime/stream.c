#include "runtime/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/stream_int.h"

#define INPUT_BYTES      (64u << 10)
#define OUTPUT_BYTES     (4u << 20)
#define HIGH_WATER_BYTES (256u << 10)
/** For peers that end while their handler does not care. */
#define FINISH_US (10 * TIME_US_PER_S)

// --- life ---

static void on_deadline(struct loop_timer *timer, uint64_t unused_now unused)
{
    struct stream *stream = container_of(timer, struct stream_deadline, timer)->stream;
    stream_die(stream, STREAM_TIMED_OUT, -ETIMEDOUT);
}

static void set_deadline(struct stream *stream, uint64_t deadline_us)
{
    if (!stream->deadline) {
        stream->deadline = memory_new(struct stream_deadline);
        stream->deadline->stream = stream;
        loop_timer_init(&stream->deadline->timer, stream->loop, on_deadline);
    }
    loop_timer_set(&stream->deadline->timer, deadline_us);
}

static void end_deadline(struct stream *stream)
{
    if (!stream->deadline)
        return;
    loop_timer_cancel(&stream->deadline->timer);
    free(stream->deadline);
    stream->deadline = NULL;
}

static void on_task(struct loop_task *task);

static void set_limits(struct stream *stream, const struct stream_limits *limits)
{
    static const struct stream_limits none = { 0 };
    if (!limits)
        limits = &none;
    stream->input.limit = limits->input_bytes ? limits->input_bytes : INPUT_BYTES;
    stream->output.limit = limits->output_bytes ? limits->output_bytes : OUTPUT_BYTES;
    size_t high_water = limits->high_water_bytes ? limits->high_water_bytes : HIGH_WATER_BYTES;
    stream->high_water_bytes = (uint32_t)min_of(high_water, (size_t)UINT32_MAX);
}

void stream_set_limits(struct stream *stream, const struct stream_limits *limits)
{
    set_limits(stream, limits);
    if (stream_alive(stream))
        stream->kind->update(stream);
}

void stream_init(struct stream *stream, const struct stream_kind *kind, struct loop *loop,
                 const struct stream_limits *limits, const struct stream_handler *handler,
                 void *owner)
{
    stream->kind = kind;
    stream->loop = loop;
    stream->handler = handler;
    stream->owner = owner;
    set_limits(stream, limits);
    loop_task_init(&stream->task, on_task);
}

static void destroy(struct stream *stream)
{
    buffer_done(&stream->input);
    buffer_done(&stream->output);
    free(stream);
}

void stream_enter(struct stream *stream)
{
    stream->busy++;
}

void stream_leave(struct stream *stream)
{
    if (--stream->busy == 0 && stream->closed)
        destroy(stream);
}

/** Out of the loop in all that the common part has there. */
static void leave_loop(struct stream *stream)
{
    end_deadline(stream);
    loop_task_cancel(&stream->task);
}

struct stream *stream_close(struct stream *stream)
{
    if (!stream || stream->closed)
        return NULL;
    leave_loop(stream);
    stream->closed = true;
    stream->kind->release(stream);
    if (stream->busy == 0)
        destroy(stream);
    return NULL;
}

void stream_die(struct stream *stream, enum stream_close_reason reason, int error)
{
    if (!stream_alive(stream))
        return;
    stream->dead = true;
    stream->reason = (uint8_t)reason;
    stream->error = error;
    buffer_done(&stream->output);
    end_deadline(stream);
    stream->deferred &= (uint8_t) ~(STREAM_DEFERRED_WRITABLE | STREAM_DEFERRED_WORK);
    stream->kind->update(stream);
    stream_defer(stream, STREAM_DEFERRED_CLOSED);
}

void stream_defer(struct stream *stream, unsigned deferred)
{
    stream->deferred |= (uint8_t)deferred;
    loop_task_defer(stream->loop, &stream->task);
}

static void run_deferred(struct stream *stream, unsigned deferred)
{
    if ((deferred & STREAM_DEFERRED_WORK) && stream_alive(stream))
        stream->kind->work(stream);
    if ((deferred & STREAM_DEFERRED_READABLE) && !stream->closed)
        stream_tell_input(stream, buffer_size(&stream->input) > 0);
    if ((deferred & STREAM_DEFERRED_WRITABLE) && stream_alive(stream))
        stream_tell_writable(stream);
    if ((deferred & STREAM_DEFERRED_CLOSED) && !stream->closed)
        stream->handler->closed(stream->owner, stream, stream->reason, stream->error);
}

static void on_task(struct loop_task *task)
{
    struct stream *stream = container_of(task, struct stream, task);
    unsigned deferred = stream->deferred;
    stream->deferred = 0;
    stream_enter(stream);
    run_deferred(stream, deferred);
    stream_leave(stream);
}

// --- about ---

void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *owner)
{
    stream->handler = handler;
    stream->owner = owner;
}

struct net_address stream_remote(const struct stream *stream)
{
    return stream->kind->address(stream, false);
}

struct net_address stream_local(const struct stream *stream)
{
    return stream->kind->address(stream, true);
}

bool stream_is_secure(const struct stream *stream)
{
    return stream->kind->secure;
}

const char *stream_alpn(const struct stream *stream)
{
    return stream->kind->alpn(stream);
}

// --- input ---

struct bytes stream_input(const struct stream *stream)
{
    return buffer_view(&stream->input);
}

bool stream_wants_input(const struct stream *stream)
{
    if (!stream_alive(stream) || stream->peer_ended)
        return false;
    return stream->finishing || (!stream->paused && buffer_room(&stream->input) > 0);
}

void stream_consume(struct stream *stream, size_t size)
{
    if (size == 0)
        return;
    buffer_consume(&stream->input, size);
    if (stream_alive(stream))
        stream->kind->update(stream);
}

void stream_pause(struct stream *stream, bool paused)
{
    if (stream->paused == paused)
        return;
    stream->paused = paused;
    if (stream_alive(stream))
        stream->kind->update(stream);
}

static void tell_ended(struct stream *stream)
{
    stream->ended_told = true;
    if (stream->handler->ended)
        stream->handler->ended(stream->owner, stream);
    else
        stream_finish(stream, FINISH_US);
}

void stream_tell_input(struct stream *stream, bool grown)
{
    if (stream->finishing) {
        buffer_done(&stream->input);
        return;
    }
    if (grown && !stream->closed)
        stream->handler->readable(stream->owner, stream);
    if (stream->peer_ended && !stream->ended_told && stream_alive(stream) && !stream->finishing)
        tell_ended(stream);
}

void stream_tell_opened(struct stream *stream)
{
    if (stream->opened || !stream_alive(stream))
        return;
    stream->opened = true;
    if (stream->handler->opened && !stream->finishing)
        stream->handler->opened(stream->owner, stream);
}

// --- output ---

size_t stream_unsent(const struct stream *stream)
{
    return buffer_size(&stream->output) + stream->kind->unsent_below(stream);
}

bool stream_congested(const struct stream *stream)
{
    return stream->congested;
}

static void note_congestion(struct stream *stream)
{
    if (stream_unsent(stream) >= stream->high_water_bytes)
        stream->congested = true;
}

void stream_flush(struct stream *stream)
{
    while (stream_alive(stream) && buffer_size(&stream->output) > 0) {
        size_t taken = stream->kind->take(stream, buffer_view(&stream->output));
        if (taken == 0)
            break;
        buffer_consume(&stream->output, taken);
    }
    if (stream_alive(stream) && stream->output_ending && !stream->output_ended && stream->opened &&
        buffer_size(&stream->output) == 0) {
        stream->output_ended = true;
        stream->kind->end_output(stream);
    }
    if (stream_alive(stream))
        stream->kind->update(stream);
}

void stream_tell_writable(struct stream *stream)
{
    if (!stream_alive(stream) || stream->finishing)
        return;
    size_t unsent = stream_unsent(stream);
    bool drained = stream->drain_wanted && unsent == 0;
    bool relieved = stream->congested && unsent <= stream->high_water_bytes / 4;
    if (!drained && !relieved)
        return;
    stream->congested = stream->congested && !relieved;
    stream->drain_wanted = stream->drain_wanted && !drained;
    if (stream->handler->writable)
        stream->handler->writable(stream->owner, stream);
}

int stream_write(struct stream *stream, struct bytes bytes)
{
    if (!stream_alive(stream) || stream->output_ending)
        return -EPIPE;
    if (bytes.size > buffer_room(&stream->output))
        return -ENOSPC;
    // past the buffer when nothing is in it: the usual case costs no copy
    if (buffer_size(&stream->output) == 0 && !stream->corked && stream->opened) {
        size_t taken = stream->kind->take(stream, bytes);
        bytes.data += taken;
        bytes.size -= taken;
        if (!stream_alive(stream))
            return -EPIPE;
    }
    int error = buffer_append(&stream->output, bytes);
    ensure(error == 0);
    note_congestion(stream);
    if (!stream->corked)
        stream->kind->update(stream);
    return 0;
}

void stream_set_record_per_write(struct stream *stream, bool apart)
{
    ensure(stream->corked == 0);
    stream->record_per_write = apart && stream->kind->secure;
}

/** The level whose buffer collects. */
static struct stream *cork_level(struct stream *stream)
{
    return stream->record_per_write ? stream->kind->below(stream) : stream;
}

void stream_cork(struct stream *stream)
{
    cork_level(stream)->corked++;
}

void stream_uncork(struct stream *stream)
{
    stream = cork_level(stream);
    ensure(stream->corked > 0);
    if (--stream->corked > 0 || !stream_alive(stream) || !stream->opened)
        return;
    stream_flush(stream);
    // the kernel may have taken all at once: then no descriptor event will tell
    if (stream_alive(stream) && (stream->congested || stream->drain_wanted) &&
        stream_unsent(stream) == 0)
        stream_defer(stream, STREAM_DEFERRED_WRITABLE);
}

void stream_notify_drained(struct stream *stream)
{
    stream->drain_wanted = true;
    if (!stream_alive(stream))
        return;
    if (stream_unsent(stream) == 0)
        stream_defer(stream, STREAM_DEFERRED_WRITABLE);
    else
        stream->kind->update(stream);
}

// --- ends ---

void stream_set_deadline(struct stream *stream, uint64_t deadline_us)
{
    if (deadline_us == TIME_NEVER)
        end_deadline(stream);
    else if (stream_alive(stream))
        set_deadline(stream, deadline_us);
}

void stream_end_output(struct stream *stream)
{
    if (!stream_alive(stream) || stream->output_ending)
        return;
    stream->output_ending = true;
    stream->corked = 0;
    if (stream->opened)
        stream_flush(stream);
    else
        stream->kind->update(stream);
}

void stream_finish(struct stream *stream, uint64_t timeout_us)
{
    if (!stream_alive(stream) || stream->finishing)
        return;
    stream->finishing = stream->output_ending = true;
    stream->corked = 0;
    buffer_done(&stream->input);
    uint64_t now_us = stream->loop->now_us;
    stream_set_deadline(stream,
                        timeout_us < TIME_NEVER - now_us ? now_us + timeout_us : TIME_NEVER);
    if (stream->opened)
        stream_flush(stream);
    else
        stream->kind->update(stream);
}

// --- parcels ---

struct stream_parcel {
    struct stream *stream;
    uint64_t deadline_us;
};

struct stream_parcel *stream_detach(struct stream *stream)
{
    ensure(!stream->closed);
    struct stream_parcel *parcel = memory_new(struct stream_parcel);
    parcel->deadline_us = stream->deadline ? stream->deadline->timer.deadline_us : TIME_NEVER;
    leave_loop(stream);
    stream->kind->detach(stream);
    // The content moves to a new place: frames on our stack may still look at the old one, which
    // is an empty shell from now on, closed as if its owner had done it.
    parcel->stream = memory_copy(stream, stream->kind->size);
    parcel->stream->busy = 0;
    parcel->stream->loop = NULL;
    stream->input = stream->output = (struct buffer){ 0 };
    stream->closed = true;
    if (stream->busy == 0)
        destroy(stream);
    return parcel;
}

int stream_attach(struct stream_parcel *parcel, struct loop *loop,
                  const struct stream_handler *handler, void *owner, struct stream **ret_stream)
{
    struct stream *stream = parcel->stream;
    stream->loop = loop;
    stream_set_handler(stream, handler, owner);
    loop_task_init(&stream->task, on_task);
    stream_set_deadline(stream, parcel->deadline_us);
    int error = stream->kind->attach(stream);
    if (error < 0) {
        stream_parcel_free(parcel);
        return error;
    }
    free(parcel);
    bool news = buffer_size(&stream->input) > 0 || (stream->peer_ended && !stream->ended_told);
    unsigned waiting = news ? STREAM_DEFERRED_READABLE : 0;
    if (stream->dead) // its end may have been due on the old thread's stack
        waiting |= STREAM_DEFERRED_CLOSED;
    if (stream->deferred | waiting)
        stream_defer(stream, waiting);
    *ret_stream = stream;
    return 0;
}

void stream_parcel_free(struct stream_parcel *parcel)
{
    if (!parcel)
        return;
    if (parcel->stream->loop) // an attach that failed half-way
        leave_loop(parcel->stream);
    parcel->stream->closed = true;
    parcel->stream->kind->release(parcel->stream);
    destroy(parcel->stream);
    free(parcel);
}
