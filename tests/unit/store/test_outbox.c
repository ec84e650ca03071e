// Events that wait on the disk, over the ends of the process that made them.
#include "support/check.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "store/outbox.h"

#define PATIENCE_US (60 * TIME_US_PER_S)
#define FOUND_MAX   2000

struct place {
    char folder[64];
    char path[96];
    struct loop loop;
    struct outbox *outbox;
    metric_value failures, written;
    struct outbox_event *found[FOUND_MAX];
    size_t found_count;
};

static void take(struct outbox_event *event, void *owner)
{
    struct place *place = owner;
    assert_true(place->found_count < FOUND_MAX);
    place->found[place->found_count++] = event;
}

static int open_outbox(struct place *place, char *text, size_t size)
{
    struct text_builder problem = text_builder_of(text, size);
    int result = outbox_open(&(struct outbox_config){ .loop = &place->loop,
                                                      .path = place->path,
                                                      .failures = &place->failures,
                                                      .written = &place->written },
                             &place->outbox, &problem);
    return result < 0 ? result : outbox_read(place->outbox, take, place, &problem);
}

static void forget_found(struct place *place)
{
    while (place->found_count > 0)
        outbox_event_unref(place->found[--place->found_count]);
}

/** As the next process does. */
static void open_again(struct place *place)
{
    char text[512];
    forget_found(place);
    place->outbox = outbox_close(place->outbox);
    metric_set(&place->written, 0);
    assert_int_equal(open_outbox(place, text, sizeof(text)), 0);
}

static int set_up(void **state)
{
    struct place *place = memory_new(struct place);
    snprintf(place->folder, sizeof(place->folder), "/tmp/roost-outbox-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/outbox.db", place->folder);
    assert_int_equal(loop_init(&place->loop), 0);
    open_again(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    forget_found(place);
    outbox_close(place->outbox);
    loop_done(&place->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static struct outbox_event *add(struct place *place, int number)
{
    char id[32], body[64];
    snprintf(id, sizeof(id), "evt_%d", number);
    snprintf(body, sizeof(body), "{\"number\":%d}", number);
    struct outbox_event *event = outbox_event_new(
        "http://a/", "room", id, blob_new(bytes_of_text(body)), 1000 + (uint64_t)number);
    outbox_add(place->outbox, event);
    return event;
}

static void assert_found(const struct place *place, size_t at, int number)
{
    char id[32], body[64];
    snprintf(id, sizeof(id), "evt_%d", number);
    snprintf(body, sizeof(body), "{\"number\":%d}", number);
    const struct outbox_event *event = place->found[at];
    assert_string_equal(event->id, id);
    assert_string_equal(event->destination, "http://a/");
    assert_string_equal(event->subject, "room");
    assert_true(bytes_equal(blob_bytes(event->body), bytes_of_text(body)));
    assert_int_equal(event->made_unix_us, 1000 + number);
}

/** Until `event` is in the file. */
static void await_written(struct place *place, const struct outbox_event *event)
{
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    while (event->state != OUTBOX_WRITTEN && clock_now_us() < end_us)
        loop_turn(&place->loop, 10 * TIME_US_PER_MS);
    assert_int_equal(event->state, OUTBOX_WRITTEN);
}

static void test_what_was_not_taken_off_is_found_in_its_order(void **state)
{
    struct place *place = *state;
    struct outbox_event *events[1000];
    for (int i = 0; i < 1000; i++)
        events[i] = add(place, i);
    // some before they are written, some after
    outbox_remove(place->outbox, events[0]);
    await_written(place, events[999]);
    outbox_remove(place->outbox, events[1]);
    for (int i = 2; i < 1000; i++)
        outbox_event_unref(events[i]);
    open_again(place);
    assert_int_equal(place->found_count, 998);
    assert_int_equal(metric_get(&place->written), 998);
    for (int i = 2; i < 1000; i++)
        assert_found(place, (size_t)i - 2, i);
    // those of this process come behind
    outbox_event_unref(add(place, 1000));
    for (size_t i = 0; i < 997; i++)
        outbox_remove(place->outbox, place->found[i]);
    outbox_event_unref(place->found[997]);
    place->found_count = 0;
    open_again(place);
    assert_int_equal(place->found_count, 2);
    assert_found(place, 0, 999);
    assert_found(place, 1, 1000);
}

static void test_a_killed_process_leaves_what_was_written(void **state)
{
    struct place *place = *state;
    place->outbox = outbox_close(place->outbox);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct place own = { 0 };
        char text[512];
        snprintf(own.path, sizeof(own.path), "%s", place->path);
        if (loop_init(&own.loop) < 0 || open_outbox(&own, text, sizeof(text)) < 0)
            _exit(1);
        struct outbox_event *first = add(&own, 1), *last = add(&own, 2);
        await_written(&own, last);
        outbox_remove(own.outbox, first);
        struct outbox_event *more = add(&own, 3);
        await_written(&own, more);
        raise(SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_again(place);
    assert_int_equal(place->found_count, 2);
    assert_found(place, 0, 2);
    assert_found(place, 1, 3);
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_what_cannot_be_written_is_written_later(void **state)
{
    struct place *place = *state;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    limit_files(0); // as good as a full disk
    struct outbox_event *first = add(place, 1), *second = add(place, 2);
    uint64_t end_us = clock_now_us() + PATIENCE_US;
    while (metric_get(&place->failures) == 0 && clock_now_us() < end_us)
        loop_turn(&place->loop, 10 * TIME_US_PER_MS);
    assert_int_equal(metric_get(&place->failures), 1);
    // delivered all the same
    outbox_remove(place->outbox, first);
    assert_true(second->state != OUTBOX_WRITTEN);
    limit_files(RLIM_INFINITY);
    await_written(place, second);
    assert_int_equal(metric_get(&place->written), 1);
    outbox_event_unref(second);
    // so it is at the end
    limit_files(0);
    struct outbox_event *third = add(place, 3);
    outbox_event_unref(third);
    place->outbox = outbox_close(place->outbox);
    limit_files(RLIM_INFINITY);
    open_again(place);
    assert_int_equal(place->found_count, 1);
    assert_found(place, 0, 2);
}

static void test_one_process_has_the_file_and_others_are_told(void **state)
{
    struct place *place = *state;
    struct stat status;
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(place->path, &other), SQLITE_OK);
    struct outbox_event *event = add(place, 1);
    await_written(place, event);
    outbox_event_unref(event);
    assert_int_equal(sqlite3_exec(other, "SELECT * FROM events", NULL, NULL, NULL), SQLITE_BUSY);
    sqlite3_close(other);
}

static void test_damage_is_told(void **state)
{
    struct place *place = *state;
    place->outbox = outbox_close(place->outbox);
    FILE *file = fopen(place->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("no database ", file);
    fclose(file);
    char text[512] = "";
    assert_int_equal(open_outbox(place, text, sizeof(text)), -EBADMSG);
    assert_non_null(strstr(text, place->path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_not_taken_off_is_found_in_its_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_killed_process_leaves_what_was_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_written_is_written_later, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_one_process_has_the_file_and_others_are_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_damage_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
