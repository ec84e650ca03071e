#include "admin/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/banner.h"
#include "admin/json_memory.h"
#include "admin/serve_int.h"
#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/interfaces.h"
#include "runtime/terminal.h"

#define BANNER_MAX           (32u << 10)
#define BANNER_ADDRESSES_MAX 16
#define DRAIN_LOOK_US        (50 * TIME_US_PER_MS)

/** ---- process-wide parts ---- */

static int start_log(struct serve *serve)
{
    static const enum log_output_format formats[] = {
        [OPTION_LOG_FORMAT_HUMAN] = LOG_OUTPUT_HUMAN,
        [OPTION_LOG_FORMAT_JSON] = LOG_OUTPUT_JSON,
    };
    const struct roost_options *options = serve->options;
    enum log_output_format format = formats[options->log.format];
    bool terminal = terminal_is(STDERR_FILENO);
    if (options->log.format == OPTION_LOG_FORMAT_AUTO)
        format = terminal ? LOG_OUTPUT_HUMAN : LOG_OUTPUT_JSON;
    if (format == LOG_OUTPUT_HUMAN && terminal_has_colour(STDERR_FILENO))
        format = LOG_OUTPUT_HUMAN_COLOUR;
    log_output_init(&serve->log_output, STDERR_FILENO, format, (enum log_level)options->log.level);
    log_rate_init(&serve->log_rate, options->log.burst, options->log.per_second);
    serve->log = (struct log){ .sink = &serve->log_output.sink,
                               .domain = "server",
                               .rate = &serve->log_rate };
    return 0;
}

static int start_limits(struct serve *serve)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    rlim_t wanted = serve->options->server.max_open_files;
    limit.rlim_cur = wanted == 0 || wanted > limit.rlim_max ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < wanted)
        log_warning(&serve->log, "the system allows fewer open files than server.max_open_files",
                    log_number("limit", (int64_t)limit.rlim_cur));
    return 0;
}

static int start_data(struct serve *serve)
{
    int result = data_folder_open(serve->options, &serve->data, &serve->problem);
    if (result == 0 && serve->data.exposed)
        log_warning(
            &serve->log,
            "others may read or replace the secrets: chmod go= the data folder and its files",
            log_text("data_dir", serve->data.path));
    return result;
}

static void stop_data(struct serve *serve)
{
    data_folder_done(&serve->data);
}

static void signal_received(void *owner, int number);

static int start_loop(struct serve *serve)
{
    entropy_init(&serve->entropy);
    int result = loop_init(&serve->loop);
    if (result < 0)
        return result;
    serve->loop.log_rate = &serve->log_rate;
    return signals_init(&serve->signals, &serve->loop, signal_received, serve);
}

static void stop_loop(struct serve *serve)
{
    // one that arrived meanwhile must not cut off the rest of the stop when it is unblocked
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signals_done(&serve->signals);
    loop_done(&serve->loop);
    entropy_done(&serve->entropy);
}

static int start_metrics(struct serve *serve)
{
    serve->metrics = metrics_page_new(clock_now_us());
    struct metric_set control = runtime_metric_set(&serve->loop.metrics, "worker=\"control\"");
    metrics_page_add(serve->metrics, &control);
    serve->operator_routes = (struct operator_routes){ .page = serve->metrics,
                                                       .options = serve->options,
                                                       .loop = &serve->loop };
    return 0;
}

static void stop_metrics(struct serve *serve)
{
    serve->metrics = metrics_page_free(serve->metrics);
}

/** ---- start and stop in order ---- */

struct part {
    const char *name;
    int (*start)(struct serve *serve);
    void (*stop)(struct serve *serve); /**< also after a failed start; may be NULL */
};

/** From the ground up; stopped in reverse. The ports open last, when all can be answered. */
static const struct part parts[] = {
    { "log", start_log, NULL },
    { "limits", start_limits, NULL },
    { "data folder", start_data, stop_data },
    { "event loop", start_loop, stop_loop },
    { "metrics", start_metrics, stop_metrics },
    { "tokens", serve_tokens_start, serve_tokens_stop },
    { "certificate", serve_certificate_start, serve_certificate_stop },
    { "addresses", serve_addresses_start, NULL },
    { "users", serve_users_start, serve_users_stop },
    { "TURN", serve_turn_start, serve_turn_stop },
    { "media", serve_media_start, serve_media_stop },
    { "requests to other servers", serve_outgoing_start, serve_outgoing_stop },
    // calls end with the web server, and are kept
    { "history", serve_history_start, serve_history_stop },
    { "web server", serve_http_start, serve_http_stop },
    { "signaling", serve_signal_start, NULL },
    { "WHIP and WHEP", serve_whip_start, NULL },
    { "PeerJS", serve_peerjs_start, NULL },
    { "MQTT", serve_mqtt_start, NULL },
    { "web application", serve_app_start, NULL },
    { "TURN over HTTP", serve_turn_api_start, serve_turn_api_detach },
    { "control API", serve_control_start, serve_control_detach },
    { "ports", serve_listen_start, NULL },
};

/** Returns the number of parts whose stop is due; `*ret_error` is 0 when all run. */
static size_t start_parts(struct serve *serve, int *ret_error)
{
    for (size_t i = 0; i < array_size(parts); i++) {
        serve->problem = text_builder_of(serve->problem_text, sizeof(serve->problem_text));
        int result = parts[i].start(serve);
        if (result == 0)
            continue;
        if (serve->problem.length == 0)
            text_append(&serve->problem, strerror(-result));
        fprintf(stderr, "roost: %s: %s\n", parts[i].name, serve->problem_text);
        *ret_error = result;
        return i + 1;
    }
    *ret_error = 0;
    return array_size(parts);
}

static void stop_parts(struct serve *serve, size_t count)
{
    for (; count > 0; count--) {
        if (parts[count - 1].stop)
            parts[count - 1].stop(serve);
    }
    // routes point into these, so they go after the web server
    serve_app_stop(serve);
    serve_control_stop(serve);
    serve_turn_api_stop(serve);
}

/** ---- ending ---- */

static void drain_look(struct loop_timer *timer, uint64_t now_us)
{
    struct serve *serve = container_of(timer, struct serve, drain_timer);
    if (!serve->http || http_server_connection_count(serve->http) == 0 ||
        now_us >= serve->drain_until_us)
        loop_stop(&serve->loop);
    else
        loop_timer_set_after(timer, DRAIN_LOOK_US);
}

static void begin_drain(struct serve *serve)
{
    log_info(&serve->log, "stopping");
    notify_stopping(&serve->notify);
    serve->draining = true;
    serve->operator_routes.ready = false;
    serve->drain_until_us = loop_now_us(&serve->loop) + serve->options->server.stop_timeout_us;
    if (serve->signal)
        ws_endpoint_drain(serve->signal, "The server is stopping.");
    if (serve->whip)
        whip_endpoint_drain(serve->whip, true);
    if (serve->peerjs)
        peerjs_endpoint_drain(serve->peerjs);
    if (serve->mqtt)
        mqtt_endpoint_drain(serve->mqtt);
    if (serve->turn_listener)
        turn_listener_drain(serve->turn_listener);
    serve_turn_drain(serve, true, serve->options->server.stop_timeout_us);
    if (serve->http)
        http_server_drain(serve->http);
    loop_timer_set_after(&serve->drain_timer, 0);
}

void serve_stop(struct serve *serve)
{
    if (serve->draining)
        loop_stop(&serve->loop); // asked twice: at once
    else
        begin_drain(serve);
}

static void signal_received(void *owner, int number)
{
    struct serve *serve = owner;
    if (number == SIGHUP)
        serve_reload(serve);
    else if (number == SIGUSR1)
        serve_turn_drain_and_stop(serve);
    else
        serve_stop(serve);
}

/** ---- running ---- */

static void watchdog_due(struct loop_timer *timer, unused uint64_t now_us)
{
    struct serve *serve = container_of(timer, struct serve, watchdog_timer);
    notify_watchdog(&serve->notify);
    loop_timer_set_after(timer, serve->notify.watchdog_us);
}

static void print_banner(const struct serve *serve)
{
    struct interface_address interfaces[BANNER_ADDRESSES_MAX];
    struct net_address addresses[BANNER_ADDRESSES_MAX];
    int count = interface_list(interfaces, array_size(interfaces));
    struct banner banner = {
        .options = serve->options,
        .https_port = serve->https_port,
        .http_port = serve->http_port,
        .self_signed = serve->data.self_signed,
        .first_start = serve->data.first_start,
        .turn_only = serve_turn_alone(serve),
        .turn_udp_port = serve->turn_offer.udp_port,
        .turn_port = serve->turn_port,
        .turn_tls_port = serve->turn_tls_port,
        .turn_dtls_port = serve->turn ? turn_host_tls_udp_port(serve->turn) : 0,
        .data_dir = serve->data.path,
        .addresses = addresses,
        .terminal = terminal_is(STDOUT_FILENO),
    };
    for (int i = 0; i < count; i++) {
        if (!interfaces[i].loopback)
            addresses[banner.address_count++] = interfaces[i].address;
    }
    cleanup(memory_free_at) char *text = memory_allocate(1, BANNER_MAX);
    struct text_builder out = text_builder_of(text, BANNER_MAX);
    banner_write(&banner, &out);
    fputs(text, stdout);
    fflush(stdout);
}

static void run(struct serve *serve)
{
    loop_timer_init(&serve->drain_timer, &serve->loop, drain_look);
    loop_timer_init(&serve->watchdog_timer, &serve->loop, watchdog_due);
    notify_init(&serve->notify);
    if (serve->options->server.banner)
        print_banner(serve);
    log_info(&serve->log, "ready", log_number("https_port", serve->https_port),
             log_number("http_port", serve->http_port), log_text("data_dir", serve->data.path));
    serve->operator_routes.ready = true;
    notify_ready(&serve->notify, "Serving.");
    if (serve->notify.watchdog_us > 0)
        loop_timer_set_after(&serve->watchdog_timer, serve->notify.watchdog_us);
    loop_run(&serve->loop);
    log_info(&serve->log, "stopped");
    notify_done(&serve->notify);
}

int serve_run(const struct cli_call *call)
{
    struct serve serve = { .call = call, .options = &call->options->values };
    int error = 0;
    json_memory_be_wiped();
    size_t started = start_parts(&serve, &error);
    if (error == 0)
        run(&serve);
    stop_parts(&serve, started);
    // every reason not to start is something of the configuration or of this machine
    return error == 0 ? CLI_EXIT_OK : CLI_EXIT_CONFIGURATION;
}
