// Broadcasts: what one of twenty thousand viewers costs, counted in members that are looked at.
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "room/directory.h"
#include "support/fake_media.h"

#define S       TIME_US_PER_S
#define VIEWERS 20000

struct person {
    struct room_observer observer;
    struct room_member *member;
    size_t heard; /**< of the room: not its own media */
    size_t removed;
};

static struct fake_media media;
static struct random entropy;
static struct room_directory rooms;
static struct person *audience;

static void hear(struct room_observer *observer, const struct room_event *event)
{
    struct person *person = container_of(observer, struct person, observer);
    if (event->kind == ROOM_EVENT_REMOVED)
        person->removed++;
    else if (event->kind != ROOM_EVENT_MEDIA_STATE && event->kind != ROOM_EVENT_SLOTS &&
             event->member != person->member)
        person->heard++;
}

static int set_up(void **state)
{
    (void)state;
    fake_media_init(&media);
    random_seeded_init(&entropy, 1);
    room_directory_init(&rooms, &(struct room_directory_config){ .media = &media.control,
                                                                 .random = &entropy,
                                                                 .room_count_max = 4,
                                                                 .member_count_max = 4,
                                                                 .viewer_count_max = VIEWERS,
                                                                 .track_count_max = 4,
                                                                 .audio_slot_count_max = 16,
                                                                 .video_slot_count_max = 24,
                                                                 .empty_timeout_us = 60 * S,
                                                                 .auto_create = true });
    audience = memory_new_array(struct person, VIEWERS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    room_directory_done(&rooms);
    fake_media_done(&media);
    free(audience);
    return 0;
}

static uint64_t count_of(enum room_directory_metric metric)
{
    return metric_get(&rooms.metrics[metric]);
}

/** Everyone whose slots were looked at since `before`. */
static uint64_t settled_since(uint64_t before)
{
    return count_of(ROOM_DIRECTORY_METRIC_MEMBERS_SETTLED) - before;
}

static int try_join(struct person *person, const struct room_join *form)
{
    struct room *room;
    *person = (struct person){ .observer.notify = hear };
    assert_int_equal(room_directory_open(&rooms, 0, "stage", false, &room), 0);
    struct room_join join = *form;
    join.observer = &person->observer;
    return room_join(room, &join, &person->member);
}

static void offer(struct person *person, const char *form)
{
    char *sdp = fake_offer_text(form);
    const struct room_track_offer tracks[] = {
        { .mid = "0", .source = ROOM_SOURCE_MICROPHONE },
        { .mid = "1", .source = ROOM_SOURCE_CAMERA },
    };
    struct media_answer answer;
    const char *problem;
    assert_int_equal(room_member_offer(person->member,
                                       &(struct room_offer){ .sdp = bytes_of_text(sdp),
                                                             .tracks = tracks,
                                                             .track_count = array_size(tracks) },
                                       &answer, &problem),
                     0);
    free(sdp);
    free(answer.sdp);
    free(answer.sections);
    room_directory_settle(&rooms, 0);
}

static void publish(struct person *person, const char *name)
{
    assert_int_equal(try_join(person, &(struct room_join){ .name = name }), 0);
    offer(person, "a+v+");
}

/** As WHEP viewers are: `follows` NULL: what the room shows. */
static void view(struct person *person, const char *follows)
{
    assert_int_equal(try_join(person, &(struct room_join){ .name = "viewer",
                                                           .hidden = true,
                                                           .own_events_only = true,
                                                           .auto_subscribe = true,
                                                           .follows = follows }),
                     0);
    offer(person, "a-v-");
}

static void leave(struct person *person)
{
    room_leave(person->member, 0, ROOM_LEFT_LEFT);
    room_directory_settle(&rooms, 0);
}

/** What fills the viewer's video slot. */
static media_session shown_to(const struct person *person)
{
    return fake_session_section(fake_media_find(&media, person->member->media), "1")->filled_by;
}

static void test_coming_and_going_costs_a_viewers_own_slots(void **state)
{
    (void)state;
    struct person ann;
    publish(&ann, "ann");
    for (size_t i = 0; i < VIEWERS; i++) {
        uint64_t before = count_of(ROOM_DIRECTORY_METRIC_MEMBERS_SETTLED);
        view(&audience[i], i % 2 == 0 ? NULL : "ann");
        assert_in_range(settled_since(before), 1, 2); // by its offer, and once it was answered
        assert_int_equal(shown_to(&audience[i]), ann.member->media);
    }
    assert_int_equal(count_of(ROOM_DIRECTORY_METRIC_VIEWERS), VIEWERS);
    assert_int_equal(ann.heard, 0);
    uint64_t before = count_of(ROOM_DIRECTORY_METRIC_MEMBERS_SETTLED);
    for (size_t i = 0; i < VIEWERS; i += 2)
        leave(&audience[i]);
    assert_int_equal(settled_since(before), 0);
    assert_int_equal(ann.member->room->viewer_count, VIEWERS / 2);
    room_end(ann.member->room, 0, "The show is over.");
    assert_int_equal(audience[1].removed, 1);
    assert_int_equal(count_of(ROOM_DIRECTORY_METRIC_VIEWERS), 0);
}

static void speak(struct person *person, uint64_t now_us, bool speaking)
{
    fake_media_report(&media, MEDIA_EVENT_SPEAKING, person->member->media, "0", speaking, 20);
    take_media_events(&rooms, now_us);
}

static void test_the_only_publishers_pauses_are_no_affair_of_viewers(void **state)
{
    (void)state;
    struct person ann, ben;
    publish(&ann, "ann");
    for (size_t i = 0; i < 100; i++)
        view(&audience[i], NULL);
    uint64_t before = count_of(ROOM_DIRECTORY_METRIC_MEMBERS_SETTLED);
    for (uint64_t s = 1; s < 20; s++)
        speak(&ann, s * S, s % 2 == 1);
    room_chat(ann.member, NULL, "hello", 0);
    room_publication_mute(room_member_find_mid(ann.member, "0"), true);
    room_publication_mute(room_member_find_mid(ann.member, "0"), false);
    room_directory_settle(&rooms, 20 * S);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(audience[i].heard, 0);
    // muted, the microphone is ranked behind the camera, and before it afterwards: two looks each
    assert_in_range(settled_since(before), 0, 2 * 101);
    // who else comes, and speaks, is everyone's affair
    publish(&ben, "ben");
    before = count_of(ROOM_DIRECTORY_METRIC_MEMBERS_SETTLED);
    speak(&ben, 21 * S, true);
    assert_int_equal(settled_since(before), 102);
    assert_int_equal(shown_to(&audience[99]), ben.member->media);
}

static void test_followers_get_what_their_publisher_shows_then_and_later(void **state)
{
    (void)state;
    struct person ann, ben;
    publish(&ben, "ben");
    view(&audience[0], "ann");
    view(&audience[1], NULL);
    assert_int_equal(shown_to(&audience[0]), 0);
    publish(&ann, "ann");
    assert_int_equal(shown_to(&audience[0]), ann.member->media);
    assert_int_equal(shown_to(&audience[1]), ben.member->media);
    // a name is what is followed
    room_member_update(ann.member, "anna", NULL);
    room_member_update(ben.member, "ann", NULL);
    room_directory_settle(&rooms, 0);
    assert_int_equal(shown_to(&audience[0]), ben.member->media);
    leave(&ben);
    assert_int_equal(shown_to(&audience[0]), 0);
    assert_int_equal(shown_to(&audience[1]), ann.member->media);
    // one track more or less than that is the viewer's choice
    room_member_subscribe(audience[0].member, room_member_find_mid(ann.member, "1"), true);
    room_directory_settle(&rooms, 0);
    assert_int_equal(shown_to(&audience[0]), ann.member->media);
}

static void test_viewers_have_a_limit_of_their_own(void **state)
{
    (void)state;
    struct person people[5];
    rooms.config.viewer_count_max = 2;
    view(&audience[0], NULL);
    view(&audience[1], NULL);
    const struct room_join hidden = { .name = "viewer", .hidden = true };
    assert_int_equal(try_join(&audience[2], &hidden), -ENOSPC);
    for (size_t i = 0; i < 4; i++)
        publish(&people[i], "person");
    assert_int_equal(try_join(&people[4], &(struct room_join){ .name = "person" }), -ENOSPC);
    struct room *room = people[0].member->room;
    room->viewer_count_max = 1;
    leave(&audience[0]);
    assert_int_equal(try_join(&audience[2], &hidden), -ENOSPC);
    room->viewer_count_max = 3; // the server's limit holds
    assert_int_equal(room_viewer_limit(room), 2);
    assert_int_equal(try_join(&audience[2], &hidden), 0);
}

static void test_who_hears_of_the_room_does_so_among_viewers_who_do_not(void **state)
{
    (void)state;
    struct person recorder, ann;
    view(&audience[0], NULL);
    assert_int_equal(try_join(&recorder, &(struct room_join){ .name = "recorder", .hidden = true }),
                     0);
    view(&audience[1], NULL);
    publish(&ann, "ann");
    assert_true(recorder.heard > 0);
    assert_int_equal(audience[0].heard + audience[1].heard, 0);
    size_t count = 0;
    const struct room *room = ann.member->room;
    for (struct room_member *member = NULL; (member = room_next_member(room, member));)
        count++;
    assert_int_equal(count, 4);
}

static void test_a_room_is_live_while_packets_come(void **state)
{
    (void)state;
    struct person ann;
    publish(&ann, "ann");
    const struct room *room = ann.member->room;
    assert_false(room_is_live(room, ""));
    fake_media_report(&media, MEDIA_EVENT_TRACK_LIVE, ann.member->media, "1", false, 0);
    take_media_events(&rooms, S);
    assert_true(room_is_live(room, ""));
    assert_true(room_is_live(room, "ann"));
    assert_false(room_is_live(room, "ben"));
    fake_media_report(&media, MEDIA_EVENT_TRACK_SILENT, ann.member->media, "1", false, 0);
    take_media_events(&rooms, S);
    assert_false(room_is_live(room, "ann"));
}

/** How the viewer's video slot is shown. */
static struct media_wish wish_for(const struct person *person)
{
    return fake_session_section(fake_media_find(&media, person->member->media), "1")->wish;
}

static void test_a_slots_wish_holds_whatever_fills_it(void **state)
{
    (void)state;
    struct person ann, ben;
    publish(&ann, "ann");
    view(&audience[0], NULL);
    const struct media_wish small = { .priority = 7, .layers = 1 };
    assert_int_equal(room_member_wish_slot(audience[0].member, 0, &small), -ENOENT); // sound
    assert_int_equal(room_member_wish_slot(audience[0].member, 1, &small), 0);
    assert_int_equal(wish_for(&audience[0]).layers, 1);
    // another one fills it
    publish(&ben, "ben");
    speak(&ben, S, true);
    assert_int_equal(shown_to(&audience[0]), ben.member->media);
    assert_int_equal(wish_for(&audience[0]).priority, 7);
    // a wish for the track gives way to it, and holds when it goes
    const struct media_wish large = { .width = 1280, .height = 720, .priority = 9 };
    room_member_wish(audience[0].member, room_member_find_mid(ben.member, "1"), &large);
    assert_int_equal(wish_for(&audience[0]).priority, 7);
    offer(&audience[0], "a-v-"); // an ICE restart
    assert_true(room_member_video_slot(audience[0].member, -1)->wished);
    assert_int_equal(room_member_wish_slot(audience[0].member, 1, NULL), 0);
    assert_int_equal(wish_for(&audience[0]).priority, 9);
    assert_null(room_member_video_slot(audience[0].member, 2));
    assert_int_equal(room_member_video_slot(audience[0].member, -1)->section, 1);
}

static void test_layers_are_kept_with_the_publication(void **state)
{
    (void)state;
    struct person ann;
    publish(&ann, "ann");
    const struct room_publication *camera = room_member_find_mid(ann.member, "1");
    uint64_t before = camera->layers_serial;
    fake_media_report(&media, MEDIA_EVENT_LAYERS, ann.member->media, "1", false, 0);
    media.events[0].layers[1] = (struct media_layer){ true, 640, 360, 500000 };
    take_media_events(&rooms, S);
    assert_false(camera->layers[0].sent);
    assert_int_equal(camera->layers[1].width, 640);
    assert_int_not_equal(camera->layers_serial, before);
}

static void test_a_room_of_viewers_alone_is_not_empty(void **state)
{
    (void)state;
    view(&audience[0], NULL);
    struct room *room = audience[0].member->room;
    assert_int_equal(room_directory_forget(room), -EBUSY);
    room_directory_tick(&rooms, 3600 * S);
    assert_ptr_equal(room_directory_find(&rooms, "stage"), room);
    leave(&audience[0]);
    room_directory_tick(&rooms, 2 * 3600 * S);
    assert_null(room_directory_find(&rooms, "stage"));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_coming_and_going_costs_a_viewers_own_slots),
        TEST(test_the_only_publishers_pauses_are_no_affair_of_viewers),
        TEST(test_followers_get_what_their_publisher_shows_then_and_later),
        TEST(test_viewers_have_a_limit_of_their_own),
        TEST(test_who_hears_of_the_room_does_so_among_viewers_who_do_not),
        TEST(test_a_room_is_live_while_packets_come),
        TEST(test_a_slots_wish_holds_whatever_fills_it),
        TEST(test_layers_are_kept_with_the_publication),
        TEST(test_a_room_of_viewers_alone_is_not_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
