// One FEC packet brings back any one of those that it protects.
#include "proto/fec/ulpfec.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "support/check.h"

#define SSRC 0x11223344
#define MANY 48

struct packets {
    struct random random;
    struct bytes all[MANY];
    uint8_t bytes[MANY][ULPFEC_PACKET_MAX];
};

/** RTP packets of random sizes and contents, with numbers from `first` in steps of `step`. */
static void packets_init(struct packets *packets, uint32_t count, uint16_t first, uint16_t step)
{
    random_seeded_init(&packets->random, first + count);
    for (uint32_t i = 0; i < count; i++) {
        size_t size = 12 + random_u32(&packets->random) % (ULPFEC_PACKET_MAX - 12);
        uint8_t *at = packets->bytes[i];
        random_fill(&packets->random, at, size);
        at[0] = (uint8_t)(0x80 | (at[0] & 0x10));
        store_u16(at + 2, (uint16_t)(first + i * step));
        store_u32(at + 8, SSRC);
        packets->all[i] = bytes_of(at, size);
    }
}

static ssize_t encode(const struct packets *packets, uint32_t count, uint8_t *out, size_t capacity)
{
    struct ulpfec_encoder encoder = { 0 };
    for (uint32_t i = 0; i < count; i++) {
        struct bytes packet = packets->all[i];
        assert_int_equal(ulpfec_encoder_add(&encoder, bytes_of(packet.data, 12),
                                            bytes_of(packet.data + 12, packet.size - 12)),
                         0);
    }
    return ulpfec_encoder_write(&encoder, out, capacity);
}

static void check_recovery(uint32_t count, uint16_t first, uint16_t step)
{
    struct packets *packets = calloc(1, sizeof(*packets));
    packets_init(packets, count, first, step);
    uint8_t payload[ULPFEC_PACKET_MAX + ULPFEC_HEADER_MAX];
    ssize_t size = encode(packets, count, payload, sizeof(payload));
    assert_true(size > 0);
    struct ulpfec fec;
    assert_int_equal(ulpfec_parse(bytes_of(payload, (size_t)size), &fec), 0);
    uint8_t out[ULPFEC_PACKET_MAX];
    assert_int_equal(ulpfec_recover(&fec, packets->all, count, SSRC, out), -ENODATA);
    for (uint32_t lost = 0; lost < count; lost++) {
        struct bytes others[MANY];
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++) {
            assert_true(ulpfec_protects(&fec, load_u16(packets->all[i].data + 2)));
            if (i != lost)
                others[kept++] = packets->all[i];
        }
        ssize_t made = ulpfec_recover(&fec, others, kept, SSRC, out);
        assert_int_equal(made, packets->all[lost].size);
        assert_memory_equal(out, packets->all[lost].data, (size_t)made);
        if (kept > 0)
            assert_int_equal(ulpfec_recover(&fec, others, kept - 1, SSRC, out), -ENODATA);
    }
    free(packets);
}

static void test_any_one_lost_packet_comes_back(void **state)
{
    (void)state;
    check_recovery(1, 7, 1);
    check_recovery(5, 100, 1);
    check_recovery(16, 1000, 1);
    check_recovery(48, 2000, 1);
}

static void test_interleaved_numbers_and_the_wrap_are_fine(void **state)
{
    (void)state;
    check_recovery(8, 65530, 2);
    check_recovery(24, 65500, 2);
}

static void test_what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct ulpfec_encoder encoder = { 0 };
    uint8_t out[ULPFEC_PACKET_MAX + ULPFEC_HEADER_MAX];
    assert_int_equal(ulpfec_encoder_write(&encoder, out, sizeof(out)), -ENODATA);
    uint8_t header[12] = { 0x80, 96, 0, 100 };
    static const uint8_t payload[ULPFEC_PACKET_MAX] = { 1 };
    assert_int_equal(ulpfec_encoder_add(&encoder, bytes_of(header, 12), bytes_of(payload, 1489)),
                     -EMSGSIZE);
    assert_int_equal(ulpfec_encoder_add(&encoder, bytes_of(header, 12), bytes_of(payload, 10)), 0);
    assert_int_equal(ulpfec_encoder_add(&encoder, bytes_of(header, 12), bytes_of(payload, 10)),
                     -ERANGE);
    header[3] = 99;
    assert_int_equal(ulpfec_encoder_add(&encoder, bytes_of(header, 12), bytes_of(payload, 10)),
                     -ERANGE);
    header[3] = 148;
    assert_int_equal(ulpfec_encoder_add(&encoder, bytes_of(header, 12), bytes_of(payload, 10)),
                     -ERANGE);
    assert_int_equal(ulpfec_encoder_write(&encoder, out, 20), -EMSGSIZE);
    assert_int_equal(ulpfec_encoder_write(&encoder, out, sizeof(out)), 24);
    struct ulpfec fec;
    for (size_t size = 0; size < 24; size++)
        assert_int_equal(ulpfec_parse(bytes_of(out, size), &fec), -EBADMSG);
}

/** RFC 5109, 10.1, in our numbers: the header of a FEC packet over four media packets. */
static void test_the_header_is_that_of_the_rfc(void **state)
{
    (void)state;
    struct ulpfec_encoder encoder = { 0 };
    static const uint16_t sizes[] = { 200, 140, 100, 340 };
    static const uint8_t types[] = { 11, 18, 11, 18 };
    static const uint32_t times[] = { 3, 5, 7, 9 };
    static const uint8_t zeros[340];
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t header[12] = { 0x80 };
        header[1] = (uint8_t)((i == 0 ? 0x80 : 0) | types[i]);
        header[3] = (uint8_t)(8 + i);
        header[7] = (uint8_t)times[i];
        header[11] = 2;
        assert_int_equal(
            ulpfec_encoder_add(&encoder, bytes_of(header, 12), bytes_of(zeros, sizes[i])), 0);
    }
    uint8_t out[400];
    assert_int_equal(ulpfec_encoder_write(&encoder, out, sizeof(out)), 14 + 340);
    // M is the XOR of 1 0 0 0, types cancel out, TS 3^5^7^9 = 8, length 200^140^100^340 = 372
    static const uint8_t head[] = { 0x00, 0x80, 0, 8, 0, 0, 0, 8, 0x01, 0x74, 0x01, 0x54, 0xf0, 0 };
    assert_memory_equal(out, head, sizeof(head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_one_lost_packet_comes_back),
        cmocka_unit_test(test_interleaved_numbers_and_the_wrap_are_fine),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_the_header_is_that_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
