/**
 * A real media host: four workers on one UDP port, and clients on sockets of their own, with all
 * that a client does: what tests with threads share.
 */
#pragma once

#include "support/check.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "crypto/x509.h"
#include "proto/dtls/dtls.h"
#include "proto/ice/ice_candidate.h"
#include "room/track.h"
#include "rtc/client.h"
#include "rtc/peer.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "server/media_host.h"

#define WORKERS     4
#define CLIENTS     16
#define SECTIONS    4
#define PAYLOAD     200
#define PUBLISH_US  (10 * TIME_US_PER_MS)
#define DEADLINE_US (60 * TIME_US_PER_S)

struct live;

struct client {
    struct live *live;
    uint32_t name;
    int fd;
    uint16_t port; /**< that ICE knows; another socket may stand in for it, as behind a NAT */
    media_session session;
    bool open;
    struct rtc_client_section sections[SECTIONS];
    struct rtc_client_offer offer;
    char ufrag[9], pwd[25];
    struct rtc_peer *peer;
    bool connected, reported;
    uint64_t sequence;
    uint32_t timestamp;
    uint32_t received[SECTIONS]; /**< packets */
    uint32_t from[SECTIONS];     /**< name of the publisher of the last one */
    uint64_t received_us;        /**< when the last packet came */
    uint64_t longest_us;         /**< the longest time between two */
};

struct live {
    struct loop loop;
    struct entropy entropy;
    struct log_sink sink;
    struct log log;
    struct certificate *certificate;
    struct net_address loopback;
    struct media_host *host;
    struct media_control *control;
    struct packet_pool pool;
    struct rtc_thread thread;
    struct datagram_batch batch;
    struct client clients[CLIENTS];
    uint32_t client_count;
    uint64_t publish_us;
    uint32_t live_events;
    _Atomic uint32_t errors; /**< logged */
};

static inline void log_write(struct log_sink *self, const struct log_record *record)
{
    struct live *live = container_of(self, struct live, sink);
    if (record->level == LOG_LEVEL_ERROR)
        atomic_fetch_add(&live->errors, 1); // by any thread
}

static inline void on_events(void *owner)
{
    struct live *live = owner;
    struct media_event event;
    while (live->control->event(live->control, &event)) {
        live->live_events += event.kind == MEDIA_EVENT_TRACK_LIVE;
        for (uint32_t i = 0; i < live->client_count; i++) {
            if (live->clients[i].session == event.session && event.kind == MEDIA_EVENT_CONNECTED)
                live->clients[i].reported = true;
        }
    }
}

static inline struct live *live_new(void)
{
    struct live *live = memory_new(struct live);
    assert_int_equal(loop_init(&live->loop), 0);
    entropy_init(&live->entropy);
    live->sink.write = log_write;
    atomic_store(&live->sink.level, LOG_LEVEL_DEBUG);
    live->log = (struct log){ &live->sink, "test", NULL };
    struct certificate_request request = { .common_name = "roost",
                                           .not_before_unix_s = 1700000000,
                                           .not_after_unix_s = 4000000000 };
    assert_int_equal(certificate_make(&request, &live->entropy.random, &live->certificate), 0);
    live->loopback = net_address_ipv4(127, 0, 0, 1, 0);
    struct media_host_config config = {
        .workers = WORKERS,
        .udp = { .bind = live->loopback, .ipv4_only = true },
        .candidates = { .addresses = &live->loopback, .address_count = 1 },
        .certificate = live->certificate,
        .max_sessions = 100,
        .random = &live->entropy.random,
        .loop = &live->loop,
        .log = &live->log,
        .wake = on_events,
        .owner = live,
    };
    const char *problem = NULL;
    assert_int_equal(media_host_start(&config, &live->host, &problem), 0);
    live->control = media_host_control(live->host);
    packet_pool_init(&live->pool, 8192);
    live->thread.pool = &live->pool;
    live->thread.random = &live->entropy.random;
    live->thread.unix_offset_us = (int64_t)clock_unix_us() - (int64_t)clock_now_us();
    assert_int_equal(dtls_context_new(live->certificate, NULL, &live->thread.dtls), 0);
    datagram_batch_init(&live->batch, 1u << 18, 512);
    return live;
}

static inline void live_free(struct live *live)
{
    media_host_stop(live->host); // with sessions alive and datagrams on their way
    for (uint32_t i = 0; i < live->client_count; i++) {
        rtc_peer_free(live->clients[i].peer);
        close(live->clients[i].fd);
    }
    assert_int_equal(packet_pool_done(&live->pool), 0);
    dtls_context_unref(live->thread.dtls);
    datagram_batch_done(&live->batch);
    certificate_unref(live->certificate);
    entropy_done(&live->entropy);
    loop_done(&live->loop);
    free(live);
}

/** The sum of a counter over all workers. `labels` NULL: any. */
static inline uint64_t counted(const struct live *live, const char *name, const char *labels)
{
    struct metric_set sets[WORKERS * 16];
    size_t count = media_host_metric_sets(live->host, sets, array_size(sets));
    assert_true(count <= array_size(sets));
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; m < sets[i].count; m++) {
            const struct metric_description *description = &sets[i].descriptions[m];
            if (strcmp(description->name, name) == 0 &&
                (!labels || strcmp(description->labels, labels) == 0))
                sum += metric_get(&sets[i].values[m]);
        }
    }
    return sum;
}

// Clients

static inline uint16_t open_socket(struct client *client)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(any);
    client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(client->fd >= 0);
    assert_int_equal(bind(client->fd, (struct sockaddr *)&any, size), 0);
    assert_int_equal(getsockname(client->fd, (struct sockaddr *)&any, &size), 0);
    return ntohs(any.sin_port);
}

static inline void flush(struct client *client)
{
    struct datagram_cursor cursor = { 0 };
    struct net_path path;
    const uint8_t *data;
    size_t size;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    while (datagram_batch_next(&client->live->batch, &cursor, &path, &data, &size)) {
        to.sin_port = htons(path.remote.port);
        (void)!sendto(client->fd, data, size, 0, (struct sockaddr *)&to, sizeof(to));
    }
    datagram_batch_clear(&client->live->batch);
}

static inline void take_events(struct client *client)
{
    struct rtc_event event;
    while (rtc_peer_event(client->peer, &event))
        client->connected |= event.kind == RTC_EVENT_CONNECTED;
}

static inline void take_media(struct client *client, uint64_t now_us, struct rtc_media *media)
{
    if (media->count > 0) {
        client->longest_us = max_of(client->longest_us, now_us - client->received_us);
        client->received_us = now_us;
    }
    for (uint32_t i = 0; i < media->count; i++) {
        struct bytes payload = media_payload_of(media->packets[i]);
        client->received[media->sections[i]]++;
        if (payload.size >= 20)
            client->from[media->sections[i]] = load_u32(payload.data + 12);
        packet_unref(media->packets[i]);
    }
}

static inline void receive(struct client *client, uint64_t now_us)
{
    struct net_path path = { .local = net_address_ipv4(127, 0, 0, 1, client->port),
                             .remote = net_address_ipv4(127, 0, 0, 1,
                                                        media_host_port(client->live->host)) };
    uint8_t bytes[2048];
    ssize_t size;
    while ((size = recv(client->fd, bytes, sizeof(bytes), 0)) > 0) {
        struct rtc_media media = { .count = 0 };
        (void)rtc_peer_input(client->peer, now_us, &path, bytes_of(bytes, (size_t)size), &media);
        take_media(client, now_us, &media);
        take_events(client);
    }
}

/** One packet that is a whole VP8 key frame, with the publisher's name in it. */
static inline void publish(struct client *client, uint64_t now_us)
{
    struct rtc_sender *sender = client->peer ? rtc_peer_sender(client->peer, 0) : NULL;
    struct packet *packet = sender ? packet_pool_take(&client->live->pool, PACKET_BYTES_MAX) : NULL;
    if (!packet)
        return;
    static const uint8_t head[] = { 0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01 };
    memset(packet->bytes, 0, PAYLOAD);
    memcpy(packet->bytes, head, sizeof(head));
    store_u32(packet->bytes + 12, client->name);
    *media_info_of(packet) =
        (struct media_info){ .payload_size = PAYLOAD, .marker = true, .codec = CODEC_VP8 };
    struct rtc_outgoing outgoing = { .sequence = client->sequence++,
                                     .timestamp = client->timestamp += 900,
                                     .payload_type = RTC_CLIENT_VP8 };
    rtc_sender_send(sender, now_us, &client->live->batch, packet, &outgoing);
    packet_unref(packet);
}

static inline void turn(struct live *live)
{
    loop_turn(&live->loop, TIME_US_PER_MS);
    uint64_t now_us = clock_now_us();
    bool frame = now_us >= live->publish_us;
    if (frame)
        live->publish_us = now_us + PUBLISH_US;
    for (uint32_t i = 0; i < live->client_count; i++) {
        struct client *client = &live->clients[i];
        if (!client->peer)
            continue;
        receive(client, now_us);
        if (rtc_peer_deadline(client->peer) <= now_us)
            rtc_peer_tick(client->peer, now_us);
        take_events(client);
        rtc_peer_output(client->peer, now_us, &live->batch);
        if (frame)
            publish(client, now_us);
        flush(client);
    }
}

#define until(live, condition)                                                                     \
    do {                                                                                           \
        uint64_t end_us = clock_now_us() + DEADLINE_US;                                            \
        while (!(condition)) {                                                                     \
            assert_true(clock_now_us() < end_us);                                                  \
            turn(live);                                                                            \
        }                                                                                          \
    } while (0)

static inline void add_candidates(struct client *client, const struct rtc_negotiated *negotiated)
{
    for (size_t i = 0; i < negotiated->candidate_count; i++) {
        struct ice_candidate candidate;
        assert_int_equal(ice_candidate_parse(negotiated->candidates[i], &candidate), 0);
        (void)!rtc_peer_add_remote(client->peer, clock_now_us(), &candidate);
    }
}

static inline void negotiate(struct client *client)
{
    struct live *live = client->live;
    char fingerprint[120];
    snprintf(fingerprint, sizeof(fingerprint), "sha-256 %s",
             certificate_fingerprint(live->certificate));
    client->offer.fingerprint = fingerprint;
    client->offer.sections = client->sections;
    client->offer.ufrag = client->ufrag;
    client->offer.pwd = client->pwd;
    char *text cleanup(memory_free_at) = rtc_client_offer_write(&client->offer);
    struct media_answer answer;
    const char *problem = NULL;
    assert_int_equal(live->control->offer(live->control, client->session, bytes_of_text(text),
                                          &answer, &problem),
                     0);
    struct rtc_params *params = NULL;
    assert_int_equal(
        rtc_client_answer_read(&client->offer, bytes_of_text(answer.sdp), &params, &problem), 0);
    free(answer.sdp);
    free(answer.sections);
    uint64_t now_us = clock_now_us();
    if (client->peer) {
        rtc_peer_update(client->peer, params, now_us);
    } else {
        struct net_address local = net_address_ipv4(127, 0, 0, 1, client->port);
        assert_int_equal(rtc_peer_new(&live->thread, true, params, now_us, &client->peer), 0);
        assert_int_equal(rtc_peer_add_local(client->peer, &local), 0);
    }
    add_candidates(client, rtc_params_get(params));
    rtc_params_unref(params);
}

static inline void new_credentials(struct client *client)
{
    random_text(&client->live->entropy.random, client->ufrag, 8);
    random_text(&client->live->entropy.random, client->pwd, 24);
}

static inline uint32_t add_slot(struct client *client)
{
    uint32_t index = (uint32_t)client->offer.section_count++;
    client->sections[index] = (struct rtc_client_section){ .kind = RTC_KIND_VIDEO };
    return index;
}

/** Publishes in section 0, has slots in 1 and 2. */
static inline struct client *add_client(struct live *live)
{
    assert_true(live->client_count < CLIENTS);
    struct client *client = &live->clients[live->client_count++];
    *client = (struct client){ .live = live, .name = 100 + live->client_count, .sequence = 1000 };
    client->port = open_socket(client);
    client->sections[0] = (struct rtc_client_section){ .kind = RTC_KIND_VIDEO,
                                                       .sends = true,
                                                       .ssrc = client->name * 10,
                                                       .rtx_ssrc = client->name * 10 + 1 };
    client->offer.section_count = 1;
    add_slot(client);
    add_slot(client);
    new_credentials(client);
    struct media_session_config config = { .loopback = true, .member = "client" };
    assert_int_equal(live->control->session_open(live->control, &config, &client->session), 0);
    client->open = true;
    negotiate(client);
    return client;
}

static inline void show(struct client *subscriber, uint32_t slot, const struct client *publisher)
{
    struct media_control *control = subscriber->live->control;
    char mid[MEDIA_MID_MAX];
    snprintf(mid, sizeof(mid), "%u", (unsigned)slot);
    assert_int_equal(control->slot_set(control, subscriber->session, mid, publisher->session, "0"),
                     0);
}

/** The slot shows this publisher, and new packets come. */
static inline void expect_media(struct client *subscriber, uint32_t slot,
                                const struct client *publisher)
{
    uint32_t before = subscriber->received[slot];
    until(subscriber->live,
          subscriber->from[slot] == publisher->name && subscriber->received[slot] > before + 10);
}

static inline bool all_reported(const struct live *live)
{
    for (uint32_t i = 0; i < live->client_count; i++) {
        if (!live->clients[i].connected || !live->clients[i].reported)
            return false;
    }
    return true;
}

static inline uint32_t busy_workers(const struct live *live)
{
    struct metric_set sets[WORKERS * 16];
    size_t count = media_host_metric_sets(live->host, sets, array_size(sets));
    uint32_t busy = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; m < sets[i].count; m++)
            busy += strcmp(sets[i].descriptions[m].name, "media_sessions") == 0 &&
                    metric_get(&sets[i].values[m]) > 0;
    }
    return busy;
}

static inline struct client *neighbour(struct live *live, uint32_t index, uint32_t distance)
{
    return &live->clients[(index + distance) % live->client_count];
}

/** Everyone publishes, and watches the next two. */
static inline struct live *a_room(void)
{
    struct live *live = live_new();
    for (int i = 0; i < 5; i++)
        add_client(live);
    until(live, all_reported(live));
    while (busy_workers(live) < 2) {
        add_client(live);
        until(live, all_reported(live));
    }
    for (uint32_t i = 0; i < live->client_count; i++) {
        show(&live->clients[i], 1, neighbour(live, i, 1));
        show(&live->clients[i], 2, neighbour(live, i, 2));
    }
    return live;
}

static inline void expect_all(struct live *live)
{
    for (uint32_t i = 0; i < live->client_count; i++) {
        expect_media(&live->clients[i], 1, neighbour(live, i, 1));
        expect_media(&live->clients[i], 2, neighbour(live, i, 2));
    }
}
