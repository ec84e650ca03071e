// Data channels between a client and the server's peer of it, over ICE and DTLS.
#include <errno.h>
#include <stdlib.h>

#include "rtc/data.h"
#include "sim/world.h"
#include "support/check.h"

static struct world *a_world_with(bool passive, struct world_client **ret_client)
{
    struct world *world = world_new(77);
    struct world_client *client = world_add_client(world, 0);
    client->offer.passive = passive;
    world_add_section(client, RTC_KIND_DATA, false);
    world_negotiate(client);
    assert_true(world_connect(world, time_from_s(5)));
    network_run(world->net, time_from_ms(300));
    *ret_client = client;
    return world;
}

static struct world *a_world(struct world_client **ret_client)
{
    return a_world_with(false, ret_client);
}

static void run(struct world *world)
{
    network_run(world->net, time_from_ms(500));
}

/** The next event of a peer, of this kind. Its message is the caller's. */
static struct rtc_data_event expect(struct rtc_peer *peer, enum rtc_data_event_kind kind)
{
    struct rtc_data_event event = { 0 };
    assert_true(rtc_peer_data_event(peer, &event));
    assert_int_equal(event.kind, kind);
    return event;
}

static void expect_nothing(struct rtc_peer *peer)
{
    struct rtc_data_event event;
    assert_false(rtc_peer_data_event(peer, &event));
}

static void expect_message(struct rtc_peer *peer, uint16_t stream, bool text, struct bytes bytes)
{
    struct rtc_data_event event = expect(peer, RTC_DATA_MESSAGE);
    assert_int_equal(event.stream, stream);
    assert_int_equal(event.text, text);
    assert_true(bytes_equal(blob_bytes(event.message), bytes));
    blob_unref(event.message);
}

static int send(struct world *world, struct rtc_peer *peer, uint16_t stream, struct bytes bytes,
                bool text)
{
    struct blob *blob = blob_new(bytes);
    assert_non_null(blob);
    int error = rtc_peer_data_send(peer, network_now(world->net), stream, blob, text);
    blob_unref(blob);
    return error;
}

static const struct rtc_data_channel plain = { .ordered = true };

/** Opens a channel; both sides hear of it. */
static uint16_t open_channel(struct world *world, struct rtc_peer *from, struct rtc_peer *to,
                             const struct rtc_data_channel *channel)
{
    uint16_t stream;
    assert_int_equal(rtc_peer_data_open(from, network_now(world->net), channel, &stream), 0);
    run(world);
    struct rtc_data_event event = expect(to, RTC_DATA_OPENED);
    assert_int_equal(event.stream, stream);
    assert_false(event.ours);
    assert_int_equal(event.channel->ordered, channel->ordered);
    assert_int_equal(event.channel->reliability, channel->reliability);
    assert_int_equal(event.channel->limit, channel->limit);
    assert_true(bytes_equal(event.channel->label, channel->label));
    assert_true(bytes_equal(event.channel->protocol, channel->protocol));
    run(world); // DATA_CHANNEL_ACK
    event = expect(from, RTC_DATA_OPENED);
    assert_int_equal(event.stream, stream);
    assert_true(event.ours);
    return stream;
}

static void test_channels_are_opened_by_either_side(void **state unused)
{
    static const struct rtc_data_channel kinds[] = {
        { .ordered = true, .label = { (const uint8_t *)"chat", 4 } },
        { .ordered = false,
          .reliability = RTC_DATA_MAX_RETRANSMITS,
          .limit = 3,
          .priority = 1024,
          .protocol = { (const uint8_t *)"json", 4 } },
        { .ordered = true, .reliability = RTC_DATA_MAX_LIFETIME, .limit = 500 },
    };
    struct world_client *client;
    struct world *world = a_world(&client);
    for (uint16_t i = 0; i < array_size(kinds); i++) {
        // RFC 8832, 6: the DTLS client has even ids
        uint16_t stream = open_channel(world, client->peer, client->server_peer, &kinds[i]);
        assert_int_equal(stream, 2 * i);
        stream = open_channel(world, client->server_peer, client->peer, &kinds[i]);
        assert_int_equal(stream, 2 * i + 1);
    }
    assert_int_equal(metric_get(&world->workers[0].thread.counters.values[RTC_METRIC_DATA_OPENED]),
                     6);
    world_free(world);
}

static void test_ids_follow_who_begins_dtls(void **state unused)
{
    struct world_client *client;
    struct world *world = a_world_with(true, &client);
    assert_int_equal(open_channel(world, client->server_peer, client->peer, &plain), 0);
    assert_int_equal(open_channel(world, client->peer, client->server_peer, &plain), 1);
    world_free(world);
}

static void test_messages_of_every_kind_and_size(void **state unused)
{
    static uint8_t large[RTC_DATA_MESSAGE_MAX];
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (uint8_t)(i * 7);
    const struct bytes all[] = { bytes_of_text("text"), bytes_of(NULL, 0), bytes_of("\0", 1),
                                 bytes_of(large, sizeof(large)) };
    struct world_client *client;
    struct world *world = a_world(&client);
    uint16_t stream = open_channel(world, client->peer, client->server_peer, &plain);
    for (int text = 0; text < 2; text++)
        for (size_t i = 0; i < array_size(all); i++) {
            assert_int_equal(send(world, client->peer, stream, all[i], text), 0);
            assert_int_equal(send(world, client->server_peer, stream, all[i], text), 0);
        }
    assert_true(rtc_peer_data_buffered(client->peer) > sizeof(large));
    network_run(world->net, time_from_s(3));
    for (int text = 0; text < 2; text++)
        for (size_t i = 0; i < array_size(all); i++) {
            expect_message(client->peer, stream, text, all[i]);
            expect_message(client->server_peer, stream, text, all[i]);
        }
    assert_int_equal(rtc_peer_data_buffered(client->peer), 0);
    // the client announces what it takes, too
    uint8_t *longer = malloc(sizeof(large) + 1);
    memset(longer, 0, sizeof(large) + 1);
    assert_int_equal(
        send(world, client->server_peer, stream, bytes_of(longer, sizeof(large) + 1), false),
        -EMSGSIZE);
    free(longer);
    assert_int_equal(send(world, client->peer, 40, all[0], true), -ENOENT);
    world_free(world);
}

static void test_a_message_may_follow_at_once(void **state unused)
{
    struct world_client *client;
    struct world *world = a_world(&client);
    uint16_t stream;
    const struct rtc_data_channel unordered = { .ordered = false };
    assert_int_equal(rtc_peer_data_open(client->peer, network_now(world->net), &unordered, &stream),
                     0);
    assert_int_equal(send(world, client->peer, stream, bytes_of_text("now"), true), 0);
    run(world);
    expect(client->server_peer, RTC_DATA_OPENED);
    expect_message(client->server_peer, stream, true, bytes_of_text("now"));
    world_free(world);
}

static void test_either_side_closes_and_the_id_is_free_again(void **state unused)
{
    struct world_client *client;
    struct world *world = a_world(&client);
    for (int round = 0; round < 4; round++) {
        struct rtc_peer *sides[2] = { client->peer, client->server_peer };
        uint16_t stream = open_channel(world, sides[round & 1], sides[!(round & 1)], &plain);
        assert_int_equal(stream, round & 1);
        struct rtc_peer *closer = sides[round / 2];
        assert_int_equal(send(world, closer, stream, bytes_of_text("bye"), true), 0);
        rtc_peer_data_close(closer, stream);
        assert_int_equal(send(world, closer, stream, bytes_of_text("late"), true), -ENOENT);
        run(world);
        struct rtc_peer *other = sides[!(round / 2)];
        expect_message(other, stream, true, bytes_of_text("bye"));
        expect_nothing(other); // it answers, then both have closed
        run(world);
        struct rtc_data_event event = expect(other, RTC_DATA_CLOSED);
        assert_int_equal(event.stream, stream);
        assert_null(event.reason);
        run(world);
        expect(closer, RTC_DATA_CLOSED);
        expect_nothing(closer);
    }
    world_free(world);
}

/** Until a peer has this event; others are not looked at. */
static void wait_for(struct world *world, struct rtc_peer *peer, enum rtc_data_event_kind kind)
{
    for (int i = 0; i < 4000; i++) {
        struct rtc_data_event event;
        while (rtc_peer_data_event(peer, &event)) {
            blob_unref(event.message);
            if (event.kind == kind)
                return;
        }
        network_run(world->net, time_from_ms(5));
    }
    fail_msg("an event of kind %d did not come", kind);
}

static void test_ids_are_used_again_at_once_whatever_gets_lost(void **state unused)
{
    struct world_client *client;
    struct world *world = a_world(&client);
    struct rtc_peer *server = client->server_peer;
    const struct network_pipe_config lossy = { .loss = 0.2, .delay_us = 5000 };
    network_pipe_set(network_uplink(client->endpoint), &lossy);
    network_pipe_set(network_downlink(client->endpoint), &lossy);
    for (int round = 0; round < 60; round++) {
        uint16_t stream;
        assert_int_equal(rtc_peer_data_open(client->peer, network_now(world->net), &plain, &stream),
                         0);
        assert_int_equal(stream, 0);
        wait_for(world, server, RTC_DATA_OPENED);
        assert_int_equal(send(world, client->peer, stream, bytes_of_text("x"), true), 0);
        wait_for(world, server, RTC_DATA_MESSAGE);
        int error;
        while ((error = send(world, server, stream, bytes_of_text("y"), true)) == -EAGAIN)
            network_run(world->net, time_from_ms(5));
        assert_int_equal(error, 0);
        wait_for(world, client->peer, RTC_DATA_MESSAGE);
        rtc_peer_data_close(client->peer, stream);
        for (bool closed = false; !closed;) {
            struct rtc_data_event event;
            while (!closed && rtc_peer_data_event(client->peer, &event))
                closed = event.kind == RTC_DATA_CLOSED;
            // the server's application looks all the time
            network_run(world->net, time_from_ms(5));
            if (!closed && rtc_peer_data_event(server, &event))
                assert_true(event.kind == RTC_DATA_CLOSED || event.kind == RTC_DATA_WRITABLE);
        }
    }
    world_free(world);
}

static void test_more_channels_than_allowed_are_refused(void **state unused)
{
    struct world_client *client;
    struct world *world = a_world(&client);
    struct rtc_peer *server = client->server_peer;
    for (uint32_t i = 0; i < RTC_DATA_CHANNELS_MAX; i++)
        open_channel(world, i & 1 ? client->peer : server, i & 1 ? server : client->peer, &plain);
    uint16_t stream;
    assert_int_equal(rtc_peer_data_open(server, network_now(world->net), &plain, &stream), -ENOSPC);
    // the client makes room at its side alone
    rtc_peer_data_close(client->peer, 0);
    run(world);
    run(world);
    expect_nothing(client->peer); // the server's application has not looked
    assert_int_equal(rtc_peer_data_open(client->peer, network_now(world->net), &plain, &stream),
                     -ENOSPC);
    expect_nothing(server);
    run(world);
    expect(server, RTC_DATA_CLOSED);
    run(world);
    expect(client->peer, RTC_DATA_CLOSED);
    open_channel(world, client->peer, server, &plain);
    world_free(world);
}

static void test_long_labels_are_refused(void **state unused)
{
    char label[RTC_DATA_LABEL_MAX + 1];
    memset(label, 'l', sizeof(label));
    struct rtc_data_channel channel = { .ordered = true, .label = bytes_of(label, sizeof(label)) };
    struct world_client *client;
    struct world *world = a_world(&client);
    uint16_t stream;
    assert_int_equal(rtc_peer_data_open(client->peer, 0, &channel, &stream), -EMSGSIZE);
    channel.label.size--;
    open_channel(world, client->peer, client->server_peer, &channel);
    world_free(world);
}

static void test_who_does_not_fetch_closes_the_window_and_costs_bounded_memory(void **state unused)
{
    static uint8_t bytes[50000];
    struct world_client *client;
    struct world *world = a_world(&client);
    uint16_t stream = open_channel(world, client->peer, client->server_peer, &plain);
    uint32_t sent = 0, received = 0;
    for (int i = 0; i < 100; i++) {
        while (send(world, client->peer, stream, bytes_of(bytes, sizeof(bytes)), false) == 0)
            sent++;
        network_run(world->net, time_from_ms(20));
    }
    assert_in_range(sent * sizeof(bytes), RTC_DATA_WINDOW + RTC_DATA_BUFFER_MAX / 2,
                    RTC_DATA_WINDOW + RTC_DATA_BUFFER_MAX + 200000);
    assert_int_equal(send(world, client->peer, stream, bytes_of(bytes, sizeof(bytes)), false),
                     -EAGAIN);
    expect_nothing(client->peer);
    // unfetched events are nothing that the peer has to be served for
    assert_true(rtc_peer_deadline(client->server_peer) > network_now(world->net));
    for (int i = 0; i < 20; i++) {
        struct rtc_data_event event;
        for (; rtc_peer_data_event(client->server_peer, &event); received++)
            blob_unref(event.message);
        run(world);
    }
    assert_int_equal(received, sent);
    assert_int_equal(expect(client->peer, RTC_DATA_WRITABLE).stream, stream);
    expect_nothing(client->peer);
    world_free(world);
}

static void test_the_section_may_come_later_and_end(void **state unused)
{
    struct world *world = world_new(78);
    struct world_client *client = world_add_client(world, 0);
    world_add_section(client, RTC_KIND_AUDIO, true);
    world_negotiate(client);
    assert_true(world_connect(world, time_from_s(5)));
    uint16_t stream;
    assert_int_equal(rtc_peer_data_open(client->peer, 0, &plain, &stream), -ENOTCONN);
    uint16_t section = world_add_section(client, RTC_KIND_DATA, false);
    world_negotiate(client);
    run(world);
    expect_nothing(client->peer);
    expect_nothing(client->server_peer);
    stream = open_channel(world, client->server_peer, client->peer, &plain);
    assert_int_equal(send(world, client->peer, stream, bytes_of_text("x"), true), 0);
    run(world);
    world_rest(client, section, true);
    run(world);
    assert_non_null(expect(client->peer, RTC_DATA_CLOSED).reason);
    assert_non_null(expect(client->server_peer, RTC_DATA_CLOSED).reason);
    assert_int_equal(send(world, client->peer, stream, bytes_of_text("x"), true), -ENOENT);
    assert_int_equal(rtc_peer_data_buffered(client->server_peer), 0);
    world_free(world);
}

static void test_a_restart_of_ice_changes_nothing(void **state unused)
{
    struct world_client *client;
    struct world *world = a_world(&client);
    uint16_t stream = open_channel(world, client->peer, client->server_peer, &plain);
    assert_int_equal(send(world, client->peer, stream, bytes_of_text("before"), true), 0);
    world_restart_ice(client);
    assert_int_equal(send(world, client->server_peer, stream, bytes_of_text("after"), true), 0);
    network_run(world->net, time_from_s(3));
    expect_message(client->server_peer, stream, true, bytes_of_text("before"));
    expect_message(client->peer, stream, true, bytes_of_text("after"));
    world_free(world);
}

static void test_a_goodbye_ends_the_channels_of_the_other_side(void **state unused)
{
    struct world_client *client;
    struct world *world = a_world(&client);
    open_channel(world, client->peer, client->server_peer, &plain);
    rtc_peer_close(client->server_peer);
    run(world);
    assert_non_null(expect(client->peer, RTC_DATA_CLOSED).reason);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels_are_opened_by_either_side),
        cmocka_unit_test(test_ids_follow_who_begins_dtls),
        cmocka_unit_test(test_messages_of_every_kind_and_size),
        cmocka_unit_test(test_a_message_may_follow_at_once),
        cmocka_unit_test(test_either_side_closes_and_the_id_is_free_again),
        cmocka_unit_test(test_ids_are_used_again_at_once_whatever_gets_lost),
        cmocka_unit_test(test_more_channels_than_allowed_are_refused),
        cmocka_unit_test(test_long_labels_are_refused),
        cmocka_unit_test(test_who_does_not_fetch_closes_the_window_and_costs_bounded_memory),
        cmocka_unit_test(test_the_section_may_come_later_and_end),
        cmocka_unit_test(test_a_restart_of_ice_changes_nothing),
        cmocka_unit_test(test_a_goodbye_ends_the_channels_of_the_other_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
