#include "sim/world_int.h"

#include "rtc/peer_int.h"
#include "support/check.h"

static void extend_client(struct world_client *client, uint64_t now_us)
{
    const struct world_extension *extension = &client->world->extension;
    if (extension->client)
        extension->client(extension->owner, now_us, client);
}

static void count_received(struct world_client *client, uint16_t section, struct packet *packet)
{
    struct world_received *received = &client->received[section];
    const struct media_info *info = media_info_of(packet);
    uint16_t place = (uint16_t)info->sequence;
    bool seen = received->seen[place / 8] & 1u << place % 8;
    if (seen && info->repaired) {
        // a probe's filler, or a repair that was not needed any more
        received->repeated++;
        return;
    }
    received->packets++;
    if (!seen) {
        received->seen[place / 8] = (uint8_t)(received->seen[place / 8] | 1u << place % 8);
        received->distinct++;
    }
    if (received->oldest == 0 || info->sequence < received->oldest)
        received->oldest = info->sequence;
    received->newest = max_of(received->newest, info->sequence);
    received->key_frames += info->key_frame;
    received->frames += info->marker;
    struct bytes delay =
        rtp_extensions_get(&info->extensions, RTP_EXTENSION_PLAYOUT_DELAY, packet->bytes);
    if (delay.size == 3) {
        received->delays_told++;
        received->delay = load_u24(delay.data);
    }
    struct bytes payload = media_payload_of(packet);
    if (payload.size >= 20) {
        received->last_frame = load_u32(payload.data + payload.size - 8);
        received->layer = payload.data[payload.size - 9];
        received->last_timestamp = info->timestamp;
        received->publisher = load_u32(payload.data + payload.size - 4);
        if (client->sections[section].kind == RTC_KIND_VIDEO)
            world_decode(&received->decoder, payload);
    }
}

static void repair(struct world_client *client, uint64_t now_us, const struct rtc_event *event)
{
    for (uint16_t i = 0; i < event->lost_count; i++) {
        uint64_t newest = client->output[event->section] - 1;
        uint64_t lost = newest - (uint16_t)((uint16_t)newest - event->lost[i]);
        struct packet *packet = packet_ring_find(&client->sent[event->section], lost);
        if (!packet)
            continue;
        struct rtc_outgoing outgoing =
            world_outgoing(client, event->section, media_info_of(packet));
        rtc_sender_resend(rtc_peer_sender(client->peer, event->section), now_us, &client->repairs,
                          packet, &outgoing);
    }
}

static void take_client_events(struct world_client *client, uint64_t now_us)
{
    struct rtc_event event;
    while (rtc_peer_event(client->peer, &event)) {
        if (event.kind == RTC_EVENT_NACK)
            repair(client, now_us, &event);
        if (event.kind == RTC_EVENT_CLOCK)
            client->received[event.section].clock = event.clock;
        client->connected |= event.kind == RTC_EVENT_CONNECTED;
        client->failed |= event.kind == RTC_EVENT_FAILED;
        client->key_frames_asked += event.kind == RTC_EVENT_KEY_FRAME_WANTED;
        if (event.kind == RTC_EVENT_KEY_FRAME_WANTED)
            client->key_frame_next = true;
    }
}

static void client_input(void *owner, uint64_t now_us, const struct net_path *path,
                         struct bytes datagram)
{
    struct world_client *client = owner;
    struct rtc_media media = { .count = 0 };
    // RFC 7983 and RFC 5761: RTP, not RTCP
    if (client->tap && datagram.size > 12 && datagram.data[0] >> 6 == 2 &&
        (datagram.data[1] < 192 || datagram.data[1] > 223)) {
        uint8_t plain[PACKET_BYTES_MAX];
        ssize_t size =
            secure_rtp_unprotect(client->peer->receiving, datagram, plain, sizeof(plain), NULL);
        if (size > 0)
            client->tap(client->tap_owner, bytes_of(plain, (size_t)size));
        return;
    }
    (void)rtc_peer_input(client->peer, now_us, path, datagram, &media);
    for (uint32_t i = 0; i < media.count; i++) {
        count_received(client, media.sections[i], media.packets[i]);
        if (client->take)
            client->take(client->taker, media.sections[i], media.packets[i]);
        packet_unref(media.packets[i]);
    }
    take_client_events(client, now_us);
    extend_client(client, now_us);
}

static void client_tick(void *owner, uint64_t now_us)
{
    struct world_client *client = owner;
    rtc_peer_tick(client->peer, now_us);
    take_client_events(client, now_us);
    extend_client(client, now_us);
}

static uint64_t client_deadline(void *owner)
{
    struct world_client *client = owner;
    uint64_t deadline_us = rtc_peer_deadline(client->peer);
    if (!datagram_batch_empty(&client->repairs))
        return 0;
    return client->publishing ? time_earlier(deadline_us, client->next_frame_us) : deadline_us;
}

void world_send_rtcp(struct world_client *client, struct bytes plain)
{
    uint8_t *at = datagram_batch_reserve(&client->repairs, DATAGRAM_SIZE_MAX);
    assert_non_null(at);
    ssize_t size = secure_rtcp_protect(client->peer->sending, plain, at, DATAGRAM_SIZE_MAX);
    assert_true(size > 0);
    datagram_batch_commit(&client->repairs, &client->peer->path, (size_t)size);
}

static void client_output(void *owner, uint64_t now_us, struct datagram_batch *batch)
{
    struct world_client *client = owner;
    rtc_peer_output(client->peer, now_us, batch);
    world_move_batch(&client->repairs, batch);
    if (!client->publishing || client->next_frame_us > now_us)
        return;
    world_publish_frame(client, now_us, batch);
    client->next_frame_us = now_us + world_frame_us(client);
}

const struct network_ops world_client_ops = { client_input, client_tick, client_deadline,
                                              client_output };
