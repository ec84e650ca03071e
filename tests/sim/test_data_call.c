// Data channels of an anchored call over real engines: each side's reach the other side.
#include "sim/world_data.h"
#include "support/check.h"

static struct world_data *a_call(uint64_t seed)
{
    struct world_data *data = world_data_new(world_new(seed));
    world_data_add_side(data, 0, 2);
    world_data_add_side(data, 1, 1);
    assert_true(world_connect(data->world, time_from_s(5)));
    return data;
}

static void end(struct world_data *data)
{
    struct world *world = data->world;
    world_data_free(data);
    world_free(world);
}

static void shape(struct world_data_client *client, double loss)
{
    const struct network_pipe_config config = { .loss = loss, .delay_us = time_from_ms(20) };
    network_pipe_set(network_uplink(client->client->endpoint), &config);
    network_pipe_set(network_downlink(client->client->endpoint), &config);
}

static bool both_open(void *owner)
{
    return world_data_is_open(owner);
}

static void open_from(struct world_data *data, int side, bool ordered,
                      enum rtc_data_reliability reliability, uint32_t limit)
{
    world_data_open(&data->clients[side], ordered, reliability, limit);
    assert_true(network_run_until(data->world->net, time_from_s(5), both_open, data));
}

struct wanted {
    const struct world_data *data;
    uint32_t messages;
};

static bool both_have(void *owner)
{
    const struct wanted *wanted = owner;
    return wanted->data->clients[0].received >= wanted->messages &&
           wanted->data->clients[1].received >= wanted->messages;
}

static void talk(struct world_data *data, uint32_t messages, size_t size)
{
    for (int side = 0; side < 2; side++)
        world_data_send(&data->clients[side], messages, size);
    struct wanted wanted = { data, messages };
    assert_true(network_run_until(data->world->net, time_from_s(60), both_have, &wanted));
    for (int side = 0; side < 2; side++) {
        assert_int_equal(data->clients[side].received, messages);
        assert_int_equal(data->clients[side].disordered, 0);
        assert_int_equal(data->clients[side].spoilt, 0);
        assert_false(data->clients[side].closed);
    }
}

static bool both_closed(void *owner)
{
    const struct world_data *data = owner;
    return data->clients[0].closed && data->clients[1].closed;
}

static void test_either_side_opens_and_closes_over_lossy_paths(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct world_data *data = a_call(41 + (uint64_t)side);
        shape(&data->clients[0], 0.05);
        shape(&data->clients[1], 0.05);
        open_from(data, side, true, RTC_DATA_RELIABLE, 0);
        const struct world_data_client *other = &data->clients[!side];
        assert_string_equal(other->label, "c");
        assert_true(other->channel.ordered);
        talk(data, 150, 2000);
        // closed by the one that opened it, and by the other one
        rtc_peer_data_close(data->clients[0].client->peer, data->clients[0].stream);
        assert_true(network_run_until(data->world->net, time_from_s(10), both_closed, data));
        assert_int_equal(world_data_metric(data, DATA_METRIC_CHANNELS), 0);
        end(data);
    }
}

static void test_an_unreliable_channel_is_one_on_both_sides(void **state)
{
    (void)state;
    struct world_data *data = a_call(43);
    open_from(data, 1, false, RTC_DATA_MAX_LIFETIME, 150);
    const struct rtc_data_channel *channel = &data->clients[0].channel;
    assert_false(channel->ordered);
    assert_int_equal(channel->reliability, RTC_DATA_MAX_LIFETIME);
    assert_int_equal(channel->limit, 150);
    world_data_send(&data->clients[1], 20, 100);
    network_run(data->world->net, time_from_s(2));
    assert_int_equal(data->clients[0].received, 20); // nothing is lost where nothing is in the way
    end(data);
}

static void test_a_channel_that_both_know_of_needs_no_word(void **state)
{
    (void)state;
    struct world_data *data = a_call(44);
    for (int side = 0; side < 2; side++)
        world_data_open_negotiated(&data->clients[side], 6);
    talk(data, 50, 500);
    rtc_peer_data_close(data->clients[1].client->peer, 6);
    assert_true(network_run_until(data->world->net, time_from_s(10), both_closed, data));
    end(data);
}

static void test_many_megabytes_are_held_back_not_kept(void **state)
{
    (void)state;
    struct world_data *data = a_call(45);
    const struct network_pipe_config slow = { .delay_us = time_from_ms(10),
                                              .bandwidth_bps = 20 * 1000 * 1000 };
    network_pipe_set(network_downlink(data->clients[1].client->endpoint), &slow);
    open_from(data, 0, true, RTC_DATA_RELIABLE, 0);
    world_data_send(&data->clients[0], 60, 64 * 1024);
    uint64_t most = 0;
    for (int i = 0; i < 600 && data->clients[1].received < 60; i++) {
        network_run(data->world->net, time_from_ms(20));
        most = max_of(most, world_data_metric(data, DATA_METRIC_BACKLOG));
    }
    assert_int_equal(data->clients[1].received, 60);
    assert_in_range(most, 64 * 1024, 1024 * 1024);
    end(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_either_side_opens_and_closes_over_lossy_paths),
        cmocka_unit_test(test_an_unreliable_channel_is_one_on_both_sides),
        cmocka_unit_test(test_a_channel_that_both_know_of_needs_no_word),
        cmocka_unit_test(test_many_megabytes_are_held_back_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
