#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "crypto/tls.h"
#include "proto/ws/ws_frame.h"
#include "runtime/secure_stream.h"
#include "runtime/tcp.h"

#define SCRATCH_SIZE (256u << 10)
#define WS_HEAD_SIZE 14

/** ---- bytes out: as they are, or in a WebSocket frame ---- */

static void send_bytes(struct load_link *link, struct bytes bytes)
{
    uint8_t head[WS_HEAD_SIZE];
    if (link->load->options.transport == LOAD_WS) {
        // a key of zeros masks nothing: the server pays, the generator does not
        struct ws_frame frame = {
            .is_final = true, .is_masked = true, .opcode = WS_OPCODE_BINARY, .size = bytes.size
        };
        size_t size = ws_frame_write(&frame, head);
        if (stream_write(link->stream, bytes_of(head, size)) < 0)
            link->load->failed = true;
    }
    if (stream_write(link->stream, bytes) < 0)
        link->load->failed = true;
}

static struct writer begin(struct load *load)
{
    return writer_of(load->scratch, SCRATCH_SIZE);
}

/** ---- MQTT ---- */

static void topic_of(const struct load *load, unsigned number, char out[32])
{
    snprintf(out, 32, "bench/%u", load->options.fan_out ? 0 : number);
}

static void say_connect(struct load_link *link)
{
    char id[32];
    snprintf(id, sizeof(id), "bench%u", link->number);
    struct mqtt_connect connect = { .version = link->load->options.version,
                                    .clean_start = true,
                                    .keep_alive_s = 600,
                                    .client_id = bytes_of_text(id) };
    struct writer writer = begin(link->load);
    mqtt_write_connect(&writer, &connect, bytes_of(NULL, 0), bytes_of(NULL, 0));
    send_bytes(link, writer_written(&writer));
}

static void say_subscribe(struct load_link *link)
{
    const struct load *load = link->load;
    char filter[32];
    if (load->options.idle)
        snprintf(filter, sizeof(filter), "idle/%u", link->number);
    else
        topic_of(load, link->number - load->options.publishers, filter);
    struct mqtt_subscription asked = { bytes_of_text(filter), { .qos = load->options.qos } };
    struct writer writer = begin(link->load);
    mqtt_write_subscribe(&writer, load->options.version, 1, &asked, 1, 0);
    send_bytes(link, writer_written(&writer));
}

static void be_ready(struct load_link *link)
{
    link->is_ready = true;
    link->load->ready++;
}

static unsigned fan_of(const struct load *load)
{
    return load->options.fan_out ? load->options.subscribers : 1;
}

/** What was sent and has not come out at the other end, in messages of one publisher. */
static bool may_send(const struct load_link *link)
{
    const struct load *load = link->load;
    uint64_t out = load->published * fan_of(load) - load->received;
    uint64_t allowed = (uint64_t)load->options.window * load->options.publishers * fan_of(load);
    return out < allowed && link->in_flight < load->options.window;
}

static void pump(struct load_link *link)
{
    struct load *load = link->load;
    char topic[32];
    topic_of(load, link->number, topic);
    struct writer writer = begin(load);
    while (may_send(link) && writer.size + load->options.size + 64 < SCRATCH_SIZE) {
        struct mqtt_publish publish = { .qos = load->options.qos,
                                        .topic = bytes_of_text(topic),
                                        .payload = bytes_of(load->payload, load->options.size) };
        if (publish.qos > 0) {
            if (++link->last_id == 0)
                link->last_id = 1;
            publish.packet_id = link->last_id;
            link->in_flight++;
        }
        mqtt_write_publish(&writer, load->options.version, &publish, bytes_of(NULL, 0));
        load->published++;
    }
    if (writer.size > 0)
        send_bytes(link, writer_written(&writer));
}

void load_pump(struct load *load)
{
    for (unsigned i = 0; i < load->options.publishers; i++)
        pump(&load->links[i]);
}

static void answer(struct writer *writer, const struct load *load, enum mqtt_type type, uint16_t id)
{
    mqtt_write_ack(writer, load->options.version, type, &(struct mqtt_ack){ .packet_id = id });
}

/** One packet; what is to be answered goes to `writer`. */
static void take(struct load_link *link, const struct mqtt_frame *frame, struct writer *writer)
{
    struct load *load = link->load;
    struct mqtt_packet packet;
    if (mqtt_packet_read(frame, load->options.version, &packet)) {
        load->failed = true;
        return;
    }
    switch (packet.type) {
    case MQTT_CONNACK:
        if (packet.connack.reason)
            load->failed = true;
        else if (link->is_publisher)
            be_ready(link);
        else
            say_subscribe(link);
        break;
    case MQTT_SUBACK:
        be_ready(link);
        break;
    case MQTT_PUBLISH:
        load->received++;
        if (packet.publish.qos == 1)
            answer(writer, load, MQTT_PUBACK, packet.publish.packet_id);
        if (packet.publish.qos == 2)
            answer(writer, load, MQTT_PUBREC, packet.publish.packet_id);
        break;
    case MQTT_PUBREL:
        answer(writer, load, MQTT_PUBCOMP, packet.ack.packet_id);
        break;
    case MQTT_PUBREC:
        answer(writer, load, MQTT_PUBREL, packet.ack.packet_id);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBCOMP:
        link->in_flight--;
        break;
    default:
        break;
    }
}

/** ---- bytes in ---- */

/** Whole packets of what arrived; returns their size. */
static size_t take_packets(struct load_link *link, struct bytes input)
{
    uint8_t answers[16 << 10];
    struct writer writer = writer_of(answers, sizeof(answers));
    size_t taken = 0;
    struct mqtt_frame frame;
    while (mqtt_frame_read(bytes_of(input.data + taken, input.size - taken), MQTT_PACKET_SIZE_MAX,
                           &frame) == 0) {
        take(link, &frame, &writer);
        taken += frame.size;
        if (writer.capacity - writer.size < 64) {
            send_bytes(link, writer_written(&writer));
            writer.size = 0;
        }
    }
    if (writer.size > 0)
        send_bytes(link, writer_written(&writer));
    return taken;
}

/** Brokers put whole packets into frames; the benchmark relies on it. Returns bytes taken. */
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
        if (frame.opcode == WS_OPCODE_BINARY &&
            take_packets(link, bytes_of(at + head, (size_t)frame.size)) != frame.size)
            link->load->failed = true;
        taken += head + (size_t)frame.size;
    }
    return taken;
}

static void say_upgrade(struct load_link *link)
{
    static const char request[] = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                  "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
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
    say_connect(link);
}

static void readable(void *owner, struct stream *stream)
{
    struct load_link *link = owner;
    struct load *load = link->load;
    bool ws = load->options.transport == LOAD_WS;
    if (ws && !link->upgraded) {
        take_upgrade(link);
        return;
    }
    struct bytes input = stream_input(stream);
    stream_cork(stream);
    stream_consume(stream, ws ? take_frames(link, input) : take_packets(link, input));
    stream_uncork(stream);
    // an acknowledgement, or a message that came out, makes room for others
    if (load->running && link->is_publisher)
        pump(link);
    else if (load->running)
        load_pump(load);
}

static void opened(void *owner, struct stream *stream)
{
    struct load_link *link = owner;
    (void)stream;
    if (link->load->options.transport == LOAD_WS)
        say_upgrade(link);
    else
        say_connect(link);
}

static void closed(void *owner, struct stream *stream, enum stream_close_reason reason, int error)
{
    struct load_link *link = owner;
    (void)reason, (void)error;
    link->load->failed = true;
    link->load->lost++;
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
    struct stream *stream;
    if (tcp_stream_connect(&load->loop, &load->options.server, &limits, &handler, link, &stream) <
        0) {
        load->failed = true;
        return;
    }
    link->stream = stream;
    if (load->options.transport == LOAD_TLS)
        link->stream =
            secure_stream_new_client(stream, load->tls, "localhost", &limits, &handler, link);
}

/** ---- life ---- */

int load_init(struct load *load, const struct load_options *options)
{
    *load = (struct load){ .options = *options };
    if (options->idle) {
        load->options.publishers = 0;
        load->options.subscribers = options->idle;
    }
    load->link_count = load->options.publishers + load->options.subscribers;
    load->links = memory_new_array(struct load_link, load->link_count);
    for (unsigned i = 0; i < load->link_count; i++)
        load->links[i] = (struct load_link){ .load = load,
                                             .number = i,
                                             .is_publisher = i < load->options.publishers };
    load->payload = memory_allocate(1, options->size + 1);
    memset(load->payload, 'x', options->size);
    load->scratch = memory_allocate(1, SCRATCH_SIZE);
    char text[200];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    int result = tls_client_context_new(&(struct tls_client_config){ 0 }, &problem, &load->tls);
    return result < 0 ? result : loop_init(&load->loop);
}

void load_done(struct load *load)
{
    for (unsigned i = 0; i < load->link_count; i++)
        stream_close(load->links[i].stream);
    loop_done(&load->loop);
    tls_client_context_unref(load->tls);
    free(load->links);
    free(load->payload);
    free(load->scratch);
}
