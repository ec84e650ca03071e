#include "signal/native/relay_signal.h"

#include <stdio.h>
#include <string.h>

#include "base/json_read.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/text.h"

static const char *text_of(const struct json_value *object, const char *name)
{
    const struct json_value *value = json_member(object, name);
    return value && value->kind == JSON_KIND_TEXT ? value->text : NULL;
}

static bool read_candidate(const struct json_value *object, struct relay_signal *ret_signal)
{
    const struct json_value *given = json_member(object, "candidate");
    const struct json_value *index = json_member(given, "sdpMLineIndex");
    ret_signal->candidate = (struct call_candidate){
        .candidate = text_of(given, "candidate"),
        .sdp_mid = text_of(given, "sdpMid"),
        .username_fragment = text_of(given, "usernameFragment"),
        .sdp_m_line_index = -1,
    };
    if (index && index->kind == JSON_KIND_INTEGER && index->integer >= 0 && index->integer <= 255)
        ret_signal->candidate.sdp_m_line_index = (int32_t)index->integer;
    const struct call_candidate *read = &ret_signal->candidate;
    // as long as those of the other languages; they may be kept for a while
    return read->candidate && strlen(read->candidate) <= 1024 &&
           (!read->sdp_mid || strlen(read->sdp_mid) <= 64) &&
           (!read->username_fragment || strlen(read->username_fragment) <= 256);
}

struct relay_signal relay_read(const struct json_value *object)
{
    struct relay_signal data = { .kind = RELAY_OTHER };
    const char *type = text_of(object, "type");
    const char *sdp = text_of(object, "sdp");
    bool described = sdp && strncmp(sdp, "v=0", 3) == 0;
    if (!type)
        return data;
    if (strcmp(type, "bye") == 0)
        data.kind = RELAY_BYE;
    else if (strcmp(type, "offer") == 0 && described)
        data.kind = RELAY_OFFER;
    else if (strcmp(type, "answer") == 0 && described)
        data.kind = RELAY_ANSWER;
    else if (strcmp(type, "candidate") == 0 && read_candidate(object, &data))
        data.kind = RELAY_CANDIDATE;
    data.sdp = sdp;
    return data;
}

void relay_read_origin(const char *sdp, char ret_origin[RELAY_ORIGIN_SIZE])
{
    ret_origin[0] = '\0';
    const char *line = strstr(sdp, "\no=");
    if (!line)
        return;
    struct bytes rest = bytes_of_text(line + 3);
    (void)text_take_until(&rest, ' ');
    struct bytes id = text_take_until(&rest, ' ');
    snprintf(ret_origin, RELAY_ORIGIN_SIZE, "%.*s", (int)min_of(id.size, (size_t)RELAY_ORIGIN_SIZE),
             (const char *)id.data);
}

bool relay_has_media(const char *sdp)
{
    return strstr(sdp, "\nm=audio ") || strstr(sdp, "\nm=video ");
}

/** What was written, as a text of its own. */
static char *finish(struct json_text *out)
{
    json_text_close(out, '}');
    char *text = memory_copy(out->data, out->size);
    json_text_done(out);
    return text;
}

static void begin(struct json_text *out, const char *type)
{
    json_text_init(out);
    json_text_open(out, '{');
    json_text_key(out, "type");
    json_text_string(out, type);
}

char *relay_write_sdp(enum relay_kind kind, const char *sdp)
{
    struct json_text out;
    begin(&out, kind == RELAY_OFFER ? "offer" : "answer");
    json_text_key(&out, "sdp");
    json_text_string(&out, sdp);
    return finish(&out);
}

char *relay_write_candidate(const struct call_candidate *candidate)
{
    struct json_text out;
    begin(&out, "candidate");
    json_text_key(&out, "candidate");
    json_text_open(&out, '{');
    json_text_key(&out, "candidate");
    json_text_string(&out, candidate->candidate);
    json_text_key(&out, "sdpMLineIndex");
    if (candidate->sdp_m_line_index < 0)
        json_text_null(&out);
    else
        json_text_number(&out, (uint64_t)candidate->sdp_m_line_index);
    json_text_key(&out, "sdpMid");
    json_text_string(&out, candidate->sdp_mid);
    json_text_close(&out, '}');
    return finish(&out);
}
