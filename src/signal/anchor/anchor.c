#include "signal/anchor/anchor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"

#define CALL_COUNT_MAX_DEFAULT 2000
/** How long a side may take to connect, and to come back: longer than clients try. */
#define PATIENCE_US (30 * TIME_US_PER_S)

struct anchored_side {
    struct call_anchored *anchored;
    media_session session;
    bool offered; /**< and its answer is waited for: an offer of its own would cross it */
    struct list awaited_node; /**< in anchor.awaited while it is not connected, else in none */
    uint64_t deadline_us;     /**< while it is there */
};

struct call_anchored {
    char call[16];
    struct anchored_side sides[MEDIA_CALL_SIDES];
    char *callers_offer; /**< until it is answered */
};

_Static_assert((int)CALL_ANCHOR_CALLER == (int)MEDIA_CALL_CALLER &&
                   (int)CALL_ANCHOR_CALLEE == (int)MEDIA_CALL_CALLEE,
               "sides are the same numbers");

static const struct metric_description descriptions[ANCHOR_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(ANCHOR_METRIC_##id, __VA_ARGS__)
#include "signal/anchor/anchor_metrics.def"
#undef METRIC
};

static struct anchor *anchor_of(struct call_anchor *ops)
{
    return container_of(ops, struct anchor, ops);
}

static void count(struct anchor *anchor, enum anchor_metric metric)
{
    metric_add(&anchor->metrics[metric], 1);
}

/** What media says of a description, as the model wants it. */
static int error_of(int error)
{
    return error == -EINVAL ? -EBADMSG : error;
}

/** ---- the model's operations ---- */

static int begin(struct call_anchor *ops, const char *call, bool loopback, const char *offer,
                 struct call_anchored **ret_anchored, char **ret_offer, const char **ret_problem)
{
    struct anchor *anchor = anchor_of(ops);
    struct media_control *media = anchor->config.media;
    if (anchor->call_count >= anchor->config.call_count_max) {
        count(anchor, ANCHOR_METRIC_REFUSED);
        return -ENOSPC;
    }
    media_session sides[MEDIA_CALL_SIDES];
    int error =
        media->call_open(media, loopback, bytes_of_text(offer), sides, ret_offer, ret_problem);
    if (error)
        return error_of(error);
    struct call_anchored *anchored = memory_new(struct call_anchored);
    snprintf(anchored->call, sizeof(anchored->call), "%s", call);
    anchored->callers_offer = memory_copy(offer, strlen(offer));
    for (int i = 0; i < MEDIA_CALL_SIDES; i++) {
        struct anchored_side *side = &anchored->sides[i];
        *side = (struct anchored_side){ .anchored = anchored, .session = sides[i] };
        list_init(&side->awaited_node);
        map_set(&anchor->by_media, map_key_u64(&side->session), side);
    }
    anchor->call_count++;
    count(anchor, ANCHOR_METRIC_CALLS);
    count(anchor, ANCHOR_METRIC_STARTED);
    *ret_anchored = anchored;
    return 0;
}

/** A side is not there, from now on: all have the same patience, so that the list stays in order.
 */
static void await(struct anchor *anchor, struct anchored_side *side, uint64_t now_us)
{
    if (!list_empty(&side->awaited_node))
        return;
    side->deadline_us = now_us + PATIENCE_US;
    list_append(&anchor->awaited, &side->awaited_node);
}

static void fix(struct call_anchor *ops, struct call_anchored *anchored, enum call_anchor_side side)
{
    struct media_control *media = anchor_of(ops)->config.media;
    media->call_fix(media, anchored->sides[side].session);
}

static int accept_answer(struct call_anchor *ops, struct call_anchored *anchored, uint64_t now_us,
                         const char *answer, char **ret_answer, const char **ret_problem)
{
    struct anchor *anchor = anchor_of(ops);
    struct media_control *media = anchor->config.media;
    int error = media->call_accept(media, anchored->sides[MEDIA_CALL_CALLEE].session,
                                   bytes_of_text(answer), ret_problem);
    if (!error)
        error = media->call_answer(media, anchored->sides[MEDIA_CALL_CALLER].session,
                                   bytes_of_text(anchored->callers_offer), ret_answer, ret_problem);
    free(anchored->callers_offer);
    anchored->callers_offer = NULL;
    for (int i = 0; !error && i < MEDIA_CALL_SIDES; i++)
        await(anchor, &anchored->sides[i], now_us);
    return error_of(error);
}

static int offer(struct call_anchor *ops, struct call_anchored *anchored,
                 enum call_anchor_side side, const char *text, char **ret_answer,
                 const char **ret_problem)
{
    struct media_control *media = anchor_of(ops)->config.media;
    if (anchored->sides[side].offered)
        return -EAGAIN;
    return error_of(media->call_answer(media, anchored->sides[side].session, bytes_of_text(text),
                                       ret_answer, ret_problem));
}

static int answer(struct call_anchor *ops, struct call_anchored *anchored,
                  enum call_anchor_side side, const char *text, const char **ret_problem)
{
    struct media_control *media = anchor_of(ops)->config.media;
    // one that cannot be used is an answer, too: another may follow, or an offer of the side's own
    anchored->sides[side].offered = false;
    return error_of(
        media->call_accept(media, anchored->sides[side].session, bytes_of_text(text), ret_problem));
}

static char *due(struct call_anchor *ops, struct call_anchored *anchored,
                 enum call_anchor_side side)
{
    struct media_control *media = anchor_of(ops)->config.media;
    char *text = media->call_offer(media, anchored->sides[side].session);
    anchored->sides[side].offered |= text != NULL;
    return text;
}

static bool holds(struct call_anchor *ops, const struct call_anchored *anchored,
                  enum call_anchor_side side)
{
    struct media_control *media = anchor_of(ops)->config.media;
    return media->call_holds(media, anchored->sides[side].session);
}

static void end(struct call_anchor *ops, struct call_anchored *anchored)
{
    struct anchor *anchor = anchor_of(ops);
    struct media_control *media = anchor->config.media;
    for (int i = 0; i < MEDIA_CALL_SIDES; i++) {
        struct anchored_side *side = &anchored->sides[i];
        map_remove(&anchor->by_media, map_key_u64(&side->session));
        list_remove(&side->awaited_node);
        media->session_close(media, side->session);
    }
    anchor->call_count--;
    metric_subtract(&anchor->metrics[ANCHOR_METRIC_CALLS], 1);
    free(anchored->callers_offer);
    free(anchored);
}

/** ---- what media reports ---- */

/** `ended` ends the call, and with it `anchored`. */
static void tell_ended(struct anchor *anchor, struct call_anchored *anchored, uint64_t now_us,
                       enum anchor_metric metric, enum call_ended_reason reason)
{
    count(anchor, metric);
    anchor->config.ended(anchor->config.owner, anchored->call, now_us, reason);
}

bool anchor_media_event(struct anchor *anchor, uint64_t now_us, const struct media_event *event)
{
    struct anchored_side *side = map_find(&anchor->by_media, map_key_u64(&event->session));
    if (!side)
        return false;
    switch (event->kind) {
    case MEDIA_EVENT_CONNECTED:
        list_remove(&side->awaited_node);
        break;
    case MEDIA_EVENT_DISCONNECTED:
        await(anchor, side, now_us);
        break;
    case MEDIA_EVENT_FAILED:
        tell_ended(anchor, side->anchored, now_us,
                   event->closed ? ANCHOR_METRIC_CLOSED : ANCHOR_METRIC_FAILED,
                   event->closed ? CALL_ENDED_HANGUP : CALL_ENDED_MEDIA);
        break;
    default: // of tracks: nobody shows them in a call
        break;
    }
    return true;
}

void anchor_tick(struct anchor *anchor, uint64_t now_us)
{
    while (anchor_deadline(anchor) <= now_us) {
        struct anchored_side *side =
            container_of(anchor->awaited.next, struct anchored_side, awaited_node);
        list_remove(&side->awaited_node);
        tell_ended(anchor, side->anchored, now_us, ANCHOR_METRIC_LOST, CALL_ENDED_MEDIA);
    }
}

uint64_t anchor_deadline(const struct anchor *anchor)
{
    if (list_empty(&anchor->awaited))
        return TIME_NEVER;
    return container_of(anchor->awaited.next, struct anchored_side, awaited_node)->deadline_us;
}

/** ---- its life ---- */

static void set_defaults(struct anchor_config *config)
{
    if (!config->call_count_max)
        config->call_count_max = CALL_COUNT_MAX_DEFAULT;
}

void anchor_init(struct anchor *anchor, const struct anchor_config *config)
{
    *anchor = (struct anchor){ .config = *config,
                               .ops = { .begin = begin,
                                        .fix = fix,
                                        .accept = accept_answer,
                                        .offer = offer,
                                        .answer = answer,
                                        .due = due,
                                        .holds = holds,
                                        .end = end } };
    set_defaults(&anchor->config);
    // the keys are handles of our own
    map_init(&anchor->by_media, (uint64_t[2]){ 0, 0 });
    list_init(&anchor->awaited);
}

void anchor_reload(struct anchor *anchor, const struct anchor_config *config)
{
    anchor->config.call_count_max = config->call_count_max;
    set_defaults(&anchor->config);
}

void anchor_done(struct anchor *anchor)
{
    ensure(anchor->call_count == 0);
    map_done(&anchor->by_media);
}

struct metric_set anchor_metrics(const struct anchor *anchor)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = anchor->metrics,
                                .count = ANCHOR_METRIC_COUNT,
                                .labels = "" };
}
