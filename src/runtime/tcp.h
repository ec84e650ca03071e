/** TCP: listeners, and streams over connected sockets. */
#pragma once

#include "runtime/stream.h"

struct tcp_listener;

struct tcp_listener_ops {
    /**
     * Before anything is spent on a connection: false closes it at once (counted). For limits per
     * address and in total (address_limit.h). May be NULL.
     */
    bool (*admit)(void *owner, const struct net_address *remote);
    /** A connection, with nothing read. The callee owns `fd`; usually tcp_stream_new. */
    void (*accepted)(void *owner, int fd, const struct net_address *remote);
};

struct tcp_listener_config {
    struct net_address
        bind; /**< NET_NONE: every address, dual stack where possible; port 0: free */
    bool ipv4_only;
    int backlog;     /**< 0: 1024 */
    bool share_port; /**< connections made by tcp_stream_connect_from may have the same address */
};

/**
 * Binds (SO_REUSEADDR) and accepts on `loop`, a bounded number per turn. Without descriptors left
 * it closes one connection per attempt and rests for 100 ms. Returns 0 or a negative errno.
 */
must_check int tcp_listener_open(const struct tcp_listener_config *config, struct loop *loop,
                                 const struct tcp_listener_ops *ops, void *owner,
                                 struct tcp_listener **ret_listener);
/** Accepts NULL; returns NULL. Streams live on. */
struct tcp_listener *tcp_listener_close(struct tcp_listener *listener);
uint16_t tcp_listener_port(const struct tcp_listener *listener);
/** For an accepted connection that nobody wants. */
void tcp_connection_close(int fd);

/**
 * A stream over an accepted or connected socket; owns `fd` in every case. `limits` may be NULL.
 * Returns 0, or a negative errno with `fd` closed.
 */
must_check int tcp_stream_new(struct loop *loop, int fd, const struct stream_limits *limits,
                              const struct stream_handler *handler, void *owner,
                              struct stream **ret_stream);
/**
 * Connects; `opened` or `closed` follows. The caller sets a deadline for both. Returns 0 or a
 * negative errno.
 */
must_check int tcp_stream_connect(struct loop *loop, const struct net_address *remote,
                                  const struct stream_limits *limits,
                                  const struct stream_handler *handler, void *owner,
                                  struct stream **ret_stream);
/**
 * The same from a local address that a listener (`share_port`) and other connections may have as
 * well. `local` NULL: the system chooses.
 */
must_check int tcp_stream_connect_from(struct loop *loop, const struct net_address *local,
                                       const struct net_address *remote,
                                       const struct stream_limits *limits,
                                       const struct stream_handler *handler, void *owner,
                                       struct stream **ret_stream);

/**
 * How much the kernel may hold that it has not sent: with a small limit what waits, waits in the
 * stream, whose owner can still decide about it. For streams of any kind, not while detached.
 */
void tcp_stream_set_unsent_limit(struct stream *stream, uint32_t bytes);
/** Probes a peer that was silent for `idle_s`; one that never answers resets the stream. */
void tcp_stream_set_keepalive(struct stream *stream, uint32_t idle_s, uint32_t interval_s);
