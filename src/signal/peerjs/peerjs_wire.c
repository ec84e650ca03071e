#include "signal/peerjs/peerjs_wire.h"

#include <errno.h>
#include <string.h>

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
static const char *text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return !value || json_is_null(value) ? "" : json_string_value(value);
}

bool peerjs_name_is_valid(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size >= PEERJS_NAME_SIZE)
        return false;
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        // bytes of other scripts: who reads names has seen to it that they are UTF-8
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

/** payload.sdp is an RTCSessionDescription: {type, sdp}. */
static bool read_sdp(struct peerjs_message *message)
{
    message->sdp = text_of(json_object_get(message->payload, "sdp"), "sdp");
    return message->sdp && strncmp(message->sdp, "v=0", 3) == 0 && !has_controls(message->sdp);
}

/** A text that other languages get as it is; absent and null are NULL. */
static bool read_line(const json_t *object, const char *key, size_t size_max, const char **ret_text)
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
    const json_t *given = json_object_get(message->payload, "candidate");
    struct peerjs_candidate *candidate = &message->candidate;
    if (!json_is_object(given) || !read_line(given, "candidate", 1024, &candidate->candidate) ||
        !read_line(given, "sdpMid", 64, &candidate->sdp_mid) ||
        !read_line(given, "usernameFragment", 256, &candidate->username_fragment))
        return false;
    if (!candidate->candidate)
        candidate->candidate = "";
    const json_t *index = json_object_get(given, "sdpMLineIndex");
    json_int_t number = json_integer_value(index);
    if (index && !json_is_null(index) && (!json_is_integer(index) || number < 0 || number > 255))
        return false;
    candidate->sdp_m_line_index = json_is_integer(index) ? (int32_t)number : -1;
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
    *ret_problem = PEERJS_PROBLEM_MALFORMED;
    if (!json_is_object(message->json))
        return -EBADMSG;
    if (find_type(text_of(message->json, "type"), &message->type) < 0) {
        *ret_problem = PEERJS_PROBLEM_TYPE;
        return -EBADMSG;
    }
    message->to = text_of(message->json, "dst");
    message->connection = "";
    if (!message->to || (message->to[0] && !peerjs_name_is_valid(message->to)))
        return -EBADMSG;
    if (!types[message->type].to_a_peer)
        return 0;
    message->payload = json_object_get(message->json, "payload");
    if (!message->to[0] || !json_is_object(message->payload) || !read_payload(message))
        return -EBADMSG;
    return 0;
}

int peerjs_read(struct bytes text, struct peerjs_message *ret_message,
                enum peerjs_problem *ret_problem)
{
    struct peerjs_message message = { 0 };
    message.json = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    int result = read_object(&message, ret_problem);
    if (result < 0) {
        peerjs_message_done(&message);
        return result;
    }
    *ret_message = message;
    return 0;
}

void peerjs_message_done(struct peerjs_message *message)
{
    json_decref(message->json);
    message->json = NULL;
}

/** ---- writing ---- */

/** Takes the object over. */
static char *written(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

/** {type, src, dst, payload}; takes the payload over. */
static char *envelope(enum peerjs_type type, const char *from, const char *to, json_t *payload)
{
    return written(json_pack("{s:s,s:s,s:s,s:o}", "type", types[type].name, "src", from, "dst", to,
                             "payload", payload));
}

char *peerjs_write_notice(const char *type, const char *sentence)
{
    if (!sentence)
        return written(json_pack("{s:s}", "type", type));
    return written(json_pack("{s:s,s:{s:s}}", "type", type, "payload", "msg", sentence));
}

char *peerjs_write_bare(const char *type, const char *from, const char *to)
{
    return written(json_pack("{s:s,s:s,s:s}", "type", type, "src", from, "dst", to));
}

char *peerjs_write_passed(const struct peerjs_message *message, const char *from)
{
    return envelope(message->type, from, message->to, json_incref(message->payload));
}

/** What every payload of a media connection says. */
static json_t *media_payload(const char *connection)
{
    return json_pack("{s:s,s:s}", "type", "media", "connectionId", connection);
}

static void add_sdp(json_t *payload, const char *type, const char *sdp)
{
    json_object_set_new(payload, "sdp", json_pack("{s:s,s:s}", "type", type, "sdp", sdp));
}

char *peerjs_write_offer(const char *from, const char *to, const char *connection, const char *sdp,
                         const char *metadata)
{
    json_t *payload = media_payload(connection);
    add_sdp(payload, "offer", sdp);
    if (metadata)
        json_object_set_new(payload, "metadata", json_loads(metadata, JSON_DECODE_ANY, NULL));
    return envelope(PEERJS_TYPE_OFFER, from, to, payload);
}

char *peerjs_write_answer(const char *from, const char *to, const char *connection, const char *sdp)
{
    json_t *payload = media_payload(connection);
    add_sdp(payload, "answer", sdp);
    return envelope(PEERJS_TYPE_ANSWER, from, to, payload);
}

char *peerjs_write_candidate(const char *from, const char *to, const char *connection,
                             const struct peerjs_candidate *candidate)
{
    // sdpMid or sdpMLineIndex must be there, or browsers refuse the candidate
    int32_t index = candidate->sdp_m_line_index;
    json_t *given = json_pack("{s:s,s:s?,s:o,s:s?}", "candidate", candidate->candidate, "sdpMid",
                              candidate->sdp_mid, "sdpMLineIndex",
                              index < 0 ? json_null() : json_integer(index), "usernameFragment",
                              candidate->username_fragment);
    json_t *payload = media_payload(connection);
    json_object_set_new(payload, "candidate", given);
    return envelope(PEERJS_TYPE_CANDIDATE, from, to, payload);
}

char *peerjs_write_close(const char *from, const char *to, const char *connection)
{
    return envelope(PEERJS_TYPE_OFFER, from, to,
                    json_pack("{s:s,s:s}", "type", "closed", "connectionId", connection));
}

char *peerjs_write_metadata(const char *name, bool verified)
{
    return written(json_pack("{s:s,s:b}", "name", name, "verified", verified));
}

char *peerjs_write_names(const char *const *names, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(names[i]));
    return written(array);
}
