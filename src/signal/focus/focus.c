#include "signal/focus/focus.h"

#include <errno.h>

#include "base/time.h"
#include "signal/focus/focus_leg.h"

/** How long a caller may have no network path: as long as a side of an anchored call. */
#define PATIENCE_US (30 * TIME_US_PER_S)

static const struct metric_description descriptions[FOCUS_METRIC_COUNT] = {
#define METRIC(id, ...) METRIC_DESCRIPTION(FOCUS_METRIC_##id, __VA_ARGS__)
#include "signal/focus/focus_metrics.def"
#undef METRIC
};

static bool may_come_in(const struct focus_config *config, const char *room,
                        const struct token_grants *grants)
{
    if (!grants)
        return config->admission || !config->require_token;
    // without a room in it, a token vouches for a name alone
    bool of_rooms = grants->room[0] || config->require_token;
    // what the endpoint says is no token that could be revoked
    if (!config->admission && config->stands && !config->stands(config->owner, grants))
        return false;
    return !grants->join_denied && (!of_rooms || token_admits(grants, room));
}

static int answerer(struct call_rooms *ops, const char *room, const struct token_grants *grants,
                    struct call_device **ret_device)
{
    struct focus *focus = container_of(ops, struct focus, ops);
    if (!may_come_in(&focus->config, room, grants)) {
        metric_add(&focus->metrics[FOCUS_METRIC_REFUSED_TOKEN], 1);
        return -EACCES;
    }
    *ret_device = &focus_leg_new(focus, room, grants)->device;
    return 0;
}

void focus_admitted(struct focus *focus, const char *id, const struct admission_answer *answer)
{
    struct focus_leg *leg = map_remove(&focus->by_id, bytes_of_text(id));
    if (!leg)
        return;
    leg->asking = false;
    leg->decided = true;
    bool admitted = answer->result == 0 && may_come_in(&focus->config, leg->room, &answer->grants);
    if (admitted) {
        focus_caller_take(&leg->caller, &answer->grants);
    } else {
        leg->refused =
            answer->result == -EAGAIN ? FOCUS_METRIC_REFUSED_UNDECIDED : FOCUS_METRIC_REFUSED_TOKEN;
    }
    focus_leg_wake(leg);
}

bool focus_run(struct focus *focus, uint64_t now_us)
{
    bool any = !list_empty(&focus->due);
    while (!list_empty(&focus->due))
        focus_leg_run(container_of(focus->due.next, struct focus_leg, due_node), now_us);
    return any;
}

static struct focus_leg *first_pathless(const struct focus *focus)
{
    if (list_empty(&focus->pathless))
        return NULL;
    return container_of(focus->pathless.next, struct focus_leg, pathless_node);
}

void focus_tick(struct focus *focus, uint64_t now_us)
{
    struct focus_leg *leg;
    while ((leg = first_pathless(focus)) && leg->pathless_us + PATIENCE_US <= now_us) {
        list_remove(&leg->pathless_node);
        focus_leg_end_soon(leg, FOCUS_METRIC_LOST);
    }
    (void)focus_run(focus, now_us);
}

uint64_t focus_deadline(const struct focus *focus)
{
    const struct focus_leg *leg = first_pathless(focus);
    return leg ? leg->pathless_us + PATIENCE_US : TIME_NEVER;
}

void focus_init(struct focus *focus, const struct focus_config *config)
{
    *focus = (struct focus){ .config = *config, .ops = { .answerer = answerer } };
    list_init(&focus->legs);
    list_init(&focus->due);
    list_init(&focus->pathless);
    // the keys are names of our own
    map_init(&focus->by_id, (uint64_t[2]){ 0, 0 });
}

void focus_reload(struct focus *focus, const struct focus_config *config)
{
    focus->config.require_token = config->require_token;
    focus->config.admission = config->admission;
}

void focus_done(struct focus *focus, uint64_t now_us)
{
    while (!list_empty(&focus->legs))
        focus_leg_free(container_of(focus->legs.next, struct focus_leg, node), now_us);
    map_done(&focus->by_id);
}

struct metric_set focus_metrics(const struct focus *focus)
{
    return (struct metric_set){ .descriptions = descriptions,
                                .values = focus->metrics,
                                .count = FOCUS_METRIC_COUNT,
                                .labels = "" };
}
