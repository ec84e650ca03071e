// Data messages of a room over real engines: loss, slow and stalled readers, paths that change.
#include "sim/world_data.h"
#include "support/check.h"

/** Four members by turns on both workers, each with a channel. */
static struct world_data *a_room(uint64_t seed, bool ordered, enum rtc_data_reliability reliability)
{
    struct world_data *data = world_data_new(world_new(seed));
    for (uint16_t i = 0; i < WORLD_CLIENTS; i++)
        world_data_add(data, i % WORLD_WORKERS);
    assert_true(world_connect(data->world, time_from_s(5)));
    for (uint16_t i = 0; i < WORLD_CLIENTS; i++)
        world_data_open(&data->clients[i], ordered, reliability, 0);
    network_run(data->world->net, time_from_s(1));
    assert_true(world_data_is_open(data));
    return data;
}

static void leave(struct world_data *data)
{
    struct world *world = data->world;
    world_data_free(data);
    world_free(world);
}

static void shape(struct world_data_client *client, double loss, uint64_t bandwidth_bps)
{
    const struct network_pipe_config config = {
        .loss = loss,
        .delay_us = time_from_ms(20),
        .bandwidth_bps = bandwidth_bps,
    };
    network_pipe_set(network_uplink(client->client->endpoint), &config);
    network_pipe_set(network_downlink(client->client->endpoint), &config);
}

struct wanted {
    struct world_data *data;
    uint32_t from, to; /**< clients */
    uint32_t messages;
};

static bool have_all(void *owner)
{
    const struct wanted *wanted = owner;
    for (uint32_t i = wanted->from; i < wanted->to; i++) {
        if (wanted->data->clients[i].received < wanted->messages)
            return false;
    }
    return true;
}

/** Runs until clients `from` to below `to` have so many messages. */
static bool wait_for(struct world_data *data, uint32_t from, uint32_t to, uint32_t messages,
                     uint64_t timeout_us)
{
    struct wanted wanted = { data, from, to, messages };
    return network_run_until(data->world->net, timeout_us, have_all, &wanted);
}

static void expect_whole(const struct world_data_client *client, uint32_t messages)
{
    assert_int_equal(client->received, messages);
    assert_int_equal(client->newest, messages);
    assert_int_equal(client->disordered, 0);
    assert_int_equal(client->spoilt, 0);
    assert_false(client->closed);
}

static void test_everybody_gets_everything_in_order_over_lossy_paths(void **state)
{
    (void)state;
    struct world_data *data = a_room(51, true, RTC_DATA_RELIABLE);
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++)
        shape(&data->clients[i], 0.05, 0);
    world_data_send(&data->clients[0], 200, 3000);
    assert_true(wait_for(data, 1, WORLD_CLIENTS, 200, time_from_s(60)));
    for (uint32_t i = 1; i < WORLD_CLIENTS; i++)
        expect_whole(&data->clients[i], 200);
    assert_int_equal(data->clients[0].received, 0);
    leave(data);
}

static void test_large_messages_come_whole(void **state)
{
    (void)state;
    struct world_data *data = a_room(52, true, RTC_DATA_RELIABLE);
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++)
        shape(&data->clients[i], 0.01, 0);
    world_data_send(&data->clients[1], 3, RTC_DATA_MESSAGE_MAX);
    assert_true(wait_for(data, 2, WORLD_CLIENTS, 3, time_from_s(60)));
    expect_whole(&data->clients[2], 3);
    expect_whole(&data->clients[3], 3);
    leave(data);
}

static void test_a_slow_path_delays_nobody_else(void **state)
{
    (void)state;
    struct world_data *data = a_room(53, true, RTC_DATA_RELIABLE);
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++)
        shape(&data->clients[i], 0, i == 3 ? 300000 : 50000000);
    world_data_send(&data->clients[0], 100, 10000);
    assert_true(wait_for(data, 1, 3, 100, time_from_s(3)));
    assert_true(data->clients[3].received < 50);
    // and it gets all of it at its own pace: 1 MB at 300 kbit/s
    assert_true(wait_for(data, 3, 4, 100, time_from_s(40)));
    for (uint32_t i = 1; i < WORLD_CLIENTS; i++)
        expect_whole(&data->clients[i], 100);
    leave(data);
}

static void test_a_path_that_is_gone_costs_its_channel_only(void **state)
{
    (void)state;
    struct world_data *data = a_room(54, true, RTC_DATA_RELIABLE);
    network_pipe_cut(network_downlink(data->clients[2].client->endpoint), true);
    // more than its transport's buffer takes
    world_data_send(&data->clients[0], 100, 20000);
    assert_true(wait_for(data, 1, 2, 100, time_from_s(3)));
    assert_true(wait_for(data, 3, 4, 100, time_from_s(3)));
    assert_int_equal(world_data_metric(data, DATA_METRIC_CLOSED_STALLED), 0);
    network_run(data->world->net, DATA_STALL_US + time_from_s(1));
    assert_int_equal(world_data_metric(data, DATA_METRIC_CLOSED_STALLED), 1);
    assert_int_equal(world_data_metric(data, DATA_METRIC_BACKLOG), 0);
    world_data_send(&data->clients[0], 20, 20000);
    assert_true(wait_for(data, 3, 4, 120, time_from_s(3)));
    expect_whole(&data->clients[3], 120);
    leave(data);
}

static void check_pace_of_one_receiver(uint16_t workers)
{
    struct world_data *data = world_data_new(world_new(55));
    for (uint16_t i = 0; i < 2; i++)
        world_data_add(data, i % workers);
    assert_true(world_connect(data->world, time_from_s(5)));
    for (uint16_t i = 0; i < 2; i++)
        world_data_open(&data->clients[i], true, RTC_DATA_RELIABLE, 0);
    network_run(data->world->net, time_from_s(1));
    shape(&data->clients[0], 0, 0);
    shape(&data->clients[1], 0, 5000000);
    world_data_send(&data->clients[0], 300, 16384); // 4.9 MB: 8 s at 5 Mbit/s
    uint64_t most = 0;
    for (int i = 0; i < 200 && data->clients[1].received < 300; i++) {
        network_run(data->world->net, time_from_ms(100));
        most = max_of(most, world_data_metric(data, DATA_METRIC_BACKLOG));
    }
    expect_whole(&data->clients[1], 300);
    assert_true(world_data_metric(data, DATA_METRIC_HELD) > 0);
    assert_true(most > 0 && most <= DATA_SLOW_BYTES + 2 * 16384);
    leave(data);
}

static void test_one_receiver_sets_the_pace_of_its_sender(void **state)
{
    (void)state;
    check_pace_of_one_receiver(1);
}

static void test_one_receiver_on_another_worker_sets_the_pace_too(void **state)
{
    (void)state;
    check_pace_of_one_receiver(2);
}

static void test_unreliable_messages_get_lost_and_are_not_late(void **state)
{
    (void)state;
    struct world_data *data = a_room(56, false, RTC_DATA_MAX_RETRANSMITS);
    shape(&data->clients[2], 0.2, 0);
    for (uint32_t i = 0; i < 300; i++) {
        world_data_send(&data->clients[0], 1, 500);
        network_run(data->world->net, time_from_ms(10));
    }
    network_run(data->world->net, time_from_ms(100));
    assert_int_equal(data->clients[1].received, 300);
    assert_int_equal(data->clients[3].received, 300);
    assert_in_range(data->clients[2].received, 150, 290);
    assert_int_equal(data->clients[2].spoilt, 0);
    assert_true(data->clients[2].newest > 290); // what comes is of now
    leave(data);
}

static void test_messages_go_on_over_a_restart_of_ice(void **state)
{
    (void)state;
    struct world_data *data = a_room(57, true, RTC_DATA_RELIABLE);
    for (uint32_t i = 0; i < WORLD_CLIENTS; i++)
        shape(&data->clients[i], 0.01, 2000000);
    world_data_send(&data->clients[0], 200, 4000);
    network_run(data->world->net, time_from_ms(500));
    assert_true(data->clients[2].received < 200);
    world_restart_ice(data->clients[0].client);
    world_restart_ice(data->clients[2].client);
    assert_true(wait_for(data, 1, WORLD_CLIENTS, 200, time_from_s(60)));
    for (uint32_t i = 1; i < WORLD_CLIENTS; i++)
        expect_whole(&data->clients[i], 200);
    leave(data);
}

static void test_the_section_may_come_later_and_end(void **state)
{
    (void)state;
    struct world_data *data = world_data_new(world_new(58));
    struct world_data_client *always = world_data_add(data, 0);
    struct world_client *later = world_add_client(data->world, 1);
    struct world_data_client *mine = &data->clients[1];
    mine->client = later;
    world_add_section(later, RTC_KIND_AUDIO, false);
    struct data_member member = { .room = 1, .id = "m2", .may_send = true };
    mine->peer = data_hub_peer_add(data->hubs[1], later->session, &member);
    world_negotiate(later);
    assert_true(world_connect(data->world, time_from_s(5)));
    world_data_open(always, true, RTC_DATA_RELIABLE, 0);
    world_data_send(always, 1, 100);
    network_run(data->world->net, time_from_s(1));
    assert_int_equal(world_data_metric(data, DATA_METRIC_DROPPED_NOBODY), 1);

    uint16_t section = world_add_section(later, RTC_KIND_DATA, false);
    world_negotiate(later);
    network_run(data->world->net, time_from_s(1));
    world_data_open(mine, true, RTC_DATA_RELIABLE, 0);
    network_run(data->world->net, time_from_s(1));
    assert_true(mine->opened);
    world_data_send(always, 1, 100);
    assert_true(wait_for(data, 1, 2, 1, time_from_s(2)));

    world_rest(later, section, true);
    network_run(data->world->net, time_from_s(1));
    assert_int_equal(world_data_metric(data, DATA_METRIC_CHANNELS), 1);
    world_data_send(always, 1, 100);
    network_run(data->world->net, time_from_s(1));
    assert_int_equal(mine->received, 1);
    assert_int_equal(world_data_metric(data, DATA_METRIC_DROPPED_NOBODY), 2);
    leave(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody_gets_everything_in_order_over_lossy_paths),
        cmocka_unit_test(test_large_messages_come_whole),
        cmocka_unit_test(test_a_slow_path_delays_nobody_else),
        cmocka_unit_test(test_a_path_that_is_gone_costs_its_channel_only),
        cmocka_unit_test(test_one_receiver_sets_the_pace_of_its_sender),
        cmocka_unit_test(test_one_receiver_on_another_worker_sets_the_pace_too),
        cmocka_unit_test(test_unreliable_messages_get_lost_and_are_not_late),
        cmocka_unit_test(test_messages_go_on_over_a_restart_of_ice),
        cmocka_unit_test(test_the_section_may_come_later_and_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
