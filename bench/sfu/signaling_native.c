// roost's own signaling (docs/protocol.md).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "signaling.h"

#define PING_US        (3 * TIME_US_PER_S)
#define TRACKS_MAX     128
#define TRACKS_WAIT_US (10 * TIME_US_PER_S)
#define WISHES_MAX     64 /**< in one message */

struct signaling {
    struct json_socket *socket;
    struct signaling_shared *shared;
    uint64_t next_id;
    uint64_t pinged_us;
    uint64_t last_seq;
    char *tracks[TRACKS_MAX]; /**< videos that fill slots, in the order they came */
    uint32_t track_count;
    const struct media_client *client;
};

static void take_track(struct signaling *client, json_t *change)
{
    const char *track = json_string_value(json_object_get(change, "track"));
    const char *mid = json_string_value(json_object_get(change, "mid"));
    unsigned long section = mid ? strtoul(mid, NULL, 10) : MEDIA_SECTIONS;
    if (!track || section >= MEDIA_SECTIONS ||
        client->client->sections[section].kind != RTC_KIND_VIDEO ||
        client->track_count == TRACKS_MAX)
        return;
    client->tracks[client->track_count++] = memory_copy(track, strlen(track));
}

static bool read_message(void *context, json_t *message)
{
    struct signaling *client = context;
    json_t *seq = json_object_get(message, "seq"), *change;
    if (seq)
        client->last_seq = (uint64_t)json_integer_value(seq);
    size_t i;
    json_array_foreach(json_object_get(message, "changes"), i, change) take_track(client, change);
    json_t *slots = json_object_get(json_object_get(message, "result"), "slots");
    json_array_foreach(slots, i, change) take_track(client, change);
    return (uint64_t)json_integer_value(json_object_get(message, "id")) == client->next_id;
}

/** Sends a request and waits for its result (a new reference); NULL on refusal. */
static json_t *request(struct signaling *client, json_t *message)
{
    json_object_set_new(message, "id", json_integer((json_int_t)++client->next_id));
    json_t *reply = NULL;
    if (json_socket_send(client->socket, message))
        reply = json_socket_wait(client->socket, read_message, client);
    const char *type = json_string_value(json_object_get(reply, "type"));
    json_t *result = NULL;
    if (type && strcmp(type, "ok") == 0) {
        result = json_object_get(reply, "result");
        result = result ? json_incref(result) : json_object();
    } else {
        const char *why = json_string_value(json_object_get(reply, "message"));
        fprintf(stderr, "load: refused: %s\n", why ? why : "no reply");
    }
    json_decref(reply);
    return result;
}

/** What each sending section shows, which the protocol wants to know. */
static json_t *publications(const struct media_client *media)
{
    json_t *tracks = json_array();
    for (uint32_t i = 0; i < media->feed_count; i++) {
        char mid[8];
        snprintf(mid, sizeof(mid), "%u", media->feeds[i].section);
        json_array_append_new(tracks, json_pack("{s:s,s:s}", "mid", mid, "source",
                                                media->feeds[i].video ? "camera" : "microphone"));
    }
    return tracks;
}

static bool negotiate(struct signaling *client, struct media_client *media)
{
    char *offer = media_client_describe(media);
    json_t *result = request(client, json_pack("{s:s,s:s,s:o}", "type", "offer", "sdp", offer,
                                               "tracks", publications(media)));
    free(offer);
    const char *answer = json_string_value(json_object_get(result, "sdp"));
    bool ok = answer && media_client_start(media, answer);
    json_decref(result);
    return ok;
}

static void native_close(struct signaling *client)
{
    if (!client)
        return;
    json_socket_close(client->socket);
    for (uint32_t i = 0; i < client->track_count; i++)
        free(client->tracks[i]);
    free(client);
}

static struct signaling *native_open(struct signaling_shared *shared, struct media_client *media,
                                     uint32_t participant)
{
    struct signaling *client = memory_new(struct signaling);
    client->client = media;
    client->shared = shared;
    client->socket = json_socket_open(&(struct json_socket_config){ .server = &shared->server,
                                                                    .target = "/ws",
                                                                    .random = shared->random,
                                                                    .wait = shared->wait,
                                                                    .owner = shared->owner });
    char name[32];
    snprintf(name, sizeof(name), "member-%x", participant);
    json_t *hello = NULL, *joined = NULL;
    if (client->socket)
        hello = request(client, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    if (hello)
        joined = request(client,
                         json_pack("{s:s,s:s,s:s}", "type", "join", "room", "load", "name", name));
    bool ok = joined && negotiate(client, media);
    json_decref(hello);
    json_decref(joined);
    if (ok)
        return client;
    native_close(client);
    return NULL;
}

/** Until every slot for a video has one. */
static bool wait_for_tracks(struct signaling *client)
{
    const struct media_client *media = client->client;
    uint32_t slots = 0;
    for (size_t i = 0; i < media->offer.section_count; i++)
        slots += media->sections[i].kind == RTC_KIND_VIDEO && !media->sections[i].sends;
    uint64_t end_us = clock_now_us() + TRACKS_WAIT_US;
    while (client->track_count < slots && clock_now_us() < end_us) {
        client->shared->wait(client->shared->owner, -1);
        json_socket_read(client->socket, read_message, client);
    }
    if (client->track_count < slots)
        fprintf(stderr, "load: %u of %u videos came\n", client->track_count, slots);
    return client->track_count >= slots;
}

static bool native_prefer(struct signaling *client, uint32_t large)
{
    if (!wait_for_tracks(client))
        return false;
    for (uint32_t at = large; at < client->track_count; at += WISHES_MAX) {
        json_t *wishes = json_array();
        for (uint32_t i = at; i < client->track_count && i < at + WISHES_MAX; i++)
            json_array_append_new(wishes, json_pack("{s:s,s:i,s:i,s:i}", "track", client->tracks[i],
                                                    "width", 320, "height", 180, "priority", 100));
        json_t *result = request(client, json_pack("{s:s,s:o}", "type", "wish", "tracks", wishes));
        if (!result)
            return false;
        json_decref(result);
    }
    return true;
}

static void native_keep(struct signaling *client)
{
    json_socket_read(client->socket, read_message, client);
    uint64_t now_us = clock_now_us();
    if (now_us - client->pinged_us < PING_US)
        return;
    client->pinged_us = now_us;
    json_socket_send(client->socket, json_pack("{s:s,s:I}", "type", "ping", "last_seq",
                                               (json_int_t)client->last_seq));
}

static void native_leave(struct signaling *client)
{
    json_decref(request(client, json_pack("{s:s}", "type", "goodbye")));
}

const struct signaling_kind signaling_native = {
    .name = "native",
    .open = native_open,
    .prefer = native_prefer,
    .keep = native_keep,
    .leave = native_leave,
    .close = native_close,
};
