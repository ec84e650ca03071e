/**
 * A publisher's layered stream and a receiver that knows what decoders need. The stream is made of
 * pictures in the patterns that encoders use (RFC 7741, 4.2; RFC 9628; the scalability modes of
 * WebRTC-SVC), each frame carrying the truth about itself at its end: which frames it refers to,
 * how many packets it has. The receiver judges what came by that truth, not by the headers that the
 * server has read and written.
 */
#pragma once

#include "sim/world.h"

#define LAYERED_FRAMES_MAX     8192
#define LAYERED_REFERENCES_MAX 3

struct layered_mode {
    enum codec_id codec;
    bool descriptor; /**< tells by the dependency descriptor */
    uint8_t spatial;
    uint8_t temporal;
    bool apart;      /**< spatial layers refer to each other in key pictures only (L3T3_KEY) */
    bool rare_syncs; /**< going up is possible at each fourth picture of layer 1 only */
};

struct layered_frame {
    uint32_t id; /**< from 1 on; 0: none */
    uint32_t references[LAYERED_REFERENCES_MAX];
    uint16_t number; /**< frame number */
};

struct layered_stream {
    struct layered_mode mode;
    struct world_client *client;
    uint32_t first_id; /**< so that streams of different publishers differ */
    uint32_t frames;
    uint32_t pictures;
    uint32_t since_key;
    uint32_t key_pictures;
    uint16_t frame_number;
    uint8_t tl0;
    bool garbled;            /**< descriptors are full of errors */
    uint32_t active_targets; /**< said with each structure; 0: nothing is said of them */
    bool says_active;        /**< and with the next picture */
    uint8_t rows;            /**< spatial layers that are sent, of those that the structure names */
    uint16_t width;          /**< of the largest spatial layer */
    uint32_t parts; /**< packets of a frame of spatial layer 0; twice as many in each above */
    struct layered_frame last[MEDIA_SPATIAL_LAYERS][MEDIA_TEMPORAL_LAYERS];
};

/** Makes a client publish such a stream in its sections. `stream` outlives the run. */
void layered_publish(struct layered_stream *stream, struct world_client *client,
                     const struct layered_mode *mode, uint32_t first_id);

/** Sends the smallest `rows` of `all` spatial layers from now on, which keep their sizes. */
void layered_send_rows(struct layered_stream *stream, uint8_t rows, uint8_t all);

struct layered_received {
    uint32_t references[LAYERED_REFERENCES_MAX];
    uint16_t number;  /**< frame number as received; `numbered`: it had one */
    uint16_t picture; /**< picture id as received */
    uint8_t tl0;
    uint8_t spatial, temporal;
    uint8_t parts, parts_seen;
    uint64_t seen;
    bool numbered;
    uint32_t timestamp;
    uint64_t first_sequence;
};

struct layered_judge {
    struct world_client *client;
    struct layered_mode mode;
    struct layered_received frames[LAYERED_FRAMES_MAX]; /**< by id */
    uint32_t by_number[65536];                          /**< frame number as received -> id */
    struct {
        uint32_t id;
        uint32_t timestamp;
        bool marker;
        bool seen;
    } packets[65536]; /**< by sequence number; id 0: an empty one */
    struct dependency_structure structure;
    uint32_t active_targets;                                     /**< as told last */
    uint32_t newest_id;                                          /**< frame of the newest packet */
    uint32_t count[MEDIA_SPATIAL_LAYERS][MEDIA_TEMPORAL_LAYERS]; /**< complete frames */
};

/** Judges what a client receives. Zeroed before; outlives the run. */
void layered_watch(struct layered_judge *judge, struct world_client *client,
                   const struct layered_mode *mode);
/**
 * After the last repair (`clean`: nothing was lost on the way): fails unless every frame of which
 * anything came is whole, has all that it refers to, numbers have no gap, pictures end with a
 * marker, and ids tell the truth.
 */
void layered_verdict(const struct layered_judge *judge, bool clean);
