/** What the files of `roost user` share. */
#pragma once

#include "admin/cli.h"
#include "users/user_edit.h"

/** One call, taken apart. */
struct user_call {
    const struct cli_call *call;
    const char *realm;
    char name[USER_NAME_MAX + 1];
    struct user_store *store;
    struct user_list users; /**< of the realm, where an action needs to look */
};

/** Prints the sentence; returns `exit`. */
int user_call_complain(int exit, const char *sentence);
/** Says what went wrong with the store. Returns CLI_EXIT_FAILURE. */
int user_call_failed(const struct user_call *user, int result);
int64_t user_call_now_unix_s(void);
/** Whether digest keys are kept where nothing is said. */
bool user_call_keeps_digest(const struct user_call *user);
/** What --digest and --no-digest say. Returns an enum cli_exit. */
must_check int user_call_take_digest(const struct user_call *user, enum user_digest *ret_digest);

/** command_user_import.c: the users of a file, all or none. */
int user_call_import(struct user_call *user);
