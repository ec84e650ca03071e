// The answer to a request: its head, and a body that is copied, borrowed or streamed.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/http_server_int.h"

#define HEAD_SIZE_MAX 12288
/** Bodies up to this size are handed to the stream at once. */
#define AT_ONCE_MAX (32u << 10)
/** What one stream may write before others get their turn. */
#define TURN_BYTES  (256u << 10)
#define PIECE_BYTES (16u << 10)

void http_exchange_add_field(struct http_exchange *exchange, const char *name, const char *value)
{
    char line[10240];
    struct text_builder text = text_builder_of(line, sizeof(line));
    http_field_write_text(&text, name, value);
    if (text.truncated || exchange->fields_size + text.length > HEAD_SIZE_MAX / 2)
        return;
    exchange->fields = memory_resize(exchange->fields, exchange->fields_size + text.length);
    memcpy(exchange->fields + exchange->fields_size, line, text.length);
    exchange->fields_size += text.length;
}

void http_exchange_set_page(struct http_exchange *exchange, enum http_page page)
{
    exchange->page = page;
}

static void count_status(struct http_exchange *exchange)
{
    unsigned class = min_of(max_of(exchange->status / 100, 1u), 5u);
    http_count(&exchange->connection->server->metrics, HTTP_ANSWERS_1XX + (class - 1));
}

static bool status_has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

/** What delimits the body (RFC 9112, 6); old clients without chunks get the connection's end. */
static void write_length(struct http_exchange *exchange, uint64_t length, struct text_builder *out)
{
    if (!status_has_body(exchange->status))
        return;
    if (length != HTTP_LENGTH_UNKNOWN) {
        http_field_write_number(out, "Content-Length", length);
    } else if (http_exchange_request_of(exchange)->version_minor >= 1) {
        http_field_write_text(out, "Transfer-Encoding", "chunked");
        exchange->chunked = true;
    } else {
        exchange->last = true;
    }
}

/** Writes the head. False when the stream does not take it: the connection is being ended. */
static bool head_send(struct http_exchange *exchange, unsigned status, const char *type,
                      uint64_t length)
{
    ensure(exchange->state == HTTP_EXCHANGE_HANDLING);
    struct http_connection *connection = exchange->connection;
    exchange->state = HTTP_EXCHANGE_ANSWERING;
    exchange->status = status;
    exchange->last |= connection->server->draining;
    count_status(exchange);
    char head[HEAD_SIZE_MAX];
    struct text_builder text = text_builder_of(head, sizeof(head));
    http_response_begin(&text, status, (int64_t)(clock_unix_us() / TIME_US_PER_S));
    if (type)
        http_field_write_text(&text, "Content-Type", type);
    write_length(exchange, length, &text);
    if (exchange->last)
        http_field_write_text(&text, "Connection", "close");
    else if (http_exchange_request_of(exchange)->version_minor == 0)
        http_field_write_text(&text, "Connection", "keep-alive");
    http_policy_write(exchange, type, &text);
    text_append_bytes(&text, bytes_of(exchange->fields, exchange->fields_size));
    http_head_end(&text);
    if (!text.truncated && connection->phase != HTTP_PHASE_DEAD &&
        stream_write(connection->stream, bytes_of(head, text.length)) == 0)
        return true;
    http_connection_abort(connection);
    return false;
}

/** Whether a body of an answer with this status goes on the wire. */
static bool sends_body(const struct http_exchange *exchange)
{
    return status_has_body(exchange->status) && !exchange->head_only;
}

struct memory_source {
    const uint8_t *data;
    size_t size;
    size_t at;
    uint8_t *owned; /**< freed at the end; NULL: borrowed */
};

static long memory_read(void *source, uint8_t *out, size_t capacity)
{
    struct memory_source *memory = source;
    size_t size = min_of(capacity, memory->size - memory->at);
    memcpy(out, memory->data + memory->at, size);
    memory->at += size;
    return (long)size;
}

static void memory_done(void *source)
{
    struct memory_source *memory = source;
    free(memory->owned);
    free(memory);
}

static const struct http_source_ops memory_ops = { memory_read, memory_done };

static void stream_memory(struct http_exchange *exchange, unsigned status, const char *type,
                          struct bytes body, uint8_t *owned)
{
    struct memory_source *source = memory_new(struct memory_source);
    *source = (struct memory_source){ .data = body.data, .size = body.size, .owned = owned };
    http_exchange_stream(exchange, status, type, body.size, &memory_ops, source);
}

static void respond_at_once(struct http_exchange *exchange, unsigned status, const char *type,
                            struct bytes body)
{
    struct http_connection *connection = exchange->connection;
    stream_cork(connection->stream);
    bool good = head_send(exchange, status, type, body.size);
    if (good && body.size > 0 && sends_body(exchange)) {
        exchange->sent = body.size;
        if (stream_write(connection->stream, body) != 0)
            http_connection_abort(connection);
    }
    stream_uncork(connection->stream);
    http_connection_answered(connection);
}

void http_exchange_respond(struct http_exchange *exchange, unsigned status, const char *type,
                           struct bytes body)
{
    if (body.size <= AT_ONCE_MAX) {
        respond_at_once(exchange, status, type, body);
        return;
    }
    uint8_t *copy = memory_copy(body.data, body.size);
    stream_memory(exchange, status, type, bytes_of(copy, body.size), copy);
}

void http_exchange_respond_static(struct http_exchange *exchange, unsigned status, const char *type,
                                  struct bytes body)
{
    if (body.size <= AT_ONCE_MAX)
        respond_at_once(exchange, status, type, body);
    else
        stream_memory(exchange, status, type, body, NULL);
}

void http_exchange_respond_text(struct http_exchange *exchange, unsigned status, const char *text)
{
    http_exchange_respond(exchange, status, "text/plain; charset=utf-8", bytes_of_text(text));
}

/** Programs get JSON, people a page. */
static bool wants_json(const struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request_of(exchange);
    if (text_starts_with(request->path, "/api/"))
        return true;
    struct bytes accept = http_headers_find(&request->headers, "accept");
    return accept.data && memmem(accept.data, accept.size, "application/json", 16) &&
           !memmem(accept.data, accept.size, "text/html", 9);
}

/** `sentence` is ours, but quotes in it must not break the text around it. */
static void append_escaped(struct text_builder *text, const char *sentence, bool json)
{
    for (const char *at = sentence; *at; at++) {
        uint8_t c = (uint8_t)*at;
        if (json && (c == '"' || c == '\\'))
            text_append_format(text, "\\%c", c);
        else if (!json && (c == '<' || c == '>' || c == '&'))
            text_append_format(text, "&#%u;", c);
        else if (c >= 0x20)
            text_append_bytes(text, bytes_of(&c, 1));
    }
}

void http_exchange_fail(struct http_exchange *exchange, unsigned status, const char *sentence)
{
    char page[1024];
    struct text_builder text = text_builder_of(page, sizeof(page));
    bool json = wants_json(exchange);
    if (json)
        text_append_format(&text, "{\"error\":{\"status\":%u,\"message\":\"", status);
    else
        text_append_format(&text,
                           "<!doctype html><meta charset=utf-8>"
                           "<meta name=viewport content=\"width=device-width\">"
                           "<title>%u %s</title><h1>%s</h1><p>",
                           status, http_status_phrase(status), http_status_phrase(status));
    append_escaped(&text, sentence, json);
    text_append(&text, json ? "\"}}\n" : "\n");
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    http_exchange_respond(exchange, status, json ? "application/json" : "text/html; charset=utf-8",
                          bytes_of(page, text.length));
}

void http_answer_refusal(struct http_exchange *exchange, unsigned status, const char *sentence)
{
    exchange->last = true;
    exchange->state = HTTP_EXCHANGE_HANDLING;
    exchange->head_only = false;
    http_exchange_fail(exchange, status, sentence);
}

void http_exchange_redirect(struct http_exchange *exchange, unsigned status, const char *location)
{
    http_exchange_add_field(exchange, "Location", location);
    http_exchange_respond(exchange, status, NULL, bytes_of(NULL, 0));
}

void http_exchange_stream(struct http_exchange *exchange, unsigned status, const char *type,
                          uint64_t length, const struct http_source_ops *ops, void *source)
{
    struct http_connection *connection = exchange->connection;
    exchange->source_ops = ops;
    exchange->source = source;
    exchange->source_left = length;
    bool good = head_send(exchange, status, type, length);
    if (!good || !sends_body(exchange)) {
        http_connection_answered(connection);
        return;
    }
    if (connection->phase < HTTP_PHASE_WRITING)
        http_connection_set_phase(connection, HTTP_PHASE_WRITING);
    http_connection_wake(connection);
}

/** Writes one piece of the body with its framing. */
static int piece_send(struct http_exchange *exchange, struct bytes piece)
{
    struct stream *stream = exchange->connection->stream;
    if (!exchange->chunked)
        return stream_write(stream, piece);
    char head[HTTP_CHUNK_HEAD_SIZE];
    size_t head_size = http_chunk_head_write(piece.size, head);
    int result = stream_write(stream, bytes_of(head, head_size));
    if (result == 0)
        result = stream_write(stream, piece);
    return result == 0 ? stream_write(stream, bytes_of_text("\r\n")) : result;
}

/** The source is at its end: complete, or less than was promised. */
static void stream_end(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    bool short_of = exchange->source_left != HTTP_LENGTH_UNKNOWN && exchange->source_left > 0;
    if (short_of || (exchange->chunked &&
                     stream_write(connection->stream, bytes_of_text(HTTP_CHUNK_LAST)) != 0)) {
        http_count(&connection->server->metrics, HTTP_ANSWERS_CUT);
        http_connection_abort(connection);
        return;
    }
    http_connection_answered(connection);
}

static void stream_cut(struct http_exchange *exchange)
{
    http_count(&exchange->connection->server->metrics, HTTP_ANSWERS_CUT);
    http_connection_abort(exchange->connection);
}

void http_answer_pump(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    uint8_t piece[PIECE_BYTES];
    size_t written = 0;
    while (exchange->source_ops && !exchange->source_waits &&
           !stream_congested(connection->stream)) {
        if (written >= TURN_BYTES) {
            http_connection_wake(connection);
            return;
        }
        size_t room = (size_t)min_of((uint64_t)sizeof(piece), exchange->source_left);
        long count = room ? exchange->source_ops->read(exchange->source, piece, room) : 0;
        if (count == -EAGAIN) {
            exchange->source_waits = true;
        } else if (count < 0) {
            stream_cut(exchange);
            return;
        } else if (count == 0) {
            stream_end(exchange);
            return;
        } else {
            size_t size = (size_t)count;
            if (exchange->source_left != HTTP_LENGTH_UNKNOWN)
                exchange->source_left -= size;
            exchange->sent += size;
            written += size;
            if (piece_send(exchange, bytes_of(piece, size)) != 0) {
                stream_cut(exchange);
                return;
            }
        }
    }
}
