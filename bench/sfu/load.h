/**
 * The load: participants of one room, each with one connection or two, driven by one loop on one
 * thread.
 */
#pragma once

#include "server_usage.h"
#include "signaling.h"

struct load_options {
    const struct signaling_kind *kind;
    struct net_address server;
    struct net_address address; /**< of our sockets */
    struct net_address sink;    /**< of the sockets of subscribers who are not counted */
    uint16_t rtp_port;
    long pid; /**< of the server */
    int core;
    uint32_t publishers; /**< who only publish */
    uint32_t subscribers;
    uint32_t counted;      /**< so many of them stand for all, the others are sinks; 0: all count */
    uint32_t participants; /**< who do both */
    bool video, audio;     /**< what is published */
    bool simulcast;
    uint16_t burst, payload_size;
    uint32_t large; /**< videos that participants want in full; the others small */
    bool live;      /**< feeds run while others join */
    bool decrypts, stamps;
    bool data; /**< subscribers have data channels, as members with our SDK do */
};

struct load {
    struct load_options options;
    struct media_shared shared;
    struct signaling_shared signaling;
    struct media_client **clients;
    struct signaling **signals;
    uint32_t count;
    uint32_t capacity;
    uint32_t joining;          /**< index of the last who joined: is served first */
    uint32_t first_subscriber; /**< index of the first who only receives */
    int epoll_fd;
    uint32_t tick_at;
    uint32_t keep_at;
    uint64_t returned;         /**< who left and came back */
    struct server_usage empty; /**< before subscribers or participants came */
    struct server_usage full;  /**< when all were there, before the first packet */
};

/** `random` outlives the load. */
void load_init(struct load *load, const struct load_options *options, struct random *random);
void load_done(struct load *load);
/** Everybody joins. False, with a message, when somebody could not. */
bool load_join(struct load *load);
/** Works until `fd` is readable (-1: never) or the time is over. */
void load_run(struct load *load, int fd, uint64_t duration_us);
/**
 * For so long, one after the other leaves and comes back as another, the feeds running; one in four
 * leaves without a word when `abrupt`. False, with a message, when somebody could not come back.
 */
bool load_churn(struct load *load, uint64_t duration_us, bool abrupt);
/** The feeds of the first so many clients begin, those of the others rest; UINT32_MAX: of all. */
void load_feed(struct load *load, uint32_t publishers);

// load_report.c
/** One line of JSON: how many came and went. */
void load_print_churn(const struct load *load);
/** One line of JSON: memory, and how long joins took. */
void load_print_joins(struct load *load);
/**
 * Measures and prints one line of JSON. The feeds of the first so many clients run before, and rest
 * afterwards.
 */
void load_measure(struct load *load, uint64_t duration_us, uint32_t publishers);
