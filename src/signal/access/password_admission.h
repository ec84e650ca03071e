/**
 * Passwords of accounts as the native protocol asks about them: the login service behind `struct
 * admission`.
 */
#pragma once

#include "signal/access/admission.h"
#include "users/user_login.h"

struct password_admission;

struct password_admission_config {
    struct loop *loop;         /**< required */
    struct user_login *logins; /**< required */
    /** The answer to a question, never from within it. */
    void (*decided)(void *owner, const char *session, const struct admission_answer *answer);
    void *owner;
};

/** Never NULL. */
struct password_admission *password_admission_new(const struct password_admission_config *config);
/** Before the login service goes: nothing is answered any more. Accepts NULL; returns NULL. */
struct password_admission *password_admission_free(struct password_admission *admission);
/** For the engine; lives as long. It is asked with `user` and `password`. */
struct admission *password_admission_of(struct password_admission *admission);
