// The event extension of WHEP (urn:ietf:params:whep:ext:core:server-sent-events): what a viewer's
// page may want to know, as server-sent events. They are looked for some times a second for those
// who listen, so that nothing that happens to a room has to find its viewers.
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "signal/whip/whip_int.h"

#define LOOK_US        (500 * TIME_US_PER_MS)
#define VIEWERS_US     (5 * TIME_US_PER_S)  /**< counts follow each other no closer */
#define KEEP_ALIVE_US  (15 * TIME_US_PER_S) /**< proxies end what is silent */
#define UNSENT_MAX     (16u << 10)          /**< a reader that is further behind is cut off */
#define QUERY_SIZE_MAX 128

enum event {
    EVENT_ACTIVE,
    EVENT_INACTIVE,
    EVENT_LAYERS,
    EVENT_VIEWERS,
    EVENT_RECONNECT,
    EVENT_COUNT,
};

#define EVENTS_ALL ((1u << EVENT_COUNT) - 1)

static const char *const names[EVENT_COUNT] = { "active", "inactive", "layers", "viewercount",
                                                "reconnect" };

struct whip_events {
    struct list node; /**< in whip_endpoint.events */
    struct whip_endpoint *endpoint;
    struct whip_session *session; /**< NULL: it has ended, and the stream ends behind the rest */
    handle exchange;
    unsigned wanted; /**< mask of 1 << enum event */
    char *unsent;
    size_t unsent_size;
    bool overrun; /**< it reads too slowly */
    bool told_active;
    uint64_t told_layers; /**< what names them, see layers_key */
    uint32_t told_viewers;
    uint64_t viewers_told_us;
    uint64_t written_us;
};

/** ---- the stream ---- */

static void write_text(struct whip_events *events, struct bytes text)
{
    events->overrun = events->overrun || events->unsent_size + text.size > UNSENT_MAX;
    if (events->overrun)
        return;
    events->unsent = memory_resize(events->unsent, events->unsent_size + text.size);
    memcpy(events->unsent + events->unsent_size, text.data, text.size);
    events->unsent_size += text.size;
    events->written_us = loop_now_us(events->endpoint->config.loop);
}

static void tell(struct whip_events *events, enum event event, const char *data)
{
    if (!(events->wanted & (1u << event)))
        return;
    write_text(events, bytes_of_text("event: "));
    write_text(events, bytes_of_text(names[event]));
    write_text(events, bytes_of_text("\ndata: "));
    write_text(events, bytes_of_text(data));
    write_text(events, bytes_of_text("\n\n"));
}

static long read_events(void *source, uint8_t *out, size_t capacity)
{
    struct whip_events *events = source;
    size_t size = min_of(capacity, events->unsent_size);
    if (size == 0)
        return events->session ? -EAGAIN : 0;
    memcpy(out, events->unsent, size);
    events->unsent_size -= size;
    memmove(events->unsent, events->unsent + size, events->unsent_size);
    return (long)size;
}

static void events_done(void *source)
{
    struct whip_events *events = source;
    if (events->session)
        events->session->events = NULL;
    list_remove(&events->node);
    free(events->unsent);
    free(events);
}

static const struct http_source_ops source_ops = { read_events, events_done };

/** ---- what is to be told ---- */

/** Changes whenever another publication, or other layers, fill one of the video slots. */
static uint64_t layers_key(const struct room_slots *slots)
{
    uint64_t key = 0;
    for (size_t i = 0; i < slots->count; i++) {
        const struct room_slot *slot = &slots->items[i];
        if (slot->kind == MEDIA_VIDEO)
            key =
                key * 0x9e3779b97f4a7c15u + (slot->filled_by ? slot->filled_by->layers_serial : 0);
    }
    return key;
}

static bool is_active(const struct room_slots *slots)
{
    for (size_t i = 0; i < slots->count; i++) {
        if (slots->items[i].filled_by && slots->items[i].filled_by->live)
            return true;
    }
    return false;
}

static void tell_layers(struct whip_events *events, const struct room_slots *slots)
{
    uint64_t key = layers_key(slots);
    if (key == events->told_layers)
        return;
    events->told_layers = key;
    char *text = whip_layers_text(events->session);
    tell(events, EVENT_LAYERS, text);
    free(text);
}

static void tell_viewers(struct whip_events *events, uint64_t now_us, uint32_t count)
{
    if (count == events->told_viewers || now_us < events->viewers_told_us + VIEWERS_US)
        return;
    events->told_viewers = count;
    events->viewers_told_us = now_us;
    char text[48];
    struct text_builder builder = text_builder_of(text, sizeof(text));
    text_append_format(&builder, "{\"viewercount\":%u}", count);
    tell(events, EVENT_VIEWERS, text);
}

static void look_at(struct whip_events *events, uint64_t now_us)
{
    const struct room_member *member = events->session ? events->session->member : NULL;
    if (!member)
        return;
    size_t before = events->unsent_size;
    bool active = is_active(&member->slots);
    if (active != events->told_active) {
        events->told_active = active;
        tell(events, active ? EVENT_ACTIVE : EVENT_INACTIVE, "{}");
    }
    tell_layers(events, &member->slots);
    tell_viewers(events, now_us, member->room->viewer_count);
    if (now_us >= events->written_us + KEEP_ALIVE_US)
        write_text(events, bytes_of_text(":\n\n"));
    if (events->overrun)
        whip_events_end(events);
    else if (events->unsent_size != before)
        http_server_source_ready(events->endpoint->config.server, events->exchange);
}

void whip_events_look(struct loop_timer *timer, uint64_t now_us)
{
    struct whip_endpoint *endpoint = container_of(timer, struct whip_endpoint, events_timer);
    struct whip_events *events;
    list_each(events, &endpoint->events, node) look_at(events, now_us);
    if (!list_empty(&endpoint->events))
        loop_timer_set(timer, now_us + LOOK_US);
}

void whip_events_end(struct whip_events *events)
{
    if (!events)
        return;
    events->session->events = NULL;
    events->session = NULL;
    http_server_source_ready(events->endpoint->config.server, events->exchange);
}

void whip_events_stop(struct whip_endpoint *endpoint)
{
    struct whip_events *events;
    list_each(events, &endpoint->events, node)
    {
        tell(events, EVENT_RECONNECT, "{}");
        if (events->session)
            whip_events_end(events);
    }
}

/** ---- requests ---- */

static unsigned event_named(struct bytes name)
{
    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        if (text_equal(name, names[i]))
            return 1u << i;
    }
    return 0; // of a later draft
}

/** The events that the query names; all when it names none. */
static unsigned read_wanted(struct http_exchange *exchange)
{
    char query[QUERY_SIZE_MAX];
    int size = http_exchange_query(exchange, "events", query, sizeof(query));
    if (size <= 0)
        return EVENTS_ALL;
    struct bytes rest = bytes_of(query, (size_t)size);
    unsigned wanted = 0;
    while (rest.size > 0)
        wanted |= event_named(text_take_until(&rest, ','));
    return wanted;
}

void whip_events_get(struct http_exchange *exchange, void *owner)
{
    struct whip_endpoint *endpoint = owner;
    struct whip_session *session = whip_session_of(exchange, endpoint);
    if (!session)
        return;
    whip_events_end(session->events); // one stream each: the newer one
    struct whip_events *events = memory_new(struct whip_events);
    *events = (struct whip_events){ .endpoint = endpoint,
                                    .session = session,
                                    .exchange = http_exchange_handle(exchange),
                                    .wanted = read_wanted(exchange) };
    session->events = events;
    list_append(&endpoint->events, &events->node);
    // a stream begins with something: proxies hold the head back until then
    write_text(events, bytes_of_text("retry: 3000\n\n"));
    http_exchange_add_field(exchange, "Cache-Control", "no-store");
    http_exchange_stream(exchange, 200, "text/event-stream", HTTP_LENGTH_UNKNOWN, &source_ops,
                         events);
    loop_timer_set(&endpoint->events_timer, loop_now_us(endpoint->config.loop));
}

/** The draft's way to the stream: a list of events is POSTed, the stream's address comes back. */
void whip_events_post(struct http_exchange *exchange, void *owner)
{
    const struct whip_session *session = whip_session_of(exchange, owner);
    if (!session)
        return;
    struct bytes body = http_exchange_body(exchange);
    json_t *list = body.size > 0 ? json_loadb((const char *)body.data, body.size, 0, NULL) : NULL;
    if (body.size > 0 && (!whip_has_type(exchange, "application/json") || !json_is_array(list))) {
        http_exchange_fail(exchange, 400, "The body is a list of events of type application/json.");
        json_decref(list);
        return;
    }
    unsigned wanted = list ? 0 : EVENTS_ALL;
    size_t i;
    json_t *name;
    json_array_foreach(list, i, name) wanted |=
        event_named(bytes_of(json_string_value(name), json_string_length(name)));
    json_decref(list);
    char location[WHIP_ID_LENGTH + QUERY_SIZE_MAX];
    struct text_builder text = text_builder_of(location, sizeof(location));
    text_append_format(&text, "/whep-session/%s/events?events=", session->id);
    for (unsigned e = 0, count = 0; e < EVENT_COUNT; e++) {
        if (wanted & (1u << e))
            text_append_format(&text, "%s%s", count++ > 0 ? "," : "", names[e]);
    }
    if (wanted == 0)
        text_append(&text, "none");
    http_exchange_add_field(exchange, "Location", location);
    http_exchange_respond(exchange, 201, NULL, bytes_of(NULL, 0));
}

void whip_events_delete(struct http_exchange *exchange, void *owner)
{
    struct whip_session *session = whip_session_of(exchange, owner);
    if (!session)
        return;
    whip_events_end(session->events);
    http_exchange_respond(exchange, 200, NULL, bytes_of(NULL, 0));
}

void whip_events_add_links(const struct whip_session *session, struct http_exchange *exchange)
{
    char link[WHIP_ID_LENGTH + 256];
    struct text_builder text = text_builder_of(link, sizeof(link));
    text_append_format(&text,
                       "</whep-session/%s/layer>; rel=\"urn:ietf:params:whep:ext:core:layer\"",
                       session->id);
    http_exchange_add_field(exchange, "Link", link);
    text = text_builder_of(link, sizeof(link));
    text_append_format(&text,
                       "</whep-session/%s/events>; "
                       "rel=\"urn:ietf:params:whep:ext:core:server-sent-events\"; "
                       "events=\"active,inactive,layers,viewercount,reconnect\"",
                       session->id);
    http_exchange_add_field(exchange, "Link", link);
}
