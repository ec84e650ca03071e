/** A PeerJS engine with clients that live in memory, and a device of another language. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/memory.h"
#include "base/time.h"
#include "signal/model/calls.h"
#include "signal/peerjs/peerjs.h"
#include "support/check.h"

#define S         TIME_US_PER_S
#define INBOX_MAX 600

/** One client: what it was sent and is not taken out yet. */
struct client {
    struct peerjs_peer *peer; /**< NULL: not connected */
    json_t *inbox[INBOX_MAX];
    size_t count;
    json_t *taken;   /**< the one returned last */
    char last[1024]; /**< as it was written */
    uint16_t close_code;
    bool slow;
};

/** A device of another language: what happened to it last, in words. */
struct other {
    struct call_device device;
    char call[CALL_ID_SIZE];
    char story[512];
    char sdp[64];
};

struct world {
    struct random random;
    struct call_directory calls;
    struct peerjs_transport transport;
    struct peerjs_config config;
    struct signal_peerjs *peerjs;
    uint64_t now_us;
    unsigned wakes;
};

static struct world world;

static inline int client_receive(struct peerjs_transport *self, void *socket, struct bytes text)
{
    (void)self;
    struct client *client = socket;
    if (client->slow)
        return -ENOBUFS;
    json_t *message = json_loadb((const char *)text.data, text.size,
                                 JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    assert_non_null(message);
    assert_true(client->count < INBOX_MAX);
    client->inbox[client->count++] = message;
    snprintf(client->last, sizeof(client->last), "%.*s", (int)text.size, (const char *)text.data);
    return 0;
}

static inline void client_told_to_close(struct peerjs_transport *self, void *socket, uint16_t code,
                                        const char *reason)
{
    (void)self;
    assert_true(strlen(reason) < 124); // what fits in a close frame
    ((struct client *)socket)->close_code = code;
}

static inline void client_moved(struct peerjs_transport *self, void *socket,
                                struct peerjs_peer *peer)
{
    (void)self;
    ((struct client *)socket)->peer = peer;
}

static inline void world_wake(struct peerjs_transport *self)
{
    (void)self;
    world.wakes++;
}

static inline void world_start(const struct peerjs_config *changes)
{
    memset(&world, 0, sizeof(world));
    world.now_us = 1000 * S;
    random_seeded_init(&world.random, 5);
    call_directory_init(&world.calls, &(struct call_directory_config){ .random = &world.random });
    world.transport = (struct peerjs_transport){ .send = client_receive,
                                                 .close = client_told_to_close,
                                                 .moved = client_moved,
                                                 .wake = world_wake };
    if (changes)
        world.config = *changes;
    world.config.calls = &world.calls;
    world.config.transport = &world.transport;
    world.config.random = &world.random;
    world.peerjs = signal_peerjs_new(&world.config);
}

static inline void world_stop(void)
{
    signal_peerjs_free(world.peerjs);
    call_directory_done(&world.calls);
}

static inline int set_up(void **state)
{
    (void)state;
    world_start(NULL);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    world_stop();
    return 0;
}

/** Time passes, and all deadlines within it are kept. */
static inline void world_pass(uint64_t us)
{
    uint64_t end = world.now_us + us, deadline;
    while ((deadline = time_earlier(signal_peerjs_deadline(world.peerjs),
                                    call_directory_deadline(&world.calls))) <= end) {
        world.now_us = max_of(deadline, world.now_us);
        signal_peerjs_tick(world.peerjs, world.now_us);
        call_directory_tick(&world.calls, world.now_us);
    }
    world.now_us = end;
}

static inline uint64_t metric_of(const char *name, const char *labels)
{
    struct metric_set set = signal_peerjs_metrics(world.peerjs);
    for (size_t i = 0; i < set.count; i++) {
        if (strcmp(set.descriptions[i].name, name) == 0 &&
            strcmp(set.descriptions[i].labels, labels) == 0)
            return metric_get(&set.values[i]);
    }
    fail_msg("no metric %s{%s}", name, labels);
    return 0;
}

static inline uint64_t dropped(const char *reason)
{
    char labels[64];
    snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
    return metric_of("peerjs_dropped_total", labels);
}

/** ---- clients ---- */

static inline void client_connect_as(struct client *client, const char *key, const char *id,
                                     const char *token)
{
    memset(client, 0, sizeof(*client));
    const struct peerjs_entry entry = { .key = key, .id = id, .token = token };
    client->peer = signal_peerjs_open(world.peerjs, world.now_us, 1700000000, client, &entry);
}

/** The next message, which must be there; valid until the next one is taken. */
static inline json_t *client_next(struct client *client)
{
    json_decref(client->taken);
    client->taken = NULL;
    if (client->count == 0)
        return NULL;
    client->taken = client->inbox[0];
    memmove(client->inbox, client->inbox + 1, --client->count * sizeof(client->inbox[0]));
    return client->taken;
}

static inline const char *text_at(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "(none)";
}

/** The next message must have that type. */
static inline json_t *client_hears(struct client *client, const char *type)
{
    json_t *message = client_next(client);
    if (!message)
        fail_msg("no message where %s was expected", type);
    assert_string_equal(text_at(message, "type"), type);
    return message;
}

static inline void client_is_quiet(struct client *client)
{
    if (client->count > 0)
        fail_msg("unexpected %s", text_at(client->inbox[0], "type"));
}

static inline void client_enter(struct client *client, const char *id)
{
    client_connect_as(client, "peerjs", id, id);
    assert_non_null(client->peer);
    client_hears(client, "OPEN");
}

static inline void client_say_text(struct client *client, const char *text)
{
    signal_peerjs_input(world.peerjs, world.now_us, client->peer, bytes_of_text(text));
}

/** Takes the object over. */
static inline void client_say(struct client *client, json_t *object)
{
    char *text = json_dumps(object, 0);
    json_decref(object);
    client_say_text(client, text);
    free(text);
}

/** The socket breaks or closes; what was not read is thrown away. */
static inline void client_leave(struct client *client, uint16_t code)
{
    struct peerjs_peer *peer = client->peer;
    client->peer = NULL;
    if (peer)
        signal_peerjs_closed(world.peerjs, world.now_us, peer, code);
    while (client_next(client))
        ;
}

static inline json_t *media_message(const char *type, const char *to, const char *connection)
{
    bool offer = strcmp(type, "OFFER") == 0;
    return json_pack(
        "{s:s,s:s,s:{s:s,s:s,s:{s:s,s:s},s:{s:s}}}", "type", type, "dst", to, "payload", "type",
        "media", "connectionId", connection, "sdp", "type", offer ? "offer" : "answer", "sdp",
        offer ? "v=0\r\nm=video 9 offer" : "v=0\r\nanswer", "metadata", "mood", "good");
}

static inline json_t *candidate_message(const char *to, const char *connection, const char *text)
{
    return json_pack("{s:s,s:s,s:{s:s,s:s,s:{s:s,s:s,s:i}}}", "type", "CANDIDATE", "dst", to,
                     "payload", "type", "media", "connectionId", connection, "candidate",
                     "candidate", text, "sdpMid", "0", "sdpMLineIndex", 0);
}

static inline json_t *data_message(const char *type, const char *to, const char *connection)
{
    return json_pack("{s:s,s:s,s:{s:s,s:s,s:s,s:s}}", "type", type, "dst", to, "payload", "type",
                     "data", "connectionId", connection, "serialization", "binary", "label",
                     "chat");
}

static inline json_t *payload_of(json_t *message)
{
    return json_object_get(message, "payload");
}

/** The client is told to close a connection, and no other. */
static inline json_t *client_closes(struct client *client)
{
    json_t *message = client_hears(client, "OFFER");
    assert_string_equal(text_at(payload_of(message), "type"), "closed");
    return message;
}

/** ---- the other language ---- */

static inline void other_notified(struct call_device *device, const struct call_event *event)
{
    static const char *const names[] = {
        [CALL_EVENT_INCOMING] = "incoming", [CALL_EVENT_RINGING] = "ringing",
        [CALL_EVENT_ACCEPTED] = "accepted", [CALL_EVENT_CANDIDATE] = "candidate",
        [CALL_EVENT_PEER] = "peer",         [CALL_EVENT_ENDED] = "ended",
    };
    struct other *other = container_of(device, struct other, device);
    const char *name = event->kind < array_size(names) ? names[event->kind] : NULL;
    size_t used = strlen(other->story);
    snprintf(other->story + used, sizeof(other->story) - used, "%s%s", used ? " " : "",
             name ? name : "something");
    if (event->kind == CALL_EVENT_INCOMING)
        snprintf(other->call, sizeof(other->call), "%s", event->call);
    if (event->sdp)
        snprintf(other->sdp, sizeof(other->sdp), "%s", event->sdp);
}

static const struct call_device_ops other_ops = { .notify = other_notified };

static inline void other_enter(struct other *other, const char *user)
{
    memset(other, 0, sizeof(*other));
    call_device_init(&other->device, &other_ops, CALL_BINDING_NATIVE);
    if (user)
        assert_int_equal(call_device_register(&world.calls, &other->device, user, "Otto", false),
                         0);
}

static inline void other_leave(struct other *other)
{
    call_device_done(&world.calls, &other->device, world.now_us, CALL_ENDED_HANGUP);
}

/** What it heard since it was asked last. */
static inline const char *other_story(struct other *other)
{
    static char story[sizeof(other->story)];
    memcpy(story, other->story, sizeof(story));
    other->story[0] = 0;
    return story;
}
