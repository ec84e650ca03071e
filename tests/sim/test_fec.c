// Forward error correction: what a receiver lost comes back from what it got, byte for byte.
#include <string.h>

#include "proto/fec/ulpfec.h"
#include "sim/world.h"
#include "support/check.h"

#define KEPT 256

/** A receiver of RED and ULPFEC that loses media packets on purpose. */
struct receiver {
    struct random random;
    uint32_t loss_percent;
    uint32_t burst; /**< packets lost at a time */
    uint32_t losing;
    uint32_t media, fec, lost, recovered;
    struct bytes packets[KEPT]; /**< by sequence number; empty: lost or not come */
    struct bytes truth[KEPT];   /**< what was lost */
    uint8_t bytes[KEPT][ULPFEC_PACKET_MAX];
    uint16_t newest, oldest;
    bool started;
};

static void take_media(struct receiver *receiver, struct bytes packet, size_t header, uint8_t type)
{
    uint16_t sequence = load_u16(packet.data + 2);
    uint32_t place = sequence % KEPT;
    uint8_t *at = receiver->bytes[place];
    // out of RED: its one byte is left out
    memcpy(at, packet.data, header);
    at[1] = (uint8_t)((at[1] & 0x80) | type);
    memcpy(at + header, packet.data + header + 1, packet.size - header - 1);
    struct bytes media = bytes_of(at, packet.size - 1);
    receiver->media++;
    if (receiver->losing == 0 && random_u32(&receiver->random) % 100 < receiver->loss_percent)
        receiver->losing = receiver->burst;
    bool lost = receiver->losing > 0;
    receiver->losing -= lost;
    receiver->lost += lost;
    receiver->packets[place] = lost ? (struct bytes){ 0 } : media;
    receiver->truth[place] = media;
}

static void take_fec(struct receiver *receiver, struct bytes payload)
{
    struct ulpfec fec;
    assert_int_equal(ulpfec_parse(payload, &fec), 0);
    receiver->fec++;
    struct bytes present[ULPFEC_SPAN_MAX];
    size_t count = 0;
    uint32_t ssrc = 0, missing = KEPT;
    for (uint16_t i = 0; i < ULPFEC_SPAN_MAX; i++) {
        uint16_t sequence = (uint16_t)(fec.base + i);
        uint32_t place = sequence % KEPT;
        if (!ulpfec_protects(&fec, sequence))
            continue;
        ssrc = load_u32(receiver->truth[place].data + 8);
        if (receiver->packets[place].size > 0)
            present[count++] = receiver->packets[place];
        else
            missing = place;
    }
    uint8_t out[ULPFEC_PACKET_MAX];
    ssize_t size = ulpfec_recover(&fec, present, count, ssrc, out);
    if (size < 0)
        return;
    assert_int_equal(size, receiver->truth[missing].size);
    assert_memory_equal(out, receiver->truth[missing].data, (size_t)size);
    receiver->packets[missing] = receiver->truth[missing];
    receiver->recovered++;
}

static void tap(void *owner, struct bytes packet)
{
    struct receiver *receiver = owner;
    struct rtp_packet rtp;
    assert_int_equal(rtp_packet_parse(packet.data, packet.size, &rtp), 0);
    assert_int_equal(rtp.payload_type, RTC_CLIENT_VIDEO_RED);
    if (!receiver->started)
        receiver->oldest = rtp.sequence;
    receiver->started = true;
    receiver->newest = rtp.sequence;
    const uint8_t *payload = packet.data + rtp.payload_at;
    if (payload[0] == RTC_CLIENT_ULPFEC) {
        take_fec(receiver, bytes_of(payload + 1, rtp.payload_size - 1u));
        return;
    }
    assert_int_equal(payload[0], RTC_CLIENT_VP8);
    take_media(receiver, packet, rtp.payload_at, payload[0]);
}

static void check(uint32_t loss_percent, uint32_t burst, uint32_t recovered_percent)
{
    static struct receiver receiver;
    memset(&receiver, 0, sizeof(receiver));
    receiver.loss_percent = loss_percent;
    receiver.burst = burst;
    random_seeded_init(&receiver.random, 5);
    struct world *world = world_new(59);
    world->remb_only = true; // the tap gives no feedback
    struct world_client *publisher = world_add_client(world, 0);
    world_add_section(publisher, RTC_KIND_VIDEO, true);
    struct world_client *viewer = world_add_client(world, 1);
    world_add_section(viewer, RTC_KIND_VIDEO, false);
    viewer->sections[0].fec = true;
    for (uint32_t i = 0; i < 2; i++)
        world_negotiate(&world->clients[i]);
    assert_true(world_connect(world, time_from_s(5)));
    viewer->tap = tap;
    viewer->tap_owner = &receiver;
    publisher->publishing = true;
    world_show(viewer, 0, publisher, 0);
    network_run(world->net, time_from_s(30));
    assert_in_range(receiver.media, 3500, 3700);
    // a quarter more at most for this stream of 120 packets a second, and no hole in the numbers
    assert_in_range(receiver.fec, receiver.media / 10, receiver.media / 4);
    assert_int_equal((uint16_t)(receiver.newest - receiver.oldest + 1),
                     (uint16_t)(receiver.media + receiver.fec));
    assert_true(receiver.lost > 30);
    assert_true(receiver.recovered * 100 >= receiver.lost * recovered_percent);
    world_free(world);
}

static void test_single_losses_come_back(void **state)
{
    (void)state;
    check(2, 1, 85);
}

static void test_so_do_some_in_a_row(void **state)
{
    (void)state;
    check(1, 3, 75);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_losses_come_back),
        cmocka_unit_test(test_so_do_some_in_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
