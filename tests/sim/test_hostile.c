// What clients and networks do to a call that they should not: the server and the others stay well.
#include <stdlib.h>

#include "base/memory.h"
#include "proto/rtp/rtcp.h"
#include "rtc/peer_int.h"
#include "sim/world.h"
#include "support/check.h"

/** A publisher of sound and picture on one worker, watched by a client of another. */
static struct world *a_call(uint16_t subscriber_worker)
{
    struct world *world = world_new(11);
    struct world_client *publisher = world_add_client(world, 0);
    struct world_client *subscriber = world_add_client(world, subscriber_worker);
    struct network_pipe_config config = { .delay_us = 10000 };
    for (int i = 0; i < 2; i++) {
        world_add_section(publisher, i == 0 ? RTC_KIND_AUDIO : RTC_KIND_VIDEO, true);
        world_add_section(subscriber, i == 0 ? RTC_KIND_AUDIO : RTC_KIND_VIDEO, false);
    }
    for (uint32_t i = 0; i < world->client_count; i++) {
        world_negotiate(&world->clients[i]);
        network_pipe_set(network_uplink(world->clients[i].endpoint), &config);
        network_pipe_set(network_downlink(world->clients[i].endpoint), &config);
    }
    assert_true(world_connect(world, time_from_s(5)));
    world->clients[0].publishing = true;
    network_run(world->net, time_from_ms(300));
    world_show(subscriber, 0, publisher, 0);
    world_show(subscriber, 1, publisher, 1);
    network_run(world->net, time_from_s(2));
    assert_true(subscriber->received[1].frames > 40);
    return world;
}

static void expect_picture(struct world *world)
{
    uint32_t before = world->clients[1].received[1].frames;
    network_run(world->net, time_from_s(3));
    assert_true(world->clients[1].received[1].frames > before + 60);
}

static void test_a_slot_that_rested_goes_on_where_it_stopped(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *subscriber = &world->clients[1];
    for (int i = 0; i < 3; i++) {
        world_rest(subscriber, 1, true);
        network_run(world->net, time_from_ms(500));
        world_rest(subscriber, 1, false);
        world_show(subscriber, 1, &world->clients[0], 1);
        expect_picture(world);
    }
    // no number came twice under the same keys
    assert_int_equal(world->workers[1].thread.counters.secure_rtp[SECURE_RTP_REFUSED_REPEATED], 0);
    assert_int_equal(world->clients[1].thread.counters.secure_rtp[SECURE_RTP_DROP_REPLAYED], 0);
    assert_int_equal(subscriber->received[1].packets, subscriber->received[1].distinct);
    world_free(world);
}

static void test_a_publication_that_rested_is_understood_after_a_rollover(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    // its numbers began at 65500: they have gone round
    world_rest(&world->clients[0], 1, true);
    network_run(world->net, time_from_ms(500));
    world_rest(&world->clients[0], 1, false);
    world_show(&world->clients[1], 1, &world->clients[0], 1);
    expect_picture(world);
    assert_int_equal(world->workers[0].thread.counters.secure_rtp[SECURE_RTP_DROP_UNAUTHENTIC], 0);
    world_free(world);
}

static void test_jumping_numbers_do_not_kill_a_slot(void **state)
{
    (void)state;
    struct world *world = a_call(0);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    network_pipe_cut(network_downlink(subscriber->endpoint), true);
    for (int i = 0; i < 3; i++) {
        publisher->output[0] += 30000;
        publisher->output[1] += 30000;
        network_run(world->net, time_from_ms(100));
    }
    network_pipe_cut(network_downlink(subscriber->endpoint), false);
    expect_picture(world);
    assert_int_equal(subscriber->thread.counters.secure_rtp[SECURE_RTP_DROP_UNAUTHENTIC], 0);
    world_free(world);
}

/** Keeps copies of the publisher's media as it enters the network. */
struct recorder {
    uint32_t ssrc;
    bool withholds; /**< what it copies goes no further */
    size_t count;
    struct {
        size_t size;
        uint8_t bytes[1500];
    } datagrams[256];
};

static enum network_verdict record(void *owner, uint64_t now_us, const struct net_path *path,
                                   uint8_t *data, size_t size)
{
    (void)now_us;
    (void)path;
    struct recorder *recorder = owner;
    if (size > 12 && data[0] >> 6 == 2 && load_u32(data + 8) == recorder->ssrc &&
        recorder->count < array_size(recorder->datagrams)) {
        recorder->datagrams[recorder->count].size = size;
        memcpy(recorder->datagrams[recorder->count++].bytes, data, size);
        return recorder->withholds ? NETWORK_DROP : NETWORK_PASS;
    }
    return NETWORK_PASS;
}

static uint32_t play_again(struct world *world, const struct recorder *recorder)
{
    struct world_client *client = &world->clients[0];
    struct net_path path = { .local = world->server_address, .remote = client->address };
    uint32_t accepted = 0;
    for (size_t i = 0; i < recorder->count; i++) {
        struct rtc_media media = { .count = 0 };
        (void)rtc_peer_input(client->server_peer, network_now(world->net), &path,
                             bytes_of(recorder->datagrams[i].bytes, recorder->datagrams[i].size),
                             &media);
        accepted += media.count;
        for (uint32_t m = 0; m < media.count; m++)
            packet_unref(media.packets[m]);
    }
    return accepted;
}

static void test_a_publisher_begins_anew_with_another_ssrc(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *publisher = &world->clients[0];
    struct recorder *recorder = memory_new(struct recorder);
    recorder->ssrc = publisher->sections[1].ssrc;
    struct network_pipe_config config = { .filter = record, .filter_owner = recorder };
    network_pipe_set(network_uplink(publisher->endpoint), &config);
    network_run(world->net, time_from_s(1));
    assert_true(recorder->count > 100);
    publisher->sections[1].ssrc += 5000;
    publisher->sections[1].rtx_ssrc += 5000;
    world_negotiate(publisher);
    expect_picture(world);
    // what somebody recorded before is not taken for new: not by its replay window, not by its name
    assert_int_equal(play_again(world, recorder), 0);
    expect_picture(world);
    const struct world_received *video = &world->clients[1].received[1];
    assert_int_equal(video->distinct, video->newest - video->oldest + 1);
    free(recorder);
    world_free(world);
}

/** Packets of before a rest come late, when another SSRC has the place already. */
static void test_a_publisher_that_rested_begins_anew_with_another_ssrc(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *publisher = &world->clients[0];
    struct recorder *recorder = memory_new(struct recorder);
    recorder->ssrc = publisher->sections[1].ssrc;
    recorder->withholds = true;
    struct network_pipe_config config = { .filter = record, .filter_owner = recorder };
    network_pipe_set(network_uplink(publisher->endpoint), &config);
    network_run(world->net, time_from_ms(100));
    assert_true(recorder->count > 5);
    recorder->ssrc = 0;
    world_rest(publisher, 1, true);
    network_run(world->net, time_from_ms(500));
    publisher->sections[1].ssrc += 5000;
    publisher->sections[1].rtx_ssrc += 5000;
    world_rest(publisher, 1, false);
    world_show(&world->clients[1], 1, publisher, 1);
    expect_picture(world);
    assert_int_equal(play_again(world, recorder), 0);
    expect_picture(world);
    free(recorder);
    world_free(world);
}

static void test_nacks_cost_no_more_than_the_media_did(void **state)
{
    (void)state;
    struct world *world = a_call(0);
    struct world_client *subscriber = &world->clients[1];
    uint16_t newest = (uint16_t)subscriber->received[1].newest;
    uint8_t bytes[1200];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    uint16_t lost[150];
    for (uint16_t i = 0; i < array_size(lost); i++)
        lost[i] = (uint16_t)(newest - array_size(lost) + i);
    uint32_t ssrc = rtc_peer_sender(subscriber->server_peer, 1)->ssrc;
    for (int i = 0; i < 20; i++)
        rtcp_nack_write(&writer, 1, ssrc, lost, array_size(lost));
    metric_value *sent = &world->workers[0].thread.counters.values[RTC_METRIC_RTX_SENT];
    uint64_t before = *sent;
    for (int i = 0; i < 20; i++)
        world_send_rtcp(subscriber, bytes_of(bytes, writer.size));
    network_run(world->net, time_from_ms(500));
    assert_in_range(*sent - before, 50, 700);
    const struct room_metrics *metrics = exchange_metrics(world->workers[0].exchange);
    assert_true(metrics->values[ROOM_METRIC_REPAIRS_REFUSED] > 1000);
    expect_picture(world);
    world_free(world);
}

static void test_sender_reports_cross_to_other_workers_at_a_bounded_rate(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *publisher = &world->clients[0];
    uint8_t bytes[1200];
    struct writer writer = writer_of(bytes, sizeof(bytes));
    struct rtcp_sender_info info = { .ssrc = publisher->sections[1].ssrc, .ntp = 1ull << 62 };
    for (int i = 0; i < 40; i++)
        rtcp_sender_report_write(&writer, &info, NULL, 0);
    uint32_t before = world->clock_messages;
    for (int i = 0; i < 20; i++)
        world_send_rtcp(publisher, bytes_of(bytes, writer.size));
    network_run(world->net, time_from_ms(50));
    assert_in_range(world->clock_messages - before, 0, 2);
    world_free(world);
}

/** When the publisher captured the last frame received, by the sender reports of its slot. */
static int64_t captured_us(const struct world_received *received, int64_t clock_rate_hz)
{
    assert_true(received->clock.valid);
    int64_t units = (int32_t)(received->last_timestamp - received->clock.timestamp);
    return (int64_t)received->clock.unix_us + units * 1000000 / clock_rate_hz;
}

static void expect_lips_within(struct world *world, uint64_t tolerance_us)
{
    const struct world_received *received = world->clients[1].received;
    // frames have numbers that sound and picture share: 33.3 ms from one to the next
    int64_t between = ((int64_t)received[1].last_frame - received[0].last_frame) * 100000 / 3;
    int64_t skew_us = captured_us(&received[1], 90000) - captured_us(&received[0], 48000) - between;
    assert_in_range((uint64_t)skew_us + tolerance_us, 0, 2 * tolerance_us);
}

static void expect_lips_in_step(struct world *world)
{
    expect_lips_within(world, 5000);
}

static void test_sound_and_picture_of_a_publisher_share_a_clock(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct network_pipe_config config = { .delay_us = 30000, .jitter_us = 20000, .loss = 0.02 };
    network_pipe_set(network_uplink(world->clients[0].endpoint), &config);
    for (int i = 0; i < 5; i++) {
        network_run(world->net, time_from_s(3));
        expect_lips_in_step(world);
    }
    world_free(world);
}

static void test_a_publisher_whose_clock_is_set_stays_in_step(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    network_run(world->net, time_from_s(3));
    static const int64_t steps_us[] = { -3000000000000000, 3000000000000000, -3600000000,
                                        7200000000 };
    for (size_t i = 0; i < array_size(steps_us); i++) {
        world->clients[0].thread.unix_offset_us += steps_us[i];
        network_run(world->net, time_from_s(6));
        expect_lips_in_step(world);
        // and our reports go on telling our own time
        uint64_t now_us =
            (uint64_t)((int64_t)network_now(world->net) + world->clients[1].thread.unix_offset_us);
        int64_t age_us = (int64_t)(now_us - world->clients[1].received[1].clock.unix_us);
        assert_in_range((uint64_t)(age_us + 3000000), 0, 6000000);
    }
    world_free(world);
}

static void test_a_new_stream_is_not_told_by_the_old_ones_clock(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *publisher = &world->clients[0];
    network_run(world->net, time_from_s(3));
    world->lost_kinds = 1u << EXCHANGE_CLOCK;
    publisher->sections[1].ssrc += 5000;
    publisher->sections[1].rtx_ssrc += 5000;
    publisher->video_timestamp += 900000; // ten seconds in its numbers, none in truth
    world_negotiate(publisher);
    network_run(world->net, time_from_s(3));
    expect_lips_within(world, 100000);
    world->lost_kinds = 0;
    network_run(world->net, time_from_s(3));
    expect_lips_in_step(world);
    world_free(world);
}

static void test_a_blocked_publisher_is_not_asked_for_key_frames(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *publisher = &world->clients[0];
    exchange_publication_block(world->workers[0].exchange, publisher->session, 1, true);
    network_run(world->net, time_from_ms(200));
    uint32_t asked = publisher->key_frames_asked;
    uint32_t frames = world->clients[1].received[1].frames;
    network_run(world->net, time_from_s(5));
    assert_int_equal(publisher->key_frames_asked, asked);
    assert_int_equal(world->clients[1].received[1].frames, frames);
    exchange_publication_block(world->workers[0].exchange, publisher->session, 1, false);
    expect_picture(world);
    world_free(world);
}

static void test_history_does_not_eat_the_pool(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    network_run(world->net, time_from_s(10));
    // 150 packets a second, kept for one, or since a key frame that joiners would begin with; the
    // mirror refers to the same
    assert_in_range(packet_pool_in_use(&world->workers[0].pool), 100, 400);
    world->clients[0].publishing = false;
    network_run(world->net, time_from_s(3));
    assert_int_equal(packet_pool_in_use(&world->workers[0].pool), 0);
    world_free(world);
}

static void test_messages_lost_between_workers_are_made_up_for(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *subscriber = &world->clients[1];
    // nobody watches there any more, but the publisher's worker does not hear of it
    world->lost_kinds = 1u << EXCHANGE_MIRROR_STOP;
    world_rest(subscriber, 0, true);
    world_rest(subscriber, 1, true);
    network_run(world->net, time_from_ms(200));
    world->lost_kinds = 0;
    network_run(world->net, time_from_ms(200));
    uint32_t bursts = world->burst_messages;
    network_run(world->net, time_from_s(1));
    assert_int_equal(world->burst_messages, bursts);
    // and the wish for them is repeated until it is heard
    world->lost_kinds = 1u << EXCHANGE_MIRROR;
    world_rest(subscriber, 1, false);
    world_show(subscriber, 1, &world->clients[0], 1);
    network_run(world->net, time_from_ms(200));
    world->lost_kinds = 0;
    network_run(world->net, time_from_s(3));
    expect_picture(world);
    world_free(world);
}

static void test_a_late_end_of_the_publication_before_does_not_empty_a_slot(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    // what the publisher's worker said of the section's last publication, overtaken by the next one
    struct exchange_message gone = {
        .kind = EXCHANGE_GONE,
        .key = { .session = world->clients[0].session, .section = 1 },
    };
    struct exchange *exchange = world->workers[1].exchange;
    for (int i = 0; i < 3; i++) {
        exchange_message_input(exchange, network_now(world->net), &gone, NULL);
        expect_picture(world);
    }
    // a true end is one
    world_rest(&world->clients[0], 1, true);
    network_run(world->net, time_from_s(1));
    const struct room_metrics *metrics = exchange_metrics(exchange);
    assert_int_equal(metric_get(&metrics->values[ROOM_METRIC_MIRRORS]), 1); // the sound's
    world_free(world);
}

static void test_media_that_finds_no_place_is_dropped_not_leaked(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    world->lost_kinds = 1u << EXCHANGE_BURST | 1u << EXCHANGE_CLOCK;
    network_run(world->net, time_from_s(2));
    world->lost_kinds = 0;
    expect_picture(world);
    world_free(world); // checks that every packet came home
}

/** Datagrams of every kind and size that anybody may forge from a publisher's address. */
static void test_forged_datagrams_disturb_nobody(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *publisher = &world->clients[0];
    const struct net_path path = { .local = publisher->address, .remote = world->server_address };
    struct random *random = network_random(world->net);
    uint32_t before = world->clients[1].received[1].frames;
    for (int i = 0; i < 10000; i++) {
        uint8_t bytes[1500];
        size_t size = random_u32(random) % (sizeof(bytes) + 1);
        random_fill(random, bytes, size);
        if (i % 4 == 1 && size > 12) { // of a real stream, with all sources, an extension, padding
            bytes[0] = 0xbf;
            store_u32(bytes + 8, publisher->sections[1].ssrc);
        }
        if (i % 4 == 2 && size > 13) { // a DTLS handshake record of the right length
            bytes[0] = 22;
            store_u16(bytes + 1, 0xfefd);
            store_u16(bytes + 11, (uint16_t)(size - 13));
        }
        network_inject(world->net, &path, bytes, size);
        if (i % 10 == 0)
            network_run(world->net, time_from_ms(2));
    }
    assert_true(world->clients[1].received[1].frames > before + 40);
    const metric_value *counters = world->workers[0].thread.counters.values;
    assert_true(counters[RTC_METRIC_DROPPED_SRTP] > 1000);
    assert_true(counters[RTC_METRIC_DROPPED_UNKNOWN_BYTE] > 500);
    expect_picture(world);
    assert_false(publisher->failed);
    world_free(world); // checks that every packet came home
}

/** Reports, lies about arrivals, requests for pictures and repairs: well sealed, of no sense. */
static void send_nonsense(struct world_client *client, uint32_t ssrc)
{
    struct random *random = network_random(client->world->net);
    uint8_t bytes[1200];
    size_t size = 0;
    while (size < 1000) {
        size_t words = 1 + random_u32(random) % 24;
        uint8_t *at = bytes + size;
        random_fill(random, at, 4 * (words + 1));
        at[0] = (uint8_t)(0x80 | (at[0] & 0x1f));
        at[1] = (uint8_t)(200 + random_u32(random) % 8);
        store_u16(at + 2, (uint16_t)words);
        if (words >= 2 && random_u32(random) % 2)
            store_u32(at + 8, ssrc); // of a stream that there is
        size += 4 * (words + 1);
    }
    world_send_rtcp(client, bytes_of(bytes, size));
}

static void test_sealed_nonsense_of_members_disturbs_nobody_else(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *publisher = &world->clients[0];
    struct world_client *subscriber = &world->clients[1];
    uint32_t ssrc = rtc_peer_sender(subscriber->server_peer, 1)->ssrc;
    uint32_t before = subscriber->received[1].frames;
    for (int i = 0; i < 1000; i++) {
        send_nonsense(subscriber, ssrc);
        send_nonsense(publisher, publisher->sections[1].ssrc);
        network_run(world->net, time_from_ms(3));
    }
    assert_true(subscriber->received[1].frames > before + 60);
    // a thousand requests for a picture are not passed on to the publisher
    assert_true(publisher->key_frames_asked < 40);
    expect_picture(world);
    assert_false(publisher->failed || subscriber->failed);
    world_free(world); // checks that every packet came home
}

/** A packet that is well sealed, and of no sense: sources, extensions, padding, numbers. */
static void send_sealed_packet(struct world_client *client, uint32_t round)
{
    struct random *random = network_random(client->world->net);
    uint8_t header[12 + 15 * 4 + 4 + 256], payload[900], out[1500];
    size_t at = 12;
    random_fill(random, header, sizeof(header));
    random_fill(random, payload, sizeof(payload));
    uint32_t sources = random_below(random, 16);
    bool extended = random_below(random, 4) != 0, known = random_below(random, 2) == 0;
    header[0] = (uint8_t)(0x80 | (random_below(random, 2) << 5) | (extended ? 0x10u : 0) | sources);
    header[1] = (uint8_t)(known ? RTC_CLIENT_VP8 : random_u32(random) % 64);
    if (round % 3 == 0) // one that exists, with numbers from anywhere
        store_u32(header + 8, client->sections[1].ssrc);
    at += sources * 4;
    if (extended) {
        static const uint16_t profiles[] = { 0xbede, 0x1000, 0x100f, 0xffff };
        uint32_t words = random_below(random, 60);
        store_u16(header + at, profiles[random_below(random, array_size(profiles))]);
        store_u16(header + at + 2, (uint16_t)words);
        at += 4 + words * 4;
    }
    struct secure_rtp_sender index = { 0 };
    ssize_t size = secure_rtp_protect(client->peer->sending, &index, bytes_of(header, at),
                                      bytes_of(payload, random_below(random, sizeof(payload))), out,
                                      sizeof(out));
    assert_true(size > 0);
    const struct net_path path = { .local = client->address,
                                   .remote = client->world->server_address };
    network_inject(client->world->net, &path, out, (size_t)size);
}

static void test_sealed_packets_of_no_sense_disturb_nobody_else(void **state)
{
    (void)state;
    struct world *world = a_call(1);
    struct world_client *hostile = &world->clients[0], *victim = &world->clients[1];
    struct world_client *publisher = world_add_client(world, 0);
    struct world_client *subscriber = world_add_client(world, 0);
    for (int i = 0; i < 2; i++) {
        world_add_section(publisher, i == 0 ? RTC_KIND_AUDIO : RTC_KIND_VIDEO, true);
        world_add_section(subscriber, i == 0 ? RTC_KIND_AUDIO : RTC_KIND_VIDEO, false);
    }
    world_negotiate(publisher);
    world_negotiate(subscriber);
    assert_true(world_connect(world, time_from_s(5)));
    publisher->publishing = true;
    world_show(subscriber, 1, publisher, 1);
    network_run(world->net, time_from_s(2));
    uint32_t before = subscriber->received[1].frames;
    uint32_t asked = publisher->key_frames_asked;
    for (uint32_t i = 0; i < 5000; i++) {
        send_sealed_packet(hostile, i);
        if (i % 5 == 0)
            network_run(world->net, time_from_ms(3));
    }
    assert_true(subscriber->received[1].frames > before + 80);
    assert_int_equal(publisher->key_frames_asked, asked);
    const metric_value *counters = world->workers[0].thread.counters.values;
    uint64_t dropped = 0;
    static const int reasons[] = { RTC_METRIC_DROPPED_SRTP, RTC_METRIC_DROPPED_STREAM,
                                   RTC_METRIC_DROPPED_RTP, RTC_METRIC_DROPPED_CODEC,
                                   RTC_METRIC_DROPPED_JUMP };
    for (size_t i = 0; i < array_size(reasons); i++)
        dropped += metric_get(&counters[reasons[i]]);
    assert_true(dropped > 4000);
    assert_false(publisher->failed || subscriber->failed || victim->failed);
    world_free(world); // checks that every packet came home
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_slot_that_rested_goes_on_where_it_stopped),
        cmocka_unit_test(test_a_publication_that_rested_is_understood_after_a_rollover),
        cmocka_unit_test(test_jumping_numbers_do_not_kill_a_slot),
        cmocka_unit_test(test_a_publisher_begins_anew_with_another_ssrc),
        cmocka_unit_test(test_a_publisher_that_rested_begins_anew_with_another_ssrc),
        cmocka_unit_test(test_nacks_cost_no_more_than_the_media_did),
        cmocka_unit_test(test_sender_reports_cross_to_other_workers_at_a_bounded_rate),
        cmocka_unit_test(test_sound_and_picture_of_a_publisher_share_a_clock),
        cmocka_unit_test(test_a_publisher_whose_clock_is_set_stays_in_step),
        cmocka_unit_test(test_a_new_stream_is_not_told_by_the_old_ones_clock),
        cmocka_unit_test(test_a_blocked_publisher_is_not_asked_for_key_frames),
        cmocka_unit_test(test_messages_lost_between_workers_are_made_up_for),
        cmocka_unit_test(test_a_late_end_of_the_publication_before_does_not_empty_a_slot),
        cmocka_unit_test(test_media_that_finds_no_place_is_dropped_not_leaked),
        cmocka_unit_test(test_history_does_not_eat_the_pool),
        cmocka_unit_test(test_forged_datagrams_disturb_nobody),
        cmocka_unit_test(test_sealed_nonsense_of_members_disturbs_nobody_else),
        cmocka_unit_test(test_sealed_packets_of_no_sense_disturb_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
