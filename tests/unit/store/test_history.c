// What is kept of users' messages and calls, for whom, and what gives way.
#include "support/check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "store/history.h"
#include "store/history_share.h"

#define PATIENCE_US (20 * TIME_US_PER_S)

struct place {
    char folder[64];
    char path[96];
    struct loop loop;
    struct history *history;
    struct history_config config;
    int64_t serial;
    /** The last answer, as text: "id:text " or "id:text! " when it waits. */
    char heard[16384];
    struct history_answer answer;
    uint32_t answers;
};

static void take(const struct history_return *back, const struct history_answer *answer)
{
    struct place *place = back->owner;
    place->answers++;
    place->answer = *answer;
    place->heard[0] = 0;
    size_t length = 0;
    for (size_t i = 0; i < answer->count && length < sizeof(place->heard) - 128; i++) {
        const struct history_entry *entry = &answer->entries[i];
        length += (size_t)snprintf(place->heard + length, sizeof(place->heard) - length,
                                   "%s%s%s%s ", entry->outgoing ? ">" : "<", entry->peer,
                                   entry->kind == HISTORY_MESSAGE ? entry->text : "()",
                                   entry->missed ? "!" : "");
    }
}

static struct history_return back(struct place *place)
{
    return (struct history_return){ .done = take, .owner = place };
}

static int open_history(struct place *place)
{
    char text[512];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    place->config.loop = &place->loop;
    place->config.path = place->path;
    if (!place->config.per_user_max)
        place->config.per_user_max = 100;
    return history_open(&place->config, &place->history, &problem);
}

/** As the next process does. */
static void open_again(struct place *place)
{
    place->history = history_close(place->history);
    assert_int_equal(open_history(place), 0);
}

static int set_up(void **state)
{
    struct place *place = memory_new(struct place);
    snprintf(place->folder, sizeof(place->folder), "/tmp/roost-history-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/history.db", place->folder);
    assert_int_equal(loop_init(&place->loop), 0);
    open_again(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    history_close(place->history);
    loop_done(&place->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

/** The next message; ids sort. */
static struct history_note message(struct place *place, const char *from, const char *to,
                                   const char *text)
{
    struct history_note note = { .kind = HISTORY_MESSAGE,
                                 .from = from,
                                 .from_name = from,
                                 .from_verified = true,
                                 .from_keeps = true,
                                 .to = to,
                                 .to_is_known = true,
                                 .to_keeps = true,
                                 .unix_ms = 1000 + place->serial,
                                 .text = text };
    snprintf(note.id, sizeof(note.id), "%08lld", (long long)++place->serial);
    return note;
}

static void await(struct place *place, uint32_t answers)
{
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    while (place->answers < answers && clock_now_us() < end_us)
        loop_turn(&place->loop, 10 * TIME_US_PER_MS);
    assert_int_equal(place->answers, answers);
}

static int keep(struct place *place, const struct history_note *note)
{
    struct history_return to = back(place);
    uint32_t before = place->answers;
    assert_int_equal(history_keep(place->history, note, &to), 0);
    await(place, before + 1);
    return place->answer.error;
}

static void say(struct place *place, const char *from, const char *to, const char *text,
                bool missed)
{
    struct history_note note = message(place, from, to, text);
    note.missed = missed;
    assert_int_equal(keep(place, &note), 0);
}

static const char *read_before(struct place *place, const char *user, const char *peer,
                               const char *before, uint32_t limit)
{
    struct history_return to = back(place);
    uint32_t answers = place->answers;
    assert_int_equal(history_read(place->history, user, HISTORY_MESSAGE, peer, before, limit, &to),
                     0);
    await(place, answers + 1);
    assert_int_equal(place->answer.error, 0);
    return place->heard;
}

static const char *read_rows(struct place *place, const char *user)
{
    return read_before(place, user, NULL, NULL, 100);
}

static const char *read_missed(struct place *place, const char *user)
{
    struct history_return to = back(place);
    uint32_t answers = place->answers;
    assert_int_equal(history_read_missed(place->history, user, &to), 0);
    await(place, answers + 1);
    assert_int_equal(place->answer.error, 0);
    return place->heard;
}

static void test_both_sides_have_a_row_and_read_it_in_pages(void **state)
{
    struct place *place = *state;
    say(place, "ann", "ben", "1", false);
    say(place, "ben", "ann", "2", false);
    say(place, "cy", "ann", "3", false);
    assert_string_equal(read_rows(place, "ann"), ">ben1 <ben2 <cy3 ");
    assert_string_equal(read_rows(place, "ben"), "<ann1 >ann2 ");
    assert_string_equal(read_before(place, "ann", "ben", NULL, 100), ">ben1 <ben2 ");
    assert_string_equal(read_before(place, "ann", NULL, NULL, 2), "<ben2 <cy3 ");
    assert_true(place->answer.more);
    assert_string_equal(read_before(place, "ann", NULL, "00000002", 2), ">ben1 ");
    assert_false(place->answer.more);
    open_again(place);
    assert_string_equal(read_rows(place, "ann"), ">ben1 <ben2 <cy3 ");
    assert_string_equal(history_last_id(place->history), "00000003");
}

static void test_what_was_missed_waits_until_it_was_handed_over(void **state)
{
    struct place *place = *state;
    say(place, "ann", "ben", "1", true);
    say(place, "ann", "ben", "2", false);
    say(place, "cy", "ben", "3", true);
    struct history_note call = message(place, "cy", "ben", NULL);
    call.kind = HISTORY_CALL;
    call.missed = true;
    assert_int_equal(keep(place, &call), 0);
    open_again(place);
    assert_string_equal(read_missed(place, "ben"), "<ann1! <cy3! ");
    assert_int_equal(place->answer.missed_messages, 2);
    assert_int_equal(place->answer.missed_calls, 1);
    assert_int_equal(history_settle(place->history, "ben", HISTORY_MESSAGE, "00000001"), 0);
    assert_string_equal(read_missed(place, "ben"), "<cy3! ");
    assert_int_equal(history_settle(place->history, "ben", HISTORY_MESSAGE, "00000003"), 0);
    assert_int_equal(history_settle(place->history, "ben", HISTORY_CALL, "~"), 0);
    assert_string_equal(read_missed(place, "ben"), "");
    assert_int_equal(place->answer.missed_calls, 0);
    assert_int_equal(history_unsettle(place->history, "ben", "00000002"), 0);
    assert_string_equal(read_missed(place, "ben"), "<ann2! ");
    assert_string_equal(read_missed(place, "ann"), "");
}

static void test_nothing_is_kept_for_names_that_nothing_vouches_for(void **state)
{
    struct place *place = *state;
    struct history_note note = message(place, "ann", "who", "1");
    note.missed = true;
    note.to_is_known = false;
    assert_int_equal(keep(place, &note), -ENOENT);
    assert_string_equal(read_rows(place, "ann"), "");
    assert_int_equal(history_know(place->history, "who", 5), 0);
    note = message(place, "ann", "who", "2");
    note.missed = true;
    note.to_is_known = false;
    assert_int_equal(keep(place, &note), 0);
    assert_string_equal(read_missed(place, "who"), "<ann2! ");
}

static void test_what_a_namesake_left_behind_is_forgotten(void **state)
{
    struct place *place = *state;
    say(place, "ann", "ben", "1", true);
    say(place, "ann", "ben", "2", true);
    assert_int_equal(history_forget(place->history, "ben", "00000002"), 0);
    assert_string_equal(read_rows(place, "ben"), "<ann2! ");
    assert_string_equal(read_rows(place, "ann"), ">ben1 >ben2 ");
}

static void test_who_floods_a_user_displaces_itself(void **state)
{
    struct place *place = *state;
    for (int i = 0; i < 3; i++)
        say(place, "friend", "ben", "f", true);
    char text[16];
    for (int i = 0; i < 150; i++) {
        snprintf(text, sizeof(text), "%d", i);
        struct history_note note = message(place, "flood", "ben", text);
        note.missed = true;
        note.from_keeps = false;
        assert_int_equal(keep(place, &note), 0);
    }
    const char *rows = read_rows(place, "ben");
    assert_non_null(strstr(rows, "<friendf! <friendf! <friendf! <flood53! "));
    assert_non_null(strstr(rows, "<flood149! "));
    assert_int_equal(place->answer.count, 100);
}

static void test_guests_with_many_names_share_a_part(void **state)
{
    struct place *place = *state;
    say(place, "friend", "ben", "f", true);
    char name[24];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "guest%d", i);
        struct history_note note = message(place, name, "ben", "!");
        note.from_verified = note.from_keeps = false;
        assert_int_equal(keep(place, &note), 0);
    }
    assert_non_null(strstr(read_rows(place, "ben"), "<friendf! <guest40! "));
    assert_int_equal(place->answer.count, 11);
}

static void test_old_rows_are_removed(void **state)
{
    struct place *place = *state;
    say(place, "ann", "ben", "old", false);
    struct history_note note = message(place, "ann", "ben", "new");
    note.unix_ms = (int64_t)(clock_unix_us() / TIME_US_PER_MS);
    assert_int_equal(keep(place, &note), 0);
    place->config.keep_us = 3600 * TIME_US_PER_S;
    open_again(place);
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    const char *rows;
    while (strcmp(rows = read_rows(place, "ben"), "<annnew ") != 0 && clock_now_us() < end_us)
        loop_turn(&place->loop, 10 * TIME_US_PER_MS);
    assert_string_equal(rows, "<annnew ");
}

static void test_old_rows_behind_many_young_ones_are_removed(void **state)
{
    struct place *place = *state;
    place->config.per_user_max = 1000;
    open_again(place);
    // as after a clock that was wrong for a while
    for (int i = 0; i < 510; i++) {
        struct history_note note = message(place, "ann", "ben", "new");
        note.unix_ms = (int64_t)(clock_unix_us() / TIME_US_PER_MS);
        note.from_keeps = false;
        struct history_return to = back(place);
        assert_int_equal(history_keep(place->history, &note, &to), 0);
    }
    await(place, 510);
    say(place, "cid", "dan", "old", false);
    place->config.keep_us = 3600 * TIME_US_PER_S;
    open_again(place);
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    while (strcmp(read_rows(place, "dan"), "") != 0 && clock_now_us() < end_us)
        loop_turn(&place->loop, 10 * TIME_US_PER_MS);
    assert_string_equal(read_rows(place, "dan"), "");
}

/** How many messages of somebody's are taken while the disk is at work. */
static uint32_t taken_of(struct place *place, const char *from, bool verified, uint32_t count)
{
    struct history_return to = back(place);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct history_note note = message(place, from, "ben", "x");
        note.from_verified = note.from_keeps = verified;
        int result = history_keep(place->history, &note, &to);
        assert_true(result == 0 || result == -EAGAIN || result == -EDQUOT);
        taken += result == 0;
    }
    return taken;
}

static void test_as_much_waits_as_may(void **state)
{
    struct place *place = *state;
    place->config.waiting_max = 160;
    open_again(place);
    // the loop does not turn, so that nothing but this first batch is taken
    uint32_t taken = taken_of(place, "ann", true, 1);
    char name[24];
    for (int i = 0; i < 7; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        taken += taken_of(place, name, true, 20);
    }
    assert_int_equal(taken, 141);
    taken += taken_of(place, "cid", true, 15);
    taken += taken_of(place, "dan", true, 15);
    assert_int_equal(taken, 161);
    await(place, taken);
    say(place, "ann", "ben", "y", false);
}

static void test_who_floods_the_disk_is_refused_and_nobody_else(void **state)
{
    struct place *place = *state;
    place->config.waiting_max = 160;
    open_again(place);
    uint32_t taken = taken_of(place, "first", true, 1);
    assert_int_equal(taken_of(place, "ann", true, 500), 160 / HISTORY_SHARE_USER);
    // guests with many names share a part; one of them does not take it from the others
    assert_int_equal(taken_of(place, "ann", false, 500), 160 / HISTORY_SHARE_GUEST);
    assert_int_equal(taken_of(place, NULL, false, 500), 160 / HISTORY_SHARE_GUEST);
    taken += 160 / HISTORY_SHARE_USER + 2 * (160 / HISTORY_SHARE_GUEST);
    uint32_t of_guests = 2 * (160 / HISTORY_SHARE_GUEST);
    char name[24];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "guest%d", i);
        uint32_t more = taken_of(place, name, false, 1);
        of_guests += more;
        taken += more;
    }
    assert_int_equal(of_guests, 160 / HISTORY_SHARE_GUESTS);
    assert_int_equal(taken_of(place, "cid", true, 1), 1);
    await(place, taken + 1);
    assert_int_equal(taken_of(place, "ann", true, 1), 1);
    await(place, taken + 2);
}

static void test_what_a_failed_transaction_had_read_is_let_go(void **state)
{
    struct place *place = *state;
    say(place, "ann", "ben", "kept", true);
    // the next write needs more of the disk than there is
    struct rlimit before, none = { 0 };
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    void (*former)(int) = signal(SIGXFSZ, SIG_IGN);
    struct history_return to = back(place);
    uint32_t answers = place->answers;
    assert_int_equal(history_read(place->history, "ben", HISTORY_MESSAGE, NULL, NULL, 10, &to), 0);
    struct history_note note = message(place, "ann", "ben", "lost");
    assert_int_equal(history_read(place->history, "ben", HISTORY_MESSAGE, NULL, NULL, 10, &to), 0);
    assert_int_equal(history_keep(place->history, &note, &to), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    await(place, answers + 3);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, former);
    assert_true(place->answer.error < 0);
    assert_int_equal(place->answer.count, 0);
    assert_string_equal(read_rows(place, "ben"), "<annkept! ");
}

static void test_long_texts_come_in_smaller_pages(void **state)
{
    struct place *place = *state;
    char text[4097];
    memset(text, 'x', 4096);
    text[4096] = 0;
    for (int i = 0; i < 20; i++)
        say(place, "ann", "ben", text, true);
    read_missed(place, "ben");
    assert_int_equal(place->answer.count, HISTORY_PAGE_BYTES / 4096);
    assert_true(place->answer.more);
}

static void test_a_killed_process_leaves_what_was_answered(void **state)
{
    struct place *place = *state;
    place->history = history_close(place->history);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct place own = { .config = place->config };
        snprintf(own.path, sizeof(own.path), "%s", place->path);
        if (loop_init(&own.loop) < 0 || open_history(&own) < 0)
            _exit(1);
        for (int i = 0; i < 20; i++)
            say(&own, "ann", "ben", "x", true);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(open_history(place), 0);
    read_missed(place, "ben");
    assert_int_equal(place->answer.count, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_sides_have_a_row_and_read_it_in_pages),
        TEST(test_what_was_missed_waits_until_it_was_handed_over),
        TEST(test_nothing_is_kept_for_names_that_nothing_vouches_for),
        TEST(test_what_a_namesake_left_behind_is_forgotten),
        TEST(test_who_floods_a_user_displaces_itself),
        TEST(test_guests_with_many_names_share_a_part),
        TEST(test_old_rows_are_removed),
        TEST(test_old_rows_behind_many_young_ones_are_removed),
        TEST(test_as_much_waits_as_may),
        TEST(test_who_floods_the_disk_is_refused_and_nobody_else),
        TEST(test_what_a_failed_transaction_had_read_is_let_go),
        TEST(test_long_texts_come_in_smaller_pages),
        TEST(test_a_killed_process_leaves_what_was_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
