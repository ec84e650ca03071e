// Sources of options: the INI file and the environment.
//
//     # a comment, also with ;
//     [section]
//     key = value            a value ends at the line's end, white space trimmed
//     key = "va#lue "        quotes keep white space; \" and \\ inside
//
// A '#' or ';' behind white space in an unquoted value is refused rather than guessed at: it may be
// a comment, and it may be half of a password.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/nearest.h"
#include "admin/options_int.h"
#include "base/memory.h"

struct file_parser {
    struct options *options;
    struct options_problems *problems;
    struct option_place place;
    const char *section;     /**< of the table; NULL before the first, or in an unknown one */
    bool in_unknown_section; /**< its keys were reported with it */
    int seen[OPTION_COUNT];  /**< the line that set each option */
};

static void line_problem(struct file_parser *parser, const char *sentence)
{
    options_problem(parser->problems, "%s:%d: %s", parser->place.name, parser->place.line,
                    sentence);
}

static void parse_section(struct file_parser *parser, struct bytes line)
{
    parser->section = NULL;
    parser->in_unknown_section = true;
    if (line.data[line.size - 1] != ']') {
        line_problem(parser, "a section is written [name]");
        return;
    }
    struct bytes name = text_trim(bytes_of(line.data + 1, line.size - 2));
    parser->section = option_section_find(name);
    if (parser->section) {
        parser->in_unknown_section = false;
        return;
    }
    struct nearest nearest = nearest_to(name);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        nearest_offer(&nearest, option_rows[i].section);
    char sentence[160];
    struct text_builder out = text_builder_of(sentence, sizeof(sentence));
    text_append(&out, "no such section");
    if (nearest.best)
        text_append_format(&out, "; did you mean [%s]?", nearest.best);
    line_problem(parser, sentence);
}

/** Removes the quotes and escapes of a quoted value into `out`. Returns 0 or -EINVAL. */
static int unquote(struct bytes value, char *out, struct bytes *ret_value)
{
    size_t size = 0, at = 1;
    for (; at < value.size && value.data[at] != '"'; at++) {
        if (value.data[at] == '\\') {
            if (++at >= value.size || (value.data[at] != '"' && value.data[at] != '\\'))
                return -EINVAL;
        }
        out[size++] = (char)value.data[at];
    }
    if (at + 1 != value.size)
        return -EINVAL;
    *ret_value = bytes_of(out, size);
    return 0;
}

static bool has_comment(struct bytes value)
{
    for (size_t i = 1; i < value.size; i++) {
        bool mark = value.data[i] == '#' || value.data[i] == ';';
        if (mark && (value.data[i - 1] == ' ' || value.data[i - 1] == '\t'))
            return true;
    }
    return false;
}

static void parse_assignment(struct file_parser *parser, struct bytes line)
{
    struct bytes value = line;
    struct bytes key = text_trim(text_take_until(&value, '='));
    if (!value.data) {
        line_problem(parser, "neither [section] nor key = value");
        return;
    }
    if (parser->in_unknown_section)
        return;
    if (!parser->section) {
        line_problem(parser, "a [section] must come first");
        return;
    }
    const struct option_row *row = option_find(bytes_of_text(parser->section), key);
    if (!row) {
        options_problem_unknown(parser->problems, &parser->place, bytes_of_text(parser->section),
                                key);
        return;
    }
    int *seen = &parser->seen[option_index(row)];
    if (*seen > 0) {
        options_problem(parser->problems, "%s:%d: %s.%s was set before, on line %d",
                        parser->place.name, parser->place.line, row->section, row->key, *seen);
        return;
    }
    *seen = parser->place.line;

    value = text_trim(value);
    cleanup(memory_free_at) char *unquoted = NULL;
    if (value.size > 0 && value.data[0] == '"') {
        unquoted = memory_allocate(1, value.size);
        if (unquote(value, unquoted, &value) < 0) {
            line_problem(parser, "the quotes of the value do not close at the end of the line");
            return;
        }
    } else if (has_comment(value)) {
        line_problem(parser, "put the comment on a line of its own, or the value in quotes");
        return;
    }
    options_assign(parser->options, row, value, &parser->place, parser->problems);
}

void options_parse(struct options *options, const char *name, struct bytes text,
                   struct options_problems *problems)
{
    struct file_parser parser = {
        .options = options,
        .problems = problems,
        .place = { .source = OPTION_FROM_FILE, .name = name },
    };
    static const uint8_t byte_order_mark[] = { 0xef, 0xbb, 0xbf };
    if (text.size >= 3 && memcmp(text.data, byte_order_mark, 3) == 0)
        text = bytes_of(text.data + 3, text.size - 3);
    while (text.data) {
        struct bytes line = text_take_until(&text, '\n');
        parser.place.line++;
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        line = text_trim(line);
        if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';')
            continue;
        if (line.data[0] == '[')
            parse_section(&parser, line);
        else
            parse_assignment(&parser, line);
    }
}

void options_load_file(struct options *options, const char *path, struct options_problems *problems)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        options_problem(problems, "cannot read %s: %s", path, strerror(errno));
        return;
    }
    cleanup(memory_free_at) char *text = memory_allocate(1, OPTIONS_FILE_MAX + 1);
    size_t size = fread(text, 1, OPTIONS_FILE_MAX + 1, file);
    if (ferror(file))
        options_problem(problems, "cannot read %s: %s", path, strerror(errno));
    else if (size > OPTIONS_FILE_MAX)
        options_problem(problems, "%s is larger than %u bytes", path, OPTIONS_FILE_MAX);
    else
        options_parse(options, path, bytes_of(text, size), problems);
    fclose(file);
    free(options->file);
    options->file = memory_copy(path, strlen(path));
}

#define VARIABLE_PREFIX "ROOST_"
#define VARIABLE_MAX    128

/** "ROOST_HTTP_HTTPS_PORT" of a row. */
static void variable_name(const struct option_row *row, char out[VARIABLE_MAX])
{
    int length = snprintf(out, VARIABLE_MAX, VARIABLE_PREFIX "%s_%s", row->section, row->key);
    ensure(length > 0 && length < VARIABLE_MAX);
    for (char *at = out; *at; at++)
        *at = (char)toupper((unsigned char)*at);
}

/**
 * A ROOST_ variable that is no option: a mistake when its section exists or its name is near to
 * one of ours. Other ROOST_ variables (ROOST_CONFIG, those of test scripts) are not our business.
 */
static void unknown_variable(struct bytes name, struct options_problems *problems)
{
    char best[VARIABLE_MAX] = "";
    size_t best_distance = SIZE_MAX;
    bool section_exists = false;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char candidate[VARIABLE_MAX];
        variable_name(&option_rows[i], candidate);
        size_t section_size = strlen(VARIABLE_PREFIX) + strlen(option_rows[i].section) + 1;
        section_exists |=
            name.size > section_size && memcmp(name.data, candidate, section_size) == 0;
        size_t distance = nearest_distance(name, bytes_of_text(candidate));
        if (distance < best_distance) {
            best_distance = distance;
            memcpy(best, candidate, sizeof(best));
        }
    }
    bool near = best_distance <= (section_exists ? name.size / 3 : 2);
    if (!near && !section_exists)
        return;
    options_problem(problems, "environment %.*s: no such option%s%s%s",
                    (int)min_of(name.size, (size_t)VARIABLE_MAX), (const char *)name.data,
                    near ? "; did you mean " : "", near ? best : "", near ? "?" : "");
}

static void load_variable(struct options *options, struct bytes name, struct bytes value,
                          struct options_problems *problems)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char candidate[VARIABLE_MAX];
        variable_name(&option_rows[i], candidate);
        if (!text_equal(name, candidate))
            continue;
        struct option_place place = { .source = OPTION_FROM_ENVIRONMENT, .name = candidate };
        options_assign(options, &option_rows[i], text_trim(value), &place, problems);
        return;
    }
    unknown_variable(name, problems);
}

void options_load_environment(struct options *options, const char *const *environment,
                              struct options_problems *problems)
{
    for (; *environment; environment++) {
        struct bytes value = bytes_of_text(*environment);
        if (!text_starts_with(value, VARIABLE_PREFIX))
            continue;
        struct bytes name = text_take_until(&value, '=');
        if (value.data && !text_equal(name, "ROOST_CONFIG"))
            load_variable(options, name, value, problems);
    }
}
