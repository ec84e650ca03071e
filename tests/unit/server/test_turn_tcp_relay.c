// TCP allocations (RFC 6062): a client's data connection and a peer's, joined, for real.
#include "unit/server/stream_world.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/turn_tcp_relay.h"

enum { ID = 7, CONNECTION_BIND_SUCCESS = 0x010b, ANSWER = 40 };

/** A world whose engine has one TCP allocation, and a peer. */
struct pair {
    struct world *world;
    struct turn_tcp_relays *relays;
    struct turn_relay relay;
    struct tcp_listener *peers; /**< where the peer can be reached */
    struct party peer;
    int bind_result;
};

static struct pair *pair_of(struct turn_worker *turn)
{
    return (struct pair *)turn->owner;
}

static void binds(struct turn_worker *turn, const struct turn_source *source, struct bytes message)
{
    if (load_u16(message.data) != STUN_CONNECTION_BIND)
        return;
    fake_answer(source, CONNECTION_BIND_SUCCESS, ANSWER);
    pair_of(turn)->bind_result = turn_tcp_relay_bind(pair_of(turn)->relays, ID, source);
}

static void take_peer(void *owner, int fd, const struct net_address *unused_remote unused)
{
    struct pair *pair = owner;
    assert_null(pair->peer.stream);
    assert_int_equal(tcp_stream_new(&pair->world->turn.loop, fd, NULL, &handler, &pair->peer,
                                    &pair->peer.stream),
                     0);
}

static uint16_t free_port(void)
{
    struct loop loop;
    struct tcp_listener *listener;
    struct tcp_listener_config config = { .bind = net_address_ipv4(127, 0, 0, 1, 0) };
    static const struct tcp_listener_ops ops = { .accepted = take_peer };
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(tcp_listener_open(&config, &loop, &ops, NULL, &listener), 0);
    uint16_t port = tcp_listener_port(listener);
    tcp_listener_close(listener);
    loop_done(&loop);
    return port;
}

static struct pair *pair_new(void **state)
{
    static const struct tcp_listener_ops ops = { .accepted = take_peer };
    struct pair *pair = memory_new(struct pair);
    struct world *world = pair->world = world_new(state);
    world->turn.owner = pair;
    world->turn.input = binds;
    pair->bind_result = -EAGAIN;
    pair->relays = turn_tcp_relays_new(&world->turn, world->turn.streams);
    pair->relay.bind = net_address_ipv4(127, 0, 0, 1, free_port());
    buffer_init(&pair->peer.received, 64 << 20);
    struct tcp_listener_config config = { .bind = net_address_ipv4(127, 0, 0, 1, 0) };
    assert_int_equal(tcp_listener_open(&config, &world->turn.loop, &ops, pair, &pair->peers), 0);
    assert_int_equal(turn_tcp_relay_open(pair->relays, &pair->relay), 0);
    assert_non_null(pair->relay.socket);
    return pair;
}

static void pair_free(struct pair *pair)
{
    turn_tcp_relay_close(pair->relays, &pair->relay);
    assert_null(pair->relay.socket);
    assert_int_equal(fake_metric(&pair->world->turn, TURN_STREAM_RELAY_OPEN), 0);
    turn_tcp_relays_free(pair->relays);
    tcp_listener_close(pair->peers);
    stream_close(pair->peer.stream);
    buffer_done(&pair->peer.received);
    world_free(pair->world);
    free(pair);
}

/** The client's Connect request has been granted: the relay connects to the peer. */
static void connect_to_peer(struct pair *pair)
{
    struct net_address peer = net_address_ipv4(127, 0, 0, 1, tcp_listener_port(pair->peers));
    assert_int_equal(turn_tcp_relay_connect(pair->relays, &pair->relay, ID, &peer), 0);
    turns(pair->world, pair->peer.stream && pair->world->turn.tcp_connected == 1);
    assert_int_equal(pair->world->turn.tcp_error, 0);
}

/** The peer connects to the relayed address. */
static void connect_from_peer(struct pair *pair)
{
    assert_int_equal(tcp_stream_connect(&pair->world->turn.loop, &pair->relay.bind, NULL, &handler,
                                        &pair->peer, &pair->peer.stream),
                     0);
    turns(pair->world, pair->peer.opened && pair->world->turn.tcp_accepted == 1);
}

static void bind_client(struct pair *pair)
{
    connect_client(pair->world);
    client_sends_message(pair->world, STUN_CONNECTION_BIND, 40);
    turns(pair->world, received(&pair->world->client) >= ANSWER);
    assert_int_equal(pair->bind_result, 0);
    buffer_consume(&pair->world->client.received, ANSWER);
}

static void test_a_peer_is_reached_from_the_relayed_address(void **state)
{
    struct pair *pair = pair_new(state);
    connect_to_peer(pair);
    struct net_address from = stream_remote(pair->peer.stream);
    assert_true(net_address_equal(&from, &pair->relay.bind));
    bind_client(pair);
    say(&pair->world->client, "to the peer");
    turns(pair->world, received(&pair->peer) == 11);
    say(&pair->peer, "to the client");
    turns(pair->world, received(&pair->world->client) == 13);
    expect(&pair->peer, "to the peer");
    expect(&pair->world->client, "to the client");
    assert_int_equal(fake_metric(&pair->world->turn, TURN_STREAM_RELAY_CONNECTED), 1);
    assert_int_equal(fake_metric(&pair->world->turn, TURN_STREAM_RELAY_BYTES_OUT), 11);
    assert_int_equal(fake_metric(&pair->world->turn, TURN_STREAM_RELAY_BYTES_IN), 13);
    pair_free(pair);
}

static void test_what_either_side_says_too_early_comes_behind_the_answer(void **state)
{
    struct pair *pair = pair_new(state);
    connect_from_peer(pair);
    say(&pair->peer, "early peer");
    connect_client(pair->world);
    uint8_t both[50];
    fake_message(both, STUN_CONNECTION_BIND, 40);
    memcpy(both + 40, "early data", 10);
    client_sends(pair->world, bytes_of(both, sizeof(both)));
    turns(pair->world, received(&pair->world->client) == ANSWER + 10);
    turns(pair->world, received(&pair->peer) == 10);
    expect(&pair->peer, "early data");
    struct bytes got = buffer_view(&pair->world->client.received);
    assert_int_equal(load_u16(got.data), CONNECTION_BIND_SUCCESS);
    assert_memory_equal(got.data + ANSWER, "early peer", 10);
    pair_free(pair);
}

static void test_a_peer_that_cannot_be_reached_is_told(void **state)
{
    struct pair *pair = pair_new(state);
    struct net_address nobody = net_address_ipv4(127, 0, 0, 1, free_port());
    assert_int_equal(turn_tcp_relay_connect(pair->relays, &pair->relay, ID, &nobody), 0);
    turns(pair->world, pair->world->turn.tcp_connected == 1);
    assert_int_equal(pair->world->turn.tcp_error, -ECONNREFUSED);
    assert_int_equal(pair->world->turn.tcp_ended, 0);
    pair_free(pair);
}

static void test_a_peer_without_permission_is_closed(void **state)
{
    struct pair *pair = pair_new(state);
    pair->world->turn.tcp_accept_result = -EACCES;
    connect_from_peer(pair);
    turns(pair->world, pair->peer.ended || pair->peer.closed);
    assert_int_equal(fake_metric(&pair->world->turn, TURN_STREAM_RELAY_FAILED), 1);
    assert_int_equal(fake_metric(&pair->world->turn, TURN_STREAM_RELAY_ACCEPTED), 0);
    struct net_address peer = stream_local(pair->peer.stream);
    assert_true(net_address_equal(&pair->world->turn.tcp_peer, &peer));
    pair_free(pair);
}

/** Writes until nothing moves any more; returns how much was taken. */
static size_t fill(struct pair *pair, struct party *party)
{
    static uint8_t chunk[10000];
    size_t written = 0;
    for (unsigned quiet = 0; quiet < 20;) {
        if (stream_unsent(party->stream) > 0 || written > (32u << 20)) {
            quiet++;
        } else {
            for (size_t i = 0; i < sizeof(chunk); i++)
                chunk[i] = (uint8_t)((written + i) * 31 >> 3);
            assert_int_equal(stream_write(party->stream, bytes_of(chunk, sizeof(chunk))), 0);
            written += sizeof(chunk);
            quiet = 0;
        }
        loop_turn(&pair->world->turn.loop, 500);
    }
    assert_true(written <= 32u << 20);
    return written;
}

static void expect_filled(struct pair *pair, struct party *party, size_t size)
{
    turns(pair->world, received(party) == size);
    struct bytes got = buffer_view(&party->received);
    for (size_t i = 0; i < size; i++)
        ensure(got.data[i] == (uint8_t)(i * 31 >> 3));
}

static void test_a_peer_can_say_little_before_it_is_bound(void **state)
{
    struct pair *pair = pair_new(state);
    connect_from_peer(pair);
    size_t written = fill(pair, &pair->peer);
    assert_true(written > 64u << 10);
    bind_client(pair);
    expect_filled(pair, &pair->world->client, written);
    pair_free(pair);
}

static void test_who_does_not_read_makes_the_other_wait(void **state)
{
    struct pair *pair = pair_new(state);
    connect_to_peer(pair);
    bind_client(pair);
    stream_pause(pair->world->client.stream, true);
    size_t to_client = fill(pair, &pair->peer);
    stream_pause(pair->peer.stream, true);
    size_t to_peer = fill(pair, &pair->world->client);
    stream_pause(pair->world->client.stream, false);
    stream_pause(pair->peer.stream, false);
    expect_filled(pair, &pair->world->client, to_client);
    expect_filled(pair, &pair->peer, to_peer);
    pair_free(pair);
}

static void test_bytes_wait_for_the_users_bandwidth(void **state)
{
    struct pair *pair = pair_new(state);
    pair->world->turn.tcp_quota = pair->world->turn.tcp_spendable = 10000;
    connect_to_peer(pair);
    bind_client(pair);
    static uint8_t many[100000];
    client_sends(pair->world, bytes_of(many, sizeof(many)));
    turns(pair->world, received(&pair->peer) == sizeof(many));
    assert_true(pair->world->turn.tcp_refusals >= 9);
    pair_free(pair);
}

static void test_each_direction_ends_by_itself(void **state)
{
    struct pair *pair = pair_new(state);
    connect_to_peer(pair);
    bind_client(pair);
    say(&pair->world->client, "question");
    stream_end_output(pair->world->client.stream);
    turns(pair->world, pair->peer.ended);
    expect(&pair->peer, "question");
    say(&pair->peer, "answer");
    turns(pair->world, received(&pair->world->client) == 6);
    assert_int_equal(pair->world->turn.tcp_ended, 0);
    stream_end_output(pair->peer.stream);
    turns(pair->world, pair->peer.closed && pair->world->client.closed);
    assert_int_equal(pair->peer.reason, STREAM_ENDED);
    assert_int_equal(pair->world->client.reason, STREAM_ENDED);
    turns(pair->world, pair->world->turn.closed == 1);
    assert_int_equal(pair->world->turn.tcp_ended, 1);
    assert_int_equal(pair->world->turn.disconnected, 0); // it never had an allocation
    pair_free(pair);
}

static void test_the_last_words_reach_a_slow_reader(void **state)
{
    struct pair *pair = pair_new(state);
    connect_to_peer(pair);
    bind_client(pair);
    stream_pause(pair->world->client.stream, true);
    size_t written = fill(pair, &pair->peer);
    stream_end_output(pair->peer.stream);
    stream_end_output(pair->world->client.stream);
    turns(pair->world, pair->peer.ended);
    stream_pause(pair->world->client.stream, false);
    expect_filled(pair, &pair->world->client, written);
    turns(pair->world, pair->world->client.closed && pair->world->turn.tcp_ended == 1);
    pair_free(pair);
}

static void test_a_reset_of_either_side_ends_both(void **state)
{
    for (int client_breaks = 0; client_breaks < 2; client_breaks++) {
        struct pair *pair = pair_new(state);
        connect_to_peer(pair);
        bind_client(pair);
        struct party *breaks = client_breaks ? &pair->world->client : &pair->peer;
        struct party *stays = client_breaks ? &pair->peer : &pair->world->client;
        // unread bytes make the kernel send a reset
        breaks->hold = true;
        say(stays, "never read");
        turns(pair->world, stream_input(breaks->stream).size == 10);
        stream_pause(breaks->stream, true);
        say(stays, "nor this");
        for (int i = 0; i < 20; i++)
            loop_turn(&pair->world->turn.loop, 1000);
        breaks->stream = stream_close(breaks->stream);
        turns(pair->world, stays->ended || stays->closed);
        turns(pair->world, pair->world->turn.tcp_ended == 1);
        stays->stream = stream_close(stays->stream);
        turns(pair->world, pair->world->turn.closed == 1);
        pair_free(pair);
    }
}

static void test_the_engine_may_end_a_connection(void **state)
{
    struct pair *pair = pair_new(state);
    connect_to_peer(pair);
    bind_client(pair);
    turn_tcp_relay_end(pair->relays, ID);
    turn_tcp_relay_end(pair->relays, ID); // it may not know that it is gone
    turns(pair->world, pair->peer.ended && pair->world->client.ended);
    assert_int_equal(pair->world->turn.tcp_ended, 0);
    pair_free(pair);
}

static void test_the_end_of_the_relay_ends_its_connections(void **state)
{
    struct pair *pair = pair_new(state);
    connect_from_peer(pair);
    bind_client(pair);
    turn_tcp_relay_close(pair->relays, &pair->relay);
    turns(pair->world, pair->peer.ended && pair->world->client.ended);
    // the port can be used again, for other connections of it still linger in the kernel
    assert_int_equal(turn_tcp_relay_open(pair->relays, &pair->relay), 0);
    pair_free(pair);
}

static void test_a_stream_that_is_no_stream_cannot_be_bound(void **state)
{
    struct pair *pair = pair_new(state);
    connect_to_peer(pair);
    struct turn_carrier udp = { 0 };
    struct turn_source source = { .carrier = &udp };
    assert_int_equal(turn_tcp_relay_bind(pair->relays, ID, &source), -EPROTONOSUPPORT);
    assert_int_equal(turn_tcp_relay_bind(pair->relays, ID + 1, &source), -ENOENT);
    pair_free(pair);
}

static void test_a_connection_is_bound_once(void **state)
{
    struct pair *pair = pair_new(state);
    connect_to_peer(pair);
    bind_client(pair);
    assert_int_equal(turn_tcp_relay_bind(pair->relays, ID, &pair->world->turn.source),
                     -EPROTONOSUPPORT);
    pair_free(pair);
}

static void test_stopping_ends_what_is_bound(void **state)
{
    struct pair *pair = pair_new(state);
    connect_to_peer(pair);
    bind_client(pair);
    pair->relays = turn_tcp_relays_free(pair->relays);
    assert_int_equal(pair->world->turn.tcp_ended, 1);
    assert_null(pair->relay.socket);
    turn_tcp_relay_end(pair->relays, ID);
    pair->world->turn.streams = turn_streams_free(pair->world->turn.streams);
    turns(pair->world, pair->peer.ended && pair->world->client.ended);
    pair->world->turn.streams =
        turn_streams_new(&pair->world->turn, &(struct turn_stream_options){ 0 });
    pair_free(pair);
}

#define both_kinds(test)                                                                           \
    cmocka_unit_test_prestate(test, NULL), cmocka_unit_test_prestate(test, (void *)1)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        both_kinds(test_a_peer_is_reached_from_the_relayed_address),
        both_kinds(test_what_either_side_says_too_early_comes_behind_the_answer),
        cmocka_unit_test(test_a_peer_that_cannot_be_reached_is_told),
        cmocka_unit_test(test_a_peer_without_permission_is_closed),
        both_kinds(test_a_peer_can_say_little_before_it_is_bound),
        both_kinds(test_who_does_not_read_makes_the_other_wait),
        both_kinds(test_bytes_wait_for_the_users_bandwidth),
        both_kinds(test_each_direction_ends_by_itself),
        both_kinds(test_the_last_words_reach_a_slow_reader),
        cmocka_unit_test(test_a_reset_of_either_side_ends_both),
        both_kinds(test_the_engine_may_end_a_connection),
        both_kinds(test_the_end_of_the_relay_ends_its_connections),
        cmocka_unit_test(test_a_stream_that_is_no_stream_cannot_be_bound),
        both_kinds(test_a_connection_is_bound_once),
        both_kinds(test_stopping_ends_what_is_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
