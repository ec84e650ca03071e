#include "support/check.h"

#include "base/time.h"
#include "room/allocate.h"

#define KBPS 1000ull

struct call {
    struct allocate_state states[4];
    struct allocate_item items[4];
    size_t count;
    uint64_t now_us;
    bool explored;
    struct allocate_sums sums;
};

static void add(struct call *call, uint8_t priority)
{
    struct allocate_state *state = &call->states[call->count];
    allocate_state_init(state);
    call->now_us = time_from_s(100);
    call->items[call->count++] = (struct allocate_item){
        .state = state,
        .priority = priority,
        .steps = { { true, 150 * KBPS }, { true, 500 * KBPS }, { true, 1500 * KBPS } },
    };
}

static void divide(struct call *call, uint64_t bps)
{
    allocate_divide(call->now_us, bps, false, call->explored, call->items, call->count,
                    &call->sums);
}

static void test_all_is_sent_while_nothing_is_known(void **state)
{
    (void)state;
    struct call call = { 0 };
    add(&call, 1);
    add(&call, 2);
    divide(&call, 0);
    assert_int_equal(call.states[0].step, 2);
    assert_int_equal(call.states[1].step, 2);
    assert_int_equal(call.sums.allocated_bps, 3000 * KBPS);
}

static void test_everyone_has_a_picture_before_anyone_has_a_better_one(void **state)
{
    (void)state;
    struct call call = { 0 };
    add(&call, 1);
    add(&call, 9);
    add(&call, 1);
    divide(&call, 800 * KBPS);
    assert_int_equal(call.states[0].step, 0);
    assert_int_equal(call.states[1].step, 1);
    assert_int_equal(call.states[2].step, 0);
    assert_int_equal(call.sums.allocated_bps, 800 * KBPS);
    assert_int_equal(call.sums.wanted_bps, 4500 * KBPS);
    // not enough for three: who matters most keeps its picture
    divide(&call, 200 * KBPS);
    assert_int_equal(call.states[0].step, ALLOCATE_NONE);
    assert_int_equal(call.states[1].step, 0);
    assert_int_equal(call.states[2].step, ALLOCATE_NONE);
}

static void test_what_is_paused_gets_nothing(void **state)
{
    (void)state;
    struct call call = { 0 };
    add(&call, 1);
    call.items[0].paused = true;
    divide(&call, 0);
    assert_int_equal(call.states[0].step, ALLOCATE_NONE);
    assert_int_equal(call.sums.wanted_bps, 0);
    call.items[0].paused = false;
    divide(&call, 0);
    assert_int_equal(call.states[0].step, 2);
}

static void test_down_at_once_and_up_with_room_to_spare(void **state)
{
    (void)state;
    struct call call = { 0 };
    add(&call, 1);
    divide(&call, 2000 * KBPS);
    assert_int_equal(call.states[0].step, 2);
    divide(&call, 600 * KBPS);
    assert_int_equal(call.states[0].step, 1);
    // not yet
    call.now_us += time_from_ms(1900);
    divide(&call, 2000 * KBPS);
    assert_int_equal(call.states[0].step, 1);
    call.now_us += time_from_ms(200);
    // it would just fit, and that is not enough
    divide(&call, 1550 * KBPS);
    assert_int_equal(call.states[0].step, 1);
    divide(&call, 1700 * KBPS);
    assert_int_equal(call.states[0].step, 2);
    // what is there already needs no spare room
    divide(&call, 1550 * KBPS);
    assert_int_equal(call.states[0].step, 2);
}

static void test_room_for_twice_as_much_is_no_swing(void **state)
{
    (void)state;
    struct call call = { 0 };
    add(&call, 1);
    divide(&call, 3000 * KBPS);
    divide(&call, 200 * KBPS);
    assert_int_equal(call.states[0].step, 0);
    // enough for a better one, but who was lowered waits ...
    divide(&call, 1900 * KBPS);
    assert_in_range(call.states[0].step, 0, 1);
    // ... unless the path is another now
    divide(&call, 3000 * KBPS);
    assert_int_equal(call.states[0].step, 2);
}

static void test_a_path_that_swings_does_not_make_layers_flap(void **state)
{
    (void)state;
    struct call call = { 0 };
    add(&call, 1);
    divide(&call, 600 * KBPS);
    uint32_t changes = 0;
    for (int i = 0; i < 4 * 120; i++) {
        uint8_t before = call.states[0].step;
        call.now_us += time_from_ms(250);
        divide(&call, i / 4 % 2 ? 600 * KBPS : 2000 * KBPS);
        changes += call.states[0].step != before;
    }
    // two minutes of a swing each second
    assert_in_range(changes, 2, 14);
}

static void test_a_lone_picture_that_does_not_fit_is_tried_now_and_then(void **state)
{
    (void)state;
    struct call call = { 0 };
    add(&call, 1);
    uint32_t shown = 0;
    for (int i = 0; i < 4 * 60; i++) {
        call.now_us += time_from_ms(250);
        divide(&call, 100 * KBPS);
        shown += call.states[0].step != ALLOCATE_NONE;
    }
    assert_in_range(shown, 8, 4 * 20);
}

static void test_with_probes_a_lone_picture_is_thinned_not_tried(void **state)
{
    (void)state;
    struct call call = { .explored = true };
    add(&call, 1);
    // two fifths of the worst step: the pace leaves pictures out
    divide(&call, 60 * KBPS);
    assert_int_not_equal(call.states[0].step, ALLOCATE_NONE);
    for (int i = 0; i < 4 * 60; i++) {
        call.now_us += time_from_ms(250);
        divide(&call, 60 * KBPS);
        assert_int_not_equal(call.states[0].step, ALLOCATE_NONE);
    }
    // less is no picture, and nothing is tried
    for (int i = 0; i < 4 * 60; i++) {
        call.now_us += time_from_ms(250);
        divide(&call, 50 * KBPS);
        assert_int_equal(call.states[0].step, ALLOCATE_NONE);
    }
    // room for it: it comes back soon
    call.now_us += time_from_ms(2000);
    divide(&call, 400 * KBPS);
    assert_int_not_equal(call.states[0].step, ALLOCATE_NONE);
    // a path that was wide until now: at once
    call.now_us += time_from_ms(250);
    divide(&call, 50 * KBPS);
    assert_int_equal(call.states[0].step, ALLOCATE_NONE);
}

static void test_a_lone_picture_that_just_fits_outlives_a_dip(void **state)
{
    (void)state;
    struct call call = { .explored = true };
    add(&call, 1);
    call.items[0].steps[0].bitrate_bps = 30 * KBPS;
    divide(&call, 35 * KBPS);
    // another key frame would be dearer
    for (int i = 0; i < 11; i++) {
        call.now_us += time_from_ms(250);
        divide(&call, 10 * KBPS);
        assert_int_equal(call.states[0].step, 0);
    }
    call.now_us += time_from_ms(250);
    divide(&call, 10 * KBPS);
    assert_int_equal(call.states[0].step, ALLOCATE_NONE);
    // a path that was wide until now has a queue to get rid of
    call.now_us += time_from_s(4);
    divide(&call, 400 * KBPS);
    assert_int_not_equal(call.states[0].step, ALLOCATE_NONE);
    call.now_us += time_from_ms(250);
    divide(&call, 10 * KBPS);
    assert_int_equal(call.states[0].step, ALLOCATE_NONE);
}

static void test_a_first_picture_that_came_and_went_is_not_waited_for(void **state)
{
    (void)state;
    struct call call = { .explored = true };
    add(&call, 1);
    for (int i = 0; i < 8; i++) {
        divide(&call, 160 * KBPS);
        assert_int_equal(call.states[0].step, 0);
        call.now_us += time_from_s(4);
        divide(&call, 10 * KBPS);
        assert_int_equal(call.states[0].step, ALLOCATE_NONE);
        call.now_us += time_from_s(2);
    }
}

static void test_what_comes_out_first_is_no_way_down(void **state)
{
    (void)state;
    struct call call = { 0 };
    add(&call, 1);
    divide(&call, 200 * KBPS);
    uint8_t first = call.states[0].step;
    assert_int_not_equal(first, ALLOCATE_NONE);
    // a moment later the path is known to be wide: up at once
    call.now_us += time_from_ms(250);
    divide(&call, 5000 * KBPS);
    assert_true(call.states[0].step > first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_sent_while_nothing_is_known),
        cmocka_unit_test(test_everyone_has_a_picture_before_anyone_has_a_better_one),
        cmocka_unit_test(test_what_is_paused_gets_nothing),
        cmocka_unit_test(test_down_at_once_and_up_with_room_to_spare),
        cmocka_unit_test(test_room_for_twice_as_much_is_no_swing),
        cmocka_unit_test(test_a_path_that_swings_does_not_make_layers_flap),
        cmocka_unit_test(test_a_lone_picture_that_does_not_fit_is_tried_now_and_then),
        cmocka_unit_test(test_with_probes_a_lone_picture_is_thinned_not_tried),
        cmocka_unit_test(test_a_lone_picture_that_just_fits_outlives_a_dip),
        cmocka_unit_test(test_a_first_picture_that_came_and_went_is_not_waited_for),
        cmocka_unit_test(test_what_comes_out_first_is_no_way_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
