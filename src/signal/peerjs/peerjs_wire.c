#include "signal/peerjs/peerjs_wire.h"

#include <errno.h>
#include <string.h>

#include "base/json_text.h"
#include "base/memory.h"
#include "base/text.h"

static const struct json_limits limits = { .depth_max = JSON_DEPTH_MAX, .values_max = 8192 };

/** ---- reading ---- */

/** Types of messages that clients send and what they concern. */
static const struct {
    const char *name;
    bool to_a_peer;
} types[] = {
    [PEERJS_TYPE_HEARTBEAT] = { "HEARTBEAT", false },
    [PEERJS_TYPE_OFFER] = { "OFFER", true },
    [PEERJS_TYPE_ANSWER] = { "ANSWER", true },
    [PEERJS_TYPE_CANDIDATE] = { "CANDIDATE", true },
    [PEERJS_TYPE_LEAVE] = { "LEAVE", false },
};

/** The text of a member; "" when it is absent or null; NULL when it is no text. */
static const char *text_of(const struct json_value *object, const char *name)
{
    const struct json_value *value = json_member(object, name);
    if (!value || value->kind == JSON_KIND_NULL)
        return "";
    return value->kind == JSON_KIND_TEXT ? value->text : NULL;
}

bool peerjs_name_is_valid(const char *name)
{
    size_t size = strlen(name);
    // ids come in URLs, whose bytes may be anything
    if (size == 0 || size >= PEERJS_NAME_SIZE || !text_is_utf8(bytes_of_text(name)))
        return false;
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c < 0x80 && !strchr("-._~@+ ", c))
            return false;
    }
    return true;
}

static int find_type(const char *name, enum peerjs_type *ret_type)
{
    for (size_t i = 0; name && i < array_size(types); i++) {
        if (strcmp(types[i].name, name) == 0) {
            *ret_type = (enum peerjs_type)i;
            return 0;
        }
    }
    return -ENOENT;
}

static bool has_controls(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && !strchr("\t\n\r", c)) || c == 0x7f)
            return true;
    }
    return false;
}

static bool is_object(const struct json_value *value)
{
    return value && value->kind == JSON_KIND_OBJECT;
}

/** payload.sdp is an RTCSessionDescription: {type, sdp}. */
static bool read_sdp(struct peerjs_message *message)
{
    message->sdp = text_of(json_member(message->payload, "sdp"), "sdp");
    return message->sdp && strncmp(message->sdp, "v=0", 3) == 0 && !has_controls(message->sdp);
}

/** A text that other languages get as it is; absent and null are NULL. */
static bool read_line(const struct json_value *object, const char *key, size_t size_max,
                      const char **ret_text)
{
    const char *text = text_of(object, key);
    if (!text || strlen(text) > size_max || has_controls(text))
        return false;
    *ret_text = text[0] ? text : NULL;
    return true;
}

/** payload.candidate is an RTCIceCandidate. */
static bool read_candidate(struct peerjs_message *message)
{
    const struct json_value *given = json_member(message->payload, "candidate");
    struct peerjs_candidate *candidate = &message->candidate;
    if (!is_object(given) || !read_line(given, "candidate", 1024, &candidate->candidate) ||
        !read_line(given, "sdpMid", 64, &candidate->sdp_mid) ||
        !read_line(given, "usernameFragment", 256, &candidate->username_fragment))
        return false;
    if (!candidate->candidate)
        candidate->candidate = "";
    const struct json_value *index = json_member(given, "sdpMLineIndex");
    candidate->sdp_m_line_index = -1;
    if (!index || index->kind == JSON_KIND_NULL)
        return true;
    if (index->kind != JSON_KIND_INTEGER || index->integer < 0 || index->integer > 255)
        return false;
    candidate->sdp_m_line_index = (int32_t)index->integer;
    return true;
}

static bool read_payload(struct peerjs_message *message)
{
    const char *type = text_of(message->payload, "type");
    message->connection = text_of(message->payload, "connectionId");
    if (!message->connection || strlen(message->connection) >= PEERJS_CONNECTION_SIZE ||
        has_controls(message->connection))
        return false;
    message->is_media = type && strcmp(type, "media") == 0;
    if (!message->is_media)
        return true;
    if (!message->connection[0])
        return false;
    return message->type == PEERJS_TYPE_CANDIDATE ? read_candidate(message) : read_sdp(message);
}

static int read_object(struct peerjs_message *message, enum peerjs_problem *ret_problem)
{
    const struct json_value *json = message->json.values;
    if (!is_object(json))
        return -EBADMSG;
    if (find_type(text_of(json, "type"), &message->type) < 0) {
        *ret_problem = PEERJS_PROBLEM_TYPE;
        return -EBADMSG;
    }
    message->to = text_of(json, "dst");
    message->connection = "";
    if (!message->to || (message->to[0] && !peerjs_name_is_valid(message->to)))
        return -EBADMSG;
    if (!types[message->type].to_a_peer)
        return 0;
    message->payload = json_member(json, "payload");
    if (!message->to[0] || !is_object(message->payload) || !read_payload(message))
        return -EBADMSG;
    return 0;
}

int peerjs_read(struct bytes text, struct peerjs_message *ret_message,
                enum peerjs_problem *ret_problem)
{
    struct peerjs_message message = { 0 };
    struct json_problem where;
    *ret_problem = PEERJS_PROBLEM_MALFORMED;
    int result = json_read(text, &limits, &message.json, &where);
    if (result == 0)
        result = read_object(&message, ret_problem);
    if (result < 0) {
        peerjs_message_done(&message);
        return -EBADMSG;
    }
    *ret_message = message;
    return 0;
}

void peerjs_message_done(struct peerjs_message *message)
{
    json_document_done(&message->json);
}

/** ---- writing ---- */

static void begin(struct json_text *out, const char *type)
{
    json_text_init(out);
    json_text_open(out, '{');
    json_text_key(out, "type");
    json_text_string(out, type);
}

/** What was written, as a text of its own. */
static char *finish(struct json_text *out)
{
    json_text_close(out, '}');
    char *text = memory_copy(out->data, out->size);
    json_text_done(out);
    return text;
}

static void member(struct json_text *out, const char *name, const char *value)
{
    json_text_key(out, name);
    json_text_string(out, value);
}

static void begin_between(struct json_text *out, const char *type, const char *from, const char *to)
{
    begin(out, type);
    member(out, "src", from);
    member(out, "dst", to);
}

/** A message about a media connection, up to the rest of its payload. */
static void begin_payload(struct json_text *out, enum peerjs_type type, const char *from,
                          const char *to, const char *payload_type, const char *connection)
{
    begin_between(out, types[type].name, from, to);
    json_text_key(out, "payload");
    json_text_open(out, '{');
    member(out, "type", payload_type);
    member(out, "connectionId", connection);
}

static char *finish_payload(struct json_text *out)
{
    json_text_close(out, '}');
    return finish(out);
}

static void add_sdp(struct json_text *out, const char *type, const char *sdp)
{
    json_text_key(out, "sdp");
    json_text_open(out, '{');
    member(out, "type", type);
    member(out, "sdp", sdp);
    json_text_close(out, '}');
}

char *peerjs_write_notice(const char *type, const char *sentence)
{
    struct json_text out;
    begin(&out, type);
    if (sentence) {
        json_text_key(&out, "payload");
        json_text_open(&out, '{');
        member(&out, "msg", sentence);
        json_text_close(&out, '}');
    }
    return finish(&out);
}

char *peerjs_write_bare(const char *type, const char *from, const char *to)
{
    struct json_text out;
    begin_between(&out, type, from, to);
    return finish(&out);
}

char *peerjs_write_passed(const struct peerjs_message *message, const char *from)
{
    struct json_text out;
    begin_between(&out, types[message->type].name, from, message->to);
    json_text_key(&out, "payload");
    json_text_raw(&out, message->payload->source);
    return finish(&out);
}

char *peerjs_write_offer(const char *from, const char *to, const char *connection, const char *sdp,
                         const char *metadata)
{
    struct json_text out;
    begin_payload(&out, PEERJS_TYPE_OFFER, from, to, "media", connection);
    add_sdp(&out, "offer", sdp);
    if (metadata) {
        json_text_key(&out, "metadata");
        json_text_raw(&out, bytes_of_text(metadata));
    }
    return finish_payload(&out);
}

char *peerjs_write_answer(const char *from, const char *to, const char *connection, const char *sdp)
{
    struct json_text out;
    begin_payload(&out, PEERJS_TYPE_ANSWER, from, to, "media", connection);
    add_sdp(&out, "answer", sdp);
    return finish_payload(&out);
}

char *peerjs_write_candidate(const char *from, const char *to, const char *connection,
                             const struct peerjs_candidate *candidate)
{
    struct json_text out;
    begin_payload(&out, PEERJS_TYPE_CANDIDATE, from, to, "media", connection);
    json_text_key(&out, "candidate");
    json_text_open(&out, '{');
    member(&out, "candidate", candidate->candidate);
    member(&out, "sdpMid", candidate->sdp_mid);
    json_text_key(&out, "sdpMLineIndex");
    if (candidate->sdp_m_line_index < 0)
        json_text_null(&out);
    else
        json_text_number(&out, (uint64_t)candidate->sdp_m_line_index);
    member(&out, "usernameFragment", candidate->username_fragment);
    json_text_close(&out, '}');
    return finish_payload(&out);
}

char *peerjs_write_close(const char *from, const char *to, const char *connection)
{
    struct json_text out;
    begin_payload(&out, PEERJS_TYPE_OFFER, from, to, "closed", connection);
    return finish_payload(&out);
}

char *peerjs_write_metadata(const char *name, bool verified)
{
    struct json_text out;
    json_text_init(&out);
    json_text_open(&out, '{');
    member(&out, "name", name);
    json_text_key(&out, "verified");
    json_text_boolean(&out, verified);
    return finish(&out);
}

char *peerjs_write_names(const char *const *names, size_t count)
{
    struct json_text out;
    json_text_init(&out);
    json_text_open(&out, '[');
    for (size_t i = 0; i < count; i++)
        json_text_string(&out, names[i]);
    json_text_close(&out, ']');
    char *text = memory_copy(out.data, out.size);
    json_text_done(&out);
    return text;
}
