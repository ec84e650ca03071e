#include "media_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "crypto/x509.h"
#include "proto/ice/ice_candidate.h"
#include "runtime/clock.h"

#define TICKS_A_FRAME 3000u

void media_shared_init(struct media_shared *shared, struct random *random, size_t latencies)
{
    struct certificate_request request = {
        .common_name = "load",
        .not_before_unix_s = (int64_t)(clock_unix_us() / TIME_US_PER_S) - 86400,
        .not_after_unix_s = (int64_t)(clock_unix_us() / TIME_US_PER_S) + 86400,
    };
    ensure(certificate_make(&request, random, &shared->certificate) == 0);
    packet_pool_init(&shared->pool, 65536);
    shared->thread.pool = &shared->pool;
    shared->thread.random = random;
    shared->thread.ciphers = cipher_provider_new(CIPHER_BEST);
    shared->thread.unix_offset_us = (int64_t)clock_unix_us() - (int64_t)clock_now_us();
    ensure(dtls_context_new(shared->certificate, NULL, &shared->thread.dtls) == 0);
    shared->latency_capacity = latencies;
    shared->latencies_us = memory_new_array(uint32_t, latencies);
}

void media_shared_done(struct media_shared *shared)
{
    free(shared->latencies_us);
    dtls_context_unref(shared->thread.dtls);
    certificate_unref(shared->certificate);
}

static bool open_socket(struct media_client *client)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(any);
    client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || bind(client->fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
        getsockname(client->fd, (struct sockaddr *)&any, &size) < 0)
        return false;
    int buffer = 1 << 20, on = 1;
    setsockopt(client->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
    setsockopt(client->fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
    client->address = net_address_ipv4(127, 0, 0, 1, ntohs(any.sin_port));
    return true;
}

struct media_client *media_client_new(struct media_shared *shared, bool publishes, char **ret_offer)
{
    struct media_client *client = memory_new(struct media_client);
    client->shared = shared;
    client->started_us = clock_now_us();
    if (!open_socket(client)) {
        fprintf(stderr, "load: no socket: %s\n", strerror(errno));
        free(client);
        return NULL;
    }
    datagram_batch_init(&client->batch, 1u << 16, 64);
    random_text(shared->thread.random, client->ufrag, 8);
    random_text(shared->thread.random, client->pwd, 24);
    snprintf(client->fingerprint, sizeof(client->fingerprint), "sha-256 %s",
             certificate_fingerprint(shared->certificate));
    client->section = (struct rtc_client_section){
        .kind = RTC_KIND_VIDEO,
        .sends = publishes,
        .ssrc = publishes ? random_u32(shared->thread.random) | 1 : 0,
        .rtx_ssrc = publishes ? random_u32(shared->thread.random) | 1 : 0,
    };
    client->offer = (struct rtc_client_offer){
        .ufrag = client->ufrag,
        .pwd = client->pwd,
        .fingerprint = client->fingerprint,
        .sections = &client->section,
        .section_count = 1,
    };
    *ret_offer = rtc_client_offer_write(&client->offer);
    return client;
}

void media_client_free(struct media_client *client)
{
    if (!client)
        return;
    rtc_peer_free(client->peer);
    datagram_batch_done(&client->batch);
    close(client->fd);
    free(client);
}

bool media_client_answer(struct media_client *client, const char *answer)
{
    struct rtc_params *params = NULL;
    const char *problem = NULL;
    uint64_t now_us = clock_now_us();
    if (rtc_client_answer_read(&client->offer, bytes_of_text(answer), &params, &problem) < 0 ||
        rtc_peer_new(&client->shared->thread, true, params, now_us, &client->peer) < 0 ||
        rtc_peer_add_local(client->peer, &client->address) < 0) {
        fprintf(stderr, "load: the answer cannot be used: %s\n", problem ? problem : "ICE");
        rtc_params_unref(params);
        return false;
    }
    const struct rtc_negotiated *negotiated = rtc_params_get(params);
    for (size_t i = 0; i < negotiated->candidate_count; i++) {
        struct ice_candidate candidate;
        if (ice_candidate_parse(negotiated->candidates[i], &candidate) == 0 &&
            candidate.address.family == NET_IPV4 && net_address_is_loopback(&candidate.address) &&
            rtc_peer_add_remote(client->peer, now_us, &candidate) == 0)
            break;
    }
    rtc_params_unref(params);
    return true;
}

static void send_batch(struct media_client *client)
{
    for (uint32_t i = 0; i < client->batch.run_count; i++) {
        const struct datagram_run *run = &client->batch.runs[i];
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(run->path.remote.port) };
        memcpy(&to.sin_addr, run->path.remote.ip, 4);
        struct iovec part = { client->batch.bytes + run->offset, run->size };
        char control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
        struct msghdr message = {
            .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &part, .msg_iovlen = 1
        };
        if (run->count > 1) {
            message.msg_control = control;
            message.msg_controllen = sizeof(control);
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_UDP;
            header->cmsg_type = UDP_SEGMENT;
            header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
            memcpy(CMSG_DATA(header), &run->segment_size, sizeof(uint16_t));
        }
        (void)!sendmsg(client->fd, &message, 0);
    }
    datagram_batch_clear(&client->batch);
}

static void take_events(struct media_client *client, uint64_t now_us)
{
    struct rtc_event event;
    while (rtc_peer_event(client->peer, &event)) {
        if (event.kind == RTC_EVENT_CONNECTED) {
            client->connected = true;
            client->connected_us = now_us;
        } else if (event.kind == RTC_EVENT_KEY_FRAME_WANTED) {
            client->key_frame_wanted = true;
        } else if (event.kind == RTC_EVENT_FAILED) {
            fprintf(stderr, "load: a peer failed: %s\n", event.reason);
        }
    }
}

/** The header of an SRTP packet is plain: number, timestamp and marker are all that is needed. */
static void count_packet(struct media_client *client, uint64_t now_us, const uint8_t *data,
                         size_t size)
{
    struct media_shared *shared = client->shared;
    uint16_t sequence = load_u16(data + 2);
    uint32_t timestamp = load_u32(data + 4);
    if (!client->timestamp_known)
        client->timestamp_offset = timestamp; // of frame 0, see show_first_frame
    client->timestamp_known = true;
    if (client->sequence_known && shared->measuring)
        client->lost += (uint16_t)(sequence - client->next_sequence) < 0x8000
                            ? (uint16_t)(sequence - client->next_sequence)
                            : 0;
    client->sequence_known = true;
    client->next_sequence = (uint16_t)(sequence + 1);
    if (!shared->measuring)
        return;
    client->packets++;
    client->bytes += size;
    uint32_t frame = (timestamp - client->timestamp_offset) / TICKS_A_FRAME % MEDIA_FRAMES;
    if (data[1] & 0x80 && shared->latency_count < shared->latency_capacity)
        shared->latencies_us[shared->latency_count++] =
            (uint32_t)(now_us - shared->frame_sent_us[frame]);
}

static void take_datagram(struct media_client *client, uint64_t now_us, const struct net_path *path,
                          const uint8_t *data, size_t size)
{
    bool media = size > 12 && data[0] >= 128 && data[0] <= 191 && !rtp_is_rtcp(data);
    if (media && !client->section.sends)
        count_packet(client, now_us, data, size);
    if (media && !client->shared->feedback)
        return;
    struct rtc_media received = { .count = 0 };
    (void)rtc_peer_input(client->peer, now_us, path, bytes_of(data, size), &received);
    for (uint32_t i = 0; i < received.count; i++)
        packet_unref(received.packets[i]);
    take_events(client, now_us);
}

/** What the kernel joined is `segment` bytes each. */
static uint16_t segment_size(struct msghdr *message, size_t size)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == SOL_UDP && header->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(header), sizeof(segment));
            return (uint16_t)segment;
        }
    }
    return (uint16_t)size;
}

void media_client_receive(struct media_client *client, uint64_t now_us)
{
    static uint8_t data[65536];
    for (int i = 0; i < 16; i++) {
        struct sockaddr_in from;
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec part = { data, sizeof(data) };
        struct msghdr message = { .msg_name = &from,
                                  .msg_namelen = sizeof(from),
                                  .msg_iov = &part,
                                  .msg_iovlen = 1,
                                  .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        ssize_t size = recvmsg(client->fd, &message, 0);
        if (size <= 0)
            break;
        struct net_path path = { .local = client->address };
        path.remote = net_address_ipv4(0, 0, 0, 0, ntohs(from.sin_port));
        memcpy(path.remote.ip, &from.sin_addr, 4);
        size_t segment = segment_size(&message, (size_t)size);
        for (size_t at = 0; at < (size_t)size; at += segment)
            take_datagram(client, now_us, &path, data + at, min_of(segment, (size_t)size - at));
    }
    rtc_peer_output(client->peer, now_us, &client->batch);
    send_batch(client);
}

void media_client_tick(struct media_client *client, uint64_t now_us)
{
    if (rtc_peer_deadline(client->peer) > now_us)
        return;
    rtc_peer_tick(client->peer, now_us);
    take_events(client, now_us);
    rtc_peer_output(client->peer, now_us, &client->batch);
    send_batch(client);
}

/** A VP8 payload (RFC 7741, 4.2) of noise. */
static void fill_payload(struct packet *packet, bool first, bool key, uint16_t size)
{
    uint8_t *payload = packet->bytes;
    memset(payload, 0xaa, size);
    payload[0] = first ? 0x10 : 0x00;
    payload[1] = key ? 0x10 : 0x11;
    static const uint8_t start_code[] = { 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01 };
    if (first && key)
        memcpy(payload + 4, start_code, sizeof(start_code));
}

void media_client_publish(struct media_client *client, uint64_t now_us, uint32_t count,
                          uint16_t payload_size)
{
    struct media_shared *shared = client->shared;
    struct rtc_sender *sender = rtc_peer_sender(client->peer, 0);
    bool key = client->key_frame_wanted || client->frame == 0;
    client->key_frame_wanted = false;
    if (client->output == 0)
        client->output = 1u << 16;
    shared->frame_sent_us[client->frame % MEDIA_FRAMES] = now_us;
    for (uint32_t i = 0; i < count; i++) {
        struct packet *packet = packet_pool_take(&shared->pool);
        ensure(packet);
        fill_payload(packet, i == 0, key, payload_size);
        *media_info_of(packet) =
            (struct media_info){ .payload_size = payload_size, .marker = i == count - 1 };
        struct rtc_outgoing outgoing = { .sequence = client->output++,
                                         .timestamp = client->frame * TICKS_A_FRAME,
                                         .payload_type = RTC_CLIENT_VP8 };
        rtc_sender_send(sender, now_us, &client->batch, packet, &outgoing);
        packet_unref(packet);
    }
    client->frame++;
    send_batch(client);
}
