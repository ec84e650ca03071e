// Responses as a client reads them, whole and byte by byte.
#include <stdlib.h>
#include <string.h>

#include "proto/http/http_response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t run(struct bytes input, size_t given, bool to_head)
{
    struct http_limits limits = { .head_size_max = 1000, .body_size_max = 500 };
    struct http_response_parser parser;
    http_response_parser_init(&parser, &limits);
    if (to_head)
        http_response_parser_expect_head(&parser);
    size_t at = 0, ends = 0;
    for (;;) {
        size_t end = min_of(at + given, input.size);
        uint8_t *copy = malloc(end - at + 1);
        memcpy(copy, input.data + at, end - at);
        struct http_event event;
        at += http_response_input(&parser, bytes_of(copy, end - at), &event);
        ensure(at <= end);
        ends += event.kind == HTTP_EVENT_END;
        free(copy);
        if (event.kind == HTTP_EVENT_REFUSED || (event.kind == HTTP_EVENT_NONE && at == input.size))
            break;
    }
    (void)http_response_finish(&parser);
    http_response_parser_done(&parser);
    return ends;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1);
    bool to_head = data[0] & 1;
    ensure(run(input, size, to_head) == run(input, 1, to_head));
    return 0;
}
