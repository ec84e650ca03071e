// Two associations that talk, with the other end turned hostile: the input says what becomes of
// each packet (it comes, is lost, comes twice, with changed bytes, or chunks of the attacker's own
// come in its place), what the applications do, and how time passes. Nothing may break, and what
// either end holds stays within its bounds.
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/sctp/sctp_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WINDOW   (128u << 10)
#define CAPACITY (64u << 10)
#define STEPS    600

enum action {
    ACTION_DELIVER,
    ACTION_DELIVER_ALSO, // more often than the others
    ACTION_LOSE,
    ACTION_REPEAT,
    ACTION_CHANGE,
    ACTION_OWN_CHUNKS,
    ACTION_WAIT,
    ACTION_SEND,
    ACTION_RESET,
    ACTION_SHUTDOWN,
    ACTION_ABORT,
    ACTION_READ,
    ACTION_COUNT
};

static void check(const struct sctp *sctp)
{
    // an event besides messages may be added to a full queue: a reset, the end
    ensure(sctp->events.held + sctp->reassembly.held <=
           WINDOW + SCTP_WINDOW_OVERDRAFT + 2048 * SCTP_EVENT_COST);
    ensure(sctp->reassembly.piece_count <= 2 * SCTP_PIECES_MAX);
    ensure(sctp_buffered(sctp) <= CAPACITY);
    ensure(sctp->tracking.block_count <= SCTP_BLOCKS_MAX);
    uint32_t flying = 0;
    for (uint32_t i = 0; i < sctp->flight.count; i++)
        if (sctp_flight_at(&sctp->flight, i)->state == SCTP_SENT_FLYING)
            flying += sctp_flight_at(&sctp->flight, i)->size +
                      (uint32_t)sctp_data_header_size(sctp->features.interleaving);
    ensure(flying == sctp->flight.flying);
}

static void give(struct sctp *sctp, uint64_t now_us, const uint8_t *data, size_t size)
{
    uint8_t *copy = memory_copy(data, size);
    sctp_input(sctp, now_us, bytes_of(copy, size));
    free(copy);
    check(sctp);
}

/** Chunks from the input behind a header that is right. */
static void give_own(struct reader *input, struct sctp *sctp, uint64_t now_us)
{
    uint8_t bytes[512];
    struct writer packet = writer_of(bytes, sizeof(bytes));
    uint32_t tag = reader_u8(input) % 4 ? sctp->local_tag : 0;
    sctp_packet_begin(&packet, &(struct sctp_header){ 5000, 5000, tag });
    struct bytes chunks = reader_bytes(input, min_of(reader_u8(input) + 0u, reader_left(input)));
    writer_bytes(&packet, chunks.data, chunks.size);
    // numbers that are near ours get further: the first TSN of a chunk is taken as a distance
    if (packet.size >= SCTP_HEADER_SIZE + 8) {
        uint32_t base = bytes[SCTP_HEADER_SIZE] == SCTP_SACK ? sctp->flight.first_tsn
                                                             : sctp->tracking.cumulative;
        store_u32(bytes + 16, base + load_u32(bytes + 16) % 64);
    }
    give(sctp, now_us, bytes, packet.size);
}

static void attack(struct reader *input, struct sctp *to, uint64_t *now_us, uint8_t *data,
                   size_t size, enum action action)
{
    switch (action) {
    case ACTION_LOSE:
        break;
    case ACTION_REPEAT:
        give(to, *now_us, data, size);
        give(to, *now_us, data, size);
        break;
    case ACTION_CHANGE:
        data[reader_u16(input) % size] ^= reader_u8(input);
        store_u32(data + 8, 0); // no checksum
        give(to, *now_us, data, size);
        break;
    default:
        give(to, *now_us, data, size);
        break;
    }
}

static void act(struct reader *input, struct sctp *sctp, uint64_t *now_us, enum action action)
{
    uint8_t *at;
    struct sctp_event event;
    struct sctp_message message = { .stream = reader_u8(input) % 8 };
    switch (action) {
    case ACTION_OWN_CHUNKS:
        give_own(input, sctp, *now_us);
        break;
    case ACTION_WAIT:
        *now_us += 1000u * reader_u16(input);
        break;
    case ACTION_SEND:
        message.content = blob_new_uninit(reader_u16(input) % 9000, &at);
        ensure(message.content != NULL);
        memset(at, 0x55, blob_bytes(message.content).size);
        message.unordered = reader_u8(input) & 1;
        message.retransmits_max = reader_u8(input) & 1 ? UINT32_MAX : 0;
        message.lifetime_us = reader_u8(input) & 1 ? 100000 : 0;
        ensure(sctp_send(sctp, *now_us, &message) <= 0);
        blob_unref(message.content);
        break;
    case ACTION_RESET:
        ensure(sctp_reset_stream(sctp, message.stream) <= 0);
        break;
    case ACTION_SHUTDOWN:
        sctp_shutdown(sctp);
        break;
    case ACTION_ABORT:
        sctp_abort(sctp);
        break;
    case ACTION_READ:
        while (sctp_event(sctp, &event))
            blob_unref(event.message);
        break;
    default:
        break;
    }
    check(sctp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader input = reader_of(data, size);
    struct random random;
    random_seeded_init(&random, 1);
    uint8_t choices = reader_u8(&input);
    struct sctp *ends[2];
    for (int i = 0; i < 2; i++)
        ends[i] = sctp_new(&(struct sctp_config){
            .local_port = 5000,
            .remote_port = 5000,
            .streams = 8,
            .receive_window = WINDOW,
            .send_capacity = CAPACITY,
            .message_size_max = 32u << 10,
            .features = { choices & 1, choices & 2, choices & 4, true },
            .random = &random,
        });
    sctp_connect(ends[0]);
    if (choices & 8)
        sctp_connect(ends[1]);
    uint64_t now_us = 1;
    for (int step = 0; step < STEPS && reader_left(&input) > 0; step++) {
        int side = step & 1;
        uint8_t byte = reader_u8(&input);
        enum action action = byte % ACTION_COUNT;
        uint8_t packet[SCTP_PACKET_SIZE_MAX];
        if (action > ACTION_CHANGE)
            act(&input, ends[side], &now_us, action);
        size_t length = sctp_output(ends[side], now_us, packet);
        if (length > 0)
            attack(&input, ends[1 - side], &now_us, packet, length, action);
        else
            ensure(sctp_deadline(ends[side]) > 0); // else whoever serves it would spin
        sctp_tick(ends[side], now_us);
        check(ends[side]);
    }
    sctp_free(ends[0]);
    sctp_free(ends[1]);
    return 0;
}
