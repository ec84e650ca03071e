#include "base/memory.h"
#include "proto/turn/turn_server_int.h"

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

size_t turn_unknown_attributes(const struct stun_message *message, uint16_t *ret_types,
                               size_t capacity)
{
    return stun_message_unknown(message, known_attributes, array_size(known_attributes), ret_types,
                                capacity);
}

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

/** After the answer, so that the time it takes tells the client nothing. */
static void tell_unauthenticated(const struct turn_request *request)
{
    const struct turn_server *server = request->server;
    struct turn_auth_request auth = {
        .message = request->message,
        .now_unix_s = turn_unix_s(server, request->now_us),
    };
    struct bytes username = { 0 };
    const char *reason = turn_auth_reason(server->settings, &auth);
    if (!reason || !server->ops->unauthenticated)
        return;
    (void)stun_message_find(request->message, STUN_USERNAME, &username);
    server->ops->unauthenticated(server->owner, request->source, username, reason);
}

static void answer_request(struct turn_request *request, const struct turn_method *method)
{
    int code = check_credentials(request);
    if (code != 0) {
        turn_count(request->server, failure_metric(request, code));
        turn_answer_stranger(request, (uint16_t)code);
        if (code == STUN_UNAUTHENTICATED)
            tell_unauthenticated(request);
        return;
    }
    request->authenticated = true;
    // only now (RFC 8489 section 6.3)
    uint16_t unknown[16];
    size_t count = turn_unknown_attributes(request->message, unknown, array_size(unknown));
    if (count > 0)
        turn_answer_unknown(request, unknown, count);
    else
        method->answer(request);
    memory_wipe(request->identity.key, sizeof(request->identity.key));
}

void turn_request_take(struct turn_server *server, uint64_t now_us,
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
