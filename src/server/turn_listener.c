#include "server/turn_listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/address_limit.h"
#include "runtime/tcp.h"
#include "server/turn_host.h"

#define LISTENERS_MAX 32

struct turn_listener {
    struct loop *loop;
    struct turn_host *host;
    struct turn_listener_options options; /**< with defaults */
    struct turn_network *proxies;         /**< our copy */
    struct tcp_listener *listeners[LISTENERS_MAX];
    size_t listener_count;
    struct address_limit limit;
    struct address_rate rate;
    uint32_t proxied; /**< connections of load balancers, which no limit per address counts */
    bool draining;
    metric_value metrics[TURN_LISTENER_METRIC_COUNT];
};

static const struct metric_description descriptions[TURN_LISTENER_METRIC_COUNT] = {
#define METRIC(id, kind, name, labels, help)                                                       \
    METRIC_DESCRIPTION(TURN_LISTENER_##id, kind, name, labels, help)
#include "server/turn_listener_metrics.def"
#undef METRIC
};

/** What the limits know of a load balancer's connection. */
static const struct net_address nobody = { .family = NET_NONE };

// --- life ---

#define DEFAULT(field, value)                                                                      \
    do {                                                                                           \
        if ((field) == 0)                                                                          \
            (field) = (value);                                                                     \
    } while (0)

void turn_listener_set_options(struct turn_listener *listener,
                               const struct turn_listener_options *options)
{
    struct turn_listener_options *own = &listener->options;
    struct turn_network *proxies = NULL;
    if (options->proxy_count > 0)
        proxies = memory_copy(options->proxies, options->proxy_count * sizeof(*proxies));
    free(listener->proxies);
    listener->proxies = proxies;
    *own = *options;
    own->proxies = proxies;
    DEFAULT(own->connections_max, 10000);
    DEFAULT(own->connections_per_address_max, 1000);
    DEFAULT(own->rate_per_address, own->connections_per_address_max);
    listener->limit.per_address = own->connections_per_address_max;
}

struct turn_listener *turn_listener_new(const struct turn_listener_config *config)
{
    struct turn_listener *listener = memory_new(struct turn_listener);
    listener->loop = config->loop;
    listener->host = config->host;
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    address_limit_init(&listener->limit, 0, 0, secret);
    address_rate_init(&listener->rate, secret);
    turn_listener_set_options(listener, &config->options);
    return listener;
}

static void close_listeners(struct turn_listener *listener)
{
    for (size_t i = 0; i < listener->listener_count; i++)
        tcp_listener_close(listener->listeners[i]);
    listener->listener_count = 0;
}

struct turn_listener *turn_listener_free(struct turn_listener *listener)
{
    if (!listener)
        return NULL;
    close_listeners(listener);
    address_limit_done(&listener->limit);
    free(listener->proxies);
    free(listener);
    return NULL;
}

void turn_listener_drain(struct turn_listener *listener)
{
    listener->draining = true;
    close_listeners(listener);
}

uint32_t turn_listener_connection_count(const struct turn_listener *listener)
{
    return listener->limit.taken + listener->proxied;
}

struct metric_set turn_listener_metrics(const struct turn_listener *listener)
{
    return (struct metric_set){ descriptions, listener->metrics, TURN_LISTENER_METRIC_COUNT, "" };
}

// --- who gets in ---

static void count(struct turn_listener *listener, enum turn_listener_metric metric)
{
    metric_add(&listener->metrics[metric], 1);
}

static bool network_holds(const struct turn_network *network, const struct net_address *address)
{
    if (network->address.family != address->family)
        return false;
    size_t whole = network->prefix / 8;
    uint8_t mask = (uint8_t)(0xff00u >> network->prefix % 8);
    if (memcmp(network->address.ip, address->ip, whole) != 0)
        return false;
    return mask == 0 || ((network->address.ip[whole] ^ address->ip[whole]) & mask) == 0;
}

static bool is_proxy(const struct turn_listener *listener, const struct net_address *address)
{
    for (size_t i = 0; i < listener->options.proxy_count; i++) {
        if (network_holds(&listener->proxies[i], address))
            return true;
    }
    return false;
}

static bool comes_too_often(struct turn_listener *listener, const struct net_address *address)
{
    uint32_t per_s = listener->options.rate_per_address;
    return !net_address_is_loopback(address) &&
           !address_rate_take(&listener->rate, address, loop_now_us(listener->loop), per_s,
                              4 * per_s);
}

/** One more connection of `address`, or of a load balancer. */
static bool take_place(struct turn_listener *listener, const struct net_address *address,
                       bool proxy)
{
    bool full = turn_listener_connection_count(listener) >= listener->options.connections_max;
    if (full || (!proxy && !address_limit_take(&listener->limit, address))) {
        count(listener, TURN_LISTENER_REJECTED_LIMIT);
        return false;
    }
    listener->proxied += proxy;
    metric_add(&listener->metrics[TURN_LISTENER_CONNECTIONS], 1);
    return true;
}

void turn_listener_release(void *owner, const struct net_address *remote)
{
    struct turn_listener *listener = owner;
    if (remote->family == NET_NONE) {
        ensure(listener->proxied > 0);
        listener->proxied--;
    } else {
        address_limit_release(&listener->limit, remote);
    }
    metric_subtract(&listener->metrics[TURN_LISTENER_CONNECTIONS], 1);
}

static bool admit(void *owner, const struct net_address *remote)
{
    struct turn_listener *listener = owner;
    struct net_address address = net_address_unmapped(remote);
    bool proxy = is_proxy(listener, &address);
    if (!proxy && comes_too_often(listener, &address)) {
        count(listener, TURN_LISTENER_REJECTED_RATE);
        return false;
    }
    return take_place(listener, &address, proxy);
}

static void accepted(void *owner, int fd, const struct net_address *remote)
{
    struct turn_listener *listener = owner;
    struct net_address address = net_address_unmapped(remote);
    bool proxy = is_proxy(listener, &address);
    struct turn_connection_origin origin = {
        .remote = proxy ? nobody : address,
        .limited = true,
        .proxy = proxy,
    };
    count(listener, TURN_LISTENER_ACCEPTED);
    turn_host_connection(listener->host, fd, &origin);
}

void turn_listener_adopt(void *owner, struct stream_parcel *parcel,
                         const struct net_address *remote, const struct net_address *local)
{
    struct turn_listener *listener = owner;
    struct turn_connection_origin origin = { .remote = net_address_unmapped(remote),
                                             .limited = true };
    if (listener->draining)
        count(listener, TURN_LISTENER_REJECTED_DRAINING);
    if (listener->draining || !take_place(listener, &origin.remote, false)) {
        stream_parcel_free(parcel);
        return;
    }
    count(listener, TURN_LISTENER_ADOPTED);
    turn_host_stream(listener->host, parcel, &origin, local);
}

// --- ports ---

int turn_listener_listen(struct turn_listener *listener, const struct net_address *address,
                         struct net_address *ret_bound)
{
    static const struct tcp_listener_ops ops = { .admit = admit, .accepted = accepted };
    if (listener->listener_count == LISTENERS_MAX)
        return -ENOSPC;
    struct tcp_listener *tcp;
    struct tcp_listener_config config = { .bind = *address };
    int error = tcp_listener_open(&config, listener->loop, &ops, listener, &tcp);
    if (error)
        return error;
    listener->listeners[listener->listener_count++] = tcp;
    if (ret_bound) {
        *ret_bound = *address;
        ret_bound->port = tcp_listener_port(tcp);
    }
    return 0;
}
