#include "media_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "crypto/x509.h"
#include "proto/ice/ice_candidate.h"
#include "rtc/data.h"
#include "rtc/peer_int.h"
#include "runtime/clock.h"

void media_shared_init(struct media_shared *shared, struct random *random,
                       const struct net_address *address, size_t latencies)
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
    shared->address = shared->server = *address;
    shared->video.capacity = shared->audio.capacity = latencies;
    shared->video.latencies_us = memory_new_array(uint32_t, latencies);
    shared->audio.latencies_us = memory_new_array(uint32_t, latencies);
}

void media_shared_done(struct media_shared *shared)
{
    free(shared->video.latencies_us);
    free(shared->audio.latencies_us);
    dtls_context_unref(shared->thread.dtls);
    certificate_unref(shared->certificate);
}

static bool open_socket(struct media_client *client)
{
    const struct media_shared *shared = client->shared;
    struct sockaddr_in any = { .sin_family = AF_INET };
    memcpy(&any.sin_addr, shared->address.ip, 4);
    socklen_t size = sizeof(any);
    client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || bind(client->fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
        getsockname(client->fd, (struct sockaddr *)&any, &size) < 0)
        return false;
    int buffer = 1 << 20, on = 1;
    setsockopt(client->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
    setsockopt(client->fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
    if (shared->stamps)
        setsockopt(client->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
    client->address = shared->address;
    client->address.port = ntohs(any.sin_port);
    return true;
}

struct media_client *media_client_new(struct media_shared *shared)
{
    struct media_client *client = memory_new(struct media_client);
    client->shared = shared;
    if (!open_socket(client)) {
        fprintf(stderr, "load: no socket: %s\n", strerror(errno));
        free(client);
        return NULL;
    }
    client->streams = memory_new_array(struct media_stream, MEDIA_STREAMS);
    datagram_batch_init(&client->batch, 1u << 16, 64);
    random_text(shared->thread.random, client->ufrag, 8);
    random_text(shared->thread.random, client->pwd, 24);
    snprintf(client->fingerprint, sizeof(client->fingerprint), "sha-256 %s",
             certificate_fingerprint(shared->certificate));
    client->offer = (struct rtc_client_offer){
        .ufrag = client->ufrag,
        .pwd = client->pwd,
        .fingerprint = client->fingerprint,
        .sections = client->sections,
    };
    return client;
}

void media_client_free(struct media_client *client)
{
    if (!client)
        return;
    rtc_peer_free(client->peer);
    datagram_batch_done(&client->batch);
    close(client->fd);
    free(client->streams);
    free(client);
}

void media_client_receives(struct media_client *client, enum rtc_kind kind)
{
    ensure(client->offer.section_count < MEDIA_SECTIONS);
    client->sections[client->offer.section_count++] = (struct rtc_client_section){ .kind = kind };
}

char *media_client_describe(struct media_client *client)
{
    return rtc_client_offer_write(&client->offer);
}

/** Our address, and the server's. */
static void add_candidates(struct media_client *client, const struct rtc_negotiated *negotiated)
{
    (void)!rtc_peer_add_local(client->peer, &client->address);
    for (size_t i = 0; i < negotiated->candidate_count; i++) {
        struct ice_candidate candidate;
        if (ice_candidate_parse(negotiated->candidates[i], &candidate) == 0 &&
            memcmp(candidate.address.ip, client->shared->server.ip, 4) == 0 &&
            rtc_peer_add_remote(client->peer, clock_now_us(), &candidate) == 0)
            return;
    }
}

bool media_client_start(struct media_client *client, const char *description)
{
    struct rtc_params *params = NULL;
    const char *problem = NULL;
    if (rtc_client_answer_read(&client->offer, bytes_of_text(description), &params, &problem) < 0 ||
        rtc_peer_new(&client->shared->thread, !client->passive, params, clock_now_us(),
                     &client->peer) < 0) {
        fprintf(stderr, "load: the description cannot be used: %s\n", problem ? problem : "ICE");
        rtc_params_unref(params);
        return false;
    }
    const struct rtc_negotiated *negotiated = rtc_params_get(params);
    if (!client->passive)
        add_candidates(client, negotiated);
    for (uint32_t i = 0; i < client->feed_count; i++)
        media_feed_start(client, &client->feeds[i], negotiated);
    rtc_params_unref(params);
    return true;
}

void media_client_start_plain(struct media_client *client, const struct net_address *remote)
{
    client->plain = true;
    client->plain_path = (struct net_path){ .local = client->address, .remote = *remote };
    for (uint32_t i = 0; i < client->feed_count; i++)
        media_feed_start(client, &client->feeds[i], NULL);
    client->connected_us = clock_unix_us();
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

static void want_key_frame(struct media_client *client, uint16_t section)
{
    for (uint32_t i = 0; i < client->feed_count; i++) {
        if (client->feeds[i].section == section)
            client->feeds[i].key_frame_wanted = true;
    }
}

/** Opens the channels that our SDK does, once there is an association. They stay idle here. */
static void use_data(struct media_client *client)
{
    static const struct {
        const char *label;
        bool ordered;
        enum rtc_data_reliability reliability;
    } channels[] = {
        { "reliable", true, RTC_DATA_RELIABLE },
        { "reliable-unordered", false, RTC_DATA_RELIABLE },
        { "unreliable", false, RTC_DATA_MAX_RETRANSMITS },
        { "unreliable-ordered", true, RTC_DATA_MAX_RETRANSMITS },
    };
    while (client->channel_count < array_size(channels)) {
        struct rtc_data_channel channel = {
            .ordered = channels[client->channel_count].ordered,
            .reliability = channels[client->channel_count].reliability,
            .label = bytes_of_text(channels[client->channel_count].label),
            .protocol = bytes_of_text("roost.data.v1"),
        };
        uint16_t stream;
        if (rtc_peer_data_open(client->peer, clock_now_us(), &channel, &stream) < 0)
            break;
        client->channel_count++;
    }
    struct rtc_data_event event;
    while (rtc_peer_data_event(client->peer, &event))
        blob_unref(event.message);
}

static void take_events(struct media_client *client)
{
    struct rtc_event event;
    while (rtc_peer_event(client->peer, &event)) {
        if (event.kind == RTC_EVENT_CONNECTED)
            client->connected_us = clock_unix_us();
        else if (event.kind == RTC_EVENT_KEY_FRAME_WANTED)
            want_key_frame(client, event.section);
        else if (event.kind == RTC_EVENT_FAILED)
            fprintf(stderr, "load: a peer failed: %s\n", event.reason);
    }
    if (client->shared->data && client->feed_count == 0)
        use_data(client);
}

static void take_datagram(struct media_client *client, uint64_t arrived_us,
                          const struct net_path *path, const uint8_t *data, size_t size)
{
    bool media = size > 12 && data[0] >= 128 && data[0] <= 191 && !rtp_is_rtcp(data);
    if (media)
        media_count(client, arrived_us, data, size);
    if (media && !client->shared->decrypts)
        return;
    struct rtc_media received = { .count = 0 };
    (void)rtc_peer_input(client->peer, clock_now_us(), path, bytes_of(data, size), &received);
    media_count_picture(client, arrived_us, &received);
    for (uint32_t i = 0; i < received.count; i++)
        packet_unref(received.packets[i]);
    take_events(client);
}

/** What the kernel says of a datagram, or of several that it joined. */
static void read_control(struct msghdr *message, size_t size, size_t *ret_segment,
                         uint64_t *ret_arrived_us)
{
    *ret_segment = size;
    *ret_arrived_us = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level == SOL_UDP && header->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(header), sizeof(segment));
            *ret_segment = (size_t)segment;
        } else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec stamp;
            memcpy(&stamp, CMSG_DATA(header), sizeof(stamp));
            *ret_arrived_us =
                (uint64_t)stamp.tv_sec * TIME_US_PER_S + (uint64_t)stamp.tv_nsec / 1000;
        }
    }
    if (*ret_arrived_us == 0)
        *ret_arrived_us = clock_unix_us();
}

static bool receive_one(struct media_client *client)
{
    static uint8_t data[65536];
    struct sockaddr_in from;
    char control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct timespec))];
    struct iovec part = { data, sizeof(data) };
    struct msghdr message = { .msg_name = &from,
                              .msg_namelen = sizeof(from),
                              .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = sizeof(control) };
    ssize_t size = recvmsg(client->fd, &message, 0);
    if (size <= 0)
        return false;
    struct net_path path = { .local = client->address };
    path.remote = net_address_ipv4(0, 0, 0, 0, ntohs(from.sin_port));
    memcpy(path.remote.ip, &from.sin_addr, 4);
    size_t segment;
    uint64_t arrived_us;
    read_control(&message, (size_t)size, &segment, &arrived_us);
    for (size_t at = 0; at < (size_t)size; at += segment)
        take_datagram(client, arrived_us, &path, data + at, min_of(segment, (size_t)size - at));
    return true;
}

void media_client_receive(struct media_client *client)
{
    if (!client->peer)
        return;
    for (int i = 0; i < 16 && receive_one(client); i++)
        ;
    rtc_peer_output(client->peer, clock_now_us(), &client->batch);
    send_batch(client);
}

void media_client_tick(struct media_client *client)
{
    if (!client->peer && !client->plain)
        return;
    uint64_t now_us = clock_now_us();
    for (uint32_t i = 0; i < client->feed_count; i++) {
        struct media_feed *feed = &client->feeds[i];
        if (feed->next_us != 0 && now_us >= feed->next_us) {
            media_feed_send(client, feed);
            feed->next_us += feed->interval_us;
        }
    }
    if (client->peer && rtc_peer_deadline(client->peer) <= now_us) {
        rtc_peer_tick(client->peer, now_us);
        take_events(client);
        rtc_peer_output(client->peer, now_us, &client->batch);
    }
    if (!datagram_batch_empty(&client->batch))
        send_batch(client);
}
