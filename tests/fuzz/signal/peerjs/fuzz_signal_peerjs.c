// A PeerJS engine with two strangers, "a" and "b", and a device of another language, "c", which
// takes what calls it. The input is lines; the first character of each says what happens: '0' or
// '1', that stranger sends the rest; 'b' and 'r', stranger 1 loses its socket or comes back; 'x',
// stranger 1 comes with the rest as its id; 'c', the device calls "a"; 'h', it hangs up; 't', time
// passes. "$C" in a line becomes the call that the device was told of last.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "signal/model/calls.h"
#include "signal/peerjs/peerjs.h"

#define LINE_MAX_SIZE 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stranger {
    struct peerjs_peer *peer;
};

struct server {
    struct peerjs_transport transport;
    struct random random;
    struct call_directory calls;
    struct signal_peerjs *peerjs;
    struct stranger strangers[2];
    struct call_device device;
    char call[CALL_ID_SIZE];
    uint64_t now_us;
};

static int transport_send(struct peerjs_transport *self, void *socket, struct bytes text)
{
    (void)self;
    if (!socket || !text_is_utf8(text) || text.size == 0 || text.data[0] != '{')
        abort();
    return 0;
}

static void transport_close(struct peerjs_transport *self, void *socket, uint16_t code,
                            const char *reason)
{
    (void)self;
    if (!socket || code < 1000 || strlen(reason) > 123)
        abort();
}

static void transport_moved(struct peerjs_transport *self, void *socket, struct peerjs_peer *peer)
{
    (void)self;
    ((struct stranger *)socket)->peer = peer;
}

static void transport_wake(struct peerjs_transport *self)
{
    (void)self;
}

static void device_notified(struct call_device *device, const struct call_event *event)
{
    struct server *server = container_of(device, struct server, device);
    if (event->kind == CALL_EVENT_INCOMING)
        snprintf(server->call, sizeof(server->call), "%s", event->call);
}

static const struct call_device_ops device_ops = { .notify = device_notified };

static void enter(struct server *server, struct stranger *stranger, const char *id)
{
    const struct peerjs_entry entry = { .key = "peerjs", .id = id, .token = "secret" };
    stranger->peer =
        signal_peerjs_open(server->peerjs, server->now_us, 1700000000, stranger, &entry);
}

static void leave(struct server *server, struct stranger *stranger, uint16_t code)
{
    struct peerjs_peer *peer = stranger->peer;
    stranger->peer = NULL;
    if (peer)
        signal_peerjs_closed(server->peerjs, server->now_us, peer, code);
}

/** The line with what "$C" stands for. */
static struct bytes expand(const struct server *server, struct bytes line, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < line.size && used < LINE_MAX_SIZE - CALL_ID_SIZE; i++) {
        if (line.data[i] == '$' && i + 1 < line.size && line.data[i + 1] == 'C') {
            used += (size_t)snprintf(out + used, CALL_ID_SIZE, "%s", server->call);
            i++;
        } else {
            out[used++] = (char)line.data[i];
        }
    }
    out[used] = 0;
    return bytes_of(out, used);
}

static void device_acts(struct server *server, char what)
{
    const struct call_request request = { .to = "a", .sdp = "v=0", .media = CALL_MEDIA_VIDEO };
    if (what == 'c')
        (void)!call_start(&server->calls, &server->device, server->now_us, &request, server->call);
    else
        (void)!call_hangup(&server->calls, &server->device, server->now_us, server->call);
}

/** The device takes what calls it. */
static void settle(struct server *server)
{
    (void)!call_accept(&server->calls, &server->device, server->now_us, server->call, "v=0 yes");
    if (signal_peerjs_deadline(server->peerjs) <= server->now_us)
        signal_peerjs_tick(server->peerjs, server->now_us);
}

static void run_line(struct server *server, struct bytes line)
{
    static char text[LINE_MAX_SIZE + 1];
    char what = (char)line.data[0];
    struct bytes rest = expand(server, bytes_of(line.data + 1, line.size - 1), text);
    server->now_us += 1000;
    if (what == '0' || what == '1') {
        struct stranger *stranger = &server->strangers[what - '0'];
        if (stranger->peer)
            signal_peerjs_input(server->peerjs, server->now_us, stranger->peer, rest);
    } else if (what == 'b') {
        leave(server, &server->strangers[1], 1006);
    } else if (what == 'r' || what == 'x') {
        leave(server, &server->strangers[1], 1001);
        enter(server, &server->strangers[1], what == 'r' ? "b" : text);
    } else if (what == 'c' || what == 'h') {
        device_acts(server, what);
    } else if (what == 't') {
        server->now_us += 6 * TIME_US_PER_S;
        call_directory_tick(&server->calls, server->now_us);
        signal_peerjs_tick(server->peerjs, server->now_us);
    }
    settle(server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server server = { .transport = { transport_send, transport_close, transport_moved,
                                            transport_wake },
                             .now_us = 1000 * TIME_US_PER_S };
    random_seeded_init(&server.random, 7);
    call_directory_init(&server.calls, &(struct call_directory_config){ .random = &server.random });
    server.peerjs = signal_peerjs_new(&(struct peerjs_config){
        .calls = &server.calls, .transport = &server.transport, .random = &server.random });
    enter(&server, &server.strangers[0], "a");
    enter(&server, &server.strangers[1], "b");
    call_device_init(&server.device, &device_ops, CALL_BINDING_NATIVE);
    (void)!call_device_register(&server.calls, &server.device, "c", "C", false);
    struct bytes rest = bytes_of(data, size);
    while (rest.size > 0) {
        struct bytes line = text_take_until(&rest, '\n');
        if (line.size > 0 && line.size < LINE_MAX_SIZE)
            run_line(&server, line);
    }
    leave(&server, &server.strangers[1], 1006);
    leave(&server, &server.strangers[0], 1001);
    call_device_done(&server.calls, &server.device, server.now_us, CALL_ENDED_LOST);
    signal_peerjs_free(server.peerjs);
    call_directory_done(&server.calls);
    return 0;
}
