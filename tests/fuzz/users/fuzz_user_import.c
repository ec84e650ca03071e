// A list of users of any bytes: whoever comes out of it can be kept.
#include <string.h>

#include "base/opaque_string.h"
#include "users/user_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_verifier(const struct scram_verifier *verifier)
{
    char text[SCRAM_VERIFIER_TEXT_SIZE];
    struct scram_verifier again;
    if (verifier->iterations == 0)
        return;
    scram_verifier_write(verifier, text);
    ensure(scram_verifier_parse(bytes_of_text(text), &again) == 0);
    ensure(again.iterations == verifier->iterations && again.salt_size == verifier->salt_size);
}

static void check_row(const struct user_import_row *row)
{
    char again[USER_PASSWORD_MAX + 1];
    size_t size;
    ensure(user_name_is_valid(row->name));
    ensure(!row->display_name[0] || user_display_name_is_valid(row->display_name));
    ensure(row->role < USER_ROLE_COUNT);
    ensure(!row->password[0] != !row->scram_sha256.iterations);
    // a prepared password stays as it is
    if (row->password[0]) {
        ensure(opaque_string_prepare(bytes_of_text(row->password), again, sizeof(again), &size) ==
               0);
        ensure(strcmp(row->password, again) == 0);
    }
    check_verifier(&row->scram_sha256);
    check_verifier(&row->scram_sha1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    struct text_builder problem = text_builder_of(text, sizeof(text));
    struct user_import import;
    struct user_import_row row;
    if (user_import_begin(&import, bytes_of(data, size), &problem) < 0) {
        ensure(problem.length > 0 && !problem.truncated);
        return 0;
    }
    int result;
    while ((result = user_import_next(&import, &row, &problem)) != 0) {
        if (result > 0)
            check_row(&row);
        else
            ensure(problem.length > 0 && !problem.truncated);
        ensure(import.line <= size);
        problem = text_builder_of(text, sizeof(text));
    }
    return 0;
}
