/**
 * Lists of users to be made, as CSV (RFC 4180), in UTF-8, one user per line:
 *
 *     name,password,role,display_name
 *     ann,the password of ann,operator,"Ann, who answers"
 *     ben,another password,,
 *
 * The first line names the columns, in any order: `name`; `password`, or `scram_sha256` for what
 * other servers have kept (RFC 5803), and `scram_sha1` beside it; and as one likes `role`,
 * `display_name` and `digest` ("yes" or "no"). An empty field says nothing. Lines end with LF or
 * CR LF; empty ones are skipped. Fields have no line breaks.
 */
#pragma once

#include "base/text.h"
#include "users/user_store.h"

#define USER_IMPORT_LINE_MAX    4096 /**< bytes */
#define USER_IMPORT_COLUMNS_MAX 16
/** Of somebody else's verifier: 10 ms of a core for each login. */
#define USER_IMPORT_ITERATIONS_MAX 100000

enum user_import_column {
    USER_IMPORT_NAME,
    USER_IMPORT_PASSWORD,
    USER_IMPORT_ROLE,
    USER_IMPORT_DISPLAY_NAME,
    USER_IMPORT_DIGEST,
    USER_IMPORT_SCRAM_SHA256,
    USER_IMPORT_SCRAM_SHA1,
    USER_IMPORT_COLUMN_COUNT,
};

/** A file on its way. */
struct user_import {
    struct bytes rest;
    unsigned line; /**< the last that was read, from 1 */
    enum user_import_column columns[USER_IMPORT_COLUMNS_MAX];
    size_t column_count;
};

/** One user. Secret. */
struct user_import_row {
    char name[USER_NAME_MAX + 1];
    char password[USER_PASSWORD_MAX + 1];         /**< as opaque_string_prepare has it; "": none */
    char display_name[USER_DISPLAY_NAME_MAX + 1]; /**< "": none */
    enum user_role role;
    bool says_digest; /**< `digest` is what the file says */
    bool digest;
    struct scram_verifier scram_sha256; /**< without iterations: none */
    struct scram_verifier scram_sha1;
};

/**
 * Reads the first line. `text` must live as long as `import`. Returns 0, or -EINVAL with a sentence
 * that begins with the line.
 */
must_check int user_import_begin(struct user_import *import, struct bytes text,
                                 struct text_builder *ret_problem);
/**
 * The next user. Returns 1, 0 at the end, or -EINVAL with a sentence that begins with the line: the
 * next call reads on behind it. Wipe the row.
 */
must_check int user_import_next(struct user_import *import, struct user_import_row *ret_row,
                                struct text_builder *ret_problem);
