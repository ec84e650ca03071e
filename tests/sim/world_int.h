/** What the files of the world share: its ends on the network, and what goes between them. */
#pragma once

#include "sim/world.h"

/** The server's end of the network; its owner is the world. */
extern const struct network_ops world_server_ops;
/** A client's end; its owner is the client. */
extern const struct network_ops world_client_ops;
/** What exchanges ask of their worker; the owner is the worker. */
extern const struct exchange_ops world_exchange_ops;

/** What the server's engines wrote while it took input waits here for the next output. */
struct datagram_batch *world_pending(struct world *world);
/** Brings what the workers told each other to its readers. */
void world_deliver(struct world *world);
/** Appends all of `from`, which is empty afterwards. */
void world_move_batch(struct datagram_batch *from, struct datagram_batch *to);

/** How a publisher sends a packet of a section. */
struct rtc_outgoing world_outgoing(const struct world_client *client, uint16_t section,
                                   const struct media_info *info);
/** The next frame of all that a client publishes. */
void world_publish_frame(struct world_client *client, uint64_t now_us,
                         struct datagram_batch *batch);

/** At the end of each payload: reference, parts, layer, frame, name. */
#define WORLD_TRUTH_SIZE  16
#define WORLD_PAYLOAD_MIN 40

struct world_picture {
    bool key;
    bool sync; /**< refers to the first temporal layer alone */
    uint8_t temporal;
    uint8_t tl0;
    uint32_t number;    /**< of its layer's pictures */
    uint32_t reference; /**< frame; of a key frame: its own */
    uint32_t parts;     /**< packets */
    uint16_t payload_size;
};

/** What a layer has for the client's current frame; false: nothing. */
bool world_next_picture(struct world_client *client, uint32_t number,
                        struct world_picture *ret_picture);
/** How a packet's payload begins. */
void world_picture_head(const struct world_client *client, enum codec_id codec, uint32_t number,
                        const struct world_picture *picture, uint32_t part, uint8_t *at);
/** How it ends: what world_decode and counters go by. */
void world_picture_truth(const struct world_client *client, uint32_t number,
                         const struct world_picture *picture, uint8_t *end);
/** A payload of video came. */
void world_decode(struct world_decoder *decoder, struct bytes payload);
