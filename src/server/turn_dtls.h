/**
 * TURN clients over DTLS (RFC 7350), on one worker: associations by path, each one a carrier
 * (turn_carrier.h). One set serves all UDP sockets of the worker.
 *
 * A ClientHello without the right cookie is answered with a HelloVerifyRequest that is smaller than
 * itself, and nothing is kept. With the right cookie an association begins, within limits per
 * address and in total; one that has no allocation for a while ends. A client that starts again
 * from the same port gets a new association, which takes the place of the old one once its
 * handshake is done.
 *
 * Records are opened where they were received and sealed into memory of this object, which leaves
 * with turn_worker_gather: no allocation and no queue per packet.
 */
#pragma once

#include "base/metric.h"
#include "crypto/x509.h"
#include "server/turn_worker.h"

struct turn_dtls;

enum turn_dtls_metric {
#define METRIC(id, kind, name, labels, help) TURN_DTLS_##id,
#include "server/turn_dtls_metrics.def"
#undef METRIC
    TURN_DTLS_METRIC_COUNT,
};
extern const struct metric_description turn_dtls_metric_descriptions[TURN_DTLS_METRIC_COUNT];

/**
 * Limits, time-outs and the cookie secret are those of turn_worker_shared(turn). NULL when the
 * certificate is of no use for DTLS (logged).
 */
struct turn_dtls *turn_dtls_new(struct turn_worker *turn, struct certificate *certificate);
/**
 * Says goodbye to all clients (close_notify). On the worker's thread, after the engine was freed
 * and before the sockets are closed. Accepts NULL; returns NULL.
 */
struct turn_dtls *turn_dtls_free(struct turn_dtls *set);
/** For all that begin from now on; if it is of no use the one before stays (logged). */
void turn_dtls_set_certificate(struct turn_dtls *set, struct certificate *certificate);

/**
 * A datagram whose first byte is 20 to 63, received by `socket`. Its bytes change; data for peers
 * refers to them until turn_worker_flush, as with turn_worker_client_input.
 */
void turn_dtls_input(struct turn_dtls *set, struct udp_socket *socket,
                     const struct udp_datagram *datagram);
/**
 * An association on its way to another worker, where the allocation lives that its client refreshes
 * from a new address (RFC 8016): turn_worker_give_association.
 */
struct turn_dtls_parcel;
/** Accepts NULL. */
void turn_dtls_parcel_free(struct turn_dtls_parcel *parcel);
/** Our port that its client speaks to. */
uint16_t turn_dtls_parcel_port(const struct turn_dtls_parcel *parcel);
/** Takes it in; `socket` is the one with that port. Owns the parcel. */
void turn_dtls_adopt(struct turn_dtls *set, struct udp_socket *socket,
                     struct turn_dtls_parcel *parcel);

/** Associations, those in the handshake included. */
uint32_t turn_dtls_count(const struct turn_dtls *set);
#define TURN_DTLS_METRIC_SETS 2
/** Sets of turn_dtls_metrics.def and of proto/dtls; they live as long as `set`. */
void turn_dtls_metric_sets(const struct turn_dtls *set, const char *labels,
                           struct metric_set ret_sets[TURN_DTLS_METRIC_SETS]);
