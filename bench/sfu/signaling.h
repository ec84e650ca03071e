/**
 * How clients of the load generator get into a room: one `struct signaling_kind` per kind of
 * server.
 */
#pragma once

#include "json_socket.h"
#include "media_client.h"

#define SIGNALING_FEEDS_MAX 256

/** What all clients of a generator share with their kind of signaling. */
struct signaling_shared {
    struct net_address server;
    struct random *random;
    void (*wait)(void *owner, int fd); /**< see json_socket.h */
    void *owner;
    // of Janus
    uint16_t rtp_port;                   /**< of the streaming plugin's mountpoint */
    uint64_t feeds[SIGNALING_FEEDS_MAX]; /**< of those who publish, in the order they came */
    uint32_t feed_count;
};

struct signaling;

struct signaling_kind {
    const char *name;
    /** Who publishes and receives needs a connection for each. */
    bool one_way;
    /**
     * Joins, negotiates and starts the client's connection, whose sections are there: those that
     * send, and with `one_way` none else. `participant`: counts who publish, from 0; who only
     * receives is UINT32_MAX. NULL, with a message, on failure.
     */
    struct signaling *(*open)(struct signaling_shared *shared, struct media_client *client,
                              uint32_t participant);
    /** Asks for the smallest layer of all but the first `large` videos. */
    bool (*prefer)(struct signaling *signaling, uint32_t large);
    /** Keeps the session alive; call about every second. */
    void (*keep)(struct signaling *signaling);
    /** Says goodbye, before close; NULL: there is no word for it. */
    void (*leave)(struct signaling *signaling);
    void (*close)(struct signaling *signaling);
};

extern const struct signaling_kind signaling_native, signaling_whip, signaling_videoroom,
    signaling_streaming;
