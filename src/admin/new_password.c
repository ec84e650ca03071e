#include "admin/new_password.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/opaque_string.h"
#include "runtime/entropy.h"
#include "runtime/terminal.h"

#define LINE_SIZE (USER_PASSWORD_MAX + 2) // with the end of a line

static int complain(int exit, const char *sentence)
{
    fprintf(stderr, "roost: %s\n", sentence);
    return exit;
}

static int read_line_of_input(char password[LINE_SIZE])
{
    if (!fgets(password, LINE_SIZE, stdin))
        return complain(CLI_EXIT_USAGE, "no password on standard input");
    size_t size = strcspn(password, "\r\n");
    bool whole = password[size] != '\0' || feof(stdin);
    password[size] = '\0';
    return whole ? CLI_EXIT_OK : complain(CLI_EXIT_USAGE, "the password is too long");
}

static int ask_twice(char password[LINE_SIZE])
{
    char again[LINE_SIZE];
    int result = terminal_ask_secret("Password: ", password, LINE_SIZE);
    if (result == -ENOTTY)
        return complain(CLI_EXIT_USAGE,
                        "no terminal to ask on: use --password-stdin or --generate");
    if (result >= 0)
        result = terminal_ask_secret("Once more: ", again, sizeof(again));
    if (result < 0)
        return complain(CLI_EXIT_FAILURE,
                        result == -ENOSPC ? "the password is too long" : "no password was given");
    bool same = strcmp(password, again) == 0;
    memory_wipe(again, sizeof(again));
    return same ? CLI_EXIT_OK : complain(CLI_EXIT_FAILURE, "the two are not the same");
}

static int generate(char password[LINE_SIZE])
{
    struct entropy entropy;
    entropy_init(&entropy);
    random_identifier(&entropy.random, password, NEW_PASSWORD_GENERATED_LENGTH);
    entropy_done(&entropy);
    return CLI_EXIT_OK;
}

static int prepare(const char *password, char out[USER_PASSWORD_MAX + 1])
{
    size_t size;
    if (password[0] == '\0')
        return complain(CLI_EXIT_USAGE, "the password is empty");
    if (opaque_string_prepare(bytes_of_text(password), out, USER_PASSWORD_MAX + 1, &size) < 0)
        return complain(CLI_EXIT_USAGE,
                        "a password is UTF-8 of at most 508 bytes without control characters");
    return CLI_EXIT_OK;
}

int new_password_take(const struct cli_call *call, struct new_password *ret_password)
{
    bool generated = cli_value(call, "generate") != NULL;
    bool from_input = cli_value(call, "password-stdin") != NULL;
    if (generated && from_input)
        return complain(CLI_EXIT_USAGE, "--generate and --password-stdin exclude each other");
    char password[LINE_SIZE] = "";
    int result = generated    ? generate(password)
                 : from_input ? read_line_of_input(password)
                              : ask_twice(password);
    *ret_password = (struct new_password){ .generated = generated };
    if (result == CLI_EXIT_OK)
        result = prepare(password, ret_password->text);
    memory_wipe(password, sizeof(password));
    return result;
}
