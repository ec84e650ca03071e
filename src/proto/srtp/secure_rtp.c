#include <errno.h>
#include <string.h>

#include "proto/srtp/secure_rtp_int.h"

/**
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+ <+ authenticated
 *  |V=2|P|X|  CC   |M|     PT      |       sequence number         |  |
 *  |                           timestamp                           |  |
 *  |                             SSRC                              |  |
 *  |                  CSRCs (CC), extension (X)                    |  |
 *  +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+  |
 *  |          payload and padding, encrypted                       |  |
 *  +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+ <+
 *  |    tag: 10 octets of HMAC-SHA1, or 16 of AES-GCM              |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
static size_t header_size(struct bytes packet)
{
    if (packet.size < RTP_HEADER_SIZE || packet.data[0] >> 6 != 2)
        return 0;
    size_t size = RTP_HEADER_SIZE + 4u * (packet.data[0] & 15u);
    if (packet.data[0] & 0x10) {
        if (packet.size < size + 4)
            return 0;
        size += 4 + 4u * load_u16(packet.data + size + 2);
    }
    return size <= packet.size ? size : 0;
}

/** HMAC-SHA1 over the packet and its rollover counter (RFC 3711, 4.2). */
static void sha1_tag(const struct secure_rtp_cipher *cipher, struct bytes packet, uint64_t index,
                     uint8_t out[HMAC_SHA1_SIZE])
{
    uint8_t rollover[4];
    store_u32(rollover, (uint32_t)(index >> 16));
    struct hmac hmac;
    hmac_begin(&hmac, &cipher->authentication);
    hmac_add(&hmac, packet);
    hmac_add(&hmac, bytes_of(rollover, sizeof(rollover)));
    hmac_end(&hmac, out);
}

// Sending.

void secure_rtp_sender_init(struct secure_rtp_sender *sender)
{
    *sender = (struct secure_rtp_sender){ 0 };
}

/** Finds the index for `sequence` and takes it: each is used once. */
static int sender_take(struct secure_rtp_session *session, struct secure_rtp_sender *sender,
                       uint16_t sequence, uint64_t *ret_index)
{
    uint64_t index;
    if (!secure_rtp_index(&sender->window, sequence, &index))
        return secure_rtp_drop(session, SECURE_RTP_REFUSED_REPEATED, -ESTALE);
    int result =
        replay_window_check(&sender->window, sender->sent, array_size(sender->sent), index);
    if (unlikely(result < 0))
        return secure_rtp_drop(session, SECURE_RTP_REFUSED_REPEATED, result);
    if (unlikely(index > RTP_INDEX_MAX))
        return secure_rtp_drop(session, SECURE_RTP_REFUSED_EXPIRED, -EKEYEXPIRED);
    replay_window_add(&sender->window, sender->sent, array_size(sender->sent), index);
    *ret_index = index;
    return 0;
}

ssize_t secure_rtp_protect(struct secure_rtp_session *session, struct secure_rtp_sender *sender,
                           struct bytes header, struct bytes payload, uint8_t *out, size_t capacity)
{
    if (unlikely(header.size < RTP_HEADER_SIZE || header.data[0] >> 6 != 2))
        return -EINVAL;
    size_t plain_size = header.size + payload.size;
    if (unlikely(plain_size < header.size || capacity < plain_size ||
                 capacity - plain_size < session->shape->tag_size))
        return -ENOBUFS;
    uint64_t index;
    int result = sender_take(session, sender, load_u16(header.data + 2), &index);
    if (unlikely(result < 0))
        return result;
    uint32_t ssrc = load_u32(header.data + 8);
    if (out != header.data)
        memcpy(out, header.data, header.size);
    const struct secure_rtp_cipher *rtp = secure_rtp_keys_use(session, &session->rtp);
    if (session->shape->aead) {
        uint8_t iv[AEAD_IV_SIZE];
        secure_rtp_aead_iv(rtp->salt, ssrc, index, iv);
        aead_seal(rtp->aead, iv, bytes_of(out, header.size), payload, out + header.size);
    } else {
        uint8_t iv[AES_BLOCK_SIZE_BYTES], tag[HMAC_SHA1_SIZE];
        secure_rtp_counter_iv(rtp->salt, ssrc, index, iv);
        aes_counter_crypt(rtp->counter, iv, payload, out + header.size);
        sha1_tag(rtp, bytes_of(out, plain_size), index, tag);
        memcpy(out + plain_size, tag, SHA1_TAG_SIZE);
    }
    return (ssize_t)(plain_size + session->shape->tag_size);
}

// Receiving.

static int open_payload(struct secure_rtp_session *session, struct bytes packet, size_t header,
                        uint64_t index, uint8_t *out)
{
    uint32_t ssrc = load_u32(packet.data + 8);
    struct bytes body = bytes_of(packet.data + header, packet.size - header);
    const struct secure_rtp_cipher *rtp = secure_rtp_keys_use(session, &session->rtp);
    if (session->shape->aead) {
        uint8_t iv[AEAD_IV_SIZE];
        secure_rtp_aead_iv(rtp->salt, ssrc, index, iv);
        return aead_open(rtp->aead, iv, bytes_of(packet.data, header), body, out + header);
    }
    uint8_t iv[AES_BLOCK_SIZE_BYTES], tag[HMAC_SHA1_SIZE];
    struct bytes signed_part = bytes_of(packet.data, packet.size - SHA1_TAG_SIZE);
    sha1_tag(rtp, signed_part, index, tag);
    if (!bytes_equal_constant_time(bytes_of(tag, SHA1_TAG_SIZE),
                                   bytes_of(packet.data + signed_part.size, SHA1_TAG_SIZE)))
        return -EBADMSG;
    secure_rtp_counter_iv(rtp->salt, ssrc, index, iv);
    aes_counter_crypt(rtp->counter, iv, bytes_of(body.data, body.size - SHA1_TAG_SIZE),
                      out + header);
    return 0;
}

/** The packet's index, when it is neither replayed nor too old nor of one SSRC too many. */
static int estimate(struct secure_rtp_session *session, const struct secure_rtp_stream *stream,
                    uint16_t sequence, uint64_t *ret_index)
{
    if (!stream) {
        *ret_index = sequence;
        return session->stream_count < session->stream_limit
                   ? 0
                   : secure_rtp_drop(session, SECURE_RTP_DROP_TOO_MANY_STREAMS, -ENOSPC);
    }
    uint64_t index;
    if (!secure_rtp_index(&stream->rtp, sequence, &index))
        return secure_rtp_drop_old(session, -ESTALE);
    int result = replay_window_check(&stream->rtp, stream->rtp_seen, RTP_WINDOW_WORDS, index);
    if (result < 0)
        return secure_rtp_drop_old(session, result);
    *ret_index = index;
    return 0;
}

ssize_t secure_rtp_unprotect(struct secure_rtp_session *session, struct bytes packet, uint8_t *out,
                             size_t capacity, uint64_t *ret_index)
{
    size_t header = header_size(packet);
    if (unlikely(header == 0 || packet.size - header < session->shape->tag_size))
        return secure_rtp_drop(session, SECURE_RTP_DROP_MALFORMED, -EINVAL);
    size_t plain_size = packet.size - session->shape->tag_size;
    if (unlikely(capacity < plain_size))
        return secure_rtp_drop(session, SECURE_RTP_DROP_TOO_LONG, -ENOBUFS);
    uint32_t ssrc = load_u32(packet.data + 8);
    struct secure_rtp_stream *stream = secure_rtp_stream_find(session, ssrc);
    uint64_t index;
    int result = estimate(session, stream, load_u16(packet.data + 2), &index);
    if (result < 0)
        return result;
    if (open_payload(session, packet, header, index, out) < 0)
        return secure_rtp_drop(session, SECURE_RTP_DROP_UNAUTHENTIC, -EBADMSG);
    if (out != packet.data)
        memcpy(out, packet.data, header);
    if (!stream)
        stream = secure_rtp_stream_get(session, ssrc);
    replay_window_add(&stream->rtp, stream->rtp_seen, RTP_WINDOW_WORDS, index);
    if (ret_index)
        *ret_index = index;
    return (ssize_t)plain_size;
}

// Looking on.

ssize_t secure_rtp_reveal(struct secure_rtp_session *session,
                          const struct secure_rtp_sender *sender, struct bytes packet, uint8_t *out,
                          size_t capacity)
{
    size_t header = header_size(packet);
    if (header == 0 || packet.size - header < session->shape->tag_size)
        return -EINVAL;
    size_t plain_size = packet.size - session->shape->tag_size;
    if (capacity < plain_size)
        return -ENOBUFS;
    static const struct replay_window nothing;
    const struct replay_window *window = sender ? &sender->window : &nothing;
    const struct secure_rtp_stream *stream =
        sender ? NULL : secure_rtp_stream_find(session, load_u32(packet.data + 8));
    uint64_t index;
    if (!secure_rtp_index(stream ? &stream->rtp : window, load_u16(packet.data + 2), &index))
        return -ESTALE;
    if (open_payload(session, packet, header, index, out) < 0)
        return -EBADMSG;
    memcpy(out, packet.data, header);
    return (ssize_t)plain_size;
}
