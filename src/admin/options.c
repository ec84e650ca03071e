#include "admin/options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/nearest.h"
#include "admin/options_int.h"
#include "admin/turn_options.h"
#include "base/memory.h"

#define PROBLEM_MAX 512

void options_problem(struct options_problems *problems, const char *format, ...)
{
    if (problems->count < OPTIONS_PROBLEMS_MAX) {
        char sentence[PROBLEM_MAX];
        va_list arguments;
        va_start(arguments, format);
        int length = vsnprintf(sentence, sizeof(sentence), format, arguments);
        va_end(arguments);
        size_t size = length < 0 ? 0 : min_of((size_t)length, sizeof(sentence) - 1);
        problems->sentences[problems->count] = memory_copy(sentence, size);
    }
    problems->count++;
}

void options_problems_done(struct options_problems *problems)
{
    for (size_t i = 0; i < min_of(problems->count, (size_t)OPTIONS_PROBLEMS_MAX); i++)
        free(problems->sentences[i]);
    *problems = (struct options_problems){ 0 };
}

void options_init(struct options *options)
{
    *options = (struct options){ 0 };
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        char expected_text[128];
        struct text_builder expected = text_builder_of(expected_text, sizeof(expected_text));
        int result = option_value_parse(row, bytes_of_text(row->default_text),
                                        option_field(row, &options->values), &expected);
        ensure(result == 0); // a default is part of the program
    }
}

void options_done(struct options *options)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        option_value_free(&option_rows[i], option_field(&option_rows[i], &options->values));
    free(options->file);
    *options = (struct options){ 0 };
}

void option_place_write(const struct option_place *place, struct text_builder *out)
{
    if (place->source == OPTION_FROM_FILE)
        text_append_format(out, "%s:%d: ", place->name, place->line);
    else if (place->source == OPTION_FROM_ENVIRONMENT)
        text_append_format(out, "environment %s: ", place->name);
    else
        text_append(out, "command line: ");
}

void options_assign(struct options *options, const struct option_row *row, struct bytes value,
                    const struct option_place *place, struct options_problems *problems)
{
    char expected_text[256];
    struct text_builder expected = text_builder_of(expected_text, sizeof(expected_text));
    if (option_value_parse(row, value, option_field(row, &options->values), &expected) == 0) {
        options->origins[option_index(row)] =
            (struct option_origin){ .source = place->source, .line = place->line };
        return;
    }
    char where_text[300];
    struct text_builder where = text_builder_of(where_text, sizeof(where_text));
    option_place_write(place, &where);
    // a secret is not repeated, and nothing that could drive a terminal is
    bool shown = row->type != OPTION_SECRET && value.size <= 64 && text_is_utf8(value);
    for (size_t i = 0; shown && i < value.size; i++)
        shown = value.data[i] >= 0x20 && value.data[i] != 0x7f;
    options_problem(problems, "%s%s.%s must be %s%s%.*s%s", where_text, row->section, row->key,
                    expected_text, shown ? ", not \"" : "", shown ? (int)value.size : 0,
                    shown ? (const char *)value.data : "", shown ? "\"" : "");
}

/** The full name of the row that an unknown "section.key" probably meant, or NULL. */
static const struct option_row *nearest_row(struct bytes section, struct bytes key)
{
    // the right key in the wrong section comes before a similar key in the right one
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (text_equal_ignore_case(key, option_rows[i].key))
            return &option_rows[i];
    }
    struct nearest nearest = nearest_to(key);
    const struct option_row *best = NULL;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *before = nearest.best;
        if (text_equal(section, option_rows[i].section) || !option_section_find(section))
            nearest_offer(&nearest, option_rows[i].key);
        if (nearest.best != before)
            best = &option_rows[i];
    }
    return best;
}

/** Text from outside for a sentence: short, printable. */
static void append_quoted(struct text_builder *out, struct bytes text)
{
    text_append(out, "\"");
    for (size_t i = 0; i < min_of(text.size, (size_t)64); i++) {
        uint8_t c = text.data[i];
        text_append_format(out, "%c", c >= 0x20 && c < 0x7f ? c : '?');
    }
    text_append(out, text.size > 64 ? "...\"" : "\"");
}

void options_problem_unknown(struct options_problems *problems, const struct option_place *place,
                             struct bytes section, struct bytes key)
{
    char sentence[PROBLEM_MAX];
    struct text_builder out = text_builder_of(sentence, sizeof(sentence));
    option_place_write(place, &out);
    const char *known_section = option_section_find(section);
    if (known_section)
        text_append_format(&out, "no option %s.", known_section);
    else
        text_append(&out, "no option ");
    append_quoted(&out, key);
    const struct option_row *row = nearest_row(section, key);
    if (row)
        text_append_format(&out, "; did you mean %s.%s?", row->section, row->key);
    options_problem(problems, "%s", sentence);
}

void options_set(struct options *options, const char *assignment, struct options_problems *problems)
{
    struct option_place place = { .source = OPTION_FROM_COMMAND_LINE, .name = assignment };
    struct bytes value = bytes_of_text(assignment);
    struct bytes name = text_take_until(&value, '=');
    if (!value.data) {
        options_problem(problems, "command line: --set needs section.key=value");
        return;
    }
    struct bytes key = text_trim(name);
    struct bytes section = text_take_until(&key, '.');
    const struct option_row *row = option_find(section, key);
    if (row)
        options_assign(options, row, text_trim(value), &place, problems);
    else
        options_problem_unknown(problems, &place, section, key.data ? key : section);
}

bool options_want_http(const struct roost_options *values)
{
    return values->http.enabled == OPTION_HTTP_ENABLED_ALWAYS ||
           option_list_has(&values->server.roles, "app") ||
           option_list_has(&values->server.roles, "signal");
}

static bool can_read(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file)
        fclose(file);
    return file != NULL;
}

static void check_files(const struct roost_options *values, struct options_problems *problems)
{
    if (!*values->http.cert != !*values->http.key)
        options_problem(problems, "http.cert and http.key must be set together");
    const char *const names[] = { "http.cert", "http.key" };
    const char *const paths[] = { values->http.cert, values->http.key };
    for (size_t i = 0; i < array_size(paths); i++) {
        if (*paths[i] && !can_read(paths[i]))
            options_problem(problems, "%s: cannot read %s: %s", names[i], paths[i],
                            strerror(errno));
    }
}

void options_check(const struct options *options, struct options_problems *problems)
{
    const struct roost_options *values = &options->values;
    check_files(values, problems);
    if (values->http.http && values->http.http_port == values->http.https_port &&
        values->http.http_port != 0)
        options_problem(problems, "http.http_port and http.https_port must differ");
    if (values->signal.ping_timeout_us <= values->signal.ping_interval_us)
        options_problem(problems, "signal.ping_timeout must be longer than signal.ping_interval");
    if (values->server.roles.count == 0)
        options_problem(problems, "server.roles must name at least one role");
    if (values->http.bind.count == 0)
        options_problem(problems, "http.bind must name at least one address");
    if (option_list_has(&values->server.roles, "signal") &&
        !option_list_has(&values->server.roles, "media"))
        options_problem(problems, "server.roles: signal needs media in the same process");
    if (values->auth.mode == OPTION_AUTH_MODE_WEBHOOK &&
        (!*values->auth.webhook_url || !*values->auth.webhook_secret))
        options_problem(problems,
                        "auth.webhook_url and auth.webhook_secret are needed with auth.mode");
    for (const char *at = values->peerjs.key; *at; at++) {
        if (!isalnum((unsigned char)*at) && !strchr("-_", *at)) {
            options_problem(problems, "peerjs.key may only have letters, digits, - and _");
            break;
        }
    }
    struct bytes redirect = bytes_of_text(values->whip.redirect);
    if (redirect.size > 0 &&
        ((!text_starts_with(redirect, "https://") && !text_starts_with(redirect, "http://")) ||
         redirect.data[redirect.size - 1] == '/'))
        options_problem(problems, "whip.redirect must be an address such as "
                                  "https://live2.example.com, without a slash at its end");
    if (values->webhooks.urls.count > 4)
        options_problem(problems, "webhooks.urls: at most 4 addresses");
    if (values->webhooks.urls.count > 0 && !*values->webhooks.secret)
        options_problem(problems, "webhooks.secret is needed with webhooks.urls: without it "
                                  "anyone could send events in this server's name");
    turn_options_check(values, problems);
}

size_t options_reload(struct options *running, struct options *fresh,
                      struct option_change ret_changes[OPTION_COUNT])
{
    size_t count = 0;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if (option_values_equal(row, &running->values, &fresh->values))
            continue;
        if (row->reloadable) {
            // swapped, so that `fresh` frees the old value
            option_values_swap(row, &running->values, &fresh->values);
            running->origins[i] = fresh->origins[i];
        }
        ret_changes[count++] = (struct option_change){ .row = row, .applied = row->reloadable };
    }
    return count;
}
