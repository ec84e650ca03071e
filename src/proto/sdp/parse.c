#include <errno.h>
#include <string.h>

#include "proto/sdp/sdp_int.h"

struct parser {
    struct sdp *sdp;
    struct bytes rest;
    uint32_t line;
    struct sdp_section defaults; /**< what the session says for all sections */
    struct bytes connection;
    bool has_origin;
    bool has_name;
    bool has_time;
    const char *problem;
};

static int fail(struct parser *parser, const char *sentence)
{
    parser->problem = sentence;
    return -EBADMSG;
}

/** RFC 8866, 5.2: "- 4611733054762223410 2 IN IP4 127.0.0.1" */
static int parse_origin(struct parser *parser, struct bytes value)
{
    struct sdp *sdp = parser->sdp;
    struct bytes id;
    struct bytes version;
    if (parser->has_origin)
        return fail(parser, "There are two o= lines");
    if (!sdp_words_next(&value, &sdp->origin_user) || !sdp_words_next(&value, &id) ||
        !sdp_words_next(&value, &version) || text_parse_u64(id, UINT64_MAX, &sdp->session_id) < 0 ||
        text_parse_u64(version, UINT64_MAX, &sdp->session_version) < 0)
        return fail(parser, "o= must have a user name, a session id and a version");
    sdp->origin_address = text_trim(value);
    if (sdp->origin_address.size == 0)
        return fail(parser, "o= must end with an address");
    parser->has_origin = true;
    return 0;
}

static int parse_group(struct parser *parser, struct bytes value)
{
    struct bytes semantics;
    if (!sdp_words_next(&value, &semantics))
        return fail(parser, "a=group must have semantics");
    if (text_equal(semantics, "BUNDLE"))
        *sdp_list_add(parser->sdp, &parser->sdp->bundles) = text_trim(value);
    return 0;
}

static int parse_session_attribute(struct parser *parser, struct bytes name, struct bytes value)
{
    struct sdp *sdp = parser->sdp;
    if (text_equal(name, "group"))
        return parse_group(parser, value);
    if (text_equal(name, "ice-lite")) {
        sdp->ice_lite = true;
        return 0;
    }
    if (text_equal(name, "msid-semantic")) {
        sdp->msid_semantic = text_trim(value);
        return 0;
    }
    bool known;
    const char *problem = sdp_attribute_parse(sdp, &parser->defaults, name, value, &known);
    if (problem)
        return fail(parser, problem);
    if (known)
        return 0;
    if (sdp->attributes.count >= SDP_ATTRIBUTES_MAX)
        return fail(parser, "The session has too many attributes");
    *sdp_list_add(sdp, &sdp->attributes) =
        (struct sdp_attribute){ .name = name, .value = value, .line = parser->line };
    return 0;
}

static int parse_section_attribute(struct parser *parser, struct sdp_section *section,
                                   struct bytes name, struct bytes value)
{
    bool known;
    const char *problem = sdp_attribute_parse(parser->sdp, section, name, value, &known);
    if (problem)
        return fail(parser, problem);
    if (!known)
        *sdp_list_add(parser->sdp, &section->attributes) =
            (struct sdp_attribute){ .name = name, .value = value, .line = parser->line };
    return 0;
}

static enum sdp_media media_of(struct bytes text)
{
    if (text_equal(text, "audio"))
        return SDP_MEDIA_AUDIO;
    if (text_equal(text, "video"))
        return SDP_MEDIA_VIDEO;
    if (text_equal(text, "application"))
        return SDP_MEDIA_APPLICATION;
    return SDP_MEDIA_OTHER;
}

/** RFC 8866, 5.14: "audio 9 UDP/TLS/RTP/SAVPF 111 63" */
static int parse_media(struct parser *parser, struct bytes value)
{
    struct sdp *sdp = parser->sdp;
    if (sdp->sections.count >= SDP_SECTIONS_MAX)
        return fail(parser, "There are too many m= sections");
    struct sdp_section section = { .line = parser->line };
    struct bytes port;
    struct bytes format;
    uint64_t number;
    if (!sdp_words_next(&value, &section.media_text) || !sdp_words_next(&value, &port) ||
        !sdp_words_next(&value, &section.protocol))
        return fail(parser, "m= must have a medium, a port, a protocol and formats");
    if (text_parse_u64(text_take_until(&port, '/'), 65535, &number) < 0)
        return fail(parser, "The port of m= must be a number from 0 to 65535");
    section.port = (uint32_t)number;
    section.media = media_of(section.media_text);
    while (sdp_words_next(&value, &format)) {
        if (section.formats.count >= SDP_FORMATS_MAX)
            return fail(parser, "m= lists too many formats");
        *sdp_list_add(sdp, &section.formats) = format;
    }
    if (section.formats.count == 0)
        return fail(parser, "m= lists no format");
    *sdp_list_add(sdp, &sdp->sections) = section;
    return 0;
}

static int parse_session_line(struct parser *parser, uint8_t type, struct bytes value)
{
    struct bytes name;
    switch (type) {
    case 'o':
        return parse_origin(parser, value);
    case 's':
        if (!parser->has_origin)
            return fail(parser, "o= must come before s=");
        parser->sdp->name = value;
        parser->has_name = true;
        return 0;
    case 't':
        parser->has_time = true;
        return 0;
    case 'c':
        parser->connection = value;
        return 0;
    case 'a':
        name = text_take_until(&value, ':');
        return parse_session_attribute(parser, name, value);
    default:
        // i, u, e, p, b, r, z, k say nothing that WebRTC uses
        return 0;
    }
}

static int parse_section_line(struct parser *parser, uint8_t type, struct bytes value)
{
    struct sdp_section *section = &parser->sdp->sections.items[parser->sdp->sections.count - 1];
    struct bytes name;
    switch (type) {
    case 'c':
        section->connection = value;
        return 0;
    case 'a':
        name = text_take_until(&value, ':');
        return parse_section_attribute(parser, section, name, value);
    case 'i':
    case 'b':
    case 'k':
        return 0;
    default:
        return fail(parser, "This line may not stand in a media section");
    }
}

/** Lines of a section are counted from its m= line: no attribute limit is needed beside it. */
static bool section_full(const struct parser *parser)
{
    const struct sdp *sdp = parser->sdp;
    uint32_t first = sdp->sections.count ? sdp->sections.items[sdp->sections.count - 1].line : 0;
    return parser->line - first > SDP_ATTRIBUTES_MAX;
}

static int parse_line(struct parser *parser, struct bytes line)
{
    if (line.size > SDP_LINE_MAX)
        return fail(parser, "The line is too long");
    if (line.size < 2 || line.data[1] != '=' || !strchr("vosiuepcbtrzkam", line.data[0]))
        return fail(parser, "The line does not begin with a known letter and =");
    uint8_t type = line.data[0];
    struct bytes value = bytes_of(line.data + 2, line.size - 2);
    if (parser->line == 1) {
        if (type != 'v' || !text_equal(value, "0"))
            return fail(parser, "A session description begins with v=0");
        return 0;
    }
    if (type == 'v')
        return fail(parser, "There are two v= lines");
    if (type == 'm') {
        if (!parser->has_origin || !parser->has_name || !parser->has_time)
            return fail(parser, "o=, s= and t= must come before m=");
        return parse_media(parser, value);
    }
    if (section_full(parser))
        return fail(parser, "The section has too many lines");
    if (parser->sdp->sections.count == 0)
        return parse_session_line(parser, type, value);
    return parse_section_line(parser, type, value);
}

static bool has_control_characters(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] < ' ' && line.data[i] != '\t')
            return true;
    return false;
}

static int parse_lines(struct parser *parser)
{
    while (parser->rest.size > 0) {
        struct bytes line = text_take_until(&parser->rest, '\n');
        parser->line++;
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        if (has_control_characters(line))
            return fail(parser, "The line has control characters");
        // some senders end with an empty line
        if (line.size == 0 && parser->rest.size == 0)
            break;
        int result = parse_line(parser, line);
        if (result < 0)
            return result;
    }
    parser->line = 0;
    if (!parser->has_origin || !parser->has_name || !parser->has_time)
        return fail(parser, "The lines o=, s= and t= are required");
    return 0;
}

/** Gives sections what the session said for all of them, and refuses mids used twice. */
static int inherit(struct parser *parser)
{
    struct sdp *sdp = parser->sdp;
    const struct sdp_section *defaults = &parser->defaults;
    sdp->extmap_allow_mixed = defaults->extmap_allow_mixed;
    sdp->ice_options = defaults->ice_options;
    for (size_t i = 0; i < sdp->sections.count; i++) {
        struct sdp_section *section = &sdp->sections.items[i];
        if (section->connection.size == 0)
            section->connection = parser->connection;
        if (section->direction == SDP_DIRECTION_NONE)
            section->direction = defaults->direction;
        if (section->setup == SDP_SETUP_NONE)
            section->setup = defaults->setup;
        if (section->ice_ufrag.size == 0)
            section->ice_ufrag = defaults->ice_ufrag;
        if (section->ice_pwd.size == 0)
            section->ice_pwd = defaults->ice_pwd;
        if (section->ice_options.size == 0)
            section->ice_options = defaults->ice_options;
        if (section->fingerprints.count == 0)
            section->fingerprints = defaults->fingerprints;
        if (section->extmaps.count == 0)
            section->extmaps = defaults->extmaps;
        section->extmap_allow_mixed |= defaults->extmap_allow_mixed;
        if (section->mid.size > 0 && sdp_section_find(sdp, section->mid) != section) {
            parser->line = section->line;
            return fail(parser, "Two sections have the same mid");
        }
    }
    return 0;
}

int sdp_parse(struct bytes text, struct sdp **ret_sdp, struct sdp_problem *ret_problem)
{
    struct parser parser = { .problem = "The session description is too long" };
    int result = -E2BIG;
    if (text.size <= SDP_SIZE_MAX) {
        parser.sdp = sdp_new();
        void *copy = sdp_allocate(parser.sdp, text.size, 1);
        if (text.size)
            memcpy(copy, text.data, text.size);
        parser.rest = bytes_of(copy, text.size);
        if (text_is_utf8(parser.rest)) {
            result = parse_lines(&parser);
            if (result == 0)
                result = inherit(&parser);
        } else {
            result = fail(&parser, "The session description is not UTF-8");
        }
    }
    if (result < 0) {
        sdp_free(parser.sdp);
        if (ret_problem)
            *ret_problem = (struct sdp_problem){ .line = parser.line, .sentence = parser.problem };
        return result;
    }
    *ret_sdp = parser.sdp;
    return 0;
}
