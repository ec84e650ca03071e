#include "room/forward.h"

#include "base/memory.h"

/** Padding one packet costs a byte or two on the wire; below this many it saves nothing. */
#define PAD_BURST_MIN 3

/** Subscriptions that are fetched before their turn: each itself, then what its sender reads. */
#define AHEAD (1 + RTC_SENDER_DEPTH)

/** NULL at the end. */
static struct subscription *next_of(const struct track *track, struct list *at)
{
    return at->next == &track->subscriptions
               ? NULL
               : container_of(at->next, struct subscription, by_track);
}

/**
 * The state of many subscribers stays in no cache from one burst to the next. While one of them is
 * served, that of the next ones is fetched, each one pointer deeper than in the turn before.
 */
static void fetch(struct subscription *const ahead[AHEAD])
{
    if (ahead[AHEAD - 1])
        memory_prefetch(ahead[AHEAD - 1], sizeof(struct subscription));
    for (unsigned depth = 0; depth < RTC_SENDER_DEPTH; depth++) {
        const struct subscription *subscription = ahead[AHEAD - 2 - depth];
        if (subscription)
            rtc_sender_prefetch(subscription->sender, depth);
    }
}

uint32_t forward_burst(struct track *track, uint64_t now_us, struct datagram_batch *batch,
                       struct packet *const *packets, uint32_t count)
{
    struct subscription_burst burst = { .packets = packets, .count = count };
    // Packetizers split a frame into parts that differ by a byte; one size for all makes the burst
    // one UDP_SEGMENT message instead of several
    uint16_t largest = 0;
    for (uint32_t i = 0; i < count; i++) {
        largest = max_of(largest, media_info_of(packets[i])->payload_size);
        burst.bytes += packets[i]->size;
    }
    burst.pad_to = count < PAD_BURST_MIN ? 0 : largest;
    struct subscription *ahead[AHEAD];
    ahead[0] = next_of(track, &track->subscriptions);
    for (int i = 1; i < AHEAD; i++)
        ahead[i] = ahead[i - 1] ? next_of(track, &ahead[i - 1]->by_track) : NULL;
    uint32_t sent = 0;
    while (ahead[0]) {
        struct subscription *subscription = ahead[0];
        for (int i = 1; i < AHEAD; i++)
            ahead[i - 1] = ahead[i];
        struct subscription *last = ahead[AHEAD - 2];
        ahead[AHEAD - 1] = last ? next_of(track, &last->by_track) : NULL;
        fetch(ahead);
        sent += subscription_forward(subscription, now_us, batch, &burst);
    }
    return sent;
}
