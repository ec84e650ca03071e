#include "server/media_routes.h"

#include <stdlib.h>

#include "base/memory.h"

struct route {
    struct list by_transport;
    struct net_address remote;
    struct media_transport *transport;
};

static struct bytes address_key(const struct net_address *address)
{
    return bytes_of(address, sizeof(*address));
}

static struct bytes local_ufrag(const struct rtc_params *params)
{
    return bytes_of_text(rtc_params_get(params)->local_ufrag);
}

void media_routes_init(struct media_routes *routes, const uint64_t secret[2])
{
    map_init(&routes->sessions, (uint64_t[2]){ 0 });
    map_init(&routes->ufrags, secret);
    map_init(&routes->addresses, secret);
}

void media_routes_done(struct media_routes *routes)
{
    ensure(routes->sessions.count == 0);
    map_done(&routes->sessions);
    map_done(&routes->ufrags);
    map_done(&routes->addresses);
}

struct media_transport *media_routes_add(struct media_routes *routes, handle session,
                                         struct media_claim *claim, struct rtc_params *params)
{
    struct media_transport *transport = memory_new(struct media_transport);
    transport->session = session;
    transport->claim = claim;
    transport->params = params;
    list_init(&transport->routes);
    list_init(&transport->awake);
    map_set(&routes->sessions, map_key_u64(&transport->session), transport);
    map_set(&routes->ufrags, local_ufrag(params), transport);
    return transport;
}

static void forget_ufrag(struct media_routes *routes, struct rtc_params *params)
{
    if (params)
        map_remove(&routes->ufrags, local_ufrag(params));
    rtc_params_unref(params);
}

void media_routes_renew(struct media_routes *routes, struct media_transport *transport,
                        struct rtc_params *params)
{
    struct rtc_params *before = transport->params;
    transport->params = params;
    if (bytes_equal(local_ufrag(before), local_ufrag(params))) {
        rtc_params_unref(before);
        return;
    }
    forget_ufrag(routes, transport->old[MEDIA_OLD_PARAMS - 1]);
    for (int i = MEDIA_OLD_PARAMS - 1; i > 0; i--)
        transport->old[i] = transport->old[i - 1];
    transport->old[0] = before;
    map_set(&routes->ufrags, local_ufrag(params), transport);
}

static void forget_route(struct media_routes *routes, struct route *route)
{
    map_remove(&routes->addresses, address_key(&route->remote));
    list_remove(&route->by_transport);
    route->transport->route_count--;
    free(route);
}

void media_routes_remove(struct media_routes *routes, struct media_transport *transport)
{
    struct route *route;
    list_each(route, &transport->routes, by_transport) forget_route(routes, route);
    forget_ufrag(routes, transport->params);
    for (int i = 0; i < MEDIA_OLD_PARAMS; i++)
        forget_ufrag(routes, transport->old[i]);
    map_remove(&routes->sessions, map_key_u64(&transport->session));
    list_remove(&transport->awake);
    loop_timer_cancel(&transport->timer);
    media_claim_unref(transport->claim);
    free(transport);
}

struct media_transport *media_routes_by_session(const struct media_routes *routes, handle session)
{
    return map_find(&routes->sessions, map_key_u64(&session));
}

struct media_transport *media_routes_by_ufrag(const struct media_routes *routes, struct bytes ufrag)
{
    return map_find(&routes->ufrags, ufrag);
}

struct media_transport *media_routes_by_address(const struct media_routes *routes,
                                                const struct net_address *remote)
{
    struct route *route = map_find(&routes->addresses, address_key(remote));
    return route ? route->transport : NULL;
}

bool media_routes_learn(struct media_routes *routes, struct media_transport *transport,
                        const struct net_address *remote)
{
    struct route *route = map_find(&routes->addresses, address_key(remote));
    if (route && route->transport == transport)
        return false;
    // an authentic check moves an address: a NAT gave its port to another client
    if (route)
        forget_route(routes, route);
    bool full = transport->route_count == MEDIA_ROUTES_PER_SESSION;
    if (full)
        forget_route(routes, container_of(transport->routes.next, struct route, by_transport));
    route = memory_new(struct route);
    route->remote = *remote;
    route->transport = transport;
    list_append(&transport->routes, &route->by_transport);
    transport->route_count++;
    map_set(&routes->addresses, address_key(remote), route);
    return full;
}

struct media_transport *media_routes_next(const struct media_routes *routes, size_t *cursor)
{
    void *value;
    return map_next(&routes->sessions, cursor, NULL, &value) ? value : NULL;
}
