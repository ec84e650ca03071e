#include "proto/turn/turn_server.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "proto/turn/turn_server_int.h"

const struct metric_description turn_metric_descriptions[TURN_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
#include "proto/turn/turn_metrics.def"
#undef METRIC
};

/** How soon a change of the quota's limits is noticed. */
#define LIMITS_CHECK_US TIME_US_PER_S

struct turn_server *turn_server_new(const struct turn_server_config *config)
{
    ensure(config->worker <= UINT8_MAX && config->worker < config->worker_count);
    struct turn_server *server = memory_new(struct turn_server);
    server->ops = config->ops;
    server->owner = config->owner;
    server->metrics = config->metrics;
    server->quota = config->quota;
    server->ports = config->ports;
    server->worker = config->worker;
    server->worker_count = config->worker_count;
    server->random = config->random;
    server->nonce_key = config->nonce_key;
    server->unix_offset_us = config->unix_offset_us;
    server->allocations_max = config->allocations_max;
    server->relays_at_once = config->relays_at_once;
    server->address_next = random_u32(config->random);
    random_fill(config->random, server->secret, sizeof(server->secret));
    random_seeded_init(&server->transactions, random_u64(config->random));
    handle_table_init(&server->allocations, config->allocations_max);
    map_init(&server->connections, server->secret);
    list_init(&server->reservations);
    list_init(&server->connections_waiting);
    turn_mobility_init(server);
    turn_server_set_settings(server, config->settings);
    return server;
}

struct turn_server *turn_server_free(struct turn_server *server)
{
    if (!server)
        return NULL;
    uint32_t cursor = 0;
    struct turn_allocation *allocation;
    while ((allocation = handle_table_next(&server->allocations, &cursor, NULL)) != NULL)
        turn_allocation_end(server, allocation, TURN_END_STOPPED);
    turn_reservations_expire(server, TIME_NEVER);
    turn_expiry_done(&server->expiry);
    turn_buckets_done(&server->sources);
    turn_buckets_done(&server->relays);
    map_done(&server->connections);
    handle_table_done(&server->allocations);
    turn_settings_unref(server->settings);
    hmac_key_wipe(&server->ticket_key);
    free(server);
    return NULL;
}

/** A drain holds for those who are here too, who may not ask for anything before it ends. */
static void cut_lifetimes(struct turn_server *server, uint64_t deadline_us)
{
    uint32_t cursor = 0;
    struct turn_allocation *allocation;
    while ((allocation = handle_table_next(&server->allocations, &cursor, NULL)) != NULL) {
        for (size_t i = 0; i < TURN_RELAYS_MAX; i++) {
            struct turn_relay_entry *entry = allocation->relays[i];
            if (entry)
                entry->expires_us = time_earlier(entry->expires_us, deadline_us);
        }
        turn_allocation_schedule(server, allocation);
    }
}

void turn_server_set_settings(struct turn_server *server, struct turn_settings *settings)
{
    struct turn_settings *before = server->settings;
    server->settings = turn_settings_ref(settings);
    server->config = turn_settings_get(settings);
    // peers judged by the settings before are judged again with their next packet
    server->generation++;
    server->limits_us = 0;
    turn_settings_unref(before);
    if (server->config->draining && server->config->drain_deadline_us != 0)
        cut_lifetimes(server, server->config->drain_deadline_us);
}

void turn_limits_look(struct turn_server *server, uint64_t now_us)
{
    struct turn_quota_limits limits = turn_quota_limits(server->quota);
    server->limited = limits.bytes_per_s || limits.bytes_per_s_per_user;
    server->limits_us = now_us + LIMITS_CHECK_US;
}

struct turn_allocation *turn_server_lookup(const struct turn_server *server,
                                           const struct turn_source *source,
                                           struct turn_allocation **cache)
{
    if (cache && *cache)
        return *cache;
    struct turn_allocation *allocation = turn_sources_find(server, source);
    // Another carrier of this 5-tuple (a proxy's new connection for a client whose old one has not
    // ended yet) would not hear of the allocation's end.
    if (cache && allocation && allocation->source.carrier == source->carrier)
        *cache = allocation;
    return allocation;
}

static enum turn_verdict take_indication(struct turn_server *server, uint64_t now_us,
                                         const struct turn_source *source,
                                         struct turn_allocation **cache,
                                         const struct stun_message *message,
                                         struct turn_forward *ret_forward)
{
    uint16_t unknown[1];
    if (message->method == STUN_BINDING)
        return TURN_DONE; // keeps a NAT's binding alive; wants no answer
    if (message->method != STUN_SEND) {
        turn_count(server, TURN_METRIC_DROPPED_UNEXPECTED);
        return TURN_DONE;
    }
    struct turn_allocation *allocation = turn_server_lookup(server, source, cache);
    if (!allocation) {
        turn_count(server, TURN_METRIC_DROPPED_NO_ALLOCATION);
        return TURN_DONE;
    }
    if (turn_unknown_attributes(message, unknown, 1)) {
        turn_count(server, TURN_METRIC_DROPPED_UNKNOWN_ATTRIBUTE);
        allocation->dropped_packets++;
        return TURN_DONE;
    }
    return turn_send_indication(server, now_us, allocation, message, ret_forward);
}

static enum turn_verdict take_stun(struct turn_server *server, uint64_t now_us,
                                   const struct turn_source *source, struct turn_allocation **cache,
                                   struct bytes data, struct turn_forward *ret_forward)
{
    struct stun_message message;
    if (stun_message_parse(data, &message) < 0) {
        turn_count(server, TURN_METRIC_DROPPED_MALFORMED);
        return TURN_DONE;
    }
    if (message.fingerprint && stun_message_check_fingerprint(&message) < 0) {
        turn_count(server, TURN_METRIC_DROPPED_FINGERPRINT);
        return TURN_DONE;
    }
    switch ((enum stun_class)message.class) {
    case STUN_INDICATION:
        return take_indication(server, now_us, source, cache, &message, ret_forward);
    case STUN_REQUEST:
        turn_request_take(server, now_us, source, cache, &message);
        return TURN_DONE;
    case STUN_SUCCESS:
    case STUN_ERROR:
        break;
    }
    turn_count(server, TURN_METRIC_DROPPED_UNEXPECTED);
    return TURN_DONE;
}

enum turn_verdict turn_server_client_input(struct turn_server *server, uint64_t now_us,
                                           const struct turn_source *source,
                                           struct turn_allocation **cache, struct bytes message,
                                           struct turn_forward *ret_forward)
{
    turn_heard(server, now_us);
    if (message.size < TURN_CHANNEL_HEADER_SIZE) {
        turn_count(server, TURN_METRIC_DROPPED_MALFORMED);
        return TURN_DONE;
    }
    if (message.data[0] < 0x40) // the first two bits tell (section 12.5)
        return take_stun(server, now_us, source, cache, message, ret_forward);
    struct turn_allocation *allocation = turn_server_lookup(server, source, cache);
    if (!allocation) {
        turn_count(server, TURN_METRIC_DROPPED_NO_ALLOCATION);
        return TURN_DONE;
    }
    return turn_channel_data(server, now_us, allocation, message, ret_forward);
}

void turn_server_disconnected(struct turn_server *server, uint64_t now_us,
                              const struct turn_source *source)
{
    server->now_us = now_us;
    struct turn_allocation *allocation = turn_sources_find(server, source);
    if (allocation && allocation->mobile)
        turn_mobility_leave(server, allocation);
    else if (allocation)
        turn_allocation_end(server, allocation, TURN_END_DISCONNECTED);
}

void turn_server_tick(struct turn_server *server, uint64_t now_us)
{
    turn_heard(server, now_us);
    struct turn_allocation *allocation;
    while ((allocation = turn_expiry_due(&server->expiry, now_us)) != NULL)
        turn_allocation_expire(server, allocation, now_us);
    turn_connections_expire(server, now_us);
    turn_reservations_expire(server, now_us);
}

uint64_t turn_server_deadline(const struct turn_server *server)
{
    uint64_t deadline_us = turn_expiry_first_us(&server->expiry);
    if (!list_empty(&server->reservations))
        deadline_us = time_earlier(
            deadline_us,
            container_of(server->reservations.next, struct turn_reservation, node)->ends_us);
    if (!list_empty(&server->connections_waiting))
        deadline_us = time_earlier(deadline_us, container_of(server->connections_waiting.next,
                                                             struct turn_connection, waiting)
                                                    ->ends_us);
    return deadline_us;
}

size_t turn_server_allocation_count(const struct turn_server *server)
{
    return server->allocations.count;
}

struct turn_relay *turn_server_find_relay(struct turn_server *server,
                                          const struct net_address *address)
{
    int index = turn_ports_find_address(server->ports, address);
    if (index < 0)
        return NULL;
    struct turn_relay_entry *entry = turn_relays_find(server, (uint32_t)index, address->port);
    return entry ? &entry->relay : NULL;
}
