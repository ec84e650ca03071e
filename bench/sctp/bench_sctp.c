// links: proto/sctp
// What an SCTP association alone costs: both ends in one thread, no sockets, no DTLS. CPU per
// message and packet of sender and receiver together, and bytes per idle association.
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/sctp/sctp.h"

#define WINDOW        (1u << 20)
#define ASSOCIATIONS  10000
#define BYTES_EACH    (256ul << 20)
#define MESSAGES_MAX  2000000ul
#define STEP_US       10
#define STEP_LOSSY_US 1000 // a lost packet is found by those behind it, in time

struct pair {
    struct random random;
    struct sctp *ends[2];
    uint64_t now_us;
    uint64_t packets;
    uint32_t losses_per_thousand;
};

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static struct sctp *end_new(struct random *random, bool interleaving)
{
    return sctp_new(&(struct sctp_config){
        .local_port = 5000,
        .remote_port = 5000,
        .streams = 1024,
        .packet_size = 1160,
        .receive_window = WINDOW,
        .send_capacity = WINDOW,
        .message_size_max = WINDOW / 4,
        .features = { true, interleaving, true, true },
        .random = random,
    });
}

static void pair_init(struct pair *pair, bool interleaving, uint32_t losses)
{
    *pair = (struct pair){ .now_us = 1, .losses_per_thousand = losses };
    random_seeded_init(&pair->random, 1);
    for (int i = 0; i < 2; i++)
        pair->ends[i] = end_new(&pair->random, interleaving);
    sctp_connect(pair->ends[0]);
}

/** Packets of both ends come to each other. Returns the messages that end 1 got. */
static uint64_t pair_step(struct pair *pair)
{
    uint64_t received = 0;
    uint8_t packet[SCTP_PACKET_SIZE_MAX];
    for (int i = 0; i < 2; i++) {
        sctp_tick(pair->ends[i], pair->now_us);
        size_t size;
        for (int n = 0; n < 64 && (size = sctp_output(pair->ends[i], pair->now_us, packet)); n++) {
            pair->packets++;
            bool lost = pair->losses_per_thousand > 0 &&
                        random_below(&pair->random, 1000) < pair->losses_per_thousand;
            if (!lost)
                sctp_input(pair->ends[1 - i], pair->now_us, bytes_of(packet, size));
        }
        struct sctp_event event;
        while (sctp_event(pair->ends[i], &event)) {
            received += event.kind == SCTP_MESSAGE;
            blob_unref(event.message);
        }
    }
    pair->now_us += pair->losses_per_thousand ? STEP_LOSSY_US : STEP_US;
    return received;
}

static void pair_done(struct pair *pair)
{
    sctp_free(pair->ends[0]);
    sctp_free(pair->ends[1]);
}

static void measure(size_t size, bool interleaving, uint32_t losses)
{
    struct pair pair;
    uint8_t *at;
    struct blob *content = blob_new_uninit(size, &at);
    ensure(content != NULL);
    memset(at, 1, size);
    pair_init(&pair, interleaving, losses);
    uint64_t count = min_of(BYTES_EACH / size, MESSAGES_MAX);
    uint64_t sent = 0, received = 0;
    const struct sctp_message message = { .retransmits_max = UINT32_MAX, .content = content };
    double start = now_ns();
    while (received < count) {
        while (sent < count && sctp_send(pair.ends[0], pair.now_us, &message) == 0)
            sent++;
        received += pair_step(&pair);
    }
    double ns = now_ns() - start;
    printf("%8zu bytes, %s, %u ‰ lost: %9.0f ns a message, %5.0f ns a packet, %5.1f Gbit/s\n", size,
           interleaving ? "I-DATA" : "DATA  ", losses, ns / (double)count,
           ns / (double)pair.packets, 8.0 * (double)(size * count) / ns);
    pair_done(&pair);
    blob_unref(content);
}

static void measure_memory(void)
{
    static struct pair pairs[ASSOCIATIONS];
    size_t before = heap_bytes();
    for (size_t i = 0; i < ASSOCIATIONS; i++) {
        pair_init(&pairs[i], true, 0);
        for (int n = 0; n < 4; n++)
            pair_step(&pairs[i]);
        ensure(sctp_streams(pairs[i].ends[0]) > 0);
    }
    printf("%zu bytes an idle association\n", (heap_bytes() - before) / (2 * ASSOCIATIONS));
    for (size_t i = 0; i < ASSOCIATIONS; i++)
        pair_done(&pairs[i]);
}

int main(void)
{
    static const size_t sizes[] = { 100, 1000, 16384, WINDOW / 4 };
    for (int interleaving = 0; interleaving < 2; interleaving++)
        for (size_t i = 0; i < array_size(sizes); i++)
            measure(sizes[i], interleaving, 0);
    measure(16384, true, 10);
    measure_memory();
    return 0;
}
