#include "room/forward.h"

/** Padding one packet costs a byte or two on the wire; below this many it saves nothing. */
#define PAD_BURST_MIN 3

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
    uint32_t sent = 0;
    struct subscription *subscription;
    list_each(subscription, &track->subscriptions, by_track) sent +=
        subscription_forward(subscription, now_us, batch, &burst);
    return sent;
}
