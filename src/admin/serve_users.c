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

static int start_logins(struct serve *serve)
{
    struct user_login_config config = { .loop = &serve->loop,
                                        .random = &serve->entropy.random,
                                        .log = &serve->log,
                                        .users = users_of,
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
    return result == 0 && signals ? start_logins(serve) : result;
}

void serve_users_stop(struct serve *serve)
{
    serve->logins = user_login_free(serve->logins);
    serve->users = user_watch_close(serve->users);
}
