/** Clients of the native protocol in pairs: one calls, the other accepts, over WebSocket. */
#pragma once

#include "base/address.h"
#include "runtime/loop.h"
#include "runtime/stream.h"

#define CALL_ID_MAX 32

enum load_kind {
    LOAD_CALLS,    /**< calls are set up and hung up again, as fast as they go */
    LOAD_MESSAGES, /**< candidates pass in calls that stand */
    LOAD_IDLE,     /**< clients register, and stay */
};

struct load_options {
    struct net_address server;
    enum load_kind kind;
    unsigned pairs;
    unsigned sdp_size;   /**< bytes of an offer or answer */
    unsigned candidates; /**< that each side sends in a call that is set up */
    unsigned window;     /**< messages of a client on their way */
    unsigned seconds;
    long pid;
    int core;
};

struct load;

struct load_link {
    struct load *load;
    struct load_link *peer;
    struct stream *stream;
    unsigned number;
    bool is_caller;
    bool upgraded;
    bool is_ready;
    unsigned since_confirmed; /**< numbered messages that the server still keeps for us */
    uint64_t last_seq;
    uint64_t next_id;
    unsigned in_flight;
    char call[CALL_ID_MAX];
};

struct load {
    struct load_options options;
    struct loop loop;
    struct load_link *links; /**< callers at even places, each before its callee */
    unsigned link_count;
    unsigned ready;
    unsigned standing; /**< calls that were accepted, with LOAD_MESSAGES */
    bool running;
    bool failed;
    char *sdp;
    char *scratch;
    uint64_t calls;    /**< set up */
    uint64_t messages; /**< that came */
};

must_check int load_init(struct load *load, const struct load_options *options);
void load_done(struct load *load);
void load_link_open(struct load_link *link);
/** Begins what was asked for, on all links. */
void load_run(struct load *load);
