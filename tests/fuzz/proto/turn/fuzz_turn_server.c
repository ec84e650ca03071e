// The TURN engine under a script: messages of strangers byte by byte, requests with any attributes
// and valid credentials, ChannelData, peers, ICMP, TCP connections, time, reloads.
#include "../../../support/turn_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS    4
#define OPERATIONS 400

struct script {
    struct turn_world world;
    struct turn_client clients[CLIENTS];
    struct reader reader;
};

enum operation {
    OPERATION_RAW,
    OPERATION_REQUEST,
    OPERATION_INDICATION,
    OPERATION_CHANNEL,
    OPERATION_PEER,
    OPERATION_ICMP,
    OPERATION_WAIT,
    OPERATION_TCP,
    OPERATION_RELOAD,
    OPERATION_END,
    OPERATION_COUNT,
};

static const char *const peers[] = {
    "46.4.0.9:1000",   "46.4.0.9:2000",        "46.4.0.10:1000", "[2a02:8108::9]:1000",
    "127.0.0.1:80",    "[::ffff:10.0.0.1]:80", "51.15.0.1:3478", "51.15.0.1:50000",
    "51.15.0.1:50001", "[2a01:4f8::1]:50000",  "10.9.9.9:50000", "46.4.0.11:0",
};

static struct net_address read_peer(struct script *script)
{
    return turn_world_address(peers[reader_u8(&script->reader) % array_size(peers)]);
}

static struct turn_client *read_client(struct script *script)
{
    return &script->clients[reader_u8(&script->reader) % CLIENTS];
}

/** One attribute: usual ones with usual values, or any with any. */
static void write_attribute(struct script *script, struct turn_client *client)
{
    static const uint16_t types[] = {
        STUN_REQUESTED_TRANSPORT,
        STUN_LIFETIME,
        STUN_REQUESTED_ADDRESS_FAMILY,
        STUN_ADDITIONAL_ADDRESS_FAMILY,
        STUN_EVEN_PORT,
        STUN_RESERVATION_TOKEN,
        STUN_DONT_FRAGMENT,
        STUN_CHANNEL_NUMBER,
        STUN_DATA_ATTRIBUTE,
        STUN_CONNECTION_ID,
        STUN_MOBILITY_TICKET,
        STUN_XOR_PEER_ADDRESS,
    };
    struct stun_writer *writer = &client->writer;
    uint8_t choice = reader_u8(&script->reader);
    struct net_address peer;
    switch (choice % 16) {
    case 0:
        stun_write_u32(writer, STUN_REQUESTED_TRANSPORT, choice & 16 ? 6u << 24 : 17u << 24);
        return;
    case 1:
    case 2:
        peer = read_peer(script);
        stun_write_address(writer, STUN_XOR_PEER_ADDRESS, &peer);
        return;
    case 3:
        stun_write_u32(writer, STUN_CHANNEL_NUMBER, 0x40000000u + (choice >> 4) * 0x10000u);
        return;
    case 4:
        stun_write_u32(writer, STUN_LIFETIME, choice & 16 ? 0 : reader_u16(&script->reader));
        return;
    case 5:
        stun_write_u32(writer, STUN_CONNECTION_ID, script->world.connection);
        return;
    case 6:
        stun_write_bytes(writer, STUN_MOBILITY_TICKET,
                         bytes_of(script->clients[choice >> 4 & 3].ticket,
                                  script->clients[choice >> 4 & 3].ticket_size));
        return;
    case 7:
        stun_write_u32(writer,
                       choice & 16 ? STUN_REQUESTED_ADDRESS_FAMILY : STUN_ADDITIONAL_ADDRESS_FAMILY,
                       choice & 32 ? 1u << 24 : 2u << 24);
        return;
    default:
        break;
    }
    uint16_t type = choice & 128 ? reader_u16(&script->reader) : types[choice % array_size(types)];
    size_t size = min_of((size_t)reader_u8(&script->reader) % 40, reader_left(&script->reader));
    stun_write_bytes(writer, type, reader_bytes(&script->reader, size));
}

static void write_attributes(struct script *script, struct turn_client *client)
{
    for (uint8_t count = reader_u8(&script->reader) % 6; count > 0; count--)
        write_attribute(script, client);
}

/** What the engine sent last must be a whole message. */
static void check_sent(const struct script *script)
{
    struct stun_message message;
    if (script->world.sent_count == 0)
        return;
    const struct turn_sent *sent = turn_world_sent(&script->world, 0);
    ensure(stun_message_parse(bytes_of(sent->data, sent->size), &message) == 0);
    ensure(message.fingerprint == 0 || stun_message_check_fingerprint(&message) == 0);
}

static void give(struct turn_client *client, struct bytes message)
{
    struct turn_world *world = client->world;
    int worker = turn_message_worker(world->server, message);
    ensure(worker == 0 || worker == -ENOENT);
    if (turn_client_give(client, message) != TURN_FORWARD)
        return;
    const struct turn_forward *forward = &client->forward;
    ensure(forward->allocation && forward->relay);
    ensure(forward->payload.size <= message.size);
    ensure(forward->peer.family == forward->relay->told.family);
    // nothing inside is ever reached through a socket
    struct turn_peer_decision decision;
    if (forward->place == TURN_PLACE_OUTSIDE) {
        ensure(forward->relay->socket);
        ensure(turn_peers_judge(turn_settings_peers(world->settings), &forward->peer, &decision) ==
               TURN_PEER_ALLOWED);
    }
}

static void take_ticket(struct turn_client *client)
{
    const struct turn_sent *sent = turn_world_sent(client->world, 0);
    struct stun_message message;
    struct bytes ticket;
    if (stun_message_parse(bytes_of(sent->data, sent->size), &message) == 0 &&
        stun_message_find(&message, STUN_MOBILITY_TICKET, &ticket) &&
        ticket.size <= sizeof(client->ticket)) {
        memcpy(client->ticket, ticket.data, ticket.size);
        client->ticket_size = ticket.size;
    }
}

static void run_request(struct script *script)
{
    static const uint16_t methods[] = { STUN_ALLOCATE, STUN_REFRESH,        STUN_CREATE_PERMISSION,
                                        STUN_CONNECT,  STUN_CHANNEL_BIND,   STUN_BINDING,
                                        STUN_ALLOCATE, STUN_CONNECTION_BIND };
    struct turn_client *client = read_client(script);
    uint8_t choice = reader_u8(&script->reader);
    turn_client_start(client, methods[choice % array_size(methods)]);
    if (choice & 32) // sent before
        client->transaction--;
    if (client->buffer[1] == STUN_ALLOCATE && !(choice & 64))
        turn_client_transport(client, 17);
    write_attributes(script, client);
    if (!(choice & 16))
        turn_client_sign(client);
    client->fingerprint = choice & 128;
    give(client, turn_client_finish(client));
    if (script->world.sent_count > 0)
        take_ticket(client);
}

static void run_indication(struct script *script)
{
    struct turn_client *client = read_client(script);
    turn_client_start_class(client, STUN_INDICATION, STUN_SEND);
    write_attributes(script, client);
    stun_write_bytes(&client->writer, STUN_DATA_ATTRIBUTE, bytes_of_text("data"));
    client->fingerprint = false;
    give(client, turn_client_finish(client));
}

static void run_channel(struct script *script)
{
    struct turn_client *client = read_client(script);
    uint8_t choice = reader_u8(&script->reader);
    uint8_t message[64] = { 0 };
    store_u16(message, (uint16_t)(0x4000 + (choice & 15)));
    store_u16(message + 2, reader_u8(&script->reader) % 64);
    give(client, bytes_of(message, choice >> 4 & 1 ? (size_t)load_u16(message + 2) % 60 + 4
                                                   : reader_u8(&script->reader) % sizeof(message)));
}

/** Some relay that lives; NULL when there is none. */
static struct turn_relay *read_relay(struct script *script)
{
    struct turn_allocation_info info;
    uint32_t cursor = 0;
    uint8_t skip = reader_u8(&script->reader);
    struct turn_relay *relay = NULL;
    while (turn_server_next(script->world.server, &cursor, &info)) {
        size_t at = skip >> 2 & 1 && info.relayed[1].family != NET_NONE ? 1 : 0;
        relay = turn_server_find_relay(script->world.server, &info.relayed[at]);
        ensure(relay != NULL);
        if ((skip-- & 3) == 0)
            break;
    }
    return relay;
}

static void run_peer(struct script *script)
{
    struct turn_relay *relay = read_relay(script);
    struct net_address peer = read_peer(script);
    struct turn_deliver deliver;
    size_t size = reader_u16(&script->reader);
    if (relay && turn_server_peer_input(script->world.server, script->world.now_us, relay, &peer,
                                        size, &deliver) == TURN_FORWARD) {
        ensure(deliver.header_size <= TURN_DELIVER_HEADER_MAX && deliver.padding < 4);
        ensure(deliver.client == turn_allocation_source(deliver.allocation));
        ensure(deliver.header_size + size + deliver.padding <= 65535);
    }
}

static void run_icmp(struct script *script)
{
    struct turn_relay *relay = read_relay(script);
    struct net_address peer = read_peer(script);
    uint8_t type = reader_u8(&script->reader), code = reader_u8(&script->reader);
    if (relay)
        turn_server_peer_icmp(script->world.server, script->world.now_us, relay, &peer, type, code,
                              reader_u16(&script->reader));
}

static void run_tcp(struct script *script)
{
    struct turn_world *world = &script->world;
    uint8_t choice = reader_u8(&script->reader);
    struct turn_relay *relay;
    struct net_address peer;
    uint32_t connection = choice & 128 ? reader_u16(&script->reader) : world->connection;
    switch (choice % 4) {
    case 0:
        turn_server_tcp_connected(world->server, world->now_us, connection,
                                  choice & 4 ? -ECONNREFUSED : 0);
        break;
    case 1:
        turn_server_tcp_ended(world->server, world->now_us, connection);
        break;
    case 2:
        world->connect_error = choice & 4 ? -ENETUNREACH : 0;
        world->open_error = choice & 8 ? -EMFILE : 0;
        break;
    default:
        relay = read_relay(script);
        peer = read_peer(script);
        if (relay &&
            turn_server_tcp_accepted(world->server, world->now_us, relay, &peer, &connection) == 0)
            world->connection = connection;
        break;
    }
}

static void run_reload(struct script *script)
{
    struct turn_settings_config *settings = &script->world.options.settings;
    uint8_t choice = reader_u8(&script->reader);
    settings->tcp_relay = choice & 1;
    settings->mobility = choice & 2;
    settings->draining = choice & 4 && choice & 8;
    settings->drain_deadline_us = choice & 16 ? script->world.now_us + time_from_s(60) : 0;
    settings->media_count = choice & 32 ? 1 : 0;
    settings->permissions_max = choice & 64 ? 2 : 0;
    settings->channels_max = choice & 64 ? 2 : 0;
    settings->software = choice & 128 ? "roost" : NULL;
    turn_world_reload(&script->world);
}

static void run_end(struct script *script)
{
    struct turn_world *world = &script->world;
    uint8_t choice = reader_u8(&script->reader);
    struct turn_relay *relay;
    if (choice & 1) {
        turn_server_disconnected(world->server, world->now_us,
                                 &script->clients[choice >> 1 & 3].source);
        return;
    }
    relay = read_relay(script);
    struct turn_allocation_info info;
    if (relay) {
        turn_allocation_info(relay->allocation, &info);
        ensure(turn_server_kill(world->server, world->now_us, info.id, TURN_END_KILLED) == 0);
    }
}

static void run_operation(struct script *script)
{
    struct turn_client *client;
    struct turn_world *world = &script->world;
    size_t size;
    switch ((enum operation)(reader_u8(&script->reader) % OPERATION_COUNT)) {
    case OPERATION_RAW:
        client = read_client(script);
        size = min_of((size_t)reader_u8(&script->reader) * 4, reader_left(&script->reader));
        give(client, reader_bytes(&script->reader, size));
        break;
    case OPERATION_REQUEST:
        run_request(script);
        break;
    case OPERATION_INDICATION:
        run_indication(script);
        break;
    case OPERATION_CHANNEL:
        run_channel(script);
        break;
    case OPERATION_PEER:
        run_peer(script);
        break;
    case OPERATION_ICMP:
        run_icmp(script);
        break;
    case OPERATION_WAIT:
        world->now_us += time_from_s(reader_u8(&script->reader)) * 8;
        turn_server_tick(world->server, world->now_us);
        ensure(turn_server_deadline(world->server) > world->now_us);
        break;
    case OPERATION_TCP:
        run_tcp(script);
        break;
    case OPERATION_RELOAD:
        run_reload(script);
        break;
    case OPERATION_END:
    case OPERATION_COUNT:
        run_end(script);
        break;
    }
}

static void check_counts(const struct turn_world *world)
{
    uint64_t living = 0;
    for (int i = 0; i < TURN_TRANSPORTS; i++)
        living += metric_get(&world->metrics[TURN_METRIC_ALLOCATIONS_UDP + i]);
    ensure(living == turn_server_allocation_count(world->server));
    ensure(living == turn_quota_allocations(world->quota));
    ensure(turn_ports_taken(world->ports) >= living);
    ensure((turn_server_deadline(world->server) == TIME_NEVER) ==
           (turn_ports_taken(world->ports) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct script script;
    memset(&script, 0, sizeof(script));
    script.reader = reader_of(data, size);
    uint8_t mode = reader_u8(&script.reader);
    struct turn_world_options options = { .worker_count = 1 };
    options.settings.tcp_relay = mode & 1;
    options.settings.mobility = mode & 2;
    options.settings.no_auth = mode & 4;
    options.ipv4_only = mode & 8;
    options.port_max = mode & 16 ? TURN_WORLD_PORT_MIN + 3 : 0;
    options.limits.bytes_per_s = mode & 32 ? 1000 : 0;
    options.relays_at_once = mode & 64;
    options.settings.media[0] = turn_world_address("51.15.0.1:3478");
    options.settings.media_count = 1;
    turn_world_init(&script.world, &options);
    static const char *const addresses[CLIENTS] = { "203.1.2.3:5000", "203.1.2.3:5001",
                                                    "198.99.1.1:7000", "[2a02:1::5]:4000" };
    for (size_t i = 0; i < CLIENTS; i++) {
        struct turn_client *client = &script.clients[i];
        *client = turn_client_of(&script.world, addresses[i],
                                 i == 1 ? TURN_TCP : (enum turn_transport)(i % 3));
        script.world.caches[i] = &client->cache;
        if (i == 2) {
            client->username = "bob";
            client->password = "builder";
        }
        client->sha256 = i == 3;
        if (!options.settings.no_auth)
            turn_client_challenge(client);
    }
    for (int i = 0; i < OPERATIONS && reader_left(&script.reader) > 0; i++) {
        run_operation(&script);
        check_sent(&script);
        check_counts(&script.world);
    }
    turn_world_done(&script.world);
    return 0;
}
