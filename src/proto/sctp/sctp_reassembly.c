#include "proto/sctp/sctp_reassembly_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/** Memory of a message that grows, at first. */
#define ROOM_FIRST 4096u

/**
 * Fragments [first, next) of one message without a hole. Positions are TSNs in DATA, fragment
 * numbers in I-DATA.
 */
struct sctp_piece {
    struct list node;
    uint32_t message; /**< its number within the stream; 0 for all unordered DATA */
    uint32_t first;
    uint32_t next;
    uint32_t ppid;
    bool begin; /**< has the first fragment of the message */
    bool end;   /**< has the last one */
    bool too_long;
    uint32_t size;        /**< 0 when `too_long` */
    struct blob *content; /**< has room for `size` and more; NULL when `too_long` */
    uint8_t *bytes;       /**< of `content` */
};

struct sctp_in_stream {
    uint32_t expected;     /**< number of the next ordered message */
    struct list ordered;   /**< pieces by message and position */
    struct list unordered; /**< the same */
};

void sctp_reassembly_init(struct sctp_reassembly *reassembly, uint32_t message_size_max,
                          struct sctp_events *events)
{
    *reassembly =
        (struct sctp_reassembly){ .message_size_max = message_size_max, .events = events };
}

static void piece_drop(struct sctp_reassembly *reassembly, struct sctp_piece *piece)
{
    reassembly->held -= SCTP_PIECE_COST + piece->size;
    reassembly->piece_count--;
    list_remove(&piece->node);
    blob_unref(piece->content);
    free(piece);
}

static void drop_all(struct sctp_reassembly *reassembly, struct list *pieces)
{
    struct sctp_piece *piece;
    list_each(piece, pieces, node) piece_drop(reassembly, piece);
}

void sctp_reassembly_done(struct sctp_reassembly *reassembly)
{
    for (uint32_t i = 0; i < reassembly->stream_count; i++) {
        struct sctp_in_stream *stream = reassembly->streams[i];
        if (!stream)
            continue;
        drop_all(reassembly, &stream->ordered);
        drop_all(reassembly, &stream->unordered);
        free(stream);
    }
    free(reassembly->streams);
    reassembly->streams = NULL;
    reassembly->stream_count = 0;
}

static struct sctp_in_stream *find_stream(struct sctp_reassembly *reassembly, uint16_t id)
{
    return id < reassembly->stream_count ? reassembly->streams[id] : NULL;
}

static struct sctp_in_stream *get_stream(struct sctp_reassembly *reassembly, uint16_t id)
{
    if (id >= reassembly->stream_count) {
        uint32_t count = max_of(2 * reassembly->stream_count, id + 1u);
        reassembly->streams =
            memory_resize(reassembly->streams, count * sizeof(*reassembly->streams));
        memset(reassembly->streams + reassembly->stream_count, 0,
               (count - reassembly->stream_count) * sizeof(*reassembly->streams));
        reassembly->stream_count = count;
    }
    if (!reassembly->streams[id]) {
        struct sctp_in_stream *stream = memory_new(struct sctp_in_stream);
        list_init(&stream->ordered);
        list_init(&stream->unordered);
        reassembly->streams[id] = stream;
    }
    return reassembly->streams[id];
}

// Delivery

static void deliver(struct sctp_reassembly *reassembly, uint16_t stream, bool unordered,
                    uint32_t ppid, struct blob *content)
{
    sctp_events_add(reassembly->events, &(struct sctp_event){
                                            .kind = content ? SCTP_MESSAGE : SCTP_MESSAGE_TOO_LONG,
                                            .stream = stream,
                                            .unordered = unordered,
                                            .ppid = ppid,
                                            .message = content,
                                        });
}

/** A whole message goes from its piece to the application. */
static void deliver_piece(struct sctp_reassembly *reassembly, uint16_t stream, bool unordered,
                          struct sctp_piece *piece)
{
    struct blob *content = piece->content;
    if (content) {
        uint8_t *at;
        content = blob_resize(content, piece->size, &at);
        piece->content = NULL;
    }
    deliver(reassembly, stream, unordered, piece->ppid, content);
    piece_drop(reassembly, piece);
}

static struct sctp_piece *first_piece(const struct list *pieces)
{
    return list_empty(pieces) ? NULL : container_of(pieces->next, struct sctp_piece, node);
}

static bool is_whole(const struct sctp_piece *piece)
{
    return piece->begin && piece->end;
}

/** Delivers ordered messages whose turn has come. */
static void deliver_ready(struct sctp_reassembly *reassembly, uint16_t id,
                          struct sctp_in_stream *stream)
{
    struct sctp_piece *piece;
    while ((piece = first_piece(&stream->ordered)) && piece->message == stream->expected &&
           is_whole(piece)) {
        deliver_piece(reassembly, id, false, piece);
        stream->expected++;
    }
}

// Pieces

/** A message that is too long keeps its place but not its bytes. */
static void piece_overflow(struct sctp_reassembly *reassembly, struct sctp_piece *piece)
{
    piece->too_long = true;
    reassembly->held -= piece->size;
    piece->size = 0;
    piece->content = blob_unref(piece->content);
}

/** Room for `size` bytes in all. */
static int piece_reserve(struct sctp_piece *piece, size_t size, bool last)
{
    size_t room = piece->content ? blob_bytes(piece->content).size : 0;
    if (size <= room)
        return 0;
    // what is known to be all gets no more than it needs
    size_t grown = max_of((size_t)ROOM_FIRST, 2 * room);
    size_t wanted = last ? size : max_of(size, grown);
    struct blob *content = piece->content ? blob_resize(piece->content, wanted, &piece->bytes)
                                          : blob_new_uninit(wanted, &piece->bytes);
    if (!content)
        return -ENOMEM;
    piece->content = content;
    return 0;
}

static int piece_append(struct sctp_reassembly *reassembly, struct sctp_piece *piece,
                        struct bytes bytes, bool last)
{
    size_t size = piece->size + bytes.size;
    if (size > reassembly->message_size_max)
        piece_overflow(reassembly, piece);
    if (piece->too_long)
        return 0;
    int error = piece_reserve(piece, size, last);
    if (error)
        return error;
    memcpy(piece->bytes + piece->size, bytes.data, bytes.size);
    piece->size += (uint32_t)bytes.size;
    reassembly->held += bytes.size;
    return 0;
}

/** A piece of one fragment, behind `before` in its list. */
static int piece_new(struct sctp_reassembly *reassembly, struct list *before,
                     const struct sctp_data *data, uint32_t message, uint32_t position,
                     struct sctp_piece **ret_piece)
{
    struct sctp_piece *piece = memory_new(struct sctp_piece);
    piece->message = message;
    piece->first = position;
    piece->next = position + 1;
    piece->ppid = data->ppid;
    piece->begin = data->begin;
    piece->end = data->end;
    list_append(before->next, &piece->node);
    reassembly->held += SCTP_PIECE_COST;
    reassembly->piece_count++;
    // a beginning will grow, others wait to be moved
    int error = piece_append(reassembly, piece, data->payload, data->end || !data->begin);
    if (error) {
        piece_drop(reassembly, piece);
        return error;
    }
    *ret_piece = piece;
    return 0;
}

/** Moves the pieces that follow the beginning of a message without a hole into it. */
static int piece_absorb(struct sctp_reassembly *reassembly, struct list *pieces,
                        struct sctp_piece *piece)
{
    while (!piece->end && piece->node.next != pieces) {
        struct sctp_piece *next = container_of(piece->node.next, struct sctp_piece, node);
        if (next->message != piece->message || next->first != piece->next || next->begin)
            return 0;
        if (next->too_long)
            piece_overflow(reassembly, piece);
        int error = piece_append(reassembly, piece, bytes_of(next->bytes, next->size), next->end);
        if (error)
            return error;
        piece->next = next->next;
        piece->end = next->end;
        piece_drop(reassembly, next);
    }
    return 0;
}

/** The last piece that does not begin behind this position; NULL: all do. */
static struct sctp_piece *find_before(struct list *pieces, uint32_t message, uint32_t position)
{
    // most chunks come in order: from the end
    for (struct list *at = pieces->previous; at != pieces; at = at->previous) {
        struct sctp_piece *piece = container_of(at, struct sctp_piece, node);
        if (sctp_after(message, piece->message) ||
            (message == piece->message && sctp_at_least(position, piece->first)))
            return piece;
    }
    return NULL;
}

/** Puts a fragment, or a message whose turn has not come, where it belongs. */
static int add_fragment(struct sctp_reassembly *reassembly, struct list *pieces,
                        const struct sctp_data *data, uint32_t message,
                        struct sctp_piece **ret_piece)
{
    uint32_t position = data->interleaved ? data->fragment : data->tsn;
    struct sctp_piece *piece = find_before(pieces, message, position);
    bool same = piece && piece->message == message;
    if (same && sctp_after(piece->next, position))
        return -EINVAL;
    int error;
    if (same && piece->next == position && !piece->end && !data->begin) {
        error = piece_append(reassembly, piece, data->payload, data->end);
        if (error)
            return error;
        piece->next = position + 1;
        piece->end = data->end;
    } else {
        error =
            piece_new(reassembly, piece ? &piece->node : pieces, data, message, position, &piece);
        if (error)
            return error;
    }
    *ret_piece = piece;
    return piece->begin ? piece_absorb(reassembly, pieces, piece) : 0;
}

// Streams

/** Messages of DATA have 16 bits of a number. */
static uint32_t ordered_number(const struct sctp_in_stream *stream, bool interleaved,
                               uint32_t message)
{
    if (interleaved)
        return message;
    uint32_t ahead = (message - stream->expected) & UINT16_MAX;
    uint32_t cycle = ahead < 0x8000 ? 0 : 0x10000;
    return stream->expected + ahead - cycle;
}

/** A message in one chunk needs no piece: from the packet into its own memory. */
static int deliver_single(struct sctp_reassembly *reassembly, const struct sctp_data *data)
{
    struct blob *content = NULL;
    if (data->payload.size <= reassembly->message_size_max) {
        content = blob_new(data->payload);
        if (!content)
            return -ENOMEM;
    }
    deliver(reassembly, data->stream, data->unordered, data->ppid, content);
    return 0;
}

static int add_unordered(struct sctp_reassembly *reassembly, struct sctp_in_stream *stream,
                         const struct sctp_data *data)
{
    if (data->begin && data->end)
        return deliver_single(reassembly, data);
    struct sctp_piece *piece;
    int error = add_fragment(reassembly, &stream->unordered, data,
                             data->interleaved ? data->message : 0, &piece);
    if (error)
        return error;
    if (is_whole(piece))
        deliver_piece(reassembly, data->stream, true, piece);
    return 0;
}

static int add_ordered(struct sctp_reassembly *reassembly, struct sctp_in_stream *stream,
                       const struct sctp_data *data)
{
    uint32_t message = ordered_number(stream, data->interleaved, data->message);
    if (sctp_after(stream->expected, message))
        return -ESTALE;
    if (message == stream->expected && data->begin && data->end) {
        int error = deliver_single(reassembly, data);
        if (error)
            return error;
        stream->expected++;
    } else {
        struct sctp_piece *piece;
        int error = add_fragment(reassembly, &stream->ordered, data, message, &piece);
        if (error)
            return error;
    }
    deliver_ready(reassembly, data->stream, stream);
    return 0;
}

int sctp_reassembly_add(struct sctp_reassembly *reassembly, const struct sctp_data *data)
{
    struct sctp_in_stream *stream = get_stream(reassembly, data->stream);
    return data->unordered ? add_unordered(reassembly, stream, data)
                           : add_ordered(reassembly, stream, data);
}

void sctp_reassembly_skip(struct sctp_reassembly *reassembly, bool interleaved,
                          const struct sctp_skip *skip)
{
    struct sctp_in_stream *stream = get_stream(reassembly, skip->stream);
    struct sctp_piece *piece;
    if (skip->unordered) {
        list_each(piece, &stream->unordered, node) if (!sctp_after(piece->message, skip->message))
            piece_drop(reassembly, piece);
        return;
    }
    uint32_t last = ordered_number(stream, interleaved, skip->message);
    if (sctp_after(stream->expected, last))
        return;
    // RFC 3758, 3.6: what is whole among them is delivered, in its order
    list_each(piece, &stream->ordered, node)
    {
        if (sctp_after(piece->message, last))
            break;
        if (is_whole(piece))
            deliver_piece(reassembly, skip->stream, false, piece);
        else
            piece_drop(reassembly, piece);
    }
    stream->expected = last + 1;
    deliver_ready(reassembly, skip->stream, stream);
}

void sctp_reassembly_forward(struct sctp_reassembly *reassembly, uint32_t tsn)
{
    for (uint32_t i = 0; i < reassembly->stream_count && reassembly->piece_count > 0; i++) {
        struct sctp_in_stream *stream = reassembly->streams[i];
        struct sctp_piece *piece;
        if (stream)
            list_each(piece, &stream->unordered, node) if (!sctp_after(piece->first, tsn))
                piece_drop(reassembly, piece);
    }
}

bool sctp_reassembly_reset(struct sctp_reassembly *reassembly, uint16_t id)
{
    struct sctp_in_stream *stream = find_stream(reassembly, id);
    if (!stream)
        return false;
    drop_all(reassembly, &stream->ordered);
    drop_all(reassembly, &stream->unordered);
    free(stream);
    reassembly->streams[id] = NULL;
    return true;
}
