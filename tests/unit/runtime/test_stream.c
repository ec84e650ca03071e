// Every promise of stream.h, over TCP and over TLS.
#include "unit/runtime/turns.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void on_opened(void *owner, struct stream *unused_stream unused)
{
    ((struct party *)owner)->opened++;
}

static void on_readable(void *owner, struct stream *stream)
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

static void on_ended(void *owner, struct stream *unused_stream unused)
{
    ((struct party *)owner)->ended++;
}

static void on_writable(void *owner, struct stream *unused_stream unused)
{
    ((struct party *)owner)->writable++;
}

static void on_closed(void *owner, struct stream *stream, enum stream_close_reason reason,
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

static void make_server_stream(struct link *link, struct stream *transport)
{
    link->server.stream = transport;
    if (link->secure)
        link->server.stream = secure_stream_new_server(
            transport, link->server_context, &link->server_limits, &handler, &link->server);
}

static void on_sniffed(void *owner, struct stream *stream)
{
    struct link *link = owner;
    link->secure = stream_input(stream).data[0] == 22; // RFC 8446, 5.1: handshake record
    stream_set_handler(stream, &handler, &link->server);
    make_server_stream(link, stream);
    if (!link->secure)
        on_readable(&link->server, stream);
}

static void on_sniffing_closed(void *unused_owner unused, struct stream *stream,
                               enum stream_close_reason unused_reason unused,
                               int unused_error unused)
{
    stream_close(stream);
}

static const struct stream_handler sniffing = { .readable = on_sniffed,
                                                .closed = on_sniffing_closed };

static void on_accepted(void *owner, int fd, const struct net_address *remote)
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

static bool admit(void *owner, const struct net_address *remote)
{
    return address_limit_take(&((struct link *)owner)->limit, remote);
}

static const struct tcp_listener_ops listener_ops = { .admit = admit, .accepted = on_accepted };

static const char *const protocols[] = { "http/1.1" };

static void make_contexts(struct link *link)
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

static struct link *link_new(bool secure)
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

static struct net_address link_address(const struct link *link)
{
    return net_address_ipv4(127, 0, 0, 1, tcp_listener_port(link->listener));
}

static void link_connect(struct link *link, const struct stream_handler *client_handler)
{
    struct net_address address = link_address(link);
    assert_int_equal(tcp_stream_connect(&link->loop, &address, NULL, client_handler, &link->client,
                                        &link->client.stream),
                     0);
    if (link->secure)
        link->client.stream =
            secure_stream_new_client(link->client.stream, link->client_context, "localhost", NULL,
                                     client_handler, &link->client);
}

static struct link *link_open(bool secure)
{
    struct link *link = link_new(secure);
    link_connect(link, &handler);
    turn_until(&link->loop,
               link->client.opened && link->server.stream && (!secure || link->server.opened));
    return link;
}

static void link_free(struct link *link)
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

static bool secure_of(void **state)
{
    return *state != NULL;
}

static void say(struct party *party, const char *text)
{
    assert_int_equal(stream_write(party->stream, bytes_of_text(text)), 0);
}

static void expect(const struct party *party, const char *text)
{
    assert_true(bytes_equal(buffer_view(&party->received), bytes_of_text(text)));
}

static size_t received(const struct party *party)
{
    return buffer_size(&party->received);
}

static void test_small_messages_go_both_ways(void **state)
{
    struct link *link = link_open(secure_of(state));
    say(&link->client, "hello ");
    say(&link->client, "there");
    turn_until(&link->loop, received(&link->server) == 11);
    expect(&link->server, "hello there");
    stream_cork(link->server.stream);
    say(&link->server, "and ");
    stream_cork(link->server.stream);
    say(&link->server, "you");
    stream_uncork(link->server.stream);
    loop_turn(&link->loop, 1000);
    assert_int_equal(received(&link->client), 0);
    stream_uncork(link->server.stream);
    turn_until(&link->loop, received(&link->client) == 7);
    expect(&link->client, "and you");
    assert_int_equal(stream_is_secure(link->server.stream), secure_of(state));
    assert_string_equal(stream_alpn(link->server.stream), secure_of(state) ? "http/1.1" : "");
    struct net_address there = stream_remote(link->server.stream);
    struct net_address here = stream_local(link->client.stream);
    if (!secure_of(state))
        assert_true(net_address_equal(&there, &here));
    link_free(link);
}

static void test_megabytes_cross_in_order_with_congestion_and_writable_events(void **state)
{
    struct link *link = link_open(secure_of(state));
    enum { TOTAL = 6 << 20, CHUNK = 50000 };
    uint8_t *chunk = memory_new_array(uint8_t, CHUNK);
    size_t written = 0;
    bool was_congested = false;
    uint64_t give_up_us = clock_now_us() + 20 * TIME_US_PER_S;
    while (received(&link->client) < TOTAL) {
        while (written < TOTAL && !stream_congested(link->server.stream)) {
            size_t size = min_of((size_t)CHUNK, TOTAL - written);
            for (size_t i = 0; i < size; i++)
                chunk[i] = (uint8_t)((written + i) * 31 >> 3);
            assert_int_equal(stream_write(link->server.stream, bytes_of(chunk, size)), 0);
            written += size;
        }
        if (stream_congested(link->server.stream)) {
            was_congested = true;
            // no event is needed to know when to go on: there will be one
            unsigned before = link->server.writable;
            turn_until(&link->loop, link->server.writable > before);
            assert_true(stream_unsent(link->server.stream) <= 64 << 10);
        }
        loop_turn(&link->loop, 10000);
        assert_true(clock_now_us() < give_up_us);
    }
    assert_true(was_congested);
    struct bytes all = buffer_view(&link->client.received);
    assert_int_equal(all.size, TOTAL);
    for (size_t i = 0; i < TOTAL; i++) {
        if (all.data[i] != (uint8_t)(i * 31 >> 3))
            fail_msg("byte %zu is wrong", i);
    }
    free(chunk);
    link_free(link);
}

static void test_peer_that_does_not_read_is_bounded_on_both_sides(void **state)
{
    struct link *link = link_new(secure_of(state));
    link->server_limits = (struct stream_limits){ .input_bytes = 10000 };
    link->server.hold = true;
    link_connect(link, &handler);
    turn_until(&link->loop, link->client.opened && link->server.stream);
    static const uint8_t chunk[100000];
    size_t taken = 0;
    int error;
    uint64_t give_up_us = clock_now_us() + 20 * TIME_US_PER_S;
    // the kernel's buffers first, then ours up to the hard limit
    while ((error = stream_write(link->client.stream, bytes_of(chunk, sizeof(chunk)))) == 0) {
        taken += sizeof(chunk);
        loop_turn(&link->loop, 100);
        assert_true(taken < 40u << 20 && clock_now_us() < give_up_us);
    }
    assert_int_equal(error, -ENOSPC);
    assert_true(stream_input(link->server.stream).size <= 10000);
    // and everything comes when it reads again, in small steps
    link->server.hold = false;
    on_readable(&link->server, link->server.stream);
    turn_until(&link->loop, received(&link->server) == taken);
    link_free(link);
}

/** Fills the server's output past a low mark while the client does not read, then lets it. */
static void check_relief(bool secure, bool ask_for_all)
{
    struct link *link = link_new(secure);
    link->server_limits = (struct stream_limits){ .high_water_bytes = 4096 };
    link_connect(link, &handler);
    turn_until(&link->loop,
               link->client.opened && link->server.stream && (!secure || link->server.opened));
    stream_pause(link->client.stream, true);
    static const uint8_t chunk[3000];
    // first the kernel's buffers, until little of the last one stays with us
    do {
        assert_int_equal(stream_write(link->server.stream, bytes_of(chunk, sizeof(chunk))), 0);
        loop_turn(&link->loop, 0);
    } while (!stream_congested(link->server.stream));
    link->server.writable = 0;
    if (ask_for_all)
        stream_notify_drained(link->server.stream);
    stream_pause(link->client.stream, false);
    turn_until(&link->loop, link->server.writable);
    if (!ask_for_all)
        assert_false(stream_congested(link->server.stream));
    turn_until(&link->loop, stream_unsent(link->server.stream) == 0);
    link_free(link);
}

static void test_low_high_water_marks_are_relieved(void **state)
{
    check_relief(secure_of(state), false);
    check_relief(secure_of(state), true);
}

static void test_congestion_of_a_corked_stream_is_relieved_by_uncork(void **state)
{
    struct link *link = link_open(secure_of(state));
    static const uint8_t page[300000];
    stream_cork(link->server.stream);
    assert_int_equal(stream_write(link->server.stream, bytes_of(page, sizeof(page))), 0);
    assert_true(stream_congested(link->server.stream));
    stream_uncork(link->server.stream);
    turn_until(&link->loop, link->server.writable == 1);
    assert_false(stream_congested(link->server.stream));
    turn_until(&link->loop, received(&link->client) == sizeof(page));
    link_free(link);
}

static void test_hang_up_of_a_paused_stream_does_not_keep_the_loop_busy(void **state)
{
    (void)state;
    struct loop loop;
    struct party party = { 0 };
    buffer_init(&party.received, 100);
    assert_int_equal(loop_init(&loop), 0);
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(tcp_stream_new(&loop, ends[0], NULL, &handler, &party, &party.stream), 0);
    stream_pause(party.stream, true);
    assert_int_equal(write(ends[1], "last words", 10), 10);
    close(ends[1]); // from now on the kernel reports a hang-up for as long as it is asked
    loop_turn(&loop, 1000);
    loop_turn(&loop, 1000);
    uint64_t start_us = clock_now_us();
    for (int i = 0; i < 5; i++)
        loop_turn(&loop, 4000);
    assert_true(clock_now_us() - start_us >= 15000);
    stream_pause(party.stream, false);
    turn_until(&loop, party.ended || party.closed);
    expect(&party, "last words");
    stream_close(party.stream);
    buffer_done(&party.received);
    loop_done(&loop);
}

static void test_paused_stream_reads_nothing_until_resumed(void **state)
{
    struct link *link = link_open(secure_of(state));
    stream_pause(link->server.stream, true);
    say(&link->client, "wait");
    for (int i = 0; i < 5; i++)
        loop_turn(&link->loop, 2000);
    assert_int_equal(link->server.readable, 0);
    stream_pause(link->server.stream, false);
    turn_until(&link->loop, received(&link->server) == 4);
    link_free(link);
}

static void test_finish_delivers_the_last_words_and_both_sides_end_in_order(void **state)
{
    struct link *link = link_open(secure_of(state));
    say(&link->client, "a request that nobody will read");
    static const uint8_t page[500000];
    assert_int_equal(stream_write(link->server.stream, bytes_of(page, sizeof(page))), 0);
    stream_finish(link->server.stream, 5 * TIME_US_PER_S);
    assert_int_equal(stream_write(link->server.stream, bytes_of(page, 1)), -EPIPE);
    turn_until(&link->loop, link->client.ended);
    assert_int_equal(received(&link->client), sizeof(page));
    assert_int_equal(link->server.closed, 0);
    stream_finish(link->client.stream, 5 * TIME_US_PER_S);
    turn_until(&link->loop, link->client.closed && link->server.closed);
    assert_int_equal(link->server.reason, STREAM_ENDED);
    assert_int_equal(link->client.reason, STREAM_ENDED);
    assert_int_equal(link->server.ended, 0); // the only event after finish is `closed`
    link_free(link);
}

static void test_answer_can_be_written_after_the_peer_has_ended(void **state)
{
    struct link *link = link_open(secure_of(state));
    say(&link->client, "question");
    stream_finish(link->client.stream, 5 * TIME_US_PER_S);
    turn_until(&link->loop, link->server.ended);
    expect(&link->server, "question");
    say(&link->server, "answer");
    assert_int_equal(stream_write(link->server.stream, bytes_of_text("!")), 0);
    stream_finish(link->server.stream, 5 * TIME_US_PER_S);
    turn_until(&link->loop, link->server.closed && link->client.closed);
    assert_int_equal(link->server.reason, STREAM_ENDED);
    link_free(link);
}

static void test_stream_without_ended_handler_finishes_by_itself(void **state)
{
    struct link *link = link_new(secure_of(state));
    link_connect(link, &plain_handler);
    turn_until(&link->loop, link->server.stream && (!link->secure || link->server.opened));
    say(&link->server, "bye");
    stream_finish(link->server.stream, 5 * TIME_US_PER_S);
    turn_until(&link->loop, link->client.closed && link->server.closed);
    expect(&link->client, "bye");
    assert_int_equal(link->client.reason, STREAM_ENDED);
    link_free(link);
}

static void test_deadline_closes_with_a_timeout_and_can_be_moved(void **state)
{
    struct link *link = link_open(secure_of(state));
    stream_set_deadline(link->server.stream, loop_now_us(&link->loop) + 1000);
    stream_set_deadline(link->server.stream, loop_now_us(&link->loop) + 30000);
    uint64_t start_us = loop_now_us(&link->loop);
    turn_until(&link->loop, link->server.closed);
    assert_true(loop_now_us(&link->loop) >= start_us + 30000);
    assert_int_equal(link->server.reason, STREAM_TIMED_OUT);
    link_free(link);
}

static void test_finish_gives_up_on_a_peer_that_never_ends(void **state)
{
    struct link *link = link_open(secure_of(state));
    stream_finish(link->server.stream, 20000);
    turn_until(&link->loop, link->server.closed);
    assert_int_equal(link->server.reason, STREAM_TIMED_OUT);
    link_free(link);
}

static void test_stream_may_be_closed_inside_its_own_handler(void **state)
{
    struct link *link = link_open(secure_of(state));
    link->server.close_inside = true;
    say(&link->client, "x");
    turn_until(&link->loop, link->server.readable);
    assert_null(link->server.stream);
    turn_until(&link->loop, link->client.ended || link->client.closed);
    assert_int_equal(link->server.closed, 0);
    link_free(link);
}

static void test_reset_by_the_peer_closes_with_an_error(void **state)
{
    struct link *link = link_open(secure_of(state));
    // unread bytes at close make the kernel answer with a reset
    stream_pause(link->server.stream, true);
    static const uint8_t much[1000000];
    assert_int_equal(stream_write(link->client.stream, bytes_of(much, sizeof(much))), 0);
    for (int i = 0; i < 5; i++)
        loop_turn(&link->loop, 1000);
    link->server.stream = stream_close(link->server.stream);
    turn_until(&link->loop, link->client.closed);
    assert_int_equal(link->client.reason, STREAM_RESET);
    assert_int_equal(link->client.error, -ECONNRESET);
    link_free(link);
}

// --- moving ---

struct mover {
    struct stream_parcel *parcel;
    struct party party;
    size_t expected;
    const char *answer;
    unsigned char ok;
};

static void *serve_elsewhere(void *argument)
{
    struct mover *mover = argument;
    struct loop loop;
    ensure(loop_init(&loop) == 0);
    ensure(stream_attach(mover->parcel, &loop, &handler, &mover->party, &mover->party.stream) == 0);
    uint64_t give_up_us = clock_now_us() + 10 * TIME_US_PER_S;
    while (buffer_size(&mover->party.received) < mover->expected && clock_now_us() < give_up_us)
        loop_turn(&loop, 10000);
    ensure(stream_write(mover->party.stream, bytes_of_text(mover->answer)) == 0);
    stream_finish(mover->party.stream, 5 * TIME_US_PER_S);
    while (!mover->party.closed && clock_now_us() < give_up_us)
        loop_turn(&loop, 10000);
    mover->ok = mover->party.closed && mover->party.reason == STREAM_ENDED;
    loop_done(&loop);
    return NULL;
}

static void test_stream_moves_to_another_thread_with_its_unread_bytes(void **state)
{
    struct link *link = link_open(secure_of(state));
    struct mover mover = { .expected = 12, .answer = "moved" };
    buffer_init(&mover.party.received, 1000);
    link->server.detach_inside = &mover.parcel;
    say(&link->client, "before");
    turn_until(&link->loop, mover.parcel);
    say(&link->client, " after");
    pthread_t thread;
    pthread_create(&thread, NULL, serve_elsewhere, &mover);
    turn_until(&link->loop, link->client.ended);
    stream_finish(link->client.stream, 5 * TIME_US_PER_S);
    turn_until(&link->loop, link->client.closed);
    pthread_join(thread, NULL);
    assert_true(mover.ok);
    expect(&mover.party, "before after");
    expect(&link->client, "moved");
    buffer_done(&mover.party.received);
    link_free(link);
}

static void test_parcel_that_nobody_attaches_can_be_freed(void **state)
{
    struct link *link = link_open(secure_of(state));
    struct stream_parcel *parcel = stream_detach(link->server.stream);
    link->server.stream = NULL;
    stream_parcel_free(parcel);
    turn_until(&link->loop, link->client.ended || link->client.closed);
    link_free(link);
}

static void test_deadline_moves_along(void **state)
{
    struct link *link = link_open(secure_of(state));
    stream_set_deadline(link->server.stream, loop_now_us(&link->loop) + 5000);
    struct stream_parcel *parcel = stream_detach(link->server.stream);
    assert_int_equal(
        stream_attach(parcel, &link->loop, &handler, &link->server, &link->server.stream), 0);
    turn_until(&link->loop, link->server.closed);
    assert_int_equal(link->server.reason, STREAM_TIMED_OUT);
    link_free(link);
}

// --- kinds by themselves ---

static void test_one_port_tells_tls_from_plain_by_the_first_byte(void **state)
{
    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        struct link *link = link_new(secure);
        link->sniff = true;
        link_connect(link, &handler);
        turn_until(&link->loop, link->client.opened);
        say(&link->client, "who?");
        turn_until(&link->loop, received(&link->server) == 4);
        assert_int_equal(stream_is_secure(link->server.stream), secure);
        link_free(link);
    }
}

static void test_tls_server_refuses_what_is_not_tls(void **state)
{
    (void)state;
    struct link *link = link_new(true);
    struct net_address address = link_address(link);
    assert_int_equal(tcp_stream_connect(&link->loop, &address, NULL, &handler, &link->client,
                                        &link->client.stream),
                     0);
    turn_until(&link->loop, link->client.opened);
    say(&link->client, "GET / HTTP/1.1\r\n\r\n");
    turn_until(&link->loop, link->server.closed);
    assert_int_equal(link->server.reason, STREAM_TLS_FAILED);
    assert_int_equal(link->server.opened, 0);
    assert_int_equal(metric_get(&link->loop.metrics.values[RUNTIME_TLS_FAILED]), 1);
    link_free(link);
}

static void test_tls_server_notices_a_client_that_leaves_in_the_handshake(void **state)
{
    (void)state;
    struct link *link = link_new(true);
    struct net_address address = link_address(link);
    assert_int_equal(tcp_stream_connect(&link->loop, &address, NULL, &handler, &link->client,
                                        &link->client.stream),
                     0);
    turn_until(&link->loop, link->server.stream && link->client.opened);
    stream_finish(link->client.stream, TIME_US_PER_S);
    turn_until(&link->loop, link->server.closed);
    assert_int_equal(link->server.reason, STREAM_TLS_FAILED);
    link_free(link);
}

static void test_connecting_where_nobody_listens_closes_with_the_reason(void **state)
{
    (void)state;
    struct link *link = link_new(false);
    struct net_address address = link_address(link);
    link->listener = tcp_listener_close(link->listener);
    assert_int_equal(tcp_stream_connect(&link->loop, &address, NULL, &handler, &link->client,
                                        &link->client.stream),
                     0);
    turn_until(&link->loop, link->client.closed);
    assert_int_equal(link->client.error, -ECONNREFUSED);
    assert_int_equal(link->client.opened, 0);
    link_free(link);
}

static void test_listener_refuses_beyond_the_limit_of_an_address(void **state)
{
    (void)state;
    struct link *link = link_new(false);
    struct net_address address = link_address(link);
    struct party parties[5] = { 0 };
    for (size_t i = 0; i < array_size(parties); i++) {
        assert_int_equal(tcp_stream_connect(&link->loop, &address, NULL, &handler, &parties[i],
                                            &parties[i].stream),
                         0);
        unsigned before = link->accepted;
        struct stream *accepted = link->server.stream;
        turn_until(&link->loop, link->accepted > before || parties[i].ended || parties[i].closed);
        assert_int_equal(link->accepted, min_of(i + 1, (size_t)3));
        if (link->server.stream != accepted)
            stream_close(accepted);
    }
    assert_int_equal(metric_get(&link->loop.metrics.values[RUNTIME_TCP_REFUSED]), 2);
    address_limit_release(&link->limit, &address);
    assert_true(address_limit_take(&link->limit, &address));
    for (size_t i = 0; i < array_size(parties); i++)
        stream_close(parties[i].stream);
    link_free(link);
}

static void test_listener_without_descriptors_closes_connections_and_recovers(void **state)
{
    (void)state;
    struct link *link = link_new(false);
    struct net_address address = link_address(link);
    assert_int_equal(tcp_stream_connect(&link->loop, &address, NULL, &handler, &link->client,
                                        &link->client.stream),
                     0);
    struct rlimit saved, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
    int lowest = dup(0);
    close(lowest);
    none = saved;
    none.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    uint64_t shed = 0;
    for (int i = 0; i < 100 && shed == 0; i++) {
        loop_turn(&link->loop, 10000);
        shed = metric_get(&link->loop.metrics.values[RUNTIME_TCP_NO_DESCRIPTORS]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
    assert_int_equal(shed, 1);
    turn_until(&link->loop, link->client.ended || link->client.closed);
    link->client.stream = stream_close(link->client.stream);
    // after its rest it accepts again
    link->client = (struct party){ .received = link->client.received };
    link_connect(link, &handler);
    turn_until(&link->loop, link->server.stream);
    link_free(link);
}

static void test_ipv6_and_ipv4_reach_the_same_listener(void **state)
{
    (void)state;
    struct link *link = link_new(false);
    struct net_address address;
    assert_int_equal(net_address_parse_ip("::1", tcp_listener_port(link->listener), &address), 0);
    if (tcp_stream_connect(&link->loop, &address, NULL, &handler, &link->client,
                           &link->client.stream) < 0) {
        link_free(link);
        skip();
    }
    turn_until(&link->loop, link->server.stream || link->client.closed);
    if (link->client.closed) { // no IPv6 here
        link_free(link);
        skip();
    }
    assert_int_equal(stream_remote(link->server.stream).family, NET_IPV6);
    struct stream *first = link->server.stream;
    link->server.stream = NULL;
    struct party second = { 0 };
    address = link_address(link);
    assert_int_equal(
        tcp_stream_connect(&link->loop, &address, NULL, &handler, &second, &second.stream), 0);
    turn_until(&link->loop, link->server.stream);
    assert_int_equal(stream_remote(link->server.stream).family, NET_IPV4);
    stream_close(first);
    stream_close(second.stream);
    link_free(link);
}

/** Runs a command with its standard input and output connected to us. */
static pid_t spawn(const char *command, int *ret_in, int *ret_out)
{
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *ret_in = in[1];
    *ret_out = out[0];
    return pid;
}

static void test_openssl_s_client_talks_to_a_secure_stream(void **state)
{
    (void)state;
    if (system("command -v openssl >/dev/null") != 0)
        skip();
    static const char *const versions[] = { "-tls1_2", "-tls1_3" };
    for (size_t i = 0; i < array_size(versions); i++) {
        struct link *link = link_new(true);
        char command[200];
        snprintf(command, sizeof(command),
                 "exec openssl s_client -connect 127.0.0.1:%u -quiet -alpn http/1.1 "
                 "-servername localhost %s 2>/dev/null",
                 tcp_listener_port(link->listener), versions[i]);
        int in, out;
        pid_t pid = spawn(command, &in, &out);
        assert_int_equal(write(in, "to the server", 13), 13);
        turn_until(&link->loop, received(&link->server) == 13);
        assert_string_equal(stream_alpn(link->server.stream), "http/1.1");
        const struct tls_stream *tls = secure_stream_tls(link->server.stream);
        assert_string_equal(tls_stream_server_name(tls), "localhost");
        assert_string_equal(tls_stream_version(tls), i ? "TLSv1.3" : "TLSv1.2");
        say(&link->server, "to the client");
        stream_finish(link->server.stream, 5 * TIME_US_PER_S);
        char answer[64] = "";
        turn_until(&link->loop, link->server.closed);
        assert_int_equal(read(out, answer, sizeof(answer) - 1), 13);
        assert_string_equal(answer, "to the client");
        close(in);
        close(out);
        waitpid(pid, NULL, 0);
        link_free(link);
    }
}

#define both_kinds(test)                                                                           \
    cmocka_unit_test_prestate(test, NULL), cmocka_unit_test_prestate(test, (void *)1)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        both_kinds(test_small_messages_go_both_ways),
        both_kinds(test_megabytes_cross_in_order_with_congestion_and_writable_events),
        both_kinds(test_peer_that_does_not_read_is_bounded_on_both_sides),
        both_kinds(test_low_high_water_marks_are_relieved),
        both_kinds(test_congestion_of_a_corked_stream_is_relieved_by_uncork),
        cmocka_unit_test(test_hang_up_of_a_paused_stream_does_not_keep_the_loop_busy),
        both_kinds(test_paused_stream_reads_nothing_until_resumed),
        both_kinds(test_finish_delivers_the_last_words_and_both_sides_end_in_order),
        both_kinds(test_answer_can_be_written_after_the_peer_has_ended),
        both_kinds(test_stream_without_ended_handler_finishes_by_itself),
        both_kinds(test_deadline_closes_with_a_timeout_and_can_be_moved),
        both_kinds(test_finish_gives_up_on_a_peer_that_never_ends),
        both_kinds(test_stream_may_be_closed_inside_its_own_handler),
        both_kinds(test_reset_by_the_peer_closes_with_an_error),
        both_kinds(test_stream_moves_to_another_thread_with_its_unread_bytes),
        both_kinds(test_deadline_moves_along),
        both_kinds(test_parcel_that_nobody_attaches_can_be_freed),
        cmocka_unit_test(test_one_port_tells_tls_from_plain_by_the_first_byte),
        cmocka_unit_test(test_tls_server_refuses_what_is_not_tls),
        cmocka_unit_test(test_tls_server_notices_a_client_that_leaves_in_the_handshake),
        cmocka_unit_test(test_connecting_where_nobody_listens_closes_with_the_reason),
        cmocka_unit_test(test_listener_refuses_beyond_the_limit_of_an_address),
        cmocka_unit_test(test_listener_without_descriptors_closes_connections_and_recovers),
        cmocka_unit_test(test_ipv6_and_ipv4_reach_the_same_listener),
        cmocka_unit_test(test_openssl_s_client_talks_to_a_secure_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
