// Lists of users as people and programs write them, and what is said about lines that are none.
#include "support/check.h"

#include <errno.h>
#include <stdio.h>

#include "users/user_import.h"

#define SALT_AND_KEYS_OF_PENCIL                                                                    \
    ":W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                      \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define SHA256_OF_PENCIL "SCRAM-SHA-256$4096" SALT_AND_KEYS_OF_PENCIL
#define SHA1_OF_PENCIL                                                                             \
    "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE="

/** Reads a file and writes down what it comes to: users, and what was wrong. */
static void read_all(struct bytes text, char out[2048])
{
    struct text_builder written = text_builder_of(out, 2048);
    struct user_import import;
    out[0] = '\0';
    if (user_import_begin(&import, text, &written) < 0)
        return;
    struct user_import_row row;
    int result;
    while ((result = user_import_next(&import, &row, &written)) != 0) {
        if (result > 0) {
            text_append_format(&written, "%u:%s/%s/%s/%s", import.line, row.name, row.password,
                               user_role_name(row.role), row.display_name);
            if (row.says_digest)
                text_append(&written, row.digest ? "/digest" : "/no digest");
            if (row.scram_sha256.iterations)
                text_append(&written, "/sha256");
            if (row.scram_sha1.iterations)
                text_append(&written, "/sha1");
        }
        text_append(&written, "\n");
    }
}

static void check_file(const char *text, const char *expected)
{
    char out[2048];
    read_all(bytes_of_text(text), out);
    assert_text_equal(out, expected);
}

static void users_are_read(void **state)
{
    (void)state;
    check_file("name,password\nann,secret\nben,another",
               "2:ann/secret/user/\n3:ben/another/user/\n");
    check_file("name,password,role,display_name,digest\n"
               "ann,the password,operator,\"Ann, who answers\",yes\n"
               "ben,x,moderator,,no\n"
               "cid,x,,,\n",
               "2:ann/the password/operator/Ann, who answers/digest\n"
               "3:ben/x/moderator//no digest\n"
               "4:cid/x/user/\n");
    // another order, what editors of other systems add, empty lines
    check_file("\xef\xbb\xbfrole,password,name\r\n\r\noperator,x,ann\r\n\r\n,y,ben\r\n",
               "3:ann/x/operator/\n5:ben/y/user/\n");
    // marks that stand twice, spaces that are a password's own, spaces of Unicode
    check_file("name,password\nann,\"say \"\"please\"\"\"\nben, x \ncid,\"a\xc2\xa0"
               "b\"",
               "2:ann/say \"please\"/user/\n3:ben/ x /user/\n4:cid/a b/user/\n");
}

static void verifiers_of_other_servers_are_taken(void **state)
{
    (void)state;
    check_file("name,scram_sha256,scram_sha1\nann," SHA256_OF_PENCIL "," SHA1_OF_PENCIL
               "\nben," SHA256_OF_PENCIL ",",
               "2:ann//user//sha256/sha1\n3:ben//user//sha256\n");
    check_file("name,password,scram_sha256\nann,x,\nben,," SHA256_OF_PENCIL,
               "2:ann/x/user/\n3:ben//user//sha256\n");
}

static void lines_that_are_wrong_are_told_and_the_others_read(void **state)
{
    (void)state;
    check_file("name,password,role,display_name,digest\n"
               "a:b,x,,,\n"
               ",x,,,\n"
               "ann,,,,\n"
               "ben,x,king,,\n"
               "cid,x,, c,\n"
               "dan,x,,,maybe\n"
               "eve,x,,\n"
               "fay,x\ty,,,\n"
               "good,x,,,\n",
               "line 2: a user name is UTF-8 of 1 to 255 bytes, without \":\", without control "
               "characters or blanks at its ends\n"
               "line 3: the name is missing\n"
               "line 4: the password is missing\n"
               "line 5: a role is user, moderator or operator\n"
               "line 6: a display name is UTF-8 of at most 128 bytes without control characters "
               "or blanks at its ends\n"
               "line 7: digest is yes or no\n"
               "line 8: it has not as many fields as the first line\n"
               "line 9: a password is UTF-8 of at most 508 bytes without control characters\n"
               "10:good/x/user/\n");
    check_file("name,password\n"
               "ann,\"x\n"
               "ben,x\"y\n"
               "cid,\"x\"y\n"
               "\xff,x\n"
               "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\n",
               "line 2: a quotation mark is missing at the end of a field\n"
               "line 3: a field with a quotation mark stands in quotation marks, and the mark "
               "twice\n"
               "line 4: there is something between a quotation mark and the comma\n"
               "line 5: it is not UTF-8 text\n"
               "line 6: it has too many fields\n");
    check_file("name,password,digest,scram_sha256,scram_sha1\n"
               "ann,x,," SHA256_OF_PENCIL ",\n"
               "ben,,yes," SHA256_OF_PENCIL ",\n"
               "cid,,," SHA1_OF_PENCIL ",\n"
               "dan,,,," SHA1_OF_PENCIL "\n"
               "eve,,,SCRAM-SHA-256$100001" SALT_AND_KEYS_OF_PENCIL ",\n",
               "line 2: there are a password and a verifier: one of them is enough\n"
               "line 3: digest keys can only be made of a password\n"
               "line 4: scram_sha256 is SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, "
               "with 4096 to 100000 iterations\n"
               "line 5: the password is missing\n"
               "line 6: a verifier has more than 100000 iterations: each login would keep a core "
               "for too long; import the password, or have the user choose another one\n");
}

static void files_without_a_line_of_columns_are_refused(void **state)
{
    (void)state;
#define COLUMNS                                                                                    \
    "line 1: the first line names the columns: name, password, role, display_name, digest, "       \
    "scram_sha256, scram_sha1"
    check_file("", "the file is empty");
    check_file("\n\n", "the file is empty");
    check_file("ann,secret\n", COLUMNS);
    check_file("Name,Password\n", COLUMNS);
    check_file("ann:$apr1$salt$hash\n", COLUMNS);
    check_file("name\nann\n", "line 1: there is no column name, or no column password");
    check_file("password,role\n", "line 1: there is no column name, or no column password");
    check_file("name,password,name\n", "line 1: a column is there twice");
}

static void long_lines_are_refused(void **state)
{
    (void)state;
    char text[3 * USER_IMPORT_LINE_MAX], out[2048];
    int size = snprintf(text, sizeof(text), "name,password\n%*s\nann,%0*d\n",
                        USER_IMPORT_LINE_MAX + 1, "x", USER_PASSWORD_MAX, 0);
    read_all(bytes_of(text, (size_t)size), out);
    char expected[1024];
    snprintf(expected, sizeof(expected), "line 2: it is too long\n3:ann/%0*d/user/\n",
             USER_PASSWORD_MAX, 0);
    assert_text_equal(out, expected);
    size = snprintf(text, sizeof(text), "name,password\nann,%0*d\n", USER_PASSWORD_MAX + 1, 0);
    read_all(bytes_of(text, (size_t)size), out);
    assert_text_equal(out, "line 2: a password is UTF-8 of at most 508 bytes without control "
                           "characters\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_read),
        cmocka_unit_test(verifiers_of_other_servers_are_taken),
        cmocka_unit_test(lines_that_are_wrong_are_told_and_the_others_read),
        cmocka_unit_test(files_without_a_line_of_columns_are_refused),
        cmocka_unit_test(long_lines_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
