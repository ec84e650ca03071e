// The TURN server of the process.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/serve_int.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/ephemeral_ports.h"
#include "runtime/files.h"
#include "runtime/interfaces.h"

/** Of the tables of a worker; what is allowed is turn.max_allocations, which reloads. */
#define ALLOCATIONS_MAX 1000000
#define DRAIN_LOOK_US   TIME_US_PER_S
/** Peers never reach this machine's own addresses; which they are may change any time. */
#define OWN_LOOK_US (10 * TIME_US_PER_S)

static void drain_due(struct loop_timer *timer, uint64_t now_us);

bool serve_turn_wanted(const struct serve *serve)
{
    return option_list_has(&serve->options->server.roles, "turn");
}

bool serve_turn_alone(const struct serve *serve)
{
    const struct option_list *roles = &serve->options->server.roles;
    return serve_turn_wanted(serve) && !option_list_has(roles, "app") &&
           !option_list_has(roles, "signal");
}

bool serve_turn_on_https(const struct serve *serve)
{
    return serve_turn_wanted(serve) && serve->options->turn.https &&
           options_want_http(serve->options);
}

/** ---- settings ---- */

static void make_settings(struct serve *serve)
{
    const struct user_list nobody = { 0 };
    struct turn_settings_input input = {
        .options = serve->options,
        .data = &serve->data,
        .users = serve->users ? user_watch_users(serve->users) : &nobody,
        .relays = serve->relays,
        .relay_count = serve->relay_count,
        .own = &serve->turn_own,
        .external = serve->external,
        .media_port = serve->turn_media_port,
        .draining = serve->turn_draining,
        .drain_deadline_us = serve->turn_drain_deadline_us,
    };
    turn_settings_unref(serve->turn_settings);
    serve->turn_settings = turn_config_settings(&input);
}

void serve_turn_settings(struct serve *serve)
{
    if (!serve->turn)
        return;
    make_settings(serve);
    turn_host_set_settings(serve->turn, serve->turn_settings);
}

static void own_due(struct loop_timer *timer, unused uint64_t now_us)
{
    struct serve *serve = container_of(timer, struct serve, turn_own_timer);
    if (turn_own_read(&serve->turn_own) > 0) {
        log_info(&serve->log, "the addresses of this machine have changed");
        serve_turn_settings(serve);
    }
    loop_timer_set_after(timer, OWN_LOOK_US);
}

/** ---- the host ---- */

/** Behind a NAT people write the address that others see; no relay could open its socket there. */
static int check_relay_addresses(struct serve *serve)
{
    for (size_t i = 0; i < serve->options->turn.relay_addresses.count; i++) {
        char text[NET_ADDRESS_TEXT_MAX];
        int result = interface_try_bind(&serve->relays[i].bind);
        if (result != -EADDRNOTAVAIL)
            continue;
        net_address_format_ip(&serve->relays[i].bind, text);
        if (serve->relays[i].bind.family == NET_IPV6) {
            // one of an interface that just came up is not usable for a second or two
            log_warning(&serve->log, "turn.relay_addresses: no address of this machine (yet)",
                        log_text("address", text));
            continue;
        }
        text_append_format(&serve->problem,
                           "%s is no address of this machine: change turn.relay_addresses; behind "
                           "a NAT it is the machine's own address, then what others see: "
                           "IP/EXTERNAL-IP",
                           text);
        return result;
    }
    return 0;
}

/** The one address all of TURN's own ports are bound to; NET_NONE: all, or several. */
static struct net_address single_bind(const struct roost_options *options)
{
    const struct option_addresses *bind = &options->turn.bind;
    if (bind->count != 1 || net_address_is_unspecified(&bind->items[0]))
        return (struct net_address){ 0 };
    return bind->items[0];
}

/**
 * A socket that opens later may find its port taken: by the system, for some program's outgoing
 * traffic, unless the ports of relays are kept apart (docs/turn.md).
 */
static bool relays_at_once(const struct roost_options *options)
{
    if (options->turn.relay_sockets == OPTION_RELAY_SOCKETS_AUTO)
        return ephemeral_ports_overlap(options->turn.min_port, options->turn.max_port);
    return options->turn.relay_sockets == OPTION_RELAY_SOCKETS_AT_ONCE;
}

static struct turn_options worker_options(const struct serve *serve)
{
    const struct roost_options *options = serve->options;
    return (struct turn_options){
        .udp = options->turn.udp,
        .dtls = options->turn.dtls,
        .tls_udp = options->turn.dtls,
        .tls_udp_port = options->turn.tls_port,
        .relay_sockets_at_once = relays_at_once(options),
        .stream_queue_us = options->turn.stream_queue_us,
        .stream_timeout_us = options->turn.stream_timeout_us,
        .dtls_associations_max = options->turn.max_connections / serve_worker_count(serve) + 1,
        .bind = single_bind(options),
        .discovery_address = options->turn.nat_discovery_address,
        .discovery_port = options->turn.nat_discovery_port,
    };
}

static void connection_closed(void *owner, const struct net_address *remote)
{
    struct serve *serve = owner;
    if (serve->turn_listener)
        turn_listener_release(serve->turn_listener, remote);
}

static struct turn_listener_options listener_options(const struct serve *serve,
                                                     const struct turn_network *proxies)
{
    const struct roost_options *options = serve->options;
    return (struct turn_listener_options){
        .connections_max = options->turn.max_connections,
        .connections_per_address_max = options->turn.max_connections_per_address,
        .proxies = proxies,
        .proxy_count = options->turn.proxy_protocol_from.count,
    };
}

/** Without turn.tls a TURN port speaks plain TURN only. */
static struct tls_server_context *own_tls(const struct serve *serve)
{
    return serve->options->turn.tls ? serve->turn_tls : NULL;
}

static void make_host(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    struct turn_host_config config = {
        .options = worker_options(serve),
        .relay_addresses = serve->relays,
        .relay_address_count = serve->relay_count,
        .port_min = options->turn.min_port,
        .port_max = options->turn.max_port,
        .limits = turn_config_limits(options),
        .settings = serve->turn_settings,
        .tls = own_tls(serve),
        .certificate = serve->certificate,
        .allocations_max = ALLOCATIONS_MAX,
        .workers = serve_worker_count(serve),
        .random = &serve->entropy.random,
        .loop = &serve->loop,
        .log = &serve->log,
        .connection_closed = connection_closed,
        .owner = serve,
    };
    serve->turn = turn_host_new(&config);
}

static void make_listener(struct serve *serve)
{
    cleanup(memory_free_at) struct turn_network *proxies =
        turn_config_networks(&serve->options->turn.proxy_protocol_from);
    struct turn_listener_config config = { .loop = &serve->loop,
                                           .random = &serve->entropy.random,
                                           .host = serve->turn,
                                           .options = listener_options(serve, proxies) };
    serve->turn_listener = turn_listener_new(&config);
    struct metric_set metrics = turn_listener_metrics(serve->turn_listener);
    metrics_page_add(serve->metrics, &metrics);
}

int serve_turn_start(struct serve *serve)
{
    if (!serve_turn_wanted(serve))
        return 0;
    int result = turn_own_read(&serve->turn_own);
    if (result < 0)
        return result;
    serve->relay_count = turn_config_relays(serve->options, &serve->external, serve->relays);
    result = check_relay_addresses(serve);
    if (result < 0)
        return result;
    for (size_t i = 0; i < serve->relay_count; i++) {
        char bind[NET_ADDRESS_TEXT_MAX], told[NET_ADDRESS_TEXT_MAX];
        log_info(&serve->log, "relay address",
                 log_text("bind", net_address_format_ip(&serve->relays[i].bind, bind)),
                 log_text("told", net_address_format_ip(&serve->relays[i].told, told)));
    }
    if (serve->options->turn.no_auth)
        log_warning(&serve->log, "turn.no_auth: everyone who reaches this server may relay");
    make_settings(serve);
    make_host(serve);
    make_listener(serve);
    loop_timer_init(&serve->turn_drain_timer, &serve->loop, drain_due);
    loop_timer_init(&serve->turn_own_timer, &serve->loop, own_due);
    loop_timer_set_after(&serve->turn_own_timer, OWN_LOOK_US);
    return 0;
}

void serve_turn_stop(struct serve *serve)
{
    if (serve->turn) {
        loop_timer_cancel(&serve->turn_drain_timer);
        loop_timer_cancel(&serve->turn_own_timer);
    }
    serve->turn_listener = turn_listener_free(serve->turn_listener);
    serve->turn = turn_host_free(serve->turn);
    serve->turn_settings = turn_settings_unref(serve->turn_settings);
    turn_own_done(&serve->turn_own);
}

/** What is known only once the workers run: ports. */
void serve_turn_attached(struct serve *serve)
{
    if (!serve->turn)
        return;
    size_t count = turn_host_metric_sets(serve->turn, NULL, 0);
    struct metric_set *sets = memory_new_array(struct metric_set, max_of(count, (size_t)1));
    turn_host_metric_sets(serve->turn, sets, count);
    for (size_t i = 0; i < count; i++)
        metrics_page_add(serve->metrics, &sets[i]);
    free(sets);
    if (option_list_has(&serve->options->server.roles, "media"))
        serve->turn_media_port = turn_host_udp_port(serve->turn);
    serve_turn_settings(serve);
}

/** ---- ports ---- */

/** Why a port cannot be had; the web server of this process took its own before. */
static void explain_listen(struct serve *serve, int error, const struct net_address *address,
                           const char *option)
{
    bool own = address->port == serve->https_port || address->port == serve->http_port;
    if (error == -EADDRINUSE && serve->http && own)
        text_append_format(&serve->problem,
                           "port %u is this server's own web server's%s; change turn.%s",
                           address->port,
                           address->port == serve->https_port && serve_turn_on_https(serve)
                               ? ", which serves TURN over TLS too (turn.https)"
                               : "",
                           option);
    else
        serve_explain_bind(serve, error, address, "turn", option);
}

static int listen_on(struct serve *serve, uint16_t port, const char *option, uint16_t *ret_port)
{
    const struct option_addresses *bind = &serve->options->turn.bind;
    for (size_t i = 0; i < bind->count; i++) {
        struct net_address address = bind->items[i], bound;
        // with port 0 the system chooses once, for all addresses
        address.port = *ret_port != 0 ? *ret_port : port;
        int result = turn_listener_listen(serve->turn_listener, &address, &bound);
        if (result == -EAFNOSUPPORT && bind->count > 1)
            continue;
        if (result < 0) {
            explain_listen(serve, result, &address, option);
            return result;
        }
        *ret_port = bound.port;
        if (ret_port == &serve->turn_port && serve_media_takes_tcp(serve))
            media_host_add_tcp_port(serve->media, &bound);
    }
    return 0;
}

int serve_turn_listen(struct serve *serve)
{
    if (!serve->turn)
        return 0;
    const struct roost_options *options = serve->options;
    int result = 0;
    if (options->turn.tcp)
        result = listen_on(serve, options->turn.port, "port", &serve->turn_port);
    if (result == 0 && options->turn.tls)
        result = listen_on(serve, options->turn.tls_port, "tls_port", &serve->turn_tls_port);
    if (result < 0)
        return result;
    serve_turn_offer(serve);
    log_info(&serve->log, "TURN listens", log_number("udp_port", serve->turn_offer.udp_port),
             log_number("tcp_port", serve->turn_port), log_number("tls_port", serve->turn_tls_port),
             log_number("dtls_port", turn_host_tls_udp_port(serve->turn)));
    return 0;
}

void serve_turn_offer(struct serve *serve)
{
    struct turn_offer offer =
        turn_config_offer(serve->options, &serve->data, &serve->turn_host_text);
    // ports as they are, not as they were wished
    offer.udp_port = serve->options->turn.udp ? turn_host_udp_port(serve->turn) : 0;
    offer.tcp_port = serve->turn_port;
    offer.tls_port = serve->turn_tls_port;
    offer.https_port = serve_turn_on_https(serve) ? serve->https_port : 0;
    serve->turn_offer = offer;
}

/** ---- drain ---- */

/** A TURN server alone has nothing left to do once nobody relays. */
static void drain_due(struct loop_timer *timer, uint64_t now_us)
{
    struct serve *serve = container_of(timer, struct serve, turn_drain_timer);
    if (turn_host_allocation_count(serve->turn) == 0 || now_us >= serve->turn_drain_deadline_us)
        serve_stop(serve);
    else
        loop_timer_set_after(timer, DRAIN_LOOK_US);
}

void serve_turn_drain_and_stop(struct serve *serve)
{
    if (serve->whip)
        whip_endpoint_drain(serve->whip, false);
    serve_turn_drain(serve, true, serve->options->turn.drain_timeout_us);
    if (serve->turn && serve_turn_alone(serve))
        loop_timer_set_after(&serve->turn_drain_timer, 0);
}

void serve_turn_drain(struct serve *serve, bool on, uint64_t timeout_us)
{
    if (!serve->turn)
        return;
    uint64_t now_us = loop_now_us(&serve->loop);
    serve->turn_draining = on;
    serve->turn_drain_deadline_us = on ? now_us + timeout_us : 0;
    log_info(&serve->log, on ? "draining: no new allocations" : "no longer draining",
             log_number("allocations", turn_host_allocation_count(serve->turn)),
             log_number("timeout_s", (int64_t)(on ? timeout_us / TIME_US_PER_S : 0)));
    serve_turn_settings(serve);
}

/** ---- reload ---- */

void serve_turn_certificate(struct serve *serve)
{
    if (serve->turn)
        turn_host_set_tls(serve->turn, own_tls(serve), serve->certificate);
}

void serve_turn_reload(struct serve *serve)
{
    if (!serve->turn)
        return;
    cleanup(memory_free_at) struct turn_network *proxies =
        turn_config_networks(&serve->options->turn.proxy_protocol_from);
    struct turn_listener_options options = listener_options(serve, proxies);
    turn_listener_set_options(serve->turn_listener, &options);
    struct turn_quota_limits limits = turn_config_limits(serve->options);
    turn_host_set_limits(serve->turn, &limits);
    serve_turn_offer(serve);
    if (turn_own_read(&serve->turn_own) < 0)
        log_warning(&serve->log, "the addresses of this machine cannot be read: those before stay");
    serve_turn_settings(serve);
}
