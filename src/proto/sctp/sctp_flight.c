#include "proto/sctp/sctp_flight_int.h"

#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"

#define CAPACITY_FIRST 16u
/** An empty flight that was larger gives its memory back. */
#define CAPACITY_KEPT 128u

void sctp_flight_init(struct sctp_flight *flight, struct sctp_send_queue *queue, uint32_t first_tsn)
{
    *flight = (struct sctp_flight){ .queue = queue, .first_tsn = first_tsn };
}

static uint32_t wire_size(const struct sctp_flight *flight, const struct sctp_sent *sent)
{
    return (uint32_t)sctp_data_header_size(flight->queue->interleaving) + sent->size;
}

/** Takes a chunk out of the sums of its state. */
static void leave_state(struct sctp_flight *flight, const struct sctp_sent *sent)
{
    if (sent->state == SCTP_SENT_FLYING)
        flight->flying -= wire_size(flight, sent);
    else if (sent->state == SCTP_SENT_LOST)
        flight->lost_count--;
    else if (sent->state == SCTP_SENT_ACKNOWLEDGED)
        flight->acknowledged_count--;
}

static void enter_state(struct sctp_flight *flight, struct sctp_sent *sent,
                        enum sctp_sent_state state)
{
    leave_state(flight, sent);
    sent->state = (uint8_t)state;
    if (state == SCTP_SENT_FLYING)
        flight->flying += wire_size(flight, sent);
    else if (state == SCTP_SENT_LOST)
        flight->lost_count++;
    else if (state == SCTP_SENT_ACKNOWLEDGED)
        flight->acknowledged_count++;
}

static void remove_first(struct sctp_flight *flight)
{
    struct sctp_sent *sent = sctp_flight_at(flight, 0);
    leave_state(flight, sent);
    sctp_send_queue_chunk_done(flight->queue, sent->message, sent->size);
    flight->at = (flight->at + 1) & (flight->capacity - 1);
    flight->first_tsn++;
    flight->count--;
}

void sctp_flight_done(struct sctp_flight *flight)
{
    while (flight->queue && flight->count > 0)
        remove_first(flight);
    free(flight->ring);
    flight->ring = NULL;
    flight->capacity = 0;
}

static void resize(struct sctp_flight *flight, uint32_t capacity)
{
    ensure(flight->count <= capacity);
    struct sctp_sent *ring = capacity ? memory_new_array(struct sctp_sent, capacity) : NULL;
    for (uint32_t i = 0; i < flight->count; i++)
        ring[i] = *sctp_flight_at(flight, i);
    free(flight->ring);
    flight->ring = ring;
    flight->capacity = capacity;
    flight->at = 0;
}

/** A new chunk at the end; its message is told. */
static struct sctp_sent *append(struct sctp_flight *flight, struct sctp_outgoing *message,
                                uint16_t size)
{
    if (flight->count == flight->capacity)
        resize(flight, flight->capacity ? 2 * flight->capacity : CAPACITY_FIRST);
    struct sctp_sent *sent = sctp_flight_at(flight, flight->count);
    *sent = (struct sctp_sent){
        .message = message,
        .offset = message->sent,
        .size = size,
        .state = SCTP_SENT_ABANDONED,
        .fragment = message->fragments,
    };
    sctp_send_queue_take(flight->queue, message, size, sctp_flight_next_tsn(flight));
    flight->count++;
    return sent;
}

static void mark_sent(struct sctp_flight *flight, uint64_t now_us, struct sctp_sent *sent)
{
    enter_state(flight, sent, SCTP_SENT_FLYING);
    sent->times++;
    sent->order = flight->order;
    sent->sent_us = now_us;
}

uint32_t sctp_flight_send(struct sctp_flight *flight, uint64_t now_us,
                          struct sctp_outgoing *message, uint16_t size)
{
    mark_sent(flight, now_us, append(flight, message, size));
    return flight->count - 1;
}

void sctp_flight_resend(struct sctp_flight *flight, uint64_t now_us, uint32_t index)
{
    mark_sent(flight, now_us, sctp_flight_at(flight, index));
}

static bool may_be_resent(const struct sctp_sent *sent, uint64_t now_us)
{
    return sent->times <= sent->message->retransmits_max && now_us < sent->message->expires_us;
}

bool sctp_flight_next_lost(struct sctp_flight *flight, uint64_t now_us, uint32_t *ret_index)
{
    for (uint32_t i = 0; flight->lost_count > 0; i++) {
        struct sctp_sent *sent = sctp_flight_at(flight, i);
        if (sent->state != SCTP_SENT_LOST)
            continue;
        if (may_be_resent(sent, now_us)) {
            *ret_index = i;
            return true;
        }
        sctp_flight_abandon(flight, sent->message);
    }
    return false;
}

void sctp_flight_abandon(struct sctp_flight *flight, struct sctp_outgoing *message)
{
    flight->abandoned_count++;
    uint32_t left = message->chunks;
    if (message->fragments > 0 && message->sent < message->size)
        // The receiver may have all that was sent: a chunk that never comes ends the message for
        // it, too, as soon as FORWARD-TSN has skipped it.
        append(flight, message, 0);
    // chunks that are done with were the message's first ones
    uint32_t index = left > 0 && sctp_after(message->first_tsn, flight->first_tsn)
                         ? message->first_tsn - flight->first_tsn
                         : 0;
    for (; left > 0; index++) {
        struct sctp_sent *sent = sctp_flight_at(flight, index);
        if (sent->message != message)
            continue;
        enter_state(flight, sent, SCTP_SENT_ABANDONED);
        left--;
    }
    sctp_send_queue_give_up(flight->queue, message);
}

// Acknowledgement

/** What the chunks acknowledged by one SACK have in common. */
struct news {
    struct sctp_acknowledged *result;
    bool any;
    uint32_t order; /**< highest among them */
};

static void note_acknowledged(const struct sctp_flight *flight, uint64_t now_us,
                              const struct sctp_sent *sent, struct news *news)
{
    if (sent->state != SCTP_SENT_FLYING && sent->state != SCTP_SENT_LOST)
        return;
    news->result->bytes += wire_size(flight, sent);
    if (news->any && !sctp_after(sent->order, news->order))
        return;
    news->any = true;
    news->order = sent->order;
    // Karn's rule: which transmission was it?
    news->result->measured = sent->times == 1;
    news->result->rtt_us = now_us - sent->sent_us;
}

/**
 * Walks the chunks beside the blocks: both ascend. What stands between the blocks and was in one
 * before is taken back. Beyond the last block a SACK says nothing: not all blocks may have fitted.
 */
static void take_gaps(struct sctp_flight *flight, uint64_t now_us, const struct sctp_sack *sack,
                      struct news *news, uint32_t *ret_reach)
{
    uint32_t offset = 1, previous = 0, block = 0;
    for (; block < sack->gap_count; block++) {
        struct sctp_gap gap = sctp_sack_gap(sack, block);
        if (gap.first <= previous || gap.last < gap.first || gap.last > flight->count)
            break; // not as RFC 9260, 3.3.4 wants it: the rest tells nothing
        previous = gap.last;
        for (; offset <= gap.last; offset++) {
            struct sctp_sent *sent = sctp_flight_at(flight, offset - 1);
            bool covered = offset >= gap.first;
            if (covered && sent->state != SCTP_SENT_ABANDONED) {
                note_acknowledged(flight, now_us, sent, news);
                enter_state(flight, sent, SCTP_SENT_ACKNOWLEDGED);
            } else if (!covered && sent->state == SCTP_SENT_ACKNOWLEDGED) {
                enter_state(flight, sent, SCTP_SENT_LOST);
            }
        }
    }
    *ret_reach = previous;
}

static void find_lost(struct sctp_flight *flight, uint32_t reach, struct news *news)
{
    for (uint32_t i = 0; i < reach; i++) {
        struct sctp_sent *sent = sctp_flight_at(flight, i);
        if (sent->state != SCTP_SENT_FLYING ||
            !sctp_at_least(news->order, sent->order + SCTP_REORDERING))
            continue;
        enter_state(flight, sent, SCTP_SENT_LOST);
        news->result->lost = true;
    }
}

int sctp_flight_acknowledge(struct sctp_flight *flight, uint64_t now_us,
                            const struct sctp_sack *sack, struct sctp_acknowledged *ret_result)
{
    uint32_t before = flight->first_tsn - 1;
    if (sctp_after(before, sack->tsn))
        return -ESTALE;
    if (sctp_at_least(sack->tsn, sctp_flight_next_tsn(flight)))
        return -EPROTO;
    *ret_result = (struct sctp_acknowledged){ .advanced = sack->tsn != before };
    struct news news = { .result = ret_result };
    while (sctp_at_least(sack->tsn, flight->first_tsn)) {
        note_acknowledged(flight, now_us, sctp_flight_at(flight, 0), &news);
        remove_first(flight);
    }
    if (sack->gap_count > 0 || flight->acknowledged_count > 0) {
        uint32_t reach;
        take_gaps(flight, now_us, sack, &news, &reach);
        if (news.any)
            find_lost(flight, reach, &news);
    }
    if (flight->count == 0 && flight->capacity > CAPACITY_KEPT)
        resize(flight, 0);
    return 0;
}

void sctp_flight_time_out(struct sctp_flight *flight)
{
    // when nothing else is left, the receiver has dropped what it had reported
    enum sctp_sent_state lost =
        flight->flying > 0 || flight->lost_count > 0 ? SCTP_SENT_FLYING : SCTP_SENT_ACKNOWLEDGED;
    for (uint32_t i = 0; i < flight->count; i++) {
        struct sctp_sent *sent = sctp_flight_at(flight, i);
        if (sent->state == lost)
            enter_state(flight, sent, SCTP_SENT_LOST);
    }
}

// Partial reliability

/** Notes that a message is skipped; false when there is no room for one stream more. */
static bool note_skip(struct sctp_skip skips[SCTP_SKIPS_MAX], size_t *count, bool interleaving,
                      const struct sctp_outgoing *message)
{
    // RFC 3758, 3.2: unordered DATA messages are not named
    if (message->unordered && !interleaving)
        return true;
    for (size_t i = 0; i < *count; i++) {
        if (skips[i].stream != message->stream->id || skips[i].unordered != message->unordered)
            continue;
        if (sctp_after(message->number, skips[i].message))
            skips[i].message = message->number;
        return true;
    }
    if (*count == SCTP_SKIPS_MAX)
        return false;
    skips[(*count)++] =
        (struct sctp_skip){ message->stream->id, message->unordered, message->number };
    return true;
}

bool sctp_flight_forward(const struct sctp_flight *flight, uint32_t *ret_tsn,
                         struct sctp_skip skips[SCTP_SKIPS_MAX], size_t *ret_skip_count)
{
    size_t count = 0;
    uint32_t index = 0;
    for (; index < flight->count; index++) {
        const struct sctp_sent *sent = sctp_flight_at(flight, index);
        if (sent->state != SCTP_SENT_ABANDONED ||
            !note_skip(skips, &count, flight->queue->interleaving, sent->message))
            break;
    }
    *ret_tsn = flight->first_tsn + index - 1;
    *ret_skip_count = count;
    return index > 0;
}
