#include "sim/world_int.h"

#include <stdlib.h>

#include "base/memory.h"
#include "crypto/x509.h"
#include "proto/dtls/dtls.h"
#include "rtc/peer_int.h"
#include "support/check.h"

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
    world->server = network_add(world->net, &world_server_ops, world);
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
            .ops = &world_exchange_ops,
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
    world_deliver(world);
    datagram_batch_done(world_pending(world));
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

uint16_t world_add_two_way(struct world_client *client, enum rtc_kind kind)
{
    uint16_t index = world_add_section(client, kind, true);
    client->sections[index].both = true;
    client->two_way = true;
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

void world_move_batch(struct datagram_batch *from, struct datagram_batch *to)
{
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *data;
    size_t size;
    while (datagram_batch_next(from, &cursor, &path, &data, &size))
        datagram_batch_add(to, &path, data, size);
    datagram_batch_clear(from);
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
