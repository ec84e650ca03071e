// Calls to rooms: a directory of calls, rooms, and a media server that only keeps books.
#include "signal/focus/focus.h"

#include "../model/model_harness.h"
#include "support/fake_media.h"

static struct fake_media media;
static struct random entropy;
static struct room_directory rooms;
static struct focus focus;

/** The operator's endpoint: it remembers the question, and answers when the test does. */
static struct {
    struct admission admission;
    int result;
    uint32_t asked;
    char session[64];
    char room[64];
    char name[64];
} hook;

/** One who is in the room by its own language. */
static struct {
    struct room_observer observer;
    struct room_member *member;
    uint32_t joined, left;
} host;

static struct fake_device ann, ben;
static char id[CALL_ID_SIZE];

static int ask(struct admission *self, const struct admission_question *question)
{
    (void)self;
    assert_int_equal(question->purpose, ADMISSION_JOIN);
    hook.asked++;
    snprintf(hook.session, sizeof(hook.session), "%s", question->session);
    snprintf(hook.room, sizeof(hook.room), "%s", question->room);
    snprintf(hook.name, sizeof(hook.name), "%s", question->name);
    return hook.result;
}

static void hear(struct room_observer *observer, const struct room_event *event)
{
    (void)observer;
    host.joined += event->kind == ROOM_EVENT_MEMBER_JOINED;
    host.left += event->kind == ROOM_EVENT_MEMBER_LEFT;
}

static int begin(void **state)
{
    set_up(state);
    fake_media_init(&media);
    random_seeded_init(&entropy, 5);
    memset(&hook, 0, sizeof(hook));
    memset(&host, 0, sizeof(host));
    hook.admission.ask = ask;
    host.observer.notify = hear;
    room_directory_init(&rooms, &(struct room_directory_config){ .media = &media.control,
                                                                 .random = &entropy,
                                                                 .room_count_max = 10,
                                                                 .member_count_max = 3,
                                                                 .viewer_count_max = 3,
                                                                 .track_count_max = 8,
                                                                 .audio_slot_count_max = 8,
                                                                 .video_slot_count_max = 8,
                                                                 .auto_create = true });
    focus_init(&focus, &(struct focus_config){
                           .rooms = &rooms, .calls = &model.calls, .random = &entropy });
    model.calls.config.rooms = &focus.ops;
    enter(&ann, CALL_BINDING_PEERJS, "ann");
    enter_as(&ben, CALL_BINDING_MQTT, "ben", "Ben", true);
    return 0;
}

static int end(void **state)
{
    go(&ann);
    go(&ben);
    focus_done(&focus, model.now_us);
    room_directory_done(&rooms);
    fake_media_done(&media);
    return tear_down(state);
}

static void run(void)
{
    do
        take_media_events(&rooms, model.now_us);
    while (focus_run(&focus, model.now_us));
}

/** Calls with an offer of the short form, by grants. */
static int call_with(struct fake_device *caller, const char *to, const char *form,
                     const struct token_grants *grants)
{
    char *offer = fake_offer_text(form);
    const struct call_request request = {
        .to = to, .sdp = offer, .media = CALL_MEDIA_VIDEO, .grants = grants
    };
    int result = call_start(&model.calls, &caller->device, model.now_us, &request, id);
    free(offer);
    return result;
}

static void expect_accepted(struct fake_device *caller)
{
    char heard[64];
    snprintf(heard, sizeof(heard), "%.24s", hears(caller));
    assert_string_equal(heard, "accepted by demo: v=0\r\na");
    assert_string_equal(hears(caller), "candidate: end");
}

static struct room *demo(void)
{
    return room_directory_find(&rooms, "demo");
}

static void host_joins(const char *form)
{
    struct room *room;
    assert_int_equal(room_directory_open(&rooms, model.now_us, "demo", true, &room), 0);
    assert_int_equal(room_join(room,
                               &(struct room_join){ .name = "Host",
                                                    .ban_key = "host",
                                                    .moderator = true,
                                                    .auto_subscribe = true,
                                                    .observer = &host.observer },
                               &host.member),
                     0);
    char *offer = fake_offer_text(form);
    struct media_answer answer;
    const char *problem;
    const struct room_offer request = { .sdp = bytes_of_text(offer), .plain = true };
    assert_int_equal(room_member_offer(host.member, &request, &answer, &problem), 0);
    free(offer);
    free(answer.sdp);
    free(answer.sections);
    run();
}

static struct room_member *find_member(const char *name)
{
    struct room_member *member = NULL;
    while (demo() && (member = room_next_member(demo(), member))) {
        if (strcmp(member->name, name) == 0)
            return member;
    }
    return NULL;
}

static uint64_t counted(enum focus_metric metric)
{
    return metric_get(&focus.metrics[metric]);
}

static void test_a_caller_is_a_member_that_sends_and_receives_in_the_same_sections(void **state)
{
    (void)state;
    host_joins("a+v+a-v-");
    assert_int_equal(call_with(&ben, "demo@rooms", "a*v*", NULL), 0);
    assert_int_equal(host.joined, 0); // nothing happens within the call of the model
    run();
    expect_accepted(&ben);
    assert_int_equal(host.joined, 1);
    struct room_member *member = find_member("Ben");
    assert_non_null(member);
    assert_string_equal(member->user, "ben");
    assert_int_equal(member->publication_count, 2);
    assert_int_equal(room_member_find_mid(member, "0")->source, ROOM_SOURCE_MICROPHONE);
    assert_int_equal(room_member_find_mid(member, "1")->source, ROOM_SOURCE_CAMERA);
    struct fake_session *callers = fake_media_find(&media, member->media);
    struct fake_session *hosts = fake_media_find(&media, host.member->media);
    assert_int_equal(callers->sections[1].filled_by, host.member->media);
    assert_int_equal(hosts->sections[3].filled_by, member->media);
    assert_int_equal(hang_up(&ben, id), 0);
    run();
    assert_null(find_member("Ben"));
    assert_int_equal(host.left, 1);
    assert_int_equal(counted(FOCUS_METRIC_CALLS), 0);
    assert_string_equal(last_record()->callee, "demo@rooms");
    assert_int_equal(last_record()->callee_binding, CALL_BINDING_ROOM);
    room_leave(host.member, model.now_us, ROOM_LEFT_LEFT);
}

static void test_a_later_offer_is_answered(void **state)
{
    (void)state;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    expect_accepted(&ann);
    char *offer = fake_offer_text("a*v*");
    assert_int_equal(call_pass_offer(&model.calls, &ann.device, model.now_us, id, offer), 0);
    free(offer);
    run();
    assert_int_equal(strncmp(hears(&ann), "answer: v=0", 11), 0);
    assert_int_equal(find_member("ann")->publication_count, 2);
    // one that cannot be ends the call: its caller would wait for ever
    media.refuse_offers = true;
    assert_int_equal(call_pass_offer(&model.calls, &ann.device, model.now_us, id, "v=0"), 0);
    run();
    assert_hears(&ann, "ended: hangup");
    assert_null(find_member("ann"));
}

static void test_what_cannot_be_answered_is_rejected(void **state)
{
    (void)state;
    media.refuse_offers = true;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*v*", NULL), 0);
    run();
    assert_hears(&ann, "ended: rejected");
    assert_int_equal(counted(FOCUS_METRIC_REFUSED_OFFER), 1);
    assert_int_equal(media.sessions.count, 0);
}

static void test_a_full_room_is_busy_and_a_locked_one_rejects(void **state)
{
    (void)state;
    host_joins("a+");
    room_lock(demo(), true);
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    assert_hears(&ann, "ended: rejected");
    room_lock(demo(), false);
    demo()->member_count_max = 1;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    assert_hears(&ann, "ended: busy");
    assert_int_equal(counted(FOCUS_METRIC_REFUSED_ROOM), 2);
    room_leave(host.member, model.now_us, ROOM_LEFT_LEFT);
}

static void test_who_is_removed_is_hung_up_and_stays_out(void **state)
{
    (void)state;
    host_joins("a+");
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    expect_accepted(&ann);
    room_kick(find_member("ann"), model.now_us, NULL);
    run();
    assert_hears(&ann, "ended: hangup");
    assert_int_equal(counted(FOCUS_METRIC_REMOVED), 1);
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    assert_hears(&ann, "ended: rejected");
    room_leave(host.member, model.now_us, ROOM_LEFT_LEFT);
}

static void test_media_that_fails_or_stays_away_ends_the_call(void **state)
{
    (void)state;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    expect_accepted(&ann);
    fake_media_report(&media, MEDIA_EVENT_FAILED, find_member("ann")->media, NULL, false, 0);
    run();
    assert_hears(&ann, "ended: hangup");
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    expect_accepted(&ann);
    media_session session = find_member("ann")->media;
    fake_media_report(&media, MEDIA_EVENT_CONNECTED, session, NULL, false, 0);
    run();
    assert_int_equal(focus_deadline(&focus), TIME_NEVER);
    fake_media_report(&media, MEDIA_EVENT_DISCONNECTED, session, NULL, false, 0);
    run();
    model.now_us = focus_deadline(&focus) - 1;
    focus_tick(&focus, model.now_us);
    assert_hears(&ann, "nothing");
    focus_tick(&focus, ++model.now_us);
    assert_hears(&ann, "ended: hangup");
    assert_int_equal(counted(FOCUS_METRIC_LOST), 1);
}

static void test_tokens_decide_where_they_are_asked_for(void **state)
{
    (void)state;
    struct token_grants grants = { .room = "de*", .name = "The Guest" };
    grants.denials.publish = 1u << ROOM_SOURCE_CAMERA;
    focus_reload(&focus, &(struct focus_config){ .require_token = true });
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), -EACCES);
    assert_int_equal(call_with(&ann, "other@rooms", "a*", &grants), -EACCES);
    grants.join_denied = true;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", &grants), -EACCES);
    grants.join_denied = false;
    // what it may not publish is in the offer
    assert_int_equal(call_with(&ann, "demo@rooms", "a*v*", &grants), 0);
    run();
    assert_hears(&ann, "ended: rejected");
    assert_int_equal(call_with(&ann, "demo@rooms", "a*v-", &grants), 0);
    run();
    expect_accepted(&ann);
    assert_non_null(find_member("The Guest"));
    assert_int_equal(counted(FOCUS_METRIC_REFUSED_TOKEN), 3);
}

static void test_the_operators_endpoint_is_asked_for_who_shows_nothing(void **state)
{
    (void)state;
    struct admission_answer answer = { .grants = { .room = "demo", .moderator = true } };
    focus_reload(&focus,
                 &(struct focus_config){ .require_token = true, .admission = &hook.admission });
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    run();
    assert_int_equal(hook.asked, 1);
    assert_string_equal(hook.room, "demo");
    assert_string_equal(hook.name, "ann");
    assert_hears(&ann, "nothing");
    focus_admitted(&focus, "somebody else's", &answer);
    focus_admitted(&focus, hook.session, &answer);
    run();
    expect_accepted(&ann);
    assert_true(find_member("ann")->moderator);
    assert_int_equal(hang_up(&ann, id), 0);
    answer.result = -EACCES;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    focus_admitted(&focus, hook.session, &answer);
    run();
    assert_hears(&ann, "ended: rejected");
    // who hangs up meanwhile is not waited for, and who cannot be asked about does not come in
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    assert_int_equal(hang_up(&ann, id), 0);
    run();
    focus_admitted(&focus, hook.session, &answer);
    hook.result = -EBUSY;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    assert_hears(&ann, "ended: rejected");
    assert_int_equal(counted(FOCUS_METRIC_REFUSED_UNDECIDED), 1);
}

static bool standing;

static bool stands(void *owner, const struct token_grants *grants)
{
    (void)owner;
    assert_string_equal(grants->id, "a token");
    return standing;
}

static void test_a_token_that_was_shown_before_must_still_hold(void **state)
{
    (void)state;
    const struct token_grants grants = { .room = "*", .id = "a token" };
    focus.config.stands = stands;
    standing = false; // expired, or revoked
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", &grants), -EACCES);
    standing = true;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", &grants), 0);
    run();
    expect_accepted(&ann);
}

static void test_a_token_without_a_room_vouches_for_a_name_alone(void **state)
{
    (void)state;
    const struct token_grants grants = {
        .user = "ann", .name = "Ann", .moderator = true, .hidden = true
    };
    host_joins("a*");
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", &grants), 0);
    run();
    expect_accepted(&ann);
    assert_non_null(find_member("Ann"));
    assert_string_equal(find_member("Ann")->user, "ann");
    assert_false(find_member("Ann")->moderator);
    assert_false(find_member("Ann")->hidden);
}

static void test_the_operators_endpoint_names_callers(void **state)
{
    (void)state;
    const struct admission_answer answer = { .grants = { .room = "demo", .name = "Dr Ben" } };
    focus_reload(&focus,
                 &(struct focus_config){ .require_token = true, .admission = &hook.admission });
    assert_int_equal(call_with(&ben, "demo@rooms", "a*", NULL), 0);
    run();
    assert_string_equal(hook.name, "Ben");
    focus_admitted(&focus, hook.session, &answer);
    run();
    expect_accepted(&ben);
    assert_non_null(find_member("Dr Ben"));
    assert_string_equal(find_member("Dr Ben")->user, "ben"); // for which his login speaks
}

static void test_who_called_before_tokens_were_asked_for_needs_one(void **state)
{
    (void)state;
    focus_reload(&focus,
                 &(struct focus_config){ .require_token = true, .admission = &hook.admission });
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    focus_reload(&focus, &(struct focus_config){ .require_token = true });
    run();
    assert_hears(&ann, "ended: rejected");
    assert_int_equal(hook.asked, 0);
}

static void test_a_device_is_in_few_rooms_at_a_time(void **state)
{
    (void)state;
    char first[CALL_ID_SIZE];
    for (int i = 0; i < CALL_ROOMS_MAX; i++) {
        char to[] = "demo0@rooms";
        to[4] = (char)('0' + i);
        assert_int_equal(call_with(&ann, to, "a*", NULL), 0);
        if (i == 0)
            memcpy(first, id, sizeof(first));
        run();
    }
    assert_int_equal(call_with(&ann, "other@rooms", "a*", NULL), -EMFILE);
    assert_int_equal(hang_up(&ann, first), 0);
    run();
    assert_int_equal(call_with(&ann, "other@rooms", "a*", NULL), 0);
    run();
    assert_int_equal(counted(FOCUS_METRIC_CALLS), CALL_ROOMS_MAX);
}

static void test_callers_do_not_run_the_room(void **state)
{
    (void)state;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    assert_false(find_member("ann")->moderator);
    for (int i = 0; i < 2; i++) { // nor does who leaves leave it to them
        struct room_member *guest;
        assert_int_equal(
            room_join(demo(), &(struct room_join){ .name = "Guest", .observer = &host.observer },
                      &guest),
            0);
        assert_true(guest->moderator);
        room_leave(guest, model.now_us, ROOM_LEFT_LEFT);
        run();
        assert_false(find_member("ann")->moderator);
    }
}

static void test_a_call_that_does_not_begin_leaves_nothing(void **state)
{
    (void)state;
    model.calls.config.call_count_max = 0;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), -ENOSPC);
    assert_int_equal(counted(FOCUS_METRIC_CALLS), 1);
    run();
    assert_int_equal(counted(FOCUS_METRIC_CALLS), 0);
}

static void test_no_user_and_no_link_has_the_address_of_a_room(void **state)
{
    (void)state;
    struct fake_device eve;
    bool waits;
    memset(&eve, 0, sizeof(eve));
    call_device_init(&eve.device, &fake_ops, CALL_BINDING_NATIVE);
    assert_int_equal(call_device_register(&model.calls, &eve.device, "demo@rooms", "Eve", true),
                     -EACCES);
    assert_int_equal(call_device_link(&model.calls, &eve.device, "demo@rooms", "Eve", &waits), 0);
    assert_false(waits); // the room is there to be called
    assert_int_equal(call_device_register(&model.calls, &eve.device, "@rooms", "Eve", true), 0);
    go(&eve);
}

static void test_the_end_of_the_server_ends_calls(void **state)
{
    (void)state;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    expect_accepted(&ann);
    focus_done(&focus, model.now_us);
    assert_hears(&ann, "ended: hangup");
    focus_init(&focus, &(struct focus_config){
                           .rooms = &rooms, .calls = &model.calls, .random = &entropy });
}

static void test_a_caller_that_is_away_is_shown_so(void **state)
{
    (void)state;
    assert_int_equal(call_with(&ann, "demo@rooms", "a*", NULL), 0);
    run();
    expect_accepted(&ann);
    call_device_set_away(&model.calls, &ann.device, true);
    run();
    assert_true(find_member("ann")->away);
    call_device_set_away(&model.calls, &ann.device, false);
    run();
    assert_false(find_member("ann")->away);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_caller_is_a_member_that_sends_and_receives_in_the_same_sections),
        TEST(test_a_later_offer_is_answered),
        TEST(test_what_cannot_be_answered_is_rejected),
        TEST(test_a_full_room_is_busy_and_a_locked_one_rejects),
        TEST(test_who_is_removed_is_hung_up_and_stays_out),
        TEST(test_media_that_fails_or_stays_away_ends_the_call),
        TEST(test_tokens_decide_where_they_are_asked_for),
        TEST(test_the_operators_endpoint_is_asked_for_who_shows_nothing),
        TEST(test_a_token_that_was_shown_before_must_still_hold),
        TEST(test_a_token_without_a_room_vouches_for_a_name_alone),
        TEST(test_the_operators_endpoint_names_callers),
        TEST(test_who_called_before_tokens_were_asked_for_needs_one),
        TEST(test_a_device_is_in_few_rooms_at_a_time),
        TEST(test_callers_do_not_run_the_room),
        TEST(test_a_call_that_does_not_begin_leaves_nothing),
        TEST(test_no_user_and_no_link_has_the_address_of_a_room),
        TEST(test_the_end_of_the_server_ends_calls),
        TEST(test_a_caller_that_is_away_is_shown_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
