#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "crypto/x509.h"
#include "proto/dtls/dtls.h"
#include "proto/ice/ice_candidate.h"
#include "rtc/peer_int.h"
#include "support/check.h"

#define FRAME_US              33333
#define IDLE_TICK_US          20000
#define PACKETS_A_FRAME       4
#define PACKET_PAYLOAD        1000
#define AUDIO_PAYLOAD         160
#define KEY_FRAME_EVERY       300
#define LAYER_KEY_FRAME_EVERY 30

static void extend_server(struct world *world, uint64_t now_us)
{
    if (world->extension.server)
        world->extension.server(world->extension.owner, now_us);
}

static void extend_client(struct world_client *client, uint64_t now_us)
{
    const struct world_extension *extension = &client->world->extension;
    if (extension->client)
        extension->client(extension->owner, now_us, client);
}

// The server's side

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
    for (uint32_t i = 0; event->kind == MEDIA_EVENT_DEMAND && i < world->client_count; i++) {
        if (world->clients[i].session == event->session)
            world->clients[i].demand = event->demand;
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

static const struct exchange_ops exchange_ops = { to_worker, to_control, wake };

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

/** What the server's engines wrote while it took input waits here for the next output. */
static struct datagram_batch *pending(struct world *world)
{
    static struct datagram_batch batch; // one world at a time
    (void)world;
    if (!batch.bytes)
        datagram_batch_init(&batch, 1u << 22, 4096);
    return &batch;
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
                       pending(world));
        take_server_events(client, now_us, pending(world));
        deliver_messages(world, now_us, pending(world));
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
        take_server_events(client, now_us, pending(world));
    }
    for (int i = 0; i < WORLD_WORKERS; i++) {
        if (world->workers[i].tick_us > now_us)
            continue;
        uint64_t next_us = exchange_tick(world->workers[i].exchange, now_us, pending(world));
        bool idle = next_us >= now_us + IDLE_TICK_US;
        world->workers[i].tick_us = idle ? max_of(next_us, now_us + world->idle_us) : next_us;
    }
    deliver_messages(world, now_us, pending(world));
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
    return datagram_batch_empty(pending(world)) ? deadline_us : 0;
}

static void move_batch(struct datagram_batch *from, struct datagram_batch *to)
{
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *data;
    size_t size;
    while (datagram_batch_next(from, &cursor, &path, &data, &size))
        datagram_batch_add(to, &path, data, size);
    datagram_batch_clear(from);
}

static void server_output(void *owner, uint64_t now_us, struct datagram_batch *batch)
{
    struct world *world = owner;
    move_batch(pending(world), batch);
    for (uint32_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].server_peer)
            rtc_peer_output(world->clients[i].server_peer, now_us, batch);
    }
}

static const struct network_ops server_ops = { server_input, server_tick, server_deadline,
                                               server_output };

// The client's side

static void count_received(struct world_client *client, uint16_t section, struct packet *packet)
{
    struct world_received *received = &client->received[section];
    const struct media_info *info = media_info_of(packet);
    uint16_t place = (uint16_t)info->sequence;
    bool seen = received->seen[place / 8] & 1u << place % 8;
    if (seen && info->repaired) {
        // a probe's filler, or a repair that was not needed any more
        received->repeated++;
        return;
    }
    received->packets++;
    if (!seen) {
        received->seen[place / 8] = (uint8_t)(received->seen[place / 8] | 1u << place % 8);
        received->distinct++;
    }
    if (received->oldest == 0 || info->sequence < received->oldest)
        received->oldest = info->sequence;
    received->newest = max_of(received->newest, info->sequence);
    received->key_frames += info->key_frame;
    received->frames += info->marker;
    struct bytes delay =
        rtp_extensions_get(&info->extensions, RTP_EXTENSION_PLAYOUT_DELAY, packet->bytes);
    if (delay.size == 3) {
        received->delays_told++;
        received->delay = load_u24(delay.data);
    }
    struct bytes payload = media_payload_of(packet);
    if (payload.size >= 20) {
        received->last_frame = load_u32(payload.data + payload.size - 8);
        received->layer = payload.data[payload.size - 9];
        received->last_timestamp = info->timestamp;
        received->publisher = load_u32(payload.data + payload.size - 4);
    }
}

static struct rtc_outgoing outgoing_of(const struct world_client *client, uint16_t section,
                                       const struct media_info *info)
{
    bool video = client->sections[section].kind == RTC_KIND_VIDEO;
    return (struct rtc_outgoing){
        .sequence = info->sequence,
        .timestamp = info->timestamp,
        .payload_type = video ? RTC_CLIENT_VP8 : RTC_CLIENT_OPUS,
    };
}

static void repair(struct world_client *client, uint64_t now_us, const struct rtc_event *event)
{
    for (uint16_t i = 0; i < event->lost_count; i++) {
        uint64_t newest = client->output[event->section] - 1;
        uint64_t lost = newest - (uint16_t)((uint16_t)newest - event->lost[i]);
        struct packet *packet = packet_ring_find(&client->sent[event->section], lost);
        if (!packet)
            continue;
        struct rtc_outgoing outgoing = outgoing_of(client, event->section, media_info_of(packet));
        rtc_sender_resend(rtc_peer_sender(client->peer, event->section), now_us, &client->repairs,
                          packet, &outgoing);
    }
}

static void take_client_events(struct world_client *client, uint64_t now_us)
{
    struct rtc_event event;
    while (rtc_peer_event(client->peer, &event)) {
        if (event.kind == RTC_EVENT_NACK)
            repair(client, now_us, &event);
        if (event.kind == RTC_EVENT_CLOCK)
            client->received[event.section].clock = event.clock;
        client->connected |= event.kind == RTC_EVENT_CONNECTED;
        client->failed |= event.kind == RTC_EVENT_FAILED;
        client->key_frames_asked += event.kind == RTC_EVENT_KEY_FRAME_WANTED;
        if (event.kind == RTC_EVENT_KEY_FRAME_WANTED)
            client->key_frame_next = true;
    }
}

static void client_input(void *owner, uint64_t now_us, const struct net_path *path,
                         struct bytes datagram)
{
    struct world_client *client = owner;
    struct rtc_media media = { .count = 0 };
    // RFC 7983 and RFC 5761: RTP, not RTCP
    if (client->tap && datagram.size > 12 && datagram.data[0] >> 6 == 2 &&
        (datagram.data[1] < 192 || datagram.data[1] > 223)) {
        uint8_t plain[PACKET_BYTES_MAX];
        ssize_t size =
            secure_rtp_unprotect(client->peer->receiving, datagram, plain, sizeof(plain), NULL);
        if (size > 0)
            client->tap(client->tap_owner, bytes_of(plain, (size_t)size));
        return;
    }
    (void)rtc_peer_input(client->peer, now_us, path, datagram, &media);
    for (uint32_t i = 0; i < media.count; i++) {
        count_received(client, media.sections[i], media.packets[i]);
        if (client->take)
            client->take(client->taker, media.sections[i], media.packets[i]);
        packet_unref(media.packets[i]);
    }
    take_client_events(client, now_us);
    extend_client(client, now_us);
}

static void client_tick(void *owner, uint64_t now_us)
{
    struct world_client *client = owner;
    rtc_peer_tick(client->peer, now_us);
    take_client_events(client, now_us);
    extend_client(client, now_us);
}

static uint64_t client_deadline(void *owner)
{
    struct world_client *client = owner;
    uint64_t deadline_us = rtc_peer_deadline(client->peer);
    if (!datagram_batch_empty(&client->repairs))
        return 0;
    return client->publishing ? time_earlier(deadline_us, client->next_frame_us) : deadline_us;
}

/** Each layer is four times as dear as the one below it. */
static uint16_t layer_payload(uint32_t layer)
{
    return (uint16_t)(PACKET_PAYLOAD >> (2 * (WORLD_LAYERS - 1 - layer)));
}

static bool is_key_frame(const struct world_client *client)
{
    bool simulcast = client->layers[0].rewriter.one_byte.size > 0;
    return client->key_frame_next ||
           client->frame % (simulcast ? LAYER_KEY_FRAME_EVERY : KEY_FRAME_EVERY) == 0;
}

static uint32_t parts_of_frame(const struct world_client *client)
{
    return is_key_frame(client) && client->key_frame_parts > 0 ? client->key_frame_parts
                                                               : PACKETS_A_FRAME;
}

/** From one frame to the next on a clock of so many kHz. */
static uint32_t units_of_frame(const struct world_client *client, uint32_t khz)
{
    return client->frame_us > 0 ? client->frame_us / 1000 * khz : khz * 100 / 3;
}

uint64_t world_frame_us(const struct world_client *publisher)
{
    int64_t nominal_us = publisher->frame_us > 0 ? publisher->frame_us : FRAME_US;
    return (uint64_t)(nominal_us - nominal_us * publisher->fast_ppm / 1000000);
}

/**
 * One RTP payload: a VP8 descriptor (RFC 7741, 4.2) and header, filler, and at its end the frame's
 * number and the publisher's name.
 */
static void fill_payload(struct world_client *client, struct packet *packet, uint32_t part,
                         bool video, uint32_t layer)
{
    struct media_info *info = media_info_of(packet);
    uint8_t *payload = packet->bytes;
    uint16_t size = video ? layer_payload(layer) : AUDIO_PAYLOAD;
    memset(payload, 0xaa, size);
    bool key = is_key_frame(client);
    if (video) {
        payload[0] = part == 0 ? 0x10 : 0x00; // S: start of a partition
        payload[1] = part == 0 ? (key ? 0x10 : 0x11) : 0xaa;
        static const uint8_t start_code[] = { 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02 };
        if (part == 0 && key) {
            memcpy(payload + 4, start_code, sizeof(start_code));
            uint32_t halvings = WORLD_LAYERS - 1 - layer;
            payload[7] = (uint8_t)(1280 >> halvings);
            payload[8] = (uint8_t)(1280 >> halvings >> 8);
            payload[9] = (uint8_t)(720 >> halvings);
            payload[10] = (uint8_t)(720 >> halvings >> 8);
        }
    }
    payload[size - 9] = 0;
    store_u32(payload + size - 8, client->frame);
    store_u32(payload + size - 4, client->name);
    *info = (struct media_info){
        .timestamp = video ? client->video_timestamp + client->frame * units_of_frame(client, 90)
                           : client->frame * units_of_frame(client, 48),
        .payload_size = size,
        .marker = part == (video ? parts_of_frame(client) : 1) - 1,
        .codec = video ? CODEC_VP8 : CODEC_OPUS,
    };
    if (!video && client->audio_level > 0) {
        packet->bytes[size + 1] = 0x80 | client->audio_level;
        info->extensions.present = RTP_EXTENSION_BIT(RTP_EXTENSION_AUDIO_LEVEL);
        info->extensions.places[RTP_EXTENSION_AUDIO_LEVEL].at = (uint16_t)(size + 1);
        info->extensions.places[RTP_EXTENSION_AUDIO_LEVEL].size = 1;
    }
}

static void publish_layer(struct world_client *client, uint32_t number,
                          struct datagram_batch *batch)
{
    struct world_layer *layer = &client->layers[number];
    for (uint32_t part = 0; !layer->paused && part < parts_of_frame(client); part++) {
        struct packet *packet = packet_pool_take(&client->pool);
        assert_non_null(packet);
        fill_payload(client, packet, part, true, number);
        packet->bytes[layer_payload(number) - 9] = (uint8_t)number;
        const struct media_info *info = media_info_of(packet);
        struct rtp_rewrite fields = { .timestamp = info->timestamp + number * 777777,
                                      .sequence = layer->sequence++,
                                      .payload_type = RTC_CLIENT_VP8,
                                      .marker = info->marker };
        uint8_t *at = datagram_batch_reserve(batch, DATAGRAM_SIZE_MAX);
        assert_non_null(at);
        struct rtp_rewritten header = rtp_rewriter_write(&layer->rewriter, &fields, NULL, NULL, at);
        ssize_t size =
            secure_rtp_protect(client->peer->sending, &layer->index, bytes_of(at, header.size),
                               bytes_of(packet->bytes, info->payload_size), at, DATAGRAM_SIZE_MAX);
        assert_true(size > 0);
        datagram_batch_commit(batch, &client->peer->path, (size_t)size);
        packet_unref(packet);
    }
}

void world_send(struct world_client *client, uint16_t section, uint64_t now_us,
                struct datagram_batch *batch, struct packet *packet)
{
    media_info_of(packet)->sequence = client->output[section]++;
    struct rtc_outgoing outgoing = outgoing_of(client, section, media_info_of(packet));
    packet_ring_put(&client->sent[section], packet);
    rtc_sender_send(rtc_peer_sender(client->peer, section), now_us, batch, packet, &outgoing);
    packet_unref(packet);
}

static void publish_frame(struct world_client *client, uint64_t now_us,
                          struct datagram_batch *batch)
{
    for (uint16_t i = 0; i < client->offer.section_count; i++) {
        struct rtc_sender *sender = rtc_peer_sender(client->peer, i);
        bool video = client->sections[i].kind == RTC_KIND_VIDEO;
        if (client->produce) {
            client->produce(client->producer, i, now_us, batch);
            continue;
        }
        if (client->sections[i].rid_count > 0) {
            for (uint32_t layer = 0; layer < WORLD_LAYERS; layer++)
                publish_layer(client, layer, batch);
            continue;
        }
        for (uint32_t part = 0; sender && part < (video ? parts_of_frame(client) : 1); part++) {
            struct packet *packet = packet_pool_take(&client->pool);
            assert_non_null(packet);
            fill_payload(client, packet, part, video, WORLD_LAYERS - 1);
            media_info_of(packet)->sequence = client->output[i]++;
            struct rtc_outgoing outgoing = outgoing_of(client, i, media_info_of(packet));
            packet_ring_put(&client->sent[i], packet);
            uint8_t red[REDUNDANCY_SIZE_MAX];
            size_t red_size =
                !video && client->sends_red
                    ? redundancy_write(&client->sent[i], packet, 2, RTC_CLIENT_OPUS, red)
                    : 0;
            if (red_size > 0) {
                outgoing.payload = bytes_of(red, red_size);
                outgoing.payload_type = RTC_CLIENT_RED;
            }
            rtc_sender_send(sender, now_us, batch, packet, &outgoing);
            packet_unref(packet);
        }
    }
    client->frame++;
    client->key_frame_next = false;
}

static void client_output(void *owner, uint64_t now_us, struct datagram_batch *batch)
{
    struct world_client *client = owner;
    rtc_peer_output(client->peer, now_us, batch);
    move_batch(&client->repairs, batch);
    if (!client->publishing || client->next_frame_us > now_us)
        return;
    publish_frame(client, now_us, batch);
    client->next_frame_us = now_us + world_frame_us(client);
}

static const struct network_ops client_ops = { client_input, client_tick, client_deadline,
                                               client_output };

// Setting up

static struct certificate *make_certificate(struct random *random)
{
    struct certificate_request request = {
        .common_name = "roost",
        .not_before_unix_s = 1700000000,
        .not_after_unix_s = 4000000000,
    };
    struct certificate *certificate = NULL;
    assert_int_equal(certificate_make(&request, random, &certificate), 0);
    return certificate;
}

struct world *world_new(uint64_t seed)
{
    struct world *world = memory_new(struct world);
    world->net = network_new(seed);
    world->server_certificate = make_certificate(network_random(world->net));
    world->client_certificate = make_certificate(network_random(world->net));
    assert_int_equal(dtls_context_new(world->server_certificate, NULL, &world->server_dtls), 0);
    assert_int_equal(dtls_context_new(world->client_certificate, NULL, &world->client_dtls), 0);
    world->server_address = net_address_ipv4(198, 51, 100, 1, 3478);
    world->server = network_add(world->net, &server_ops, world);
    network_bind(world->server, &world->server_address);
    for (uint16_t i = 0; i < WORLD_WORKERS; i++) {
        struct world_worker *worker = &world->workers[i];
        worker->world = world;
        worker->index = i;
        random_seeded_init(&worker->random, seed + i + 100);
        packet_pool_init(&worker->pool, 8192);
        worker->thread.pool = &worker->pool;
        worker->thread.random = &worker->random;
        worker->thread.dtls = world->server_dtls;
        worker->thread.unix_offset_us = 1700000000000000;
        struct exchange_config config = {
            .worker = i,
            .ops = &exchange_ops,
            .owner = worker,
            .protection = PROTECTION_ALWAYS, // for those who offer to take it
            .gop_age_us = GOP_AGE_DEFAULT_US,
            .pool = &worker->pool,
        };
        worker->exchange = exchange_new(&config);
    }
    return world;
}

void world_free(struct world *world)
{
    for (uint32_t i = 0; i < world->client_count; i++) {
        struct world_client *client = &world->clients[i];
        exchange_peer_remove(world->workers[client->worker].exchange, client->session);
        rtc_peer_free(client->server_peer);
        rtc_peer_free(client->peer);
        rtc_params_unref(client->server_params);
        rtc_negotiation_free(client->negotiation);
        datagram_batch_done(&client->repairs);
        for (int section = 0; section < WORLD_SECTIONS; section++)
            packet_ring_done(&client->sent[section]);
    }
    deliver_messages(world, network_now(world->net), pending(world));
    datagram_batch_done(pending(world));
    for (int i = 0; i < WORLD_WORKERS; i++) {
        exchange_drop_all(world->workers[i].exchange);
        exchange_free(world->workers[i].exchange);
    }
    for (size_t i = 0; i < world->message_count; i++)
        exchange_message_discard(&world->messages[i].message);
    for (int i = 0; i < WORLD_WORKERS; i++)
        assert_int_equal(packet_pool_done(&world->workers[i].pool), 0);
    for (uint32_t i = 0; i < world->client_count; i++)
        assert_int_equal(packet_pool_done(&world->clients[i].pool), 0);
    network_free(world->net);
    dtls_context_unref(world->server_dtls);
    dtls_context_unref(world->client_dtls);
    certificate_unref(world->server_certificate);
    certificate_unref(world->client_certificate);
    free(world);
}

struct world_client *world_add_client(struct world *world, uint16_t worker)
{
    assert_true(world->client_count < WORLD_CLIENTS);
    struct world_client *client = &world->clients[world->client_count++];
    client->world = world;
    client->name = 1000 + world->client_count;
    client->session = world->client_count;
    client->worker = worker;
    client->address = net_address_ipv4(203, 0, 113, (uint8_t)world->client_count, 5000);
    random_seeded_init(&client->random, client->name);
    packet_pool_init(&client->pool, 8192);
    client->thread.pool = &client->pool;
    client->thread.random = &client->random;
    client->thread.dtls = world->client_dtls;
    client->thread.unix_offset_us = 1700000500000000; // another clock than the server's
    client->negotiation = rtc_negotiation_new(&world->workers[worker].random);
    client->offer.sections = client->sections;
    datagram_batch_init(&client->repairs, 1u << 20, 1024);
    for (int i = 0; i < WORLD_SECTIONS; i++)
        packet_ring_init(&client->sent[i], 1024);
    return client;
}

uint16_t world_add_section(struct world_client *client, enum rtc_kind kind, bool sends)
{
    uint16_t index = (uint16_t)client->offer.section_count++;
    assert_true(index < WORLD_SECTIONS);
    client->sections[index] = (struct rtc_client_section){
        .kind = kind,
        .sends = sends,
        .ssrc = sends ? client->name * 100 + index * 2u : 0,
        .rtx_ssrc = sends && kind == RTC_KIND_VIDEO ? client->name * 100 + index * 2u + 1 : 0,
    };
    client->output[index] = (1u << 16) + 65500; // wraps soon
    return index;
}

uint16_t world_add_simulcast(struct world_client *client)
{
    static const char *const rids[WORLD_LAYERS] = { "q", "h", "f" };
    uint16_t index = world_add_section(client, RTC_KIND_VIDEO, true);
    client->sections[index].rids = rids;
    client->sections[index].rid_count = WORLD_LAYERS;
    struct rtp_extension_map map = { 0 };
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_MID, 4), 0);
    assert_int_equal(rtp_extension_map_set(&map, RTP_EXTENSION_RID, 5), 0);
    char mid[2] = { (char)('0' + index), 0 };
    for (uint32_t i = 0; i < WORLD_LAYERS; i++) {
        struct rtp_rewriter_config config = { .map = &map,
                                              .ssrc = client->name * 1000 + i,
                                              .mid = bytes_of_text(mid),
                                              .rid = bytes_of_text(rids[i]) };
        rtp_rewriter_init(&client->layers[i].rewriter, &config);
        client->layers[i].sequence = (uint16_t)(20000 * i + 500);
    }
    return index;
}

static void new_credentials(struct world_client *client)
{
    random_text(&client->random, client->ufrag, 8);
    random_text(&client->random, client->pwd, 24);
    client->offer.ufrag = client->ufrag;
    client->offer.pwd = client->pwd;
}

/** The server's answer to the client's offer; heap. */
static char *answer(struct world_client *client, const char *offer)
{
    struct world *world = client->world;
    struct world_worker *worker = &world->workers[client->worker];
    char ufrag[9], pwd[25], fingerprint[120], line[ICE_CANDIDATE_TEXT_MAX];
    random_text(&worker->random, ufrag, 8);
    random_text(&worker->random, pwd, 24);
    snprintf(fingerprint, sizeof(fingerprint), "sha-256 %s",
             certificate_fingerprint(world->server_certificate));
    struct ice_candidate candidate = ice_candidate_host(&world->server_address, 65535);
    struct text_builder builder = text_builder_of(line, sizeof(line));
    ice_candidate_write(&candidate, &builder);
    struct bytes candidates[] = { bytes_of_text(line) };
    struct rtc_negotiation_local local = {
        .ice_ufrag = bytes_of_text(ufrag),
        .ice_pwd = bytes_of_text(pwd),
        .candidates = candidates,
        .candidate_count = 1,
        .fingerprint = bytes_of_text(fingerprint),
        .cname = bytes_of_text("roost"),
        .playout_delay = client->playout_delay,
    };
    char *text = NULL;
    const char *problem = NULL;
    int error = rtc_negotiation_answer(client->negotiation, &local, &worker->random,
                                       bytes_of_text(offer), &text, &problem);
    if (error)
        print_error("%s\n", problem);
    assert_int_equal(error, 0);
    return text;
}

static void start_peers(struct world_client *client, struct rtc_params *params)
{
    struct world *world = client->world;
    uint64_t now_us = network_now(world->net);
    struct world_worker *worker = &world->workers[client->worker];
    assert_int_equal(
        rtc_peer_new(&worker->thread, false, client->server_params, now_us, &client->server_peer),
        0);
    exchange_peer_add(worker->exchange, client->session, client->server_peer);
    assert_int_equal(rtc_peer_new(&client->thread, true, params, now_us, &client->peer), 0);
    assert_int_equal(rtc_peer_add_local(client->peer, &client->address), 0);
    const struct rtc_negotiated *negotiated = rtc_params_get(params);
    for (size_t i = 0; i < negotiated->candidate_count; i++) {
        struct ice_candidate candidate;
        assert_int_equal(ice_candidate_parse(negotiated->candidates[i], &candidate), 0);
        assert_int_equal(rtc_peer_add_remote(client->peer, now_us, &candidate), 0);
    }
    client->endpoint = network_add(world->net, &client_ops, client);
    network_bind(client->endpoint, &client->address);
}

void world_negotiate(struct world_client *client)
{
    struct world *world = client->world;
    if (!client->offer.ufrag)
        new_credentials(client);
    client->offer.remb_only = world->remb_only;
    char fingerprint[120];
    snprintf(fingerprint, sizeof(fingerprint), "sha-256 %s",
             certificate_fingerprint(world->client_certificate));
    client->offer.fingerprint = fingerprint;
    char *offer cleanup(memory_free_at) = rtc_client_offer_write(&client->offer);
    char *text cleanup(memory_free_at) = answer(client, offer);
    struct rtc_params *params = NULL;
    const char *problem = NULL;
    int error = rtc_client_answer_read(&client->offer, bytes_of_text(text), &params, &problem);
    if (error)
        print_error("%s\n%s\n", problem, text);
    assert_int_equal(error, 0);
    rtc_params_unref(client->server_params);
    client->server_params = rtc_params_new(rtc_negotiation_result(client->negotiation));
    uint64_t now_us = network_now(world->net);
    if (!client->peer) {
        start_peers(client, params);
    } else {
        rtc_peer_update(client->server_peer, client->server_params, now_us);
        exchange_peer_update(world->workers[client->worker].exchange, client->session);
        rtc_peer_update(client->peer, params, now_us);
        const struct rtc_negotiated *negotiated = rtc_params_get(params);
        for (size_t i = 0; i < negotiated->candidate_count; i++) {
            struct ice_candidate candidate;
            assert_int_equal(ice_candidate_parse(negotiated->candidates[i], &candidate), 0);
            (void)!rtc_peer_add_remote(client->peer, now_us, &candidate);
        }
    }
    rtc_params_unref(params);
}

void world_rest(struct world_client *client, uint16_t section, bool inactive)
{
    client->sections[section].inactive = inactive;
    world_negotiate(client);
}

void world_send_rtcp(struct world_client *client, struct bytes plain)
{
    uint8_t *at = datagram_batch_reserve(&client->repairs, DATAGRAM_SIZE_MAX);
    assert_non_null(at);
    ssize_t size = secure_rtcp_protect(client->peer->sending, plain, at, DATAGRAM_SIZE_MAX);
    assert_true(size > 0);
    datagram_batch_commit(&client->repairs, &client->peer->path, (size_t)size);
}

void world_restart_ice(struct world_client *client)
{
    client->offer.generation++;
    new_credentials(client);
    world_negotiate(client);
}

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
    deliver_messages(world, network_now(world->net), pending(world));
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
        exchange_publication_group(publisher->world->workers[i].exchange, &key, 1, places);
}

static bool all_connected(void *owner)
{
    struct world *world = owner;
    for (uint32_t i = 0; i < world->client_count; i++) {
        if (!world->clients[i].connected || !world->clients[i].server_connected)
            return false;
    }
    return true;
}

bool world_connect(struct world *world, uint64_t timeout_us)
{
    return network_run_until(world->net, timeout_us, all_connected, world);
}
