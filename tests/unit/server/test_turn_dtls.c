// TURN clients over DTLS on a real socket and a real loop. The worker behind it is played here: it
// grants every Allocate and sends ChannelData back.
#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "crypto/x509.h"
#include "proto/dtls/dtls.h"
#include "proto/stun/stun.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "server/turn_dtls.h"
#include "server/turn_host.h"

#define CLIENTS     8
#define DEADLINE_US (60 * TIME_US_PER_S)
#define LARGEST     2000

struct turn_worker {
    uint32_t index;
    struct loop *loop;
    struct entropy *entropy;
    struct turn_shared shared;
    struct udp_gather *gather;
    uint32_t inputs;
    uint32_t disconnected;
    struct turn_source last;
    bool granted;          /**< the last source has an allocation */
    uint32_t named_worker; /**< by every Refresh */
    uint32_t moves_ended;
    struct turn_dtls_parcel *given;
};

struct client {
    int fd;
    struct dtls *dtls;
    bool connected, failed, closed;
    uint32_t received; /**< messages */
    uint32_t next;     /**< number of the ChannelData expected */
    uint32_t disordered;
    size_t last_size;
    uint8_t last[LARGEST + 64];
};

struct live {
    struct loop loop;
    struct entropy entropy;
    struct turn_worker turn;
    struct turn_worker other; /**< another worker, in this thread */
    struct turn_dtls *other_set;
    bool routed; /**< what arrives goes to the other worker */
    struct certificate *certificates[2];
    struct dtls_context *client_context;
    struct udp_socket *socket;
    struct turn_dtls *set;
    struct datagram_batch batch;
    struct client clients[CLIENTS];
};

// What turn_dtls.c asks of a worker and of the engine.

struct loop *turn_worker_loop(struct turn_worker *turn)
{
    return turn->loop;
}

struct log *turn_worker_log(struct turn_worker *turn unused)
{
    static struct log none;
    static struct log_sink sink = { .level = LOG_LEVEL_ERROR + 1 };
    none.sink = &sink;
    return &none;
}

struct random *turn_worker_random(struct turn_worker *turn)
{
    return &turn->entropy->random;
}

struct turn_server *turn_worker_server(struct turn_worker *turn)
{
    return (struct turn_server *)turn;
}

const struct turn_shared *turn_worker_shared(const struct turn_worker *turn)
{
    return &turn->shared;
}

struct udp_gather *turn_worker_gather(struct turn_worker *turn)
{
    return turn->gather;
}

uint32_t turn_worker_index(const struct turn_worker *turn)
{
    return turn->index;
}

void turn_worker_flush(struct turn_worker *turn)
{
    udp_gather_flush(turn->gather);
}

int turn_worker_give_association(struct turn_worker *turn, uint32_t worker,
                                 const struct net_path *path unused,
                                 struct turn_dtls_parcel *parcel)
{
    if (turn->given)
        return -ENOSPC;
    assert_int_equal(worker, turn->named_worker);
    turn->given = parcel;
    return 0;
}

void turn_worker_association_ended(struct turn_worker *turn, const struct net_path *path unused)
{
    turn->moves_ended++;
}

int turn_message_worker(const struct turn_server *server, struct bytes message)
{
    const struct turn_worker *turn = (const struct turn_worker *)server;
    return message.size > 2 && message.data[1] == STUN_REFRESH ? (int)turn->named_worker : -ENOENT;
}

void turn_worker_client_input(struct turn_worker *turn, const struct turn_source *source,
                              struct turn_allocation **cache unused, struct bytes message)
{
    struct turn_carrier *carrier = source->carrier;
    turn->inputs++;
    turn->last = *source;
    assert_int_equal(source->transport, TURN_DTLS);
    if (message.size >= 4 && message.data[0] == 0x40) {
        struct turn_deliver deliver = { .client = source, .header_size = 4, .padding = 2 };
        memcpy(deliver.header, message.data, 4);
        carrier->ops->deliver(carrier, &deliver, bytes_of(message.data + 4, message.size - 4));
        return;
    }
    uint8_t answer[64];
    struct stun_message request;
    struct stun_writer writer;
    assert_int_equal(stun_message_parse(message, &request), 0);
    stun_writer_start(&writer, answer, sizeof(answer), STUN_SUCCESS, request.method,
                      stun_message_transaction_id(&request));
    carrier->ops->send(carrier, source, bytes_of(answer, stun_writer_finish(&writer)));
    turn->granted |= request.method == STUN_ALLOCATE;
}

void turn_server_disconnected(struct turn_server *server, uint64_t now_us unused,
                              const struct turn_source *source)
{
    struct turn_worker *turn = (struct turn_worker *)server;
    turn->disconnected++;
    turn->granted = false;
    struct turn_carrier *carrier = source->carrier;
    carrier->ops->ended(carrier, source, TURN_END_DISCONNECTED);
}

// The server and its clients.

static void received(void *owner, struct udp_socket *socket, const struct udp_datagram *datagrams,
                     size_t count)
{
    struct live *live = owner;
    struct turn_dtls *set = live->routed ? live->other_set : live->set;
    for (size_t i = 0; set && i < count; i++)
        turn_dtls_input(set, socket, &datagrams[i]);
    udp_gather_flush(live->turn.gather);
}

static struct certificate *make_certificate(struct random *random)
{
    struct certificate *certificate;
    assert_int_equal(
        certificate_make(
            &(struct certificate_request){ .common_name = "turn", .not_after_unix_s = 1900000000 },
            random, &certificate),
        0);
    return certificate;
}

static void connect_client(struct live *live, struct client *client)
{
    client->dtls = dtls_new(
        &(struct dtls_config){ .context = live->client_context, .client = true }, clock_now_us());
}

static void open_client(struct live *live, struct client *client)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(udp_socket_port(live->socket)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&to, sizeof(to)), 0);
    int size = 4 << 20;
    setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    connect_client(live, client);
}

static void begin(struct live *live, uint64_t timeout_us, uint32_t associations_max)
{
    *live = (struct live){ .turn.loop = &live->loop, .turn.entropy = &live->entropy };
    live->turn.shared.options.stream_timeout_us = timeout_us;
    live->turn.shared.options.dtls_associations_max = associations_max;
    for (size_t i = 0; i < CLIENTS; i++)
        live->clients[i].fd = -1;
    entropy_init(&live->entropy);
    assert_int_equal(loop_init(&live->loop), 0);
    live->turn.gather = udp_gather_new();
    const struct udp_config config = {
        .bind = net_address_ipv4(127, 0, 0, 1, 0),
        .first_of_port = true,
    };
    static const struct udp_ops ops = { .received = received };
    assert_int_equal(udp_socket_open(&config, &live->loop, &ops, live, &live->socket), 0);
    for (size_t i = 0; i < 2; i++)
        live->certificates[i] = make_certificate(&live->entropy.random);
    live->set = turn_dtls_new(&live->turn, live->certificates[0]);
    assert_non_null(live->set);
    assert_int_equal(dtls_context_new_client(NULL, &live->client_context), 0);
    datagram_batch_init(&live->batch, 64 << 10, 64);
}

static void done(struct live *live)
{
    live->set = turn_dtls_free(live->set);
    live->other_set = turn_dtls_free(live->other_set);
    udp_socket_close(live->socket);
    udp_gather_free(live->turn.gather);
    loop_done(&live->loop);
    for (size_t i = 0; i < CLIENTS; i++) {
        dtls_free(live->clients[i].dtls);
        if (live->clients[i].fd >= 0)
            close(live->clients[i].fd);
    }
    dtls_context_unref(live->client_context);
    certificate_unref(live->certificates[0]);
    certificate_unref(live->certificates[1]);
    datagram_batch_done(&live->batch);
}

static uint64_t metric(const struct live *live, enum turn_dtls_metric which)
{
    struct metric_set sets[TURN_DTLS_METRIC_SETS];
    turn_dtls_metric_sets(live->set, "", sets);
    return metric_get(&sets[0].values[which]);
}

static void client_output(struct live *live, struct client *client)
{
    const struct net_path nowhere = { 0 };
    datagram_batch_clear(&live->batch);
    dtls_output(client->dtls, clock_now_us(), &nowhere, &live->batch);
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *data;
    size_t size;
    while (datagram_batch_next(&live->batch, &cursor, &path, &data, &size))
        assert_int_equal(send(client->fd, data, size, 0), size);
}

static void take_message(struct client *client, struct bytes message)
{
    assert_true(message.size <= sizeof(client->last));
    client->received++;
    client->last_size = message.size;
    memcpy(client->last, message.data, message.size);
    if (message.size >= 8 && message.data[0] == 0x40) {
        client->disordered += load_u32(message.data + 4) != client->next;
        client->next = load_u32(message.data + 4) + 1;
    }
}

static void client_input(struct live *live, struct client *client)
{
    uint8_t datagram[16384];
    ssize_t size;
    struct bytes message;
    while ((size = recv(client->fd, datagram, sizeof(datagram), 0)) > 0) {
        size_t at = 0;
        while (dtls_open(client->dtls, clock_now_us(), datagram, (size_t)size, &at, &message) > 0)
            take_message(client, message);
    }
    dtls_tick(client->dtls, clock_now_us());
    client_output(live, client);
    struct dtls_event event;
    while (dtls_event(client->dtls, &event)) {
        client->connected |= event.kind == DTLS_CONNECTED;
        client->failed |= event.kind == DTLS_FAILED;
        client->closed |= event.kind == DTLS_CLOSED;
    }
}

static void turn_once(struct live *live)
{
    loop_turn(&live->loop, 1000);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (live->clients[i].dtls)
            client_input(live, &live->clients[i]);
    }
}

/** Does `step` until `condition` (evaluated each time) holds. */
#define step_until(step, condition)                                                                \
    do {                                                                                           \
        uint64_t give_up_us = clock_now_us() + DEADLINE_US;                                        \
        while (!(condition)) {                                                                     \
            assert_true(clock_now_us() < give_up_us);                                              \
            step;                                                                                  \
        }                                                                                          \
    } while (0)
#define run_until(live, condition) step_until(turn_once(live), condition)
/** Only the server's side turns. */
#define serve_until(live, condition) step_until(loop_turn(&(live)->loop, 1000), condition)

static void run_for(struct live *live, uint64_t time_us)
{
    uint64_t until_us = clock_now_us() + time_us;
    while (clock_now_us() < until_us)
        turn_once(live);
}

static void send_record(struct client *client, const void *data, size_t size)
{
    uint8_t record[LARGEST + 64];
    memcpy(record + DTLS_RECORD_PREFIX, data, size);
    assert_int_equal(dtls_seal(client->dtls, record, size), 0);
    assert_int_equal(send(client->fd, record, size + DTLS_RECORD_OVERHEAD, 0),
                     size + DTLS_RECORD_OVERHEAD);
}

static void request(struct live *live, struct client *client, uint16_t method)
{
    static const uint8_t id[STUN_TRANSACTION_ID_SIZE] = { 1 };
    uint8_t message[64];
    struct stun_writer writer;
    stun_writer_start(&writer, message, sizeof(message), STUN_REQUEST, method, id);
    uint32_t before = client->received;
    send_record(client, message, stun_writer_finish(&writer));
    run_until(live, client->received > before);
    struct stun_message answer;
    assert_int_equal(stun_message_parse(bytes_of(client->last, client->last_size), &answer), 0);
    assert_int_equal(answer.class, STUN_SUCCESS);
}

static void allocate(struct live *live, struct client *client)
{
    request(live, client, STUN_ALLOCATE);
}

static void send_channel_data(struct client *client, uint32_t number, size_t size)
{
    uint8_t data[LARGEST] = { 0x40, 0x01, (uint8_t)(size >> 8), (uint8_t)size };
    store_u32(data + 4, number);
    send_record(client, data, 4 + size);
}

static void connected_client(struct live *live, struct client *client)
{
    open_client(live, client);
    run_until(live, client->connected);
}

static void test_messages_pass_both_ways(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    struct client *client = &live.clients[0];
    connected_client(&live, client);
    assert_int_equal(metric(&live, TURN_DTLS_COOKIES), 1);
    assert_int_equal(metric(&live, TURN_DTLS_HANDSHAKES), 0);
    assert_int_equal(metric(&live, TURN_DTLS_BEGAN), 1);
    allocate(&live, client);
    static const size_t sizes[] = { 4, 200, 1200, 1472, 1500, 1990 };
    for (size_t i = 0; i < array_size(sizes); i++) {
        uint32_t before = client->received;
        send_channel_data(client, (uint32_t)i, sizes[i]);
        run_until(&live, client->received > before);
        assert_int_equal(client->last_size, 4 + sizes[i] + 2); // header, payload, padding
        assert_int_equal(load_u16(client->last + client->last_size - 2), 0);
    }
    assert_int_equal(client->disordered, 0);
    done(&live);
}

static void test_bursts_come_back_complete_and_in_order(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    struct client *client = &live.clients[0];
    connected_client(&live, client);
    for (uint32_t burst = 0; burst < 20; burst++) {
        for (uint32_t i = 0; i < 64; i++)
            send_channel_data(client, 64 * burst + i, 200 + 1000 * (i & 1));
        run_until(&live, client->received == 64 * (burst + 1));
    }
    assert_int_equal(client->disordered, 0);
    done(&live);
}

static void test_nothing_is_kept_before_the_cookie(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    struct client *client = &live.clients[0];
    open_client(&live, client);
    client_output(&live, client); // one ClientHello, whose answer is not read
    struct client silent = *client;
    client->dtls = NULL;
    run_until(&live, metric(&live, TURN_DTLS_COOKIES) == 1);
    assert_int_equal(turn_dtls_count(live.set), 0);
    assert_int_equal(metric(&live, TURN_DTLS_HANDSHAKES), 0);
    static const uint8_t rubbish[][20] = { { 22, 0xfe, 0xfd }, { 23, 0xfe, 0xfd, 0, 1 }, { 63 } };
    for (size_t i = 0; i < array_size(rubbish); i++)
        assert_true(send(client->fd, rubbish[i], sizeof(rubbish[i]), 0) > 0);
    run_until(&live, metric(&live, TURN_DTLS_DROPPED_UNKNOWN) == 3);
    client->dtls = silent.dtls;
    run_until(&live, client->connected);
    done(&live);
}

static void test_an_association_without_allocation_ends(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 300000, 0);
    struct client *idle = &live.clients[0], *busy = &live.clients[1];
    connected_client(&live, idle);
    connected_client(&live, busy);
    allocate(&live, busy);
    run_until(&live, idle->closed);
    assert_int_equal(metric(&live, TURN_DTLS_UNALLOCATED), 1);
    run_for(&live, 600000);
    assert_false(busy->closed);
    assert_int_equal(turn_dtls_count(live.set), 1);
    assert_int_equal(live.turn.disconnected, 0);
    // its allocation ends, and then it has the same time as the other
    struct turn_carrier *carrier = live.turn.last.carrier;
    uint64_t ended_us = clock_now_us();
    carrier->ops->ended(carrier, &live.turn.last, TURN_END_EXPIRED);
    run_for(&live, 100000);
    assert_true(!busy->closed || clock_now_us() >= ended_us + 300000);
    run_until(&live, busy->closed);
    assert_int_equal(turn_dtls_count(live.set), 0);
    done(&live);
}

static void test_a_client_that_closes_ends_its_allocation(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    struct client *client = &live.clients[0];
    connected_client(&live, client);
    allocate(&live, client);
    dtls_close(client->dtls);
    client_output(&live, client);
    serve_until(&live, turn_dtls_count(live.set) == 0);
    assert_int_equal(live.turn.disconnected, 1);
    assert_int_equal(metric(&live, TURN_DTLS_CLOSED), 1);
    // RFC 5246, 7.2.1: and is answered with a close_notify, an alert of epoch 1
    uint8_t answer[2048];
    step_until(loop_turn(&live.loop, 1000), recv(client->fd, answer, sizeof(answer), 0) > 0);
    assert_int_equal(answer[0], 21);
    assert_int_equal(load_u16(answer + 3), 1);
    done(&live);
}

static void test_a_killed_allocation_closes_its_association(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    struct client *client = &live.clients[0];
    connected_client(&live, client);
    allocate(&live, client);
    struct turn_carrier *carrier = live.turn.last.carrier;
    carrier->ops->ended(carrier, &live.turn.last, TURN_END_KILLED);
    run_until(&live, client->closed);
    assert_int_equal(turn_dtls_count(live.set), 0);
    assert_int_equal(live.turn.disconnected, 0);
    done(&live);
}

static void test_a_client_that_begins_anew_takes_its_own_place(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    struct client *client = &live.clients[0];
    connected_client(&live, client);
    allocate(&live, client);
    dtls_free(client->dtls); // without a word
    client->connected = false;
    connect_client(&live, client);
    run_until(&live, metric(&live, TURN_DTLS_HANDSHAKES) == 1);
    assert_int_equal(live.turn.disconnected, 0); // not proven
    run_until(&live, client->connected && metric(&live, TURN_DTLS_REPLACED) == 1);
    assert_int_equal(live.turn.disconnected, 1);
    assert_int_equal(turn_dtls_count(live.set), 1);
    assert_int_equal(metric(&live, TURN_DTLS_HANDSHAKES), 0);
    allocate(&live, client);
    done(&live);
}

static void test_an_unfinished_handshake_does_not_disturb(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    struct client *client = &live.clients[0];
    connected_client(&live, client);
    struct dtls *old = client->dtls;
    connect_client(&live, client);
    client_output(&live, client);
    serve_until(&live, metric(&live, TURN_DTLS_COOKIES) == 2);
    client_input(&live, client);
    serve_until(&live, metric(&live, TURN_DTLS_HANDSHAKES) == 1);
    dtls_free(client->dtls);
    client->dtls = old;
    uint32_t before = client->received;
    send_channel_data(client, 0, 100);
    run_until(&live, client->received > before);
    assert_int_equal(metric(&live, TURN_DTLS_REPLACED), 0);
    done(&live);
}

static void test_the_number_of_associations_is_limited(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 2);
    connected_client(&live, &live.clients[0]);
    connected_client(&live, &live.clients[1]);
    open_client(&live, &live.clients[2]);
    run_until(&live, metric(&live, TURN_DTLS_DROPPED_FULL) > 0);
    assert_int_equal(turn_dtls_count(live.set), 2);
    dtls_close(live.clients[0].dtls);
    run_until(&live, live.clients[2].connected); // by its retransmission
    done(&live);
}

static void test_who_began_and_does_not_go_on_keeps_nobody_out(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 2);
    connected_client(&live, &live.clients[0]);
    struct client *idle = &live.clients[1];
    open_client(&live, idle);
    client_output(&live, idle);
    serve_until(&live, metric(&live, TURN_DTLS_COOKIES) == 2);
    client_input(&live, idle);
    serve_until(&live, metric(&live, TURN_DTLS_HANDSHAKES) == 1);
    idle->dtls = dtls_free(idle->dtls);
    connected_client(&live, &live.clients[2]);
    assert_int_equal(turn_dtls_count(live.set), 2);
    assert_int_equal(metric(&live, TURN_DTLS_PUSHED_OUT), 1);
    assert_int_equal(metric(&live, TURN_DTLS_HANDSHAKES), 0);
    allocate(&live, &live.clients[0]);
    done(&live);
}

static void test_a_new_certificate_is_for_new_clients(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    connected_client(&live, &live.clients[0]);
    turn_dtls_set_certificate(live.set, live.certificates[1]);
    struct dtls_context *context;
    assert_int_equal(dtls_context_new(live.certificates[0], NULL, &context), 0);
    struct dtls_fingerprint fingerprint;
    assert_int_equal(
        dtls_fingerprint_parse(bytes_of_text("sha-256"),
                               bytes_of_text(certificate_fingerprint(live.certificates[1])),
                               &fingerprint),
        0);
    struct client *client = &live.clients[1];
    open_client(&live, client);
    dtls_free(client->dtls);
    client->dtls = dtls_new(&(struct dtls_config){ .context = context,
                                                   .client = true,
                                                   .fingerprints = &fingerprint,
                                                   .fingerprint_count = 1 },
                            clock_now_us());
    run_until(&live, client->connected || client->failed);
    assert_true(client->connected);
    uint32_t before = live.clients[0].received;
    send_channel_data(&live.clients[0], 0, 100); // the old one goes on
    run_until(&live, live.clients[0].received > before);
    dtls_context_unref(context);
    done(&live);
}

static void test_an_association_goes_to_the_worker_of_its_allocation(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    live.turn.shared.count = 2;
    live.turn.named_worker = 1;
    live.other = live.turn;
    live.other.index = 1;
    live.other_set = turn_dtls_new(&live.other, live.certificates[0]);
    struct client *client = &live.clients[0];
    connected_client(&live, client);
    static const uint8_t id[STUN_TRANSACTION_ID_SIZE] = { 1 };
    uint8_t refresh[32];
    struct stun_writer writer;
    stun_writer_start(&writer, refresh, sizeof(refresh), STUN_REQUEST, STUN_REFRESH, id);
    send_record(client, refresh, stun_writer_finish(&writer));
    run_until(&live, live.turn.given);
    assert_int_equal(turn_dtls_count(live.set), 0);
    assert_int_equal(turn_dtls_parcel_port(live.turn.given), udp_socket_port(live.socket));
    live.routed = true;
    turn_dtls_adopt(live.other_set, live.socket, live.turn.given);
    run_until(&live, client->received == 1); // the Refresh is answered over there
    assert_int_equal(live.other.inputs, 1);
    send_channel_data(client, 0, 100);
    run_until(&live, client->received == 2);
    request(&live, client, STUN_REFRESH); // it is where it belongs
    dtls_close(client->dtls);
    run_until(&live, turn_dtls_count(live.other_set) == 0);
    assert_int_equal(live.other.moves_ended, 1);
    done(&live);
}

static void test_an_association_stays_when_the_other_worker_is_too_busy(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    live.turn.shared.count = 2;
    live.turn.named_worker = 1;
    live.turn.given = (struct turn_dtls_parcel *)&live; // full
    connected_client(&live, &live.clients[0]);
    request(&live, &live.clients[0], STUN_REFRESH);
    assert_int_equal(turn_dtls_count(live.set), 1);
    done(&live);
}

static void test_the_end_is_told_to_all_clients(void **state)
{
    (void)state;
    struct live live;
    begin(&live, 0, 0);
    for (size_t i = 0; i < CLIENTS; i++)
        connected_client(&live, &live.clients[i]);
    live.set = turn_dtls_free(live.set);
    for (size_t i = 0; i < CLIENTS; i++)
        run_until(&live, live.clients[i].closed);
    done(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_pass_both_ways),
        cmocka_unit_test(test_bursts_come_back_complete_and_in_order),
        cmocka_unit_test(test_nothing_is_kept_before_the_cookie),
        cmocka_unit_test(test_an_association_without_allocation_ends),
        cmocka_unit_test(test_a_client_that_closes_ends_its_allocation),
        cmocka_unit_test(test_a_killed_allocation_closes_its_association),
        cmocka_unit_test(test_a_client_that_begins_anew_takes_its_own_place),
        cmocka_unit_test(test_an_unfinished_handshake_does_not_disturb),
        cmocka_unit_test(test_the_number_of_associations_is_limited),
        cmocka_unit_test(test_who_began_and_does_not_go_on_keeps_nobody_out),
        cmocka_unit_test(test_a_new_certificate_is_for_new_clients),
        cmocka_unit_test(test_an_association_goes_to_the_worker_of_its_allocation),
        cmocka_unit_test(test_an_association_stays_when_the_other_worker_is_too_busy),
        cmocka_unit_test(test_the_end_is_told_to_all_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
