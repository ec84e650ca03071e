#include "support/freed.h"
#include "unit/runtime/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/file_watch.h"
#include "runtime/files.h"
#include "runtime/files_int.h"

/** A folder for each test, removed afterwards. */
struct place {
    char folder[64];
    char path[512]; /**< the last one of `at` */
};

static int set_up(void **state)
{
    struct place *place = memory_new(struct place);
    snprintf(place->folder, sizeof(place->folder), "/tmp/roost-files-XXXXXX");
    *state = place;
    return mkdtemp(place->folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", place->folder);
    int result = system(command);
    free(place);
    return result;
}

static const char *at(struct place *place, const char *name)
{
    assert_int_equal(file_join(place->path, sizeof(place->path), place->folder, name), 0);
    return place->path;
}

static void put(struct place *place, const char *name, const char *content)
{
    assert_int_equal(file_write_atomic(at(place, name), bytes_of_text(content), 0644), 0);
}

static void test_written_files_are_read_back_with_their_mode_whatever_the_umask(void **state)
{
    struct place *place = *state;
    mode_t old = umask(0777);
    int error = file_write_atomic(at(place, "secret"), bytes_of_text("one"), 0600);
    umask(old);
    assert_int_equal(error, 0);
    struct stat status;
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(file_write_atomic(place->path, bytes_of_text("second"), 0640), 0);
    char *data;
    size_t size;
    assert_int_equal(file_read(place->path, 6, &data, &size), 0);
    assert_string_equal(data, "second");
    assert_int_equal(size, 6);
    free(data);
    assert_int_equal(file_read(place->path, 5, &data, &size), -EFBIG);
    assert_int_equal(file_read(at(place, "missing"), 5, &data, &size), -ENOENT);
    // nothing temporary stays behind
    struct file_entry *entries;
    assert_int_equal(file_list(place->folder, 10, &entries, &size), 0);
    assert_int_equal(size, 1);
    free(entries);
}

static void test_large_secrets_are_read_without_copies_left_behind(void **state)
{
    struct place *place = *state;
    static const char secret[] = "correct horse battery staple";
    static char text[40000];
    for (size_t at = 0; at + sizeof(secret) < sizeof(text); at += sizeof(secret))
        memcpy(text + at, secret, sizeof(secret));
    const char *path = at(place, "secret");
    assert_int_equal(file_write_atomic(path, bytes_of(text, sizeof(text)), 0600), 0);
    if (!freed_watch(secret))
        skip();
    char *data = NULL;
    size_t size;
    assert_int_equal(file_read(path, sizeof(text) - 1, &data, &size), -EFBIG);
    assert_int_equal(file_read(path, sizeof(text), &data, &size), 0);
    assert_int_equal(freed_count(), 0);
    assert_int_equal(size, sizeof(text));
    assert_memory_equal(data, text, size);
    free(data);
}

static void test_failed_write_leaves_the_old_content_and_nothing_else(void **state)
{
    struct place *place = *state;
    assert_int_equal(file_write_atomic(at(place, "no/such/folder"), bytes_of_text("x"), 0600),
                     -ENOENT);
    assert_int_equal(mkdir(at(place, "taken"), 0755), 0);
    assert_int_equal(file_write_atomic(place->path, bytes_of_text("x"), 0600), -EISDIR);
    struct file_entry *entries;
    size_t count;
    assert_int_equal(file_list(place->folder, 10, &entries, &count), 0);
    assert_int_equal(count, 1);
    assert_true(entries[0].folder);
    free(entries);
}

static void test_folders_are_made_with_their_parents(void **state)
{
    struct place *place = *state;
    assert_int_equal(file_make_folder(at(place, "a/b//c"), 0700), 0);
    struct stat status;
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(file_make_folder(place->path, 0700), 0);
    assert_int_equal(file_exists(place->path), 1);
    assert_int_equal(file_exists(at(place, "a/d")), 0);
    put(place, "file", "x");
    assert_int_equal(file_make_folder(at(place, "file"), 0700), -ENOTDIR);
    assert_int_equal(file_make_folder(at(place, "file/below"), 0700), -ENOTDIR);
}

static void test_listing_is_sorted_and_bounded(void **state)
{
    struct place *place = *state;
    put(place, "b", "22");
    put(place, "a", "1");
    put(place, "c", "");
    struct file_entry *entries;
    size_t count;
    assert_int_equal(file_list(place->folder, 3, &entries, &count), 0);
    assert_int_equal(count, 3);
    assert_string_equal(entries[0].name, "a");
    assert_string_equal(entries[2].name, "c");
    assert_int_equal(entries[1].size, 2);
    assert_true(entries[0].modified_unix_us > 1600000000ull * 1000000);
    free(entries);
    assert_int_equal(file_list(place->folder, 2, &entries, &count), -E2BIG);
    assert_int_equal(file_list(at(place, "missing"), 2, &entries, &count), -ENOENT);
}

static void test_nothing_outside_the_root_can_be_opened(void **state)
{
    struct place *place = *state;
    put(place, "outside", "secret");
    assert_int_equal(file_make_folder(at(place, "root/sub"), 0755), 0);
    put(place, "root/page", "page");
    put(place, "root/sub/deep", "deep");
    assert_int_equal(symlink("../outside", at(place, "root/escape")), 0);
    assert_int_equal(symlink("/etc/passwd", at(place, "root/absolute")), 0);
    assert_int_equal(symlink("sub/deep", at(place, "root/inside")), 0);
    assert_int_equal(symlink("..", at(place, "root/sub/up")), 0);
    assert_int_equal(mkfifo(at(place, "root/fifo"), 0644), 0);
    int root = file_open_root(at(place, "root"));
    assert_true(root >= 0);
    static const struct {
        const char *path;
        int result;   // 0: opens
        int by_parts; // the same without openat2: links are not followed, ".." is not walked
    } cases[] = {
        { "page", 0, 0 },
        { "sub/deep", 0, 0 },
        { "./sub/./deep", 0, 0 },
        { "inside", 0, -EXDEV },
        { "sub/up/page", 0, -ENOTDIR },
        { "sub/../page", 0, -EXDEV },
        { "../outside", -EXDEV, -EXDEV },
        { "sub/../../outside", -EXDEV, -EXDEV },
        { "escape", -EXDEV, -EXDEV },
        { "absolute", -EXDEV, -EXDEV },
        { "/etc/passwd", -EXDEV, -EXDEV },
        { "sub", -EISDIR, 0 },
        { ".", -EISDIR, -EISDIR },
        { "", -ENOENT, -ENOENT },
        { "missing", -ENOENT, -ENOENT },
        { "page/x", -ENOTDIR, -ENOTDIR },
        { "fifo", -EACCES, 0 },
        { "sub/up/../outside", -EXDEV, -ENOTDIR },
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        int fd = file_open_beneath(root, cases[i].path);
        if (min_of(fd, 0) != cases[i].result)
            fail_msg("%s: %d", cases[i].path, fd);
        if (fd >= 0)
            close(fd);
        fd = file_open_by_parts(root, cases[i].path);
        if (min_of(fd, 0) != cases[i].by_parts)
            fail_msg("%s by parts: %d", cases[i].path, fd);
        if (fd >= 0)
            close(fd);
    }
    close(root);
}

static void test_maps_hold_the_content_of_small_and_large_files(void **state)
{
    struct place *place = *state;
    static const size_t sizes[] = { 0, 1, 300000, 1 << 20 };
    char *content = memory_allocate(1, (1 << 20) + 1);
    memset(content, 'x', 1 << 20);
    for (size_t i = 0; i < array_size(sizes); i++) {
        assert_int_equal(file_write_atomic(at(place, "file"), bytes_of(content, sizes[i]), 0644),
                         0);
        int fd = open(place->path, O_RDONLY);
        struct file_map map = { 0 };
        assert_int_equal(file_map_fd(fd, 1 << 20, &map), 0);
        close(fd);
        assert_true(bytes_equal(map.content, bytes_of(content, sizes[i])));
        file_unmap(&map);
        fd = open(place->path, O_RDONLY);
        if (sizes[i] > 0)
            assert_int_equal(file_map_fd(fd, sizes[i] - 1, &map), -EFBIG);
        close(fd);
    }
    free(content);
}

// --- watching ---

struct changes {
    unsigned of[3];
    struct file_watch **close_inside;
};

static void on_changed(void *owner, size_t index)
{
    struct changes *changes = owner;
    changes->of[index]++;
    if (changes->close_inside)
        *changes->close_inside = file_watch_close(*changes->close_inside);
}

static void test_watch_tells_of_replaced_written_created_removed_and_relinked_files(void **state)
{
    struct place *place = *state;
    struct loop loop;
    assert_int_equal(loop_init(&loop), 0);
    put(place, "cert", "1");
    put(place, "archive1", "1");
    put(place, "archive2", "2");
    assert_int_equal(symlink("archive1", at(place, "link")), 0);
    char cert[512], link[512], later[512];
    strcpy(cert, at(place, "cert"));
    strcpy(link, at(place, "link"));
    strcpy(later, at(place, "later"));
    const char *paths[] = { cert, link, later };
    struct changes changes = { 0 };
    struct file_watch *watch;
    assert_int_equal(file_watch_open(&loop, paths, 3, on_changed, &changes, &watch), 0);
    // a burst is one change, and other files of the folder are none
    put(place, "cert", "22");
    put(place, "cert", "333");
    put(place, "other", "x");
    turn_until(&loop, changes.of[0] == 1);
    // what certbot does: the link gets another target by a rename
    assert_int_equal(symlink("archive2", at(place, "link.new")), 0);
    assert_int_equal(rename(place->path, link), 0);
    turn_until(&loop, changes.of[1] == 1);
    put(place, "later", "x");
    turn_until(&loop, changes.of[2] == 1);
    unlink(later);
    turn_until(&loop, changes.of[2] == 2);
    assert_int_equal(changes.of[0], 1);
    assert_int_equal(changes.of[1], 1);
    changes.close_inside = &watch;
    put(place, "cert", "4444");
    turn_until(&loop, changes.of[0] == 2);
    assert_null(watch);
    const char *nowhere[] = { "/no/such/folder/file" };
    assert_int_equal(file_watch_open(&loop, nowhere, 1, on_changed, &changes, &watch), -ENOENT);
    loop_done(&loop);
}

#define here(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void test_a_pipe_is_read_to_its_end(void **state)
{
    (void)state;
    int ends[2];
    char path[32], *data;
    size_t size;
    for (int i = 0; i < 2; i++) { // by its descriptor, and by its name as /dev/stdin is one
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], "one two", 7), 7);
        close(ends[1]);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
        assert_int_equal(
            i ? file_read(path, 100, &data, &size) : file_read_fd(ends[0], 100, &data, &size), 0);
        assert_string_equal(data, "one two");
        assert_int_equal(size, 7);
        free(data);
        close(ends[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        here(test_written_files_are_read_back_with_their_mode_whatever_the_umask),
        here(test_large_secrets_are_read_without_copies_left_behind),
        here(test_failed_write_leaves_the_old_content_and_nothing_else),
        here(test_folders_are_made_with_their_parents),
        here(test_listing_is_sorted_and_bounded),
        here(test_nothing_outside_the_root_can_be_opened),
        here(test_maps_hold_the_content_of_small_and_large_files),
        here(test_watch_tells_of_replaced_written_created_removed_and_relinked_files),
        cmocka_unit_test(test_a_pipe_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
