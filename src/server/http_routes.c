#include "server/http_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum segment_kind {
    SEGMENT_REST = 1, // the order is that of precedence
    SEGMENT_PARAMETER,
    SEGMENT_LITERAL,
};

struct segment {
    enum segment_kind kind;
    char *text; /**< the literal, or the parameter's name */
};

struct http_route_entry {
    struct http_route route;
    struct segment segments[HTTP_ROUTE_SEGMENTS_MAX];
    size_t segment_count;
};

static void entry_done(struct http_route_entry *entry)
{
    for (size_t i = 0; i < entry->segment_count; i++)
        free(entry->segments[i].text);
}

void http_routes_done(struct http_routes *routes)
{
    for (size_t i = 0; i < routes->count; i++)
        entry_done(&routes->entries[i]);
    free(routes->entries);
    *routes = (struct http_routes){ 0 };
}

static int segment_parse(struct bytes text, bool last, struct segment *ret_segment)
{
    if (text_equal(text, "**")) {
        if (!last)
            return -EINVAL;
        *ret_segment = (struct segment){ SEGMENT_REST, memory_copy("**", 2) };
        return 0;
    }
    bool opens = text.size > 0 && text.data[0] == '{';
    bool closes = text.size > 0 && text.data[text.size - 1] == '}';
    if (opens != closes || (opens && text.size < 3))
        return -EINVAL;
    if (opens)
        *ret_segment =
            (struct segment){ SEGMENT_PARAMETER, memory_copy(text.data + 1, text.size - 2) };
    else
        *ret_segment = (struct segment){ SEGMENT_LITERAL, memory_copy(text.data, text.size) };
    return 0;
}

/** "/a/{b}/" has the segments "a", "{b}" and "" (a folder's own path ends in an empty one). */
static int pattern_parse(struct bytes pattern, struct http_route_entry *entry)
{
    if (pattern.size == 0 || pattern.data[0] != '/')
        return -EINVAL;
    struct bytes rest = bytes_of(pattern.data + 1, pattern.size - 1);
    size_t parameters = 0;
    do {
        struct bytes text = text_take_until(&rest, '/');
        if (entry->segment_count == HTTP_ROUTE_SEGMENTS_MAX)
            return -EINVAL;
        struct segment *segment = &entry->segments[entry->segment_count];
        int result = segment_parse(text, !rest.data, segment);
        if (result != 0)
            return result;
        entry->segment_count++;
        parameters += segment->kind != SEGMENT_LITERAL;
    } while (rest.data);
    return parameters <= HTTP_ROUTE_PARAMETERS_MAX ? 0 : -EINVAL;
}

/** Orders by precedence: positive when `a` is more specific; 0 when they match the same paths. */
static int entry_compare(const struct http_route_entry *a, const struct http_route_entry *b)
{
    size_t count = min_of(a->segment_count, b->segment_count);
    for (size_t i = 0; i < count; i++) {
        if (a->segments[i].kind != b->segments[i].kind)
            return (int)a->segments[i].kind - (int)b->segments[i].kind;
        if (a->segments[i].kind == SEGMENT_LITERAL) {
            int order = strcmp(a->segments[i].text, b->segments[i].text);
            if (order != 0)
                return order;
        }
    }
    return (a->segment_count > count) - (b->segment_count > count);
}

static int add_one(struct http_routes *routes, const struct http_route *route, struct bytes pattern)
{
    struct http_route_entry entry = { .route = *route };
    entry.route.pattern = NULL; // the caller's text may go
    int result = pattern_parse(pattern, &entry);
    for (size_t i = 0; result == 0 && i < routes->count; i++) {
        if (entry_compare(&routes->entries[i], &entry) == 0 &&
            (routes->entries[i].route.methods & route->methods))
            result = -EEXIST;
    }
    if (result != 0) {
        entry_done(&entry);
        return result;
    }
    if (routes->count == routes->capacity) {
        routes->capacity = max_of(routes->capacity * 2, (size_t)16);
        routes->entries =
            memory_resize(routes->entries, routes->capacity * sizeof(*routes->entries));
    }
    routes->entries[routes->count++] = entry;
    return 0;
}

int http_routes_add(struct http_routes *routes, const struct http_route *route)
{
    struct bytes rest = bytes_of_text(route->pattern);
    if (route->methods == 0 || !route->handle)
        return -EINVAL;
    struct bytes required = text_take_until(&rest, '[');
    char whole[256];
    struct text_builder text = text_builder_of(whole, sizeof(whole));
    bool has_optional = rest.data;
    if (has_optional) {
        text_append_bytes(&text, required);
        text_append_bytes(&text, text_take_until(&rest, ']'));
        if (text.truncated || !rest.data || rest.size > 0)
            return -EINVAL;
    }
    int result = add_one(routes, route, required);
    if (result != 0 || !has_optional)
        return result;
    result = add_one(routes, route, bytes_of(whole, text.length));
    if (result != 0) // both or none
        entry_done(&routes->entries[--routes->count]);
    return result;
}

/** True when the path has the entry's shape; fills the parameters. */
static bool entry_matches(const struct http_route_entry *entry, struct bytes path,
                          struct http_match *match)
{
    struct bytes rest = bytes_of(path.data + 1, path.size - 1);
    match->parameter_count = 0;
    for (size_t i = 0; i < entry->segment_count; i++) {
        const struct segment *segment = &entry->segments[i];
        struct bytes text = segment->kind == SEGMENT_REST ? rest : text_take_until(&rest, '/');
        if (segment->kind == SEGMENT_LITERAL) {
            if (!text_equal(text, segment->text))
                return false;
        } else {
            if (segment->kind == SEGMENT_PARAMETER && text.size == 0)
                return false;
            match->parameters[match->parameter_count++] =
                (struct http_parameter){ segment->text, text };
        }
        if (segment->kind == SEGMENT_REST)
            return true;
        bool last = i + 1 == entry->segment_count;
        if (last != !rest.data)
            return false;
    }
    return true;
}

struct http_match http_routes_find(const struct http_routes *routes, enum http_method method,
                                   struct bytes path)
{
    struct http_match best = { 0 };
    const struct http_route_entry *found = NULL;
    if (path.size == 0 || path.data[0] != '/')
        return best;
    for (size_t i = 0; i < routes->count; i++) {
        const struct http_route_entry *entry = &routes->entries[i];
        struct http_match match = { 0 };
        if (!entry_matches(entry, path, &match))
            continue;
        int order = found ? entry_compare(entry, found) : 1;
        if (order < 0)
            continue;
        if (order > 0) {
            best = match;
            found = entry;
        }
        unsigned methods = entry->route.methods;
        if (methods & HTTP_METHOD_GET)
            methods |= HTTP_METHOD_HEAD;
        best.methods |= methods;
        best.flags |= entry->route.flags;
        if (methods & method) {
            best.route = &entry->route;
            memcpy(best.parameters, match.parameters, sizeof(best.parameters));
        }
    }
    return best;
}
