// The file of messages and calls, where the configuration wants them kept.
#include "admin/serve_int.h"
#include "runtime/files.h"

#define DATA_FILE_HISTORY "history.db"

int serve_history_start(struct serve *serve)
{
    const struct roost_options *options = serve->options;
    if (!option_list_has(&options->server.roles, "signal") || options->history.keep_us == 0 ||
        options->history.max_per_user == 0)
        return 0;
    char path[4096];
    int result = file_join(path, sizeof(path), serve->data.path, DATA_FILE_HISTORY);
    if (result < 0)
        return result;
    struct history_config config = {
        .loop = &serve->loop,
        .path = path,
        .log = &serve->log,
        .keep_us = options->history.keep_us,
        .per_user_max = options->history.max_per_user,
    };
    result = history_open(&config, &serve->history, &serve->problem);
    if (result < 0)
        return result;
    struct metric_set metrics = history_metrics(serve->history);
    metrics_page_add(serve->metrics, &metrics);
    return 0;
}

void serve_history_stop(struct serve *serve)
{
    serve->history = history_close(serve->history);
}
