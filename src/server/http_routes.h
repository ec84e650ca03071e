/** The table of routes: patterns, their precedence, and the parameters of a match. */
#pragma once

#include "server/http_server.h"

#define HTTP_ROUTE_SEGMENTS_MAX   10
#define HTTP_ROUTE_PARAMETERS_MAX 4

struct http_route_entry;

struct http_routes {
    struct http_route_entry *entries;
    size_t count;
    size_t capacity;
};

struct http_parameter {
    const char *name;  /**< of the pattern; "**" for the rest */
    struct bytes text; /**< a view of the path, still escaped */
};

struct http_match {
    const struct http_route *route; /**< NULL: no route, or none with this method */
    unsigned methods;               /**< what the path allows; 0: the path is unknown */
    unsigned flags;                 /**< of all routes of the path */
    struct http_parameter parameters[HTTP_ROUTE_PARAMETERS_MAX];
    size_t parameter_count;
};

void http_routes_done(struct http_routes *routes);
/** As http_server_add_route. */
must_check int http_routes_add(struct http_routes *routes, const struct http_route *route);
/** The route of a normalised path. HEAD finds GET. */
struct http_match http_routes_find(const struct http_routes *routes, enum http_method method,
                                   struct bytes path);
