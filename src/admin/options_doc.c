#include "admin/options_doc.h"

#include <stdio.h>
#include <string.h>

#include "admin/cli.h"
#include "admin/options_int.h"

static bool starts_section(size_t index)
{
    return index == 0 || strcmp(option_rows[index].section, option_rows[index - 1].section) != 0;
}

static const char *type_text(enum option_type type)
{
    static const char *const names[] = {
        [OPTION_BOOL] = "true or false",
        [OPTION_NUMBER] = "number",
        [OPTION_PORT] = "port",
        [OPTION_SIZE] = "size",
        [OPTION_DURATION] = "duration",
        [OPTION_TEXT] = "text",
        [OPTION_PATH] = "path",
        [OPTION_SECRET] = "secret",
        [OPTION_ENUM] = "one of",
        [OPTION_LIST] = "list",
        [OPTION_ADDRESS] = "address",
        [OPTION_ADDRESSES] = "list of addresses",
        [OPTION_NETWORKS] = "list of networks",
    };
    return names[type];
}

/** "number, 0..256": the type and its limits in words. */
static void append_type(const struct option_row *row, struct text_builder *out)
{
    text_append(out, type_text(row->type));
    bool texts = row->type == OPTION_TEXT || row->type == OPTION_SECRET;
    if (!*row->limits)
        return;
    text_append(out, row->type == OPTION_ENUM || row->type == OPTION_LIST ? " " : ", ");
    if (row->type == OPTION_LIST)
        text_append(out, "of ");
    for (const char *at = row->limits; *at; at++) {
        if (*at == '|')
            text_append(out, ", ");
        else
            text_append_format(out, "%c", *at);
    }
    if (texts)
        text_append(out, " bytes");
}

static void write_sample(struct text_builder *out)
{
    text_append(out,
                "# Configuration of roost: every option with its default, made by `make docs`.\n"
                "# Uncomment what you change. Comments stand on lines of their own; values with\n"
                "# '#', ';' or white space at their ends go in double quotes. Sizes take k, m, g;\n"
                "# durations need a unit: ms, s, m, h, d. Lists are separated by commas.\n"
                "# `roost check` tells what is wrong and where each value comes from.\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if (starts_section(i))
            text_append_format(out, "\n# %s\n[%s]\n", option_section_help(row->section),
                               row->section);
        text_append_format(out, "\n# %s\n# (", row->help);
        append_type(row, out);
        text_append_format(out, "; %s)\n#%s = %s\n",
                           row->reloadable ? "applied on reload" : "needs a restart", row->key,
                           row->default_text);
    }
}

/** Text for man: backslashes and hyphens are roff's own, lines must not begin with a dot. */
static void append_roff(const char *text, struct text_builder *out)
{
    if (*text == '.' || *text == '\'')
        text_append(out, "\\&");
    for (; *text; text++) {
        if (*text == '\\')
            text_append(out, "\\e");
        else if (*text == '-')
            text_append(out, "\\-");
        else if (*text == '`')
            text_append(out, "\\(cq");
        else
            text_append_format(out, "%c", *text);
    }
}

static void write_man_options(struct text_builder *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if (starts_section(i)) {
            text_append_format(out, ".SS [%s] ", row->section);
            append_roff(option_section_help(row->section), out);
            text_append(out, "\n");
        }
        text_append_format(out, ".TP\n.B %s\n", row->key);
        append_roff(row->help, out);
        text_append(out, "\n(");
        append_type(row, out);
        text_append(out, "; default ");
        append_roff(*row->default_text ? row->default_text : "empty", out);
        text_append_format(out, "; %s)\n", row->reloadable ? "reloads" : "needs a restart");
    }
}

static void write_man_commands(struct text_builder *out)
{
    for (size_t i = 0; cli_commands[i]; i++) {
        const struct cli_command *command = cli_commands[i];
        if (command->hidden)
            continue;
        text_append_format(out, ".TP\n.B %s %s\n", command->name, command->arguments);
        append_roff(command->summary, out);
        text_append(out, "\n");
        if (command->help) {
            append_roff(command->help, out);
            text_append(out, "\n");
        }
        const struct cli_option *option = command->options;
        for (; option && option->name; option++) {
            text_append_format(out, ".RS\n.TP\n\\-\\-%s%s%s\n", option->name,
                               option->value ? " " : "", option->value ? option->value : "");
            append_roff(option->help, out);
            text_append(out, "\n.RE\n");
        }
    }
}

static void write_man(struct text_builder *out)
{
    text_append(out,
                ".\\\" Made by `make docs` from the tables of commands and options.\n"
                ".TH ROOST 1 \"\" \"roost " ROOST_VERSION "\" \"User Commands\"\n"
                ".SH NAME\nroost \\- WebRTC server: rooms, calls, signaling, media\n"
                ".SH SYNOPSIS\n.B roost\n[\\fIoptions\\fR] [\\fIcommand\\fR "
                "[\\fIarguments\\fR]]\n"
                ".SH DESCRIPTION\n"
                "One program serves a web application for group and one\\-to\\-one video calls, "
                "the signaling over WebSocket, and the media over one UDP port. Without any "
                "configuration it makes its keys and a self\\-signed certificate in its data "
                "folder at first start and prints where to open a browser.\n"
                ".SH COMMANDS\nWithout a command, \\fBserve\\fR.\n");
    write_man_commands(out);
    text_append(out, ".SH OPTIONS\n");
    for (const struct cli_option *option = cli_global_options; option->name; option++) {
        text_append_format(out, ".TP\n\\fB\\-\\-%s\\fR%s%s\n", option->name,
                           option->value ? " " : "", option->value ? option->value : "");
        append_roff(option->help, out);
        text_append(out, "\n");
    }
    text_append(out,
                ".SH CONFIGURATION\n"
                "Values are taken, later ones winning, from the defaults, the configuration file, "
                "the environment (ROOST_SECTION_KEY, such as ROOST_HTTP_HTTPS_PORT) and "
                "\\-\\-set section.key=value. Unknown names and bad values are errors.\n");
    write_man_options(out);
    text_append(
        out, ".SH SIGNALS\n.TP\n.B SIGTERM, SIGINT\nEnd after open requests are answered "
             "and members are told.\n.TP\n.B SIGHUP\nRead the configuration again, apply "
             "what reloads (certificates too), and log what needs a restart.\n.TP\n.B SIGUSR1\n"
             "Before a stop: drain the TURN server for turn.drain_timeout (no new allocations; a "
             "TURN server alone ends with its last one), and send publishers and viewers of "
             "WHIP and WHEP elsewhere.\n"
             ".SH EXIT STATUS\n.TP\n.B 0\nsuccess\n.TP\n.B 1\nsomething failed at run "
             "time\n.TP\n.B 2\nunknown command, option or argument\n.TP\n.B 3\nthe "
             "configuration is not valid, or cannot work here (a port in use, no "
             "permission)\n"
             ".SH FILES\n.TP\n.I /etc/roost/roost.conf\nThe configuration, unless "
             "\\-\\-config or ROOST_CONFIG names another.\n.TP\n.I ./roost\\-data\nThe data "
             "folder; /var/lib/roost as a service.\n");
}

/** Text in a Markdown table: the bar ends a cell. */
static void append_cell(const char *text, struct text_builder *out)
{
    for (; *text; text++)
        text_append_format(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void write_markdown(struct text_builder *out)
{
    text_append(
        out,
        "# Configuration\n\n"
        "<!-- Made by `make docs` from src/admin/options.def: change it there. -->\n\n"
        "roost runs without any configuration. To change something, write a file "
        "([the sample](../config/roost.conf.sample) has every option), set a variable, or say it "
        "on the command line. Later ones win:\n\n"
        "1. the default\n"
        "2. the file: `--config FILE`, else the variable `ROOST_CONFIG`, else "
        "`/etc/roost/roost.conf` when it exists\n"
        "3. the environment: `ROOST_SECTION_KEY`, such as `ROOST_HTTP_HTTPS_PORT=443`\n"
        "4. `--set section.key=value`, and the short forms `--roles`, `--workers`, `--data`\n\n"
        "Unknown names, values out of limits and broken lines are errors with their place; "
        "`roost check` shows them, and where each value in effect comes from. SIGHUP "
        "(`systemctl reload roost`) reads everything again, applies the options marked *reload*, "
        "and logs which others changed and need a restart.\n\n"
        "Sizes are bytes or take `k`, `m`, `g` (1024). Durations need a unit: `ms`, `s`, `m`, "
        "`h`, `d`. Lists are separated by commas or blanks. Secrets are never shown or logged.\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if (starts_section(i))
            text_append_format(out,
                               "\n## [%s]\n\n%s.\n\n| option | what | values | default | change |\n"
                               "|---|---|---|---|---|\n",
                               row->section, option_section_help(row->section));
        text_append_format(out, "| `%s` | ", row->key);
        append_cell(row->help, out);
        text_append(out, " | ");
        append_type(row, out);
        text_append_format(out, " | %s%s%s | %s |\n", *row->default_text ? "`" : "",
                           row->default_text, *row->default_text ? "`" : "",
                           row->reloadable ? "reload" : "restart");
    }
}

void options_doc_write(enum options_doc doc, struct text_builder *out)
{
    if (doc == OPTIONS_DOC_SAMPLE)
        write_sample(out);
    else if (doc == OPTIONS_DOC_MAN)
        write_man(out);
    else
        write_markdown(out);
}
