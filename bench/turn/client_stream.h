/** A client's TCP or TLS connection: messages out, messages cut out of the stream in. */
#pragma once

#include "load.h"

/** Connects from the client's address and shakes hands; ends the program when that fails. */
struct client_stream *client_stream_open(struct load *load, uint32_t index);
struct client_stream *client_stream_close(struct client_stream *stream);
/** Waits for room: the closed loop bounds what can be queued. */
void client_stream_send(struct client_stream *stream, struct bytes bytes);
/** Gives whole messages to load_take_message until the socket is empty. */
void client_stream_receive(struct load *load, struct client_stream *stream);
/** The SSL_CTX for load->tls. */
void *client_stream_tls_new(void);
void client_stream_tls_free(void *tls);
