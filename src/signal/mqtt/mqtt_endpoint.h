/**
 * The MQTT broker of the process on its control thread: /mqtt over WebSocket, ports for TCP and
 * TLS, connections of the HTTPS port that turn out to speak MQTT, and the journal in a folder.
 */
#pragma once

#include "signal/mqtt/mqtt_access.h"
#include "signal/mqtt/mqtt_bridge_file.h"

struct call_directory;
struct http_server;
struct loop;
struct mqtt_endpoint;
struct stream_parcel;
struct tls_server_context;
struct user_watch;

/** Zero fields take the defaults in brackets. What it points to must live as long. */
struct mqtt_endpoint_config {
    struct loop *loop;          /**< of the control thread; required */
    struct http_server *server; /**< NULL: no /mqtt */
    struct random *random;      /**< the system's; required */
    const struct log *log;      /**< NULL: silent */
    const char *folder;         /**< of the journal; NULL: nothing outlives the process */
    bool sync;                  /**< as in struct journal_file_config */
    /** Origins of pages that may connect besides our own; "*": every one. Ends with NULL. */
    const char *const *allowed_origins;
    uint32_t client_per_address_max; /**< by TCP and TLS; loopback is exempt [1000] */
    const char *host_name;           /**< of this machine, for bridges; required with them */
    /** Metrics of a bridge come, or go. Required with bridges. */
    void (*bridge_metrics)(void *owner, const struct metric_set *set, bool come);
    struct mqtt_access_config access;
    struct user_watch *users;         /**< tells who has to go; NULL: nobody ever has */
    struct signal_native *native;     /**< for calls; outlives the endpoint. NULL: no calls */
    void (*native_used)(void *owner); /**< its deadlines may be nearer */
    void *owner;
    struct call_directory *calls; /**< for presence; NULL: none. Outlives the endpoint */
    struct broker_config broker;  /**< owner, random, reserved and journal are filled in */
};

/** Reads the journal, blocking. Returns 0 or a negative errno with a sentence for the user. */
must_check int mqtt_endpoint_new(const struct mqtt_endpoint_config *config,
                                 struct mqtt_endpoint **ret_endpoint,
                                 struct text_builder *ret_problem);
/** After the HTTP server was freed, whose sockets speak to it. Accepts NULL; returns NULL. */
struct mqtt_endpoint *mqtt_endpoint_free(struct mqtt_endpoint *endpoint);
void mqtt_endpoint_reload(struct mqtt_endpoint *endpoint,
                          const struct mqtt_endpoint_config *config);
/** The TLS context of new connections; a reference is taken. */
void mqtt_endpoint_set_tls(struct mqtt_endpoint *endpoint, struct tls_server_context *context);
/**
 * Listens on one more address. On a port for TLS nothing else is taken; on the other TLS is told
 * apart by its first byte. Returns 0 or a negative errno of bind.
 */
must_check int mqtt_endpoint_listen(struct mqtt_endpoint *endpoint,
                                    const struct net_address *address, bool tls_only,
                                    struct net_address *ret_bound);
/**
 * From now on there are these bridges to other brokers: takes what is in `specs` and empties it.
 * Those that are as before stay connected. Returns 0 or a negative errno.
 */
must_check int mqtt_endpoint_set_bridges(struct mqtt_endpoint *endpoint,
                                         struct mqtt_bridge_specs *specs);
/** http_server_config.adopt_mqtt. Owns the parcel. */
void mqtt_endpoint_adopt(void *endpoint, struct stream_parcel *parcel,
                         const struct net_address *remote, const struct net_address *local);
/** No new connections; the others are told and closed. Before the HTTP server is drained. */
void mqtt_endpoint_drain(struct mqtt_endpoint *endpoint);
struct metric_set mqtt_endpoint_metrics(const struct mqtt_endpoint *endpoint);
