// One request as handlers see it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/http/http_target.h"
#include "server/http_server_int.h"

void http_exchange_begin(struct http_exchange *exchange, struct http_connection *connection)
{
    const struct http_request *request = &connection->parser.request;
    *exchange = (struct http_exchange){
        .connection = connection,
        .state = HTTP_EXCHANGE_RECEIVING,
        .started_us = loop_now_us(connection->server->config.loop),
        .head_only = request->method == HTTP_METHOD_HEAD,
        .last = !request->keep_alive || connection->server->draining || connection->peer_ended ||
                connection->request_count + 1 >= connection->server->config.request_count_max,
    };
}

/** It may hold secrets. */
static void body_free(struct http_exchange *exchange)
{
    if (exchange->body)
        memory_wipe(exchange->body, exchange->body_size);
    free(exchange->body);
}

int http_exchange_add_body(struct http_exchange *exchange, struct bytes part)
{
    struct http_server *server = exchange->connection->server;
    size_t needed = exchange->body_size + part.size;
    if (needed > exchange->body_capacity) {
        size_t capacity = max_of(exchange->body_capacity * 2, (size_t)1024);
        capacity = max_of(capacity, needed);
        size_t more = capacity - exchange->body_capacity;
        if (server->body_bytes + more > server->config.body_memory_max)
            return -ENOMEM;
        // not realloc, which would leave a password in the old place
        uint8_t *body = malloc(capacity);
        if (!body)
            return -ENOMEM;
        if (exchange->body_size > 0)
            memcpy(body, exchange->body, exchange->body_size);
        body_free(exchange);
        exchange->body = body;
        exchange->body_capacity = capacity;
        server->body_bytes += more;
        metric_set(&server->metrics.values[HTTP_BODY_BYTES], server->body_bytes);
    }
    memcpy(exchange->body + exchange->body_size, part.data, part.size);
    exchange->body_size = needed;
    return 0;
}

static void log_access(const struct http_exchange *exchange)
{
    const struct http_server *server = exchange->connection->server;
    const struct http_request *request = http_exchange_request_of(exchange);
    uint64_t took_us = loop_now_us(server->config.loop) - exchange->started_us;
    // without the query, which may hold a token
    log_debug(server->config.log, "request answered",
              log_text("method", http_method_name(request->method)),
              log_bytes("path", request->path), log_number("status", exchange->status),
              log_number("bytes", (int64_t)exchange->sent), log_number("took_us", (int64_t)took_us),
              log_address("client", &exchange->connection->remote));
}

void http_exchange_end(struct http_exchange *exchange)
{
    if (exchange->state == HTTP_EXCHANGE_NONE)
        return;
    struct http_server *server = exchange->connection->server;
    if (exchange->status != 0)
        log_access(exchange);
    if (exchange->name != 0)
        handle_table_remove(&server->exchanges, exchange->name);
    if (exchange->source_ops && exchange->source_ops->done)
        exchange->source_ops->done(exchange->source);
    server->body_bytes -= exchange->body_capacity;
    metric_set(&server->metrics.values[HTTP_BODY_BYTES], server->body_bytes);
    body_free(exchange);
    free(exchange->fields);
    for (size_t i = 0; i < HTTP_ROUTE_PARAMETERS_MAX; i++)
        free(exchange->parameters[i]);
    *exchange = (struct http_exchange){ .state = HTTP_EXCHANGE_NONE };
}

/** Decodes the path's parameters; false when one is no text. */
static bool parameters_decode(struct http_exchange *exchange)
{
    for (size_t i = 0; i < exchange->match.parameter_count; i++) {
        const struct http_parameter *parameter = &exchange->match.parameters[i];
        size_t capacity = parameter->text.size + 1;
        exchange->parameters[i] = memory_allocate(capacity, 1);
        if (strcmp(parameter->name, "**") == 0)
            memcpy(exchange->parameters[i], parameter->text.data, parameter->text.size);
        else if (http_segment_decode(parameter->text, exchange->parameters[i], capacity) < 0)
            return false;
    }
    return true;
}

void http_exchange_dispatch(struct http_exchange *exchange)
{
    exchange->state = HTTP_EXCHANGE_HANDLING;
    if (http_policy_answers(exchange))
        return;
    if (!parameters_decode(exchange)) {
        http_exchange_fail(exchange, 400, "A part of the path is no text.");
        return;
    }
    const struct http_route *route = exchange->match.route;
    if (route->flags & HTTP_ROUTE_OWN_HEAD)
        exchange->head_only = false;
    route->handle(exchange, route->owner);
    // a handler that neither answered nor asked for the handle has forgotten its client
    if (exchange->state == HTTP_EXCHANGE_HANDLING && exchange->name == 0)
        http_exchange_fail(exchange, 500, "The server made a mistake.");
}

const struct http_request *http_exchange_request_of(const struct http_exchange *exchange)
{
    return &exchange->connection->parser.request;
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return http_exchange_request_of(exchange);
}

enum http_method http_exchange_method(const struct http_exchange *exchange)
{
    return http_exchange_request_of(exchange)->method;
}

struct bytes http_exchange_body(const struct http_exchange *exchange)
{
    return bytes_of(exchange->body, exchange->body_size);
}

struct bytes http_exchange_field(const struct http_exchange *exchange, const char *name)
{
    return http_headers_find(&http_exchange_request_of(exchange)->headers, name);
}

const char *http_exchange_parameter(const struct http_exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->match.parameter_count; i++) {
        if (strcmp(exchange->match.parameters[i].name, name) == 0 && exchange->parameters[i])
            return exchange->parameters[i];
    }
    return "";
}

int http_exchange_query(const struct http_exchange *exchange, const char *name, char *out,
                        size_t capacity)
{
    return http_query_find(http_exchange_request_of(exchange)->query, name, out, capacity);
}

struct bytes http_exchange_bearer(const struct http_exchange *exchange)
{
    struct bytes rest = http_exchange_field(exchange, "authorization");
    struct bytes scheme = text_take_until(&rest, ' ');
    if (!rest.data || !text_equal_ignore_case(scheme, "bearer"))
        return bytes_of(NULL, 0);
    return text_trim(rest);
}

const struct net_address *http_exchange_remote(const struct http_exchange *exchange)
{
    return &exchange->connection->remote;
}

const struct net_address *http_exchange_local(const struct http_exchange *exchange)
{
    return &exchange->connection->local;
}

const char *http_exchange_origin(struct http_exchange *exchange)
{
    struct bytes host = http_exchange_request_of(exchange)->host;
    exchange->origin[0] = '\0';
    if (host.size == 0 || host.size > 261)
        return "";
    struct text_builder text = text_builder_of(exchange->origin, sizeof(exchange->origin));
    text_append(&text, exchange->connection->over_tls ? "https://" : "http://");
    text_append_bytes(&text, host);
    return exchange->origin;
}

bool http_exchange_is_from(struct http_exchange *exchange, const char *const *origins)
{
    struct bytes origin = http_exchange_field(exchange, "origin");
    if (!origin.data)
        return true;
    const char *own = http_exchange_origin(exchange);
    if (own[0] && text_equal_ignore_case(origin, own))
        return true;
    for (; origins && *origins; origins++) {
        if (strcmp(*origins, "*") == 0 || text_equal_ignore_case(origin, *origins))
            return true;
    }
    return false;
}

struct http_server *http_exchange_server(const struct http_exchange *exchange)
{
    return exchange->connection->server;
}

handle http_exchange_handle(const struct http_exchange *exchange)
{
    struct http_exchange *own = &exchange->connection->exchange;
    ensure(own == exchange);
    if (own->name == 0)
        own->name = handle_table_add(&exchange->connection->server->exchanges, own);
    return own->name;
}
