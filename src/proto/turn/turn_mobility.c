#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "proto/turn/turn_server_int.h"

/**
 * MOBILITY-TICKET (RFC 8016). Clients that keep tickets as text exist, hence base64url of
 *
 *      0                   1                   2                   3
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                     Code (96 bits)                            |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |    Worker     |         Number of the ticket                  |  encrypted
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |                     Handle (64 bits)                          |  encrypted
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * The code is an HMAC of what is encrypted, and the key stream an HMAC of the code, so that equal
 * streams mean equal contents (the construction of RFC 5297).
 */
#define CODE_SIZE   12
#define PLAIN_SIZE  12
#define TICKET_SIZE (CODE_SIZE + PLAIN_SIZE)
#define TICKET_TEXT 32
#define NUMBER_MASK 0xffffffu

/** First byte of what is hashed: the two uses of one key must not meet. */
enum purpose {
    PURPOSE_CODE = 1,
    PURPOSE_STREAM = 2,
};

struct ticket {
    uint8_t worker;
    uint32_t number;
    handle id;
};

void turn_mobility_init(struct turn_server *server)
{
    static const char label[] = "roost TURN mobility tickets";
    uint8_t derived[HMAC_SIZE_MAX] = { 0 };
    struct hmac hmac;
    // of the shared key: any worker must be able to tell whose a ticket is
    hmac_begin(&hmac, &server->nonce_key->key);
    hmac_add(&hmac, bytes_of_text(label));
    hmac_end(&hmac, derived);
    hmac_key_init(&server->ticket_key, HASH_SHA256, bytes_of(derived, sizeof(derived)));
    memory_wipe(derived, sizeof(derived));
}

static void compute(const struct turn_server *server, enum purpose purpose, const uint8_t in[12],
                    uint8_t out[HMAC_SHA256_SIZE])
{
    uint8_t first = (uint8_t)purpose;
    struct hmac hmac;
    hmac_begin(&hmac, &server->ticket_key);
    hmac_add(&hmac, bytes_of(&first, 1));
    hmac_add(&hmac, bytes_of(in, 12));
    hmac_end(&hmac, out);
}

static void crypt(const struct turn_server *server, const uint8_t code[CODE_SIZE],
                  uint8_t data[PLAIN_SIZE])
{
    uint8_t stream[HMAC_SHA256_SIZE];
    compute(server, PURPOSE_STREAM, code, stream);
    for (size_t i = 0; i < PLAIN_SIZE; i++)
        data[i] ^= stream[i];
}

void turn_mobility_write(const struct turn_server *server, const struct turn_allocation *allocation,
                         struct stun_writer *writer)
{
    uint8_t code[HMAC_SHA256_SIZE], bytes[TICKET_SIZE];
    char text[TEXT_BASE64_SIZE(TICKET_SIZE)];
    store_u32(bytes + CODE_SIZE, server->worker << 24 | (allocation->ticket & NUMBER_MASK));
    store_u64(bytes + CODE_SIZE + 4, allocation->id);
    compute(server, PURPOSE_CODE, bytes + CODE_SIZE, code);
    memcpy(bytes, code, CODE_SIZE);
    crypt(server, bytes, bytes + CODE_SIZE);
    text_base64url_write(bytes_of(bytes, sizeof(bytes)), text);
    stun_write_bytes(writer, STUN_MOBILITY_TICKET, bytes_of(text, TICKET_TEXT));
}

/** Returns 0, -ENOENT (no ticket) or -EBADMSG. */
static int read_ticket(const struct turn_server *server, const struct stun_message *message,
                       struct ticket *ret_ticket)
{
    struct bytes text;
    uint8_t bytes[TICKET_SIZE], code[HMAC_SHA256_SIZE];
    if (!stun_message_find(message, STUN_MOBILITY_TICKET, &text))
        return -ENOENT;
    if (text.size != TICKET_TEXT ||
        text_base64_parse(text, bytes, sizeof(bytes)) != (int)sizeof(bytes))
        return -EBADMSG;
    crypt(server, bytes, bytes + CODE_SIZE);
    compute(server, PURPOSE_CODE, bytes + CODE_SIZE, code);
    if (!bytes_equal_constant_time(bytes_of(code, CODE_SIZE), bytes_of(bytes, CODE_SIZE)))
        return -EBADMSG;
    uint32_t first = load_u32(bytes + CODE_SIZE);
    *ret_ticket = (struct ticket){
        .worker = (uint8_t)(first >> 24),
        .number = first & NUMBER_MASK,
        .id = load_u64(bytes + CODE_SIZE + 4),
    };
    return 0;
}

int turn_mobility_find(struct turn_request *request, struct turn_allocation **ret_allocation,
                       uint32_t *ret_ticket)
{
    struct turn_server *server = request->server;
    struct ticket ticket;
    if (!server->config->mobility)
        return -ENOENT; // unknown, and comprehension is optional
    int error = read_ticket(server, request->message, &ticket);
    if (error < 0)
        return error;
    if (ticket.worker != server->worker)
        return -EBADMSG;
    struct turn_allocation *allocation = handle_table_find(&server->allocations, ticket.id);
    if (!allocation || !allocation->mobile)
        return -EBADMSG;
    // the one before the newest is good too: the answer with the newest may have been lost
    uint32_t age = (allocation->ticket - ticket.number) & NUMBER_MASK;
    if (ticket.number == 0 || age > 1)
        return -EBADMSG;
    *ret_allocation = allocation;
    *ret_ticket = ticket.number;
    return 0;
}

void turn_mobility_use(struct turn_allocation *allocation, uint32_t ticket)
{
    if (ticket == allocation->ticket)
        allocation->ticket = (allocation->ticket + 1) & NUMBER_MASK;
}

void turn_mobility_move(struct turn_request *request, struct turn_allocation *allocation)
{
    struct turn_server *server = request->server;
    struct turn_source before = allocation->source;
    if (!allocation->away)
        turn_sources_remove(server, allocation);
    turn_count_living(server, before.transport, false);
    allocation->source = *request->source;
    allocation->away = false;
    turn_sources_add(server, allocation);
    turn_count_living(server, allocation->source.transport, true);
    turn_count(server, TURN_METRIC_MOVED);
    if (server->ops->moved)
        server->ops->moved(server->owner, allocation, &before);
    if (request->cache)
        *request->cache = allocation;
}

/** The worker in a RFC 6062 CONNECTION-ID or a ticket. */
int turn_message_worker(const struct turn_server *server, struct bytes message)
{
    struct stun_message parsed;
    struct ticket ticket;
    uint32_t worker, connection;
    // most of what comes here is neither: two bytes tell (class request, method)
    if (message.size < STUN_HEADER_SIZE || message.data[0] != 0 ||
        (message.data[1] != STUN_REFRESH && message.data[1] != STUN_CONNECTION_BIND) ||
        stun_message_parse(message, &parsed) < 0)
        return -ENOENT;
    if (parsed.method == STUN_REFRESH) {
        if (!server->config->mobility || read_ticket(server, &parsed, &ticket) < 0)
            return -ENOENT;
        worker = ticket.worker;
    } else {
        if (stun_message_find_u32(&parsed, STUN_CONNECTION_ID, &connection) < 0)
            return -ENOENT;
        worker = connection >> 24;
    }
    return worker < server->worker_count ? (int)worker : -ENOENT;
}

void turn_mobility_leave(struct turn_server *server, struct turn_allocation *allocation)
{
    turn_connections_end(server, allocation); // theirs ended with the client's address, too
    turn_sources_remove(server, allocation);
    allocation->away = true;
    allocation->source.carrier = NULL;
}
