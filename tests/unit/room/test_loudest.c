// Which voices of a room are heard.
#include "room/loudest.h"

#include "base/time.h"
#include "support/check.h"

#define VOICES  6
#define STEP_US (20 * TIME_US_PER_MS)
#define SPEECH  95
#define WHISPER 30

struct room {
    struct loudest loudest;
    struct loudest_voice voices[VOICES];
    uint64_t now_us;
    bool heard[VOICES];
};

static void room_init(struct room *room, uint32_t places, uint32_t voices)
{
    *room = (struct room){ .now_us = time_from_s(1) };
    loudest_init(&room->loudest, places);
    for (uint32_t i = 0; i < voices; i++)
        loudest_join(&room->loudest, &room->voices[i]);
}

/** One packet of each of the first `count` voices. */
static void say(struct room *room, uint32_t count, const uint8_t *loudness)
{
    for (uint32_t i = 0; i < count; i++)
        room->heard[i] = loudest_packet(&room->voices[i], room->now_us, loudness[i]);
    room->now_us += STEP_US;
}

static void say_for(struct room *room, uint32_t count, const uint8_t *loudness, uint64_t for_us)
{
    for (uint64_t end_us = room->now_us + for_us; room->now_us < end_us;)
        say(room, count, loudness);
}

static void test_a_small_room_is_left_alone(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 3, 3);
    for (int i = 0; i < 100; i++) {
        say(&room, 3, (const uint8_t[]){ SPEECH, WHISPER, 0 });
        assert_true(room.heard[0] && room.heard[1] && room.heard[2]);
    }
}

static void test_the_first_packet_of_a_word_is_heard(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 2, 4);
    say_for(&room, 4, (const uint8_t[]){ SPEECH, WHISPER, WHISPER, WHISPER }, time_from_s(3));
    assert_true(room.heard[0] && room.heard[1] && !room.heard[2] && !room.heard[3]);
    say(&room, 4, (const uint8_t[]){ SPEECH, WHISPER, WHISPER, SPEECH });
    assert_true(room.heard[3]);
    say(&room, 4, (const uint8_t[]){ SPEECH, WHISPER, WHISPER, SPEECH });
    assert_true(room.heard[0] && !room.heard[1] && !room.heard[2] && room.heard[3]);
}

static void test_a_pause_for_breath_costs_no_place(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 1, 2);
    say_for(&room, 2, (const uint8_t[]){ SPEECH, 0 }, time_from_s(1));
    say_for(&room, 2, (const uint8_t[]){ 0, 0 }, time_from_ms(300));
    say(&room, 2, (const uint8_t[]){ 0, SPEECH - 10 });
    assert_true(room.heard[0] && !room.heard[1]);
    say_for(&room, 2, (const uint8_t[]){ SPEECH, SPEECH + 3 }, time_from_s(1));
    assert_true(room.heard[0] && !room.heard[1]);
    // but silence does
    say_for(&room, 2, (const uint8_t[]){ 0, 0 }, time_from_s(2));
    say(&room, 2, (const uint8_t[]){ 0, SPEECH - 10 });
    assert_true(room.heard[1]);
}

static void test_equals_do_not_take_turns(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 2, 4);
    uint32_t changes = 0;
    bool before[VOICES] = { 0 };
    uint8_t loudness[4];
    for (uint32_t i = 0; i < 1000; i++) {
        for (uint32_t j = 0; j < 4; j++)
            loudness[j] = (uint8_t)(SPEECH + (i * 7 + j * 5) % 6);
        say(&room, 4, loudness);
        for (uint32_t j = 0; j < 4; j++) {
            changes += before[j] != room.heard[j];
            before[j] = room.heard[j];
        }
    }
    assert_in_range(changes, 2, 4);
}

static void test_who_is_clearly_louder_is_heard(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 2, 3);
    say_for(&room, 3, (const uint8_t[]){ SPEECH, SPEECH - 8, 0 }, time_from_s(1));
    say(&room, 3, (const uint8_t[]){ SPEECH, SPEECH - 8, SPEECH });
    assert_true(room.heard[0] && room.heard[2]);
    assert_int_equal(room.loudest.chosen_count, 2);
}

static void test_places_are_given_back(void **state)
{
    (void)state;
    struct room room;
    room_init(&room, 2, 4);
    say_for(&room, 4, (const uint8_t[]){ SPEECH, SPEECH, SPEECH, SPEECH }, time_from_s(1));
    assert_true(room.heard[0] && room.heard[1] && !room.heard[2]);
    loudest_leave(&room.voices[0]);
    assert_true(loudest_packet(&room.voices[0], room.now_us, 0));
    assert_true(loudest_packet(&room.voices[2], room.now_us, WHISPER));
    // everyone has one
    loudest_set_places(&room.loudest, 0);
    say(&room, 4, (const uint8_t[]){ SPEECH, 0, 0, WHISPER });
    for (int i = 1; i < 4; i++)
        assert_true(room.heard[i]);
    loudest_set_places(&room.loudest, 1);
    assert_int_equal(room.loudest.chosen_count, 1);
    for (int i = 0; i < VOICES; i++)
        loudest_leave(&room.voices[i]);
    assert_int_equal(room.loudest.chosen_count, 0);
    assert_int_equal(room.loudest.voice_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_small_room_is_left_alone),
        cmocka_unit_test(test_the_first_packet_of_a_word_is_heard),
        cmocka_unit_test(test_a_pause_for_breath_costs_no_place),
        cmocka_unit_test(test_equals_do_not_take_turns),
        cmocka_unit_test(test_who_is_clearly_louder_is_heard),
        cmocka_unit_test(test_places_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
