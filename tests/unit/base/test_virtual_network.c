// The virtual network of the tests itself: what other tests rely on.
#include "support/check.h"
#include "support/network.h"

#define PACKETS_MAX 4096

/** Sends numbered datagrams at a steady pace and notes what comes in. */
struct station {
    struct net_path path;
    uint64_t next_us;
    uint64_t interval_us;
    uint32_t left;
    size_t size;
    uint32_t sent;
    uint32_t received;
    uint32_t numbers[PACKETS_MAX];
    uint64_t times[PACKETS_MAX];
    struct net_path from; /**< of the last datagram */
};

static void station_input(void *owner, uint64_t now_us, const struct net_path *path,
                          struct bytes datagram)
{
    struct station *station = owner;
    assert_true(station->received < PACKETS_MAX);
    station->numbers[station->received] = load_u32(datagram.data);
    station->times[station->received++] = now_us;
    station->from = *path;
}

static uint64_t station_deadline(void *owner)
{
    struct station *station = owner;
    return station->left > 0 ? station->next_us : TIME_NEVER;
}

static void station_output(void *owner, uint64_t now_us, struct datagram_batch *batch)
{
    struct station *station = owner;
    while (station->left > 0 && station->next_us <= now_us) {
        uint8_t data[DATAGRAM_SIZE_MAX] = { 0 };
        store_u32(data, station->sent++);
        assert_true(datagram_batch_add(batch, &station->path, data, station->size));
        station->left--;
        station->next_us += station->interval_us;
    }
}

static const struct network_ops station_ops = {
    .input = station_input,
    .deadline = station_deadline,
    .output = station_output,
};

struct world {
    struct network *net;
    struct station a, b;
    struct network_endpoint *a_end, *b_end;
    struct net_address a_address, b_address;
};

static void world_start(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->net = network_new(seed);
    world->a_end = network_add(world->net, &station_ops, &world->a);
    world->b_end = network_add(world->net, &station_ops, &world->b);
    world->a_address = net_address_ipv4(192, 0, 2, 1, 1000);
    world->b_address = net_address_ipv4(192, 0, 2, 2, 2000);
    network_bind(world->a_end, &world->a_address);
    network_bind(world->b_end, &world->b_address);
}

/** A sends `count` datagrams to B, one each `interval_us`. */
static void send(struct world *world, uint32_t count, uint64_t interval_us, size_t size)
{
    world->a.path = (struct net_path){ world->a_address, world->b_address };
    world->a.next_us = network_now(world->net);
    world->a.interval_us = interval_us;
    world->a.left = count;
    world->a.size = size;
}

static uint32_t out_of_order(const struct station *station)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < station->received; i++)
        count += station->numbers[i] < station->numbers[i - 1];
    return count;
}

static void test_a_plain_wire_delivers_all_at_once(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 1);
    send(&world, 100, 1000, 100);
    uint64_t begin_us = network_now(world.net);
    network_run(world.net, time_from_s(1));
    assert_int_equal(world.b.received, 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(world.b.numbers[i], i);
        assert_true(world.b.times[i] == begin_us + i * 1000);
    }
    assert_true(net_address_equal(&world.b.from.local, &world.b_address));
    assert_true(net_address_equal(&world.b.from.remote, &world.a_address));
    assert_true(network_now(world.net) == begin_us + TIME_US_PER_S);
    network_free(world.net);
}

static void test_delays_of_all_pipes_add_up(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 1);
    network_pipe_set(network_uplink(world.a_end), &(struct network_pipe_config){ .delay_us = 100 });
    network_pipe_set(network_between(world.a_end, world.b_end),
                     &(struct network_pipe_config){ .delay_us = 20 });
    network_pipe_set(network_downlink(world.b_end), &(struct network_pipe_config){ .delay_us = 3 });
    // those of the other direction do not matter
    network_pipe_set(network_between(world.b_end, world.a_end),
                     &(struct network_pipe_config){ .delay_us = 999 });
    send(&world, 1, 1, 100);
    uint64_t begin_us = network_now(world.net);
    network_run(world.net, time_from_s(1));
    assert_int_equal(world.b.received, 1);
    assert_true(world.b.times[0] == begin_us + 123);
    network_free(world.net);
}

static void test_loss_has_its_rate_and_bursts_their_length(void **state)
{
    (void)state;
    uint32_t runs[2];
    for (int bursts = 0; bursts < 2; bursts++) {
        struct world world;
        world_start(&world, 7);
        network_pipe_set(network_uplink(world.a_end),
                         &(struct network_pipe_config){ .loss = bursts ? 0.025 : 0.1,
                                                        .loss_burst = bursts ? 0.75 : 0 });
        send(&world, 4000, 1000, 100);
        network_run(world.net, time_from_s(10));
        const struct network_pipe_stats *stats = network_pipe_stats(network_uplink(world.a_end));
        assert_int_equal(stats->entered, 4000);
        assert_int_equal(stats->lost + world.b.received, 4000);
        // a burst of mean length 4 every 40: about a tenth either way
        assert_in_range(stats->lost, 300, 500);
        runs[bursts] = 0;
        for (uint32_t i = 1; i < world.b.received; i++)
            runs[bursts] += world.b.numbers[i] > world.b.numbers[i - 1] + 1;
        network_free(world.net);
    }
    assert_true(runs[1] * 2 < runs[0]);
}

static void test_duplicates_arrive_twice(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 1);
    network_pipe_set(network_uplink(world.a_end),
                     &(struct network_pipe_config){ .duplicate = 0.5, .delay_us = 10 });
    send(&world, 1000, 1000, 100);
    network_run(world.net, time_from_s(2));
    assert_in_range(world.b.received, 1400, 1600);
    uint32_t twice = 0;
    for (uint32_t i = 1; i < world.b.received; i++)
        twice += world.b.numbers[i] == world.b.numbers[i - 1];
    assert_int_equal(world.b.received, 1000 + twice);
    network_free(world.net);
}

static void test_jitter_keeps_order_unless_told(void **state)
{
    (void)state;
    for (int reorders = 0; reorders < 2; reorders++) {
        struct world world;
        world_start(&world, 3);
        network_pipe_set(network_uplink(world.a_end),
                         &(struct network_pipe_config){
                             .delay_us = 1000, .jitter_us = 20000, .jitter_reorders = reorders });
        send(&world, 1000, 1000, 100);
        network_run(world.net, time_from_s(2));
        assert_int_equal(world.b.received, 1000);
        if (reorders)
            assert_true(out_of_order(&world.b) > 100);
        else
            assert_int_equal(out_of_order(&world.b), 0);
        network_free(world.net);
    }
}

static void test_reordering_holds_single_datagrams_back(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 4);
    network_pipe_set(network_uplink(world.a_end),
                     &(struct network_pipe_config){ .reorder = 0.1, .reorder_us = 2500 });
    send(&world, 1000, 1000, 100);
    network_run(world.net, time_from_s(2));
    assert_int_equal(world.b.received, 1000);
    assert_in_range(out_of_order(&world.b), 60, 140);
    network_free(world.net);
}

static void test_a_bottleneck_has_its_rate_and_its_queue(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 5);
    // 1,000 bytes with headers take 8 ms; five fit into the queue
    network_pipe_set(
        network_uplink(world.a_end),
        &(struct network_pipe_config){ .bandwidth_bps = 1000000, .queue_bytes = 5000 });
    send(&world, 1000, 4000, 972); // at twice the rate
    uint64_t begin_us = network_now(world.net);
    network_run(world.net, time_from_s(10));
    const struct network_pipe_stats *stats = network_pipe_stats(network_uplink(world.a_end));
    assert_in_range(world.b.received, 500, 510);
    assert_int_equal(world.b.received + stats->overflowed, 1000);
    assert_int_equal(out_of_order(&world.b), 0);
    assert_true(world.b.times[0] == begin_us + 8000);
    // queueing delay settles at what the queue holds
    uint32_t last = world.b.received - 1;
    uint64_t delay_us = world.b.times[last] - (begin_us + world.b.numbers[last] * 4000ull);
    assert_in_range(delay_us, 32000, 40000);
    network_free(world.net);
}

static void test_a_cut_loses_all_until_it_is_mended(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 6);
    send(&world, 100, 1000, 100);
    network_run(world.net, 9500);
    network_pipe_cut(network_downlink(world.b_end), true);
    network_run(world.net, 20000);
    assert_int_equal(world.b.received, 10);
    network_pipe_cut(network_downlink(world.b_end), false);
    network_run(world.net, time_from_s(1));
    assert_int_equal(world.b.received, 80);
    assert_int_equal(network_pipe_stats(network_downlink(world.b_end))->cut, 20);
    network_free(world.net);
}

static enum network_verdict drop_odd_mark_even(void *owner, uint64_t now_us,
                                               const struct net_path *path, uint8_t *data,
                                               size_t size)
{
    (void)now_us;
    (*(int *)owner)++;
    assert_int_equal(path->local.port, 1000);
    if (data[3] & 1)
        return NETWORK_DROP;
    data[size - 1] = 0xaa;
    data[2] = 1; // 256 more
    return NETWORK_PASS;
}

static void test_a_filter_drops_and_changes(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 6);
    int seen = 0;
    network_pipe_set(
        network_uplink(world.a_end),
        &(struct network_pipe_config){ .filter = drop_odd_mark_even, .filter_owner = &seen });
    send(&world, 10, 1000, 100);
    network_run(world.net, time_from_s(1));
    assert_int_equal(seen, 10);
    assert_int_equal(world.b.received, 5);
    assert_int_equal(world.b.numbers[1], 258);
    network_free(world.net);
}

static void test_translation_hides_the_inside(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 6);
    struct net_address outside = net_address_ipv4(203, 0, 113, 1, 7777);
    network_translate(world.a_end, &world.a_address, &outside);
    send(&world, 1, 1000, 100);
    network_run(world.net, 10000);
    assert_true(net_address_equal(&world.b.from.remote, &outside));
    struct net_path back = { .remote = outside }; // from whatever address B has
    world.b.path = back;
    world.b.left = 1;
    world.b.size = 4;
    network_run(world.net, 10000);
    assert_int_equal(world.a.received, 1);
    assert_true(net_address_equal(&world.a.from.local, &world.a_address));
    assert_true(net_address_equal(&world.a.from.remote, &world.b_address));
    world.b.path.remote = world.a_address;
    world.b.left = 1;
    network_run(world.net, 10000);
    assert_int_equal(world.a.received, 1);
    assert_int_equal(network_unroutable(world.net), 1);
    network_free(world.net);
}

static void test_unbound_addresses_neither_send_nor_receive(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 6);
    network_unbind(world.b_end, &world.b_address);
    send(&world, 3, 1000, 100);
    network_run(world.net, 10000);
    assert_int_equal(network_unroutable(world.net), 3);
    network_bind(world.b_end, &world.b_address);
    network_unbind(world.a_end, &world.a_address);
    send(&world, 3, 1000, 100);
    network_run(world.net, 10000);
    assert_int_equal(network_unroutable(world.net), 6);
    assert_int_equal(world.b.received, 0);
    // an attacker may pretend to be anyone
    struct net_path path = { world.a_address, world.b_address };
    network_inject(world.net, &path, "\0\0\0\7", 4);
    network_run(world.net, 10000);
    assert_int_equal(world.b.received, 1);
    assert_true(net_address_equal(&world.b.from.remote, &world.a_address));
    network_free(world.net);
}

static bool fifty_received(void *owner)
{
    return ((struct station *)owner)->received >= 50;
}

static void test_running_until_stops_at_the_moment(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, 6);
    send(&world, 100, 1000, 100);
    assert_true(network_run_until(world.net, time_from_s(1), fifty_received, &world.b));
    assert_int_equal(world.b.received, 50);
    assert_int_equal(network_now(world.net), 1000000 + 49 * 1000);
    network_free(world.net);
}

static void test_equal_seeds_make_equal_runs(void **state)
{
    (void)state;
    static struct world worlds[3];
    for (int i = 0; i < 3; i++) {
        world_start(&worlds[i], i < 2 ? 99 : 100);
        network_pipe_set(
            network_uplink(worlds[i].a_end),
            &(struct network_pipe_config){
                .loss = 0.2, .duplicate = 0.2, .jitter_us = 9000, .jitter_reorders = true });
        send(&worlds[i], 500, 1000, 100);
        network_run(worlds[i].net, time_from_s(1));
        network_free(worlds[i].net);
    }
    assert_memory_equal(worlds[0].b.times, worlds[1].b.times, sizeof(worlds[0].b.times));
    assert_memory_equal(worlds[0].b.numbers, worlds[1].b.numbers, sizeof(worlds[0].b.numbers));
    assert_memory_not_equal(worlds[0].b.times, worlds[2].b.times, sizeof(worlds[0].b.times));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_wire_delivers_all_at_once),
        cmocka_unit_test(test_delays_of_all_pipes_add_up),
        cmocka_unit_test(test_loss_has_its_rate_and_bursts_their_length),
        cmocka_unit_test(test_duplicates_arrive_twice),
        cmocka_unit_test(test_jitter_keeps_order_unless_told),
        cmocka_unit_test(test_reordering_holds_single_datagrams_back),
        cmocka_unit_test(test_a_bottleneck_has_its_rate_and_its_queue),
        cmocka_unit_test(test_a_cut_loses_all_until_it_is_mended),
        cmocka_unit_test(test_a_filter_drops_and_changes),
        cmocka_unit_test(test_translation_hides_the_inside),
        cmocka_unit_test(test_unbound_addresses_neither_send_nor_receive),
        cmocka_unit_test(test_running_until_stops_at_the_moment),
        cmocka_unit_test(test_equal_seeds_make_equal_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
