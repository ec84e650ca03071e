// The certificate of the process: who uses it, and what follows when it is renewed.
#include <stdlib.h>
#include <string.h>

#include "admin/serve_int.h"
#include "base/memory.h"
#include "runtime/files.h"

#define PEM_MAX (1u << 20)

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

static int read_certificate(struct serve *serve, struct certificate **ret_certificate)
{
    cleanup(memory_free_at) char *chain_data = NULL;
    cleanup(memory_free_at) char *key_data = NULL;
    struct bytes chain = { 0 }, key = { 0 };
    int result = read_pem(serve, serve->data.certificate_file, &chain_data, &chain);
    if (result == 0)
        result = read_pem(serve, serve->data.private_key_file, &key_data, &key);
    if (result < 0)
        return result;
    result = certificate_load(chain, key, &serve->problem, ret_certificate);
    memory_wipe(key_data, key.size);
    if (result < 0)
        text_append_format(&serve->problem, " Certificate: %s, key: %s",
                           serve->data.certificate_file, serve->data.private_key_file);
    return result;
}

/** What the HTTPS port speaks. A client that asks for none of these is refused: our answers must
 *  not pass for those of another protocol's server. */
static int make_web_context(struct serve *serve, struct certificate *certificate,
                            struct tls_server_context **ret_context)
{
    // those of others only where somebody listens to them
    const char *protocols[4] = { "http/1.1" };
    size_t count = 1;
    if (serve_turn_on_https(serve)) {
        protocols[count++] = "stun.turn";
        protocols[count++] = "stun.nat-discovery";
    }
    if (serve_mqtt_wanted(serve))
        protocols[count++] = "mqtt";
    struct tls_server_config config = {
        .certificate = certificate,
        .alpn = protocols,
        .alpn_count = count,
        .alpn_required = true,
    };
    return tls_server_context_new(&config, &serve->problem, ret_context);
}

/** TURN's own ports. Clients name all kinds of protocols there, or none. */
static int make_turn_context(struct serve *serve, struct certificate *certificate,
                             struct tls_server_context **ret_context)
{
    static const char *const protocols[] = { "stun.turn", "stun.nat-discovery" };
    struct tls_server_config config = { .certificate = certificate,
                                        .alpn = protocols,
                                        .alpn_count = array_size(protocols) };
    return tls_server_context_new(&config, &serve->problem, ret_context);
}

/** MQTT's own ports. */
static int make_mqtt_context(struct serve *serve, struct certificate *certificate,
                             struct tls_server_context **ret_context)
{
    static const char *const protocols[] = { "mqtt" };
    struct tls_server_config config = { .certificate = certificate,
                                        .alpn = protocols,
                                        .alpn_count = array_size(protocols) };
    return tls_server_context_new(&config, &serve->problem, ret_context);
}

int serve_certificate_load(struct serve *serve)
{
    struct certificate *certificate = NULL;
    struct tls_server_context *web = NULL, *turn = NULL, *mqtt = NULL;
    int result = read_certificate(serve, &certificate);
    if (result == 0)
        result = make_web_context(serve, certificate, &web);
    if (result == 0)
        result = make_turn_context(serve, certificate, &turn);
    if (result == 0)
        result = make_mqtt_context(serve, certificate, &mqtt);
    if (result < 0) {
        tls_server_context_unref(web);
        tls_server_context_unref(turn);
        certificate_unref(certificate);
        return result;
    }
    tls_server_context_unref(serve->web_tls);
    tls_server_context_unref(serve->turn_tls);
    certificate_unref(serve->certificate);
    serve->web_tls = web;
    serve->turn_tls = turn;
    tls_server_context_unref(serve->mqtt_tls);
    serve->mqtt_tls = mqtt;
    if (serve->mqtt)
        mqtt_endpoint_set_tls(serve->mqtt, serve->mqtt_tls);
    serve->certificate = certificate;
    if (serve->http)
        http_server_set_tls(serve->http, serve->web_tls);
    serve_turn_certificate(serve);
    return 0;
}

static void certificate_changed(void *owner, unused size_t index)
{
    struct serve *serve = owner;
    serve->problem = text_builder_of(serve->problem_text, sizeof(serve->problem_text));
    // certbot replaces two files: between them key and certificate do not belong together, and the
    // second change is told as well
    if (serve_certificate_load(serve) == 0)
        log_info(&serve->log, "certificate loaded again",
                 log_text("file", serve->data.certificate_file));
    else
        log_warning(&serve->log, "certificate not loaded, the old one stays in use",
                    log_text("problem", serve->problem_text));
}

void serve_certificate_watch(struct serve *serve)
{
    serve->certificate_watch = file_watch_close(serve->certificate_watch);
    const char *const files[] = { serve->data.certificate_file, serve->data.private_key_file };
    if (file_watch_open(&serve->loop, files, array_size(files), certificate_changed, serve,
                        &serve->certificate_watch) < 0)
        log_warning(&serve->log, "certificate files cannot be watched, renewals need SIGHUP");
}

int serve_certificate_start(struct serve *serve)
{
    int result = serve_certificate_load(serve);
    if (result == 0)
        serve_certificate_watch(serve);
    return result;
}

void serve_certificate_stop(struct serve *serve)
{
    serve->certificate_watch = file_watch_close(serve->certificate_watch);
    serve->web_tls = tls_server_context_unref(serve->web_tls);
    serve->turn_tls = tls_server_context_unref(serve->turn_tls);
    serve->mqtt_tls = tls_server_context_unref(serve->mqtt_tls);
    certificate_unref(serve->certificate);
    serve->certificate = NULL;
}
