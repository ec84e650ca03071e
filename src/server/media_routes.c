#include "server/media_routes.h"

#include <stdlib.h>

#include "base/memory.h"

struct route {
    struct list by_transport;
    struct net_address remote;
    struct media_transport *transport;
};

struct source {
    struct list by_transport;
    uint32_t ssrc;
    struct media_transport *transport;
};

static struct bytes ssrc_key(const uint32_t *ssrc)
{
    return bytes_of(ssrc, sizeof(*ssrc));
}

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
    map_init(&routes->sources, secret);
}

void media_routes_done(struct media_routes *routes)
{
    ensure(routes->sessions.count == 0);
    map_done(&routes->sessions);
    map_done(&routes->ufrags);
    map_done(&routes->addresses);
    map_done(&routes->sources);
}

static void learn_sources(struct media_routes *routes, struct media_transport *transport)
{
    const struct rtc_negotiated *negotiated = rtc_params_get(transport->params);
    for (size_t i = 0; i < negotiated->section_count; i++) {
        const struct rtc_section *section = &negotiated->sections[i];
        for (size_t s = 0; s < section->source_count; s++) {
            uint32_t ssrc = section->sources[s].ssrc;
            if (map_find(&routes->sources, ssrc_key(&ssrc)))
                continue;
            struct source *source = memory_new(struct source);
            source->ssrc = ssrc;
            source->transport = transport;
            list_append(&transport->sources, &source->by_transport);
            map_set(&routes->sources, ssrc_key(&source->ssrc), source);
        }
    }
}

static void forget_sources(struct media_routes *routes, struct media_transport *transport)
{
    struct source *source;
    list_each(source, &transport->sources, by_transport)
    {
        map_remove(&routes->sources, ssrc_key(&source->ssrc));
        list_remove(&source->by_transport);
        free(source);
    }
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
    list_init(&transport->sources);
    map_set(&routes->sessions, map_key_u64(&transport->session), transport);
    map_set(&routes->ufrags, local_ufrag(params), transport);
    learn_sources(routes, transport);
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
    forget_sources(routes, transport);
    learn_sources(routes, transport);
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
    if (route->transport->guess == route)
        route->transport->guess = NULL;
    free(route);
}

void media_routes_remove(struct media_routes *routes, struct media_transport *transport)
{
    struct route *route;
    list_each(route, &transport->routes, by_transport) forget_route(routes, route);
    forget_sources(routes, transport);
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

struct media_transport *media_routes_by_ssrc(const struct media_routes *routes, uint32_t ssrc)
{
    struct source *source = map_find(&routes->sources, ssrc_key(&ssrc));
    return source ? source->transport : NULL;
}

static struct route *add_route(struct media_routes *routes, struct media_transport *transport,
                               const struct net_address *remote)
{
    struct route *route = memory_new(struct route);
    route->remote = *remote;
    route->transport = transport;
    list_append(&transport->routes, &route->by_transport);
    transport->route_count++;
    map_set(&routes->addresses, address_key(remote), route);
    return route;
}

bool media_routes_learn(struct media_routes *routes, struct media_transport *transport,
                        const struct net_address *remote)
{
    struct route *route = map_find(&routes->addresses, address_key(remote));
    if (route && route->transport == transport) {
        if (transport->guess == route)
            transport->guess = NULL; // now it is known
        return false;
    }
    // an authentic check moves an address: a NAT gave its port to another client
    if (route)
        forget_route(routes, route);
    bool full = transport->route_count == MEDIA_ROUTES_PER_SESSION;
    if (full)
        forget_route(routes, container_of(transport->routes.next, struct route, by_transport));
    add_route(routes, transport, remote);
    return full;
}

void media_routes_guess(struct media_routes *routes, struct media_transport *transport,
                        const struct net_address *remote)
{
    ensure(!map_find(&routes->addresses, address_key(remote)));
    if (transport->guess)
        forget_route(routes, transport->guess);
    if (transport->route_count < MEDIA_ROUTES_PER_SESSION)
        transport->guess = add_route(routes, transport, remote);
}

struct media_transport *media_routes_next(const struct media_routes *routes, size_t *cursor)
{
    void *value;
    return map_next(&routes->sessions, cursor, NULL, &value) ? value : NULL;
}
