/** TLS streams: the interface of stream.h over another stream, by crypto/tls.h. */
#pragma once

#include "crypto/tls.h"
#include "runtime/stream.h"

/**
 * The server's side over `transport`, which the new stream owns from now on; what is in its input
 * already is the start of the handshake (so a port may peek first). `opened` comes when the
 * handshake is done; set a deadline for that. A reference of `context` is taken. `limits` may be
 * NULL. Never NULL.
 */
struct stream *secure_stream_new_server(struct stream *transport,
                                        struct tls_server_context *context,
                                        const struct stream_limits *limits,
                                        const struct stream_handler *handler, void *owner);
/** The client's side; `transport` may still be connecting. `server_name` as in crypto/tls.h. */
struct stream *secure_stream_new_client(struct stream *transport,
                                        struct tls_client_context *context, const char *server_name,
                                        const struct stream_limits *limits,
                                        const struct stream_handler *handler, void *owner);
/** The TLS state of a secure stream, for names, versions and errors; NULL for others. */
const struct tls_stream *secure_stream_tls(const struct stream *stream);
