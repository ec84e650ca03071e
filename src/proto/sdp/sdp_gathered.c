#include "proto/sdp/sdp_gathered.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define CANDIDATE   "candidate:"
#define END_OF_THEM "a=end-of-candidates"
#define LINE_END    "\r\n"

_Static_assert(SDP_GATHERED_MAX <= 64, "write_section has a bit for each");

/** The part of a description up to the next m= line, or that line's. */
struct section {
    struct bytes text;
    int32_t number; /**< -1: the lines before the first m= line */
    struct bytes mid;
    struct bytes ice_ufrag;
    bool has_candidates;
    bool has_end;
};

/** The next line without its end; false behind the last one. */
static bool next_line(struct bytes *rest, struct bytes *ret_line)
{
    if (rest->size == 0)
        return false;
    struct bytes line = text_take_until(rest, '\n');
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    *ret_line = line;
    return true;
}

static void take_value(struct bytes line, const char *prefix, struct bytes *value)
{
    size_t size = strlen(prefix);
    if (text_starts_with(line, prefix))
        *value = bytes_of(line.data + size, line.size - size);
}

/** The end of what begins at `rest`: before the next m= line that is not its first. */
static size_t section_size(struct bytes rest)
{
    struct bytes behind = rest, line;
    while (next_line(&behind, &line)) {
        if (line.data != rest.data && text_starts_with(line, "m="))
            return (size_t)(line.data - rest.data);
    }
    return rest.size;
}

/** `session_ufrag` holds where the section has none of its own. */
static struct section read_section(struct bytes text, int32_t number, struct bytes session_ufrag)
{
    struct section section = { .text = text, .number = number, .ice_ufrag = session_ufrag };
    struct bytes line;
    while (next_line(&text, &line)) {
        take_value(line, "a=mid:", &section.mid);
        take_value(line, "a=ice-ufrag:", &section.ice_ufrag);
        section.has_candidates = section.has_candidates || text_starts_with(line, "a=" CANDIDATE);
        section.has_end = section.has_end || text_equal(line, END_OF_THEM);
    }
    return section;
}

static bool has_line(struct bytes text, struct bytes attribute)
{
    struct bytes line;
    while (next_line(&text, &line)) {
        if (line.size == attribute.size + 2 && text_starts_with(line, "a=") &&
            memcmp(line.data + 2, attribute.data, attribute.size) == 0)
            return true;
    }
    return false;
}

/** Whoever named it may have put more than one line into it. */
static bool is_candidate(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < ' ')
            return false;
    }
    return text_starts_with(text, CANDIDATE);
}

static bool belongs(const struct sdp_gathered *candidate, const struct section *section)
{
    if (candidate->ice_ufrag.size > 0 && section->ice_ufrag.size > 0 &&
        !bytes_equal(candidate->ice_ufrag, section->ice_ufrag))
        return false;
    if (candidate->mid.size > 0 && section->mid.size > 0)
        return bytes_equal(candidate->mid, section->mid);
    return section->number == (candidate->section >= 0 ? candidate->section : 0);
}

static void append_line(struct text_builder *out, const char *prefix, struct bytes text)
{
    text_append(out, prefix);
    text_append_bytes(out, text);
    text_append(out, LINE_END);
}

/** Each candidate goes to one section: `used` has a bit for those that are written. */
static void write_section(struct text_builder *out, const struct section *section,
                          const struct sdp_gathered *candidates, size_t count, uint64_t *used)
{
    size_t begin = out->length;
    text_append_bytes(out, section->text);
    if (section->number < 0)
        return;
    if (out->length > begin && out->data[out->length - 1] != '\n')
        text_append(out, LINE_END);
    bool has_candidates = section->has_candidates;
    for (size_t i = 0; i < count; i++) {
        const struct sdp_gathered *one = &candidates[i];
        struct bytes written = bytes_of(out->data + begin, out->length - begin);
        if (*used >> i & 1 || !is_candidate(one->candidate) || !belongs(one, section))
            continue;
        *used |= 1ull << i;
        if (has_line(written, one->candidate))
            continue;
        append_line(out, "a=", one->candidate);
        has_candidates = true;
    }
    if (has_candidates && !section->has_end)
        append_line(out, END_OF_THEM, bytes_of(NULL, 0));
}

static size_t size_max(struct bytes sdp, const struct sdp_gathered *candidates, size_t count)
{
    const size_t line = strlen("a=" LINE_END);
    size_t size = sdp.size + 1;
    for (size_t i = 0; i < count; i++)
        size += candidates[i].candidate.size + line;
    size_t sections = 0;
    for (struct bytes rest = sdp, one; next_line(&rest, &one);)
        sections += text_starts_with(one, "m=") ? 1 : 0;
    return size + sections * (strlen(END_OF_THEM LINE_END) + strlen(LINE_END));
}

char *sdp_gathered_into(struct bytes sdp, const struct sdp_gathered *candidates, size_t count)
{
    if (count > SDP_GATHERED_MAX)
        count = SDP_GATHERED_MAX;
    uint64_t used = 0;
    size_t capacity = size_max(sdp, candidates, count);
    struct text_builder out = text_builder_of(memory_allocate(capacity, 1), capacity);
    struct bytes session_ufrag = bytes_of(NULL, 0);
    struct bytes rest = sdp;
    for (int32_t number = text_starts_with(sdp, "m=") ? 0 : -1; rest.size > 0; number++) {
        struct bytes text = bytes_of(rest.data, section_size(rest));
        struct section section = read_section(text, number, session_ufrag);
        if (number < 0)
            session_ufrag = section.ice_ufrag;
        write_section(&out, &section, candidates, count, &used);
        rest = bytes_of(rest.data + text.size, rest.size - text.size);
    }
    ensure(!out.truncated);
    return out.data;
}

struct bytes sdp_gathered_ufrag(struct bytes sdp)
{
    struct bytes line, ufrag = bytes_of(NULL, 0);
    while (!ufrag.data && next_line(&sdp, &line))
        take_value(line, "a=ice-ufrag:", &ufrag);
    return ufrag;
}
