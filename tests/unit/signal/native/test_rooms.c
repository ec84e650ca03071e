#include "signal_harness.h"

#include "signal/access/token.h"

static json_t *plain(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static json_t *one(const char *type, const char *key, const char *value)
{
    return json_pack("{s:s,s:s}", "type", type, key, value);
}

static void test_a_newcomer_sees_the_room_as_it_is(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_must(&ada, offer_request("a+v+a-v-"));
    client_hello(&grace);
    json_t *result = client_must(&grace, join_request("room", "Grace"));
    assert_string_equal(text_at(result, "room"), "room");
    assert_int_equal(json_array_size(json_object_get(result, "members")), 2);
    json_t *first = item_at(result, "members", 0);
    assert_string_equal(text_at(first, "name"), "Ada");
    assert_true(is_true_at(first, "moderator"));
    assert_string_equal(text_at(first, "media"), "connecting");
    assert_int_equal(json_array_size(json_object_get(result, "tracks")), 2);
    assert_string_equal(text_at(item_at(result, "tracks", 1), "source"), "camera");
    assert_string_equal(text_at(item_at(result, "tracks", 1), "member"), ada.member);
    json_t *slots = json_object_get(result, "slots");
    assert_int_equal(json_integer_value(json_object_get(slots, "audio")), 4);
    json_t *joined = json_object_get(client_hears(&ada, "member_joined"), "member");
    assert_string_equal(text_at(joined, "name"), "Grace");
    client_done(&ada);
    client_done(&grace);
}

static void test_an_answer_names_tracks_and_fills_slots(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_must(&ada, offer_request("a+v+a-v-"));
    json_t *result = client_must(&grace, offer_request("a+v+a-v-"));
    assert_non_null(strstr(text_at(result, "sdp"), "answer"));
    assert_int_equal(json_array_size(json_object_get(result, "publications")), 2);
    json_t *slot = item_at(result, "slots", 1);
    assert_string_equal(text_at(slot, "mid"), "3");
    assert_string_equal(text_at(slot, "kind"), "video");
    assert_string_equal(text_at(slot, "member"), ada.member);
    char own[32];
    snprintf(own, sizeof(own), "%s", text_at(item_at(result, "publications", 0), "track"));
    // the other one hears of tracks, then of slots
    json_t *track = json_object_get(client_hears(&ada, "track_published"), "track");
    assert_string_equal(text_at(track, "id"), own);
    assert_string_equal(text_at(track, "source"), "microphone");
    json_t *change = item_at(client_hears(&ada, "slots"), "changes", 0);
    assert_string_equal(text_at(change, "track"), own);
    assert_int_equal(client_heard(&grace, "slots"), 0);
    client_done(&ada);
    client_done(&grace);
}

static void test_slots_are_asked_for_when_they_run_out(void **state)
{
    (void)state;
    struct client ada, grace, edsger;
    client_enter(&ada, "room", "Ada");
    client_must(&ada, offer_request("a+v+a-v-"));
    client_enter(&grace, "room", "Grace");
    client_must(&grace, offer_request("a+v+a-v-"));
    assert_int_equal(client_heard(&ada, "slots_needed"), 0);
    client_enter(&edsger, "room", "Edsger");
    client_must(&edsger, offer_request("a+v+a-v-"));
    json_t *needed = client_hears(&ada, "slots_needed");
    assert_int_equal(json_integer_value(json_object_get(needed, "audio")), 4);
    assert_int_equal(json_integer_value(json_object_get(needed, "video")), 4);
    json_t *result = client_must(&ada, offer_request("a+v+a-v-a-v-a-v-a-v-"));
    assert_string_equal(text_at(item_at(result, "slots", 2), "member"), edsger.member);
    client_done(&ada);
    client_done(&grace);
    client_done(&edsger);
}

static void test_mute_is_told_to_all(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    json_t *result = client_must(&ada, offer_request("a+v+"));
    char track[32];
    snprintf(track, sizeof(track), "%s", text_at(item_at(result, "publications", 0), "track"));
    client_must(&ada, json_pack("{s:s,s:s,s:b}", "type", "mute", "track", track, "muted", 1));
    json_t *told = json_object_get(client_hears(&grace, "track_updated"), "track");
    assert_true(is_true_at(told, "muted"));
    assert_string_equal(client_refused(&grace, json_pack("{s:s,s:s,s:b}", "type", "mute", "track",
                                                         track, "muted", 0)),
                        "no_such_track");
    client_done(&ada);
    client_done(&grace);
}

static void test_tracks_may_be_chosen(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    json_t *result = client_must(&ada, offer_request("a+v+"));
    char track[32];
    snprintf(track, sizeof(track), "%s", text_at(item_at(result, "publications", 1), "track"));
    client_hello(&grace);
    client_must(&grace, json_pack("{s:s,s:s,s:s,s:b}", "type", "join", "room", "room", "name",
                                  "Grace", "auto_subscribe", 0));
    result = client_must(&grace, offer_request("a0v0a-v-"));
    assert_true(json_is_null(json_object_get(item_at(result, "slots", 1), "track")));
    client_must(&grace, json_pack("{s:s,s:[s]}", "type", "subscribe", "tracks", track));
    assert_string_equal(text_at(item_at(client_hears(&grace, "slots"), "changes", 0), "track"),
                        track);
    client_must(&grace, json_pack("{s:s,s:[s]}", "type", "unsubscribe", "tracks", track));
    json_t *change = item_at(client_hears(&grace, "slots"), "changes", 0);
    assert_true(json_is_null(json_object_get(change, "track")));
    assert_string_equal(client_refused(&grace, json_pack("{s:s,s:[s,s]}", "type", "subscribe",
                                                         "tracks", track, "tnone")),
                        "no_such_track");
    assert_int_equal(client_heard(&grace, "slots"), 0);
    client_done(&ada);
    client_done(&grace);
}

static void test_a_wish_follows_its_track_into_a_slot(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    json_t *result = client_must(&ada, offer_request("a+v+"));
    char track[32];
    snprintf(track, sizeof(track), "%s", text_at(item_at(result, "publications", 1), "track"));
    client_enter(&grace, "room", "Grace");
    client_must(&grace, offer_request("a0v0a-v-"));
    client_must(&grace, json_pack("{s:s,s:[{s:s,s:i,s:i,s:i}]}", "type", "wish", "tracks", "track",
                                  track, "width", 320, "height", 180, "priority", 7));
    const struct room *room = room_directory_find(&world.rooms, "room");
    const struct room_member *member =
        container_of(room->members.previous, struct room_member, node);
    const struct fake_session *session = fake_media_find(&world.media, member->media);
    const struct fake_section *slot = &session->sections[3];
    assert_int_equal(slot->section.role, MEDIA_SLOT);
    assert_true(slot->filled_by != 0);
    assert_int_equal(slot->wish.width, 320);
    assert_int_equal(slot->wish.priority, 7);
    assert_false(slot->wish.paused);
    // one that has gone in the meantime is no error
    client_must(&grace,
                json_pack("{s:s,s:[{s:s,s:i,s:i,s:i,s:b}]}", "type", "wish", "tracks", "track",
                          "tgone", "width", 1, "height", 1, "priority", 7, "paused", 1));
    client_done(&ada);
    client_done(&grace);
}

static void test_keys_reach_the_others_or_those_named_as_they_are(void **state)
{
    (void)state;
    struct client ada, grace, edsger;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_enter(&edsger, "room", "Edsger");
    client_must(&ada, one("keys", "data", "to all"));
    assert_string_equal(text_at(client_hears(&grace, "keys"), "data"), "to all");
    json_t *heard = client_hears(&edsger, "keys");
    assert_string_equal(text_at(heard, "data"), "to all");
    assert_string_equal(text_at(heard, "from"), ada.member);
    client_must(&ada, json_pack("{s:s,s:[{s:s,s:s},{s:s,s:s}]}", "type", "keys", "messages", "to",
                                "mGone", "data", "lost", "to", grace.member, "data", "for grace"));
    assert_string_equal(text_at(client_hears(&grace, "keys"), "data"), "for grace");
    assert_int_equal(client_heard(&edsger, "keys"), 0);
    assert_int_equal(client_heard(&ada, "keys"), 0);
    client_done(&ada);
    client_done(&grace);
    client_done(&edsger);
}

static void test_chat_reaches_all_in_one_order_or_one(void **state)
{
    (void)state;
    struct client ada, grace, edsger;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_enter(&edsger, "room", "Edsger");
    client_must(&ada, one("chat", "text", "Hello \"all\" \\ \n \xe2\x98\x83"));
    json_t *chat = client_hears(&edsger, "chat");
    assert_string_equal(text_at(chat, "text"), "Hello \"all\" \\ \n \xe2\x98\x83");
    assert_string_equal(text_at(chat, "from"), ada.member);
    assert_string_equal(text_at(chat, "name"), "Ada");
    assert_true(json_integer_value(json_object_get(chat, "time_ms")) >= 1700000000000);
    assert_non_null(client_hears(&ada, "chat"));
    assert_non_null(client_hears(&grace, "chat"));
    client_must(&ada,
                json_pack("{s:s,s:s,s:s}", "type", "chat", "text", "psst", "to", grace.member));
    assert_string_equal(text_at(client_hears(&grace, "chat"), "to"), grace.member);
    assert_non_null(client_hears(&ada, "chat"));
    assert_null(client_hears(&edsger, "chat"));
    assert_string_equal(client_refused(&ada, json_pack("{s:s,s:s,s:s}", "type", "chat", "text", "x",
                                                       "to", "mnobody")),
                        "no_such_member");
    client_done(&ada);
    client_done(&grace);
    client_done(&edsger);
}

static void test_requests_outside_a_room_are_refused(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    assert_string_equal(client_refused(&ada, plain("leave")), "not_in_room");
    assert_string_equal(client_refused(&ada, offer_request("a+v+")), "not_in_room");
    assert_string_equal(client_refused(&ada, one("chat", "text", "x")), "not_in_room");
    assert_string_equal(client_refused(&ada, plain("end")), "not_in_room");
    client_must(&ada, join_request("room", "Ada"));
    assert_string_equal(client_refused(&ada, join_request("other", "Ada")), "already_in_room");
    client_must(&ada, plain("leave"));
    client_must(&ada, join_request("other", "Ada"));
    client_done(&ada);
}

static void test_only_moderators_moderate(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    json_t *result = client_must(&ada, offer_request("a+v+"));
    char track[32];
    snprintf(track, sizeof(track), "%s", text_at(item_at(result, "publications", 0), "track"));
    json_t *lock = json_pack("{s:s,s:b}", "type", "lock", "locked", 1);
    json_t *block = json_pack("{s:s,s:s,s:b}", "type", "block", "track", track, "blocked", 1);
    assert_string_equal(client_refused(&grace, one("kick", "member", ada.member)), "not_moderator");
    assert_string_equal(client_refused(&grace, json_deep_copy(lock)), "not_moderator");
    assert_string_equal(client_refused(&grace, json_deep_copy(block)), "not_moderator");
    assert_string_equal(client_refused(&grace, one("promote", "member", grace.member)),
                        "not_moderator");
    assert_string_equal(client_refused(&grace, plain("end")), "not_moderator");
    client_must(&ada, one("promote", "member", grace.member));
    client_must(&grace, lock);
    assert_true(is_true_at(client_hears(&ada, "room_updated"), "locked"));
    client_clear(&ada);
    client_must(&grace, block);
    json_t *told = json_object_get(client_hears(&ada, "track_updated"), "track");
    assert_true(is_true_at(told, "blocked"));
    client_done(&ada);
    client_done(&grace);
}

static void test_the_kicked_are_told_and_stay_out(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_must(&grace, offer_request("a+v+"));
    assert_string_equal(client_refused(&ada, one("kick", "member", ada.member)), "bad_request");
    assert_string_equal(client_refused(&ada, one("kick", "member", "mnobody")), "no_such_member");
    client_must(&ada, json_pack("{s:s,s:s,s:s}", "type", "kick", "member", grace.member, "message",
                                "Please be kind."));
    json_t *removed = client_hears(&grace, "removed");
    assert_string_equal(text_at(removed, "reason"), "kicked");
    assert_string_equal(text_at(removed, "message"), "Please be kind.");
    assert_string_equal(text_at(client_hears(&ada, "member_left"), "reason"), "kicked");
    assert_string_equal(client_refused(&grace, join_request("room", "Grace")), "kicked");
    client_must(&grace, join_request("elsewhere", "Grace"));
    // a new session is no way around
    struct client again;
    client_hello(&again);
    assert_string_equal(client_refused(&again, join_request("room", "Grace")), "kicked");
    client_must(&again, join_request("room", "Joan"));
    client_done(&again);
    client_done(&ada);
    client_done(&grace);
}

static void test_a_locked_room_stays_closed(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_must(&ada, json_pack("{s:s,s:b}", "type", "lock", "locked", 1));
    client_hello(&grace);
    assert_string_equal(client_refused(&grace, join_request("room", "Grace")), "room_locked");
    client_must(&ada, json_pack("{s:s,s:b}", "type", "lock", "locked", 0));
    client_must(&grace, join_request("room", "Grace"));
    client_done(&ada);
    client_done(&grace);
}

static void test_an_ended_room_lets_everyone_go(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_must(&ada, plain("end"));
    assert_string_equal(text_at(client_hears(&grace, "removed"), "reason"), "ended");
    assert_string_equal(text_at(client_hears(&ada, "removed"), "reason"), "ended");
    client_must(&grace, join_request("room", "Grace"));
    client_done(&ada);
    client_done(&grace);
}

static void test_names_and_status_change(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_must(&ada, json_pack("{s:s,s:s,s:s}", "type", "update", "name", "Ada L.", "status",
                                "hand_raised"));
    json_t *member = json_object_get(client_hears(&grace, "member_updated"), "member");
    assert_string_equal(text_at(member, "name"), "Ada L.");
    assert_string_equal(text_at(member, "status"), "hand_raised");
    assert_string_equal(client_refused(&ada, one("update", "name", "two\nlines")), "bad_request");
    client_done(&ada);
    client_done(&grace);
}

static void test_media_states_and_speakers_are_told(void **state)
{
    (void)state;
    struct client ada, grace;
    client_enter(&ada, "room", "Ada");
    client_enter(&grace, "room", "Grace");
    client_must(&ada, offer_request("a+v+"));
    client_clear(&grace);
    media_session session =
        room_find_member(room_directory_find(&world.rooms, "room"), ada.member)->media;
    fake_media_report(&world.media, MEDIA_EVENT_CONNECTED, session, NULL, false, 0);
    fake_media_report(&world.media, MEDIA_EVENT_TRACK_LIVE, session, "0", false, 0);
    fake_media_report(&world.media, MEDIA_EVENT_SPEAKING, session, "0", true, 25);
    take_media_events(&world.rooms, world.now_us);
    assert_string_equal(text_at(client_hears(&ada, "media_state"), "state"), "connected");
    json_t *member = json_object_get(client_hears(&grace, "member_updated"), "member");
    assert_string_equal(text_at(member, "media"), "connected");
    json_t *track = json_object_get(client_hears(&grace, "track_updated"), "track");
    assert_true(is_true_at(track, "live"));
    json_t *speaker = item_at(client_hears(&grace, "speakers"), "speakers", 0);
    assert_string_equal(text_at(speaker, "member"), ada.member);
    assert_int_equal(json_integer_value(json_object_get(speaker, "level")), 25);
    fake_media_report(&world.media, MEDIA_EVENT_FAILED, session, NULL, false, 0);
    take_media_events(&world.rooms, world.now_us);
    json_t *failed = client_hears(&ada, "media_state");
    assert_string_equal(text_at(failed, "state"), "failed");
    assert_string_equal(text_at(failed, "message"), "The fake connection broke.");
    world_pass(S);
    assert_int_equal(json_array_size(json_object_get(client_hears(&grace, "speakers"), "speakers")),
                     0);
    client_done(&ada);
    client_done(&grace);
}

static void test_offers_that_cannot_be_answered_say_why(void **state)
{
    (void)state;
    struct client ada;
    client_enter(&ada, "room", "Ada");
    assert_string_equal(client_refused(&ada, one("offer", "sdp", "hello")), "bad_request");
    world.media.refuse_offers = true;
    json_t *reply = client_ask(&ada, offer_request("a+v+"));
    assert_string_equal(text_at(reply, "code"), "offer_invalid");
    assert_string_equal(text_at(reply, "message"), "The fake server does not like this offer.");
    world.media.refuse_offers = false;
    assert_string_equal(client_refused(&ada, offer_request("a+v+v+v+v+v+")), "too_many_tracks");
    client_done(&ada);
}

/** ---- tokens ---- */

static const char key_text[] = "a key that is long enough to be one";

static json_t *join_with(const struct token_grants *grants, const char *room, const char *name)
{
    char *token = token_mint(grants, bytes_of_text(key_text), 1700000000);
    json_t *request = join_request(room, name);
    json_object_set_new(request, "token", json_string(token));
    free(token);
    return request;
}

static void test_tokens_admit_name_and_make_moderators(void **state)
{
    (void)state;
    world_stop();
    world_start(
        &(struct native_config){ .require_token = true, .token_key = bytes_of_text(key_text) });
    struct client ada, grace;
    client_hello(&ada);
    client_hello(&grace);
    assert_string_equal(client_refused(&ada, join_request("room", "Ada")), "token_required");
    struct token_grants grants = { .room = "room" };
    assert_string_equal(client_refused(&ada, join_with(&grants, "other", "Ada")), "token_invalid");
    grants.expires_unix_s = 1700000001;
    assert_string_equal(client_refused(&ada, join_with(&grants, "room", "Ada")), "token_expired");
    grants.expires_unix_s = 0;
    client_must(&ada, join_with(&grants, "room", "Ada"));
    struct token_grants moderator = {
        .room = "*", .user = "grace", .name = "Grace H.", .moderator = true
    };
    json_t *result = client_must(&grace, join_with(&moderator, "room", "whatever"));
    json_t *member = item_at(result, "members", 1);
    assert_string_equal(text_at(member, "name"), "Grace H.");
    assert_string_equal(text_at(member, "user"), "grace");
    assert_true(is_true_at(member, "moderator"));
    assert_string_equal(client_refused(&grace, one("update", "name", "Else")), "bad_request");
    client_done(&ada);
    client_done(&grace);
}

static void test_kicked_users_do_not_come_back_in_new_sessions(void **state)
{
    (void)state;
    world_stop();
    world_start(&(struct native_config){ .token_key = bytes_of_text(key_text) });
    struct client ada, grace, again;
    client_enter(&ada, "room", "Ada");
    client_hello(&grace);
    struct token_grants grants = { .room = "room", .user = "grace" };
    json_t *result = client_must(&grace, join_with(&grants, "room", "Grace"));
    client_must(&ada, one("kick", "member", text_at(result, "self")));
    client_hello(&again);
    assert_string_equal(client_refused(&again, join_with(&grants, "room", "Grace")), "kicked");
    client_done(&ada);
    client_done(&grace);
    client_done(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_newcomer_sees_the_room_as_it_is),
        TEST(test_an_answer_names_tracks_and_fills_slots),
        TEST(test_slots_are_asked_for_when_they_run_out),
        TEST(test_mute_is_told_to_all),
        TEST(test_tracks_may_be_chosen),
        TEST(test_a_wish_follows_its_track_into_a_slot),
        TEST(test_keys_reach_the_others_or_those_named_as_they_are),
        TEST(test_chat_reaches_all_in_one_order_or_one),
        TEST(test_requests_outside_a_room_are_refused),
        TEST(test_only_moderators_moderate),
        TEST(test_the_kicked_are_told_and_stay_out),
        TEST(test_a_locked_room_stays_closed),
        TEST(test_an_ended_room_lets_everyone_go),
        TEST(test_names_and_status_change),
        TEST(test_media_states_and_speakers_are_told),
        TEST(test_offers_that_cannot_be_answered_say_why),
        TEST(test_tokens_admit_name_and_make_moderators),
        TEST(test_kicked_users_do_not_come_back_in_new_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
