#include "proto/sdp/sdp_fragment.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

enum {
    UFRAG_MIN = 4,
    PWD_MIN = 22,
    ICE_TEXT_MAX = 256,
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

static bool is_line(struct bytes line)
{
    return line.size >= 2 && line.data[0] >= 'a' && line.data[0] <= 'z' && line.data[1] == '=';
}

/** True, with what follows, for a line that begins so. */
static bool value_of(struct bytes line, const char *prefix, struct bytes *ret_value)
{
    if (!text_starts_with(line, prefix))
        return false;
    size_t size = strlen(prefix);
    *ret_value = bytes_of(line.data + size, line.size - size);
    return true;
}

/** ice-char (RFC 8839, 5.4), and those that libraries send besides. */
static bool is_ice_text(struct bytes text, size_t size_min)
{
    if (text.size < size_min || text.size > ICE_TEXT_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && (c == 0 || !strchr("+/-_=", c)))
            return false;
    }
    return true;
}

int sdp_fragment_parse(struct bytes text, bool whole, struct sdp_fragment *ret_fragment)
{
    if (!whole && text.size > SDP_FRAGMENT_SIZE_MAX)
        return -E2BIG;
    struct sdp_fragment made = { 0 };
    struct bytes line, value;
    while (next_line(&text, &line)) {
        if (line.size == 0)
            continue;
        if (!is_line(line))
            return -EINVAL;
        if (!made.ice_ufrag.data && value_of(line, "a=ice-ufrag:", &value))
            made.ice_ufrag = value;
        else if (!made.ice_pwd.data && value_of(line, "a=ice-pwd:", &value))
            made.ice_pwd = value;
        else if (value_of(line, "a=candidate:", &value))
            made.candidate_count++;
        else if (value_of(line, "a=end-of-candidates", &value))
            made.end_of_candidates = true;
    }
    if (!made.ice_ufrag.data != !made.ice_pwd.data)
        return -EINVAL;
    if (made.ice_ufrag.data &&
        (!is_ice_text(made.ice_ufrag, UFRAG_MIN) || !is_ice_text(made.ice_pwd, PWD_MIN)))
        return -EINVAL;
    *ret_fragment = made;
    return 0;
}

static void append_line(struct text_builder *out, struct bytes line)
{
    text_append_bytes(out, line);
    text_append(out, "\r\n");
}

static void append_value(struct text_builder *out, const char *prefix, struct bytes value)
{
    text_append(out, prefix);
    append_line(out, value);
}

char *sdp_fragment_restart_offer(struct bytes offer, const struct sdp_fragment *fragment)
{
    struct bytes rest = offer, line, value;
    size_t lines = 1;
    while (next_line(&rest, &line))
        lines++;
    // each line may get a carriage return, or credentials in the place of shorter ones
    size_t capacity =
        offer.size + lines * (fragment->ice_ufrag.size + fragment->ice_pwd.size + 2) + 1;
    char *text = memory_allocate(1, capacity);
    struct text_builder out = text_builder_of(text, capacity);
    while (next_line(&offer, &line)) {
        if (value_of(line, "a=candidate:", &value) || value_of(line, "a=end-of-candidates", &value))
            continue;
        if (value_of(line, "a=ice-ufrag:", &value))
            append_value(&out, "a=ice-ufrag:", fragment->ice_ufrag);
        else if (value_of(line, "a=ice-pwd:", &value))
            append_value(&out, "a=ice-pwd:", fragment->ice_pwd);
        else
            append_line(&out, line);
    }
    ensure(!out.truncated);
    return text;
}

/** Whether a line of the answer belongs into a fragment. */
static bool is_transport(struct bytes line)
{
    static const char *const kept[] = { "a=ice-lite", "a=ice-options:", "a=group:",
                                        "m=",         "a=mid:",         "a=ice-ufrag:",
                                        "a=ice-pwd:", "a=candidate:",   "a=end-of-candidates" };
    for (size_t i = 0; i < array_size(kept); i++) {
        if (text_starts_with(line, kept[i]))
            return true;
    }
    return false;
}

char *sdp_fragment_of_answer(struct bytes answer)
{
    size_t capacity = answer.size + 64;
    char *text = memory_allocate(1, capacity);
    struct text_builder out = text_builder_of(text, capacity);
    struct bytes line;
    bool in_section = false;
    while (next_line(&answer, &line)) {
        // all sections share the first one's transport (BUNDLE)
        if (text_starts_with(line, "m=") && in_section)
            break;
        in_section = in_section || text_starts_with(line, "m=");
        if (is_transport(line))
            append_line(&out, line);
    }
    ensure(!out.truncated);
    return text;
}
