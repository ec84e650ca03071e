/**
 * Anchored calls: each side negotiates with our media server, which forwards. So the two sides may
 * differ in what they know of ICE, DTLS roles and codecs, whatever languages they speak.
 *
 * The model's operations (signal/model/call_anchor.h) over those of media (room/media_control.h): a
 * call has two media sessions, opened with the caller's offer. No I/O. A side whose media does not
 * come to be, or stays away, ends the call, and so does one that closes its connection: that is how
 * many clients hang up.
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/metric.h"
#include "room/media_control.h"
#include "signal/model/call_anchor.h"
#include "signal/model/call_event.h"

enum anchor_metric {
#define METRIC(id, kind, name, labels, help) ANCHOR_METRIC_##id,
#include "signal/anchor/anchor_metrics.def"
#undef METRIC
    ANCHOR_METRIC_COUNT,
};

struct anchor_config {
    struct media_control *media;
    uint32_t call_count_max; /**< [2000] */
    void *owner;             /**< given to `ended` */
    /** The media of a call is over; its end is the owner's to bring about. */
    void (*ended)(void *owner, const char *call, uint64_t now_us, enum call_ended_reason reason);
};

struct anchor {
    struct call_anchor ops; /**< first: what the model is given */
    struct anchor_config config;
    struct map by_media; /**< struct anchored_side by media session: two of each call */
    struct list awaited; /**< sides that are not connected, by their deadlines */
    uint32_t call_count;
    metric_value metrics[ANCHOR_METRIC_COUNT];
};

void anchor_init(struct anchor *anchor, const struct anchor_config *config);
/** Takes another limit; calls go on. */
void anchor_reload(struct anchor *anchor, const struct anchor_config *config);
/** After the last call has ended. */
void anchor_done(struct anchor *anchor);
/** Takes an event of media; false when it is of no call. */
bool anchor_media_event(struct anchor *anchor, uint64_t now_us, const struct media_event *event);
/** Ends calls whose media stays away. */
void anchor_tick(struct anchor *anchor, uint64_t now_us);
uint64_t anchor_deadline(const struct anchor *anchor);
struct metric_set anchor_metrics(const struct anchor *anchor);
