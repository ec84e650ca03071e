// Janus's signaling over WebSocket: its videoroom plugin for those who publish and receive, its
// streaming plugin for those who receive a mountpoint (https://janus.conf.meetecho.com/docs/).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "proto/ice/ice_candidate.h"
#include "runtime/clock.h"
#include "signaling.h"

#define ROOM          1
#define MOUNTPOINT    1
#define KEEP_ALIVE_US (20 * TIME_US_PER_S)

struct signaling {
    struct json_socket *socket;
    uint64_t session;
    uint64_t handle;
    uint64_t next_transaction;
    uint64_t kept_us;
    uint32_t videos; /**< received */
    const struct media_client *media;
};

/** Our transaction's success, event or error; not its acknowledgement. */
static bool read_message(void *context, json_t *message)
{
    struct signaling *client = context;
    const char *kind = json_string_value(json_object_get(message, "janus"));
    const char *transaction = json_string_value(json_object_get(message, "transaction"));
    return kind && transaction && strcmp(kind, "ack") != 0 &&
           strtoull(transaction, NULL, 10) == client->next_transaction;
}

/** Sends a request (its reference) and waits; a new reference, or NULL with a message. */
static json_t *request(struct signaling *client, const char *kind, json_t *message)
{
    char transaction[24];
    snprintf(transaction, sizeof(transaction), "%llu",
             (unsigned long long)++client->next_transaction);
    json_object_set_new(message, "janus", json_string(kind));
    json_object_set_new(message, "transaction", json_string(transaction));
    if (client->session)
        json_object_set_new(message, "session_id", json_integer((json_int_t)client->session));
    if (client->handle)
        json_object_set_new(message, "handle_id", json_integer((json_int_t)client->handle));
    if (!json_socket_send(client->socket, message))
        return NULL;
    json_t *reply = json_socket_wait(client->socket, read_message, client);
    json_t *data = json_object_get(json_object_get(reply, "plugindata"), "data");
    const char *why = json_string_value(json_object_get(data, "error"));
    if (!why)
        why = json_string_value(json_object_get(json_object_get(reply, "error"), "reason"));
    if (reply && !why)
        return reply;
    fprintf(stderr, "load: Janus refused: %s\n", why ? why : "no reply");
    json_decref(reply);
    return NULL;
}

static uint64_t request_id(struct signaling *client, const char *kind, json_t *message)
{
    json_t *reply = request(client, kind, message);
    json_t *id = json_object_get(json_object_get(reply, "data"), "id");
    uint64_t value = (uint64_t)json_integer_value(id);
    json_decref(reply);
    return value;
}

/** A request to the plugin, with a description (heap, taken) or without. */
static json_t *ask_plugin(struct signaling *client, json_t *body, const char *type, char *sdp)
{
    json_t *message = json_pack("{s:o}", "body", body);
    if (sdp)
        json_object_set_new(message, "jsep",
                            json_pack("{s:s,s:s,s:b}", "type", type, "sdp", sdp, "trickle", false));
    free(sdp);
    return request(client, "message", message);
}

static const char *description_of(json_t *reply)
{
    return json_string_value(json_object_get(json_object_get(reply, "jsep"), "sdp"));
}

/**
 * Our description for Janus: without trickling, and with the passive parts of ICE and DTLS, so that
 * it never waits for us: it drops a ClientHello that comes before it has finished with ICE. The
 * text is taken; heap.
 */
static char *complete(struct media_client *media, char *sdp)
{
    char candidate[ICE_CANDIDATE_TEXT_MAX];
    struct text_builder line = text_builder_of(candidate, sizeof(candidate));
    struct ice_candidate host = ice_candidate_host(&media->address, 65535);
    ice_candidate_write(&host, &line);
    size_t capacity = strlen(sdp) + (media->offer.section_count + 1) * (sizeof(candidate) + 32);
    char *text = memory_new_array(char, capacity);
    struct text_builder out = text_builder_of(text, capacity);
    for (char *rest = sdp, *next; *rest; rest = next) {
        next = strchr(rest, '\n') ? strchr(rest, '\n') + 1 : rest + strlen(rest);
        if (strncmp(rest, "a=setup:", 8) == 0)
            text_append_format(&out, "a=candidate:%s\r\na=setup:passive\r\n", candidate);
        else
            text_append_format(&out, "%.*s", (int)(next - rest), rest);
        if (strncmp(rest, "t=", 2) == 0)
            text_append(&out, "a=ice-lite\r\n");
    }
    ensure(!out.truncated);
    free(sdp);
    return text;
}

static void janus_close(struct signaling *client)
{
    if (!client)
        return;
    json_socket_close(client->socket);
    free(client);
}

/** A session with a handle of the plugin. */
static struct signaling *attach(struct signaling_shared *shared, struct media_client *media,
                                const char *plugin)
{
    struct signaling *client = memory_new(struct signaling);
    client->media = media;
    media->passive = true;
    client->kept_us = clock_now_us();
    client->socket = json_socket_open(&(struct json_socket_config){ .server = &shared->server,
                                                                    .target = "/",
                                                                    .subprotocol = "janus-protocol",
                                                                    .random = shared->random,
                                                                    .wait = shared->wait,
                                                                    .owner = shared->owner });
    if (client->socket)
        client->session = request_id(client, "create", json_object());
    if (client->session)
        client->handle = request_id(client, "attach", json_pack("{s:s}", "plugin", plugin));
    if (client->handle)
        return client;
    janus_close(client);
    return NULL;
}

/** Sections as Janus offers them. */
static void add_offered(struct media_client *media, const char *offer)
{
    for (const char *at = offer; (at = strstr(at, "m=")); at++) {
        if (at != offer && at[-1] != '\n')
            continue;
        if (strncmp(at, "m=audio", 7) == 0)
            media_client_receives(media, RTC_KIND_AUDIO);
        else if (strncmp(at, "m=video", 7) == 0)
            media_client_receives(media, RTC_KIND_VIDEO);
    }
}

/** Takes the offer in Janus's reply (taken) and answers it. */
static bool answer(struct signaling *client, struct media_client *media, json_t *reply)
{
    const char *offer = description_of(reply);
    json_t *started = NULL;
    if (offer) {
        add_offered(media, offer);
        char *sdp = complete(media, media_client_describe(media));
        if (media_client_start(media, offer))
            started = ask_plugin(client, json_pack("{s:s}", "request", "start"), "answer", sdp);
        else
            free(sdp);
    }
    bool ok = started != NULL;
    json_decref(started);
    json_decref(reply);
    return ok;
}

/** Janus counts layers from the end of the list that offers begin with: largest first. */
static void order_layers(struct media_client *media)
{
    static const char *const rids[MEDIA_LAYERS] = { "f", "h", "q" };
    for (uint32_t i = 0; i < media->feed_count; i++) {
        struct rtc_client_section *section = &media->sections[media->feeds[i].section];
        if (section->rid_count > 0)
            section->rids = rids;
    }
}

static bool publish(struct signaling *client, struct signaling_shared *shared,
                    struct media_client *media)
{
    order_layers(media);
    char *offer = complete(media, media_client_describe(media));
    json_t *body = json_pack("{s:s,s:i,s:s,s:s}", "request", "joinandconfigure", "room", ROOM,
                             "ptype", "publisher", "display", "load");
    json_t *reply = ask_plugin(client, body, "offer", offer);
    const char *said = description_of(reply);
    bool ok = said && media_client_start(media, said) && shared->feed_count < SIGNALING_FEEDS_MAX;
    json_t *data = json_object_get(json_object_get(reply, "plugindata"), "data");
    if (ok)
        shared->feeds[shared->feed_count++] =
            (uint64_t)json_integer_value(json_object_get(data, "id"));
    json_decref(reply);
    return ok;
}

/** To all that was published, but by the participant itself. */
static bool subscribe(struct signaling *client, const struct signaling_shared *shared,
                      struct media_client *media, uint32_t participant)
{
    json_t *streams = json_array();
    for (uint32_t i = 0; i < shared->feed_count; i++) {
        if (i != participant)
            json_array_append_new(streams,
                                  json_pack("{s:I}", "feed", (json_int_t)shared->feeds[i]));
    }
    json_t *body = json_pack("{s:s,s:i,s:s,s:o}", "request", "join", "room", ROOM, "ptype",
                             "subscriber", "streams", streams);
    return answer(client, media, ask_plugin(client, body, NULL, NULL));
}

static struct signaling *videoroom_open(struct signaling_shared *shared, struct media_client *media,
                                        uint32_t participant)
{
    struct signaling *client = attach(shared, media, "janus.plugin.videoroom");
    if (!client)
        return NULL;
    if (media->feed_count > 0 ? publish(client, shared, media)
                              : subscribe(client, shared, media, participant))
        return client;
    janus_close(client);
    return NULL;
}

static struct signaling *streaming_open(struct signaling_shared *shared, struct media_client *media,
                                        uint32_t participant)
{
    (void)participant;
    struct signaling *client = attach(shared, media, "janus.plugin.streaming");
    if (!client)
        return NULL;
    if (media->feed_count > 0) {
        struct net_address mountpoint = shared->server;
        mountpoint.port = shared->rtp_port;
        media_client_start_plain(media, &mountpoint);
        return client;
    }
    json_t *body = json_pack("{s:s,s:i}", "request", "watch", "id", MOUNTPOINT);
    if (answer(client, media, ask_plugin(client, body, NULL, NULL)))
        return client;
    janus_close(client);
    return NULL;
}

static bool videoroom_prefer(struct signaling *client, uint32_t large)
{
    json_t *streams = json_array();
    for (size_t i = 0; i < client->media->offer.section_count; i++) {
        char mid[8];
        snprintf(mid, sizeof(mid), "%zu", i);
        if (client->media->sections[i].kind == RTC_KIND_VIDEO && client->videos++ >= large)
            json_array_append_new(streams, json_pack("{s:s,s:i}", "mid", mid, "substream", 0));
    }
    json_t *body = json_pack("{s:s,s:o}", "request", "configure", "streams", streams);
    json_t *reply = ask_plugin(client, body, NULL, NULL);
    bool ok = reply != NULL;
    json_decref(reply);
    return ok;
}

static void janus_keep(struct signaling *client)
{
    json_socket_read(client->socket, read_message, client);
    uint64_t now_us = clock_now_us();
    if (now_us - client->kept_us < KEEP_ALIVE_US)
        return;
    client->kept_us = now_us;
    json_socket_send(client->socket, json_pack("{s:s,s:s,s:I}", "janus", "keepalive", "transaction",
                                               "0", "session_id", (json_int_t)client->session));
}

const struct signaling_kind signaling_videoroom = {
    .name = "videoroom",
    .one_way = true,
    .open = videoroom_open,
    .prefer = videoroom_prefer,
    .keep = janus_keep,
    .close = janus_close,
};

const struct signaling_kind signaling_streaming = {
    .name = "streaming",
    .one_way = true,
    .open = streaming_open,
    .keep = janus_keep,
    .close = janus_close,
};
