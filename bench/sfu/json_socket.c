#include "json_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "proto/ws/ws_connection.h"
#include "proto/ws/ws_handshake.h"
#include "runtime/clock.h"

#define WAIT_MS 20000

struct json_socket {
    struct json_socket_config config;
    int fd;
    struct ws_connection *ws;
    json_t *found; /**< the message waited for, once it came */
};

static int dial(const struct net_address *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(server->port) };
    memcpy(&address.sin_addr, server->ip, 4);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        return fd;
    }
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

static bool flush(struct json_socket *socket)
{
    struct bytes output;
    while ((output = ws_connection_output(socket->ws)).size > 0) {
        if (!write_all(socket->fd, output.data, output.size))
            return false;
        ws_connection_output_taken(socket->ws, output.size);
    }
    return true;
}

/** The head of the 101 answer ends with an empty line; frames follow. */
static bool upgrade(struct json_socket *socket)
{
    char request[1024], key[WS_KEY_SIZE];
    struct text_builder out = text_builder_of(request, sizeof(request));
    struct ws_client_offer offer = {
        .host = "localhost",
        .target = socket->config.target,
        .subprotocol = socket->config.subprotocol,
    };
    ws_client_handshake_write(&offer, socket->config.random, &out, key);
    if (!write_all(socket->fd, request, out.length))
        return false;
    char head[4096];
    size_t size = 0;
    while (size < sizeof(head) - 1) {
        socket->config.wait(socket->config.owner, socket->fd);
        if (recv(socket->fd, head + size, 1, 0) != 1)
            return false;
        head[++size] = '\0';
        if (size >= 4 && memcmp(head + size - 4, "\r\n\r\n", 4) == 0)
            break;
    }
    return strncmp(head, "HTTP/1.1 101", 12) == 0;
}

static void take_text(struct json_socket *socket, struct bytes text, json_socket_reader *reader,
                      void *context)
{
    json_error_t error;
    json_t *message = json_loadb((const char *)text.data, text.size, 0, &error);
    if (message && reader(context, message) && !socket->found)
        socket->found = message;
    else
        json_decref(message);
}

/** Reads what is there; false when the connection has ended. */
static bool receive(struct json_socket *socket, json_socket_reader *reader, void *context)
{
    // servers that leave Nagle's algorithm on would wait for our delayed acknowledgement
    int on = 1;
    setsockopt(socket->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
    uint8_t data[65536];
    ssize_t count = recv(socket->fd, data, sizeof(data), MSG_DONTWAIT);
    if (count <= 0)
        return count < 0 && (errno == EAGAIN || errno == EINTR);
    struct bytes rest = bytes_of(data, (size_t)count);
    while (rest.size > 0) {
        size_t taken = ws_connection_input(socket->ws, clock_now_us(), rest);
        rest = bytes_of(rest.data + taken, rest.size - taken);
        struct ws_event event;
        while (ws_connection_event(socket->ws, &event)) {
            if (event.kind == WS_EVENT_TEXT)
                take_text(socket, event.data, reader, context);
            else if (event.kind == WS_EVENT_CLOSED)
                return false;
        }
    }
    return flush(socket);
}

struct json_socket *json_socket_open(const struct json_socket_config *config)
{
    struct json_socket *socket = memory_new(struct json_socket);
    socket->config = *config;
    struct ws_config ws_config = {
        .is_client = true,
        .message_size_max = 1 << 22,
        .ping_interval_us = TIME_NEVER,
        .random = config->random,
    };
    socket->ws = ws_connection_new(&ws_config, clock_now_us());
    socket->fd = dial(config->server);
    if (socket->fd >= 0 && upgrade(socket))
        return socket;
    json_socket_close(socket);
    return NULL;
}

void json_socket_close(struct json_socket *socket)
{
    if (!socket)
        return;
    if (socket->fd >= 0)
        close(socket->fd);
    ws_connection_free(socket->ws);
    free(socket);
}

bool json_socket_send(struct json_socket *socket, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    int error = ws_connection_send_text(socket->ws, bytes_of_text(text));
    free(text);
    return error == 0 && flush(socket);
}

json_t *json_socket_wait(struct json_socket *socket, json_socket_reader *reader, void *context)
{
    uint64_t end_us = clock_now_us() + time_from_ms(WAIT_MS);
    socket->found = NULL;
    while (!socket->found && clock_now_us() < end_us) {
        socket->config.wait(socket->config.owner, socket->fd);
        if (!receive(socket, reader, context))
            break;
    }
    json_t *found = socket->found;
    socket->found = NULL;
    return found;
}

void json_socket_read(struct json_socket *socket, json_socket_reader *reader, void *context)
{
    (void)receive(socket, reader, context);
}
