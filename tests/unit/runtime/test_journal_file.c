// Journals in files: what was written is found again, whatever happened to its end.
#include "unit/runtime/turns.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/files.h"
#include "runtime/journal_file.h"

struct bench {
    struct loop loop;
    char folder[64];
    struct journal_file_config config;
    struct journal_file *file;
    unsigned written;
    bool fails_to_compact;
    sem_t may_compact; /**< with `compacts_slowly`: taken by each time */
    bool compacts_slowly;
    struct log_sink sink;
    struct log log;
    unsigned failures; /**< what was logged as an error */
};

static void count_failures(struct log_sink *sink, const struct log_record *record)
{
    container_of(sink, struct bench, sink)->failures += record->level == LOG_LEVEL_ERROR;
}

static void written(void *owner)
{
    struct bench *bench = owner;
    bench->written++;
}

/** Keeps one byte of each kind: the shortest journal of a set of letters. */
static uint8_t *compact(void *owner, struct bytes records, size_t *ret_size)
{
    struct bench *bench = owner;
    if (bench->compacts_slowly)
        assert_int_equal(sem_wait(&bench->may_compact), 0);
    uint8_t *kept = memory_allocate(1, 256);
    *ret_size = 0;
    if (bench->fails_to_compact) {
        *ret_size = 1;
        free(kept);
        return NULL;
    }
    for (size_t i = 0; i < records.size; i++) {
        if (!memchr(kept, records.data[i], *ret_size))
            kept[(*ret_size)++] = records.data[i];
    }
    return kept;
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){ .folder = "/tmp/roost-journal-XXXXXX" };
    assert_non_null(mkdtemp(bench->folder));
    assert_int_equal(loop_init(&bench->loop), 0);
    bench->sink.write = count_failures;
    bench->log.sink = &bench->sink;
    bench->config = (struct journal_file_config){ .loop = &bench->loop,
                                                  .folder = bench->folder,
                                                  .log = &bench->log,
                                                  .written = written,
                                                  .compact = compact,
                                                  .owner = bench };
}

static void bench_done(struct bench *bench)
{
    journal_file_close(bench->file, NULL, 0);
    loop_done(&bench->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", bench->folder);
    assert_int_equal(system(command), 0);
}

/** Opens the folder; what is in it must be `expected`. */
static void reopen(struct bench *bench, const char *expected)
{
    bench->file = journal_file_close(bench->file, NULL, 0);
    char text[256];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    uint8_t *records;
    size_t size;
    assert_int_equal(journal_file_open(&bench->config, &bench->file, &records, &size, &problem), 0);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(records ? (char *)records : "", expected, size);
    free(records);
}

static void write_batch(struct bench *bench, const char *batch)
{
    unsigned before = bench->written;
    journal_file_write(bench->file, memory_copy(batch, strlen(batch)), strlen(batch));
    turn_until(&bench->loop, bench->written > before);
    assert_false(journal_file_is_busy(bench->file));
}

static unsigned file_count(const struct bench *bench)
{
    struct file_entry *entries;
    size_t count;
    assert_int_equal(file_list(bench->folder, 100, &entries, &count), 0);
    free(entries);
    return (unsigned)count;
}

static void leave_file(const struct bench *bench, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", bench->folder, name);
    assert_int_equal(file_write_atomic(path, bytes_of_text("left"), 0600), 0);
}

static bool has_file(const struct bench *bench, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", bench->folder, name);
    return file_exists(path) == 1;
}

static void test_batches_come_back_in_order(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    reopen(&bench, "");
    write_batch(&bench, "one ");
    write_batch(&bench, "two ");
    reopen(&bench, "one two ");
    write_batch(&bench, "three");
    reopen(&bench, "one two three");
    bench.file = journal_file_close(bench.file, memory_copy("?", 1), 1);
    reopen(&bench, "one two three?");
    bench.config.sync = true;
    reopen(&bench, "one two three?");
    write_batch(&bench, "!");
    reopen(&bench, "one two three?!");
    bench_done(&bench);
}

static void test_what_is_cut_or_overwritten_is_left_out(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    reopen(&bench, "");
    write_batch(&bench, "one ");
    write_batch(&bench, "two ");
    bench.file = journal_file_close(bench.file, NULL, 0);
    char path[128];
    snprintf(path, sizeof(path), "%s/00000001.journal", bench.folder);
    char *whole;
    size_t size;
    assert_int_equal(file_read(path, 1000, &whole, &size), 0);
    assert_int_equal(size, 2 * (12 + 4));
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(truncate(path, (off_t)cut), 0);
        reopen(&bench, cut < 16 ? "" : "one ");
        bench.file = journal_file_close(bench.file, NULL, 0);
        assert_int_equal(file_write_atomic(path, bytes_of(whole, size), 0600), 0);
    }
    whole[size - 1] ^= 1;
    assert_int_equal(file_write_atomic(path, bytes_of(whole, size), 0600), 0);
    reopen(&bench, "one ");
    // what is written after such an end is not lost behind it
    write_batch(&bench, "three");
    reopen(&bench, "one three");
    free(whole);
    bench_done(&bench);
}

static void test_a_long_journal_is_made_short(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    bench.config.compact_bytes = 100;
    reopen(&bench, "");
    // until a second snapshot has replaced the first
    size_t written = 0;
    for (unsigned i = 0;
         i < 40 || has_file(&bench, "00000001.snapshot") || has_file(&bench, "00000001.journal");
         i++) {
        write_batch(&bench, i % 2 ? "abc" : "bcd");
        written += 3;
    }
    // lock, a snapshot, and the journal behind it
    turn_until(&bench.loop, file_count(&bench) == 3);
    bench.file = journal_file_close(bench.file, NULL, 0);
    // as a kill leaves them while a snapshot is made
    leave_file(&bench, "00000001.snapshot");
    leave_file(&bench, "00000001.journal");
    leave_file(&bench, "00000002.snapshot.Ab3dEf");
    char text[256];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    uint8_t *records;
    size_t size;
    assert_int_equal(journal_file_open(&bench.config, &bench.file, &records, &size, &problem), 0);
    assert_int_equal(file_count(&bench), 4);
    assert_true(size >= 4 && size < written);
    assert_memory_equal(records, "bcda", 4);
    free(records);
    bench_done(&bench);
}

static void test_who_writes_faster_than_it_is_made_short_waits(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    assert_int_equal(sem_init(&bench.may_compact, 0, 0), 0);
    bench.compacts_slowly = true;
    bench.config.compact_bytes = 100;
    reopen(&bench, "");
    char batch[51];
    memset(batch, 'a', 50);
    batch[50] = '\0';
    // the first two call for a snapshot, two more may come meanwhile
    for (int i = 0; i < 3; i++)
        write_batch(&bench, batch);
    journal_file_write(bench.file, memory_copy(batch, 50), 50);
    for (int i = 0; i < 50; i++)
        loop_turn(&bench.loop, TIME_US_PER_MS);
    assert_int_equal(bench.written, 3);
    assert_true(journal_file_is_busy(bench.file));
    // the second snapshot follows by itself
    sem_post(&bench.may_compact);
    turn_until(&bench.loop, bench.written == 4);
    assert_false(journal_file_is_busy(bench.file));
    sem_post(&bench.may_compact);
    turn_until(&bench.loop, file_count(&bench) == 3); // the lock, a snapshot, a journal
    sem_post(&bench.may_compact);
    write_batch(&bench, "b");
    reopen(&bench, "ab");
    bench_done(&bench);
    sem_destroy(&bench.may_compact);
}

static void test_a_journal_that_cannot_be_made_short_is_kept(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    bench.config.compact_bytes = 20;
    bench.fails_to_compact = true;
    reopen(&bench, "");
    write_batch(&bench, "0123456789");
    write_batch(&bench, "0123456789");
    write_batch(&bench, "x");
    reopen(&bench, "01234567890123456789x");
    bench_done(&bench);
}

/** Files of this process may be so long: as if the disk were full then. */
static void allow_bytes(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_a_full_disk_is_waited_for(void **state)
{
    (void)state;
    struct bench bench;
    signal(SIGXFSZ, SIG_IGN);
    bench_init(&bench);
    reopen(&bench, "");
    write_batch(&bench, "one ");
    // half of the next one fits
    allow_bytes(16 + 12 + 4);
    journal_file_write(bench.file, memory_copy("two three ", 10), 10);
    turn_until(&bench.loop, bench.failures == 1);
    // and is tried again in vain
    for (uint64_t end_us = clock_now_us() + 1200000; clock_now_us() < end_us;)
        loop_turn(&bench.loop, 10000);
    assert_true(journal_file_is_busy(bench.file));
    assert_int_equal(bench.written, 1);
    assert_int_equal(bench.failures, 1);
    allow_bytes(RLIM_INFINITY);
    turn_until(&bench.loop, bench.written == 2);
    assert_false(journal_file_is_busy(bench.file));
    write_batch(&bench, "four");
    reopen(&bench, "one two three four");
    // which is told again when it happens again
    allow_bytes(20);
    journal_file_write(bench.file, memory_copy("five six ", 9), 9);
    turn_until(&bench.loop, bench.failures == 2);
    allow_bytes(RLIM_INFINITY);
    turn_until(&bench.loop, bench.written == 4);
    reopen(&bench, "one two three fourfive six ");
    bench_done(&bench);
}

static void test_an_end_on_a_full_disk_keeps_what_was_written(void **state)
{
    (void)state;
    struct bench bench;
    signal(SIGXFSZ, SIG_IGN);
    bench_init(&bench);
    reopen(&bench, "");
    write_batch(&bench, "one ");
    allow_bytes(16 + 8);
    bench.file = journal_file_close(bench.file, memory_copy("last", 4), 4);
    assert_int_equal(bench.failures, 1);
    allow_bytes(RLIM_INFINITY);
    reopen(&bench, "one ");
    allow_bytes(8);
    journal_file_write(bench.file, memory_copy("two ", 4), 4);
    turn_until(&bench.loop, bench.failures == 2);
    // what comes behind something that is missing is not written either
    bench.file = journal_file_close(bench.file, memory_copy("last", 4), 4);
    assert_int_equal(bench.failures, 3);
    allow_bytes(RLIM_INFINITY);
    reopen(&bench, "one ");
    bench_done(&bench);
}

static void test_a_snapshot_that_cannot_be_written_is_done_without(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    bench.config.compact_bytes = 20;
    reopen(&bench, "");
    char path[128];
    snprintf(path, sizeof(path), "%s/00000001.snapshot", bench.folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_batch(&bench, "abcdefghij");
    turn_until(&bench.loop, bench.failures == 1);
    // it has begun another file, and goes on with that
    write_batch(&bench, "x");
    assert_int_equal(rmdir(path), 0);
    reopen(&bench, "abcdefghijx");
    bench_done(&bench);
}

static void test_one_process_at_a_time(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    reopen(&bench, "");
    struct journal_file *second;
    uint8_t *records;
    size_t size;
    char text[256];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    assert_int_equal(journal_file_open(&bench.config, &second, &records, &size, &problem), -EBUSY);
    assert_non_null(strstr(text, "another process"));
    bench_done(&bench);
}

static void test_a_damaged_snapshot_is_told(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    char path[128];
    snprintf(path, sizeof(path), "%s/00000003.snapshot", bench.folder);
    assert_int_equal(file_write_atomic(path, bytes_of_text("no batch at all"), 0600), 0);
    uint8_t *records;
    size_t size;
    char text[256];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    assert_int_equal(journal_file_open(&bench.config, &bench.file, &records, &size, &problem),
                     -EBADMSG);
    assert_non_null(strstr(text, "damaged"));
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_come_back_in_order),
        cmocka_unit_test(test_what_is_cut_or_overwritten_is_left_out),
        cmocka_unit_test(test_a_long_journal_is_made_short),
        cmocka_unit_test(test_who_writes_faster_than_it_is_made_short_waits),
        cmocka_unit_test(test_a_journal_that_cannot_be_made_short_is_kept),
        cmocka_unit_test(test_a_full_disk_is_waited_for),
        cmocka_unit_test(test_an_end_on_a_full_disk_keeps_what_was_written),
        cmocka_unit_test(test_a_snapshot_that_cannot_be_written_is_done_without),
        cmocka_unit_test(test_one_process_at_a_time),
        cmocka_unit_test(test_a_damaged_snapshot_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
