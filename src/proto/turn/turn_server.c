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
    if (cache)
        *cache = allocation;
    return allocation;
}

/** Comprehension-required attributes of RFC 8489, 8656, 6062 and 7635. */
static const uint16_t known_attributes[] = {
    STUN_MAPPED_ADDRESS,
    STUN_USERNAME,
    STUN_MESSAGE_INTEGRITY,
    STUN_ERROR_CODE,
    STUN_UNKNOWN_ATTRIBUTES,
    STUN_CHANNEL_NUMBER,
    STUN_LIFETIME,
    STUN_XOR_PEER_ADDRESS,
    STUN_DATA_ATTRIBUTE,
    STUN_REALM,
    STUN_NONCE,
    STUN_XOR_RELAYED_ADDRESS,
    STUN_REQUESTED_ADDRESS_FAMILY,
    STUN_EVEN_PORT,
    STUN_REQUESTED_TRANSPORT,
    STUN_DONT_FRAGMENT,
    STUN_ACCESS_TOKEN,
    STUN_MESSAGE_INTEGRITY_SHA256,
    STUN_PASSWORD_ALGORITHM,
    STUN_USERHASH,
    STUN_XOR_MAPPED_ADDRESS,
    STUN_RESERVATION_TOKEN,
    STUN_CONNECTION_ID,
};

static const struct turn_method {
    enum stun_method method;
    enum turn_metric metric;
    void (*answer)(struct turn_request *request);
} methods[] = {
    { STUN_ALLOCATE, TURN_METRIC_REQUESTS_ALLOCATE, turn_request_allocate },
    { STUN_REFRESH, TURN_METRIC_REQUESTS_REFRESH, turn_request_refresh },
    { STUN_CREATE_PERMISSION, TURN_METRIC_REQUESTS_CREATE_PERMISSION,
      turn_request_create_permission },
    { STUN_CHANNEL_BIND, TURN_METRIC_REQUESTS_CHANNEL_BIND, turn_request_channel_bind },
    { STUN_CONNECT, TURN_METRIC_REQUESTS_CONNECT, turn_request_connect },
    { STUN_CONNECTION_BIND, TURN_METRIC_REQUESTS_CONNECTION_BIND, turn_request_connection_bind },
};

static const struct turn_method *find_method(uint16_t method)
{
    for (size_t i = 0; i < array_size(methods); i++) {
        if (methods[i].method == method)
            return &methods[i];
    }
    return NULL;
}

static enum turn_metric failure_metric(const struct turn_request *request, int code)
{
    struct bytes unused_value;
    if (code == STUN_STALE_NONCE)
        return TURN_METRIC_AUTH_STALE;
    if (code != STUN_UNAUTHENTICATED)
        return TURN_METRIC_AUTH_BAD;
    return stun_message_find(request->message, STUN_USERNAME, &unused_value) ||
                   stun_message_find(request->message, STUN_USERHASH, &unused_value)
               ? TURN_METRIC_AUTH_WRONG
               : TURN_METRIC_AUTH_NONE;
}

/** The allocation that a request is about, be it from another 5-tuple than the allocation's. */
static const struct turn_allocation *claimed_allocation(struct turn_request *request)
{
    struct turn_allocation *named = NULL;
    uint32_t ticket;
    if (request->allocation)
        return request->allocation;
    if (request->message->method == STUN_REFRESH)
        return turn_mobility_find(request, &named, &ticket) == 0 ? named : NULL;
    if (request->message->method == STUN_CONNECTION_BIND)
        return turn_connection_allocation(request);
    return NULL;
}

/**
 * A credential that has ended begins nothing, but what it began may go on for one longest lifetime
 * more: else every call would break when the credential of its start ends.
 */
static int check_credentials(struct turn_request *request)
{
    struct turn_server *server = request->server;
    struct turn_auth_request auth = {
        .message = request->message,
        .source = &request->source->path.remote,
        .now_us = request->now_us,
        .now_unix_s = turn_unix_s(server, request->now_us),
    };
    const struct turn_allocation *allocation = claimed_allocation(request);
    if (allocation && allocation->session_key) {
        auth.session_key = bytes_of(allocation->session_key, allocation->session_key_size);
        auth.session_name = bytes_of(allocation->name, allocation->name_size);
        auth.session_ends_unix_s = allocation->credential_ends_s;
    }
    int code = turn_auth_check(server->settings, server->nonce_key, &auth, &request->identity);
    if (code != STUN_UNAUTHENTICATED || !allocation || allocation->credential_ends_s == 0 ||
        allocation->credential_ends_s > auth.now_unix_s ||
        allocation->credential_ends_s + server->config->lifetime_max_s <= auth.now_unix_s)
        return code;
    auth.now_unix_s = allocation->credential_ends_s - 1;
    return turn_auth_check(server->settings, server->nonce_key, &auth, &request->identity);
}

static void answer_request(struct turn_request *request, const struct turn_method *method)
{
    int code = check_credentials(request);
    if (code != 0) {
        turn_count(request->server, failure_metric(request, code));
        turn_answer_stranger(request, (uint16_t)code);
        return;
    }
    request->authenticated = true;
    // only now (RFC 8489 section 6.3)
    uint16_t unknown[16];
    size_t count = stun_message_unknown(request->message, known_attributes,
                                        array_size(known_attributes), unknown, array_size(unknown));
    if (count > 0)
        turn_answer_unknown(request, unknown, count);
    else
        method->answer(request);
    memory_wipe(request->identity.key, sizeof(request->identity.key));
}

static void take_request(struct turn_server *server, uint64_t now_us,
                         const struct turn_source *source, struct turn_allocation **cache,
                         const struct stun_message *message)
{
    struct turn_request request = {
        .server = server,
        .now_us = now_us,
        .source = source,
        .message = message,
        .cache = cache,
        .allocation = turn_server_lookup(server, source, cache),
    };
    if (message->method == STUN_BINDING) {
        turn_count(server, TURN_METRIC_REQUESTS_BINDING);
        turn_request_binding(&request);
        return;
    }
    const struct turn_method *method = find_method(message->method);
    turn_count(server, method ? method->metric : TURN_METRIC_REQUESTS_OTHER);
    if (method)
        answer_request(&request, method);
    else
        turn_count(server, TURN_METRIC_DROPPED_UNEXPECTED); // RFC 8489 section 6.3: no answer
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
    if (stun_message_unknown(message, known_attributes, array_size(known_attributes), unknown, 1)) {
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
        take_request(server, now_us, source, cache, &message);
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
