// The MQTT broker of the process.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/serve_int.h"
#include "base/memory.h"
#include "runtime/files.h"

#define FOLDER           "mqtt"
#define RULES_SIZE_MAX   (16u << 20)
#define BRIDGES_SIZE_MAX (1u << 20)
/** Messages of QoS 2 that are not released. mqtt.js sends all it has, whatever it is told. */
#define RECEIVE_MAX 1000

bool serve_mqtt_wanted(const struct serve *serve)
{
    return serve->options->mqtt.enabled && option_list_has(&serve->options->server.roles, "signal");
}

static bool lets_guests_in(const struct roost_options *options)
{
    switch (options->mqtt.guests) {
    case OPTION_MQTT_GUESTS_ALLOW:
        return true;
    case OPTION_MQTT_GUESTS_REFUSE:
        return false;
    default:
        return !options_are_closed(options);
    }
}

static void tell_bridge_metrics(void *owner, const struct metric_set *set, bool come)
{
    struct serve *serve = owner;
    if (come)
        metrics_page_add(serve->metrics, set);
    else
        metrics_page_remove(serve->metrics, set->values);
}

static struct broker_config broker_config(const struct roost_options *options)
{
    uint64_t sys_interval_us = options->mqtt.sys_interval_us;
    uint32_t expiry_s = (uint32_t)(options->mqtt.session_expiry_us / TIME_US_PER_S);
    uint32_t retained = options->mqtt.max_retained;
    return (struct broker_config){
        .client_count_max = options->mqtt.max_clients,
        .session_count_max = options->mqtt.max_sessions,
        .packet_size_max = options->mqtt.max_packet,
        .receive_max = RECEIVE_MAX,
        .inflight_max = (uint16_t)options->mqtt.max_inflight,
        .queue_count_max = options->mqtt.max_queued_messages,
        .queue_bytes_max = options->mqtt.max_queued_bytes,
        .memory_max = options->mqtt.max_memory,
        .subscription_count_max = options->mqtt.max_subscriptions,
        .retained_count_max = retained > 0 ? retained : BROKER_NONE,
        .session_expiry_max_s = expiry_s > 0 ? expiry_s : BROKER_NONE,
        .keep_alive_max_s = (uint16_t)options->mqtt.max_keep_alive,
        .sys_interval_us = sys_interval_us > 0 ? sys_interval_us : TIME_NEVER,
        .version = "roost " ROOST_VERSION,
    };
}

static void native_used(void *owner)
{
    struct serve *serve = owner;
    ws_endpoint_changed(serve->signal);
}

static struct mqtt_endpoint_config config_of(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    return (struct mqtt_endpoint_config){
        .loop = &serve->loop,
        .server = serve->http,
        .random = &serve->entropy.random,
        .log = &serve->log,
        .folder = serve->mqtt_folder,
        .sync = options->mqtt.sync,
        .allowed_origins = (const char *const *)options->mqtt.allowed_origins.items,
        .client_per_address_max = options->mqtt.max_clients_per_address,
        .host_name = serve->mqtt_host_name,
        .bridge_metrics = tell_bridge_metrics,
        .access = { .log = &serve->log,
                    .tokens = &serve->tokens,
                    .logins = serve->logins,
                    .guests = lets_guests_in(options),
                    .rules = serve->mqtt_rules },
        .users = serve->users,
        .native = serve->signal ? ws_endpoint_native(serve->signal) : NULL,
        .native_used = native_used,
        .calls = serve->signal ? &serve->hub.calls : NULL,
        .owner = serve,
        .broker = broker_config(options),
    };
}

/** Returns 0 with the rules in use, or a negative errno with the problem told. */
static int load_rules(struct serve *serve, struct mqtt_rules **ret_rules)
{
    const char *path = serve->options->mqtt.rules;
    *ret_rules = NULL;
    if (path[0] == '\0')
        return 0;
    char *text;
    size_t size;
    int result = file_read(path, RULES_SIZE_MAX, &text, &size);
    if (result < 0) {
        text_append_format(&serve->problem, "cannot read mqtt.rules, %s: %s", path,
                           strerror(-result));
        return result;
    }
    text_append_format(&serve->problem, "%s: ", path);
    result = mqtt_rules_parse(bytes_of(text, size), ret_rules, &serve->problem);
    free(text);
    return result;
}

/** Returns 0 with the bridges of the file, or a negative errno with the problem told. */
static int load_bridges(struct serve *serve, struct mqtt_bridge_specs *ret_specs)
{
    const char *path = serve->options->mqtt.bridges;
    *ret_specs = (struct mqtt_bridge_specs){ 0 };
    if (path[0] == '\0')
        return 0;
    char *text;
    size_t size;
    int result = file_read(path, BRIDGES_SIZE_MAX, &text, &size);
    if (result < 0) {
        text_append_format(&serve->problem, "cannot read mqtt.bridges, %s: %s", path,
                           strerror(-result));
        return result;
    }
    text_append_format(&serve->problem, "%s: ", path);
    result = mqtt_bridge_specs_parse(bytes_of(text, size), ret_specs, &serve->problem);
    if (result == 0)
        result = mqtt_bridge_specs_load(ret_specs, &serve->problem);
    if (result < 0)
        mqtt_bridge_specs_done(ret_specs);
    // passwords may be in it
    memory_wipe(text, size);
    free(text);
    return result;
}

static int name_folder(struct serve *serve)
{
    char path[4096];
    if (!serve->options->mqtt.keep)
        return 0;
    int result = file_join(path, sizeof(path), serve->data.path, FOLDER);
    if (result == 0)
        serve->mqtt_folder = memory_copy(path, strlen(path));
    return result;
}

int serve_mqtt_start(struct serve *serve)
{
    if (!serve_mqtt_wanted(serve))
        return 0;
    struct mqtt_bridge_specs bridges = { 0 };
    int result = name_folder(serve);
    if (result == 0)
        result = load_rules(serve, &serve->mqtt_rules);
    if (result < 0)
        return result;
    // where a problem of theirs would stand
    serve->problem = text_builder_of(serve->problem_text, sizeof(serve->problem_text));
    result = load_bridges(serve, &bridges);
    if (result < 0)
        return result;
    if (gethostname(serve->mqtt_host_name, HOST_NAME_SIZE - 1) < 0)
        serve->mqtt_host_name[0] = '\0';
    serve->problem = text_builder_of(serve->problem_text, sizeof(serve->problem_text));
    struct mqtt_endpoint_config config = config_of(serve);
    result = mqtt_endpoint_new(&config, &serve->mqtt, &serve->problem);
    if (result == 0)
        result = mqtt_endpoint_set_bridges(serve->mqtt, &bridges);
    mqtt_bridge_specs_done(&bridges);
    if (result < 0)
        return result;
    mqtt_endpoint_set_tls(serve->mqtt, serve->mqtt_tls);
    struct metric_set set = mqtt_endpoint_metrics(serve->mqtt);
    metrics_page_add(serve->metrics, &set);
    return 0;
}

void serve_mqtt_stop(struct serve *serve)
{
    serve->mqtt = mqtt_endpoint_free(serve->mqtt);
    serve->mqtt_rules = mqtt_rules_free(serve->mqtt_rules);
    free(serve->mqtt_folder);
    serve->mqtt_folder = NULL;
}

static int listen_on(struct serve *serve, uint16_t port, bool tls, const char *option,
                     uint16_t *ret_port)
{
    const struct option_addresses *bind = &serve->options->mqtt.bind;
    for (size_t i = 0; i < bind->count; i++) {
        struct net_address address = bind->items[i], bound;
        // with port 0 the system chooses once, for all addresses
        address.port = *ret_port != 0 ? *ret_port : port;
        int result = mqtt_endpoint_listen(serve->mqtt, &address, tls, &bound);
        // machines without IPv6 are no error while another address works
        if (result == -EAFNOSUPPORT && bind->count > 1)
            continue;
        if (result < 0) {
            serve_explain_bind(serve, result, &address, "mqtt", option);
            return result;
        }
        *ret_port = bound.port;
    }
    return 0;
}

int serve_mqtt_listen(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    if (!serve->mqtt)
        return 0;
    int result = 0;
    if (options->mqtt.tcp)
        result = listen_on(serve, options->mqtt.port, false, "port", &serve->mqtt_port);
    if (result == 0 && options->mqtt.tls)
        result = listen_on(serve, options->mqtt.tls_port, true, "tls_port", &serve->mqtt_tls_port);
    if (result == 0 && (options->mqtt.tcp || options->mqtt.tls))
        log_info(&serve->log, "MQTT listens", log_number("port", serve->mqtt_port),
                 log_number("tls_port", serve->mqtt_tls_port));
    return result;
}

void serve_mqtt_adopt(void *owner, struct stream_parcel *parcel, const struct net_address *remote,
                      const struct net_address *local)
{
    struct serve *serve = owner;
    if (serve->mqtt)
        mqtt_endpoint_adopt(serve->mqtt, parcel, remote, local);
    else
        stream_parcel_free(parcel);
}

static void reload_bridges(struct serve *serve)
{
    struct mqtt_bridge_specs bridges;
    serve->problem = text_builder_of(serve->problem_text, sizeof(serve->problem_text));
    if (load_bridges(serve, &bridges) < 0 || mqtt_endpoint_set_bridges(serve->mqtt, &bridges) < 0)
        log_warning(&serve->log, "bridges of MQTT not loaded, the old ones stay",
                    log_text("problem", serve->problem_text));
    mqtt_bridge_specs_done(&bridges);
}

void serve_mqtt_reload(struct serve *serve)
{
    if (!serve->mqtt)
        return;
    serve->problem = text_builder_of(serve->problem_text, sizeof(serve->problem_text));
    struct mqtt_rules *former = serve->mqtt_rules, *rules;
    if (load_rules(serve, &rules) < 0) {
        log_warning(&serve->log, "rules of MQTT not loaded, the old ones stay in use",
                    log_text("problem", serve->problem_text));
        former = NULL;
    } else {
        serve->mqtt_rules = rules;
    }
    struct mqtt_endpoint_config config = config_of(serve);
    mqtt_endpoint_reload(serve->mqtt, &config);
    mqtt_rules_free(former);
    reload_bridges(serve);
}
