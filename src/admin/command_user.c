// `roost user`: people (and programs) with a name and a password, in the user store.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/commands.h"
#include "admin/first_start.h"
#include "admin/nearest.h"
#include "base/memory.h"
#include "base/opaque_string.h"
#include "base/time.h"
#include "proto/stun/stun.h"
#include "proto/turn/turn_settings.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "runtime/files.h"
#include "runtime/terminal.h"
#include "users/user_store.h"

#define PASSWORD_MAX     508 /**< bytes, as RFC 8489 section 14.3 has it for names */
#define GENERATED_LENGTH 24  /**< 142 bits */

/** One call, taken apart. */
struct user_call {
    const struct cli_call *call;
    const char *realm;
    char name[TURN_USERNAME_MAX + 1];
    struct user_store *store;
};

static int complain(int exit, const char *sentence)
{
    fprintf(stderr, "roost: %s\n", sentence);
    return exit;
}

/** Says what went wrong with the store. */
static int failed(const struct user_call *user, int result)
{
    if (result == -ENOENT)
        fprintf(stderr, "roost: there is no user \"%s\" (realm %s); see `roost user list`\n",
                user->name, user->realm);
    else if (result == -EEXIST)
        fprintf(stderr,
                "roost: there is a user \"%s\" already; `roost user passwd` changes the "
                "password\n",
                user->name);
    else
        fprintf(stderr, "roost: the user store: %s\n", user_store_problem(user->store));
    return CLI_EXIT_FAILURE;
}

/** ---- passwords ---- */

static int read_line_of_input(char password[PASSWORD_MAX + 2])
{
    if (!fgets(password, PASSWORD_MAX + 2, stdin))
        return complain(CLI_EXIT_USAGE, "no password on standard input");
    size_t size = strcspn(password, "\r\n");
    bool whole = password[size] != '\0' || feof(stdin);
    password[size] = '\0';
    return whole ? CLI_EXIT_OK : complain(CLI_EXIT_USAGE, "the password is too long");
}

static int ask_twice(char password[PASSWORD_MAX + 2])
{
    char again[PASSWORD_MAX + 2];
    int result = terminal_ask_secret("Password: ", password, PASSWORD_MAX + 2);
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

static int generate(char password[PASSWORD_MAX + 2])
{
    struct entropy entropy;
    entropy_init(&entropy);
    random_identifier(&entropy.random, password, GENERATED_LENGTH);
    entropy_done(&entropy);
    return CLI_EXIT_OK;
}

static int check_password(const char *password)
{
    struct bytes text = bytes_of_text(password);
    if (text.size == 0)
        return complain(CLI_EXIT_USAGE, "the password is empty");
    if (text.size > PASSWORD_MAX || !text_is_utf8(text))
        return complain(CLI_EXIT_USAGE, "a password is UTF-8 of at most 508 bytes");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return complain(CLI_EXIT_USAGE, "a password has no control characters");
    }
    return CLI_EXIT_OK;
}

/** A password's keys, and the password itself when it is to be told. Secret. */
struct new_password {
    struct user_keys keys;
    char generated[GENERATED_LENGTH + 1];
};

/** From where the options say. */
static int take_password(const struct user_call *user, struct new_password *ret_password)
{
    *ret_password = (struct new_password){ 0 };
    bool generated = cli_value(user->call, "generate") != NULL;
    bool from_input = cli_value(user->call, "password-stdin") != NULL;
    if (generated && from_input)
        return complain(CLI_EXIT_USAGE, "--generate and --password-stdin exclude each other");
    char password[PASSWORD_MAX + 2] = "";
    int result = generated    ? generate(password)
                 : from_input ? read_line_of_input(password)
                              : ask_twice(password);
    if (result == CLI_EXIT_OK)
        result = check_password(password);
    if (result == CLI_EXIT_OK) {
        struct bytes name = bytes_of_text(user->name), realm = bytes_of_text(user->realm);
        struct bytes text = bytes_of_text(password);
        stun_long_term_key(name, realm, text, ret_password->keys.md5);
        stun_long_term_key_sha256(name, realm, text, ret_password->keys.sha256);
        if (generated)
            memcpy(ret_password->generated, password, sizeof(ret_password->generated));
    }
    memory_wipe(password, sizeof(password));
    return result;
}

/** ---- actions ---- */

static int64_t now_unix_s(void)
{
    return (int64_t)(clock_unix_us() / TIME_US_PER_S);
}

/** Prints a password that was made here, once it is good; wipes it. */
static int settle(const struct user_call *user, int result, struct new_password *password)
{
    if (result == 0 && password->generated[0])
        printf("%s\n", password->generated);
    memory_wipe(password, sizeof(*password));
    return result < 0 ? failed(user, result) : CLI_EXIT_OK;
}

static int run_add(const struct user_call *user)
{
    struct new_password password;
    int exit = take_password(user, &password);
    if (exit != CLI_EXIT_OK)
        return exit;
    int result = user_store_add(user->store, user->name, user->realm, &password.keys, now_unix_s());
    return settle(user, result, &password);
}

static int run_passwd(const struct user_call *user)
{
    struct new_password password;
    int exit = take_password(user, &password);
    if (exit != CLI_EXIT_OK)
        return exit;
    int result =
        user_store_set_keys(user->store, user->name, user->realm, &password.keys, now_unix_s());
    return settle(user, result, &password);
}

static int run_remove(const struct user_call *user)
{
    int result = user_store_remove(user->store, user->name, user->realm);
    return result < 0 ? failed(user, result) : CLI_EXIT_OK;
}

static int run_disable(const struct user_call *user)
{
    int result = user_store_set_disabled(user->store, user->name, user->realm, true);
    return result < 0 ? failed(user, result) : CLI_EXIT_OK;
}

static int run_enable(const struct user_call *user)
{
    int result = user_store_set_disabled(user->store, user->name, user->realm, false);
    return result < 0 ? failed(user, result) : CLI_EXIT_OK;
}

static int run_list(const struct user_call *user)
{
    struct user_list list;
    int result = user_store_read(user->store, NULL, &list);
    if (result < 0)
        return failed(user, result);
    for (size_t i = 0; i < list.count; i++) {
        const struct user *item = &list.items[i];
        char day[16] = "";
        time_t changed = (time_t)item->changed_unix_s;
        struct tm parts;
        if (gmtime_r(&changed, &parts))
            strftime(day, sizeof(day), "%Y-%m-%d", &parts);
        bool elsewhere = strcmp(item->realm, user->realm) != 0;
        printf("%-32s %s %s%s%s\n", item->name, day, item->disabled ? "disabled" : "enabled",
               elsewhere ? " of realm " : "", elsewhere ? item->realm : "");
    }
    if (list.count == 0)
        fprintf(stderr, "roost: there are no users; `roost user add NAME` makes one\n");
    user_list_done(&list);
    return CLI_EXIT_OK;
}

static const struct {
    const char *name;
    bool named; /**< takes a user */
    int (*run)(const struct user_call *user);
} actions[] = {
    { "add", true, run_add },       { "remove", true, run_remove },
    { "list", false, run_list },    { "disable", true, run_disable },
    { "enable", true, run_enable }, { "passwd", true, run_passwd },
};

/** ---- the command ---- */

static int open_store(struct user_call *user)
{
    char problem_text[512], path[4096];
    struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
    struct data_folder data = { 0 };
    int result = data_folder_open(&user->call->options->values, &data, &problem);
    if (result == 0 && file_join(path, sizeof(path), data.path, DATA_FILE_USERS) < 0) {
        text_append(&problem, "the path of the data folder is too long");
        result = -ENAMETOOLONG;
    }
    if (result == 0)
        result = user_store_open(path, &user->store, &problem);
    data_folder_done(&data);
    return result < 0 ? complain(CLI_EXIT_FAILURE, problem_text) : CLI_EXIT_OK;
}

static int take_name(struct user_call *user)
{
    size_t size;
    if (opaque_string_prepare(bytes_of_text(user->call->arguments[1]), user->name,
                              sizeof(user->name), &size) < 0 ||
        !user_name_is_valid(user->name))
        return complain(CLI_EXIT_USAGE, "a user name is UTF-8 of 1 to 255 bytes, without \":\", "
                                        "without control characters or blanks at its ends");
    return CLI_EXIT_OK;
}

static int unknown_action(const char *name)
{
    struct nearest nearest = nearest_to(bytes_of_text(name));
    for (size_t i = 0; i < array_size(actions); i++)
        nearest_offer(&nearest, actions[i].name);
    fprintf(stderr, "roost: no action \"%s\" of `roost user`", name);
    if (nearest.best)
        fprintf(stderr, "; did you mean %s?", nearest.best);
    fprintf(stderr, "\nTry `roost user --help`.\n");
    return CLI_EXIT_USAGE;
}

static int run_user(const struct cli_call *call)
{
    struct user_call user = { .call = call, .realm = call->options->values.turn.realm };
    for (size_t i = 0; i < array_size(actions); i++) {
        if (strcmp(actions[i].name, call->arguments[0]) != 0)
            continue;
        if (actions[i].named != (call->argument_count == 2))
            return complain(CLI_EXIT_USAGE, actions[i].named
                                                ? "which user? Try `roost user --help`."
                                                : "`roost user list` takes no name");
        int exit = actions[i].named ? take_name(&user) : CLI_EXIT_OK;
        if (exit == CLI_EXIT_OK)
            exit = open_store(&user);
        if (exit == CLI_EXIT_OK)
            exit = actions[i].run(&user);
        user_store_close(user.store);
        return exit;
    }
    return unknown_action(call->arguments[0]);
}

static const struct cli_option options[] = {
    { "password-stdin", NULL, "add, passwd: read the password from standard input, one line." },
    { "generate", NULL, "add, passwd: make a password and print it, once." },
    { 0 },
};

const struct cli_command command_user = {
    .name = "user",
    .summary = "Add, remove, list, disable, enable users, or change a password.",
    .arguments = "add|remove|list|disable|enable|passwd [NAME]",
    .help = "Users of TURN's long-term credentials, in users.db of the data folder; they belong to "
            "turn.realm. Only keys made from passwords are kept. A running server takes changes "
            "over within a second.",
    .options = options,
    .argument_min = 1,
    .argument_max = 2,
    .run = run_user,
};
