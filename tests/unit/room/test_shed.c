// links: room
#include "support/check.h"

#include "base/time.h"
#include "room/shed.h"

/**
 * A core: work comes at a rate and is done while there is time; what is not done piles up. Loads
 * are in thousandths of what the core can.
 */
struct core {
    struct shed shed;
    struct shed_reading reading;
    uint64_t now_us;
    uint64_t fixed; /**< load that cannot be left out */
    uint64_t video; /**< load of all video */
    uint64_t sent;  /**< thousandths of it that are sent */
    uint64_t piled_us;
    uint32_t more, less; /**< changes of what is sent */
    uint64_t worst_late_us;
};

#define TICK_US (20 * TIME_US_PER_MS)

static struct core a_core(uint64_t fixed, uint64_t video)
{
    return (struct core){ .now_us = time_from_s(10), .fixed = fixed, .video = video, .sent = 1000 };
}

static void tick(struct core *core)
{
    uint64_t load = core->fixed + core->video * core->sent / 1000;
    uint64_t work_us = core->piled_us + TICK_US * load / 1000;
    uint64_t done_us = min_of(work_us, TICK_US);
    core->piled_us = work_us - done_us;
    core->now_us += TICK_US;
    core->reading.waited_us += TICK_US - done_us;
    core->reading.sent += 1000;
    core->reading.late_us = core->piled_us;
    core->worst_late_us = max_of(core->worst_late_us, core->piled_us);
    uint32_t keep = shed_judge(&core->shed, core->now_us, &core->reading, core->sent < 1000);
    core->less += keep < SHED_KEEP;
    core->more += keep > SHED_KEEP;
    if (keep > SHED_KEEP)
        core->sent = min_of(max_of(core->sent * keep / SHED_KEEP, core->sent + 62), 1000ull);
    else
        core->sent = core->sent * keep / SHED_KEEP;
}

static void run(struct core *core, uint64_t duration_us)
{
    for (uint64_t end_us = core->now_us + duration_us; core->now_us < end_us;)
        tick(core);
}

static uint64_t load_of(const struct core *core)
{
    return core->fixed + core->video * core->sent / 1000;
}

static void test_a_core_with_time_left_sheds_nothing(void **state)
{
    (void)state;
    struct core core = a_core(100, 830);
    run(&core, time_from_s(60));
    assert_int_equal(core.less, 0);
    assert_int_equal(core.sent, 1000);
}

static void test_one_busy_window_is_no_overload(void **state)
{
    (void)state;
    struct core core = a_core(100, 400);
    for (int i = 0; i < 20; i++) {
        run(&core, time_from_s(1));
        core.fixed = 600; // a burst of joins fills a window, and not two
        run(&core, time_from_ms(300));
        core.fixed = 100;
    }
    assert_int_equal(core.less, 0);
}

/** The system gives the core to others just after a tick: the next reading is the only one. */
static void test_one_stall_is_no_overload(void **state)
{
    (void)state;
    struct core core = a_core(100, 400);
    run(&core, time_from_s(1));
    for (uint64_t stall_us = time_from_ms(20); stall_us < time_from_s(1); stall_us += 7000) {
        core.piled_us = 0;
        core.now_us += stall_us; // in which the loop did not wait
        core.reading.late_us = stall_us;
        core.less += shed_judge(&core.shed, core.now_us, &core.reading, false) < SHED_KEEP;
        assert_false(shed_is_full(&core.shed, core.now_us));
        while (core.shed.began_us != core.now_us)
            tick(&core);
        for (uint64_t end_us = core.now_us + time_from_s(1);
             core.now_us < end_us || core.shed.began_us != core.now_us;)
            tick(&core);
    }
    assert_int_equal(core.less, 0);
}

static void test_a_core_is_full_after_seconds_without_time_left(void **state)
{
    (void)state;
    struct core core = a_core(1000, 0);
    run(&core, time_from_s(4));
    assert_false(shed_is_full(&core.shed, core.now_us));
    run(&core, time_from_s(2));
    assert_true(shed_is_full(&core.shed, core.now_us));
    core.fixed = 850; // enough for others, though not for more video
    run(&core, time_from_ms(500));
    assert_false(shed_is_full(&core.shed, core.now_us));
    core.fixed = 1000;
    run(&core, time_from_s(4));
    assert_false(shed_is_full(&core.shed, core.now_us));
}

/** Beyond capacity the core stays nearly full, late for a moment only, and does not swing. */
static void check_overload(uint64_t fixed, uint64_t video)
{
    struct core core = a_core(fixed, video);
    run(&core, time_from_s(5));
    assert_in_range(load_of(&core), 400, 960);
    assert_true(core.worst_late_us < 2000 * TIME_US_PER_MS);
    run(&core, time_from_s(55));
    core.worst_late_us = 0;
    core.more = core.less = 0;
    run(&core, time_from_s(60));
    assert_in_range(load_of(&core), 800, 960);
    assert_true(core.worst_late_us < time_from_ms(50));
    assert_true(core.more + core.less <= 2);
}

static void test_overload_is_shed_and_stays_so(void **state)
{
    (void)state;
    check_overload(100, 1000);
    check_overload(100, 1400);
    check_overload(100, 1900);
    check_overload(600, 4000);
}

static void test_all_comes_back_when_the_load_goes(void **state)
{
    (void)state;
    struct core core = a_core(100, 1900);
    run(&core, time_from_s(30));
    assert_true(core.sent < 500);
    core.video = 600;
    run(&core, time_from_s(40));
    assert_int_equal(core.sent, 1000);
    uint32_t changes = core.more + core.less;
    run(&core, time_from_s(60));
    assert_int_equal(core.more + core.less, changes);
}

/** Each return is one too many: they become rare. */
static void test_returns_that_were_too_early_become_rare(void **state)
{
    (void)state;
    struct core core = a_core(100, 1400);
    run(&core, time_from_s(10));
    uint32_t early = 0, late = 0;
    for (int i = 0; i < 300; i++) {
        uint32_t before = core.less;
        // whatever comes back costs much more than it should
        core.video = core.sent > 550 ? 3000 : 1200;
        run(&core, time_from_s(1));
        *(i < 100 ? &early : &late) += core.less - before;
    }
    assert_true(early >= 6);
    assert_true(late <= 8);
}

static void test_what_the_system_refuses_is_overload_too(void **state)
{
    (void)state;
    struct core core = a_core(100, 300);
    for (int i = 0; i < 100; i++) {
        core.reading.refused += 20;
        tick(&core);
    }
    assert_true(core.less > 1);
    assert_true(core.sent < 900);
}

static void test_who_came_last_is_shed_first(void **state)
{
    (void)state;
    struct shed_cut cut = { .rung = (uint8_t)shed_rung(SHED_RATE, 1), .from = 70 };
    // usual priority
    assert_int_equal(shed_level(&cut, 1, 69), SHED_RATE);
    assert_int_equal(shed_level(&cut, 1, 70), SHED_VIDEO);
    // what is of less importance goes before, what is of more goes after
    assert_int_equal(shed_level(&cut, 0, 0), SHED_VIDEO);
    assert_int_equal(shed_level(&cut, 2, 1000), SHED_RATE);
    cut = SHED_CUT_NONE;
    assert_int_equal(shed_level(&cut, 0, 1000), SHED_NOTHING);
    cut = (struct shed_cut){ .rung = SHED_RUNGS, .from = UINT64_MAX };
    assert_int_equal(shed_level(&cut, 2, 0), SHED_VIDEO);
    assert_int_equal(shed_class(99), 0);
    assert_int_equal(shed_class(100), 1);
    assert_int_equal(shed_class(101), 2);
}

static void test_rungs_that_save_nothing_are_passed_over(void **state)
{
    (void)state;
    struct shed_sums sums = { 0 };
    sums.saves_bps[shed_rung(SHED_SIZE, 1)] = 500;
    sums.saves_bps[shed_rung(SHED_RATE, 1)] = 300;
    uint64_t rest_bps;
    assert_int_equal(shed_reach(&sums, 200, &rest_bps), shed_rung(SHED_SIZE, 1));
    assert_int_equal(rest_bps, 200);
    assert_int_equal(shed_reach(&sums, 600, &rest_bps), shed_rung(SHED_RATE, 1));
    assert_int_equal(rest_bps, 100);
    assert_int_equal(shed_reach(&sums, 900, &rest_bps), SHED_RUNGS);
    assert_int_equal(rest_bps, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_core_with_time_left_sheds_nothing),
        cmocka_unit_test(test_one_busy_window_is_no_overload),
        cmocka_unit_test(test_one_stall_is_no_overload),
        cmocka_unit_test(test_a_core_is_full_after_seconds_without_time_left),
        cmocka_unit_test(test_overload_is_shed_and_stays_so),
        cmocka_unit_test(test_all_comes_back_when_the_load_goes),
        cmocka_unit_test(test_returns_that_were_too_early_become_rare),
        cmocka_unit_test(test_what_the_system_refuses_is_overload_too),
        cmocka_unit_test(test_who_came_last_is_shed_first),
        cmocka_unit_test(test_rungs_that_save_nothing_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
