// Every promise of stream.h, over TCP and over TLS.
#include "unit/runtime/stream_link.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/stream_int.h"

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
    uint64_t give_up_us = clock_now_us() + 60 * TIME_US_PER_S;
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
    uint64_t give_up_us = clock_now_us() + 60 * TIME_US_PER_S;
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
    uint64_t give_up_us = clock_now_us() + 60 * TIME_US_PER_S;
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

static void test_the_peers_end_moves_along(void **state)
{
    struct link *link = link_open(secure_of(state));
    struct stream_parcel *parcel = NULL;
    link->server.detach_inside = &parcel;
    say(&link->client, "all I have to say");
    stream_finish(link->client.stream, 5 * TIME_US_PER_S);
    turn_until(&link->loop, parcel);
    loop_turn(&link->loop, 1000);
    link->server.detach_inside = NULL;
    assert_int_equal(
        stream_attach(parcel, &link->loop, &handler, &link->server, &link->server.stream), 0);
    turn_until(&link->loop, link->server.ended);
    expect(&link->server, "all I have to say");
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

static void test_a_dead_stream_that_moves_still_tells_its_end(void **state)
{
    struct link *link = link_open(secure_of(state));
    link->server.hold = true;
    say(&link->client, "last words");
    turn_until(&link->loop, link->server.readable);
    struct stream_parcel *parcel = stream_detach(link->server.stream);
    assert_int_equal(
        stream_attach(parcel, &link->loop, &handler, &link->server, &link->server.stream), 0);
    parcel = NULL;
    // it dies with `readable` due, and the reader gives it away
    stream_die(link->server.stream, STREAM_RESET, -ECONNRESET);
    link->server.detach_inside = &parcel;
    turn_until(&link->loop, parcel);
    link->server.detach_inside = NULL;
    link->server.hold = false;
    assert_int_equal(
        stream_attach(parcel, &link->loop, &handler, &link->server, &link->server.stream), 0);
    turn_until(&link->loop, link->server.closed);
    expect(&link->server, "last words");
    assert_int_equal(link->server.reason, STREAM_RESET);
    link_free(link);
}

static void test_end_of_our_output_leaves_the_input_open(void **state)
{
    struct link *link = link_open(secure_of(state));
    say(&link->client, "question");
    stream_end_output(link->client.stream);
    assert_int_equal(stream_write(link->client.stream, bytes_of_text("more")), -EPIPE);
    turn_until(&link->loop, link->server.ended);
    expect(&link->server, "question");
    say(&link->server, "answer, ");
    turn_until(&link->loop, received(&link->client) == 8);
    say(&link->server, "and more");
    stream_end_output(link->server.stream);
    turn_until(&link->loop, link->client.closed && link->server.closed);
    expect(&link->client, "answer, and more");
    assert_int_equal(link->client.reason, STREAM_ENDED);
    assert_int_equal(link->server.reason, STREAM_ENDED);
    link_free(link);
}

static void test_both_have_ended_and_the_slow_owner_still_gets_everything(void **state)
{
    struct link *link = link_new(secure_of(state));
    link->server_limits = (struct stream_limits){ .input_bytes = 4096 };
    link_connect(link, &handler);
    turn_until(&link->loop,
               link->client.opened && link->server.stream && (!*state || link->server.opened));
    link->server.hold = true;
    enum { TOTAL = 200000 };
    static uint8_t many[TOTAL];
    stream_end_output(link->server.stream);
    assert_int_equal(stream_write(link->client.stream, bytes_of(many, TOTAL)), 0);
    stream_end_output(link->client.stream);
    turn_until(&link->loop, link->server.readable && link->client.ended);
    link->server.hold = false;
    while (!link->server.closed) {
        if (link->server.stream && stream_input(link->server.stream).size > 0)
            on_readable(&link->server, link->server.stream);
        loop_turn(&link->loop, 1000);
    }
    assert_int_equal(link->server.reason, STREAM_ENDED);
    assert_int_equal(received(&link->server), TOTAL);
    link_free(link);
}

static void test_writes_can_be_records_of_their_own(void **state)
{
    struct link *link = link_open(secure_of(state));
    uint64_t before, plain = 0;
    for (int apart = 0; apart < 2; apart++) {
        before = metric_get(&link->loop.metrics.values[RUNTIME_TCP_SENT_BYTES]);
        unsigned readable = link->client.readable;
        stream_set_record_per_write(link->server.stream, apart);
        stream_cork(link->server.stream);
        for (int i = 0; i < 10; i++)
            say(&link->server, "0123456789");
        for (int i = 0; i < 3; i++)
            loop_turn(&link->loop, 100);
        assert_int_equal(link->client.readable, readable);
        stream_uncork(link->server.stream);
        turn_until(&link->loop, received(&link->client) == (apart ? 200 : 100));
        uint64_t sent = metric_get(&link->loop.metrics.values[RUNTIME_TCP_SENT_BYTES]) - before;
        if (!apart)
            plain = sent;
        else if (secure_of(state))
            assert_int_equal(sent, plain + 9 * 22); // RFC 8446: 5 + 1 + 16 bytes a record
        else
            assert_int_equal(sent, plain);
    }
    link_free(link);
}

static void test_limits_can_grow_while_a_message_waits(void **state)
{
    struct link *link = link_new(secure_of(state));
    link->server_limits = (struct stream_limits){ .input_bytes = 1000 };
    link_connect(link, &handler);
    turn_until(&link->loop,
               link->client.opened && link->server.stream && (!*state || link->server.opened));
    link->server.hold = true;
    static uint8_t many[5000];
    assert_int_equal(stream_write(link->client.stream, bytes_of(many, sizeof(many))), 0);
    turn_until(&link->loop, stream_input(link->server.stream).size == 1000);
    stream_set_limits(link->server.stream, &(struct stream_limits){ .input_bytes = 8000 });
    turn_until(&link->loop, stream_input(link->server.stream).size == 5000);
    link_free(link);
}

/** What leaves the stream while the client reads nothing; then it gets everything. */
static size_t written_to_a_paused_client(void **state, uint32_t unsent_limit)
{
    struct link *link = link_open(secure_of(state));
    if (unsent_limit)
        tcp_stream_set_unsent_limit(link->server.stream, unsent_limit);
    tcp_stream_set_keepalive(link->server.stream, 60, 15);
    stream_pause(link->client.stream, true);
    static uint8_t some[4096];
    size_t written = 0;
    while (stream_unsent(link->server.stream) == 0 && written < (64u << 20)) {
        assert_int_equal(stream_write(link->server.stream, bytes_of(some, sizeof(some))), 0);
        written += sizeof(some);
    }
    stream_notify_drained(link->server.stream);
    stream_pause(link->client.stream, false);
    turn_until(&link->loop, link->server.writable && received(&link->client) == written);
    link_free(link);
    return written;
}

static void test_the_kernel_holds_little_that_it_has_not_sent_when_told(void **state)
{
    size_t unlimited = written_to_a_paused_client(state, 0);
    size_t limited = written_to_a_paused_client(state, 16384);
    assert_true(limited + 100000 < unlimited);
}

// --- kinds by themselves ---

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
        both_kinds(test_the_peers_end_moves_along),
        both_kinds(test_parcel_that_nobody_attaches_can_be_freed),
        both_kinds(test_a_dead_stream_that_moves_still_tells_its_end),
        both_kinds(test_end_of_our_output_leaves_the_input_open),
        both_kinds(test_both_have_ended_and_the_slow_owner_still_gets_everything),
        both_kinds(test_writes_can_be_records_of_their_own),
        both_kinds(test_limits_can_grow_while_a_message_waits),
        both_kinds(test_the_kernel_holds_little_that_it_has_not_sent_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
