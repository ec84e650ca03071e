/**
 * The handshake of DTLS 1.2 (RFC 6347) with use_srtp (RFC 5764), by OpenSSL, between buffers.
 * For proto/dtls alone, which adds retransmission by the caller's clock, limits and the record
 * layer after the handshake: this object lives for the handshake only and never looks at a clock.
 */
#pragma once

#include "base/text.h"
#include "crypto/x509.h"

#define DTLS_HANDSHAKE_ERROR_SIZE 160
#define DTLS_EXPORT_SRTP_LABEL    "EXTRACTOR-dtls_srtp" /**< RFC 5764, 4.2 */

/**
 * What all handshakes with one certificate share. Immutable, reference-counted, may be shared
 * between threads.
 */
struct dtls_context;

struct dtls_context_config {
    struct certificate *certificate; /**< sent with its whole chain; NULL: a client has none */
    const char *srtp_profiles; /**< names of OpenSSL, best first, colons between; NULL: none */
    /**
     * A server asks its clients for no certificate; a client takes any (tests, measuring).
     * Otherwise dtls_handshake_ops.certificate_matches decides.
     */
    bool any_peer;
};

/** `error` may be NULL. Returns 0 or -EINVAL. */
must_check int dtls_context_make(const struct dtls_context_config *config,
                                 struct text_builder *error, struct dtls_context **ret_context);
/** A context of WebRTC: both sides have certificates, and SRTP keys come out. */
must_check int dtls_context_new_with(struct certificate *certificate, const char *srtp_profiles,
                                     struct text_builder *error, struct dtls_context **ret_context);
struct dtls_context *dtls_context_ref(struct dtls_context *context);
/** Accepts NULL; always returns NULL. */
struct dtls_context *dtls_context_unref(struct dtls_context *context);

struct dtls_handshake;

enum dtls_handshake_state {
    DTLS_HANDSHAKE_RUNNING,
    DTLS_HANDSHAKE_DONE,
    DTLS_HANDSHAKE_FAILED,
};

struct dtls_handshake_ops {
    /** One datagram of the flight being written. */
    void (*send)(void *owner, struct bytes datagram);
    /**
     * Whether the peer's certificate (DER) is the one that was promised. Called once, before the
     * handshake goes on.
     */
    bool (*certificate_matches)(void *owner, struct bytes certificate_der);
};

/** `mtu`: largest datagram to send. Never NULL. */
struct dtls_handshake *dtls_handshake_new(struct dtls_context *context, bool client, uint16_t mtu,
                                          const struct dtls_handshake_ops *ops, void *owner);
void dtls_handshake_free(struct dtls_handshake *handshake);
/**
 * Server, before anything else: the first datagram will be one ClientHello of message_seq 1 with a
 * cookie that the caller has found right (RFC 6347, 4.2.1).
 */
void dtls_handshake_skip_cookie(struct dtls_handshake *handshake);
/** Client: writes the ClientHello. Server: does nothing. */
enum dtls_handshake_state dtls_handshake_start(struct dtls_handshake *handshake);
/** Takes one datagram of whole records and goes on; ops->send may be called before it returns. */
enum dtls_handshake_state dtls_handshake_input(struct dtls_handshake *handshake,
                                               struct bytes datagram);
/** Why it failed, as a sentence. */
const char *dtls_handshake_error(const struct dtls_handshake *handshake);

/** After DONE: the SRTP protection profile agreed on (RFC 5764, 4.1.2), 0 when none. */
uint16_t dtls_handshake_srtp_profile(const struct dtls_handshake *handshake);
/** After DONE: keying material (RFC 5705) without context. Returns 0 or -EPROTO. */
must_check int dtls_handshake_export(const struct dtls_handshake *handshake, const char *label,
                                     uint8_t *out, size_t size);

/** The keys of epoch 1 (RFC 5246, 6.3; RFC 5288): enough to go on without OpenSSL. Secret. */
struct dtls_record_keys {
    size_t key_size; /**< 16 or 32 */
    uint8_t client_key[32];
    uint8_t server_key[32];
    uint8_t client_salt[4];
    uint8_t server_salt[4];
};

/** After DONE. Returns 0 or -EPROTO. */
must_check int dtls_handshake_record_keys(const struct dtls_handshake *handshake,
                                          struct dtls_record_keys *ret_keys);
