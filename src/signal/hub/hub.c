#include "signal/hub/hub.h"

#include <string.h>

#include "base/time.h"

static void arm(struct signal_hub *hub)
{
    uint64_t calls_us =
        time_earlier(call_directory_deadline(&hub->calls), anchor_deadline(&hub->anchor));
    uint64_t rooms_us =
        time_earlier(room_directory_deadline(&hub->rooms), focus_deadline(&hub->focus));
    loop_timer_set(&hub->timer, time_earlier(rooms_us, calls_us));
}

static void settle(struct signal_hub *hub, uint64_t now_us)
{
    do
        room_directory_settle(&hub->rooms, now_us);
    while (focus_run(&hub->focus, now_us));
    arm(hub);
}

static void tick(struct loop_timer *timer, uint64_t now_us)
{
    struct signal_hub *hub = container_of(timer, struct signal_hub, timer);
    call_directory_tick(&hub->calls, now_us);
    anchor_tick(&hub->anchor, now_us);
    room_directory_tick(&hub->rooms, now_us);
    focus_tick(&hub->focus, now_us);
    settle(hub, now_us);
}

static void media_ended(void *owner, const char *call, uint64_t now_us,
                        enum call_ended_reason reason)
{
    struct signal_hub *hub = owner;
    call_media_ended(&hub->calls, call, now_us, reason);
}

static struct anchor_config anchor_config(struct signal_hub *hub,
                                          const struct signal_hub_config *config)
{
    return (struct anchor_config){ .media = config->media,
                                   .call_count_max = config->anchored_count_max,
                                   .owner = hub,
                                   .ended = media_ended };
}

static struct focus_config focus_config(struct signal_hub *hub,
                                        const struct signal_hub_config *config)
{
    return (struct focus_config){ .rooms = &hub->rooms,
                                  .calls = &hub->calls,
                                  .random = config->random,
                                  .require_token = config->require_token,
                                  .admission = config->admission,
                                  .stands = config->grants_stand,
                                  .owner = config->owner };
}

static struct signal_hub_config complete(struct signal_hub *hub,
                                         const struct signal_hub_config *config)
{
    struct signal_hub_config own = *config;
    own.rooms.media = config->media;
    own.rooms.random = config->random;
    own.calls.random = config->random;
    own.calls.anchor = &hub->anchor.ops;
    own.calls.rooms = &hub->focus.ops;
    return own;
}

void signal_hub_init(struct signal_hub *hub, const struct signal_hub_config *config)
{
    struct signal_hub_config own = complete(hub, config);
    hub->loop = config->loop;
    struct anchor_config anchored = anchor_config(hub, config);
    anchor_init(&hub->anchor, &anchored);
    struct focus_config rooms = focus_config(hub, config);
    focus_init(&hub->focus, &rooms);
    room_directory_init(&hub->rooms, &own.rooms);
    call_directory_init(&hub->calls, &own.calls);
    messaging_init(&hub->messaging, &hub->calls, config->history, config->random);
    loop_timer_init(&hub->timer, config->loop, tick);
}

void signal_hub_done(struct signal_hub *hub)
{
    loop_timer_cancel(&hub->timer);
    focus_done(&hub->focus, loop_now_us(hub->loop));
    messaging_done(&hub->messaging);
    call_directory_done(&hub->calls);
    anchor_done(&hub->anchor);
    room_directory_done(&hub->rooms);
}

void signal_hub_reload(struct signal_hub *hub, const struct signal_hub_config *config)
{
    struct signal_hub_config own = complete(hub, config);
    struct anchor_config anchored = anchor_config(hub, config);
    anchor_reload(&hub->anchor, &anchored);
    struct focus_config rooms = focus_config(hub, config);
    focus_reload(&hub->focus, &rooms);
    room_directory_reload(&hub->rooms, &own.rooms);
    call_directory_reload(&hub->calls, &own.calls);
    arm(hub);
}

void signal_hub_changed(struct signal_hub *hub)
{
    settle(hub, loop_now_us(hub->loop));
}

void signal_hub_media_ready(struct signal_hub *hub)
{
    struct media_control *media = hub->rooms.config.media;
    uint64_t now_us = loop_now_us(hub->loop);
    struct media_event event;
    while (media->event(media, &event)) {
        if (!anchor_media_event(&hub->anchor, now_us, &event))
            room_directory_media_event(&hub->rooms, now_us, &event);
    }
    settle(hub, now_us);
}

void signal_hub_admitted(struct signal_hub *hub, const char *session,
                         const struct admission_answer *answer)
{
    focus_admitted(&hub->focus, session, answer);
    signal_hub_changed(hub);
}

size_t signal_hub_metrics(const struct signal_hub *hub, struct metric_set *sets, size_t capacity)
{
    const struct metric_set all[] = {
        room_directory_metrics(&hub->rooms), call_directory_metrics(&hub->calls),
        messaging_metrics(&hub->messaging),  anchor_metrics(&hub->anchor),
        focus_metrics(&hub->focus),
    };
    size_t count = min_of(capacity, array_size(all));
    memcpy(sets, all, count * sizeof(all[0]));
    return count;
}
