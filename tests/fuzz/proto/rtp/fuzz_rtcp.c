// RTCP compounds: every parser on every packet, and feedback of transport-wide congestion control.
#include "proto/rtp/rtcp.h"
#include "proto/rtp/twcc_feedback.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_twcc(struct bytes control)
{
    struct twcc_feedback feedback;
    struct twcc_cursor cursor;
    if (twcc_feedback_parse(control, &feedback) < 0 || twcc_cursor_of(&feedback, &cursor) < 0)
        return;
    uint16_t sequence;
    bool received;
    int64_t time_us;
    size_t count = 0;
    while (twcc_cursor_next(&cursor, &sequence, &received, &time_us))
        count++;
    ensure(count == feedback.status_count);
    ensure(!cursor.deltas.failed);
}

static void read_feedback(const struct rtcp_packet *packet)
{
    struct rtcp_feedback feedback;
    if (rtcp_feedback_parse(packet, &feedback) < 0)
        return;
    uint16_t sequence;
    struct rtcp_nack_cursor nack = { 0 };
    size_t count = 0;
    while (rtcp_nack_next(feedback.control, &nack, &sequence))
        count++;
    ensure(count <= feedback.control.size / 4 * 17);
    size_t at = 0;
    uint32_t ssrc;
    uint8_t command;
    while (rtcp_fir_next(feedback.control, &at, &ssrc, &command))
        ;
    struct rtcp_remb remb;
    if (rtcp_remb_parse(feedback.control, &remb) == 0)
        for (size_t i = 0; i < remb.ssrc_count; i++)
            (void)load_u32(remb.ssrcs + 4 * i);
    read_twcc(feedback.control);
}

static void read_extended(const struct rtcp_packet *packet)
{
    struct rtcp_xr_block block;
    size_t at = 0;
    while (rtcp_xr_next(packet, &at, &block)) {
        size_t sub = 0;
        uint32_t ssrc;
        uint32_t last_report;
        uint32_t delay;
        while (rtcp_dlrr_next(block.body, &sub, &ssrc, &last_report, &delay))
            ;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of(data, size);
    struct rtcp_packet packet;
    while (rtcp_next(&reader, &packet) > 0) {
        struct rtcp_sender_info info;
        struct rtcp_report_block block;
        struct bytes cname;
        uint32_t ssrc;
        (void)!rtcp_sender_report_parse(&packet, &info);
        (void)!rtcp_reporter_parse(&packet, &ssrc);
        for (size_t i = 0; i < packet.count; i++) {
            (void)!rtcp_report_block_parse(&packet, i, &block);
            (void)!rtcp_bye_parse(&packet, i, &ssrc);
        }
        (void)!rtcp_cname_parse(&packet, &ssrc, &cname);
        read_feedback(&packet);
        read_extended(&packet);
    }
    return 0;
}
