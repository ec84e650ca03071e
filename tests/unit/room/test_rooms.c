#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "room/directory.h"
#include "support/fake_media.h"

#define S TIME_US_PER_S

/** A member and what it heard. */
struct person {
    struct room_observer observer;
    struct room_member *member;
    size_t heard[ROOM_EVENT_MEDIA_STATE + 1];
    enum room_left_reason last_reason;
    uint32_t audio, video;
    size_t speakers;
    char last_speaker[ROOM_ID_SIZE];
    char last_text[64];
};

static struct fake_media media;
static struct random entropy;
static struct room_directory rooms;

static void hear(struct room_observer *observer, const struct room_event *event)
{
    struct person *person = container_of(observer, struct person, observer);
    person->heard[event->kind]++;
    person->last_reason = event->reason;
    if (event->kind == ROOM_EVENT_SLOTS_NEEDED) {
        person->audio = event->audio;
        person->video = event->video;
    }
    if (event->kind == ROOM_EVENT_SPEAKERS) {
        person->speakers = event->speaker_count;
        if (event->speaker_count > 0)
            memcpy(person->last_speaker, event->speakers[0]->member->id, ROOM_ID_SIZE);
    }
    if (event->kind == ROOM_EVENT_CHAT)
        snprintf(person->last_text, sizeof(person->last_text), "%s", event->text);
    if (event->kind == ROOM_EVENT_REMOVED)
        person->member = NULL;
}

static int set_up(void **state)
{
    (void)state;
    fake_media_init(&media);
    random_seeded_init(&entropy, 1);
    room_directory_init(&rooms, &(struct room_directory_config){ .media = &media.control,
                                                                 .random = &entropy,
                                                                 .room_count_max = 4,
                                                                 .member_count_max = 1000,
                                                                 .viewer_count_max = 1000,
                                                                 .track_count_max = 4,
                                                                 .audio_slot_count_max = 16,
                                                                 .video_slot_count_max = 24,
                                                                 .empty_timeout_us = 60 * S,
                                                                 .auto_create = true });
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    room_directory_done(&rooms);
    fake_media_done(&media);
    return 0;
}

static int try_join(struct person *person, const char *room_name, const char *key, bool moderator)
{
    struct room *room;
    *person = (struct person){ .observer.notify = hear };
    int result = room_directory_open(&rooms, 0, room_name, false, &room);
    if (result < 0)
        return result;
    return room_join(room,
                     &(struct room_join){ .name = key,
                                          .ban_key = key,
                                          .moderator = moderator,
                                          .auto_subscribe = true,
                                          .observer = &person->observer },
                     &person->member);
}

static void join(struct person *person, const char *key)
{
    assert_int_equal(try_join(person, "room", key, false), 0);
}

static int try_offer(struct person *person, const char *form, const struct room_track_offer *tracks,
                     size_t track_count, bool fresh)
{
    char *sdp = fake_offer_text(form);
    struct media_answer answer;
    const char *problem = NULL;
    int result = room_member_offer(person->member,
                                   &(struct room_offer){ .sdp = bytes_of_text(sdp),
                                                         .tracks = tracks,
                                                         .track_count = track_count,
                                                         .fresh = fresh },
                                   &answer, &problem);
    free(sdp);
    if (result == 0) {
        free(answer.sdp);
        free(answer.sections);
        room_directory_settle(&rooms, 0);
    } else if (result == -EINVAL) {
        assert_non_null(problem);
    }
    return result;
}

/** Mid 0 is a microphone, mid 1 a camera. */
static void offer(struct person *person, const char *form)
{
    const struct room_track_offer tracks[] = {
        { .mid = "0", .source = ROOM_SOURCE_MICROPHONE },
        { .mid = "1", .source = ROOM_SOURCE_CAMERA },
    };
    assert_int_equal(try_offer(person, form, tracks, 2, false), 0);
}

static void leave(struct person *person)
{
    room_leave(person->member, 0, ROOM_LEFT_LEFT);
    person->member = NULL;
    room_directory_settle(&rooms, 0);
}

static size_t filled_slots(const struct person *person)
{
    size_t count = 0;
    const struct fake_session *session = fake_media_find(&media, person->member->media);
    for (size_t i = 0; i < session->count; i++)
        count += session->sections[i].filled_by != 0;
    return count;
}

static void test_members_receive_each_other_and_share_pairs(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    assert_int_equal(ada.heard[ROOM_EVENT_MEMBER_JOINED], 1);
    assert_int_equal(grace.heard[ROOM_EVENT_MEMBER_JOINED], 0);
    offer(&ada, "a+v+a-v-");
    offer(&grace, "a+v+a-v-");
    assert_int_equal(ada.heard[ROOM_EVENT_TRACK_PUBLISHED], 2);
    assert_int_equal(grace.heard[ROOM_EVENT_TRACK_PUBLISHED], 2);
    struct fake_session *session = fake_media_find(&media, ada.member->media);
    assert_int_equal(session->sections[2].filled_by, grace.member->media);
    assert_string_equal(session->sections[2].filled_mid, "0");
    assert_int_equal(session->sections[3].filled_by, grace.member->media);
    assert_string_equal(session->sections[3].filled_mid, "1");
    // the answer told grace her slots; ada heard of them by event
    assert_int_equal(ada.heard[ROOM_EVENT_SLOTS], 1);
    assert_int_equal(grace.heard[ROOM_EVENT_SLOTS], 0);
    leave(&grace);
    assert_int_equal(filled_slots(&ada), 0);
    assert_int_equal(ada.heard[ROOM_EVENT_TRACK_UNPUBLISHED], 2);
    assert_int_equal(ada.heard[ROOM_EVENT_SLOTS], 2);
    leave(&ada);
    assert_int_equal(media.sessions.count, 0);
}

static void test_nobody_receives_their_own_tracks(void **state)
{
    (void)state;
    struct person ada;
    join(&ada, "ada");
    offer(&ada, "a+v+a-v-a-v-");
    assert_int_equal(filled_slots(&ada), 0);
}

static void test_the_moderators_role_passes_on(void **state)
{
    (void)state;
    struct person ada, grace, edsger;
    join(&ada, "ada");
    join(&grace, "grace");
    join(&edsger, "edsger");
    assert_true(room_may_moderate(ada.member));
    assert_false(room_may_moderate(grace.member));
    leave(&ada);
    assert_true(room_may_moderate(grace.member));
    assert_false(room_may_moderate(edsger.member));
    assert_int_equal(edsger.heard[ROOM_EVENT_MEMBER_UPDATED], 1);
}

static void test_a_locked_room_admits_moderators_only(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    room_lock(ada.member->room, true);
    assert_int_equal(ada.heard[ROOM_EVENT_UPDATED], 1);
    assert_int_equal(try_join(&grace, "room", "grace", false), -EACCES);
    assert_int_equal(try_join(&grace, "room", "grace", true), 0);
    leave(&grace);
    leave(&ada);
    // an empty room is open, or nobody could ever unlock it
    join(&grace, "grace");
}

static void test_who_was_kicked_stays_out(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    room_kick(grace.member, 0, NULL);
    assert_null(grace.member);
    assert_int_equal(grace.heard[ROOM_EVENT_REMOVED], 1);
    assert_int_equal(ada.heard[ROOM_EVENT_MEMBER_LEFT], 1);
    assert_int_equal(ada.last_reason, ROOM_LEFT_KICKED);
    assert_int_equal(try_join(&grace, "room", "grace", false), -EPERM);
    assert_int_equal(try_join(&grace, "room", "someone else", false), 0);
}

static void test_ending_a_room_removes_everyone_without_a_storm(void **state)
{
    (void)state;
    struct person people[20];
    for (int i = 0; i < 20; i++) {
        join(&people[i], "person");
        offer(&people[i], "a+v+a-v-");
    }
    room_end(people[0].member->room, 0, NULL);
    room_directory_settle(&rooms, 0);
    for (int i = 0; i < 20; i++) {
        assert_null(people[i].member);
        assert_int_equal(people[i].heard[ROOM_EVENT_REMOVED], 1);
        assert_int_equal(people[i].heard[ROOM_EVENT_MEMBER_LEFT], 0);
    }
    assert_int_equal(media.sessions.count, 0);
}

static void test_a_blocked_track_is_not_forwarded_and_yields_its_slot(void **state)
{
    (void)state;
    struct person ada, grace, edsger;
    join(&ada, "ada");
    join(&grace, "grace");
    join(&edsger, "edsger");
    offer(&ada, "a0v+");
    offer(&grace, "a0v+");
    offer(&edsger, "a0v0v-");
    struct fake_session *session = fake_media_find(&media, edsger.member->media);
    assert_int_equal(session->sections[2].filled_by, ada.member->media);
    room_block(room_member_find_mid(ada.member, "1"), true);
    room_directory_settle(&rooms, 0);
    assert_true(fake_session_section(fake_media_find(&media, ada.member->media), "1")->blocked);
    assert_int_equal(session->sections[2].filled_by, grace.member->media);
    assert_int_equal(ada.heard[ROOM_EVENT_TRACK_UPDATED], 1);
}

static void test_publishing_anew_is_no_way_around_a_block(void **state)
{
    (void)state;
    struct person ada;
    join(&ada, "ada");
    offer(&ada, "a+v+");
    room_block(room_member_find_mid(ada.member, "1"), true);
    offer(&ada, "a+v0"); // stopped, and published again on a new connection
    assert_int_equal(try_offer(&ada, "a+v+", NULL, 0, true), 0);
    assert_true(room_member_find_mid(ada.member, "1")->blocked);
    assert_true(fake_session_section(fake_media_find(&media, ada.member->media), "1")->blocked);
    assert_false(room_member_find_mid(ada.member, "0")->blocked);
    room_block(room_member_find_mid(ada.member, "1"), false);
    assert_int_equal(try_offer(&ada, "a+v+", NULL, 0, true), 0);
    assert_false(room_member_find_mid(ada.member, "1")->blocked);
}

static void test_screens_come_before_faces_and_speakers_before_the_silent(void **state)
{
    (void)state;
    struct person ada, grace, edsger, viewer;
    join(&ada, "ada");
    join(&grace, "grace");
    join(&edsger, "edsger");
    join(&viewer, "viewer");
    offer(&ada, "a+v+");
    offer(&grace, "a+v+");
    offer(&edsger, "a+v+");
    offer(&viewer, "a0v0v-");
    struct fake_section *slot = &fake_media_find(&media, viewer.member->media)->sections[2];
    assert_int_equal(slot->filled_by, ada.member->media);
    fake_media_report(&media, MEDIA_EVENT_SPEAKING, grace.member->media, "0", true, 20);
    take_media_events(&rooms, 1 * S);
    assert_int_equal(slot->filled_by, grace.member->media);
    fake_media_report(&media, MEDIA_EVENT_SPEAKING, grace.member->media, "0", false, 90);
    take_media_events(&rooms, 2 * S);
    // nobody else spoke: no reason to change
    assert_int_equal(slot->filled_by, grace.member->media);
    const struct room_track_offer screen[] = { { .mid = "2", .source = ROOM_SOURCE_SCREEN } };
    assert_int_equal(try_offer(&edsger, "a+v+v+", screen, 1, false), 0);
    assert_int_equal(slot->filled_by, edsger.member->media);
    assert_string_equal(slot->filled_mid, "2");
}

/** Whether a member's camera fills one of the first four slots. */
static bool is_seen(const struct person *viewer, const struct person *person)
{
    const struct fake_section *slots = fake_media_find(&media, viewer->member->media)->sections;
    for (int i = 0; i < 4; i++) {
        if (slots[i].filled_by == person->member->media && strcmp(slots[i].filled_mid, "1") == 0)
            return true;
    }
    return false;
}

static void test_only_the_last_speakers_are_shown_unasked(void **state)
{
    (void)state;
    struct person people[4], viewer;
    static const char *const names[] = { "ada", "grace", "edsger", "alan" };
    rooms.config.last_speakers = 2;
    for (int i = 0; i < 4; i++) {
        join(&people[i], names[i]);
        offer(&people[i], "a+v+");
    }
    join(&viewer, "viewer");
    offer(&viewer, "v-v-v-v-a-a-a-a-");
    // all that speak are heard, two are seen: who came first, while nobody has spoken
    assert_int_equal(filled_slots(&viewer), 6);
    assert_true(is_seen(&viewer, &people[0]) && is_seen(&viewer, &people[1]));
    fake_media_report(&media, MEDIA_EVENT_SPEAKING, people[3].member->media, "0", true, 20);
    take_media_events(&rooms, 1 * S);
    assert_int_equal(filled_slots(&viewer), 6);
    assert_true(is_seen(&viewer, &people[0]) && is_seen(&viewer, &people[3]));
    // who is pinned comes besides, and stays
    struct media_wish pinned = { .priority = MEDIA_WISH_PRIORITY + 1 };
    room_member_wish(viewer.member, room_member_find_mid(people[2].member, "1"), &pinned);
    room_directory_tick(&rooms, 2 * S);
    assert_int_equal(filled_slots(&viewer), 7);
    fake_media_report(&media, MEDIA_EVENT_SPEAKING, people[1].member->media, "0", true, 20);
    take_media_events(&rooms, 3 * S);
    assert_int_equal(filled_slots(&viewer), 7);
    assert_true(is_seen(&viewer, &people[2]) && is_seen(&viewer, &people[1]));
    assert_false(is_seen(&viewer, &people[0]));
    // and so does a screen
    const struct room_track_offer screen[] = { { .mid = "2", .source = ROOM_SOURCE_SCREEN } };
    assert_int_equal(try_offer(&people[0], "a+v+v+", screen, 1, false), 0);
    assert_int_equal(filled_slots(&viewer), 8);
}

static void test_publishers_are_told_what_is_watched(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    offer(&ada, "a+v+");
    offer(&grace, "a+v+");
    fake_media_report(&media, MEDIA_EVENT_DEMAND, ada.member->media, "1", false, 0);
    take_media_events(&rooms, 1 * S);
    assert_int_equal(ada.heard[ROOM_EVENT_DEMAND], 1);
    assert_int_equal(grace.heard[ROOM_EVENT_DEMAND], 0);
    assert_int_equal(room_member_find_mid(ada.member, "1")->demand, 0);
}

static void test_who_misses_a_picture_is_told(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    offer(&ada, "a+v+");
    offer(&grace, "a-v-");
    fake_media_report(&media, MEDIA_EVENT_PAUSED, grace.member->media, "1", false, 0);
    take_media_events(&rooms, 1 * S);
    assert_int_equal(grace.heard[ROOM_EVENT_TRACK_PAUSED], 1);
    assert_int_equal(ada.heard[ROOM_EVENT_TRACK_PAUSED], 0);
    // an empty slot, and one that is not there
    fake_media_report(&media, MEDIA_EVENT_PAUSED, grace.member->media, "7", false, 0);
    fake_media_report(&media, MEDIA_EVENT_PAUSED, ada.member->media, "1", false, 0);
    take_media_events(&rooms, 2 * S);
    assert_int_equal(grace.heard[ROOM_EVENT_TRACK_PAUSED], 1);
    assert_int_equal(ada.heard[ROOM_EVENT_TRACK_PAUSED], 0);
}

static void test_speakers_are_told_loudest_first_and_not_too_often(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    offer(&ada, "a+v+");
    offer(&grace, "a+v+");
    fake_media_report(&media, MEDIA_EVENT_SPEAKING, ada.member->media, "0", true, 40);
    take_media_events(&rooms, 10 * S);
    assert_int_equal(grace.heard[ROOM_EVENT_SPEAKERS], 1);
    fake_media_report(&media, MEDIA_EVENT_SPEAKING, grace.member->media, "0", true, 20);
    take_media_events(&rooms, 10 * S + 1000);
    assert_int_equal(grace.heard[ROOM_EVENT_SPEAKERS], 1);
    uint64_t deadline = room_directory_deadline(&rooms);
    assert_int_equal(deadline, 10 * S + 200000);
    room_directory_tick(&rooms, deadline);
    assert_int_equal(grace.heard[ROOM_EVENT_SPEAKERS], 2);
    assert_int_equal(grace.speakers, 2);
    assert_string_equal(grace.last_speaker, grace.member->id);
    // a speaker who leaves is no speaker
    leave(&ada);
    room_directory_tick(&rooms, 11 * S);
    assert_int_equal(grace.speakers, 1);
}

static void test_more_slots_are_asked_for_once(void **state)
{
    (void)state;
    struct person viewer, people[6];
    join(&viewer, "viewer");
    offer(&viewer, "a-v-");
    for (int i = 0; i < 6; i++) {
        join(&people[i], "person");
        offer(&people[i], "a+v+");
    }
    // 1 fits; the 2nd asks for 4, the 5th for 8
    assert_int_equal(viewer.heard[ROOM_EVENT_SLOTS_NEEDED], 2);
    assert_int_equal(viewer.audio, 8);
    assert_int_equal(viewer.video, 8);
    assert_int_equal(filled_slots(&viewer), 2);
    offer(&viewer, "a-v-a-v-a-v-a-v-a-v-a-v-a-v-a-v-");
    assert_int_equal(filled_slots(&viewer), 12);
    assert_int_equal(viewer.heard[ROOM_EVENT_SLOTS_NEEDED], 2);
}

static void test_subscriptions_are_the_members_choice(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    offer(&ada, "a+v+");
    offer(&grace, "a-v-");
    assert_int_equal(filled_slots(&grace), 2);
    room_member_subscribe(grace.member, room_member_find_mid(ada.member, "1"), false);
    room_directory_settle(&rooms, 0);
    assert_int_equal(filled_slots(&grace), 1);
    room_member_subscribe(grace.member, room_member_find_mid(ada.member, "1"), true);
    room_directory_settle(&rooms, 0);
    assert_int_equal(filled_slots(&grace), 2);
    grace.member->auto_subscribe = false;
    room_member_subscribe(grace.member, room_member_find_mid(ada.member, "0"), true);
    room_directory_settle(&rooms, 0);
    assert_int_equal(filled_slots(&grace), 1);
}

static void test_offers_beyond_the_limits_change_nothing(void **state)
{
    (void)state;
    struct person ada;
    join(&ada, "ada");
    offer(&ada, "a+v+a-");
    assert_int_equal(try_offer(&ada, "a+v+a-v+v+v+", NULL, 0, false), -E2BIG);
    assert_int_equal(ada.member->publication_count, 2);
    char many[2 * 60 + 1] = "";
    for (int i = 0; i < 60; i++)
        memcpy(many + i * 2, "v-", 3);
    assert_int_equal(try_offer(&ada, many, NULL, 0, false), -EINVAL);
    media.refuse_offers = true;
    assert_int_equal(try_offer(&ada, "a+", NULL, 0, false), -EINVAL);
    assert_int_equal(ada.member->publication_count, 2);
    assert_true(ada.member->media != 0);
    media.refuse_offers = false;
    // a member without media does not keep a session for an offer that failed
    struct person grace;
    join(&grace, "grace");
    media.refuse_offers = true;
    assert_int_equal(try_offer(&grace, "a+", NULL, 0, false), -EINVAL);
    assert_int_equal(grace.member->media, 0);
    assert_int_equal(media.sessions.count, 1);
    media.refuse_offers = false;
    media.limit = 1;
    assert_int_equal(try_offer(&grace, "a+", NULL, 0, false), -ENOSPC);
}

static void test_stopping_a_track_unpublishes_it(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    offer(&grace, "a0v0a-v-");
    offer(&ada, "a+v+");
    char id[ROOM_ID_SIZE];
    memcpy(id, room_member_find_mid(ada.member, "0")->id, sizeof(id));
    offer(&ada, "a+v0");
    assert_int_equal(grace.heard[ROOM_EVENT_TRACK_UNPUBLISHED], 1);
    assert_int_equal(filled_slots(&grace), 1);
    assert_string_equal(room_member_find_mid(ada.member, "0")->id, id);
}

static void test_a_fresh_connection_replaces_the_former_one(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    offer(&grace, "a0v0a-v-");
    offer(&ada, "a+v+");
    media_session before = ada.member->media;
    assert_int_equal(try_offer(&ada, "a+v+", NULL, 0, true), 0);
    assert_true(ada.member->media != before);
    assert_null(fake_media_find(&media, before));
    assert_int_equal(filled_slots(&grace), 2);
    assert_int_equal(media.sessions.count, 2);
}

static void test_failed_media_is_told_and_forgotten(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    offer(&grace, "a0v0a-v-");
    offer(&ada, "a+v+");
    media_session session = ada.member->media;
    fake_media_report(&media, MEDIA_EVENT_CONNECTED, session, NULL, false, 0);
    take_media_events(&rooms, S);
    assert_int_equal(ada.member->media_state, ROOM_MEDIA_CONNECTED);
    assert_int_equal(ada.heard[ROOM_EVENT_MEDIA_STATE], 1);
    fake_media_report(&media, MEDIA_EVENT_FAILED, session, NULL, false, 0);
    fake_media_report(&media, MEDIA_EVENT_CONNECTED, session, NULL, false, 0); // stale
    take_media_events(&rooms, S);
    assert_int_equal(ada.member->media_state, ROOM_MEDIA_FAILED);
    assert_int_equal(ada.member->publication_count, 0);
    assert_int_equal(grace.heard[ROOM_EVENT_TRACK_UNPUBLISHED], 2);
    assert_int_equal(filled_slots(&grace), 0);
    assert_int_equal(metric_get(&rooms.metrics[ROOM_DIRECTORY_METRIC_MEDIA_STALE]), 1);
    offer(&ada, "a+v+");
    assert_int_equal(filled_slots(&grace), 2);
}

static void test_private_chat_reaches_two(void **state)
{
    (void)state;
    struct person ada, grace, edsger;
    join(&ada, "ada");
    join(&grace, "grace");
    join(&edsger, "edsger");
    room_chat(ada.member, grace.member, "psst", 0);
    assert_string_equal(ada.last_text, "psst");
    assert_string_equal(grace.last_text, "psst");
    assert_string_equal(edsger.last_text, "");
}

static void test_empty_rooms_are_forgotten_in_time(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&ada, "ada");
    join(&grace, "grace");
    room_kick(grace.member, 0, NULL);
    leave(&ada);
    room_directory_tick(&rooms, 59 * S);
    assert_int_equal(try_join(&grace, "room", "grace", false), -EPERM);
    assert_int_equal(room_directory_deadline(&rooms), 60 * S);
    room_directory_tick(&rooms, 60 * S);
    assert_null(room_directory_find(&rooms, "room"));
    assert_int_equal(room_directory_deadline(&rooms), TIME_NEVER);
    assert_int_equal(metric_get(&rooms.metrics[ROOM_DIRECTORY_METRIC_ROOMS]), 0);
}

static void test_rooms_and_members_are_limited(void **state)
{
    (void)state;
    struct person people[5];
    assert_int_equal(try_join(&people[0], "one", "a", false), 0);
    assert_int_equal(try_join(&people[1], "two", "b", false), 0);
    assert_int_equal(try_join(&people[2], "three", "c", false), 0);
    assert_int_equal(try_join(&people[3], "four", "d", false), 0);
    assert_int_equal(try_join(&people[4], "five", "e", false), -ENFILE);
    // an empty room makes room
    leave(&people[1]);
    assert_int_equal(try_join(&people[4], "five", "e", false), 0);
    assert_null(room_directory_find(&rooms, "two"));
    rooms.config.member_count_max = 1;
    struct person late;
    assert_int_equal(try_join(&late, "five", "f", false), -ENOSPC);
    rooms.config.auto_create = false;
    leave(&people[0]);
    assert_int_equal(try_join(&late, "six", "f", false), -ENOENT);
}

/** In a room of a thousand, everybody gets the best and a joiner moves nobody's slots. */
static struct fake_session *session_of(const struct person *person)
{
    return fake_media_find(&media, person->member->media);
}

static void test_a_room_has_media_settings_of_its_own(void **state)
{
    (void)state;
    rooms.config.loudest_audio = 5;
    struct person ann, ben;
    join(&ann, "ann");
    join(&ben, "ben");
    struct room *room = ann.member->room;
    ben.member->playout_delay = (struct media_playout_delay){ true, 70 };
    room_set_playout_delay(room, (struct media_playout_delay){ true, 300 });
    room_set_loudest_audio(room, 2);
    assert_int_equal(media.loudest_group, room->number);
    assert_int_equal(media.loudest, 2);
    offer(&ann, "a+v+a-v-");
    offer(&ben, "a+v+a-v-");
    // from the beginning, and when it changes; who chose keeps the choice
    assert_int_equal(session_of(&ann)->loudest, 2);
    assert_true(session_of(&ann)->playout_delay.set);
    assert_int_equal(session_of(&ann)->playout_delay.ms, 300);
    assert_int_equal(session_of(&ben)->playout_delay.ms, 70);
    room_set_playout_delay(room, (struct media_playout_delay){ true, 0 });
    assert_int_equal(session_of(&ann)->playout_delay.ms, 0);
    assert_int_equal(session_of(&ben)->playout_delay.ms, 70);
    // a reload reaches rooms that have nothing of their own
    struct room_directory_config config = rooms.config;
    config.loudest_audio = 9;
    room_directory_reload(&rooms, &config);
    assert_int_equal(media.loudest, 2);
    room_set_loudest_audio(room, ROOM_SETTING_NONE);
    assert_int_equal(media.loudest, 9);
    room_set_playout_delay(room, (struct media_playout_delay){ .set = false });
    assert_false(session_of(&ann)->playout_delay.set);
    config.loudest_audio = 0;
    config.playout_delay.set = true;
    room_directory_reload(&rooms, &config);
    assert_int_equal(media.loudest, 0);
    assert_true(session_of(&ann)->playout_delay.set);
    leave(&ann);
    leave(&ben);
}

static void test_a_room_of_a_thousand_settles(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct person *people = calloc(COUNT, sizeof(*people));
    assert_non_null(people);
    for (int i = 0; i < COUNT - 1; i++)
        join(&people[i], "person");
    const char *form = "a+v+a-v-a-v-a-v-a-v-";
    for (int i = 0; i < COUNT - 1; i++)
        offer(&people[i], form);
    for (int i = 0; i < COUNT - 1; i++)
        assert_int_equal(filled_slots(&people[i]), 8);
    size_t before = media.slot_sets;
    join(&people[COUNT - 1], "late");
    offer(&people[COUNT - 1], form);
    assert_int_equal(media.slot_sets - before, 8);
    // the last one speaks: one audio and one video slot of each other member change
    before = media.slot_sets;
    fake_media_report(&media, MEDIA_EVENT_SPEAKING, people[COUNT - 1].member->media, "0", true, 1);
    take_media_events(&rooms, S);
    assert_int_equal(media.slot_sets - before, 2 * (COUNT - 1));
    free(people);
}

static int join_as(struct person *person, const struct room_join *form)
{
    struct room *room;
    *person = (struct person){ .observer.notify = hear };
    assert_int_equal(room_directory_open(&rooms, 0, "room", true, &room), 0);
    struct room_join join = *form;
    join.name = join.ban_key = "person";
    join.auto_subscribe = true;
    join.observer = &person->observer;
    return room_join(room, &join, &person->member);
}

static void test_hidden_members_are_announced_to_nobody_and_lead_nobody(void **state)
{
    (void)state;
    struct person ghost, ada, grace;
    assert_int_equal(join_as(&ghost, &(struct room_join){ .hidden = true }), 0);
    assert_false(room_may_moderate(ghost.member));
    join(&ada, "ada");
    assert_true(room_may_moderate(ada.member));
    assert_int_equal(ghost.heard[ROOM_EVENT_MEMBER_JOINED], 1);
    offer(&ghost, "a-v-");
    assert_int_equal(ada.heard[ROOM_EVENT_MEMBER_UPDATED], 0);
    offer(&ada, "a+v+");
    assert_int_equal(filled_slots(&ghost), 2);
    join(&grace, "grace");
    leave(&ada);
    assert_true(room_may_moderate(grace.member));
    assert_false(room_may_send(ghost.member));
    struct room_track_offer microphone = { .mid = "0", .source = ROOM_SOURCE_MICROPHONE };
    assert_int_equal(try_offer(&ghost, "a+", &microphone, 1, true), -EACCES);
    leave(&ghost);
    assert_int_equal(grace.heard[ROOM_EVENT_MEMBER_LEFT], 1); // ada's
    assert_int_equal(grace.member->room->viewer_count, 0);
}

static void test_sources_without_a_grant_are_refused_in_the_offer(void **state)
{
    (void)state;
    struct person ada, grace;
    join(&grace, "grace");
    struct room_denials denials = { .publish = ROOM_SOURCES_ALL & ~(1u << ROOM_SOURCE_MICROPHONE) };
    assert_int_equal(join_as(&ada, &(struct room_join){ .denials = denials }), 0);
    const struct room_track_offer tracks[] = {
        { .mid = "0", .source = ROOM_SOURCE_MICROPHONE },
        { .mid = "1", .source = ROOM_SOURCE_CAMERA },
    };
    assert_int_equal(try_offer(&ada, "a+v+", tracks, 2, false), -EACCES);
    assert_int_equal(try_offer(&ada, "a+v+", tracks, 1, false), -EACCES); // no word of the camera
    const struct room_track_offer liar[] = { tracks[0],
                                             { .mid = "1", .source = ROOM_SOURCE_MICROPHONE } };
    assert_int_equal(try_offer(&ada, "a+v+", liar, 2, false), -EACCES);
    assert_int_equal(grace.heard[ROOM_EVENT_TRACK_PUBLISHED], 0);
    assert_int_equal(try_offer(&ada, "a+v-", tracks, 1, false), 0);
    assert_int_equal(grace.heard[ROOM_EVENT_TRACK_PUBLISHED], 1);
    // named anew later, it is not forwarded, and no moderator's word changes that
    const struct room_track_offer anew = { .mid = "0", .source = ROOM_SOURCE_SCREEN_AUDIO };
    assert_int_equal(try_offer(&ada, "a+v-", &anew, 1, false), -EACCES);
    assert_false(room_member_find_mid(ada.member, "0")->blocked);
}

static void test_without_the_grant_to_subscribe_slots_stay_empty(void **state)
{
    (void)state;
    struct person ada, grace;
    struct room_denials denials = { .subscribe = true };
    join(&grace, "grace");
    offer(&grace, "a+v+");
    assert_int_equal(join_as(&ada, &(struct room_join){ .denials = denials }), 0);
    offer(&ada, "a-v-");
    room_member_subscribe(ada.member, room_member_find_mid(grace.member, "0"), true);
    room_directory_settle(&rooms, 0);
    assert_int_equal(filled_slots(&ada), 0);
    uint32_t audio, video;
    room_suggest_slots(ada.member->room, ada.member, &audio, &video);
    assert_int_equal(audio + video, 0);
}

static void test_media_knows_whose_data_messages_are_passed_on(void **state)
{
    (void)state;
    struct person ada, grace, ghost;
    struct room_denials denials = { .data = true };
    assert_int_equal(join_as(&ada, &(struct room_join){ .denials = denials }), 0);
    join(&grace, "grace");
    assert_int_equal(join_as(&ghost, &(struct room_join){ .hidden = true }), 0);
    offer(&ada, "a-");
    offer(&grace, "a-");
    offer(&ghost, "a-");
    const struct fake_session *session = fake_media_find(&media, ada.member->media);
    assert_string_equal(session->member, ada.member->id);
    assert_true(session->data_denied);
    assert_false(fake_media_find(&media, grace.member->media)->data_denied);
    assert_true(fake_media_find(&media, ghost.member->media)->data_denied);
    room_member_set_denials(ada.member, &(struct room_denials){ 0 });
    assert_false(session->data_denied);
    room_member_set_denials(ada.member, &denials);
    assert_true(session->data_denied);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_members_receive_each_other_and_share_pairs),
        TEST(test_nobody_receives_their_own_tracks),
        TEST(test_the_moderators_role_passes_on),
        TEST(test_a_locked_room_admits_moderators_only),
        TEST(test_who_was_kicked_stays_out),
        TEST(test_ending_a_room_removes_everyone_without_a_storm),
        TEST(test_a_blocked_track_is_not_forwarded_and_yields_its_slot),
        TEST(test_publishing_anew_is_no_way_around_a_block),
        TEST(test_screens_come_before_faces_and_speakers_before_the_silent),
        TEST(test_only_the_last_speakers_are_shown_unasked),
        TEST(test_who_misses_a_picture_is_told),
        TEST(test_publishers_are_told_what_is_watched),
        TEST(test_speakers_are_told_loudest_first_and_not_too_often),
        TEST(test_more_slots_are_asked_for_once),
        TEST(test_subscriptions_are_the_members_choice),
        TEST(test_offers_beyond_the_limits_change_nothing),
        TEST(test_stopping_a_track_unpublishes_it),
        TEST(test_a_fresh_connection_replaces_the_former_one),
        TEST(test_failed_media_is_told_and_forgotten),
        TEST(test_private_chat_reaches_two),
        TEST(test_empty_rooms_are_forgotten_in_time),
        TEST(test_rooms_and_members_are_limited),
        TEST(test_hidden_members_are_announced_to_nobody_and_lead_nobody),
        TEST(test_sources_without_a_grant_are_refused_in_the_offer),
        TEST(test_without_the_grant_to_subscribe_slots_stay_empty),
        TEST(test_media_knows_whose_data_messages_are_passed_on),
        TEST(test_a_room_has_media_settings_of_its_own),
        TEST(test_a_room_of_a_thousand_settles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
