/** Two associations that talk over a wire which the test can disturb. Virtual time. */
#pragma once

#include <stdlib.h>

#include "base/memory.h"
#include "proto/sctp/sctp_int.h"
#include "support/check.h"

#define PAIR_WINDOW  (1u << 20)
#define PAIR_PACKETS 4096

struct pair_packet {
    uint64_t at_us;
    size_t size;
    uint8_t bytes[SCTP_PACKET_SIZE_MAX];
};

struct pair {
    uint64_t now_us;
    uint64_t delay_us;
    struct random random;
    struct sctp *ends[2];
    metric_value metrics[2][SCTP_METRIC_COUNT];
    /** Packets under way to each end, in order. */
    struct pair_packet *wire[2];
    size_t wire_count[2];
    /** Says whether the packet that `from` sends is lost; may change it. NULL: none is. */
    bool (*loses)(struct pair *pair, int from, uint8_t *packet, size_t size);
    uint32_t counter; /**< for `loses` */
};

static inline struct sctp_config pair_config(struct pair *pair, int end)
{
    return (struct sctp_config){
        .local_port = 5000,
        .remote_port = 5000,
        .streams = 64,
        .receive_window = PAIR_WINDOW,
        .send_capacity = PAIR_WINDOW,
        .message_size_max = 256u << 10,
        .features = { true, true, true, true },
        .random = &pair->random,
        .metrics = pair->metrics[end],
    };
}

static inline void pair_init(struct pair *pair, const struct sctp_features *features)
{
    memset(pair, 0, sizeof(*pair));
    pair->now_us = 1000000;
    pair->delay_us = 10000;
    random_seeded_init(&pair->random, 1);
    for (int i = 0; i < 2; i++) {
        struct sctp_config config = pair_config(pair, i);
        if (features)
            config.features = *features;
        pair->ends[i] = sctp_new(&config);
        pair->wire[i] = memory_new_array(struct pair_packet, PAIR_PACKETS);
    }
}

static inline void pair_done(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        sctp_free(pair->ends[i]);
        free(pair->wire[i]);
    }
}

static inline void pair_put(struct pair *pair, int to, const uint8_t *bytes, size_t size)
{
    assert_true(pair->wire_count[to] < PAIR_PACKETS);
    struct pair_packet *packet = &pair->wire[to][pair->wire_count[to]++];
    packet->at_us = pair->now_us + pair->delay_us;
    packet->size = size;
    memcpy(packet->bytes, bytes, size);
}

static inline void pair_flush(struct pair *pair)
{
    uint8_t bytes[SCTP_PACKET_SIZE_MAX];
    for (int i = 0; i < 2; i++) {
        size_t size;
        while ((size = sctp_output(pair->ends[i], pair->now_us, bytes)) > 0)
            if (!pair->loses || !pair->loses(pair, i, bytes, size))
                pair_put(pair, 1 - i, bytes, size);
    }
}

/** One step to the next packet or deadline, not beyond `until_us`. */
static inline void pair_step(struct pair *pair, uint64_t until_us)
{
    pair_flush(pair);
    uint64_t next_us = until_us;
    for (int i = 0; i < 2; i++) {
        if (pair->wire_count[i] > 0)
            next_us = time_earlier(next_us, pair->wire[i][0].at_us);
        next_us = time_earlier(next_us, sctp_deadline(pair->ends[i]));
    }
    pair->now_us = max_of(pair->now_us, next_us);
    for (int i = 0; i < 2; i++) {
        while (pair->wire_count[i] > 0 && pair->wire[i][0].at_us <= pair->now_us) {
            struct pair_packet packet = pair->wire[i][0];
            memmove(pair->wire[i], pair->wire[i] + 1,
                    --pair->wire_count[i] * sizeof(*pair->wire[i]));
            sctp_input(pair->ends[i], pair->now_us, bytes_of(packet.bytes, packet.size));
        }
        sctp_tick(pair->ends[i], pair->now_us);
    }
}

static inline void pair_run(struct pair *pair, uint64_t duration_us)
{
    uint64_t until_us = pair->now_us + duration_us;
    while (pair->now_us < until_us)
        pair_step(pair, until_us);
    pair_flush(pair);
}

/** The next event of an end, which must be of this kind. */
static inline struct sctp_event pair_expect(struct pair *pair, int end, enum sctp_event_kind kind)
{
    struct sctp_event event = { 0 };
    assert_true(sctp_event(pair->ends[end], &event));
    assert_int_equal(event.kind, kind);
    return event;
}

static inline void pair_expect_nothing(struct pair *pair, int end)
{
    struct sctp_event event;
    assert_false(sctp_event(pair->ends[end], &event));
}

static inline void pair_expect_text(struct pair *pair, int end, uint16_t stream, const char *text)
{
    struct sctp_event event = pair_expect(pair, end, SCTP_MESSAGE);
    assert_int_equal(event.stream, stream);
    assert_true(bytes_equal(blob_bytes(event.message), bytes_of_text(text)));
    blob_unref(event.message);
}

/** Both call at once. */
static inline void pair_connect(struct pair *pair)
{
    sctp_connect(pair->ends[0]);
    sctp_connect(pair->ends[1]);
    pair_run(pair, 200000);
    for (int i = 0; i < 2; i++) {
        pair_expect(pair, i, SCTP_ESTABLISHED);
        pair_expect_nothing(pair, i);
    }
}

static inline int pair_send_with(struct pair *pair, int end, struct bytes bytes,
                                 struct sctp_message message)
{
    struct blob *blob = blob_new(bytes);
    assert_non_null(blob);
    message.content = blob;
    int error = sctp_send(pair->ends[end], pair->now_us, &message);
    blob_unref(blob);
    return error;
}

static inline void pair_send(struct pair *pair, int end, uint16_t stream, const char *text)
{
    assert_int_equal(
        pair_send_with(
            pair, end, bytes_of_text(text),
            (struct sctp_message){ .stream = stream, .ppid = 51, .retransmits_max = UINT32_MAX }),
        0);
}
