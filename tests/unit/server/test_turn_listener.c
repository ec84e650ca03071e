// Who gets in on TURN's TCP ports and by the HTTPS port, and what gives a place back.
#include "unit/server/stream_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http_metrics.h"
#include "server/http_server.h"
#include "server/turn_listener.h"

struct front {
    struct world *world;
    struct entropy entropy;
    struct turn_listener *listener;
    struct net_address bound;
    struct http_server *http;
    struct net_address https, plain_http;
    struct turn_connection_origin origin; /**< of the last connection */
    unsigned connections, streams;
};

// the control thread's way to a worker, without threads

void turn_host_connection(struct turn_host *host, int fd,
                          const struct turn_connection_origin *origin)
{
    struct front *front = (struct front *)(void *)host;
    struct turn_message_connection message = { .fd = fd, .origin = *origin };
    front->connections++;
    front->origin = *origin;
    turn_streams_connection(front->world->turn.streams, &message);
}

void turn_host_stream(struct turn_host *host, struct stream_parcel *parcel,
                      const struct turn_connection_origin *origin, const struct net_address *local)
{
    struct front *front = (struct front *)(void *)host;
    struct turn_message_stream message = {
        .parcel = parcel,
        .origin = *origin,
        .client = origin->remote,
        .local = *local,
        .sniffed = true,
    };
    front->streams++;
    front->origin = *origin;
    turn_streams_adopt(front->world->turn.streams, &message);
}

static struct front *front_new(void **state, const struct turn_listener_options *options)
{
    struct front *front = memory_new(struct front);
    front->world = world_new(state);
    front->world->turn.input = allocates;
    entropy_init(&front->entropy);
    struct turn_listener_config config = {
        .loop = &front->world->turn.loop,
        .random = &front->entropy.random,
        .host = (struct turn_host *)(void *)front,
        .options = *options,
    };
    front->listener = turn_listener_new(&config);
    struct net_address any = net_address_ipv4(127, 0, 0, 1, 0);
    assert_int_equal(turn_listener_listen(front->listener, &any, &front->bound), 0);
    return front;
}

static void front_free(struct front *front)
{
    struct world *world = front->world;
    turn_listener_free(front->listener);
    http_server_free(front->http);
    world->client.stream = stream_close(world->client.stream);
    entropy_done(&front->entropy);
    world_free(world);
    free(front);
}

static uint64_t listener_metric(const struct front *front, enum turn_listener_metric metric)
{
    return metric_get(&turn_listener_metrics(front->listener).values[metric]);
}

static int dial_plain(const struct net_address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(address->port) };
    memcpy(&name.sin_addr, address->ip, 4);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

/** What the control thread does with TURN_MESSAGE_CLOSED. */
static void release_closed(struct front *front)
{
    struct turn_worker *turn = &front->world->turn;
    for (; turn->closed > 0; turn->closed--)
        turn_listener_release(front->listener, &turn->closed_remote);
}

static void test_connections_reach_a_worker_and_give_their_place_back(void **state)
{
    struct front *front = front_new(state, &(struct turn_listener_options){ 0 });
    int fd = dial_plain(&front->bound);
    turns(front->world, front->connections == 1);
    assert_int_equal(turn_listener_connection_count(front->listener), 1);
    assert_true(front->origin.limited);
    assert_false(front->origin.proxy);
    close(fd);
    turns(front->world, front->world->turn.closed == 1);
    release_closed(front);
    assert_int_equal(turn_listener_connection_count(front->listener), 0);
    assert_int_equal(listener_metric(front, TURN_LISTENER_ACCEPTED), 1);
    front_free(front);
}

static void test_an_address_gets_its_share_only(void **state)
{
    struct front *front =
        front_new(state, &(struct turn_listener_options){ .connections_per_address_max = 2 });
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = dial_plain(&front->bound);
    turns(front->world, listener_metric(front, TURN_LISTENER_REJECTED_LIMIT) == 1);
    assert_int_equal(front->connections, 2);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    turns(front->world, front->world->turn.closed == 2);
    release_closed(front);
    fds[0] = dial_plain(&front->bound);
    turns(front->world, front->connections == 3);
    close(fds[0]);
    front_free(front);
}

static void test_all_together_are_limited(void **state)
{
    struct front *front = front_new(state, &(struct turn_listener_options){ .connections_max = 1 });
    int a = dial_plain(&front->bound), b = dial_plain(&front->bound);
    turns(front->world, listener_metric(front, TURN_LISTENER_REJECTED_LIMIT) == 1);
    assert_int_equal(front->connections, 1);
    close(a);
    close(b);
    front_free(front);
}

static void test_load_balancers_are_known_by_their_network_and_share_no_limit(void **state)
{
    struct turn_network loopback = { .address = net_address_ipv4(127, 0, 0, 0, 0), .prefix = 8 };
    struct turn_listener_options options = { .connections_per_address_max = 1,
                                             .proxies = &loopback,
                                             .proxy_count = 1 };
    struct front *front = front_new(state, &options);
    int a = dial_plain(&front->bound), b = dial_plain(&front->bound);
    turns(front->world, front->connections == 2);
    assert_true(front->origin.proxy);
    assert_int_equal(turn_listener_connection_count(front->listener), 2);
    // what they are may change while they are here
    turn_listener_set_options(front->listener, &(struct turn_listener_options){ 0 });
    close(a);
    close(b);
    turns(front->world, front->world->turn.closed == 2);
    release_closed(front);
    assert_int_equal(turn_listener_connection_count(front->listener), 0);
    front_free(front);
}

static void test_networks_match_by_their_prefix(void **state)
{
    static const struct {
        uint8_t third, prefix;
        bool proxy;
    } cases[] = {
        { 0, 24, true }, { 1, 24, false }, { 1, 23, true }, { 2, 23, false }, { 255, 0, true }
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct turn_network network = { .address =
                                            net_address_ipv4(127, 0, cases[i].third & 0xfe, 0, 0),
                                        .prefix = cases[i].prefix };
        if (cases[i].prefix == 24)
            network.address.ip[2] = cases[i].third;
        struct turn_listener_options options = { .proxies = &network, .proxy_count = 1 };
        struct front *front = front_new(state, &options);
        int fd = dial_plain(&front->bound);
        turns(front->world, front->connections == 1);
        assert_int_equal(front->origin.proxy, cases[i].proxy);
        close(fd);
        front_free(front);
    }
}

static void test_draining_lets_nobody_in_and_leaves_those_inside(void **state)
{
    struct front *front = front_new(state, &(struct turn_listener_options){ 0 });
    int fd = dial_plain(&front->bound);
    turns(front->world, front->connections == 1);
    turn_listener_drain(front->listener);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(front->bound.port) };
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(late, (struct sockaddr *)&name, sizeof(name)), -1);
    assert_int_equal(turn_streams_count(front->world->turn.streams), 1);
    close(fd);
    close(late);
    front_free(front);
}

// --- the HTTPS port ---

static struct front *front_with_https(void **state, bool adopts)
{
    struct front *front = front_new(state, &(struct turn_listener_options){ 0 });
    struct world *world = front->world;
    struct http_server_config config = {
        .loop = &world->turn.loop,
        .random = &front->entropy.random,
        .adopt_turn = adopts ? turn_listener_adopt : NULL,
        .turn_owner = front->listener,
    };
    front->http = http_server_new(&config);
    struct net_address any = net_address_ipv4(127, 0, 0, 1, 0);
    assert_int_equal(http_server_listen(front->http, HTTP_LISTENER_TLS, &any, &front->https), 0);
    http_server_set_tls(front->http, world->contexts.server_context);
    return front;
}

static uint64_t http_metric(const struct front *front, enum http_metric metric)
{
    return metric_get(&http_server_metrics(front->http).values[metric]);
}

static void dial_https(struct front *front)
{
    struct world *world = front->world;
    struct party *client = &world->client;
    assert_int_equal(tcp_stream_connect(&world->turn.loop, &front->https, NULL, &handler, client,
                                        &client->stream),
                     0);
    if (world->secure)
        begin_client_tls(world);
    turns(world, client->opened);
}

static void test_turn_on_the_https_port_reaches_a_worker(void **state)
{
    struct front *front = front_with_https(state, true);
    struct world *world = front->world;
    dial_https(front);
    client_sends_message(world, STUN_ALLOCATE, 40);
    turns(world, received(&world->client) == 80);
    assert_int_equal(front->streams, 1);
    assert_int_equal(world->turn.source.transport, world->secure ? TURN_TLS : TURN_TCP);
    assert_int_equal(world->turn.source.path.local.port, front->https.port);
    assert_int_equal(http_server_connection_count(front->http), 0);
    assert_int_equal(http_metric(front, HTTP_HANDED_OVER), 1);
    assert_int_equal(turn_listener_connection_count(front->listener), 1);
    // large messages pass: HTTP's limits do not hold any more
    client_sends_message(world, 0x0016, 60000);
    turns(world, world->turn.inputs == 2);
    stream_finish(world->client.stream, TIME_US_PER_S);
    turns(world, world->turn.closed == 1);
    release_closed(front);
    assert_int_equal(turn_listener_connection_count(front->listener), 0);
    front_free(front);
}

static void test_turn_on_the_https_port_is_refused_where_it_is_off(void **state)
{
    struct front *front = front_with_https(state, false);
    dial_https(front);
    client_sends_message(front->world, STUN_ALLOCATE, 40);
    turns(front->world, front->world->client.closed || front->world->client.ended);
    assert_int_equal(http_metric(front, HTTP_REJECTED_STUN), 1);
    assert_int_equal(front->streams, 0);
    front_free(front);
}

static void test_the_limits_of_turn_hold_on_the_https_port(void **state)
{
    struct front *front = front_with_https(state, true);
    turn_listener_set_options(front->listener,
                              &(struct turn_listener_options){ .connections_per_address_max = 1 });
    int fd = dial_plain(&front->bound);
    turns(front->world, front->connections == 1);
    dial_https(front);
    client_sends_message(front->world, STUN_ALLOCATE, 40);
    turns(front->world, front->world->client.closed || front->world->client.ended);
    assert_int_equal(front->streams, 0);
    assert_int_equal(listener_metric(front, TURN_LISTENER_REJECTED_LIMIT), 1);
    close(fd);
    front_free(front);
}

#define both_kinds(test)                                                                           \
    cmocka_unit_test_prestate(test, NULL), cmocka_unit_test_prestate(test, (void *)1)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections_reach_a_worker_and_give_their_place_back),
        cmocka_unit_test(test_an_address_gets_its_share_only),
        cmocka_unit_test(test_all_together_are_limited),
        cmocka_unit_test(test_load_balancers_are_known_by_their_network_and_share_no_limit),
        cmocka_unit_test(test_networks_match_by_their_prefix),
        cmocka_unit_test(test_draining_lets_nobody_in_and_leaves_those_inside),
        both_kinds(test_turn_on_the_https_port_reaches_a_worker),
        both_kinds(test_turn_on_the_https_port_is_refused_where_it_is_off),
        both_kinds(test_the_limits_of_turn_hold_on_the_https_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
