// SIGHUP: the configuration is read again, what reloads is applied, the rest is named.
#include "admin/serve_int.h"

static void log_changes(const struct serve *serve, const struct option_change *changes,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name_text[64];
        struct text_builder name = text_builder_of(name_text, sizeof(name_text));
        text_append_format(&name, "%s.%s", changes[i].row->section, changes[i].row->key);
        if (changes[i].applied)
            log_info(&serve->log, "option changed", log_text("option", name_text));
        else
            log_warning(&serve->log, "option changed but needs a restart",
                        log_text("option", name_text));
    }
}

void serve_reload(struct serve *serve)
{
    struct options fresh;
    struct option_change changes[OPTION_COUNT];
    notify_reloading(&serve->notify);
    if (cli_load_options(serve->call->config_file, serve->call->sets, serve->call->set_count,
                         &fresh) < 0) {
        log_failure(&serve->log, "configuration not valid, nothing was changed");
    } else {
        size_t count = options_reload(serve->call->options, &fresh, changes);
        log_changes(serve, changes, count);
        log_output_set_level(&serve->log_output, (enum log_level)serve->options->log.level);
        serve->problem = text_builder_of(serve->problem_text, sizeof(serve->problem_text));
        if (data_folder_set_certificate(&serve->data, serve->options) == 0 &&
            serve_certificate_load(serve) == 0)
            log_info(&serve->log, "configuration and certificate read again",
                     log_number("changes", (int64_t)count));
        else
            log_warning(&serve->log, "certificate not loaded, the old one stays in use",
                        log_text("problem", serve->problem_text));
        serve_certificate_watch(serve);
        serve_tokens_reload(serve);
        serve_outgoing_reload(serve);
        serve_http_reload(serve);
        serve_app_reload(serve);
        serve_media_reload(serve);
        serve_turn_reload(serve);
        serve_signal_reload(serve);
        serve_whip_reload(serve);
        serve_peerjs_reload(serve);
        serve_control_reload(serve);
        serve_mqtt_reload(serve);
        // the old values, which nobody points to any more
        options_done(&fresh);
    }
    notify_ready(&serve->notify, NULL);
}
