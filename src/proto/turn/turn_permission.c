#include "proto/turn/turn_server_int.h"

/** Whether `address` is where our media server listens; without `with_port`, for any port. */
static bool is_media(const struct turn_server *server, const struct net_address *address,
                     bool with_port)
{
    const struct turn_settings_config *config = server->config;
    for (size_t i = 0; i < config->media_count; i++) {
        const struct net_address *media = &config->media[i];
        if (net_address_same_ip(media, address) && (!with_port || media->port == address->port))
            return true;
    }
    return false;
}

void turn_permission_judge(const struct turn_server *server, struct turn_permission *permission,
                           struct turn_peer_decision *ret_decision)
{
    permission->verdict = (uint8_t)turn_peers_judge(turn_settings_peers(server->settings),
                                                    &permission->peer, ret_decision);
    permission->address_index =
        (int8_t)max_of(turn_ports_find_address(server->ports, &permission->peer), -1);
    permission->is_media = is_media(server, &permission->peer, false);
    permission->judged = server->generation;
}

struct turn_route turn_peer_route(const struct turn_server *server,
                                  const struct turn_permission *permission,
                                  const struct net_address *peer)
{
    struct turn_route route = { .allowed = true, .place = TURN_PLACE_OUTSIDE };
    if (permission->verdict == TURN_PEER_DENIED)
        return (struct turn_route){ .reason = TURN_METRIC_DROPPED_PEER_DENIED };
    if (permission->is_media && is_media(server, peer, true)) {
        route.place = TURN_PLACE_MEDIA;
        return route;
    }
    if (permission->address_index >= 0) {
        route.worker =
            turn_ports_owner(server->ports, (size_t)permission->address_index, peer->port);
        if (route.worker != TURN_PORT_FREE) {
            route.place = TURN_PLACE_RELAY;
            return route;
        }
    }
    if (permission->verdict == TURN_PEER_OWN)
        return (struct turn_route){ .reason = TURN_METRIC_DROPPED_PEER_OWN };
    return route;
}

int turn_permission_prepare(struct turn_request *request, const struct net_address *peer,
                            struct turn_permission *ret_permission)
{
    struct turn_server *server = request->server;
    const struct turn_allocation *allocation = request->allocation;
    struct turn_relay_entry *entry = turn_allocation_relay(allocation, peer->family);
    if (!entry)
        return STUN_PEER_ADDRESS_FAMILY_MISMATCH;
    struct turn_permission permission = { .peer = *peer };
    struct turn_peer_decision decision;
    permission.peer.port = 0;
    turn_permission_judge(server, &permission, &decision);
    // nothing inside this process takes TCP from a relay
    if (permission.verdict == TURN_PEER_DENIED ||
        (allocation->tcp && permission.verdict == TURN_PEER_OWN)) {
        turn_count(server, TURN_METRIC_REFUSED_PEERS);
        if (server->ops->refused)
            server->ops->refused(server->owner, allocation, peer, &decision);
        return STUN_FORBIDDEN;
    }
    *ret_permission = permission;
    return 0;
}

bool turn_permission_room(struct turn_server *server, struct turn_allocation *allocation,
                          size_t count, uint64_t now_us)
{
    size_t limit = min_of((size_t)server->config->permissions_max, (size_t)TURN_REACH_MAX);
    if (!allocation->reach)
        return count <= limit;
    // before the arrays grow, and before anyone is refused
    if (allocation->reach->permission_count + count >
        min_of((size_t)allocation->reach->permission_capacity, limit))
        turn_reach_purge(allocation->reach, now_us, TURN_CHANNEL_REBIND_US);
    return allocation->reach->permission_count + count <= limit;
}

uint16_t turn_permission_install(struct turn_server *server, struct turn_allocation *allocation,
                                 const struct turn_permission *permission, uint64_t now_us)
{
    if (!allocation->reach)
        allocation->reach = turn_reach_new(server->secret[0]);
    struct turn_reach *reach = allocation->reach;
    struct turn_permission *known = turn_reach_permission(reach, &permission->peer);
    struct turn_permission fresh = *permission;
    fresh.expires_us = now_us + TURN_PERMISSION_US;
    if (!known)
        return turn_reach_add_permission(reach, &fresh);
    fresh.channels = known->channels;
    *known = fresh;
    return (uint16_t)(known - reach->permissions);
}

/** Whether the next peer address of the request is there; -EBADMSG for one that is none. */
static int next_peer(const struct turn_request *request, struct stun_cursor *cursor,
                     struct net_address *ret_peer)
{
    struct stun_attribute attribute;
    while (stun_message_next(request->message, cursor, &attribute)) {
        if (attribute.type != STUN_XOR_PEER_ADDRESS)
            continue;
        int error = stun_attribute_address(request->message, &attribute, ret_peer);
        return error < 0 ? error : 1;
    }
    return 0;
}

/** Opens the sockets that peers outside are reached by. Returns 0 or 508. */
static int open_relays(struct turn_request *request, const bool needed[TURN_RELAYS_MAX])
{
    for (size_t i = 0; i < TURN_RELAYS_MAX; i++) {
        if (needed[i] && turn_relay_open(request->server, request->allocation->relays[i]) < 0)
            return STUN_INSUFFICIENT_CAPACITY;
    }
    return 0;
}

/** Judges every peer, so that all permissions are installed or none. Returns 0 or the error. */
static int check_peers(struct turn_request *request)
{
    const struct turn_allocation *allocation = request->allocation;
    bool needed[TURN_RELAYS_MAX] = { false };
    struct stun_cursor cursor = { 0 };
    struct net_address peer;
    size_t count = 0, fresh = 0;
    int more;
    while ((more = next_peer(request, &cursor, &peer)) > 0) {
        struct turn_permission permission;
        int code = turn_permission_prepare(request, &peer, &permission);
        if (code != 0)
            return code;
        size_t at = turn_allocation_relay(allocation, peer.family) == allocation->relays[0] ? 0 : 1;
        // others are reached inside the process
        needed[at] |= permission.verdict == TURN_PEER_ALLOWED;
        fresh += !allocation->reach || !turn_reach_permission(allocation->reach, &peer);
        count++;
    }
    if (more < 0 || count == 0)
        return STUN_BAD_REQUEST;
    if (!turn_permission_room(request->server, request->allocation, fresh, request->now_us))
        return STUN_INSUFFICIENT_CAPACITY;
    return open_relays(request, needed);
}

/** CreatePermission (section 10.2). */
void turn_request_create_permission(struct turn_request *request)
{
    if (!request->allocation) {
        turn_answer_error(request, STUN_ALLOCATION_MISMATCH);
        return;
    }
    if (!turn_allocation_is_of(request->allocation, &request->identity)) {
        turn_answer_error(request, STUN_WRONG_CREDENTIALS);
        return;
    }
    int code = check_peers(request);
    if (code != 0) {
        turn_answer_error(request, (uint16_t)code);
        return;
    }
    struct stun_cursor cursor = { 0 };
    struct net_address peer;
    while (next_peer(request, &cursor, &peer) > 0) {
        struct turn_permission permission = { .peer = peer };
        struct turn_peer_decision decision;
        permission.peer.port = 0;
        turn_permission_judge(request->server, &permission, &decision);
        turn_permission_install(request->server, request->allocation, &permission, request->now_us);
    }
    turn_answer_success(request);
}
