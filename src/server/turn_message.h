/** What the control thread and the workers say to each other about TURN. */
#pragma once

#include "proto/turn/turn_server.h"
#include "runtime/stream.h"

struct tls_server_context;
struct certificate;
struct turn_dtls_parcel;

/** Numbers apart from enum media_message: both travel in the same mailboxes. */
enum turn_message {
    TURN_MESSAGE_SETTINGS = 100, /**< struct turn_message_settings */
    TURN_MESSAGE_TLS,            /**< struct turn_message_tls: a new certificate */
    TURN_MESSAGE_CONNECTION,     /**< struct turn_message_connection: an accepted TCP connection */
    TURN_MESSAGE_STREAM,         /**< struct turn_message_stream: a stream that changes threads */
    TURN_MESSAGE_ROUTE,          /**< struct turn_message_route, between workers */
    TURN_MESSAGE_LIST,           /**< struct turn_message_list */
    TURN_MESSAGE_KILL,           /**< struct turn_message_kill */
    TURN_MESSAGE_ASSOCIATION,    /**< struct turn_message_association, between workers */
    // to the control thread
    TURN_MESSAGE_CLOSED = 150, /**< struct turn_message_closed: a connection's limit is free */
    TURN_MESSAGE_LISTED,       /**< struct turn_message_listed */
    TURN_MESSAGE_KILLED,       /**< struct turn_message_killed */
    TURN_MESSAGE_END,
};

struct turn_message_settings {
    struct turn_settings *settings; /**< a reference for the receiver */
};

struct turn_message_tls {
    struct tls_server_context *tls;  /**< a reference for the receiver; may be NULL */
    struct certificate *certificate; /**< for DTLS; a reference for the receiver; may be NULL */
};

/** How a connection came, for its limits and its first bytes. */
struct turn_connection_origin {
    struct net_address remote; /**< as the limits know it; NET_NONE: a load balancer's */
    bool limited;              /**< the control thread wants TURN_MESSAGE_CLOSED for it */
    bool proxy;                /**< a PROXY protocol v2 header comes first */
};

struct turn_message_connection {
    int fd; /**< the receiver's */
    struct turn_connection_origin origin;
};

struct turn_message_stream {
    struct stream_parcel *parcel; /**< the receiver's */
    struct turn_connection_origin origin;
    struct net_address client; /**< as PROXY said, or the remote */
    struct net_address local;
    uint64_t ends_us; /**< unless it has an allocation by then; 0: its time begins anew */
    bool sniffed;     /**< it speaks TURN: input may hold whole messages already */
};

/** A client over DTLS whose allocation lives on another worker (RFC 8016). */
struct turn_message_association {
    struct turn_dtls_parcel *parcel; /**< the receiver's */
};

/** Datagrams of a client that has moved (RFC 8016) reach another worker's socket. */
struct turn_message_route {
    struct net_address remote;
    uint32_t worker; /**< where they belong */
    bool gone;
};

struct turn_message_list {
    uint64_t request;
    char *username; /**< the receiver's to free: only this user's; NULL: all */
    uint32_t after; /**< cursor of turn_server_next to go on from; 0: the start */
    size_t limit;   /**< most entries */
};

/** One allocation for the control thread; ends with the user's name. */
struct turn_listed {
    struct turn_allocation_info info; /**< `username` views `name` once it has arrived */
    uint32_t worker;
    uint32_t cursor; /**< to go on behind it */
    char name[TURN_USERNAME_MAX + 1];
};

struct turn_message_listed {
    uint64_t request;
    uint32_t worker;
    struct turn_listed *items; /**< the receiver's */
    size_t count;
    bool more; /**< the worker has others behind these */
};

struct turn_message_kill {
    uint64_t request;
    handle id;
};

struct turn_message_killed {
    uint64_t request;
    bool found;
};

struct turn_message_closed {
    struct net_address remote;
};
