// The native protocol over real sockets: one loop on this thread serves, its clients are blocking
// sockets that are only read when something is there.
#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "proto/http/http_response.h"
#include "proto/ws/ws_handshake.h"
#include "runtime/entropy.h"
#include "server/http_server.h"
#include "signal/native/ws_endpoint.h"
#include "support/fake_media.h"

#define TURNS_MAX 2000 /**< of the loop, 5 ms at most each */

struct live {
    struct loop loop;
    struct entropy entropy;
    struct fake_media media;
    struct http_server *server;
    struct signal_hub hub;
    struct ws_endpoint *endpoint;
    struct net_address address;
};

static struct live live;

static int start(void **state)
{
    (void)state;
    static const char *const origins[] = { "https://friend.example", NULL };
    memset(&live, 0, sizeof(live));
    assert_int_equal(loop_init(&live.loop), 0);
    entropy_init(&live.entropy);
    fake_media_init(&live.media);
    live.server = http_server_new(
        &(struct http_server_config){ .loop = &live.loop, .random = &live.entropy.random });
    struct net_address any = net_address_ipv4(127, 0, 0, 1, 0);
    assert_int_equal(http_server_listen(live.server, HTTP_LISTENER_PLAIN, &any, &live.address), 0);
    struct signal_hub_config hub = {
        .loop = &live.loop,
        .random = &live.entropy.random,
        .media = &live.media.control,
        .rooms = { .room_count_max = 10,
                   .member_count_max = 10,
                   .track_count_max = 4,
                   .audio_slot_count_max = 4,
                   .video_slot_count_max = 4,
                   .empty_timeout_us = TIME_US_PER_S,
                   .auto_create = true },
    };
    signal_hub_init(&live.hub, &hub);
    struct ws_endpoint_config config = {
        .loop = &live.loop,
        .server = live.server,
        .random = &live.entropy.random,
        .hub = &live.hub,
        .allowed_origins = origins,
    };
    assert_int_equal(ws_endpoint_new(&config, &live.endpoint), 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_server_free(live.server);
    ws_endpoint_free(live.endpoint);
    signal_hub_done(&live.hub);
    loop_done(&live.loop);
    entropy_done(&live.entropy);
    assert_int_equal(live.media.sessions.count, 0);
    fake_media_done(&live.media);
    return 0;
}

struct client {
    int fd;
    struct ws_connection *ws;
    struct random random;
};

static size_t read_some(struct client *client, uint8_t *out, size_t capacity)
{
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        ssize_t size = recv(client->fd, out, capacity, MSG_DONTWAIT);
        if (size >= 0)
            return (size_t)size;
        loop_turn(&live.loop, 5000);
    }
    fail_msg("the server says nothing");
    return 0;
}

static void connect_socket(struct client *client)
{
    memset(client, 0, sizeof(*client));
    random_seeded_init(&client->random, 4);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(live.address.port) };
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&name, sizeof(name)), 0);
}

/** Returns the status of the answer. */
static unsigned shake_hands(struct client *client, const char *origin)
{
    connect_socket(client);
    struct ws_client_offer offer = {
        .host = "localhost", .target = "/ws", .origin = origin, .subprotocol = "roost.v1"
    };
    char text[1024], key[WS_KEY_SIZE], subprotocol[WS_SUBPROTOCOL_SIZE];
    struct text_builder request = text_builder_of(text, sizeof(text));
    ws_client_handshake_write(&offer, &client->random, &request, key);
    assert_int_equal(send(client->fd, text, request.length, 0), (ssize_t)request.length);
    struct http_response_parser parser;
    http_response_parser_init(&parser, NULL);
    struct http_event event = { .kind = HTTP_EVENT_NONE };
    uint8_t byte;
    while (event.kind == HTTP_EVENT_NONE) {
        assert_int_equal(read_some(client, &byte, 1), 1);
        assert_int_equal(http_response_input(&parser, bytes_of(&byte, 1), &event), 1);
    }
    unsigned status = parser.response.status;
    if (status == 101) {
        struct ws_config config = { .is_client = true, .random = &client->random };
        assert_int_equal(
            ws_client_handshake_check(&parser.response, &offer, key, &config.deflate, subprotocol),
            0);
        assert_string_equal(subprotocol, "roost.v1");
        client->ws = ws_connection_new(&config, loop_now_us(&live.loop));
    }
    http_response_parser_done(&parser);
    return status;
}

static void say(struct client *client, const char *text)
{
    assert_int_equal(ws_connection_send_text(client->ws, bytes_of_text(text)), 0);
    struct bytes output = ws_connection_output(client->ws);
    assert_int_equal(send(client->fd, output.data, output.size, 0), (ssize_t)output.size);
    ws_connection_output_taken(client->ws, output.size);
}

/** The next message of a type; the caller frees. */
static json_t *hear(struct client *client, const char *type)
{
    for (;;) {
        struct ws_event event;
        while (ws_connection_event(client->ws, &event)) {
            assert_int_equal(event.kind, WS_EVENT_TEXT);
            json_t *message = json_loadb((const char *)event.data.data, event.data.size, 0, NULL);
            const char *name = json_string_value(json_object_get(message, "type"));
            if (strcmp(name, type) == 0)
                return message;
            json_decref(message);
        }
        uint8_t byte;
        assert_int_equal(read_some(client, &byte, 1), 1);
        assert_int_equal(
            ws_connection_input(client->ws, loop_now_us(&live.loop), bytes_of(&byte, 1)), 1);
    }
}

static void hang_up(struct client *client)
{
    close(client->fd);
    ws_connection_free(client->ws);
}

static void test_a_broken_connection_is_resumed_over_a_new_one(void **state)
{
    (void)state;
    struct client ada, grace;
    assert_int_equal(shake_hands(&ada, NULL), 101);
    assert_int_equal(shake_hands(&grace, NULL), 101);
    say(&ada, "{\"type\":\"hello\",\"id\":1,\"version\":1}");
    json_t *welcome = hear(&ada, "ok");
    say(&ada, "{\"type\":\"join\",\"id\":2,\"room\":\"r\",\"name\":\"Ada\"}");
    json_decref(hear(&ada, "ok"));
    say(&grace, "{\"type\":\"hello\",\"id\":1,\"version\":1}");
    json_decref(hear(&grace, "ok"));
    say(&grace, "{\"type\":\"join\",\"id\":2,\"room\":\"r\",\"name\":\"Grace\"}");
    json_decref(hear(&grace, "ok"));
    json_decref(hear(&ada, "member_joined"));
    hang_up(&ada); // no closing handshake: as if the network went
    json_t *away = hear(&grace, "member_updated");
    assert_int_equal(json_boolean_value(json_object_get(json_object_get(away, "member"), "away")),
                     1);
    json_decref(away);
    say(&grace, "{\"type\":\"chat\",\"id\":3,\"text\":\"are you there?\"}");
    assert_int_equal(shake_hands(&ada, NULL), 101);
    json_t *result = json_object_get(welcome, "result");
    char text[256];
    snprintf(text, sizeof(text),
             "{\"type\":\"resume\",\"id\":3,\"session\":\"%s\",\"resume_token\":\"%s\","
             "\"last_seq\":2}",
             json_string_value(json_object_get(result, "session")),
             json_string_value(json_object_get(result, "resume_token")));
    say(&ada, text);
    json_t *chat = hear(&ada, "chat");
    assert_string_equal(json_string_value(json_object_get(chat, "text")), "are you there?");
    json_decref(chat);
    json_decref(welcome);
    hang_up(&ada);
    hang_up(&grace);
}

static void test_only_welcome_pages_may_connect(void **state)
{
    (void)state;
    struct client client;
    assert_int_equal(shake_hands(&client, "https://evil.example"), 403);
    hang_up(&client);
    assert_int_equal(shake_hands(&client, "https://friend.example"), 101);
    hang_up(&client);
}

static void test_a_client_without_hello_is_sent_away_by_the_timer(void **state)
{
    (void)state;
    struct client client;
    assert_int_equal(shake_hands(&client, NULL), 101);
    struct ws_endpoint_config config = {
        .loop = &live.loop,
        .server = live.server,
        .random = &live.entropy.random,
        .hub = &live.hub,
        .native = { .hello_timeout_us = 1000 },
    };
    ws_endpoint_reload(live.endpoint, &config);
    struct ws_event event;
    while (!ws_connection_event(client.ws, &event)) {
        uint8_t byte;
        assert_int_equal(read_some(&client, &byte, 1), 1);
        assert_int_equal(
            ws_connection_input(client.ws, loop_now_us(&live.loop), bytes_of(&byte, 1)), 1);
    }
    assert_int_equal(event.kind, WS_EVENT_CLOSED);
    assert_int_equal(event.code, 1008);
    hang_up(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_broken_connection_is_resumed_over_a_new_one, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_only_welcome_pages_may_connect, start, stop),
        cmocka_unit_test_setup_teardown(test_a_client_without_hello_is_sent_away_by_the_timer,
                                        start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
