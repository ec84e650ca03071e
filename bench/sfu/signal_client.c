#include "signal_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "proto/http/http_response.h"
#include "proto/ws/ws_connection.h"
#include "proto/ws/ws_handshake.h"
#include "runtime/clock.h"

#define WAIT_MS 20000
#define PING_US (3 * TIME_US_PER_S)

struct signal_client {
    int fd;
    struct ws_connection *ws;
    uint64_t next_id;
    uint64_t pinged_us;
    uint64_t last_seq;
    json_t *reply; /**< the reply waited for, once it came */
    uint64_t reply_id;
};

static int dial(const struct net_address *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(server->port) };
    memcpy(&address.sin_addr, server->ip, 4);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    fprintf(stderr, "load: cannot connect to the server: %s\n", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool write_all(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        ssize_t count = send(fd, at, size, MSG_NOSIGNAL);
        if (count <= 0)
            return false;
        at += count;
        size -= (size_t)count;
    }
    return true;
}

static bool flush(struct signal_client *client)
{
    struct bytes output;
    while ((output = ws_connection_output(client->ws)).size > 0) {
        if (!write_all(client->fd, output.data, output.size))
            return false;
        ws_connection_output_taken(client->ws, output.size);
    }
    return true;
}

/** The head of the 101 answer ends with an empty line; frames follow. */
static bool upgrade(struct signal_client *client, struct random *random)
{
    char request[1024], key[WS_KEY_SIZE];
    struct text_builder out = text_builder_of(request, sizeof(request));
    struct ws_client_offer offer = { .host = "127.0.0.1", .target = "/ws" };
    ws_client_handshake_write(&offer, random, &out, key);
    if (!write_all(client->fd, request, out.length))
        return false;
    char head[4096];
    size_t size = 0;
    while (size < sizeof(head) - 1) {
        if (recv(client->fd, head + size, 1, 0) != 1)
            return false;
        head[++size] = '\0';
        if (size >= 4 && memcmp(head + size - 4, "\r\n\r\n", 4) == 0)
            break;
    }
    return strncmp(head, "HTTP/1.1 101", 12) == 0;
}

static void take_text(struct signal_client *client, struct bytes text)
{
    json_error_t error;
    json_t *message = json_loadb((const char *)text.data, text.size, 0, &error);
    json_t *seq = json_object_get(message, "seq");
    if (seq)
        client->last_seq = (uint64_t)json_integer_value(seq);
    if (client->reply_id &&
        (uint64_t)json_integer_value(json_object_get(message, "id")) == client->reply_id) {
        client->reply = message;
        client->reply_id = 0;
        return;
    }
    json_decref(message);
}

/** Reads what is there; false when the connection has ended. */
static bool receive(struct signal_client *client, int wait_ms)
{
    struct pollfd poller = { .fd = client->fd, .events = POLLIN };
    if (poll(&poller, 1, wait_ms) <= 0)
        return true;
    uint8_t data[65536];
    ssize_t count = recv(client->fd, data, sizeof(data), MSG_DONTWAIT);
    if (count <= 0)
        return false;
    struct bytes rest = bytes_of(data, (size_t)count);
    while (rest.size > 0) {
        size_t taken = ws_connection_input(client->ws, clock_now_us(), rest);
        rest = bytes_of(rest.data + taken, rest.size - taken);
        struct ws_event event;
        while (ws_connection_event(client->ws, &event)) {
            if (event.kind == WS_EVENT_TEXT)
                take_text(client, event.data);
            else if (event.kind == WS_EVENT_CLOSED)
                return false;
        }
    }
    return flush(client);
}

static bool send_message(struct signal_client *client, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    int error = ws_connection_send_text(client->ws, bytes_of_text(text));
    free(text);
    return error == 0 && flush(client);
}

/** Sends a request and waits for its reply's result (a new reference); NULL on refusal. */
static json_t *request(struct signal_client *client, json_t *message)
{
    client->reply_id = ++client->next_id;
    json_object_set_new(message, "id", json_integer((json_int_t)client->reply_id));
    bool sent = send_message(client, message);
    json_decref(message);
    uint64_t end_us = clock_now_us() + time_from_ms(WAIT_MS);
    while (sent && !client->reply && clock_now_us() < end_us) {
        if (!receive(client, 100))
            break;
    }
    json_t *reply = client->reply;
    client->reply = NULL;
    json_t *result = json_object_get(reply, "result");
    if (!reply || strcmp(json_string_value(json_object_get(reply, "type")), "ok") != 0) {
        const char *why = json_string_value(json_object_get(reply, "message"));
        fprintf(stderr, "load: refused: %s\n", why ? why : "no reply");
        json_decref(reply);
        return NULL;
    }
    result = result ? json_incref(result) : json_object();
    json_decref(reply);
    return result;
}

struct signal_client *signal_client_open(const struct net_address *server, const char *room,
                                         const char *name, struct random *random)
{
    struct signal_client *client = memory_new(struct signal_client);
    struct ws_config config = {
        .is_client = true,
        .message_size_max = 1 << 22,
        .ping_interval_us = TIME_NEVER,
        .random = random,
    };
    client->ws = ws_connection_new(&config, clock_now_us());
    client->fd = dial(server);
    json_t *hello = NULL, *joined = NULL;
    if (client->fd >= 0 && upgrade(client, random))
        hello = request(client, json_pack("{s:s,s:i}", "type", "hello", "version", 1));
    if (hello)
        joined =
            request(client, json_pack("{s:s,s:s,s:s}", "type", "join", "room", room, "name", name));
    bool ok = joined != NULL;
    json_decref(hello);
    json_decref(joined);
    if (ok)
        return client;
    signal_client_close(client);
    return NULL;
}

void signal_client_close(struct signal_client *client)
{
    if (!client)
        return;
    if (client->fd >= 0)
        close(client->fd);
    ws_connection_free(client->ws);
    free(client);
}

char *signal_client_offer(struct signal_client *client, const char *sdp, const char *source)
{
    json_t *tracks = source ? json_pack("[{s:s,s:s}]", "mid", "0", "source", source) : json_array();
    json_t *result =
        request(client, json_pack("{s:s,s:s,s:o}", "type", "offer", "sdp", sdp, "tracks", tracks));
    const char *answer = json_string_value(json_object_get(result, "sdp"));
    char *copy = answer ? memory_copy(answer, strlen(answer)) : NULL;
    json_decref(result);
    return copy;
}

void signal_client_keep(struct signal_client *client, uint64_t now_us)
{
    receive(client, 0);
    if (now_us - client->pinged_us < PING_US)
        return;
    client->pinged_us = now_us;
    json_t *ping = json_pack("{s:s,s:I}", "type", "ping", "last_seq", (json_int_t)client->last_seq);
    send_message(client, ping);
    json_decref(ping);
}
