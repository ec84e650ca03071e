#include "sim/world_data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "support/check.h"

static struct world_data_client *data_client(struct world_data *data,
                                             const struct world_client *client)
{
    return &data->clients[client - data->world->clients];
}

static struct rtc_peer *server_peer(void *owner, handle session)
{
    return ((struct world_data_worker *)owner)->data->world->clients[session - 1].server_peer;
}

static int send_message(void *owner, uint64_t now_us, handle session, uint16_t stream,
                        struct blob *message, bool text)
{
    return rtc_peer_data_send(server_peer(owner, session), now_us, stream, message, text);
}

static int open_channel(void *owner, uint64_t now_us, handle session,
                        const struct rtc_data_channel *channel, uint16_t *ret_stream)
{
    return rtc_peer_data_open(server_peer(owner, session), now_us, channel, ret_stream);
}

static void close_channel(void *owner, handle session, uint16_t stream)
{
    rtc_peer_data_close(server_peer(owner, session), stream);
}

static void wake(void *owner, handle session)
{
    (void)owner;
    (void)session; // all peers are served after each step
}

static bool to_worker(void *owner, uint16_t worker, const struct data_message *message)
{
    struct world_data *data = ((struct world_data_worker *)owner)->data;
    assert_true(data->message_count < array_size(data->messages));
    data->messages[data->message_count].to = worker;
    data->messages[data->message_count++].message = *message;
    return true;
}

static const struct data_hub_ops data_ops = { send_message, open_channel, close_channel, wake,
                                              to_worker };

static void take_server_event(struct data_hub *hub, uint64_t now_us, handle session,
                              const struct rtc_data_event *event)
{
    switch (event->kind) {
    case RTC_DATA_OPENED:
        if (!event->ours)
            data_hub_opened(hub, now_us, session, event->stream, event->channel);
        break;
    case RTC_DATA_MESSAGE:
        data_hub_input(hub, now_us, session, event->stream, event->text, event->message);
        break;
    case RTC_DATA_CLOSED:
        data_hub_closed(hub, now_us, session, event->stream);
        break;
    case RTC_DATA_WRITABLE:
        break;
    }
}

static void deliver(struct world_data *data, uint64_t now_us)
{
    // what is said while we deliver is appended
    for (size_t i = 0; i < data->message_count; i++) {
        struct data_message message = data->messages[i].message;
        data_hub_message_input(data->hubs[data->messages[i].to], now_us, &message);
    }
    data->message_count = 0;
}

static void serve_server(void *owner, uint64_t now_us)
{
    struct world_data *data = owner;
    for (uint32_t i = 0; i < data->world->client_count; i++) {
        const struct world_client *client = &data->world->clients[i];
        struct data_hub *hub = data->hubs[client->worker];
        struct rtc_data_event event;
        if (!client->server_peer)
            continue;
        data_hub_serve(hub, now_us, data->clients[i].peer);
        while (data_hub_reads(data->clients[i].peer) &&
               rtc_peer_data_event(client->server_peer, &event)) {
            take_server_event(hub, now_us, client->session, &event);
            deliver(data, now_us);
        }
    }
    if (now_us >= data->tick_us) {
        data->tick_us = now_us + time_from_ms(20);
        for (int i = 0; i < WORLD_WORKERS; i++)
            data_hub_tick(data->hubs[i], now_us);
    }
    deliver(data, now_us);
}

/** The number, then bytes that follow from it. */
static struct blob *make_message(uint32_t number, size_t size)
{
    uint8_t *at;
    struct blob *blob = blob_new_uninit(size, &at);
    assert_non_null(blob);
    store_u32(at, number);
    memset(at + 4, (int)(number & 0xff), size - 4);
    return blob;
}

static void take_message(struct world_data_client *client, struct blob *message)
{
    struct bytes bytes = blob_bytes(message);
    uint32_t number = load_u32(bytes.data);
    client->received++;
    client->disordered += number + 1 < client->newest;
    client->newest = max_of(client->newest, number + 1);
    for (size_t i = 4; i < bytes.size; i++) {
        if (bytes.data[i] != (number & 0xff)) {
            client->spoilt++;
            break;
        }
    }
    blob_unref(message);
}

static void send_on(struct world_data_client *client, uint64_t now_us)
{
    while (client->to_send > 0 && client->opened && !client->closed) {
        struct blob *blob = make_message(client->sent, client->size);
        int result = rtc_peer_data_send(client->client->peer, now_us, client->stream, blob, false);
        blob_unref(blob);
        if (result < 0) {
            assert_int_equal(result, -EAGAIN);
            return;
        }
        client->sent++;
        client->to_send--;
    }
}

static void take_opened(struct world_data_client *client, const struct rtc_data_event *event)
{
    struct bytes label = event->channel->label;
    client->stream = event->stream;
    client->channel = *event->channel;
    client->channel.label = client->channel.protocol = bytes_of(NULL, 0);
    snprintf(client->label, sizeof(client->label), "%.*s", (int)label.size,
             (const char *)label.data);
}

static void serve_client(void *owner, uint64_t now_us, struct world_client *client)
{
    struct world_data_client *mine = data_client(owner, client);
    struct rtc_data_event event;
    while (!mine->lazy && rtc_peer_data_event(client->peer, &event)) {
        if (event.kind == RTC_DATA_MESSAGE)
            take_message(mine, event.message);
        if (event.kind == RTC_DATA_OPENED && !event.ours)
            take_opened(mine, &event);
        mine->opened |= event.kind == RTC_DATA_OPENED;
        mine->closed |= event.kind == RTC_DATA_CLOSED;
    }
    send_on(mine, now_us);
}

struct world_data *world_data_new(struct world *world)
{
    struct world_data *data = memory_new(struct world_data);
    data->world = world;
    for (uint16_t i = 0; i < WORLD_WORKERS; i++) {
        data->workers[i] = (struct world_data_worker){ data, i };
        struct data_hub_config config = {
            .worker = i, .worker_count = WORLD_WORKERS, .ops = &data_ops, .owner = &data->workers[i]
        };
        data->hubs[i] = data_hub_new(&config);
    }
    world->extension = (struct world_extension){ serve_server, serve_client, data };
    return data;
}

void world_data_free(struct world_data *data)
{
    uint64_t now_us = network_now(data->world->net);
    for (uint32_t i = 0; i < data->world->client_count; i++) {
        const struct world_client *client = &data->world->clients[i];
        data_hub_peer_remove(data->hubs[client->worker], now_us, client->session);
    }
    deliver(data, now_us);
    for (int i = 0; i < WORLD_WORKERS; i++)
        data_hub_free(data->hubs[i]);
    data->world->extension = (struct world_extension){ 0 };
    free(data);
}

static struct world_data_client *add(struct world_data *data, uint16_t worker,
                                     const struct data_member *like)
{
    struct world_client *client = world_add_client(data->world, worker);
    struct world_data_client *mine = data_client(data, client);
    mine->client = client;
    world_add_section(client, RTC_KIND_DATA, false);
    struct data_member member = *like;
    member.id[0] = 'm';
    member.id[1] = (char)('0' + client->session);
    member.may_send = true;
    mine->peer = data_hub_peer_add(data->hubs[worker], client->session, &member);
    world_negotiate(client);
    return mine;
}

struct world_data_client *world_data_add(struct world_data *data, uint16_t worker)
{
    return add(data, worker, &(struct data_member){ .room = 1 });
}

struct world_data_client *world_data_add_side(struct world_data *data, uint16_t worker,
                                              handle other)
{
    struct world_data_client *mine = add(data, worker, &(struct data_member){ .call = other });
    rtc_peer_data_take_negotiated(mine->client->server_peer);
    return mine;
}

static void open_channel_of(struct world_data_client *client,
                            const struct rtc_data_channel *channel)
{
    struct network *net = client->client->world->net;
    client->opened = client->closed = false;
    // keys are there, the association takes another round trip or two
    int result = -ENOTCONN;
    for (int i = 0; result == -ENOTCONN && i < 100; i++) {
        result =
            rtc_peer_data_open(client->client->peer, network_now(net), channel, &client->stream);
        if (result == -ENOTCONN)
            network_run(net, time_from_ms(20));
    }
    assert_int_equal(result, 0);
}

void world_data_open_negotiated(struct world_data_client *client, uint16_t stream)
{
    open_channel_of(client, &(struct rtc_data_channel){
                                .ordered = true, .negotiated = true, .stream = stream });
    client->opened = true;
}

void world_data_open(struct world_data_client *client, bool ordered,
                     enum rtc_data_reliability reliability, uint32_t limit)
{
    struct rtc_data_channel channel = {
        .ordered = ordered, .reliability = reliability, .limit = limit, .label = bytes_of_text("c")
    };
    open_channel_of(client, &channel);
}

bool world_data_is_open(const struct world_data *data)
{
    for (uint32_t i = 0; i < data->world->client_count; i++) {
        if (!data->clients[i].opened)
            return false;
    }
    return true;
}

void world_data_send(struct world_data_client *client, uint32_t count, size_t size)
{
    client->size = size;
    client->to_send += count;
    send_on(client, network_now(client->client->world->net));
}

uint64_t world_data_metric(const struct world_data *data, enum data_metric metric)
{
    uint64_t sum = 0;
    for (int i = 0; i < WORLD_WORKERS; i++)
        sum += metric_get(&data_hub_metrics(data->hubs[i], "").values[metric]);
    return sum;
}
