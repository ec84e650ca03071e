#include "sim/world_int.h"

#include <string.h>

#include "rtc/peer.h"
#include "support/check.h"

#define IDLE_TICK_US 20000

static void extend_server(struct world *world, uint64_t now_us)
{
    if (world->extension.server)
        world->extension.server(world->extension.owner, now_us);
}

static bool to_worker(void *owner, uint16_t worker, const struct exchange_message *message)
{
    struct world *world = ((struct world_worker *)owner)->world;
    assert_true(world->message_count < array_size(world->messages));
    if (world->lost_kinds & 1u << message->kind)
        return false;
    world->burst_messages += message->kind == EXCHANGE_BURST;
    world->clock_messages += message->kind == EXCHANGE_CLOCK;
    world->messages[world->message_count++] = (struct world_message){ worker, *message };
    return true;
}

static void to_control(void *owner, const struct media_event *event)
{
    struct world *world = ((struct world_worker *)owner)->world;
    world->live_events += event->kind == MEDIA_EVENT_TRACK_LIVE;
    world->silent_events += event->kind == MEDIA_EVENT_TRACK_SILENT;
    for (uint32_t i = 0; i < world->client_count; i++) {
        struct world_client *client = &world->clients[i];
        if (client->session == event->session && event->kind == MEDIA_EVENT_DEMAND)
            client->demand = event->demand;
        if (client->session == event->session && event->kind == MEDIA_EVENT_PAUSED)
            client->pause = event->pause;
    }
    if (event->kind != MEDIA_EVENT_LAYERS)
        return;
    world->layer_events++;
    memcpy(world->layers, event->layers, sizeof(world->layers));
}

static void wake(void *owner, handle session unused)
{
    ((struct world_worker *)owner)->awake = true;
}

const struct exchange_ops world_exchange_ops = { to_worker, to_control, wake };

static void take_server_events(struct world_client *client, uint64_t now_us,
                               struct datagram_batch *batch)
{
    struct world_worker *worker = &client->world->workers[client->worker];
    struct rtc_event event;
    while (rtc_peer_event(client->server_peer, &event)) {
        if (event.kind == RTC_EVENT_CONNECTED || event.kind == RTC_EVENT_RECONNECTED) {
            client->server_connected = true;
            exchange_peer_ready(worker->exchange, now_us, client->session, batch);
        }
        if (event.kind == RTC_EVENT_DISCONNECTED)
            client->server_disconnected = true;
        exchange_peer_event(worker->exchange, now_us, client->session, &event, batch);
    }
}

static void deliver_messages(struct world *world, uint64_t now_us, struct datagram_batch *batch)
{
    for (size_t i = 0; i < world->message_count; i++) {
        struct world_message message = world->messages[i];
        exchange_message_input(world->workers[message.to].exchange, now_us, &message.message,
                               batch);
    }
    world->message_count = 0;
}

struct datagram_batch *world_pending(struct world *world)
{
    static struct datagram_batch batch; // one world at a time
    (void)world;
    if (!batch.bytes)
        datagram_batch_init(&batch, 1u << 22, 4096);
    return &batch;
}

void world_deliver(struct world *world)
{
    deliver_messages(world, network_now(world->net), world_pending(world));
}

static void server_input(void *owner, uint64_t now_us, const struct net_path *path,
                         struct bytes datagram)
{
    struct world *world = owner;
    for (uint32_t i = 0; i < world->client_count; i++) {
        struct world_client *client = &world->clients[i];
        if (!client->server_peer || !net_address_same_ip(&client->address, &path->remote))
            continue;
        struct rtc_media media = { .count = 0 };
        (void)rtc_peer_input(client->server_peer, now_us, path, datagram, &media);
        exchange_media(world->workers[client->worker].exchange, now_us, client->session, &media,
                       world_pending(world));
        take_server_events(client, now_us, world_pending(world));
        deliver_messages(world, now_us, world_pending(world));
    }
    extend_server(world, now_us);
}

static void server_tick(void *owner, uint64_t now_us)
{
    struct world *world = owner;
    for (uint32_t i = 0; i < world->client_count; i++) {
        struct world_client *client = &world->clients[i];
        if (!client->server_peer)
            continue;
        rtc_peer_tick(client->server_peer, now_us);
        take_server_events(client, now_us, world_pending(world));
    }
    for (int i = 0; i < WORLD_WORKERS; i++) {
        if (world->workers[i].tick_us > now_us)
            continue;
        uint64_t next_us = exchange_tick(world->workers[i].exchange, now_us, world_pending(world));
        bool idle = next_us >= now_us + IDLE_TICK_US;
        world->workers[i].tick_us = idle ? max_of(next_us, now_us + world->idle_us) : next_us;
    }
    deliver_messages(world, now_us, world_pending(world));
    extend_server(world, now_us);
}

static uint64_t server_deadline(void *owner)
{
    struct world *world = owner;
    uint64_t deadline_us = TIME_NEVER;
    for (int i = 0; i < WORLD_WORKERS; i++)
        deadline_us = time_earlier(deadline_us, world->workers[i].tick_us);
    for (uint32_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].server_peer)
            deadline_us =
                time_earlier(deadline_us, rtc_peer_deadline(world->clients[i].server_peer));
    }
    return datagram_batch_empty(world_pending(world)) ? deadline_us : 0;
}

static void server_output(void *owner, uint64_t now_us, struct datagram_batch *batch)
{
    struct world *world = owner;
    world_move_batch(world_pending(world), batch);
    for (uint32_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].server_peer)
            rtc_peer_output(world->clients[i].server_peer, now_us, batch);
    }
}

const struct network_ops world_server_ops = { server_input, server_tick, server_deadline,
                                              server_output };

void world_show(struct world_client *subscriber, uint16_t slot, struct world_client *publisher,
                uint16_t publication)
{
    struct world *world = subscriber->world;
    struct track_key key = { .session = publisher->session, .section = publication };
    const struct rtc_section *section =
        &rtc_params_get(publisher->server_params)->sections[publication];
    assert_int_equal(exchange_slot_set(world->workers[subscriber->worker].exchange,
                                       network_now(world->net), subscriber->session, slot, &key,
                                       publisher->worker, section),
                     0);
    world_deliver(world);
}

void world_wish(struct world_client *subscriber, uint16_t slot, const struct media_wish *wish)
{
    exchange_slot_wish(subscriber->world->workers[subscriber->worker].exchange, subscriber->session,
                       slot, wish);
}

void world_group(struct world_client *publisher, uint16_t publication, uint32_t places)
{
    struct track_key key = { .session = publisher->session, .section = publication };
    for (int i = 0; i < WORLD_WORKERS; i++)
        exchange_publication_group(publisher->world->workers[i].exchange, &key, WORLD_GROUP,
                                   places);
}
