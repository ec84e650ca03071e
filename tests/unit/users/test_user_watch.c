// What a running server sees of changes that another process makes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/clock.h"
#include "users/user_watch.h"

#define PATIENCE_US (60 * TIME_US_PER_S)

/** What a listener was told, as text: "ann gone;". */
struct ear {
    struct user_listener listener;
    char heard[256];
};

struct place {
    char folder[64];
    char path[96];
    struct loop loop;
    struct user_watch *watch;
    unsigned changes;
};

static void changed(void *owner)
{
    struct place *place = owner;
    place->changes++;
}

static struct user_store *open_store(const char *path)
{
    struct user_store *store = NULL;
    char text[512];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    assert_int_equal(user_store_open(path, &store, &problem), 0);
    return store;
}

static void add(const char *path, const char *name, const char *realm)
{
    struct user_store *store = open_store(path);
    struct user_keys keys = { .has_digest = true, .md5 = { 1 }, .sha256 = { 2 } };
    assert_int_equal(user_store_add(store, name, realm, &keys, 1), 0);
    user_store_close(store);
}

static void open_watch(struct place *place)
{
    struct user_watch_config config = { .loop = &place->loop,
                                        .path = place->path,
                                        .realm = "roost",
                                        .interval_us = TIME_US_PER_MS,
                                        .changed = changed,
                                        .owner = place };
    char text[512];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    assert_int_equal(user_watch_open(&config, &place->watch, &problem), 0);
}

static int set_up(void **state)
{
    struct place *place = memory_new(struct place);
    snprintf(place->folder, sizeof(place->folder), "/tmp/roost-watch-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/%s", place->folder, DATA_FILE_USERS);
    assert_int_equal(loop_init(&place->loop), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    place->watch = user_watch_close(place->watch);
    loop_done(&place->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static void turn_until_changes(struct place *place, unsigned changes)
{
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    while (place->changes < changes && clock_now_us() < end_us)
        loop_turn(&place->loop, 10 * TIME_US_PER_MS);
    assert_int_equal(place->changes, changes);
}

static void those_of_the_start_are_there_at_once(void **state)
{
    struct place *place = *state;
    add(place->path, "ann", "roost");
    add(place->path, "bob", "elsewhere");
    open_watch(place);
    assert_int_equal(user_watch_users(place->watch)->count, 1);
    assert_string_equal(user_watch_users(place->watch)->items[0].name, "ann");
    assert_int_equal(place->changes, 0);
}

static void a_change_of_another_process_is_told(void **state)
{
    struct place *place = *state;
    open_watch(place);
    assert_int_equal(user_watch_users(place->watch)->count, 0);
    add(place->path, "ann", "roost");
    turn_until_changes(place, 1);
    assert_int_equal(user_watch_users(place->watch)->count, 1);
    struct user_store *store = open_store(place->path);
    assert_int_equal(user_store_remove(store, "ann", "roost"), 0);
    user_store_close(store);
    turn_until_changes(place, 2);
    assert_int_equal(user_watch_users(place->watch)->count, 0);
}

static void a_file_that_was_put_back_is_read(void **state)
{
    struct place *place = *state;
    open_watch(place);
    char other[128];
    snprintf(other, sizeof(other), "%s/backup.db", place->folder);
    add(other, "zoe", "roost");
    assert_int_equal(rename(other, place->path), 0);
    turn_until_changes(place, 1);
    assert_string_equal(user_watch_users(place->watch)->items[0].name, "zoe");
}

static void a_damaged_file_leaves_the_users_known_before(void **state)
{
    struct place *place = *state;
    add(place->path, "ann", "roost");
    open_watch(place);
    char other[128];
    snprintf(other, sizeof(other), "%s/broken", place->folder);
    FILE *file = fopen(other, "w");
    for (int i = 0; i < 500; i++)
        fputs("not a database\n", file);
    fclose(file);
    assert_int_equal(rename(other, place->path), 0);
    uint64_t end_us = clock_now_us() + 100 * TIME_US_PER_MS;
    while (clock_now_us() < end_us)
        loop_turn(&place->loop, 10 * TIME_US_PER_MS);
    assert_int_equal(place->changes, 0);
    assert_int_equal(user_watch_users(place->watch)->count, 1);

    snprintf(other, sizeof(other), "%s/backup.db", place->folder);
    add(other, "zoe", "roost");
    assert_int_equal(rename(other, place->path), 0);
    turn_until_changes(place, 1);
    assert_string_equal(user_watch_users(place->watch)->items[0].name, "zoe");
}

static void closing_waits_for_a_read_in_progress(void **state)
{
    struct place *place = *state;
    open_watch(place);
    add(place->path, "ann", "roost");
    // one turn submits the job; closing must neither hang nor call back
    uint64_t end_us = clock_now_us() + 5 * TIME_US_PER_MS;
    while (clock_now_us() < end_us)
        loop_turn(&place->loop, 0);
    unsigned before = place->changes;
    place->watch = user_watch_close(place->watch);
    assert_int_equal(place->changes, before);
}

static void hear(struct user_listener *listener, const char *name, enum user_fate fate)
{
    static const char *const words[] = { [USER_IS_NEW] = "new",
                                         [USER_IS_GONE] = "gone",
                                         [USER_IS_REKEYED] = "rekeyed",
                                         [USER_IS_RENAMED] = "renamed" };
    struct ear *ear = container_of(listener, struct ear, listener);
    size_t at = strlen(ear->heard);
    snprintf(ear->heard + at, sizeof(ear->heard) - at, "%s %s;", name, words[fate]);
}

static void listeners_hear_what_became_of_whom(void **state)
{
    struct place *place = *state;
    static const char *const names[] = { "ann", "ben", "cid", "dan", "eve", "fay", "gil" };
    for (size_t i = 0; i < array_size(names); i++)
        add(place->path, names[i], "roost");
    open_watch(place);
    struct ear ear = { .listener.changed = hear }, other = ear, gone = ear;
    user_watch_unlisten(&gone.listener);
    user_watch_listen(place->watch, &ear.listener);
    user_watch_listen(place->watch, &other.listener);
    user_watch_listen(place->watch, &gone.listener);
    user_watch_unlisten(&gone.listener);
    struct user_store *store = open_store(place->path);
    struct user_keys keys = { .has_digest = true, .sha256 = { 9 } };
    assert_int_equal(user_store_begin(store), 0);
    assert_int_equal(user_store_remove(store, "ann", "roost"), 0);
    assert_int_equal(user_store_set_disabled(store, "ben", "roost", true), 0);
    assert_int_equal(user_store_set_keys(store, "cid", "roost", &keys, 2), 0);
    assert_int_equal(user_store_set_role(store, "dan", "roost", USER_ROLE_MODERATOR), 0);
    assert_int_equal(user_store_set_display_name(store, "eve", "roost", "Eve"), 0);
    // removed, and made again by the same name later
    assert_int_equal(user_store_remove(store, "fay", "roost"), 0);
    assert_int_equal(user_store_add(store, "fay", "roost", &keys, 5), 0);
    assert_int_equal(user_store_add(store, "abe", "roost", &keys, 5), 0);
    assert_int_equal(user_store_add(store, "new", "roost", &keys, 5), 0);
    assert_int_equal(user_store_end(store, true), 0);
    turn_until_changes(place, 1);
    assert_string_equal(ear.heard, "abe new;ann gone;ben gone;cid rekeyed;dan renamed;eve renamed;"
                                   "fay gone;new new;");
    assert_string_equal(other.heard, ear.heard);
    assert_string_equal(gone.heard, "");
    // back again: that is nobody's loss
    ear.heard[0] = '\0';
    assert_int_equal(user_store_set_disabled(store, "ben", "roost", false), 0);
    user_store_close(store);
    turn_until_changes(place, 2);
    assert_string_equal(ear.heard, "");
    user_watch_unlisten(&ear.listener);
}

struct counter {
    struct user_listener listener;
    struct place *place;
    unsigned changed, told, most; /**< the most changes that were told at once */
    unsigned since;
};

static void count_change(struct user_listener *listener, const char *name, enum user_fate fate)
{
    struct counter *counter = container_of(listener, struct counter, listener);
    assert_int_equal(fate, USER_IS_NEW);
    assert_non_null(user_list_find(user_watch_users(counter->place->watch), bytes_of_text(name)));
    counter->changed++;
    counter->since++;
}

static void count_told(struct user_listener *listener)
{
    struct counter *counter = container_of(listener, struct counter, listener);
    counter->told++;
    counter->most = max_of(counter->most, counter->since);
    counter->since = 0;
    assert_int_equal(counter->place->changes, 0); // that comes behind the last ones
}

static void many_changes_are_told_some_at_a_time(void **state)
{
    struct place *place = *state;
    char name[16];
    open_watch(place);
    struct counter counter = { .listener = { .changed = count_change, .told = count_told },
                               .place = place };
    user_watch_listen(place->watch, &counter.listener);
    struct user_store *store = open_store(place->path);
    struct user_keys keys = { .has_digest = true };
    assert_int_equal(user_store_begin(store), 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        assert_int_equal(user_store_add(store, name, "roost", &keys, 1), 0);
    }
    assert_int_equal(user_store_end(store, true), 0);
    user_store_close(store);
    turn_until_changes(place, 1);
    assert_int_equal(counter.changed, 1000);
    assert_true(counter.told > 1 && counter.most < 1000);
    user_watch_unlisten(&counter.listener);
}

struct seer {
    struct user_look look;
    struct place *place;
    size_t seen; /**< users, when it was called */
    unsigned called;
};

static void see(struct user_look *look)
{
    struct seer *seer = container_of(look, struct seer, look);
    seer->seen = user_watch_users(seer->place->watch)->count;
    seer->called++;
}

static void whoever_changed_something_can_wait_for_it(void **state)
{
    struct place *place = *state;
    struct user_watch_config config = { .loop = &place->loop,
                                        .path = place->path,
                                        .interval_us = 3600 * TIME_US_PER_S,
                                        .changed = changed,
                                        .owner = place };
    char text[512];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    assert_int_equal(user_watch_open(&config, &place->watch, &problem), 0);
    struct seer first = { .look.done = see, .place = place }, second = first, gone = first;
    add(place->path, "ann", "roost");
    user_watch_look(place->watch, &first.look);
    user_watch_look(place->watch, &gone.look);
    user_watch_look_cancel(&gone.look);
    // the first look may be under way: it does not count for the second
    loop_turn(&place->loop, 0);
    add(place->path, "ben", "roost");
    user_watch_look(place->watch, &second.look);
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    while (!second.called && clock_now_us() < end_us)
        loop_turn(&place->loop, 10 * TIME_US_PER_MS);
    assert_int_equal(first.called, 1);
    assert_true(first.seen >= 1);
    assert_int_equal(second.called, 1);
    assert_int_equal(second.seen, 2);
    assert_int_equal(gone.called, 0);
    // nothing has changed: it is told as well
    user_watch_look(place->watch, &second.look);
    while (second.called < 2 && clock_now_us() < end_us)
        loop_turn(&place->loop, 10 * TIME_US_PER_MS);
    assert_int_equal(second.called, 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(those_of_the_start_are_there_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_of_another_process_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_put_back_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_file_leaves_the_users_known_before, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(listeners_hear_what_became_of_whom, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_changes_are_told_some_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_changed_something_can_wait_for_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(closing_waits_for_a_read_in_progress, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
