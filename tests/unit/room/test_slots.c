#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "room/slots.h"

/** Publications are only names to the policy: small numbers as pointers. */
static struct room_publication *name(uintptr_t number)
{
    return (struct room_publication *)number;
}

static struct room_slot_wish wish(uintptr_t number, uint64_t group, enum media_kind kind)
{
    return (struct room_slot_wish){ .publication = name(number), .group = group, .kind = kind };
}

/** "avav": slots in this order, mids from 0. */
static void set_slots(struct room_slots *slots, const char *form)
{
    struct media_section sections[64] = { 0 };
    size_t count = strlen(form);
    for (size_t i = 0; i < count; i++) {
        snprintf(sections[i].mid, MEDIA_MID_MAX, "%u", (unsigned)i % 1000);
        sections[i].kind = form[i] == 'a' ? MEDIA_AUDIO : MEDIA_VIDEO;
        sections[i].role = form[i] == 'x' ? MEDIA_PUBLISH : MEDIA_SLOT;
    }
    room_slots_update(slots, sections, count);
}

static int slot_of(const struct room_slots *slots, uintptr_t number)
{
    for (size_t i = 0; i < slots->count; i++) {
        if (slots->items[i].filled_by == name(number))
            return (int)i;
    }
    return -1;
}

static uint16_t changed[MEDIA_SECTIONS_MAX];

static void test_tracks_of_a_member_share_a_pair(void **state)
{
    (void)state;
    struct room_slots slots;
    room_slots_init(&slots);
    set_slots(&slots, "aaavvv");
    struct room_slot_wish wishes[] = {
        wish(1, 10, MEDIA_AUDIO), wish(2, 11, MEDIA_AUDIO), wish(3, 11, MEDIA_VIDEO),
        wish(4, 10, MEDIA_VIDEO), wish(5, 12, MEDIA_VIDEO),
    };
    assert_int_equal(room_slots_assign(&slots, wishes, 5, changed), 5);
    assert_int_equal(slots.items[slot_of(&slots, 1)].pair, slots.items[slot_of(&slots, 4)].pair);
    assert_int_equal(slots.items[slot_of(&slots, 2)].pair, slots.items[slot_of(&slots, 3)].pair);
    assert_true(slot_of(&slots, 5) >= 0);
    room_slots_done(&slots);
}

static void test_a_camera_that_comes_later_joins_its_microphone(void **state)
{
    (void)state;
    struct room_slots slots;
    room_slots_init(&slots);
    set_slots(&slots, "avavav");
    struct room_slot_wish first[] = { wish(1, 10, MEDIA_AUDIO), wish(2, 20, MEDIA_AUDIO) };
    assert_int_equal(room_slots_assign(&slots, first, 2, changed), 2);
    struct room_slot_wish later[] = { wish(1, 10, MEDIA_AUDIO), wish(2, 20, MEDIA_AUDIO),
                                      wish(3, 20, MEDIA_VIDEO) };
    assert_int_equal(room_slots_assign(&slots, later, 3, changed), 1);
    assert_int_equal(slots.items[slot_of(&slots, 3)].pair, slots.items[slot_of(&slots, 2)].pair);
    room_slots_done(&slots);
}

static void test_a_filled_slot_is_never_moved(void **state)
{
    (void)state;
    struct room_slots slots;
    room_slots_init(&slots);
    set_slots(&slots, "vvv");
    struct room_slot_wish wishes[] = { wish(1, 1, MEDIA_VIDEO), wish(2, 2, MEDIA_VIDEO),
                                       wish(3, 3, MEDIA_VIDEO), wish(4, 4, MEDIA_VIDEO) };
    assert_int_equal(room_slots_assign(&slots, wishes, 4, changed), 3);
    assert_int_equal(slot_of(&slots, 4), -1);
    int second = slot_of(&slots, 2), third = slot_of(&slots, 3);
    // the last one speaks: it takes the place of the least important, the others stay
    struct room_slot_wish spoken[] = { wishes[3], wishes[2], wishes[1], wishes[0] };
    assert_int_equal(room_slots_assign(&slots, spoken, 4, changed), 1);
    assert_int_equal(slot_of(&slots, 2), second);
    assert_int_equal(slot_of(&slots, 3), third);
    assert_int_equal(slot_of(&slots, 1), -1);
    assert_true(slot_of(&slots, 4) >= 0);
    // the same wishes again change nothing
    assert_int_equal(room_slots_assign(&slots, spoken, 4, changed), 0);
    room_slots_done(&slots);
}

static void test_single_tracks_leave_pairs_to_those_who_need_them(void **state)
{
    (void)state;
    struct room_slots slots;
    room_slots_init(&slots);
    set_slots(&slots, "avaa");
    struct room_slot_wish wishes[] = { wish(1, 1, MEDIA_AUDIO), wish(2, 2, MEDIA_AUDIO),
                                       wish(3, 3, MEDIA_AUDIO), wish(4, 3, MEDIA_VIDEO) };
    assert_int_equal(room_slots_assign(&slots, wishes, 4, changed), 4);
    assert_int_equal(slot_of(&slots, 3), 0);
    assert_int_equal(slot_of(&slots, 4), 1);
    room_slots_done(&slots);
}

static void test_what_is_gone_is_told_once(void **state)
{
    (void)state;
    struct room_slots slots;
    room_slots_init(&slots);
    set_slots(&slots, "av");
    struct room_slot_wish wishes[] = { wish(1, 1, MEDIA_AUDIO) };
    assert_int_equal(room_slots_assign(&slots, wishes, 1, changed), 1);
    room_slots_vacate(&slots, name(1));
    assert_int_equal(room_slots_assign(&slots, NULL, 0, changed), 1);
    assert_int_equal(changed[0], 0);
    assert_int_equal(room_slots_assign(&slots, NULL, 0, changed), 0);
    // another publication may live at the same address: the client must hear of it
    assert_int_equal(room_slots_assign(&slots, wishes, 1, changed), 1);
    room_slots_vacate(&slots, name(1));
    assert_int_equal(room_slots_assign(&slots, wishes, 1, changed), 1);
    room_slots_done(&slots);
}

static void test_slots_keep_their_content_when_more_are_offered(void **state)
{
    (void)state;
    struct room_slots slots;
    room_slots_init(&slots);
    set_slots(&slots, "xavx");
    assert_int_equal(slots.count, 2);
    struct room_slot_wish wishes[] = { wish(1, 1, MEDIA_AUDIO), wish(2, 1, MEDIA_VIDEO),
                                       wish(3, 2, MEDIA_AUDIO) };
    assert_int_equal(room_slots_assign(&slots, wishes, 3, changed), 2);
    set_slots(&slots, "xavxav");
    assert_int_equal(slots.audio_count, 2);
    assert_string_equal(slots.items[slot_of(&slots, 1)].mid, "1");
    assert_int_equal(room_slots_assign(&slots, wishes, 3, changed), 1);
    assert_string_equal(slots.items[slot_of(&slots, 1)].mid, "1");
    assert_string_equal(slots.items[slot_of(&slots, 2)].mid, "2");
    assert_string_equal(slots.items[slot_of(&slots, 3)].mid, "4");
    room_slots_done(&slots);
}

/** What must hold after any assignment, whatever came before. */
static void check(const struct room_slots *slots, struct room_publication *const *before,
                  const struct room_slot_wish *wishes, size_t wish_count, size_t changed_count)
{
    uint32_t left[2] = { slots->audio_count, slots->video_count };
    size_t differences = 0;
    for (size_t i = 0; i < wish_count; i++) {
        bool chosen = left[wishes[i].kind] > 0;
        left[wishes[i].kind] -= chosen;
        int now = -1, then = -1, times = 0;
        for (size_t s = 0; s < slots->count; s++) {
            if (slots->items[s].filled_by == wishes[i].publication) {
                now = (int)s;
                times++;
            }
            if (before[s] == wishes[i].publication)
                then = (int)s;
        }
        assert_int_equal(times, chosen ? 1 : 0);
        if (chosen)
            assert_int_equal(slots->items[now].kind, wishes[i].kind);
        if (chosen && then >= 0)
            assert_int_equal(now, then);
    }
    for (size_t s = 0; s < slots->count; s++)
        differences += slots->items[s].filled_by != before[s];
    assert_int_equal(differences, changed_count);
}

static void test_a_thousand_publishers_come_and_go(void **state)
{
    (void)state;
    enum { MEMBERS = 1000, ROUNDS = 500, SLOTS = 60 };
    struct random random;
    random_seeded_init(&random, 7);
    struct room_slots slots;
    room_slots_init(&slots);
    char form[SLOTS + 1] = "";
    for (int i = 0; i < SLOTS; i++)
        form[i] = i % 3 ? 'v' : 'a';
    set_slots(&slots, form);
    struct room_slot_wish *wishes = memory_new_array(struct room_slot_wish, MEMBERS * 2);
    size_t count = 0;
    for (uintptr_t i = 0; i < MEMBERS; i++) {
        wishes[count++] = wish(i * 2 + 1, i, MEDIA_AUDIO);
        wishes[count++] = wish(i * 2 + 2, i, MEDIA_VIDEO);
    }
    for (int round = 0; round < ROUNDS; round++) {
        // someone speaks and comes to the front; the room shrinks and grows
        for (int moves = 0; moves < 4; moves++) {
            size_t from = random_below(&random, MEMBERS) * 2u, to = 2u * random_below(&random, 40);
            struct room_slot_wish a = wishes[from], b = wishes[from + 1];
            wishes[from] = wishes[to];
            wishes[from + 1] = wishes[to + 1];
            wishes[to] = a;
            wishes[to + 1] = b;
        }
        size_t wanted = round % 7 == 0 ? random_below(&random, 100) : count;
        struct room_publication *before[SLOTS];
        for (size_t s = 0; s < SLOTS; s++)
            before[s] = slots.items[s].filled_by;
        size_t changes = room_slots_assign(&slots, wishes, wanted, changed);
        check(&slots, before, wishes, wanted, changes);
    }
    free(wishes);
    room_slots_done(&slots);
}

static void test_more_slots_are_asked_for_in_steps(void **state)
{
    (void)state;
    assert_int_equal(room_slots_suggest(0, 16), 0);
    assert_int_equal(room_slots_suggest(1, 16), 4);
    assert_int_equal(room_slots_suggest(4, 16), 4);
    assert_int_equal(room_slots_suggest(5, 16), 8);
    assert_int_equal(room_slots_suggest(900, 16), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tracks_of_a_member_share_a_pair),
        cmocka_unit_test(test_a_camera_that_comes_later_joins_its_microphone),
        cmocka_unit_test(test_a_filled_slot_is_never_moved),
        cmocka_unit_test(test_single_tracks_leave_pairs_to_those_who_need_them),
        cmocka_unit_test(test_what_is_gone_is_told_once),
        cmocka_unit_test(test_slots_keep_their_content_when_more_are_offered),
        cmocka_unit_test(test_a_thousand_publishers_come_and_go),
        cmocka_unit_test(test_more_slots_are_asked_for_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
