#include <errno.h>

#include "proto/turn/turn_server_int.h"

/** What a ChannelBind asks for. */
struct wish {
    uint16_t number;
    struct net_address peer;
};

/** CHANNEL-NUMBER is 16 bits and 16 reserved ones (section 18.1). Returns 0 or 400. */
static int read_wish(const struct turn_request *request, struct wish *wish)
{
    uint32_t value;
    if (stun_message_find_u32(request->message, STUN_CHANNEL_NUMBER, &value) < 0 ||
        stun_message_find_address(request->message, STUN_XOR_PEER_ADDRESS, &wish->peer) < 0 ||
        wish->peer.port == 0)
        return STUN_BAD_REQUEST;
    wish->number = (uint16_t)(value >> 16);
    if (wish->number < TURN_CHANNEL_FIRST || wish->number > TURN_CHANNEL_LAST)
        return STUN_BAD_REQUEST;
    return 0;
}

/**
 * Number and peer must be bound to each other or both to nothing; what has expired less than five
 * minutes ago counts as bound (section 12). Returns 0 or 400.
 */
static int check_binding(struct turn_request *request, const struct wish *wish,
                         struct turn_channel **ret_known)
{
    struct turn_reach *reach = request->allocation->reach;
    *ret_known = NULL;
    if (!reach)
        return 0;
    struct turn_channel *numbered = turn_reach_channel(reach, wish->number);
    struct turn_channel *bound = turn_reach_channel_of(reach, &wish->peer);
    if (numbered == bound) {
        *ret_known = bound;
        return 0;
    }
    uint64_t gone_us = request->now_us - min_of(request->now_us, TURN_CHANNEL_REBIND_US);
    if ((numbered && numbered->expires_us > gone_us) || (bound && bound->expires_us > gone_us))
        return STUN_BAD_REQUEST;
    turn_reach_purge(reach, request->now_us, TURN_CHANNEL_REBIND_US);
    return 0;
}

/** Whether one more channel and its permission fit. */
static bool has_room(struct turn_request *request, const struct wish *wish)
{
    struct turn_server *server = request->server;
    struct turn_allocation *allocation = request->allocation;
    const struct turn_reach *reach = allocation->reach;
    size_t limit = min_of((size_t)server->config->channels_max, (size_t)TURN_REACH_MAX);
    bool permitted = reach && turn_reach_permission(reach, &wish->peer);
    if (!turn_permission_room(server, allocation, permitted ? 0 : 1, request->now_us))
        return false;
    if (reach && reach->channel_count >= limit)
        turn_reach_purge(allocation->reach, request->now_us, TURN_CHANNEL_REBIND_US);
    return (reach ? reach->channel_count : 0u) < limit;
}

/** Judges the peer itself, with its port. Returns 0 or the error code. */
static int check_peer(struct turn_request *request, const struct wish *wish,
                      struct turn_permission *permission)
{
    struct turn_server *server = request->server;
    int code = turn_permission_prepare(request, &wish->peer, permission);
    if (code != 0)
        return code;
    if (!turn_peer_route(server, permission, &wish->peer).allowed) {
        static const struct turn_peer_decision nobody = {
            .verdict = TURN_PEER_OWN,
            .rule = "an address of this server",
            .remedy = "only the media port and ports of living allocations can be reached here",
        };
        turn_count(server, TURN_METRIC_REFUSED_PEERS);
        if (server->ops->refused)
            server->ops->refused(server->owner, request->allocation, &wish->peer, &nobody);
        return STUN_FORBIDDEN;
    }
    return 0;
}

static int bind_channel(struct turn_request *request)
{
    struct turn_server *server = request->server;
    struct turn_allocation *allocation = request->allocation;
    struct wish wish;
    struct turn_channel *known;
    struct turn_permission permission;
    int code = read_wish(request, &wish);
    if (code == 0)
        code = check_binding(request, &wish, &known);
    if (code == 0)
        code = check_peer(request, &wish, &permission);
    if (code != 0)
        return code;
    if (!known && !has_room(request, &wish))
        return STUN_INSUFFICIENT_CAPACITY;
    if (permission.verdict == TURN_PEER_ALLOWED &&
        turn_relay_open(server, turn_allocation_relay(allocation, wish.peer.family)) < 0)
        return STUN_INSUFFICIENT_CAPACITY;
    uint16_t position = turn_permission_install(server, allocation, &permission, request->now_us);
    if (known) {
        known->expires_us = request->now_us + TURN_CHANNEL_US;
        return 0;
    }
    const struct turn_channel channel = {
        .peer = wish.peer,
        .expires_us = request->now_us + TURN_CHANNEL_US,
        .number = wish.number,
        .permission = position,
    };
    turn_reach_add_channel(allocation->reach, &channel);
    return 0;
}

/** ChannelBind (section 12.2). */
void turn_request_channel_bind(struct turn_request *request)
{
    int code;
    if (!request->allocation)
        code = STUN_ALLOCATION_MISMATCH;
    else if (!turn_allocation_is_of(request->allocation, &request->identity))
        code = STUN_WRONG_CREDENTIALS;
    else if (request->allocation->tcp) // RFC 6062 section 5
        code = STUN_BAD_REQUEST;
    else
        code = bind_channel(request);
    if (code == 0)
        turn_answer_success(request);
    else
        turn_answer_error(request, (uint16_t)code);
}
