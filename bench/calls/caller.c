#include "caller.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/ws/ws_frame.h"
#include "runtime/tcp.h"

#define SCRATCH_SIZE  (128u << 10)
#define WS_HEAD_SIZE  14
#define CONFIRM_EVERY 64 /**< messages, so that the server need not keep more */

static const char candidate[] =
    "{\"candidate\":\"candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr "
    "192.0.2.9 rport 46154 generation 0 ufrag yxlq network-cost 999\",\"sdpMid\":\"0\","
    "\"sdpMLineIndex\":0,\"usernameFragment\":\"yxlq\"}";

/** ---- out ---- */

__attribute__((format(printf, 2, 3))) static void say(struct load_link *link, const char *format,
                                                      ...)
{
    char *text = link->load->scratch;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, SCRATCH_SIZE, format, arguments);
    va_end(arguments);
    // a key of zeros masks nothing: the server pays, the generator does not
    struct ws_frame frame = {
        .is_final = true, .is_masked = true, .opcode = WS_OPCODE_TEXT, .size = (size_t)size
    };
    uint8_t head[WS_HEAD_SIZE];
    size_t head_size = ws_frame_write(&frame, head);
    if (stream_write(link->stream, bytes_of(head, head_size)) < 0 ||
        stream_write(link->stream, bytes_of(text, (size_t)size)) < 0)
        link->load->failed = true;
}

static void say_register(struct load_link *link)
{
    say(link, "{\"type\":\"register\",\"id\":%" PRIu64 ",\"user\":\"user%u\"}", ++link->next_id,
        link->number);
}

static void say_call(struct load_link *link)
{
    say(link,
        "{\"type\":\"call\",\"id\":%" PRIu64
        ",\"to\":\"user%u\",\"media\":\"video\",\"sdp\":\"v=0%s\"}",
        ++link->next_id, link->peer->number, link->load->sdp);
}

/** A request that names the call and nothing else. */
static void say_of_call(struct load_link *link, const char *type)
{
    say(link, "{\"type\":\"%s\",\"id\":%" PRIu64 ",\"call\":\"%s\"}", type, ++link->next_id,
        link->call);
}

static void say_accept(struct load_link *link)
{
    say(link, "{\"type\":\"call_accept\",\"id\":%" PRIu64 ",\"call\":\"%s\",\"sdp\":\"v=0%s\"}",
        ++link->next_id, link->call, link->load->sdp);
}

static void say_candidate(struct load_link *link)
{
    say(link, "{\"type\":\"call_candidate\",\"id\":%" PRIu64 ",\"call\":\"%s\",\"candidate\":%s}",
        ++link->next_id, link->call, candidate);
}

static void say_candidates(struct load_link *link)
{
    for (unsigned i = 0; i < link->load->options.candidates; i++)
        say_candidate(link);
}

static void pump(struct load_link *link)
{
    for (; link->in_flight < link->load->options.window; link->in_flight++)
        say_candidate(link);
}

/** ---- in ---- */

/** The text behind `name`, up to `end`. "": it is not there. */
static void field(struct bytes text, const char *name, char *out, size_t size)
{
    out[0] = '\0';
    const char *at = memmem(text.data, text.size, name, strlen(name));
    if (!at)
        return;
    at += strlen(name);
    const char *limit = (const char *)text.data + text.size;
    size_t length = 0;
    while (at + length < limit && length + 1 < size && at[length] != '"' && at[length] != ',' &&
           at[length] != '}')
        length++;
    memcpy(out, at, length);
    out[length] = '\0';
}

static void confirm(struct load_link *link, struct bytes text)
{
    char seq[24];
    field(text, "\"seq\":", seq, sizeof(seq));
    if (!seq[0])
        return;
    link->last_seq = strtoull(seq, NULL, 10);
    if (++link->since_confirmed < CONFIRM_EVERY)
        return;
    link->since_confirmed = 0;
    say(link, "{\"type\":\"ping\",\"id\":%" PRIu64 ",\"last_seq\":%" PRIu64 "}", ++link->next_id,
        link->last_seq);
}

static void be_ready(struct load_link *link)
{
    if (link->is_ready)
        return;
    link->is_ready = true;
    link->load->ready++;
}

static void take_accepted(struct load_link *link)
{
    struct load *load = link->load;
    load->calls++;
    if (load->options.kind == LOAD_MESSAGES) {
        load->standing++;
        return;
    }
    say_candidates(link);
    say_of_call(link, "call_hangup");
    say_call(link);
}

static void take(struct load_link *link, struct bytes text)
{
    struct load *load = link->load;
    load->messages++;
    char type[32];
    field(text, "\"type\":\"", type, sizeof(type));
    if (strcmp(type, "error") == 0 && memmem(text.data, text.size, "no_such_call", 12)) {
        // the other side has hung up meanwhile
    } else if (strcmp(type, "error") == 0) {
        fprintf(stderr, "bench_calls: %.*s\n", (int)min_of(text.size, (size_t)300), text.data);
        load->failed = true;
    } else if (strcmp(type, "ok") == 0 && link->next_id == 1) {
        say_register(link); // the reply to hello
    } else if (strcmp(type, "ok") == 0 && link->next_id == 2) {
        be_ready(link);
    } else if (strcmp(type, "call_incoming") == 0) {
        field(text, "\"call\":\"", link->call, sizeof(link->call));
        say_of_call(link, "call_ringing");
        say_accept(link);
        if (load->options.kind == LOAD_CALLS)
            say_candidates(link);
    } else if (strcmp(type, "call_accepted") == 0) {
        field(text, "\"call\":\"", link->call, sizeof(link->call));
        take_accepted(link);
    } else if (strcmp(type, "call_candidate") == 0 && load->running &&
               load->options.kind == LOAD_MESSAGES) {
        link->peer->in_flight--;
        pump(link->peer);
    }
    confirm(link, text);
}

static size_t take_frames(struct load_link *link, struct bytes input)
{
    size_t taken = 0;
    while (input.size - taken >= 2) {
        const uint8_t *at = input.data + taken;
        size_t head = ws_frame_header_size(at);
        struct ws_frame frame;
        if (input.size - taken < head || !ws_frame_parse(at, &frame) ||
            input.size - taken - head < frame.size)
            break;
        if (frame.opcode == WS_OPCODE_TEXT)
            take(link, bytes_of(at + head, (size_t)frame.size));
        else if (frame.opcode == WS_OPCODE_CLOSE)
            link->load->failed = true;
        taken += head + (size_t)frame.size;
    }
    return taken;
}

static void say_upgrade(struct load_link *link)
{
    static const char request[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if (stream_write(link->stream, bytes_of_text(request)) < 0)
        link->load->failed = true;
}

static void take_upgrade(struct load_link *link)
{
    struct bytes input = stream_input(link->stream);
    const uint8_t *end = memmem(input.data, input.size, "\r\n\r\n", 4);
    if (!end)
        return;
    if (input.size < 12 || memcmp(input.data, "HTTP/1.1 101", 12) != 0)
        link->load->failed = true;
    stream_consume(link->stream, (size_t)(end + 4 - input.data));
    link->upgraded = true;
    say(link, "{\"type\":\"hello\",\"id\":%" PRIu64 ",\"version\":1}", ++link->next_id);
}

static void readable(void *owner, struct stream *stream)
{
    struct load_link *link = owner;
    if (!link->upgraded) {
        take_upgrade(link);
        return;
    }
    stream_cork(stream);
    stream_consume(stream, take_frames(link, stream_input(stream)));
    stream_uncork(stream);
}

static void opened(void *owner, struct stream *stream)
{
    (void)stream;
    say_upgrade(owner);
}

static void closed(void *owner, struct stream *stream, enum stream_close_reason reason, int error)
{
    struct load_link *link = owner;
    (void)reason, (void)error;
    link->load->failed = true;
    stream_close(stream);
    link->stream = NULL;
}

static const struct stream_handler handler = { .opened = opened,
                                               .readable = readable,
                                               .closed = closed };

void load_link_open(struct load_link *link)
{
    struct load *load = link->load;
    struct stream_limits limits = { .input_bytes = 4u << 20, .output_bytes = 64u << 20 };
    if (tcp_stream_connect(&load->loop, &load->options.server, &limits, &handler, link,
                           &link->stream) < 0)
        load->failed = true;
}

/** ---- life ---- */

/** Lines as long as those of a browser's offer, so that escapes are as many. */
static char *make_sdp(unsigned size)
{
    static const char line[] = "\\r\\na=rtpmap:96 VP8/90000 and what else an offer says of it";
    char *sdp = memory_allocate(1, size + sizeof(line) + 1);
    size_t length = 0;
    while (length < size) {
        memcpy(sdp + length, line, sizeof(line) - 1);
        length += sizeof(line) - 1;
    }
    memcpy(sdp + length, "", 1);
    return sdp;
}

int load_init(struct load *load, const struct load_options *options)
{
    *load = (struct load){ .options = *options };
    load->link_count = 2 * options->pairs;
    load->links = memory_new_array(struct load_link, load->link_count);
    for (unsigned i = 0; i < load->link_count; i++)
        load->links[i] = (struct load_link){
            .load = load, .peer = &load->links[i ^ 1], .number = i, .is_caller = i % 2 == 0
        };
    load->sdp = make_sdp(options->sdp_size);
    load->scratch = memory_allocate(1, SCRATCH_SIZE);
    return loop_init(&load->loop);
}

void load_done(struct load *load)
{
    for (unsigned i = 0; i < load->link_count; i++)
        stream_close(load->links[i].stream);
    loop_done(&load->loop);
    free(load->links);
    free(load->sdp);
    free(load->scratch);
}

void load_run(struct load *load)
{
    for (unsigned i = 0; i < load->link_count; i += 2)
        say_call(&load->links[i]);
    if (load->options.kind != LOAD_MESSAGES)
        return;
    while (!load->failed && load->standing < load->options.pairs)
        loop_turn(&load->loop, TIME_US_PER_S);
    load->running = true;
    for (unsigned i = 0; i < load->link_count; i++)
        pump(&load->links[i]);
}
