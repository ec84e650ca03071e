/** The inside of SRTP sessions, private to this folder. */
#pragma once

#include "base/replay_window.h"
#include "crypto/aead.h"
#include "crypto/aes.h"
#include "crypto/hmac.h"
#include "proto/srtp/secure_rtp.h"

#define RTP_HEADER_SIZE   12
#define RTCP_HEADER_SIZE  8 // packet header and SSRC of the sender: never encrypted
#define SHA1_TAG_SIZE     10
#define SHA1_KEY_SIZE     20
#define STREAMS_DEFAULT   256
#define RTP_WINDOW_WORDS  16
#define RTCP_WINDOW_WORDS 2
#define RTCP_INDEX_MAX    0x7fffffffu
#define RTP_INDEX_MAX     0xffffffffffffull

/** What distinguishes the profiles. */
struct secure_rtp_shape {
    uint16_t profile;
    uint8_t key_size;
    uint8_t salt_size;
    uint8_t tag_size;
    bool aead;
};

/** NULL for a profile that we do not speak. */
const struct secure_rtp_shape *secure_rtp_shape_of(uint16_t profile);

/** Session keys of either RTP or RTCP (RFC 3711, 4.3.1). */
struct secure_rtp_derived {
    uint8_t encryption[SECURE_RTP_KEY_SIZE_MAX];
    uint8_t authentication[SHA1_KEY_SIZE];
    uint8_t salt[SECURE_RTP_SALT_SIZE_MAX];
};

/** `rtcp` selects the labels 3, 4, 5 instead of 0, 1, 2. */
void secure_rtp_derive(const struct secure_rtp_shape *shape, struct bytes master_key,
                       struct bytes master_salt, bool rtcp, struct secure_rtp_derived *derived);

/** Ready-to-use keys of RTP or RTCP. */
struct secure_rtp_cipher {
    struct aead *aead;           // AEAD profiles
    struct aes_counter *counter; // AES-CM
    struct hmac_key authentication;
    uint8_t salt[16]; // with zeros behind
};

void secure_rtp_cipher_init(struct secure_rtp_cipher *cipher, const struct secure_rtp_shape *shape,
                            const struct secure_rtp_derived *derived,
                            const struct cipher_provider *provider);
void secure_rtp_cipher_done(struct secure_rtp_cipher *cipher);

/**
 * Keys of one protocol. Until the first packet asks for the cipher there is only what it is made
 * from: most subscribers never send RTP, those who wait exchange no RTCP, and a cipher takes a
 * kilobyte and more.
 */
struct secure_rtp_keys {
    struct secure_rtp_derived *derived; /**< NULL once the cipher is there */
    struct secure_rtp_cipher cipher;
};

/** One incoming SSRC. */
struct secure_rtp_stream {
    struct replay_window rtp;
    struct replay_window rtcp;
    uint64_t rtp_seen[RTP_WINDOW_WORDS];
    uint64_t rtcp_seen[RTCP_WINDOW_WORDS];
};

struct secure_rtp_session {
    const struct secure_rtp_shape *shape;
    const struct cipher_provider *provider;
    struct secure_rtp_keys rtp;
    struct secure_rtp_keys rtcp;
    metric_value *metrics;
    uint32_t rtcp_next; // index of the next RTCP packet that we send
    // incoming SSRCs: packets of one stream come in bursts, so the last one is looked at first
    uint32_t stream_limit;
    uint32_t stream_count;
    uint32_t stream_capacity;
    uint32_t stream_last;
    uint32_t *ssrcs;
    struct secure_rtp_stream **streams;
};

/** Makes the cipher for the first packet. */
void secure_rtp_keys_make(const struct secure_rtp_session *session, struct secure_rtp_keys *keys);

/** The keys of RTP or RTCP, ready to use. */
static inline struct secure_rtp_cipher *
secure_rtp_keys_use(const struct secure_rtp_session *session, struct secure_rtp_keys *keys)
{
    if (unlikely(keys->derived != NULL))
        secure_rtp_keys_make(session, keys);
    return &keys->cipher;
}

/** NULL when no authentic packet of this SSRC has come. */
struct secure_rtp_stream *secure_rtp_stream_find(struct secure_rtp_session *session, uint32_t ssrc);
/** The stream of an authentic packet, new if need be; the caller has checked the limit. */
struct secure_rtp_stream *secure_rtp_stream_get(struct secure_rtp_session *session, uint32_t ssrc);

/** Counts a drop and returns `error`. */
static inline int secure_rtp_drop(struct secure_rtp_session *session, enum secure_rtp_metric why,
                                  int error)
{
    if (session->metrics)
        metric_add(&session->metrics[why], 1);
    return error;
}

/** Counts what replay_window_check refused. */
static inline int secure_rtp_drop_old(struct secure_rtp_session *session, int error)
{
    return secure_rtp_drop(
        session, error == -EALREADY ? SECURE_RTP_DROP_REPLAYED : SECURE_RTP_DROP_STALE, error);
}

/**
 * The index of sequence number `sequence` that is nearest to `newest` (RFC 3711, appendix A).
 * Returns false when that would lie before the stream's beginning.
 */
static inline bool secure_rtp_index(const struct replay_window *window, uint16_t sequence,
                                    uint64_t *ret_index)
{
    if (!window->started) {
        *ret_index = sequence;
        return true;
    }
    int16_t distance = (int16_t)(uint16_t)(sequence - (uint16_t)window->newest);
    if (distance < 0 && (uint64_t)-distance > window->newest)
        return false;
    *ret_index = window->newest + (uint64_t)(int64_t)distance;
    return true;
}

/**
 *  AES-CM (RFC 3711, 4.1.1):  salt * 2^16  XOR  SSRC * 2^64  XOR  index * 2^16
 *
 *   0       4       8              14     16
 *  | 0      | SSRC  | 48-bit index | 0     |
 *  | salt (14 octets)              | 0     |
 */
static inline void secure_rtp_counter_iv(const uint8_t salt[16], uint32_t ssrc, uint64_t index,
                                         uint8_t iv[AES_BLOCK_SIZE_BYTES])
{
    store_u32(iv, load_u32(salt));
    store_u32(iv + 4, load_u32(salt + 4) ^ ssrc);
    store_u64(iv + 8, load_u64(salt + 8) ^ index << 16);
}

/**
 *  AEAD (RFC 7714, 8.1 and 9.1): the index is rollover counter and sequence number of RTP, or the
 *  31-bit index of RTCP.
 *
 *   0    2       6              12
 *  | 0   | SSRC  | 48-bit index |
 *  | salt (12 octets)           |
 */
static inline void secure_rtp_aead_iv(const uint8_t salt[16], uint32_t ssrc, uint64_t index,
                                      uint8_t iv[AEAD_IV_SIZE])
{
    store_u64(iv, load_u64(salt) ^ ((uint64_t)ssrc << 16 | index >> 32));
    store_u32(iv + 8, load_u32(salt + 8) ^ (uint32_t)index);
}
