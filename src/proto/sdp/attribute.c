// The attributes of media sections that have a type of their own: one table row each.
#include "proto/sdp/sdp_int.h"

const char *const sdp_direction_names[] = {
    [SDP_DIRECTION_SENDRECV] = "sendrecv",
    [SDP_DIRECTION_SENDONLY] = "sendonly",
    [SDP_DIRECTION_RECVONLY] = "recvonly",
    [SDP_DIRECTION_INACTIVE] = "inactive",
};

const char *const sdp_setup_names[] = {
    [SDP_SETUP_ACTIVE] = "active",
    [SDP_SETUP_PASSIVE] = "passive",
    [SDP_SETUP_ACTPASS] = "actpass",
    [SDP_SETUP_HOLDCONN] = "holdconn",
};

typedef const char *attribute_parse(struct sdp *sdp, struct sdp_section *section,
                                    struct bytes value);

/** Index of `text` in a list of names, or -1. */
static int name_find(const char *const *names, size_t count, struct bytes text)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && text_equal(text, names[i]))
            return (int)i;
    return -1;
}

/** Takes a word and parses it as a number. */
static bool number_take(struct bytes *words, uint64_t max, uint64_t *ret_number)
{
    struct bytes word;
    return sdp_words_next(words, &word) && text_parse_u64(word, max, ret_number) == 0;
}

static bool payload_type_take(struct bytes *words, uint8_t *ret_payload_type)
{
    uint64_t number;
    if (!number_take(words, 127, &number))
        return false;
    *ret_payload_type = (uint8_t)number;
    return true;
}

/** A text that may stand once. */
static const char *text_once(struct bytes *place, struct bytes value, const char *problem)
{
    if (place->size > 0 || value.size == 0)
        return problem;
    *place = value;
    return NULL;
}

static const char *parse_mid(unused struct sdp *sdp, struct sdp_section *section,
                             struct bytes value)
{
    return text_once(&section->mid, value, "a=mid is empty or given twice");
}

static const char *parse_ice_ufrag(unused struct sdp *sdp, struct sdp_section *section,
                                   struct bytes value)
{
    return text_once(&section->ice_ufrag, value, "a=ice-ufrag is empty or given twice");
}

static const char *parse_ice_pwd(unused struct sdp *sdp, struct sdp_section *section,
                                 struct bytes value)
{
    return text_once(&section->ice_pwd, value, "a=ice-pwd is empty or given twice");
}

static const char *parse_ice_options(unused struct sdp *sdp, struct sdp_section *section,
                                     struct bytes value)
{
    return text_once(&section->ice_options, value, "a=ice-options is empty or given twice");
}

static const char *parse_setup(unused struct sdp *sdp, struct sdp_section *section,
                               struct bytes value)
{
    int setup = name_find(sdp_setup_names, array_size(sdp_setup_names), value);
    if (setup < 0)
        return "a=setup must be actpass, active, passive or holdconn";
    section->setup = (enum sdp_setup)setup;
    return NULL;
}

/** RFC 8122, 5: "sha-256 AB:CD:..." */
static const char *parse_fingerprint(struct sdp *sdp, struct sdp_section *section,
                                     struct bytes value)
{
    struct sdp_fingerprint fingerprint;
    if (!sdp_words_next(&value, &fingerprint.hash) || !sdp_words_next(&value, &fingerprint.value))
        return "a=fingerprint must name a hash function and its value";
    *sdp_list_add(sdp, &section->fingerprints) = fingerprint;
    return NULL;
}

static const char *parse_candidate(struct sdp *sdp, struct sdp_section *section, struct bytes value)
{
    *sdp_list_add(sdp, &section->candidates) = value;
    return NULL;
}

/** RFC 8866, 6.6: "111 opus/48000/2" */
static const char *parse_rtpmap(struct sdp *sdp, struct sdp_section *section, struct bytes value)
{
    struct sdp_rtpmap map = { 0 };
    struct bytes encoding;
    uint64_t clock_rate;
    uint64_t channels = 0;
    if (!payload_type_take(&value, &map.payload_type) || !sdp_words_next(&value, &encoding))
        return "a=rtpmap must have a payload type from 0 to 127 and an encoding";
    map.name = text_take_until(&encoding, '/');
    struct bytes rate = text_take_until(&encoding, '/');
    if (map.name.size == 0 || text_parse_u64(rate, UINT32_MAX, &clock_rate) < 0 || clock_rate == 0)
        return "a=rtpmap must have an encoding name and a clock rate";
    if (encoding.size > 0 && text_parse_u64(encoding, 255, &channels) < 0)
        return "the channels of a=rtpmap must be a number";
    if (sdp_rtpmap_find(section, map.payload_type))
        return "a payload type has two a=rtpmap lines";
    map.clock_rate_hz = (uint32_t)clock_rate;
    map.channels = (uint32_t)channels;
    *sdp_list_add(sdp, &section->rtpmaps) = map;
    return NULL;
}

static const char *parse_fmtp(struct sdp *sdp, struct sdp_section *section, struct bytes value)
{
    struct sdp_fmtp fmtp;
    if (!payload_type_take(&value, &fmtp.payload_type))
        return "a=fmtp must begin with a payload type from 0 to 127";
    // one line per payload type (RFC 8866, 6.15): the first one counts
    for (size_t i = 0; i < section->fmtps.count; i++)
        if (section->fmtps.items[i].payload_type == fmtp.payload_type)
            return NULL;
    fmtp.parameters = text_trim(value);
    *sdp_list_add(sdp, &section->fmtps) = fmtp;
    return NULL;
}

/** RFC 4585, 4.2: "96 nack pli" or "* nack" */
static const char *parse_rtcp_fb(struct sdp *sdp, struct sdp_section *section, struct bytes value)
{
    struct sdp_rtcp_fb feedback = { .payload_type = -1 };
    struct bytes rest = value;
    struct bytes first;
    uint8_t payload_type;
    if (sdp_words_next(&rest, &first) && text_equal(first, "*"))
        value = rest;
    else if (payload_type_take(&value, &payload_type))
        feedback.payload_type = payload_type;
    else
        return "a=rtcp-fb must begin with a payload type from 0 to 127 or *";
    feedback.value = text_trim(value);
    *sdp_list_add(sdp, &section->rtcp_fbs) = feedback;
    return NULL;
}

/** RFC 8285, 8: "4/recvonly urn:... attributes" */
static const char *parse_extmap(struct sdp *sdp, struct sdp_section *section, struct bytes value)
{
    struct sdp_extmap map = { 0 };
    struct bytes direction;
    uint64_t id;
    if (!sdp_words_next(&value, &direction) || !sdp_words_next(&value, &map.uri))
        return "a=extmap must have an id and a URI";
    if (text_parse_u64(text_take_until(&direction, '/'), 65535, &id) < 0)
        return "the id of a=extmap must be a number";
    if (direction.size > 0) {
        int found = name_find(sdp_direction_names, array_size(sdp_direction_names), direction);
        if (found < 0)
            return "the direction of a=extmap is not known";
        map.direction = (enum sdp_direction)found;
    }
    map.id = (uint32_t)id;
    map.attributes = text_trim(value);
    *sdp_list_add(sdp, &section->extmaps) = map;
    return NULL;
}

/** RFC 5576, 4.1: "1234 cname:abc" */
static const char *parse_ssrc(struct sdp *sdp, struct sdp_section *section, struct bytes value)
{
    uint64_t number;
    if (!number_take(&value, UINT32_MAX, &number))
        return "a=ssrc must begin with a number below 2^32";
    struct sdp_ssrc ssrc = { .ssrc = (uint32_t)number };
    struct bytes rest = text_trim(value);
    ssrc.name = text_take_until(&rest, ':');
    ssrc.value = rest;
    *sdp_list_add(sdp, &section->ssrcs) = ssrc;
    return NULL;
}

static const char *parse_ssrc_group(struct sdp *sdp, struct sdp_section *section,
                                    struct bytes value)
{
    struct sdp_ssrc_group group;
    if (!sdp_words_next(&value, &group.semantics))
        return "a=ssrc-group must have semantics";
    group.ssrcs = text_trim(value);
    struct bytes words = group.ssrcs;
    uint32_t ssrc;
    while (sdp_ssrc_group_next(&words, &ssrc))
        ;
    if (words.size > 0)
        return "a=ssrc-group must list numbers below 2^32";
    *sdp_list_add(sdp, &section->ssrc_groups) = group;
    return NULL;
}

/** RFC 8830, 2: "stream track" */
static const char *parse_msid(struct sdp *sdp, struct sdp_section *section, struct bytes value)
{
    struct sdp_msid msid = { 0 };
    if (!sdp_words_next(&value, &msid.stream))
        return "a=msid must have a stream id";
    sdp_words_next(&value, &msid.track);
    *sdp_list_add(sdp, &section->msids) = msid;
    return NULL;
}

/** RFC 8851, 10: "hi send max-width=1280" */
static const char *parse_rid(struct sdp *sdp, struct sdp_section *section, struct bytes value)
{
    struct sdp_rid rid = { 0 };
    struct bytes direction;
    if (!sdp_words_next(&value, &rid.id) || !sdp_words_next(&value, &direction))
        return "a=rid must have an id and a direction";
    rid.receive = text_equal(direction, "recv");
    if (!rid.receive && !text_equal(direction, "send"))
        return "the direction of a=rid must be send or recv";
    rid.restrictions = text_trim(value);
    *sdp_list_add(sdp, &section->rids) = rid;
    return NULL;
}

/** RFC 8853, 5.1: "send 1;2,3 recv 4" */
static const char *parse_simulcast(unused struct sdp *sdp, struct sdp_section *section,
                                   struct bytes value)
{
    static const char problem[] = "a=simulcast must be send or recv with a list, each once";
    struct bytes direction;
    struct bytes list;
    while (sdp_words_next(&value, &direction)) {
        bool send = text_equal(direction, "send");
        if ((!send && !text_equal(direction, "recv")) || !sdp_words_next(&value, &list))
            return problem;
        struct bytes *place = send ? &section->simulcast_send : &section->simulcast_receive;
        if (place->size > 0)
            return problem;
        *place = list;
    }
    return NULL;
}

static const char *parse_sctp_port(unused struct sdp *sdp, struct sdp_section *section,
                                   struct bytes value)
{
    uint64_t port;
    if (text_parse_u64(value, 65535, &port) < 0)
        return "a=sctp-port must be a number from 0 to 65535";
    section->sctp_port = (uint32_t)port;
    section->sctp_closed = port == 0;
    return NULL;
}

static const char *parse_max_message_size(unused struct sdp *sdp, struct sdp_section *section,
                                          struct bytes value)
{
    if (text_parse_u64(value, UINT64_MAX, &section->max_message_size) < 0)
        return "a=max-message-size must be a number";
    if (section->max_message_size == 0)
        section->max_message_size = UINT64_MAX;
    return NULL;
}

static const struct {
    const char *name;
    attribute_parse *parse;
} attributes[] = {
    { "candidate", parse_candidate },
    { "extmap", parse_extmap },
    { "fingerprint", parse_fingerprint },
    { "fmtp", parse_fmtp },
    { "ice-options", parse_ice_options },
    { "ice-pwd", parse_ice_pwd },
    { "ice-ufrag", parse_ice_ufrag },
    { "max-message-size", parse_max_message_size },
    { "mid", parse_mid },
    { "msid", parse_msid },
    { "rid", parse_rid },
    { "rtcp-fb", parse_rtcp_fb },
    { "rtpmap", parse_rtpmap },
    { "sctp-port", parse_sctp_port },
    { "setup", parse_setup },
    { "simulcast", parse_simulcast },
    { "ssrc", parse_ssrc },
    { "ssrc-group", parse_ssrc_group },
};

static const struct {
    const char *name;
    size_t offset;
} flags[] = {
    { "bundle-only", offsetof(struct sdp_section, bundle_only) },
    { "end-of-candidates", offsetof(struct sdp_section, end_of_candidates) },
    { "extmap-allow-mixed", offsetof(struct sdp_section, extmap_allow_mixed) },
    { "rtcp-mux", offsetof(struct sdp_section, rtcp_mux) },
    { "rtcp-rsize", offsetof(struct sdp_section, rtcp_rsize) },
};

const char *sdp_attribute_parse(struct sdp *sdp, struct sdp_section *section, struct bytes name,
                                struct bytes value, bool *ret_known)
{
    *ret_known = true;
    for (size_t i = 0; i < array_size(attributes); i++)
        if (text_equal(name, attributes[i].name))
            return attributes[i].parse(sdp, section, value);
    for (size_t i = 0; i < array_size(flags); i++) {
        if (!text_equal(name, flags[i].name))
            continue;
        *(bool *)((char *)section + flags[i].offset) = true;
        return NULL;
    }
    int direction = name_find(sdp_direction_names, array_size(sdp_direction_names), name);
    if (direction >= 0)
        section->direction = (enum sdp_direction)direction;
    else
        *ret_known = false;
    return NULL;
}
