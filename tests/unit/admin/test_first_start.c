#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/first_start.h"
#include "base/memory.h"
#include "base/time.h"
#include "crypto/x509.h"
#include "runtime/clock.h"
#include "runtime/files.h"

struct fixture {
    char root[64];
    char path[80];
    struct options options;
    struct data_folder folder;
    char problem_text[512];
    struct text_builder problem;
};

static int set_up(void **state)
{
    struct fixture *fixture = memory_new(struct fixture);
    strcpy(fixture->root, "/tmp/roost-test-XXXXXX");
    if (!mkdtemp(fixture->root))
        return -1;
    snprintf(fixture->path, sizeof(fixture->path), "%s/data", fixture->root);
    struct options_problems problems = { 0 };
    char assignment[128];
    snprintf(assignment, sizeof(assignment), "server.data_dir=%s", fixture->path);
    options_init(&fixture->options);
    options_set(&fixture->options, assignment, &problems);
    fixture->problem = text_builder_of(fixture->problem_text, sizeof(fixture->problem_text));
    *state = fixture;
    return problems.count == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    struct file_entry *entries = NULL;
    size_t count = 0;
    chmod(fixture->root, 0700);
    if (file_list(fixture->path, 100, &entries, &count) == 0) {
        for (size_t i = 0; i < count; i++) {
            char path[512];
            snprintf(path, sizeof(path), "%s/%s", fixture->path, entries[i].name);
            unlink(path);
        }
        free(entries);
        rmdir(fixture->path);
    }
    rmdir(fixture->root);
    data_folder_done(&fixture->folder);
    options_done(&fixture->options);
    free(fixture);
    return 0;
}

static int open_folder(struct fixture *fixture)
{
    data_folder_done(&fixture->folder);
    return data_folder_open(&fixture->options.values, &fixture->folder, &fixture->problem);
}

static unsigned mode_of(const struct fixture *fixture, const char *name)
{
    char path[512];
    struct stat status;
    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

static void write_file(const struct fixture *fixture, const char *name, const char *content)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", fixture->path, name);
    assert_int_equal(file_write_atomic(path, bytes_of_text(content), 0600), 0);
}

static struct certificate *load_certificate(const struct fixture *fixture)
{
    char *chain = NULL, *key = NULL;
    size_t chain_size = 0, key_size = 0;
    struct certificate *certificate = NULL;
    assert_int_equal(file_read(fixture->folder.certificate_file, 65536, &chain, &chain_size), 0);
    assert_int_equal(file_read(fixture->folder.private_key_file, 65536, &key, &key_size), 0);
    assert_int_equal(
        certificate_load(bytes_of(chain, chain_size), bytes_of(key, key_size), NULL, &certificate),
        0);
    free(chain);
    free(key);
    return certificate;
}

static void test_the_first_start_makes_everything_with_narrow_modes(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_folder(fixture), 0);
    assert_true(fixture->folder.first_start);
    assert_true(fixture->folder.self_signed);
    assert_int_equal(mode_of(fixture, "."), 0700);
    assert_int_equal(mode_of(fixture, DATA_FILE_PRIVATE_KEY), 0600);
    assert_int_equal(mode_of(fixture, DATA_FILE_TOKEN_SECRET), 0600);
    assert_int_equal(mode_of(fixture, DATA_FILE_TURN_SECRET), 0600);
    static const uint8_t zeros[DATA_SECRET_SIZE];
    assert_memory_not_equal(fixture->folder.token_secret, zeros, DATA_SECRET_SIZE);
    assert_memory_not_equal(fixture->folder.token_secret, fixture->folder.turn_secret,
                            DATA_SECRET_SIZE);
}

static void test_secrets_that_others_may_touch_are_told(void **state)
{
    struct fixture *fixture = *state;
    char file[256];
    snprintf(file, sizeof(file), "%s/%s", fixture->path, DATA_FILE_TOKEN_SECRET);
    assert_int_equal(open_folder(fixture), 0);
    assert_false(fixture->folder.exposed);
    assert_int_equal(chmod(file, 0640), 0);
    assert_int_equal(open_folder(fixture), 0);
    assert_true(fixture->folder.exposed);
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(chmod(fixture->path, 0755), 0); // to look at names harms nobody
    assert_int_equal(open_folder(fixture), 0);
    assert_false(fixture->folder.exposed);
    assert_int_equal(chmod(fixture->path, 0777), 0);
    assert_int_equal(open_folder(fixture), 0);
    assert_true(fixture->folder.exposed);
}

static void test_the_certificate_is_good_for_this_machine(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_folder(fixture), 0);
    struct certificate *certificate = load_certificate(fixture);
    assert_true(certificate_is_self_signed(certificate));
    assert_true(certificate_covers(certificate, "localhost"));
    assert_true(certificate_covers(certificate, "127.0.0.1"));
    assert_false(certificate_covers(certificate, "example.org"));
    int64_t now_s = (int64_t)(clock_unix_us() / TIME_US_PER_S);
    assert_true(certificate_not_before_unix_s(certificate) < now_s);
    assert_true(certificate_not_after_unix_s(certificate) - now_s <= 825 * 86400);
    certificate_unref(certificate);
}

static void test_the_second_start_keeps_what_the_first_made(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_folder(fixture), 0);
    uint8_t secret[DATA_SECRET_SIZE];
    memcpy(secret, fixture->folder.token_secret, sizeof(secret));
    struct certificate *first = load_certificate(fixture);
    assert_int_equal(open_folder(fixture), 0);
    assert_false(fixture->folder.first_start);
    assert_memory_equal(fixture->folder.token_secret, secret, sizeof(secret));
    struct certificate *second = load_certificate(fixture);
    assert_string_equal(certificate_fingerprint(first), certificate_fingerprint(second));
    certificate_unref(first);
    certificate_unref(second);
}

/** A key that is silently replaced would void tokens without anyone knowing why. */
static void test_a_damaged_secret_is_refused_with_the_file_named(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_folder(fixture), 0);
    write_file(fixture, DATA_FILE_TOKEN_SECRET, "00ff\n");
    assert_int_equal(open_folder(fixture), -EINVAL);
    assert_non_null(strstr(fixture->problem_text, DATA_FILE_TOKEN_SECRET " is damaged"));
}

static void test_a_broken_or_ending_certificate_is_made_anew(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_folder(fixture), 0);
    write_file(fixture, DATA_FILE_CERTIFICATE, "no certificate");
    assert_int_equal(open_folder(fixture), 0);
    struct certificate *certificate = load_certificate(fixture);

    // one that runs out in ten days
    int64_t now_s = (int64_t)(clock_unix_us() / TIME_US_PER_S);
    const char *const names[] = { "localhost" };
    struct certificate_request request = { .common_name = "old",
                                           .names = names,
                                           .name_count = 1,
                                           .not_before_unix_s = now_s - 100 * 86400,
                                           .not_after_unix_s = now_s + 10 * 86400 };
    struct random random;
    random_seeded_init(&random, 1);
    struct certificate *old = NULL;
    assert_int_equal(certificate_make(&request, &random, &old), 0);
    char pem[8192];
    struct text_builder out = text_builder_of(pem, sizeof(pem));
    certificate_write_chain(old, &out);
    write_file(fixture, DATA_FILE_CERTIFICATE, pem);
    out = text_builder_of(pem, sizeof(pem));
    certificate_write_key(old, &out);
    write_file(fixture, DATA_FILE_PRIVATE_KEY, pem);
    assert_int_equal(open_folder(fixture), 0);
    struct certificate *fresh = load_certificate(fixture);
    assert_true(certificate_not_after_unix_s(fresh) > now_s + 400 * 86400);
    certificate_unref(certificate);
    certificate_unref(old);
    certificate_unref(fresh);
}

static void test_a_configured_certificate_is_used_instead(void **state)
{
    struct fixture *fixture = *state;
    struct options_problems problems = { 0 };
    options_set(&fixture->options, "http.cert=/some/chain.pem", &problems);
    options_set(&fixture->options, "http.key=/some/key.pem", &problems);
    assert_int_equal(problems.count, 0);
    assert_int_equal(open_folder(fixture), 0);
    assert_false(fixture->folder.self_signed);
    assert_string_equal(fixture->folder.certificate_file, "/some/chain.pem");
    assert_string_equal(fixture->folder.private_key_file, "/some/key.pem");
}

static void test_the_configured_certificate_is_checked(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(data_certificate_check(&fixture->options.values, &fixture->problem), 0);
    assert_int_equal(open_folder(fixture), 0);
    struct options_problems problems = { 0 };
    char assignment[512];
    snprintf(assignment, sizeof(assignment), "http.cert=%s", fixture->folder.certificate_file);
    options_set(&fixture->options, assignment, &problems);
    snprintf(assignment, sizeof(assignment), "http.key=%s", fixture->folder.private_key_file);
    options_set(&fixture->options, assignment, &problems);
    assert_int_equal(problems.count, 0);
    assert_int_equal(data_certificate_check(&fixture->options.values, &fixture->problem), 0);
    write_file(fixture, DATA_FILE_CERTIFICATE, "no certificate");
    assert_true(data_certificate_check(&fixture->options.values, &fixture->problem) < 0);
    assert_non_null(strstr(fixture->problem_text, DATA_FILE_CERTIFICATE));
}

static void test_a_folder_that_cannot_be_made_says_which_option_to_change(void **state)
{
    struct fixture *fixture = *state;
    // a file stands where the folder should be made
    assert_int_equal(file_write_atomic(fixture->path, bytes_of_text("x"), 0600), 0);
    struct options_problems problems = { 0 };
    char assignment[160];
    snprintf(assignment, sizeof(assignment), "server.data_dir=%s/below", fixture->path);
    options_set(&fixture->options, assignment, &problems);
    assert_true(open_folder(fixture) < 0);
    assert_non_null(strstr(fixture->problem_text, "server.data_dir"));
    unlink(fixture->path);
}

#define folder_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        folder_test(test_the_first_start_makes_everything_with_narrow_modes),
        folder_test(test_secrets_that_others_may_touch_are_told),
        folder_test(test_the_certificate_is_good_for_this_machine),
        folder_test(test_the_second_start_keeps_what_the_first_made),
        folder_test(test_a_damaged_secret_is_refused_with_the_file_named),
        folder_test(test_a_broken_or_ending_certificate_is_made_anew),
        folder_test(test_a_configured_certificate_is_used_instead),
        folder_test(test_the_configured_certificate_is_checked),
        folder_test(test_a_folder_that_cannot_be_made_says_which_option_to_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
