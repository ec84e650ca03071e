#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/turn/turn_server_int.h"
#include "proto/turn/turn_token_int.h"

const char *turn_end_name(enum turn_end end)
{
    static const char *const names[TURN_END_COUNT] = {
        [TURN_END_EXPIRED] = "expired",           [TURN_END_RELEASED] = "released",
        [TURN_END_DISCONNECTED] = "disconnected", [TURN_END_KILLED] = "killed",
        [TURN_END_STOPPED] = "stopped",
    };
    return (unsigned)end < TURN_END_COUNT ? names[end] : "unknown";
}

void turn_count_living(struct turn_server *server, enum turn_transport transport, bool more)
{
    metric_value *living = &server->metrics[TURN_METRIC_ALLOCATIONS_UDP + (int)transport];
    if (more)
        metric_add(living, 1);
    else
        metric_subtract(living, 1);
}

static void forget_token(struct turn_allocation *allocation)
{
    if (allocation->session_key)
        memory_wipe(allocation->session_key, allocation->session_key_size);
    memory_free_at(&allocation->session_key);
    allocation->session_key = NULL;
    allocation->session_key_size = 0;
}

void turn_allocation_keep_token(struct turn_allocation *allocation,
                                const struct turn_identity *identity)
{
    if (!identity->token)
        return;
    uint8_t *key = memory_copy(identity->key, identity->key_size);
    forget_token(allocation);
    allocation->session_key = key;
    allocation->session_key_size = identity->key_size;
    allocation->credential_ends_s = identity->expires_unix_s;
}

struct turn_allocation *turn_allocation_new(struct turn_request *request, struct turn_user *user)
{
    struct turn_server *server = request->server;
    const struct turn_identity *identity = &request->identity;
    struct turn_allocation *allocation =
        memory_allocate(1, sizeof(*allocation) + identity->name_size);
    allocation->id = handle_table_add(&server->allocations, allocation);
    ensure(allocation->id != 0); // the limit was checked
    allocation->source = *request->source;
    allocation->user = user;
    allocation->created_us = request->now_us;
    allocation->credential_ends_s = identity->expires_unix_s;
    allocation->quota_skip = identity->quota_skip;
    allocation->name_size = identity->name_size;
    memcpy(allocation->name, identity->name, identity->name_size);
    turn_allocation_keep_token(allocation, identity);
    memcpy(allocation->transaction_id, stun_message_transaction_id(request->message),
           STUN_TRANSACTION_ID_SIZE);
    list_init(&allocation->connections);
    turn_sources_add(server, allocation);
    turn_count_living(server, allocation->source.transport, true);
    turn_count(server,
               (enum turn_metric)(TURN_METRIC_CREATED_UDP + (int)allocation->source.transport));
    return allocation;
}

struct turn_relay_entry *turn_allocation_add_relay(struct turn_server *server,
                                                   struct turn_allocation *allocation,
                                                   size_t address_index, uint16_t port,
                                                   uint64_t expires_us)
{
    const struct turn_relay_address *address = turn_ports_address(server->ports, address_index);
    struct turn_relay_entry *entry = memory_new(struct turn_relay_entry);
    entry->relay = (struct turn_relay){
        .allocation = allocation,
        .bind = address->bind,
        .told = address->told,
        .address_index = (uint32_t)address_index,
    };
    entry->relay.bind.port = port;
    entry->relay.told.port = port;
    entry->port = port;
    entry->expires_us = expires_us;
    size_t at = allocation->relays[0] ? 1 : 0;
    ensure(!allocation->relays[at]);
    allocation->relays[at] = entry;
    turn_relays_add(server, entry);
    return entry;
}

/** Closes it; the entry itself stays for whoever wants to say what it was. */
static void close_relay(struct turn_server *server, struct turn_relay_entry *entry)
{
    turn_relays_remove(server, entry);
    server->ops->relay_close(server->owner, &entry->relay);
    turn_ports_give_back(server->ports, entry->relay.address_index, entry->port);
}

void turn_allocation_drop_relay(struct turn_server *server, struct turn_allocation *allocation,
                                size_t at)
{
    struct turn_relay_entry *entry = allocation->relays[at];
    if (allocation->reach)
        turn_reach_drop_family(allocation->reach, entry->relay.told.family);
    close_relay(server, entry);
    free(entry);
    allocation->relays[at] = allocation->relays[TURN_RELAYS_MAX - 1];
    allocation->relays[TURN_RELAYS_MAX - 1] = NULL;
}

void turn_allocation_end(struct turn_server *server, struct turn_allocation *allocation,
                         enum turn_end why)
{
    turn_connections_end(server, allocation);
    if (!allocation->away)
        turn_sources_remove(server, allocation);
    turn_expiry_remove(&server->expiry, allocation);
    handle_table_remove(&server->allocations, allocation->id);
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++) {
        if (allocation->relays[i])
            close_relay(server, allocation->relays[i]);
    }
    turn_count_living(server, allocation->source.transport, false);
    turn_count(server, (enum turn_metric)(TURN_METRIC_ENDED_EXPIRED + (int)why));
    server->ops->ended(server->owner, allocation, why);
    turn_quota_leave(server->quota, allocation->user);
    turn_reach_free(allocation->reach);
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++)
        free(allocation->relays[i]);
    forget_token(allocation);
    free(allocation);
}

struct turn_relay_entry *turn_allocation_relay(const struct turn_allocation *allocation,
                                               uint8_t family)
{
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++) {
        if (allocation->relays[i] && allocation->relays[i]->relay.told.family == family)
            return allocation->relays[i];
    }
    return NULL;
}

void turn_allocation_schedule(struct turn_server *server, struct turn_allocation *allocation)
{
    uint64_t due_us = TIME_NEVER;
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++) {
        if (allocation->relays[i])
            due_us = time_earlier(due_us, allocation->relays[i]->expires_us);
    }
    turn_expiry_set(&server->expiry, allocation, due_us);
}

void turn_allocation_expire(struct turn_server *server, struct turn_allocation *allocation,
                            uint64_t now_us)
{
    bool left = false;
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++)
        left |= allocation->relays[i] && allocation->relays[i]->expires_us > now_us;
    if (!left) {
        server->now_us = now_us;
        turn_allocation_end(server, allocation, TURN_END_EXPIRED);
        return;
    }
    for (size_t i = TURN_RELAYS_MAX; i > 0; i--) {
        if (allocation->relays[i - 1] && allocation->relays[i - 1]->expires_us <= now_us)
            turn_allocation_drop_relay(server, allocation, i - 1);
    }
    turn_allocation_schedule(server, allocation);
}

bool turn_allocation_is_of(const struct turn_allocation *allocation,
                           const struct turn_identity *identity)
{
    // a Refresh may bring a newer token, and tokens do not tell whose they are
    if (allocation->session_key && identity->token)
        return true;
    return bytes_equal(bytes_of(allocation->name, allocation->name_size),
                       bytes_of(identity->name, identity->name_size));
}

bool turn_allocation_is_held_by(const struct turn_allocation *allocation,
                                const struct turn_identity *identity)
{
    if (bytes_equal(bytes_of(allocation->name, allocation->name_size),
                    bytes_of(identity->name, identity->name_size)))
        return true;
    // a mac key may be used shortened (turn_credential.c)
    size_t size = min_of(allocation->session_key_size, identity->key_size);
    return allocation->session_key && identity->token && size >= TURN_TOKEN_MAC_KEY_MIN &&
           bytes_equal_constant_time(bytes_of(allocation->session_key, size),
                                     bytes_of(identity->key, size));
}

int turn_relay_open(struct turn_server *server, struct turn_relay_entry *entry)
{
    if (entry->open)
        return 0;
    int error = server->ops->relay_open(server->owner, &entry->relay, entry->relay.allocation->tcp);
    if (error < 0)
        return error;
    entry->open = true;
    return 0;
}

/** Ports tried before a relay waits for its first peer. */
#define OPEN_TRIES 16

static void move_relay(struct turn_server *server, struct turn_relay_entry *entry, uint16_t port)
{
    uint16_t before = entry->port;
    turn_relays_remove(server, entry);
    entry->port = port;
    entry->relay.bind.port = port;
    entry->relay.told.port = port;
    turn_relays_add(server, entry);
    turn_ports_give_back(server->ports, entry->relay.address_index, before);
}

void turn_relay_open_anywhere(struct turn_server *server, struct turn_relay_entry *entry,
                              enum turn_port_parity parity)
{
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        uint16_t port;
        if (turn_relay_open(server, entry) != -EADDRINUSE ||
            turn_ports_take(server->ports, entry->relay.address_index, parity, server->worker,
                            server->random, &port, NULL) < 0)
            return;
        move_relay(server, entry, port);
    }
}

void turn_allocation_info(const struct turn_allocation *allocation,
                          struct turn_allocation_info *ret_info)
{
    *ret_info = (struct turn_allocation_info){
        .id = allocation->id,
        .transport = allocation->source.transport,
        .tcp_relay = allocation->tcp,
        .client = allocation->source.path.remote,
        .username = bytes_of(allocation->name + allocation->quota_skip,
                             (size_t)allocation->name_size - allocation->quota_skip),
        .created_us = allocation->created_us,
        .sent_packets = allocation->sent_packets,
        .sent_bytes = allocation->sent_bytes,
        .received_packets = allocation->received_packets,
        .received_bytes = allocation->received_bytes,
        .dropped_packets = allocation->dropped_packets,
    };
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++) {
        const struct turn_relay_entry *entry = allocation->relays[i];
        if (!entry)
            continue;
        ret_info->relayed[i] = entry->relay.told;
        ret_info->expires_us = max_of(ret_info->expires_us, entry->expires_us);
    }
    if (allocation->reach) {
        ret_info->permissions = allocation->reach->permission_count;
        ret_info->channels = allocation->reach->channel_count;
    }
}

bool turn_server_next(const struct turn_server *server, uint32_t *cursor,
                      struct turn_allocation_info *ret_info)
{
    const struct turn_allocation *allocation =
        handle_table_next(&server->allocations, cursor, NULL);
    if (!allocation)
        return false;
    turn_allocation_info(allocation, ret_info);
    if (allocation->reach) { // here the time is known: only the living ones
        ret_info->permissions = turn_reach_permissions_alive(allocation->reach, server->now_us);
        ret_info->channels = turn_reach_channels_alive(allocation->reach, server->now_us);
    }
    return true;
}

const struct turn_source *turn_allocation_source(const struct turn_allocation *allocation)
{
    return &allocation->source;
}

void **turn_allocation_slot(struct turn_allocation *allocation)
{
    return &allocation->slot;
}

int turn_server_kill(struct turn_server *server, uint64_t now_us, handle id, enum turn_end why)
{
    server->now_us = now_us;
    struct turn_allocation *allocation = handle_table_find(&server->allocations, id);
    if (!allocation)
        return -ENOENT;
    turn_allocation_end(server, allocation, why);
    return 0;
}
