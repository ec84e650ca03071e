// RTP packets: parsing, header extensions in both forms, rewriting, RTX, RED.
#include <stdlib.h>
#include <string.h>

#include "proto/rtp/red.h"
#include "proto/rtp/rewrite.h"
#include "proto/rtp/rtx.h"

#define PACKET_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rtp_extension_map map_of(bool two_byte)
{
    struct rtp_extension_map map = { .two_byte_allowed = two_byte };
    for (unsigned kind = 0; kind < RTP_EXTENSION_COUNT && kind < 14; kind++)
        ensure(rtp_extension_map_set(&map, (enum rtp_extension_kind)kind, kind + 1) == 0);
    return map;
}

/** What can be read can be written, and says the same. */
static void write_red(const struct red_payload *red)
{
    uint8_t out[PACKET_BYTES];
    ssize_t size = red_write(red, out, sizeof(out));
    if (size < 0)
        return;
    red_set_payload_type(out, (size_t)size, 111);
    struct red_payload again;
    ensure(red_parse(bytes_of(out, (size_t)size), &again) == 0);
    ensure(again.count == red->count);
    for (size_t i = 0; i < again.count; i++)
        ensure(again.blocks[i].payload_type == 111 &&
               bytes_equal(again.blocks[i].data, red->blocks[i].data));
}

static void rewrite(const struct rtp_packet *source, const struct rtp_extensions *extensions,
                    bool two_byte)
{
    struct rtp_extension_map map = map_of(two_byte);
    struct rtp_rewriter rewriter;
    rtp_rewriter_init(&rewriter, &(struct rtp_rewriter_config){ .map = &map,
                                                                .mid = bytes_of_text("0"),
                                                                .rid = bytes_of_text("f"),
                                                                .abs_send_time = true,
                                                                .transport_sequence = true,
                                                                .pass = UINT32_MAX });
    uint8_t out[RTP_REWRITE_HEADER_MAX];
    struct rtp_rewrite fields = { .sequence = source->sequence, .payload_type = 96 };
    struct rtp_rewritten rewritten =
        rtp_rewriter_write(&rewriter, &fields, extensions, source->data, out);
    rtp_rewritten_stamp(&rewritten, out, 1, 2);
    struct rtp_packet written;
    ensure(rewritten.size <= sizeof(out));
    ensure(rtp_packet_parse(out, rewritten.size, &written) == 0);
    ensure(written.payload_at == rewritten.size);
    struct rtp_extensions again;
    rtp_extensions_parse(&written, &map, &again);
    ensure(rtp_extensions_has(&again, RTP_EXTENSION_MID));
    uint16_t sequence;
    ensure(rtp_extensions_transport_sequence(&again, out, &sequence) && sequence == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct red_payload red;
    if (red_parse(bytes_of(data, size), &red) == 0) {
        ensure(red.count > 0 && red.blocks[red.count - 1].primary);
        write_red(&red);
    }

    struct rtp_packet packet;
    if (rtp_packet_parse(data, size, &packet) < 0)
        return 0;
    ensure((size_t)packet.payload_at + packet.payload_size + packet.padding_size == size);
    struct rtp_extension_map map = map_of(true);
    struct rtp_extensions extensions;
    rtp_extensions_parse(&packet, &map, &extensions);
    for (unsigned kind = 0; kind < RTP_EXTENSION_COUNT; kind++) {
        struct bytes value =
            rtp_extensions_get(&extensions, (enum rtp_extension_kind)kind, packet.data);
        ensure(!value.size || (value.data >= data && value.data + value.size <= data + size));
    }
    rewrite(&packet, &extensions, false);
    rewrite(&packet, &extensions, true);

    uint8_t *copy = malloc(size);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    uint8_t *restored;
    size_t restored_size;
    if (rtx_restore(copy, size, 1, 96, &restored, &restored_size) == 0) {
        struct rtp_packet original;
        ensure(rtp_packet_parse(restored, restored_size, &original) == 0);
        ensure(original.payload_size + RTX_OSN_SIZE == packet.payload_size);
    }
    free(copy);
    return 0;
}
