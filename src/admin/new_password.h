/** A new password for a user, from where the options of a command say. */
#pragma once

#include "admin/cli.h"
#include "users/user_keys.h"

#define NEW_PASSWORD_GENERATED_LENGTH 24 /**< letters and digits: 142 bits */

/** The rows of a command that takes one. */
#define NEW_PASSWORD_OPTIONS                                                                       \
    { "password-stdin", NULL, "add, passwd: read the password from standard input, one line." },   \
    {                                                                                              \
        "generate", NULL, "add, passwd: make a password and print it, once."                       \
    }

/** Secret: wipe it. */
struct new_password {
    char text[USER_PASSWORD_MAX + 1]; /**< in the form of opaque_string_prepare */
    bool generated;                   /**< nobody knows it yet */
};

/**
 * Asks on the terminal, reads a line, or makes one. Returns an enum cli_exit, the problem told
 * unless it is CLI_EXIT_OK.
 */
must_check int new_password_take(const struct cli_call *call, struct new_password *ret_password);
