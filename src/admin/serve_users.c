// The users of `roost user`, whom several parts of the process ask for.
#include "admin/serve_int.h"
#include "runtime/files.h"

static void users_changed(void *owner)
{
    struct serve *serve = owner;
    log_info(&serve->log, "users read again",
             log_number("count", (int64_t)user_watch_users(serve->users)->count));
    serve_turn_settings(serve);
}

static const struct user_list *users_of(void *owner)
{
    const struct serve *serve = owner;
    return user_watch_users(serve->users);
}

static void renew_keys(void *owner, const struct user *user, struct bytes password)
{
    struct serve *serve = owner;
    if (serve->options->auth.renew_keys)
        user_renew_keys(serve->renew, user, password);
}

static int start_renewals(struct serve *serve)
{
    struct user_renew_config config = { .loop = &serve->loop,
                                        .path = user_watch_path(serve->users),
                                        .log = &serve->log };
    return user_renew_new(&config, &serve->renew);
}

static int start_logins(struct serve *serve)
{
    struct user_login_config config = { .loop = &serve->loop,
                                        .random = &serve->entropy.random,
                                        .log = &serve->log,
                                        .users = users_of,
                                        .renew = renew_keys,
                                        .owner = serve };
    int result = user_login_new(&config, &serve->logins);
    if (result < 0)
        return result;
    struct metric_set metrics = user_login_metrics(serve->logins);
    metrics_page_add(serve->metrics, &metrics);
    return 0;
}

int serve_users_start(struct serve *serve)
{
    bool signals = option_list_has(&serve->options->server.roles, "signal");
    if (!serve_turn_wanted(serve) && !signals)
        return 0;
    char path[4096];
    int result = file_join(path, sizeof(path), serve->data.path, DATA_FILE_USERS);
    if (result < 0)
        return result;
    struct user_watch_config config = {
        .loop = &serve->loop,
        .path = path,
        .realm = serve->options->turn.realm,
        .log = &serve->log,
        .changed = users_changed,
        .owner = serve,
    };
    result = user_watch_open(&config, &serve->users, &serve->problem);
    if (result == 0 && signals)
        result = start_renewals(serve);
    return result == 0 && signals ? start_logins(serve) : result;
}

void serve_users_stop(struct serve *serve)
{
    serve->logins = user_login_free(serve->logins);
    serve->renew = user_renew_free(serve->renew);
    serve->users = user_watch_close(serve->users);
}
