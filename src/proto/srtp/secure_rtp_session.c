#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/srtp/secure_rtp_int.h"

const struct metric_description secure_rtp_metric_descriptions[SECURE_RTP_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
#include "proto/srtp/secure_rtp_metrics.def"
#undef METRIC
};

const struct secure_rtp_shape *secure_rtp_shape_of(uint16_t profile)
{
    static const struct secure_rtp_shape shapes[] = {
        { SECURE_RTP_AEAD_AES_128_GCM, 16, 12, AEAD_TAG_SIZE, true },
        { SECURE_RTP_AEAD_AES_256_GCM, 32, 12, AEAD_TAG_SIZE, true },
        { SECURE_RTP_AES_CM_128_HMAC_SHA1_80, 16, 14, SHA1_TAG_SIZE, false },
    };
    for (size_t i = 0; i < array_size(shapes); i++)
        if (shapes[i].profile == profile)
            return &shapes[i];
    return NULL;
}

size_t secure_rtp_key_size(uint16_t profile)
{
    const struct secure_rtp_shape *shape = secure_rtp_shape_of(profile);
    return shape ? shape->key_size : 0;
}

size_t secure_rtp_salt_size(uint16_t profile)
{
    const struct secure_rtp_shape *shape = secure_rtp_shape_of(profile);
    return shape ? shape->salt_size : 0;
}

size_t secure_rtp_overhead(uint16_t profile)
{
    const struct secure_rtp_shape *shape = secure_rtp_shape_of(profile);
    return shape ? shape->tag_size : 0;
}

/**
 * The key derivation function (RFC 3711, 4.3.3) without re-derivation (rate 0): the key stream that
 * starts at  (label * 2^48  XOR  master salt) * 2^16.  RFC 7714, 11: a 12-octet salt is followed by
 * zeros.
 */
static void derive_one(struct aes_counter *master, struct bytes master_salt, uint8_t label,
                       uint8_t *out, size_t size)
{
    static const uint8_t zeros[SECURE_RTP_KEY_SIZE_MAX];
    uint8_t iv[AES_BLOCK_SIZE_BYTES] = { 0 };
    memcpy(iv, master_salt.data, master_salt.size);
    iv[7] ^= label;
    aes_counter_crypt(master, iv, bytes_of(zeros, size), out);
}

void secure_rtp_derive(const struct secure_rtp_shape *shape, struct bytes master_key,
                       struct bytes master_salt, bool rtcp, struct secure_rtp_derived *derived)
{
    uint8_t label = rtcp ? 3 : 0;
    struct aes_counter *master = aes_counter_new(master_key);
    derive_one(master, master_salt, label, derived->encryption, shape->key_size);
    derive_one(master, master_salt, label + 1, derived->authentication, SHA1_KEY_SIZE);
    derive_one(master, master_salt, label + 2, derived->salt, shape->salt_size);
    aes_counter_free(master);
}

void secure_rtp_cipher_init(struct secure_rtp_cipher *cipher, const struct secure_rtp_shape *shape,
                            const struct secure_rtp_derived *derived,
                            const struct cipher_provider *provider)
{
    *cipher = (struct secure_rtp_cipher){ 0 };
    memcpy(cipher->salt, derived->salt, shape->salt_size);
    struct bytes key = bytes_of(derived->encryption, shape->key_size);
    if (shape->aead) {
        cipher->aead = aead_new(provider, key);
    } else {
        cipher->counter = aes_counter_new(key);
        hmac_key_init(&cipher->authentication, HASH_SHA1,
                      bytes_of(derived->authentication, SHA1_KEY_SIZE));
    }
}

void secure_rtp_cipher_done(struct secure_rtp_cipher *cipher)
{
    aead_free(cipher->aead);
    aes_counter_free(cipher->counter);
    memory_wipe(cipher, sizeof(*cipher));
}

int secure_rtp_session_new(const struct secure_rtp_config *config,
                           struct secure_rtp_session **ret_session)
{
    const struct secure_rtp_shape *shape = secure_rtp_shape_of(config->profile);
    if (!shape || config->master_key.size != shape->key_size ||
        config->master_salt.size != shape->salt_size)
        return -EINVAL;
    struct secure_rtp_session *session = memory_new(struct secure_rtp_session);
    session->shape = shape;
    session->metrics = config->metrics;
    session->stream_limit = config->stream_limit ? config->stream_limit : STREAMS_DEFAULT;
    session->provider = config->provider;
    struct secure_rtp_keys *const both[] = { &session->rtp, &session->rtcp };
    for (size_t i = 0; i < array_size(both); i++) {
        both[i]->derived = memory_new(struct secure_rtp_derived);
        secure_rtp_derive(shape, config->master_key, config->master_salt, i == 1, both[i]->derived);
    }
    *ret_session = session;
    return 0;
}

static void forget_derived(struct secure_rtp_keys *keys)
{
    if (!keys->derived)
        return;
    memory_wipe(keys->derived, sizeof(*keys->derived));
    free(keys->derived);
    keys->derived = NULL;
}

void secure_rtp_keys_make(const struct secure_rtp_session *session, struct secure_rtp_keys *keys)
{
    secure_rtp_cipher_init(&keys->cipher, session->shape, keys->derived, session->provider);
    forget_derived(keys);
}

static void keys_done(struct secure_rtp_keys *keys)
{
    forget_derived(keys);
    secure_rtp_cipher_done(&keys->cipher);
}

void secure_rtp_session_prefetch(const struct secure_rtp_session *session, bool keys)
{
    if (!keys)
        memory_prefetch(session, offsetof(struct secure_rtp_session, rtcp));
    else if (session->rtp.cipher.aead)
        aead_prefetch(session->rtp.cipher.aead);
}

struct secure_rtp_session *secure_rtp_session_free(struct secure_rtp_session *session)
{
    if (!session)
        return NULL;
    keys_done(&session->rtp);
    keys_done(&session->rtcp);
    for (uint32_t i = 0; i < session->stream_count; i++)
        free(session->streams[i]);
    free(session->streams);
    free(session->ssrcs);
    free(session);
    return NULL;
}
