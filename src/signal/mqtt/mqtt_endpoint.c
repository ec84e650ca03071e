#include "signal/mqtt/mqtt_endpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "crypto/tls.h"
#include "runtime/clock.h"
#include "signal/mqtt/mqtt_endpoint_int.h"
#include "signal/mqtt/mqtt_topics.h"

/** Clients served in one turn, so that others of the control thread get theirs. */
#define SENDS_PER_TURN 256

uint64_t mqtt_endpoint_now(struct mqtt_endpoint *endpoint)
{
    uint64_t now_us = loop_now_us(endpoint->config.loop);
    endpoint->access.now_us = now_us;
    endpoint->access.now_unix_us = clock_unix_us();
    // the wall clock may be set while we run
    broker_set_unix_offset(endpoint->broker, endpoint->access.now_unix_us - now_us);
    if (endpoint->config.native)
        signal_native_set_unix_offset(endpoint->config.native,
                                      endpoint->access.now_unix_us - now_us);
    return now_us;
}

/** ---- the journal ---- */

static void write_journal(struct mqtt_endpoint *endpoint)
{
    if (!endpoint->journal || journal_file_is_busy(endpoint->journal))
        return;
    size_t size;
    uint8_t *batch = broker_journal_take(endpoint->broker, &size, &endpoint->journal_position);
    if (size > 0)
        journal_file_write(endpoint->journal, batch, size);
}

static void journal_written(void *owner)
{
    struct mqtt_endpoint *endpoint = owner;
    broker_journal_durable(endpoint->broker, endpoint->journal_position);
    mqtt_endpoint_wake(endpoint);
}

static int no_login(struct broker_owner *self, struct broker_client *client,
                    const struct broker_login *login, struct bytes *ret_user)
{
    (void)self, (void)client, (void)login, (void)ret_user;
    return MQTT_NOT_AUTHORIZED;
}

static bool no_topic(struct broker_owner *self, const struct broker_client *client,
                     struct bytes topic)
{
    (void)self, (void)client, (void)topic;
    return false;
}

/** On a thread of its own, with a broker of its own. */
static uint8_t *compact(void *owner, struct bytes records, size_t *ret_size)
{
    (void)owner; // which belongs to another thread
    struct broker_owner nobody = { .login = no_login,
                                   .may_publish = no_topic,
                                   .may_subscribe = no_topic };
    struct random random;
    random_seeded_init(&random, 0);
    struct broker_config config = { .owner = &nobody,
                                    .random = &random,
                                    .sys_interval_us = TIME_NEVER,
                                    .reserved = MQTT_TOPICS_RESERVED,
                                    .journal = true };
    struct broker *broker = broker_new(&config, 0);
    uint8_t *snapshot = NULL;
    *ret_size = 1;
    if (broker_restore(broker, records) == 0)
        snapshot = broker_snapshot(broker, ret_size);
    broker_free(broker);
    return snapshot;
}

static int open_journal(struct mqtt_endpoint *endpoint, struct text_builder *problem)
{
    uint8_t *records;
    size_t size;
    struct journal_file_config config = { .loop = endpoint->config.loop,
                                          .folder = endpoint->config.folder,
                                          .log = endpoint->config.log,
                                          .sync = endpoint->config.sync,
                                          .written = journal_written,
                                          .compact = compact,
                                          .owner = endpoint };
    int result = journal_file_open(&config, &endpoint->journal, &records, &size, problem);
    if (result < 0)
        return result;
    uint64_t now_us = mqtt_endpoint_now(endpoint);
    result = broker_restore(endpoint->broker, bytes_of(records, size));
    free(records);
    if (result < 0)
        text_append_format(problem,
                           "the journal in %s is not one of this version: put a backup back, or "
                           "move the folder away to begin anew",
                           endpoint->config.folder);
    else
        broker_resume(endpoint->broker, now_us);
    return result;
}

/** ---- logins ---- */

static void login_decided(struct mqtt_access *access, struct broker_client *client, int reason,
                          struct bytes user)
{
    struct mqtt_endpoint *endpoint = container_of(access, struct mqtt_endpoint, access);
    broker_client_admit(client, mqtt_endpoint_now(endpoint), reason, user);
    mqtt_endpoint_wake(endpoint);
}

static void user_changed(struct user_listener *listener, const char *name, enum user_fate fate)
{
    struct mqtt_endpoint *endpoint = container_of(listener, struct mqtt_endpoint, users);
    struct map *users = fate == USER_IS_GONE      ? &endpoint->gone
                        : fate == USER_IS_REKEYED ? &endpoint->rekeyed
                                                  : NULL;
    if (users)
        map_set(users, bytes_of_text(name), endpoint);
}

static void users_told(struct user_listener *listener)
{
    struct mqtt_endpoint *endpoint = container_of(listener, struct mqtt_endpoint, users);
    uint64_t now_us = mqtt_endpoint_now(endpoint);
    if (endpoint->gone.count > 0)
        broker_users_forget(endpoint->broker, now_us, &endpoint->gone);
    if (endpoint->rekeyed.count > 0)
        broker_users_disconnect(endpoint->broker, now_us, &endpoint->rekeyed,
                                mqtt_access_by_password);
    if (endpoint->gone.count + endpoint->rekeyed.count > 0)
        mqtt_endpoint_wake(endpoint);
    map_done(&endpoint->gone);
    map_done(&endpoint->rekeyed);
}

/** ---- time and output ---- */

static void arm(struct mqtt_endpoint *endpoint)
{
    loop_timer_set(&endpoint->timer, broker_deadline(endpoint->broker));
}

void mqtt_endpoint_wake(struct mqtt_endpoint *endpoint)
{
    loop_task_defer(endpoint->config.loop, &endpoint->task);
}

static void give_turn(struct broker_client *client)
{
    void *socket = broker_client_socket(client);
    if (broker_client_is_inner(client))
        mqtt_bridge_run(socket);
    else
        mqtt_socket_send(socket);
}

static void run(struct loop_task *task)
{
    struct mqtt_endpoint *endpoint = container_of(task, struct mqtt_endpoint, task);
    struct broker_client *client;
    for (unsigned i = 0; (client = broker_next_ready(endpoint->broker)); i++) {
        if (i == SENDS_PER_TURN) {
            mqtt_endpoint_wake(endpoint);
            break;
        }
        give_turn(client);
    }
    mqtt_calls_run(&endpoint->calls, mqtt_endpoint_now(endpoint));
    write_journal(endpoint);
    arm(endpoint);
}

static void tick(struct loop_timer *timer, uint64_t now_us)
{
    struct mqtt_endpoint *endpoint = container_of(timer, struct mqtt_endpoint, timer);
    mqtt_endpoint_now(endpoint);
    broker_tick(endpoint->broker, now_us);
    mqtt_endpoint_wake(endpoint);
}

/** ---- calls ---- */

static uint64_t calls_now(void *owner)
{
    return mqtt_endpoint_now(owner);
}

static void calls_wake(void *owner)
{
    mqtt_endpoint_wake(owner);
}

static void calls_host(void *owner, const struct broker_client *client, char out[TURN_HOST_SIZE])
{
    (void)owner;
    mqtt_socket_host(broker_client_socket(client), out);
}

static struct mqtt_calls_config calls_config(struct mqtt_endpoint *endpoint)
{
    const struct mqtt_endpoint_config *config = &endpoint->config;
    return (struct mqtt_calls_config){ .native = config->native,
                                       .random = config->random,
                                       .changed = config->native_used,
                                       .changed_owner = config->owner,
                                       .wake = calls_wake,
                                       .now = calls_now,
                                       .host = calls_host,
                                       .owner = endpoint };
}

static void start_presence(struct mqtt_endpoint *endpoint)
{
    if (!endpoint->config.calls)
        return;
    endpoint->presence = (struct mqtt_presence){ .broker = endpoint->broker,
                                                 .calls = endpoint->config.calls,
                                                 .wake = calls_wake,
                                                 .now = calls_now,
                                                 .owner = endpoint };
    mqtt_presence_start(&endpoint->presence);
}

/** ---- ports ---- */

static bool admit(void *owner, const struct net_address *remote)
{
    struct mqtt_listener *listener = owner;
    struct mqtt_endpoint *endpoint = listener->endpoint;
    if (endpoint->draining)
        return false;
    return net_address_is_loopback(remote) || address_limit_take(&endpoint->limit, remote);
}

static void accepted(void *owner, int fd, const struct net_address *remote)
{
    mqtt_socket_accept(owner, fd, remote);
}

int mqtt_endpoint_listen(struct mqtt_endpoint *endpoint, const struct net_address *address,
                         bool tls_only, struct net_address *ret_bound)
{
    static const struct tcp_listener_ops ops = { .admit = admit, .accepted = accepted };
    if (endpoint->listener_count == MQTT_LISTENERS_MAX)
        return -ENOSPC;
    struct mqtt_listener *listener = &endpoint->listeners[endpoint->listener_count];
    *listener = (struct mqtt_listener){ .endpoint = endpoint, .tls_only = tls_only };
    struct tcp_listener_config config = { .bind = *address };
    int result = tcp_listener_open(&config, endpoint->config.loop, &ops, listener, &listener->tcp);
    if (result < 0)
        return result;
    endpoint->listener_count++;
    *ret_bound = *address;
    ret_bound->port = tcp_listener_port(listener->tcp);
    return 0;
}

static void close_listeners(struct mqtt_endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->listener_count; i++)
        tcp_listener_close(endpoint->listeners[i].tcp);
    endpoint->listener_count = 0;
}

void mqtt_endpoint_set_tls(struct mqtt_endpoint *endpoint, struct tls_server_context *context)
{
    tls_server_context_ref(context);
    tls_server_context_unref(endpoint->tls);
    endpoint->tls = context;
}

/** ---- life ---- */

static void take_config(struct mqtt_endpoint *endpoint, const struct mqtt_endpoint_config *config)
{
    endpoint->config = *config;
    endpoint->config.broker.random = config->random;
    endpoint->config.broker.owner = &endpoint->access.owner;
    endpoint->config.broker.reserved = MQTT_TOPICS_RESERVED;
    endpoint->config.broker.journal = config->folder != NULL;
    endpoint->limit.per_address =
        config->client_per_address_max ? config->client_per_address_max : 1000;
}

int mqtt_endpoint_new(const struct mqtt_endpoint_config *config,
                      struct mqtt_endpoint **ret_endpoint, struct text_builder *ret_problem)
{
    struct mqtt_endpoint *endpoint = memory_new(struct mqtt_endpoint);
    uint64_t secret[2] = { random_u64(config->random), random_u64(config->random) };
    address_limit_init(&endpoint->limit, 0, 0, secret);
    mqtt_access_init(&endpoint->access, &config->access, &endpoint->calls);
    endpoint->access.decided = login_decided;
    take_config(endpoint, config);
    struct mqtt_calls_config calls = calls_config(endpoint);
    mqtt_calls_init(&endpoint->calls, &calls);
    list_init(&endpoint->sockets);
    loop_timer_init(&endpoint->timer, config->loop, tick);
    loop_task_init(&endpoint->task, run);
    endpoint->broker = broker_new(&endpoint->config.broker, loop_now_us(config->loop));
    int result = config->folder ? open_journal(endpoint, ret_problem) : 0;
    if (result == 0 && config->server) {
        result = mqtt_socket_add_route(endpoint);
        if (result < 0)
            text_append_format(ret_problem, "/mqtt is taken");
    }
    if (result < 0) {
        mqtt_endpoint_free(endpoint);
        return result;
    }
    endpoint->users.changed = user_changed;
    endpoint->users.told = users_told;
    if (config->users)
        user_watch_listen(config->users, &endpoint->users);
    start_presence(endpoint);
    mqtt_endpoint_wake(endpoint);
    *ret_endpoint = endpoint;
    return 0;
}

struct mqtt_endpoint *mqtt_endpoint_free(struct mqtt_endpoint *endpoint)
{
    if (!endpoint)
        return NULL;
    close_listeners(endpoint);
    user_watch_unlisten(&endpoint->users);
    map_done(&endpoint->gone);
    map_done(&endpoint->rekeyed);
    endpoint->bridges = mqtt_bridges_free(endpoint->bridges);
    struct mqtt_socket *socket;
    list_each(socket, &endpoint->sockets, node) mqtt_socket_free(socket);
    mqtt_calls_done(&endpoint->calls);
    mqtt_presence_stop(&endpoint->presence);
    loop_timer_cancel(&endpoint->timer);
    loop_task_cancel(&endpoint->task);
    // what is known until now is what the next process finds
    size_t size = 0;
    uint64_t position;
    uint8_t *last =
        endpoint->journal ? broker_journal_take(endpoint->broker, &size, &position) : NULL;
    endpoint->journal = journal_file_close(endpoint->journal, last, size);
    loop_task_cancel(&endpoint->task);
    broker_free(endpoint->broker);
    address_limit_done(&endpoint->limit);
    tls_server_context_unref(endpoint->tls);
    free(endpoint);
    return NULL;
}

void mqtt_endpoint_reload(struct mqtt_endpoint *endpoint, const struct mqtt_endpoint_config *config)
{
    const char *folder = endpoint->config.folder;
    take_config(endpoint, config);
    endpoint->config.folder = folder;
    endpoint->config.broker.journal = folder != NULL;
    mqtt_access_reload(&endpoint->access, &config->access);
    broker_reload(endpoint->broker, &endpoint->config.broker);
}

/** ---- bridges ---- */

static void wake_for_bridge(void *owner)
{
    mqtt_endpoint_wake(owner);
}

static void tell_bridge_metrics(void *owner, const struct metric_set *set, bool come)
{
    struct mqtt_endpoint *endpoint = owner;
    endpoint->config.bridge_metrics(endpoint->config.owner, set, come);
}

int mqtt_endpoint_set_bridges(struct mqtt_endpoint *endpoint, struct mqtt_bridge_specs *specs)
{
    mqtt_endpoint_now(endpoint);
    struct mqtt_bridges_config config = {
        .loop = endpoint->config.loop,
        .random = endpoint->config.random,
        .broker = endpoint->broker,
        .log = endpoint->config.log,
        .host_name = endpoint->config.host_name,
        .packet_size_max = (uint32_t)endpoint->config.broker.packet_size_max,
        .wake = wake_for_bridge,
        .metrics = tell_bridge_metrics,
        .owner = endpoint,
    };
    if (!endpoint->bridges && specs->count == 0) {
        mqtt_bridges_forget_others(&config, NULL);
        return 0;
    }
    int result = endpoint->bridges ? 0 : mqtt_bridges_new(&config, &endpoint->bridges);
    if (result == 0)
        mqtt_bridges_set(endpoint->bridges, specs);
    return result;
}

void mqtt_endpoint_drain(struct mqtt_endpoint *endpoint)
{
    endpoint->draining = true;
    close_listeners(endpoint);
    // whose clients of ours are gone behind it
    if (endpoint->bridges)
        mqtt_bridges_drain(endpoint->bridges);
    broker_drain(endpoint->broker, mqtt_endpoint_now(endpoint));
    // now, for the HTTP server is about to close its WebSockets
    struct broker_client *client;
    while ((client = broker_next_ready(endpoint->broker)))
        give_turn(client);
    mqtt_endpoint_wake(endpoint);
}

struct metric_set mqtt_endpoint_metrics(const struct mqtt_endpoint *endpoint)
{
    return broker_metrics(endpoint->broker);
}
