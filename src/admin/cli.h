/**
 * The command line: `roost [options] [command] [arguments]`. Commands are rows of one table
 * (commands.c); this file parses, loads the options and runs one. A new command is a `const struct
 * cli_command` and a line in that table.
 */
#pragma once

#include "admin/options.h"

/** What the process returns; documented in the manual page. */
enum cli_exit {
    CLI_EXIT_OK = 0,
    CLI_EXIT_FAILURE = 1,       /**< something failed at run time */
    CLI_EXIT_USAGE = 2,         /**< unknown command, option or argument */
    CLI_EXIT_CONFIGURATION = 3, /**< the configuration is not valid, or cannot work here */
};

/** An option of one command: "--name VALUE" or, with `value` NULL, a switch "--name". */
struct cli_option {
    const char *name;  /**< without the dashes */
    const char *value; /**< name of the value in the help, or NULL for a switch */
    const char *help;
};

#define CLI_OPTIONS_MAX   24
#define CLI_ARGUMENTS_MAX 16

struct cli_command;

/** One call of a command, parsed. */
struct cli_call {
    const struct cli_command *command;
    const char *config_file; /**< what --config or ROOST_CONFIG named, or the default, or NULL */
    struct options *options; /**< loaded and valid, unless the command has `without_options` */
    const char *const *sets; /**< the --set assignments in order, for a reload */
    size_t set_count;
    const char *values[CLI_OPTIONS_MAX]; /**< of the command's options, in its order, or NULL */
    const char *arguments[CLI_ARGUMENTS_MAX];
    size_t argument_count;
};

struct cli_command {
    const char *name;
    const char *summary;              /**< one line */
    const char *arguments;            /**< for the usage line: "NAME [SECONDS]", or "" */
    const char *help;                 /**< more sentences, or NULL */
    const struct cli_option *options; /**< ends with a row without a name; NULL: none */
    size_t argument_min;
    size_t argument_max;
    bool without_options; /**< runs without loading the configuration */
    bool hidden;          /**< not listed in the help */
    /** Runs the command; returns an enum cli_exit. */
    int (*run)(const struct cli_call *call);
};

/** All commands, ends with NULL; the first is the default. */
extern const struct cli_command *const cli_commands[];
/** The options every command takes. */
extern const struct cli_option cli_global_options[];

/** Parses, loads the options and runs; prints help and errors. Returns an enum cli_exit. */
int cli_main(int argc, char **argv);

/** Value of the command's option `name` ("count"), or NULL when not given. */
const char *cli_value(const struct cli_call *call, const char *name);
/**
 * Loads options from all sources in order. Returns 0, or -EINVAL with problems printed to
 * standard error.
 */
must_check int cli_load_options(const char *config_file, const char *const *sets, size_t set_count,
                                struct options *options);
