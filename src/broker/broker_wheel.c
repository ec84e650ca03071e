#include "broker/broker_wheel.h"

void broker_wheel_init(struct broker_wheel *wheel, uint64_t now_us)
{
    for (size_t i = 0; i < BROKER_WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
    wheel->at_s = now_us / TIME_US_PER_S + 1;
    wheel->count = 0;
}

void broker_timer_init(struct broker_timer *timer,
                       void (*expired)(struct broker_timer *timer, uint64_t now_us))
{
    list_init(&timer->node);
    timer->deadline_us = TIME_NEVER;
    timer->expired = expired;
}

void broker_timer_set(struct broker_wheel *wheel, struct broker_timer *timer, uint64_t deadline_us)
{
    if (timer->deadline_us != TIME_NEVER) {
        list_remove(&timer->node);
        wheel->count--;
    }
    timer->deadline_us = deadline_us;
    if (deadline_us == TIME_NEVER)
        return;
    // the second that has begun by the deadline, so that it is never early
    uint64_t second = (deadline_us + TIME_US_PER_S - 1) / TIME_US_PER_S;
    if (second < wheel->at_s)
        second = wheel->at_s;
    list_append(&wheel->slots[second % BROKER_WHEEL_SLOTS], &timer->node);
    wheel->count++;
}

static void run_slot(struct broker_wheel *wheel, struct list *slot, uint64_t now_us)
{
    // timers of later rounds stay; what is set meanwhile goes to later seconds
    struct list due;
    list_init(&due);
    struct broker_timer *timer;
    list_each(timer, slot, node)
    {
        if (timer->deadline_us <= now_us) {
            list_remove(&timer->node);
            list_append(&due, &timer->node);
        }
    }
    while (!list_empty(&due)) {
        timer = container_of(due.next, struct broker_timer, node);
        broker_timer_set(wheel, timer, TIME_NEVER);
        timer->expired(timer, now_us);
    }
}

void broker_wheel_tick(struct broker_wheel *wheel, uint64_t now_us)
{
    uint64_t now_s = now_us / TIME_US_PER_S;
    // after a long sleep one round finds all
    if (now_s >= wheel->at_s + BROKER_WHEEL_SLOTS)
        wheel->at_s = now_s - BROKER_WHEEL_SLOTS + 1;
    while (wheel->at_s <= now_s) {
        struct list *slot = &wheel->slots[wheel->at_s % BROKER_WHEEL_SLOTS];
        wheel->at_s++;
        run_slot(wheel, slot, now_us);
    }
}

uint64_t broker_wheel_deadline(const struct broker_wheel *wheel)
{
    return wheel->count == 0 ? TIME_NEVER : wheel->at_s * TIME_US_PER_S;
}
