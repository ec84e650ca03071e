#include <stdio.h>
#include <string.h>

#include "client_stream.h"
#include "proto/stun/stun.h"
#include "runtime/clock.h"

#define ANSWER_LATE_US (500 * TIME_US_PER_MS)
#define TRIES_MAX      6
/** REQUESTED-TRANSPORT: UDP (17) and three reserved bytes. */
#define TRANSPORT_UDP 0x11000000u

/** The forwarder has no TURN: these stand for Allocate and its answer. */
#define BARE_HELLO_SIZE 8

static struct net_address peer_address(const struct load *load)
{
    uint32_t ip = load->peer_port->ip;
    return net_address_ipv4((uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8),
                            (uint8_t)ip, load->peer_port->number);
}

/** Transaction ids carry whose they are, and at which step: a late answer is told from a new one.
 */
static void start_request(const struct load *load, uint32_t index, uint16_t method,
                          struct stun_writer *writer, uint8_t *out, size_t capacity)
{
    uint8_t id[STUN_TRANSACTION_ID_SIZE];
    store_u32(id, index);
    store_u32(id + 4, load->clients[index].step);
    store_u32(id + 8, load->transaction);
    stun_writer_start(writer, out, capacity, STUN_REQUEST, method, id);
}

static void add_credentials(const struct load *load, const struct load_client *client,
                            struct stun_writer *writer)
{
    struct bytes user = bytes_of_text(load->options.user), realm = bytes_of_text(load->realm);
    uint8_t key[HASH_MD5_SIZE];
    stun_write_bytes(writer, STUN_USERNAME, user);
    stun_write_bytes(writer, STUN_REALM, realm);
    stun_write_bytes(writer, STUN_NONCE, bytes_of(client->nonce, client->nonce_size));
    stun_long_term_key(user, realm, bytes_of_text(load->options.password), key);
    stun_write_integrity(writer, bytes_of(key, sizeof(key)));
}

size_t load_write_bare_allocate(const struct load *load, uint32_t index, uint8_t *out,
                                size_t capacity)
{
    struct stun_writer writer;
    start_request(load, index, STUN_ALLOCATE, &writer, out, capacity);
    stun_write_u32(&writer, STUN_REQUESTED_TRANSPORT, TRANSPORT_UDP);
    return stun_writer_finish(&writer);
}

/** The request that leads from where the client is to the next step, or to release. */
static size_t write_request(const struct load *load, uint32_t index, bool release, uint8_t *out,
                            size_t capacity)
{
    const struct load_client *client = &load->clients[index];
    struct net_address peer = peer_address(load);
    struct stun_writer writer;
    if (client->step == STEP_NEW)
        return load_write_bare_allocate(load, index, out, capacity);
    if (release) {
        start_request(load, index, STUN_REFRESH, &writer, out, capacity);
        stun_write_u32(&writer, STUN_LIFETIME, 0);
    } else if (client->step == STEP_CHALLENGED) {
        start_request(load, index, STUN_ALLOCATE, &writer, out, capacity);
        stun_write_u32(&writer, STUN_REQUESTED_TRANSPORT, TRANSPORT_UDP);
    } else if (load->options.indications) {
        start_request(load, index, STUN_CREATE_PERMISSION, &writer, out, capacity);
        stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, &peer);
    } else {
        start_request(load, index, STUN_CHANNEL_BIND, &writer, out, capacity);
        stun_write_u32(&writer, STUN_CHANNEL_NUMBER, LOAD_CHANNEL << 16);
        stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, &peer);
    }
    add_credentials(load, client, &writer);
    return stun_writer_finish(&writer);
}

static size_t write_bare_hello(const struct load *load, uint16_t port, uint8_t *out)
{
    store_u16(out, 0);
    store_u16(out + 2, port);
    store_u32(out + 4, load->peer_port->ip);
    return BARE_HELLO_SIZE;
}

static void say_goodbye(struct load *load)
{
    uint8_t message[BARE_HELLO_SIZE];
    size_t size = write_bare_hello(load, 0, message);
    port_add(load->client_port, load->options.server, load->options.client_ip, bytes_of(NULL, 0),
             bytes_of(message, size), false);
    port_flush(load->client_port);
}

static void ask(struct load *load, uint32_t index, bool release)
{
    struct load_client *client = &load->clients[index];
    uint8_t message[1024];
    size_t size = load->options.bare
                      ? write_bare_hello(load, load->peer_port->number, message)
                      : write_request(load, index, release, message, sizeof(message));
    ensure(size > 0);
    client->asked_us = clock_now_us();
    client->try_count++;
    if (load->options.transport != LOAD_UDP) {
        if (!client->stream)
            client->stream = client_stream_open(load, index);
        client_stream_send(client->stream, bytes_of(message, size));
        return;
    }
    port_add(load->client_port, load->options.server, load->options.client_ip + index,
             bytes_of(NULL, 0), bytes_of(message, size), false);
    port_flush(load->client_port);
}

static void take_challenge(struct load *load, struct load_client *client,
                           const struct stun_message *message)
{
    struct bytes realm, nonce;
    if (!stun_message_find(message, STUN_REALM, &realm) || realm.size >= LOAD_REALM_MAX ||
        !stun_message_find(message, STUN_NONCE, &nonce) || nonce.size > LOAD_NONCE_MAX)
        return;
    memcpy(load->realm, realm.data, realm.size);
    load->realm[realm.size] = 0;
    memcpy(client->nonce, nonce.data, nonce.size);
    client->nonce_size = (uint8_t)nonce.size;
    client->step = STEP_CHALLENGED;
}

static void set_relay(struct load *load, uint32_t index, struct port_address relay)
{
    load->clients[index].relay = relay;
    load->by_relay[relay.number] = index + 1;
    load->clients[index].step = STEP_ALLOCATED;
}

static void take_success(struct load *load, uint32_t index, const struct stun_message *message)
{
    struct load_client *client = &load->clients[index];
    struct net_address relayed;
    switch (message->method) {
    case STUN_ALLOCATE:
        if (stun_message_find_address(message, STUN_XOR_RELAYED_ADDRESS, &relayed) == 0)
            set_relay(load, index, (struct port_address){ load_u32(relayed.ip), relayed.port });
        break;
    case STUN_CHANNEL_BIND:
    case STUN_CREATE_PERMISSION:
        client->step = STEP_READY;
        break;
    case STUN_REFRESH:
        client->step = STEP_RELEASED;
        break;
    default:
        break;
    }
}

static void take_bare_answer(struct load *load, uint32_t index, struct bytes message)
{
    if (message.size != BARE_HELLO_SIZE || !load->clients[index].asked_us)
        return;
    load->counts.answers++;
    load->clients[index].asked_us = 0;
    set_relay(load, index,
              (struct port_address){ load_u32(message.data + 4), load_u16(message.data + 2) });
    load->clients[index].step = STEP_READY;
}

void load_take_response(struct load *load, uint32_t index, struct bytes datagram)
{
    struct load_client *client = &load->clients[index];
    struct stun_message message;
    uint16_t code = 0;
    if (load->options.bare) {
        take_bare_answer(load, index, datagram);
        return;
    }
    if (stun_message_parse(datagram, &message) != 0)
        return;
    const uint8_t *id = stun_message_transaction_id(&message);
    if (load_u32(id) != index || load_u32(id + 4) != client->step || !client->asked_us)
        return;
    load->counts.answers++;
    client->asked_us = 0;
    if (message.class == STUN_SUCCESS) {
        take_success(load, index, &message);
    } else if (stun_message_find_error(&message, &code, NULL) == 0) {
        bool challenge = code == STUN_UNAUTHENTICATED && client->step == STEP_NEW;
        if (challenge || code == STUN_STALE_NONCE) {
            enum load_step step = client->step;
            take_challenge(load, client, &message);
            client->step = challenge ? STEP_CHALLENGED : step;
        } else {
            if (load->counts.errors++ == 0)
                fprintf(stderr, "bench_turn: client %u: error %u\n", index, code);
            client->step = STEP_FAILED;
        }
    }
    if (client->step != STEP_FAILED)
        client->try_count = 0;
}

/** Returns whether the client still has something to wait for. */
static bool drive(struct load *load, uint32_t index, enum load_step step, uint64_t now_us)
{
    struct load_client *client = &load->clients[index];
    if (client->step >= step)
        return false;
    if (client->asked_us && now_us - client->asked_us < ANSWER_LATE_US)
        return true;
    if (client->try_count >= TRIES_MAX || (client->try_count && load->options.transport)) {
        if (load->counts.errors++ == 0)
            fprintf(stderr, "bench_turn: client %u: no answer at step %d\n", index, client->step);
        client->step = STEP_FAILED;
        return false;
    }
    ask(load, index, step == STEP_RELEASED);
    return true;
}

bool load_bring(struct load *load, uint32_t first, uint32_t count, enum load_step step)
{
    // the clients that are under way: a window that slides over all
    uint32_t begin = first, end = first, last = first + count;
    if (load->options.bare && step == STEP_RELEASED) {
        say_goodbye(load);
        return true;
    }
    while (begin < last) {
        uint64_t now_us = clock_now_us();
        uint32_t busy = 0;
        for (uint32_t i = begin; i < end; i++)
            busy += drive(load, i, step, now_us);
        while (end < last && busy < load->options.outstanding)
            busy += drive(load, end++, step, now_us);
        while (begin < end && load->clients[begin].step >= step)
            begin++;
        if (busy > 0)
            load_turn(load, 100);
    }
    for (uint32_t i = first; i < last; i++) {
        if (load->clients[i].step != step)
            return false;
    }
    return true;
}
