// What a peer's datagrams say, for captures that the operator allowed to show it.
#include <errno.h>

#include "proto/rtp/packet.h"
#include "rtc/peer_int.h"

static ssize_t reveal_sent(struct rtc_peer *peer, struct bytes datagram, uint8_t *out,
                           size_t capacity)
{
    if (!peer->sending || datagram.size < RTP_HEADER_SIZE)
        return -ENOENT;
    if (rtp_is_rtcp(datagram.data))
        return secure_rtcp_reveal(peer->sending, datagram, out, capacity);
    uint32_t ssrc = load_u32(datagram.data + 8);
    const struct rtc_sender *sender = peer_sender_by_ssrc(peer, ssrc);
    if (!sender)
        return -ENOENT;
    return secure_rtp_reveal(peer->sending,
                             ssrc == sender->ssrc ? &sender->index : &sender->rtx_index, datagram,
                             out, capacity);
}

static ssize_t reveal_received(struct rtc_peer *peer, struct bytes datagram, uint8_t *out,
                               size_t capacity)
{
    if (!peer->receiving || datagram.size < RTP_HEADER_SIZE)
        return -ENOENT;
    return rtp_is_rtcp(datagram.data)
               ? secure_rtcp_reveal(peer->receiving, datagram, out, capacity)
               : secure_rtp_reveal(peer->receiving, NULL, datagram, out, capacity);
}

ssize_t rtc_peer_reveal(struct rtc_peer *peer, bool sent, struct bytes datagram, uint8_t *out,
                        size_t capacity)
{
    // RFC 7983: RTP and RTCP
    if (datagram.size == 0 || datagram.data[0] < 128 || datagram.data[0] > 191)
        return -ENOENT;
    return sent ? reveal_sent(peer, datagram, out, capacity)
                : reveal_received(peer, datagram, out, capacity);
}
