// Data messages between clients of several real workers: threads, queues, and sessions that end.
#include <errno.h>

#include "rtc/data.h"
#include "unit/server/media_live.h"

#define ROOM         7
#define MESSAGE_SIZE 2000

/** What a client has of its channel "c"; by its place among the live clients. */
struct channel {
    bool opened, closed;
    uint16_t stream;
    uint32_t sent, to_send;
    uint32_t received[CLIENTS]; /**< by sender; they are numbered from 0 */
    uint32_t from_server;
};

static struct channel channels[CLIENTS];

static uint32_t index_of(const struct client *client)
{
    return (uint32_t)(client - client->live->clients);
}

static struct client *add_data_client(struct live *live)
{
    struct client *client = &live->clients[live->client_count++];
    *client = (struct client){ .live = live };
    channels[index_of(client)] = (struct channel){ 0 };
    client->port = open_socket(client);
    client->sections[0] = (struct rtc_client_section){ .kind = RTC_KIND_DATA };
    client->offer.section_count = 1;
    new_credentials(client);
    char member[] = { 'm', (char)('0' + index_of(client)), 0 };
    struct media_session_config config = { .loopback = true, .group = ROOM, .member = member };
    assert_int_equal(live->control->session_open(live->control, &config, &client->session), 0);
    client->open = true;
    negotiate(client);
    return client;
}

static void take_message(struct channel *channel, struct blob *message)
{
    struct bytes bytes = blob_bytes(message);
    if (bytes.size == 4) {
        channel->from_server++;
    } else {
        assert_int_equal(bytes.size, MESSAGE_SIZE);
        uint32_t from = load_u32(bytes.data);
        assert_true(from < CLIENTS);
        assert_int_equal(load_u32(bytes.data + 4), channel->received[from]);
        channel->received[from]++;
    }
    blob_unref(message);
}

static void send_on(struct client *client)
{
    struct channel *channel = &channels[index_of(client)];
    while (channel->opened && channel->to_send > 0) {
        uint8_t *at;
        struct blob *blob = blob_new_uninit(MESSAGE_SIZE, &at);
        assert_non_null(blob);
        memset(at, 0, MESSAGE_SIZE);
        store_u32(at, index_of(client));
        store_u32(at + 4, channel->sent);
        int result = rtc_peer_data_send(client->peer, clock_now_us(), channel->stream, blob, false);
        blob_unref(blob);
        if (result < 0)
            return;
        channel->sent++;
        channel->to_send--;
    }
}

static void data_turn(struct live *live)
{
    turn(live);
    for (uint32_t i = 0; i < live->client_count; i++) {
        struct client *client = &live->clients[i];
        struct rtc_data_event event;
        if (!client->peer)
            continue;
        while (rtc_peer_data_event(client->peer, &event)) {
            if (event.kind == RTC_DATA_MESSAGE)
                take_message(&channels[i], event.message);
            channels[i].opened |= event.kind == RTC_DATA_OPENED;
            channels[i].closed |= event.kind == RTC_DATA_CLOSED;
        }
        send_on(client);
    }
}

#define until_data(live, condition)                                                                \
    do {                                                                                           \
        uint64_t end_us = clock_now_us() + DEADLINE_US;                                            \
        while (!(condition)) {                                                                     \
            assert_true(clock_now_us() < end_us);                                                  \
            data_turn(live);                                                                       \
        }                                                                                          \
    } while (0)

static void open_channel(struct client *client)
{
    struct rtc_data_channel channel = { .ordered = true, .label = bytes_of_text("c") };
    struct channel *mine = &channels[index_of(client)];
    until_data(client->live, rtc_peer_data_open(client->peer, clock_now_us(), &channel,
                                                &mine->stream) != -ENOTCONN);
    until_data(client->live, mine->opened);
}

/** Clients on two workers at least, each with a channel that all workers know of. */
static struct live *a_data_room(void)
{
    struct live *live = live_new();
    for (int i = 0; i < 4; i++)
        add_data_client(live);
    until_data(live, all_reported(live));
    while (busy_workers(live) < 2 && live->client_count < CLIENTS) {
        add_data_client(live);
        until_data(live, all_reported(live));
    }
    for (uint32_t i = 0; i < live->client_count; i++)
        open_channel(&live->clients[i]);
    return live;
}

/** Everyone has so many messages of everyone else. */
static bool all_have(const struct live *live, uint32_t count)
{
    for (uint32_t i = 0; i < live->client_count; i++) {
        for (uint32_t from = 0; from < live->client_count; from++) {
            if (from != i && live->clients[i].peer && live->clients[from].peer &&
                channels[i].received[from] < count)
                return false;
        }
    }
    return true;
}

static void test_messages_cross_workers_whole_and_in_order(void **state)
{
    (void)state;
    struct live *live = a_data_room();
    for (uint32_t i = 0; i < live->client_count; i++)
        channels[i].to_send = 300;
    until_data(live, all_have(live, 300));
    for (uint32_t i = 0; i < live->client_count; i++)
        assert_false(channels[i].closed);
    if (busy_workers(live) > 1)
        assert_true(counted(live, "data_messages_to_workers_total", NULL) > 0);
    assert_int_equal(counted(live, "data_channels", NULL), live->client_count);
    live_free(live);
}

static void test_the_server_speaks_and_decides_who_may(void **state)
{
    (void)state;
    struct live *live = a_data_room();
    const char *to[] = { "m1", "m2" };
    struct media_data data = { .group = ROOM,
                               .to = to,
                               .to_count = 2,
                               .label = bytes_of_text("c"),
                               .content = bytes_of_text("word") };
    assert_int_equal(live->control->data_send(live->control, &data), 0);
    until_data(live, channels[1].from_server == 1 && channels[2].from_server == 1);
    assert_int_equal(channels[0].from_server, 0);
    assert_int_equal(channels[3].from_server, 0);

    live->control->data_permit(live->control, live->clients[0].session, false);
    channels[0].to_send = 10;
    until_data(live, counted(live, "data_dropped_total", "reason=\"not_permitted\"") == 10);
    for (uint32_t i = 1; i < live->client_count; i++)
        assert_int_equal(channels[i].received[0], 0);
    live_free(live);
}

static void test_sessions_end_while_messages_are_under_way(void **state)
{
    (void)state;
    struct live *live = a_data_room();
    for (uint32_t i = 0; i < live->client_count; i++)
        channels[i].to_send = 400;
    until_data(live, channels[1].received[0] > 100);
    live->control->session_close(live->control, live->clients[2].session);
    rtc_peer_free(live->clients[2].peer);
    live->clients[2].peer = NULL;
    until_data(live, all_have(live, 400));
    until_data(live, counted(live, "data_channels", NULL) == live->client_count - 1u);
    // and the host stops in the middle
    for (uint32_t i = 0; i < live->client_count; i++)
        channels[i].to_send = 400;
    until_data(live, channels[1].received[0] > 450);
    live_free(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_cross_workers_whole_and_in_order),
        cmocka_unit_test(test_the_server_speaks_and_decides_who_may),
        cmocka_unit_test(test_sessions_end_while_messages_are_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
