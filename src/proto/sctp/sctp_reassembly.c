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

/** Pieces by message and position. An array: whoever sends in a wild order costs no long walks. */
struct pieces {
    struct sctp_piece **at; /**< heap */
    uint32_t count;
    uint32_t capacity;
};

struct sctp_in_stream {
    uint32_t expected; /**< number of the next ordered message */
    struct pieces ordered;
    struct pieces unordered;
};

void sctp_reassembly_init(struct sctp_reassembly *reassembly, uint32_t message_size_max,
                          struct sctp_events *events)
{
    *reassembly =
        (struct sctp_reassembly){ .message_size_max = message_size_max, .events = events };
}

static void pieces_insert(struct pieces *pieces, uint32_t index, struct sctp_piece *piece)
{
    if (pieces->count == pieces->capacity) {
        pieces->capacity = max_of(4u, 2 * pieces->capacity);
        pieces->at = memory_resize(pieces->at, pieces->capacity * sizeof(struct sctp_piece *));
    }
    memmove(pieces->at + index + 1, pieces->at + index,
            (pieces->count - index) * sizeof(struct sctp_piece *));
    pieces->at[index] = piece;
    pieces->count++;
}

/** The pieces [from, to) are gone. */
static void pieces_close(struct pieces *pieces, uint32_t from, uint32_t to)
{
    if (from == to)
        return;
    memmove(pieces->at + from, pieces->at + to, (pieces->count - to) * sizeof(struct sctp_piece *));
    pieces->count -= to - from;
    if (pieces->count == 0) {
        free(pieces->at);
        *pieces = (struct pieces){ 0 };
    }
}

static void piece_free(struct sctp_reassembly *reassembly, struct sctp_piece *piece)
{
    reassembly->held -= SCTP_PIECE_COST + piece->size;
    reassembly->piece_count--;
    blob_unref(piece->content);
    free(piece);
}

static void drop_all(struct sctp_reassembly *reassembly, struct pieces *pieces)
{
    for (uint32_t i = 0; i < pieces->count; i++)
        piece_free(reassembly, pieces->at[i]);
    pieces_close(pieces, 0, pieces->count);
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
    if (!reassembly->streams[id])
        reassembly->streams[id] = memory_new(struct sctp_in_stream);
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
    piece_free(reassembly, piece);
}

static bool is_whole(const struct sctp_piece *piece)
{
    return piece->begin && piece->end;
}

/** Delivers ordered messages whose turn has come. */
static void deliver_ready(struct sctp_reassembly *reassembly, uint16_t id,
                          struct sctp_in_stream *stream)
{
    struct pieces *pieces = &stream->ordered;
    uint32_t done = 0;
    for (; done < pieces->count; done++) {
        struct sctp_piece *piece = pieces->at[done];
        if (piece->message != stream->expected || !is_whole(piece))
            break;
        deliver_piece(reassembly, id, false, piece);
        stream->expected++;
    }
    pieces_close(pieces, 0, done);
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

/** A piece of one fragment, which becomes the one at `index`. */
static int piece_new(struct sctp_reassembly *reassembly, struct pieces *pieces, uint32_t index,
                     const struct sctp_data *data, uint32_t message, uint32_t position)
{
    struct sctp_piece *piece = memory_new(struct sctp_piece);
    piece->message = message;
    piece->first = position;
    piece->next = position + 1;
    piece->ppid = data->ppid;
    piece->begin = data->begin;
    piece->end = data->end;
    reassembly->held += SCTP_PIECE_COST;
    reassembly->piece_count++;
    // a beginning will grow, others wait to be moved
    int error = piece_append(reassembly, piece, data->payload, data->end || !data->begin);
    if (error) {
        piece_free(reassembly, piece);
        return error;
    }
    pieces_insert(pieces, index, piece);
    return 0;
}

/** Moves the pieces that follow the beginning of a message without a hole into it. */
static int absorb(struct sctp_reassembly *reassembly, struct pieces *pieces, uint32_t index)
{
    struct sctp_piece *piece = pieces->at[index];
    uint32_t done = index + 1;
    int error = 0;
    for (; !piece->end && done < pieces->count; done++) {
        struct sctp_piece *next = pieces->at[done];
        if (next->message != piece->message || next->first != piece->next || next->begin)
            break;
        if (next->too_long)
            piece_overflow(reassembly, piece);
        error = piece_append(reassembly, piece, bytes_of(next->bytes, next->size), next->end);
        if (error)
            break;
        piece->next = next->next;
        piece->end = next->end;
        piece_free(reassembly, next);
    }
    pieces_close(pieces, index + 1, done);
    return error;
}

/** How many pieces begin at this position or before it. */
static uint32_t find_place(const struct pieces *pieces, uint32_t message, uint32_t position)
{
    uint32_t low = 0, high = pieces->count;
    while (low < high) {
        // most chunks come in order: the end is looked at first
        uint32_t middle = high == pieces->count ? high - 1 : (low + high) / 2;
        const struct sctp_piece *piece = pieces->at[middle];
        if (sctp_after(message, piece->message) ||
            (message == piece->message && sctp_at_least(position, piece->first)))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/** Puts a fragment, or a message whose turn has not come, where it belongs. */
static int add_fragment(struct sctp_reassembly *reassembly, struct pieces *pieces,
                        const struct sctp_data *data, uint32_t message, uint32_t *ret_index)
{
    uint32_t position = data->interleaved ? data->fragment : data->tsn;
    uint32_t index = find_place(pieces, message, position);
    struct sctp_piece *before = index > 0 ? pieces->at[index - 1] : NULL;
    bool same = before && before->message == message;
    if (same && sctp_after(before->next, position))
        return -EINVAL;
    int error;
    if (same && before->next == position && !before->end && !data->begin) {
        error = piece_append(reassembly, before, data->payload, data->end);
        if (error)
            return error;
        before->next = position + 1;
        before->end = data->end;
        index--;
    } else {
        error = piece_new(reassembly, pieces, index, data, message, position);
        if (error)
            return error;
    }
    *ret_index = index;
    return pieces->at[index]->begin ? absorb(reassembly, pieces, index) : 0;
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
    struct pieces *pieces = &stream->unordered;
    uint32_t index;
    int error =
        add_fragment(reassembly, pieces, data, data->interleaved ? data->message : 0, &index);
    if (error)
        return error;
    ensure(pieces->at != NULL && index < pieces->count);
    if (!is_whole(pieces->at[index]))
        return 0;
    deliver_piece(reassembly, data->stream, true, pieces->at[index]);
    pieces_close(pieces, index, index + 1);
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
        uint32_t index;
        int error = add_fragment(reassembly, &stream->ordered, data, message, &index);
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

/** Drops unordered pieces of messages up to this one. */
static void skip_unordered(struct sctp_reassembly *reassembly, struct pieces *pieces,
                           uint32_t message)
{
    uint32_t done = 0;
    while (done < pieces->count && !sctp_after(pieces->at[done]->message, message))
        piece_free(reassembly, pieces->at[done++]);
    pieces_close(pieces, 0, done);
}

void sctp_reassembly_skip(struct sctp_reassembly *reassembly, bool interleaved,
                          const struct sctp_skip *skip)
{
    struct sctp_in_stream *stream = get_stream(reassembly, skip->stream);
    struct pieces *pieces = &stream->ordered;
    if (skip->unordered) {
        skip_unordered(reassembly, &stream->unordered, skip->message);
        return;
    }
    uint32_t last = ordered_number(stream, interleaved, skip->message);
    if (sctp_after(stream->expected, last))
        return;
    // RFC 3758, 3.6: what is whole among them is delivered, in its order
    uint32_t done = 0;
    for (; done < pieces->count && !sctp_after(pieces->at[done]->message, last); done++) {
        if (is_whole(pieces->at[done]))
            deliver_piece(reassembly, skip->stream, false, pieces->at[done]);
        else
            piece_free(reassembly, pieces->at[done]);
    }
    pieces_close(pieces, 0, done);
    stream->expected = last + 1;
    deliver_ready(reassembly, skip->stream, stream);
}

void sctp_reassembly_forward(struct sctp_reassembly *reassembly, uint32_t tsn)
{
    for (uint32_t i = 0; i < reassembly->stream_count && reassembly->piece_count > 0; i++) {
        if (!reassembly->streams[i])
            continue;
        struct pieces *pieces = &reassembly->streams[i]->unordered;
        uint32_t done = 0;
        while (done < pieces->count && !sctp_after(pieces->at[done]->first, tsn))
            piece_free(reassembly, pieces->at[done++]);
        pieces_close(pieces, 0, done);
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
