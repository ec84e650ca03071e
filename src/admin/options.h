/**
 * The options of roost. options.def is the table; this header gives its typed struct and the ways
 * to fill it. Later sources win over earlier ones:
 *
 *     default  <  configuration file  <  environment ROOST_SECTION_KEY  <  --set section.key=value
 *
 * Everything is strict: an unknown name, a bad value or a broken line is a problem with the place
 * where it stands and the nearest valid name. All problems are collected, not only the first.
 */
#pragma once

#include "base/address.h"
#include "base/bytes.h"
#include "base/text.h"

/** Values of a LIST, in the order written. */
struct option_list {
    char **items; /**< a NULL stands behind the last */
    size_t count;
};

struct option_addresses {
    struct net_address *items; /**< port 0 */
    size_t count;
};

/** An address block such as 192.0.2.0/24; a single address has all its bits. */
struct option_network {
    struct net_address address;
    uint8_t bits;
};

struct option_networks {
    struct option_network *items;
    size_t count;
};

/** Choices of log.format, in the order of the table. log.level follows enum log_level. */
enum option_log_format {
    OPTION_LOG_FORMAT_AUTO,
    OPTION_LOG_FORMAT_HUMAN,
    OPTION_LOG_FORMAT_JSON,
};

/** Choices of http.enabled and turn.relay_sockets, in the order of the table. */
enum option_http_enabled {
    OPTION_HTTP_ENABLED_AUTO,
    OPTION_HTTP_ENABLED_ALWAYS,
};
enum option_relay_sockets {
    OPTION_RELAY_SOCKETS_AUTO,
    OPTION_RELAY_SOCKETS_ON_DEMAND,
    OPTION_RELAY_SOCKETS_AT_ONCE,
};

/** Choices of auth.mode, in the order of the table. */
enum option_auth_mode {
    OPTION_AUTH_MODE_OPEN,
    OPTION_AUTH_MODE_TOKEN,
    OPTION_AUTH_MODE_WEBHOOK,
};

enum option_whip_same_name {
    OPTION_WHIP_SAME_NAME_AUTO,
    OPTION_WHIP_SAME_NAME_REPLACE,
    OPTION_WHIP_SAME_NAME_REFUSE,
};

enum option_mqtt_guests {
    OPTION_MQTT_GUESTS_AUTO,
    OPTION_MQTT_GUESTS_ALLOW,
    OPTION_MQTT_GUESTS_REFUSE,
};

#define OPTION_FIELD_BOOL(key)      bool key;
#define OPTION_FIELD_NUMBER(key)    uint32_t key;
#define OPTION_FIELD_PORT(key)      uint16_t key;
#define OPTION_FIELD_SIZE(key)      uint64_t key;
#define OPTION_FIELD_DURATION(key)  uint64_t key##_us;
#define OPTION_FIELD_TEXT(key)      char *key;
#define OPTION_FIELD_PATH(key)      char *key;
#define OPTION_FIELD_SECRET(key)    char *key;
#define OPTION_FIELD_ENUM(key)      int key;
#define OPTION_FIELD_LIST(key)      struct option_list key;
#define OPTION_FIELD_ADDRESS(key)   struct net_address key;
#define OPTION_FIELD_ADDRESSES(key) struct option_addresses key;
#define OPTION_FIELD_NETWORKS(key)  struct option_networks key;

/** The values: `options->signal.resume_window_us`. Texts are never NULL. */
struct roost_options {
#define SECTION(name, help)                                             struct {
#define OPTION(section, key, type, default_value, limits, reload, help) OPTION_FIELD_##type(key)
#define SECTION_END(name)                                                                          \
    }                                                                                              \
    name;
#include "admin/options.def"
#undef SECTION
#undef OPTION
#undef SECTION_END
};

enum {
#define SECTION(name, help)
#define OPTION(section, key, type, default_value, limits, reload, help) +1
#define SECTION_END(name)
    OPTION_COUNT = 0
#include "admin/options.def"
#undef SECTION
#undef OPTION
#undef SECTION_END
};

enum option_type {
    OPTION_BOOL,
    OPTION_NUMBER,
    OPTION_PORT,
    OPTION_SIZE,
    OPTION_DURATION,
    OPTION_TEXT,
    OPTION_PATH,
    OPTION_SECRET,
    OPTION_ENUM,
    OPTION_LIST,
    OPTION_ADDRESS,
    OPTION_ADDRESSES,
    OPTION_NETWORKS,
};

/** One row of the table. */
struct option_row {
    enum option_type type;
    const char *section;
    const char *key;
    const char *default_text;
    const char *limits; /**< as in options.def */
    bool reloadable;
    const char *help;
    size_t offset; /**< of the field in struct roost_options */
};

/** The table, OPTION_COUNT rows, rows of a section standing together. */
extern const struct option_row option_rows[];

enum option_source {
    OPTION_FROM_DEFAULT,
    OPTION_FROM_FILE,
    OPTION_FROM_ENVIRONMENT,
    OPTION_FROM_COMMAND_LINE,
};

/** Where a value came from. */
struct option_origin {
    enum option_source source;
    int line; /**< of the file, from 1 */
};

struct options {
    struct roost_options values;
    struct option_origin origins[OPTION_COUNT];
    char *file; /**< the file that was read, or NULL */
};

#define OPTIONS_PROBLEMS_MAX 64

/** Sentences for the user, each with its place. After OPTIONS_PROBLEMS_MAX they are only counted.
 */
struct options_problems {
    char *sentences[OPTIONS_PROBLEMS_MAX];
    size_t count; /**< of all problems */
};

/** All options at their defaults. */
void options_init(struct options *options);
/** Frees what the options hold. Accepts a zeroed struct. */
void options_done(struct options *options);

void options_problems_done(struct options_problems *problems);
/** Adds a sentence in printf format. */
void options_problem(struct options_problems *problems, const char *format, ...) format_check(2, 3);

/** Largest configuration file read. */
#define OPTIONS_FILE_MAX (1u << 20)

/** Applies a configuration text; `name` is its file name in problems. */
void options_parse(struct options *options, const char *name, struct bytes text,
                   struct options_problems *problems);
/** Reads and applies the file at `path`; a file that cannot be read is a problem. */
void options_load_file(struct options *options, const char *path,
                       struct options_problems *problems);
/** Applies every ROOST_SECTION_KEY of `environment` ("NAME=value" texts, ends with NULL). */
void options_load_environment(struct options *options, const char *const *environment,
                              struct options_problems *problems);
/** Applies one "section.key=value" of the command line. */
void options_set(struct options *options, const char *assignment,
                 struct options_problems *problems);
/** What must hold between options, checked once after the last source. */
void options_check(const struct options *options, struct options_problems *problems);

/** One difference that a reload found. */
struct option_change {
    const struct option_row *row;
    bool applied; /**< false: needs a restart, the running value stays */
};

/**
 * Moves the values of reloadable options that differ from `fresh` into `running`. Lists every
 * option that differs. Returns the number of `ret_changes` filled.
 */
size_t options_reload(struct options *running, struct options *fresh,
                      struct option_change ret_changes[OPTION_COUNT]);

/** The value of a row as a user would write it. Secrets become "(set)" or "". */
void option_write_value(const struct option_row *row, const struct roost_options *values,
                        struct text_builder *out);
/** Whether an address lies in one of the networks; IPv4-mapped addresses count as IPv4. */
bool option_networks_contain(const struct option_networks *networks,
                             const struct net_address *address);
/** Whether not everyone may come in: auth.mode and auth.require_token. */
static inline bool options_are_closed(const struct roost_options *values)
{
    return values->auth.require_token || values->auth.mode != OPTION_AUTH_MODE_OPEN;
}
/** Whether a web server runs: http.enabled and the roles. */
bool options_want_http(const struct roost_options *values);
/** Whether a LIST holds `item`. */
bool option_list_has(const struct option_list *list, const char *item);
