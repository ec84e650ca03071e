/**
 * DTLS 1.2 (RFC 6347) for WebRTC (RFC 8827, RFC 5764): one association over whatever path ICE has
 * chosen. No I/O, no clock: every retransmission happens in virtual time.
 *
 * OpenSSL does the handshake; once it is done its memory is released and a record layer of our own
 * goes on: it repeats the last flight when the peer has lost it, reads and writes close_notify, and
 * carries application data (SCTP of data channels, TURN).
 */
#pragma once

#include "base/datagram.h"
#include "base/metric.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/cipher.h"
#include "crypto/dtls.h"
#include "crypto/hash.h"

/** Largest datagram sent: fits IPv6 minimum MTU and tunnels. */
#define DTLS_MTU_DEFAULT 1200
/** A handshake that takes longer has failed. */
#define DTLS_HANDSHAKE_TIMEOUT_US (30 * TIME_US_PER_S)

#define DTLS_FINGERPRINTS_MAX 8

/** Why a datagram or record was dropped, and what was counted. */
enum dtls_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "proto/dtls/dtls_metrics.def"
#undef METRIC
    DTLS_METRIC_COUNT,
};
extern const struct metric_description dtls_metric_descriptions[DTLS_METRIC_COUNT];

/** A context that offers and prefers AEAD_AES_128_GCM, AEAD_AES_256_GCM, AES128_CM_HMAC_SHA1_80. */
must_check int dtls_context_new(struct certificate *certificate, struct text_builder *error,
                                struct dtls_context **ret_context);

/**
 * A context of a server whose clients have no certificate and want no SRTP (RFC 7350). The chain of
 * `certificate` is sent whole.
 */
must_check int dtls_context_new_server(struct certificate *certificate, struct text_builder *error,
                                       struct dtls_context **ret_context);
/** The other side of it, which believes any server: for tests and for measuring. */
must_check int dtls_context_new_client(struct text_builder *error,
                                       struct dtls_context **ret_context);

/** The digest of the peer's certificate that its SDP promised (RFC 8122). */
struct dtls_fingerprint {
    enum hash_kind hash;
    uint8_t value[HASH_SIZE_MAX];
};

/**
 * From the two words of a=fingerprint: "sha-256" (also sha-1, sha-384, sha-512; any case) and
 * "AB:CD:...". Returns 0, -EINVAL (not of that form, wrong length) or -ENOTSUP (another hash).
 */
must_check int dtls_fingerprint_parse(struct bytes hash, struct bytes value,
                                      struct dtls_fingerprint *ret_fingerprint);
/** The same from the digest's bytes. */
must_check int dtls_fingerprint_of(struct bytes hash, struct bytes digest,
                                   struct dtls_fingerprint *ret_fingerprint);

/** What secure_rtp_session_new wants for the two directions. Secret: wipe after use. */
struct dtls_srtp_keys {
    uint16_t profile; /**< RFC 5764, 4.1.2 and RFC 7714, 14.2; 0: none was agreed on */
    uint8_t key_size;
    uint8_t salt_size;
    uint8_t local_key[32]; /**< protects what we send */
    uint8_t local_salt[16];
    uint8_t remote_key[32]; /**< protects what we receive */
    uint8_t remote_salt[16];
};

enum dtls_event_kind {
    DTLS_CONNECTED, /**< `keys` is set */
    DTLS_FAILED,    /**< `reason` is a sentence; nothing more will come */
    DTLS_CLOSED,    /**< the peer sent close_notify */
};

struct dtls_event {
    enum dtls_event_kind kind;
    struct dtls_srtp_keys keys;
    const char *reason; /**< valid as long as the engine */
};

struct dtls_config {
    struct dtls_context *context; /**< a reference is taken */
    bool client;                  /**< start the handshake; a server waits for a ClientHello */
    /**
     * Server: the handshake begins with a ClientHello whose cookie was checked (dtls_cookie.h), and
     * that datagram is the first one given to dtls_input.
     */
    bool cookie_checked;
    /**
     * The peer's certificate must have one of these digests; they are copied. None, for contexts of
     * dtls_context_new_server and dtls_context_new_client alone.
     */
    const struct dtls_fingerprint *fingerprints;
    size_t fingerprint_count;
    uint16_t mtu;                           /**< 0: DTLS_MTU_DEFAULT */
    uint64_t retransmit_first_us;           /**< 0: 100 ms, right where ICE has measured the path */
    bool srtp_required;                     /**< fail when no profile was agreed on */
    const struct cipher_provider *provider; /**< for records after the handshake; may be NULL */
    metric_value *metrics; /**< DTLS_METRIC_COUNT values of this thread; may be NULL */
};

struct dtls;

/** A client's ClientHello goes out with the next dtls_output. Never NULL. */
struct dtls *dtls_new(const struct dtls_config *config, uint64_t now_us);
/** Accepts NULL; always returns NULL. */
struct dtls *dtls_free(struct dtls *dtls);

/**
 * Takes one datagram (first byte 20 to 63). Application data that it holds waits in
 * dtls_data. Returns 0, or a negative errno when all of it was dropped
 * (counted): -EINVAL malformed, -EBADMSG not authentic, -EALREADY replayed, -EPIPE failed or
 * closed, -ENOBUFS over a limit.
 */
int dtls_input(struct dtls *dtls, uint64_t now_us, struct bytes datagram);
/** Retransmits and gives up as time passes. */
void dtls_tick(struct dtls *dtls, uint64_t now_us);
/** When dtls_tick has something to do; TIME_NEVER: nothing. */
uint64_t dtls_deadline(const struct dtls *dtls);
/** Whether dtls_output would write something. */
bool dtls_has_output(const struct dtls *dtls);
/** Writes the datagrams to send; what does not fit in the batch stays for the next call. */
void dtls_output(struct dtls *dtls, uint64_t now_us, const struct net_path *path,
                 struct datagram_batch *batch);
/** The next event; false when there is none. */
bool dtls_event(struct dtls *dtls, struct dtls_event *ret_event);

/** Handshake done and not closed. */
bool dtls_connected(const struct dtls *dtls);
/**
 * The next piece of application data received (one record), valid until the next call on this
 * engine; false when there is none. At most 64 KB wait; more is dropped and counted.
 */
bool dtls_data(struct dtls *dtls, struct bytes *ret_data);
/**
 * Queues one record of application data for dtls_output. Returns 0, -ENOTCONN before or after the
 * connection, -EMSGSIZE when it does not fit the MTU, -ENOBUFS when too much waits already.
 */
must_check int dtls_send(struct dtls *dtls, struct bytes data);
/** Largest `data` that dtls_send takes. */
size_t dtls_data_size_max(const struct dtls *dtls);

/**
 * The engine goes on in another thread, whose provider and counters these are (as in dtls_config).
 * After the handshake only.
 */
void dtls_move(struct dtls *dtls, const struct cipher_provider *provider, metric_value *metrics);

/** Bytes of a record before and around its data. */
#define DTLS_RECORD_PREFIX   21
#define DTLS_RECORD_OVERHEAD 37
/** Most data of one record. */
#define DTLS_RECORD_DATA_MAX (1u << 14)

/**
 * dtls_input without copy, for relays: takes the records of a datagram from `*at` (0 at first) on
 * until one holds application data, which is opened where it lies. Returns 1 with that data, valid
 * as long as the datagram's bytes; 0 at the end.
 *
 *     for (size_t at = 0; dtls_open(dtls, now_us, datagram, size, &at, &data) > 0;)
 *         use(data);
 */
must_check int dtls_open(struct dtls *dtls, uint64_t now_us, uint8_t *datagram, size_t size,
                         size_t *at, struct bytes *ret_data);
/**
 * dtls_send without queue and without limit by the MTU: seals the `size` bytes that stand at `out`
 * + DTLS_RECORD_PREFIX to a record of `size` + DTLS_RECORD_OVERHEAD bytes at `out`. Returns 0,
 * -ENOTCONN, -EMSGSIZE (more than DTLS_RECORD_DATA_MAX) or -EKEYEXPIRED (2^48 records).
 */
must_check int dtls_seal(struct dtls *dtls, uint8_t *out, size_t size);
/**
 * Queues close_notify, also in answer to the peer's (RFC 5246, 7.2.1); afterwards nothing is sent
 * or received.
 */
void dtls_close(struct dtls *dtls);
