// SCTP associations over a network that loses, reorders, duplicates, and is slow, in virtual time.
#include <errno.h>

#include "proto/sctp/sctp.h"
#include "support/check.h"
#include "support/network.h"

#define PORT        5000
#define WINDOW      (1u << 20)
#define MESSAGE_MAX (256u << 10)
#define PACKET_SIZE 1160
#define STREAMS     8
#define CLIENTS     3
#define STAMP_SIZE  12 // of each message: when it was sent, and its number on the stream

/** One end of an association. */
struct end {
    struct network *net;
    struct net_path path;
    struct sctp *sctp;
    struct random *random;
    metric_value metrics[SCTP_METRIC_COUNT];
    bool paused; /**< does not fetch what has come */
    bool up, restarted, closed;
    uint32_t next[STREAMS]; /**< number of the next message received */
    uint32_t received;
    uint32_t misplaced; /**< messages out of order, or twice */
    uint64_t bytes;
    uint64_t latency_last_us, latency_max_us;
};

static void end_open(struct end *end)
{
    const struct sctp_config config = {
        .local_port = PORT,
        .remote_port = PORT,
        .streams = STREAMS,
        .packet_size = PACKET_SIZE,
        .receive_window = WINDOW,
        .send_capacity = WINDOW,
        .message_size_max = MESSAGE_MAX,
        .features = { true, true, true, true },
        .random = end->random,
        .metrics = end->metrics,
    };
    sctp_free(end->sctp);
    end->sctp = sctp_new(&config);
    memset(end->next, 0, sizeof(end->next));
    sctp_connect(end->sctp);
}

static void take_message(struct end *end, uint64_t now_us, const struct sctp_event *event)
{
    struct bytes bytes = blob_bytes(event->message);
    assert_true(bytes.size >= STAMP_SIZE);
    end->latency_last_us = now_us - load_u64(bytes.data);
    end->latency_max_us = max_of(end->latency_max_us, end->latency_last_us);
    uint32_t number = load_u32(bytes.data + 8);
    // gaps are what may be given up; a step back is not
    if (!event->unordered && number < end->next[event->stream])
        end->misplaced++;
    end->next[event->stream] = number + 1;
    end->received++;
    end->bytes += bytes.size;
}

static void fetch(struct end *end, uint64_t now_us)
{
    struct sctp_event event;
    while (!end->paused && sctp_event(end->sctp, &event)) {
        end->up |= event.kind == SCTP_ESTABLISHED;
        end->restarted |= event.kind == SCTP_RESTARTED;
        end->closed |= event.kind == SCTP_CLOSED;
        if (event.kind == SCTP_RESTARTED)
            memset(end->next, 0, sizeof(end->next));
        if (event.kind == SCTP_MESSAGE)
            take_message(end, now_us, &event);
        blob_unref(event.message);
    }
}

static void end_input(void *owner, uint64_t now_us, const struct net_path *path,
                      struct bytes datagram)
{
    struct end *end = owner;
    (void)path;
    sctp_input(end->sctp, now_us, datagram);
    fetch(end, now_us);
}

static void end_tick(void *owner, uint64_t now_us)
{
    struct end *end = owner;
    sctp_tick(end->sctp, now_us);
    fetch(end, now_us);
}

static uint64_t end_deadline(void *owner)
{
    const struct end *end = owner;
    return sctp_deadline(end->sctp);
}

static void end_output(void *owner, uint64_t now_us, struct datagram_batch *batch)
{
    struct end *end = owner;
    uint8_t *out;
    while ((out = datagram_batch_reserve(batch, SCTP_PACKET_SIZE_MAX))) {
        size_t size = sctp_output(end->sctp, now_us, out);
        if (size == 0)
            return;
        datagram_batch_commit(batch, &end->path, size);
    }
}

static const struct network_ops end_ops = { end_input, end_tick, end_deadline, end_output };

/** A server with one association to each client. */
struct star {
    struct network *net;
    struct random random;
    struct end servers[CLIENTS];
    struct end clients[CLIENTS];
    struct network_endpoint *wires[2 * CLIENTS];
    uint32_t sent[STREAMS];
};

static void star_init(struct star *star, uint64_t seed, const struct network_pipe_config *pipe)
{
    memset(star, 0, sizeof(*star));
    star->net = network_new(seed);
    random_seeded_init(&star->random, seed);
    for (uint32_t i = 0; i < 2 * CLIENTS; i++) {
        struct end *end = i % 2 ? &star->clients[i / 2] : &star->servers[i / 2];
        struct net_address address[2];
        for (uint8_t side = 0; side < 2; side++)
            address[side] = net_address_ipv4(10, 0, (uint8_t)(i / 2), side, PORT);
        end->net = star->net;
        end->random = &star->random;
        end->path = (struct net_path){ .local = address[i % 2], .remote = address[1 - i % 2] };
        star->wires[i] = network_add(star->net, &end_ops, end);
        network_bind(star->wires[i], &address[i % 2]);
        if (pipe)
            network_pipe_set(network_uplink(star->wires[i]), pipe);
        end_open(end);
    }
}

static bool all_up(void *owner)
{
    const struct star *star = owner;
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (!star->servers[i].up || !star->clients[i].up)
            return false;
    return true;
}

static void star_done(struct star *star)
{
    network_free(star->net);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        sctp_free(star->servers[i].sctp);
        sctp_free(star->clients[i].sctp);
    }
}

/** A message whose bytes are filled once; each sending has its own stamp. */
static struct blob *stamped(size_t size, uint64_t now_us, uint32_t number)
{
    uint8_t *at;
    struct blob *blob = blob_new_uninit(size, &at);
    assert_non_null(blob);
    memset(at + STAMP_SIZE, 0x5a, size - STAMP_SIZE);
    store_u64(at, now_us);
    store_u32(at + 8, number);
    return blob;
}

static int send_blob(struct star *star, struct end *end, uint16_t stream, struct blob *blob,
                     struct sctp_message message)
{
    message.stream = stream;
    message.content = blob;
    return sctp_send(end->sctp, network_now(star->net), &message);
}

static const struct sctp_message reliable = { .retransmits_max = UINT32_MAX };

static void test_losses_reordering_and_copies_change_nothing(void **state unused)
{
    const struct network_pipe_config rough = { .loss = 0.05,
                                               .duplicate = 0.02,
                                               .reorder = 0.05,
                                               .reorder_us = 20000,
                                               .delay_us = 20000,
                                               .jitter_us = 5000 };
    struct star star;
    star_init(&star, 1, &rough);
    assert_true(network_run_until(star.net, time_from_s(20), all_up, &star));
    const uint32_t rounds = 200;
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint16_t stream = 0; stream < 4; stream++) {
            size_t size = STAMP_SIZE + random_below(&star.random, round % 20 ? 3000 : 30000);
            struct blob *blob = stamped(size, network_now(star.net), round);
            struct sctp_message message = reliable;
            message.unordered = stream == 3;
            for (uint32_t i = 0; i < CLIENTS; i++) {
                assert_int_equal(send_blob(&star, &star.servers[i], stream, blob, message), 0);
                assert_int_equal(send_blob(&star, &star.clients[i], stream, blob, message), 0);
            }
            blob_unref(blob);
        }
        network_run(star.net, 50000);
    }
    network_run(star.net, time_from_s(20));
    for (uint32_t i = 0; i < CLIENTS; i++)
        for (int side = 0; side < 2; side++) {
            const struct end *end = side ? &star.clients[i] : &star.servers[i];
            assert_int_equal(end->received, 4 * rounds);
            assert_int_equal(end->misplaced, 0);
            assert_int_equal(sctp_buffered(end->sctp), 0);
            assert_true(metric_get(&end->metrics[SCTP_METRIC_DUPLICATES]) > 0);
        }
    star_done(&star);
}

static void test_what_may_be_lost_is_lost_but_late_is_nothing(void **state unused)
{
    const struct network_pipe_config lossy = { .loss = 0.1, .delay_us = 50000 };
    struct star star;
    star_init(&star, 2, &lossy);
    assert_true(network_run_until(star.net, time_from_s(20), all_up, &star));
    const struct sctp_message once = { .retransmits_max = 0 };
    const struct sctp_message brief = { .retransmits_max = UINT32_MAX, .lifetime_us = 150000 };
    const uint32_t rounds = 1000;
    for (uint32_t round = 0; round < rounds; round++) {
        struct blob *blob = stamped(200, network_now(star.net), round);
        assert_int_equal(send_blob(&star, &star.servers[0], 1, blob, once), 0);
        assert_int_equal(send_blob(&star, &star.servers[1], 1, blob, brief), 0);
        blob_unref(blob);
        network_run(star.net, 10000);
    }
    network_run(star.net, time_from_s(5));
    for (uint32_t i = 0; i < 2; i++) {
        const struct end *client = &star.clients[i];
        assert_in_range(client->received, rounds * 8 / 10, rounds - 1);
        assert_int_equal(client->misplaced, 0);
        // ordered messages wait for what was lost before them until that is given up
        assert_true(client->latency_max_us < (i ? 600000 : time_from_s(3)));
        assert_int_equal(sctp_buffered(star.servers[i].sctp), 0);
    }
    // a second chance within the lifetime
    assert_true(star.clients[1].received > star.clients[0].received);
    star_done(&star);
}

static void test_a_client_that_begins_anew_goes_on(void **state unused)
{
    const struct network_pipe_config lossy = { .loss = 0.05, .delay_us = 10000 };
    struct star star;
    star_init(&star, 3, &lossy);
    assert_true(network_run_until(star.net, time_from_s(20), all_up, &star));
    for (uint32_t round = 1; round <= 5; round++) {
        struct blob *blob = stamped(50000, network_now(star.net), 0);
        assert_int_equal(send_blob(&star, &star.servers[0], 1, blob, reliable), 0);
        assert_int_equal(send_blob(&star, &star.clients[0], 1, blob, reliable), 0);
        blob_unref(blob);
        network_run(star.net, 15000); // in the middle of it
        star.servers[0].restarted = false;
        star.clients[0].up = false;
        end_open(&star.clients[0]);
        assert_true(network_run_until(star.net, time_from_s(20), all_up, &star));
        network_run(star.net, time_from_s(2));
        assert_true(star.servers[0].restarted);
        uint32_t before = star.clients[0].received;
        blob = stamped(100, network_now(star.net), 0);
        assert_int_equal(send_blob(&star, &star.servers[0], 1, blob, reliable), 0);
        blob_unref(blob);
        network_run(star.net, time_from_s(5));
        assert_int_equal(star.clients[0].received, before + 1);
    }
    star_done(&star);
}

static void test_a_slow_reader_hurts_nobody_else(void **state unused)
{
    const struct network_pipe_config wire = { .delay_us = 10000 };
    struct star star;
    star_init(&star, 4, &wire);
    assert_true(network_run_until(star.net, time_from_s(5), all_up, &star));
    star.clients[2].paused = true;
    const uint32_t rounds = 1000;
    uint32_t refused = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        struct blob *blob = stamped(10000, network_now(star.net), round);
        for (uint32_t i = 0; i < CLIENTS; i++) {
            int error = send_blob(&star, &star.servers[i], 1, blob, reliable);
            assert_true(error == 0 || (error == -EAGAIN && i == 2));
            refused += error == -EAGAIN;
        }
        blob_unref(blob);
        network_run(star.net, 10000);
        assert_true(sctp_buffered(star.servers[2].sctp) <= WINDOW);
    }
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(star.clients[i].received, rounds);
        assert_true(star.clients[i].latency_max_us < 100000);
    }
    assert_in_range(refused, rounds / 2, rounds - 150);
    // what was taken for it comes when it reads again, in order
    star.clients[2].paused = false;
    fetch(&star.clients[2], network_now(star.net));
    network_run(star.net, time_from_s(20));
    assert_int_equal(star.clients[2].received + refused, rounds);
    assert_int_equal(star.clients[2].misplaced, 0);
    star_done(&star);
}

/** Bits per second that one server sends to its client for `duration_us`. */
static uint64_t throughput(const struct network_pipe_config *pipe, uint64_t duration_us)
{
    struct star star;
    star_init(&star, 5, NULL);
    assert_true(network_run_until(star.net, time_from_s(5), all_up, &star));
    for (uint32_t i = 0; i < 2; i++)
        network_pipe_set(network_uplink(star.wires[i]), pipe);
    uint64_t begin_us = network_now(star.net);
    struct blob *blob = stamped(50000, begin_us, 0);
    uint64_t before = 0;
    while (network_now(star.net) < begin_us + duration_us) {
        while (send_blob(&star, &star.servers[0], 1, blob, reliable) == 0)
            ;
        network_run(star.net, 10000);
        star.clients[0].next[1] = 0; // always the same message
        if (network_now(star.net) < begin_us + duration_us / 2)
            before = star.clients[0].bytes;
    }
    uint64_t bits = 8 * (star.clients[0].bytes - before);
    blob_unref(blob);
    star_done(&star);
    return bits * TIME_US_PER_S / (duration_us / 2);
}

static void test_the_path_is_filled_over_100_ms(void **state unused)
{
    // headers of IP, UDP, SCTP and I-DATA are 5 %
    const struct network_pipe_config narrow = { .delay_us = 50000, .bandwidth_bps = 20000000 };
    assert_in_range(throughput(&narrow, time_from_s(8)), 17000000, 20000000);
    // the announced window is what limits: 1 MiB each 100 ms, less what is charged for messages
    const struct network_pipe_config wide = { .delay_us = 50000 };
    assert_in_range(throughput(&wide, time_from_s(4)), 60000000, 90000000);
    // Reno over random losses: about MSS / RTT * sqrt(3 / 2p) = 1.1 Mbit/s
    const struct network_pipe_config lossy = { .delay_us = 50000, .loss = 0.01 };
    assert_in_range(throughput(&lossy, time_from_s(20)), 700000, 2000000);
}

static void test_hours_of_small_messages_do_not_drift(void **state unused)
{
    const struct network_pipe_config wire = { .delay_us = 10000 };
    struct star star;
    star_init(&star, 6, &wire);
    assert_true(network_run_until(star.net, time_from_s(5), all_up, &star));
    struct end *server = &star.servers[0], *client = &star.clients[0];
    for (uint32_t hour = 0; hour < 4; hour++) {
        client->latency_max_us = 0;
        for (uint32_t i = 0; i < 3600; i++) {
            struct blob *blob = stamped(64, network_now(star.net), hour * 3600 + i);
            assert_int_equal(send_blob(&star, server, 1, blob, reliable), 0);
            blob_unref(blob);
            network_run(star.net, TIME_US_PER_S);
        }
        assert_int_equal(client->latency_max_us, 10000);
        assert_int_equal(client->received, (hour + 1) * 3600);
        assert_int_equal(sctp_buffered(server->sctp), 0);
    }
    assert_int_equal(metric_get(&server->metrics[SCTP_METRIC_RETRANSMITTED]), 0);
    assert_int_equal(metric_get(&server->metrics[SCTP_METRIC_TIMEOUTS]), 0);
    assert_int_equal(client->misplaced, 0);
    star_done(&star);
}

static void test_an_outage_of_a_minute_is_survived(void **state unused)
{
    const struct network_pipe_config wire = { .delay_us = 10000 };
    struct star star;
    star_init(&star, 7, &wire);
    assert_true(network_run_until(star.net, time_from_s(5), all_up, &star));
    struct blob *blob = stamped(100000, network_now(star.net), 0);
    network_pipe_cut(network_uplink(star.wires[0]), true);
    network_pipe_cut(network_uplink(star.wires[1]), true);
    assert_int_equal(send_blob(&star, &star.servers[0], 1, blob, reliable), 0);
    blob_unref(blob);
    network_run(star.net, time_from_s(50));
    network_pipe_cut(network_uplink(star.wires[0]), false);
    network_pipe_cut(network_uplink(star.wires[1]), false);
    network_run(star.net, time_from_s(5));
    assert_int_equal(star.clients[0].received, 1);
    assert_false(star.servers[0].closed);
    star_done(&star);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_reordering_and_copies_change_nothing),
        cmocka_unit_test(test_what_may_be_lost_is_lost_but_late_is_nothing),
        cmocka_unit_test(test_a_client_that_begins_anew_goes_on),
        cmocka_unit_test(test_a_slow_reader_hurts_nobody_else),
        cmocka_unit_test(test_the_path_is_filled_over_100_ms),
        cmocka_unit_test(test_hours_of_small_messages_do_not_drift),
        cmocka_unit_test(test_an_outage_of_a_minute_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
