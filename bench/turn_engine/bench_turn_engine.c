// links: proto/turn
// What the TURN engine alone costs: ns per packet and decision, µs per authenticated allocation,
// bytes per idle allocation and per stranger. No sockets: the rest of bench/turn has them.
#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "../../tests/support/turn_client.h"

#define ALLOCATIONS 10000
#define ROUNDS      2000000u

static struct turn_world world;

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void report(const char *what, double ns, double count, const char *unit)
{
    printf("%-58s %10.1f %s\n", what, ns / count, unit);
}

static void begin(uint32_t allocations_per_user)
{
    const struct turn_world_options options = {
        .limits = { .allocations_per_user = allocations_per_user },
        .port_max = 65000,
        .allocations_max = 2 * ALLOCATIONS,
        .ipv4_only = true,
    };
    turn_world_init(&world, &options);
}

static void set_address(struct turn_client *client, uint32_t i)
{
    store_u32(client->source.path.remote.ip, 0x0b000000u + i);
}

static void measure_allocations(bool sha256)
{
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    double in_engine = 0;
    client.sha256 = sha256;
    size_t before = heap_bytes();
    for (uint32_t i = 0; i < ALLOCATIONS; i++) {
        set_address(&client, i + sha256 * 0x100000u);
        client.cache = NULL;
        turn_client_start_allocate(&client);
        struct bytes message = turn_client_finish(&client);
        double start = now_ns();
        (void)turn_server_client_input(world.server, world.now_us, &client.source, NULL, message,
                                       &client.forward);
        in_engine += now_ns() - start;
        const struct turn_sent *sent = turn_world_sent(&world, 0);
        memcpy(client.answer_data, sent->data, sent->size);
        ensure(stun_message_parse(bytes_of(client.answer_data, sent->size), &client.answer) == 0);
        turn_client_take_challenge(&client);
        turn_client_start_allocate(&client);
        turn_client_sign(&client);
        message = turn_client_finish(&client);
        start = now_ns();
        (void)turn_server_client_input(world.server, world.now_us, &client.source, NULL, message,
                                       &client.forward);
        in_engine += now_ns() - start;
    }
    ensure(turn_server_allocation_count(world.server) == ALLOCATIONS * (1u + sha256));
    report(sha256 ? "allocation, SHA-256: challenge and Allocate"
                  : "allocation, MD5: challenge and Allocate",
           in_engine / 1e3, ALLOCATIONS, "us");
    report("memory of an idle allocation", (double)(heap_bytes() - before), ALLOCATIONS, "bytes");
}

static void measure_strangers(void)
{
    struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
    turn_client_start_allocate(&client);
    struct bytes message = turn_client_finish(&client);
    size_t before = heap_bytes();
    double start = now_ns();
    for (uint32_t i = 0; i < 20000; i++) {
        set_address(&client, 0x01000000u + i * 256);
        (void)turn_server_client_input(world.server, world.now_us, &client.source, NULL, message,
                                       &client.forward);
    }
    report("a stranger's request (401)", now_ns() - start, 20000, "ns");
    report("memory of a stranger", (double)(heap_bytes() - before), 20000, "bytes");
}

/** ChannelData of `clients` one after the other; without `cached` each is looked up. */
static void measure_channel_data(struct turn_client *clients, uint32_t count, bool cached,
                                 const char *what)
{
    uint8_t message[204] = { 0x40, 0, 0, 200 };
    struct turn_forward forward;
    uint64_t bytes = 0;
    double start = now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct turn_client *client = &clients[i % count];
        struct turn_allocation *none = NULL;
        if (turn_server_client_input(world.server, world.now_us, &client->source,
                                     cached ? &client->cache : &none,
                                     bytes_of(message, sizeof(message)), &forward) == TURN_FORWARD)
            bytes += forward.payload.size;
    }
    report(what, now_ns() - start, ROUNDS, "ns");
    ensure(bytes == ROUNDS * 200ull);
}

static void measure_peer(struct turn_client *clients, uint32_t count, const char *const *peers,
                         uint32_t peer_count, bool delivered, const char *what)
{
    struct net_address from[16];
    struct turn_relay *relays[1000];
    struct turn_deliver deliver;
    uint64_t hits = 0;
    for (uint32_t i = 0; i < peer_count; i++)
        from[i] = turn_world_address(peers[i]);
    for (uint32_t i = 0; i < count; i++)
        relays[i] = turn_client_relay(&clients[i], 0);
    double start = now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++)
        hits += turn_server_peer_input(world.server, world.now_us, relays[i % count],
                                       &from[i % peer_count], 200, &deliver) == TURN_FORWARD;
    report(what, now_ns() - start, ROUNDS, "ns");
    ensure(hits == (delivered ? ROUNDS : 0));
}

static void measure_send(struct turn_client *client)
{
    static uint8_t payload[200];
    struct turn_forward forward;
    turn_client_start_class(client, STUN_INDICATION, STUN_SEND);
    turn_client_peer(client, "46.4.0.9:1000");
    stun_write_bytes(&client->writer, STUN_DATA_ATTRIBUTE, bytes_of(payload, sizeof(payload)));
    struct bytes message = turn_client_finish(client);
    uint64_t hits = 0;
    double start = now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++)
        hits += turn_server_client_input(world.server, world.now_us, &client->source,
                                         &client->cache, message, &forward) == TURN_FORWARD;
    report("Send indication, one client", now_ns() - start, ROUNDS, "ns");
    ensure(hits == ROUNDS);
}

int main(void)
{
    static const char *const peers[8] = { "46.4.0.9:1000", "46.4.0.9:1001", "46.4.0.9:1002",
                                          "46.4.0.9:1003", "46.4.0.9:1004", "46.4.0.9:1005",
                                          "46.4.0.9:1006", "46.4.0.9:1007" };
    static const char *const unbound[1] = { "46.4.0.10:7" };
    static const char *const stranger[1] = { "46.5.0.10:7" };
    begin(0);
    measure_allocations(false);
    measure_strangers();
    struct turn_client *clients = memory_new_array(struct turn_client, 1000);
    size_t before = heap_bytes();
    for (uint32_t i = 0; i < 1000; i++) {
        clients[i] = turn_client_of(&world, "203.7.2.3:5000", TURN_UDP);
        set_address(&clients[i], 0x02000000u + i);
        ensure(turn_client_allocate(&clients[i]) == 0);
        for (uint16_t n = 0; n < 8; n++)
            ensure(turn_client_bind(&clients[i], (uint16_t)(0x4000 + n), peers[n]) == 0);
        ensure(turn_client_permit(&clients[i], unbound[0]) == 0);
    }
    report("memory with 8 channels and 2 permissions", (double)(heap_bytes() - before), 1000,
           "bytes");
    measure_channel_data(clients, 1, true, "ChannelData, one client, remembered");
    measure_channel_data(clients, 1, false, "ChannelData, one client, looked up");
    measure_channel_data(clients, 1000, true, "ChannelData, 1,000 clients, remembered");
    measure_channel_data(clients, 1000, false, "ChannelData, 1,000 clients, looked up");
    measure_peer(clients, 1, peers, 1, true, "peer's datagram, one client and channel");
    measure_peer(clients, 1, peers, 8, true, "peer's datagram, one client, 8 channels in turn");
    measure_peer(clients, 1000, peers, 1, true, "peer's datagram, 1,000 clients");
    measure_peer(clients, 1, unbound, 1, true, "peer's datagram, as Data indication");
    measure_peer(clients, 1, stranger, 1, false, "peer's datagram, no permission");
    measure_send(&clients[0]);
    free(clients);
    turn_world_done(&world);
    return 0;
}
