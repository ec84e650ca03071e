/** The server process: its parts, and what the files of serve share. */
#pragma once

#include "admin/cli.h"
#include "admin/first_start.h"
#include "admin/log_output.h"
#include "admin/metrics_page.h"
#include "admin/operator_routes.h"
#include "app/app_server.h"
#include "crypto/tls.h"
#include "runtime/entropy.h"
#include "runtime/file_watch.h"
#include "runtime/loop.h"
#include "runtime/notify.h"
#include "runtime/signals.h"
#include "server/media_host.h"
#include "signal/ws_endpoint.h"

#define SERVE_PROBLEM_MAX 512

/** Everything the control thread owns. One instance, on the stack of serve_run. */
struct serve {
    const struct cli_call *call;
    const struct roost_options *options;

    struct log_output log_output;
    struct log_rate log_rate;
    struct log log;
    struct entropy entropy;
    struct loop loop;
    struct signals signals;
    struct notify notify;
    struct loop_timer watchdog_timer;
    struct loop_timer drain_timer;
    uint64_t drain_until_us;
    bool draining;

    struct data_folder data;
    struct metrics_page *metrics;
    struct operator_routes operator_routes;

    struct http_server *http;
    struct tls_server_context *tls;
    struct file_watch *certificate_watch;
    char *frame_ancestors; /**< the list as CSP writes it */
    uint16_t https_port;   /**< as bound */
    uint16_t http_port;
    struct app_server *app;

    struct media_host *media;
    struct ws_endpoint *signal;
    struct native_ice_server ice_server;

    char problem_text[SERVE_PROBLEM_MAX];
    struct text_builder problem; /**< why a part did not start, for the user */
};

/** A part fails with a negative errno and a sentence in `serve->problem`. */
must_check int serve_http_start(struct serve *serve);
void serve_http_stop(struct serve *serve);
/** The last part: opens the ports. */
must_check int serve_listen_start(struct serve *serve);
/** Loads the certificate anew; the old one stays in use when that fails. */
must_check int serve_http_load_certificate(struct serve *serve);
void serve_http_reload(struct serve *serve);

must_check int serve_app_start(struct serve *serve);
void serve_app_stop(struct serve *serve);
void serve_app_reload(struct serve *serve);

/** The media workers, and what signaling asks of them. */
must_check int serve_media_start(struct serve *serve);
void serve_media_stop(struct serve *serve);
void serve_media_reload(struct serve *serve);
struct media_control *serve_media_control(struct serve *serve);

must_check int serve_signal_start(struct serve *serve);
void serve_signal_stop(struct serve *serve);
void serve_signal_reload(struct serve *serve);

/** Reads the configuration again and applies what reloads. */
void serve_reload(struct serve *serve);
