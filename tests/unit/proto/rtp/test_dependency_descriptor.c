// Dependency descriptors, written down bit by bit as in appendix A of the AV1 payload format.
#include "support/check.h"

#include <errno.h>
#include <string.h>

#include "proto/rtp/dependency_descriptor.h"

/** Zeros and ones, spaces for the reader; padded with zeros to whole bytes. */
static struct bytes bits(const char *text, uint8_t *out)
{
    size_t at = 0;
    memset(out, 0, DEPENDENCY_DESCRIPTOR_MAX);
    for (; *text; text++) {
        if (*text == ' ')
            continue;
        if (*text == '1')
            out[at / 8] |= (uint8_t)(0x80u >> at % 8);
        at++;
    }
    return bytes_of(out, (at + 7) / 8);
}

#define L1T2_LAYERS_TO_CHAINS                                                                      \
    "000101 00001 "          /* template ids from 5 on, two targets */                             \
    "00 01 11 "              /* T0, T0, T1 */                                                      \
    "10 10  10 10  00 01 "   /* S S, S S, - D */                                                   \
    "0  1 0001 0  1 0000 0 " /* none, 2 back, 1 back */                                            \
    "10  0000 0010 0001 "    /* one chain */
#define L1T2 L1T2_LAYERS_TO_CHAINS "1 0000001001111111 0000000101100111 " /* 640 x 360 */

static void expect_l1t2(const struct dependency_structure *structure)
{
    assert_int_equal(structure->id_offset, 5);
    assert_int_equal(structure->template_count, 3);
    assert_int_equal(structure->target_count, 2);
    assert_int_equal(structure->chain_count, 1);
    assert_int_equal(structure->spatial_layers, 1);
    assert_int_equal(structure->temporal_layers, 2);
    assert_int_equal(structure->targets[0].temporal_id, 0);
    assert_int_equal(structure->targets[1].temporal_id, 1);
    assert_true(structure->has_resolutions);
    assert_int_equal(structure->resolutions[0].width, 640);
    assert_int_equal(structure->resolutions[0].height, 360);
}

static void test_a_key_frame_brings_the_structure(void **state)
{
    (void)state;
    uint8_t data[DEPENDENCY_DESCRIPTOR_MAX];
    struct dependency_structure structure;
    struct dependency_descriptor descriptor;
    struct bytes value = bits("1 0 000101 0000000100000010  1 0 0 0 0 " L1T2, data);
    assert_int_equal(dependency_descriptor_read(value, NULL, &structure, &descriptor), 0);
    expect_l1t2(&structure);
    assert_true(descriptor.frame_start);
    assert_false(descriptor.frame_end);
    assert_true(descriptor.has_structure);
    assert_int_equal(descriptor.frame_number, 0x102);
    assert_int_equal(descriptor.references.count, 0);
    assert_false(descriptor.active_written);
    assert_int_equal(descriptor.active_targets, 3);
    assert_int_equal(dependency_indication_of(descriptor.indications, 1), DEPENDENCY_SWITCH);
}

static void read_l1t2(struct dependency_structure *ret_structure)
{
    uint8_t data[DEPENDENCY_DESCRIPTOR_MAX];
    struct dependency_descriptor descriptor;
    struct bytes value = bits("1 1 000101 0000000000000000  1 0 0 0 0 " L1T2, data);
    assert_int_equal(dependency_descriptor_read(value, NULL, ret_structure, &descriptor), 0);
}

static void test_later_frames_name_templates(void **state)
{
    (void)state;
    uint8_t data[DEPENDENCY_DESCRIPTOR_MAX];
    struct dependency_structure known, unused_structure;
    struct dependency_descriptor descriptor;
    read_l1t2(&known);
    struct bytes value = bits("1 1 000111 0000000000000011", data);
    assert_int_equal(dependency_descriptor_read(value, &known, &unused_structure, &descriptor), 0);
    assert_int_equal(descriptor.temporal_id, 1);
    assert_int_equal(descriptor.references.count, 1);
    assert_int_equal(descriptor.references.differences[0], 1);
    assert_int_equal(dependency_indication_of(descriptor.indications, 0), DEPENDENCY_NOT_PRESENT);
    assert_int_equal(dependency_indication_of(descriptor.indications, 1), DEPENDENCY_DISCARDABLE);
    assert_false(descriptor.active_written);
    // what differs: indications R R, references 17 and 300 back, target 0 alone
    value = bits(
        "1 1 000110 0000000000000100  0 1 1 1 0  01  11 11  10 00010000 11 000100101011 00", data);
    assert_int_equal(dependency_descriptor_read(value, &known, &unused_structure, &descriptor), 0);
    assert_int_equal(descriptor.temporal_id, 0);
    assert_int_equal(dependency_indication_of(descriptor.indications, 1), DEPENDENCY_REQUIRED);
    assert_int_equal(descriptor.references.count, 2);
    assert_int_equal(descriptor.references.differences[0], 17);
    assert_int_equal(descriptor.references.differences[1], 300);
    assert_true(descriptor.active_written);
    assert_int_equal(descriptor.active_targets, 1);
}

static void test_what_does_not_fit_is_refused(void **state)
{
    (void)state;
    uint8_t data[DEPENDENCY_DESCRIPTOR_MAX];
    struct dependency_structure known, structure;
    struct dependency_descriptor descriptor;
    read_l1t2(&known);
    assert_int_equal(dependency_descriptor_read(bytes_of(data, 2), &known, &structure, &descriptor),
                     -EBADMSG);
    // no structure yet, and templates 4 and 8 of one with 5 to 7
    struct bytes value = bits("1 1 000101 0000000000000011", data);
    assert_int_equal(dependency_descriptor_read(value, NULL, &structure, &descriptor), -ENOENT);
    value = bits("1 1 000100 0000000000000011", data);
    assert_int_equal(dependency_descriptor_read(value, &known, &structure, &descriptor), -ENOENT);
    value = bits("1 1 001000 0000000000000011", data);
    assert_int_equal(dependency_descriptor_read(value, &known, &structure, &descriptor), -ENOENT);
    // a structure that ends early, at each length
    value = bits("1 0 000101 0000000100000010  1 0 0 0 0 " L1T2, data);
    for (size_t size = 4; size < value.size; size++) {
        uint8_t copy[DEPENDENCY_DESCRIPTOR_MAX];
        memcpy(copy, data, size);
        assert_true(
            dependency_descriptor_read(bytes_of(copy, size), NULL, &structure, &descriptor) < 0);
    }
    // a fifth spatial layer
    value = bits("1 0 000000 0000000000000000  1 0 0 0 0  000000 00000  10 10 10 10 11", data);
    assert_int_equal(dependency_descriptor_read(value, NULL, &structure, &descriptor), -EBADMSG);
    // nine references
    value = bits("1 1 000110 0000000000000100  0 0 0 1 0  01 0000 01 0000 01 0000 01 0000 01 0000 "
                 "01 0000 01 0000 01 0000 01 0000 00",
                 data);
    assert_int_equal(dependency_descriptor_read(value, &known, &structure, &descriptor), -EBADMSG);
}

/** Writes a descriptor with another mask and number, and reads it again. */
static void expect_rewritten(const char *text, const struct dependency_structure *known,
                             uint32_t mask)
{
    uint8_t data[DEPENDENCY_DESCRIPTOR_MAX], out[DEPENDENCY_DESCRIPTOR_MAX];
    struct dependency_structure structure, again_structure;
    struct dependency_descriptor descriptor, again;
    struct bytes value = bits(text, data);
    assert_int_equal(dependency_descriptor_read(value, known, &structure, &descriptor), 0);
    struct dependency_mask_place place = dependency_mask_place_of(&descriptor);
    size_t size = dependency_descriptor_write(value, 0xabcd, &place, mask, out);
    assert_in_range(size, value.size, value.size + 2);
    assert_int_equal(
        dependency_descriptor_read(bytes_of(out, size), known, &again_structure, &again), 0);
    assert_int_equal(again.frame_number, 0xabcd);
    assert_true(again.active_written);
    assert_int_equal(again.active_targets, mask);
    assert_int_equal(again.has_structure, descriptor.has_structure);
    if (again.has_structure)
        expect_l1t2(&again_structure);
    assert_int_equal(again.indications, descriptor.indications);
    assert_memory_equal(&again.references, &descriptor.references, sizeof(again.references));
    // and without a mask: the number alone
    size = dependency_descriptor_write(value, 0x1234, NULL, 0, out);
    assert_int_equal(size, value.size);
    data[1] = 0x12;
    data[2] = 0x34;
    assert_memory_equal(out, data, size);
}

static void test_the_mask_is_put_in_or_replaced(void **state)
{
    (void)state;
    struct dependency_structure known;
    read_l1t2(&known);
    expect_rewritten("1 0 000101 0000000100000010  1 0 0 0 0 " L1T2, NULL, 1);
    expect_rewritten("1 0 000101 0000000100000010  1 1 0 0 0 " L1T2 "11", NULL, 1);
    expect_rewritten("1 1 000111 0000000000000011", &known, 1);
    expect_rewritten("1 1 000110 0000000000000100  0 0 1 1 0  11 11  10 00010000 00", &known, 2);
    expect_rewritten("1 1 000110 0000000000000100  0 1 1 1 0  01  11 11  10 00010000 00", &known,
                     3);
    uint8_t out[DEPENDENCY_DESCRIPTOR_MAX], data[DEPENDENCY_DESCRIPTOR_MAX] = { 0 };
    struct dependency_mask_place far = { .at_bit = 255 * 8, .targets = 32 };
    assert_int_equal(dependency_descriptor_write(bytes_of(data, 255), 1, &far, 1, out), 0);
    assert_int_equal(dependency_descriptor_write(bytes_of(data, 2), 1, NULL, 1, out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_frame_brings_the_structure),
        cmocka_unit_test(test_later_frames_name_templates),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_the_mask_is_put_in_or_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
