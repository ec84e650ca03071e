// Requests in pieces whose sizes the input chooses; whole and in pieces must mean the same.
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "proto/http/http_conditional.h"
#include "proto/http/http_request.h"
#include "proto/http/http_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct summary {
    size_t heads, ends, body;
    enum http_refusal refusal;
};

static void use_head(const struct http_request *request)
{
    ensure(request->path.size > 0);
    ensure(request->path.data[0] == '/' || text_equal(request->path, "*"));
    ensure(!memchr(request->path.data, 0, request->path.size));
    ensure(text_is_utf8(request->path));
    // a normal path stays as it is when normalised again: "%2F" and "%25" alone are escaped in it
    char *again = malloc(request->path.size + 1);
    size_t again_size;
    if (request->path.data[0] == '/') {
        ensure(http_path_normalise(request->path, again, request->path.size + 1, &again_size) == 0);
        ensure(bytes_equal(bytes_of(again, again_size), request->path));
    }
    free(again);
    char value[64];
    int length = http_query_find(request->query, "q", value, sizeof(value));
    ensure(length < (int)sizeof(value));
    struct http_validator validator = { bytes_of_text("\"a\""), 784111777 };
    struct http_range range = http_range_choose(&request->headers, 1000, &validator);
    ensure(range.kind != HTTP_RANGE_PART || (range.first <= range.last && range.last < 1000));
    (void)http_precondition_check(&request->headers, request->method, &validator);
    (void)http_coding_choose(&request->headers, 7);
}

static struct summary run(struct bytes input, uint8_t piece)
{
    struct http_limits limits = { .first_line_size_max = 300,
                                  .head_size_max = 1000,
                                  .header_count_max = 20,
                                  .body_size_max = 500 };
    struct http_request_parser parser;
    http_request_parser_init(&parser, &limits);
    struct summary summary = { 0 };
    size_t at = 0, given = piece ? piece : input.size;
    while (!summary.refusal) {
        size_t end = min_of(at + given, input.size);
        uint8_t *copy = malloc(end - at + 1);
        memcpy(copy, input.data + at, end - at);
        struct http_event event;
        size_t taken = http_request_input(&parser, bytes_of(copy, end - at), &event);
        ensure(taken <= end - at);
        at += taken;
        if (event.kind == HTTP_EVENT_HEAD) {
            summary.heads++;
            use_head(&parser.request);
        }
        summary.ends += event.kind == HTTP_EVENT_END;
        summary.body += event.body.size;
        summary.refusal = event.refusal;
        ensure(summary.body <= 500 * summary.heads);
        free(copy);
        if (event.kind == HTTP_EVENT_NONE && at == input.size)
            break;
    }
    http_request_parser_done(&parser);
    return summary;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1);
    struct summary whole = run(input, 0);
    struct summary pieces = run(input, data[0] % 32);
    ensure(whole.heads == pieces.heads && whole.ends == pieces.ends);
    return 0;
}
