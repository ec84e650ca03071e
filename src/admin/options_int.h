/** What the option files of this folder share. */
#pragma once

#include "admin/options.h"

#define OPTION_LIST_MAX 256 /**< items of a list value */

/** Row of "section" and "key", or NULL. */
const struct option_row *option_find(struct bytes section, struct bytes key);
/** The table's own text of a section's name, or NULL. */
const char *option_section_find(struct bytes section);
/** What a section is about. */
const char *option_section_help(const char *section);

static inline size_t option_index(const struct option_row *row)
{
    return (size_t)(row - option_rows);
}
static inline void *option_field(const struct option_row *row, struct roost_options *values)
{
    return (char *)values + row->offset;
}
static inline const void *option_field_const(const struct option_row *row,
                                             const struct roost_options *values)
{
    return (const char *)values + row->offset;
}

/**
 * Parses `text` into the field (which owns its old value until success, then the new one).
 * Returns 0, or -EINVAL with what was expected in `ret_expected` ("a number from 1 to 64").
 */
must_check int option_value_parse(const struct option_row *row, struct bytes text, void *field,
                                  struct text_builder *ret_expected);
/** "90s", "24h": with its unit. Returns 0, -EINVAL or -ERANGE. */
must_check int option_parse_duration(struct bytes text, uint64_t *ret_us);
/** Frees what the field holds and zeroes it. */
void option_value_free(const struct option_row *row, void *field);
size_t option_field_size(enum option_type type);
bool option_values_equal(const struct option_row *row, const struct roost_options *a,
                         const struct roost_options *b);
void option_values_swap(const struct option_row *row, struct roost_options *a,
                        struct roost_options *b);

/** Where an assignment stands, for problems. */
struct option_place {
    enum option_source source;
    const char *name; /**< file name, variable name, or the command line's text */
    int line;
};

/** Assigns one value, or adds a problem. */
void options_assign(struct options *options, const struct option_row *row, struct bytes value,
                    const struct option_place *place, struct options_problems *problems);
/** Adds the problem of a name that is in no row, with the nearest one that is. */
void options_problem_unknown(struct options_problems *problems, const struct option_place *place,
                             struct bytes section, struct bytes key);
/** Writes "file:line: ", "NAME: " or "--set: ". */
void option_place_write(const struct option_place *place, struct text_builder *out);
