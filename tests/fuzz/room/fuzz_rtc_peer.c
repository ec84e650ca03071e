// A connected peer and whatever an authenticated client can say: the input is a list of packets in
// the clear, each one is protected with the client's keys and given to the server's engine, whose
// events and media go through an exchange as on a worker.
//
//   | size (2) | kind (1) | size - 1 bytes |    kind: bit 0 RTCP, bits 1-7 time to pass before, ms
#include <stdlib.h>
#include <string.h>

#include "proto/srtp/secure_rtp.h"
#include "room/exchange.h"
#include "rtc/client.h"
#include "rtc/peer_int.h"
#include "support/answered.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SESSION    7
#define SUBSCRIBER 8

struct bed {
    struct random random;
    struct packet_pool pool;
    struct rtc_thread thread;
    struct exchange *exchange;
    struct datagram_batch batch;
    struct rtc_peer *peers[2]; /**< the client under test, and one that watches it */
    struct secure_rtp_session *client;
    struct net_path path;
    uint32_t told;
};

static bool to_worker(void *owner, uint16_t worker, const struct exchange_message *message)
{
    struct bed *bed = owner;
    (void)worker;
    bool packets = message->kind == EXCHANGE_BURST || message->kind == EXCHANGE_GOP;
    bed->told += !packets;
    if (packets)
        exchange_message_discard(message);
    return true;
}

static void to_control(void *owner, const struct media_event *event)
{
    (void)owner;
    (void)event;
}

static void wake(void *owner, handle session)
{
    (void)owner;
    (void)session;
}

static const struct exchange_ops ops = { to_worker, to_control, wake };

static const char offer_text[] =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2 3 4\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 "
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:"
    "FF\r\na=setup:actpass\r\na=rtcp-mux\r\n"
    "a=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    "a=sendonly\r\na=rtpmap:111 opus/48000/2\r\n"
    "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=ssrc:11 cname:x\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=mid:1\r\n"
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
    "a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n"
    "a=sendonly\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
    "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
    "a=rtpmap:98 H264/90000\r\na=fmtp:98 packetization-mode=1;profile-level-id=42e01f\r\n"
    "a=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n"
    "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=mid:2\r\n"
    "a=sendonly\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n"
    "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
    "a=ssrc-group:FID 22 23\r\na=ssrc:22 cname:x\r\na=ssrc:23 cname:x\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=mid:3\r\n"
    "a=recvonly\r\na=rtpmap:111 opus/48000/2\r\n"
    "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=mid:4\r\n"
    "a=recvonly\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n"
    "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";

static struct secure_rtp_session *keys(uint8_t of)
{
    uint8_t key[16], salt[12];
    memset(key, of, sizeof(key));
    memset(salt, of, sizeof(salt));
    struct secure_rtp_config config = { .profile = SECURE_RTP_AEAD_AES_128_GCM,
                                        .master_key = bytes_of(key, sizeof(key)),
                                        .master_salt = bytes_of(salt, sizeof(salt)),
                                        .stream_limit =
                                            RTC_STREAMS_MAX + RTC_ENDED_MAX + RTC_SECTIONS_MAX };
    struct secure_rtp_session *session = NULL;
    ensure(secure_rtp_session_new(&config, &session) == 0);
    return session;
}

static void keep_connected(const struct bed *bed, struct rtc_peer *peer)
{
    peer->state = RTC_PEER_CONNECTED;
    peer->has_path = true;
    peer->silenced = false;
    peer->path = bed->path;
}

/** As after ICE and DTLS, which have fuzzers of their own. */
static void connect(struct bed *bed, struct rtc_peer *peer)
{
    peer->receiving = keys(1);
    peer->sending = keys(2);
    keep_connected(bed, peer);
    // SSRCs are random: inputs need to know them
    for (size_t i = 0; i < peer->sender_count; i++) {
        if (peer->senders[i])
            peer->senders[i]->ssrc = (uint32_t)(100 + i);
    }
}

static void bed_init(struct bed *bed)
{
    *bed = (struct bed){ .path = { .local = net_address_ipv4(192, 0, 2, 1, 3478),
                                   .remote = net_address_ipv4(192, 0, 2, 2, 5000) } };
    random_seeded_init(&bed->random, 1);
    packet_pool_init(&bed->pool, 16384);
    bed->thread.pool = &bed->pool;
    bed->thread.random = &bed->random;
    bed->thread.unix_offset_us = 1700000000000000;
    datagram_batch_init(&bed->batch, 1u << 20, 1024);
    struct exchange_config config = {
        .ops = &ops, .owner = bed, .gop_age_us = GOP_AGE_DEFAULT_US, .pool = &bed->pool
    };
    bed->exchange = exchange_new(&config);
    struct rtc_params *params = answered_params(&bed->random, offer_text);
    for (int i = 0; i < 2; i++) {
        // a client's engine needs no DTLS context before it has a path
        int error = rtc_peer_new(&bed->thread, true, params, 1000000, &bed->peers[i]);
        ensure(error == 0);
        connect(bed, bed->peers[i]);
        exchange_peer_add(bed->exchange, (handle)(SESSION + i), bed->peers[i]);
    }
    const struct rtc_negotiated *negotiated = rtc_params_get(params);
    static const uint32_t shown[][3] = { { SUBSCRIBER, 3, 0 },
                                         { SUBSCRIBER, 4, 1 },
                                         { SESSION, 4, 2 } };
    for (size_t i = 0; i < array_size(shown); i++) {
        struct track_key key = { .session = SESSION, .section = shown[i][2] };
        int error = exchange_slot_set(bed->exchange, 1000000, shown[i][0], shown[i][1], &key, 0,
                                      &negotiated->sections[shown[i][2]]);
        ensure(error == 0);
        struct exchange_message mirror = { .kind = EXCHANGE_MIRROR, .worker = 1, .key = key };
        exchange_message_input(bed->exchange, 1000000, &mirror, &bed->batch);
    }
    rtc_params_unref(params);
    bed->client = keys(1);
}

static void bed_done(struct bed *bed)
{
    for (uint32_t i = 0; i < 2; i++) {
        exchange_peer_remove(bed->exchange, (handle)(SESSION + i));
        rtc_peer_free(bed->peers[i]);
    }
    exchange_drop_all(bed->exchange);
    exchange_free(bed->exchange);
    secure_rtp_session_free(bed->client);
    datagram_batch_done(&bed->batch);
    ensure(packet_pool_done(&bed->pool) == 0);
}

/** The packet under the client's keys; 0 when it cannot be protected at all. */
static size_t protect(struct bed *bed, bool rtcp, struct bytes plain, uint8_t *out, size_t capacity)
{
    if (rtcp) {
        ssize_t size = secure_rtcp_protect(bed->client, plain, out, capacity);
        return size > 0 ? (size_t)size : 0;
    }
    struct rtp_packet packet;
    if (rtp_packet_parse(plain.data, plain.size, &packet) < 0)
        return 0;
    // any number at any time: the sender's own window must not stand in the way
    struct secure_rtp_sender index;
    secure_rtp_sender_init(&index);
    struct bytes header = bytes_of(plain.data, packet.payload_at);
    struct bytes payload = bytes_of(plain.data + packet.payload_at, plain.size - packet.payload_at);
    ssize_t size = secure_rtp_protect(bed->client, &index, header, payload, out, capacity);
    return size > 0 ? (size_t)size : 0;
}

static void input(struct bed *bed, uint64_t now_us, bool rtcp, struct bytes plain)
{
    uint8_t datagram[1600];
    size_t size = protect(bed, rtcp, plain, datagram, sizeof(datagram));
    if (size == 0)
        return;
    struct rtc_media media = { .count = 0 };
    (void)rtc_peer_input(bed->peers[0], now_us, &bed->path, bytes_of(datagram, size), &media);
    exchange_media(bed->exchange, now_us, SESSION, &media, &bed->batch);
    for (int i = 0; i < 2; i++) {
        if (i == 1) {
            // ICE is not there to keep it connected
            rtc_peer_tick(bed->peers[0], now_us);
            keep_connected(bed, bed->peers[0]);
        }
        struct rtc_event event;
        while (rtc_peer_event(bed->peers[0], &event))
            exchange_peer_event(bed->exchange, now_us, SESSION, &event, &bed->batch);
    }
    exchange_tick(bed->exchange, now_us, &bed->batch);
    for (int i = 0; i < 2; i++) {
        peer_rtcp_output(bed->peers[i], now_us, &bed->batch);
    }
    datagram_batch_clear(&bed->batch);
    // what one client can hold of the pool that all share
    ensure(packet_pool_in_use(&bed->pool) <= 4096 + 3 * 128);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bed bed;
    bed_init(&bed);
    uint64_t now_us = 2000000;
    struct reader reader = reader_of(data, size);
    for (int i = 0; i < 2000; i++) {
        uint16_t length = reader_u16(&reader);
        uint8_t kind = reader_u8(&reader);
        struct bytes plain = reader_bytes(&reader, length);
        if (reader.failed)
            break;
        now_us += (uint64_t)(kind >> 1) * 1000;
        if (plain.size <= 1500)
            input(&bed, now_us, kind & 1, plain);
    }
    // one datagram must not become a storm of messages to other workers
    ensure(bed.told <= 64 + size);
    bed_done(&bed);
    return 0;
}
