/**
 * TURN clients over DTLS (RFC 7350) on one worker: associations by source address, on whichever
 * UDP socket their datagrams arrive. Each is a carrier (turn_carrier.h). Nothing is kept for a
 * source that has not returned a cookie (RFC 6347, section 4.2.1).
 */
#pragma once

#include "base/metric.h"
#include "runtime/udp.h"
#include "server/turn_worker.h"

struct certificate;
struct turn_dtls;

/**
 * Uses turn_worker_* of `turn`, and of turn_shared: cookie_secret, options.stream_timeout_us,
 * options.dtls_associations_max. A reference of `certificate` is taken. NULL when the certificate
 * cannot be used for DTLS (logged).
 */
struct turn_dtls *turn_dtls_new(struct turn_worker *turn, struct certificate *certificate);
/** Says goodbye to all clients; their allocations end. Accepts NULL; returns NULL. */
struct turn_dtls *turn_dtls_free(struct turn_dtls *dtls);
/** For handshakes from now on. A reference is taken. */
void turn_dtls_set_certificate(struct turn_dtls *dtls, struct certificate *certificate);
/** A datagram (first byte 20 to 63) that arrived on `socket`. */
void turn_dtls_input(struct turn_dtls *dtls, struct udp_socket *socket,
                     const struct udp_datagram *datagram);
/** The set of turn_dtls_metrics.def; lives as long as `dtls`. */
struct metric_set turn_dtls_metrics(const struct turn_dtls *dtls, const char *labels);
