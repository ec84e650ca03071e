// Frames in both roles with and without permessage-deflate; the first byte chooses. What the engine
// accepts is sent back through a second engine and must arrive unchanged.
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "proto/ws/ws_connection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 5000

static struct ws_connection *engine(bool is_client, bool deflate, struct random *random)
{
    struct ws_config config = { .is_client = is_client,
                                .random = random,
                                .message_size_max = MESSAGE_MAX,
                                .fragment_count_max = 50,
                                .output_size_max = 20000,
                                .deflate_size_min = 10 };
    if (deflate)
        config.deflate = (struct ws_deflate){ true, true, true, 15, 15 };
    return ws_connection_new(&config, 1);
}

/** Sends a message from one side to the other. */
static void echo(const struct ws_event *event, bool deflate, struct random *random)
{
    struct ws_connection *from = engine(true, deflate, random);
    struct ws_connection *to = engine(false, deflate, random);
    int result = event->kind == WS_EVENT_TEXT ? ws_connection_send_text(from, event->data)
                                              : ws_connection_send_binary(from, event->data);
    ensure(result == 0);
    struct bytes output = ws_connection_output(from);
    struct ws_event back;
    ensure(ws_connection_input(to, 2, output) == output.size);
    ensure(ws_connection_event(to, &back));
    ensure(back.kind == event->kind && bytes_equal(back.data, event->data));
    ws_connection_free(from);
    ws_connection_free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    bool is_client = data[0] & 1, deflate = data[0] & 2;
    size_t piece = 1 + (data[0] >> 2);
    struct random random;
    random_seeded_init(&random, 1);
    struct ws_connection *ws = engine(is_client, deflate, &random);
    bool closed = false;
    for (size_t at = 1; at < size && !closed;) {
        size_t count = min_of(piece, size - at);
        uint8_t *copy = malloc(count);
        memcpy(copy, data + at, count);
        size_t taken = ws_connection_input(ws, at, bytes_of(copy, count));
        ensure(taken <= count);
        free(copy);
        at += taken;
        struct ws_event event;
        while (ws_connection_event(ws, &event)) {
            ensure(event.data.size <= MESSAGE_MAX);
            ensure(event.kind != WS_EVENT_TEXT || text_is_utf8(event.data));
            if (event.kind == WS_EVENT_TEXT || event.kind == WS_EVENT_BINARY)
                echo(&event, deflate, &random);
            closed |= event.kind == WS_EVENT_CLOSED;
        }
        ensure(ws_connection_output_size(ws) <= 20000 + 1024);
    }
    ws_connection_tick(ws, 20 * TIME_US_PER_S);
    ws_connection_free(ws);
    return 0;
}
