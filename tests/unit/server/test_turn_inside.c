// A worker's TURN server on the test's own thread, between its clients and the media server: what
// depends on who is in the middle of what.
#include "support/check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/datagram.h"
#include "base/memory.h"
#include "proto/stun/stun.h"
#include "runtime/entropy.h"
#include "server/turn_host.h"
#include "server/turn_worker.h"

#define ANSWER_MS   60000
#define MESSAGE_MAX 2048
#define MEDIA_PORT  9

struct inside {
    struct worker worker;
    struct log_sink sink;
    struct log log;
    struct turn_host *host;
    struct udp_socket *socket;
    struct turn_worker *turn;
    struct net_path path; /**< of the one client: as the server sees it */
    int client;
    uint8_t transaction;
    unsigned media_calls;
};

static void log_nothing(struct log_sink *self unused, const struct log_record *record unused)
{
}

static void take_media(void *owner, const struct udp_datagram *unused_datagrams unused,
                       size_t unused_count unused)
{
    ((struct inside *)owner)->media_calls++;
}

static void ignore(void *owner unused, struct udp_socket *socket unused,
                   const struct udp_datagram *datagrams unused, size_t count unused)
{
}

static void make_host(struct inside *inside)
{
    struct net_address loopback = net_address_ipv4(127, 0, 0, 1, 0);
    struct turn_settings_config settings = {
        .no_auth = true,
        .peers = { .own = &loopback, .own_count = 1 },
        .media_count = 1,
    };
    settings.media[0] = net_address_ipv4(127, 0, 0, 1, MEDIA_PORT);
    struct turn_relay_address relay = { loopback, loopback };
    struct turn_host_config config = {
        .options = { .udp = true },
        .relay_addresses = &relay,
        .relay_address_count = 1,
        .port_min = 20000, // the system gives them to nobody
        .port_max = 32000,
        .settings = turn_settings_new(&settings),
        .allocations_max = 10,
        .workers = 1,
        .random = &inside->worker.entropy.random,
        .loop = &inside->worker.loop,
        .log = &inside->log,
    };
    inside->host = turn_host_new(&config);
    turn_settings_unref(config.settings);
}

static void open_client(struct inside *inside)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(name);
    inside->client = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(inside->client, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(getsockname(inside->client, (struct sockaddr *)&name, &size), 0);
    inside->path.local = udp_socket_address(inside->socket);
    inside->path.remote = net_address_ipv4(127, 0, 0, 1, ntohs(name.sin_port));
}

static struct inside *inside_new(void)
{
    static const struct udp_ops ops = { .received = ignore };
    struct inside *inside = memory_new(struct inside);
    struct worker *worker = &inside->worker;
    assert_int_equal(loop_init(&worker->loop), 0);
    entropy_init(&worker->entropy);
    inside->sink.write = log_nothing;
    inside->log = (struct log){ &inside->sink, "test", NULL };
    make_host(inside);
    struct udp_config udp = { .bind = net_address_ipv4(127, 0, 0, 1, 0) };
    assert_int_equal(udp_socket_open(&udp, &worker->loop, &ops, NULL, &inside->socket), 0);
    assert_int_equal(turn_worker_new(worker, turn_host_shared(inside->host), inside->socket,
                                     take_media, inside, &inside->turn),
                     0);
    open_client(inside);
    return inside;
}

static void inside_free(struct inside *inside)
{
    turn_worker_stop(inside->turn);
    turn_worker_free(inside->turn);
    udp_socket_close(inside->socket);
    turn_host_free(inside->host);
    close(inside->client);
    entropy_done(&inside->worker.entropy);
    loop_done(&inside->worker.loop);
    free(inside);
}

static void begin(struct inside *inside, struct stun_writer *writer, uint8_t out[MESSAGE_MAX],
                  enum stun_class class, uint16_t method)
{
    uint8_t id[STUN_TRANSACTION_ID_SIZE] = { ++inside->transaction };
    stun_writer_start(writer, out, MESSAGE_MAX, class, method, id);
}

/** As if the client's datagram had just been received. */
static void give(struct inside *inside, struct stun_writer *writer)
{
    struct udp_datagram datagram = {
        .path = inside->path,
        .data = writer->out.data,
        .size = stun_writer_finish(writer),
    };
    turn_worker_udp_input(inside->turn, &datagram);
}

static struct stun_message answer(const struct inside *inside, uint8_t in[MESSAGE_MAX])
{
    struct pollfd wait = { .fd = inside->client, .events = POLLIN };
    struct stun_message message;
    assert_int_equal(poll(&wait, 1, ANSWER_MS), 1);
    ssize_t size = recv(inside->client, in, MESSAGE_MAX, 0);
    assert_true(size > 0);
    assert_int_equal(stun_message_parse(bytes_of(in, (size_t)size), &message), 0);
    return message;
}

/** Returns the relayed address; whatever is at loopback may be spoken to. */
static struct net_address allocate(struct inside *inside)
{
    uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX];
    struct stun_writer writer;
    begin(inside, &writer, out, STUN_REQUEST, STUN_ALLOCATE);
    stun_write_u32(&writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    give(inside, &writer);
    struct stun_message message = answer(inside, in);
    struct net_address relayed, peer = net_address_ipv4(127, 0, 0, 1, MEDIA_PORT);
    assert_int_equal(stun_message_find_address(&message, STUN_XOR_RELAYED_ADDRESS, &relayed), 0);
    begin(inside, &writer, out, STUN_REQUEST, STUN_CREATE_PERMISSION);
    stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, &peer);
    give(inside, &writer);
    assert_int_equal(answer(inside, in).class, STUN_SUCCESS);
    return relayed;
}

/** Its batch may have become full in the middle of a run: then it must not be entered again. */
static void test_media_that_hands_over_a_batch_is_not_entered(void **state unused)
{
    struct inside *inside = inside_new();
    struct net_address relayed = allocate(inside);
    struct net_address media = net_address_ipv4(127, 0, 0, 1, MEDIA_PORT);
    // a client's datagram for media waits for the end of what was received with it
    uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX];
    struct stun_writer writer;
    begin(inside, &writer, out, STUN_INDICATION, STUN_SEND);
    stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, &media);
    stun_write_bytes(&writer, STUN_DATA_ATTRIBUTE, bytes_of_text("to media"));
    give(inside, &writer);
    struct datagram_batch batch;
    datagram_batch_init(&batch, 4096, 2);
    struct net_path path = { .local = media, .remote = relayed };
    assert_true(datagram_batch_add(&batch, &path, "from media", 10));
    turn_worker_take_batch(inside->turn, &batch);
    assert_true(datagram_batch_empty(&batch));
    assert_int_equal(inside->media_calls, 0);
    datagram_batch_done(&batch); // what refers to its bytes has gone
    struct bytes data;
    struct stun_message message = answer(inside, in);
    assert_true(stun_message_find(&message, STUN_DATA_ATTRIBUTE, &data));
    assert_true(bytes_equal(data, bytes_of_text("from media")));
    turn_worker_flush(inside->turn);
    assert_int_equal(inside->media_calls, 1);
    inside_free(inside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_media_that_hands_over_a_batch_is_not_entered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
