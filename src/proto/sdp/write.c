#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/sdp/sdp_int.h"

/** Text that grows as it is written. */
struct output {
    char *text;
    size_t size;
    size_t capacity;
};

#define WORD(bytes) (int)(bytes).size, (const char *)(bytes).data

/** Appends one line; the format has no line end. */
static void format_check(2, 3) line(struct output *output, const char *format, ...)
{
    for (;;) {
        va_list arguments;
        va_start(arguments, format);
        size_t room = output->capacity - output->size;
        int size = vsnprintf(output->text + output->size, room, format, arguments);
        va_end(arguments);
        ensure(size >= 0);
        // with CR, LF and the terminator
        if ((size_t)size + 3 <= room) {
            memcpy(output->text + output->size + size, "\r\n", 3);
            output->size += (size_t)size + 2;
            return;
        }
        output->capacity = output->capacity * 2 + (size_t)size + 3;
        output->text = memory_resize(output->text, output->capacity);
    }
}

static void line_if(struct output *output, const char *name, struct bytes value)
{
    if (value.size > 0)
        line(output, "a=%s:%.*s", name, WORD(value));
}

static void write_attributes(struct output *output, const struct sdp_attribute *attributes,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct sdp_attribute *attribute = &attributes[i];
        if (attribute->value.size > 0)
            line(output, "a=%.*s:%.*s", WORD(attribute->name), WORD(attribute->value));
        else
            line(output, "a=%.*s", WORD(attribute->name));
    }
}

static void write_session(struct output *output, const struct sdp *sdp)
{
    line(output, "v=0");
    struct bytes user = sdp->origin_user.size ? sdp->origin_user : bytes_of_text("-");
    struct bytes address =
        sdp->origin_address.size ? sdp->origin_address : bytes_of_text("IN IP4 127.0.0.1");
    line(output, "o=%.*s %llu %llu %.*s", WORD(user), (unsigned long long)sdp->session_id,
         (unsigned long long)sdp->session_version, WORD(address));
    struct bytes name = sdp->name.size ? sdp->name : bytes_of_text("-");
    line(output, "s=%.*s", WORD(name));
    line(output, "t=0 0");
    if (sdp->ice_lite)
        line(output, "a=ice-lite");
    for (size_t i = 0; i < sdp->bundles.count; i++)
        line(output, "a=group:BUNDLE%s%.*s", sdp->bundles.items[i].size ? " " : "",
             WORD(sdp->bundles.items[i]));
    if (sdp->extmap_allow_mixed)
        line(output, "a=extmap-allow-mixed");
    if (sdp->msid_semantic.size > 0)
        line(output, "a=msid-semantic: %.*s", WORD(sdp->msid_semantic));
    write_attributes(output, sdp->attributes.items, sdp->attributes.count);
}

static void write_media(struct output *output, const struct sdp_section *section)
{
    size_t size = 1;
    for (size_t i = 0; i < section->formats.count; i++)
        size += 1 + section->formats.items[i].size;
    char *formats = memory_allocate(size, 1);
    struct text_builder builder = text_builder_of(formats, size);
    for (size_t i = 0; i < section->formats.count; i++) {
        text_append(&builder, " ");
        text_append_bytes(&builder, section->formats.items[i]);
    }
    line(output, "m=%.*s %u %.*s%s", WORD(section->media_text), section->port,
         WORD(section->protocol), formats);
    free(formats);
    if (section->connection.size > 0)
        line(output, "c=%.*s", WORD(section->connection));
}

static void write_transport(struct output *output, const struct sdp_section *section)
{
    for (size_t i = 0; i < section->candidates.count; i++)
        line(output, "a=candidate:%.*s", WORD(section->candidates.items[i]));
    if (section->end_of_candidates)
        line(output, "a=end-of-candidates");
    line_if(output, "ice-ufrag", section->ice_ufrag);
    line_if(output, "ice-pwd", section->ice_pwd);
    line_if(output, "ice-options", section->ice_options);
    for (size_t i = 0; i < section->fingerprints.count; i++)
        line(output, "a=fingerprint:%.*s %.*s", WORD(section->fingerprints.items[i].hash),
             WORD(section->fingerprints.items[i].value));
    if (section->setup != SDP_SETUP_NONE)
        line(output, "a=setup:%s", sdp_setup_names[section->setup]);
    line_if(output, "mid", section->mid);
    if (section->bundle_only)
        line(output, "a=bundle-only");
}

static void write_codecs(struct output *output, const struct sdp_section *section)
{
    for (size_t i = 0; i < section->rtpmaps.count; i++) {
        const struct sdp_rtpmap *map = &section->rtpmaps.items[i];
        if (map->channels)
            line(output, "a=rtpmap:%u %.*s/%u/%u", map->payload_type, WORD(map->name),
                 map->clock_rate_hz, map->channels);
        else
            line(output, "a=rtpmap:%u %.*s/%u", map->payload_type, WORD(map->name),
                 map->clock_rate_hz);
    }
    for (size_t i = 0; i < section->rtcp_fbs.count; i++) {
        const struct sdp_rtcp_fb *feedback = &section->rtcp_fbs.items[i];
        if (feedback->payload_type < 0)
            line(output, "a=rtcp-fb:* %.*s", WORD(feedback->value));
        else
            line(output, "a=rtcp-fb:%d %.*s", feedback->payload_type, WORD(feedback->value));
    }
    for (size_t i = 0; i < section->fmtps.count; i++)
        line(output, "a=fmtp:%u %.*s", section->fmtps.items[i].payload_type,
             WORD(section->fmtps.items[i].parameters));
}

static void write_extmaps(struct output *output, const struct sdp_section *section)
{
    for (size_t i = 0; i < section->extmaps.count; i++) {
        const struct sdp_extmap *map = &section->extmaps.items[i];
        const char *direction = sdp_direction_names[map->direction];
        line(output, "a=extmap:%u%s%s %.*s%s%.*s", map->id, direction ? "/" : "",
             direction ? direction : "", WORD(map->uri), map->attributes.size ? " " : "",
             WORD(map->attributes));
    }
}

static void write_sources(struct output *output, const struct sdp_section *section)
{
    for (size_t i = 0; i < section->rids.count; i++) {
        const struct sdp_rid *rid = &section->rids.items[i];
        line(output, "a=rid:%.*s %s%s%.*s", WORD(rid->id), rid->receive ? "recv" : "send",
             rid->restrictions.size ? " " : "", WORD(rid->restrictions));
    }
    if (section->simulcast_send.size > 0 && section->simulcast_receive.size > 0)
        line(output, "a=simulcast:send %.*s recv %.*s", WORD(section->simulcast_send),
             WORD(section->simulcast_receive));
    else if (section->simulcast_send.size > 0)
        line(output, "a=simulcast:send %.*s", WORD(section->simulcast_send));
    else if (section->simulcast_receive.size > 0)
        line(output, "a=simulcast:recv %.*s", WORD(section->simulcast_receive));
    for (size_t i = 0; i < section->ssrc_groups.count; i++)
        line(output, "a=ssrc-group:%.*s %.*s", WORD(section->ssrc_groups.items[i].semantics),
             WORD(section->ssrc_groups.items[i].ssrcs));
    for (size_t i = 0; i < section->ssrcs.count; i++) {
        const struct sdp_ssrc *ssrc = &section->ssrcs.items[i];
        line(output, "a=ssrc:%u %.*s%s%.*s", ssrc->ssrc, WORD(ssrc->name),
             ssrc->value.size ? ":" : "", WORD(ssrc->value));
    }
}

static void write_section(struct output *output, const struct sdp_section *section)
{
    write_media(output, section);
    write_transport(output, section);
    write_extmaps(output, section);
    if (section->extmap_allow_mixed)
        line(output, "a=extmap-allow-mixed");
    if (section->direction != SDP_DIRECTION_NONE)
        line(output, "a=%s", sdp_direction_names[section->direction]);
    for (size_t i = 0; i < section->msids.count; i++)
        line(output, "a=msid:%.*s%s%.*s", WORD(section->msids.items[i].stream),
             section->msids.items[i].track.size ? " " : "", WORD(section->msids.items[i].track));
    if (section->rtcp_mux)
        line(output, "a=rtcp-mux");
    if (section->rtcp_rsize)
        line(output, "a=rtcp-rsize");
    write_codecs(output, section);
    write_sources(output, section);
    if (section->sctp_port || section->sctp_closed)
        line(output, "a=sctp-port:%u", section->sctp_port);
    if (section->max_message_size)
        line(output, "a=max-message-size:%llu",
             section->max_message_size == UINT64_MAX
                 ? 0ull
                 : (unsigned long long)section->max_message_size);
    write_attributes(output, section->attributes.items, section->attributes.count);
}

char *sdp_write(const struct sdp *sdp)
{
    struct output output = { .capacity = 4096 };
    output.text = memory_allocate(output.capacity, 1);
    write_session(&output, sdp);
    for (size_t i = 0; i < sdp->sections.count; i++)
        write_section(&output, &sdp->sections.items[i]);
    return output.text;
}
