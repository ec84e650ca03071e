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

int serve_users_start(struct serve *serve)
{
    if (!serve_turn_wanted(serve) && !serve_mqtt_wanted(serve))
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
    return user_watch_open(&config, &serve->users, &serve->problem);
}

void serve_users_stop(struct serve *serve)
{
    serve->users = user_watch_close(serve->users);
}
