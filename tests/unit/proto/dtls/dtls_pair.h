/** Two DTLS engines over a wire with delay, loss and virtual time. */
#pragma once

#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/datagram.h"
#include "base/random.h"
#include "crypto/x509.h"
#include "proto/dtls/dtls.h"

#define WIRE_MAX      256
#define WIRE_DELAY_US 20000u

struct wire_packet {
    uint64_t arrives_us;
    bool to_server;
    size_t size;
    uint8_t data[2048];
};

struct pair {
    uint64_t now_us;
    struct random random;
    struct certificate *certificates[2]; // 0: client, 1: server
    struct dtls_context *contexts[2];
    struct dtls *peers[2];
    struct dtls_event events[2]; // connected
    bool connected[2];
    bool ended[2];
    enum dtls_event_kind end_kinds[2];
    char reasons[2][200];
    metric_value metrics[2][DTLS_METRIC_COUNT];
    struct wire_packet *wire;
    size_t wire_count;
    uint32_t loss_percent;
    uint32_t reorder_percent;
    uint32_t sent;               // datagrams put on the wire so far
    uint32_t drop_from, drop_to; // these are lost: [from, to)
    uint32_t bytes_sent[2];
    uint16_t mtu;
    size_t largest;
};

static inline struct certificate *make_certificate(struct random *random)
{
    struct certificate_request request = {
        .common_name = "test",
        .not_before_unix_s = 1700000000,
        .not_after_unix_s = 1900000000,
    };
    struct certificate *certificate;
    assert_int_equal(certificate_make(&request, random, &certificate), 0);
    return certificate;
}

static inline struct dtls_fingerprint fingerprint_of(const struct certificate *certificate)
{
    struct dtls_fingerprint fingerprint;
    assert_int_equal(dtls_fingerprint_parse(bytes_of_text("sha-256"),
                                            bytes_of_text(certificate_fingerprint(certificate)),
                                            &fingerprint),
                     0);
    return fingerprint;
}

static inline void pair_start(struct pair *pair, const struct dtls_fingerprint *of_client,
                              const struct dtls_fingerprint *of_server)
{
    struct dtls_fingerprint right[2] = { fingerprint_of(pair->certificates[0]),
                                         fingerprint_of(pair->certificates[1]) };
    for (size_t i = 0; i < 2; i++) {
        const struct dtls_fingerprint *wanted = i == 0 ? of_server : of_client;
        struct dtls_config config = {
            .context = pair->contexts[i],
            .client = i == 0,
            .fingerprints = wanted ? wanted : &right[1 - i],
            .fingerprint_count = 1,
            .srtp_required = true,
            .mtu = pair->mtu,
            .metrics = pair->metrics[i],
        };
        pair->peers[i] = dtls_new(&config, pair->now_us);
    }
}

static inline void pair_prepare(struct pair *pair, uint64_t seed)
{
    *pair = (struct pair){ .now_us = 5000000 };
    random_seeded_init(&pair->random, seed);
    pair->wire = calloc(WIRE_MAX, sizeof(*pair->wire));
    for (size_t i = 0; i < 2; i++) {
        pair->certificates[i] = make_certificate(&pair->random);
        assert_int_equal(dtls_context_new(pair->certificates[i], NULL, &pair->contexts[i]), 0);
    }
}

static inline void pair_init(struct pair *pair, uint64_t seed)
{
    pair_prepare(pair, seed);
    pair_start(pair, NULL, NULL);
}

/** Ends the two engines; the rest can start another two. */
static inline void pair_stop(struct pair *pair)
{
    for (size_t i = 0; i < 2; i++) {
        pair->peers[i] = dtls_free(pair->peers[i]);
        pair->connected[i] = pair->ended[i] = false;
    }
    pair->wire_count = 0;
}

static inline void pair_done(struct pair *pair)
{
    pair_stop(pair);
    for (size_t i = 0; i < 2; i++) {
        dtls_context_unref(pair->contexts[i]);
        certificate_unref(pair->certificates[i]);
    }
    free(pair->wire);
}

static inline void wire_put(struct pair *pair, bool to_server, const uint8_t *data, size_t size)
{
    uint32_t number = pair->sent++;
    pair->largest = max_of(pair->largest, size);
    pair->bytes_sent[to_server ? 0 : 1] += (uint32_t)size;
    if ((number >= pair->drop_from && number < pair->drop_to) ||
        random_below(&pair->random, 100) < pair->loss_percent || pair->wire_count == WIRE_MAX)
        return;
    struct wire_packet *packet = &pair->wire[pair->wire_count++];
    packet->arrives_us = pair->now_us + WIRE_DELAY_US;
    if (random_below(&pair->random, 100) < pair->reorder_percent)
        packet->arrives_us += random_below(&pair->random, 60000);
    packet->to_server = to_server;
    packet->size = size;
    memcpy(packet->data, data, size);
}

/** Moves what the engines have to say onto the wire and takes their events. */
static inline void pair_collect(struct pair *pair)
{
    struct datagram_batch batch;
    datagram_batch_init(&batch, 64 << 10, 64);
    for (size_t i = 0; i < 2; i++) {
        struct net_path path = { 0 };
        const uint8_t *data;
        size_t size;
        dtls_output(pair->peers[i], pair->now_us, &path, &batch);
        struct datagram_cursor cursor = { 0 };
        while (datagram_batch_next(&batch, &cursor, &path, &data, &size))
            wire_put(pair, i == 0, data, size);
        datagram_batch_clear(&batch);
        struct dtls_event event;
        while (dtls_event(pair->peers[i], &event)) {
            if (event.kind == DTLS_CONNECTED) {
                pair->connected[i] = true;
                pair->events[i] = event;
            } else {
                pair->ended[i] = true;
                pair->end_kinds[i] = event.kind;
                strncpy(pair->reasons[i], event.reason, sizeof(pair->reasons[i]) - 1);
            }
        }
    }
    datagram_batch_done(&batch);
}

/** Goes to the next moment at which something happens; false when nothing will before `until`. */
static inline bool pair_step(struct pair *pair, uint64_t until_us)
{
    pair_collect(pair);
    uint64_t next_us = time_earlier(dtls_deadline(pair->peers[0]), dtls_deadline(pair->peers[1]));
    for (size_t i = 0; i < pair->wire_count; i++)
        next_us = time_earlier(next_us, pair->wire[i].arrives_us);
    if (next_us > until_us) {
        pair->now_us = until_us;
        return false;
    }
    pair->now_us = next_us > pair->now_us ? next_us : pair->now_us;
    for (size_t i = 0; i < pair->wire_count; i++) {
        if (pair->wire[i].arrives_us > pair->now_us)
            continue;
        struct wire_packet packet = pair->wire[i];
        memmove(&pair->wire[i], &pair->wire[i + 1], (--pair->wire_count - i) * sizeof(*pair->wire));
        // an exact copy, so that the address sanitizer sees reads beyond the datagram
        uint8_t *copy = malloc(packet.size ? packet.size : 1);
        memcpy(copy, packet.data, packet.size);
        dtls_input(pair->peers[packet.to_server], pair->now_us, bytes_of(copy, packet.size));
        free(copy);
        break;
    }
    for (size_t i = 0; i < 2; i++)
        if (dtls_deadline(pair->peers[i]) <= pair->now_us)
            dtls_tick(pair->peers[i], pair->now_us);
    pair_collect(pair);
    return true;
}

static inline void pair_run(struct pair *pair, uint64_t duration_us)
{
    uint64_t until_us = pair->now_us + duration_us;
    while (pair_step(pair, until_us))
        ;
}

static inline void pair_run_until_connected(struct pair *pair, uint64_t limit_us)
{
    uint64_t until_us = pair->now_us + limit_us;
    while (!(pair->connected[0] && pair->connected[1]) && pair_step(pair, until_us))
        ;
}

static inline void check_same_keys(const struct pair *pair)
{
    assert_true(pair->connected[0] && pair->connected[1]);
    const struct dtls_srtp_keys *a = &pair->events[0].keys, *b = &pair->events[1].keys;
    assert_int_equal(a->profile, b->profile);
    assert_memory_equal(a->local_key, b->remote_key, 32);
    assert_memory_equal(a->remote_key, b->local_key, 32);
    assert_memory_equal(a->local_salt, b->remote_salt, 16);
    assert_memory_equal(a->remote_salt, b->local_salt, 16);
    assert_memory_not_equal(a->local_key, a->remote_key, 16);
}
