// The framing of SCTP packets: checksum, chunks, parameters, padding.
#include "proto/sctp/sctp_packet.h"

#include <errno.h>

#include "base/random.h"
#include "proto/sctp/sctp_crc32c.h"
#include "support/check.h"

static void test_the_checksum_is_that_of_the_rfc(void **state unused)
{
    // RFC 3720, B.4: the examples of CRC32c
    uint8_t bytes[32] = { 0 };
    assert_int_equal(sctp_crc32c(0, bytes_of(bytes, 32)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(sctp_crc32c(0, bytes_of(bytes, 32)), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(sctp_crc32c(0, bytes_of(bytes, 32)), 0x46dd794e);
    assert_int_equal(sctp_crc32c_portable(0, bytes_of(bytes, 32)), 0x46dd794e);
}

static void test_instruction_and_table_agree_piece_by_piece(void **state unused)
{
    struct random random;
    random_seeded_init(&random, 1);
    uint8_t bytes[1200];
    random_fill(&random, bytes, sizeof(bytes));
    for (size_t size = 0; size <= sizeof(bytes); size += 1 + random_below(&random, 40)) {
        size_t cut = size ? random_below(&random, (uint32_t)size) : 0;
        uint32_t whole = sctp_crc32c(0, bytes_of(bytes, size));
        uint32_t first = sctp_crc32c(0, bytes_of(bytes, cut));
        assert_int_equal(whole, sctp_crc32c_portable(0, bytes_of(bytes, size)));
        assert_int_equal(whole, sctp_crc32c(first, bytes_of(bytes + cut, size - cut)));
    }
}

static size_t write_packet(uint8_t *out, size_t capacity)
{
    struct writer packet = writer_of(out, capacity);
    sctp_packet_begin(&packet, &(struct sctp_header){ 5000, 5001, 0xdeadbeef });
    size_t chunk = sctp_chunk_begin(&packet, 9, 3);
    size_t parameter = sctp_parameter_begin(&packet, 0x8008);
    writer_u8(&packet, 7);
    sctp_parameter_end(&packet, parameter);
    parameter = sctp_parameter_begin(&packet, 14);
    writer_u16(&packet, 0x1234);
    sctp_parameter_end(&packet, parameter);
    sctp_chunk_end(&packet, chunk);
    sctp_chunk_end(&packet, sctp_chunk_begin(&packet, 11, 0));
    assert_false(packet.failed);
    sctp_packet_seal(out, packet.size);
    return packet.size;
}

static void test_what_is_written_is_read_again(void **state unused)
{
    uint8_t bytes[64];
    size_t size = write_packet(bytes, sizeof(bytes));
    assert_int_equal(size, 12 + 4 + 8 + 8 + 4);
    struct sctp_header header;
    struct reader chunks;
    assert_int_equal(sctp_packet_parse(bytes_of(bytes, size), false, &header, &chunks), 0);
    assert_int_equal(header.source_port, 5000);
    assert_int_equal(header.destination_port, 5001);
    assert_int_equal(header.verification_tag, 0xdeadbeef);
    struct sctp_chunk chunk;
    assert_true(sctp_chunk_next(&chunks, &chunk));
    assert_int_equal(chunk.type, 9);
    assert_int_equal(chunk.flags, 3);
    // padding between parameters counts, that behind the last one does not
    assert_int_equal(chunk.value.size, 8 + 6);
    struct reader parameters = reader_of(chunk.value.data, chunk.value.size);
    struct sctp_parameter parameter;
    assert_true(sctp_parameter_next(&parameters, &parameter));
    assert_int_equal(parameter.type, 0x8008);
    assert_int_equal(parameter.value.size, 1);
    assert_int_equal(parameter.whole.size, 5);
    assert_true(sctp_parameter_next(&parameters, &parameter));
    assert_int_equal(parameter.type, 14);
    assert_int_equal(load_u16(parameter.value.data), 0x1234);
    assert_false(sctp_parameter_next(&parameters, &parameter));
    assert_true(reader_finished(&parameters));
    assert_true(sctp_chunk_next(&chunks, &chunk));
    assert_int_equal(chunk.type, 11);
    assert_int_equal(chunk.value.size, 0);
    assert_false(sctp_chunk_next(&chunks, &chunk));
    assert_true(reader_finished(&chunks));
}

static void test_a_wrong_checksum_is_refused_and_zero_only_where_agreed(void **state unused)
{
    uint8_t bytes[64];
    size_t size = write_packet(bytes, sizeof(bytes));
    struct sctp_header header;
    struct reader chunks;
    bytes[20] ^= 1;
    assert_int_equal(sctp_packet_parse(bytes_of(bytes, size), true, &header, &chunks), -EBADMSG);
    store_u32(bytes + 8, 0);
    assert_int_equal(sctp_packet_parse(bytes_of(bytes, size), false, &header, &chunks), -EBADMSG);
    assert_int_equal(sctp_packet_parse(bytes_of(bytes, size), true, &header, &chunks), 0);
    assert_true(sctp_packet_without_checksum(bytes_of(bytes, size)));
    assert_int_equal(sctp_packet_parse(bytes_of(bytes, 11), true, &header, &chunks), -EINVAL);
}

static void test_a_chunk_that_does_not_fit_ends_the_packet(void **state unused)
{
    struct sctp_chunk chunk;
    const uint8_t short_length[] = { 0, 0, 0, 3 };
    struct reader chunks = reader_of(short_length, sizeof(short_length));
    assert_false(sctp_chunk_next(&chunks, &chunk));
    assert_true(chunks.failed);
    const uint8_t long_length[] = { 0, 0, 0, 9, 1, 2, 3, 4 };
    chunks = reader_of(long_length, sizeof(long_length));
    assert_false(sctp_chunk_next(&chunks, &chunk));
    assert_true(chunks.failed);
    // padding of the last chunk may be missing
    const uint8_t unpadded[] = { 0, 0, 0, 5, 1 };
    chunks = reader_of(unpadded, sizeof(unpadded));
    assert_true(sctp_chunk_next(&chunks, &chunk));
    assert_int_equal(chunk.value.size, 1);
    assert_true(reader_finished(&chunks));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_checksum_is_that_of_the_rfc),
        cmocka_unit_test(test_instruction_and_table_agree_piece_by_piece),
        cmocka_unit_test(test_what_is_written_is_read_again),
        cmocka_unit_test(test_a_wrong_checksum_is_refused_and_zero_only_where_agreed),
        cmocka_unit_test(test_a_chunk_that_does_not_fit_ends_the_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
