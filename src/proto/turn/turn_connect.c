#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "proto/turn/turn_server_int.h"

/**
 * CONNECTION-ID: the worker in the first byte, so that a ConnectionBind finds it from whatever
 * worker its connection came to, then 24 random bits.
 */
#define CONNECTION_RANDOM_MASK 0xffffffu

static struct turn_connection *find_connection(const struct turn_server *server, uint32_t id)
{
    return map_find(&server->connections, bytes_of(&id, sizeof(id)));
}

static struct turn_connection *connection_to(const struct turn_allocation *allocation,
                                             const struct net_address *peer)
{
    struct turn_connection *connection;
    list_each(connection, &allocation->connections, of_allocation)
    {
        if (net_address_equal(&connection->peer, peer))
            return connection;
    }
    return NULL;
}

static uint32_t free_id(struct turn_server *server)
{
    for (;;) {
        uint32_t id = server->worker << 24 | (random_u32(server->random) & CONNECTION_RANDOM_MASK);
        if (!find_connection(server, id))
            return id;
    }
}

/** Starts or restarts the 30 seconds in which something has to happen. */
static void wait_for(struct turn_server *server, struct turn_connection *connection,
                     enum turn_connection_state state, uint64_t now_us)
{
    connection->state = state;
    connection->ends_us = now_us + TURN_CONNECT_US;
    list_remove(&connection->waiting);
    list_append(&server->connections_waiting, &connection->waiting);
}

static struct turn_connection *connection_new(struct turn_server *server,
                                              struct turn_allocation *allocation,
                                              const struct net_address *peer)
{
    struct turn_connection *connection = memory_new(struct turn_connection);
    connection->allocation = allocation;
    connection->peer = *peer;
    connection->id = free_id(server);
    list_init(&connection->waiting);
    list_append(&allocation->connections, &connection->of_allocation);
    allocation->connection_count++;
    map_set(&server->connections, bytes_of(&connection->id, sizeof(connection->id)), connection);
    metric_add(&server->metrics[TURN_METRIC_CONNECTIONS], 1);
    return connection;
}

static void connection_free(struct turn_server *server, struct turn_connection *connection)
{
    map_remove(&server->connections, bytes_of(&connection->id, sizeof(connection->id)));
    list_remove(&connection->waiting);
    list_remove(&connection->of_allocation);
    connection->allocation->connection_count--;
    metric_subtract(&server->metrics[TURN_METRIC_CONNECTIONS], 1);
    memory_wipe(&connection->protection, sizeof(connection->protection));
    free(connection);
}

void turn_connections_end(struct turn_server *server, struct turn_allocation *allocation)
{
    struct turn_connection *connection;
    list_each(connection, &allocation->connections, of_allocation)
    {
        uint32_t id = connection->id;
        connection_free(server, connection);
        server->ops->tcp_close(server->owner, id);
    }
}

static void answer_connect(struct turn_server *server, const struct turn_connection *connection,
                           uint16_t code)
{
    turn_answer_later(server, &connection->allocation->source, &connection->protection,
                      STUN_CONNECT, code, connection->id);
}

void turn_connections_expire(struct turn_server *server, uint64_t now_us)
{
    struct turn_connection *connection;
    list_each(connection, &server->connections_waiting, waiting)
    {
        if (connection->ends_us > now_us)
            break;
        uint32_t id = connection->id;
        if (connection->state == TURN_CONNECTION_CONNECTING)
            answer_connect(server, connection, STUN_CONNECTION_TIMEOUT_OR_FAILURE);
        connection_free(server, connection);
        server->ops->tcp_close(server->owner, id);
    }
}

/** Everything that can be wrong with a Connect request. Returns 0 or the error code. */
static int check_connect(struct turn_request *request, struct net_address *ret_peer)
{
    struct turn_server *server = request->server;
    struct turn_allocation *allocation = request->allocation;
    struct turn_permission permission;
    if (!allocation || !allocation->tcp)
        return STUN_ALLOCATION_MISMATCH;
    if (!turn_allocation_is_of(allocation, &request->identity))
        return STUN_WRONG_CREDENTIALS;
    if (stun_message_find_address(request->message, STUN_XOR_PEER_ADDRESS, ret_peer) < 0 ||
        ret_peer->port == 0)
        return STUN_BAD_REQUEST;
    if (connection_to(allocation, ret_peer))
        return STUN_CONNECTION_ALREADY_EXISTS;
    int code = turn_permission_prepare(request, ret_peer, &permission);
    if (code != 0)
        return code;
    if (allocation->connection_count >= server->config->tcp_connections_max)
        return STUN_INSUFFICIENT_CAPACITY;
    if (turn_relay_open(server, turn_allocation_relay(allocation, ret_peer->family)) < 0)
        return STUN_INSUFFICIENT_CAPACITY;
    return 0;
}

/** Connect (RFC 6062 section 5.2). Answered when the connection is there, or failed. */
void turn_request_connect(struct turn_request *request)
{
    struct turn_server *server = request->server;
    struct net_address peer;
    int code = check_connect(request, &peer);
    if (code != 0) {
        turn_answer_error(request, (uint16_t)code);
        return;
    }
    struct turn_connection *connection = connection_new(server, request->allocation, &peer);
    uint32_t id = connection->id;
    turn_protection_set(&connection->protection, request);
    wait_for(server, connection, TURN_CONNECTION_CONNECTING, request->now_us);
    turn_count(server, TURN_METRIC_CONNECTIONS_MADE);
    struct turn_relay_entry *entry = turn_allocation_relay(request->allocation, peer.family);
    if (server->ops->tcp_connect(server->owner, &entry->relay, id, &peer) < 0) {
        answer_connect(server, connection, STUN_CONNECTION_TIMEOUT_OR_FAILURE);
        connection_free(server, connection);
    }
}

void turn_server_tcp_connected(struct turn_server *server, uint64_t now_us, uint32_t connection,
                               int error)
{
    struct turn_connection *found = find_connection(server, connection);
    if (!found || found->state != TURN_CONNECTION_CONNECTING)
        return;
    if (error < 0) {
        answer_connect(server, found, STUN_CONNECTION_TIMEOUT_OR_FAILURE);
        connection_free(server, found);
        return;
    }
    wait_for(server, found, TURN_CONNECTION_WAITING, now_us);
    answer_connect(server, found, 0);
    memory_wipe(&found->protection, sizeof(found->protection));
}

/** ConnectionAttempt (RFC 6062 section 5.3). */
static void tell_attempt(struct turn_server *server, const struct turn_connection *connection)
{
    uint8_t message[96], transaction_id[STUN_TRANSACTION_ID_SIZE];
    random_fill(&server->transactions, transaction_id, sizeof(transaction_id));
    struct stun_writer writer;
    stun_writer_start(&writer, message, sizeof(message), STUN_INDICATION, STUN_CONNECTION_ATTEMPT,
                      transaction_id);
    stun_write_u32(&writer, STUN_CONNECTION_ID, connection->id);
    stun_write_address(&writer, STUN_XOR_PEER_ADDRESS, &connection->peer);
    server->ops->send(server->owner, &connection->allocation->source,
                      bytes_of(message, stun_writer_finish(&writer)));
}

int turn_server_tcp_accepted(struct turn_server *server, uint64_t now_us, struct turn_relay *relay,
                             const struct net_address *peer, uint32_t *ret_connection)
{
    struct turn_allocation *allocation = relay->allocation;
    struct turn_peer_decision decision;
    struct turn_permission *permission =
        allocation->reach ? turn_reach_permission(allocation->reach, peer) : NULL;
    if (!permission || permission->expires_us <= now_us) {
        turn_count(server, TURN_METRIC_DROPPED_NO_PERMISSION);
        return -EACCES;
    }
    turn_permission_judge(server, permission, &decision);
    if (permission->verdict != TURN_PEER_ALLOWED) {
        turn_count(server, TURN_METRIC_DROPPED_PEER_DENIED);
        return -EACCES;
    }
    if (allocation->away)
        return -ENOTCONN;
    if (allocation->connection_count >= server->config->tcp_connections_max)
        return -EMFILE;
    if (connection_to(allocation, peer))
        return -EEXIST;
    struct turn_connection *connection = connection_new(server, allocation, peer);
    wait_for(server, connection, TURN_CONNECTION_WAITING, now_us);
    turn_count(server, TURN_METRIC_CONNECTIONS_ACCEPTED);
    *ret_connection = connection->id;
    tell_attempt(server, connection);
    return 0;
}

bool turn_server_tcp_data(struct turn_server *server, uint64_t now_us, uint32_t connection,
                          bool to_peer, size_t size)
{
    turn_heard(server, now_us);
    struct turn_connection *found = find_connection(server, connection);
    if (!found)
        return true; // it ends: let it end
    struct turn_allocation *allocation = found->allocation;
    if (server->limited && !turn_quota_spend(server->quota, allocation->user, now_us, size))
        return false;
    *(to_peer ? &allocation->sent_bytes : &allocation->received_bytes) += size;
    metric_add(&server->metrics[to_peer ? TURN_METRIC_BYTES_TO_PEER : TURN_METRIC_BYTES_TO_CLIENT],
               size);
    return true;
}

void turn_server_tcp_ended(struct turn_server *server, uint64_t now_us, uint32_t connection)
{
    server->now_us = now_us;
    struct turn_connection *found = find_connection(server, connection);
    if (!found)
        return;
    if (found->state == TURN_CONNECTION_CONNECTING)
        answer_connect(server, found, STUN_CONNECTION_TIMEOUT_OR_FAILURE);
    connection_free(server, found);
}

struct turn_allocation *turn_connection_allocation(const struct turn_request *request)
{
    uint32_t id;
    struct turn_connection *connection = NULL;
    if (stun_message_find_u32(request->message, STUN_CONNECTION_ID, &id) == 0)
        connection = find_connection(request->server, id);
    return connection ? connection->allocation : NULL;
}

/** ConnectionBind (RFC 6062 section 5.4): the stream that it came on becomes the data. */
void turn_request_connection_bind(struct turn_request *request)
{
    struct turn_server *server = request->server;
    uint32_t id;
    struct turn_connection *connection = NULL;
    if (turn_is_stream(request->source->transport) && !request->allocation &&
        stun_message_find_u32(request->message, STUN_CONNECTION_ID, &id) == 0)
        connection = find_connection(server, id);
    if (!connection || connection->state != TURN_CONNECTION_WAITING) {
        turn_answer_error(request, STUN_BAD_REQUEST);
        return;
    }
    if (!turn_allocation_is_held_by(connection->allocation, &request->identity)) {
        turn_answer_error(request, STUN_WRONG_CREDENTIALS);
        return;
    }
    connection->state = TURN_CONNECTION_BOUND;
    list_remove(&connection->waiting);
    // the answer first: whatever follows it is the peer's
    struct turn_answer answer;
    turn_answer_start(&answer, request, STUN_SUCCESS);
    stun_write_u32(&answer.writer, STUN_CONNECTION_ID, id);
    turn_answer_send(&answer, request);
    if (server->ops->tcp_bind(server->owner, id, request->source) < 0) {
        connection_free(server, connection);
        server->ops->tcp_close(server->owner, id);
    }
}
