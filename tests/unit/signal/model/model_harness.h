/** A directory of calls, and devices of any binding that write down what they hear. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "signal/model/calls.h"
#include "support/check.h"

#define S           TIME_US_PER_S
#define HEARD_MAX   128
#define TEXT_SIZE   4096
#define RECORDS_MAX 64

/** A device and what it heard and was not asked for yet, a line each: see write_event(). */
struct fake_device {
    struct call_device device;
    char heard[HEARD_MAX][TEXT_SIZE];
    size_t count;
    size_t taken;
    char call[CALL_ID_SIZE]; /**< the call that the last event was of */
};

struct model {
    struct random random;
    struct call_directory calls;
    uint64_t now_us;
    struct call_record records[RECORDS_MAX];
    size_t record_count;
    const char *account; /**< the only one's name; NULL: there is none */
};

static struct model model;

static const char *const event_names[] = {
    [CALL_EVENT_INCOMING] = "incoming", [CALL_EVENT_RINGING] = "ringing",
    [CALL_EVENT_ACCEPTED] = "accepted", [CALL_EVENT_CANDIDATE] = "candidate",
    [CALL_EVENT_OFFER] = "offer",       [CALL_EVENT_ANSWER] = "answer",
    [CALL_EVENT_PEER] = "peer",         [CALL_EVENT_ENDED] = "ended",
    [CALL_EVENT_LINK_READY] = "link",   [CALL_EVENT_UNREGISTERED] = "unregistered",
    [CALL_EVENT_RELAY] = "relay",       [CALL_EVENT_HELD] = "held",
    [CALL_EVENT_TRANSFER] = "transfer", [CALL_EVENT_TRANSFER_FAILED] = "transfer failed",
};

static const char *const reasons[] = {
    [CALL_ENDED_HANGUP] = "hangup",
    [CALL_ENDED_CANCELLED] = "cancelled",
    [CALL_ENDED_REJECTED] = "rejected",
    [CALL_ENDED_BUSY] = "busy",
    [CALL_ENDED_TIMEOUT] = "timeout",
    [CALL_ENDED_LOST] = "lost",
    [CALL_ENDED_ELSEWHERE] = "elsewhere",
    [CALL_ENDED_GLARE] = "glare",
    [CALL_ENDED_UNAVAILABLE] = "unavailable",
    [CALL_ENDED_TRANSFERRED] = "transferred",
    [CALL_ENDED_MEDIA] = "media",
};

/** "incoming from ann: v=0", "ended: busy", ... */
static inline void write_event(char out[TEXT_SIZE], const struct call_event *event)
{
    const char *name = event_names[event->kind];
    switch (event->kind) {
    case CALL_EVENT_INCOMING:
        snprintf(out, TEXT_SIZE, "%s%s%s from %s: %s", name, event->glare ? " by glare" : "",
                 event->replaces ? " in place" : "", event->peer->name, event->sdp);
        break;
    case CALL_EVENT_ACCEPTED:
        snprintf(out, TEXT_SIZE, "%s by %s: %s", name, event->peer->name, event->sdp);
        break;
    case CALL_EVENT_RELAY:
        snprintf(out, TEXT_SIZE, "%s from %s: %s", name, call_device_user(event->peer),
                 event->data);
        break;
    case CALL_EVENT_CANDIDATE:
        snprintf(out, TEXT_SIZE, "%s: %s", name,
                 event->candidate ? event->candidate->candidate : "end");
        break;
    case CALL_EVENT_OFFER:
    case CALL_EVENT_ANSWER:
        snprintf(out, TEXT_SIZE, "%s: %s", name, event->sdp);
        break;
    case CALL_EVENT_PEER:
        snprintf(out, TEXT_SIZE, "%s: %s", name, event->away ? "away" : "back");
        break;
    case CALL_EVENT_HELD:
        snprintf(out, TEXT_SIZE, "%s: %s", name, event->held ? "yes" : "no");
        break;
    case CALL_EVENT_ENDED:
    case CALL_EVENT_TRANSFER_FAILED:
        snprintf(out, TEXT_SIZE, "%s: %s", name, reasons[event->reason]);
        break;
    case CALL_EVENT_LINK_READY:
    case CALL_EVENT_UNREGISTERED:
    case CALL_EVENT_TRANSFER:
        snprintf(out, TEXT_SIZE, "%s: %s", name, event->to);
        break;
    case CALL_EVENT_RINGING:
        snprintf(out, TEXT_SIZE, "%s", name);
        break;
    }
}

static inline void fake_notified(struct call_device *device, const struct call_event *event)
{
    struct fake_device *fake = container_of(device, struct fake_device, device);
    assert_true(fake->count < HEARD_MAX);
    write_event(fake->heard[fake->count++], event);
    snprintf(fake->call, sizeof(fake->call), "%s", event->call ? event->call : "");
}

static const struct call_device_ops fake_ops = { .notify = fake_notified };

/** The next thing the device heard; "nothing" when there is none. */
static inline const char *hears(struct fake_device *fake)
{
    return fake->taken < fake->count ? fake->heard[fake->taken++] : "nothing";
}

#define assert_hears(fake, text) assert_string_equal(hears(fake), text)

static inline bool is_account(void *owner, const char *name)
{
    (void)owner;
    return model.account && strcmp(model.account, name) == 0;
}

static inline void keep_record(void *owner, const struct call_record *record)
{
    (void)owner;
    assert_true(model.record_count < RECORDS_MAX);
    model.records[model.record_count++] = *record;
}

static inline const struct call_record *last_record(void)
{
    assert_true(model.record_count > 0);
    return &model.records[model.record_count - 1];
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&model, 0, sizeof(model));
    model.now_us = 1000 * S;
    random_seeded_init(&model.random, 7);
    call_directory_init(&model.calls, &(struct call_directory_config){ .random = &model.random,
                                                                       .is_account = is_account,
                                                                       .ended = keep_record });
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    assert_int_equal(model.calls.users.count, 0); // each test takes its devices out
    call_directory_done(&model.calls);
    return 0;
}

/** Time passes, and all deadlines within it are kept. */
static inline void pass(uint64_t us)
{
    uint64_t end = model.now_us + us;
    uint64_t deadline;
    while ((deadline = call_directory_deadline(&model.calls)) <= end) {
        model.now_us = deadline;
        call_directory_tick(&model.calls, model.now_us);
    }
    model.now_us = end;
}

static inline void enter_as(struct fake_device *fake, enum call_binding binding, const char *user,
                            const char *name, bool verified)
{
    memset(fake, 0, sizeof(*fake));
    call_device_init(&fake->device, &fake_ops, binding);
    assert_int_equal(call_device_register(&model.calls, &fake->device, user, name, verified), 0);
}

static inline void enter(struct fake_device *fake, enum call_binding binding, const char *user)
{
    enter_as(fake, binding, user, NULL, false);
}

static inline void go(struct fake_device *fake)
{
    call_device_done(&model.calls, &fake->device, model.now_us, CALL_ENDED_LOST);
}

/** Returns what call_start() does; the id is in `ret_id`. */
static inline int try_call(struct fake_device *fake, const char *to, char ret_id[CALL_ID_SIZE])
{
    struct call_request request = { .to = to, .sdp = "v=0 offer", .media = CALL_MEDIA_VIDEO };
    return call_start(&model.calls, &fake->device, model.now_us, &request, ret_id);
}

static inline void call(struct fake_device *fake, const char *to, char ret_id[CALL_ID_SIZE])
{
    assert_int_equal(try_call(fake, to, ret_id), 0);
}

static inline int accept_call(struct fake_device *fake, const char *id)
{
    return call_accept(&model.calls, &fake->device, model.now_us, id, "v=0 answer");
}

static inline int hang_up(struct fake_device *fake, const char *id)
{
    return call_hangup(&model.calls, &fake->device, model.now_us, id);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
