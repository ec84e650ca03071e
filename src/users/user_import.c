#include "users/user_import.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/opaque_string.h"

static const char *const column_names[USER_IMPORT_COLUMN_COUNT] = {
    [USER_IMPORT_NAME] = "name",
    [USER_IMPORT_PASSWORD] = "password",
    [USER_IMPORT_ROLE] = "role",
    [USER_IMPORT_DISPLAY_NAME] = "display_name",
    [USER_IMPORT_DIGEST] = "digest",
    [USER_IMPORT_SCRAM_SHA256] = "scram_sha256",
    [USER_IMPORT_SCRAM_SHA1] = "scram_sha1",
};

/** ---- lines and fields ---- */

/** A line taken apart: the fields stand in `text`, one behind the other. Secret. */
struct fields {
    char text[USER_IMPORT_LINE_MAX];
    size_t size;
    struct bytes items[USER_IMPORT_COLUMNS_MAX];
    size_t count;
};

static int complain(const struct user_import *import, struct text_builder *problem,
                    const char *sentence)
{
    text_append_format(problem, "line %u: %s", import->line, sentence);
    return -EINVAL;
}

/** The next line that is not empty; false: there is none. */
static bool take_line(struct user_import *import, struct bytes *ret_line)
{
    while (import->rest.size > 0) {
        struct bytes line = text_take_until(&import->rest, '\n');
        import->line++;
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        if (line.size == 0)
            continue;
        *ret_line = line;
        return true;
    }
    return false;
}

/**
 * One field from the front of `*line`, and the comma behind it. Returns whether a comma was there,
 * or -EINVAL.
 */
static int take_field(struct bytes *line, struct fields *fields, const char **ret_sentence)
{
    size_t at = 0, start = fields->size;
    bool quoted = line->size > 0 && line->data[0] == '"';
    for (at = quoted; at < line->size; at++) {
        uint8_t c = line->data[at];
        if (quoted && c == '"') {
            if (at + 1 == line->size || line->data[at + 1] != '"')
                break;
            at++; // two are one
        } else if (!quoted && c == ',') {
            break;
        } else if (!quoted && c == '"') {
            *ret_sentence = "a field with a quotation mark stands in quotation marks, and the "
                            "mark twice";
            return -EINVAL;
        }
        fields->text[fields->size++] = (char)c;
    }
    if (quoted && at == line->size) {
        *ret_sentence = "a quotation mark is missing at the end of a field";
        return -EINVAL;
    }
    at += quoted;
    if (at < line->size && line->data[at] != ',') {
        *ret_sentence = "there is something between a quotation mark and the comma";
        return -EINVAL;
    }
    fields->items[fields->count++] = bytes_of(fields->text + start, fields->size - start);
    bool comma = at < line->size;
    at += comma;
    *line = bytes_of(line->data + at, line->size - at);
    return comma;
}

/** Returns 0, or -EINVAL with the problem told. */
static int split(const struct user_import *import, struct bytes line, struct fields *ret_fields,
                 struct text_builder *problem)
{
    ret_fields->size = ret_fields->count = 0;
    if (line.size > sizeof(ret_fields->text))
        return complain(import, problem, "it is too long");
    if (!text_is_utf8(line) || memchr(line.data, '\0', line.size))
        return complain(import, problem, "it is not UTF-8 text");
    const char *sentence = "";
    int more = 1;
    while (more > 0) {
        if (ret_fields->count == USER_IMPORT_COLUMNS_MAX)
            return complain(import, problem, "it has too many fields");
        more = take_field(&line, ret_fields, &sentence);
    }
    return more < 0 ? complain(import, problem, sentence) : 0;
}

/** ---- the first line ---- */

static int take_column(struct user_import *import, struct bytes name, unsigned *seen,
                       struct text_builder *problem)
{
    for (enum user_import_column column = 0; column < USER_IMPORT_COLUMN_COUNT; column++) {
        if (!text_equal(name, column_names[column]))
            continue;
        if (*seen & 1u << column)
            return complain(import, problem, "a column is there twice");
        *seen |= 1u << column;
        import->columns[import->column_count++] = column;
        return 0;
    }
    return complain(import, problem,
                    "the first line names the columns: name, password, role, display_name, digest, "
                    "scram_sha256, scram_sha1");
}

static int take_columns(struct user_import *import, const struct fields *fields,
                        struct text_builder *problem)
{
    unsigned seen = 0;
    for (size_t i = 0; i < fields->count; i++) {
        int result = take_column(import, fields->items[i], &seen, problem);
        if (result < 0)
            return result;
    }
    unsigned secrets = 1u << USER_IMPORT_PASSWORD | 1u << USER_IMPORT_SCRAM_SHA256;
    if (!(seen & 1u << USER_IMPORT_NAME) || !(seen & secrets))
        return complain(import, problem, "there is no column name, or no column password");
    return 0;
}

int user_import_begin(struct user_import *import, struct bytes text,
                      struct text_builder *ret_problem)
{
    static const uint8_t mark[] = { 0xef, 0xbb, 0xbf }; // which some editors put first
    *import = (struct user_import){ .rest = text };
    if (text.size >= sizeof(mark) && memcmp(text.data, mark, sizeof(mark)) == 0)
        import->rest = bytes_of(text.data + sizeof(mark), text.size - sizeof(mark));
    struct bytes line;
    struct fields fields;
    if (!take_line(import, &line)) {
        text_append(ret_problem, "the file is empty");
        return -EINVAL;
    }
    int result = split(import, line, &fields, ret_problem);
    return result < 0 ? result : take_columns(import, &fields, ret_problem);
}

/** ---- users ---- */

static bool take_text(struct bytes field, char *out, size_t capacity)
{
    size_t size;
    return opaque_string_prepare(field, out, capacity, &size) == 0;
}

/** Returns what is wrong with it, or NULL; `form` is the sentence about another form. */
static const char *take_verifier(struct bytes field, enum hash_kind kind, const char *form,
                                 struct scram_verifier *out)
{
    if (scram_verifier_parse(field, out) < 0 || out->kind != kind)
        return form;
    if (out->iterations > USER_IMPORT_ITERATIONS_MAX)
        return "a verifier has more than 100000 iterations: each login would keep a core for too "
               "long; import the password, or have the user choose another one";
    return NULL;
}

/** Returns what is wrong with a field, or NULL. */
static const char *take(enum user_import_column column, struct bytes field,
                        struct user_import_row *row)
{
    switch (column) {
    case USER_IMPORT_NAME:
        return take_text(field, row->name, sizeof(row->name)) && user_name_is_valid(row->name)
                   ? NULL
                   : "a user name is UTF-8 of 1 to 255 bytes, without \":\", without control "
                     "characters or blanks at its ends";
    case USER_IMPORT_PASSWORD:
        return take_text(field, row->password, sizeof(row->password))
                   ? NULL
                   : "a password is UTF-8 of at most 508 bytes without control characters";
    case USER_IMPORT_ROLE:
        return user_role_parse(field, &row->role) == 0 ? NULL
                                                       : "a role is user, moderator or operator";
    case USER_IMPORT_DISPLAY_NAME:
        return text_copy(row->display_name, sizeof(row->display_name), field) == 0 &&
                       user_display_name_is_valid(row->display_name)
                   ? NULL
                   : "a display name is UTF-8 of at most 128 bytes without control characters or "
                     "blanks at its ends";
    case USER_IMPORT_DIGEST:
        row->says_digest = true;
        row->digest = text_equal(field, "yes");
        return row->digest || text_equal(field, "no") ? NULL : "digest is yes or no";
    case USER_IMPORT_SCRAM_SHA256:
        return take_verifier(field, HASH_SHA256,
                             "scram_sha256 is SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:"
                             "<ServerKey>, with 4096 to 100000 iterations",
                             &row->scram_sha256);
    default:
        return take_verifier(field, HASH_SHA1,
                             "scram_sha1 is SCRAM-SHA-1$<iterations>:<salt>$<StoredKey>:"
                             "<ServerKey>, with 4096 to 100000 iterations",
                             &row->scram_sha1);
    }
}

/** What the fields of a user come to together; NULL: they are good. */
static const char *check(const struct user_import_row *row)
{
    bool has_password = row->password[0] != '\0';
    bool has_verifier = row->scram_sha256.iterations > 0;
    if (row->name[0] == '\0')
        return "the name is missing";
    if (!has_password && !has_verifier)
        return "the password is missing";
    if (has_password && (has_verifier || row->scram_sha1.iterations > 0))
        return "there are a password and a verifier: one of them is enough";
    if (row->digest && !has_password)
        return "digest keys can only be made of a password";
    return NULL;
}

static int take_row(const struct user_import *import, const struct fields *fields,
                    struct user_import_row *row, struct text_builder *problem)
{
    if (fields->count != import->column_count)
        return complain(import, problem, "it has not as many fields as the first line");
    for (size_t i = 0; i < fields->count; i++) {
        const char *sentence =
            fields->items[i].size > 0 ? take(import->columns[i], fields->items[i], row) : NULL;
        if (sentence)
            return complain(import, problem, sentence);
    }
    const char *sentence = check(row);
    return sentence ? complain(import, problem, sentence) : 1;
}

int user_import_next(struct user_import *import, struct user_import_row *ret_row,
                     struct text_builder *ret_problem)
{
    struct bytes line;
    struct fields fields;
    if (!take_line(import, &line))
        return 0;
    *ret_row = (struct user_import_row){ 0 };
    int result = split(import, line, &fields, ret_problem);
    if (result == 0)
        result = take_row(import, &fields, ret_row, ret_problem);
    memory_wipe(&fields, sizeof(fields));
    return result;
}
