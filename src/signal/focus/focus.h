/**
 * The focus of a conference (RFC 4353, 2): rooms answer calls. Whoever can call, in whatever
 * language, becomes a member of the room by it: what it sends is published, and each section in
 * which it receives shows one of the others, those who speak first. So clients that know calls but
 * no rooms meet those that do.
 *
 * For each call there is a device of the model that answers it (signal/model/call_rooms.h), and a
 * member of the room. Neither model nor rooms may be called from within what they tell, so the
 * work waits for focus_run. No I/O.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/random.h"
#include "room/directory.h"
#include "signal/access/admission.h"
#include "signal/model/calls.h"

enum focus_metric {
#define METRIC(id, kind, name, labels, help) FOCUS_METRIC_##id,
#include "signal/focus/focus_metrics.def"
#undef METRIC
    FOCUS_METRIC_COUNT,
};

struct focus_config {
    struct room_directory *rooms; /**< required, as the next two */
    struct call_directory *calls;
    struct random *random;
    bool require_token;          /**< nobody comes in without grants */
    struct admission *admission; /**< decides instead, for callers without grants; NULL: nobody */
    /**
     * Whether grants that were given before still hold: clients call long after they showed their
     * tokens. NULL: all do.
     */
    bool (*stands)(void *owner, const struct token_grants *grants);
    void *owner;
};

struct focus {
    struct call_rooms ops; /**< first: what the model is given */
    struct focus_config config;
    struct list legs;     /**< all, in the order of coming */
    struct list due;      /**< those with something to do */
    struct list pathless; /**< those without a network path, by the time since when */
    struct map by_id;     /**< those that wait for `admission` */
    metric_value metrics[FOCUS_METRIC_COUNT];
};

void focus_init(struct focus *focus, const struct focus_config *config);
/** Keeps the three that are required, and `stands`; the rest counts for calls to come. */
void focus_reload(struct focus *focus, const struct focus_config *config);
/** Ends all calls to rooms. Before rooms and calls are done. */
void focus_done(struct focus *focus, uint64_t now_us);
/**
 * Does what waits: answers calls, ends those whose media or member is gone. Call it after each
 * change of calls or rooms. Returns whether there was anything: rooms may have changed.
 */
bool focus_run(struct focus *focus, uint64_t now_us);
/** The answer of `admission` for a session of that name, if it is one of ours. */
void focus_admitted(struct focus *focus, const char *id, const struct admission_answer *answer);
/** Ends calls whose media stays away. */
void focus_tick(struct focus *focus, uint64_t now_us);
uint64_t focus_deadline(const struct focus *focus);
struct metric_set focus_metrics(const struct focus *focus);
