/**
 * Secure RTP and RTCP (RFC 3711; AEAD profiles of RFC 7714), shaped for fan-out: packets are
 * encrypted from wherever the plaintext is into the datagram that will be sent, in one pass.
 *
 * A `secure_rtp_session` holds one direction's keys. A `secure_rtp_sender` holds the packet index
 * of one outgoing SSRC; the caller keeps it beside its stream, so sending looks nothing up. Of
 * incoming SSRCs the session keeps a bounded table itself; only authentic packets enter it.
 * Names do not begin with srtp_: that prefix is libsrtp's.
 */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/metric.h"
#include "base/replay_window.h"
#include "crypto/cipher.h"

/** Code points of RFC 5764, 4.1.2 and RFC 7714, 14.2. */
enum secure_rtp_profile {
    SECURE_RTP_AES_CM_128_HMAC_SHA1_80 = 0x0001,
    SECURE_RTP_AEAD_AES_128_GCM = 0x0007,
    SECURE_RTP_AEAD_AES_256_GCM = 0x0008,
};

#define SECURE_RTP_KEY_SIZE_MAX  32
#define SECURE_RTP_SALT_SIZE_MAX 14
/** What protection adds to a packet at most: room to leave in output buffers. */
#define SECURE_RTP_OVERHEAD_MAX  16
#define SECURE_RTCP_OVERHEAD_MAX 20
/** Packets behind the newest one that are still accepted, at least. */
#define SECURE_RTP_WINDOW 960

/** Drop reasons and other counts of a thread's sessions. */
enum secure_rtp_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "proto/srtp/secure_rtp_metrics.def"
#undef METRIC
    SECURE_RTP_METRIC_COUNT,
};
extern const struct metric_description secure_rtp_metric_descriptions[SECURE_RTP_METRIC_COUNT];

/** Sizes of master key and salt; 0 for an unknown profile. */
size_t secure_rtp_key_size(uint16_t profile);
size_t secure_rtp_salt_size(uint16_t profile);
/** Bytes a protected RTP packet is longer than the plain one: 10 or 16. */
size_t secure_rtp_overhead(uint16_t profile);

struct secure_rtp_config {
    uint16_t profile; /**< enum secure_rtp_profile */
    struct bytes master_key;
    struct bytes master_salt;
    const struct cipher_provider *provider; /**< may be NULL: OpenSSL; must outlive the session */
    /** Incoming SSRCs remembered at most; 0: 256. Unused for sending. */
    uint32_t stream_limit;
    metric_value *metrics; /**< SECURE_RTP_METRIC_COUNT values of this thread; may be NULL */
};

/** One direction: protect or unprotect, not both. Belongs to one thread. */
struct secure_rtp_session;

/** Derives the session keys (RFC 3711, 4.3). Returns 0, or -EINVAL: profile or sizes are wrong. */
must_check int secure_rtp_session_new(const struct secure_rtp_config *config,
                                      struct secure_rtp_session **ret_session);
/** Wipes the keys. Accepts NULL; always returns NULL. */
struct secure_rtp_session *secure_rtp_session_free(struct secure_rtp_session *session);

/**
 * Brings what secure_rtp_protect reads into the processor's cache: first the session, and with
 * `keys`, when it is there, its keys.
 */
void secure_rtp_session_prefetch(const struct secure_rtp_session *session, bool keys);

/**
 * Packet indices of one outgoing SSRC. Zeroed memory (or secure_rtp_sender_init) is the start. The
 * first sequence number should be below 2^15, so that a receiver that misses the first packets
 * cannot mistake the rollover counter (RFC 3711, 3.3.1).
 */
struct secure_rtp_sender {
    struct replay_window window; /**< its newest: rollover counter and sequence number */
    uint64_t sent[4];
};

void secure_rtp_sender_init(struct secure_rtp_sender *sender);

/**
 * Protects one RTP packet: `header` is the whole header as it shall be sent (fixed part, CSRCs,
 * extensions), `payload` what follows it (with its padding). `out` gets header, encrypted payload
 * and tag; it may not overlap `payload` unless it is the packet in place (payload.data == out +
 * header.size, header.data == out). Needs secure_rtp_overhead more room than the plain packet.
 *
 * Returns the size written; -EINVAL (no RTP header), -ENOBUFS (`capacity`), -EALREADY (this index
 * was protected before: doing it twice would give away AES-GCM's authentication key; repair losses
 * with RTX), -ESTALE (more than 191 behind the newest), -EKEYEXPIRED (2^48 packets).
 */
must_check ssize_t secure_rtp_protect(struct secure_rtp_session *session,
                                      struct secure_rtp_sender *sender, struct bytes header,
                                      struct bytes payload, uint8_t *out, size_t capacity);

/**
 * Checks and decrypts one RTP packet to `out` (may be packet.data). On success returns the size of
 * the plain packet and, when `ret_index` is not NULL, its 48-bit index (rollover counter and
 * sequence number: an unwrapped sequence number for free).
 *
 * Header extensions and CSRCs are not encrypted, so the header may be looked at before.
 *
 * Errors: -EINVAL malformed, -EBADMSG not authentic, -EALREADY replayed, -ESTALE too old to tell,
 * -ENOSPC too many SSRCs, -ENOBUFS `capacity` is too small. All are counted.
 */
must_check ssize_t secure_rtp_unprotect(struct secure_rtp_session *session, struct bytes packet,
                                        uint8_t *out, size_t capacity, uint64_t *ret_index);

/**
 * Protects one compound RTCP packet of `plain.size` bytes; `out` (may be plain.data) gets
 * SECURE_RTCP_OVERHEAD_MAX bytes more at most. Returns the size written, -EINVAL (shorter than 8
 * bytes), -ENOBUFS or -EKEYEXPIRED (2^31 packets).
 */
must_check ssize_t secure_rtcp_protect(struct secure_rtp_session *session, struct bytes plain,
                                       uint8_t *out, size_t capacity);
/** Checks and decrypts one compound RTCP packet; errors as secure_rtp_unprotect. */
must_check ssize_t secure_rtcp_unprotect(struct secure_rtp_session *session, struct bytes packet,
                                         uint8_t *out, size_t capacity);

/**
 * Decrypts one packet without noticing it: for captures. Of an incoming session it is a packet that
 * will be given to unprotect; of an outgoing one it is what protect has just written, with the
 * `sender` of its SSRC (else NULL). Nothing is counted, no window moves. Returns the size of the
 * plain packet, -EINVAL (malformed), -ESTALE, -EBADMSG (not authentic) or -ENOBUFS.
 */
must_check ssize_t secure_rtp_reveal(struct secure_rtp_session *session,
                                     const struct secure_rtp_sender *sender, struct bytes packet,
                                     uint8_t *out, size_t capacity);
/** The same of RTCP. */
must_check ssize_t secure_rtcp_reveal(struct secure_rtp_session *session, struct bytes packet,
                                      uint8_t *out, size_t capacity);

/** Forgets an incoming SSRC that will not come again (the publisher stopped the track). */
void secure_rtp_forget(struct secure_rtp_session *session, uint32_t ssrc);
/** Incoming SSRCs in the table. */
uint32_t secure_rtp_stream_count(const struct secure_rtp_session *session);
