// Probes of paths that may carry more (rtc_peer_probe): packets of the last moments are sent once
// more, at the pace asked for. Receivers take copies by RTX for what they are; packets of padding
// alone fill in where there is nothing to repeat.
#include "room/exchange_int.h"

/** What is repeated is among so many packets: they are in the ring still. */
#define BACK_MAX 64
/** What can be repeated is no larger. */
#define PACKET_MAX 1500
/** What a receiver may have repeated is for what it has lost: of that, so much is left to it. */
#define REPAIRS_KEPT (SUBSCRIPTION_REPAIRS / 2)
/** In one tick: 400 Mbit/s. */
#define TICK_PACKETS 200

void exchange_probe_check(struct exchange *exchange, struct exchange_peer *peer)
{
    struct rtc_probe wanted;
    if (list_empty(&peer->probe.by_exchange) && rtc_peer_probe(peer->rtc, &wanted))
        list_append(&exchange->probing, &peer->probe.by_exchange);
}

/** The video slot that has sent last, or any that could: NULL when none takes retransmissions. */
static struct subscription *filler_of(const struct exchange_peer *peer)
{
    struct subscription *best = NULL;
    uint64_t best_us = 0;
    for (size_t i = 0; i < peer->section_count; i++) {
        struct subscription *subscription = peer->subscriptions[i];
        if (!subscription || !rtc_sender_can_repair(subscription->sender))
            continue;
        struct rtc_numbers numbers;
        rtc_sender_start_numbers(subscription->sender, &numbers);
        if (best && numbers.sent_us <= best_us)
            continue;
        best = subscription;
        best_us = numbers.sent_us;
    }
    return best;
}

/** Sends one packet: the next one back that can be repeated, or padding. */
static bool fill(struct exchange_probe *probe, struct subscription *filler, uint64_t now_us,
                 struct datagram_batch *batch)
{
    if (rtc_sender_room(filler->sender, now_us, RTC_URGENCY_REPAIR) < PACKET_MAX)
        return false; // the path is full as it is
    struct rtc_numbers numbers;
    rtc_sender_start_numbers(filler->sender, &numbers);
    bool may_repeat = filler->repairs_left > REPAIRS_KEPT;
    for (int tries = 0; may_repeat && tries < BACK_MAX; tries++) {
        probe->back = (uint16_t)(probe->back % BACK_MAX + 1);
        uint16_t number = (uint16_t)(numbers.sequence - probe->back);
        uint32_t refused;
        if (subscription_repair(filler, now_us, batch, &number, 1, &refused) > 0)
            return true;
    }
    return rtc_sender_pad(filler->sender, now_us, batch);
}

/** Bytes of the probe that should have been sent by the end of this tick. */
static uint64_t due_bytes(const struct exchange_probe *probe, uint64_t now_us)
{
    uint64_t passed_us = now_us - probe->begun_us + FOLLOW_TICK_US;
    return probe->bitrate_bps * passed_us / (8 * TIME_US_PER_S);
}

/** What a peer's probe needs now. Returns false when it is over, or nothing can be sent for it. */
static bool tick_peer(struct exchange *exchange, struct exchange_peer *peer, uint64_t now_us,
                      struct datagram_batch *batch)
{
    struct exchange_probe *probe = &peer->probe;
    struct subscription *filler = filler_of(peer);
    struct rtc_probe wanted;
    for (uint32_t sent = 0; filler && sent < TICK_PACKETS; sent++) {
        if (!rtc_peer_probe(peer->rtc, &wanted))
            return false;
        if (wanted.bytes_left > probe->bytes_left || wanted.bitrate_bps != probe->bitrate_bps) {
            probe->begun_us = now_us;
            probe->bitrate_bps = wanted.bitrate_bps;
            probe->bytes = wanted.bytes_left;
            rtc_peer_probe_begin(peer->rtc, now_us);
        }
        probe->bytes_left = wanted.bytes_left;
        if (probe->bytes - wanted.bytes_left >= due_bytes(probe, now_us))
            return true;
        if (!fill(probe, filler, now_us, batch))
            return true;
        exchange_count(exchange, ROOM_METRIC_PROBE_PACKETS, 1);
        struct rtc_probe left;
        if (rtc_peer_probe(peer->rtc, &left) && left.bytes_left == wanted.bytes_left &&
            left.packets_left == wanted.packets_left)
            return false; // packets of this slot do not count: it has no transport-wide numbers
    }
    return filler;
}

void exchange_probe_tick(struct exchange *exchange, uint64_t now_us, struct datagram_batch *batch)
{
    struct exchange_probe *probe;
    list_each(probe, &exchange->probing, by_exchange)
    {
        struct exchange_peer *peer = container_of(probe, struct exchange_peer, probe);
        if (tick_peer(exchange, peer, now_us, batch))
            continue;
        list_remove(&probe->by_exchange);
        probe->bytes_left = 0;
    }
}
