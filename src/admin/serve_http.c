// The web server of the process: limits, certificate, ports.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/serve_int.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/files.h"

#define PEM_MAX (1u << 20)

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
    };
}

static int read_pem(struct serve *serve, const char *path, char **ret_data, struct bytes *ret_pem)
{
    size_t size = 0;
    int result = file_read(path, PEM_MAX, ret_data, &size);
    if (result < 0)
        text_append_format(&serve->problem, "cannot read %s: %s", path, strerror(-result));
    else
        *ret_pem = bytes_of(*ret_data, size);
    return result;
}

static int make_tls_context(struct serve *serve, struct tls_server_context **ret_context)
{
    cleanup(memory_free_at) char *chain_data = NULL;
    cleanup(memory_free_at) char *key_data = NULL;
    struct bytes chain = { 0 }, key = { 0 };
    int result = read_pem(serve, serve->data.certificate_file, &chain_data, &chain);
    if (result == 0)
        result = read_pem(serve, serve->data.private_key_file, &key_data, &key);
    if (result < 0)
        return result;
    struct certificate *certificate = NULL;
    result = certificate_load(chain, key, &serve->problem, &certificate);
    memory_wipe(key_data, key.size);
    if (result < 0) {
        text_append_format(&serve->problem, " Certificate: %s, key: %s",
                           serve->data.certificate_file, serve->data.private_key_file);
        return result;
    }
    static const char *const protocols[] = { "http/1.1" };
    struct tls_server_config config = {
        .certificate = certificate,
        .alpn = protocols,
        .alpn_count = array_size(protocols),
        .alpn_required = true, // or our answers could pass for those of another protocol's server
    };
    result = tls_server_context_new(&config, &serve->problem, ret_context);
    certificate_unref(certificate);
    return result;
}

int serve_http_load_certificate(struct serve *serve)
{
    struct tls_server_context *fresh = NULL;
    int result = make_tls_context(serve, &fresh);
    if (result < 0)
        return result;
    http_server_set_tls(serve->http, fresh);
    tls_server_context_unref(serve->tls);
    serve->tls = fresh;
    return 0;
}

static void certificate_changed(void *owner, unused size_t index)
{
    struct serve *serve = owner;
    serve->problem = text_builder_of(serve->problem_text, sizeof(serve->problem_text));
    // certbot replaces two files: between them key and certificate do not belong together, and the
    // second change is told as well
    if (serve_http_load_certificate(serve) == 0)
        log_info(&serve->log, "certificate loaded again",
                 log_text("file", serve->data.certificate_file));
    else
        log_warning(&serve->log, "certificate not loaded, the old one stays in use",
                    log_text("problem", serve->problem_text));
}

/** Watches the files in use, instead of those watched before. */
static void watch_certificate(struct serve *serve)
{
    serve->certificate_watch = file_watch_close(serve->certificate_watch);
    const char *const files[] = { serve->data.certificate_file, serve->data.private_key_file };
    if (file_watch_open(&serve->loop, files, array_size(files), certificate_changed, serve,
                        &serve->certificate_watch) < 0)
        log_warning(&serve->log, "certificate files cannot be watched, renewals need SIGHUP");
}

int serve_http_start(struct serve *serve)
{
    serve->frame_ancestors = join_list(&serve->options->app.frame_ancestors);
    struct http_server_config config = http_config(serve);
    serve->http = http_server_new(&config);
    int result = serve_http_load_certificate(serve);
    if (result < 0)
        return result;
    watch_certificate(serve);
    result = operator_routes_add(&serve->operator_routes, serve->http);
    if (result < 0)
        return result;
    struct metric_set metrics = http_server_metrics(serve->http);
    metrics_page_add(serve->metrics, &metrics);
    return 0;
}

void serve_http_stop(struct serve *serve)
{
    serve->certificate_watch = file_watch_close(serve->certificate_watch);
    http_server_free(serve->http);
    serve->http = NULL;
    serve->tls = tls_server_context_unref(serve->tls);
    free(serve->frame_ancestors);
    serve->frame_ancestors = NULL;
}

void serve_http_reload(struct serve *serve)
{
    char *old_frame_ancestors = serve->frame_ancestors;
    serve->frame_ancestors = join_list(&serve->options->app.frame_ancestors);
    struct http_server_config config = http_config(serve);
    http_server_reload(serve->http, &config);
    free(old_frame_ancestors);
    watch_certificate(serve);
}

static void explain_bind(struct serve *serve, int error, const struct net_address *address,
                         const char *option)
{
    char text[NET_ADDRESS_TEXT_MAX];
    net_address_format(address, text);
    if (error == -EADDRINUSE)
        text_append_format(&serve->problem,
                           "%s is in use: is another roost running? Change http.%s (--set "
                           "http.%s=...)",
                           text, option, option);
    else if (error == -EACCES)
        text_append_format(&serve->problem,
                           "no permission for %s: ports below 1024 need CAP_NET_BIND_SERVICE; "
                           "change http.%s or run as a service",
                           text, option);
    else if (error == -EADDRNOTAVAIL)
        text_append_format(&serve->problem, "%s is no address of this machine: change http.bind",
                           text);
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
            explain_bind(serve, result, &address, option);
            return result;
        }
        *ret_port = bound.port;
    }
    return 0;
}

int serve_listen_start(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    int result = listen_on(serve, HTTP_LISTENER_TLS, options->http.https_port, "https_port",
                           &serve->https_port);
    if (result == 0 && options->http.http)
        result = listen_on(serve, HTTP_LISTENER_PLAIN, options->http.http_port, "http_port",
                           &serve->http_port);
    return result;
}
