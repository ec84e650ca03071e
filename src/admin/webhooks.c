#include "admin/webhooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control_json.h"
#include "base/blob.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/time.h"
#include "crypto/hmac.h"
#include "runtime/clock.h"
#include "runtime/loop.h"
#include "store/outbox.h"

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
    struct outbox_event *kept;
    uint64_t since_us; /**< on the loop's clock */
    uint64_t age_us;   /**< it had then */
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
    struct outbox *outbox;
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

static uint64_t size_of(const struct outbox_event *event)
{
    return blob_bytes(event->body).size;
}

/** The event itself stays where it is kept. */
static void unqueue(struct lane *lane, struct event *event)
{
    list_remove(&event->node);
    metric_subtract(&lane->webhooks->metrics[WEBHOOKS_QUEUED], 1);
    metric_subtract(&lane->webhooks->metrics[WEBHOOKS_QUEUED_BYTES], size_of(event->kept));
    free(event);
}

/** It was delivered, or nobody will get it. */
static void forget(struct lane *lane, struct event *event)
{
    struct outbox_event *kept = event->kept;
    unqueue(lane, event);
    outbox_remove(lane->webhooks->outbox, kept);
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
    if (now_us - event->since_us + event->age_us >= webhooks->config.options->webhooks.give_up_us) {
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
    if (call->error == -ECANCELED)
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
    http_call_set_body(call, blob_bytes(event->kept->body), "application/json");
    webhook_sign_call(call, options->webhooks.secret, event->kept->id,
                      clock_unix_us() / TIME_US_PER_S);
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

static struct blob *write_body(const struct room_watch_event *event, const char *id)
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
    struct blob *body = blob_new(bytes_of_text(text));
    ensure(body);
    free(text);
    return body;
}

/** Returns whether there is room for it; counted when not. */
static bool queue(struct lane *lane, struct outbox_event *kept, uint64_t age_us)
{
    struct webhooks *webhooks = lane->webhooks;
    const struct roost_options *options = webhooks->config.options;
    if (metric_get(&webhooks->metrics[WEBHOOKS_QUEUED]) >= options->webhooks.max_queue ||
        metric_get(&webhooks->metrics[WEBHOOKS_QUEUED_BYTES]) + size_of(kept) >
            options->webhooks.max_queue_size) {
        metric_add(&webhooks->metrics[WEBHOOKS_FULL], 1);
        return false;
    }
    struct event *event = memory_new(struct event);
    event->kept = kept;
    event->since_us = loop_now_us(webhooks->config.loop);
    event->age_us = age_us;
    list_append(&lane->events, &event->node);
    metric_add(&webhooks->metrics[WEBHOOKS_QUEUED], 1);
    metric_add(&webhooks->metrics[WEBHOOKS_QUEUED_BYTES], size_of(kept));
    return true;
}

static size_t lane_of(const struct webhooks *webhooks, const char *room)
{
    return map_hash(webhooks->secret, bytes_of_text(room)) % LANES;
}

static void add(struct lane *lane, const char *room, const char *id, struct blob *body)
{
    struct outbox_event *event =
        outbox_event_new(lane->url, room, id, blob_ref(body), clock_unix_us());
    bool first = list_empty(&lane->events);
    if (!queue(lane, event, 0)) {
        outbox_event_unref(event);
        return;
    }
    outbox_add(lane->webhooks->outbox, event);
    if (first && lane->failures == 0)
        deliver(lane);
}

static void notify(struct room_watcher *watcher, const struct room_watch_event *event)
{
    struct webhooks *webhooks = container_of(watcher, struct webhooks, watcher);
    char id[ID_LENGTH + 5] = "evt_";
    random_identifier(webhooks->config.random, id + 4, ID_LENGTH);
    struct blob *body = write_body(event, id);
    for (size_t i = 0; i < webhooks->url_count; i++)
        add(&webhooks->lanes[i][lane_of(webhooks, event->room->name)], event->room->name, id, body);
    blob_unref(body);
}

/** ---- start and stop ---- */

/** One that an earlier process could not deliver. */
static void take_kept(struct outbox_event *event, void *owner)
{
    struct webhooks *webhooks = owner;
    uint64_t now_us = clock_unix_us();
    uint64_t age_us = now_us > event->made_unix_us ? now_us - event->made_unix_us : 0;
    struct lane *lane = NULL;
    for (size_t i = 0; i < webhooks->url_count && !lane; i++) {
        if (strcmp(webhooks->lanes[i][0].url, event->destination) == 0)
            lane = &webhooks->lanes[i][lane_of(webhooks, event->subject)];
    }
    if (!lane)
        metric_add(&webhooks->metrics[WEBHOOKS_NO_ADDRESS], 1);
    if (!lane || !queue(lane, event, age_us))
        outbox_remove(webhooks->outbox, event);
    else
        loop_timer_set_after(&lane->timer, 0);
}

static int open_outbox(struct webhooks *webhooks, struct text_builder *ret_problem)
{
    const struct webhooks_config *config = &webhooks->config;
    int result = outbox_open(
        &(struct outbox_config){
            .loop = config->loop,
            .path = config->path,
            .log = config->log,
            .failures = &webhooks->metrics[WEBHOOKS_STORE_FAILED],
            .written = &webhooks->metrics[WEBHOOKS_STORED],
        },
        &webhooks->outbox, ret_problem);
    if (result == 0)
        result = outbox_read(webhooks->outbox, take_kept, webhooks, ret_problem);
    if (result < 0)
        return result;
    uint64_t count = metric_get(&webhooks->metrics[WEBHOOKS_QUEUED]);
    if (count > 0)
        log_info(config->log, "webhook events of an earlier run wait to be delivered",
                 log_number("count", (int64_t)count));
    uint64_t dropped = metric_get(&webhooks->metrics[WEBHOOKS_NO_ADDRESS]);
    if (dropped > 0)
        log_warning(config->log, "webhook events dropped: webhooks.urls has their address no more",
                    log_number("count", (int64_t)dropped));
    return 0;
}

int webhooks_open(const struct webhooks_config *config, struct webhooks **ret_webhooks,
                  struct text_builder *ret_problem)
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
    int result = open_outbox(webhooks, ret_problem);
    if (result < 0)
        webhooks_close(webhooks);
    else
        *ret_webhooks = webhooks;
    return result;
}

struct webhooks *webhooks_close(struct webhooks *webhooks)
{
    if (!webhooks)
        return NULL;
    for (size_t i = 0; i < webhooks->url_count; i++) {
        for (size_t l = 0; l < LANES; l++) {
            struct lane *lane = &webhooks->lanes[i][l];
            loop_timer_cancel(&lane->timer);
            struct event *event;
            while ((event = first_event(lane))) {
                struct outbox_event *kept = event->kept;
                unqueue(lane, event);
                outbox_event_unref(kept);
            }
        }
    }
    outbox_close(webhooks->outbox);
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
