/** Clients of an MQTT broker: publishers that keep a window of messages on their way, and
 *  subscribers that acknowledge what comes. */
#pragma once

#include "base/address.h"
#include "proto/mqtt/mqtt_packet.h"
#include "runtime/loop.h"
#include "runtime/stream.h"

enum load_transport {
    LOAD_TCP,
    LOAD_TLS,
    LOAD_WS,
};

struct load_options {
    struct net_address server;
    enum load_transport transport;
    enum mqtt_version version;
    unsigned publishers;
    unsigned subscribers;
    bool fan_out; /**< every subscriber gets what any publisher sends; else it is for one of them */
    uint8_t qos;
    unsigned size;   /**< bytes of payload */
    unsigned window; /**< messages of a publisher on their way */
    unsigned seconds;
    unsigned idle; /**< so many clients that only subscribe, instead of all that */
    long pid;
    int core;
};

struct load;

struct load_link {
    struct load *load;
    struct stream *stream;
    unsigned number;
    bool is_publisher;
    bool is_ready;
    bool upgraded; /**< WebSocket: the handshake is done */
    uint16_t last_id;
    unsigned in_flight; /**< not acknowledged */
};

struct load {
    struct load_options options;
    struct loop loop;
    struct load_link *links;
    unsigned link_count;
    unsigned ready;
    bool running;
    bool failed;
    uint8_t *payload;
    uint64_t published;
    uint64_t received;
    uint64_t lost;
    struct tls_client_context *tls;
    uint8_t *scratch;
};

must_check int load_init(struct load *load, const struct load_options *options);
void load_done(struct load *load);
void load_link_open(struct load_link *link);
/** Every publisher sends what its window allows. */
void load_pump(struct load *load);
