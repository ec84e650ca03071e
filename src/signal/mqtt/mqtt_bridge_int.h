/** What the files of the bridges share. */
#pragma once

#include "base/list.h"
#include "bridge/bridge.h"
#include "runtime/jobs.h"
#include "runtime/loop.h"
#include "runtime/resolver.h"
#include "runtime/stream.h"
#include "signal/mqtt/mqtt_bridges.h"

struct mqtt_bridges {
    struct mqtt_bridges_config config;
    struct jobs *jobs;
    struct job_inbox inbox;
    struct list list; /**< struct mqtt_bridge */
    bool draining;
};

struct mqtt_bridge {
    struct list node;
    struct mqtt_bridges *all;
    struct mqtt_bridge_spec spec;
    char client_id[160];
    char state_topic[224];
    char labels[80];
    struct bridge *engine;
    struct loop_timer timer;
    struct resolver_query *query; /**< NULL: no name is being looked up */
    struct resolver_result found; /**< addresses to try */
    size_t found_at;
    size_t address_at; /**< of the spec's addresses, the one in use */
    struct stream *stream;
    struct stream *leaving; /**< the one before, which is saying goodbye */
    struct net_address remote;
    char problem[TLS_ERROR_SIZE]; /**< why it is not connected: told once */
    bool is_open;                 /**< the stream is connected */
    bool paused;
};

/** ---- mqtt_bridge.c: one of them ---- */

/** Takes what is in the spec, and empties it. */
void mqtt_bridge_start(struct mqtt_bridges *bridges, struct mqtt_bridge_spec *spec);
/** `forget`: for good, with what waits in its session. */
void mqtt_bridge_end(struct mqtt_bridge *bridge, bool forget);
void mqtt_bridge_free(struct mqtt_bridge *bridge);
struct metric_set mqtt_bridge_metrics(const struct mqtt_bridge *bridge);

/** ---- mqtt_bridge_link.c: its connection ---- */

void mqtt_bridge_link_init(struct mqtt_bridge *bridge);
/** After every step of the engine: what follows from it for the connection, the timer, the log. */
void mqtt_bridge_settle(struct mqtt_bridge *bridge);
/** Says what is left to say, and goodbye. */
void mqtt_bridge_link_end(struct mqtt_bridge *bridge);
/** At once. */
void mqtt_bridge_link_done(struct mqtt_bridge *bridge);

/** ---- mqtt_bridge_log.c: what the operator reads ---- */

void mqtt_bridge_log_news(struct mqtt_bridge *bridge, const struct bridge_news *news);
/** It cannot connect: logged when it is another problem than the last time. */
void mqtt_bridge_log_failed(struct mqtt_bridge *bridge, const char *why, const char *remedy);
