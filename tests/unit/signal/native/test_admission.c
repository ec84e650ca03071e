#include "signal/access/admission.h"
#include "signal_harness.h"

/** An endpoint that only remembers what it was asked. */
struct endpoint {
    struct admission admission;
    size_t asked;
    int result;
    char session[64];
    char room[64];
};

static struct endpoint endpoint;

static int ask(struct admission *admission, const struct admission_question *question)
{
    struct endpoint *self = container_of(admission, struct endpoint, admission);
    self->asked++;
    snprintf(self->session, sizeof(self->session), "%s", question->session);
    snprintf(self->room, sizeof(self->room), "%s", question->room ? question->room : "");
    return self->result;
}

static int set_up_asking(void **state)
{
    (void)state;
    endpoint = (struct endpoint){ .admission.ask = ask };
    world_start(&(struct native_config){ .require_token = true, .admission = &endpoint.admission });
    return 0;
}

static int set_up_passwords(void **state)
{
    (void)state;
    endpoint = (struct endpoint){ .admission.ask = ask };
    world_start(&(struct native_config){ .passwords = &endpoint.admission });
    return 0;
}

static bool answers_moderator;

static void answer(int result, const char *room, const char *user)
{
    struct admission_answer given = { .result = result, .grants.moderator = answers_moderator };
    snprintf(given.grants.room, sizeof(given.grants.room), "%s", room);
    snprintf(given.grants.user, sizeof(given.grants.user), "%s", user);
    signal_native_admitted(world.native, world.now_us, endpoint.session, &given);
}

/** The reply that came to a request; NULL: none yet. */
static json_t *reply_to(struct client *client, uint64_t id)
{
    for (size_t i = 0; i < client->count; i++) {
        if (json_integer_value(json_object_get(client->inbox[i], "id")) == (json_int_t)id)
            return client_take(client, i);
    }
    return NULL;
}

static void test_a_join_waits_for_its_answer_and_gets_what_that_grants(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    assert_null(client_ask(&ada, join_request("room", "Ada")));
    assert_int_equal(endpoint.asked, 1);
    assert_string_equal(endpoint.room, "room");
    // one at a time
    assert_string_equal(client_refused(&ada, join_request("room", "Ada")), "bad_request");
    answer(0, "room", "ada");
    json_t *reply = reply_to(&ada, 2);
    assert_non_null(reply);
    assert_string_equal(type_of(reply), "ok");
    json_t *members = json_object_get(json_object_get(reply, "result"), "members");
    assert_string_equal(text_at(json_array_get(members, 0), "user"), "ada");
    // an answer that comes twice does nothing
    answer(0, "room", "ada");
    assert_int_equal(ada.count, 0);
    client_done(&ada);
}

static void test_refusals_failures_and_other_rooms_let_nobody_in(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    static const struct {
        int result;
        const char *room;
        const char *code;
    } cases[] = {
        { -EACCES, "", "not_permitted" },
        { -EAGAIN, "", "server_full" },
        { 0, "other", "token_invalid" },
        { 0, "", "token_invalid" },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        assert_null(client_ask(&ada, join_request("room", "Ada")));
        answer(cases[i].result, cases[i].room, "");
        json_t *reply = reply_to(&ada, ada.next_id);
        assert_non_null(reply);
        assert_string_equal(text_at(reply, "code"), cases[i].code);
    }
    endpoint.result = -EAGAIN; // it cannot even be asked
    assert_string_equal(client_refused(&ada, join_request("room", "Ada")), "server_full");
    assert_int_equal(room_directory_metrics(&world.rooms).values[0], 0);
    client_done(&ada);
}

static void test_an_answer_waits_for_a_client_that_is_away(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    assert_null(client_ask(&ada, join_request("room", "Ada")));
    client_break(&ada, 1006);
    answer(0, "room", "");
    assert_null(room_directory_find(&world.rooms, "room"));
    assert_string_equal(type_of(client_resume(&ada)), "ok");
    json_t *reply = reply_to(&ada, 2);
    assert_non_null(reply);
    assert_string_equal(type_of(reply), "ok");
    client_done(&ada);
}

static void test_an_answer_for_one_who_is_gone_is_for_nobody(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    assert_null(client_ask(&ada, join_request("room", "Ada")));
    client_done(&ada);
    answer(0, "room", "");
    assert_null(room_directory_find(&world.rooms, "room"));
}

static json_t *sign_in(struct client *client, const char *user, bool moderator)
{
    client_hello(client);
    json_t *request = json_pack("{s:s,s:s,s:s}", "type", "register", "user", user, "password", "x");
    assert_null(client_ask(client, request));
    answers_moderator = moderator;
    answer(0, "", user);
    answers_moderator = false;
    return reply_to(client, client->next_id);
}

static bool moderates(struct client *client, const char *room)
{
    json_t *joined = client_must(client, join_request(room, "Any"));
    const char *own = text_at(joined, "self");
    size_t place;
    json_t *member;
    json_array_foreach(json_object_get(joined, "members"), place, member)
    {
        if (strcmp(text_at(member, "id"), own) == 0)
            return is_true_at(member, "moderator");
    }
    fail();
    return false;
}

static void test_a_password_is_asked_about_and_a_moderator_moderates_rooms(void **state)
{
    (void)state;
    struct client first, ada, ben;
    client_enter(&first, "room", "First");
    assert_string_equal(type_of(sign_in(&ada, "ada", true)), "ok");
    assert_string_equal(type_of(sign_in(&ben, "ben", false)), "ok");
    assert_true(moderates(&ada, "room"));
    assert_false(moderates(&ben, "room"));
    client_done(&first);
    client_done(&ada);
    client_done(&ben);
}

static void test_a_wrong_password_is_refused_as_such(void **state)
{
    (void)state;
    struct client ada;
    client_hello(&ada);
    json_t *request =
        json_pack("{s:s,s:s,s:s}", "type", "register", "user", "ada", "password", "x");
    assert_null(client_ask(&ada, request));
    answer(-EACCES, "", "");
    json_t *reply = reply_to(&ada, ada.next_id);
    assert_string_equal(text_at(reply, "code"), "login_refused");
    client_done(&ada);
}

int main(void)
{
#define ASKING(test) cmocka_unit_test_setup_teardown(test, set_up_asking, tear_down)
    const struct CMUnitTest tests[] = {
        ASKING(test_a_join_waits_for_its_answer_and_gets_what_that_grants),
        ASKING(test_refusals_failures_and_other_rooms_let_nobody_in),
        ASKING(test_an_answer_waits_for_a_client_that_is_away),
        ASKING(test_an_answer_for_one_who_is_gone_is_for_nobody),
        cmocka_unit_test_setup_teardown(
            test_a_password_is_asked_about_and_a_moderator_moderates_rooms, set_up_passwords,
            tear_down),
        cmocka_unit_test_setup_teardown(test_a_wrong_password_is_refused_as_such, set_up_passwords,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
