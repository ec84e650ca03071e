// How users can be reached, who is told, and what lists show.
#include "support/check.h"

#include <errno.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "signal/model/calls.h"

#define S TIME_US_PER_S

static struct random source;
static struct call_directory directory;
static uint64_t now_us;

static void ignore(struct call_device *device, const struct call_event *event)
{
    (void)device;
    (void)event;
}

static const struct call_device_ops ops = { .notify = ignore };

static const struct contact_account accounts[] = {
    { "ann", "Ann A." },
    { "ben", NULL },
    { "bert", "Bert" },
};

static size_t list_accounts(void *owner, const char *prefix, size_t limit,
                            struct contact_account *ret_accounts)
{
    (void)owner;
    size_t count = 0;
    for (size_t i = 0; i < array_size(accounts) && count < limit; i++) {
        if (text_starts_with(bytes_of_text(accounts[i].user), prefix))
            ret_accounts[count++] = accounts[i];
    }
    return count;
}

static void start(bool hide_guests)
{
    random_seeded_init(&source, 7);
    now_us = 100 * S;
    call_directory_init(&directory, &(struct call_directory_config){ .random = &source,
                                                                     .accounts = list_accounts,
                                                                     .hide_guests = hide_guests });
}

static int set_up(void **state)
{
    (void)state;
    start(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    call_directory_done(&directory);
    return 0;
}

static void enter(struct call_device *device, const char *user, bool verified)
{
    call_device_init(device, &ops, CALL_BINDING_NATIVE);
    assert_int_equal(call_device_register(&directory, device, user, NULL, verified), 0);
}

static void leave(struct call_device *device)
{
    call_device_done(&directory, device, now_us, CALL_ENDED_HANGUP);
}

static void pass(uint64_t us)
{
    uint64_t end = now_us + us, deadline;
    while ((deadline = call_directory_deadline(&directory)) <= end) {
        now_us = max_of(deadline, now_us);
        call_directory_tick(&directory, now_us);
    }
    now_us = end;
}

/** A watcher that writes down what it hears, as "ben:online ". */
struct ear {
    struct presence_watcher watcher;
    struct presence_all all;
    char heard[512];
};

static const char *const words[] = { "offline", "away", "online", "busy", "dnd" };

static void note(struct ear *ear, const char *user, const struct presence_view *view)
{
    size_t length = strlen(ear->heard);
    snprintf(ear->heard + length, sizeof(ear->heard) - length, "%s:%s ", user,
             words[view->presence]);
}

static void hear(struct presence_watcher *watcher, const char *user,
                 const struct presence_view *view)
{
    note(container_of(watcher, struct ear, watcher), user, view);
}

static void hear_all(struct presence_all *all, const char *user, const struct presence_view *view)
{
    note(container_of(all, struct ear, all), user, view);
}

static void ear_init(struct ear *ear)
{
    memset(ear, 0, sizeof(*ear));
    presence_watcher_init(&ear->watcher, hear);
    ear->all.notify = hear_all;
}

static void assert_hears(struct ear *ear, const char *expected)
{
    pass(2 * S);
    assert_string_equal(ear->heard, expected);
    ear->heard[0] = 0;
}

static void watch(struct ear *ear, const char *user)
{
    assert_int_equal(presence_watch(&directory, &ear->watcher, user), 0);
}

static void talk(struct call_device *caller, struct call_device *callee, char id[CALL_ID_SIZE])
{
    struct call_request request = { .to = call_device_user(callee), .sdp = "v=0" };
    assert_int_equal(call_start(&directory, caller, now_us, &request, id), 0);
    assert_int_equal(call_accept(&directory, callee, now_us, id, "v=0"), 0);
}

static void test_watchers_hear_of_every_state(void **state)
{
    (void)state;
    struct call_device ben, cy;
    struct ear ear, other;
    ear_init(&ear);
    ear_init(&other);
    watch(&ear, "ben");
    watch(&other, "somebody");
    enter(&ben, "ben", false);
    assert_hears(&ear, "ben:online ");
    assert_int_equal(presence_choose(&directory, &ben, PRESENCE_AWAY), 0);
    assert_hears(&ear, "ben:away ");
    assert_int_equal(presence_choose(&directory, &ben, PRESENCE_ONLINE), 0);
    assert_hears(&ear, "ben:online ");
    call_device_set_away(&directory, &ben, true);
    assert_hears(&ear, "ben:away ");
    call_device_set_away(&directory, &ben, false);
    assert_hears(&ear, "ben:online ");
    enter(&cy, "cy", false);
    char id[CALL_ID_SIZE];
    talk(&cy, &ben, id);
    assert_hears(&ear, "ben:busy ");
    assert_int_equal(call_hangup(&directory, &ben, now_us, id), 0);
    assert_hears(&ear, "ben:online ");
    leave(&ben);
    assert_hears(&ear, "ben:offline ");
    assert_string_equal(other.heard, "");
    presence_watcher_clear(&directory, &ear.watcher);
    presence_watcher_clear(&directory, &other.watcher);
    leave(&cy);
}

static void
test_the_liveliest_device_counts_and_one_that_wants_no_calls_speaks_for_all(void **state)
{
    (void)state;
    struct call_device phone, desk, cy;
    struct ear ear;
    ear_init(&ear);
    watch(&ear, "ben");
    enter(&phone, "ben", true);
    enter(&desk, "ben", true);
    call_device_set_away(&directory, &phone, true);
    assert_hears(&ear, "ben:online ");
    assert_int_equal(presence_choose(&directory, &phone, PRESENCE_DND), 0);
    assert_hears(&ear, "ben:dnd ");
    enter(&cy, "cy", false);
    char id[CALL_ID_SIZE];
    struct call_request request = { .to = "ben", .sdp = "v=0" };
    assert_int_equal(call_start(&directory, &cy, now_us, &request, id), -EBUSY);
    leave(&phone); // and with it what it said
    assert_hears(&ear, "ben:online ");
    assert_int_equal(call_start(&directory, &cy, now_us, &request, id), 0);
    assert_hears(&ear, ""); // who only rings is not busy: nobody learns that somebody calls
    presence_watcher_clear(&directory, &ear.watcher);
    leave(&desk);
    leave(&cy);
}

static void test_what_changes_fast_is_told_once_a_second(void **state)
{
    (void)state;
    struct call_device ben;
    struct ear ear;
    ear_init(&ear);
    watch(&ear, "ben");
    enter(&ben, "ben", false);
    pass(0);
    assert_string_equal(ear.heard, "ben:online ");
    ear.heard[0] = 0;
    for (int i = 0; i < 100; i++) {
        leave(&ben);
        call_directory_tick(&directory, now_us); // for whatever else
        pass(S / 1000);
        enter(&ben, "ben", false);
        pass(S / 1000);
    }
    assert_string_equal(ear.heard, "");
    leave(&ben);
    pass(S / 2);
    assert_string_equal(ear.heard, "");
    assert_hears(&ear, "ben:offline ");
    presence_watcher_clear(&directory, &ear.watcher);
    pass(2 * S);
    assert_int_equal(directory.presence.users.count, 0);
}

static void test_a_watcher_watches_so_many_and_no_more(void **state)
{
    (void)state;
    struct ear ear;
    ear_init(&ear);
    char name[16];
    for (int i = 0; i < PRESENCE_WATCHED_MAX; i++) {
        snprintf(name, sizeof(name), "u%d", i);
        watch(&ear, name);
    }
    assert_int_equal(presence_watch(&directory, &ear.watcher, "more"), -ENOSPC);
    assert_int_equal(directory.presence.users.count, PRESENCE_WATCHED_MAX);
    presence_watcher_clear(&directory, &ear.watcher);
    assert_int_equal(directory.presence.users.count, 0);
    watch(&ear, "more");
    presence_watcher_clear(&directory, &ear.watcher);
}

static void test_one_who_watches_all_hears_of_all(void **state)
{
    (void)state;
    struct call_device ann, ben;
    struct ear ear, one;
    ear_init(&ear);
    ear_init(&one);
    enter(&ann, "ann", false);
    presence_watch_all(&directory, &ear.all);
    assert_hears(&ear, "ann:online ");
    watch(&one, "ben");
    enter(&ben, "ben", false);
    assert_hears(&ear, "ben:online ");
    leave(&ann);
    assert_hears(&ear, "ann:offline ");
    assert_int_equal(directory.presence.users.count, 1);
    presence_unwatch_all(&directory, &ear.all);
    leave(&ben);
    assert_hears(&one, "ben:online ben:offline ");
    assert_string_equal(ear.heard, "");
    presence_watcher_clear(&directory, &one.watcher);
}

/** As "ann* ben=Ben ": a star for who is offline. */
static const char *listed(const struct call_device *asker, const char *prefix, size_t limit)
{
    static char text[512];
    struct contact contacts[16];
    text[0] = 0;
    int count = contacts_list(&directory, asker, prefix, limit, contacts);
    if (count < 0)
        return count == -ENOENT ? "not registered" : "hidden";
    for (int i = 0; i < count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof(text) - length, "%s%s=%s ", contacts[i].user,
                 contacts[i].view.presence == PRESENCE_OFFLINE ? "*" : "", contacts[i].name);
    }
    return text;
}

static void test_lists_have_accounts_and_who_is_there(void **state)
{
    (void)state;
    struct call_device ben, cy, guest, nobody;
    call_device_init(&nobody, &ops, CALL_BINDING_NATIVE);
    enter(&ben, "ben", true);
    enter(&cy, "cy", true);
    enter(&guest, "bob", false);
    assert_string_equal(listed(&cy, "", 16), "ann*=Ann A. ben=ben bert*=Bert bob=bob ");
    assert_string_equal(listed(&ben, "", 16), "ann*=Ann A. bert*=Bert bob=bob cy=cy ");
    assert_string_equal(listed(&cy, "b", 16), "ben=ben bert*=Bert bob=bob ");
    assert_string_equal(listed(&cy, "b", 2), "ben=ben bert*=Bert ");
    assert_string_equal(listed(&ben, "b", 2), "bert*=Bert bob=bob ");
    assert_string_equal(listed(&cy, "x", 16), "");
    // strangers do not learn which accounts there are
    assert_string_equal(listed(&guest, "", 16), "ben=ben cy=cy ");
    assert_string_equal(listed(&nobody, "", 16), "not registered");
    leave(&ben);
    leave(&cy);
    leave(&guest);
    assert_int_equal(directory.shown.count, 0);
}

static void test_guests_can_be_hidden(void **state)
{
    (void)state;
    call_directory_done(&directory);
    start(true);
    struct call_device ben, guest;
    enter(&ben, "ben", true);
    enter(&guest, "bob", false);
    assert_string_equal(listed(&ben, "", 16), "ann*=Ann A. bert*=Bert ");
    assert_string_equal(listed(&guest, "", 16), "hidden");
    leave(&ben);
    leave(&guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_watchers_hear_of_every_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_the_liveliest_device_counts_and_one_that_wants_no_calls_speaks_for_all, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(test_what_changes_fast_is_told_once_a_second, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_watcher_watches_so_many_and_no_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_one_who_watches_all_hears_of_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lists_have_accounts_and_who_is_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_guests_can_be_hidden, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
