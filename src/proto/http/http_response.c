#include "proto/http/http_response.h"

enum response_state {
    RESPONSE_HEAD,
    RESPONSE_BODY,
    RESPONSE_ENDED,
    RESPONSE_REFUSED,
};

void http_response_parser_init(struct http_response_parser *parser,
                               const struct http_limits *limits)
{
    *parser = (struct http_response_parser){ .limits = http_limits_with_defaults(limits),
                                             .state = RESPONSE_HEAD };
}

void http_response_parser_done(struct http_response_parser *parser)
{
    http_head_done(&parser->head);
}

void http_response_parser_expect_head(struct http_response_parser *parser)
{
    parser->to_head = true;
}

/** "HTTP/1.1 200 OK"; the phrase may be missing with its space (RFC 9112, 4). */
static enum http_refusal status_line_parse(struct http_response_parser *parser)
{
    struct bytes rest = http_head_first_line(&parser->head);
    struct bytes version = text_take_until(&rest, ' ');
    if (!text_equal(version, "HTTP/1.1") && !text_equal(version, "HTTP/1.0"))
        return HTTP_REFUSAL_BAD_VERSION;
    struct bytes code = text_take_until(&rest, ' ');
    uint64_t status = 0;
    if (code.size != 3 || text_parse_u64(code, 999, &status) != 0 || status < 100)
        return HTTP_REFUSAL_BAD_REQUEST_LINE;
    parser->response.version_minor = (uint8_t)(version.data[7] - '0');
    parser->response.status = (unsigned)status;
    return HTTP_REFUSAL_NONE;
}

/** RFC 9112, 6.3: what delimits the body. */
static enum http_refusal body_prepare(struct http_response_parser *parser)
{
    struct http_response *response = &parser->response;
    struct http_length length;
    enum http_refusal refusal =
        http_length_parse(&response->headers, response->version_minor, &length);
    if (refusal)
        return refusal;
    bool interim = response->status < 200;
    bool bodiless =
        interim || parser->to_head || response->status == 204 || response->status == 304;
    if (!interim)
        parser->to_head = false;
    response->is_chunked = length.is_chunked;
    response->content_length = length.length;
    response->until_close = !bodiless && !length.is_chunked && !length.has_length;
    response->has_body =
        !bodiless && (length.is_chunked || length.length > 0 || response->until_close);
    parser->body = (struct http_body){
        .state = !response->has_body     ? HTTP_BODY_END
                 : length.is_chunked     ? HTTP_BODY_CHUNK_SIZE
                 : response->until_close ? HTTP_BODY_UNTIL_CLOSE
                                         : HTTP_BODY_LENGTH,
        .left = length.length,
        .size_max = parser->limits.body_size_max,
    };
    return HTTP_REFUSAL_NONE;
}

static enum http_refusal head_parse(struct http_response_parser *parser)
{
    struct http_response *response = &parser->response;
    *response = (struct http_response){ 0 };
    enum http_refusal refusal = status_line_parse(parser);
    if (!refusal)
        refusal = http_head_parse_fields(&parser->head, &parser->limits);
    if (refusal)
        return refusal;
    response->headers = (struct http_headers){ parser->head.fields, parser->head.field_count };
    refusal = body_prepare(parser);
    response->keep_alive = !response->until_close &&
                           http_keep_alive_parse(&response->headers, response->version_minor);
    return refusal;
}

static struct http_event refuse(struct http_response_parser *parser, enum http_refusal refusal)
{
    parser->state = RESPONSE_REFUSED;
    parser->refusal = refusal;
    return (struct http_event){ .kind = HTTP_EVENT_REFUSED, .refusal = refusal };
}

static size_t head_input(struct http_response_parser *parser, struct bytes input,
                         struct http_event *ret_event)
{
    size_t taken;
    bool complete;
    enum http_refusal refusal =
        http_head_input(&parser->head, &parser->limits, input, &taken, &complete);
    if (!refusal && complete) {
        refusal = head_parse(parser);
        parser->state = RESPONSE_BODY;
        ret_event->kind = HTTP_EVENT_HEAD;
    }
    if (refusal)
        *ret_event = refuse(parser, refusal);
    return taken;
}

static size_t body_input(struct http_response_parser *parser, struct bytes input,
                         struct http_event *ret_event)
{
    size_t taken = 0;
    struct bytes part = bytes_of(NULL, 0);
    enum http_refusal refusal = HTTP_REFUSAL_NONE;
    if (parser->body.state == HTTP_BODY_LENGTH &&
        parser->body.left > parser->body.size_max - parser->body.received)
        refusal = HTTP_REFUSAL_BODY_TOO_LARGE;
    else if (parser->body.state != HTTP_BODY_END)
        refusal = http_body_input(&parser->body, input, &taken, &part);
    if (refusal) {
        *ret_event = refuse(parser, refusal);
    } else if (part.size > 0) {
        *ret_event = (struct http_event){ .kind = HTTP_EVENT_BODY, .body = part };
    } else if (parser->body.state == HTTP_BODY_END) {
        parser->state = RESPONSE_ENDED;
        ret_event->kind = HTTP_EVENT_END;
    }
    return taken;
}

size_t http_response_input(struct http_response_parser *parser, struct bytes input,
                           struct http_event *ret_event)
{
    *ret_event = (struct http_event){ .kind = HTTP_EVENT_NONE };
    switch ((enum response_state)parser->state) {
    case RESPONSE_REFUSED:
        *ret_event = refuse(parser, parser->refusal);
        return 0;
    case RESPONSE_BODY:
        return body_input(parser, input, ret_event);
    case RESPONSE_ENDED:
        http_head_clear(&parser->head);
        parser->response = (struct http_response){ 0 };
        parser->state = RESPONSE_HEAD;
        break;
    case RESPONSE_HEAD:
        break;
    }
    return head_input(parser, input, ret_event);
}

bool http_response_finish(struct http_response_parser *parser)
{
    if (parser->state == RESPONSE_HEAD)
        return parser->head.size == 0;
    if (parser->state == RESPONSE_BODY)
        return parser->body.state == HTTP_BODY_UNTIL_CLOSE || parser->body.state == HTTP_BODY_END;
    return parser->state == RESPONSE_ENDED;
}
