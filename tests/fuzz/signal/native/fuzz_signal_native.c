// An engine with two connections of strangers. The input is lines; the first character of each
// says what happens: '0' or '1', that connection sends the rest; 'b', connection 1 breaks and a
// new one takes its place; 't', time passes; 'm', media reports something.
// "$M0", "$T0", "$C", "$S", "$K" in a line become a member, a track, the call, the session and its
// secret, so that inputs get past the ids.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "room/directory.h"
#include "signal/messaging/messaging.h"
#include "signal/model/calls.h"
#include "signal/native/native.h"

#define LINE_MAX_SIZE 8192
#define ID_MAX        40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stranger {
    struct native_connection *connection;
    char member[ID_MAX];
    char track[ID_MAX];
    char session[ID_MAX];
    char secret[ID_MAX];
    char call[ID_MAX];
};

struct server {
    struct media_control media;
    struct native_transport transport;
    struct random random;
    struct room_directory rooms;
    struct call_directory calls;
    struct messaging messaging;
    struct signal_native *native;
    struct stranger strangers[2];
    media_session session;
    uint64_t sessions_opened;
    uint64_t now_us;
};

static int media_open(struct media_control *self, const struct media_session_config *config,
                      media_session *ret_session)
{
    (void)config;
    struct server *server = container_of(self, struct server, media);
    *ret_session = server->session = ++server->sessions_opened;
    return 0;
}

static void media_close(struct media_control *self, media_session session)
{
    (void)self;
    (void)session;
}

static int media_offer(struct media_control *self, media_session session, struct bytes sdp,
                       struct media_answer *ret_answer, const char **ret_problem)
{
    (void)self;
    (void)session;
    if (sdp.size < 10) {
        *ret_problem = "Too short.";
        return -22;
    }
    // sections from the bytes after "v=0": whatever a media server might say
    size_t count = min_of(sdp.size - 3, (size_t)24);
    ret_answer->sdp = memory_copy("v=0", 3);
    ret_answer->section_count = count;
    ret_answer->sections = memory_new_array(struct media_section, count);
    for (size_t i = 0; i < count; i++) {
        struct media_section *section = &ret_answer->sections[i];
        uint8_t byte = sdp.data[3 + i];
        snprintf(section->mid, sizeof(section->mid), "%u", (unsigned)i % 100);
        section->kind = (enum media_kind)(byte % 3);
        section->role = (enum media_role)(byte / 3 % 3);
    }
    return 0;
}

static int media_slot(struct media_control *self, media_session subscriber, const char *slot_mid,
                      media_session publisher, const char *publish_mid)
{
    (void)self;
    if (subscriber == 0 || !slot_mid || (publisher && !publish_mid))
        abort();
    return 0;
}

static int media_wish(struct media_control *self, media_session subscriber, const char *slot_mid,
                      const struct media_wish *wish)
{
    (void)self;
    (void)subscriber;
    (void)slot_mid;
    (void)wish;
    return 0;
}

static int media_block(struct media_control *self, media_session publisher, const char *mid,
                       bool blocked)
{
    (void)self;
    (void)blocked;
    if (publisher == 0 || !mid)
        abort();
    return 0;
}

static void media_permit(struct media_control *self, media_session session, bool may_send)
{
    (void)self;
    (void)session;
    (void)may_send;
}

static int media_send(struct media_control *self, const struct media_data *data)
{
    (void)self;
    (void)data;
    return 0;
}

static bool media_event_take(struct media_control *self, struct media_event *ret_event)
{
    (void)self;
    (void)ret_event;
    return false;
}

/** Takes the text behind `key` out of a message. */
static void pick(struct bytes text, const char *key, char out[ID_MAX])
{
    size_t length = strlen(key);
    const uint8_t *found = memmem(text.data, text.size, key, length);
    if (!found)
        return;
    const uint8_t *from = found + length;
    size_t left = text.size - (size_t)(from - text.data), at = 0;
    while (at < left && at < ID_MAX - 1 && from[at] != '"')
        at++;
    memcpy(out, from, at);
    out[at] = 0;
}

static int transport_send(struct native_transport *self, void *socket, struct bytes text)
{
    (void)self;
    struct stranger *stranger = socket;
    if (!text_is_utf8(text) || text.size < 2 || text.data[0] != '{')
        abort();
    pick(text, "\"self\":\"", stranger->member);
    pick(text, "\"track\":\"", stranger->track);
    pick(text, "\"session\":\"", stranger->session);
    pick(text, "\"resume_token\":\"", stranger->secret);
    pick(text, "\"call\":\"", stranger->call);
    return 0;
}

static void transport_close(struct native_transport *self, void *socket, uint16_t code,
                            const char *reason)
{
    (void)self;
    (void)socket;
    (void)code;
    (void)reason;
}

static void start(struct server *server)
{
    server->now_us = TIME_US_PER_S;
    server->media = (struct media_control){ .session_open = media_open,
                                            .session_close = media_close,
                                            .offer = media_offer,
                                            .slot_set = media_slot,
                                            .slot_wish = media_wish,
                                            .publication_block = media_block,
                                            .data_permit = media_permit,
                                            .data_send = media_send,
                                            .event = media_event_take };
    server->transport.send = transport_send;
    server->transport.close = transport_close;
    random_seeded_init(&server->random, 3);
    room_directory_init(&server->rooms,
                        &(struct room_directory_config){ .media = &server->media,
                                                         .random = &server->random,
                                                         .room_count_max = 3,
                                                         .member_count_max = 3,
                                                         .track_count_max = 4,
                                                         .audio_slot_count_max = 4,
                                                         .video_slot_count_max = 4,
                                                         .empty_timeout_us = TIME_US_PER_S,
                                                         .auto_create = true });
    call_directory_init(&server->calls,
                        &(struct call_directory_config){ .random = &server->random });
    messaging_init(&server->messaging, &server->calls, NULL, &server->random);
    server->native =
        signal_native_new(&(struct native_config){ .rooms = &server->rooms,
                                                   .calls = &server->calls,
                                                   .messaging = &server->messaging,
                                                   .transport = &server->transport,
                                                   .random = &server->random,
                                                   .resume_buffer_size = 4096,
                                                   .token_key = bytes_of_text("key") });
}

static void connect_stranger(struct server *server, unsigned who)
{
    struct net_address remote = net_address_ipv4(192, 0, 2, (uint8_t)who, 1);
    server->strangers[who].connection =
        signal_native_open(server->native, server->now_us, &server->strangers[who], &remote);
}

static const char *name_of(const struct server *server, char letter, char digit)
{
    unsigned who = digit == '1';
    const struct stranger *stranger = &server->strangers[who];
    switch (letter) {
    case 'M':
        return stranger->member;
    case 'T':
        return stranger->track;
    case 'C':
        return stranger->call;
    case 'S':
        return stranger->session;
    case 'K':
        return stranger->secret;
    default:
        return NULL;
    }
}

/** "$M0" and so on become what they stand for. */
static struct bytes fill_in(const struct server *server, struct bytes line, char *out)
{
    size_t size = 0;
    for (size_t i = 0; i < line.size && size + ID_MAX < LINE_MAX_SIZE; i++) {
        const char *name = NULL;
        if (line.data[i] == '$' && i + 2 < line.size)
            name = name_of(server, (char)line.data[i + 1], (char)line.data[i + 2]);
        if (!name) {
            out[size++] = (char)line.data[i];
            continue;
        }
        memcpy(out + size, name, strlen(name));
        size += strlen(name);
        i += 2;
    }
    return bytes_of(out, size);
}

static void send_line(struct server *server, unsigned who, struct bytes line)
{
    char text[LINE_MAX_SIZE];
    struct bytes filled = fill_in(server, line, text);
    // an exact copy, so that the address sanitizer sees reads past the end
    char *copy = malloc(filled.size ? filled.size : 1);
    if (!copy)
        return;
    memcpy(copy, text, filled.size);
    signal_native_input(server->native, server->now_us, server->strangers[who].connection,
                        bytes_of(copy, filled.size));
    free(copy);
}

static void report_media(struct server *server, struct bytes line)
{
    uint8_t byte = line.size > 1 ? line.data[1] : 0;
    struct media_event event = { .kind = (enum media_event_kind)(byte % 6),
                                 .session = server->session,
                                 .mid = "0",
                                 .speaking = byte & 64,
                                 .reason = "Broken." };
    room_directory_media_event(&server->rooms, server->now_us, &event);
    room_directory_settle(&server->rooms, server->now_us);
}

static void act(struct server *server, struct bytes line)
{
    if (line.size == 0)
        return;
    switch (line.data[0]) {
    case '0':
    case '1':
        send_line(server, line.data[0] - '0', bytes_of(line.data + 1, line.size - 1));
        break;
    case 'b':
        signal_native_closed(server->native, server->now_us, server->strangers[1].connection,
                             line.size > 1 && line.data[1] == '1' ? 1001 : 1006);
        connect_stranger(server, 1);
        break;
    case 't':
        server->now_us += (line.size > 1 ? line.data[1] : 1u) * TIME_US_PER_S / 4;
        signal_native_tick(server->native, server->now_us);
        call_directory_tick(&server->calls, server->now_us);
        room_directory_tick(&server->rooms, server->now_us);
        if (signal_native_deadline(server->native) <= server->now_us ||
            call_directory_deadline(&server->calls) <= server->now_us ||
            room_directory_deadline(&server->rooms) <= server->now_us)
            abort(); // the loop would spin
        break;
    case 'm':
        report_media(server, line);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct server *server = memory_new(struct server);
    start(server);
    connect_stranger(server, 0);
    connect_stranger(server, 1);
    struct bytes rest = bytes_of(data, size);
    while (rest.size > 0)
        act(server, text_take_until(&rest, '\n'));
    signal_native_free(server->native);
    if (server->rooms.metrics[ROOM_DIRECTORY_METRIC_MEMBERS] != 0 ||
        server->calls.metrics[CALL_METRIC_CALLS] != 0)
        abort(); // someone was forgotten
    messaging_done(&server->messaging);
    call_directory_done(&server->calls);
    room_directory_done(&server->rooms);
    free(server);
    return 0;
}
