/**
 * How messages of HTTP/1.1 are delimited, for both parsers of this folder: the head (lines up to an
 * empty one) and the body (a length, chunks, or the end of the connection). Others use
 * http_request.h and http_response.h.
 */
#pragma once

#include "proto/http/http_message.h"

enum http_refusal {
    HTTP_REFUSAL_NONE,
#define HTTP_REFUSAL(name, status, label, sentence) HTTP_REFUSAL_##name,
#include "proto/http/http_refusal.def"
#undef HTTP_REFUSAL
    HTTP_REFUSAL_COUNT
};

unsigned http_refusal_status(enum http_refusal refusal);
/** One sentence for the client. */
const char *http_refusal_sentence(enum http_refusal refusal);
/** The snake_case label of its counter. */
const char *http_refusal_label(enum http_refusal refusal);

/** Limits of one message. Zero fields take the defaults in brackets. */
struct http_limits {
    uint32_t first_line_size_max; /**< bytes [8192]; over it: 414 */
    uint32_t head_size_max;       /**< bytes of first line and header fields together [16384] */
    uint32_t header_count_max;    /**< [100] */
    uint64_t body_size_max;       /**< bytes [1048576] */
};

struct http_limits http_limits_with_defaults(const struct http_limits *limits);

/** A head that is being collected, then its fields as views. */
struct http_head {
    char *data;
    uint32_t size;
    uint32_t capacity;
    uint32_t line_start;      /**< of the line that is not finished */
    uint32_t first_line_size; /**< with CR LF; 0 while not finished */
    uint32_t empty_lines;     /**< skipped in front of the first line */
    struct http_header *fields;
    uint32_t field_count;
};

void http_head_done(struct http_head *head);
/** Forgets the content; keeps a small buffer. */
void http_head_clear(struct http_head *head);
/**
 * Collects lines. Sets `*ret_complete` when the empty line was taken; nothing behind it is. Lines
 * must end in CR LF with no other CR or LF in them.
 */
enum http_refusal http_head_input(struct http_head *head, const struct http_limits *limits,
                                  struct bytes input, size_t *ret_taken, bool *ret_complete);
/** The first line of a complete head without CR LF. */
struct bytes http_head_first_line(const struct http_head *head);
/** Takes the fields of a complete head apart (RFC 9112, 5). */
enum http_refusal http_head_parse_fields(struct http_head *head, const struct http_limits *limits);
/** `size` bytes behind the content; call it before views are made, it may move `data`. */
void http_head_reserve(struct http_head *head, uint32_t size);

enum http_body_state {
    HTTP_BODY_LENGTH,
    HTTP_BODY_UNTIL_CLOSE, /**< responses only */
    HTTP_BODY_CHUNK_SIZE,
    HTTP_BODY_CHUNK_EXTENSION,
    HTTP_BODY_CHUNK_SIZE_LF,
    HTTP_BODY_CHUNK_DATA,
    HTTP_BODY_CHUNK_DATA_CR,
    HTTP_BODY_CHUNK_DATA_LF,
    HTTP_BODY_TRAILER_START, /**< a trailer field or the last CR */
    HTTP_BODY_TRAILER,
    HTTP_BODY_TRAILER_LF,
    HTTP_BODY_LAST_LF,
    HTTP_BODY_END,
};

/** A body that is being read (RFC 9112, 6 and 7). */
struct http_body {
    enum http_body_state state;
    uint8_t digits;    /**< of the chunk size read so far */
    uint32_t overhead; /**< bytes of chunk extensions and trailers so far */
    uint64_t left;     /**< bytes of the body or of the chunk to come */
    uint64_t received; /**< body bytes so far */
    uint64_t size_max;
};

/** What frames the body, as found in the fields. */
struct http_length {
    bool is_chunked;
    bool has_length;
    uint64_t length;
};

/** Reads Content-Length and Transfer-Encoding; refuses all that could be read in two ways. */
enum http_refusal http_length_parse(const struct http_headers *headers, uint8_t version_minor,
                                    struct http_length *ret_length);
/**
 * Takes bytes up to the end of the next part or of the body (`state` HTTP_BODY_END); an empty part
 * means that all input was taken.
 */
enum http_refusal http_body_input(struct http_body *body, struct bytes input, size_t *ret_taken,
                                  struct bytes *ret_part);
/** Whether the connection survives the message, by version and Connection field (RFC 9112, 9.3). */
bool http_keep_alive_parse(const struct http_headers *headers, uint8_t version_minor);
