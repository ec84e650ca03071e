/**
 * Timers for things in their thousands whose time is told in seconds and moves often: a wheel with
 * a slot per second. Moving one costs nothing; a timer may come up to a second late, never early.
 */
#pragma once

#include "base/list.h"
#include "base/time.h"

#define BROKER_WHEEL_SLOTS 512

struct broker_timer {
    struct list node;
    uint64_t deadline_us; /**< TIME_NEVER: not set */
    void (*expired)(struct broker_timer *timer, uint64_t now_us);
};

struct broker_wheel {
    struct list slots[BROKER_WHEEL_SLOTS];
    uint64_t at_s;  /**< the first second that was not looked at */
    uint32_t count; /**< timers that are set */
};

void broker_wheel_init(struct broker_wheel *wheel, uint64_t now_us);
void broker_timer_init(struct broker_timer *timer,
                       void (*expired)(struct broker_timer *timer, uint64_t now_us));
/** Sets or moves a timer; TIME_NEVER takes it out. */
void broker_timer_set(struct broker_wheel *wheel, struct broker_timer *timer, uint64_t deadline_us);
/** Calls what has expired; each may set itself again, and take out others. */
void broker_wheel_tick(struct broker_wheel *wheel, uint64_t now_us);
/** When the next tick is worth a call. */
uint64_t broker_wheel_deadline(const struct broker_wheel *wheel);
