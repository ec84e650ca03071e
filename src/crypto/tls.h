/**
 * TLS 1.2 and 1.3 between buffers: no sockets, no clock of ours. The owner moves bytes:
 *
 *     network --> tls_stream_input --> tls_stream_read --> application
 *     network <-- tls_stream_output <-- tls_stream_write <-- application
 *
 * After each call look at tls_stream_output: any of them may have made bytes to send. A stream
 * belongs to one thread; contexts are immutable and may be shared between threads.
 */
#pragma once

#include <sys/types.h>

#include "base/text.h"
#include "crypto/x509.h"

#define TLS_ALPN_SIZE_MAX 32
#define TLS_ERROR_SIZE    160
/** Undelivered ciphertext a stream holds; tls_stream_input takes no more. */
#define TLS_INPUT_SIZE_MAX (64u << 10)
/** Ciphertext waiting for the network above which tls_stream_write takes no more. */
#define TLS_OUTPUT_SIZE_MAX (256u << 10)

struct tls_server_context;
struct tls_client_context;
struct tls_stream;

struct tls_server_config {
    struct certificate *certificate; /**< a reference is taken */
    /** Protocols offered, best first; the server's order decides. May be empty. */
    const char *const *alpn;
    size_t alpn_count;
    /** Refuse a client whose ALPN list has none of ours (RFC 7301, 3.2) instead of ignoring it. */
    bool alpn_required;
};

/**
 * A server's side. To reload a certificate make a new context, swap it for the old one and unref
 * that: streams keep the one they began with. `error` (may be NULL) gets a sentence.
 * Returns 0 or -EINVAL.
 */
must_check int tls_server_context_new(const struct tls_server_config *config,
                                      struct text_builder *error,
                                      struct tls_server_context **ret_context);
struct tls_server_context *tls_server_context_ref(struct tls_server_context *context);
/** Accepts NULL; always returns NULL. */
struct tls_server_context *tls_server_context_unref(struct tls_server_context *context);

struct tls_client_config {
    bool verify; /**< check chain and name; without it any certificate will do (load, tests) */
    /** PEM of the authorities to trust with `verify`; empty: the system's. */
    struct bytes authorities_pem;
    /** Shown to servers that ask for one, a reference is taken; NULL: none. */
    struct certificate *certificate;
    const char *const *alpn; /**< offered, best first */
    size_t alpn_count;
};

must_check int tls_client_context_new(const struct tls_client_config *config,
                                      struct text_builder *error,
                                      struct tls_client_context **ret_context);
struct tls_client_context *tls_client_context_ref(struct tls_client_context *context);
struct tls_client_context *tls_client_context_unref(struct tls_client_context *context);

enum tls_state {
    TLS_HANDSHAKE,   /**< not ready for application data */
    TLS_OPEN,        /**< both ways */
    TLS_PEER_CLOSED, /**< close_notify received and all data read; writing is still possible */
    TLS_FAILED,      /**< see tls_stream_error; send what is in output (an alert), then close */
};

/** A stream that waits for a ClientHello. Takes a reference of the context. Never NULL. */
struct tls_stream *tls_stream_new_server(struct tls_server_context *context);
/**
 * A stream whose output holds a ClientHello at once. `server_name` (DNS name or IP text, may be
 * NULL) is sent as SNI when it is a name, and verified when the context verifies. Never NULL.
 */
struct tls_stream *tls_stream_new_client(struct tls_client_context *context,
                                         const char *server_name);
void tls_stream_free(struct tls_stream *stream);

enum tls_state tls_stream_state(const struct tls_stream *stream);
/** Why the state is TLS_FAILED, as a sentence; "" otherwise. */
const char *tls_stream_error(const struct tls_stream *stream);

/**
 * Takes bytes from the network and continues the handshake. Returns how many were taken: fewer
 * than given only when TLS_INPUT_SIZE_MAX waits to be read (read, then give the rest). -EPROTO
 * when the stream has failed.
 */
must_check ssize_t tls_stream_input(struct tls_stream *stream, struct bytes network);
/**
 * Application data. Returns the bytes written to `out`, 0 after the peer's close_notify, -EAGAIN
 * when more input is needed, -EPROTO when the stream has failed.
 */
must_check ssize_t tls_stream_read(struct tls_stream *stream, void *out, size_t capacity);
/**
 * Encrypts application data. Returns the bytes taken: fewer than given when output is full, and
 * -EAGAIN when it is full already or the handshake is not done; -EPIPE after tls_stream_close;
 * -EPROTO when the stream has failed.
 */
must_check ssize_t tls_stream_write(struct tls_stream *stream, struct bytes plain);
/** Bytes to send, valid until the next call on this stream; empty when there are none. */
struct bytes tls_stream_output(const struct tls_stream *stream);
/** Tells how many bytes of tls_stream_output were sent. */
void tls_stream_output_sent(struct tls_stream *stream, size_t size);
/** Puts a close_notify behind what was written. Nothing can be written afterwards. */
void tls_stream_close(struct tls_stream *stream);

/** The protocol selected by ALPN, "" when none. */
const char *tls_stream_alpn(const struct tls_stream *stream);
/** "TLSv1.3", for logs; "" before the handshake is done. */
const char *tls_stream_version(const struct tls_stream *stream);
