// TURN clients over real TCP and TLS connections, with a fake engine behind.
#include "unit/server/stream_world.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

// --- what a client says ---

static void test_a_request_is_answered(void **state)
{
    struct world *world = world_with_client(state);
    assert_int_equal(world->turn.inputs, 1);
    assert_int_equal(world->turn.source.transport, world->secure ? TURN_TLS : TURN_TCP);
    struct net_address local = stream_local(world->client.stream);
    if (!world->secure)
        assert_true(net_address_equal(&world->turn.source.path.remote, &local));
    assert_int_equal(world->turn.source.path.local.port, tcp_listener_port(world->listener));
    assert_int_equal(
        fake_metric(&world->turn, world->secure ? TURN_STREAM_OPENED_TLS : TURN_STREAM_OPENED_TCP),
        1);
    world_free(world);
}

static void test_all_messages_of_one_read_leave_together_and_without_padding(void **state)
{
    struct world *world = world_with_client(state);
    static const uint8_t data[] = { 0x40, 1,    0, 5, 'h', 'e', 'l', 'l', 'o',  9, 9, 9,
                                    0x4f, 0xff, 0, 4, 'f', 'o', 'u', 'r', 0x40, 2, 0, 0 };
    unsigned flushes = world->turn.flushes;
    buffer_consume(&world->turn.log_of_messages, 40);
    client_sends(world, bytes_of(data, sizeof(data)));
    turns(world, world->turn.inputs == 4);
    assert_int_equal(world->turn.flushes, flushes + 1);
    struct bytes log = buffer_view(&world->turn.log_of_messages);
    assert_int_equal(log.size, 9 + 8 + 4);
    assert_memory_equal(log.data, data, 9);
    assert_memory_equal(log.data + 9, data + 12, 12);
    world_free(world);
}

static void test_messages_may_come_byte_by_byte(void **state)
{
    struct world *world = world_with_client(state);
    uint8_t message[64];
    fake_message(message, STUN_REFRESH, 48);
    static const uint8_t channel_data[] = { 0x40, 1, 0, 1, 'x', 0, 0, 0 };
    for (size_t i = 0; i < 48; i++) {
        client_sends(world, bytes_of(message + i, 1));
        loop_turn(&world->turn.loop, 200);
    }
    for (size_t i = 0; i < sizeof(channel_data); i++) {
        client_sends(world, bytes_of(channel_data + i, 1));
        loop_turn(&world->turn.loop, 200);
    }
    turns(world, world->turn.inputs == 3);
    assert_int_equal(buffer_size(&world->turn.log_of_messages), 40 + 48 + 5);
    world_free(world);
}

static void test_the_largest_messages_pass(void **state)
{
    struct world *world = world_with_client(state);
    static uint8_t message[4 + 65536];
    store_u16(message, 0x4001);
    store_u16(message + 2, 65535);
    client_sends(world, bytes_of(message, sizeof(message)));
    client_sends_message(world, 0x0016, 20 + 65532);
    turns(world, world->turn.inputs == 3);
    assert_int_equal(buffer_size(&world->turn.log_of_messages), 40 + 65539 + 65552);
    world_free(world);
}

static void test_tls_and_plain_are_told_apart_on_one_port(void **state unused)
{
    for (int secure = 0; secure < 2; secure++) {
        void *kind = secure ? (void *)1 : NULL;
        world_free(world_with_client(&kind));
    }
}

static void test_without_a_certificate_tls_is_refused(void **state unused)
{
    void *kind = (void *)1;
    struct world *world = world_new(&kind);
    world->turn.tls = NULL;
    dial(world);
    begin_client_tls(world);
    turns(world, world->client.closed);
    assert_int_equal(fake_metric(&world->turn, TURN_STREAM_CLOSED_NO_TLS), 1);
    world_free(world);
}

// --- what is not TURN ---

static void expect_closed(struct world *world, enum turn_stream_metric reason)
{
    turns(world, world->client.closed || world->client.ended);
    if (!world->client.closed)
        stream_finish(world->client.stream, TIME_US_PER_S); // else the server lingers for it
    turns(world, world->turn.closed == 1);
    assert_int_equal(fake_metric(&world->turn, reason), 1);
    assert_int_equal(turn_streams_count(world->turn.streams), 0);
    world_free(world);
}

static void test_other_protocols_are_refused(void **state)
{
    struct world *world = world_new(state);
    connect_client(world);
    client_sends(world, bytes_of_text("GET / HTTP/1.1\r\n\r\n"));
    expect_closed(world, TURN_STREAM_CLOSED_NOT_TURN);
}

static void test_bytes_that_are_no_message_end_the_connection(void **state)
{
    struct world *world = world_with_client(state);
    client_sends(world, bytes_of("\x80\0\0\0", 4)); // neither STUN nor a channel
    turns(world, world->turn.disconnected == 1);
    expect_closed(world, TURN_STREAM_CLOSED_NOT_TURN);
}

static void test_a_stranger_cannot_send_large_messages(void **state)
{
    struct world *world = world_new(state);
    connect_client(world);
    client_sends_message(world, STUN_ALLOCATE, 4100);
    expect_closed(world, TURN_STREAM_CLOSED_TOO_LARGE);
}

#define UNALLOCATED_US 40000

/** Its patience begins with a client's first message: handshakes take what a busy machine takes. */
static struct world *impatient_world(void **state)
{
    struct world *world = world_new(state);
    turn_streams_set_options(world->turn.streams,
                             &(struct turn_stream_options){ .unallocated_us = UNALLOCATED_US });
    return world;
}

static void test_a_silent_connection_is_closed(void **state unused)
{
    struct world *world = world_new(&(void *){ NULL });
    turn_streams_set_options(world->turn.streams,
                             &(struct turn_stream_options){ .handshake_us = 20000 });
    dial(world);
    expect_closed(world, TURN_STREAM_CLOSED_HANDSHAKE);
}

static void test_a_connection_without_an_allocation_is_closed(void **state)
{
    struct world *world = impatient_world(state);
    connect_client(world);
    client_sends_message(world, STUN_BINDING, 20);
    turns(world, world->turn.inputs == 1);
    expect_closed(world, TURN_STREAM_CLOSED_UNALLOCATED);
}

static void test_a_connection_with_an_allocation_stays(void **state)
{
    struct world *world = impatient_world(state);
    world->turn.input = allocates;
    connect_client(world);
    client_sends_message(world, STUN_ALLOCATE, 40);
    turns(world, received(&world->client) == 80);
    uint64_t until_us = clock_now_us() + 2 * UNALLOCATED_US;
    turns(world, clock_now_us() > until_us);
    assert_false(world->client.ended || world->client.closed);
    // given back: it may make another one, but not wait for ever
    struct turn_carrier *carrier = world->turn.source.carrier;
    carrier->ops->ended(carrier, &world->turn.source, TURN_END_RELEASED);
    fake_answer(&world->turn.source, 0x0104, 40);
    turns(world, received(&world->client) == 120);
    expect_closed(world, TURN_STREAM_CLOSED_UNALLOCATED);
}

// --- PROXY protocol ---

static const uint8_t proxy_v2[] = { 0x0d, 0x0a, 0x0d, 0x0a, 0,    0x0d, 0x0a, 'Q', 'U', 'I',
                                    'T',  0x0a, 0x21, 0x11, 0,    12,   192,  0,   2,   7,
                                    198,  51,   100,  1,    0x9c, 0x40, 0x0d, 0x96 };

static void test_the_client_behind_a_proxy_is_the_client(void **state)
{
    struct world *world = world_new(state);
    world->proxy = true;
    world->turn.input = allocates;
    dial(world);
    turns(world, world->client.opened);
    client_sends(world, bytes_of(proxy_v2, sizeof(proxy_v2)));
    if (world->secure)
        begin_client_tls(world);
    turns(world, world->client.opened == (world->secure ? 2u : 1u));
    client_sends_message(world, STUN_ALLOCATE, 40);
    turns(world, received(&world->client) == 80);
    struct net_address client = net_address_ipv4(192, 0, 2, 7, 40000);
    struct net_address local = net_address_ipv4(198, 51, 100, 1, 3478);
    assert_true(net_address_equal(&world->turn.source.path.remote, &client));
    assert_true(net_address_equal(&world->turn.source.path.local, &local));
    world_free(world);
}

static void test_a_proxy_without_its_header_is_refused(void **state unused)
{
    struct world *world = world_new(&(void *){ NULL });
    world->proxy = true;
    dial(world);
    turns(world, world->client.opened);
    client_sends_message(world, STUN_ALLOCATE, 40);
    expect_closed(world, TURN_STREAM_CLOSED_PROXY);
}

static void test_a_proxy_header_of_anybody_else_is_refused(void **state unused)
{
    struct world *world = world_new(&(void *){ NULL });
    dial(world);
    turns(world, world->client.opened);
    client_sends(world, bytes_of(proxy_v2, sizeof(proxy_v2)));
    expect_closed(world, TURN_STREAM_CLOSED_NOT_TURN);
}

// --- the end ---

static void test_the_end_of_an_allocation_ends_the_connection(void **state)
{
    static const enum turn_end reasons[] = { TURN_END_EXPIRED, TURN_END_KILLED, TURN_END_STOPPED };
    for (size_t i = 0; i < array_size(reasons); i++) {
        struct world *world = world_with_client(state);
        struct turn_carrier *carrier = world->turn.source.carrier;
        fake_deliver(&world->turn.source, 100, 1);
        carrier->ops->ended(carrier, &world->turn.source, reasons[i]);
        fake_deliver(&world->turn.source, 100, 2);
        turns(world, world->client.ended);
        assert_int_equal(received(&world->client), 104); // the last words come before the end
        expect_closed(world, TURN_STREAM_CLOSED_ENDED);
    }
}

static void test_the_engine_hears_that_a_client_has_gone(void **state)
{
    struct world *world = world_with_client(state);
    stream_finish(world->client.stream, TIME_US_PER_S);
    turns(world, world->turn.disconnected == 1);
    expect_closed(world, TURN_STREAM_CLOSED_BY_PEER);
}

static void test_control_hears_of_every_end_even_when_it_was_busy(void **state unused)
{
    struct world *world = world_with_client(&(void *){ NULL });
    struct turn_worker *turn = &world->turn;
    struct loop loop;
    struct mailbox busy;
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(mailbox_init(&busy, &loop, 4, &fake_control_ops, turn), 0);
    turn->shared.control = &busy;
    while (mailbox_send(&busy, TURN_MESSAGE_KILLED, NULL, 0) == 0)
        ;
    world->client.stream = stream_close(world->client.stream);
    turns(world, turn_streams_count(turn->streams) == 0);
    assert_int_equal(turn->closed, 0);
    turn_until(&loop, !mailbox_is_crowded(&busy));
    turns(world, mailbox_is_crowded(&busy) || (loop_turn(&loop, 0), turn->closed == 1));
    struct net_address remote = net_address_ipv4(127, 0, 0, 1, 0);
    assert_true(net_address_same_ip(&turn->closed_remote, &remote));
    mailbox_done(&busy);
    loop_done(&loop);
    world_free(world);
}

static void test_stopping_says_goodbye(void **state)
{
    struct world *world = world_with_client(state);
    world->turn.streams = turn_streams_free(world->turn.streams);
    assert_int_equal(world->turn.disconnected, 1);
    turns(world, world->client.ended);
    world_free(world);
}

// --- towards the client ---

static void test_what_one_turn_writes_leaves_at_its_end(void **state)
{
    struct world *world = world_with_client(state);
    unsigned before = world->client.readable;
    for (uint64_t i = 0; i < 10; i++)
        fake_deliver(&world->turn.source, 101, i);
    turn_streams_flush(world->turn.streams);
    turns(world, received(&world->client) == 10 * 108);
    assert_int_equal(world->client.readable, before + 1);
    world_free(world);
}

struct reading {
    uint64_t last_fill;
    uint64_t oldest_fill; /**< of messages from `handed` on */
    unsigned messages, data, answers;
};

/** Cuts what the client has received into messages; all must be whole and in order. */
static struct reading read_all(struct world *world, uint64_t handed)
{
    struct reading reading = { .oldest_fill = UINT64_MAX };
    struct bytes all = buffer_view(&world->client.received);
    size_t at = 0, size;
    for (; at + 4 <= all.size; at += size, reading.messages++) {
        bool is_answer = all.data[at] < 0x40;
        size = ((size_t)load_u16(all.data + at + 2) + (is_answer ? 20 : 4) + 3) & ~(size_t)3;
        if (size > all.size - at)
            break; // the rest is on its way
        reading.answers += is_answer;
        assert_true(is_answer ? load_u32(all.data + at + 4) == STUN_MAGIC_COOKIE
                              : load_u16(all.data + at) == 0x4001);
        if (is_answer)
            continue;
        uint64_t fill = load_u64(all.data + at + 4);
        assert_true(fill > reading.last_fill);
        reading.last_fill = fill;
        reading.data++;
        if (reading.messages >= handed)
            reading.oldest_fill = min_of(reading.oldest_fill, fill);
    }
    return reading;
}

/** Data and answers for a client that does not read, until `reason` was counted. */
static uint64_t deliver_until_dropped(struct world *world, enum turn_stream_metric reason,
                                      uint64_t *ret_fill)
{
    struct turn_worker *turn = &world->turn;
    uint64_t started_us = clock_now_us(), sent = 0, fill = 0;
    while (fake_metric(turn, reason) < 100) {
        for (int i = 0; i < 3; i++, sent++)
            fake_deliver(&turn->source, 1001, fill = max_of(fill + 1, clock_now_us()));
        loop_turn(&turn->loop, 1000);
        assert_true(clock_now_us() < started_us + 60 * TIME_US_PER_S);
    }
    *ret_fill = fill;
    return sent;
}

static void let_pass(struct world *world, uint64_t us)
{
    uint64_t until_us = clock_now_us() + us;
    turns(world, clock_now_us() >= until_us);
}

static void expect_fresh_when_it_reads_again(void **state, enum turn_stream_metric reason,
                                             size_t queue_bytes)
{
    enum { QUEUE_US = 200000 };
    struct world *world = world_with_client(state);
    struct turn_worker *turn = &world->turn;
    turn_streams_set_options(turn->streams, &(struct turn_stream_options){
                                                .queue_us = QUEUE_US, .queue_bytes = queue_bytes });
    stream_pause(world->client.stream, true);
    uint64_t fill, sent = deliver_until_dropped(world, reason, &fill);
    assert_true(fake_metric(turn, TURN_STREAM_QUEUE_BYTES) <= 2 * queue_bytes);
    assert_int_equal(turn_streams_count(turn->streams), 1);
    // what was fresh when the last one came may be too old when the client reads
    let_pass(world, QUEUE_US * 3 / 4);
    fake_deliver(&turn->source, 1001, fill = max_of(fill + 1, clock_now_us()));
    sent++;
    let_pass(world, QUEUE_US / 2);
    fake_answer(&turn->source, 0x0108, 60);
    uint64_t handed = fake_metric(turn, TURN_STREAM_SENT) - 1;
    uint64_t resumed_us = clock_now_us(), waiting = fill;
    stream_pause(world->client.stream, false);
    struct reading reading = { 0 };
    while ((reading = read_all(world, handed)).last_fill < waiting) {
        // what waits is fresh for a while yet; should the machine be held up now, what comes next
        // is
        fake_deliver(&turn->source, 1001, fill = max_of(fill + 1, clock_now_us()));
        sent++;
        loop_turn(&turn->loop, 1000);
        assert_true(clock_now_us() < resumed_us + 60 * TIME_US_PER_S);
    }
    assert_true(clock_now_us() > resumed_us + QUEUE_US / 4 || reading.oldest_fill <= waiting);
    turns(world, (reading = read_all(world, handed)).data +
                         fake_metric(turn, TURN_STREAM_DROPPED_OLD) +
                         fake_metric(turn, TURN_STREAM_DROPPED_FULL) ==
                     sent);
    assert_int_equal(reading.answers, 1);
    assert_true(reading.oldest_fill >= resumed_us - QUEUE_US);
    assert_int_equal(fake_metric(turn, TURN_STREAM_QUEUE_BYTES), 0);
    world_free(world);
}

static void test_a_client_that_reads_again_gets_answers_and_fresh_data(void **state)
{
    expect_fresh_when_it_reads_again(state, TURN_STREAM_DROPPED_OLD, 10 << 20);
}

static void test_a_client_that_reads_nothing_costs_a_bounded_queue(void **state)
{
    expect_fresh_when_it_reads_again(state, TURN_STREAM_DROPPED_FULL, 20000);
}

static void test_answers_that_nobody_reads_end_the_connection(void **state)
{
    struct world *world = world_with_client(state);
    stream_pause(world->client.stream, true);
    for (int i = 0; i < 200000 && !fake_metric(&world->turn, TURN_STREAM_CLOSED_UNREAD); i++) {
        fake_answer(&world->turn.source, 0x0104, 1000);
        if (i % 10 == 0)
            loop_turn(&world->turn.loop, 0);
    }
    turns(world, world->turn.closed == 1);
    assert_int_equal(fake_metric(&world->turn, TURN_STREAM_CLOSED_UNREAD), 1);
    assert_int_equal(world->turn.disconnected, 1);
    world_free(world);
}

static void test_all_slow_clients_together_are_bounded(void **state unused)
{
    struct world *world = world_with_client(&(void *){ NULL });
    turn_streams_set_options(world->turn.streams,
                             &(struct turn_stream_options){ .queue_bytes_all = 20000 });
    stream_pause(world->client.stream, true);
    while (fake_metric(&world->turn, TURN_STREAM_DROPPED_MEMORY) == 0) {
        fake_deliver(&world->turn.source, 1000, 1);
        loop_turn(&world->turn.loop, 0);
    }
    assert_true(fake_metric(&world->turn, TURN_STREAM_QUEUE_BYTES) <= 40000);
    world_free(world);
}

// --- moving ---

struct other {
    struct worker_group *group;
    struct mailbox *mailbox;
};

static void other_received(struct worker *worker, void *owner, const struct message *message)
{
    struct other *other = owner;
    assert_int_equal(worker->index, 1);
    assert_int_equal(mailbox_send(other->mailbox, message->type, message->body, message->size), 0);
}

static int other_start(struct worker *worker unused, void *owner unused)
{
    return 0;
}

static void other_stop(struct worker *worker unused, void *owner unused)
{
}

/** Whatever the clients of `turn` ask for lives on the other worker. */
static void start_other(struct turn_worker *turn, struct other *other)
{
    static const struct worker_ops ops = { .start = other_start,
                                           .received = other_received,
                                           .stop = other_stop };
    struct worker_group_config config = {
        .name = "other", .count = 2, .ops = &ops, .owner = other
    };
    assert_int_equal(worker_group_start(&config, &other->group), 0);
    turn->shared.group = other->group;
    turn->foreign = 1;
}

static void test_a_client_goes_to_the_worker_that_its_first_message_names(void **state)
{
    struct world *world = world_new(state);
    struct turn_worker *turn = &world->turn;
    struct other other = { .mailbox = &turn->control };
    start_other(turn, &other);
    turn->input = allocates;
    connect_client(world);
    client_sends_message(world, STUN_REFRESH, 60);
    client_sends_message(world, STUN_ALLOCATE, 40);
    turns(world, turn->moves == 1 && turn_streams_count(turn->streams) == 0);
    assert_int_equal(turn->inputs, 0);
    assert_int_equal(turn->closed, 0); // its place in the limits goes along
    assert_int_equal(turn->disconnected, 0);
    assert_int_equal(fake_metric(turn, TURN_STREAM_CLOSED_MOVED), 1);
    worker_group_stop(other.group);
    turn->index = 1; // what the other one does
    turn_streams_adopt(turn->streams, &turn->moved);
    turns(world, received(&world->client) == 80);
    assert_int_equal(turn->inputs, 2);
    assert_int_equal(turn->source.transport, world->secure ? TURN_TLS : TURN_TCP);
    stream_finish(world->client.stream, TIME_US_PER_S);
    expect_closed(world, TURN_STREAM_CLOSED_BY_PEER);
}

static void test_moving_wins_no_time(void **state)
{
    struct world *world = impatient_world(state);
    struct turn_worker *turn = &world->turn;
    struct other other = { .mailbox = &turn->control };
    start_other(turn, &other);
    connect_client(world);
    uint64_t before_us = clock_now_us();
    client_sends_message(world, STUN_CONNECTION_BIND, 28);
    turns(world, turn->moves == 1 && turn_streams_count(turn->streams) == 0);
    worker_group_stop(other.group);
    turn->index = 1;
    // the other one has more patience
    turn_streams_set_options(turn->streams,
                             &(struct turn_stream_options){ .unallocated_us = TIME_US_PER_S * 60 });
    assert_in_range(turn->moved.ends_us, before_us + UNALLOCATED_US,
                    clock_now_us() + UNALLOCATED_US);
    turn_streams_adopt(turn->streams, &turn->moved);
    expect_closed(world, TURN_STREAM_CLOSED_UNALLOCATED);
}

#define both_kinds(test)                                                                           \
    cmocka_unit_test_prestate(test, NULL), cmocka_unit_test_prestate(test, (void *)1)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        both_kinds(test_a_request_is_answered),
        both_kinds(test_all_messages_of_one_read_leave_together_and_without_padding),
        both_kinds(test_messages_may_come_byte_by_byte),
        both_kinds(test_the_largest_messages_pass),
        cmocka_unit_test(test_tls_and_plain_are_told_apart_on_one_port),
        cmocka_unit_test(test_without_a_certificate_tls_is_refused),
        both_kinds(test_other_protocols_are_refused),
        both_kinds(test_bytes_that_are_no_message_end_the_connection),
        both_kinds(test_a_stranger_cannot_send_large_messages),
        cmocka_unit_test(test_a_silent_connection_is_closed),
        both_kinds(test_a_connection_without_an_allocation_is_closed),
        both_kinds(test_a_connection_with_an_allocation_stays),
        both_kinds(test_the_client_behind_a_proxy_is_the_client),
        cmocka_unit_test(test_a_proxy_without_its_header_is_refused),
        cmocka_unit_test(test_a_proxy_header_of_anybody_else_is_refused),
        both_kinds(test_the_end_of_an_allocation_ends_the_connection),
        both_kinds(test_the_engine_hears_that_a_client_has_gone),
        cmocka_unit_test(test_control_hears_of_every_end_even_when_it_was_busy),
        both_kinds(test_stopping_says_goodbye),
        both_kinds(test_what_one_turn_writes_leaves_at_its_end),
        both_kinds(test_a_client_that_reads_again_gets_answers_and_fresh_data),
        both_kinds(test_a_client_that_reads_nothing_costs_a_bounded_queue),
        both_kinds(test_answers_that_nobody_reads_end_the_connection),
        cmocka_unit_test(test_all_slow_clients_together_are_bounded),
        both_kinds(test_a_client_goes_to_the_worker_that_its_first_message_names),
        both_kinds(test_moving_wins_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
