#include "admin/webhooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control_json.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/time.h"
#include "crypto/hmac.h"
#include "runtime/clock.h"
#include "runtime/loop.h"

/** Rooms are spread over so many queues: one that is stuck holds up few others. */
#define LANES        8
#define ID_LENGTH    20
#define BACKOFF_US   (500 * TIME_US_PER_MS)
#define BACKOFF_MAX  (60 * TIME_US_PER_S)
#define FAILURES_MAX 12
#define SECRET_MAX   1024

enum webhooks_metric {
#define METRIC(id, kind, name, labels, help) id,
#include "admin/webhooks.def"
#undef METRIC
    WEBHOOKS_METRIC_COUNT,
};

static const struct metric_description descriptions[WEBHOOKS_METRIC_COUNT] = {
#define METRIC METRIC_DESCRIPTION
#include "admin/webhooks.def"
#undef METRIC
};

struct event {
    struct list node;
    char id[ID_LENGTH + 5]; /**< "evt_..." */
    char *body;
    uint64_t made_us;
};

/** Some rooms' events for one address, one under way at a time. */
struct lane {
    struct webhooks *webhooks;
    const char *url;
    struct list events;
    struct loop_timer timer; /**< the next attempt */
    uint32_t failures;       /**< in a row */
    bool busy;
};

struct webhooks {
    struct webhooks_config config;
    struct room_watcher watcher;
    uint64_t secret[2]; /**< of the choice of lanes */
    struct lane lanes[WEBHOOK_URLS_MAX][LANES];
    size_t url_count;
    bool ending;
    metric_value metrics[WEBHOOKS_METRIC_COUNT];
};

/** ---- signatures ---- */

void webhook_sign(const char *secret, const char *id, uint64_t unix_s, struct bytes body,
                  char out[64])
{
    static const char prefix[] = "whsec_";
    uint8_t decoded[SECRET_MAX], code[HMAC_SHA256_SIZE];
    struct bytes key = bytes_of_text(secret);
    if (text_starts_with(key, prefix)) {
        int size =
            text_base64_parse(bytes_of_text(secret + strlen(prefix)), decoded, sizeof(decoded));
        if (size > 0)
            key = bytes_of(decoded, (size_t)size);
    }
    char time[24];
    snprintf(time, sizeof(time), ".%llu.", (unsigned long long)unix_s);
    hmac_sha256_parts(key, (struct bytes[]){ bytes_of_text(id), bytes_of_text(time), body }, 3,
                      code);
    memory_wipe(decoded, sizeof(decoded));
    memcpy(out, "v1,", 3);
    text_base64_write(bytes_of(code, sizeof(code)), out + 3);
}

void webhook_sign_call(struct http_call *call, const char *secret, const char *id, uint64_t unix_s)
{
    char time[24], signature[64];
    snprintf(time, sizeof(time), "%llu", (unsigned long long)unix_s);
    webhook_sign(secret, id, unix_s, bytes_of(call->body, call->body_size), signature);
    http_call_add_header(call, "webhook-id", id);
    http_call_add_header(call, "webhook-timestamp", time);
    http_call_add_header(call, "webhook-signature", signature);
}

/** ---- delivery ---- */

static void forget(struct lane *lane, struct event *event)
{
    list_remove(&event->node);
    metric_subtract(&lane->webhooks->metrics[WEBHOOKS_QUEUED], 1);
    free(event->body);
    free(event);
}

static struct event *first_event(const struct lane *lane)
{
    return list_empty(&lane->events) ? NULL : container_of(lane->events.next, struct event, node);
}

static void deliver(struct lane *lane);

/** The server did not answer, or said that it cannot now. */
static void try_later(struct lane *lane, struct event *event, const struct http_call *call)
{
    struct webhooks *webhooks = lane->webhooks;
    uint64_t now_us = loop_now_us(webhooks->config.loop);
    lane->failures = min_of(lane->failures + 1, (uint32_t)FAILURES_MAX);
    if (now_us - event->made_us >= webhooks->config.options->webhooks.give_up_us) {
        metric_add(&webhooks->metrics[WEBHOOKS_EXPIRED], 1);
        log_warning(webhooks->config.log, "webhook event given up", log_text("url", lane->url),
                    log_text("problem", call ? call->problem : "no thread is free"));
        forget(lane, event);
    } else {
        metric_add(&webhooks->metrics[WEBHOOKS_FAILED], 1);
        if (lane->failures == 1 && call)
            log_warning(webhooks->config.log, "webhook not delivered, it is tried again",
                        log_text("url", lane->url), log_text("problem", call->problem));
    }
    uint64_t wait_us = min_of((uint64_t)BACKOFF_US << (lane->failures - 1), (uint64_t)BACKOFF_MAX);
    // not all at once when the server is back
    wait_us += random_u64(webhooks->config.random) % (wait_us / 4 + 1);
    loop_timer_set_after(&lane->timer, wait_us);
}

static bool is_worth_another_try(const struct http_call *call)
{
    return call->error < 0 || call->status >= 500 || call->status == 408 || call->status == 425 ||
           call->status == 429;
}

static void delivered(struct http_call *call, void *owner)
{
    struct lane *lane = owner;
    struct webhooks *webhooks = lane->webhooks;
    struct event *event = first_event(lane);
    lane->busy = false;
    if (call->error == -ECANCELED || webhooks->ending)
        return;
    if (is_worth_another_try(call)) {
        try_later(lane, event, call);
        return;
    }
    bool good = call->status >= 200 && call->status <= 299;
    if (!good)
        log_warning(webhooks->config.log, "webhook refused", log_text("url", lane->url),
                    log_text("problem", call->problem));
    metric_add(&webhooks->metrics[good ? WEBHOOKS_DELIVERED : WEBHOOKS_REFUSED], 1);
    lane->failures = 0;
    forget(lane, event);
    deliver(lane);
}

static void deliver(struct lane *lane)
{
    struct webhooks *webhooks = lane->webhooks;
    struct event *event = first_event(lane);
    if (!event || lane->busy)
        return;
    const struct roost_options *options = webhooks->config.options;
    struct http_call *call = http_call_new(lane->url);
    http_call_set_body(call, bytes_of_text(event->body), "application/json");
    webhook_sign_call(call, options->webhooks.secret, event->id, clock_unix_us() / TIME_US_PER_S);
    call->timeout_ms = (uint32_t)(options->webhooks.timeout_us / TIME_US_PER_MS);
    call->done = delivered;
    call->owner = lane;
    if (http_call_start(webhooks->config.client, call) == 0)
        lane->busy = true;
    else
        try_later(lane, event, NULL);
}

static void due(struct loop_timer *timer, unused uint64_t now_us)
{
    deliver(container_of(timer, struct lane, timer));
}

/** ---- events ---- */

static char *write_body(const struct room_watch_event *event, const char *id)
{
    static const char *const names[] = {
        [ROOM_WATCH_ROOM_STARTED] = "room_started",
        [ROOM_WATCH_ROOM_ENDED] = "room_ended",
        [ROOM_WATCH_MEMBER_JOINED] = "participant_joined",
        [ROOM_WATCH_MEMBER_LEFT] = "participant_left",
        [ROOM_WATCH_TRACK_PUBLISHED] = "track_published",
        [ROOM_WATCH_TRACK_UNPUBLISHED] = "track_unpublished",
    };
    json_t *json = json_pack("{s:s,s:s,s:I,s:o}", "id", id, "event", names[event->kind], "time_ms",
                             (json_int_t)(clock_unix_us() / TIME_US_PER_MS), "room",
                             control_room_json(event->room));
    if (event->member)
        json_object_set_new(json, "participant", control_member_json(event->member));
    if (event->publication)
        json_object_set_new(json, "track", control_track_json(event->publication));
    if (event->kind == ROOM_WATCH_MEMBER_LEFT)
        json_object_set_new(json, "reason", json_string(control_reason_name(event->reason)));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    ensure(text);
    return text;
}

static void queue(struct lane *lane, const char *id, const char *body)
{
    struct webhooks *webhooks = lane->webhooks;
    if (metric_get(&webhooks->metrics[WEBHOOKS_QUEUED]) >=
        webhooks->config.options->webhooks.max_queue) {
        metric_add(&webhooks->metrics[WEBHOOKS_FULL], 1);
        return;
    }
    struct event *event = memory_new(struct event);
    snprintf(event->id, sizeof(event->id), "%s", id);
    event->body = memory_copy(body, strlen(body));
    event->made_us = loop_now_us(webhooks->config.loop);
    bool first = list_empty(&lane->events);
    list_append(&lane->events, &event->node);
    metric_add(&webhooks->metrics[WEBHOOKS_QUEUED], 1);
    if (first && lane->failures == 0)
        deliver(lane);
}

static void notify(struct room_watcher *watcher, const struct room_watch_event *event)
{
    struct webhooks *webhooks = container_of(watcher, struct webhooks, watcher);
    if (webhooks->ending)
        return;
    char id[ID_LENGTH + 5] = "evt_";
    random_identifier(webhooks->config.random, id + 4, ID_LENGTH);
    char *body = write_body(event, id);
    size_t place = map_hash(webhooks->secret, bytes_of_text(event->room->name)) % LANES;
    for (size_t i = 0; i < webhooks->url_count; i++)
        queue(&webhooks->lanes[i][place], id, body);
    free(body);
}

struct webhooks *webhooks_new(const struct webhooks_config *config)
{
    struct webhooks *webhooks = memory_new(struct webhooks);
    webhooks->config = *config;
    webhooks->watcher.notify = notify;
    random_fill(config->random, webhooks->secret, sizeof(webhooks->secret));
    const struct option_list *urls = &config->options->webhooks.urls;
    webhooks->url_count = min_of(urls->count, (size_t)WEBHOOK_URLS_MAX);
    for (size_t i = 0; i < webhooks->url_count; i++) {
        for (size_t l = 0; l < LANES; l++) {
            struct lane *lane = &webhooks->lanes[i][l];
            // the option needs a restart to change, so the text stays
            *lane = (struct lane){ .webhooks = webhooks, .url = urls->items[i] };
            list_init(&lane->events);
            loop_timer_init(&lane->timer, config->loop, due);
        }
    }
    return webhooks;
}

struct webhooks *webhooks_free(struct webhooks *webhooks)
{
    if (!webhooks)
        return NULL;
    webhooks->ending = true;
    for (size_t i = 0; i < webhooks->url_count; i++) {
        for (size_t l = 0; l < LANES; l++) {
            struct lane *lane = &webhooks->lanes[i][l];
            loop_timer_cancel(&lane->timer);
            struct event *event;
            while ((event = first_event(lane)))
                forget(lane, event);
        }
    }
    free(webhooks);
    return NULL;
}

struct room_watcher *webhooks_watcher(struct webhooks *webhooks)
{
    return &webhooks->watcher;
}

struct metric_set webhooks_metrics(const struct webhooks *webhooks)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = webhooks->metrics,
                                .count = WEBHOOKS_METRIC_COUNT,
                                .labels = "" };
}
