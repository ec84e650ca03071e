// The control API: data messages to members of a room, over their data channels.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control_api_int.h"
#include "base/memory.h"
#include "base/text.h"
#include "room/data_envelope.h"

#define TOPIC_MAX   255
#define NAME_MAX    128
#define CONTENT_MAX (48u << 10)
/** Of the SDK's channels (docs/data-channels.md). */
#define LABEL_RELIABLE   "reliable"
#define LABEL_UNRELIABLE "unreliable"

/** Kinds of content in the envelope, as the SDK knows them. */
enum kind {
    KIND_BINARY = 0,
    KIND_TEXT = 1,
    KIND_JSON = 2,
};

/** A message as the request says it. */
struct request {
    const char *topic, *label, *protocol, *base64;
    json_t *to, *text, *json;
    bool reliable;
    unsigned status; /**< with a problem */
    const char *ids[DATA_ENVELOPE_IDS_MAX];
    size_t id_count;
    enum kind kind;
    uint8_t *content; /**< heap */
    size_t size;
};

static const char *take_ids(struct request *request, const struct room *room)
{
    size_t count = json_is_array(request->to) ? json_array_size(request->to) : request->to != NULL;
    if (count > DATA_ENVELOPE_IDS_MAX || (json_is_array(request->to) && count == 0))
        return "to is a participant's id, or 1 to 64 of them.";
    for (size_t i = 0; i < count; i++) {
        const json_t *id =
            json_is_array(request->to) ? json_array_get(request->to, i) : request->to;
        if (!json_is_string(id))
            return "to is a participant's id, or 1 to 64 of them.";
        if (!room_find_member(room, json_string_value(id))) {
            request->status = 404;
            return "There is no such participant in the room.";
        }
        request->ids[request->id_count++] = json_string_value(id);
    }
    return NULL;
}

static const char *take_base64(struct request *request)
{
    struct bytes text = bytes_of_text(request->base64);
    request->content = memory_allocate(text.size + 1, 1);
    int size = text_base64_parse(text, request->content, text.size);
    if (size < 0)
        return "base64 is not valid base64.";
    request->kind = KIND_BINARY;
    request->size = (size_t)size;
    return NULL;
}

static const char *take_content(struct request *request)
{
    static const char one[] = "The message is one of text (a string), json and base64.";
    if ((request->text != NULL) + (request->json != NULL) + (request->base64 != NULL) != 1)
        return one;
    if (request->base64)
        return take_base64(request);
    if (request->json) {
        request->kind = KIND_JSON;
        request->content = (uint8_t *)json_dumps(request->json, JSON_COMPACT | JSON_ENCODE_ANY);
        request->size = request->content ? strlen((const char *)request->content) : 0;
        return NULL;
    }
    if (!json_is_string(request->text))
        return one;
    request->kind = KIND_TEXT;
    request->size = json_string_length(request->text);
    request->content = memory_copy(json_string_value(request->text), request->size);
    return NULL;
}

/** The frame of the SDK's messages: behind the ids stand the topic and the content. */
static struct blob *wrap(const struct request *request)
{
    size_t topic = strlen(request->topic), size = 1 + topic + request->size;
    uint8_t *bytes = memory_allocate(size, 1);
    struct writer writer = writer_of(bytes, size);
    writer_u8(&writer, (uint8_t)topic);
    writer_bytes(&writer, request->topic, topic);
    writer_bytes(&writer, request->content, request->size);
    struct blob *blob = data_envelope_deliver((uint8_t)request->kind, "", request->id_count > 0,
                                              writer_written(&writer));
    free(bytes);
    return blob;
}

static int send_data(struct control_api *api, const struct room *room,
                     const struct request *request)
{
    struct media_control *media = api->config.rooms->config.media;
    bool envelope = strcmp(request->protocol, DATA_ENVELOPE_PROTOCOL) == 0;
    struct blob *frame = envelope ? wrap(request) : NULL;
    if (envelope && !frame)
        return -ENOMEM;
    struct media_data data = {
        .group = room->number,
        .to_count = request->id_count,
        .to = request->ids,
        .label = bytes_of_text(request->label),
        .protocol = bytes_of_text(request->protocol),
        .text = !envelope && request->kind != KIND_BINARY,
        .droppable = !request->reliable,
        .content = envelope ? blob_bytes(frame) : bytes_of(request->content, request->size),
    };
    int result = media->data_send(media, &data);
    blob_unref(frame);
    return result;
}

static void answer(struct control_api *api, struct http_exchange *exchange, const struct room *room,
                   struct request *request)
{
    const char *problem = take_ids(request, room);
    if (!problem)
        problem = take_content(request);
    // a label of the caller's own names a channel of plain messages
    if (!request->protocol)
        request->protocol = request->label ? "" : DATA_ENVELOPE_PROTOCOL;
    if (!request->label)
        request->label = request->reliable ? LABEL_RELIABLE : LABEL_UNRELIABLE;
    if (!problem && *request->topic && strcmp(request->protocol, DATA_ENVELOPE_PROTOCOL) != 0)
        problem = "A plain channel's messages have no topic.";
    if (!problem && request->size > CONTENT_MAX)
        problem = "The message is longer than 48 KiB.";
    if (problem)
        http_exchange_fail(exchange, request->status, problem);
    else if (send_data(api, room, request) < 0)
        http_exchange_fail(exchange, 503, "The server is out of memory.");
    else
        control_done(api, exchange);
    free(request->content);
}

void control_room_data(struct http_exchange *exchange, void *owner)
{
    struct control_api *api = owner;
    const struct room *room = control_room(api, exchange);
    json_t *body = room ? control_body(exchange) : NULL;
    if (!body)
        return;
    struct request request = { .topic = "", .reliable = true, .status = 400 };
    const struct control_field fields[] = {
        { "to", CONTROL_JSON, 0, false, &request.to, NULL },
        { "topic", CONTROL_TEXT, TOPIC_MAX, false, &request.topic, NULL },
        { "text", CONTROL_JSON, 0, false, &request.text, NULL },
        { "json", CONTROL_JSON, 0, false, &request.json, NULL },
        { "base64", CONTROL_TEXT, 2 * CONTENT_MAX, false, &request.base64, NULL },
        { "reliable", CONTROL_FLAG, 0, false, &request.reliable, NULL },
        { "label", CONTROL_TEXT, NAME_MAX, false, &request.label, NULL },
        { "protocol", CONTROL_TEXT, NAME_MAX, false, &request.protocol, NULL },
    };
    if (control_fields(exchange, body, fields, array_size(fields)))
        answer(api, exchange, room, &request);
    json_decref(body);
}
