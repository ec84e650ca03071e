/**
 * Clients that talk to a struct turn_world as RFC 8489 and 8656 say: challenge, long-term
 * credentials with MD5 or SHA-256, every request.
 *
 *     struct turn_world world;
 *     turn_world_init(&world, NULL);
 *     struct turn_client client = turn_client_of(&world, "203.1.2.3:5000", TURN_UDP);
 *     assert_int_equal(turn_client_allocate(&client), 0);
 *
 * Requests return 0, the error code of the answer, or a negative errno when there was none.
 */
#pragma once

#include "turn_world.h"

struct turn_client {
    struct turn_world *world;
    struct turn_source source;
    struct turn_allocation *cache;
    const char *username;
    const char *password;
    bool sha256;      /**< PASSWORD-ALGORITHM SHA-256 and MESSAGE-INTEGRITY-SHA256 */
    bool userhash;    /**< instead of the name */
    bool fingerprint; /**< on everything */
    bool anonymous;   /**< no credentials at all */
    char nonce[128];
    size_t nonce_size;
    uint8_t algorithms[32];
    size_t algorithms_size;
    uint32_t transaction;
    // a request in the making
    struct stun_writer writer;
    uint8_t buffer[16384];
    // what came back
    struct stun_message answer;
    uint8_t answer_data[1500];
    struct turn_forward forward;
    // of the allocation
    struct net_address relayed[2];
    struct net_address mapped;
    uint32_t lifetime_s;
    uint8_t ticket[64];
    size_t ticket_size;
};

static inline struct turn_client turn_client_of(struct turn_world *world, const char *address,
                                                enum turn_transport transport)
{
    struct turn_client client = { .world = world, .username = "alice", .password = "wonderland" };
    client.source.path.remote = turn_world_address(address);
    client.source.path.local = client.source.path.remote.family == NET_IPV4
                                   ? turn_world_address("51.15.0.1:3478")
                                   : turn_world_address("[2a01:4f8::1]:3478");
    client.source.transport = transport;
    client.transaction = client.source.path.remote.port * 1000u;
    return client;
}

static inline void turn_client_start_class(struct turn_client *client, enum stun_class class,
                                           uint16_t method)
{
    uint8_t id[STUN_TRANSACTION_ID_SIZE] = { 0 };
    store_u32(id + 4, ++client->transaction);
    memcpy(id + 8, client->source.path.remote.ip, 4);
    stun_writer_start(&client->writer, client->buffer, sizeof(client->buffer), class, method, id);
}

static inline void turn_client_start(struct turn_client *client, uint16_t method)
{
    turn_client_start_class(client, STUN_REQUEST, method);
}

static inline void turn_client_transport(struct turn_client *client, uint8_t protocol)
{
    stun_write_u32(&client->writer, STUN_REQUESTED_TRANSPORT, (uint32_t)protocol << 24);
}

/** Starts an Allocate for UDP. */
static inline void turn_client_start_allocate(struct turn_client *client)
{
    turn_client_start(client, STUN_ALLOCATE);
    turn_client_transport(client, 17);
}

static inline void turn_client_peer(struct turn_client *client, const char *peer)
{
    struct net_address address = turn_world_address(peer);
    stun_write_address(&client->writer, STUN_XOR_PEER_ADDRESS, &address);
}

static inline void turn_client_key(const struct turn_client *client, uint8_t out[32],
                                   size_t *ret_size)
{
    struct bytes name = bytes_of_text(client->username);
    struct bytes password = bytes_of_text(client->password);
    struct bytes realm = bytes_of_text(TURN_WORLD_REALM);
    if (client->sha256)
        stun_long_term_key_sha256(name, realm, password, out);
    else
        stun_long_term_key(name, realm, password, out);
    *ret_size = client->sha256 ? 32 : 16;
}

static inline void turn_client_sign(struct turn_client *client)
{
    struct stun_writer *writer = &client->writer;
    struct bytes name = bytes_of_text(client->username), realm = bytes_of_text(TURN_WORLD_REALM);
    uint8_t key[32], userhash[HASH_SHA256_SIZE];
    size_t key_size;
    if (client->userhash) {
        stun_userhash(name, realm, userhash);
        stun_write_bytes(writer, STUN_USERHASH, bytes_of(userhash, sizeof(userhash)));
    } else {
        stun_write_bytes(writer, STUN_USERNAME, name);
    }
    stun_write_bytes(writer, STUN_REALM, realm);
    stun_write_bytes(writer, STUN_NONCE, bytes_of(client->nonce, client->nonce_size));
    if (client->sha256) {
        stun_write_bytes(writer, STUN_PASSWORD_ALGORITHMS,
                         bytes_of(client->algorithms, client->algorithms_size));
        stun_write_u32(writer, STUN_PASSWORD_ALGORITHM, 2u << 16);
    }
    turn_client_key(client, key, &key_size);
    if (client->sha256)
        stun_write_integrity_sha256(writer, bytes_of(key, key_size));
    else
        stun_write_integrity(writer, bytes_of(key, key_size));
}

/** Ends the message without credentials; returns it. */
static inline struct bytes turn_client_finish(struct turn_client *client)
{
    if (client->fingerprint)
        stun_write_fingerprint(&client->writer);
    size_t size = stun_writer_finish(&client->writer);
    ensure(size > 0);
    return bytes_of(client->buffer, size);
}

/** Gives bytes to the server as they are. */
static inline enum turn_verdict turn_client_give(struct turn_client *client, struct bytes message)
{
    struct turn_world *world = client->world;
    // an exact copy, so that a sanitizer sees a read past its end
    uint8_t *copy = malloc(message.size ? message.size : 1);
    ensure(copy != NULL);
    if (message.size > 0)
        memcpy(copy, message.data, message.size);
    static uint8_t kept[65536];
    enum turn_verdict verdict =
        turn_server_client_input(world->server, world->now_us, &client->source, &client->cache,
                                 bytes_of(copy, message.size), &client->forward);
    if (verdict == TURN_FORWARD) { // the payload must outlive the copy
        memcpy(kept, client->forward.payload.data, client->forward.payload.size);
        client->forward.payload.data = kept;
    }
    free(copy);
    return verdict;
}

/**
 * The answer to the message in the buffer: 0 for a success, an error code, -ENOENT for none. Checks
 * what every answer must be: to the sender, of the transaction, protected, with a fingerprint.
 */
static inline int turn_client_answer(struct turn_client *client, size_t sent_before)
{
    struct turn_world *world = client->world;
    uint16_t code = 0;
    uint8_t key[32];
    size_t key_size;
    if (world->sent_count == sent_before)
        return -ENOENT;
    const struct turn_sent *sent = turn_world_sent(world, 0);
    ensure(net_path_equal(&sent->to.path, &client->source.path));
    memcpy(client->answer_data, sent->data, sent->size);
    ensure(stun_message_parse(bytes_of(client->answer_data, sent->size), &client->answer) == 0);
    ensure(memcmp(client->answer_data + 8, client->buffer + 8, STUN_TRANSACTION_ID_SIZE) == 0);
    if (client->fingerprint)
        ensure(stun_message_check_fingerprint(&client->answer) == 0);
    else
        ensure(client->answer.fingerprint == 0);
    if (client->answer.class == STUN_ERROR)
        ensure(stun_message_find_error(&client->answer, &code, NULL) == 0);
    else
        ensure(client->answer.class == STUN_SUCCESS);
    if (client->answer.integrity || client->answer.sha256) {
        turn_client_key(client, key, &key_size);
        if (client->sha256)
            ensure(stun_message_check_integrity_sha256(&client->answer, bytes_of(key, key_size)) ==
                   0);
        else
            ensure(stun_message_check_integrity(&client->answer, bytes_of(key, key_size)) == 0);
    } else {
        // only who has not authenticated gets an answer without protection
        ensure(client->anonymous || world->options.settings.no_auth || code == 400 || code == 401 ||
               code == 438 || client->answer.method == STUN_BINDING);
    }
    return code;
}

/** Sends what is in the buffer again, byte by byte the same. */
static inline int turn_client_repeat(struct turn_client *client)
{
    size_t before = client->world->sent_count;
    size_t size = stun_writer_finish(&client->writer);
    enum turn_verdict verdict = turn_client_give(client, bytes_of(client->buffer, size));
    ensure(verdict == TURN_DONE);
    return turn_client_answer(client, before);
}

/** Takes realm, nonce and algorithms out of a challenge. */
static inline void turn_client_take_challenge(struct turn_client *client)
{
    struct bytes value;
    ensure(stun_message_find(&client->answer, STUN_REALM, &value));
    ensure(bytes_equal(value, bytes_of_text(TURN_WORLD_REALM)));
    ensure(stun_message_find(&client->answer, STUN_NONCE, &value));
    ensure(value.size <= sizeof(client->nonce));
    memcpy(client->nonce, value.data, value.size);
    client->nonce_size = value.size;
    ensure(stun_message_find(&client->answer, STUN_PASSWORD_ALGORITHMS, &value));
    ensure(value.size <= sizeof(client->algorithms));
    memcpy(client->algorithms, value.data, value.size);
    client->algorithms_size = value.size;
}

/** Asks for a nonce as a client does that has none. */
static inline void turn_client_challenge(struct turn_client *client)
{
    turn_client_start_allocate(client);
    turn_client_finish(client);
    client->anonymous = true;
    ensure(turn_client_repeat(client) == 401);
    client->anonymous = false;
    turn_client_take_challenge(client);
}

/** Signs and sends the request in the making; gets a nonce first when there is none. */
static inline int turn_client_ask(struct turn_client *client)
{
    if (!client->anonymous && client->nonce_size == 0) {
        struct stun_writer writer = client->writer;
        uint8_t buffer[sizeof(client->buffer)];
        memcpy(buffer, client->buffer, sizeof(buffer));
        turn_client_challenge(client);
        client->writer = writer;
        memcpy(client->buffer, buffer, sizeof(buffer));
    }
    if (!client->anonymous)
        turn_client_sign(client);
    turn_client_finish(client);
    return turn_client_repeat(client);
}

/** Notes what a success answer to Allocate or Refresh says. */
static inline void turn_client_take_allocation(struct turn_client *client)
{
    struct stun_cursor cursor = { 0 };
    struct stun_attribute attribute;
    struct bytes ticket;
    size_t count = 0;
    while (stun_message_next(&client->answer, &cursor, &attribute)) {
        if (attribute.type == STUN_XOR_RELAYED_ADDRESS) {
            ensure(count < 2);
            ensure(stun_attribute_address(&client->answer, &attribute, &client->relayed[count++]) ==
                   0);
        }
    }
    ensure(stun_message_find_u32(&client->answer, STUN_LIFETIME, &client->lifetime_s) == 0);
    if (stun_message_find(&client->answer, STUN_MOBILITY_TICKET, &ticket)) {
        ensure(ticket.size <= sizeof(client->ticket));
        memcpy(client->ticket, ticket.data, ticket.size);
        client->ticket_size = ticket.size;
    }
}

/** Signs and sends the Allocate in the making. */
static inline int turn_client_ask_allocate(struct turn_client *client)
{
    int code = turn_client_ask(client);
    if (code == 0) {
        turn_client_take_allocation(client);
        ensure(stun_message_find_address(&client->answer, STUN_XOR_MAPPED_ADDRESS,
                                         &client->mapped) == 0);
    }
    return code;
}

static inline int turn_client_allocate(struct turn_client *client)
{
    turn_client_start_allocate(client);
    return turn_client_ask_allocate(client);
}

/** A second family beside IPv4. */
static inline int turn_client_allocate_dual(struct turn_client *client)
{
    turn_client_start_allocate(client);
    stun_write_u32(&client->writer, STUN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
    return turn_client_ask_allocate(client);
}

static inline int turn_client_refresh(struct turn_client *client, uint32_t lifetime_s)
{
    turn_client_start(client, STUN_REFRESH);
    stun_write_u32(&client->writer, STUN_LIFETIME, lifetime_s);
    int code = turn_client_ask(client);
    if (code == 0)
        turn_client_take_allocation(client);
    // what the caller of the engine does in `ended`
    if (code == 0 && lifetime_s == 0)
        client->cache = NULL;
    return code;
}

static inline int turn_client_permit(struct turn_client *client, const char *peer)
{
    turn_client_start(client, STUN_CREATE_PERMISSION);
    turn_client_peer(client, peer);
    return turn_client_ask(client);
}

static inline int turn_client_bind(struct turn_client *client, uint16_t number, const char *peer)
{
    turn_client_start(client, STUN_CHANNEL_BIND);
    stun_write_u32(&client->writer, STUN_CHANNEL_NUMBER, (uint32_t)number << 16);
    turn_client_peer(client, peer);
    return turn_client_ask(client);
}

/** A Send indication; true when the engine forwards it (see client->forward). */
static inline bool turn_client_send(struct turn_client *client, const char *peer, const char *data)
{
    turn_client_start_class(client, STUN_INDICATION, STUN_SEND);
    turn_client_peer(client, peer);
    stun_write_bytes(&client->writer, STUN_DATA_ATTRIBUTE, bytes_of_text(data));
    return turn_client_give(client, turn_client_finish(client)) == TURN_FORWARD;
}

/** ChannelData as it stands in a datagram. */
static inline bool turn_client_channel(struct turn_client *client, uint16_t number,
                                       const char *data)
{
    uint8_t message[1500];
    size_t size = strlen(data);
    store_u16(message, number);
    store_u16(message + 2, (uint16_t)size);
    memcpy(message + 4, data, size);
    return turn_client_give(client, bytes_of(message, 4 + size)) == TURN_FORWARD;
}

/** The relay of this worker that the client was told. */
static inline struct turn_relay *turn_client_relay(const struct turn_client *client, size_t at)
{
    return turn_server_find_relay(client->world->server, &client->relayed[at]);
}

/** A datagram of a peer; true when it is delivered. */
static inline bool turn_peer_send(struct turn_client *client, const char *peer, size_t size,
                                  struct turn_deliver *deliver)
{
    struct net_address from = turn_world_address(peer);
    struct turn_relay *relay =
        turn_client_relay(client, from.family == NET_IPV6 && client->relayed[1].family != NET_NONE);
    return turn_server_peer_input(client->world->server, client->world->now_us, relay, &from, size,
                                  deliver) == TURN_FORWARD;
}

/** Whether data goes to `peer` and from there. */
static inline bool turn_client_reaches(struct turn_client *client, const char *peer)
{
    struct turn_deliver deliver;
    bool there = turn_client_send(client, peer, "ping");
    bool back = turn_peer_send(client, peer, 4, &deliver);
    ensure(there == back);
    return there;
}
