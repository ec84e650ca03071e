// A real TURN server on four workers: what one engine alone cannot show. Clients of different
// workers reach each other, media is reached inside the process, clients move between workers.
#include "support/check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "crypto/x509.h"
#include "proto/stun/stun.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "server/media_host.h"
#include "server/media_metrics.h"
#include "server/turn_host.h"
#include "server/turn_worker.h"

#define WORKERS     4
#define CLIENTS     16
#define ANSWER_MS   60000
#define MESSAGE_MAX 2048
#define SETS_MAX    256

struct client {
    int fd;
    struct net_address relayed;
    uint8_t ticket[512];
    size_t ticket_size;
};

struct live {
    struct loop loop;
    struct entropy entropy;
    struct log_sink sink;
    struct log log;
    struct certificate *certificate;
    struct net_address loopback;
    struct turn_settings_config config;
    struct turn_host *turn;
    struct media_host *media;
    struct client clients[CLIENTS];
    uint32_t transaction;
};

static void log_nothing(struct log_sink *self unused, const struct log_record *record unused)
{
}

static void no_events(void *owner unused)
{
}

static void start_media(struct live *live)
{
    struct media_host_config config = {
        .workers = WORKERS,
        .udp = { .bind = live->loopback, .ipv4_only = true },
        .candidates = { .addresses = &live->loopback, .address_count = 1 },
        .certificate = live->certificate,
        .max_sessions = 100,
        .random = &live->entropy.random,
        .loop = &live->loop,
        .log = &live->log,
        .turn = live->turn,
        .wake = no_events,
        .owner = live,
    };
    const char *problem = NULL;
    assert_int_equal(media_host_start(&config, &live->media, &problem), 0);
}

/** The port is known only now: our media server is at it. */
static void tell_media(struct live *live)
{
    live->config.media[0] = live->loopback;
    live->config.media[0].port = media_host_port(live->media);
    live->config.media_count = 1;
    struct turn_settings *settings = turn_settings_new(&live->config);
    turn_host_set_settings(live->turn, settings);
    turn_settings_unref(settings);
}

static struct live *live_new(void)
{
    struct live *live = memory_new(struct live);
    assert_int_equal(loop_init(&live->loop), 0);
    entropy_init(&live->entropy);
    live->sink.write = log_nothing;
    live->log = (struct log){ &live->sink, "test", NULL };
    struct certificate_request request = { .common_name = "roost",
                                           .not_before_unix_s = 1700000000,
                                           .not_after_unix_s = 4000000000 };
    assert_int_equal(certificate_make(&request, &live->entropy.random, &live->certificate), 0);
    live->loopback = net_address_ipv4(127, 0, 0, 1, 0);
    live->config = (struct turn_settings_config){
        .no_auth = true,
        .mobility = true,
        .peers = { .own = &live->loopback, .own_count = 1 },
    };
    struct turn_relay_address relay = { live->loopback, live->loopback };
    struct turn_host_config config = {
        .options = { .udp = true },
        .relay_addresses = &relay,
        .relay_address_count = 1,
        .port_min = 20000, // the system gives them to nobody
        .port_max = 32000,
        .settings = turn_settings_new(&live->config),
        .allocations_max = 1000,
        .workers = WORKERS,
        .random = &live->entropy.random,
        .loop = &live->loop,
        .log = &live->log,
    };
    live->turn = turn_host_new(&config);
    turn_settings_unref(config.settings);
    start_media(live);
    tell_media(live);
    for (int i = 0; i < CLIENTS; i++)
        live->clients[i].fd = -1;
    return live;
}

static void live_free(struct live *live)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (live->clients[i].fd >= 0)
            close(live->clients[i].fd);
    }
    media_host_stop(live->media);
    turn_host_free(live->turn);
    certificate_unref(live->certificate);
    entropy_done(&live->entropy);
    loop_done(&live->loop);
    free(live);
}

static uint64_t metric_sum(struct live *live, const char *name, const char *labels)
{
    struct metric_set sets[SETS_MAX];
    size_t count = turn_host_metric_sets(live->turn, sets, SETS_MAX);
    count += media_host_metric_sets(live->media, sets + count, SETS_MAX - count);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; m < sets[i].count; m++) {
            const struct metric_description *description = &sets[i].descriptions[m];
            if (strcmp(description->name, name) == 0 && strcmp(description->labels, labels) == 0)
                sum += metric_get(&sets[i].values[m]);
        }
    }
    return sum;
}

// One client.

static int open_socket(const struct live *live)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    struct sockaddr_in name = {
        .sin_family = AF_INET,
        .sin_port = htons(media_host_port(live->media)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

static void begin(struct live *live, struct stun_writer *writer, uint8_t *out,
                  enum stun_class class, uint16_t method)
{
    uint8_t id[STUN_TRANSACTION_ID_SIZE] = { 0 };
    live->transaction++;
    memcpy(id, &live->transaction, sizeof(live->transaction));
    stun_writer_start(writer, out, MESSAGE_MAX, class, method, id);
}

static void send_out(const struct client *client, struct stun_writer *writer)
{
    size_t size = stun_writer_finish(writer);
    assert_true(size > 0);
    assert_int_equal(send(client->fd, writer->out.data, size, 0), size);
}

/** The next datagram for a client. */
static struct bytes receive(const struct client *client, uint8_t in[MESSAGE_MAX])
{
    struct pollfd wait = { .fd = client->fd, .events = POLLIN };
    assert_int_equal(poll(&wait, 1, ANSWER_MS), 1);
    ssize_t size = recv(client->fd, in, MESSAGE_MAX, 0);
    assert_true(size > 0);
    return bytes_of(in, (size_t)size);
}

static struct stun_message expect(const struct client *client, uint8_t in[MESSAGE_MAX],
                                  enum stun_class class, uint16_t method)
{
    struct stun_message message;
    assert_int_equal(stun_message_parse(receive(client, in), &message), 0);
    assert_int_equal(message.method, method);
    assert_int_equal(message.class, class);
    return message;
}

static void allocate(struct live *live, struct client *client, bool mobile)
{
    uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX];
    struct stun_writer writer;
    client->fd = open_socket(live);
    begin(live, &writer, out, STUN_REQUEST, STUN_ALLOCATE);
    stun_write_u32(&writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    if (mobile)
        stun_write_flag(&writer, STUN_MOBILITY_TICKET);
    send_out(client, &writer);
    struct stun_message message = expect(client, in, STUN_SUCCESS, STUN_ALLOCATE);
    assert_int_equal(
        stun_message_find_address(&message, STUN_XOR_RELAYED_ADDRESS, &client->relayed), 0);
    struct bytes ticket;
    if (mobile) {
        assert_true(stun_message_find(&message, STUN_MOBILITY_TICKET, &ticket));
        client->ticket_size = ticket.size;
        memcpy(client->ticket, ticket.data, ticket.size);
    }
}

static void permit(struct live *live, struct client *client, const struct net_address *peer)
{
    uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX];
    struct stun_writer writer;
    begin(live, &writer, out, STUN_REQUEST, STUN_CREATE_PERMISSION);
    stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, peer);
    send_out(client, &writer);
    expect(client, in, STUN_SUCCESS, STUN_CREATE_PERMISSION);
}

static void send_data(struct live *live, struct client *client, const struct net_address *peer,
                      struct bytes data)
{
    uint8_t out[MESSAGE_MAX];
    struct stun_writer writer;
    begin(live, &writer, out, STUN_INDICATION, STUN_SEND);
    stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, peer);
    stun_write_bytes(&writer, STUN_DATA_ATTRIBUTE, data);
    send_out(client, &writer);
}

/** A Data indication of `peer` with `data`. */
static void expect_data(const struct client *client, const struct net_address *peer,
                        const char *data)
{
    uint8_t in[MESSAGE_MAX];
    struct stun_message message = expect(client, in, STUN_INDICATION, STUN_DATA);
    struct net_address from;
    struct bytes got;
    assert_int_equal(stun_message_find_address(&message, STUN_XOR_PEER_ADDRESS, &from), 0);
    assert_true(net_address_equal(&from, peer));
    assert_true(stun_message_find(&message, STUN_DATA_ATTRIBUTE, &got));
    assert_true(bytes_equal(got, bytes_of_text(data)));
}

static void allocate_all(struct live *live)
{
    for (int i = 0; i < CLIENTS; i++) {
        allocate(live, &live->clients[i], false);
        permit(live, &live->clients[i], &live->loopback);
    }
}

// Tests.

static void test_allocations_of_all_workers_reach_each_other_without_sockets(void **state unused)
{
    struct live *live = live_new();
    allocate_all(live);
    for (int from = 0; from < CLIENTS; from++) {
        for (int to = 0; to < CLIENTS; to++) {
            struct client *a = &live->clients[from], *b = &live->clients[to];
            send_data(live, a, &b->relayed, bytes_of_text("hello"));
            expect_data(b, &a->relayed, "hello");
        }
    }
    assert_int_equal(metric_sum(live, "turn_relay_sockets", ""), 0);
    assert_int_equal(metric_sum(live, "turn_inside_packets_total", "with=\"relay\""),
                     CLIENTS * CLIENTS);
    // sixteen clients on four workers: some pairs cross
    assert_true(metric_sum(live, "turn_handed_over_total", "") > 0);
    live_free(live);
}

static void test_our_media_server_is_reached_inside_the_process(void **state unused)
{
    struct live *live = live_new();
    allocate_all(live);
    uint8_t check[MESSAGE_MAX];
    struct stun_writer writer;
    begin(live, &writer, check, STUN_REQUEST, STUN_BINDING);
    stun_write_bytes(&writer, STUN_USERNAME, bytes_of_text("nobody:here"));
    size_t size = stun_writer_finish(&writer);
    const char *labels = "reason=\"unknown_ufrag\"";
    assert_int_equal(metric_sum(live, "media_port_dropped_total", labels), 0);
    for (int i = 0; i < CLIENTS; i++)
        send_data(live, &live->clients[i], &live->config.media[0], bytes_of(check, size));
    uint64_t deadline_us = clock_now_us() + ANSWER_MS * TIME_US_PER_MS;
    while (metric_sum(live, "media_port_dropped_total", labels) < CLIENTS)
        assert_true(clock_now_us() < deadline_us);
    assert_int_equal(metric_sum(live, "turn_inside_packets_total", "with=\"media\""), CLIENTS);
    assert_int_equal(metric_sum(live, "turn_relay_sockets", ""), 0);
    live_free(live);
}

static void test_other_ports_of_our_addresses_are_not_reached(void **state unused)
{
    struct live *live = live_new();
    allocate(live, &live->clients[0], false);
    permit(live, &live->clients[0], &live->loopback);
    struct net_address other = live->loopback;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(name);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    other.port = ntohs(name.sin_port);
    send_data(live, &live->clients[0], &other, bytes_of_text("secret"));
    // what comes after it has been answered, and nothing has arrived
    permit(live, &live->clients[0], &live->loopback);
    uint8_t in[MESSAGE_MAX];
    assert_int_equal(recv(fd, in, sizeof(in), MSG_DONTWAIT), -1);
    close(fd);
    live_free(live);
}

static void test_a_client_that_moves_keeps_its_relay_on_any_worker(void **state unused)
{
    struct live *live = live_new();
    struct client *still = &live->clients[0];
    allocate(live, still, false);
    permit(live, still, &live->loopback);
    for (int i = 1; i < CLIENTS; i++) {
        struct client *client = &live->clients[i];
        allocate(live, client, true);
        permit(live, client, &live->loopback);
        close(client->fd);
        client->fd = open_socket(live);
        uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX];
        struct stun_writer writer;
        begin(live, &writer, out, STUN_REQUEST, STUN_REFRESH);
        stun_write_bytes(&writer, STUN_MOBILITY_TICKET,
                         bytes_of(client->ticket, client->ticket_size));
        send_out(client, &writer);
        expect(client, in, STUN_SUCCESS, STUN_REFRESH);
        send_data(live, still, &client->relayed, bytes_of_text("there"));
        expect_data(client, &still->relayed, "there");
        // the answer comes from the new place; a route that is not there yet loses what it would
        // have carried, as any network may
        struct pollfd wait = { .fd = still->fd, .events = POLLIN };
        for (int tries = 0; tries < 1000; tries++) {
            send_data(live, client, &still->relayed, bytes_of_text("here"));
            if (poll(&wait, 1, 10) > 0)
                break;
        }
        expect_data(still, &client->relayed, "here");
        while (recv(still->fd, in, sizeof(in), MSG_DONTWAIT) > 0)
            ;
    }
    assert_true(metric_sum(live, "turn_handed_over_total", "") > 0);
    live_free(live);
}

struct listing {
    char ids[CLIENTS][TURN_ID_TEXT_MAX];
    size_t count;
    char next[TURN_ID_TEXT_MAX];
    bool done;
    bool found;
};

static void listed(void *owner, const struct turn_listed *items, size_t count, const char *next)
{
    struct listing *listing = owner;
    for (size_t i = 0; i < count && listing->count < CLIENTS; i++)
        turn_id_format(items[i].worker, items[i].info.id, listing->ids[listing->count++]);
    strcpy(listing->next, next);
    listing->done = true;
}

static void killed(void *owner, bool found)
{
    struct listing *listing = owner;
    listing->found = found;
    listing->done = true;
}

static void wait_for(struct live *live, struct listing *listing)
{
    uint64_t deadline_us = clock_now_us() + ANSWER_MS * TIME_US_PER_MS;
    while (!listing->done) {
        assert_true(clock_now_us() < deadline_us);
        loop_turn(&live->loop, TIME_US_PER_MS);
    }
    listing->done = false;
}

/** All allocations, in pages of three. */
static void list_all(struct live *live, struct listing *listing)
{
    *listing = (struct listing){ 0 };
    do {
        struct turn_list_query query = { .after = listing->next, .limit = 3 };
        turn_host_list(live->turn, &query, listed, listing);
        wait_for(live, listing);
    } while (*listing->next);
}

static void test_an_operator_lists_and_ends_allocations_of_all_workers(void **state unused)
{
    struct live *live = live_new();
    allocate_all(live);
    struct listing listing;
    list_all(live, &listing);
    assert_int_equal(listing.count, CLIENTS);
    char first[TURN_ID_TEXT_MAX];
    strcpy(first, listing.ids[0]);
    for (size_t i = 1; i < listing.count; i++)
        assert_string_not_equal(listing.ids[i], first);
    turn_host_kill(live->turn, first, killed, &listing);
    wait_for(live, &listing);
    assert_true(listing.found);
    turn_host_kill(live->turn, first, killed, &listing);
    wait_for(live, &listing);
    assert_false(listing.found);
    turn_host_kill(live->turn, "no id", killed, &listing);
    assert_true(listing.done && !listing.found);
    list_all(live, &listing);
    assert_int_equal(listing.count, CLIENTS - 1);
    assert_int_equal(turn_host_allocation_count(live->turn), CLIENTS - 1);
    live_free(live);
}

// TCP.

static int listen_here(struct net_address *ret_address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(name);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    *ret_address = net_address_ipv4(127, 0, 0, 1, ntohs(name.sin_port));
    return fd;
}

/** A client's connection, whose other end goes to a worker: to each in turn. */
static int connect_tcp(struct live *live, bool proxy)
{
    struct net_address address;
    int listener = listen_here(&address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = {
        .sin_family = AF_INET,
        .sin_port = htons(address.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(accepted >= 0);
    close(listener);
    struct turn_connection_origin origin = { .remote = live->loopback, .proxy = proxy };
    turn_host_connection(live->turn, accepted, &origin);
    return fd;
}

static void allow_loopback(struct live *live)
{
    static const struct turn_network networks[] = {
        { { .family = NET_IPV4, .ip = { 127, 0, 0, 1 } }, 32 },
    };
    live->config.tcp_relay = true;
    live->config.peers.allowed = networks;
    live->config.peers.allowed_count = array_size(networks);
    tell_media(live);
}

static void test_the_server_stops_while_tcp_connections_of_relays_live(void **state unused)
{
    struct live *live = live_new();
    allow_loopback(live);
    struct client *client = &live->clients[0];
    client->fd = connect_tcp(live, false);
    uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX];
    struct stun_writer writer;
    begin(live, &writer, out, STUN_REQUEST, STUN_ALLOCATE);
    stun_write_u32(&writer, STUN_REQUESTED_TRANSPORT, 6u << 24);
    send_out(client, &writer);
    expect(client, in, STUN_SUCCESS, STUN_ALLOCATE);
    permit(live, client, &live->loopback);
    struct net_address peer;
    int listener = listen_here(&peer);
    begin(live, &writer, out, STUN_REQUEST, STUN_CONNECT);
    stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, &peer);
    send_out(client, &writer);
    expect(client, in, STUN_SUCCESS, STUN_CONNECT);
    live->media = media_host_stop(live->media);
    live_free(live);
    close(listener);
}

static void test_last_words_reach_the_peer(void **state unused)
{
    struct live *live = live_new();
    allow_loopback(live);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(name);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    struct net_address peer = net_address_ipv4(127, 0, 0, 1, ntohs(name.sin_port));
    struct client *client = &live->clients[0];
    client->fd = connect_tcp(live, false);
    uint8_t out[2 * MESSAGE_MAX], in[MESSAGE_MAX];
    struct stun_writer writer;
    begin(live, &writer, out, STUN_REQUEST, STUN_ALLOCATE);
    stun_write_u32(&writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    send_out(client, &writer);
    expect(client, in, STUN_SUCCESS, STUN_ALLOCATE);
    permit(live, client, &peer);
    // one write, so that both are read at once
    begin(live, &writer, out, STUN_INDICATION, STUN_SEND);
    stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, &peer);
    stun_write_bytes(&writer, STUN_DATA_ATTRIBUTE, bytes_of_text("goodbye!"));
    size_t size = stun_writer_finish(&writer);
    begin(live, &writer, out + size, STUN_REQUEST, STUN_REFRESH);
    stun_write_u32(&writer, STUN_LIFETIME, 0);
    size += stun_writer_finish(&writer);
    assert_int_equal(send(client->fd, out, size, 0), size);
    expect(client, in, STUN_SUCCESS, STUN_REFRESH);
    struct client reader = { .fd = fd };
    assert_true(bytes_equal(receive(&reader, in), bytes_of_text("goodbye!")));
    close(fd);
    live_free(live);
}

/** A load balancer's connection for a client that is always the same one. */
static int connect_through_proxy(struct live *live)
{
    static const uint8_t header[] = {
        0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11,
        0,    12,   192,  0,    2,    1,    192,  0,    2,    2,    0x30, 0x39, 0x0d, 0x96,
    };
    int fd = connect_tcp(live, true);
    assert_int_equal(send(fd, header, sizeof(header), 0), sizeof(header));
    return fd;
}

static void test_a_connection_outlives_the_one_before_it_of_the_same_client(void **state unused)
{
    struct live *live = live_new();
    struct client *before = &live->clients[0], *after = &live->clients[WORKERS];
    uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX];
    struct stun_writer writer;
    before->fd = connect_through_proxy(live);
    for (int i = 1; i < WORKERS; i++) // the other workers' turns
        live->clients[i].fd = connect_tcp(live, false);
    after->fd = connect_through_proxy(live);
    begin(live, &writer, out, STUN_REQUEST, STUN_ALLOCATE);
    stun_write_u32(&writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    send_out(before, &writer);
    expect(before, in, STUN_SUCCESS, STUN_ALLOCATE);
    begin(live, &writer, out, STUN_REQUEST, STUN_BINDING);
    send_out(after, &writer);
    expect(after, in, STUN_SUCCESS, STUN_BINDING);
    close(before->fd);
    before->fd = -1;
    uint64_t deadline_us = clock_now_us() + ANSWER_MS * TIME_US_PER_MS;
    while (turn_host_allocation_count(live->turn) > 0)
        assert_true(clock_now_us() < deadline_us);
    begin(live, &writer, out, STUN_REQUEST, STUN_REFRESH);
    send_out(after, &writer);
    struct stun_message message = expect(after, in, STUN_ERROR, STUN_REFRESH);
    uint16_t code = 0;
    struct bytes reason;
    assert_int_equal(stun_message_find_error(&message, &code, &reason), 0);
    assert_int_equal(code, STUN_ALLOCATION_MISMATCH);
    live_free(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations_of_all_workers_reach_each_other_without_sockets),
        cmocka_unit_test(test_our_media_server_is_reached_inside_the_process),
        cmocka_unit_test(test_other_ports_of_our_addresses_are_not_reached),
        cmocka_unit_test(test_a_client_that_moves_keeps_its_relay_on_any_worker),
        cmocka_unit_test(test_an_operator_lists_and_ends_allocations_of_all_workers),
        cmocka_unit_test(test_the_server_stops_while_tcp_connections_of_relays_live),
        cmocka_unit_test(test_last_words_reach_the_peer),
        cmocka_unit_test(test_a_connection_outlives_the_one_before_it_of_the_same_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
