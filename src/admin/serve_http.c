// The web server of the process: limits, certificate, ports.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/serve_int.h"
#include "base/memory.h"
#include "base/time.h"

/** "a b c" on the heap. */
static char *join_list(const struct option_list *list)
{
    size_t capacity = 1;
    for (size_t i = 0; i < list->count; i++)
        capacity += strlen(list->items[i]) + 1;
    char *text = memory_allocate(1, capacity);
    struct text_builder out = text_builder_of(text, capacity);
    for (size_t i = 0; i < list->count; i++)
        text_append_format(&out, "%s%s", i > 0 ? " " : "", list->items[i]);
    return text;
}

static struct http_server_config http_config(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    bool real_certificate = *options->http.cert != '\0';
    return (struct http_server_config){
        .loop = &serve->loop,
        .random = &serve->entropy.random,
        .log = &serve->log,
        .connection_count_max = options->http.max_connections,
        .connection_per_address_count_max = options->http.max_connections_per_address,
        .head_size_max = (uint32_t)options->http.max_header,
        .body_size_max = options->http.max_body,
        .head_timeout_us = options->http.header_timeout_us,
        .idle_timeout_us = options->http.idle_timeout_us,
        .first_byte_timeout_us = options->http.first_byte_timeout_us,
        .body_timeout_us = options->http.body_timeout_us,
        .body_rate_min = options->http.min_body_rate,
        .write_timeout_us = options->http.write_timeout_us,
        .body_memory_max = options->http.max_body_memory,
        .request_count_max = options->http.max_requests,
        .redirect_port = options->http.redirect_port,
        .plain_everywhere = options->http.trust_plain,
        .hsts_s = real_certificate ? (uint32_t)(options->http.hsts_us / TIME_US_PER_S) : 0,
        .frame_ancestors = serve->frame_ancestors,
        .adopt_turn = serve_turn_on_https(serve) ? turn_listener_adopt : NULL,
        .turn_owner = serve->turn_listener,
        .adopt_media = serve_media_takes_tcp(serve) ? media_host_adopt_stream : NULL,
        .media_owner = serve->media,
        .adopt_mqtt = serve_mqtt_wanted(serve) ? serve_mqtt_adopt : NULL,
        .mqtt_owner = serve,
    };
}

int serve_http_start(struct serve *serve)
{
    if (!options_want_http(serve->options))
        return 0;
    serve->frame_ancestors = join_list(&serve->options->app.frame_ancestors);
    struct http_server_config config = http_config(serve);
    serve->http = http_server_new(&config);
    http_server_set_tls(serve->http, serve->web_tls);
    int result = operator_routes_add(&serve->operator_routes, serve->http);
    if (result < 0)
        return result;
    struct metric_set metrics = http_server_metrics(serve->http);
    metrics_page_add(serve->metrics, &metrics);
    return 0;
}

void serve_http_stop(struct serve *serve)
{
    http_server_free(serve->http);
    serve->http = NULL;
    free(serve->frame_ancestors);
    serve->frame_ancestors = NULL;
    // its exchanges and WebSockets speak to these until they end; they need the loop and the media
    serve_mqtt_stop(serve);
    serve_peerjs_stop(serve);
    serve_whip_stop(serve);
    serve_signal_stop(serve);
}

void serve_http_reload(struct serve *serve)
{
    if (!serve->http)
        return;
    char *old_frame_ancestors = serve->frame_ancestors;
    serve->frame_ancestors = join_list(&serve->options->app.frame_ancestors);
    struct http_server_config config = http_config(serve);
    http_server_reload(serve->http, &config);
    free(old_frame_ancestors);
}

void serve_explain_bind(struct serve *serve, int error, const struct net_address *address,
                        const char *section, const char *option)
{
    char text[NET_ADDRESS_TEXT_MAX];
    net_address_format(address, text);
    if (error == -EADDRINUSE)
        text_append_format(&serve->problem,
                           "%s is in use: is another roost running? Change %s.%s (--set "
                           "%s.%s=...)",
                           text, section, option, section, option);
    else if (error == -EACCES)
        text_append_format(&serve->problem,
                           "no permission for %s: ports below 1024 need CAP_NET_BIND_SERVICE; "
                           "change %s.%s or run as a service",
                           text, section, option);
    else if (error == -EADDRNOTAVAIL)
        text_append_format(&serve->problem, "%s is no address of this machine: change %s.bind",
                           text, section);
    else
        text_append_format(&serve->problem, "cannot listen on %s: %s", text, strerror(-error));
}

static int listen_on(struct serve *serve, enum http_listener_kind kind, uint16_t port,
                     const char *option, uint16_t *ret_port)
{
    const struct option_addresses *bind = &serve->options->http.bind;
    for (size_t i = 0; i < bind->count; i++) {
        struct net_address address = bind->items[i], bound;
        // with port 0 the system chooses once, for all addresses
        address.port = *ret_port != 0 ? *ret_port : port;
        int result = http_server_listen(serve->http, kind, &address, &bound);
        // machines without IPv6 are no error while another address works
        if (result == -EAFNOSUPPORT && bind->count > 1)
            continue;
        if (result < 0) {
            serve_explain_bind(serve, result, &address, "http", option);
            return result;
        }
        *ret_port = bound.port;
        if (kind == HTTP_LISTENER_TLS && serve_media_takes_tcp(serve))
            media_host_add_tcp_port(serve->media, &bound);
    }
    return 0;
}

static int listen_http(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    int result = listen_on(serve, HTTP_LISTENER_TLS, options->http.https_port, "https_port",
                           &serve->https_port);
    if (result == 0 && options->http.http)
        result = listen_on(serve, HTTP_LISTENER_PLAIN, options->http.http_port, "http_port",
                           &serve->http_port);
    return result;
}

int serve_listen_start(struct serve *serve)
{
    int result = serve->http ? listen_http(serve) : 0;
    if (result == 0)
        result = serve_turn_listen(serve);
    return result == 0 ? serve_mqtt_listen(serve) : result;
}
