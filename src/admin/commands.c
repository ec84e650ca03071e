// The table of commands. Each command is a const struct cli_command: small ones here, larger ones
// in a file of their own, declared in commands.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/cli.h"
#include "admin/commands.h"
#include "admin/first_start.h"
#include "admin/options_doc.h"
#include "admin/options_int.h"
#include "admin/serve.h"
#include "base/memory.h"

#define DOC_MAX (256u << 10)

static const struct cli_command command_serve = {
    .name = "serve",
    .summary = "Run the server until SIGTERM or SIGINT.",
    .arguments = "",
    .help = "SIGHUP reads the configuration and certificates again.",
    .run = serve_run,
};

static void append_origin(const struct options *options, size_t index, struct text_builder *out)
{
    const struct option_origin *origin = &options->origins[index];
    switch (origin->source) {
    case OPTION_FROM_DEFAULT:
        text_append(out, "default");
        break;
    case OPTION_FROM_FILE:
        text_append_format(out, "%s:%d", options->file, origin->line);
        break;
    case OPTION_FROM_ENVIRONMENT:
        text_append(out, "environment");
        break;
    case OPTION_FROM_COMMAND_LINE:
        text_append(out, "command line");
        break;
    }
}

static int run_check(const struct cli_call *call)
{
    bool changed_only = cli_value(call, "changed") != NULL;
    cleanup(memory_free_at) char *value_text = memory_allocate(1, DOC_MAX);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (changed_only && call->options->origins[i].source == OPTION_FROM_DEFAULT)
            continue;
        struct text_builder value = text_builder_of(value_text, DOC_MAX);
        option_write_value(&option_rows[i], &call->options->values, &value);
        char origin_text[512];
        struct text_builder origin = text_builder_of(origin_text, sizeof(origin_text));
        append_origin(call->options, i, &origin);
        char name[64];
        struct text_builder name_out = text_builder_of(name, sizeof(name));
        text_append_format(&name_out, "%s.%s", option_rows[i].section, option_rows[i].key);
        printf("%-36s = %-28s (%s)\n", name, value_text, origin_text);
    }
    char problem_text[512];
    struct text_builder problem = text_builder_of(problem_text, sizeof(problem_text));
    if (data_certificate_check(&call->options->values, &problem) < 0) {
        fprintf(stderr, "roost: %s\n", problem_text);
        return CLI_EXIT_CONFIGURATION;
    }
    fprintf(stderr, "roost: the configuration is valid (%s)\n",
            call->config_file ? call->config_file : "no file");
    return CLI_EXIT_OK;
}

static const struct cli_option check_options[] = {
    { "changed", NULL, "Show only what differs in origin from the defaults." },
    { 0 },
};

static const struct cli_command command_check = {
    .name = "check",
    .summary = "Validate the configuration and print what is in effect.",
    .arguments = "",
    .help = "Secrets are shown as (set). Problems go to standard error, with exit status 3.",
    .options = check_options,
    .run = run_check,
};

static int run_version(const struct cli_call *call)
{
    (void)call;
    printf("roost %s\n", ROOST_VERSION);
    return CLI_EXIT_OK;
}

static const struct cli_command command_version = {
    .name = "version",
    .summary = "Show the version.",
    .arguments = "",
    .without_options = true,
    .run = run_version,
};

static int run_config(const struct cli_call *call)
{
    static const char *const names[] = {
        [OPTIONS_DOC_SAMPLE] = "sample",
        [OPTIONS_DOC_MAN] = "man",
        [OPTIONS_DOC_MARKDOWN] = "markdown",
    };
    const char *format = cli_value(call, "format");
    for (size_t i = 0; i < array_size(names); i++) {
        if (strcmp(format ? format : "sample", names[i]) != 0)
            continue;
        cleanup(memory_free_at) char *text = memory_allocate(1, DOC_MAX);
        struct text_builder out = text_builder_of(text, DOC_MAX);
        options_doc_write((enum options_doc)i, &out);
        ensure(!out.truncated);
        return fputs(text, stdout) < 0 ? CLI_EXIT_FAILURE : CLI_EXIT_OK;
    }
    fprintf(stderr, "roost: --format is sample, man or markdown\n");
    return CLI_EXIT_USAGE;
}

static const struct cli_option config_options[] = {
    { "format", "FORMAT", "sample (default), man or markdown." },
    { 0 },
};

static const struct cli_command command_config = {
    .name = "config",
    .summary = "Print every option as a sample file, manual page or Markdown.",
    .arguments = "",
    .options = config_options,
    .without_options = true,
    .run = run_config,
};

const struct cli_command *const cli_commands[] = {
    &command_serve,  &command_check,   &command_token, &command_user, &command_turn_credentials,
    &command_config, &command_version, NULL,
};
