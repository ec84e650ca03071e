// Clients that moved (RFC 8016): the kernel brings their datagrams to a worker that has not their
// allocation; every worker knows which one has.
#include "server/turn_worker_int.h"

/** In the map: a pointer that is never NULL. */
static void *pointer_of(uint32_t worker)
{
    return (void *)(uintptr_t)(worker + 2);
}

static struct bytes key_of(const struct net_address *remote)
{
    return bytes_of(remote, sizeof(*remote));
}

bool turn_route_find(const struct turn_worker *turn, const struct net_address *remote,
                     uint32_t *ret_worker)
{
    if (likely(turn->routes.count == 0))
        return false;
    const void *found = map_find(&turn->routes, key_of(remote));
    if (!found)
        return false;
    *ret_worker = (uint32_t)(uintptr_t)found - 2;
    return true;
}

void turn_route_take(struct turn_worker *turn, const struct turn_message_route *message)
{
    if (message->gone)
        map_remove(&turn->routes, key_of(&message->remote));
    else
        map_set(&turn->routes, key_of(&message->remote), pointer_of(message->worker));
}

void turn_route_tell(struct turn_worker *turn, const struct net_address *remote, bool gone)
{
    if (turn->shared->count == 1)
        return;
    struct turn_message_route route = {
        .remote = *remote,
        .worker = turn->worker->index,
        .gone = gone,
    };
    // at once: the client may end before our own message has come round
    turn_route_take(turn, &route);
    if (worker_group_broadcast(turn->worker->group, TURN_MESSAGE_ROUTE, &route, sizeof(route)) > 0)
        log_warning(&turn->log, "a worker is too busy to hear where a client moved");
}

int turn_worker_give_association(struct turn_worker *turn, uint32_t worker,
                                 const struct net_path *path, struct turn_dtls_parcel *parcel)
{
    struct turn_message_association message = { .parcel = parcel };
    int error = worker_group_send(turn->worker->group, worker, TURN_MESSAGE_ASSOCIATION, &message,
                                  sizeof(message));
    if (!error)
        map_set(&turn->routes, key_of(&path->remote), pointer_of(worker));
    return error;
}

void turn_worker_association_ended(struct turn_worker *turn, const struct net_path *path)
{
    turn_route_tell(turn, &path->remote, true);
}
