// What every answer and every request is subject to, whatever its route.
#include <string.h>

#include "proto/http/http_target.h"
#include "server/http_server_int.h"

static bool is_html(const char *type)
{
    return type && strncmp(type, "text/html", 9) == 0;
}

/** Scripts and styles from here alone; media from memory; sockets to here over TLS or loopback. */
static void page_policy_write(const struct http_exchange *exchange, struct text_builder *out)
{
    const char *ancestors = exchange->connection->server->frame_ancestors;
    if (exchange->page == HTTP_PAGE_SITE) {
        text_append_format(out, "Content-Security-Policy: frame-ancestors %s\r\n", ancestors);
        return;
    }
    text_append_format(out,
                       "Content-Security-Policy: default-src 'self'; script-src 'self'; "
                       "style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
                       "connect-src 'self' wss: https:%s; worker-src 'self' blob:; "
                       "object-src 'none'; base-uri 'none'; form-action 'self'; "
                       "frame-ancestors %s\r\n",
                       exchange->connection->over_tls ? "" : " ws:", ancestors);
    // pages that others may embed are opened by them too, and keep their opener
    if (strcmp(ancestors, "'self'") == 0 || strcmp(ancestors, "'none'") == 0)
        http_field_write_text(out, "Cross-Origin-Opener-Policy", "same-origin-allow-popups");
}

/** Which pages of other origins may read the answer, and what of it besides the body. */
static void sharing_write(struct http_exchange *exchange, struct text_builder *out)
{
    static const char *const everyone[] = { "*", NULL };
    const struct http_route *route = exchange->match.route;
    const char *const *origins = route && route->origins ? route->origins(route->owner) : everyone;
    if (origins && *origins && strcmp(*origins, "*") == 0) {
        http_field_write_text(out, "Access-Control-Allow-Origin", "*");
    } else {
        http_field_write_text(out, "Vary", "Origin");
        struct bytes origin = http_exchange_field(exchange, "origin");
        if (!origin.data || !http_exchange_is_from(exchange, origins))
            return;
        http_field_write(out, "Access-Control-Allow-Origin", origin);
    }
    http_field_write_text(out, "Access-Control-Expose-Headers",
                          "Location, Link, ETag, Accept-Post, Accept-Patch, Retry-After");
}

void http_policy_write(struct http_exchange *exchange, const char *type, struct text_builder *out)
{
    const struct http_connection *connection = exchange->connection;
    bool shared = exchange->match.flags & HTTP_ROUTE_CORS;
    http_field_write_text(out, "X-Content-Type-Options", "nosniff");
    http_field_write_text(out, "Cross-Origin-Resource-Policy",
                          shared ? "cross-origin" : "same-origin");
    if (shared)
        sharing_write(exchange, out);
    if (connection->over_tls && connection->server->config.hsts_s > 0)
        text_append_format(out, "Strict-Transport-Security: max-age=%u\r\n",
                           connection->server->config.hsts_s);
    if (!is_html(type))
        return;
    http_field_write_text(out, "Referrer-Policy", "no-referrer");
    http_field_write_text(out, "Permissions-Policy",
                          "camera=(self), microphone=(self), display-capture=(self), "
                          "geolocation=()");
    page_policy_write(exchange, out);
}

/** Plain HTTP carries pages that need a secure context on loopback only. */
static bool must_be_secure(const struct http_exchange *exchange)
{
    const struct http_connection *connection = exchange->connection;
    if (connection->over_tls)
        return false;
    if (connection->wrong_scheme)
        return true;
    return !connection->server->config.plain_everywhere &&
           !net_address_is_loopback(&connection->remote) &&
           !(exchange->match.flags & HTTP_ROUTE_PLAIN_TOO);
}

static uint16_t https_port(const struct http_exchange *exchange)
{
    const struct http_server *server = exchange->connection->server;
    if (exchange->connection->wrong_scheme)
        return exchange->connection->listener_port;
    if (server->config.redirect_port != 0)
        return server->config.redirect_port;
    for (size_t i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].kind == HTTP_LISTENER_TLS)
            return server->listeners[i].port;
    }
    return 443;
}

static void redirect_to_https(struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request_of(exchange);
    struct bytes host;
    uint16_t port;
    if (http_host_parse(request->host, &host, &port) != 0) {
        http_exchange_fail(exchange, 400, "Use https:// to reach this server.");
        return;
    }
    struct bytes target = request->target;
    if (target.size == 0 || target.data[0] != '/')
        target = bytes_of_text("/");
    char location[9000];
    struct text_builder text = text_builder_of(location, sizeof(location));
    text_append(&text, "https://");
    text_append_bytes(&text, host);
    port = https_port(exchange);
    if (port != 443)
        text_append_format(&text, ":%u", port);
    text_append_bytes(&text, target);
    if (text.truncated)
        http_exchange_fail(exchange, 414, "Use https:// to reach this server.");
    else
        http_exchange_redirect(exchange, 308, location);
}

static void allow_write(struct http_exchange *exchange, const char *field)
{
    char list[80];
    struct text_builder text = text_builder_of(list, sizeof(list));
    unsigned methods = exchange->match.methods | HTTP_METHOD_OPTIONS;
    for (unsigned method = 1; method <= HTTP_METHOD_PATCH; method <<= 1) {
        if (methods & method)
            text_append_format(&text, "%s%s", text.length ? ", " : "",
                               http_method_name((enum http_method)method));
    }
    http_exchange_add_field(exchange, field, list);
}

/** OPTIONS of a path, with the preflight of other origins' pages where they are welcome. */
static void answer_options(struct http_exchange *exchange)
{
    allow_write(exchange, "Allow");
    bool preflight = http_exchange_field(exchange, "access-control-request-method").data;
    if (preflight && (exchange->match.flags & HTTP_ROUTE_CORS)) {
        allow_write(exchange, "Access-Control-Allow-Methods");
        http_exchange_add_field(exchange, "Access-Control-Allow-Headers",
                                "Authorization, Content-Type, If-Match, If-None-Match");
        http_exchange_add_field(exchange, "Access-Control-Max-Age", "86400");
    }
    http_exchange_respond(exchange, 204, NULL, bytes_of(NULL, 0));
}

bool http_policy_answers(struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request_of(exchange);
    // a body that nobody reads cannot be told from the next request
    if (exchange->state == HTTP_EXCHANGE_RECEIVING) {
        bool wanted = exchange->match.route && !must_be_secure(exchange);
        if (wanted)
            return false;
        exchange->last = true;
        exchange->state = HTTP_EXCHANGE_HANDLING;
    }
    if (must_be_secure(exchange)) {
        redirect_to_https(exchange);
    } else if (exchange->match.route) {
        return false;
    } else if (request->method == HTTP_METHOD_OPTIONS &&
               (exchange->match.methods != 0 || text_equal(request->path, "*"))) {
        answer_options(exchange);
    } else if (exchange->match.methods != 0) {
        allow_write(exchange, "Allow");
        http_exchange_fail(exchange, 405, "This address does not take that method.");
    } else {
        http_exchange_fail(exchange, 404, "There is nothing at this address.");
    }
    return true;
}
