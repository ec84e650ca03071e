/** Data channels in the simulated world: a hub per worker, and clients that keep what they get. */
#pragma once

#include "room/data_hub.h"
#include "rtc/data.h"
#include "sim/world.h"

/** A client's channel: label "c", and what came over it. */
struct world_data_client {
    struct world_client *client;
    struct data_peer *peer; /**< of the server's hub */
    bool opened;            /**< acknowledged by the server */
    bool closed;            /**< by the server */
    uint16_t stream;
    struct rtc_data_channel channel; /**< as the server opened it; without texts */
    char label[RTC_DATA_LABEL_MAX + 1];
    uint32_t sent;    /**< messages, numbered from 0 */
    uint32_t to_send; /**< messages that it still wants to send */
    size_t size;      /**< of each */
    uint32_t received;
    uint32_t newest;     /**< number + 1 of the newest that came */
    uint32_t disordered; /**< messages that came behind a newer one */
    uint32_t spoilt;     /**< messages with other bytes than were sent */
    bool lazy;           /**< reads nothing */
};

struct world_data {
    struct world *world;
    struct data_hub *hubs[WORLD_WORKERS];
    struct world_data_worker {
        struct world_data *data;
        uint16_t index;
    } workers[WORLD_WORKERS];
    struct world_data_client clients[WORLD_CLIENTS]; /**< as the world's */
    struct {
        uint16_t to;
        struct data_message message;
    } messages[1024];
    size_t message_count;
    uint64_t tick_us;
};

/** Extends a world without clients. */
struct world_data *world_data_new(struct world *world);
/** Before world_free. */
void world_data_free(struct world_data *data);
/** A client with a data section, connected after world_connect; all are in one room. */
struct world_data_client *world_data_add(struct world_data *data, uint16_t worker);
/** The same for a side of a call with the client of session `other`. */
struct world_data_client *world_data_add_side(struct world_data *data, uint16_t worker,
                                              handle other);
/** Opens its channel "c"; the client must be connected. */
void world_data_open(struct world_data_client *client, bool ordered,
                     enum rtc_data_reliability reliability, uint32_t limit);
/** Opens it as a channel that both sides know of. */
void world_data_open_negotiated(struct world_data_client *client, uint16_t stream);
/** Whether all clients' channels are open. */
bool world_data_is_open(const struct world_data *data);
/** `count` messages of `size` bytes more are to be sent, as fast as the transport takes them. */
void world_data_send(struct world_data_client *client, uint32_t count, size_t size);
/** What a hub counted, over all workers. */
uint64_t world_data_metric(const struct world_data *data, enum data_metric metric);
