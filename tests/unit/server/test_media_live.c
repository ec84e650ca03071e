// A real media host: four workers on one UDP port, and clients on sockets of their own. What a
// single thread cannot show: sessions spread over workers, packets cross, clients wander.
#include "unit/server/media_live.h"

static void test_media_crosses_workers(void **state)
{
    (void)state;
    struct live *live = a_room();
    expect_all(live);
    assert_true(counted(live, "media_packets_mirrored_total", NULL) > 0);
    assert_int_equal(counted(live, "media_sessions", NULL), live->client_count);
    until(live, live->live_events >= live->client_count);
    live_free(live);
}

static void test_a_slot_comes_with_another_offer(void **state)
{
    (void)state;
    struct live *live = a_room();
    for (uint32_t i = 0; i < live->client_count; i++) {
        uint32_t slot = add_slot(&live->clients[i]);
        negotiate(&live->clients[i]);
        show(&live->clients[i], slot, neighbour(live, i, 3));
        expect_media(&live->clients[i], slot, neighbour(live, i, 3));
    }
    live_free(live);
}

static void test_slots_change_at_any_rate(void **state)
{
    (void)state;
    struct live *live = a_room();
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < live->client_count; i++)
            show(&live->clients[i], 1, neighbour(live, i, 1 + round % 3));
        turn(live);
    }
    for (uint32_t i = 0; i < live->client_count; i++)
        show(&live->clients[i], 1, neighbour(live, i, 1));
    expect_all(live);
    live_free(live);
}

static void test_more_changes_than_a_worker_takes_at_once_are_not_lost(void **state)
{
    (void)state;
    struct live *live = a_room();
    for (uint32_t round = 0; round < 10000; round++) {
        for (uint32_t i = 0; i < live->client_count; i++)
            show(&live->clients[i], 1, neighbour(live, i, 1 + round % 3));
    }
    for (uint32_t i = 0; i < live->client_count; i++)
        show(&live->clients[i], 1, neighbour(live, i, 1));
    expect_all(live);
    assert_int_equal(live->errors, 0);
    live_free(live);
}

static void test_a_client_that_moves_is_handed_over_to_its_worker(void **state)
{
    (void)state;
    struct live *live = a_room();
    struct client *client = &live->clients[0];
    expect_all(live);
    // most new 5-tuples lead to another worker
    for (int i = 0; i < 20 && counted(live, "media_handed_over_total", NULL) == 0; i++) {
        close(client->fd);
        open_socket(client);
        new_credentials(client);
        client->offer.generation++;
        negotiate(client);
        expect_media(client, 1, neighbour(live, 0, 1));
        expect_media(neighbour(live, live->client_count - 1, 0), 1, client);
    }
    assert_true(counted(live, "media_handed_over_total", NULL) > 0);
    assert_int_equal(counted(live, "media_sessions", NULL), live->client_count);
    expect_all(live);
    live_free(live);
}

/** Whoever gets media starts to measure anew. */
static void forget_gaps(struct live *live)
{
    for (uint32_t i = 0; i < live->client_count; i++) {
        live->clients[i].received_us = clock_now_us();
        live->clients[i].longest_us = 0;
    }
}

static void test_a_client_that_a_nat_moves_misses_nothing_and_is_not_missed(void **state)
{
    (void)state;
    struct live *live = a_room();
    struct client *client = &live->clients[0];
    expect_all(live);
    uint64_t shortest_us = UINT64_MAX;
    for (int i = 0; i < 12; i++) { // on every worker, and once without others' load
        forget_gaps(live);
        close(client->fd);
        open_socket(client); // client->port stays: the client does not know
        expect_media(client, 1, neighbour(live, 0, 1));
        expect_media(neighbour(live, live->client_count - 1, 0), 1, client);
        uint64_t longest_us = 0;
        for (uint32_t c = 0; c < live->client_count; c++)
            longest_us = max_of(longest_us, live->clients[c].longest_us);
        shortest_us = min_of(shortest_us, longest_us);
    }
    // its own checks, each five seconds, may come first now and then
    assert_true(counted(live, "ice_probes_answered_total", NULL) > 3);
    assert_true(counted(live, "media_handed_over_total", NULL) > 0);
    assert_int_equal(counted(live, "media_sessions", NULL), live->client_count);
    // without a question it is the client's own check that mends it, five seconds later
    assert_true(shortest_us < 2 * TIME_US_PER_S);
    live_free(live);
}

static void test_a_blocked_publication_is_not_forwarded(void **state)
{
    (void)state;
    struct live *live = a_room();
    expect_all(live);
    struct client *publisher = &live->clients[1];
    struct client *watcher = &live->clients[0];
    assert_int_equal(live->control->publication_block(live->control, publisher->session, "0", true),
                     0);
    until(live, counted(live, "media_dropped_total", "reason=\"blocked\"") > 0);
    // what was under way has arrived when as much again was dropped
    uint64_t dropped = counted(live, "media_dropped_total", "reason=\"blocked\"");
    until(live, counted(live, "media_dropped_total", "reason=\"blocked\"") > dropped + 20);
    uint32_t before = watcher->received[1];
    dropped = counted(live, "media_dropped_total", "reason=\"blocked\"");
    until(live, counted(live, "media_dropped_total", "reason=\"blocked\"") > dropped + 20);
    assert_int_equal(watcher->received[1], before);
    assert_int_equal(
        live->control->publication_block(live->control, publisher->session, "0", false), 0);
    expect_media(watcher, 1, publisher);
    live_free(live);
}

static void test_sessions_close_while_media_is_under_way(void **state)
{
    (void)state;
    struct live *live = a_room();
    expect_all(live);
    for (int round = 0; round < 3; round++) {
        struct client *gone = &live->clients[2];
        live->control->session_close(live->control, gone->session);
        for (int i = 0; i < 3; i++)
            turn(live); // it goes on sending
        until(live, counted(live, "media_sessions", NULL) == live->client_count - 1u);
        rtc_peer_free(gone->peer);
        close(gone->fd);
        // the same person again
        uint32_t count = live->client_count;
        live->client_count = 2;
        struct client *back = add_client(live);
        assert_ptr_equal(back, gone);
        live->client_count = count;
        until(live, back->connected && back->reported);
        show(back, 1, neighbour(live, 2, 1));
        show(back, 2, neighbour(live, 2, 2));
        show(&live->clients[1], 1, back);
        show(&live->clients[0], 2, back);
        expect_all(live);
    }
    live_free(live);
}

static void test_a_host_stops_before_anyone_has_connected(void **state)
{
    (void)state;
    struct live *live = live_new();
    add_client(live);
    add_client(live);
    turn(live);
    live_free(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_media_crosses_workers),
        cmocka_unit_test(test_a_slot_comes_with_another_offer),
        cmocka_unit_test(test_slots_change_at_any_rate),
        cmocka_unit_test(test_more_changes_than_a_worker_takes_at_once_are_not_lost),
        cmocka_unit_test(test_a_client_that_moves_is_handed_over_to_its_worker),
        cmocka_unit_test(test_a_client_that_a_nat_moves_misses_nothing_and_is_not_missed),
        cmocka_unit_test(test_a_blocked_publication_is_not_forwarded),
        cmocka_unit_test(test_sessions_close_while_media_is_under_way),
        cmocka_unit_test(test_a_host_stops_before_anyone_has_connected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
