#include <errno.h>
#include <string.h>

#include "proto/srtp/secure_rtp_int.h"

/**
 *  SRTCP (RFC 3711, 3.4)                     with AEAD (RFC 7714, 9)
 *
 *  +---------------------------------+       +---------------------------------+
 *  | first 4 octets, SSRC of sender  |       | first 4 octets, SSRC of sender  |
 *  +---------------------------------+       +---------------------------------+
 *  | the rest, encrypted             |       | the rest, encrypted             |
 *  +---------------------------------+       +---------------------------------+
 *  | E |  31-bit index               |       | tag (16 octets)                 |
 *  +---------------------------------+       +---------------------------------+
 *  | tag (10 octets, over all above) |       | E |  31-bit index               |
 *  +---------------------------------+       +---------------------------------+
 */
#define ENCRYPTED_FLAG 0x80000000u
#define INDEX_SIZE     4

/** What AES-GCM authenticates beside the ciphertext: the clear header and the last word. */
static void additional_data(const uint8_t *packet, uint32_t word,
                            uint8_t out[RTCP_HEADER_SIZE + INDEX_SIZE])
{
    memcpy(out, packet, RTCP_HEADER_SIZE);
    store_u32(out + RTCP_HEADER_SIZE, word);
}

static void sha1_tag(const struct secure_rtp_cipher *cipher, struct bytes packet_and_index,
                     uint8_t out[HMAC_SHA1_SIZE])
{
    struct hmac hmac;
    hmac_begin(&hmac, &cipher->authentication);
    hmac_add(&hmac, packet_and_index);
    hmac_end(&hmac, out);
}

ssize_t secure_rtcp_protect(struct secure_rtp_session *session, struct bytes plain, uint8_t *out,
                            size_t capacity)
{
    if (plain.size < RTCP_HEADER_SIZE || plain.data[0] >> 6 != 2)
        return -EINVAL;
    size_t added = session->shape->tag_size + INDEX_SIZE;
    if (capacity < plain.size || capacity - plain.size < added)
        return -ENOBUFS;
    if (session->rtcp_next > RTCP_INDEX_MAX)
        return secure_rtp_drop(session, SECURE_RTP_REFUSED_EXPIRED, -EKEYEXPIRED);
    const struct secure_rtp_cipher *rtcp = secure_rtp_keys_use(session, &session->rtcp);
    uint32_t index = session->rtcp_next++;
    uint32_t ssrc = load_u32(plain.data + 4);
    struct bytes body = bytes_of(plain.data + RTCP_HEADER_SIZE, plain.size - RTCP_HEADER_SIZE);
    if (out != plain.data)
        memcpy(out, plain.data, RTCP_HEADER_SIZE);
    if (session->shape->aead) {
        uint8_t iv[AEAD_IV_SIZE], additional[RTCP_HEADER_SIZE + INDEX_SIZE];
        secure_rtp_aead_iv(rtcp->salt, ssrc, index, iv);
        additional_data(out, ENCRYPTED_FLAG | index, additional);
        aead_seal(rtcp->aead, iv, bytes_of(additional, sizeof(additional)), body,
                  out + RTCP_HEADER_SIZE);
        store_u32(out + plain.size + AEAD_TAG_SIZE, ENCRYPTED_FLAG | index);
    } else {
        uint8_t iv[AES_BLOCK_SIZE_BYTES], tag[HMAC_SHA1_SIZE];
        secure_rtp_counter_iv(rtcp->salt, ssrc, index, iv);
        aes_counter_crypt(rtcp->counter, iv, body, out + RTCP_HEADER_SIZE);
        store_u32(out + plain.size, ENCRYPTED_FLAG | index);
        sha1_tag(rtcp, bytes_of(out, plain.size + INDEX_SIZE), tag);
        memcpy(out + plain.size + INDEX_SIZE, tag, SHA1_TAG_SIZE);
    }
    return (ssize_t)(plain.size + added);
}

static int open_body(struct secure_rtp_session *session, struct bytes packet, uint32_t word,
                     size_t plain_size, uint8_t *out)
{
    const struct secure_rtp_cipher *rtcp = secure_rtp_keys_use(session, &session->rtcp);
    uint32_t ssrc = load_u32(packet.data + 4);
    uint32_t index = word & RTCP_INDEX_MAX;
    const uint8_t *body = packet.data + RTCP_HEADER_SIZE;
    size_t body_size = plain_size - RTCP_HEADER_SIZE;
    if (session->shape->aead) {
        uint8_t iv[AEAD_IV_SIZE], additional[RTCP_HEADER_SIZE + INDEX_SIZE];
        secure_rtp_aead_iv(rtcp->salt, ssrc, index, iv);
        additional_data(packet.data, word, additional);
        return aead_open(rtcp->aead, iv, bytes_of(additional, sizeof(additional)),
                         bytes_of(body, body_size + AEAD_TAG_SIZE), out + RTCP_HEADER_SIZE);
    }
    uint8_t iv[AES_BLOCK_SIZE_BYTES], tag[HMAC_SHA1_SIZE];
    size_t signed_size = plain_size + INDEX_SIZE;
    sha1_tag(rtcp, bytes_of(packet.data, signed_size), tag);
    if (!bytes_equal_constant_time(bytes_of(tag, SHA1_TAG_SIZE),
                                   bytes_of(packet.data + signed_size, SHA1_TAG_SIZE)))
        return -EBADMSG;
    secure_rtp_counter_iv(rtcp->salt, ssrc, index, iv);
    aes_counter_crypt(rtcp->counter, iv, bytes_of(body, body_size), out + RTCP_HEADER_SIZE);
    return 0;
}

static int check_replay(struct secure_rtp_session *session, const struct secure_rtp_stream *stream,
                        uint32_t index)
{
    if (!stream)
        return session->stream_count < session->stream_limit
                   ? 0
                   : secure_rtp_drop(session, SECURE_RTP_DROP_TOO_MANY_STREAMS, -ENOSPC);
    int result = replay_window_check(&stream->rtcp, stream->rtcp_seen, RTCP_WINDOW_WORDS, index);
    return result < 0 ? secure_rtp_drop_old(session, result) : 0;
}

ssize_t secure_rtcp_unprotect(struct secure_rtp_session *session, struct bytes packet, uint8_t *out,
                              size_t capacity)
{
    size_t added = session->shape->tag_size + INDEX_SIZE;
    if (packet.size < RTCP_HEADER_SIZE + added || packet.data[0] >> 6 != 2)
        return secure_rtp_drop(session, SECURE_RTP_DROP_MALFORMED, -EINVAL);
    size_t plain_size = packet.size - added;
    if (capacity < plain_size)
        return secure_rtp_drop(session, SECURE_RTP_DROP_TOO_LONG, -ENOBUFS);
    uint32_t word =
        load_u32(packet.data + (session->shape->aead ? packet.size - INDEX_SIZE : plain_size));
    // only a=crypto's UNENCRYPTED_SRTCP could agree on this; DTLS-SRTP cannot
    if (!(word & ENCRYPTED_FLAG))
        return secure_rtp_drop(session, SECURE_RTP_DROP_UNENCRYPTED, -EINVAL);
    uint32_t ssrc = load_u32(packet.data + 4);
    struct secure_rtp_stream *stream = secure_rtp_stream_find(session, ssrc);
    int result = check_replay(session, stream, word & RTCP_INDEX_MAX);
    if (result < 0)
        return result;
    if (open_body(session, packet, word, plain_size, out) < 0)
        return secure_rtp_drop(session, SECURE_RTP_DROP_UNAUTHENTIC, -EBADMSG);
    if (out != packet.data)
        memcpy(out, packet.data, RTCP_HEADER_SIZE);
    if (!stream)
        stream = secure_rtp_stream_get(session, ssrc);
    replay_window_add(&stream->rtcp, stream->rtcp_seen, RTCP_WINDOW_WORDS, word & RTCP_INDEX_MAX);
    return (ssize_t)plain_size;
}

ssize_t secure_rtcp_reveal(struct secure_rtp_session *session, struct bytes packet, uint8_t *out,
                           size_t capacity)
{
    size_t added = session->shape->tag_size + INDEX_SIZE;
    if (packet.size < RTCP_HEADER_SIZE + added || packet.data[0] >> 6 != 2)
        return -EINVAL;
    size_t plain_size = packet.size - added;
    if (capacity < plain_size)
        return -ENOBUFS;
    uint32_t word =
        load_u32(packet.data + (session->shape->aead ? packet.size - INDEX_SIZE : plain_size));
    if (!(word & ENCRYPTED_FLAG))
        return -EINVAL;
    if (open_body(session, packet, word, plain_size, out) < 0)
        return -EBADMSG;
    memcpy(out, packet.data, RTCP_HEADER_SIZE);
    return (ssize_t)plain_size;
}
