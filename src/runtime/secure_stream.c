#include "runtime/secure_stream.h"

#include <errno.h>

#include "base/memory.h"
#include "runtime/stream_int.h"

/** Room asked of the input buffer per read: one TLS record. */
#define READ_CHUNK (16u << 10)

struct secure_stream {
    struct stream base;
    struct stream *below;                   /**< the transport, ours */
    struct stream_parcel *below_on_its_way; /**< instead of `below` while detached */
    struct tls_stream *tls;
    bool ending;        /**< close_notify is written: end below once all is handed down */
    bool below_ended;   /**< in order, and what it brought is not all decrypted */
    bool input_blocked; /**< decrypting stopped for want of room or a pause */
};

static struct secure_stream *secure_of(struct stream *stream)
{
    return container_of(stream, struct secure_stream, base);
}

static const struct secure_stream *secure_of_const(const struct stream *stream)
{
    return (const struct secure_stream *)(const void *)stream; // `base` is the first member
}

static void fail(struct secure_stream *secure)
{
    if (!stream_alive(&secure->base))
        return;
    runtime_count(&secure->base.loop->metrics, RUNTIME_TLS_FAILED, 1);
    stream_die(&secure->base, STREAM_TLS_FAILED, -EPROTO);
}

/** Hands ciphertext to the transport, as much as it has room for. */
static void push_ciphertext(struct secure_stream *secure)
{
    for (;;) {
        struct bytes waiting = tls_stream_output(secure->tls);
        waiting.size = min_of(waiting.size, buffer_room(&secure->below->output));
        if (waiting.size == 0 || stream_write(secure->below, waiting) < 0)
            break;
        tls_stream_output_sent(secure->tls, waiting.size);
    }
    if (!secure->ending || tls_stream_output(secure->tls).size > 0)
        return;
    if (secure->base.finishing)
        stream_finish(secure->below, TIME_NEVER); // our own deadline covers it
    else
        stream_end_output(secure->below);
}

static size_t secure_take(struct stream *stream, struct bytes bytes)
{
    struct secure_stream *secure = secure_of(stream);
    if (stream_congested(secure->below))
        return 0;
    ssize_t taken = tls_stream_write(secure->tls, bytes);
    if (taken < 0) {
        if (taken != -EAGAIN)
            fail(secure);
        taken = 0;
    }
    push_ciphertext(secure);
    return (size_t)taken;
}

static size_t secure_unsent_below(const struct stream *stream)
{
    const struct secure_stream *secure = secure_of_const(stream);
    return tls_stream_output(secure->tls).size + stream_unsent(secure->below);
}

/** Asks the transport to tell when it has drained, where that is what we wait for. */
static void order_news(struct secure_stream *secure)
{
    struct stream *stream = &secure->base;
    bool more = buffer_size(&stream->output) > 0 || tls_stream_output(secure->tls).size > 0;
    if ((more || stream->congested || stream->drain_wanted) && stream_unsent(secure->below) > 0)
        stream_notify_drained(secure->below);
}

static void secure_update(struct stream *stream)
{
    struct secure_stream *secure = secure_of(stream);
    if (!stream_alive(stream))
        return;
    if (secure->input_blocked && stream_wants_input(stream))
        stream_defer(stream, STREAM_DEFERRED_WORK);
    order_news(secure);
}

static void secure_end_output(struct stream *stream)
{
    struct secure_stream *secure = secure_of(stream);
    tls_stream_close(secure->tls);
    secure->ending = true;
    push_ciphertext(secure);
}

static void secure_release(struct stream *stream)
{
    struct secure_stream *secure = secure_of(stream);
    secure->below = stream_close(secure->below);
    stream_parcel_free(secure->below_on_its_way);
    tls_stream_free(secure->tls);
    secure->tls = NULL;
}

static const char *secure_alpn(const struct stream *stream)
{
    return tls_stream_alpn(secure_stream_tls(stream));
}

// --- reading ---

/** Gives arrived ciphertext to TLS. Returns whether any was taken. */
static bool feed_ciphertext(struct secure_stream *secure)
{
    struct bytes arrived = stream_input(secure->below);
    if (arrived.size == 0)
        return false;
    ssize_t taken = tls_stream_input(secure->tls, arrived);
    if (taken <= 0)
        return false;
    stream_consume(secure->below, (size_t)taken);
    return true;
}

/** Moves one record's worth of plaintext to the input. Returns the bytes moved. */
static size_t read_plaintext(struct secure_stream *secure)
{
    struct stream *stream = &secure->base;
    if (stream->finishing)
        buffer_done(&stream->input);
    secure->input_blocked = !stream_wants_input(stream) && !stream->peer_ended;
    if (!stream_wants_input(stream))
        return 0;
    size_t size = min_of((size_t)READ_CHUNK, buffer_room(&stream->input));
    uint8_t *at = buffer_reserve(&stream->input, size);
    ssize_t got = tls_stream_read(secure->tls, at, size);
    if (got > 0)
        buffer_commit(&stream->input, (size_t)got);
    if (buffer_size(&stream->input) == 0)
        buffer_done(&stream->input);
    return got > 0 ? (size_t)got : 0;
}

/** Decrypts what has arrived, as far as there is room. Returns whether the input has grown. */
static bool decrypt(struct secure_stream *secure)
{
    bool grown = false, progress;
    do {
        progress = feed_ciphertext(secure);
        if (read_plaintext(secure) > 0)
            grown = progress = true;
    } while (progress);
    return grown;
}

static void note_state(struct secure_stream *secure)
{
    struct stream *stream = &secure->base;
    enum tls_state state = tls_stream_state(secure->tls);
    bool truncated = secure->below->peer_ended && buffer_size(&secure->below->input) == 0;
    if (state == TLS_FAILED) {
        fail(secure);
    } else if (state == TLS_HANDSHAKE) {
        if (truncated)
            fail(secure);
    } else {
        if (!stream->opened)
            runtime_count(&stream->loop->metrics, RUNTIME_TLS_HANDSHAKES, 1);
        // Many peers end TCP without close_notify; protocols above frame their messages.
        if (state == TLS_PEER_CLOSED || (truncated && !secure->input_blocked))
            stream->peer_ended = true;
        stream_tell_opened(stream);
    }
}

static void secure_work(struct stream *stream)
{
    struct secure_stream *secure = secure_of(stream);
    stream_enter(stream);
    bool grown = decrypt(secure);
    push_ciphertext(secure);
    note_state(secure);
    // what was decrypted before a failure was authentic: the owner gets it
    if (!stream->closed && (grown || stream->peer_ended))
        stream_tell_input(stream, grown);
    if (secure->below_ended && !secure->input_blocked)
        stream_die(stream, STREAM_ENDED, 0);
    if (stream_alive(stream) && stream->opened)
        stream_flush(stream);
    if (stream_alive(stream))
        stream_tell_writable(stream);
    stream_leave(stream);
}

// --- the transport's events ---

static void below_event(void *owner, struct stream *unused_below unused)
{
    struct secure_stream *secure = owner;
    if (stream_alive(&secure->base))
        secure_work(&secure->base);
}

static void below_closed(void *owner, struct stream *unused_below unused,
                         enum stream_close_reason reason, int error)
{
    struct secure_stream *secure = owner;
    // the owner is slower than the wire: it gets the rest first
    secure->below_ended = reason == STREAM_ENDED && secure->input_blocked;
    if (!secure->below_ended)
        stream_die(&secure->base, reason, error);
}

static const struct stream_handler below_handler = {
    .opened = below_event,
    .readable = below_event,
    .ended = below_event,
    .writable = below_event,
    .closed = below_closed,
};

// --- moving ---

static void secure_detach(struct stream *stream)
{
    struct secure_stream *secure = secure_of(stream);
    secure->below_on_its_way = stream_detach(secure->below);
    secure->below = NULL;
}

static int secure_attach(struct stream *stream)
{
    struct secure_stream *secure = secure_of(stream);
    struct stream_parcel *parcel = secure->below_on_its_way;
    secure->below_on_its_way = NULL;
    int error = stream_attach(parcel, stream->loop, &below_handler, secure, &secure->below);
    if (error == 0)
        stream_defer(stream, STREAM_DEFERRED_WORK);
    return error;
}

static struct stream *secure_below(const struct stream *stream)
{
    return secure_of_const(stream)->below;
}

static struct net_address secure_address(const struct stream *stream, bool ours)
{
    const struct stream *below = secure_of_const(stream)->below;
    return below->kind->address(below, ours);
}

static const struct stream_kind secure_kind = {
    .size = sizeof(struct secure_stream),
    .secure = true,
    .take = secure_take,
    .update = secure_update,
    .work = secure_work,
    .end_output = secure_end_output,
    .unsent_below = secure_unsent_below,
    .release = secure_release,
    .detach = secure_detach,
    .attach = secure_attach,
    .alpn = secure_alpn,
    .address = secure_address,
    .below = secure_below,
};

// --- making ---

static struct stream *make(struct stream *transport, struct tls_stream *tls,
                           const struct stream_limits *limits, const struct stream_handler *handler,
                           void *owner)
{
    struct secure_stream *secure = memory_new(struct secure_stream);
    struct stream *stream = &secure->base;
    stream_init(stream, &secure_kind, transport->loop, limits, handler, owner);
    secure->below = transport;
    secure->tls = tls;
    stream_set_handler(transport, &below_handler, secure);
    stream_set_deadline(transport, TIME_NEVER);
    // the handshake may have begun in the transport's input; events come from the loop only
    stream_defer(stream, STREAM_DEFERRED_WORK);
    return stream;
}

struct stream *secure_stream_new_server(struct stream *transport,
                                        struct tls_server_context *context,
                                        const struct stream_limits *limits,
                                        const struct stream_handler *handler, void *owner)
{
    return make(transport, tls_stream_new_server(context), limits, handler, owner);
}

struct stream *secure_stream_new_client(struct stream *transport,
                                        struct tls_client_context *context, const char *server_name,
                                        const struct stream_limits *limits,
                                        const struct stream_handler *handler, void *owner)
{
    return make(transport, tls_stream_new_client(context, server_name), limits, handler, owner);
}

const struct tls_stream *secure_stream_tls(const struct stream *stream)
{
    if (stream->kind != &secure_kind)
        return NULL;
    return secure_of_const(stream)->tls;
}
