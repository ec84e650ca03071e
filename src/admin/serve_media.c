// The media workers of the process.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/serve_int.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/cpu.h"
#include "server/external_address.h"

/** DTLS certificates prove nothing by their names; the SDP carries the fingerprint (RFC 8122). */
static int make_dtls_certificate(struct serve *serve, struct certificate **ret_certificate)
{
    int64_t now_s = (int64_t)(clock_unix_us() / TIME_US_PER_S);
    struct certificate_request request = {
        .common_name = "roost",
        .not_before_unix_s = now_s - 86400,
        .not_after_unix_s = now_s + 3650 * 86400ll,
    };
    return certificate_make(&request, &serve->entropy.random, ret_certificate);
}

/** media.external_address, or what a STUN server says when asked; NET_NONE when neither. */
int serve_addresses_start(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    serve->external = options->media.external_address;
    const char *server = options->media.find_external_address;
    if (serve->external.family != NET_NONE || !*server)
        return 0;
    int result = external_address_find(server, &serve->entropy.random, &serve->external);
    if (result < 0)
        log_warning(&serve->log, "external address not found, only local ones are offered",
                    log_text("stun_server", server), log_error_code("error", result));
    else
        log_info(&serve->log, "external address found", log_address("address", &serve->external));
    return 0;
}

uint32_t serve_worker_count(const struct serve *serve)
{
    uint32_t workers = serve->options->server.workers;
    return workers > 0 ? workers : cpu_usable_count();
}

static void media_woken(void *owner)
{
    struct serve *serve = owner;
    if (serve->signal)
        signal_hub_media_ready(&serve->hub);
}

static struct media_host_config host_config(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    struct net_address bind = options->media.bind;
    bind.port = options->media.udp_port;
    return (struct media_host_config){
        .workers = serve_worker_count(serve),
        .pin = options->media.pin_workers,
        .udp = {
            .bind = bind,
            .no_gro = !options->media.gro,
            .no_gso = !options->media.gso,
            .receive_buffer_bytes = (uint32_t)options->media.receive_buffer,
            .send_buffer_bytes = (uint32_t)options->media.send_buffer,
        },
        .candidates = {
            .addresses = options->media.addresses.items,
            .address_count = options->media.addresses.count,
            .external = serve->external,
        },
        .max_sessions = options->media.max_sessions,
        .gop_age_us = options->media.gop_cache_us,
        .protection = (enum protection_mode)options->media.fec,
        .random = &serve->entropy.random,
        .loop = &serve->loop,
        .log = &serve->log,
        .turn = serve->turn,
        .ice_tcp = options->media.ice_tcp,
        .turn_only = !option_list_has(&options->server.roles, "media"),
        .wake = media_woken,
        .owner = serve,
    };
}

static void add_metrics(struct serve *serve)
{
    size_t count = media_host_metric_sets(serve->media, NULL, 0);
    struct metric_set *sets = memory_new_array(struct metric_set, count);
    media_host_metric_sets(serve->media, sets, count);
    for (size_t i = 0; i < count; i++)
        metrics_page_add(serve->metrics, &sets[i]);
    free(sets);
}

/** One UDP port of the workers, with the options that choose it. */
struct udp_end {
    struct net_address address;
    const char *bind;
    const char *port;
};

/** The port that could not be opened: workers open them in this order. */
static struct udp_end failed_end(const struct serve *serve, const struct net_address *bind)
{
    const struct roost_options *options = serve->options;
    struct udp_end end = { *bind, "media.bind", "media.udp_port" };
    if (!serve->turn || turn_host_udp_port(serve->turn) == 0)
        return end;
    if (options->turn.dtls && turn_host_tls_udp_port(serve->turn) == 0) {
        end = (struct udp_end){ .bind = "turn.bind", .port = "turn.tls_port" };
        if (options->turn.bind.count == 1)
            end.address = options->turn.bind.items[0];
        end.address.port = options->turn.tls_port;
    } else {
        end = (struct udp_end){ options->turn.nat_discovery_address, "turn.nat_discovery_address",
                                "turn.nat_discovery_port" };
        end.address.port = options->turn.nat_discovery_port;
    }
    return end;
}

static void explain(struct serve *serve, int error, const struct net_address *bind,
                    const char *problem)
{
    struct udp_end end = failed_end(serve, bind);
    char address[NET_ADDRESS_TEXT_MAX];
    if (error == -EADDRINUSE)
        text_append_format(&serve->problem,
                           "UDP port %u is in use: is another roost running? Change %s (--set "
                           "%s=...)",
                           end.address.port, end.port, end.port);
    else if (error == -EACCES)
        text_append_format(&serve->problem,
                           "no permission for UDP port %u: ports below 1024 need "
                           "CAP_NET_BIND_SERVICE; change %s or run as a service",
                           end.address.port, end.port);
    else if (error == -EADDRNOTAVAIL)
        text_append_format(&serve->problem, "%s is no address of this machine: change %s",
                           net_address_format_ip(&end.address, address), end.bind);
    else
        text_append_format(&serve->problem, "%s (%s)", problem, strerror(-error));
}

int serve_media_start(struct serve *serve)
{
    if (!option_list_has(&serve->options->server.roles, "media") && !serve_turn_wanted(serve))
        return 0;
    struct media_host_config config = host_config(serve);
    int result = make_dtls_certificate(serve, &config.certificate);
    const char *problem = "";
    if (result == 0)
        result = media_host_start(&config, &serve->media, &problem);
    certificate_unref(config.certificate);
    if (result == 0) {
        add_metrics(serve);
        serve_turn_attached(serve);
        return 0;
    }
    explain(serve, result, &config.udp.bind, problem);
    return result;
}

bool serve_media_takes_tcp(const struct serve *serve)
{
    const struct roost_options *options = serve->options;
    return serve->media && options->media.ice_tcp &&
           option_list_has(&options->server.roles, "media");
}

void serve_media_stop(struct serve *serve)
{
    serve->media = media_host_stop(serve->media);
}

struct media_control *serve_media_control(struct serve *serve)
{
    return media_host_control(serve->media);
}

void serve_media_reload(struct serve *serve)
{
    if (serve->media && media_host_refresh_candidates(serve->media) < 0)
        log_warning(&serve->log, "the addresses of this machine cannot be read");
}
