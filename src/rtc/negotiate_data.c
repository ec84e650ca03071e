#include "rtc/negotiate_int.h"

/** RFC 8841, 5.1 and 6.1: what holds when nothing is said. */
enum {
    SCTP_PORT_DEFAULT = 5000,
    MESSAGE_SIZE_DEFAULT = 64 * 1024,
};

static bool protocol_is_ours(struct bytes protocol)
{
    return text_equal(protocol, "UDP/DTLS/SCTP") || text_equal(protocol, "TCP/DTLS/SCTP");
}

const struct rtc_section *rtc_negotiated_data(const struct rtc_negotiated *negotiated)
{
    for (size_t i = 0; i < negotiated->section_count; i++) {
        const struct rtc_section *section = &negotiated->sections[i];
        if (section->kind == RTC_KIND_DATA && !section->rejected)
            return section;
    }
    return NULL;
}

/** The port of the association that this section has had, or 0. */
static uint16_t port_before(const struct negotiation_work *work, size_t index)
{
    if (!work->before || index >= work->before->section_count)
        return 0;
    const struct rtc_section *before = &work->before->sections[index];
    return before->kind == RTC_KIND_DATA && !before->rejected ? before->sctp_port : 0;
}

void negotiation_write_data(struct sdp *sdp, struct sdp_section *section)
{
    *sdp_list_add(sdp, &section->formats) = bytes_of_text("webrtc-datachannel");
    section->port = 9;
    section->sctp_port = SCTP_PORT_DEFAULT;
    section->max_message_size = RTC_DATA_MESSAGE_MAX;
}

int negotiation_data(struct negotiation_work *work, size_t index, const struct sdp_section *offered,
                     struct sdp_section *answered)
{
    struct rtc_section *section = &work->result.sections[index];
    if (!protocol_is_ours(offered->protocol) || offered->sctp_closed ||
        !text_equal(offered->formats.items[0], "webrtc-datachannel"))
        return 0;
    // one association per connection, in the first section that asks for it
    if (rtc_negotiated_data(&work->result))
        return 0;
    uint32_t port = offered->sctp_port ? offered->sctp_port : SCTP_PORT_DEFAULT;
    uint16_t before = port_before(work, index);
    if (before && before != port)
        return negotiation_refuse(work,
                                  "a=sctp-port of data channels that are in use cannot change");
    uint64_t size = offered->max_message_size ? offered->max_message_size : MESSAGE_SIZE_DEFAULT;
    section->rejected = false;
    section->sctp_port = (uint16_t)port;
    section->message_size_max = (uint32_t)min_of(size, (uint64_t)UINT32_MAX);
    negotiation_write_data(work->answer, answered);
    return 0;
}
