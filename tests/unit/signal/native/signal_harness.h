/** A native protocol engine with clients that live in memory, and media that only keeps books. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/time.h"
#include "room/directory.h"
#include "signal/messaging/messaging.h"
#include "signal/model/calls.h"
#include "signal/native/native.h"
#include "support/check.h"
#include "support/fake_media.h"

#define S TIME_US_PER_S

#define INBOX_MAX 4096

/** One client: what it was sent and is not taken out yet. */
struct client {
    struct native_connection *connection; /**< NULL: not connected */
    json_t *inbox[INBOX_MAX];
    size_t count;
    json_t *taken; /**< the one returned last */
    uint64_t next_id;
    uint64_t last_seq;
    char session[64];
    char token[64];
    char member[32]; /**< its own member id */
    uint16_t close_code;
    bool slow;
    bool deaf; /**< loses what is sent to it: the network broke */
};

struct world {
    struct fake_media media;
    struct random random;
    struct room_directory rooms;
    struct call_directory calls;
    struct messaging messaging;
    struct native_transport transport;
    struct native_config config;
    struct signal_native *native;
    uint64_t now_us;
};

static struct world world;

static inline int client_receive(struct native_transport *self, void *socket, struct bytes text)
{
    (void)self;
    struct client *client = socket;
    if (client->slow)
        return -ENOBUFS;
    if (client->deaf)
        return 0;
    assert_true(text_is_utf8(text));
    json_t *message = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(message);
    assert_true(client->count < INBOX_MAX);
    client->inbox[client->count++] = message;
    json_t *seq = json_object_get(message, "seq");
    if (seq) {
        uint64_t number = (uint64_t)json_integer_value(seq);
        // in order and without gaps; one that was seen before may come again
        assert_true(number <= client->last_seq + 1);
        if (number == client->last_seq + 1)
            client->last_seq = number;
    }
    return 0;
}

static inline void client_told_to_close(struct native_transport *self, void *socket, uint16_t code,
                                        const char *reason)
{
    (void)self;
    (void)reason;
    struct client *client = socket;
    client->close_code = code;
}

static inline void world_start(const struct native_config *changes)
{
    memset(&world, 0, sizeof(world));
    world.now_us = 1000 * S;
    fake_media_init(&world.media);
    random_seeded_init(&world.random, 5);
    room_directory_init(&world.rooms,
                        &(struct room_directory_config){ .media = &world.media.control,
                                                         .random = &world.random,
                                                         .room_count_max = 100,
                                                         .member_count_max = 100,
                                                         .track_count_max = 4,
                                                         .audio_slot_count_max = 8,
                                                         .video_slot_count_max = 8,
                                                         .empty_timeout_us = 60 * S,
                                                         .auto_create = true });
    call_directory_init(&world.calls, &(struct call_directory_config){ .random = &world.random });
    world.transport.send = client_receive;
    world.transport.close = client_told_to_close;
    if (changes)
        world.config = *changes;
    world.config.rooms = &world.rooms;
    messaging_init(&world.messaging, &world.calls, NULL, &world.random);
    world.config.calls = &world.calls;
    world.config.messaging = &world.messaging;
    world.config.transport = &world.transport;
    world.config.random = &world.random;
    world.native = signal_native_new(&world.config);
    signal_native_set_unix_offset(world.native, 1700000000ull * S);
}

static inline void world_stop(void)
{
    signal_native_free(world.native);
    messaging_done(&world.messaging);
    call_directory_done(&world.calls);
    room_directory_done(&world.rooms);
    assert_int_equal(world.media.sessions.count, 0); // nobody's media outlives its session
    fake_media_done(&world.media);
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

static inline uint64_t world_deadline(void)
{
    return time_earlier(
        signal_native_deadline(world.native),
        time_earlier(room_directory_deadline(&world.rooms), call_directory_deadline(&world.calls)));
}

/** Time passes, and all deadlines within it are kept. */
static inline void world_pass(uint64_t us)
{
    uint64_t end = world.now_us + us;
    uint64_t deadline;
    while ((deadline = world_deadline()) <= end) {
        world.now_us = deadline > world.now_us ? deadline : world.now_us;
        signal_native_tick(world.native, world.now_us);
        call_directory_tick(&world.calls, world.now_us);
        room_directory_tick(&world.rooms, world.now_us);
        assert_true(world_deadline() > world.now_us);
    }
    world.now_us = end;
}

static inline struct net_address address_of(const char *ip)
{
    struct net_address address;
    assert_int_equal(net_address_parse_ip(ip, 40000, &address), 0);
    return address;
}

static inline void client_connect(struct client *client)
{
    struct net_address remote = address_of("192.0.2.7");
    client->close_code = 0;
    client->deaf = client->slow = false;
    client->connection = signal_native_open(world.native, world.now_us, client, &remote);
    assert_non_null(client->connection);
}

static inline void client_clear(struct client *client)
{
    for (size_t i = 0; i < client->count; i++)
        json_decref(client->inbox[i]);
    client->count = 0;
    json_decref(client->taken);
    client->taken = NULL;
}

/** The connection breaks with this code. */
static inline void client_break(struct client *client, uint16_t code)
{
    signal_native_closed(world.native, world.now_us, client->connection, code);
    client->connection = NULL;
}

static inline void client_done(struct client *client)
{
    if (client->connection)
        client_break(client, 1001);
    client_clear(client);
}

static inline void client_say(struct client *client, const char *text)
{
    signal_native_input(world.native, world.now_us, client->connection, bytes_of_text(text));
}

/** Takes out the message at a place; it lives until the next one is taken. */
static inline json_t *client_take(struct client *client, size_t place)
{
    json_decref(client->taken);
    client->taken = client->inbox[place];
    client->count--;
    memmove(client->inbox + place, client->inbox + place + 1,
            (client->count - place) * sizeof(client->inbox[0]));
    return client->taken;
}

static inline const char *type_of(json_t *message)
{
    return json_string_value(json_object_get(message, "type"));
}

/** The first message of a type, or NULL. */
static inline json_t *client_hears(struct client *client, const char *type)
{
    for (size_t i = 0; i < client->count; i++) {
        if (strcmp(type_of(client->inbox[i]), type) == 0)
            return client_take(client, i);
    }
    return NULL;
}

static inline size_t client_heard(const struct client *client, const char *type)
{
    size_t count = 0;
    for (size_t i = 0; i < client->count; i++)
        count += strcmp(type_of(client->inbox[i]), type) == 0;
    return count;
}

/** Sends a request (takes the reference) with the next id; returns the reply. */
static inline json_t *client_ask(struct client *client, json_t *request)
{
    assert_non_null(request);
    uint64_t id = ++client->next_id;
    json_object_set_new(request, "id", json_integer((json_int_t)id));
    char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    client_say(client, text);
    free(text);
    for (size_t i = 0; i < client->count; i++) {
        if (json_integer_value(json_object_get(client->inbox[i], "id")) == (json_int_t)id)
            return client_take(client, i);
    }
    return NULL;
}

/** The result of a request that must be granted. */
static inline json_t *client_must(struct client *client, json_t *request)
{
    json_t *reply = client_ask(client, request);
    assert_non_null(reply);
    if (strcmp(type_of(reply), "ok") != 0)
        fail_msg("refused: %s", json_string_value(json_object_get(reply, "message")));
    return json_object_get(reply, "result");
}

/** The code of a refusal. */
static inline const char *client_refused(struct client *client, json_t *request)
{
    json_t *reply = client_ask(client, request);
    assert_non_null(reply);
    assert_string_equal(type_of(reply), "error");
    // every refusal has a sentence
    const char *sentence = json_string_value(json_object_get(reply, "message"));
    assert_true(strlen(sentence) > 10 && sentence[strlen(sentence) - 1] == '.');
    return json_string_value(json_object_get(reply, "code"));
}

static inline const char *text_at(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static inline void client_hello(struct client *client)
{
    memset(client, 0, sizeof(*client));
    client_connect(client);
    json_t *result = client_must(client, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    snprintf(client->session, sizeof(client->session), "%s", text_at(result, "session"));
    snprintf(client->token, sizeof(client->token), "%s", text_at(result, "resume_token"));
}

/** Connects again and resumes; returns the reply. */
static inline json_t *client_resume(struct client *client)
{
    client_connect(client);
    return client_ask(client, json_pack("{s:s,s:s,s:s,s:I}", "type", "resume", "session",
                                        client->session, "resume_token", client->token, "last_seq",
                                        (json_int_t)client->last_seq));
}

static inline json_t *join_request(const char *room, const char *name)
{
    return json_pack("{s:s,s:s,s:s}", "type", "join", "room", room, "name", name);
}

/** hello and join. */
static inline void client_enter(struct client *client, const char *room, const char *name)
{
    client_hello(client);
    json_t *result = client_must(client, join_request(room, name));
    snprintf(client->member, sizeof(client->member), "%s", text_at(result, "self"));
}

/** Sections as in fake_offer_text; mid 0 is a microphone, mid 1 a camera. */
static inline json_t *offer_request(const char *form)
{
    char *sdp = fake_offer_text(form);
    json_t *request =
        json_pack("{s:s,s:s,s:[{s:s,s:s},{s:s,s:s}]}", "type", "offer", "sdp", sdp, "tracks", "mid",
                  "0", "source", "microphone", "mid", "1", "source", "camera");
    free(sdp);
    return request;
}

/** Jansson's json_is_true is a macro that looks twice. */
static inline bool is_true_at(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_true(value);
}

/** An array's item. */
static inline json_t *item_at(json_t *object, const char *key, size_t place)
{
    json_t *item = json_array_get(json_object_get(object, key), place);
    assert_non_null(item);
    return item;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
