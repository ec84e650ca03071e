#include "proto/rtp/twcc_receiver.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/time.h"

/** Late packets move the next report back at most this far; older ones were called lost for good.
 */
enum { LATE_MAX = 512 };

static uint64_t *slot_of(const struct twcc_receiver *receiver, uint64_t sequence)
{
    return &receiver->arrivals_us[sequence % TWCC_RECEIVER_WINDOW];
}

void twcc_receiver_init(struct twcc_receiver *receiver, const struct twcc_receiver_config *config)
{
    *receiver = (struct twcc_receiver){ .config = *config, .deadline_us = TIME_NEVER };
}

void twcc_receiver_done(struct twcc_receiver *receiver)
{
    free(receiver->arrivals_us);
    receiver->arrivals_us = NULL;
}

/** Forgets everything and begins at `sequence`: the first packet, or one after a huge jump. */
static void restart(struct twcc_receiver *receiver, uint64_t sequence)
{
    if (!receiver->arrivals_us)
        receiver->arrivals_us = memory_new_array(uint64_t, TWCC_RECEIVER_WINDOW);
    for (size_t i = 0; i < TWCC_RECEIVER_WINDOW; i++)
        receiver->arrivals_us[i] = 0;
    receiver->next_sequence = sequence;
    receiver->end_sequence = sequence;
}

static void window_extend(struct twcc_receiver *receiver, uint64_t sequence)
{
    if (sequence - receiver->end_sequence >= TWCC_RECEIVER_WINDOW) {
        restart(receiver, sequence);
    } else {
        for (uint64_t at = receiver->end_sequence; at < sequence; at++)
            *slot_of(receiver, at) = 0;
    }
    *slot_of(receiver, sequence) = 0;
    receiver->end_sequence = sequence + 1;
    // what falls out of the window stays unreported
    if (receiver->end_sequence - receiver->next_sequence > TWCC_RECEIVER_WINDOW)
        receiver->next_sequence = receiver->end_sequence - TWCC_RECEIVER_WINDOW;
}

void twcc_receiver_packet(struct twcc_receiver *receiver, uint64_t now_us, uint16_t sequence,
                          uint32_t media_ssrc)
{
    bool first = !receiver->sequence.started;
    uint64_t unwrapped = rtp_sequence_unwrap(&receiver->sequence, sequence);
    if (first)
        restart(receiver, unwrapped);
    if (unwrapped >= receiver->end_sequence)
        window_extend(receiver, unwrapped);
    else if (unwrapped + LATE_MAX < receiver->end_sequence)
        return;
    uint64_t *slot = slot_of(receiver, unwrapped);
    if (*slot != 0)
        return;
    *slot = max_of(now_us, 1ull);
    if (unwrapped < receiver->next_sequence)
        receiver->next_sequence = unwrapped;
    receiver->media_ssrc = media_ssrc;
    receiver->pending++;
    if (receiver->deadline_us == TIME_NEVER)
        receiver->deadline_us = now_us + receiver->config.interval_us;
    if (receiver->pending >= receiver->config.packets_max)
        receiver->deadline_us = now_us;
}

uint64_t twcc_receiver_deadline(const struct twcc_receiver *receiver)
{
    return receiver->deadline_us;
}

bool twcc_receiver_output(struct twcc_receiver *receiver, uint64_t now_us, uint32_t sender_ssrc,
                          struct writer *writer)
{
    if (now_us < receiver->deadline_us)
        return false;
    struct twcc_arrival arrivals[TWCC_RECEIVER_WINDOW];
    size_t count = receiver->end_sequence - receiver->next_sequence;
    for (size_t i = 0; i < count; i++) {
        uint64_t time_us = *slot_of(receiver, receiver->next_sequence + i);
        arrivals[i] = (struct twcc_arrival){ .received = time_us != 0, .time_us = time_us };
    }
    size_t covered =
        twcc_feedback_write(writer, sender_ssrc, receiver->media_ssrc, receiver->feedback_count,
                            (uint16_t)receiver->next_sequence, arrivals, count);
    if (covered == 0)
        return false;
    receiver->feedback_count++;
    receiver->next_sequence += covered;
    if (receiver->next_sequence == receiver->end_sequence) {
        receiver->deadline_us = TIME_NEVER;
        receiver->pending = 0;
    }
    return true;
}
