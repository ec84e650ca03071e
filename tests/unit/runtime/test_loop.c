#include "unit/runtime/turns.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/random.h"

struct recorder {
    struct loop loop;
    uint64_t order[1024];
    size_t count;
};

struct timer_entry {
    struct loop_timer timer;
    struct recorder *recorder;
    uint64_t due_us;
    struct timer_entry *victim; /**< cancelled when this one expires */
};

static void on_expired(struct loop_timer *timer, uint64_t now_us)
{
    struct timer_entry *entry = container_of(timer, struct timer_entry, timer);
    assert_true(now_us >= entry->due_us);
    assert_false(loop_timer_armed(timer));
    entry->recorder->order[entry->recorder->count++] = entry->due_us;
    if (entry->victim)
        loop_timer_cancel(&entry->victim->timer);
}

static void
test_timers_expire_in_order_of_deadlines_whatever_was_armed_moved_or_cancelled(void **state)
{
    (void)state;
    static struct recorder recorder;
    assert_int_equal(loop_init(&recorder.loop), 0);
    recorder.count = 0;
    static struct timer_entry entries[500];
    struct random random;
    random_seeded_init(&random, 7);
    uint64_t start_us = loop_now_us(&recorder.loop);
    size_t expected = 0;
    for (size_t i = 0; i < array_size(entries); i++) {
        entries[i].recorder = &recorder;
        loop_timer_init(&entries[i].timer, &recorder.loop, on_expired);
    }
    // every timer is armed, moved several times, and a fifth is cancelled in the end
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < array_size(entries); i++) {
            entries[i].due_us = start_us + random_below(&random, 20000);
            loop_timer_set(&entries[i].timer, entries[i].due_us);
        }
    }
    for (size_t i = 0; i < array_size(entries); i++) {
        if (i % 5 == 0)
            loop_timer_cancel(&entries[i].timer);
        else
            expected++;
    }
    assert_int_equal(recorder.loop.timer_count, expected);
    turn_until(&recorder.loop, recorder.count == expected);
    for (size_t i = 1; i < recorder.count; i++)
        assert_true(recorder.order[i - 1] <= recorder.order[i]);
    assert_int_equal(recorder.loop.timer_count, 0);
    loop_done(&recorder.loop);
}

static void test_timer_cancelled_by_an_earlier_one_of_the_same_turn_does_not_expire(void **state)
{
    (void)state;
    static struct recorder recorder;
    assert_int_equal(loop_init(&recorder.loop), 0);
    recorder.count = 0;
    struct timer_entry second = { .recorder = &recorder };
    struct timer_entry first = { .recorder = &recorder, .victim = &second };
    loop_timer_init(&first.timer, &recorder.loop, on_expired);
    loop_timer_init(&second.timer, &recorder.loop, on_expired);
    loop_timer_set(&first.timer, 1);
    loop_timer_set(&second.timer, 2);
    loop_turn(&recorder.loop, 0);
    assert_int_equal(recorder.count, 1);
    loop_done(&recorder.loop);
}

static void test_timers_are_precise_to_less_than_a_millisecond(void **state)
{
    (void)state;
    static struct recorder recorder;
    for (int old_kernel = 0; old_kernel < 2; old_kernel++) {
        assert_int_equal(loop_init(&recorder.loop), 0);
        recorder.loop.no_epoll_pwait2 = old_kernel;
        recorder.count = 0;
        uint64_t best_us = UINT64_MAX;
        // a busy machine may be late now and then: the best of several tells what the loop asks for
        for (int i = 0; i < 20; i++) {
            struct timer_entry entry = { .recorder = &recorder };
            loop_timer_init(&entry.timer, &recorder.loop, on_expired);
            entry.due_us = loop_update_now(&recorder.loop) + 1300;
            loop_timer_set(&entry.timer, entry.due_us);
            size_t before = recorder.count;
            turn_until(&recorder.loop, recorder.count > before);
            best_us = min_of(best_us, loop_now_us(&recorder.loop) - entry.due_us);
        }
        assert_true(best_us < 600);
        loop_done(&recorder.loop);
    }
}

static void test_lazy_timers_wait_for_others_but_not_for_ever(void **state)
{
    (void)state;
    struct recorder recorder = { 0 };
    assert_int_equal(loop_init(&recorder.loop), 0);
    struct timer_entry lazy = { .recorder = &recorder }, exact = { .recorder = &recorder };
    loop_timer_init(&lazy.timer, &recorder.loop, on_expired);
    loop_timer_init(&exact.timer, &recorder.loop, on_expired);
    // nobody wakes the loop up in its last second: not yet
    uint64_t now_us = loop_update_now(&recorder.loop);
    loop_timer_set_lazy(&lazy.timer, now_us + 10 * TIME_US_PER_S, TIME_US_PER_S);
    loop_turn(&recorder.loop, 0);
    assert_true(loop_timer_armed(&lazy.timer));
    // one that is due does, and it goes along
    loop_timer_set_lazy(&lazy.timer, now_us + 10 * TIME_US_PER_S, 20 * TIME_US_PER_S);
    loop_timer_set(&exact.timer, now_us + 1000);
    loop_turn(&recorder.loop, TIME_NEVER);
    assert_false(loop_timer_armed(&exact.timer));
    assert_false(loop_timer_armed(&lazy.timer));
    // alone it is kept waiting until the latest time
    loop_timer_set_lazy(&lazy.timer, loop_update_now(&recorder.loop) + 5000, 2000);
    uint64_t begun_us = loop_now_us(&recorder.loop);
    loop_turn(&recorder.loop, TIME_NEVER);
    assert_false(loop_timer_armed(&lazy.timer));
    assert_true(loop_now_us(&recorder.loop) - begun_us >= 5000);
    loop_done(&recorder.loop);
}

static void on_rearm(struct loop_timer *timer, uint64_t unused_now unused)
{
    struct timer_entry *entry = container_of(timer, struct timer_entry, timer);
    entry->recorder->count++;
    loop_timer_set(timer, 1); // long ago
}

static void test_timer_that_rearms_for_the_past_runs_once_per_turn(void **state)
{
    (void)state;
    static struct recorder recorder;
    assert_int_equal(loop_init(&recorder.loop), 0);
    recorder.count = 0;
    struct timer_entry entry = { .recorder = &recorder };
    loop_timer_init(&entry.timer, &recorder.loop, on_rearm);
    loop_timer_set(&entry.timer, 1);
    for (size_t i = 1; i <= 3; i++) {
        loop_turn(&recorder.loop, TIME_NEVER);
        assert_int_equal(recorder.count, i);
    }
    loop_done(&recorder.loop);
}

struct pair {
    struct loop_watch watch;
    struct pair *other;
    int calls;
};

static void on_pair_ready(struct loop_watch *watch, unsigned events)
{
    struct pair *pair = container_of(watch, struct pair, watch);
    assert_true(events & LOOP_READABLE);
    pair->calls++;
    loop_watch_remove(&pair->other->watch);
}

static void test_watch_removed_by_another_handler_of_the_same_turn_is_not_called(void **state)
{
    (void)state;
    struct loop loop;
    assert_int_equal(loop_init(&loop), 0);
    int a[2], b[2];
    assert_int_equal(pipe(a), 0);
    assert_int_equal(pipe(b), 0);
    struct pair first = { 0 }, second = { .other = &first };
    first.other = &second;
    loop_watch_init(&first.watch, a[0], on_pair_ready);
    loop_watch_init(&second.watch, b[0], on_pair_ready);
    assert_int_equal(loop_watch_add(&loop, &first.watch, LOOP_READABLE), 0);
    assert_int_equal(loop_watch_add(&loop, &second.watch, LOOP_READABLE), 0);
    assert_int_equal(write(a[1], "x", 1), 1);
    assert_int_equal(write(b[1], "x", 1), 1);
    loop_turn(&loop, 0);
    assert_int_equal(first.calls + second.calls, 1);
    loop_watch_remove(&first.watch);
    loop_watch_remove(&second.watch);
    loop_done(&loop);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
}

struct steps {
    struct loop_task task;
    struct loop_hook hook;
    struct loop_timer timer;
    struct loop *loop;
    char log[32];
    int again;
};

static void note(struct steps *steps, char what)
{
    size_t length = strlen(steps->log);
    if (length + 1 < sizeof(steps->log))
        steps->log[length] = what;
}

static void on_step_task(struct loop_task *task)
{
    struct steps *steps = container_of(task, struct steps, task);
    note(steps, 't');
    if (steps->again-- > 0)
        loop_task_defer(steps->loop, task);
}

static void on_step_hook(struct loop_hook *hook)
{
    note(container_of(hook, struct steps, hook), 'h');
}

static void on_step_timer(struct loop_timer *timer, uint64_t unused_now unused)
{
    struct steps *steps = container_of(timer, struct steps, timer);
    note(steps, 'd');
    loop_task_defer(steps->loop, &steps->task);
    loop_task_defer(steps->loop, &steps->task); // once is enough
}

static void
test_turn_runs_timers_then_tasks_then_hooks_and_a_task_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct loop loop;
    assert_int_equal(loop_init(&loop), 0);
    struct steps steps = { .loop = &loop, .again = 1 };
    loop_task_init(&steps.task, on_step_task);
    loop_hook_init(&steps.hook, on_step_hook);
    loop_timer_init(&steps.timer, &loop, on_step_timer);
    loop_hook_add(&loop, &steps.hook);
    loop_timer_set(&steps.timer, 1);
    loop_turn(&loop, TIME_NEVER);
    assert_string_equal(steps.log, "dth");
    loop_turn(&loop, TIME_NEVER); // a waiting task means no waiting
    assert_string_equal(steps.log, "dthth");
    loop_hook_remove(&steps.hook);
    loop_turn(&loop, 0);
    assert_string_equal(steps.log, "dthth");
    loop_done(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_timers_expire_in_order_of_deadlines_whatever_was_armed_moved_or_cancelled),
        cmocka_unit_test(test_timer_cancelled_by_an_earlier_one_of_the_same_turn_does_not_expire),
        cmocka_unit_test(test_timers_are_precise_to_less_than_a_millisecond),
        cmocka_unit_test(test_lazy_timers_wait_for_others_but_not_for_ever),
        cmocka_unit_test(test_timer_that_rearms_for_the_past_runs_once_per_turn),
        cmocka_unit_test(test_watch_removed_by_another_handler_of_the_same_turn_is_not_called),
        cmocka_unit_test(
            test_turn_runs_timers_then_tasks_then_hooks_and_a_task_waits_for_the_next_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
