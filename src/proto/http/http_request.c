#include "proto/http/http_request.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "proto/http/http_target.h"

enum request_state {
    REQUEST_HEAD,
    REQUEST_BODY,
    REQUEST_ENDED,
    REQUEST_REFUSED,
};

void http_request_parser_init(struct http_request_parser *parser, const struct http_limits *limits)
{
    *parser = (struct http_request_parser){ .limits = http_limits_with_defaults(limits),
                                            .state = REQUEST_HEAD };
}

void http_request_parser_done(struct http_request_parser *parser)
{
    http_head_done(&parser->head);
}

bool http_request_parser_idle(const struct http_request_parser *parser)
{
    return parser->state == REQUEST_ENDED ||
           (parser->state == REQUEST_HEAD && parser->head.size == 0);
}

bool http_request_parser_in_head(const struct http_request_parser *parser)
{
    return parser->state == REQUEST_HEAD && parser->head.size > 0;
}

void http_request_limit_body(struct http_request_parser *parser, uint64_t size_max)
{
    parser->body.size_max = size_max;
}

/** "HTTP/1.1" or "HTTP/1.0" (RFC 9112, 2.3). */
static enum http_refusal version_parse(struct bytes text, uint8_t *ret_minor)
{
    bool shaped = text.size == 8 && text_starts_with(text, "HTTP/") && text.data[6] == '.' &&
                  text.data[5] >= '0' && text.data[5] <= '9' && text.data[7] >= '0' &&
                  text.data[7] <= '9';
    if (!shaped)
        return HTTP_REFUSAL_BAD_REQUEST_LINE;
    if (text.data[5] != '1' || text.data[7] > '1')
        return HTTP_REFUSAL_BAD_VERSION;
    *ret_minor = (uint8_t)(text.data[7] - '0');
    return HTTP_REFUSAL_NONE;
}

/** Cuts scheme and authority off an absolute-form target (RFC 9112, 3.2.2). */
static enum http_refusal absolute_form_cut(struct bytes *target, struct bytes *ret_host)
{
    static const char *const schemes[] = { "http://", "https://" };
    for (size_t i = 0; i < array_size(schemes); i++) {
        size_t length = strlen(schemes[i]);
        if (target->size < length ||
            !text_equal_ignore_case(bytes_of(target->data, length), schemes[i]))
            continue;
        struct bytes rest = bytes_of(target->data + length, target->size - length);
        size_t host = 0;
        while (host < rest.size && rest.data[host] != '/' && rest.data[host] != '?')
            host++;
        *ret_host = bytes_of(rest.data, host);
        *target = bytes_of(rest.data + host, rest.size - host);
        return host > 0 ? HTTP_REFUSAL_NONE : HTTP_REFUSAL_BAD_TARGET;
    }
    return HTTP_REFUSAL_BAD_TARGET;
}

/** Writes the normal form of the path behind the head. */
static enum http_refusal path_parse(struct http_request_parser *parser, struct bytes path)
{
    struct http_head *head = &parser->head;
    size_t size;
    int result =
        http_path_normalise(path, head->data + head->size, head->capacity - head->size, &size);
    if (result == -EACCES)
        return HTTP_REFUSAL_PATH_ABOVE_ROOT;
    if (result != 0)
        return HTTP_REFUSAL_BAD_ESCAPE;
    parser->request.path = bytes_of(head->data + head->size, size);
    return HTTP_REFUSAL_NONE;
}

static enum http_refusal target_parse(struct http_request_parser *parser)
{
    struct http_request *request = &parser->request;
    struct bytes target = request->target;
    for (size_t i = 0; i < target.size; i++) {
        // browsers leave some characters unescaped that RFC 3986 would escape; none is ambiguous
        uint8_t c = target.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return HTTP_REFUSAL_BAD_TARGET;
    }
    if (request->method == HTTP_METHOD_OPTIONS && text_equal(target, "*")) {
        request->path = target;
        return HTTP_REFUSAL_NONE;
    }
    if (target.size == 0)
        return HTTP_REFUSAL_BAD_REQUEST_LINE;
    if (target.data[0] != '/') {
        enum http_refusal refusal = absolute_form_cut(&target, &request->host);
        if (refusal)
            return refusal;
    }
    request->query = target;
    struct bytes path = text_take_until(&request->query, '?');
    return path_parse(parser, path.size > 0 ? path : bytes_of_text("/"));
}

/** "GET /path HTTP/1.1", single spaces (RFC 9112, 3). */
static enum http_refusal request_line_parse(struct http_request_parser *parser)
{
    struct http_request *request = &parser->request;
    struct bytes rest = http_head_first_line(&parser->head);
    struct bytes method = text_take_until(&rest, ' ');
    if (!http_is_token(method))
        return HTTP_REFUSAL_BAD_METHOD;
    request->target = text_take_until(&rest, ' ');
    if (!rest.data)
        return HTTP_REFUSAL_BAD_REQUEST_LINE;
    enum http_refusal refusal = version_parse(rest, &request->version_minor);
    if (refusal)
        return refusal;
    request->method = http_method_parse(method);
    if (request->method == HTTP_METHOD_NONE)
        return HTTP_REFUSAL_UNKNOWN_METHOD;
    return target_parse(parser);
}

/** Exactly one valid Host in HTTP/1.1 (RFC 9112, 3.2); an absolute-form target wins over it. */
static enum http_refusal host_check(struct http_request *request)
{
    size_t count = http_headers_count(&request->headers, "host");
    if (count > 1)
        return HTTP_REFUSAL_REPEATED_HOST;
    if (count == 0 && request->version_minor >= 1)
        return HTTP_REFUSAL_NO_HOST;
    struct bytes field = http_headers_find(&request->headers, "host");
    struct bytes name;
    uint16_t port;
    if (field.data && http_host_parse(field, &name, &port) != 0)
        return HTTP_REFUSAL_BAD_HOST;
    if (request->host.data)
        return http_host_parse(request->host, &name, &port) == 0 ? HTTP_REFUSAL_NONE
                                                                 : HTTP_REFUSAL_BAD_HOST;
    request->host = field;
    return HTTP_REFUSAL_NONE;
}

static enum http_refusal expectation_check(struct http_request *request)
{
    struct bytes field = http_headers_find(&request->headers, "expect");
    if (!field.data || request->version_minor == 0)
        return HTTP_REFUSAL_NONE;
    if (!text_equal_ignore_case(field, "100-continue"))
        return HTTP_REFUSAL_BAD_EXPECTATION;
    request->expects_continue = request->has_body;
    return HTTP_REFUSAL_NONE;
}

static enum http_refusal body_prepare(struct http_request_parser *parser)
{
    struct http_request *request = &parser->request;
    struct http_length length;
    enum http_refusal refusal =
        http_length_parse(&request->headers, request->version_minor, &length);
    if (refusal)
        return refusal;
    request->is_chunked = length.is_chunked;
    request->content_length = length.length;
    request->has_body = length.is_chunked || length.length > 0;
    parser->body = (struct http_body){
        .state = length.is_chunked ? HTTP_BODY_CHUNK_SIZE
                 : length.length   ? HTTP_BODY_LENGTH
                                   : HTTP_BODY_END,
        .left = length.length,
        .size_max = parser->limits.body_size_max,
    };
    return HTTP_REFUSAL_NONE;
}

static enum http_refusal head_parse(struct http_request_parser *parser)
{
    struct http_request *request = &parser->request;
    *request = (struct http_request){ 0 };
    // the normal form of the path is never longer than the request line
    http_head_reserve(&parser->head, parser->head.first_line_size);
    enum http_refusal refusal = request_line_parse(parser);
    if (!refusal)
        refusal = http_head_parse_fields(&parser->head, &parser->limits);
    if (refusal)
        return refusal;
    request->headers = (struct http_headers){ parser->head.fields, parser->head.field_count };
    refusal = host_check(request);
    if (!refusal)
        refusal = body_prepare(parser);
    if (!refusal)
        refusal = expectation_check(request);
    request->keep_alive = http_keep_alive_parse(&request->headers, request->version_minor);
    return refusal;
}

static struct http_event refuse(struct http_request_parser *parser, enum http_refusal refusal)
{
    parser->state = REQUEST_REFUSED;
    parser->refusal = refusal;
    return (struct http_event){ .kind = HTTP_EVENT_REFUSED, .refusal = refusal };
}

static size_t head_input(struct http_request_parser *parser, struct bytes input,
                         struct http_event *ret_event)
{
    size_t taken;
    bool complete;
    enum http_refusal refusal =
        http_head_input(&parser->head, &parser->limits, input, &taken, &complete);
    if (!refusal && complete) {
        refusal = head_parse(parser);
        parser->state = REQUEST_BODY;
        ret_event->kind = HTTP_EVENT_HEAD;
    }
    if (refusal)
        *ret_event = refuse(parser, refusal);
    return taken;
}

static size_t body_input(struct http_request_parser *parser, struct bytes input,
                         struct http_event *ret_event)
{
    struct http_body *body = &parser->body;
    if (body->state == HTTP_BODY_LENGTH && body->left > body->size_max - body->received) {
        *ret_event = refuse(parser, HTTP_REFUSAL_BODY_TOO_LARGE);
        return 0;
    }
    if (body->state == HTTP_BODY_END) {
        parser->state = REQUEST_ENDED;
        ret_event->kind = HTTP_EVENT_END;
        return 0;
    }
    size_t taken;
    struct bytes part;
    enum http_refusal refusal = http_body_input(body, input, &taken, &part);
    if (refusal) {
        *ret_event = refuse(parser, refusal);
    } else if (part.size > 0) {
        *ret_event = (struct http_event){ .kind = HTTP_EVENT_BODY, .body = part };
    } else if (body->state == HTTP_BODY_END) {
        parser->state = REQUEST_ENDED;
        ret_event->kind = HTTP_EVENT_END;
    }
    return taken;
}

size_t http_request_input(struct http_request_parser *parser, struct bytes input,
                          struct http_event *ret_event)
{
    *ret_event = (struct http_event){ .kind = HTTP_EVENT_NONE };
    switch ((enum request_state)parser->state) {
    case REQUEST_REFUSED:
        *ret_event = refuse(parser, parser->refusal);
        return 0;
    case REQUEST_BODY:
        return body_input(parser, input, ret_event);
    case REQUEST_ENDED:
        http_head_clear(&parser->head);
        parser->request = (struct http_request){ 0 };
        parser->state = REQUEST_HEAD;
        break;
    case REQUEST_HEAD:
        break;
    }
    return head_input(parser, input, ret_event);
}
