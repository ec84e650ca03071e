/** A client and a server stream of one process, over TCP or TLS: what tests of streams share. */
#pragma once

#include "unit/runtime/turns.h"

#include <stdlib.h>

#include "base/memory.h"
#include "runtime/address_limit.h"
#include "runtime/buffer.h"
#include "runtime/entropy.h"
#include "runtime/secure_stream.h"
#include "runtime/tcp.h"

struct party {
    struct stream *stream;
    struct buffer received;
    unsigned opened, readable, ended, writable, closed;
    enum stream_close_reason reason;
    int error;
    bool hold;         /**< leave bytes in the input */
    bool close_inside; /**< close in the readable handler */
    struct stream_parcel **detach_inside;
};

static inline void on_opened(void *owner, struct stream *unused_stream unused)
{
    ((struct party *)owner)->opened++;
}

static inline void on_readable(void *owner, struct stream *stream)
{
    struct party *party = owner;
    ensure(party->stream == stream && !party->closed);
    party->readable++;
    if (party->close_inside) {
        party->stream = stream_close(stream);
        return;
    }
    if (party->detach_inside) {
        *party->detach_inside = stream_detach(stream);
        party->stream = NULL;
        return;
    }
    if (party->hold)
        return;
    struct bytes input = stream_input(stream);
    ensure(buffer_append(&party->received, input) == 0);
    stream_consume(stream, input.size);
}

static inline void on_ended(void *owner, struct stream *unused_stream unused)
{
    ((struct party *)owner)->ended++;
}

static inline void on_writable(void *owner, struct stream *unused_stream unused)
{
    ((struct party *)owner)->writable++;
}

static inline void on_closed(void *owner, struct stream *stream, enum stream_close_reason reason,
                             int error)
{
    struct party *party = owner;
    party->closed++;
    party->reason = reason;
    party->error = error;
    party->stream = stream_close(stream);
}

static const struct stream_handler handler = { on_opened, on_readable, on_ended, on_writable,
                                               on_closed };
/** `ended` left to the stream itself. */
static const struct stream_handler plain_handler = { .readable = on_readable, .closed = on_closed };

struct link {
    struct loop loop;
    struct tcp_listener *listener;
    struct stream_limits server_limits;
    struct tls_server_context *server_context;
    struct tls_client_context *client_context;
    struct address_limit limit;
    struct party server, client;
    unsigned accepted;
    bool secure;
    bool sniff; /**< TLS or not by the first byte */
};

static inline void make_server_stream(struct link *link, struct stream *transport)
{
    link->server.stream = transport;
    if (link->secure)
        link->server.stream = secure_stream_new_server(
            transport, link->server_context, &link->server_limits, &handler, &link->server);
}

static inline void on_sniffed(void *owner, struct stream *stream)
{
    struct link *link = owner;
    link->secure = stream_input(stream).data[0] == 22; // RFC 8446, 5.1: handshake record
    stream_set_handler(stream, &handler, &link->server);
    make_server_stream(link, stream);
    if (!link->secure)
        on_readable(&link->server, stream);
}

static inline void on_sniffing_closed(void *unused_owner unused, struct stream *stream,
                                      enum stream_close_reason unused_reason unused,
                                      int unused_error unused)
{
    stream_close(stream);
}

static const struct stream_handler sniffing = { .readable = on_sniffed,
                                                .closed = on_sniffing_closed };

static inline void on_accepted(void *owner, int fd, const struct net_address *remote)
{
    struct link *link = owner;
    assert_true(net_address_is_loopback(remote));
    link->accepted++;
    struct stream *transport;
    const struct stream_limits *limits = link->secure ? NULL : &link->server_limits;
    assert_int_equal(tcp_stream_new(&link->loop, fd, limits, link->sniff ? &sniffing : &handler,
                                    link->sniff ? (void *)link : &link->server, &transport),
                     0);
    if (!link->sniff)
        make_server_stream(link, transport);
}

static inline bool admit(void *owner, const struct net_address *remote)
{
    return address_limit_take(&((struct link *)owner)->limit, remote);
}

static const struct tcp_listener_ops listener_ops = { .admit = admit, .accepted = on_accepted };

static const char *const protocols[] = { "http/1.1" };

static inline void make_contexts(struct link *link)
{
    struct entropy entropy;
    entropy_init(&entropy);
    struct certificate_request request = {
        .common_name = "localhost",
        .names = (const char *const[]){ "localhost", "127.0.0.1" },
        .name_count = 2,
        .not_after_unix_s = 4000000000,
    };
    struct certificate *certificate;
    assert_int_equal(certificate_make(&request, &entropy.random, &certificate), 0);
    struct tls_server_config server = { certificate, protocols, 1, false };
    assert_int_equal(tls_server_context_new(&server, NULL, &link->server_context), 0);
    struct tls_client_config client = { .alpn = protocols, .alpn_count = 1 };
    assert_int_equal(tls_client_context_new(&client, NULL, &link->client_context), 0);
    certificate_unref(certificate);
    entropy_done(&entropy);
}

static inline struct link *link_new(bool secure)
{
    struct link *link = memory_new(struct link);
    link->secure = secure;
    assert_int_equal(loop_init(&link->loop), 0);
    make_contexts(link);
    address_limit_init(&link->limit, 3, 0, (uint64_t[2]){ 1, 2 });
    buffer_init(&link->server.received, 64 << 20);
    buffer_init(&link->client.received, 64 << 20);
    struct tcp_listener_config config = { 0 };
    assert_int_equal(tcp_listener_open(&config, &link->loop, &listener_ops, link, &link->listener),
                     0);
    return link;
}

static inline struct net_address link_address(const struct link *link)
{
    return net_address_ipv4(127, 0, 0, 1, tcp_listener_port(link->listener));
}

/** Without TLS, whatever the server expects. */
static inline void link_connect_plain(struct link *link,
                                      const struct stream_handler *client_handler)
{
    struct net_address address = link_address(link);
    assert_int_equal(tcp_stream_connect(&link->loop, &address, NULL, client_handler, &link->client,
                                        &link->client.stream),
                     0);
}

static inline void link_connect(struct link *link, const struct stream_handler *client_handler)
{
    link_connect_plain(link, client_handler);
    if (link->secure)
        link->client.stream =
            secure_stream_new_client(link->client.stream, link->client_context, "localhost", NULL,
                                     client_handler, &link->client);
}

static inline struct link *link_open(bool secure)
{
    struct link *link = link_new(secure);
    link_connect(link, &handler);
    turn_until(&link->loop,
               link->client.opened && link->server.stream && (!secure || link->server.opened));
    return link;
}

static inline void link_free(struct link *link)
{
    stream_close(link->client.stream);
    stream_close(link->server.stream);
    tcp_listener_close(link->listener);
    buffer_done(&link->server.received);
    buffer_done(&link->client.received);
    address_limit_done(&link->limit);
    tls_server_context_unref(link->server_context);
    tls_client_context_unref(link->client_context);
    assert_int_equal(metric_get(&link->loop.metrics.values[RUNTIME_TCP_OPEN]), 0);
    loop_done(&link->loop);
    free(link);
}

static inline bool secure_of(void **state)
{
    return *state != NULL;
}

static inline void say(struct party *party, const char *text)
{
    assert_int_equal(stream_write(party->stream, bytes_of_text(text)), 0);
}

static inline void expect(const struct party *party, const char *text)
{
    assert_true(bytes_equal(buffer_view(&party->received), bytes_of_text(text)));
}

static inline size_t received(const struct party *party)
{
    return buffer_size(&party->received);
}
