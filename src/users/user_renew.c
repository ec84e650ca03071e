#include "users/user_renew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/opaque_string.h"
#include "runtime/entropy.h"
#include "runtime/jobs.h"

#define WAITING_MAX 64

struct user_renew {
    struct user_renew_config config;
    struct jobs *jobs;
    struct job_inbox inbox;
};

/** One account. Secret. */
struct renewal {
    struct user_renew *renew;
    struct job job;
    /** Of the job's thread while the job is out. */
    const char *path;
    char name[USER_NAME_MAX + 1];
    char realm[USER_REALM_MAX + 1];
    char password[USER_PASSWORD_MAX + 1];
    int64_t changed_unix_s; /**< when the password was set */
    int result;
    char problem[256];
};

static int store(struct renewal *renewal, const struct user_keys *keys)
{
    struct text_builder problem = text_builder_of(renewal->problem, sizeof(renewal->problem));
    struct user_store *store;
    int result = user_store_open(renewal->path, &store, &problem);
    if (result < 0)
        return result;
    result = user_store_add_verifiers(store, renewal->name, renewal->realm, keys,
                                      renewal->changed_unix_s);
    if (result < 0)
        text_append(&problem, user_store_problem(store));
    user_store_close(store);
    return result;
}

static void work(struct job *job)
{
    struct renewal *renewal = container_of(job, struct renewal, job);
    struct entropy entropy;
    struct user_keys keys;
    entropy_init(&entropy);
    user_keys_make(&keys, renewal->name, renewal->realm, renewal->password, false, &entropy.random);
    entropy_done(&entropy);
    renewal->result = store(renewal, &keys);
    memory_wipe(&keys, sizeof(keys));
}

static void renewal_free(struct renewal *renewal)
{
    memory_wipe(renewal, sizeof(*renewal));
    free(renewal);
}

static void done(struct job *job)
{
    struct renewal *renewal = container_of(job, struct renewal, job);
    const struct log *log = renewal->renew->config.log;
    // somebody may have changed the account meanwhile, and then there is nothing to do
    if (renewal->result == 0)
        log_info(log, "an account of before has slow keys now", log_text("user", renewal->name));
    else if (renewal->result != -ENOENT)
        log_warning(log, "an account of before could not be given slow keys",
                    log_text("user", renewal->name), log_text("problem", renewal->problem));
    renewal_free(renewal);
}

void user_renew_keys(struct user_renew *renew, const struct user *user, struct bytes password)
{
    if (user->keys.scram_sha256.iterations > 0)
        return;
    struct renewal *renewal = memory_new(struct renewal);
    renewal->renew = renew;
    renewal->path = renew->config.path;
    renewal->job = (struct job){ .work = work, .done = done };
    renewal->changed_unix_s = user->changed_unix_s;
    size_t size;
    bool good =
        opaque_string_prepare(password, renewal->password, sizeof(renewal->password), &size) == 0 &&
        text_copy(renewal->name, sizeof(renewal->name), bytes_of_text(user->name)) == 0 &&
        text_copy(renewal->realm, sizeof(renewal->realm), bytes_of_text(user->realm)) == 0;
    if (!good || job_submit(&renew->inbox, &renewal->job) < 0)
        renewal_free(renewal);
}

int user_renew_new(const struct user_renew_config *config, struct user_renew **ret_renew)
{
    struct user_renew *renew = memory_new(struct user_renew);
    renew->config = *config;
    int result = jobs_start(1, WAITING_MAX, &renew->jobs);
    if (result == 0)
        result = job_inbox_init(&renew->inbox, config->loop, renew->jobs);
    if (result < 0)
        user_renew_free(renew);
    else
        *ret_renew = renew;
    return result;
}

struct user_renew *user_renew_free(struct user_renew *renew)
{
    if (!renew)
        return NULL;
    job_inbox_done(&renew->inbox);
    jobs_stop(renew->jobs);
    free(renew);
    return NULL;
}
