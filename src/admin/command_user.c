// `roost user`: people (and programs) with a name and a password, in the user store.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/command_user_int.h"
#include "admin/commands.h"
#include "admin/first_start.h"
#include "admin/nearest.h"
#include "admin/new_password.h"
#include "base/memory.h"
#include "base/opaque_string.h"
#include "base/time.h"
#include "runtime/clock.h"
#include "runtime/entropy.h"
#include "runtime/files.h"

int user_call_complain(int exit, const char *sentence)
{
    fprintf(stderr, "roost: %s\n", sentence);
    return exit;
}

int user_call_failed(const struct user_call *user, int result)
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

/** ---- what the options say ---- */

int64_t user_call_now_unix_s(void)
{
    return (int64_t)(clock_unix_us() / TIME_US_PER_S);
}

static bool has_role(const struct user_call *user, const char *role)
{
    return option_list_has(&user->call->options->values.server.roles, role);
}

int user_call_take_digest(const struct user_call *user, enum user_digest *ret_digest)
{
    bool yes = cli_value(user->call, "digest") != NULL;
    bool no = cli_value(user->call, "no-digest") != NULL;
    if (yes && no)
        return user_call_complain(CLI_EXIT_USAGE, "--digest and --no-digest exclude each other");
    *ret_digest = yes ? USER_DIGEST_YES : no ? USER_DIGEST_NO : USER_DIGEST_AS_IT_IS;
    return CLI_EXIT_OK;
}

/** What `add` and `set` may say besides the password. Returns an enum cli_exit. */
static int take_profile(const struct user_call *user, struct user_edit *edit)
{
    const char *role = cli_value(user->call, "role");
    const char *display_name = edit->display_name = cli_value(user->call, "display-name");
    edit->has_role = role != NULL;
    if (role && user_role_parse(bytes_of_text(role), &edit->role) < 0)
        return user_call_complain(CLI_EXIT_USAGE, "--role is user, moderator or operator");
    if (display_name && *display_name && !user_display_name_is_valid(display_name))
        return user_call_complain(CLI_EXIT_USAGE,
                                  "a display name is UTF-8 of at most 128 bytes without "
                                  "control characters or blanks at its ends");
    return CLI_EXIT_OK;
}

static struct user_edit edit_of(const struct user_call *user)
{
    return (struct user_edit){ .kind = USER_EDIT_CHANGE, .name = user->name, .realm = user->realm };
}

/** Returns an enum cli_exit, the problem told. */
static int apply(const struct user_call *user, const struct user_edit *edit)
{
    struct entropy entropy;
    entropy_init(&entropy);
    int result = user_edit_apply(user->store, edit, &entropy.random, user_call_now_unix_s());
    entropy_done(&entropy);
    return result < 0 ? user_call_failed(user, result) : CLI_EXIT_OK;
}

/** With a new password, which is printed if it was made here. */
static int apply_password(const struct user_call *user, struct user_edit *edit)
{
    struct new_password password;
    int exit = new_password_take(user->call, &password);
    edit->password = password.text;
    if (exit == CLI_EXIT_OK)
        exit = apply(user, edit);
    if (exit == CLI_EXIT_OK && password.generated)
        printf("%s\n", password.text);
    memory_wipe(&password, sizeof(password));
    return exit;
}

/** ---- actions ---- */

/**
 * Where only TURN runs, a user who may not use it is of no use; elsewhere people sign in, and keys
 * that are guessed so quickly are for those who were said to need them.
 */
bool user_call_keeps_digest(const struct user_call *user)
{
    return has_role(user, "turn") && !has_role(user, "signal") && !has_role(user, "app");
}

static int run_add(struct user_call *user)
{
    struct user_edit edit = edit_of(user);
    edit.kind = USER_EDIT_ADD;
    int exit = user_call_take_digest(user, &edit.digest);
    if (exit == CLI_EXIT_OK)
        exit = take_profile(user, &edit);
    if (edit.digest == USER_DIGEST_AS_IT_IS && user_call_keeps_digest(user))
        edit.digest = USER_DIGEST_YES;
    return exit == CLI_EXIT_OK ? apply_password(user, &edit) : exit;
}

static int run_passwd(struct user_call *user)
{
    struct user_edit edit = edit_of(user);
    int exit = user_call_take_digest(user, &edit.digest);
    return exit == CLI_EXIT_OK ? apply_password(user, &edit) : exit;
}

static int run_set(struct user_call *user)
{
    struct user_edit edit = edit_of(user);
    int exit = take_profile(user, &edit);
    if (exit != CLI_EXIT_OK)
        return exit;
    if (!edit.has_role && !edit.display_name)
        return user_call_complain(CLI_EXIT_USAGE, "nothing to set: give --role or --display-name");
    return apply(user, &edit);
}

static int run_remove(struct user_call *user)
{
    struct user_edit edit = edit_of(user);
    edit.kind = USER_EDIT_REMOVE;
    return apply(user, &edit);
}

static int set_disabled(const struct user_call *user, bool disabled)
{
    struct user_edit edit = edit_of(user);
    edit.has_disabled = true;
    edit.disabled = disabled;
    return apply(user, &edit);
}

static int run_disable(struct user_call *user)
{
    return set_disabled(user, true);
}

static int run_enable(struct user_call *user)
{
    return set_disabled(user, false);
}

static void print_user(const struct user_call *user, const struct user *item)
{
    char day[16] = "";
    time_t changed = (time_t)item->changed_unix_s;
    struct tm parts;
    if (gmtime_r(&changed, &parts))
        strftime(day, sizeof(day), "%Y-%m-%d", &parts);
    printf("%-32s %s %s", item->name, day, item->disabled ? "disabled" : "enabled");
    if (item->role != USER_ROLE_USER)
        printf(" %s", user_role_name(item->role));
    if (item->keys.has_digest)
        printf(" digest");
    if (item->display_name)
        printf(" \"%s\"", item->display_name);
    if (strcmp(item->realm, user->realm) != 0)
        printf(" of realm %s", item->realm);
    printf("\n");
}

static int run_list(struct user_call *user)
{
    int result = user_store_read(user->store, NULL, &user->users);
    if (result < 0)
        return user_call_failed(user, result);
    for (size_t i = 0; i < user->users.count; i++)
        print_user(user, &user->users.items[i]);
    if (user->users.count == 0)
        fprintf(stderr, "roost: there are no users; `roost user add NAME` makes one\n");
    return CLI_EXIT_OK;
}

static const struct {
    const char *name;
    enum { NOTHING, A_NAME, A_FILE } takes;
    int (*run)(struct user_call *user);
} actions[] = {
    { "add", A_NAME, run_add },
    { "passwd", A_NAME, run_passwd },
    { "set", A_NAME, run_set },
    { "list", NOTHING, run_list },
    { "disable", A_NAME, run_disable },
    { "enable", A_NAME, run_enable },
    { "remove", A_NAME, run_remove },
    { "del", A_NAME, run_remove },
    { "import", A_FILE, user_call_import },
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
    return result < 0 ? user_call_complain(CLI_EXIT_FAILURE, problem_text) : CLI_EXIT_OK;
}

static int take_name(struct user_call *user)
{
    size_t size;
    if (opaque_string_prepare(bytes_of_text(user->call->arguments[1]), user->name,
                              sizeof(user->name), &size) < 0 ||
        !user_name_is_valid(user->name))
        return user_call_complain(CLI_EXIT_USAGE,
                                  "a user name is UTF-8 of 1 to 255 bytes, without \":\", "
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
        if ((actions[i].takes != NOTHING) != (call->argument_count == 2))
            return user_call_complain(CLI_EXIT_USAGE, actions[i].takes == A_NAME
                                                          ? "which user? Try `roost user --help`."
                                                      : actions[i].takes == A_FILE
                                                          ? "which file? Try `roost user --help`."
                                                          : "`roost user list` takes no name");
        int exit = actions[i].takes == A_NAME ? take_name(&user) : CLI_EXIT_OK;
        if (exit == CLI_EXIT_OK)
            exit = open_store(&user);
        if (exit == CLI_EXIT_OK)
            exit = actions[i].run(&user);
        user_list_done(&user.users);
        user_store_close(user.store);
        return exit;
    }
    return unknown_action(call->arguments[0]);
}

static const struct cli_option options[] = {
    NEW_PASSWORD_OPTIONS,
    { "role", "ROLE", "add, set: user, moderator or operator." },
    { "display-name", "TEXT", "add, set: the name for people to read; \"\" takes it away." },
    { "digest", NULL,
      "add, import, passwd: keep what the user needs to use TURN or SIP with this password (MD5, "
      "SHA-256)." },
    { "no-digest", NULL, "add, import, passwd: keep none of it." },
    { 0 },
};

const struct cli_command command_user = {
    .name = "user",
    .summary = "Add, remove, list, change, disable, enable users.",
    .arguments = "add|passwd|set|list|disable|enable|remove|import [NAME|FILE]",
    .help =
        "Users are in users.db of the data folder; they belong to turn.realm. Only keys made from "
        "passwords are kept: slow ones to sign in with, and for TURN and SIP quick ones as well, "
        "where --digest allows it or only TURN runs (server.roles); passwd leaves that as it is. "
        "import reads a CSV file (\"-\": standard input) whose first line is "
        "name,password,role,display_name. A running server takes changes over within a second.",
    .options = options,
    .argument_min = 1,
    .argument_max = 2,
    .run = run_user,
};
