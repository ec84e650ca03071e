#include "admin/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/nearest.h"
#include "base/memory.h"
#include "runtime/files.h"

#define DEFAULT_CONFIG_FILE "/etc/roost/roost.conf"
#define SETS_MAX            64

enum global_option {
    GLOBAL_CONFIG,
    GLOBAL_SET,
    GLOBAL_ROLES,
    GLOBAL_WORKERS,
    GLOBAL_DATA,
    GLOBAL_HELP,
    GLOBAL_VERSION,
    GLOBAL_COUNT,
};

const struct cli_option cli_global_options[] = {
    [GLOBAL_CONFIG] = { "config", "FILE", "Read the configuration from FILE." },
    [GLOBAL_SET] = { "set", "SECTION.KEY=VALUE", "Set one option; may be repeated." },
    [GLOBAL_ROLES] = { "roles", "LIST", "Same as --set server.roles=LIST." },
    [GLOBAL_WORKERS] = { "workers", "N", "Same as --set server.workers=N." },
    [GLOBAL_DATA] = { "data", "DIR", "Same as --set server.data_dir=DIR." },
    [GLOBAL_HELP] = { "help", NULL, "Show help, of a command when one is named." },
    [GLOBAL_VERSION] = { "version", NULL, "Show the version." },
    [GLOBAL_COUNT] = { 0 },
};

struct cli_parser {
    char **arguments; /**< what is left to read */
    size_t left;
    struct cli_call call;
    const char *sets[SETS_MAX];
    char *owned_sets[SETS_MAX]; /**< those made from short forms; else NULL */
    bool help;
    bool version;
};

static int usage_error(const char *what, const char *text, const char *nearest, const char *prefix)
{
    fprintf(stderr, "roost: %s \"%s\"", what, text);
    if (nearest)
        fprintf(stderr, "; did you mean %s%s?", prefix, nearest);
    fprintf(stderr, "\nTry `roost --help`.\n");
    return -EINVAL;
}

static const struct cli_command *find_command(const char *name)
{
    for (size_t i = 0; cli_commands[i]; i++) {
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    struct nearest nearest = nearest_to(bytes_of_text(name));
    for (size_t i = 0; cli_commands[i]; i++) {
        if (!cli_commands[i]->hidden)
            nearest_offer(&nearest, cli_commands[i]->name);
    }
    return usage_error("no command", name, nearest.best, "");
}

static int find_option(const struct cli_option *options, struct bytes name)
{
    for (int i = 0; options && options[i].name; i++) {
        if (text_equal(name, options[i].name))
            return i;
    }
    return -1;
}

static int unknown_option(const struct cli_parser *parser, const char *text, struct bytes name)
{
    struct nearest nearest = nearest_to(name);
    for (const struct cli_option *option = cli_global_options; option->name; option++)
        nearest_offer(&nearest, option->name);
    const struct cli_option *own = parser->call.command ? parser->call.command->options : NULL;
    for (; own && own->name; own++)
        nearest_offer(&nearest, own->name);
    return usage_error("no option", text, nearest.best, "--");
}

/** Adds an assignment; `short_for` is the option it stands for, or NULL for --set itself. */
static int add_set(struct cli_parser *parser, const char *short_for, const char *value)
{
    if (parser->call.set_count == SETS_MAX)
        return usage_error("too many --set before", value, NULL, "");
    size_t index = parser->call.set_count++;
    parser->sets[index] = value;
    if (!short_for)
        return 0;
    size_t capacity = strlen(short_for) + strlen(value) + 2;
    char *assignment = memory_allocate(1, capacity);
    struct text_builder out = text_builder_of(assignment, capacity);
    text_append_format(&out, "%s=%s", short_for, value);
    parser->owned_sets[index] = assignment;
    parser->sets[index] = assignment;
    return 0;
}

static int take_global(struct cli_parser *parser, enum global_option option, const char *value)
{
    switch (option) {
    case GLOBAL_CONFIG:
        parser->call.config_file = value;
        return 0;
    case GLOBAL_SET:
        return add_set(parser, NULL, value);
    case GLOBAL_ROLES:
        return add_set(parser, "server.roles", value);
    case GLOBAL_WORKERS:
        return add_set(parser, "server.workers", value);
    case GLOBAL_DATA:
        return add_set(parser, "server.data_dir", value);
    case GLOBAL_HELP:
        parser->help = true;
        return 0;
    case GLOBAL_VERSION:
        parser->version = true;
        return 0;
    case GLOBAL_COUNT:
        break;
    }
    return -EINVAL;
}

/** The value of "--name=value" or "--name value"; NULL with an error when it is missing. */
static const char *take_value(struct cli_parser *parser, const char *text, struct bytes value)
{
    if (value.data)
        return (const char *)value.data; // ends where the argument ends
    if (parser->left == 0) {
        usage_error("a value must follow", text, NULL, "");
        return NULL;
    }
    parser->left--;
    return *parser->arguments++;
}

static int parse_option(struct cli_parser *parser, const char *text)
{
    struct bytes value = bytes_of_text(text + 2);
    struct bytes name = text_take_until(&value, '=');
    const struct cli_command *command = parser->call.command;
    const struct cli_option *table = command ? command->options : NULL;
    int own = find_option(table, name);
    int global = own < 0 ? find_option(cli_global_options, name) : -1;
    if (own < 0 && global < 0)
        return unknown_option(parser, text, name);
    const struct cli_option *option = global >= 0 ? &cli_global_options[global] : table + own;
    ensure(option);
    if (!option->value && value.data)
        return usage_error("no value belongs to", text, NULL, "");
    const char *taken = option->value ? take_value(parser, text, value) : "";
    if (!taken)
        return -EINVAL;
    if (global >= 0)
        return take_global(parser, (enum global_option)global, taken);
    ensure(own < CLI_OPTIONS_MAX);
    parser->call.values[own] = taken;
    return 0;
}

static int parse_argument(struct cli_parser *parser, const char *text)
{
    struct cli_call *call = &parser->call;
    if (!call->command) {
        call->command = find_command(text);
        return call->command ? 0 : unknown_command(text);
    }
    if (call->argument_count == min_of(call->command->argument_max, (size_t)CLI_ARGUMENTS_MAX))
        return usage_error("an argument too many:", text, NULL, "");
    call->arguments[call->argument_count++] = text;
    return 0;
}

static int parse(struct cli_parser *parser)
{
    bool options_ended = false;
    while (parser->left > 0) {
        const char *text = *parser->arguments++;
        parser->left--;
        int result = 0;
        if (!options_ended && strcmp(text, "--") == 0)
            options_ended = true;
        else if (!options_ended && strncmp(text, "--", 2) == 0)
            result = parse_option(parser, text);
        else if (!options_ended && strcmp(text, "-h") == 0)
            parser->help = true;
        else if (!options_ended && text[0] == '-' && text[1] != '\0')
            result = unknown_option(parser, text, bytes_of_text(text + 1));
        else
            result = parse_argument(parser, text);
        if (result < 0)
            return result;
    }
    return 0;
}

static void print_option(const struct cli_option *option)
{
    char left[64];
    struct text_builder out = text_builder_of(left, sizeof(left));
    text_append_format(&out, "--%s%s%s", option->name, option->value ? " " : "",
                       option->value ? option->value : "");
    printf("  %-26s %s\n", left, option->help);
}

static void print_help(const struct cli_command *command)
{
    if (command) {
        printf("roost %s%s%s\n\n%s\n", command->name, *command->arguments ? " " : "",
               command->arguments, command->summary);
        if (command->help)
            printf("%s\n", command->help);
        if (command->options)
            printf("\nOptions of %s:\n", command->name);
        for (const struct cli_option *own = command->options; own && own->name; own++)
            print_option(own);
    } else {
        printf("roost [options] [command] [arguments]\n\nCommands:\n");
        for (size_t i = 0; cli_commands[i]; i++) {
            if (!cli_commands[i]->hidden)
                printf("  %-26s %s%s\n", cli_commands[i]->name, cli_commands[i]->summary,
                       i == 0 ? " (default)" : "");
        }
    }
    printf("\nOptions:\n");
    for (const struct cli_option *option = cli_global_options; option->name; option++)
        print_option(option);
    if (!command)
        printf("\nExit status: 0 success, 1 failure, 2 wrong usage, 3 configuration not valid.\n"
               "`roost COMMAND --help` tells more; so does the manual page roost(1).\n");
}

static void print_problems(const struct options_problems *problems)
{
    size_t shown = min_of(problems->count, (size_t)OPTIONS_PROBLEMS_MAX);
    for (size_t i = 0; i < shown; i++)
        fprintf(stderr, "roost: %s\n", problems->sentences[i]);
    if (problems->count > shown)
        fprintf(stderr, "roost: and %zu more\n", problems->count - shown);
}

int cli_load_options(const char *config_file, const char *const *sets, size_t set_count,
                     struct options *options)
{
    struct options_problems problems = { 0 };
    options_init(options);
    if (config_file)
        options_load_file(options, config_file, &problems);
    options_load_environment(options, (const char *const *)environ, &problems);
    for (size_t i = 0; i < set_count; i++)
        options_set(options, sets[i], &problems);
    // with values missing, checks between them would only tell of consequences
    if (problems.count == 0)
        options_check(options, &problems);
    print_problems(&problems);
    bool good = problems.count == 0;
    options_problems_done(&problems);
    if (!good)
        options_done(options);
    return good ? 0 : -EINVAL;
}

static const char *config_file_of(const struct cli_call *call)
{
    if (call->config_file)
        return call->config_file;
    const char *named = getenv("ROOST_CONFIG");
    if (named && *named)
        return named;
    return file_exists(DEFAULT_CONFIG_FILE) > 0 ? DEFAULT_CONFIG_FILE : NULL;
}

static int run_command(struct cli_call *call)
{
    if (call->argument_count < call->command->argument_min) {
        fprintf(stderr, "roost: usage: roost %s %s\n", call->command->name,
                call->command->arguments);
        return CLI_EXIT_USAGE;
    }
    if (call->command->without_options)
        return call->command->run(call);
    struct options options;
    call->config_file = config_file_of(call);
    if (cli_load_options(call->config_file, call->sets, call->set_count, &options) < 0)
        return CLI_EXIT_CONFIGURATION;
    call->options = &options;
    int result = call->command->run(call);
    options_done(&options);
    return result;
}

int cli_main(int argc, char **argv)
{
    struct cli_parser parser = { .arguments = argv + 1, .left = argc > 0 ? (size_t)argc - 1 : 0 };
    parser.call.sets = parser.sets;
    int result = CLI_EXIT_USAGE;
    if (parse(&parser) == 0) {
        if (parser.help) {
            print_help(parser.call.command);
            result = CLI_EXIT_OK;
        } else {
            if (parser.version)
                parser.call.command = find_command("version");
            else if (!parser.call.command)
                parser.call.command = cli_commands[0];
            result = run_command(&parser.call);
        }
    }
    for (size_t i = 0; i < parser.call.set_count; i++)
        free(parser.owned_sets[i]);
    return result;
}

const char *cli_value(const struct cli_call *call, const char *name)
{
    int index = find_option(call->command->options, bytes_of_text(name));
    ensure(index >= 0); // a command asks for its own options
    return call->values[index];
}
